# Runs the steps of a script, says how long each took, and remembers what failed. Sourced by bin/setup and bin/test.

step_lines=()
failed_steps=()

# step NAME COMMAND…: shows what the command prints and keeps it in tmp/steps/NAME.log; the status is the command's.
step() {
  local name=$1 started=$EPOCHREALTIME status=0 tenths outcome=done log=tmp/steps/${1//:/-}.log output copier
  shift
  mkdir -p tmp/steps
  printf '\n== %s: %s\n' "$name" "$*"
  exec {output}> >(tee "$log")
  copier=$!
  "$@" >&"$output" 2>&1 {output}>&- || status=$?
  exec {output}>&-
  # Not for ever: something that the command left behind may hold its output open.
  for _ in {1..20}; do kill -0 "$copier" 2>/dev/null && sleep 0.05 || break; done
  tenths=$(((${EPOCHREALTIME/[.,]/} - ${started/[.,]/}) / 100000))
  [ $status -eq 0 ] || { outcome="FAILED, status $status" && failed_steps+=("$name"); }
  step_lines+=("$(printf '%-14s %5d.%d s  %s' "$name" $((tenths / 10)) $((tenths % 10)) "$outcome")")
  echo "== ${step_lines[-1]}"
  return $status
}

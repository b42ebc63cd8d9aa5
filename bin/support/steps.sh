# Runs the steps of a script, says how long each took, and remembers which failed. Sourced by bin/setup and bin/test.

failed_steps=()

# step NAME COMMAND…: the status is the command's.
step() {
  local name=$1 started=$EPOCHREALTIME status=0
  shift
  printf '\n== %s: %s\n' "$name" "$*"
  "$@" || status=$?
  local milliseconds=$(((${EPOCHREALTIME/[.,]/} - ${started/[.,]/}) / 1000))
  printf -v step_line '%-12s %6d.%d s  %s' "$name" $((milliseconds / 1000)) $((milliseconds / 100 % 10)) "$([ $status -eq 0 ] && echo done || echo "FAILED (status $status)")"
  printf '== %s\n' "$step_line"
  [ $status -eq 0 ] || failed_steps+=("$name")
  return $status
}

# Builds the root directory of a lane: a second Debian beside the host's. Sourced by bin/lane.

# The mirror this machine already uses, so that a lane needs no network of its own.
debian_mirror() {
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' "Release: $(. /etc/os-release && echo "$VERSION_CODENAME")" | head -n 1
}

# build_lane_root ROOT RELEASE: debootstrap once, into a directory that gets its name when it is complete.
build_lane_root() {
  local root=$1 release=$2 mirror
  [ -d "$root" ] && return
  mirror=$(debian_mirror)
  [ -n "$mirror" ] || { echo "bin/lane: apt on this machine names no Debian mirror" >&2; return 1; }
  command -v debootstrap >/dev/null || { apt-get update --quiet=2 && apt-get install --quiet=2 --assume-yes --no-install-recommends debootstrap; } || return 1
  rm -rf "$root.partial"
  mkdir -p "$(dirname "$root")"
  echo "Building the $release lane in $root (once)"
  debootstrap --variant=minbase "$release" "$root.partial" "$mirror" >"$root.log" 2>&1 || { tail -n 20 "$root.log" >&2; return 1; }
  write_lane_sources "$root.partial" "$release" "$mirror"
  mv "$root.partial" "$root"
}

write_lane_sources() {
  local root=$1 release=$2 mirror=$3
  printf 'deb %s %s main\n' "$mirror" "$release" "$mirror" bookworm >"$root/etc/apt/sources.list"
  # Debian 13 dropped fugit and what it stands on; Debian 12's are plain Ruby and run there. Nothing else comes from it.
  cat >"$root/etc/apt/preferences.d/good_job_rs" <<'PREFERENCES'
Package: *
Pin: release n=bookworm
Pin-Priority: -1

Package: ruby-fugit ruby-raabro ruby-et-orbi
Pin: release n=bookworm
Pin-Priority: 500
PREFERENCES
  # The specs run private clusters; a system-wide one would only be in the way.
  mkdir -p "$root/etc/postgresql-common"
  echo 'create_main_cluster = false' >"$root/etc/postgresql-common/createcluster.conf"
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod +x "$root/usr/sbin/policy-rc.d"
}

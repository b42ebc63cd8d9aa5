#!/usr/bin/env bash
# The inside of a lane: lays the mounts in the private namespace that bin/lane opened, and runs the command in the root.
# Usage: lane_enter.sh ROOT PROJECT COMMAND…   (environment: CARGO_HOME, RUSTUP_HOME and what bin/lane passes on)
set -euo pipefail
root=$1 project=$2
shift 2

bind() { mkdir -p "$root$1" && mount --bind "$1" "$root$1"; }

mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
bind "$project"
for home in "$CARGO_HOME" "$RUSTUP_HOME"; do
  if [ -d "$home" ]; then bind "$home"; fi
done
cp --dereference /etc/resolv.conf /etc/hosts "$root/etc/"
if [ -f /etc/ssl/certs/ca-certificates.crt ]; then
  install -D --mode=644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
fi

status=0
# shellcheck disable=SC2016
chroot "$root" /bin/bash -c 'cd "$1" && shift && exec "$@"' lane "$project" "$@" || status=$?
# A clean stop: whatever still runs is killed with the namespace, and Postgres would have to recover the next time.
chroot "$root" "$project/bin/postgres" stop >/dev/null 2>&1 || true
if [ -n "${POSTGRES_DIRECTORY:-}" ]; then rm -rf "$POSTGRES_DIRECTORY"; fi
exit "$status"

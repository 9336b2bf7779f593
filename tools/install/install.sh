#!/bin/bash
# Installs the packages of packages.txt by apt, as root or through sudo. Quick when they are all there.
# With --optional also those only some targets need (packages-optional.txt).
set -euo pipefail
cd "$(dirname "$0")"

lists=(packages.txt)
[ "${1:-}" = "--optional" ] && lists+=(packages-optional.txt)

missing=()
for package in $(sed 's/#.*//' "${lists[@]}"); do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "install: every package is there"
  exit 0
fi

sudo=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "install: neither root nor sudo; needed: ${missing[*]}" >&2; exit 1; }
  sudo=(sudo)
fi
echo "install: ${missing[*]}"
# RUNLEVEL=1 keeps invoke-rc.d from starting the database servers: tests and tools start their own.
apt=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -q -o DPkg::Lock::Timeout=300)
"${apt[@]}" update
"${apt[@]}" install -y --no-install-recommends "${missing[@]}"

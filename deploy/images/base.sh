#!/bin/bash
# Makes the image debian:bookworm-slim from Debian's packages, for machines that reach no registry. Needs root and
# debootstrap. Nothing of this machine stays in it: no names, apt sources, lists or logs.
# usage: base.sh IMAGE
set -euo pipefail
image=${1:?usage: base.sh IMAGE}

[ "$(id -u)" -eq 0 ] || { echo "base: root is needed to make $image from packages" >&2; exit 1; }
command -v debootstrap > /dev/null || { echo "base: debootstrap is missing (apt-get install debootstrap)" >&2; exit 1; }

# The mirror this machine itself uses.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' 2> /dev/null | head -1)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
echo "base: $image from Debian's packages"
debootstrap --variant=minbase --include=ca-certificates bookworm "$root/fs" "${mirror:-http://deb.debian.org/debian}" \
  > "$root/log" 2>&1 || { tail -20 "$root/log" >&2; exit 1; }
rm -rf "$root"/fs/etc/{resolv.conf,hostname,hosts,machine-id,apt/sources.list} "$root"/fs/etc/apt/sources.list.d/* \
  "$root"/fs/var/lib/apt/lists/* "$root"/fs/var/cache/apt/* "$root"/fs/var/log/* "$root"/fs/var/lib/dpkg/*-old \
  "$root"/fs/usr/share/{doc,man,locale,info}/*
tar -C "$root/fs" -c . | docker import --change 'CMD ["bash"]' - "$image" > /dev/null

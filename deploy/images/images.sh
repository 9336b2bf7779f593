#!/bin/bash
# Builds the image of Tern, and of what stands beside it where no registry is reached. Prints each image and its size.
# usage: images.sh [--prebuilt DIR]   with programs that were built on a Debian 12 before, instead of compiling here
set -euo pipefail
cd "$(dirname "$0")/../.."

base=${BASE:-debian:bookworm-slim}
tag=${TAG:-tern:local}
prebuilt=
[ "${1:-}" = --prebuilt ] && prebuilt=${2:?--prebuilt needs a directory}
docker info > /dev/null 2>&1 || { echo "images: no Docker engine answers (is it running? may you use it?)" >&2; exit 3; }

# here IMAGE: it is in the engine, or can be had
here() { docker image inspect "$1" > /dev/null 2>&1 || timeout 300 docker pull -q "$1" > /dev/null 2>&1; }

secrets=()
here "$base" || deploy/images/base.sh "$base"
# A base without package sources of its own is built with this machine's.
if ! docker run --rm --network none --entrypoint sh "$base" -c 'ls /etc/apt/sources.list /etc/apt/sources.list.d/* > /dev/null 2>&1'; then
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  cat /etc/apt/sources.list.d/*.sources > "$scratch/sources" 2> /dev/null || true
  cat /etc/apt/apt.conf.d/99* > "$scratch/options" 2> /dev/null || true
  secrets=(--secret "id=apt_sources,src=$scratch/sources" --secret "id=apt_options,src=$scratch/options")
fi

programs="ternd tern-gateway tern-session tern-routing tern-group tern-storage ternctl tern-bench"
binaries=compiled
if [ -n "$prebuilt" ]; then
  binaries=prebuilt
  rm -rf build/images/bin && mkdir -p build/images/bin
  for each in $programs; do strip -o "build/images/bin/$each" "$prebuilt/$each"; done
fi

build() { # image, Dockerfile, further arguments
  local image=$1 file=$2
  shift 2
  echo "images: $image"
  DOCKER_BUILDKIT=1 docker build -q --network "${BUILD_NETWORK:-default}" -t "$image" -f "$file" --build-arg "BASE=$base" \
    "${secrets[@]}" "$@" . > /dev/null
}

version=$(sed -nE 's/^project\(tern VERSION ([0-9.]+).*/\1/p' CMakeLists.txt)
# What was built before says itself what it was built from.
revision=$(git rev-parse --short=12 HEAD 2> /dev/null || echo unknown)
[ -z "$prebuilt" ] || revision=$("$prebuilt/ternd" --version | sed -nE 's/.*commit ([^,)]+).*/\1/p')
build "$tag" deploy/images/Dockerfile --build-arg "BINARIES=$binaries" --build-arg "VERSION=$version" \
  --build-arg "REVISION=$revision"

# Databases and monitoring: the usual images, or ours from Debian's packages, named in deploy/compose/.env, where other
# lines stay as they are.
env=deploy/compose/.env
{ [ ! -f "$env" ] || grep -vE '^[A-Z]+_IMAGE=tern-[a-z]+:local$' "$env" || true; } > "$env.new"
for each in postgres redis haproxy prometheus alertmanager; do
  variable=$(echo "${each}_IMAGE" | tr '[:lower:]' '[:upper:]')
  usual=$(sed -nE "s/.*\\$\{$variable:-([^}]*)\}.*/\1/p" deploy/compose/docker-compose.yml | head -1)
  [ -n "$usual" ] || { echo "images: docker-compose.yml names no $variable" >&2; exit 1; }
  here "$usual" && continue
  build "tern-$each:local" "deploy/images/$each.Dockerfile"
  echo "$variable=tern-$each:local" >> "$env.new"
done
mv "$env.new" "$env"

base_size=$(docker image inspect -f '{{.Size}}' "$base")
docker image inspect -f '{{.Size}}' "$tag" |
  awk -v tag="$tag" -v base="$base_size" '{printf "images: %s is %.1f MiB, %.1f MiB beyond its base\n", tag, $1/1048576, ($1-base)/1048576}'

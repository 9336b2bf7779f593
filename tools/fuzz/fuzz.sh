#!/bin/bash
# Runs the libFuzzer targets. usage: tools/fuzz/fuzz.sh [seconds for each target, default 60] [target…, default all]
# New inputs go to build/fuzz/<target>/corpus, crashing ones to build/fuzz/<target>/crash-*; nothing in the tree changes.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-60}
[ $# -gt 0 ] && shift
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(wire websocket)

# The sources (the entry point among them), the seed corpus and the libraries of a target.
describe() {
  libraries=()
  case $1 in
    wire)
      mapfile -t sources < <(find libs/wire -name '*.cpp' ! -name '*_test.cpp')
      sources+=(tests/fuzz/wire_fuzz.cpp libs/base/errc.cpp)
      corpus=tests/fuzz/corpus/wire
      ;;
    websocket)
      sources=(libs/websocket/{frame_fuzz,frame_parser,http_parser,handshake,utf8}.cpp)
      corpus=libs/websocket/fuzz/corpus
      libraries=(-lcrypto)
      ;;
    *)
      echo "unknown fuzz target: $1 (known: wire websocket)" >&2
      return 2
      ;;
  esac
}

for target in "${targets[@]}"; do
  describe "$target"
  work=${FUZZ_DIR:-build/fuzz}/$target
  mkdir -p "$work/corpus"
  "${FUZZ_CXX:-clang++}" -std=c++20 -O1 -g1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
    -fsanitize-ignorelist=tools/fuzz/ignore.txt -I. "${sources[@]}" "${libraries[@]}" -o "$work/fuzz"
  echo "== $target, $seconds s"
  "$work/fuzz" -max_total_time="$seconds" -max_len=16384 -artifact_prefix="$work/" -print_final_stats=1 \
    "$work/corpus" "$corpus"
done

#!/bin/bash
# Runs the libFuzzer targets. usage: tools/fuzz/fuzz.sh [seconds for each target, default 60] [target…, default all]
# New inputs go to ${FUZZ_DIR:-build/fuzz}/<target>/corpus, crashing ones to build/fuzz/<target>/crash-*; nothing in the tree changes.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-60}
[ $# -gt 0 ] && shift
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
  for entry in tests/fuzz/*_fuzz.cpp; do
    target=$(basename "$entry" _fuzz.cpp)
    targets+=("$target")
  done
fi

# Sources under test of a target; one line here for each new target.
sources_of() {
  case $1 in
    wire) find libs/wire -name '*.cpp' ! -name '*_test.cpp'; echo libs/base/errc.cpp ;;
    *) echo "unknown fuzz target: $1" >&2; return 1 ;;
  esac
}

for target in "${targets[@]}"; do
  work=${FUZZ_DIR:-build/fuzz}/$target
  mkdir -p "$work/corpus"
  list=$(sources_of "$target")
  mapfile -t sources <<< "$list"
  "${FUZZ_CXX:-clang++}" -std=c++20 -O1 -g1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -fsanitize-ignorelist=tools/fuzz/ignore.txt -I. \
    "tests/fuzz/${target}_fuzz.cpp" "${sources[@]}" -o "$work/fuzz"
  echo "== $target, $seconds s"
  "$work/fuzz" -max_total_time="$seconds" -max_len=16384 -artifact_prefix="$work/" -print_final_stats=1 \
    "$work/corpus" "tests/fuzz/corpus/$target"
done

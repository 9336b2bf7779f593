#!/bin/bash
# Fails, with the difference, when docs/configuration.md is not what the programs in directory $1 declare.
set -euo pipefail
cd "$(dirname "$0")/../.."
diff -u docs/configuration.md <(tools/docs/configuration.sh "$1") || {
  echo "docs/configuration.md is out of date: make docs" >&2
  exit 1
}

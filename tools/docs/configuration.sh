#!/bin/bash
# Writes docs/configuration.md to standard output from what the programs in directory $1 declare.
set -euo pipefail
bin=$1

reference() { "$bin/$1" "--config-reference=$2" | sed 's/^## /### /'; }

cat <<'INTRO'
# Configuration

Written by `make docs` from the options the programs declare; a test compares both. `PROGRAM --help` shows the same.

An option is given, the weaker source first, by its default, in a YAML file (`--config FILE`, nested or with dotted keys),
by an environment variable (`gateway.listen_address` is `TERN_GATEWAY_LISTEN_ADDRESS`) or on the command line
(`--set key=value`). Lists are YAML lists in a file, elsewhere separated by commas (`\,` is a comma in an item). All errors
are reported at once with key, file and line, and end the program with exit code 2; an unknown key is an error, an unknown
variable a warning. `--print-config` shows the options in effect, secrets hidden.

Secrets are read from files that only their owner may read (mode 0600 or stricter); never from the command line or from the
YAML file itself. Instead of `identity.key_file` the environment may hold `TERN_IDENTITY_KEY`.

| exit code | meaning |
| --- | --- |
| 0 | ended by SIGTERM or SIGINT and drained |
| 1 | could not start, or could not go on |
| 2 | configuration or command line refused |
| 130 | ended at once by a second signal |

## Every service

`ternd` knows of these only what does not concern links between processes: `actors`, `drain`, `log` and `metrics`.

INTRO
reference tern-gateway common
for service in gateway session group routing storage; do
  printf '\n## tern-%s\n\n' "$service"
  reference "tern-$service" services
done
cat <<'TERND'

## ternd

All options of the five services above, and:

TERND
reference ternd program

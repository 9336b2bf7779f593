#!/usr/bin/env python3
"""Runs the commands of docs/operations.md as they stand there, against a local cluster.

Blocks that begin with ```sh run are run one after the other by one bash with `set -e`: what one defines the next ones use.
`start NODE` and `stop NODE` stand for the reader's own way to do that (systemctl, docker compose, kubectl).
"""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "observe"))
from local_cluster import BINARIES, CHEAP_LOGINS, SOURCE, Cluster, Load  # noqa: E402

PAGE = os.path.join(SOURCE, "docs", "operations.md")
FUNCTIONS = """
set -euo pipefail
stop() {{  # SIGTERM to each, and wait until it has ended
  for node in "$@"; do
    kill -TERM "${{PID_OF[$node]}}"
    while [ -e "/proc/${{PID_OF[$node]}}" ] && ! grep -q '^State:.*zombie' "/proc/${{PID_OF[$node]}}/status"; do sleep 0.05; done
  done
}}
start() {{
  for node in "$@"; do
    tern-"${{node%-*}}" --config "$CONF/$node.yaml" >> "$CONF/$node.log" 2>&1 &
    PID_OF[$node]=$!
  done
}}
ended() {{ kill $(jobs -p) 2> /dev/null || true; wait; }}
trap ended EXIT
declare -A PID_OF=({pids})
"""


def blocks(text):
    """(line number, commands) of each block that is to be run."""
    for found in re.finditer(r"^```sh run\n(.*?)^```$", text, re.M | re.S):
        yield text.count("\n", 0, found.start()) + 2, found[1]


def script(cluster, text):
    pids = " ".join(f"[{name}]={node.program.pid}" for name, node in cluster.nodes.items())
    out = FUNCTIONS.format(pids=pids)
    for line, commands in blocks(text):
        out += f"echo '::line {line}'\n{commands}"
    return out + "echo '::end'\n"


def dsn_of(cluster, database):
    server = cluster.servers["postgres-0" if database == "meta" else f"postgres-{database}"]
    command = server.command
    port = command[command.index("-p") + 1] if "-p" in command else next(
        word.partition("=")[2] for word in command if word.startswith("port="))
    name = "tern_meta" if database == "meta" else "tern"
    return f"host=127.0.0.1 port={port} user=tern dbname={name}"


def main():
    with open(PAGE, encoding="utf-8") as page:
        text = page.read()
    number = len(list(blocks(text)))
    assert number >= 10, f"only {number} blocks of {PAGE} are to be run"
    with tempfile.TemporaryDirectory(prefix="tern-operations-") as directory, \
            Cluster(BINARIES, directory, settings=CHEAP_LOGINS) as cluster:
        cluster.wait_ready()
        with Load(BINARIES, directory, cluster.gateways(), name="people", accounts=8, rate=40, rooms=1) as load:
            load.wait_started()
            load.stop()
        work = os.path.join(directory, "work")
        os.makedirs(work)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("TERN_")}
        path = ":".join((BINARIES, os.path.join(SOURCE, "deploy", "backup"), environment["PATH"]))
        environment |= {"PATH": path, "CONF": cluster.directory,
                        "GATEWAY": cluster.gateways()[0], "METRICS": cluster.nodes["session-0"].metrics,
                        "SHARD_0": dsn_of(cluster, 0), "SHARD_1": dsn_of(cluster, 1), "META": dsn_of(cluster, "meta")}
        done = subprocess.run(["bash", "-c", script(cluster, text)], cwd=work, env=environment, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, check=False)
        if done.returncode != 0 or "::end" not in done.stdout:
            at = re.findall(r"^::line (\d+)$", done.stdout, re.M)
            sys.exit(f"the block at docs/operations.md:{at[-1] if at else '?'} ended with code {done.returncode}:\n"
                     + done.stdout[-4000:])
        if "--show" in sys.argv:
            print(done.stdout)
        print(f"ok  {number} blocks of docs/operations.md")


if __name__ == "__main__":
    main()

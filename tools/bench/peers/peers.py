#!/usr/bin/env python3
"""Tern beside ejabberd, where both do the same job: relaying 1:1 messages without storing them.

Runs both in turn on this machine with the same pairs, rate and body, and prints the CPU time of the server processes
per delivered message, their memory per connection and the ratios. Needs the Debian package ejabberd (installed when we
are root, unless --no-install); says why and ends well when it cannot run.
"""
import argparse
import json
import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import xmpp_load

HERE = pathlib.Path(__file__).resolve().parent


def skip(why):
    print(f"bench-peers: skipped: {why}")
    sys.exit(0)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cpu_seconds(pid):
    """User and system time of a process with all its threads: /proc/PID/stat, fields 14 and 15."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pss_bytes(pid):
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def wait_for_port(port, child, limit=60):
    end = time.monotonic() + limit
    while time.monotonic() < end:
        if child.poll() is not None:
            return False
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.1)
    return False


def install_ejabberd():
    """RUNLEVEL=1 keeps the package from starting its own server."""
    done = subprocess.run(["apt-get", "-q", "install", "-y", "--no-install-recommends", "ejabberd"],
                          env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"},
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    return done.returncode == 0


class Ejabberd:
    """A server of our own: private directory and port, no distribution (so no epmd is left behind)."""

    def __init__(self):
        self.port = free_port()
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="tern-ejabberd-"))
        account = pwd.getpwnam("ejabberd")
        config = (HERE / "ejabberd.yml").read_text().replace("PORT", str(self.port))
        (self.home / "ejabberd.yml").write_text(config)
        for path in (self.home, self.home / "ejabberd.yml"):
            os.chown(path, account.pw_uid, account.pw_gid)
        environment = {**os.environ, "EJABBERD_CONFIG_PATH": str(self.home / "ejabberd.yml"),
                       "EJABBERD_LOG_PATH": str(self.home / "ejabberd.log"), "HOME": str(self.home),
                       "ERL_LIBS": f"/usr/lib/{os.uname().machine}-linux-gnu"}
        command = ["erl", "+K", "true", "+P", "250000", "-noinput", "-mnesia", "dir", f'"{self.home}/spool"',
                   "-s", "ejabberd"]
        log = open(self.home / "out.log", "w", encoding="utf-8")
        self.child = subprocess.Popen(command, cwd=self.home, env=environment, stdout=log, stderr=log,
                                      user=account.pw_uid, group=account.pw_gid)

    def ready(self):
        return wait_for_port(self.port, self.child)

    def stop(self):
        self.child.terminate()
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        shutil.rmtree(self.home, ignore_errors=True)


def percentile(values, share):
    return values[min(len(values) - 1, int(share * len(values)))] / 1e6 if values else 0.0


def measure_ejabberd(how):
    server = Ejabberd()
    try:
        if not server.ready():
            return None, (server.home / "out.log").read_text()[-300:]
        before = pss_bytes(server.child.pid)
        clients = xmpp_load.connect(server.port, how.pairs)
        per_connection = (pss_bytes(server.child.pid) - before) / len(clients)
        xmpp_load.run(clients, how.rate, 1, how.body_bytes)
        began = cpu_seconds(server.child.pid)
        sent, received, latencies = xmpp_load.run(clients, how.rate, how.seconds, how.body_bytes)
        used = cpu_seconds(server.child.pid) - began
        if received == 0:
            return None, "no message arrived"
        return {"delivered_per_second": received / how.seconds, "lost": sent - received,
                "cpu_us": 1e6 * used / received, "bytes_per_connection": per_connection,
                "p50_ms": percentile(latencies, 0.5), "p99_ms": percentile(latencies, 0.99)}, ""
    finally:
        server.stop()


def figures_of(printed):
    """Of the JSON that tern-bench prints."""
    report = printed["scenarios"][0]
    delivery, cost = report["latency_ns"]["delivery"], report["processes"]["ternd"]
    return {"delivered_per_second": delivery["count"] / report["seconds"], "cpu_us": cost["us_per_operation"],
            "bytes_per_connection": cost["bytes_per_connection"] or None,
            "p50_ms": delivery["p50"] / 1e6, "p99_ms": delivery["p99"] / 1e6}


def measure_tern(how):
    """ternd without storage, driven by tern-bench: its own report has the CPU of the process."""
    data = tempfile.mkdtemp(prefix="tern-peers-")
    port, metrics = free_port(), free_port()
    log = open(pathlib.Path(data) / "out.log", "w", encoding="utf-8")
    child = subprocess.Popen([how.binaries + "/ternd", "--data-dir", data + "/tern", "--listen", f"127.0.0.1:{port}",
                              "--metrics", f"127.0.0.1:{metrics}", "--set", "session.storage=none",
                              "--set", "gateway.request_rate_per_second=0"], stdout=log, stderr=log)
    try:
        if not wait_for_port(port, child):
            return None, "ternd did not start"
        done = subprocess.run([how.binaries + "/tern-bench", "chat", "--storage", "none", "--target", f"127.0.0.1:{port}",
                               "--watch", f"ternd={child.pid}", "--pairs", str(how.pairs), "--rate", str(how.rate),
                               "--seconds", str(how.seconds), "--body", str(how.body_bytes), "--json"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            return None, done.stderr[-300:]
        return figures_of(json.loads(done.stdout)), ""
    finally:
        child.terminate()
        child.wait(20)
        shutil.rmtree(data, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binaries", default="build/bin")
    parser.add_argument("--pairs", type=int, default=50)
    parser.add_argument("--rate", type=float, default=3000, help="messages/s in all, the same for both")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--body-bytes", type=int, default=64)
    parser.add_argument("--no-install", action="store_true")
    how = parser.parse_args()
    if shutil.which("ejabberdctl") is None:
        if how.no_install or os.geteuid() != 0:
            skip("ejabberd is not installed (apt-get install ejabberd)")
        if not install_ejabberd():
            skip("ejabberd cannot be installed from the package registries")
    if os.geteuid() != 0:
        skip("ejabberd runs as its own user: needs root")
    print(f"{how.pairs} pairs, {how.rate:.0f} messages/s in all, {how.body_bytes}-byte bodies, {how.seconds:.0f} s")
    theirs, why = measure_ejabberd(how)
    if theirs is None:
        skip(f"ejabberd does not run here: {why}")
    ours, why = measure_tern(how)
    if ours is None:
        print(f"bench-peers: tern could not be measured: {why}", file=sys.stderr)
        sys.exit(1)
    print(f"{'':24}{'ejabberd':>12}{'ternd':>12}{'ratio':>8}")
    for key, name in (("delivered_per_second", "delivered/s"), ("cpu_us", "CPU us per message"),
                      ("bytes_per_connection", "bytes per connection"), ("p50_ms", "latency p50 ms"),
                      ("p99_ms", "latency p99 ms")):
        left, right = theirs[key], ours[key]
        if right is None:
            print(f"{name:24}{left:12.2f}{'-':>12}")
        else:
            print(f"{name:24}{left:12.2f}{right:12.2f}{left / right if right else 0:8.2f}")


if __name__ == "__main__":
    main()

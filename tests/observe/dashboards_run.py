#!/usr/bin/env python3
"""Every query of every dashboard, asked of a real Prometheus that watches a loaded cluster: all give data.

    TERN_BIN=build/bin tests/observe/dashboards_run.py [--seconds N] [--keep]

Beside the cluster stands a ternd with TLS and SQLite, for what only one of these has. Exit code 1 when a query finds
nothing or only NaN; prints a line per dashboard and one per such query.
"""
import argparse
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time

import dashboards_test
from alerts_fire_test import make_certificate
from local_cluster import BINARIES, CHEAP_LOGINS, Cluster, Load, Program, Prometheus, free_port, http_get, wait_for

SETTINGS = CHEAP_LOGINS + ("routing:routing.move_rest_ms=0", "gateway:gateway.request_rate_per_second=0")
VALUES = {"$namespace": ".+", "$service": ".+", "$instance": ".+", "$__rate_interval": "1m", "$datasource": ""}


def start_ternd(directory):
    """(program, metrics address): accounts in SQLite, clients over TLS."""
    certificate = os.path.join(directory, "edge.pem")
    make_certificate(certificate, 90)
    metrics = f"127.0.0.1:{free_port()}"
    program = Program("ternd", log=os.path.join(directory, "ternd.log"), command=[
        os.path.join(BINARIES, "ternd"), "--data-dir", os.path.join(directory, "data"),
        "--set", f"gateway.listen_address=127.0.0.1:{free_port()}", "--set", f"metrics.listen_address={metrics}",
        "--set", f"gateway.tls.certificate_file={certificate}", "--set", f"gateway.tls.key_file={certificate}.key"])
    wait_for(lambda: http_get(f"http://{metrics}/readyz")[0] == 200, 30, text="ternd did not start")
    return program, metrics


def stream(cluster, seconds):
    """Virtual rooms with viewers, for as long as the others chat."""
    return subprocess.Popen(
        [os.path.join(BINARIES, "tern-bench"), "stream", "--target", ",".join(cluster.gateways()), "--publishers", "2",
         "--viewers", "10", "--size", "2000", "--seconds", str(seconds), "--prefix", "stream"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def move_things(cluster):
    """Ranges of both kinds move warm and come back, as in a roll-out."""
    for kind, nodes in (("sessions", "session"), ("groups", "group")):
        for node in (f"{nodes}-0", f"{nodes}-1"):
            code, said = cluster.ctl("migrate", "0%-100%", node, "--kind", kind)
            if code != 0:
                raise RuntimeError(f"ternctl migrate to {node}: {said}")
        cluster.ctl("migrate", "0%-100%", "--release", "--kind", kind)


def has_data(prometheus, expression):
    for name, value in VALUES.items():
        expression = expression.replace(name, value)
    return any(not math.isnan(value) for _, value in prometheus.query(expression))


def ask_all(prometheus):
    """[(dashboard, panel, expression)] of what finds nothing; prints a line per dashboard."""
    empty = []
    for name, page in dashboards_test.pages().items():
        queries = dashboards_test.queries(page)
        lost = [(name, panel["title"], text) for panel, text in queries if not has_data(prometheus, text)]
        print(f"{name}: {len(dashboards_test.panels(page))} panels, {len(queries)} queries, {len(lost)} without data",
              flush=True)
        empty += lost
    return empty


def not_counted(prometheus):
    """Stages and ways of a message that no sample was of."""
    wanted = [f'tern_message_stage_seconds_count{{stage="{stage}",service!="ternd"}}'
              for stage in ("decode", "route", "authorize", "commit", "dispatch", "write")]
    wanted += [f'tern_session_delivery_seconds_count{{kind="message",path="{path}"}}' for path in ("local", "remote")]
    return [("stages", one, one) for one in wanted if not prometheus.value(f"sum({one})", 0)]


def run(directory, seconds):
    with Cluster(BINARIES, directory, groups=2, settings=SETTINGS) as cluster:
        ternd, metrics = start_ternd(directory)
        live = None
        try:
            targets = cluster.targets() + [(metrics, {"service": "ternd", "node": "ternd"})]
            watched = [(address, {**labels, "namespace": "test"}) for address, labels in targets]
            with Prometheus(directory, watched) as prometheus, \
                    Load(BINARIES, directory, cluster.gateways(), accounts=40, rate=40, rooms=4, naps=2.0) as load:
                load.wait_started()
                live = stream(cluster, seconds)
                time.sleep(seconds / 3)
                move_things(cluster)
                time.sleep(seconds / 3)
                empty = ask_all(prometheus) + not_counted(prometheus)
                last = load.stop()
                print(f"the load: exit code {load.child.returncode}, {last}")
                return empty, load.child.returncode
        finally:
            if live is not None:
                live.kill()
                live.wait()
            ternd.stop()


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=45, help="of load (45)")
    options.add_argument("--keep", action="store_true", help="leave the directory with the logs")
    how = options.parse_args()
    directory = tempfile.mkdtemp(prefix="tern-dashboards-")
    empty, broken = [], 1
    try:
        empty, broken = run(directory, how.seconds)
    finally:
        if how.keep or empty or broken:
            print(f"logs are in {directory}")
        else:
            shutil.rmtree(directory)
    for name, title, text in empty:
        print(f"no data: {name}: {title}: {text}")
    print("passed" if not empty and not broken else "FAILED")
    return 1 if empty or broken else 0


if __name__ == "__main__":
    sys.exit(main())

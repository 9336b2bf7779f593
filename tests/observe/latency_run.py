#!/usr/bin/env python3
"""Is the latency that operators see the one that people have? tern-bench measures deliveries with its own clock; at the
same time a Prometheus reads tern_gateway_delivery_seconds. The two p99 may differ by a tenth.

    TERN_BIN=build/bin tests/observe/latency_run.py [--seconds N] [--rate N] [--pairs N]

Prints both; exit code 1 when they differ by more. The bench's clock runs from sending to receiving, so it has the way
over the loopback in it, twice; at rates that leave the machine time this is little.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

from local_cluster import BINARIES, CHEAP_LOGINS, Cluster, Prometheus

SETTINGS = CHEAP_LOGINS + ("gateway:gateway.request_rate_per_second=0",)
MOST_APART = 0.1


def bench(cluster, how):
    """(p99 in seconds, deliveries) of one run."""
    done = subprocess.run(
        [os.path.join(BINARIES, "tern-bench"), "chat", "--target", ",".join(cluster.gateways()), "--pairs", str(how.pairs),
         "--rate", str(how.rate), "--seconds", str(how.seconds), "--json"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"tern-bench: {done.stdout}{done.stderr}")
    delivery = json.loads(done.stdout)["scenarios"][0]["latency_ns"]["delivery"]
    return delivery["p99"] / 1e9, delivery["count"]


def compare(directory, how):
    with Cluster(BINARIES, directory, settings=SETTINGS) as cluster:
        cluster.wait_ready()
        with Prometheus(directory, cluster.targets()) as prometheus:
            own, count = bench(cluster, how)
            time.sleep(2)  # the last scrape
            window = f"[{how.seconds + 3}s]"  # without the messages that warm it up
            buckets = f'increase(tern_gateway_delivery_seconds_bucket{{kind="message"}}{window})'
            seen = prometheus.value(f"histogram_quantile(0.99, sum by (le) ({buckets}))")
            exported = sum(cluster.metric(node.name, 'tern_gateway_delivery_seconds_count{kind="message"}')
                           for node in cluster.named("gateway"))
    return own, count, seen, exported


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=int, default=30, help="of load (30)")
    options.add_argument("--rate", type=int, default=300, help="messages per second (300)")
    options.add_argument("--pairs", type=int, default=50, help="of users (50)")
    how = options.parse_args()
    directory = tempfile.mkdtemp(prefix="tern-latency-")
    try:
        own, count, seen, exported = compare(directory, how)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    apart = abs(seen - own) / own
    print(f"delivery p99: tern-bench {own * 1000:.2f} ms of {count}, Prometheus {seen * 1000:.2f} ms of {exported:.0f}: "
          f"{apart:.1%} apart, allowed {MOST_APART:.0%}")
    print("passed" if apart <= MOST_APART else "FAILED")
    return 0 if apart <= MOST_APART else 1


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Is the latency that operators see the one that people have? tern-bench measures deliveries with its own clock; at the
same time a Prometheus reads tern_gateway_delivery_seconds. Their p50 and p99 may differ by a tenth.

    TERN_BIN=build/bin tests/observe/latency_run.py [--seconds N] [--rate N] [--pairs N]

Both are of the same messages: all of one run without a warm-up of its own, the difference of two moments at which
nothing is under way; their numbers have to be equal. The bench's clock runs from when a frame is written to the
sender's socket until the other's frame is read. So the way over the loopback is in it, twice, and the turn of the
bench's loop. Prints also what it has from the due time on. Exit code 1 when they differ by more.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

from local_cluster import BINARIES, CHEAP_LOGINS, Cluster, Prometheus, wait_for

SETTINGS = CHEAP_LOGINS + ("gateway:gateway.request_rate_per_second=0",)
MOST_APART = 0.1
QUANTILES = (0.5, 0.99)
SERIES = 'tern_gateway_delivery_seconds_{}{{kind="message"}}'


def bench(cluster, how, seconds):
    """Latencies in ns of one run."""
    done = subprocess.run(
        [os.path.join(BINARIES, "tern-bench"), "chat", "--target", ",".join(cluster.gateways()), "--pairs", str(how.pairs),
         "--rate", str(how.rate), "--seconds", str(seconds), "--warmup", "0", "--json"],
        capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"tern-bench: {done.stdout}{done.stderr}")
    return json.loads(done.stdout)["scenarios"][0]["latency_ns"]


def moment(cluster, prometheus):
    """A time at which Prometheus has what the gateways have. Nothing is under way."""
    exported = sum(cluster.metric(node.name, SERIES.format("count").rstrip("}")) for node in cluster.named("gateway"))

    def scraped():
        at = time.time()
        seen = prometheus.api("query", query=f"sum({SERIES.format('count')})", time=at)["result"]
        return at if seen and float(seen[0]["value"][1]) == exported else None
    return wait_for(scraped, 30, text="Prometheus did not scrape all messages")


def compare(directory, how):
    with Cluster(BINARIES, directory, settings=SETTINGS) as cluster:
        cluster.wait_ready()
        with Prometheus(directory, cluster.targets()) as prometheus:
            bench(cluster, how, 5)  # warms it up; nothing of this counts
            begin = moment(cluster, prometheus)
            own = bench(cluster, how, how.seconds)
            end = moment(cluster, prometheus)

            def grown(what):
                series = SERIES.format(what)
                return f"sum by (le) ({series} @ {end:.3f}) - sum by (le) ({series} @ {begin:.3f})"
            seen = {q: prometheus.value(f"histogram_quantile({q}, {grown('bucket')})") for q in QUANTILES}
            return own, seen, prometheus.value(grown("count"))


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=int, default=40, help="of load (40)")
    options.add_argument("--rate", type=int, default=500, help="messages per second (500)")
    options.add_argument("--pairs", type=int, default=50, help="of users (50)")
    how = options.parse_args()
    directory = tempfile.mkdtemp(prefix="tern-latency-")
    try:
        own, seen, count = compare(directory, how)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    clock = own["delivery, socket to socket"]
    failed = clock["count"] != count
    print(f"messages: tern-bench {clock['count']}, Prometheus {count:.0f}")
    for q in QUANTILES:
        name = f"p{q * 100:.0f}"
        apart = abs(seen[q] * 1e9 - clock[name]) / clock[name]
        failed = failed or apart > MOST_APART
        print(f"delivery {name}: tern-bench {clock[name] / 1e6:.2f} ms ({own['delivery'][name] / 1e6:.2f} from when it was "
              f"due), Prometheus {seen[q] * 1000:.2f} ms: {apart:.1%} apart, allowed {MOST_APART:.0%}")
    print("FAILED" if failed else "passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Every series that a process exports is in docs/metrics.md, with its type and the values of its labels, and every one
that is there is exported: a small real cluster and a ternd are started, used a little and scraped.

    TERN_BIN=build/bin tests/observe/metrics_golden_test.py [--write]    # --write: puts the tables into the page

`promtool check metrics` has nothing to say of any of them, and none exports 3,000 series. Exit code 0 when all holds.
"""
import difflib
import os
import shutil
import subprocess
import sys
import tempfile
import time

import metrics_page
from alerts_test import METRICS_PAGE
from dashboards_run import start_ternd
from local_cluster import BINARIES, Cluster, Load, http_get, wait_for

MOST_SERIES = 3000


def scrape(address):
    """Once the first look at what it depends on is over: those series come with it."""
    def complete():
        status, body = http_get(f"http://{address}/metrics")
        return body if status == 200 and "tern_ready 1" in body else None
    return wait_for(complete, 60, text=f"{address} did not become ready")


def promtool(text):
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    return [line for line in (done.stdout + done.stderr).splitlines() if line]


def collect(directory):
    """{service: exposition}"""
    with Cluster(BINARIES, directory, gateways=1, sessions=1, storages=1, databases=1) as cluster:
        cluster.wait_ready()
        with Load(BINARIES, directory, cluster.gateways(), accounts=6, rate=10, rooms=1) as load:
            load.wait_started()
            time.sleep(3)
            load.stop()
        ternd, metrics = start_ternd(directory)
        try:
            addresses = {node.service: node.metrics for node in cluster.nodes.values()} | {"ternd": metrics}
            wait_for(lambda: "tern_schema_version" in scrape(addresses["storage"])
                     and "tern_dependency_up" in scrape(addresses["routing"])
                     and "tern_schema_version" in scrape(addresses["routing"])
                     and "tern_tls_certificate" in scrape(metrics), 30)
            return {service: scrape(address) for service, address in addresses.items()}
        finally:
            ternd.stop()


def complaints(texts):
    found = []
    for service, text in texts.items():
        found += [f"{service}: promtool: {line}" for line in promtool(text)]
        series = sum(1 for line in text.splitlines() if line and not line.startswith("#"))
        print(f"{service}: {series} series", flush=True)
        if series >= MOST_SERIES:
            found.append(f"{service}: {series} series, allowed are less than {MOST_SERIES}")
    return found


def all_of_ternd(by_service):
    """ternd is all services in one process: what only it or only they export is a mistake."""
    one = {name for name in by_service["ternd"] if name not in metrics_page.WHERE_THERE_IS_ONE}
    many = {name for service in metrics_page.SERVICES for name in by_service[service]
            if name not in metrics_page.WHERE_THERE_IS_ONE}
    return [f"only ternd exports {name}" for name in sorted(one - many)] + \
           [f"ternd does not export {name}" for name in sorted(many - one)]


def differences(page, made):
    documented = metrics_page.tables_of_page(page)
    found = []
    for heading in sorted(set(documented) | set(made)):
        if heading not in made:
            continue  # a table that is not about series
        lines = difflib.unified_diff(documented.get(heading, []), made[heading], "documented", "exported", n=0,
                                     lineterm="")
        found += [f"{heading}: {line}" for line in lines if not line.startswith(("---", "+++", "@@"))]
    return found


def main():
    if sys.argv[1:] not in ([], ["--write"]):
        print(__doc__.strip())
        return 2
    directory = tempfile.mkdtemp(prefix="tern-metrics-")
    try:
        texts = collect(directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    by_service = {service: metrics_page.parse(text) for service, text in texts.items()}
    made = metrics_page.tables(by_service)
    with open(METRICS_PAGE, encoding="utf-8") as file:
        page = file.read()
    if sys.argv[1:]:
        with open(METRICS_PAGE, "w", encoding="utf-8") as file:
            file.write(metrics_page.rewrite(page, made))
        return 0
    wrong = complaints(texts) + all_of_ternd(by_service) + differences(page, made)
    print("\n".join(wrong))
    print("FAILED" if wrong else "passed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

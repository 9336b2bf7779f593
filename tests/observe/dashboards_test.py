#!/usr/bin/env python3
"""Dashboards as data: they are what tools/dashboards writes, and every panel says what an operator needs.

Exit code 0 when everything holds. That their queries find something is dashboards_run.py's.
"""
import glob
import json
import os
import subprocess
import sys
import unittest

from alerts_test import METRICS_PAGE, OTHERS, RUNBOOKS, SOURCE, documented, rules, series_of

DASHBOARDS = os.path.join(SOURCE, "deploy", "grafana", "dashboards")
UNITS = {"s", "short", "ops", "bytes", "Bps", "percentunit"}
VARIABLES = ["datasource", "namespace", "service", "instance"]


def pages():
    found = {}
    for path in sorted(glob.glob(os.path.join(DASHBOARDS, "*.json"))):
        with open(path, encoding="utf-8") as file:
            found[os.path.basename(path)] = json.load(file)
    return found


def panels(page):
    return [one for one in page["panels"] if one["type"] != "row"]


def queries(page):
    return [(panel, target["expr"]) for panel in panels(page) for target in panel["targets"]]


def plain(expression):
    return expression.replace("$__rate_interval", "1m")


class Dashboards(unittest.TestCase):
    def test_files_are_what_the_program_writes(self):
        program = os.path.join(SOURCE, "tools", "dashboards", "dashboards.py")
        done = subprocess.run([sys.executable, program, "--check"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_there_are_seven_with_their_own_names(self):
        found = pages()
        self.assertEqual(len(found), 7)
        for what in ("uid", "title"):
            self.assertEqual(len({page[what] for page in found.values()}), 7)

    def test_variables_and_links_are_there(self):
        for name, page in pages().items():
            self.assertEqual([one["name"] for one in page["templating"]["list"]], VARIABLES, name)
            self.assertTrue(page["description"], name)
            self.assertIn("tern", page["tags"])
            self.assertTrue(any("runbooks/README.md" in link.get("url", "") for link in page["links"]), name)

    def test_panels_say_what_they_show(self):
        for name, page in pages().items():
            numbers = [panel["id"] for panel in page["panels"]]
            self.assertEqual(len(numbers), len(set(numbers)), name)
            for panel in panels(page):
                where = f"{name}: {panel['title']}"
                self.assertGreater(len(panel["description"]), 5, where)
                self.assertIn(panel["fieldConfig"]["defaults"]["unit"], UNITS, where)
                self.assertEqual(panel["datasource"]["uid"], "${datasource}", where)
                self.assertTrue(panel["targets"], where)
                self.assertTrue(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24, where)

    def test_links_lead_to_runbooks_of_alerts(self):
        alerts = {rule["alert"] for rule in rules("alert")}
        linked = set()
        for name, page in pages().items():
            for panel in panels(page):
                for link in panel["links"]:
                    page_name = os.path.basename(link["url"])
                    self.assertTrue(os.path.exists(os.path.join(RUNBOOKS, page_name)), f"{name}: {link['url']}")
                    linked.add(page_name[:-3])
        self.assertLessEqual(linked, alerts)
        self.assertGreater(len(linked), 25)

    def test_queries_are_limited_by_the_variables(self):
        for name, page in pages().items():
            for panel, expression in queries(page):
                self.assertIn('namespace=~"$namespace"', expression, f"{name}: {panel['title']}")

    def test_queries_only_use_series_that_are_documented_or_recorded(self):
        known = documented() | {rule["record"] for rule in rules("record")}
        for name, page in pages().items():
            for panel, expression in queries(page):
                for series in series_of(plain(expression)):
                    self.assertTrue(series in known or OTHERS.fullmatch(series), f"{name}: {panel['title']}: {series}")

    def test_every_documented_series_is_used(self):
        used = set()
        for expression in [rule["expr"] for rule in rules("expr")] + [
                expression for page in pages().values() for _, expression in queries(page)]:
            used |= series_of(plain(expression))
        bare = {name[:-len(end)] for name in used for end in ("_bucket", "_sum", "_count") if name.endswith(end)}
        unused = {name for name in documented() if not name.endswith(("_bucket", "_sum", "_count"))} - used - bare
        self.assertEqual(sorted(unused), [], f"of {METRICS_PAGE}")


if __name__ == "__main__":
    unittest.main(verbosity=2)

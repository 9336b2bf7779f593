#!/usr/bin/env python3
"""Alerts and recording rules, without a running product: their tests by promtool, and what must be said of each.

Exit code 0 when everything holds. Needs the packages prometheus (for promtool) and python3-yaml.
"""
import os
import re
import subprocess
import sys
import tempfile
import unittest

import yaml

from alerts_cases import CASES

SOURCE = os.path.realpath(os.environ.get("TERN_SOURCE", os.path.join(os.path.dirname(__file__), "..", "..")))
RULES = os.path.join(SOURCE, "deploy", "prometheus", "rules")
RUNBOOKS = os.path.join(SOURCE, "docs", "runbooks")
METRICS_PAGE = os.path.join(SOURCE, "docs", "metrics.md")
# Made by Prometheus itself, or by exporters that are no part of Tern.
OTHERS = re.compile(r"up|scrape_\w+|process_\w+|kubelet_volume_stats_available_bytes|node_filesystem_avail_bytes")
SECTIONS = ("Means", "People notice", "Look first", "Likely causes", "Do", "Over when")
WORDS = {"by", "on", "and", "or", "unless", "without", "ignoring", "group_left", "group_right", "offset", "bool", "Inf"}


def rule_groups():
    for file in sorted(os.listdir(RULES)):
        with open(os.path.join(RULES, file), encoding="utf-8") as text:
            yield from yaml.safe_load(text)["groups"]


def rules(kind):
    return [rule for group in rule_groups() for rule in group["rules"] if kind in rule]


def series_of(expression):
    """Names of the series an expression reads."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\b(by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)", " ", bare)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", bare)
    names = re.findall(r"(?<![\w:.])[a-zA-Z_:][\w:]*(?!\s*\(|[\w:])", bare)
    return {name for name in names if name not in WORDS}


def documented():
    """Series of docs/metrics.md, histograms with what they consist of."""
    with open(METRICS_PAGE, encoding="utf-8") as page:
        names = set(re.findall(r"`((?:tern|grpc|process)_[a-z0-9_]+)", page.read()))
    return names | {name + end for name in names for end in ("_bucket", "_sum", "_count")}


def only(alert):
    """The rule groups without what this alert does not need: all of them for each case would take a minute."""
    wanted = next(rule for rule in rules("alert") if rule["alert"] == alert)
    needed = series_of(wanted["expr"])
    groups = []
    for group in rule_groups():
        kept = [rule for rule in group["rules"] if rule.get("record") in needed or rule.get("alert") == alert]
        groups += [{"name": group["name"], "rules": kept}] if kept else []
    return sorted(groups, key=lambda group: "alert" in group["rules"][0])


def promtool(*arguments, **how):
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False, **how)
    return done.returncode, done.stdout + done.stderr


def as_test(name, series, one, expected):
    samples = [{"labels": "{}", "value": expected}] if expected else []
    return {
        "name": name, "interval": one.step,
        "input_series": [{"series": one, "values": values} for one, values in series.items()],
        "promql_expr_test": [{"expr": f'count(ALERTS{{alertname="{name.split()[0]}",alertstate="firing"}})',
                              "eval_time": one.at, "exp_samples": samples}],
    }


class Alerts(unittest.TestCase):
    def test_promtool_accepts_the_rules(self):
        files = [os.path.join(RULES, file) for file in sorted(os.listdir(RULES))]
        code, text = promtool("check", "rules", "--lint=all", "--lint-fatal", *files)
        self.assertEqual(code, 0, text)

    def test_the_configuration_of_the_compose_stack_reads_the_rules_and_tells_alertmanager(self):
        compose = os.path.join(SOURCE, "deploy", "compose")
        code, text = promtool("check", "config", "--syntax-only", os.path.join(compose, "prometheus.yml"))
        self.assertEqual(code, 0, text)
        done = subprocess.run(["amtool", "check-config", os.path.join(compose, "alertmanager.yml")],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        with open(os.path.join(compose, "prometheus.yml"), encoding="utf-8") as file:
            config = yaml.safe_load(file)
        self.assertTrue(any(one.endswith("rules/*.yml") for one in config["rule_files"]))
        self.assertTrue(config["alerting"]["alertmanagers"])
        tern = next(one for one in config["scrape_configs"] if one["job_name"] == "tern")
        made = {one.get("target_label") for one in tern["relabel_configs"]}
        self.assertLessEqual({"service", "node"}, made)

    def test_every_alert_fires_when_it_should_and_only_then(self):
        wrong = []
        with tempfile.TemporaryDirectory() as directory:
            for name, one in CASES.items():
                tests = [as_test(f"{name} fires", one.fires, one, one.firing)]
                tests += [as_test(f"{name} stays quiet, {number}", series, one, 0)
                          for number, series in enumerate(one.quiet, 1)]
                files = {"rules.yml": {"groups": only(name)},
                         "test.yml": {"rule_files": ["rules.yml"], "evaluation_interval": one.step, "tests": tests}}
                for file, body in files.items():
                    with open(os.path.join(directory, file), "w", encoding="utf-8") as out:
                        yaml.safe_dump(body, out, width=200)
                code, text = promtool("test", "rules", "test.yml", cwd=directory)
                if code != 0:
                    wrong.append(f"{name}:\n{text}")
        self.assertFalse(wrong, "\n".join(wrong))

    def test_every_alert_has_a_test_and_every_test_an_alert(self):
        alerts = [rule["alert"] for rule in rules("alert")]
        self.assertEqual(len(alerts), len(set(alerts)))
        self.assertEqual(sorted(alerts), sorted(CASES))
        self.assertGreaterEqual(len(alerts), 30)
        self.assertTrue(all(one.quiet for one in CASES.values()))

    def test_every_alert_says_how_bad_it_is_and_what_to_do(self):
        for rule in rules("alert"):
            with self.subTest(rule["alert"]):
                self.assertIn(rule["labels"]["severity"], ("critical", "warning"))
                notes = rule["annotations"]
                self.assertTrue(notes["summary"] and notes["description"])
                self.assertEqual(notes["runbook_url"], f"docs/runbooks/{rule['alert']}.md")

    def test_every_alert_has_a_runbook_and_every_runbook_an_alert(self):
        with open(os.path.join(RUNBOOKS, "README.md"), encoding="utf-8") as page:
            index = page.read()
        alerts = {rule["alert"] for rule in rules("alert")}
        for name in alerts:
            with self.subTest(name):
                with open(os.path.join(RUNBOOKS, f"{name}.md"), encoding="utf-8") as page:
                    text = page.read()
                self.assertTrue(text.startswith(f"# {name}\n"))
                for section in SECTIONS:
                    self.assertIn(f"**{section}.**", text)
                self.assertIn(f"({name}.md)", index)
        self.assertEqual({file[:-3] for file in os.listdir(RUNBOOKS) if file.endswith(".md")} - {"README"}, alerts)

    def test_runbooks_name_only_what_there_is(self):
        recorded = {rule["record"] for rule in rules("record")}
        known = documented() | recorded
        with open(os.path.join(SOURCE, "docs", "configuration.md"), encoding="utf-8") as page:
            options = set(re.findall(r"^\| `([a-z0-9_.]+)` \|", page.read(), re.MULTILINE))
        with open(os.path.join(SOURCE, "docs", "ternctl.md"), encoding="utf-8") as page:
            commands = set(re.findall(r"^\| `([a-z]+)", page.read(), re.MULTILINE)) | {"drain", "undrain"}
        for file in sorted(os.listdir(RUNBOOKS)):
            with open(os.path.join(RUNBOOKS, file), encoding="utf-8") as page:
                text = page.read()
            with self.subTest(file):
                named = set(re.findall(r"\b(?:tern|grpc)_[a-z0-9_]+", text)) - {"tern_meta", "tern_log"}
                named |= set(re.findall(r"\b(?:tern|shard):[a-z_]+:\w+", text))
                self.assertFalse(named - known - {"grpc_code", "grpc_service"})
                services = "gateway|session|group|routing|storage|identity|drain|log|metrics|node|rpc|actors"
                self.assertFalse({one.rstrip(".") for one in re.findall(rf"`((?:{services})\.[a-z0-9_.]+)`", text)}
                                 - options - {"rpc.tls"})
                self.assertFalse(set(re.findall(r"`?ternctl ([a-z]+)", text)) - commands)

    def test_rules_read_documented_series_only(self):
        recorded = {rule["record"] for rule in rules("record")}
        known = documented() | recorded
        for rule in rules("expr"):
            for name in series_of(rule["expr"]):
                with self.subTest(rule.get("alert") or rule["record"]):
                    self.assertTrue(name in known or OTHERS.fullmatch(name), f"{name} is not in docs/metrics.md")

    def test_every_recorded_series_is_read_by_an_alert_or_a_dashboard(self):
        texts = [rule["expr"] for rule in rules("expr")]
        for directory, _, files in os.walk(os.path.join(SOURCE, "deploy", "grafana")):
            for file in files:
                with open(os.path.join(directory, file), encoding="utf-8") as text:
                    texts.append(text.read())
        for rule in rules("record"):
            self.assertTrue(any(rule["record"] in text for text in texts), rule["record"])


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[1:]])

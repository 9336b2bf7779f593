#!/usr/bin/env python3
"""deploy/compose from images to `down -v`: two users chat through it, every container is killed under load, passwords
change, nothing leaks, nothing is left. Prints a table. Exit code: 0 all well or skipped (the reason is printed), 1 not.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

import image_checks
import under_load
import watch_checks
from engine import Engine, Unavailable
from image_checks import IMAGE
from load import Load
from stack import OURS, Failed, Stack, compose_programs, poll

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
MOST_SECONDS = 60


class Test:
    def __init__(self, engine, options, scratch):
        self.engine, self.options, self.scratch = engine, options, scratch
        self.rows = []
        self.secrets = set()
        programs = compose_programs(engine)
        if not programs:
            raise Unavailable("neither docker compose nor docker-compose is here (apt-get install docker-compose)")
        self.programs = programs
        self.compose_name, command = next(iter(programs.items()))
        self.stack = Stack(engine, command, os.path.join(ROOT, "deploy/compose"))
        self.verify = os.path.join(options.bin, "tern-verify")

    # ---- the table --------------------------------------------------------------------------------------------------

    def step(self, name, work):
        """One row. False when it failed."""
        began = time.monotonic()
        try:
            said, good = work(), True
        except (Failed, RuntimeError, OSError, subprocess.TimeoutExpired, ValueError, KeyError) as problem:
            said, good = f"{type(problem).__name__}: {' '.join(str(problem).split())}", False
        took = time.monotonic() - began
        if said is not None:
            self.rows.append((name, "ok" if good else "FAILED", said, took))
            print(f"compose-test: {name}: {'ok' if good else 'FAILED'}: {said} ({took:.0f} s)", flush=True)
        return good

    def table(self):
        lines = ["| what | | measured | s |", "| --- | --- | --- | ---: |"]
        lines += [f"| {name} | {result} | {said.replace('|', '/')} | {took:.0f} |" for name, result, said, took in self.rows]
        return "\n".join(lines)

    # ---- steps ------------------------------------------------------------------------------------------------------

    def images(self):
        if not self.options.keep_images:
            built = subprocess.run([os.path.join(ROOT, "deploy/images/images.sh"), "--prebuilt", self.options.bin],
                                   env=self.engine.environment, capture_output=True, text=True, timeout=1800, check=False)
            if built.returncode != 0:
                raise Failed((built.stderr + built.stdout).strip()[-600:])
        return image_checks.shape(self.engine, IMAGE)

    def no_mirror_inside(self):
        local = [each for each in self.engine.run("images", "--format", "{{.Repository}}:{{.Tag}}").split()
                 if each.startswith("tern-") and each.endswith(":local")]
        return image_checks.no_mirror_inside(self.engine, [IMAGE, *sorted(local)], self.scratch)

    def config(self):
        for command in self.programs.values():
            one = Stack(self.engine, command, self.stack.directory)
            for profiles in ("", "single", "obs", "load", "shard2", "ternctl", "obs,shard2"):
                one.compose("config", "-q", settings={"COMPOSE_PROFILES": profiles})
        return "accepted by " + " and ".join(self.programs)

    def up(self):
        began = time.monotonic()
        self.stack.compose("up", "-d")
        up = time.monotonic() - began
        said = self.chat()
        took = time.monotonic() - began
        if took > MOST_SECONDS:
            raise Failed(f"{took:.0f} s until people chat; up -d alone {up:.0f} s")
        self.secrets |= watch_checks.secrets_of(self.stack, IMAGE)
        return f"up -d {up:.0f} s, {said} after {took:.0f} s ({self.compose_name})"

    def chat(self):
        """A few people in both encodings, each message checked; the page is there."""
        load = Load(self.verify, self.stack.port, self.scratch, accounts=6, rate=30, rooms=1, naps=0)
        try:
            load.flows(30)
            end = load.finish()
        finally:
            load.close()
        if "<html" not in self.stack.get(self.stack.port, "/").lower():
            raise Failed("no page at /")
        return f"{end['answered']} messages, JSON and Thrift"

    def observe(self):
        self.stack.compose("up", "-d", "prometheus", "alertmanager")
        for each in ("prometheus", "alertmanager"):
            poll(lambda service=each: self.stack.healthy(service), 60, f"{each} is not healthy")
        return watch_checks.metrics(self.stack, ROOT)

    def grafana(self):
        try:
            self.engine.run("pull", "-q", "grafana/grafana:11.2.0", timeout=300)
        except (RuntimeError, subprocess.TimeoutExpired):
            return "skipped: its image cannot be had here, no registry is reached; " + self.provisioning()
        self.stack.compose("up", "-d", "grafana")
        poll(lambda: "ok" in self.stack.get(self.stack.grafana, "/api/health"), 60, "Grafana does not answer")
        poll(lambda: self.stack.healthy("grafana"), 60, "grafana is not healthy")
        return "answers; " + self.provisioning()

    def provisioning(self):
        """What Grafana is given: files where the compose file mounts them, dashboards that are JSON."""
        with open(os.path.join(self.stack.directory, "docker-compose.yml"), encoding="utf-8") as file:
            compose = file.read()
        with open(os.path.join(ROOT, "deploy/grafana/provisioning/dashboards/tern.yml"), encoding="utf-8") as file:
            place = [line.split("path:")[1].strip() for line in file if "path:" in line][0]
        if f"../grafana/dashboards:{place}:ro" not in compose:
            raise Failed(f"dashboards are looked for in {place} and mounted elsewhere")
        count = 0
        directory = os.path.join(ROOT, "deploy/grafana/dashboards")
        for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else []:
            if name.endswith(".json"):
                with open(os.path.join(directory, name), encoding="utf-8") as file:
                    if not json.load(file)["panels"]:
                        raise Failed(f"{name} has no panels")
                count += 1
        return f"{count} dashboards provisioned"

    def tools(self):
        nodes = self.stack.compose("run", "--rm", "ternctl", "nodes")
        if any(each not in nodes for each in OURS):
            raise Failed("ternctl nodes: " + nodes[-400:])
        # 1: something to look at, such as programs of two builds.
        findings = self.stack.compose("run", "--rm", "ternctl", "doctor", codes=(0, 1)).splitlines()
        bad = [each for each in findings if each.startswith(("broken", "warn")) and each.split()[1] != "version"]
        if bad or len(findings) < 10:
            raise Failed("ternctl doctor: " + (bad or findings or ["nothing"])[0])
        bench = self.stack.compose("run", "--rm", "load", "chat", "--pairs", "10", "--rate", "50", "--seconds", "3")
        if "p99" not in bench:
            raise Failed("load: " + bench[-400:])
        return f"ternctl doctor finds nothing broken in {len(findings)} lines; ternctl nodes, load"

    def down(self):
        left = self.stack.down()
        if left:
            raise Failed("left behind: " + ", ".join(left))
        return "no container, volume or network is left"

    def third_shard(self):
        self.stack.environment["TERN_SHARDS"] = "3"
        try:
            self.stack.compose("up", "-d", settings={"COMPOSE_PROFILES": "shard2"})
            said = self.chat()
            ranges = self.stack.compose("run", "--rm", "ternctl", "ranges", "--kind", "storage")
            if "shard-2" not in ranges:
                raise Failed("ternctl ranges: " + ranges[-400:])
        finally:
            left = self.down()
            del self.stack.environment["TERN_SHARDS"]
        return f"{said}, a third of the slots on shard-2; then {left}"

    def single(self):
        self.stack.compose("up", "-d", "ternd")
        poll(lambda: self.stack.healthy("ternd"), 30, "ternd is not healthy")
        if self.stack.services() != ["ternd"]:
            raise Failed("more than ternd runs: " + ", ".join(self.stack.services()))
        said = self.chat()
        self.stack.crash("ternd")
        return said + ", and again after SIGKILL: " + self.chat() + "; then " + self.down()

    def all(self):
        stack = self.stack
        if not (self.step("images", self.images) and self.step("config", self.config)):
            return
        self.step("no host name in layers", self.no_mirror_inside)
        if self.step("up and chat", self.up):
            self.step("memory, idle", lambda: watch_checks.memory(stack))
            self.step("logs", lambda: watch_checks.logs(stack))
            self.step("Prometheus, Alertmanager", self.observe)
            self.step("Grafana", self.grafana)
            self.step("hardening", lambda: watch_checks.hardening(stack))
            self.step("ternctl, load", self.tools)
            self.step("alerts", lambda: watch_checks.alerts(stack))
            self.step("kills under load", lambda: under_load.kills(self))
            self.step("new database password", lambda: under_load.rotation(self))
            self.step("upgrade under load", lambda: under_load.upgrade(self))
            self.step("secrets", lambda: watch_checks.no_secret_shown(stack, self.secrets))
        self.step("down -v", self.down)
        self.step("third shard", self.third_shard)
        self.step("single", self.single)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.path.join(ROOT, "build/bin"), help="where the programs are (build/bin)")
    parser.add_argument("--engine-dir", default=os.path.join(ROOT, "build/compose-test/engine"),
                        help="data of the engine that is started when none answers")
    parser.add_argument("--keep-images", action="store_true", help="test the images that are there")
    parser.add_argument("--output", help="write the table there, too")
    options = parser.parse_args()
    options.bin = os.path.abspath(options.bin)
    began = time.monotonic()
    scratch = tempfile.mkdtemp(prefix="tern-compose-")
    engine, test = None, None
    try:
        engine = Engine(os.path.abspath(options.engine_dir))
        test = Test(engine, options, scratch)
        print(f"compose-test: {engine.whose}; {', '.join(test.programs)}", flush=True)
        test.all()
    except Unavailable as reason:
        print(f"compose-test: skipped: {reason}")
        return 0
    finally:
        if test is not None:
            test.stack.down()
        if engine is not None:
            engine.close()
    failed = sum(result != "ok" for _, result, _, _ in test.rows)
    if failed == 0:
        shutil.rmtree(scratch)
    else:
        print(f"compose-test: histories of what failed: {scratch}")
    print("\n" + test.table())
    print(f"\n{len(test.rows) - failed} passed, {failed} failed, {time.monotonic() - began:.0f} s")
    if options.output:
        with open(options.output, "w", encoding="utf-8") as file:
            file.write(test.table() + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

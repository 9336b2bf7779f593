#!/usr/bin/env python3
"""The alerts in a real Prometheus over a real cluster: none in a healthy phase, and for each of a dozen faults its own
within two minutes, seen by Alertmanager, too.

    TERN_BIN=build/bin tests/observe/alerts_fire_test.py [--only NAME,...] [--healthy SECONDS] [--keep]

A long soak in health alone: --only none --healthy 600.

The rules are those of deploy/prometheus/rules as they are. Prometheus scrapes and evaluates each second, everything else
(windows, `for`) is what operators get.
"""
import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import tim
from local_cluster import BINARIES, CHEAP_LOGINS, Alertmanager, Cluster, Load, Prometheus, wait_for

LIMIT = 120  # seconds from a fault to its alert
SETTINGS = CHEAP_LOGINS + (
    "session:session.open_messaging=true",        # strangers may write: a sender for those who do not acknowledge
    "gateway:gateway.overload.least_frames=200",   # a small cluster is overloaded by a small load
    "storage:storage.login.address_failures=1000000",  # everybody here has one address, the guesser, too
    "gateway-2:gateway.drain.operator_ms=1200000",  # a drain of 20 minutes that closes nobody for 5
    "gateway-2:gateway.drain.notice_ms=600000",
)


class Stage:
    def __init__(self, directory, certificate):
        self.directory, self.certificate = directory, certificate
        more = (f'gateway-3:gateway.tls.certificate_file="{certificate}"',
                f'gateway-3:gateway.tls.key_file="{certificate}.key"')
        self.cluster = Cluster(BINARIES, directory, gateways=4, sessions=2, routings=2, settings=SETTINGS + more)

    def edge(self):
        return self.cluster.nodes["gateway-0"].clients

    def program(self, name):
        return self.cluster.nodes[name].program

    def programs(self, service):
        return [node.program for node in self.cluster.named(service)]


def make_certificate(path, days):
    """Key and certificate; each is replaced at once, as certbot and kubelet do."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", f"{path}.key.new", "-out", f"{path}.new", "-days", str(days), "-subj", "/CN=edge"],
                   check=True, capture_output=True)
    os.chmod(f"{path}.key.new", 0o600)
    os.replace(f"{path}.key.new", f"{path}.key")
    os.replace(f"{path}.new", path)


class Fault:
    """What is broken, for how long is up to whoever calls; heal() brings it back."""

    def __init__(self, stage):
        self.stage, self.undo = stage, []
        self.begin()

    def begin(self):
        raise NotImplementedError

    def heal(self):
        for one in reversed(self.undo):
            one()

    def stop(self, programs, how=signal.SIGKILL):
        for program in programs:
            program.stop(how)
            self.undo.append(program.start)

    def in_background(self, work):
        """Calls work() again and again until healed; what it raises because of the fault is part of it."""
        over = threading.Event()

        def run():
            while not over.is_set():
                try:
                    work()
                except (OSError, ValueError):
                    time.sleep(0.05)
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.undo.append(lambda: (over.set(), thread.join(15)))


class TernGatewayDown(Fault):
    def begin(self):
        self.stop([self.stage.program("gateway-1")])


class TernSessionNodeDown(Fault):
    def begin(self):  # frozen, not dead: it holds its sockets and answers nothing
        program = self.stage.program("session-1")
        program.send(signal.SIGSTOP)
        self.undo.append(lambda: program.send(signal.SIGCONT))


class TernShardDown(Fault):
    def begin(self):
        self.stop([self.stage.cluster.servers["postgres-1"]], signal.SIGINT)


class TernRedisDown(Fault):
    def begin(self):
        self.stop([self.stage.cluster.servers["redis"]])


class TernNoRoutingLeader(Fault):
    def begin(self):
        self.stop(self.stage.programs("routing"))


class TernRangeUnowned(Fault):
    def begin(self):
        self.stop(self.stage.programs("session"))


class TernLoginFailures(Fault):
    def begin(self):
        def guess():
            client = tim.Client(self.stage.edge())
            try:
                if client.login("nobody-%d" % (time.time() * 10), "wrong"):
                    raise RuntimeError("a wrong password was taken")
            finally:
                client.close()
            time.sleep(0.1)
        self.in_background(guess)


class TernOverloadShedding(Fault):
    def begin(self):
        with open(os.path.join(self.stage.directory, "overload.log"), "wb") as log:
            load = subprocess.Popen([os.path.join(BINARIES, "tern-bench"), "overload", "--target", self.stage.edge(),
                                     "--pairs", "20", "--window", "64", "--seconds", "60", "--prefix", "flood"],
                                    stdout=log, stderr=log)
        self.undo.append(lambda: (load.kill(), load.wait()))


class TernSlowConsumers(Fault):
    def begin(self):
        names = [f"slow-{i}-{os.getpid()}" for i in range(13)]
        nodes = [tim.register(self.stage.edge(), name, "secret-1") for name in names]
        clients = [tim.Client(self.stage.edge()) for _ in names]
        for name, client in zip(names, clients):
            if not client.login(name, "secret-1"):
                raise RuntimeError(f"{name} cannot log on")
            self.undo.append(client.close)
        for node in nodes[1:]:
            clients[0].message(node, "nobody will say that this came")


class TernDrainStuck(Fault):
    def begin(self):
        code, text = self.stage.cluster.ctl("drain", "gateway-2", "--no-wait")
        if code != 0:
            raise RuntimeError(text)
        self.undo.append(lambda: self.stage.cluster.ctl("undrain", "gateway-2"))


class TernCertificateExpiresSoon(Fault):
    def begin(self):
        make_certificate(self.stage.certificate, 5)
        self.undo.append(lambda: make_certificate(self.stage.certificate, 400))


class TernNoGatewayReady(Fault):
    def begin(self):
        self.stop(self.stage.programs("gateway"))


class TernCrashLoop(Fault):
    def begin(self):
        for _ in range(3):
            self.stage.program("group-0").kill()
            self.stage.program("group-0").start()
            wait_for(lambda: self.stage.cluster.ready("group-0"), 60)
            time.sleep(2)  # to be scraped


FAULTS = (TernGatewayDown, TernSessionNodeDown, TernShardDown, TernRedisDown, TernNoRoutingLeader, TernLoginFailures,
          TernSlowConsumers, TernDrainStuck, TernCertificateExpiresSoon, TernOverloadShedding, TernRangeUnowned,
          TernNoGatewayReady, TernCrashLoop)


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def hear(prometheus, alertmanager, name):
    """Waits for the alert in both; (seconds, what else fires), or None."""
    began = time.monotonic()
    try:
        wait_for(lambda: name in prometheus.firing(), LIMIT)
        took = time.monotonic() - began
        wait_for(lambda: name in alertmanager.alerts(), 15)
    except TimeoutError:
        return None
    return took, sorted(prometheus.firing() - {name})


def run(stage, prometheus, alertmanager, load, only, healthy):
    wrong = []
    say(f"{healthy} s of health")
    end = time.monotonic() + healthy
    pending = set()
    while time.monotonic() < end:
        if prometheus.firing():
            wrong.append(f"in health: {sorted(prometheus.alerts())}")
            break
        pending |= {name for name, _ in prometheus.alerts("pending")}
        time.sleep(1)
    say("nothing fires" if not wrong else wrong[0])
    if pending:
        say(f"was pending for less than its time: {', '.join(sorted(pending))}")
    for kind in FAULTS:
        name = kind.__name__
        if only and name not in only:
            continue
        try:  # it may be there because of an earlier fault
            wait_for(lambda name=name: name not in prometheus.firing(), 180)
        except TimeoutError:
            wrong.append(f"{name} does not end after an earlier fault")
            continue
        load.tell("fault")
        fault = kind(stage)
        heard = hear(prometheus, alertmanager, name)
        fault.heal()
        if heard is None:
            wrong.append(f"{name} did not fire within {LIMIT} s: {prometheus.alerts('pending')}")
            say(f"{name} FAIL; firing: {sorted(prometheus.firing())}")
        else:
            say(f"{name} after {heard[0]:.0f} s" + (f"; also {', '.join(heard[1])}" if heard[1] else ""))
        stage.cluster.wait_ready(120)
        load.tell("healed")
    ours = {kind.__name__ for kind in FAULTS} - {"TernCrashLoop"}  # which looks back ten minutes; others longer still
    try:
        wait_for(lambda: not prometheus.firing() & ours, 180)
        say("all is over")
    except TimeoutError:
        wrong.append(f"still firing after everything was mended: {sorted(prometheus.alerts())}")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="faults; none: no fault at all")
    parser.add_argument("--healthy", type=int, default=90, help="seconds before the first fault (90)")
    parser.add_argument("--keep", action="store_true", help="leave logs where they are")
    how = parser.parse_args()
    only = [name for name in how.only.split(",") if name]
    unknown = set(only) - {kind.__name__ for kind in FAULTS} - {"none"}
    if unknown:
        parser.error(f"no such fault: {unknown}")
    directory = tempfile.mkdtemp(prefix="tern-alerts-")
    certificate = os.path.join(directory, "edge.pem")
    make_certificate(certificate, 400)
    stage = Stage(directory, certificate)
    wrong = ["it did not come to its end"]
    with stage.cluster, Alertmanager(directory) as alertmanager, \
            Prometheus(directory, stage.cluster.targets(), alertmanager=alertmanager) as prometheus, \
            Load(BINARIES, directory, stage.cluster.gateways()[:3], accounts=30, rate=20) as load:
        load.wait_started()
        wrong = run(stage, prometheus, alertmanager, load, only, how.healthy)
    for one in wrong:
        say(f"FAIL {one}")
    if how.keep or wrong:
        say(f"logs are in {directory}")
    else:
        shutil.rmtree(directory)
    print(json.dumps({"faults": [kind.__name__ for kind in FAULTS if not only or kind.__name__ in only], "failed": len(wrong)}))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""A local cluster of real processes, a Prometheus and an Alertmanager that watch it, and load: for tests that observe.

    with Cluster(binaries, directory, sessions=2) as cluster, Prometheus(directory, cluster.targets()) as prometheus:
        prometheus.query("sum(up)")

Everything listens on 127.0.0.1, on ports of its own, and is ended by pid.
"""
import collections
import ctypes
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

SOURCE = os.path.realpath(os.environ.get("TERN_SOURCE", os.path.join(os.path.dirname(__file__), "..", "..")))
BINARIES = os.path.realpath(os.environ.get("TERN_BIN", os.path.join(SOURCE, "build", "bin")))
RULES = os.path.join(SOURCE, "deploy", "prometheus", "rules")
CHEAP_LOGINS = ("storage:storage.login.hash_memory_kib=64", "storage:storage.login.hash_passes=1")
PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def dies_with_us():
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def wait_for(what, limit, every=0.2, text=""):
    """Calls what() until it gives something true, which is returned; TimeoutError after `limit` seconds."""
    end = time.monotonic() + limit
    while True:
        found = what()
        if found:
            return found
        if time.monotonic() > end:
            raise TimeoutError(text or f"{what} did not happen within {limit} s")
        time.sleep(every)


def http_get(url, timeout=5):
    """(status, body); (0, why) when nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode(errors="replace")
    except OSError as gone:
        return 0, str(gone)


class Program:
    """One process, known by its pid: ours, or one that tern-cluster has started. It can be started again as it was."""

    def __init__(self, name, pid=None, command=None, log=None):
        self.name, self.pid, self.child, self.log = name, pid, None, log
        self.command, self.user = command, None
        if pid is not None:
            with open(f"/proc/{pid}/cmdline", "rb") as line:
                self.command = [word.decode() for word in line.read().split(b"\0")[:-1]]
            self.user = os.stat(f"/proc/{pid}").st_uid
            self.log = self.log or os.readlink(f"/proc/{pid}/fd/1")
            if not os.path.isabs(self.command[0]):
                self.command[0] = os.readlink(f"/proc/{pid}/exe")
        else:
            self.start()

    def running(self):
        if self.child is not None:
            return self.child.poll() is None
        try:
            with open(f"/proc/{self.pid}/stat") as line:
                return line.read().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            return False

    def start(self):
        output = open(self.log, "ab") if self.log else subprocess.DEVNULL
        user = {}
        if self.user is not None and self.user != os.geteuid():
            user = {"user": self.user, "group": pwd.getpwuid(self.user).pw_gid, "extra_groups": [], "cwd": "/"}
        self.child = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                      preexec_fn=dies_with_us, **user)
        self.pid = self.child.pid
        if self.log:
            output.close()

    def send(self, number):
        if self.running():
            os.kill(self.pid, number)

    def stop(self, number=signal.SIGTERM, limit=30):
        """Returns when it has ended; SIGKILL after `limit` seconds."""
        self.send(number)
        try:
            wait_for(lambda: not self.running(), limit, 0.05)
        except TimeoutError:
            self.send(signal.SIGKILL)
            wait_for(lambda: not self.running(), 10, 0.05)

    def kill(self):
        self.stop(signal.SIGKILL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


Node = collections.namedtuple("Node", "name service program metrics clients")


class Cluster:
    """Separate services with PostgreSQL and Redis, by tern-cluster."""

    def __init__(self, binaries, directory, gateways=2, sessions=2, groups=1, routings=1, storages=2, databases=2,
                 settings=CHEAP_LOGINS, limit=120):
        self.directory = os.path.join(directory, "cluster")
        os.makedirs(self.directory, exist_ok=True)
        os.chmod(directory, 0o755)  # PostgreSQL runs as a user of its own
        first = self.free_ports(gateways)
        command = [os.path.join(binaries, "tern-cluster"), "--bin", binaries, "--dir", self.directory, "--port",
                   str(first)]
        for flag, count in (("gateways", gateways), ("sessions", sessions), ("groups", groups),
                            ("routings", routings), ("storages", storages), ("databases", databases)):
            command += [f"--{flag}", str(count)]
        for setting in settings:
            command += ["--set", setting]
        self.log = os.path.join(directory, "tern-cluster.log")
        self.main = Program("tern-cluster", command=command, log=self.log)
        self.nodes, self.servers = {}, {}
        try:
            wait_for(self.is_up, limit, text=f"the cluster did not start, see {self.log}")
        except BaseException:
            self.stop()
            raise

    @staticmethod
    def free_ports(count):
        """The first of `count` free ports in a row."""
        while True:
            first = free_port()
            held = []
            try:
                for port in range(first, first + count):
                    held.append(socket.socket())
                    held[-1].bind(("127.0.0.1", port))
                return first
            except (OSError, OverflowError):
                continue
            finally:
                for one in held:
                    one.close()

    def is_up(self):
        with open(self.log) as text:
            lines = text.read()
        if not self.main.running():
            raise RuntimeError(f"the cluster ended:\n{lines}")
        if "Ctrl-C stops it all" not in lines:
            return False
        for line in lines.splitlines():
            found = re.match(r"(([a-z]+)(?:-\d+)?) +pid (\d+) +(.*)", line)
            if not found:
                continue
            name, service, pid, rest = found.groups()
            metrics = re.search(r"http://([0-9.:]+)/metrics", rest)
            clients = re.search(r"clients http://([0-9.:]+)/", rest)
            program = Program(name, pid=int(pid))
            if metrics:
                self.nodes[name] = Node(name, service, program, metrics[1], clients[1] if clients else None)
            else:
                self.servers[name] = program  # postgres-0, postgres-1, redis
            if service == "redis":  # it overwrites its command line
                home = os.path.dirname(program.log)
                program.command = ["redis-server", "--port", rest.rpartition(":")[2], "--bind", "127.0.0.1",
                                   "--unixsocket", os.path.join(home, "redis.sock"), "--dir", home, "--save", "",
                                   "--appendonly", "no"]
        return True

    def named(self, service):
        return [node for node in self.nodes.values() if node.service == service]

    def gateways(self):
        return [node.clients for node in self.named("gateway")]

    def targets(self):
        """What Prometheus scrapes: [(address, labels)]."""
        return [(node.metrics, {"service": node.service, "node": node.name}) for node in self.nodes.values()]

    def ready(self, name):
        return self.nodes[name].program.running() and http_get(f"http://{self.nodes[name].metrics}/readyz")[0] == 200

    def wait_ready(self, limit=60):
        wait_for(lambda: all(self.ready(name) for name in self.nodes), limit, text="not all nodes became ready")

    def metric(self, name, pattern):
        """Sum of the samples of a node whose line begins with `pattern`, read directly."""
        _, body = http_get(f"http://{self.nodes[name].metrics}/metrics")
        return sum(float(line.rpartition(" ")[2]) for line in body.splitlines() if line.startswith(pattern))

    def ctl(self, *arguments, timeout=60):
        """Runs ternctl: (exit code, output)."""
        with open(os.path.join(self.directory, "session-0.yaml")) as file:
            routing = re.search(r'routing:\n +address: "([^"]+)"', file.read())[1]
        done = subprocess.run([os.path.join(BINARIES, "ternctl"), *arguments, "--routing", routing],
                              capture_output=True, text=True, timeout=timeout, check=False)
        return done.returncode, done.stdout + done.stderr

    def stop(self):
        for node in self.nodes.values():
            if node.program.child is not None:
                node.program.stop()
        for server in self.servers.values():
            server.send(signal.SIGCONT)
            if server.child is not None:
                server.stop(signal.SIGINT)
        self.main.stop(signal.SIGTERM, 180)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Load:
    """tern-verify as steady load: clients that chat, and the check of what they saw."""

    def __init__(self, binaries, directory, gateways, name="load", accounts=40, rate=20, rooms=2, naps=0.0, more=()):
        self.log = os.path.join(directory, f"{name}.log")
        command = [os.path.join(binaries, "tern-verify"), "--target", ",".join(gateways), "--accounts", str(accounts),
                   "--rate", str(rate), "--rooms", str(rooms), "--naps", str(naps), "--prefix", name, *more]
        with open(self.log, "ab") as errors:
            self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                                          text=True, preexec_fn=dies_with_us)
        self.lines, self.lock = [], threading.Lock()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.child.stdout:
            with open(self.log, "a") as copy:
                copy.write(line)
            with self.lock:
                self.lines.append(json.loads(line))

    def said(self):
        with self.lock:
            return list(self.lines)

    def wait_started(self, limit=120):
        def started():
            if self.child.poll() is not None:
                raise RuntimeError(f"the load ended, see {self.log}")
            return self.said()
        wait_for(started, limit, text="the load did not start")

    def tell(self, word):
        self.child.stdin.write(word + "\n")
        self.child.stdin.flush()

    def stop(self, limit=120):
        """The last object that was said; the exit code is in `child.returncode`."""
        if self.child.poll() is None:
            self.tell("stop")
            try:
                self.child.wait(limit)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        self.reader.join(10)
        return self.said()[-1] if self.said() else {}

    def kill(self):
        self.child.kill()
        self.child.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


class Alertmanager:
    def __init__(self, directory, config=None):
        self.home = os.path.join(directory, "alertmanager")
        os.makedirs(self.home, exist_ok=True)
        self.address = f"127.0.0.1:{free_port()}"
        config = config or os.path.join(SOURCE, "deploy", "compose", "alertmanager.yml")
        self.program = Program("alertmanager", log=os.path.join(directory, "alertmanager.log"), command=[
            shutil.which("prometheus-alertmanager") or shutil.which("alertmanager") or "alertmanager",
            f"--config.file={config}", f"--storage.path={self.home}", f"--web.listen-address={self.address}",
            "--cluster.listen-address="])
        wait_for(lambda: http_get(f"http://{self.address}/-/ready")[0] == 200, 30,
                 text=f"Alertmanager did not start, see {directory}/alertmanager.log")

    def alerts(self):
        """Names of what it was told and is not over."""
        status, body = http_get(f"http://{self.address}/api/v2/alerts")
        return {one["labels"]["alertname"] for one in json.loads(body)} if status == 200 else set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.program.stop()


class Prometheus:
    """A real Prometheus that scrapes `targets` [(address, labels)] as job "tern" and evaluates the project's rules."""

    def __init__(self, directory, targets, rules=(os.path.join(RULES, "*.yml"),), alertmanager=None, interval="1s",
                 job="tern"):
        self.home = os.path.join(directory, "prometheus")
        os.makedirs(self.home, exist_ok=True)
        self.address = f"127.0.0.1:{free_port()}"
        config = {
            "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
            "rule_files": list(rules),
            "scrape_configs": [{"job_name": job, "static_configs": [
                {"targets": [address], "labels": labels} for address, labels in targets]}],
        }
        if alertmanager:
            config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [alertmanager.address]}]}]}
        self.config = os.path.join(self.home, "prometheus.yml")
        with open(self.config, "w") as file:
            json.dump(config, file, indent=1)  # YAML, too
        self.program = Program("prometheus", log=os.path.join(directory, "prometheus.log"), command=[
            "prometheus", f"--config.file={self.config}", f"--storage.tsdb.path={self.home}/data",
            f"--web.listen-address={self.address}", "--log.level=warn"])
        wait_for(lambda: http_get(f"http://{self.address}/-/ready")[0] == 200, 60,
                 text=f"Prometheus did not start, see {directory}/prometheus.log")

    def api(self, path, **parameters):
        status, body = http_get(f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        if status != 200:
            raise RuntimeError(f"Prometheus answers {status} to {path} {parameters}: {body}")
        return json.loads(body)["data"]

    def query(self, expression):
        """An instant query: [(labels, value)]."""
        data = self.api("query", query=expression)
        if data["resultType"] == "scalar":
            return [({}, float(data["result"][1]))]
        return [(one["metric"], float(one["value"][1])) for one in data["result"]]

    def value(self, expression, default=None):
        found = self.query(expression)
        return found[0][1] if found else default

    def alerts(self, state="firing"):
        """{(name, labels as sorted pairs)} of the alerts in that state."""
        return {(one["labels"]["alertname"], tuple(sorted(one["labels"].items())))
                for one in self.api("alerts")["alerts"] if one["state"] == state}

    def firing(self):
        return {name for name, _ in self.alerts()}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.program.stop()

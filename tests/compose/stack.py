"""The services of deploy/compose under a project name and ports of their own."""
import json
import os
import signal
import socket
import subprocess
import time
import urllib.request

PROFILES = "single,obs,shard2,ternctl,load"
OURS = ("gateway-0", "gateway-1", "session-0", "session-1", "group-0", "storage-0", "storage-1", "routing-0")
OTHERS = ("edge", "postgres-0", "postgres-1", "redis")


class Failed(Exception):
    """A step did not go as it must."""


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def compose_programs(engine):
    """name -> command of each docker compose here."""
    found = {}
    own = os.environ.get("COMPOSE")
    for command in ([own.split()] if own else [[engine.docker, "compose"], ["docker-compose"]]):
        try:
            asked = subprocess.run([*command, "version", "--short"], env=engine.environment, capture_output=True,
                                   text=True, timeout=30, check=False)
        except OSError:
            continue
        if asked.returncode == 0 and asked.stdout.strip():
            found["compose " + asked.stdout.strip()] = command
    return found


def poll(what, limit, message, every=0.3):
    """Waits until what() is true and returns that; Failed after `limit` seconds."""
    end = time.monotonic() + limit
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(message + f" within {limit} s")
        time.sleep(every)


class Stack:
    def __init__(self, engine, command, directory):
        self.engine = engine
        self.command = command
        self.directory = directory
        self.project = f"terntest{os.getpid()}"
        self.port, self.prometheus, self.alertmanager, self.grafana = (free_port() for _ in range(4))
        self.environment = dict(engine.environment, COMPOSE_PROJECT_NAME=self.project, TERN_PORT=str(self.port),
                                PROMETHEUS_PORT=str(self.prometheus), ALERTMANAGER_PORT=str(self.alertmanager),
                                GRAFANA_PORT=str(self.grafana), COMPOSE=" ".join(command))

    def compose(self, *arguments, timeout=400, settings=None, codes=(0,)):
        done = subprocess.run([*self.command, *arguments], cwd=self.directory, env=dict(self.environment, **(settings or {})),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                              timeout=timeout, check=False)
        if done.returncode not in codes:
            raise Failed(f"compose {' '.join(arguments)}: " + (done.stderr + done.stdout).strip()[-600:])
        return done.stdout

    def name(self, service):
        """The container of a service, running or not."""
        found = self.engine.run("ps", "-aq", "--filter", "label=com.docker.compose.project=" + self.project,
                                "--filter", "label=com.docker.compose.service=" + service,
                                "--filter", "label=com.docker.compose.oneoff=False").split()
        if len(found) != 1:
            raise Failed(f"{service} has {len(found)} containers")
        return found[0]

    def inspect(self, service):
        return json.loads(self.engine.run("inspect", self.name(service)))[0]

    def services(self):
        return sorted(self.engine.run("ps", "-a", "--filter", "label=com.docker.compose.project=" + self.project,
                                      "--format", '{{.Label "com.docker.compose.service"}}').split())

    def pids(self, service):
        """Of all processes of a service, as the host counts them."""
        listed = self.engine.run("top", self.name(service), "-eo", "pid").split()[1:]
        return [int(each) for each in listed]

    def healthy(self, service):
        state = self.inspect(service)["State"]
        return state["Running"] and state.get("Health", {}).get("Status", "healthy") == "healthy"

    def crash(self, service):
        """SIGKILL, as a crash does it; the restart policy brings it back. Seconds until it is healthy."""
        before = self.inspect(service)["State"]
        began = time.monotonic()
        try:
            os.kill(before["Pid"], signal.SIGKILL)
        except (PermissionError, ProcessLookupError):  # somebody else's engine
            self.engine.run("kill", self.name(service))
            self.engine.run("start", self.name(service))

        def back():
            state = self.inspect(service)["State"]
            return state["StartedAt"] != before["StartedAt"] and self.healthy(service)

        poll(back, 90, f"{service} is not healthy again after SIGKILL")
        return time.monotonic() - began

    def get(self, port, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.read().decode()

    def down(self):
        """As README says it. What is left is returned, and then removed all the same."""
        self.compose("down", "-v", "--remove-orphans", settings={"COMPOSE_PROFILES": PROFILES})
        left = []
        for kind, remove in (("container", ["rm", "-f"]), ("volume", ["volume", "rm"]), ("network", ["network", "rm"])):
            listing = [kind, "ls", "-q"] + (["-a"] if kind == "container" else [])
            for each in self.engine.run(*listing, "--filter", "label=com.docker.compose.project=" + self.project).split():
                left.append(f"{kind} {each}")
                self.engine.run(*remove, each, check=False)
        return left

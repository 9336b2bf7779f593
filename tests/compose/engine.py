"""A Docker engine: the one that answers, or one of our own for as long as the test runs."""
import os
import shutil
import subprocess
import tempfile
import time


class Unavailable(Exception):
    """No engine here, and why."""


def docker_program():
    """Debian's own first: elsewhere in PATH there may be something that only looks like it."""
    for each in (os.environ.get("DOCKER"), "/usr/bin/docker", shutil.which("docker")):
        if each and os.access(each, os.X_OK):
            return each
    raise Unavailable("there is no docker program (apt-get install docker.io docker-compose)")


class Engine:
    """`environment` is what commands need to reach it. Ended by close() when it is ours."""

    def __init__(self, directory):
        self.docker = docker_program()
        self.environment = dict(os.environ)
        self.environment["PATH"] = os.path.dirname(self.docker) + ":" + os.environ.get("PATH", "/usr/bin:/bin")
        self.directory = directory
        self.process = None
        self.sockets = None
        self.whose = "the engine that runs here"
        if not self.answers():
            self.start()

    def answers(self):
        asked = subprocess.run([self.docker, "info"], env=self.environment, capture_output=True, timeout=60, check=False)
        return asked.returncode == 0

    def start(self):
        dockerd = shutil.which("dockerd", path="/usr/sbin:/usr/bin:" + os.environ.get("PATH", ""))
        if dockerd is None:
            raise Unavailable("no Docker engine answers, and dockerd is not installed (apt-get install docker.io)")
        if os.geteuid() != 0:
            raise Unavailable("no Docker engine answers, and only root can start one")
        os.makedirs(self.directory, exist_ok=True)
        self.sockets = tempfile.mkdtemp(prefix="tern-docker-")
        socket = "unix://" + os.path.join(self.sockets, "docker.sock")
        log = os.path.join(self.directory, "log")
        with open(log, "wb") as output:
            self.process = subprocess.Popen(
                [dockerd, "--data-root", os.path.join(self.directory, "data"),
                 "--exec-root", os.path.join(self.sockets, "exec"), "-H", socket,
                 "--pidfile", os.path.join(self.sockets, "pid")],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
        self.environment["DOCKER_HOST"] = socket
        self.whose = "an engine of its own"
        end = time.monotonic() + 40
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > end:
                self.close()
                with open(log, encoding="utf-8", errors="replace") as output:
                    last = output.read().strip().splitlines()[-1:] or ["it said nothing"]
                raise Unavailable("dockerd does not run here: " + last[0])
            time.sleep(0.5)

    def close(self):
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.sockets, ignore_errors=True)
        self.process = None

    def run(self, *arguments, check=True, timeout=120):
        """Output of a docker command."""
        done = subprocess.run([self.docker, *arguments], env=self.environment, capture_output=True, text=True,
                              errors="replace", timeout=timeout, check=False)
        if check and done.returncode != 0:
            raise RuntimeError(f"docker {' '.join(arguments[:3])}: {(done.stderr or done.stdout).strip()[-400:]}")
        return done.stdout

    def log_of(self, container):
        """Everything a container has written."""
        done = subprocess.run([self.docker, "logs", container], env=self.environment, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", timeout=120, check=False)
        return done.stdout

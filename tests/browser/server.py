"""A ternd for one test, and a way to it that can be cut."""
import os
import selectors
import signal
import socket
import subprocess
import threading
import time
import urllib.request


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Ternd:
    def __init__(self, program, directory, options=()):
        self.port = free_port()
        self.log = open(os.path.join(directory, "ternd.log"), "wb")
        self.command = [program, "--data-dir", os.path.join(directory, "data"), "--listen", f"127.0.0.1:{self.port}",
                        "--metrics", f"127.0.0.1:{free_port()}"]
        for option in ("storage.login.hash_memory_kib=64", "storage.login.hash_passes=1", *options):
            self.command += ["--set", option]
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=self.log)
        end = time.monotonic() + 60
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"ternd does not answer, see {self.log.name}")
            time.sleep(0.1)

    def answers(self):
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=5).status == 200
        except OSError:
            return False

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


class Wire:
    """Passes connections on to a port; cut() ends those there are. New ones are taken again after mend()."""

    def __init__(self, port):
        self.to, self.pairs, self.whole, self.lock = port, set(), True, threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
                if not self.whole:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                return
            with self.lock:
                self.pairs.add((near, far))
            threading.Thread(target=self._pass, args=(near, far), daemon=True).start()

    def _pass(self, near, far):
        with selectors.DefaultSelector() as ready:
            ready.register(near, selectors.EVENT_READ, far)
            ready.register(far, selectors.EVENT_READ, near)
            try:
                while True:
                    for key, _ in ready.select():
                        some = key.fileobj.recv(1 << 16)
                        if not some:
                            raise ConnectionError
                        key.data.sendall(some)
            except OSError:
                pass
        self._end(near, far)

    def _end(self, near, far):
        with self.lock:
            self.pairs.discard((near, far))
        for one in (near, far):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()

    def cut(self):
        self.whole = False
        with self.lock:
            pairs = list(self.pairs)
        for near, far in pairs:
            for one in (near, far):
                try:
                    one.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def mend(self):
        self.whole = True

"""Clients that chat while something happens (tern-verify), ending in the history checker."""
import json
import os
import subprocess
import threading

from stack import Failed, poll


class Load:
    count = 0

    def __init__(self, program, port, history, accounts=60, rate=60, rooms=4, naps=0.2):
        Load.count += 1
        self.now = {}
        self.end = None
        self.history = os.path.join(history, f"history-{Load.count}.txt")
        self.process = subprocess.Popen(
            [program, "--target", f"127.0.0.1:{port}", "--accounts", str(accounts), "--rate", str(rate),
             "--rooms", str(rooms), "--naps", str(naps), "--prefix", f"c{os.getpid()}-{Load.count}-",
             "--seed", str(Load.count), "--history", self.history],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            event = json.loads(line)
            if event["event"] == "now":
                self.now = event
            elif event["event"] == "end":
                self.end = event

    def say(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def alive(self):
        if self.process.poll() is not None:
            raise Failed("tern-verify ended: " + self.process.stderr.read().strip()[-400:])
        return True

    def flows(self, more=20, limit=60):
        """Waits until everybody is on line and `more` further receipts have come."""
        self.alive()
        wanted = self.now.get("receipts", 0) + more
        poll(lambda: self.alive() and self.now and self.now["receipts"] >= wanted
             and self.now["online"] >= self.now["terminals"], limit, f"not everybody is on line with {more} more receipts")

    def finish(self):
        """What the checker says; Failed when a promise was broken."""
        self.say("stop")
        self.process.wait(400)
        self.reader.join(30)
        if self.end is None:
            raise Failed("tern-verify: " + self.process.stderr.read().strip()[-400:])
        if self.end["violations"]:
            raise Failed(f"{len(self.end['violations'])} broken promises, {self.history}: " + self.end["violations"][0])
        os.remove(self.history)
        return self.end

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

"""A client of the protocol in a few lines, in JSON over WebSocket: for tests that need one that misbehaves."""
import base64
import json
import os
import socket
import struct
import urllib.request

REGISTER, AUTH, ACK, MESSAGE, JSON = 14, 16, 12, 90, 0x80


def register(gateway, name, password):
    """The new account's node."""
    body = bytes([JSON | REGISTER]) + json.dumps({"name": name, "pwd": password}).encode()
    with urllib.request.urlopen(urllib.request.Request(f"http://{gateway}/tim2", data=body), timeout=10) as answer:
        made = json.loads(answer.read()[1:])
    if not made.get("ok"):
        raise RuntimeError(f"{name} was not registered: {made}")
    return made["n"]


class Client:
    """One connection. It acknowledges nothing by itself."""

    def __init__(self, gateway, timeout=10):
        host, _, port = gateway.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=timeout)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall((f"GET /tim HTTP/1.1\r\nHost: {gateway}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n").encode())
        self.rest = b""
        while b"\r\n\r\n" not in self.rest:
            self.more()
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            raise ConnectionError(head.split(b"\r\n")[0].decode())

    def more(self):
        got = self.socket.recv(65536)
        if not got:
            raise ConnectionError("closed")
        self.rest += got

    def take(self, count):
        while len(self.rest) < count:
            self.more()
        out, self.rest = self.rest[:count], self.rest[count:]
        return out

    def send(self, kind, value):
        payload = bytes([JSON | kind]) + json.dumps(value).encode()
        size = len(payload)
        head = struct.pack("!BB", 0x82, 0x80 | size) if size < 126 else struct.pack("!BBH", 0x82, 0xFE, size)
        mask = os.urandom(4)
        self.socket.sendall(head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload)))

    def receive(self):
        """(type, JSON value) of the next frame; ConnectionError when the server closes."""
        first, size = self.take(2)
        if size == 126:
            size = struct.unpack("!H", self.take(2))[0]
        elif size == 127:
            size = struct.unpack("!Q", self.take(8))[0]
        body = self.take(size)
        if first & 0x0F != 2:
            raise ConnectionError(f"closed: {body!r}")
        return body[0] & 0x7F, json.loads(body[5:] if body[0] & 0x80 else body[1:])

    def login(self, name, password):
        """True when the server takes it."""
        self.send(AUTH, {"name": name, "pwd": password})
        while True:
            kind, value = self.receive()
            if kind == AUTH or "ok" in value:
                return bool(value.get("ok"))

    def message(self, node, text):
        self.send(MESSAGE, {"msType": 2, "odType": 1, "toTid": {"node": node}, "dataString": text})

    def close(self):
        self.socket.close()

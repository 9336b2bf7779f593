"""Pairs of XMPP clients that write to each other at a given rate, over plain TCP (RFC 6120, RFC 6121).

One thread, no XML library: the server's answers are searched for the few strings that matter. A stamp in each body
gives the latency.
"""
import base64
import re
import selectors
import socket
import time

BODY = re.compile(rb"<body>(\d+)-x*</body>")


class Client:
    """One connection; blocking during the login, then driven by the selector of `run`."""

    def __init__(self, port, name):
        self.name = name
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(20)
        self.pending = b""

    def send(self, text):
        self.socket.sendall(text.encode())

    def wait_for(self, *wanted):
        """Reads until one of the strings has come; returns what was read."""
        while not any(one in self.pending for one in wanted):
            piece = self.socket.recv(65536)
            if not piece:
                raise RuntimeError(f"{self.name}: connection ended: {self.pending[-200:]!r}")
            self.pending += piece
        found, self.pending = self.pending, b""
        return found

    def open_stream(self):
        self.send("<?xml version='1.0'?><stream:stream to='localhost' xmlns='jabber:client' "
                  "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>")
        self.wait_for(b"</stream:features>")

    def log_on(self):
        """In-band registration (XEP-0077), SASL PLAIN, resource binding, presence."""
        self.open_stream()
        self.send(f"<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>{self.name}</username>"
                  "<password>secret</password></query></iq>")
        self.wait_for(b"</iq>", b"<iq ")
        plain = base64.b64encode(f"\0{self.name}\0secret".encode()).decode()
        self.send(f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>")
        if b"<success" not in self.wait_for(b"<success", b"</failure>"):
            raise RuntimeError(f"{self.name}: not let in")
        self.open_stream()
        self.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource>"
                  "</bind></iq>")
        self.wait_for(b"</iq>")
        self.send("<presence/>")
        self.wait_for(b"<presence")


def connect(port, pairs):
    clients = []
    for number in range(2 * pairs):
        client = Client(port, f"u{number}")
        client.log_on()
        clients.append(client)
    return clients


def run(clients, rate, seconds, body_bytes):
    """Sends `rate` messages a second in all; returns (sent, received, sorted latencies in ns)."""
    selector = selectors.DefaultSelector()
    for client in clients:
        client.socket.setblocking(False)
        selector.register(client.socket, selectors.EVENT_READ, client)
    begin = time.monotonic_ns()
    end = begin + int(seconds * 1e9)
    gap = 1e9 / rate
    sent, received, latencies = 0, 0, []
    while True:
        now = time.monotonic_ns()
        due = min(int((now - begin) / gap), int(rate * seconds))
        while sent < due:
            sender = clients[sent % len(clients)]
            other = clients[(sent % len(clients)) ^ 1].name
            text = f"{time.monotonic_ns()}-"
            text += "x" * max(0, body_bytes - len(text))
            sender.socket.send(f"<message to='{other}@localhost' type='chat'><body>{text}</body></message>".encode())
            sent += 1
        for key, _ in selector.select(0.0005):
            client = key.data
            client.pending += client.socket.recv(262144)
            at = time.monotonic_ns()
            last = 0
            for found in BODY.finditer(client.pending):
                latencies.append(at - int(found.group(1)))
                received += 1
                last = found.end()
            client.pending = client.pending[last:]
        if now >= end and (received == sent or now >= end + 5e9):
            break
    latencies.sort()
    return sent, received, latencies

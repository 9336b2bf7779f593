"""Drives Chromium over a pipe in its DevTools protocol: JSON texts, each ended by a zero byte. Nothing but the standard library."""
import base64
import fcntl
import json
import os
import queue
import subprocess
import threading
import time

PATIENCE = 30.0  # seconds that a condition may take; longer than any machine needs
KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self' ws: wss:"
ELSEWHERE = "tern.test"  # a host that is not this machine to the browser: plain http from there has no crypto.subtle and no camera
FLAGS = ["--headless=new", "--disable-gpu", "--no-first-run", "--disable-quic", "--disable-sync", "--disable-component-update",
         "--disable-background-networking", "--disable-dev-shm-usage", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
         "--disable-renderer-backgrounding", "--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows",
         "--hide-scrollbars", f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1", "--disable-features=LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets", "--remote-debugging-pipe"]


class Failure(Exception):
    """A condition that did not come true, or an error of the page."""


class Browser:
    """One Chromium; each person gets a context, so a storage, of its own."""

    def __init__(self, program, profile, log):
        self.answers, self.number, self.lock = {}, 0, threading.Lock()
        reads, to_browser = os.pipe()
        from_browser, writes = os.pipe()
        # Numbers above 4, so that neither is overwritten on the way to 3 and 4.
        reads, writes = (fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 10) for each in (reads, writes))

        def place():
            os.dup2(reads, 3)
            os.dup2(writes, 4)

        root = ["--no-sandbox"] if os.geteuid() == 0 else []
        self.process = subprocess.Popen([program, *FLAGS, *root, f"--user-data-dir={profile}", "about:blank"], stdin=subprocess.DEVNULL,
                                        stdout=log, stderr=log, preexec_fn=place, close_fds=False)
        os.close(reads)
        os.close(writes)
        self.to_browser, self.from_browser, self.pages = to_browser, from_browser, {}
        self.directory = None  # see Page.serve_from
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        rest = b""
        while True:
            some = os.read(self.from_browser, 1 << 20)
            if not some:
                break
            *texts, rest = (rest + some).split(b"\0")
            for text in texts:
                self._take(json.loads(text))
        for waiting in list(self.answers.values()):
            waiting.put({"error": {"message": "the browser is gone"}})

    def _take(self, message):
        if "id" in message:
            waiting = self.answers.pop(message["id"], None)
            if waiting:
                waiting.put(message)
        elif message.get("sessionId") in self.pages:
            self.pages[message["sessionId"]].on_event(message["method"], message.get("params", {}))

    def send(self, method, params=None, session=None, waiting=None):
        """Asks without waiting; the answer goes into `waiting` if given."""
        with self.lock:
            self.number += 1
            message = {"id": self.number, "method": method, "params": params or {}}
            if session:
                message["sessionId"] = session
            if waiting is not None:
                self.answers[self.number] = waiting
            data = json.dumps(message).encode() + b"\0"
            while data:
                data = data[os.write(self.to_browser, data):]

    def call(self, method, params=None, session=None):
        waiting = queue.Queue()
        self.send(method, params, session, waiting)
        answer = waiting.get(timeout=2 * PATIENCE)
        if "error" in answer:
            raise Failure(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def person(self, name, url, downloads, width=1100, height=720, scheme="light"):
        """A window of a person who has never been here."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        self.call("Browser.setDownloadBehavior", {"behavior": "allow", "browserContextId": context, "downloadPath": downloads})
        return self.window(name, url, context, width, height, scheme)

    def window(self, name, url, context, width, height, scheme):
        target = self.call("Target.createTarget", {"url": "about:blank", "browserContextId": context})["targetId"]
        session = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        page = Page(self, session, target, context, name)
        page.start(url, width, height, scheme)
        return page

    def close(self):
        try:
            self.send("Browser.close")
            self.process.wait(timeout=PATIENCE)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()


class Page:
    """One window. Errors of its scripts are kept in `errors`."""

    def __init__(self, browser, session, target, context, name):
        self.browser, self.session, self.target, self.context, self.name, self.errors = browser, session, target, context, name, []
        self.directory = None  # files from there instead of those of the server
        browser.pages[session] = self

    def call(self, method, params=None):
        return self.browser.call(method, params, self.session)

    def serve_from(self, directory):
        """The page's files come from a directory of the tree: what is changed is seen without a build."""
        self.directory = directory
        self.call("Fetch.enable", {"patterns": [{"urlPattern": "http://*" + end} for end in ("/", ".js", ".css", ".svg")]})

    def on_request(self, params):
        name = params["request"]["url"].split("/", 3)[3].split("#")[0] or "index.html"
        path = os.path.join(self.directory, name)
        kind = KINDS.get(os.path.splitext(name)[1])
        if not kind or not os.path.isfile(path):
            return self.browser.send("Fetch.continueRequest", {"requestId": params["requestId"]}, self.session)
        with open(path, "rb") as file:
            body = base64.b64encode(file.read()).decode()
        return self.browser.send("Fetch.fulfillRequest", {
            "requestId": params["requestId"], "responseCode": 200, "body": body,
            "responseHeaders": [{"name": "content-type", "value": kind}, {"name": "content-security-policy", "value": POLICY}]}, self.session)

    def start(self, url, width, height, scheme):
        for domain in ("Page", "Runtime", "Log"):
            self.call(domain + ".enable")
        if self.browser.directory:
            self.serve_from(self.browser.directory)
        self.call("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})
        self.call("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        self.open(url)

    def open(self, url):
        self.call("Page.navigate", {"url": url})
        self.wait("document.readyState === 'complete' && location.protocol !== 'about:'", "the page is there")

    def on_event(self, method, params):
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Fetch.requestPaused":
            self.on_request(params)
        elif method == "Page.javascriptDialogOpening":
            self.browser.send("Page.handleJavaScriptDialog", {"accept": True}, self.session)
        elif method == "Log.entryAdded" and params["entry"]["source"] == "security":
            self.errors.append(params["entry"]["text"])

    def js(self, text):
        """The value of a JavaScript expression."""
        answer = self.call("Runtime.evaluate", {"expression": text, "awaitPromise": True, "returnByValue": True, "userGesture": True})
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise Failure(f"{self.name}: {text}: {details.get('exception', {}).get('description', details['text'])}")
        return answer["result"].get("value")

    def wait(self, condition, what, patience=PATIENCE):
        """Until the expression is true."""
        end = time.monotonic() + patience
        while True:
            try:
                if self.js(f"Boolean({condition})"):
                    return
            except Failure:
                pass  # between two documents
            if time.monotonic() > end:
                raise Failure(f"{self.name}: not true after {patience:.0f} s: {what}")
            time.sleep(0.05)

    def middle(self, selector):
        found = f"document.querySelector({json.dumps(selector)})"
        self.wait(f"{found} && {found}.offsetParent !== null || {found} && {found}.getClientRects().length > 0", f"{selector} is to be seen")
        return self.js(f"(() => {{ const e = {found}; e.scrollIntoView({{block: 'nearest'}}); const b = e.getBoundingClientRect();"
                       " return [b.x + b.width / 2, b.y + b.height / 2, b.x, b.y, b.width, b.height]; })()")

    def mouse(self, kind, x, y, held=0):
        self.call("Input.dispatchMouseEvent", {"type": kind, "x": x, "y": y, "button": "left", "buttons": held, "clickCount": 1})

    def click(self, selector):
        x, y = self.middle(selector)[:2]
        self.mouse("mousePressed", x, y, 1)
        self.mouse("mouseReleased", x, y)

    def fill(self, selector, text):
        self.middle(selector)
        self.js(f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.focus(); e.select(); }})()")
        self.call("Input.insertText", {"text": text})

    def enter(self):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", {"type": kind, "key": "Enter", "code": "Enter", "text": "\r", "windowsVirtualKeyCode": 13})

    def stroke(self, selector, points):
        """Draws through points given as parts (0..1) of the element's width and height."""
        _, _, left, top, width, height = self.middle(selector)
        places = [(left + x * width, top + y * height) for x, y in points]
        self.mouse("mousePressed", *places[0], 1)
        for place in places[1:]:
            self.mouse("mouseMoved", *place, 1)
        self.mouse("mouseReleased", *places[-1])

    def pick(self, selector, path):
        """Chooses a file in an input of type file."""
        element = self.call("Runtime.evaluate", {"expression": f"document.querySelector({json.dumps(selector)})"})["result"]["objectId"]
        self.call("DOM.setFileInputFiles", {"objectId": element, "files": [path]})

    def drag(self, kind, selector, path):
        x, y = self.middle(selector)[:2]
        self.call("Input.dispatchDragEvent", {"type": kind, "x": x, "y": y, "data": {"items": [], "files": [path], "dragOperationsMask": 1}})

    def drop(self, selector, path):
        for kind in ("dragEnter", "dragOver", "drop"):
            self.drag(kind, selector, path)

    def screenshot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("Page.captureScreenshot", {"format": "png"})["data"]))

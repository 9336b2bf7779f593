#!/usr/bin/env python3
"""The web page in Chromium, clicked through by people who talk, send files and watch live pictures.

    page_test.py [--ternd build/bin/ternd] [--out build/page-test] [--web services/gateway/web] [--chromium PROGRAM] [--set KEY=VALUE] [SCENE...]

Starts ternd with new data and a Chromium of its own; screenshots go to --out. With --web the page's files come from the tree.
"""
import argparse
import hashlib
import math
import os
import random
import shutil
import sys
import tempfile
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from chromium import ELSEWHERE, PATIENCE, Browser, Failure  # noqa: E402
from server import Ternd, Wire  # noqa: E402

MIB = 1 << 20
PASSWORD = "secret-password"
# Every value a progress bar takes is kept.
RECORD = """(() => { window.seenProgress = []; new MutationObserver((changes) => {
  for (const one of changes) if (one.target.tagName === 'PROGRESS') window.seenProgress.push(one.target.value);
}).observe(document.body, { subtree: true, attributes: true, attributeFilter: ['value'] }); return true; })()"""
LAST_CARD = "[...document.querySelectorAll('.card-in')].pop()"


def check(condition, what):
    if not condition:
        raise Failure(what)


class World:
    """ternd, Chromium and the people of the scenes."""

    def __init__(self, options, directory):
        self.out, self.directory, self.people = options.out, directory, {}
        self.ternd = Ternd(options.ternd, directory, options.set)
        self.log = open(os.path.join(directory, "chromium.log"), "wb")
        self.browser = Browser(options.chromium, os.path.join(directory, "profile"), self.log)
        self.browser.directory = options.web
        self.wire = Wire(self.ternd.port)
        self.far = f"http://{ELSEWHERE}:{self.wire.port}/"
        self.downloads = os.path.join(directory, "downloads")
        os.mkdir(self.downloads)

    def person(self, name, url=None, **look):
        page = self.browser.person(name, url or f"http://127.0.0.1:{self.ternd.port}/", self.downloads, **look)
        self.people[name] = page
        page.wait("document.querySelector('#welcome')?.hidden === false", "the scripts run")
        page.click("#tab-register")
        page.fill("#name", name)
        page.fill("#password", PASSWORD)
        page.click("#login-button")
        page.wait("!document.querySelector('#app').hidden", "signed in")
        page.node = page.js("document.querySelector('#my-node').textContent")
        page.js(RECORD)
        return page

    def file(self, name, size):
        """A file that cannot be guessed, and its SHA-256."""
        data = random.Random(size).randbytes(size)
        path = os.path.join(self.directory, name)
        with open(path, "wb") as file:
            file.write(data)
        return path, hashlib.sha256(data).hexdigest()

    def shot(self, page, name):
        page.screenshot(os.path.join(self.out, f"{name}.png"))

    def close(self):
        self.browser.close()
        self.ternd.close()
        self.log.close()


def open_chat(page, name):
    row = f"[...document.querySelectorAll('#roster li button')].find((b) => b.querySelector('.name').textContent === {name!r})"
    page.wait(row, f"{name} in the list")
    page.js(f"{row}.click()")
    page.wait(f"document.querySelector('#chat-name').textContent === {name!r}", f"the conversation with {name}")


def rename(page, name):
    page.click("#rename")
    page.fill("#rename-input", name)
    page.click("#rename-dialog .primary")
    page.wait(f"document.querySelector('#chat-name').textContent === {name!r}", "the new name")


def card_says(page, text, patience=PATIENCE):
    page.wait(f"{LAST_CARD}?.querySelector('.card-line').textContent.includes({text!r})", f"the newest card says: {text}", patience)


def press(page, words):
    """A button of the newest card."""
    button = f"[...({LAST_CARD}?.querySelectorAll('button') || [])].find((b) => b.textContent === {words!r})"
    page.wait(button, f"a button {words}")
    page.js(f"{button}.click()")


def cards(page):
    return page.js("document.querySelectorAll('.card-in').length")


def offer(world, sender, receiver, path, dropped=False):
    """A file is picked or dropped; the other side sees its card."""
    before = cards(receiver)
    if dropped:
        sender.drop("#log", path)
    else:
        sender.pick("#file", path)
    card_says(sender, "Waiting for")
    receiver.wait(f"document.querySelectorAll('.card-in').length === {before + 1}", "a new card")
    check(receiver.js(f"{LAST_CARD}.querySelector('strong').textContent") == os.path.basename(path), "the name of the file is shown")


def under_way(page):
    page.wait(f"(() => {{ const bar = {LAST_CARD}.querySelector('progress'); return !bar.hidden && bar.value > 0.02 && bar.value < 0.95; }})()", "a file on its way")


def was_partly_done(page):
    return any(0 < value < 1 for value in page.js("window.seenProgress"))


def saved(world, page, path, digest):
    press(page, "Save")
    place = os.path.join(world.downloads, os.path.basename(path))
    end = time.monotonic() + PATIENCE
    while not os.path.exists(place) or os.path.getsize(place) != os.path.getsize(path):
        check(time.monotonic() < end, f"{place} is saved")
        time.sleep(0.05)
    with open(place, "rb") as file:
        check(hashlib.sha256(file.read()).hexdigest() == digest, "the saved file is the one that was sent")


# ---- scenes ----

def scene_chat(world):
    """Two people become friends and write to each other."""
    alice = world.person("alice")
    bob = world.person("bob", url=world.far, scheme="dark")
    check(not bob.js("isSecureContext"), "Bob's page comes from another host by plain http")
    alice.fill("#add-node", bob.node)
    alice.fill("#add-text", "Alice from the office")
    alice.click("#add-form .primary")
    bob.click(".request .primary")
    for page, other, name in ((alice, bob, "Bob"), (bob, alice, "Alice")):
        page.wait("document.querySelector('#roster li button')", "a friend in the list")
        page.click("#roster li button")
        page.wait(f"document.querySelector('#chat-node').textContent === {other.node!r}", "the conversation")
        rename(page, name)
    alice.fill("#text", "Hi Bob, I have the pictures for you.")
    alice.enter()
    bob.wait("document.querySelector('.msg:not(.mine)')", "a message")
    bob.fill("#text", "Great, send them!")
    bob.enter()
    alice.wait("document.querySelectorAll('.msg').length === 2", "the answer")


def scene_file(world):
    """A file is picked, accepted, followed by its bars, saved; both sides show its checksum."""
    alice, bob = world.people["alice"], world.people["bob"]
    path, digest = world.file("pictures.zip", 12 * MIB + 12345)
    offer(world, alice, bob, path)
    world.shot(bob, "file-1-offer")
    press(bob, "Accept")
    under_way(bob)
    world.shot(alice, "file-2-sending")
    world.shot(bob, "file-3-receiving")
    for page, text in ((bob, "Received. The checksum agrees."), (alice, "Sent. The checksum agrees.")):
        card_says(page, text, 4 * PATIENCE)
        check(was_partly_done(page), f"{page.name}: the bar moved")
        check(digest in page.js(f"{LAST_CARD}.textContent"), f"{page.name}: the checksum is shown")
    saved(world, bob, path, digest)
    world.shot(alice, "file-4-sent")
    world.shot(bob, "file-5-received")


def scene_small_files(world):
    """A dropped file of no bytes and one of a single byte arrive; another is declined."""
    alice, bob = world.people["alice"], world.people["bob"]
    for name, size in (("empty.txt", 0), ("one.txt", 1)):
        path, digest = world.file(name, size)
        offer(world, alice, bob, path, dropped=True)
        press(bob, "Accept")
        card_says(bob, "Received. The checksum agrees.")
        card_says(alice, "Sent. The checksum agrees.")
        saved(world, bob, path, digest)
    path, _ = world.file("unwanted.txt", 1000)
    offer(world, alice, bob, path, dropped=True)
    press(bob, "Decline")
    card_says(bob, "Declined.")
    card_says(alice, "Bob declined.")


def scene_cancel(world):
    """Either side stops a file on its way, and the other one hears of it. Before it is taken the sender can, too."""
    alice, bob = world.people["alice"], world.people["bob"]
    path, _ = world.file("long.bin", 64 * MIB)
    for who, text_of_bob, text_of_alice in ((bob, "Cancelled.", "Bob cancelled."), (alice, "Alice cancelled.", "Cancelled.")):
        offer(world, alice, bob, path)
        press(bob, "Accept")
        under_way(bob)
        press(who, "Cancel")
        card_says(bob, text_of_bob)
        card_says(alice, text_of_alice)
    offer(world, alice, bob, path)
    press(alice, "Cancel")
    card_says(alice, "Cancelled.")
    press(bob, "Accept")
    card_says(bob, "No longer offered.")
    world.shot(bob, "file-6-cancelled")


def scene_broken_line(world):
    """Bob's connection breaks on the way, as receiver and as sender: the file goes on from where it was."""
    alice, bob = world.people["alice"], world.people["bob"]
    path, digest = world.file("resumed.bin", 64 * MIB)
    for sender, receiver in ((alice, bob), (bob, alice)):
        offer(world, sender, receiver, path)
        press(receiver, "Accept")
        for _ in range(3):
            under_way(receiver)
            world.wire.cut()
            bob.wait("!document.querySelector('#status').classList.contains('online')", "the break is seen")
            before = receiver.js(f"{LAST_CARD}.querySelector('progress').value")
            world.wire.mend()
            receiver.wait(f"(() => {{ const bar = {LAST_CARD}.querySelector('progress'); return bar.hidden || bar.value > {before} + 0.02; }})()", "it goes on")
        card_says(receiver, "Received. The checksum agrees.", 4 * PATIENCE)
        card_says(sender, "Sent. The checksum agrees.", 4 * PATIENCE)
        saved(world, receiver, path, digest)
        os.remove(os.path.join(world.downloads, os.path.basename(path)))


def come_back(page, friend):
    """The window is loaded again, the conversation opened."""
    page.js("window.before = true")
    page.call("Page.reload")
    page.wait("!window.before && document.querySelector('#status')?.textContent === 'Online'", "signed in again")
    page.js(RECORD)
    open_chat(page, friend)


def scene_reload(world):
    """The receiver's window is loaded again on the way: the offer can be taken again. The sender's is: the receiver is told."""
    alice, bob = world.people["alice"], world.people["bob"]
    path, digest = world.file("again.bin", 32 * MIB)
    offer(world, alice, bob, path)
    press(bob, "Accept")
    under_way(bob)
    come_back(bob, "Alice")
    press(bob, "Accept")
    card_says(bob, "Received. The checksum agrees.", 4 * PATIENCE)
    card_says(alice, "Sent. The checksum agrees.", 4 * PATIENCE)
    saved(world, bob, path, digest)
    offer(world, bob, alice, path)
    press(alice, "Accept")
    under_way(alice)
    come_back(bob, "Alice")
    alice.wait(f"{LAST_CARD}.dataset.state === 'failed'", "the transfer has ended", 6 * PATIENCE)


def scene_away(world):
    """An offer to somebody who is not there waits, and is taken when they come."""
    alice, bob = world.people["alice"], world.people["bob"]
    path, digest = world.file("later.bin", 2 * MIB)
    bob.call("Page.navigate", {"url": "about:blank"})
    alice.wait("!document.querySelector('#chat-avatar').classList.contains('on')", "Bob is seen to be away")
    alice.pick("#file", path)
    card_says(alice, "Not on line now")
    bob.open(world.far)
    bob.wait("document.querySelector('#status')?.textContent === 'Online'", "signed in again")
    bob.js(RECORD)
    open_chat(bob, "Alice")
    press(bob, "Accept")
    card_says(bob, "Received. The checksum agrees.", 4 * PATIENCE)
    card_says(alice, "Sent. The checksum agrees.", 4 * PATIENCE)
    saved(world, bob, path, digest)


def gull(x, y, size):
    """Points of a bird as children draw it, its middle at x, y."""
    left = [(x - size * t, y - size * math.sin(math.pi * t) / 1.6) for t in (1, 0.8, 0.6, 0.4, 0.2, 0)]
    return left + [(2 * x - px, py) for px, py in reversed(left)]


COLOUR = "[...document.querySelector('#live-picture').getContext('2d', {{ willReadFrequently: true }}).getImageData({x}, {y}, 1, 1).data.slice(0, 3)]"


def sees(page, x, y, test, what):
    """A pixel of the watched picture; JPEG keeps colours only about."""
    page.wait(f"!document.querySelector('#live-picture').hidden && (([r, g, b]) => {test})({COLOUR.format(x=x, y=y)})", what)


def scene_live(world):
    """Alice draws, Bob watches; she changes what she draws; she stops and he is told."""
    alice, bob = world.people["alice"], world.people["bob"]
    before = cards(bob)
    alice.click("#go-live")
    for bird in (gull(0.5, 0.5, 0.14), gull(0.25, 0.3, 0.09), gull(0.68, 0.25, 0.06)):
        alice.stroke("#live-canvas", bird)
    bob.wait(f"document.querySelectorAll('.card-in').length === {before + 1}", "the announcement")
    press(bob, "Watch")
    sees(bob, 320, 180, "r < 90 && g < 90 && b < 90", "the line that was drawn before")
    alice.click("#live-colours .c3")
    alice.stroke("#live-canvas", [(0.1, 0.8), (0.5, 0.8), (0.9, 0.8)])
    sees(bob, 320, 288, "r > 120 && g < 100 && b < 100", "the red line")
    alice.click("#live-colours .c2")
    for row in (0.86, 0.93):
        alice.stroke("#live-canvas", [(x / 40, row + 0.015 * math.sin(x * 0.9)) for x in range(3, 38)])
    alice.click("#live-colours .c4")
    alice.stroke("#live-canvas", [(0.85 + 0.06 * math.cos(a / 4), 0.22 + 0.107 * math.sin(a / 4)) for a in range(26)])
    bob.wait("/pictures? a second/.test(document.querySelector('#live-note').textContent)", "the rate of pictures")
    alice.wait("(() => { const log = document.querySelector('#log'); return log.scrollHeight - log.scrollTop - log.clientHeight < 5; })()", "the newest stays in sight")
    world.shot(alice, "live-1-drawing")
    world.shot(bob, "live-2-watching")
    alice.click("#live-clear")
    sees(bob, 320, 288, "r > 200 && g > 200 && b > 200", "a clean canvas")
    alice.click("#live-camera")
    sees(bob, 20, 20, "Math.abs(r - g) > 40 || Math.abs(g - b) > 40", "the camera's picture")
    world.shot(bob, "live-3-camera")
    alice.click("#live-stop")
    bob.wait("document.querySelector('#live-note').textContent === 'The live picture is over.'", "the end")
    card_says(bob, "Over.")
    card_says(alice, "Over.")
    world.shot(bob, "live-4-over")
    bob.click("#live-close")
    bob.wait("document.querySelector('#live').hidden", "closed")


def scene_two_windows(world):
    """Bob has two windows: one takes the file, the other is told so; both watch a picture, and one closes it."""
    alice, bob = world.people["alice"], world.people["bob"]
    second = world.browser.window("bob's second", world.far, bob.context, 1100, 720, "dark")
    world.people["second"] = second
    second.wait("document.querySelector('#welcome')?.hidden === false", "the scripts run")
    second.fill("#name", "bob")
    second.fill("#password", PASSWORD)
    second.click("#login-button")
    for page in (bob, second):
        open_chat(page, "Alice")
    open_chat(alice, "Bob")
    path, digest = world.file("shared.bin", 64 * MIB)
    offer(world, alice, bob, path)
    press(bob, "Accept")
    under_way(bob)
    press(second, "Accept")
    card_says(bob, "Received. The checksum agrees.", 4 * PATIENCE)
    card_says(alice, "Sent. The checksum agrees.", 4 * PATIENCE)
    second.wait(f"{LAST_CARD}.dataset.state === 'over'", "the other window is told", 4 * PATIENCE)
    saved(world, bob, path, digest)
    alice.click("#go-live")
    for page in (bob, second):
        press(page, "Watch")
        page.wait("!document.querySelector('#live-picture').hidden", "a picture")
    second.click("#live-close")
    alice.click("#live-colours .c3")
    alice.stroke("#live-canvas", [(0.1, 0.8), (0.5, 0.8), (0.9, 0.8)])
    sees(bob, 320, 288, "r > 120 && g < 100 && b < 100", "the red line")
    alice.click("#live-stop")
    bob.wait("document.querySelector('#live-note').textContent === 'The live picture is over.'", "the end")
    second.wait("document.querySelector('#live').hidden", "nothing is watched any more")
    second.call("Page.navigate", {"url": "about:blank"})


def scene_live_room(world):
    """Several watch a picture in a room; one of them loses the connection and sees it again; one comes late."""
    alice, bob = world.people["alice"], world.people["bob"]
    carol = world.person("carol", width=390, height=780, scheme="dark")
    alice.js("document.querySelector('.rooms').open = true")
    alice.fill("#room-name", "Studio")
    alice.click("#room-form .primary")
    alice.wait("document.querySelector('#chat-name').textContent === 'Studio'", "the room")
    room = alice.js("document.querySelector('#chat-node').textContent")
    for page in (bob, carol):
        page.js("document.querySelector('.rooms').open = true")
        page.fill("#room-name", room)
        page.click("#room-join")
        open_chat(page, "Studio")
    check(alice.js("document.querySelector('#attach').hidden"), "files are for one friend, not for a room")
    alice.click("#go-live")
    alice.click("#live-colours .c2")
    alice.stroke("#live-canvas", [(0.1, 0.5), (0.5, 0.5), (0.9, 0.5)])
    press(bob, "Watch")
    sees(bob, 320, 180, "b > 120 && r < 110", "Bob: the blue line")
    press(carol, "Watch")
    sees(carol, 320, 180, "b > 120 && r < 110", "Carol: the blue line")
    world.shot(carol, "live-5-phone")
    world.wire.cut()
    world.wire.mend()
    alice.click("#live-colours .c3")
    alice.stroke("#live-canvas", [(0.1, 0.8), (0.5, 0.8), (0.9, 0.8)])
    for page in (bob, carol):
        sees(page, 320, 288, "r > 120 && g < 100 && b < 100", "the red line")
    alice.click("#live-stop")
    for page in (bob, carol):
        page.wait("document.querySelector('#live-note').textContent === 'The live picture is over.'", "the end")


def scene_restart(world):
    """The server is killed while a file and a picture are on their way: both sides are told, and after it is back all can be done again."""
    alice, bob = world.people["alice"], world.people["bob"]
    open_chat(alice, "Bob")
    open_chat(bob, "Alice")
    bob.click("#go-live")
    press(alice, "Watch")
    alice.wait("!document.querySelector('#live-picture').hidden", "a picture")
    path, _ = world.file("restart.bin", 48 * MIB)
    offer(world, alice, bob, path)
    press(bob, "Accept")
    under_way(bob)
    world.ternd.kill()
    world.ternd.start()
    for page in (alice, bob):
        page.wait(f"{LAST_CARD}.dataset.state === 'failed'", "the transfer has ended", 4 * PATIENCE)
    alice.wait("document.querySelector('#live-note').textContent === 'The live picture is over.'", "the end")
    bob.wait("document.querySelector('#live-own').hidden", "no longer live")
    world.shot(alice, "restart-1-sender")
    world.shot(bob, "restart-2-receiver")
    os.truncate(path, 3 * MIB)
    with open(path, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    offer(world, alice, bob, path)
    press(bob, "Accept")
    card_says(bob, "Received. The checksum agrees.", 4 * PATIENCE)
    card_says(alice, "Sent. The checksum agrees.", 4 * PATIENCE)
    saved(world, bob, path, digest)


SCENES = [scene_chat, scene_file, scene_small_files, scene_cancel, scene_broken_line, scene_reload, scene_away, scene_live, scene_two_windows, scene_live_room, scene_restart]


def run(options, directory):
    world = World(options, directory)
    chosen = [one for one in SCENES if not options.scenes or one is scene_chat or one.__name__[6:] in options.scenes]
    try:
        for scene in chosen:
            print(f"{scene.__name__[6:]}: {scene.__doc__.splitlines()[0]}", flush=True)
            scene(world)
        for page in world.people.values():
            check(not page.errors, f"{page.name}: errors of the page: {page.errors}")
        print(f"{len(chosen)} scenes passed; screenshots in {options.out}")
        return 0
    except Exception:  # shown, with what was on the screens
        traceback.print_exc()
        for page in world.people.values():
            print(f"{page.name}: errors of the page: {page.errors}")
            try:
                world.shot(page, f"failed-{page.name}")
            except Exception as problem:
                print(f"{page.name}: no screenshot: {problem}")
        return 1
    finally:
        world.close()


def main():
    tree = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ternd", default=os.path.join(tree, "build/bin/ternd"))
    parser.add_argument("--out", default=os.path.join(tree, "build/page-test"))
    parser.add_argument("--web", default=None)
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("chromium-browser"))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="an option of ternd")
    parser.add_argument("scenes", nargs="*")
    options = parser.parse_args()
    if not options.chromium:
        print("page-test: skipped: Chromium is not installed (apt-get install chromium)")
        return 0
    os.makedirs(options.out, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tern-page-", ignore_cleanup_errors=True) as directory:
        return run(options, directory)


if __name__ == "__main__":
    sys.exit(main())

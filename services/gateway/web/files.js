// Files from friend to friend. Two virtual rooms of the sender carry one file: `room` the bytes (only the sender pushes), `back` what the
// receiver says (the friend may push; the sender follows it, and so does not get the bytes again). The offer is an ordinary message.
//   room: 0, offset (8 bytes), bytes | 1, {keep | taken | sum | cancel}
//   back: {who, next, again?} everything before `next` is there | {who, done | cancel | left} | {decline}
import { endings, makeCard, remember } from "/cards.js";
import { Sha256 } from "/sha256.js";
import { $, bytesOf, randomId } from "/ui.js";
import { pack, unpack } from "/vroom.js";

const chunk = 60 * 1024 - 128;  // with its head one WebSocket message, and below the server's largest frame
const widest = 8 * chunk;       // bytes under way
let perSecond = 300;            // frames of all files, below what a server lets a connection send as it comes
const ackEvery = 2 * chunk;     // and the least that is under way: less would never be acknowledged
const collected = 4 << 20;      // received bytes are handed to the browser's own keeping by so many
const quiet = 2000;             // ms without a byte: ask again
const silent = 15000;           // ms without a word: say so
const vacant = 8000;            // ms without a word of a window that takes a file: another one may
const retryEvery = 4000;
const retries = 4;
const given = 120000;           // ms without a word: end
const keepEvery = 60000;        // a virtual room without traffic is removed after minutes

let tokens = 0;                 // frames that may go now
let filled = 0;
const transfers = new Map();    // room -> Transfer
const kind = "file";
const gone = "The server has ended it. Offer the file again.";

export const isOffer = (message) => message.extend && message.extend.tern === kind;
export const running = () => [...transfers.values()].some((one) => !one.ended && one.begun);

function offerOf({ room, back, name, size }) {
  const bytes = Number(size);
  if (![room, back].every((node) => /^[0-9A-Za-z]{1,64}$/.test(node || "")) || !Number.isSafeInteger(bytes) || bytes < 0) return null;
  return { room, back, name: String(name || "file").slice(0, 200), size: bytes };
}

class Transfer {
  constructor(host, offer, friend) {
    Object.assign(this, offer, { host, friend, begun: false, ended: false, samples: [], painted: 0, heard: 0, told: 0 });
    this.card = makeCard("⇩", this.name, bytesOf(this.size));
    transfers.set(this.room, this);
  }

  begin() {
    this.begun = true;
    this.told = this.heard = Date.now();
    this.timer = setInterval(() => this.tick(Date.now()), 500);
  }

  end(text, state, note) {
    if (this.ended) return;
    this.ended = true;
    clearInterval(this.timer);
    remember(this.host.me(), this.room, text);
    this.card.bar(null);
    this.card.buttons([]);
    this.card.say(text, state);
    this.card.note(note || "");
    // A receiver that has everything stays until the sender has heard it.
    if (state !== "done") this.host.rooms().leave(this.room);
    this.host.rooms().leave(this.back);
  }

  paint(bytes) {
    const now = Date.now();
    if (now - this.painted < 150 && bytes < this.size) return;
    this.painted = now;
    this.samples = [...this.samples.filter((one) => now - one.at < 3000), { at: now, bytes }];
    const first = this.samples[0];
    const rate = now > first.at ? Math.max(0, bytes - first.bytes) / ((now - first.at) / 1000) : 0;
    const left = rate > 0 && bytes < this.size ? ` · ${Math.ceil((this.size - bytes) / rate)} s left` : "";
    this.card.bar(this.size > 0 ? bytes / this.size : 1);
    this.card.say(`${bytesOf(bytes)} of ${bytesOf(this.size)}${rate > 0 ? ` · ${bytesOf(rate)}/s` : ""}${left}`, "going");
  }
}

class Outgoing extends Transfer {
  constructor(host, offer, friend, file) {
    super(host, offer, friend);
    Object.assign(this, { file, acked: 0, sent: 0, hashed: 0, hash: new Sha256(), window: widest, who: null, summed: false });
    this.card.say(`Waiting for ${friend.name()} to accept.${friend.online() ? "" : " Not on line now: it waits as long as this page is open."}`, "waiting");
    this.card.buttons([["Cancel", "quiet", () => this.cancel("Cancelled.", "over")]]);
    host.rooms().own(this.room, { over: () => this.close(gone, "failed"), back: () => this.resume() });
    this.begin();
  }

  // The other side follows `back` only by pushing into it: what comes from anybody else is not for us.
  onBack(bytes, from) {
    if (from !== this.friend.node || this.ended) return;
    const said = unpack(bytes);
    if (said.decline && !this.who) this.close(`${this.friend.name()} declined.`, "failed");
    if (said.decline || !this.mine(said.who)) return;
    this.heard = Date.now();
    if (said.left) this.who = null;
    else if (said.cancel) this.close(`${this.friend.name()} cancelled.`, "failed");
    else if (said.done) this.close(said.ok ? "Sent. The checksum agrees." : "Sent, but the checksum differs.", said.ok ? "done" : "failed", this.sum && `SHA-256 ${this.sum}`);
    else if (Number.isSafeInteger(said.next)) this.onNext(said.next, said.again);
  }

  // One window of the friend takes the file; another one may go on when that is gone.
  mine(who) {
    if (!who || who === this.who) return Boolean(who);
    if (this.who && Date.now() - this.heard < vacant) {
      this.tell({ taken: this.who });
      return false;
    }
    this.who = who;
    this.heard = Date.now();
    this.acked = this.sent = 0;
    this.summed = false;
    this.tell({ taken: who });
    return true;
  }

  onNext(next, again) {
    if (next > this.hashed || next < this.acked) return;
    if (next > this.acked) this.window = Math.min(widest, this.window + chunk);
    this.acked = next;
    this.sent = Math.max(this.sent, next);
    // What still waits on our side is not lost.
    if (again && this.host.waiting() === 0) {
      this.sent = next;
      this.summed = false;
      this.window = Math.max(ackEvery, Math.floor(this.window / 2));
    }
    this.paint(next);
    this.pump();
  }

  mayPush() {
    const now = performance.now();
    tokens = Math.min(perSecond / 4, tokens + (now - filled) * perSecond / 1000);
    filled = now;
    if (tokens >= 1) return true;
    clearTimeout(this.later);
    this.later = setTimeout(() => this.pump(), 10);
    return false;
  }

  async pump() {
    if (this.pumping || !this.who) return;
    this.pumping = true;
    try {
      while (!this.ended && this.sent < this.size && this.sent - this.acked < this.window && this.host.waiting() < widest && this.mayPush()) {
        const at = this.sent;
        const bytes = new Uint8Array(await this.file.slice(at, Math.min(at + chunk, this.size)).arrayBuffer());
        if (this.ended || at !== this.sent) continue;
        if (bytes.length === 0) throw new Error("shorter than it was");
        const head = new Uint8Array(9);
        new DataView(head.buffer).setUint32(1, Math.floor(at / 0x100000000));
        new DataView(head.buffer).setUint32(5, at >>> 0);
        if (!this.host.rooms().push(this.room, head, bytes)) break;
        tokens -= 1;
        this.told = Date.now();
        if (at === this.hashed) {
          this.hash.update(bytes);
          this.hashed += bytes.length;
        }
        this.sent += bytes.length;
      }
    } catch {
      this.cancel("The file cannot be read any more.");
    }
    this.pumping = false;
    if (!this.ended && this.sent === this.size && !this.summed) {
      this.sum = this.sum || this.hash.hex();
      this.summed = this.tell({ sum: this.sum });
    }
  }

  tell(value) {
    this.told = Date.now();
    return this.host.rooms().push(this.room, new Uint8Array([1]), pack(value));
  }

  resume() {
    this.sent = this.acked;
    this.summed = false;
    this.pump();
  }

  tick(now) {
    if (this.who && this.host.waiting() > 0) this.heard = Math.max(this.heard, now - silent + 1000);
    if (this.who && now - this.heard > given) this.cancel(`${this.friend.name()} did not answer any more.`);
    else if (this.who && now - this.heard > silent) this.card.say(`${this.friend.name()} does not answer. Waiting…`, "waiting");
    if (this.sent === this.size && now - Math.max(this.told, this.heard) > 2 * quiet) this.summed = false;
    if (!this.ended && this.who) this.pump();
    if (this.ended || now - this.told < keepEvery) return;
    this.tell({ keep: true });
    this.host.rooms().say(this.back, { keep: true });
  }

  cancel(text, state) {
    this.tell({ cancel: true });
    this.close(text, state || "failed");
  }

  close(text, state, note) {
    if (this.ended) return;
    this.host.rooms().remove(this.room);
    this.host.rooms().remove(this.back);
    this.end(text, state, note);
  }

  away() { this.cancel("The page was closed."); }
}

class Incoming extends Transfer {
  constructor(host, offer, friend) {
    super(host, offer, friend);
    this.card.buttons([["Decline", "quiet", () => this.decline()], ["Accept", "primary", () => this.accept()]]);
  }

  decline() {
    this.host.rooms().say(this.back, { decline: true });
    this.end("Declined.", "over");
  }

  async accept() {
    Object.assign(this, { who: String(randomId()), next: 0, acked: 0, hash: new Sha256(), parts: [], loose: [], looseBytes: 0, hole: -1, sum: "", patience: quiet });
    if (!this.tries) this.card.say("Connecting…", "waiting");
    this.card.buttons([["Cancel", "quiet", () => this.cancel("Cancelled.", "over")]]);
    try {
      await this.host.rooms().follow(this.room, {
        frame: (bytes) => this.onBytes(bytes), back: () => this.ask(), over: () => this.end(`${this.friend.name()} is gone, or the server has ended it. The file did not arrive.`, "failed"),
      }, true);
    } catch (problem) {
      if (problem.code === 4109) return this.end("No longer offered.", "over");
      this.card.say(problem.message, "failed");
      return this.card.buttons([["Try again", "primary", () => this.accept()]]);
    }
    if (this.ended) return this.host.rooms().leave(this.room);
    this.begin();
    this.ask();
  }

  onBytes(bytes) {
    if (this.ended && this.arrived && bytes[0] === 1 && unpack(bytes.subarray(1)).sum) this.tell({ done: true, ok: true });
    if (this.ended || bytes.length === 0) return;
    this.heard = Date.now();
    if (bytes[0] === 1) return this.onSaid(unpack(bytes.subarray(1)));
    if (bytes[0] !== 0 || bytes.length < 9) return;
    const head = new DataView(bytes.buffer, bytes.byteOffset);
    const offset = head.getUint32(1) * 0x100000000 + head.getUint32(5);
    const data = bytes.subarray(9);
    if (offset > this.next) {
      if (this.hole !== this.next) this.ask();
      this.hole = this.next;
      return;
    }
    if (offset < this.next || offset + data.length > this.size) return;
    this.take(data);
  }

  take(data) {
    this.hash.update(data);
    this.loose.push(data);
    this.looseBytes += data.length;
    this.next += data.length;
    this.patience = quiet;
    if (this.looseBytes >= collected) this.collect();
    if (this.next - this.acked >= ackEvery || this.next === this.size) {
      this.acked = this.next;
      this.tell({ next: this.next });
    }
    this.paint(this.next);
    this.check();
  }

  collect() {
    this.parts.push(new Blob(this.loose));
    this.loose = [];
    this.looseBytes = 0;
  }

  onSaid(said) {
    if (said.cancel) this.end(`${this.friend.name()} cancelled.`, "failed");
    else if (said.taken && said.taken !== this.who) this.isTaken();
    else if (said.sum) {
      this.sum = String(said.sum);
      this.check();
    }
  }

  // By another window, or by this one before it was loaded again: that is seen by its silence.
  isTaken() {
    clearInterval(this.timer);
    this.host.rooms().leave(this.room);
    this.tries = (this.tries || 0) + 1;
    if (this.tries > retries) return this.end("Accepted in another window.", "over");
    this.card.say("Another window has taken it. Trying again…", "waiting");
    setTimeout(() => { if (!this.ended) this.accept(); }, retryEvery);
  }

  check() {
    if (this.next < this.size || !this.sum || this.ended) return;
    const mine = this.hash.hex();
    const ok = mine === this.sum;
    this.tell({ done: true, ok });
    if (!ok) return this.end("The checksum differs: the file was damaged on its way.", "failed", `SHA-256 ${mine}`);
    this.collect();
    // Whatever the sender calls it: it is saved, never shown.
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(this.parts, { type: "application/octet-stream" }));
    link.download = this.name.replace(/[/\\\u0000-\u001f]/g, "_");
    this.parts = [];
    this.arrived = true;
    this.end("Received. The checksum agrees.", "done", `SHA-256 ${mine}`);
    this.card.buttons([["Save", "primary", () => link.click()]]);
  }

  tell(value) { return this.host.rooms().say(this.back, { who: this.who, ...value }); }

  ask() {
    this.acked = this.next;
    this.tell({ next: this.next, again: true });
  }

  tick(now) {
    if (now - this.heard > given) return this.cancel(`${this.friend.name()} does not send any more.`);
    if (now - this.heard > silent) this.card.say(`Nothing comes from ${this.friend.name()}. Waiting…`, "waiting");
    if (now - Math.max(this.heard, this.told) < this.patience) return;
    this.told = now;
    this.patience = Math.min(this.patience * 2, silent / 2);
    this.ask();
  }

  cancel(text, state) {
    this.tell({ cancel: true });
    this.end(text, state || "failed");
  }

  away() { if (this.begun) this.tell({ left: true }); }
}

// host: {me(), rooms(), waiting(), contact(node) -> {node, name(), online()}, say(one, text, extend)}
export async function offerFile(host, one, file) {
  const rooms = host.rooms();
  const made = [];
  const make = async () => { made.push(await rooms.create()); };
  try {
    await Promise.all([make(), make()]);
    const [room, back] = made;
    await rooms.grant(back, one.node);
    let transfer = null;
    await rooms.follow(back, {
      frame: (bytes, from) => transfer && transfer.onBack(bytes, from), over: () => transfer && transfer.close(gone, "failed"),
    });
    const offer = { room, back, name: file.name.slice(0, 200), size: file.size };
    transfer = new Outgoing(host, offer, host.contact(one.node), file);
    host.say(one, `File: ${offer.name} (${bytesOf(file.size)}). It can be taken in Tern's web page.`, { tern: kind, room, back, name: offer.name, size: String(file.size) });
  } catch (problem) {
    for (const node of made) rooms.remove(node);
    throw problem;
  }
}

// The card of an offer, or null when it is not one that can be read.
export function fileCard(host, message) {
  const offer = offerOf(message.extend);
  if (!offer) return null;
  const known = transfers.get(offer.room);
  if (known) return known.card.element;
  const ending = endings(host.me())[offer.room];
  if (!message.mine && !ending && message.peer) return new Incoming(host, offer, host.contact(message.peer)).card.element;
  const card = makeCard("⇩", offer.name, bytesOf(offer.size));
  card.say(ending || "Not offered from this window.", "over");
  return card.element;
}

// This server lets less through.
export function sendSlower() { perSecond = Math.max(10, Math.floor(perSecond / 2)); }

// The message did not go out, the page goes, or somebody else signs in.
export function dropOffer(room, text) {
  const one = transfers.get(room);
  if (one && one.file && !one.ended) one.cancel(text);
}
export function leaveFiles() {
  for (const one of transfers.values()) if (!one.ended) one.away();
}
export function forgetFiles() {
  leaveFiles();
  for (const one of transfers.values()) clearInterval(one.timer);
  transfers.clear();
}

// Files picked, or dropped on the conversation. `can` says whether it takes any.
export function wireFiles(offer, can) {
  $("attach").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => {
    offer([...$("file").files]);
    $("file").value = "";
  });
  for (const [name, over] of [["dragenter", true], ["dragover", true], ["dragleave", false], ["drop", false]]) {
    $("chat").addEventListener(name, (event) => {
      if (![...event.dataTransfer.types].includes("Files")) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = can() ? "copy" : "none";
      const inside = name === "dragleave" && $("chat").contains(event.relatedTarget);
      $("chat").classList.toggle("dropping", Boolean(can() && (over || inside)));
      if (name === "drop") offer([...event.dataTransfer.files]);
    });
  }
}

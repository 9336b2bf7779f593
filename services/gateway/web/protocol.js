// TIM frames over a WebSocket in their JSON form: type byte with the top bit, then JSON. A frame whose answer is wanted
// carries 4 raw bytes in front of its payload, and they are sent back as they are. Bytes for a virtual room are raw both ways.
export const type = {
  ack: 12, ping: 13, register: 14, token: 15, auth: 16, offline: 17, offlineEnd: 18, broadpresence: 19,
  logout: 20, pull: 21, vroom: 22, business: 41, nodes: 42, message: 90, presence: 91, revoke: 92, stream: 94,
  bigString: 95, bytesStream: 97,
};

export const od = { ordinary: 1, revoke: 2, burn: 3, notice: 4 };
export const rtype = {
  roster: 1, rooms: 2, members: 3, add: 4, friends: 5, remove: 6, block: 7, create: 8, join: 9, joined: 10, refused: 11,
  pull: 12, kicked: 13, barred: 15, leave: 16, blocked: 18,
};
export const ntype = { roster: 1, rooms: 2, members: 3, roomInfo: 5, blocked: 8 };
export const greeting = "hello";    // status of a presence that is to be answered

export const vroom = { create: 1, remove: 2, grant: 3, subscribe: 5, unsubscribe: 6 };

const jsonBit = 0x80;
const separator = 131;
const piece = 60 * 1024;    // bytes of one WebSocket message; a frame of more of them goes on in the next
const pingEvery = 60000;
const firstDelay = 500;
const longestDelay = 15000;

export function encode(kind, value) {
  const text = value === undefined ? new Uint8Array(0) : new TextEncoder().encode(JSON.stringify(value));
  const frame = new Uint8Array(1 + text.length);
  frame[0] = kind | jsonBit;
  frame.set(text, 1);
  return frame;
}

// Type, length of the whole frame, virtual room, separator, parts of the data (Uint8Arrays).
export function encodeBytes(node, parts) {
  const name = new TextEncoder().encode(node);
  const size = 6 + name.length + parts.reduce((sum, part) => sum + part.length, 0);
  const frame = new Uint8Array(size);
  frame[0] = type.bytesStream;
  new DataView(frame.buffer).setUint32(1, size);
  frame.set(name, 5);
  frame[5 + name.length] = separator;
  let at = 6 + name.length;
  for (const part of parts) {
    frame.set(part, at);
    at += part.length;
  }
  return frame;
}

function decodeBytes(kind, bytes) {
  const end = bytes.indexOf(separator, 1);
  if (end < 0) throw new Error("no separator");
  return { kind, sync: null, value: { node: new TextDecoder().decode(bytes.subarray(1, end)), data: bytes.subarray(end + 1) } };
}

// -> {kind, sync (Uint8Array or null), value}; of raw bytes the value is {node, data (Uint8Array)}.
export function decode(buffer) {
  const bytes = new Uint8Array(buffer);
  if (bytes.length === 0) throw new Error("empty frame");
  if (bytes[0] >= type.bigString && bytes[0] <= type.bytesStream) return decodeBytes(bytes[0], bytes);
  const wanted = (bytes[0] & jsonBit) !== 0;
  const start = wanted ? 5 : 1;
  const text = new TextDecoder().decode(bytes.subarray(start));
  return {
    kind: bytes[0] & 0x7f,
    sync: wanted ? bytes.slice(1, 5) : null,
    value: text.length > 0 ? JSON.parse(text) : null,
  };
}

// REGISTER or TOKEN: resolves with the TimAck.
export async function call(kind, auth) {
  const answer = await fetch("/tim2", { method: "POST", body: encode(kind, auth), cache: "no-store" });
  if (answer.status !== 200 && answer.status !== 503 && answer.status !== 429) {
    throw new Error(answer.status === 403 ? "This is switched off on the server." : `The server answered ${answer.status}.`);
  }
  return decode(await answer.arrayBuffer()).value;
}

// One login that outlives its sockets: connects again with growing delays until stop().
// on: {state(text), ready(node), frame(kind, value), refused(error), ended(reason)}
export class Link {
  constructor(credentials, on) {
    this.credentials = credentials;
    this.on = on;
    this.delay = firstDelay;
    this.stopped = false;
    this.ready = false;
    this.online = () => { if (!this.socket && !this.stopped && !this.resting) this.connect(); };
    window.addEventListener("online", this.online);
    this.connect();
  }

  connect() {
    clearTimeout(this.timer);
    this.on.state("connecting");
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/tim`);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onopen = () => this.send(type.auth, this.credentials);
    socket.onmessage = (event) => this.receive(socket, event.data);
    socket.onclose = () => this.closed(socket);
  }

  send(kind, value) {
    if (!this.socket || this.socket.readyState !== WebSocket.OPEN) return false;
    this.socket.send(encode(kind, value));
    return true;
  }

  // Raw bytes for the subscribers of a virtual room.
  sendBytes(node, ...parts) {
    if (!this.ready || this.socket.readyState !== WebSocket.OPEN) return false;
    const frame = encodeBytes(node, parts);
    for (let at = 0; at < frame.length; at += piece) this.socket.send(frame.subarray(at, at + piece));
    return true;
  }

  // Bytes that have not left for the network yet.
  get waiting() { return this.socket ? this.socket.bufferedAmount : 0; }

  receive(socket, data) {
    const { kind, sync, value } = decode(data);
    if (kind === type.ack && value && value.timType === type.auth && !this.ready) {
      this.authenticated(value);
    } else if (kind === type.logout) {
      this.stop();
      this.on.ended("You were signed out because this account signed in elsewhere.");
    } else {
      this.on.frame(kind, value);
    }
    // After it was handled: what is not shown must come again.
    if (sync) socket.send(new Uint8Array([type.ack | jsonBit, ...sync]));
  }

  authenticated(ack) {
    if (!ack.ok) {
      const busy = ack.error && ack.error.code === 5104;
      if (busy) return;  // the server closes, and we try again
      this.stop();
      this.on.refused(ack.error || {});
      return;
    }
    this.ready = true;
    this.delay = firstDelay;
    this.pinger = setInterval(() => this.send(type.ping), pingEvery);
    this.on.state("online");
    this.on.ready(ack.n);
  }

  closed(socket) {
    if (socket !== this.socket) return;
    clearInterval(this.pinger);
    this.socket = null;
    this.ready = false;
    if (this.stopped) return;
    this.on.state("offline");
    if (this.resting) return;
    const wait = this.delay / 2 + Math.random() * this.delay / 2;
    this.delay = Math.min(this.delay * 2, longestDelay);
    this.timer = setTimeout(() => this.connect(), wait);
  }

  // The page is left: a browser may keep it, and its connection, for the way back.
  rest() {
    this.resting = true;
    clearTimeout(this.timer);
    if (this.socket) this.socket.close(1000);
  }

  wake() {
    if (!this.resting) return;
    this.resting = false;
    if (!this.socket && !this.stopped) this.connect();
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
    clearInterval(this.pinger);
    window.removeEventListener("online", this.online);
    if (this.socket) this.socket.close(1000);
  }
}

// Virtual rooms of one login: made, opened to a second person, followed; what comes in goes to who follows the room.
import { type, vroom } from "/protocol.js";
import { explain } from "/ui.js";

const patience = 10000;
const wording = { 4109: "It is over.", 4111: "Too many transfers and live pictures at once." };
export const explainRoom = (error) => (error && wording[error.code]) || explain(error);

const failure = (error) => Object.assign(new Error(explainRoom(error)), { code: error ? error.code : 0 });
const fromText = (text) => Uint8Array.from(atob(text || ""), (letter) => letter.charCodeAt(0));
const toText = (bytes) => btoa(String.fromCharCode(...bytes));

// What is said beside the bytes: small objects.
export const pack = (value) => new TextEncoder().encode(JSON.stringify(value));
export function unpack(bytes) {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) || {};
  } catch {
    return {};
  }
}

export class VirtualRooms {
  constructor(link) {
    this.link = link;
    this.asked = [];           // questions without an answer yet, oldest first
    this.followers = new Map();  // room -> {on, subscribed, binary}
  }

  ask(rtype, node, more) {
    return new Promise((resolve, reject) => {
      const question = { rtype, names: [node, more && more.node2], resolve, reject };
      const done = () => { this.asked = this.asked.filter((one) => one !== question); };
      question.timer = setTimeout(() => { done(); reject(failure({ info: "The server did not answer." })); }, patience);
      question.done = () => { clearTimeout(question.timer); done(); };
      this.asked.push(question);
      if (!this.link.ready || !this.link.send(type.vroom, { rtype, node, ...more })) {
        question.done();
        reject(failure({ info: "There is no connection." }));
      }
    });
  }

  async create() { return (await this.ask(vroom.create)).n; }
  grant(node, node2) { return this.ask(vroom.grant, node, { node2 }); }

  // on: {frame(bytes, from), back() after a new connection, over(why) when there is no such room any more}
  own(node, on) { this.followers.set(node, { on, subscribed: false }); }

  async follow(node, on, binary) {
    const follower = { on, subscribed: true, binary };
    this.followers.set(node, follower);
    try {
      await this.subscribe(node, follower);
    } catch (problem) {
      if (this.followers.get(node) === follower) this.followers.delete(node);
      throw problem;
    }
  }

  subscribe(node, { binary }) { return this.ask(vroom.subscribe, node, { reqInt: binary ? 1 : 0 }); }

  leave(node) {
    if (this.followers.delete(node)) this.link.send(type.vroom, { rtype: vroom.unsubscribe, node });
  }

  remove(node) {
    this.followers.delete(node);
    this.link.send(type.vroom, { rtype: vroom.remove, node });
  }

  // A small object to everybody who follows the room.
  say(node, value) { return this.link.ready && this.link.send(type.stream, { VNode: node, body: toText(pack(value)) }); }
  push(node, ...parts) { return this.link.sendBytes(node, ...parts); }

  // After a login: the rooms are still there, what this connection followed is not.
  async ready() {
    for (const [node, follower] of [...this.followers]) {
      try {
        if (follower.subscribed) await this.subscribe(node, follower);
        if (this.followers.get(node) === follower && follower.on.back) follower.on.back();
      } catch (problem) {
        if (problem.code === 4109 || problem.code === 4104) this.over(node, problem.message);
      }
    }
  }

  lost() {
    for (const question of [...this.asked]) {
      question.done();
      question.reject(failure({ info: "The connection was lost." }));
    }
  }

  over(node, why) {
    const follower = this.followers.get(node);
    this.followers.delete(node);
    if (follower && follower.on.over) follower.on.over(why);
  }

  onAck(ack) {
    if (ack.timType === type.stream || ack.timType === type.bytesStream) {
      // Busy: what was dropped is asked for again.
      if (!ack.ok && ack.error && ack.error.code < 5000) this.over(ack.n, explainRoom(ack.error));
      return;
    }
    const question = this.asked.find((one) => one.rtype === ack.t && (ack.t === vroom.create || one.names.includes(ack.n))) ||
      (!ack.ok && !ack.t && this.asked[0]);
    if (question) {
      question.done();
      if (ack.ok) question.resolve(ack); else question.reject(failure(ack.error));
    } else if (ack.ok && ack.t === vroom.remove) {
      this.over(ack.n, "It is over.");
    }
  }

  onFrame(kind, value) {
    const follower = this.followers.get(kind === type.stream ? value.VNode : value.node);
    if (!follower || !follower.on.frame) return;
    if (kind === type.stream) follower.on.frame(fromText(value.body), value.fromNode);
    else follower.on.frame(value.data);
  }
}

import { contact, contacts, nameOf, names, ownContacts, paintAvatar, setName } from "/contacts.js";
import { dropOffer, fileCard, forgetFiles, isOffer, leaveFiles, offerFile, running, sendSlower, wireFiles } from "/files.js";
import { dropLive, goLive, isLive, isPublishing, leaveLive, liveCard, stopLive } from "/live.js";
import { failLogin, onLogin } from "/login.js";
import { greeting, Link, ntype, od, rtype, type } from "/protocol.js";
import { VirtualRooms } from "/vroom.js";
import { $, clockTime, dayOf, explain, grow, keepAtEnd, make, randomId, toast } from "/ui.js";

const page = 40;             // messages of one history request
const historyPatience = 1500;  // an empty history is not answered at all
const sessionKey = "tern.session";
const showNewest = keepAtEnd($("log"), $("messages"));

let link = null;
let rooms = null;            // virtual rooms of this login
let credentials = null;
let me = "";
let current = null;
let requests = new Map();
let leaving = "";            // the room that is being left
let asked = 0;               // timer of "Request sent."
let history = [];            // nodes whose history was asked for, oldest request first

// ---- painting ----

function paintStatus(state) {
  const text = { connecting: "Connecting…", online: "Online", offline: "No connection. Trying again…" };
  $("status").textContent = text[state];
  $("status").className = `status ${state}`;
}

function paintRoster() {
  const shown = [...contacts.values()].filter((one) => one.friend || one.room || one.blocked || one.messages.size > 0);
  shown.sort((a, b) => b.last - a.last || nameOf(a.node).localeCompare(nameOf(b.node)));
  $("roster").replaceChildren(...shown.map((one) => {
    const button = make("button");
    button.type = "button";
    if (one === current) button.setAttribute("aria-current", "true");
    const avatar = make("span");
    paintAvatar(avatar, one.node, nameOf(one.node));
    avatar.setAttribute("aria-hidden", "true");
    const text = make("span", "me-text");
    text.append(make("span", "name", nameOf(one.node)), make("span", "last", lastLine(one)));
    button.append(avatar, text);
    if (one.unread > 0) {
      const badge = make("span", "badge", String(one.unread));
      badge.setAttribute("aria-label", `${one.unread} new`);
      button.append(badge);
    }
    button.addEventListener("click", () => openChat(one));
    const item = make("li");
    item.append(button);
    return item;
  }));
  $("roster-empty").hidden = shown.length > 0;
  const unread = shown.reduce((sum, one) => sum + one.unread, 0);
  document.title = unread > 0 ? `(${unread}) Tern` : "Tern";
}

function lastLine(one) {
  if (one.blocked) return "Blocked";
  const pending = one.pending[one.pending.length - 1];
  if (pending) return `You: ${pending.text}`;
  const newest = sorted(one).pop();
  if (!newest) return "No messages yet";
  return newest.mine ? `You: ${newest.text}` : newest.text;
}

const sorted = (one) => [...one.messages.values()].sort((a, b) => a.mid - b.mid);

function paintRequests() {
  $("requests").replaceChildren(...[...requests.values()].map((request) => {
    const box = make("div", "request");
    const wish = request.room ? ` wants to join ${nameOf(request.room)}.` : " wants to be your friend.";
    box.append(make("strong", "", nameOf(request.node)), make("span", "", wish));
    if (request.text) box.append(make("p", "muted", `“${request.text}”`));
    const row = make("div", "row");
    const ignore = make("button", "quiet", "Ignore");
    const answered = (yes) => {
      requests.delete(request.key);
      if (request.room) {
        link.send(type.business, { rtype: yes ? rtype.pull : rtype.refused, node: request.room, node2: request.node });
      } else if (yes) {
        befriend(request.node);
      }
      paintRequests();
    };
    ignore.addEventListener("click", () => answered(false));
    const accept = make("button", "primary", "Accept");
    accept.addEventListener("click", () => answered(true));
    row.append(ignore, accept);
    box.append(row);
    return box;
  }));
}

function messageElement(message) {
  const fresh = message.painted ? "" : " fresh";
  message.painted = true;
  const item = make("li", `msg${message.mine ? " mine" : ""}${message.failed ? " failed" : ""}${fresh}`);
  if (message.author) item.append(make("span", "author", nameOf(message.author)));
  const card = cardOf(message);
  item.append(card || make("p", "", message.text));
  if (card) item.classList.add("card-msg");
  const meta = make("div", "meta");
  meta.append(make("time", "", clockTime(message.time)));
  if (message.mine) {
    const tick = message.failed ? ["!", message.failed] : message.mid ? ["✓", "Stored"] : ["◷", "Sending"];
    const mark = make("span", "", tick[0]);
    mark.title = tick[1];
    mark.setAttribute("aria-label", tick[1]);
    meta.append(mark);
    if (message.mid) {
      const recall = make("button", "recall", "Take back");
      recall.addEventListener("click", () => takeBack(current, message));
      meta.prepend(recall);
    }
  }
  item.append(meta);
  return item;
}

// A file or a live picture instead of the words that stand for it elsewhere.
function cardOf(message) {
  if (message.failed) return null;
  if (isOffer(message)) return fileCard(host, message);
  return isLive(message) ? liveCard(host, message) : null;
}

function paintChat(stay) {
  if (!current) return;
  const log = $("log");
  const fromBottom = log.scrollHeight - log.scrollTop;
  const atBottom = fromBottom - log.clientHeight < 80;
  const items = [];
  let day = "";
  for (const message of [...sorted(current), ...current.pending]) {
    const its = dayOf(message.time);
    if (its !== day) items.push(make("li", "day", day = its));
    items.push(messageElement(message));
  }
  $("messages").replaceChildren(...items);
  $("older").hidden = current.complete || current.messages.size === 0;
  $("chat-name").textContent = nameOf(current.node);
  $("chat-node").textContent = current.node;
  paintAvatar($("chat-avatar"), current.node, nameOf(current.node));
  $("block").textContent = current.room ? "Leave" : current.blocked ? "Unblock" : "Block";
  $("members").hidden = !current.room;
  $("go-live").hidden = current.blocked;
  $("attach").hidden = current.blocked || current.room;
  $("text").disabled = current.blocked;
  $("send-form").querySelector("button").disabled = current.blocked;
  $("text").placeholder = current.blocked ? "You have blocked this contact" : "Write a message";
  if (stay) log.scrollTop = log.scrollHeight - fromBottom;
  else if (atBottom) log.scrollTop = log.scrollHeight;
}

function paintAll() {
  paintRoster();
  paintChat();
}

// ---- conversations ----

function openChat(one) {
  current = one;
  one.unread = 0;
  $("no-chat").hidden = true;
  $("chat").hidden = false;
  $("app").classList.add("in-chat");
  if (!one.asked) pull(one, 0);
  paintAll();
  showNewest();
  if (!matchMedia("(max-width: 720px)").matches) $("text").focus();
}

function pull(one, mid) {
  one.asked = true;
  if (!link.send(type.pull, { rtype: one.room ? 2 : 1, node: one.node, reqInt: mid, reqInt2: page })) {
    one.asked = false;
    return;
  }
  history.push(one.node);
  setTimeout(() => {
    const at = history.indexOf(one.node);
    if (at < 0) return;
    history.splice(at, 1);
    one.complete = true;
    paintChat(true);
  }, historyPatience);
}

function onHistory(list) {
  const messages = (list && list.messageList) || [];
  const node = messages.length > 0 ? peerOf(messages[0]) : history[0];
  history = history.filter((one) => one !== node);
  if (!node) return;
  const one = contact(node);
  const grows = one.messages.size > 0;
  for (const message of messages) store(one, message);
  if (messages.length < page) one.complete = true;
  paintRoster();
  if (one === current) {
    paintChat(grows);
    if (!grows) showNewest();
  }
}

const peerOf = (message) => {
  if (message.msType === 3 && message.roomTid) return message.roomTid.node;
  const from = message.fromTid && message.fromTid.node;
  return from === me ? message.toTid && message.toTid.node : from;
};

function store(one, message) {
  const mine = message.fromTid && message.fromTid.node === me;
  if (mine && message.id) one.pending = one.pending.filter((pending) => pending.id !== message.id);
  if (one.messages.has(message.mid)) return false;
  const time = message.timestamp ? message.timestamp / 1e6 : Date.now();
  // One's own message was on the screen already.
  one.messages.set(message.mid, { mid: message.mid, text: message.dataString || "", time, mine, painted: mine,
    author: one.room && !mine && message.fromTid ? message.fromTid.node : "", peer: one.room ? "" : one.node, extend: message.extend });
  if (message.mid === 1) one.complete = true;
  one.last = Math.max(one.last, time);
  return !mine;
}

function onMessage(message) {
  const node = peerOf(message);
  if (!node || !message.mid && message.odType !== od.notice) return;
  if (message.odType === od.notice) {
    onNotice(node, message);
    return;
  }
  const one = contact(node);
  if (message.msType === 3) one.room = true;
  if (message.odType === od.revoke || message.odType === od.burn) {
    one.messages.delete(message.mid);
  } else if (store(one, message) && (one !== current || document.hidden)) {
    one.unread += 1;
  }
  paintAll();
}

function onRoomNotice(node, message) {
  const room = message.roomTid.node;
  const text = message.dataString || "";
  if (message.bnType === rtype.join) {
    requests.set(node + room, { key: node + room, node, room, text });
    paintRequests();
  } else if (message.bnType === rtype.refused) {
    toast(text ? `Not let in: ${text}` : "You were not let in.");
  } else if (message.bnType === rtype.kicked || message.bnType === rtype.barred) {
    toast(`You are no longer in ${nameOf(room)}.`);
    forgetRoom(room);
  } else {
    contact(room).room = true;
    link.send(type.business, { rtype: rtype.rooms });
  }
  paintAll();
}

function forgetRoom(node) {
  contacts.delete(node);
  if (current && current.node === node) $("back").click();
}

function onPresence(presence) {
  const node = presence.fromTid && presence.fromTid.node;
  if (!node || node === me || !contacts.has(node)) return;
  contact(node).online = !presence.offline;
  if (!presence.offline && presence.status === greeting) link.send(type.presence, { toTid: { node }, status: "here" });
  paintAll();
}

function showMembers(answer) {
  $("member-list").replaceChildren(...(answer.nodelist || []).map((node) => {
    const item = make("li");
    const avatar = make("span");
    paintAvatar(avatar, node, node === me ? credentials.name : nameOf(node));
    item.append(avatar, make("span", "name", node === me ? "You" : nameOf(node)), make("code", "muted", node));
    return item;
  }));
  if (!$("members-dialog").open) $("members-dialog").showModal();
}

function onNotice(node, message) {
  if (message.roomTid) {
    onRoomNotice(node, message);
    return;
  }
  if (message.bnType === rtype.add) {
    requests.set(node, { key: node, node, text: message.dataString || "" });
    paintRequests();
  } else if (message.bnType === rtype.friends) {
    requests.delete(node);
    paintRequests();
    if (!contact(node).friend) toast(`${nameOf(node)} is now your friend.`);
    contact(node).friend = true;
  } else if (message.bnType === rtype.remove || message.bnType === rtype.block) {
    contact(node).friend = false;
  }
  paintAll();
}

function onNodes(answer) {
  const list = new Set(answer.nodelist || []);
  if (answer.ntype === ntype.rooms) {
    for (const node of list) contact(node).room = true;
    link.send(type.nodes, { ntype: ntype.roomInfo, nodelist: [...list].slice(0, 500) });
  } else if (answer.ntype === ntype.roomInfo) {
    for (const [node, bean] of Object.entries(answer.roommap || {})) contact(node).topic = bean.topic || "";
  } else if (answer.ntype === ntype.members) {
    showMembers(answer);
  } else if (answer.ntype === ntype.roster) {
    for (const one of contacts.values()) one.friend = list.has(one.node);
    for (const node of list) contact(node).friend = true;
  } else if (answer.ntype === ntype.blocked) {
    for (const one of contacts.values()) one.blocked = list.has(one.node);
    for (const node of list) contact(node).blocked = true;
  }
  paintAll();
}

function onAck(ack) {
  if (!ack.ok && ack.error && ack.error.code === 5105) sendSlower();
  if (ack.timType === type.vroom || ack.timType === type.stream || ack.timType === type.bytesStream) {
    rooms.onAck(ack);
    return;
  }
  if (ack.ok) {
    if (ack.timType === type.business && ack.t === rtype.leave) {
      forgetRoom(leaving);
      paintRoster();
    }
    if (ack.timType === type.business && ack.n) {
      if (ack.t === rtype.create) {
        contact(ack.n).room = true;
        link.send(type.business, { rtype: rtype.rooms });
        openChat(contact(ack.n));
      }
      if (ack.t === rtype.create || ack.t === rtype.pull || ack.t === rtype.barred) return;
      const one = contact(ack.n);
      if (ack.t === rtype.block) one.blocked = true;
      if (ack.t === rtype.remove) { one.blocked = false; one.friend = false; }
      paintAll();
    }
    return;
  }
  if (ack.timType === type.message) {
    for (const one of contacts.values()) {
      const waiting = one.pending.find((message) => !message.failed);
      if (!waiting) continue;
      waiting.failed = explain(ack.error);
      toast(`Not sent: ${waiting.failed}`);
      drop(waiting, waiting.failed);
      paintAll();
      return;
    }
  }
  if (ack.timType === type.business) clearTimeout(asked);
  toast(explain(ack.error));
}

function onFrame(kind, value) {
  switch (kind) {
    case type.message: onMessage(value); break;
    case type.offline: (value.messageList || []).forEach(onMessage); break;
    case type.pull: onHistory(value); break;
    case type.nodes: onNodes(value); break;
    case type.presence: onPresence(value); break;
    case type.ack: onAck(value); break;
    case type.stream: case type.bytesStream: rooms.onFrame(kind, value); break;
    default: break;
  }
}

// ---- what the person does ----

function befriend(node, words) {
  const request = { rtype: rtype.add, node };
  if (words) request.reqStr = words;
  link.send(type.business, request);
  link.send(type.business, { rtype: rtype.roster });
}

function sendText() {
  const text = $("text").value.trim();
  if (!text || !current || current.blocked) return;
  say(current, text);
  $("text").value = "";
  grow($("text"));
}

function say(one, text, extend) {
  const message = { id: randomId(), text, extend, time: Date.now(), mine: true };
  one.pending.push(message);
  one.last = message.time;
  transmit(one, message);
  paintAll();
  if (one === current) showNewest();
}

// What files and live pictures need of the screen.
const host = {
  me: () => me,
  nameOf,
  rooms: () => rooms,
  waiting: () => link ? link.waiting : 0,
  contact: (node) => ({ node, name: () => nameOf(node), online: () => contact(node).online }),
  say,
};

function offerFiles(files) {
  if (!current || current.room || current.blocked) return;
  const to = current;
  for (const file of files) {
    offerFile(host, to, file).catch((problem) => toast(`${file.name} was not offered: ${problem.message}`));
  }
}

// With the same id again after a reconnect: the server keeps one copy.
function transmit(one, message) {
  link.send(type.message, { ...place(one), odType: od.ordinary, id: message.id, dataString: message.text, extend: message.extend });
}

const place = (one) => one.room ? { msType: 3, roomTid: { node: one.node } } : { msType: 2, toTid: { node: one.node } };

function takeBack(one, message) {
  link.send(type.revoke, { ...place(one), odType: od.revoke, mid: message.mid });
  drop(message, "Taken back.");
}

function drop(message, why) {
  if (isOffer(message)) dropOffer(message.extend.room, why);
  if (isLive(message)) dropLive(message.extend.room);
}

// ---- login ----

function signIn(auth) {
  credentials = auth;
  link = new Link({ ...auth, resource: "web", termtyp: 3 }, {
    state: (state) => {
      if (state !== "online" && rooms) rooms.lost();
      paintStatus(state);
    },
    ready: onReady,
    frame: onFrame,
    refused: (error) => signOut(error.code === 4105 || error.code === 4102 ? "Wrong name or password." : explain(error)),
    ended: (reason) => signOut(reason),
  });
  rooms = new VirtualRooms(link);
}

function onReady(node) {
  me = node;
  ownContacts(node);
  sessionStorage.setItem(sessionKey, JSON.stringify(credentials));
  $("welcome").hidden = true;
  $("app").hidden = false;
  $("login-button").disabled = false;
  $("password").value = "";
  $("my-name").textContent = credentials.name;
  $("my-node").textContent = node;
  paintAvatar($("my-avatar"), node, credentials.name);
  history = [];
  link.send(type.business, { rtype: rtype.roster });
  link.send(type.business, { rtype: rtype.blocked });
  link.send(type.business, { rtype: rtype.rooms });
  for (const one of contacts.values()) one.online = false;
  link.send(type.broadpresence, { status: greeting });
  link.send(type.offline);
  for (const one of contacts.values()) {
    one.pending.filter((message) => !message.failed).forEach((message) => transmit(one, message));
  }
  rooms.ready();
  if (current) pull(current, 0);
  const invited = new URLSearchParams(location.hash.slice(1)).get("add");
  if (invited && invited !== me) $("add-node").value = invited;
  paintAll();
}

function signOut(reason) {
  if (link) {
    leaveLive();
    forgetFiles();
    link.stop();
  }
  link = null;
  sessionStorage.removeItem(sessionKey);
  ownContacts("");
  requests = new Map();
  current = null;
  me = "";
  $("chat").hidden = true;
  $("no-chat").hidden = false;
  $("app").classList.remove("in-chat");
  $("app").hidden = true;
  $("welcome").hidden = false;
  document.title = "Tern";
  failLogin(reason || "");
  $("name").focus();
}

// ---- wiring ----

$("sign-out").addEventListener("click", () => signOut());
$("copy-node").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(me);
  } catch {
    getSelection().selectAllChildren($("my-node"));
    document.execCommand("copy");
  }
  $("copy-node").textContent = "Copied";
  setTimeout(() => { $("copy-node").textContent = "Copy"; }, 1500);
});
$("add-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const node = $("add-node").value.trim();
  if (!node) return;
  befriend(node, $("add-text").value.trim());
  $("add-node").value = "";
  $("add-text").value = "";
  // A request that goes through is not answered; one that does not is, at once.
  asked = setTimeout(() => toast("Request sent."), 800);
});
$("room-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = $("room-name").value.trim();
  if (name) link.send(type.business, { rtype: rtype.create, node: name, reqInt: $("room-closed").checked ? 1 : 2 });
  $("room-name").value = "";
});
$("room-join").addEventListener("click", () => {
  const node = $("room-name").value.trim();
  if (node) link.send(type.business, { rtype: rtype.join, node });
  $("room-name").value = "";
});
$("members").addEventListener("click", () => {
  link.send(type.business, { rtype: rtype.members, node: current.node });
});
$("send-form").addEventListener("submit", (event) => { event.preventDefault(); sendText(); });
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    sendText();
  }
});
$("text").addEventListener("input", () => grow($("text")));
$("older").addEventListener("click", () => {
  const oldest = sorted(current)[0];
  if (oldest && oldest.mid > 1) pull(current, oldest.mid - 1);
  else { current.complete = true; paintChat(true); }
});
$("back").addEventListener("click", () => {
  current = null;
  $("app").classList.remove("in-chat");
  $("chat").hidden = true;
  $("no-chat").hidden = false;
  paintRoster();
});
$("block").addEventListener("click", () => {
  if (current.room) {
    leaving = current.node;
    link.send(type.business, { rtype: rtype.leave, node: leaving });
    return;
  }
  link.send(type.business, { rtype: current.blocked ? rtype.remove : rtype.block, node: current.node });
});
$("rename").addEventListener("click", () => {
  $("rename-input").value = names()[current.node] || "";
  $("rename-dialog").showModal();
});
$("rename-dialog").addEventListener("close", () => {
  if ($("rename-dialog").returnValue === "ok" && current) setName(current.node, $("rename-input").value.trim());
  paintAll();
});
wireFiles(offerFiles, () => current && !current.room && !current.blocked);
$("go-live").addEventListener("click", () => { if (current) goLive(host, current); });
addEventListener("beforeunload", (event) => { if (running() || isPublishing()) event.preventDefault(); });
addEventListener("pagehide", () => {
  if (!link) return;
  leaveFiles();
  stopLive();
  link.rest();
});
addEventListener("pageshow", () => { if (link) link.wake(); });
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && current) { current.unread = 0; paintRoster(); }
});

onLogin(signIn);
const kept = sessionStorage.getItem(sessionKey);
if (kept) signIn(JSON.parse(kept)); else $("welcome").hidden = false;

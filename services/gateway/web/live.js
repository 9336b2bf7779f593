// A live picture: drawn or from the camera, pushed as JPEG into a virtual room, announced by an ordinary message, watched by who likes.
//   room: 2, JPEG
import { endings, makeCard, remember } from "/cards.js";
import { $, make, toast } from "/ui.js";

const every = 100;           // ms between pictures at most
const atLeast = 1000;        // and at the least, for who comes later
const largest = 56 * 1024;   // bytes of a picture; above, with less quality
const unsent = 128 * 1024;   // waiting bytes above which pictures are left out
const kind = "live";
const colours = ["#16202b", "#0f766e", "#1d4ed8", "#b42318", "#d97706", "#ffffff"];

let own = null;              // {room, one, timer, ...} of the picture shown to others
let seen = null;             // {room, from, ...} of the picture watched
let colour = colours[0];
const cards = new Map();     // room -> {card, mine, one}

export const isLive = (message) => message.extend && message.extend.tern === kind;
export const isPublishing = () => own !== null;

function paintPanel() {
  $("live").hidden = !own && !seen;
  $("live-own").hidden = !own;
  $("live-seen").hidden = !seen;
  $("live-seen").classList.toggle("over", Boolean(seen && seen.over));
  $("go-live").disabled = Boolean(own);
  for (const [room, one] of cards) paintCard(room, one);
}

// ---- showing ----

export async function goLive(host, one) {
  if (own) return;
  own = { host, one, room: "", dirty: true, last: 0, quality: 0.8, camera: null };
  $("go-live").disabled = true;
  try {
    const room = await host.rooms().create();
    if (!own) return host.rooms().remove(room);
    own.room = room;
    host.rooms().own(room, { over: (why) => stopLive(why), back: () => { if (own) own.dirty = true; } });
    $("live-own-title").textContent = `You are live for ${host.nameOf(one.node)}`;
    clearCanvas();
    own.timer = setInterval(shoot, every);
    host.say(one, "I am live now. It can be watched in Tern's web page.", { tern: kind, room });
  } catch (problem) {
    own = null;
    toast(`Not live: ${problem.message}`);
  }
  paintPanel();
}

export function stopLive(why) {
  if (!own) return;
  const { host, room, timer } = own;
  clearInterval(timer);
  stopCamera();
  own = null;
  if (room) {
    host.rooms().remove(room);
    remember(host.me(), room, "Over.");
  }
  if (why) toast(`Your live picture ended: ${why}`);
  paintPanel();
}

// One picture if there is something new, or nobody has seen one for a second.
function shoot() {
  const now = Date.now();
  if (!own || own.busy || own.host.waiting() > unsent || !(own.camera || own.dirty || now - own.last > atLeast)) return;
  const canvas = $("live-canvas");
  if (own.camera && own.camera.video.readyState >= 2) cover(canvas, own.camera.video);
  own.busy = true;
  own.dirty = false;
  own.last = now;
  const mine = own;
  canvas.toBlob(async (blob) => {
    const bytes = blob && new Uint8Array(await blob.arrayBuffer());
    mine.busy = false;
    if (own !== mine || !bytes) return;
    if (bytes.length > largest) {
      mine.quality = Math.max(0.2, mine.quality - 0.15);
      mine.dirty = true;
    } else if (!mine.host.rooms().push(mine.room, new Uint8Array([2]), bytes)) {
      mine.dirty = true;
    }
  }, "image/jpeg", own.quality);
}

// The middle of the video fills the canvas.
function cover(canvas, video) {
  const scale = Math.max(canvas.width / video.videoWidth, canvas.height / video.videoHeight);
  const width = video.videoWidth * scale, height = video.videoHeight * scale;
  canvas.getContext("2d").drawImage(video, (canvas.width - width) / 2, (canvas.height - height) / 2, width, height);
}

function clearCanvas() {
  const canvas = $("live-canvas"), context = canvas.getContext("2d");
  context.fillStyle = "#fbfaf6";
  context.fillRect(0, 0, canvas.width, canvas.height);
  if (own) own.dirty = true;
}

async function toggleCamera() {
  if (!own) return;
  if (own.camera) return stopCamera();
  const mine = own;
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 360 } });
    const video = make("video");
    video.muted = video.playsInline = true;
    video.srcObject = stream;
    const camera = { stream, video };
    if (own !== mine) return stream.getTracks().forEach((track) => track.stop());
    mine.camera = camera;
    $("live-camera").textContent = "Draw";
    stream.getTracks().forEach((track) => track.addEventListener("ended", stopCamera));
    await video.play();
  } catch {
    stopCamera();
    toast("There is no camera, or it may not be used.");
  }
}

function stopCamera() {
  if (own && own.camera) {
    own.camera.stream.getTracks().forEach((track) => track.stop());
    own.camera = null;
    clearCanvas();
  }
  $("live-camera").textContent = "Camera";
}

function pointOf(event) {
  const canvas = $("live-canvas"), box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) * canvas.width / box.width, (event.clientY - box.top) * canvas.height / box.height];
}

function draw(event) {
  if (!own || own.camera || !own.pen) return;
  const context = $("live-canvas").getContext("2d");
  context.strokeStyle = colour;
  context.lineWidth = colour === "#ffffff" ? 28 : 5;
  context.lineCap = context.lineJoin = "round";
  context.beginPath();
  context.moveTo(...own.pen);
  context.lineTo(...(own.pen = pointOf(event)));
  context.stroke();
  own.dirty = true;
}

// ---- watching ----

async function watch(host, room, from) {
  if (seen) unwatch();
  const mine = seen = { host, room, from, waiting: null, busy: false, times: [], heard: Date.now() };
  $("live-seen-title").textContent = `${host.nameOf(from)} is live`;
  $("live-picture").hidden = true;
  $("live-note").textContent = "Connecting…";
  $("live-close").textContent = "Close";
  paintPanel();
  mine.timer = setInterval(() => paintWatch(mine), 1000);
  try {
    await host.rooms().follow(room, { frame: (bytes) => onPicture(mine, bytes), over: () => ended(mine, "The live picture is over.") }, true);
    if (seen !== mine) host.rooms().leave(room);
    else if (!mine.times.length) $("live-note").textContent = "Waiting for a picture…";
  } catch (problem) {
    if (problem.code === 4109) ended(mine, "The live picture is over.");
    else if (seen === mine) $("live-note").textContent = problem.message;
  }
}

// Only the newest picture is worth decoding.
async function onPicture(mine, bytes) {
  if (seen !== mine || bytes[0] !== 2) return;
  mine.waiting = bytes.subarray(1);
  if (mine.busy) return;
  mine.busy = true;
  while (mine.waiting && seen === mine) {
    const jpeg = mine.waiting;
    mine.waiting = null;
    try {
      const picture = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
      if (seen === mine) showPicture(mine, picture);
      picture.close();
    } catch {
      // A broken picture: the next one comes soon.
    }
  }
  mine.busy = false;
}

function showPicture(mine, picture) {
  const canvas = $("live-picture");
  if (canvas.width !== picture.width || canvas.height !== picture.height) {
    canvas.width = picture.width;
    canvas.height = picture.height;
  }
  canvas.getContext("2d").drawImage(picture, 0, 0);
  const first = canvas.hidden;
  canvas.hidden = false;
  mine.times = [...mine.times.filter((time) => Date.now() - time < 3000), Date.now()];
  if (first) paintWatch(mine);
}

function paintWatch(mine) {
  if (seen !== mine || mine.over || $("live-picture").hidden) return;
  mine.times = mine.times.filter((time) => Date.now() - time < 3000);
  const rate = Math.max(1, Math.round(mine.times.length / 3));
  $("live-note").textContent = mine.times.length ? `${rate} picture${rate > 1 ? "s" : ""} a second` : "No new picture at the moment…";
}

function ended(mine, why) {
  remember(mine.host.me(), mine.room, "Over.");
  mine.over = true;
  clearInterval(mine.timer);
  if (seen === mine) {
    $("live-seen-title").textContent = `${mine.host.nameOf(mine.from)} was live`;
    $("live-note").textContent = why;
  }
  paintPanel();
}

function unwatch() {
  if (!seen) return;
  clearInterval(seen.timer);
  if (!seen.over) seen.host.rooms().leave(seen.room);
  seen = null;
  paintPanel();
}

// ---- in the conversation ----

function paintCard(room, { card, host, mine, from }) {
  const over = endings(host.me())[room];
  const here = own && own.room === room;
  const watched = seen && seen.room === room && !seen.over;
  card.say(over || (here ? "You are live." : watched ? "You are watching." : mine ? "Live from another window." : ""), over ? "over" : "going");
  card.buttons(over ? [] : here ? [["Stop", "quiet danger", () => stopLive()]] : watched || mine ? [] : [["Watch", "primary", () => watch(host, room, from)]]);
}

export function liveCard(host, message) {
  const room = message.extend.room;
  if (!/^[0-9A-Za-z]{1,64}$/.test(room || "")) return null;
  if (!cards.has(room)) {
    cards.set(room, { card: makeCard("●", "Live picture"), host, mine: message.mine, from: message.author || message.peer });
    cards.get(room).card.element.classList.add("live-card");
    paintCard(room, cards.get(room));
  }
  return cards.get(room).card.element;
}

export function leaveLive() {
  stopLive();
  unwatch();
  cards.clear();
}

export function dropLive(room) { if (own && own.room === room) stopLive(); }

function wire() {
  const canvas = $("live-canvas");
  canvas.addEventListener("pointerdown", (event) => {
    if (!own) return;
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    own.pen = pointOf(event);
    draw(event);
  });
  canvas.addEventListener("pointermove", draw);
  for (const kindOfEnd of ["pointerup", "pointercancel"]) canvas.addEventListener(kindOfEnd, () => { if (own) own.pen = null; });
  $("live-colours").append(...colours.map((its, at) => {
    const button = make("button", `swatch c${at}`);
    button.type = "button";
    button.title = ["Black", "Green", "Blue", "Red", "Orange", "Rubber"][at];
    button.setAttribute("aria-label", button.title);
    button.setAttribute("aria-pressed", String(at === 0));
    button.addEventListener("click", () => {
      colour = its;
      for (const other of $("live-colours").children) other.setAttribute("aria-pressed", String(other === button));
    });
    return button;
  }));
  $("live-clear").addEventListener("click", clearCanvas);
  $("live-camera").hidden = !navigator.mediaDevices;
  $("live-camera").addEventListener("click", toggleCamera);
  $("live-stop").addEventListener("click", () => stopLive());
  $("live-close").addEventListener("click", unwatch);
}
wire();

// Small things without a state: texts, elements, times.
export const $ = (id) => document.getElementById(id);

const wording = {
  4101: "This name is taken, or you are in already.", 4102: "Wrong name or password.", 4104: "That cannot be right. Check it and try again.",
  4105: "Not allowed.", 4106: "There is no such address.", 4107: "The server does not offer this.",
  4108: "This room is closed.", 4109: "There is no such room.", 4110: "You cannot reach this contact.", 4111: "Too many devices are signed in.", 4115: "The login has expired.",
  4117: "Already done.", 5103: "The server could not store it. Try again.", 5104: "The server is busy. Try again soon.",
  5105: "Too fast. Wait a moment.",
};
export const explain = (error) => (error && (wording[error.code] || error.info)) || "Something went wrong.";

export function toast(text) {
  const element = document.createElement("div");
  element.className = "toast";
  element.textContent = text;
  $("toasts").append(element);
  while ($("toasts").children.length > 3) $("toasts").firstChild.remove();
  setTimeout(() => element.remove(), 3500);
}

export function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

export const clockTime = (ms) => new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
export function dayOf(ms) {
  const date = new Date(ms);
  if (date.toDateString() === new Date().toDateString()) return "Today";
  return date.toLocaleDateString([], { weekday: "short", day: "numeric", month: "long" });
}
export const randomId = () => {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2));
  return (high & 0x1fffff) * 0x100000000 + low + 1;
};

const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
export function bytesOf(count) {
  const step = count < 1024 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(count) / 10));
  return `${(count / 1024 ** step).toLocaleString([], { maximumFractionDigits: step > 0 ? 1 : 0 })} ${units[step]}`;
}

// A text field as high as its text.
export function grow(field) {
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight}px`;
}

// Who sees the end of a box goes on seeing it when its content grows or it gets less room. Returns what scrolls there.
export function keepAtEnd(box, content) {
  let atEnd = true;
  let measured = "";         // heights for which that was seen
  const toEnd = () => {
    atEnd = true;
    box.scrollTop = box.scrollHeight;
  };
  const heights = () => `${box.clientHeight} ${box.scrollHeight}`;
  box.addEventListener("scroll", () => {
    if (heights() === measured) atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 80;
  });
  const observer = new ResizeObserver(() => {
    if (atEnd) toEnd();
    measured = heights();
  });
  observer.observe(box);
  observer.observe(content);
  return toEnd;
}

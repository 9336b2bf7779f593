// What a message that carries more than text looks like, and how it ended: known again after a reload.
import { make } from "/ui.js";

const kept = 200;            // endings that are remembered
const key = (me) => `tern.ended.${me}`;

export const endings = (me) => JSON.parse(localStorage.getItem(key(me)) || "{}");
export function remember(me, room, text) {
  const all = Object.entries({ ...endings(me), [room]: text }).slice(-kept);
  localStorage.setItem(key(me), JSON.stringify(Object.fromEntries(all)));
}

// -> {element, say(text, state), bar(part 0..1 or null), buttons(list of [text, look, action])}
export function makeCard(mark, title, size) {
  const element = make("div", "card-in");
  element.setAttribute("aria-live", "off");
  const head = make("div", "card-head");
  const sign = make("span", "card-mark", mark);
  sign.setAttribute("aria-hidden", "true");
  const text = make("span", "card-text");
  text.append(make("strong", "", title));
  if (size) text.append(make("span", "muted", size));
  head.append(sign, text);
  const bar = make("progress");
  bar.max = 1;
  bar.setAttribute("aria-label", `Progress of ${title}`);
  const line = make("p", "card-line");
  const row = make("div", "row");
  element.append(head, bar, line, row);
  bar.hidden = line.hidden = row.hidden = true;
  return {
    element,
    say(words, state) {
      line.textContent = words;
      line.hidden = !words;
      element.dataset.state = state;
    },
    bar(part) {
      bar.hidden = part === null;
      if (part !== null) bar.value = part;
    },
    note(words) {
      element.querySelector(".card-note")?.remove();
      if (words) line.after(make("code", "card-note", words));
    },
    buttons(list) {
      row.replaceChildren(...list.map(([words, look, action]) => {
        const button = make("button", look, words);
        button.type = "button";
        button.addEventListener("click", action);
        return button;
      }));
      row.hidden = list.length === 0;
    },
  };
}

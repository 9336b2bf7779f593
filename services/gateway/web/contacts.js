// Who there is: friends, rooms, and what this browser calls them.
export const contacts = new Map();  // node -> contact
let owner = "";              // whose contacts they are

export function ownContacts(node) {
  if (node !== owner) contacts.clear();
  owner = node;
}

export function contact(node) {
  if (!contacts.has(node)) {
    contacts.set(node, {
      node, friend: false, blocked: false, messages: new Map(), pending: [], unread: 0, complete: false, asked: false, last: 0,
      room: false, topic: "", online: false,
    });
  }
  return contacts.get(node);
}

const namesKey = () => `tern.names.${owner}`;
export const names = () => JSON.parse(localStorage.getItem(namesKey()) || "{}");
export const nameOf = (node) => names()[node] || (contacts.has(node) && contacts.get(node).topic) || `${node.slice(0, 4)}…${node.slice(-3)}`;

export function setName(node, name) {
  const all = names();
  if (name) all[node] = name; else delete all[node];
  localStorage.setItem(namesKey(), JSON.stringify(all));
}

export function paintAvatar(element, node, text) {
  let hash = 0;
  for (const letter of node) hash = (hash * 31 + letter.codePointAt(0)) >>> 0;
  const one = contacts.get(node);
  element.className = `avatar h${hash % 8}${one && one.room ? " room" : ""}${one && one.online ? " on" : ""}`;
  element.title = one && one.online ? "Online" : "";
  element.textContent = ([...text][0] || "?").toUpperCase();
}

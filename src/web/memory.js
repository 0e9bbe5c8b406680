// @ts-check
// What the page remembers in this browser: who you are, how far you have read, what you have begun to write, and what you
// have sent that nobody has confirmed yet. Where the browser forbids it, it lasts as long as the page.

/**
 * A message of yours that is not confirmed: under way; given up for now, so that nobody knows whether it arrived; or refused.
 * @typedef {object} Unsent
 * @property {string} key The idempotency key: however often it is sent, it becomes one message.
 * @property {string} room
 * @property {string} author
 * @property {string} body
 * @property {string} after The newest message you could see when you wrote it.
 * @property {number} at When you wrote it, in milliseconds since 1970.
 * @property {"sending" | "late" | "refused"} state
 * @property {string} [failure] Why it is late or refused, for its writer.
 */

export class Memory {
  #scope;
  /** @type {Map<string, string>} */
  #values = new Map();

  /** @param {URL} base Servers under other paths of this host have memories of their own. */
  constructor(base) {
    this.#scope = `linger ${base.pathname} `;
  }

  get name() {
    return this.#get("name");
  }
  set name(name) {
    this.#set("name", name);
  }

  /** What a server that asks for it is shown; "" where there is none. */
  get token() {
    return this.#get("token");
  }
  set token(token) {
    this.#set("token", token);
  }

  /** Forgets everything. */
  forget() {
    for (const name of this.#names()) this.#set(name, "");
  }

  /** @param {string} room */
  draft(room) {
    return this.#get(`draft ${room}`);
  }
  /** @param {string} room @param {string} text */
  keepDraft(room, text) {
    this.#set(`draft ${room}`, text);
  }

  /** The id of the last message that was read; "" for a room that was never looked at. @param {string} room */
  lastRead(room) {
    return this.#get(`read ${room}`);
  }
  /** @param {string} room @param {string} id */
  markRead(room, id) {
    if (id > this.lastRead(room)) this.#set(`read ${room}`, id);
  }

  /** Whether this is somebody's first visit. */
  get isNew() {
    return this.#names().every((name) => !name.startsWith("read "));
  }

  /** What was still on its way when the page was closed, oldest first. @returns {Unsent[]} */
  unsent() {
    return this.#names().filter((name) => name.startsWith("unsent "))
      .map((name) => JSON.parse(this.#get(name)))
      .sort((a, b) => a.at - b.at);
  }
  /** @param {Unsent} item */
  keepUnsent(item) {
    this.#set(`unsent ${item.key}`, JSON.stringify(item));
  }
  /** @param {Unsent} item */
  forgetUnsent(item) {
    this.#set(`unsent ${item.key}`, "");
  }

  /** @param {string} name @returns {string} */
  #get(name) {
    try {
      return localStorage.getItem(this.#scope + name) ?? "";
    } catch {
      return this.#values.get(name) ?? "";
    }
  }

  /** @param {string} name @param {string} value */
  #set(name, value) {
    if (value) this.#values.set(name, value);
    else this.#values.delete(name);
    try {
      if (value) localStorage.setItem(this.#scope + name, value);
      else localStorage.removeItem(this.#scope + name);
    } catch { /* forbidden, or full */ }
  }

  #names() {
    try {
      return Object.keys(localStorage).filter((key) => key.startsWith(this.#scope))
        .map((key) => key.slice(this.#scope.length));
    } catch {
      return [...this.#values.keys()];
    }
  }
}

// @ts-check
// What the page remembers in this browser: who you are, how far you have read, what speaks of you, what you have begun to write,
// to answer or to edit, what you have sent that nobody has confirmed yet, and the keys of what you have said. Where the browser forbids it,
// or has no room left, it lasts as long as the page.
import { format, hasPart, joined, NONE, parse } from "./draft.js";

/** @import { Draft } from "./draft.js" */

/** Of so many messages that you have sent the keys are kept: the newest ones. */
const MESSAGE_KEYS = 500;
/** Of so many messages it is kept what you have begun to make of them: those that you wrote at last. */
const EDITS = 10;

/**
 * A message of yours that is not confirmed: under way; given up for now, so that nobody knows whether it arrived; or refused.
 * @typedef {object} Unsent
 * @property {string} key The idempotency key: however often it is sent, it becomes one message.
 * @property {string} [messageKey] With which it can be changed later; kept from before there were any, it has none.
 * @property {string} room
 * @property {string} author
 * @property {string} body
 * @property {string} [replyTo] The id of the message that it answers.
 * @property {string} after The newest message you could see when you wrote it.
 * @property {boolean} [unread] Whether its room was still to be read then, so that there can be newer ones that you could not see.
 * @property {number} at When you wrote it, in milliseconds since 1970.
 * @property {"sending" | "late" | "refused"} state
 * @property {string} [failure] Why it is late or refused, for its writer.
 * @property {string} [id] What it has become, which is all that is missing to forget it.
 */

/**
 * What you want of a room: it is among yours; it counts for nothing; each of its messages is told; it is no more yours.
 * @typedef {"open" | "muted" | "loud" | "left"} Choice
 */

export class Memory {
  #scope;
  /** What could not be stored: it is newer than what is. "" is what was forgotten. @type {Map<string, string>} */
  #unstored = new Map();
  #closed = false;

  /** @param {URL} base Servers under other paths of this host have memories of their own. */
  constructor(base) {
    this.#scope = `linger ${base.pathname} `;
    addEventListener("storage", ({ key, newValue }) => {
      if (!key?.startsWith(this.#scope)) return;
      const name = key.slice(this.#scope.length);
      // Another window has set it, and could. Only how far one has read never goes back.
      if (!name.startsWith("read ") || (newValue ?? "") >= this.#get(name)) this.#unstored.delete(name);
    });
  }

  /** Whether something lasts only as long as this page, since the browser does not keep it. */
  get isFull() {
    return this.#unstored.size > 0;
  }

  get name() {
    return this.#get("name");
  }
  set name(name) {
    const before = this.name;
    if (before && before !== name) this.#set(`called ${before}`, "yes");
    this.#set("name", name);
  }
  /** Whether you have a name, or had it before in this browser. @param {string} name */
  wasCalled(name) {
    return name === this.name || this.#get(`called ${name}`) !== "";
  }

  /** What a server that asks for it is shown; "" where there is none. */
  get token() {
    return this.#get("token");
  }
  set token(token) {
    this.#set("token", token);
  }

  /** Whether the token outlasts this page. */
  get keepsToken() {
    return !this.#unstored.has("token");
  }

  /** Keeps nothing more: this page is about to go, and the next one is somebody else's. */
  close() {
    this.#closed = true;
  }

  /** Forgets everything, but for who you are from now on: other windows are told that first. @param {string} [token] */
  forget(token = "") {
    this.token = token;
    for (const name of this.#names()) if (name !== "token") this.#set(name, "");
  }

  /** What was begun in a room: what was written last, and what was left there by windows that are gone. @param {string} room */
  draft(room) {
    return this.#withLeft(room, this.#get(`draft ${room}`));
  }
  /**
   * Keeps what is written in a window: one draft for all that are open, each of which has its own words in its field.
   * @param {string} room @param {Draft} draft @param {string} [seen] What it showed before one wrote there, and now has this in its place.
   */
  keepDraft(room, draft, seen = "") {
    if (seen) this.#takeLeft(room, seen); // first: who hears of the draft then finds it once
    this.#set(`draft ${room}`, format(draft));
  }
  /** Forgets what was sent, and not what another window has written since. @param {string} room @param {string} text */
  forgetDraft(room, text) {
    this.#takeLeft(room, text);
    const name = `draft ${room}`;
    const kept = this.#get(name);
    if (!hasPart(text, parse(kept).text)) return;
    // What the storage has lost goes there without a word: for other windows that show it to hear of it, it is kept once more.
    if (!kept) this.#set(name, text);
    this.#set(name, "");
  }
  /** Keeps the words of a window that goes. No other has them in its field, so they are not to be where another puts its own. @param {string} room @param {Draft} draft */
  leaveDraft(room, draft) {
    this.#set(`left ${room} ${Date.now()} ${Math.random()}`, format(draft));
  }
  /** Calls `changed` as {@linkcode watch} does, but with what {@linkcode draft} gives. @param {(room: string, draft: Draft, before: Draft) => void} changed */
  watchDrafts(changed) {
    this.watch("draft ", (room, value, before) => changed(room, this.#withLeft(room, value), parse(before)));
    this.watch("left ", (name) => {
      const [room = ""] = name.split(" ");
      changed(room, this.draft(room), NONE);
    });
  }
  /** @param {string} room @param {string} draft */
  #withLeft(room, draft) {
    return this.#left(room).map((name) => parse(this.#get(name))).reduce(joined, parse(draft));
  }
  /** Forgets what was left in a room and is in these words. @param {string} room @param {string} text */
  #takeLeft(room, text) {
    for (const name of this.#left(room)) if (hasPart(text, parse(this.#get(name)).text)) this.#set(name, "");
  }
  /** The names of what was left in a room, oldest first. @param {string} room */
  #left(room) {
    return this.#names(`left ${room} `).sort();
  }

  /** What you have begun to make of a message, and neither saved nor put aside; it can be empty. @param {string} id @returns {string | undefined} */
  edit(id) {
    return this.#parsed(`edit ${id}`)?.text;
  }
  /** @param {string} id @param {string} text */
  keepEdit(id, text) {
    const name = `edit ${id}`;
    const others = this.#names("edit ").filter((other) => other !== name)
      .map((name) => ({ name, at: this.#parsed(name)?.at ?? 0 }))
      .sort((a, b) => a.at - b.at);
    for (const { name } of others.slice(0, 1 - EDITS)) this.#set(name, "");
    // Later than all others, whatever the clock says: it is the last to go.
    const at = Math.max(Date.now(), ...others.map(({ at }) => at + 1));
    this.#set(name, JSON.stringify({ at, text }));
  }
  /** @param {string} id */
  forgetEdit(id) {
    this.#set(`edit ${id}`, "");
  }

  /** The id of the last message that was read; "" for a room that was never looked at. @param {string} room */
  lastRead(room) {
    return this.#get(`read ${room}`);
  }
  /** @param {string} room @param {string} id */
  markRead(room, id) {
    if (id > this.lastRead(room)) this.#set(`read ${room}`, id);
  }

  /** Up to where a window has looked at a room that was not open; "" for nowhere. @param {string} room */
  glanced(room) {
    return this.#get(`glanced ${room}`);
  }
  /** @param {string} room @param {string} id */
  keepGlanced(room, id) {
    this.#set(`glanced ${room}`, id);
  }

  /** The ids of your own messages among what you have not read in a room, as far as a window has looked. @param {string} room */
  own(room) {
    return this.#get(`own ${room}`).split(" ").filter(Boolean);
  }
  /** Keeps more of them, and none that stands before what you have read. @param {string} room @param {string[]} ids */
  keepOwn(room, ids) {
    const own = new Set([...this.own(room), ...ids].filter((id) => id > this.lastRead(room)));
    this.#set(`own ${room}`, [...own].join(" "));
  }

  /** The id of the newest message in a room that speaks of you; "" for none. @param {string} room */
  mention(room) {
    return this.#get(`mention ${room}`);
  }
  /** @param {string} room @param {string} id */
  keepMention(room, id) {
    if (id > this.mention(room)) this.#set(`mention ${room}`, id);
  }
  /** None up to this one speaks of you any more. @param {string} room @param {string} id */
  forgetMention(room, id) {
    if (this.mention(room) <= id) this.#set(`mention ${room}`, "");
  }

  /** What you have chosen for a room; "" where nothing is known of it. @param {string} room @returns {Choice | ""} */
  choice(room) {
    const choice = /** @type {Choice | ""} */ (this.#get(`room ${room}`));
    return choice || (this.lastRead(room) ? "open" : ""); // this page used to know only what was read
  }
  /** @param {string} room @param {Choice} choice */
  choose(room, choice) {
    this.#set(`room ${room}`, choice);
  }
  /** The rooms that you have opened and not left. */
  rooms() {
    const named = this.#names().filter((name) => /^(room|read) /.test(name)).map((name) => name.slice(5));
    return [...new Set(named)].filter((room) => this.choice(room) !== "left");
  }

  /** The id of a room's last message that was told on the desktop. @param {string} room */
  told(room) {
    return this.#get(`told ${room}`);
  }
  /** @param {string} room @param {string} id */
  keepTold(room, id) {
    this.#set(`told ${room}`, id);
  }

  /** What no server has confirmed yet, oldest first. @returns {Unsent[]} */
  unsent() {
    return this.#names("unsent ")
      .map((name) => this.#parsed(name, unsentIn))
      .filter((item) => item && !item.id)
      .sort((a, b) => a.at - b.at);
  }
  /** Whether it is one of these still: another window says so in the storage before this one hears of it. @param {Unsent} item */
  isUnsent({ key }) {
    const kept = this.#parsed(`unsent ${key}`, unsentIn);
    return kept !== undefined && !kept.id;
  }
  /** @param {Unsent} item */
  keepUnsent(item) {
    this.#set(`unsent ${item.key}`, JSON.stringify(item));
  }
  /** @param {Unsent} item */
  forgetUnsent(item) {
    this.#set(`unsent ${item.key}`, "");
  }
  /** Calls `changed` as {@linkcode watch} does, with the item; undefined where it was forgotten. @param {(key: string, item: Unsent | undefined) => void} changed */
  watchUnsent(changed) {
    this.watch("unsent ", (key, value) => changed(key, unsentIn(value)));
  }

  /**
   * Calls `changed` when another window sets or forgets what has this name, or a longer one: with the rest of its name, what it is and what it was.
   * @param {string} name @param {(rest: string, value: string, before: string) => void} changed
   */
  watch(name, changed) {
    const key = this.#scope + name;
    addEventListener("storage", (event) => {
      if (!event.key?.startsWith(key)) return;
      changed(event.key.slice(key.length), event.newValue ?? "", event.oldValue ?? "");
    });
  }

  /** With what a message of one's own can be changed; undefined where it is not known. @param {string} id */
  messageKey(id) {
    return this.#get(`key ${id}`) || undefined;
  }
  /** @param {string} id @param {string} key */
  keepMessageKey(id, key) {
    this.#set(`key ${id}`, key);
    // Ids begin with their time, so these stand in the order in which they were posted.
    const kept = this.#names("key ").sort();
    for (const name of kept.slice(0, -MESSAGE_KEYS)) this.#set(name, "");
  }

  /** @param {string} name @returns {string} */
  #get(name) {
    return this.#unstored.get(name) ?? this.#stored(name);
  }

  /**
   * What is kept as JSON; undefined where there is nothing. What can't be read is forgotten: it would stand in the way with each visit.
   * @param {string} name @param {(kept: string) => any} [read]
   */
  #parsed(name, read = objectIn) {
    const kept = this.#get(name);
    if (!kept) return undefined;
    const parsed = read(kept);
    if (parsed === undefined) this.#set(name, "");
    return parsed;
  }

  /** @param {string} name */
  #stored(name) {
    try {
      return localStorage.getItem(this.#scope + name) ?? "";
    } catch {
      return ""; // forbidden
    }
  }

  /** @param {string} name @param {string} value */
  #set(name, value) {
    if (this.#closed) return;
    this.#unstored.set(name, value);
    // There may be room again for what was set before.
    for (const [name, value] of this.#unstored) {
      try {
        if (value) localStorage.setItem(this.#scope + name, value);
        else localStorage.removeItem(this.#scope + name);
        this.#unstored.delete(name);
      } catch { /* forbidden, or full */ }
    }
  }

  /** The names that begin so, of what is there. @param {string} [beginning] */
  #names(beginning = "") {
    const names = new Set(this.#unstored.keys());
    try {
      for (const key of Object.keys(localStorage)) {
        if (key.startsWith(this.#scope)) names.add(key.slice(this.#scope.length));
      }
    } catch { /* forbidden */ }
    return [...names].filter((name) => name.startsWith(beginning) && this.#get(name));
  }
}

/** What is written as JSON; undefined where that is no object. @param {string} kept */
function objectIn(kept) {
  try {
    const parsed = JSON.parse(kept);
    if (parsed instanceof Object) return parsed;
  } catch { /* not written by this page */ }
  return undefined;
}

/** @param {string} kept @returns {Unsent | undefined} */
function unsentIn(kept) {
  const item = objectIn(kept);
  return typeof item?.room === "string" ? item : undefined;
}

// @ts-check
// Which rooms there are, newest first, and how much of each is unread. A message's id carries its number in its room, so
// the unread ones are counted by subtracting: no question to the server, however many they are.
import { messageNumber } from "../client/client.ts";

/** @import { Linger } from "../client/client.ts" */
/** @import { Memory } from "./memory.js" */

/** How often the list is asked for while somebody looks, in milliseconds. */
const LOOK_MS = 10_000;

/** The same while nobody looks: only the number in the title changes. */
const LOOK_HIDDEN_MS = 60_000;

/**
 * @typedef {object} RoomEntry
 * @property {string} room
 * @property {string} newest "" when nobody has written to it.
 * @property {number} unread
 */

export class Rooms {
  #linger;
  #memory;
  #changed;
  /** The newest id of each room. @type {Map<string, string>} */
  #newest = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #looking = new AbortController();
  #isFirstVisit;

  /** @param {Linger} linger @param {Memory} memory @param {() => void} changed */
  constructor(linger, memory, changed) {
    this.#linger = linger;
    this.#memory = memory;
    this.#changed = changed;
    this.#isFirstVisit = memory.isNew;
    document.addEventListener("visibilitychange", () => this.look());
    addEventListener("online", () => this.look());
    addEventListener("storage", () => changed()); // another window of this page has read something
  }

  /** Asks for the list, now and then again and again. */
  async look() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.look(), document.hidden ? LOOK_HIDDEN_MS : LOOK_MS);
    this.#looking.abort(); // it would go on until there is an answer
    this.#looking = new AbortController();
    const rooms = await this.#linger.rooms(this.#looking).catch(() => []);
    // Who is here for the first time has missed nothing.
    for (const { room, newest } of this.#isFirstVisit ? rooms : []) this.#memory.markRead(room, newest);
    if (rooms.length > 0) this.#isFirstVisit = false;
    for (const { room, newest } of rooms) this.saw(room, newest);
    this.#changed();
  }

  /** Takes note of a room's newest message. @param {string} room @param {string} id */
  saw(room, id) {
    if (id > (this.#newest.get(room) ?? "")) this.#newest.set(room, id);
  }

  /** All rooms, and `current` among them though it may not exist yet. @param {string} current @returns {RoomEntry[]} */
  list(current) {
    const all = new Map([[current, ""], ...this.#newest]);
    return [...all].map(([room, newest]) => ({ room, newest, unread: this.#unread(room, newest) }))
      .sort((a, b) => a.newest < b.newest ? 1 : a.newest > b.newest ? -1 : 0);
  }

  /** @param {string} room @param {string} newest */
  #unread(room, newest) {
    const read = this.#memory.lastRead(room);
    return newest ? Math.max(0, messageNumber(newest) - (read ? messageNumber(read) : 0)) : 0;
  }
}

/** Whether a room can be called that. @param {string} name */
export function isRoomName(name) {
  return /^(?!\.{1,2}$)[A-Za-z0-9._~-]{1,64}$/.test(name);
}

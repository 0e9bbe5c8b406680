// @ts-check
// The rooms that are yours, those you have opened, and how much of each is unread. A message's id carries its number in its room, so
// the unread ones are counted by subtracting: no question to the server, however many they are. Whether they speak of you has to be
// asked; one window does that for all, and remembers what it saw.
import { messageNumber } from "../client/client.ts";
import { mentions } from "./mentions.js";
import { canBe } from "./outbox.js";
import { isOwn } from "./own.js";
import { messagesBetween, unreadCount } from "./unread.js";

/** @import { Deletion, Linger, Message } from "../client/client.ts" */
/** @import { Lease } from "./lease.js" */
/** @import { Memory, Choice, Unsent } from "./memory.js" */
/** @import { Session } from "./session.js" */

/** How often the list is asked for while somebody looks, in milliseconds: about as often as a server makes a new one. */
const LOOK_MS = 3_000;

/** The same while nobody looks: only the number in the title changes, and notifications. */
const LOOK_HIDDEN_MS = 15_000;

/** The longest that an answer is waited for, in milliseconds, before it is asked for anew: as long as the client waits for it. */
const PATIENCE_MS = 20_000;

/** So many rooms are a full list, from which a server leaves older rooms out. */
export const FULL_LIST = 100;

/** The most that is read of a room that is not open, to see who wrote: more are only counted. */
const GLANCE = 20;

/** How often a room with something unread is looked at again, in milliseconds: some of that may have been deleted, or changed. */
const AGAIN_MS = 60_000;

/** What the list shows of what another window keeps, by how its names begin. Much else is kept, each second, by windows that wait. */
const SHOWN = ["read ", "glanced ", "own ", "mention ", "room ", "unsent "];

/**
 * @typedef {object} RoomEntry
 * @property {string} room
 * @property {number} unread
 * @property {boolean} mentioned Whether what is unread speaks of you.
 * @property {Choice} choice
 * @property {boolean} unsent Whether it has words of yours that are not sent.
 */

/**
 * A look into a room that is not open.
 * @typedef {object} Look
 * @property {string} room
 * @property {Message[]} unread What is unread there.
 * @property {string} from What is missing from here on is gone.
 * @property {string} to Up to here.
 */

export class Rooms {
  #linger;
  #memory;
  #session;
  #lease;
  #changed;
  #news;
  #current = "";
  /** Whether something that another window has done is about to be shown. */
  #heard = false;
  /** The newest id of each room. @type {Map<string, string>} */
  #newest = new Map();
  /** Rooms that no list named, and that have answered. @type {Set<string>} */
  #asked = new Set();
  /** When each room was last asked for here. @type {Map<string, number>} */
  #tried = new Map();
  /** When each room was last looked into here. @type {Map<string, number>} */
  #glanced = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #looking = new AbortController();
  /** How long the list is waited for, in milliseconds; after it, so long for what is looked at in the rooms. */
  #patience = LOOK_MS;

  /**
   * @param {Linger} linger @param {Memory} memory @param {Session} session
   * @param {Lease} lease Which window looks at rooms that are not open: the one that asks for the list, too.
   * @param {() => void} changed
   * @param {(messages: Message[], look: Look) => void} news Is given what others have written in a room of yours that is not open.
   */
  constructor(linger, memory, session, lease, changed, news) {
    this.#linger = linger;
    this.#memory = memory;
    this.#session = session;
    this.#lease = lease;
    this.#changed = changed;
    this.#news = news;
    document.addEventListener("visibilitychange", () => this.look());
    addEventListener("online", () => this.look());
    for (const name of SHOWN) memory.watch(name, () => this.#hear());
    addEventListener("storage", ({ key }) => key === null && this.#hear()); // all of it is gone
  }

  /** Makes a room yours by opening it. @param {string} room */
  open(room) {
    this.#current = room;
    if (["", "left"].includes(this.#memory.choice(room))) this.#memory.choose(room, "open");
  }

  /** Another window has read, seen or sent something: what comes at once is shown at once. */
  #hear() {
    if (this.#heard) return;
    this.#heard = true;
    setTimeout(() => {
      this.#heard = false;
      this.#changed();
    });
  }

  /** Asks for the list, now and then again and again. */
  async look() {
    clearTimeout(this.#timer);
    this.#looking.abort(); // it would go on until there is an answer
    const { signal } = this.#looking = new AbortController();
    const began = performance.now();
    this.#timer = setTimeout(() => {
      this.#patience = Math.min(2 * this.#patience, PATIENCE_MS); // the way may be slow
      this.look();
    }, this.#patience);
    const listed = await this.#linger.rooms({ signal }).catch(() => undefined);
    if (!signal.aborted) {
      clearTimeout(this.#timer);
      this.#patience = Math.min(Math.max(LOOK_MS, 2 * (performance.now() - began)), PATIENCE_MS);
      const pause = document.hidden ? LOOK_HIDDEN_MS : LOOK_MS;
      this.#timer = setTimeout(() => this.look(), Math.max(pause, this.#patience));
    }
    for (const { room, newest } of listed ?? []) this.saw(room, newest);
    this.#changed();
    if (!listed || !this.#lease.take()) return;
    this.#lookBeyond(new Set(listed.map(({ room }) => room)), signal);
    this.#lookAround(signal);
  }

  /** Takes note of a room's newest message. @param {string} room @param {string} id */
  saw(room, id) {
    if (id > (this.#newest.get(room) ?? "")) this.#newest.set(room, id);
  }

  /** Takes note of messages that speak of you; returns whether any does. @param {string} room @param {Message[]} messages */
  heard(room, messages) {
    const said = messages.findLast((message) => !this.#isOwn(message) && mentions(message.body, this.#memory.name));
    if (said) this.#memory.keepMention(room, said.id);
    return said !== undefined;
  }

  /**
   * Takes note of what a message of the open room has become: it may speak of you no more.
   * @param {Message | Deletion} news @param {Message[]} unread What is unread there, as far as it is shown.
   */
  became(news, unread) {
    const { id, room } = news;
    if (id !== this.#memory.mention(room)) return;
    this.#memory.forgetMention(room, id);
    this.heard(room, [...unread.filter((message) => message.id < id), ..."deleted" in news ? [] : [news]]);
  }

  /**
   * Your rooms, by name: an order in which nothing jumps.
   * @param {number} [here] How many are unread in the open one, where that is known.
   * @returns {RoomEntry[]}
   */
  list(here) {
    const unsent = new Set(this.#memory.unsent().map(({ room }) => room));
    const mine = new Set([this.#current, ...unsent, ...this.#memory.rooms()]);
    return [...mine].filter(Boolean).sort((a, b) => a.localeCompare(b)).map((room) => ({
      room,
      unread: room === this.#current && here !== undefined ? here : this.#unread(room),
      mentioned: this.#memory.mention(room) > this.#memory.lastRead(room),
      choice: this.#memory.choice(room) || "open",
      unsent: unsent.has(room),
    }));
  }

  /**
   * Looks at one of your rooms that the list does not name. Most are empty or not open to you, so each is asked for once; but while the list
   * is full, again and again in turn.
   * @param {Set<string>} listed @param {AbortSignal} signal
   */
  async #lookBeyond(listed, signal) {
    const known = listed.size >= FULL_LIST ? listed : listed.union(this.#asked);
    const beyond = this.#memory.rooms().filter((room) => room !== this.#current && !known.has(room));
    const [room] = beyond.sort((a, b) => this.#inTurn(a, b));
    if (!room) return;
    this.#tried.set(room, performance.now());
    const history = this.#linger.room(room).history({ before: "now", limit: 1, signal });
    const { messages: [last] } = await history.catch(() => ({ messages: [] })); // it is not open to you
    if (signal.aborted) return;
    this.#asked.add(room);
    if (last) this.saw(room, last.id);
    else {
      this.#newest.delete(room);
      this.#memory.keepGlanced(room, ""); // what was seen there counts no more
    }
    this.#changed();
  }

  /**
   * Looks at what is unread in your rooms, and at one of those that it looked at long ago; one that refuses, or does not answer, takes nothing
   * from the others. @param {AbortSignal} signal
   */
  async #lookAround(signal) {
    const rooms = this.list().filter(({ room, choice, unread }) =>
      unread > 0 && choice !== "muted" && room !== this.#current
    ).sort((a, b) => this.#inTurn(a.room, b.room));
    const again = rooms.find(({ room }) => performance.now() - (this.#glanced.get(room) ?? 0) >= AGAIN_MS);
    for (const entry of rooms) {
      if (signal.aborted) return;
      if (entry !== again && this.#newestOf(entry.room) <= this.#memory.glanced(entry.room)) continue;
      await this.#glance(entry, signal).catch(() => {}); // a later look does it
    }
  }

  /** Sorts rooms: first which was not asked for, or longest ago. @param {string} a @param {string} b */
  #inTurn(a, b) {
    return (this.#tried.get(a) ?? 0) - (this.#tried.get(b) ?? 0);
  }

  /**
   * Looks at what is unread: who has written there himself, on another device, has read what stands before it. What this browser has sent
   * says nothing of that: it may have waited for the network, and stand behind what others wrote meanwhile.
   * @param {RoomEntry} entry @param {AbortSignal} signal
   */
  async #glance({ room }, signal) {
    const newest = this.#newestOf(room);
    const until = this.#memory.glanced(room);
    this.#tried.set(room, performance.now());
    this.#glanced.set(room, performance.now());
    const count = messagesBetween(this.#memory.lastRead(room), newest) ?? GLANCE;
    const limit = Math.min(count + 1, GLANCE); // one more, to see whether some are missing
    const { messages, more } = await this.#linger.room(room).history({ before: "now", limit, signal });
    const last = messages.at(-1)?.id ?? "";
    const to = last > newest ? last : newest; // which may have been deleted
    this.#memory.keepGlanced(room, to);
    const mine = messages.findLast((message) => this.#isOwn(message) && !this.#isFromHere(message));
    if (mine) this.#memory.markRead(room, mine.id);
    const read = this.#memory.lastRead(room);
    const unread = messages.filter((message) => message.id > read);
    const left = unread.filter((message) => !this.#isOwn(message));
    this.#memory.keepOwn(room, unread.filter((message) => this.#isOwn(message)).map(({ id }) => id));
    // What was deleted, or removed since it was old, is counted no more, but for what is missing between those that are left; and what has
    // a number that was there before is counted.
    const isAll = !more || (messages[0]?.id ?? "") <= read;
    if (isAll && left.length !== this.#unread(room)) {
      this.#memory.markRead(room, left[0] ? justBefore(left[0].id) : newest);
    }
    if (!this.heard(room, left) && isAll) this.#memory.forgetMention(room, newest);
    this.#news(left.filter(({ id }) => id > until), {
      room,
      unread: left,
      from: isAll ? "" : messages[0]?.id ?? "",
      to,
    });
    this.#changed();
  }

  /** @param {Message} message */
  #isOwn(message) {
    return isOwn(message, this.#session.me);
  }

  /** Whether this browser has sent a message of one's own; also where it has not had the answer yet. @param {Message} message */
  #isFromHere(message) {
    const isIt = (/** @type {Unsent} */ item) => item.room === message.room && canBe(message, item, this.#session.me);
    return this.#memory.messageKey(message.id) !== undefined || this.#memory.unsent().some(isIt);
  }

  /** The newest id of a room that this window knows of, or another has seen; "" for none. @param {string} room */
  #newestOf(room) {
    return this.#newest.get(room) ?? this.#memory.glanced(room);
  }

  /** @param {string} room */
  #unread(room) {
    return unreadCount(this.#memory.lastRead(room), this.#newestOf(room), this.#memory.own(room));
  }
}

/** A cursor between a message and whatever was before it in its room. @param {string} id */
function justBefore(id) {
  const number = (messageNumber(id) - 1).toString(16).padStart(10, "0");
  return `${id.slice(0, 14)}${number.slice(0, 4)}-${number.slice(4, 8)}-${number.slice(8)}${"f".repeat(10)}`;
}

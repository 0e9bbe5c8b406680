// @ts-check
// Tells on the desktop of messages that speak of you, and of rooms you have chosen, while nobody looks at the page: each once, however
// many windows it has; and of many at once in one sentence.
import { isLookedAt } from "./attention.js";
import { part } from "./length.js";
import { mentions } from "./mentions.js";
import { shownName } from "./message-row.js";
import { isNotifiable } from "./notifiable.js";
import { isOwn } from "./own.js";
import * as words from "./words.js";

/** @import { Deletion, Message } from "../client/client.ts" */
/** @import { Memory } from "./memory.js" */
/** @import { Me } from "./own.js" */
/** @import { Look } from "./rooms.js" */

/** So long another window of the page has to show a message to its reader, in milliseconds. */
const FIRST_SEEN_MS = 1_000;

/** So many at once are told one by one: whoever comes back after an outage is not to be buried. */
const FEW = 3;

/** What the desktop is about to be told, as it is by now, by the ids of the messages. @type {Map<string, Message | Deletion>} */
const waiting = new Map();

/**
 * What the desktop shows, and of which room, by its tag: a message's id, or what stands for many of a room.
 * @type {Map<string, { notification: Notification, room: string }>}
 */
const shown = new Map();

/**
 * How many messages the sentence tells of that stands for many of a room, whether any of them speaks of you, and up to where that was read then.
 * @type {Map<string, { read: string, count: number, mentioned: boolean }>}
 */
const many = new Map();

export class Notifications {
  #memory;
  #me;
  #offer;

  /** @param {Memory} memory @param {Me} me @param {(message: Message) => void} offer Is called with what could have been told, had one asked for it. */
  constructor(memory, me, offer) {
    this.#memory = memory;
    this.#me = me;
    this.#offer = offer;
  }

  /** Whether the browser can, and was not told not to. */
  static get isPossible() {
    return isNotifiable() && Notification.permission !== "denied";
  }

  /** Asks for leave, which browsers allow in a click only; returns whether there is. */
  static async ask() {
    return Notifications.isPossible && await Notification.requestPermission() === "granted";
  }

  /** Takes messages of a room that have just come. @param {Message[]} messages */
  take(messages) {
    if (isLookedAt() || !Notifications.isPossible) return;
    const wanted = messages.filter((message) => this.#isWanted(message));
    if (Notification.permission !== "granted") return wanted.forEach((message) => this.#offer(message));
    for (const message of wanted) waiting.set(message.id, message);
    setTimeout(() => this.#tell(wanted.map(({ id }) => id)), FIRST_SEEN_MS);
  }

  /** Has what is told of a message, or is about to be, say what that says now, or go with it. @param {Message | Deletion} news */
  became(news) {
    const { id } = news;
    if (waiting.has(id)) waiting.set(id, news);
    const before = shown.get(id)?.notification;
    if (!before) return;
    if (!this.#isWanted(news)) before.close();
    else if (excerpt(news.body) !== before.body) this.#show(news); // which takes its place, without a sound
  }

  /** Has what is told of messages of a room that is not open say what they say now, or go with them. @param {Look} look */
  looked({ room, unread, from, to }) {
    for (const [id, { room: its }] of shown) {
      if (its !== room || id < from || id > to) continue; // what stands for many has a name that is above all ids
      this.became(unread.find((message) => message.id === id) ?? { id, room, changed: "", deleted: true });
    }
  }

  /** Whether a message is one to tell of, and was not read yet. @param {Message | Deletion} news @returns {news is Message} */
  #isWanted(news) {
    if ("deleted" in news || isOwn(news, this.#me)) return false;
    const { id, room, body } = news;
    const choice = this.#memory.choice(room);
    const isMeant = choice === "loud" || choice !== "muted" && mentions(body, this.#me.name);
    return isMeant && id > this.#memory.lastRead(room);
  }

  /** @param {string[]} ids Of one room. */
  #tell(ids) {
    // Of several windows one is first; that browsers have the one where they have the other is no accident.
    navigator.locks.request("linger notifications", () => {
      const messages = ids.flatMap((id) => {
        const message = waiting.get(id);
        waiting.delete(id);
        return message && this.#isWanted(message) && id > this.#memory.told(message.room) ? [message] : [];
      });
      const last = messages.at(-1);
      if (!last) return;
      this.#memory.keepTold(last.room, last.id);
      if (messages.length > FEW) this.#showCount(last.room, messages);
      else for (const message of messages) this.#show(message);
    });
  }

  /** @param {Message} message */
  #show({ id, room, author, body }) {
    show(id, room, words.saysIn(shownName(author), room), excerpt(body));
  }

  /**
   * Says how many messages are new in a room, and whether any of them speaks of you, in place of what it said before.
   * @param {string} room @param {Message[]} messages What has just come.
   */
  #showCount(room, messages) {
    const read = this.#memory.lastRead(room);
    const before = many.get(room);
    // Those before them, too: the sentence that told of them is gone by this.
    const told = before?.read === read ? before : { count: 0, mentioned: false };
    const count = told.count + messages.length;
    const mentioned = told.mentioned || messages.some(({ body }) => mentions(body, this.#memory.name));
    many.set(room, { read, count, mentioned });
    show(`many in ${room}`, room, words.newMessagesIn(count, room, mentioned), "");
  }
}

/** @param {string} tag In place of what has the same. @param {string} room @param {string} title @param {string} body */
function show(tag, room, title, body) {
  try {
    const notification = new Notification(title, { body, tag, icon: "web/icon.svg" });
    notification.onclick = () => {
      focus();
      location.hash = room;
      notification.close();
    };
    shown.set(tag, { notification, room });
    notification.onclose = () => shown.get(tag)?.notification === notification && shown.delete(tag);
  } catch { /* a phone's browser has no such windows */ }
}

/** What the desktop shows of a message. @param {string} body */
function excerpt(body) {
  return part(body, 0, 200);
}

// @ts-check
// Tells on the desktop of messages that speak of you, and of rooms you have chosen, while nobody looks at the page: each once, however
// many windows it has.
import { part } from "./length.js";
import { mentions } from "./mentions.js";
import { shownName } from "./message-row.js";
import { isNotifiable } from "./notifiable.js";
import { isOwn } from "./own.js";
import * as words from "./words.js";

/** @import { Message } from "../client/client.ts" */
/** @import { Memory } from "./memory.js" */
/** @import { Me } from "./own.js" */

/** So long another window of the page has to show a message to its reader, in milliseconds. */
const FIRST_SEEN_MS = 1_000;

/** What the desktop shows, by the ids of the messages. @type {Map<string, Notification>} */
const shown = new Map();

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

  /** Takes messages that have just come. @param {Message[]} messages */
  take(messages) {
    if (!document.hidden || !Notifications.isPossible) return;
    for (const message of messages) {
      const choice = this.#memory.choice(message.room);
      const isMeant = mentions(message.body, this.#me.name);
      if (isOwn(message, this.#me) || choice === "muted" || !(isMeant || choice === "loud")) continue;
      if (Notification.permission === "granted") setTimeout(() => this.#tell(message), FIRST_SEEN_MS);
      else this.#offer(message);
    }
  }

  /** Takes back what was told of a message: it was deleted. @param {string} id */
  static withdraw(id) {
    shown.get(id)?.close();
  }

  /** @param {Message} message */
  #tell({ id, room, author, body }) {
    // Of several windows one is first; that browsers have the one where they have the other is no accident.
    navigator.locks.request("linger notifications", () => {
      if (id <= this.#memory.told(room) || id <= this.#memory.lastRead(room)) return;
      this.#memory.keepTold(room, id);
      try {
        const title = words.saysIn(shownName(author), room);
        const notification = new Notification(title, { body: part(body, 0, 200), tag: id, icon: "web/icon.svg" });
        notification.onclick = () => {
          focus();
          location.hash = room;
          notification.close();
        };
        shown.set(id, notification);
        notification.onclose = () => shown.delete(id);
      } catch { /* a phone's browser has no such windows */ }
    });
  }
}

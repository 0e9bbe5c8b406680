// @ts-check
// The messages of a room as rows: in their order, without a gap, each under the line of its day or under the name that is
// above it already, also when a neighbour has changed or gone. They are in chunks of a fixed size, so that a browser need not
// lay out those far from the screen. A screen reader reads out what is added at the end, unless it is said to be no news; never
// the lines between, nor what takes another's place.
import { clockTime, dayName, exactTime, sameDay } from "./calendar.js";
import { layOut, settle } from "./chunk.js";
import { byId, element, handFocusOn, setText } from "./element.js";
import { messageRow, relate, unfoldAs } from "./message-row.js";
import * as words from "./words.js";

/** @import { Message } from "../client/client.ts" */
/** @import { Me } from "./own.js" */

/** Rows in one chunk. */
const CHUNK = 50;

/** Messages of one author within so many milliseconds stand under one name. */
const TOGETHER_MS = 5 * 60_000;

/**
 * A message and what shows it.
 * @typedef {object} Entry
 * @property {Message} message
 * @property {HTMLElement} row
 * @property {HTMLElement} [day] The line of its day, where that begins with it.
 */

export class MessageLog {
  #log = byId("log");
  #line = element("p", { className: "unread", textContent: words.newLine, ariaLive: "off" });
  /** The id of the message below the line; "" where there is none. */
  #lineAt = "";
  /** @type {Me} */
  #me = { name: "", sub: "" };
  /** @type {Entry[]} */
  #entries = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #silence;

  /** Forgets everything. @param {Me} me */
  clear(me) {
    this.#me = me;
    this.#entries = [];
    this.#lineAt = "";
    handFocusOn(this.#log, () => this.#log.replaceChildren(), () => byId("scroller"));
  }

  /** One has another name from now on. @param {Me} me */
  rename(me) {
    this.#me = me;
    for (const { message, row } of this.#entries) relate(row, message, me);
  }

  /** Takes all messages away, to show others. */
  restart() {
    this.clear(this.#me);
  }

  get length() {
    return this.#entries.length;
  }
  get first() {
    return this.#entries[0]?.message;
  }
  get last() {
    return this.#entries.at(-1)?.message;
  }

  /** @param {Message[]} messages */
  append(messages) {
    for (const message of messages) {
      let chunk = this.#log.lastElementChild;
      if (!chunk || chunk.childElementCount >= CHUNK) {
        if (chunk) settle(/** @type {HTMLElement} */ (chunk));
        chunk = element("div", { className: "chunk" });
        this.#log.append(chunk);
      }
      const row = this.#row(message);
      this.#entries.push({ message, row });
      // Put in order before anybody is told of it, since a screen reader hears it as it comes.
      const part = element("div", {}, row);
      this.#arrange(this.#entries.length - 1);
      chunk.append(...part.childNodes);
    }
  }

  /** @param {Message[]} messages */
  prepend(messages) {
    if (messages.length === 0) return; // a chunk has rows
    this.quietly(() => {
      const entries = messages.map((message) => ({ message, row: this.#row(message) }));
      const chunk = element("div", { className: "chunk" }, ...entries.map(({ row }) => row));
      this.#entries.unshift(...entries);
      this.#log.prepend(chunk);
      for (let i = 0; i <= entries.length; i++) this.#arrange(i);
      settle(chunk);
    });
  }

  /** Lets go of the oldest chunk. */
  dropOldest() {
    const chunk = this.#log.firstElementChild;
    if (!chunk) return;
    for (const { message } of this.#entries.splice(0, chunk.querySelectorAll("article").length)) {
      if (message.id === this.#lineAt) this.#lineAt = "";
    }
    handFocusOn(chunk, () => chunk.remove(), () => byId("scroller"));
    this.#arrange(0);
  }

  /** Shows a message as it is now, if it is here. @param {string} id @param {Message} message */
  replace(id, message) {
    const index = this.#indexOf(id);
    const entry = this.#entries[index];
    if (!entry) return;
    const row = this.#row(message);
    row.ariaLive = "off";
    unfoldAs(row, entry.row);
    this.#change(entry.row, () => {
      entry.row.replaceWith(row);
      Object.assign(entry, { message, row });
      this.#arrange(index);
      this.#arrange(index + 1);
    }, row);
  }

  /** Takes a message away, if it is here. @param {string} id */
  remove(id) {
    const index = this.#indexOf(id);
    const entry = this.#entries[index];
    if (!entry) return;
    this.#change(entry.row, () => {
      this.#entries.splice(index, 1);
      entry.row.remove();
      entry.day?.remove();
      if (this.#lineAt === id) this.showLine("");
      this.#arrange(index);
    });
  }

  /** The row of a message, if it is here. @param {string} id */
  rowOf(id) {
    return this.#entries[this.#indexOf(id)]?.row;
  }

  /** The line above the first message that was not read, if there is one. */
  get line() {
    return this.#lineAt ? this.#line : undefined;
  }

  /** Puts the line above a message, or nowhere. @param {string} id "" for nowhere. */
  showLine(id) {
    if (id === this.#lineAt) return;
    const before = this.#indexOf(this.#lineAt);
    this.#line.remove();
    this.#lineAt = id;
    this.#arrange(before);
    this.#arrange(this.#indexOf(id));
  }

  /** The rows that are between two heights of the screen, or a part of them is. @param {number} top @param {number} bottom */
  rowsBetween(top, bottom) {
    const chunks = this.#log.children;
    let low = 0;
    for (let high = chunks.length; low < high;) {
      const middle = (low + high) >> 1;
      if (/** @type {Element} */ (chunks[middle]).getBoundingClientRect().bottom <= top) low = middle + 1;
      else high = middle;
    }
    /** @type {HTMLElement[]} */
    const rows = [];
    for (; low < chunks.length; low++) {
      const chunk = /** @type {Element} */ (chunks[low]);
      if (chunk.getBoundingClientRect().top >= bottom) break;
      layOut(/** @type {Element} */ (chunk.firstElementChild));
      for (const row of chunk.querySelectorAll("article")) {
        const place = row.getBoundingClientRect();
        if (place.top >= bottom) return rows;
        if (place.bottom > top) rows.push(row);
      }
    }
    return rows;
  }

  /** The first message after a cursor, and what is before that: undefined where nothing is. @param {string} cursor */
  around(cursor) {
    const index = this.#placeAfter(cursor);
    return { before: this.#entries[index - 1]?.message, next: this.#entries[index]?.message };
  }

  /** The messages after a cursor. @param {string} cursor */
  after(cursor) {
    return this.#entries.slice(this.#placeAfter(cursor)).map(({ message }) => message);
  }

  /** How many messages there are after a cursor. @param {string} cursor */
  countAfter(cursor) {
    return this.#entries.length - this.#placeAfter(cursor);
  }

  /** Says of each day again what it is called: today is yesterday tomorrow. */
  nameDays() {
    for (const { day, message } of this.#entries) {
      if (day) setText(day, dayName(new Date(message.created_at)));
    }
  }

  /** Says of each message again when it came, and of each day what it is called: that may be another, in another time zone. */
  nameTimes() {
    this.quietly(() => {
      for (const [index, { message, row }] of this.#entries.entries()) {
        const time = new Date(message.created_at);
        /** @type {HTMLElement | null} */
        const shown = row.querySelector("header time");
        if (shown) {
          setText(shown, clockTime(time));
          shown.title = exactTime(time);
        }
        this.#arrange(index);
      }
      this.nameDays();
    });
  }

  /** Changes the log without a screen reader's reading it out: it is no news. @param {() => void} change */
  quietly(change) {
    clearTimeout(this.#silence);
    this.#log.ariaLive = "off";
    change();
    this.#silence = setTimeout(() => this.#log.ariaLive = "polite", 100);
  }

  /**
   * Changes what is in a row's chunk; who had the focus there goes on from what took its place, or from the messages.
   * @param {Element} row @param {() => void} change @param {HTMLElement} [next]
   */
  #change(row, change, next = byId("scroller")) {
    const chunk = /** @type {HTMLElement} */ (row.parentElement);
    handFocusOn(row, change, () => next);
    if (chunk.querySelector("article") === null) chunk.remove();
    else if (chunk.classList.contains("settled")) settle(chunk);
  }

  /** @param {Message} message */
  #row(message) {
    const row = messageRow(message, this.#me);
    row.dataset.id = message.id;
    return row;
  }

  /** Gives a row what it needs above it, now that what is before it may be another message. @param {number} index */
  #arrange(index) {
    const entry = this.#entries[index];
    if (!entry) return;
    const { message, row } = entry;
    const previous = this.#entries[index - 1]?.message;
    const time = new Date(message.created_at);
    const isNewDay = !previous || !sameDay(new Date(previous.created_at), time);
    const isNew = message.id === this.#lineAt;
    if (isNew) row.before(this.#line);
    if (!isNewDay) {
      entry.day?.remove();
      delete entry.day;
    } else if (!entry.day) {
      entry.day = element("p", { className: "day", textContent: dayName(time), ariaLive: "off" });
      (isNew ? this.#line : row).before(entry.day);
    }
    row.classList.toggle("continued", !isNewDay && !isNew && goesOn(message, previous));
  }

  /** How many messages are at or before a cursor. @param {string} cursor */
  #placeAfter(cursor) {
    let low = 0;
    for (let high = this.#entries.length; low < high;) {
      const middle = (low + high) >> 1;
      if (/** @type {Entry} */ (this.#entries[middle]).message.id <= cursor) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** @param {string} id */
  #indexOf(id) {
    const index = this.#placeAfter(id) - 1;
    return this.#entries[index]?.message.id === id ? index : -1;
  }
}

/** @typedef {Pick<Message, "author" | "sub" | "created_at">} Part */

/**
 * Whether a message stands under the name of the one before it: not if it is of somebody else who has the same name.
 * @param {Part} message @param {Part | undefined} previous
 */
export function goesOn(message, previous) {
  return previous !== undefined && previous.author === message.author && previous.sub === message.sub &&
    Date.parse(message.created_at) - Date.parse(previous.created_at) < TOGETHER_MS;
}

// @ts-check
// The messages of a room on the screen. Stays at the newest while you are there and leaves you alone while you read
// back; adds history above without moving what you read; and stays quick with thousands of messages, since those far
// from the screen, in chunks of a fixed size, are not laid out.
import { dayName, sameDay } from "./calendar.js";
import { byId, element } from "./element.js";
import { messageRow, outboxRow } from "./message-row.js";
import * as words from "./words.js";

/** @import { Message } from "../client/client.ts" */
/** @import { OutboxItem } from "./outbox.js" */

/** Messages in one chunk. */
const CHUNK = 50;

/** Chunks that are kept when nobody reads back: what is older is history again. */
const KEPT_CHUNKS = 10;

/** Messages of one author within so many milliseconds stand under one name. */
const TOGETHER_MS = 5 * 60_000;

/** So far from the end still counts as there, in pixels: fractions, and bouncing. */
const NEAR_END = 48;

/** How far ahead history is loaded, in pixels: before you get there. */
const AHEAD = "1200px 0px 0px 0px";

/**
 * What the timeline asks for.
 * @typedef {object} TimelineActions
 * @property {() => void} loadOlder
 * @property {() => void} seen Somebody has the newest message before their eyes.
 * @property {(item: OutboxItem) => void} retry
 * @property {(item: OutboxItem) => void} remove
 */

export class Timeline {
  #scroller = byId("scroller");
  #beginning = byId("beginning");
  #log = byId("log");
  #waiting = byId("waiting");
  #pill = byId("pill");
  #empty = byId("empty");
  #actions;
  #older;
  #me = "";
  /** Up to where it was read when the room was opened. */
  #read = "";
  /** @type {Message[]} */
  #messages = [];
  #more = false;
  #atEnd = true;
  #unseen = 0;

  /** @param {TimelineActions} actions */
  constructor(actions) {
    this.#actions = actions;
    this.#older = new IntersectionObserver((entries) => {
      // The last tells how it is: a busy page is told of several changes at once.
      if (entries.at(-1)?.isIntersecting && this.#more) actions.loadOlder();
    }, { root: this.#scroller, rootMargin: AHEAD });
    this.#scroller.addEventListener("scroll", () => this.#look(), { passive: true });
    document.addEventListener("visibilitychange", () => this.#look());
    this.#pill.addEventListener("click", () => {
      this.goToEnd();
      this.#scroller.focus({ preventScroll: true });
    });
    // A keyboard that slides in, a window that changes, a composer that grows: who was at the end stays there.
    const resized = new ResizeObserver(() => this.#atEnd && this.goToEnd());
    for (const part of [this.#scroller, this.#log, this.#waiting]) resized.observe(part);
  }

  /** Whether the newest message is before somebody's eyes. */
  get isSeen() {
    return this.#atEnd && document.visibilityState === "visible";
  }

  /** Empties the timeline for another room. @param {string} me @param {string} read */
  clear(me, read) {
    this.#me = me;
    this.#read = read;
    this.#messages = [];
    this.#more = false;
    this.#unseen = 0;
    this.#older.disconnect();
    this.#log.replaceChildren();
    this.#waiting.replaceChildren();
    this.#empty.hidden = true;
    this.#beginning.hidden = true;
    this.#atEnd = true;
    this.#showPill();
  }

  /** Shows a room's newest messages. @param {Message[]} messages @param {boolean} more */
  begin(messages, more) {
    this.#quietly(() => this.#addAtEnd(messages));
    this.#messages.push(...messages);
    this.#setMore(more);
  }

  /** Adds older messages above, and nothing on the screen moves. @param {Message[]} messages @param {boolean} more */
  prepend(messages, more) {
    const { scrollTop, scrollHeight } = this.#scroller;
    this.#quietly(() => {
      const chunk = element("div", { className: "chunk" }, ...this.#rows(messages, undefined));
      this.#beginAfter(messages.at(-1));
      this.#log.prepend(chunk);
      this.#setMore(more);
      settle(chunk);
    });
    this.#messages.unshift(...messages);
    this.#scroller.scrollTop = scrollTop + this.#scroller.scrollHeight - scrollHeight;
  }

  /** Adds what is new, and shows what waits in the outbox. @param {Message[]} messages @param {OutboxItem[]} waiting */
  append(messages, waiting) {
    this.#addAtEnd(messages);
    this.#messages.push(...messages);
    this.#showWaiting(waiting);
    this.#empty.hidden = this.#messages.length + waiting.length > 0;
    this.#beginning.hidden = !this.#empty.hidden;
    if (this.#atEnd) this.goToEnd();
    else this.#unseen += messages.filter(({ author }) => author !== this.#me).length;
    this.#showPill();
    if (messages.length > 0) {
      for (const line of this.#log.querySelectorAll(".day")) line.textContent = dayName(dateOf(line));
    }
  }

  /** Lets go of the oldest messages while nobody reads them; returns the id of the oldest that is left. */
  prune() {
    if (!this.#atEnd || this.#log.childElementCount <= KEPT_CHUNKS) return undefined;
    while (this.#log.childElementCount > KEPT_CHUNKS) {
      const chunk = /** @type {HTMLElement} */ (this.#log.firstElementChild);
      this.#messages.splice(0, chunk.querySelectorAll("article").length);
      chunk.remove();
    }
    this.#beginAfter(undefined);
    this.#setMore(true);
    this.goToEnd();
    return /** @type {Message} */ (this.#messages[0]).id;
  }

  /** Asks for older messages when their place is near the screen, now and later. */
  watchForOlder() {
    this.#older.disconnect();
    this.#older.observe(this.#beginning);
  }

  goToEnd() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#look();
  }

  #look() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    this.#atEnd = scrollHeight - scrollTop - clientHeight < NEAR_END;
    if (this.#atEnd) this.#unseen = 0;
    this.#showPill();
    if (this.isSeen && this.#messages.length > 0) this.#actions.seen();
  }

  #showPill() {
    this.#pill.hidden = this.#atEnd;
    this.#pill.textContent = this.#unseen === 0 ? words.newest : words.newMessages(this.#unseen);
    this.#pill.classList.toggle("news", this.#unseen > 0);
  }

  /** @param {boolean} more */
  #setMore(more) {
    this.#more = more;
    this.#beginning.textContent = more ? words.earlier : words.beginning;
  }

  /** The log's first row again, now that what is before it is another message. @param {Message | undefined} previous */
  #beginAfter(previous) {
    const [chunk] = this.#log.children;
    const [first] = this.#messages;
    if (!chunk || !first) return;
    while (!chunk.firstElementChild?.matches("article")) chunk.firstElementChild?.remove();
    chunk.firstElementChild.replaceWith(...this.#rows([first], previous));
  }

  /** @param {Message[]} messages */
  #addAtEnd(messages) {
    let previous = this.#messages.at(-1);
    for (const message of messages) {
      let chunk = this.#log.lastElementChild;
      if (!chunk || chunk.querySelectorAll("article").length >= CHUNK) {
        if (chunk) settle(/** @type {HTMLElement} */ (chunk));
        chunk = element("div", { className: "chunk" });
        this.#log.append(chunk);
      }
      chunk.append(...this.#rows([message], previous));
      previous = message;
    }
  }

  /** @param {OutboxItem[]} items */
  #showWaiting(items) {
    let previous = this.#messages.at(-1);
    this.#waiting.replaceChildren(...items.map((item) => {
      const row = outboxRow(item, this.#actions.retry, this.#actions.remove);
      const created_at = new Date(item.at).toISOString();
      const message = { id: "", room: item.room, author: item.author, body: item.body, created_at };
      row.classList.toggle("continued", goesOn(message, previous));
      previous = message;
      return row;
    }));
  }

  /** Messages as rows, with a line where a day begins, or what was not read. @param {Message[]} messages @param {Message | undefined} previous */
  #rows(messages, previous) {
    /** @type {HTMLElement[]} */
    const rows = [];
    for (const message of messages) {
      const time = new Date(message.created_at);
      const row = messageRow(message.author, message.body, time, this.#me);
      const newDay = !previous || !sameDay(new Date(previous.created_at), time);
      if (newDay) {
        rows.push(element("p", { className: "day", textContent: dayName(time) }));
        /** @type {HTMLElement} */ (rows.at(-1)).dataset.time = message.created_at;
      }
      const newSince = previous && previous.id <= this.#read && message.id > this.#read;
      if (newSince) rows.push(element("p", { className: "unread", textContent: words.newLine }));
      row.classList.toggle("continued", !newDay && !newSince && goesOn(message, previous));
      rows.push(row);
      previous = message;
    }
    return rows;
  }

  /** Changes the log without a screen reader's reading it out: it is no news. @param {() => void} change */
  #quietly(change) {
    this.#log.ariaLive = "off";
    change();
    setTimeout(() => this.#log.ariaLive = "polite", 100);
  }
}

/** Whether a message stands under the name of the one before it. @param {Message} message @param {Message | undefined} previous */
function goesOn(message, previous) {
  return previous !== undefined && previous.author === message.author &&
    Date.parse(message.created_at) - Date.parse(previous.created_at) < TOGETHER_MS;
}

/** @param {Element} line */
function dateOf(line) {
  return new Date(/** @type {HTMLElement} */ (line).dataset.time ?? 0);
}

/** Spares the browser a chunk's layout while it is far from the screen; its size has to be known for that. @param {HTMLElement} chunk */
function settle(chunk) {
  chunk.style.containIntrinsicBlockSize = `auto ${chunk.getBoundingClientRect().height}px`;
  chunk.classList.add("settled");
}

// @ts-check
// The messages of a room on the screen. Stays at the newest while you are there and leaves you alone while you read
// back: nothing that comes, changes or goes moves what you read.
import { byId } from "./element.js";
import { goesOn, MessageLog } from "./message-log.js";
import { Waiting } from "./waiting.js";
import * as words from "./words.js";

/** @import { Message } from "../client/client.ts" */
/** @import { OutboxItem } from "./outbox.js" */

/** Chunks that are kept when nobody reads back: what is older is history again. */
const KEPT_CHUNKS = 10;

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
 * @property {(item: OutboxItem) => void} edit
 * @property {(item: OutboxItem) => void} remove
 */

export class Timeline {
  #scroller = byId("scroller");
  #beginning = byId("beginning");
  #log = new MessageLog();
  #waiting;
  #pill = byId("pill");
  #empty = byId("empty");
  #actions;
  #older;
  #me = "";
  /** Up to where it was read when the room was opened. */
  #read = "";
  #more = false;
  /** Whether the room has been read: before that nobody knows whether it is empty. */
  #begun = false;
  #atEnd = true;
  #unseen = 0;

  /** @param {TimelineActions} actions */
  constructor(actions) {
    this.#actions = actions;
    this.#waiting = new Waiting(byId("waiting"), actions);
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
    for (const part of [this.#scroller, byId("log"), byId("waiting")]) resized.observe(part);
  }

  /** Whether the newest message is before somebody's eyes. */
  get isSeen() {
    return this.#atEnd && document.visibilityState === "visible";
  }

  /** Empties the timeline for another room. @param {string} me @param {string} read */
  clear(me, read) {
    this.#me = me;
    this.#read = read;
    this.#more = false;
    this.#begun = false;
    this.#unseen = 0;
    this.#older.disconnect();
    this.#log.clear(me);
    this.#waiting.clear();
    this.#empty.hidden = true;
    this.#beginning.hidden = true;
    this.#atEnd = true;
    this.#showPill();
  }

  /** Shows a room's newest messages. @param {Message[]} messages @param {boolean} more */
  begin(messages, more) {
    this.#begun = true;
    this.#log.quietly(() => this.#add(messages));
    this.#setMore(more);
  }

  /** Adds older messages above, and nothing on the screen moves. @param {Message[]} messages @param {boolean} more */
  prepend(messages, more) {
    this.#keepingPlace(() => {
      this.#log.prepend(messages);
      this.#setMore(more);
    });
  }

  /** Shows a message as it is now. @param {string} id @param {Message} message */
  replace(id, message) {
    this.#keepingPlace(() => this.#log.replace(id, message), this.#log.rowOf(id));
  }

  /** Takes a message away. @param {string} id */
  remove(id) {
    this.#keepingPlace(() => this.#log.remove(id), this.#log.rowOf(id));
  }

  /** Adds what is new, and shows what waits in the outbox. @param {Message[]} messages @param {OutboxItem[]} waiting */
  append(messages, waiting) {
    this.#add(messages);
    this.#showWaiting(waiting);
    this.#empty.hidden = !this.#begun || this.#log.length + waiting.length > 0;
    this.#beginning.hidden = !this.#begun || !this.#empty.hidden;
    if (this.#atEnd) this.goToEnd();
    else this.#unseen += messages.filter(({ author }) => author !== this.#me).length;
    this.#showPill();
    if (messages.length > 0) this.#log.nameDays();
  }

  /** Lets go of the oldest messages while nobody reads them; returns the id of the oldest that is left. */
  prune() {
    if (!this.#atEnd || this.#log.chunks <= KEPT_CHUNKS) return undefined;
    while (this.#log.chunks > KEPT_CHUNKS) this.#log.dropOldest();
    this.#setMore(true);
    this.goToEnd();
    return this.#log.first?.id;
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
    if (this.isSeen && this.#log.length > 0) this.#actions.seen();
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

  /** Adds messages at the end, and the line above the first that was not read. @param {Message[]} messages */
  #add(messages) {
    const [first] = messages;
    const adjoins = first && (this.#log.last?.id ?? first.id) <= this.#read;
    const unread = adjoins ? messages.find(({ id }) => id > this.#read) : undefined;
    if (unread) this.#log.showLine(unread.id);
    this.#log.append(messages);
  }

  /** @param {OutboxItem[]} items */
  #showWaiting(items) {
    const last = this.#log.last;
    this.#waiting.show(items, (item, previous) => goesOn(asMessage(item), previous ? asMessage(previous) : last));
  }

  /**
   * Changes the log, and what is on the screen stays where it is: the first row that begins there, but for one.
   * @param {() => void} change @param {Element} [changed] The row that may go.
   */
  #keepingPlace(change, changed) {
    if (this.#atEnd) {
      change();
      return this.goToEnd();
    }
    const { top, bottom } = this.#scroller.getBoundingClientRect();
    const rows = this.#log.rowsBetween(top, bottom).filter((row) => row !== changed);
    const kept = rows.find((row) => row.getBoundingClientRect().top >= top) ?? rows[0];
    const before = kept?.getBoundingClientRect().top ?? 0;
    change();
    if (kept) this.#scroller.scrollTop += kept.getBoundingClientRect().top - before;
    this.#look();
  }
}

/** @param {OutboxItem} item @returns {Message} */
function asMessage({ room, author, body, at }) {
  return { id: "", room, author, body, created_at: new Date(at).toISOString() };
}

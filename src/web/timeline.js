// @ts-check
// The messages of a room on the screen, as a window on all that there are. Begins where you stopped reading, stays at the
// newest while you are there, and leaves you alone while you read back: nothing that comes, changes or goes moves what you
// read. Sees what you read, and never takes for read what passed by while you were away.
import { messageNumber } from "../client/client.ts";
import { Anchor } from "./anchor.js";
import { Announcer } from "./announcer.js";
import { Attention } from "./attention.js";
import { clockTime, dayName, onNewDay, sameDay, timeOf } from "./calendar.js";
import { layOut } from "./chunk.js";
import { NIL } from "./conversation.js";
import { byId, setText } from "./element.js";
import { goesOn, MessageLog } from "./message-log.js";
import { messageIn, showRow } from "./message-row.js";
import { isOwn } from "./own.js";
import { Unread } from "./unread.js";
import { Waiting } from "./waiting.js";
import * as words from "./words.js";

/** @import { Message } from "../client/client.ts" */
/** @import { OutboxItem } from "./outbox.js" */
/** @import { Me } from "./own.js" */

/** So many messages at most are kept when nobody reads back: what is older is history again. */
const KEPT = 500;

/** So many new messages are shown below what one reads; what comes after them is loaded when one gets there. */
const BELOW = 200;

/** So many at once are read out as they are; more are told as a number. */
const FEW = 3;

/** So far from the end still counts as there, in pixels: fractions, and bouncing. */
const NEAR_END = 48;

/** So much of what one has read already is shown above what is new, in pixels. */
const CONTEXT = 72;

/** How far ahead more is loaded, in pixels: before you get there. */
const AHEAD = "1200px 0px 1200px 0px";

/**
 * What the timeline asks for.
 * @typedef {object} TimelineActions
 * @property {() => void} loadOlder
 * @property {() => void} loadNewer
 * @property {(place: string) => void} goTo Opens the window elsewhere: after a cursor, or "" for the newest.
 * @property {(id: string) => void} read Everything up to this message was read.
 * @property {(item: OutboxItem) => void} retry
 * @property {(item: OutboxItem) => void} edit
 * @property {(item: OutboxItem) => void} remove
 */

export class Timeline {
  #scroller = byId("scroller");
  #beginning = byId("beginning");
  #ending = byId("ending");
  #log = new MessageLog();
  #waiting;
  #pill = byId("pill");
  #sincePill = byId("since");
  #empty = byId("empty");
  #attention = new Attention(() => this.#look());
  #actions;
  #edges;
  /** @type {Me} */
  #me = { name: "", sub: "" };
  #unread = new Unread("", () => false);
  /** The line stands above what is unread after this cursor. */
  #lineFrom = "";
  /** Unread messages that one went past, and how many. @type {{ from: string, count: number } | undefined} */
  #passed;
  #anchor = new Anchor(this.#scroller, this.#log);
  #announcer = new Announcer();
  #older = false;
  #newer = false;
  /** Whether the room has been read: before that nobody knows whether it is empty. */
  #begun = false;
  #atEnd = true;
  /** Whether something was written since the room was opened. */
  #wrote = false;

  /** @param {TimelineActions} actions */
  constructor(actions) {
    this.#actions = actions;
    this.#waiting = new Waiting(byId("waiting"), actions);
    let width = 0;
    this.#edges = new IntersectionObserver((entries) => {
      // The last tells how it is: a busy page is told of several changes at once.
      const isNear = (/** @type {Element} */ edge) => entries.findLast(({ target }) => target === edge)?.isIntersecting;
      if (this.#older && isNear(this.#beginning)) actions.loadOlder();
      if (this.#newer && isNear(this.#ending)) actions.loadNewer();
    }, { root: this.#scroller, rootMargin: AHEAD });
    // Where a new width has moved what one reads, and it has not been put back yet, nobody has scrolled there.
    this.#scroller.addEventListener("scroll", () => this.#scroller.clientWidth === width && this.#look(), {
      passive: true,
    });
    this.#pill.addEventListener("click", () => {
      if (this.#isBelow(this.#log.line)) this.#goTo(this.#log.line);
      else this.goToEnd();
      this.#scroller.focus({ preventScroll: true });
    });
    this.#sincePill.addEventListener("click", () => {
      const from = this.#passed?.from ?? this.#unread.read;
      this.#passed = undefined;
      this.#lineFrom = from;
      this.#log.showLine("");
      this.#placeLine(from);
      if (this.#log.line) this.#goTo(this.#log.line);
      else actions.goTo(from);
      this.#scroller.focus({ preventScroll: true });
    });
    // A keyboard that slides in, a window that changes, a composer that grows: one stays where one was.
    const resized = new ResizeObserver(() => {
      width = this.#scroller.clientWidth;
      if (this.#atEnd) this.#stay();
      else this.#anchor.restore();
    });
    for (const part of [this.#scroller, byId("log"), byId("waiting")]) resized.observe(part);
    addEventListener("input", ({ isTrusted }) => this.#wrote ||= isTrusted);
    onNewDay(() => this.#log.nameDays(), () => this.#log.nameTimes());
  }

  /** Empties the timeline for another room. @param {Me} me @param {string} read What was read there; "" for nothing yet. */
  clear(me, read) {
    this.#me = me;
    this.#unread = new Unread(read, (message) => isOwn(message, this.#me));
    this.#lineFrom = read;
    this.#passed = undefined;
    this.#older =
      this.#newer =
      this.#begun =
      this.#wrote =
        false;
    this.#edges.disconnect();
    this.#log.clear(me);
    this.#waiting.clear();
    this.#empty.hidden = true;
    this.#beginning.hidden = this.#ending.hidden = true;
    this.#atEnd = true;
    this.#anchor.take([]);
    this.#announcer.clear();
    this.#showPills([]);
  }

  /** One has another name from now on, and stays where one is. @param {Me} me */
  rename(me) {
    this.#me = me;
    this.#log.rename(me);
  }

  /** The newest message that is shown. */
  get last() {
    return this.#log.last?.id ?? "";
  }

  /** The messages after a cursor, as far as they are shown. @param {string} cursor */
  after(cursor) {
    return this.#log.after(cursor);
  }

  /** The unread messages, as far as they are shown. */
  get unread() {
    return this.#unread.among(this.#log.after(this.#unread.read));
  }

  /** How many messages are unread; undefined until that is known. */
  get unreadCount() {
    return this.#begun ? this.#count : undefined;
  }

  /** How many messages are unread: where not all of them are here, nobody knows which of them are gone. */
  get #count() {
    const { count, read } = this.#unread;
    const areHere = !this.#newer && (!this.#older || this.#log.around(read).before !== undefined);
    return count > 0 && areHere ? this.unread.length : count;
  }

  /** Whether there are newer messages than those that are shown. */
  get isApart() {
    return this.#newer;
  }

  /** There are messages up to this one, which may be far from those that are shown. @param {string} newest */
  reaches(newest) {
    if (newest <= this.#unread.newest) return;
    this.#unread.reaches(newest);
    if (this.#begun) this.#look();
  }

  /** Takes note of messages; what one has written elsewhere can be read by that. @param {Message[]} messages */
  #came(messages) {
    const { read } = this.#unread;
    this.#unread.came(messages);
    if (this.#unread.read !== read) this.#actions.read(this.#unread.read);
  }

  /**
   * Shows a part of a room's messages, instead of what was shown.
   * @param {Message[]} messages
   * @param {{ older: boolean, newer: boolean, at?: string | undefined }} window Whether there are more on both sides; and the message one
   * wants to see, if not what one has not read, or else the newest.
   */
  begin(messages, { older, newer, at = "" }) {
    this.#begun = true;
    this.#log.restart();
    this.#came(messages);
    // Who is here for the first time has missed nothing.
    if (this.#unread.read === "") {
      this.#unread.newest ||= NIL;
      this.#unread.read = this.#lineFrom = this.#unread.newest;
      this.#actions.read(this.#unread.read);
    }
    this.#log.quietly(() => this.#log.append(messages));
    this.#setOlder(older);
    this.#setNewer(newer);
    this.#showEmpty();
    this.#placeLine(this.#lineFrom);
    const row = this.#log.rowOf(at);
    if (at) setText(byId("notice"), row ? "" : words.messageGone);
    if (row) this.#find(row);
    else this.#goTo(this.#log.line);
  }

  /** Everything up to this message was read in another window. @param {string} id */
  readElsewhere(id) {
    if (!this.#unread.mark(id)) return;
    // Who stands at the line, since nobody was here to see what came, goes on; who reads back is left alone.
    const goesOn = !this.#attention.isHere && this.#log.line !== undefined && !this.#isBelow(this.#log.line);
    this.#lineFrom = id;
    this.#keepingPlace(() => {
      this.#log.showLine("");
      this.#placeLine(id);
    });
    if (goesOn) this.#stay();
  }

  /** Adds older messages above, and nothing on the screen moves. @param {Message[]} messages @param {boolean} older */
  prepend(messages, older) {
    this.#keepingPlace(() => {
      this.#log.prepend(messages);
      this.#setOlder(older);
      this.#showEmpty();
      this.#placeLine(this.#lineFrom);
    });
  }

  /** Adds what comes after the last one below. @param {Message[]} messages @param {boolean} newer Whether there are still more. */
  extend(messages, newer) {
    this.#came(messages);
    this.#log.quietly(() => this.#log.append(messages));
    this.#setNewer(newer);
    this.#placeLine(this.#lineFrom);
    this.#look();
  }

  /** Shows a message as it is now. @param {string} id @param {Message} message */
  replace(id, message) {
    this.#keepingPlace(() => this.#log.replace(id, message), this.#log.rowOf(id));
  }

  /** Takes a message away. @param {string} id */
  remove(id) {
    this.#keepingPlace(() => {
      const { line } = this.#log;
      this.#log.remove(id);
      if (line && !this.#log.line) this.#placeLine(this.#lineFrom);
    }, this.#log.rowOf(id));
  }

  /** Takes what is new, and shows what waits in the outbox. @param {Message[]} messages @param {OutboxItem[]} waiting */
  append(messages, waiting) {
    const sawItCome = this.#atEnd && this.#attention.sawItCome;
    const wasRead = this.#unread.read >= this.#unread.newest;
    const before = this.#unread.read;
    this.#came(messages);
    if (!sawItCome && wasRead && messages.length > 0) {
      this.#lineFrom = before;
      this.#log.showLine("");
    }
    this.#show(this.#newer ? [] : sawItCome ? messages : messages.slice(0, this.#room()), messages.length);
    if (!sawItCome) this.#placeLine(this.#lineFrom);
    this.#showWaiting(waiting);
    this.#showEmpty();
    if (sawItCome) this.goToEnd();
    else if (this.#atEnd) this.#stay();
    else this.#look();
    if (messages.length > 0) this.#log.nameDays();
  }

  /** What comes next was missed, though somebody is here. */
  interrupt() {
    this.#attention.interrupt();
  }

  /** Lets go of the oldest messages while nobody reads them; returns the id of the oldest that is left. */
  prune() {
    if (!this.#atEnd || this.#log.length <= KEPT) return undefined;
    while (this.#log.length > KEPT) this.#log.dropOldest();
    this.#setOlder(true);
    this.#stay();
    return this.#log.first?.id;
  }

  /** Asks for more messages when their place is near the screen, now and later. */
  watchEdges() {
    this.#edges.disconnect();
    this.#edges.observe(this.#beginning);
    this.#edges.observe(this.#ending);
  }

  goToEnd() {
    if (this.#newer) return this.#actions.goTo("");
    this.#goTo(undefined);
  }

  /** Stays at the newest; but while nobody sees it come, no further than the first that was not read. */
  #stay() {
    const first = this.#unread.firstOf(this.#log.after(this.#unread.read));
    this.#goTo(first && (this.#log.line ?? this.#log.rowOf(first.id)));
  }

  /** Goes to the end, but no further than that something is at the top. @param {Element | undefined} limit */
  #goTo(limit) {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    if (limit) {
      layOut(limit);
      const above = this.#scroller.getBoundingClientRect().top + CONTEXT - limit.getBoundingClientRect().top;
      if (above > 0) this.#scroller.scrollTop -= above;
    }
    this.#look();
  }

  /** Shows a message that somebody wants to see, among its neighbours. @param {HTMLElement} row */
  #find(row) {
    showRow(row);
    if (!this.#wrote) row.focus({ preventScroll: true }); // else that would go to the message from now on
    this.#look();
  }

  /** Looks what is on the screen. */
  #look() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    this.#atEnd = !this.#newer && scrollHeight - scrollTop - clientHeight < NEAR_END;
    const rows = this.#anchor.rows();
    this.#anchor.take(rows);
    if (this.#begun && this.#attention.isHere) this.#markRead(rows); // before that the end of nothing is on the screen
    this.#showPills(rows);
  }

  /** @param {HTMLElement[]} rows The rows on the screen. */
  #markRead(rows) {
    const { bottom } = this.#scroller.getBoundingClientRect();
    const [first] = rows;
    const whole = rows.findLast((row) => row.getBoundingClientRect().bottom <= bottom + 1) ?? first;
    if (this.#passed && first && whole) {
      const next = this.#log.around(this.#passed.from).next?.id ?? "";
      if (next >= idOf(first) && next <= idOf(whole)) this.#passed = undefined;
    }
    const adjoins = !this.#isUnreadAbove(rows);
    if (this.#atEnd) {
      if (!adjoins && !this.#passed) this.#passed = { from: this.#unread.read, count: this.#count };
      if (this.#unread.mark(this.#unread.newest)) this.#actions.read(this.#unread.read);
    } else if (adjoins && whole && this.#unread.mark(idOf(whole))) this.#actions.read(this.#unread.read);
    if (adjoins && !this.#log.line) this.#lineFrom = this.#unread.read;
  }

  /** Whether the first unread message is above the screen. @param {HTMLElement[]} rows */
  #isUnreadAbove([first]) {
    if (this.#count === 0 || !first) return false;
    const { before, next } = this.#log.around(this.#unread.read);
    return (!before && this.#older) || (next !== undefined && next.id < idOf(first));
  }

  /** @param {HTMLElement[]} rows The rows on the screen. */
  #showPills(rows) {
    const { read } = this.#unread;
    const count = this.#count;
    this.#pill.hidden = this.#atEnd;
    setText(this.#pill, count === 0 ? words.newest : words.newMessages(count));
    this.#pill.classList.toggle("news", count > 0);
    const above = this.#passed ?? (this.#isUnreadAbove(rows) ? { from: read, count } : undefined);
    this.#sincePill.hidden = !above;
    if (!above) return;
    const { count: passed, from } = above;
    setText(this.#sincePill, from === NIL ? words.newMessages(passed) : words.newSince(passed, momentOf(from)));
  }

  /** @param {boolean} older */
  #setOlder(older) {
    this.#older = older;
    const first = this.#log.first;
    const isFirst = !first || messageNumber(first.id) === 1;
    setText(this.#beginning, older ? words.earlier : isFirst ? words.beginning : words.removed);
  }

  /** @param {boolean} newer */
  #setNewer(newer) {
    this.#newer = newer;
    this.#ending.hidden = !newer;
    setText(this.#ending, words.later);
  }

  /** Says that nobody has written here, as soon as one knows it, and for as long as it is so. */
  #showEmpty() {
    const isWhole = this.#begun && !this.#older && !this.#newer;
    this.#empty.hidden = !isWhole || this.#log.length > 0 || byId("waiting").hasChildNodes();
    this.#beginning.hidden = !this.#begun || !this.#empty.hidden;
  }

  /** Puts the line above the first unread message after a cursor, where that is shown. @param {string} cursor */
  #placeLine(cursor) {
    if (this.#log.line || !cursor) return;
    if (!this.#log.around(cursor).before && this.#older) return;
    const first = this.#unread.firstOf(this.#log.after(cursor));
    if (first) this.#log.showLine(first.id);
  }

  /** How many more messages are shown below what one reads. */
  #room() {
    return Math.max(0, BELOW - this.#log.countAfter(this.#anchor.message || this.last));
  }

  /** @param {Message[]} messages @param {number} count How many there are. */
  #show(messages, count) {
    if (count <= FEW && messages.length === count) return this.#log.append(messages);
    this.#log.quietly(() => this.#log.append(messages));
    if (messages.length < count) this.#setNewer(true);
    this.#announcer.came(count);
  }

  /** @param {OutboxItem[]} items */
  #showWaiting(items) {
    const last = this.#log.last;
    const me = this.#me;
    this.#waiting.show(
      items,
      me,
      (item, previous) => goesOn(messageIn(item, me), previous ? messageIn(previous, me) : last),
    );
  }

  /** @param {Element | undefined} node */
  #isBelow(node) {
    if (!node) return false;
    layOut(node);
    return node.getBoundingClientRect().top > this.#scroller.getBoundingClientRect().bottom;
  }

  /**
   * Changes the log, and what is on the screen stays where it is: the first row that begins there, but for one.
   * @param {() => void} change @param {Element} [changed] The row that may go.
   */
  #keepingPlace(change, changed) {
    if (this.#atEnd) {
      change();
      return this.#stay();
    }
    this.#anchor.take(this.#anchor.rows().filter((row) => row !== changed));
    change();
    this.#anchor.restore();
    this.#look();
  }
}

/** The message of a row. @param {HTMLElement} row */
function idOf(row) {
  return row.dataset.id ?? "";
}

/** When a message was stored, as people say it. @param {string} id */
function momentOf(id) {
  const time = timeOf(id);
  return sameDay(time, new Date()) ? clockTime(time) : dayName(time);
}

// @ts-check
// Keeps what one reads where it is on the screen while everything around it changes: the first row that begins there.

/** @import { MessageLog } from "./message-log.js" */

export class Anchor {
  #scroller;
  #log;
  /** @type {HTMLElement | undefined} */
  #row;
  /** Where it begins, in pixels from the top of the screen. */
  #top = 0;

  /** @param {HTMLElement} scroller @param {MessageLog} log */
  constructor(scroller, log) {
    this.#scroller = scroller;
    this.#log = log;
  }

  /** The message that is kept where it is; "" for none. */
  get message() {
    return this.#row?.dataset.id ?? "";
  }

  /** The rows on the screen. */
  rows() {
    const { top, bottom } = this.#scroller.getBoundingClientRect();
    return this.#log.rowsBetween(top, bottom);
  }

  /** Keeps the first of these rows where it is now, if it can be one of which one sees the beginning. @param {HTMLElement[]} rows */
  take(rows) {
    this.#row = rows.find((row) => this.#topOf(row) >= 0) ?? rows[0];
    this.#top = this.#row ? this.#topOf(this.#row) : 0;
  }

  /** Scrolls so that it is where it was. */
  restore() {
    if (!this.#row?.isConnected) return;
    const moved = this.#topOf(this.#row) - this.#top;
    if (Math.abs(moved) >= .5) this.#scroller.scrollTop += moved;
  }

  /** @param {HTMLElement} row */
  #topOf(row) {
    return row.getBoundingClientRect().top - this.#scroller.getBoundingClientRect().top;
  }
}

// @ts-check
// Says what is wrong, in one line under the room's name, with a button that does something about it. One thing at a time, the most
// important first; and a screen reader hears each once.
import { byId, handFocusOn, setText } from "./element.js";

/** What can be told, the most important first: what one has just done in vain comes before what is so for longer. */
const KINDS = /** @type {const} */ ([
  "signed-out",
  "no-room",
  "not-done",
  "sign-in",
  "name",
  "gap",
  "storage",
  "version",
  "mention",
]);

/**
 * So soon after a click there, or after one notice took the place of another, in milliseconds, nobody means what he clicks: it is the second
 * click of two, or was for the one before.
 */
const TOO_SOON_MS = 500;

/** @typedef {typeof KINDS[number]} Kind */

/**
 * @typedef {object} Notice
 * @property {string} text
 * @property {string} [button] What its button says.
 * @property {() => void} [act] What its button does.
 */

export class Banner {
  #banner = byId("banner");
  #text = byId("banner-text");
  #button = byId("banner-button");
  #close = byId("banner-close");
  /** @type {Map<Kind, Notice>} */
  #notices = new Map();
  /** What somebody does not want to see any more, until it is over and comes again. @type {Set<Kind>} */
  #dismissed = new Set();
  /** When somebody clicked there, or one notice took the place of another, by the page's clock. */
  #changedAt = -Infinity;

  constructor() {
    this.#button.addEventListener("click", () => this.#clicked()?.[1].act?.());
    this.#close.addEventListener("click", () => {
      const [kind] = this.#clicked() ?? [];
      if (!kind) return;
      this.#dismissed.add(kind);
      this.#show();
    });
  }

  /** Tells something, or that it is over. @param {Kind} kind @param {Notice | undefined | false} notice */
  tell(kind, notice) {
    if (notice) this.#notices.set(kind, notice);
    else {
      this.#notices.delete(kind);
      this.#dismissed.delete(kind);
    }
    this.#show();
  }

  /**
   * Tells something that has happened once more: also to whoever has put aside what was told before, and aloud where it says the same.
   * @param {Kind} kind @param {Notice} notice
   */
  tellAnew(kind, notice) {
    this.#dismissed.delete(kind);
    if (this.#text.textContent === notice.text) this.#text.textContent = "";
    this.tell(kind, notice);
  }

  #first() {
    const kind = KINDS.find((kind) => this.#notices.has(kind) && !this.#dismissed.has(kind));
    return kind && /** @type {const} */ ([kind, /** @type {Notice} */ (this.#notices.get(kind))]);
  }

  /** What is shown, if somebody who clicks now means it. */
  #clicked() {
    const now = performance.now();
    if (now - this.#changedAt <= TOO_SOON_MS) return undefined;
    this.#changedAt = now;
    return this.#first();
  }

  #show() {
    const [, notice] = this.#first() ?? [];
    const before = this.#text.textContent;
    if (before && notice && notice.text !== before) this.#changedAt = performance.now();
    setText(this.#text, notice?.text ?? "");
    setText(this.#button, notice?.button ?? "");
    handFocusOn(this.#banner, () => {
      this.#banner.classList.toggle("shown", Boolean(notice));
      this.#button.hidden = !notice?.button;
    }, () => notice ? this.#close : byId("scroller"));
  }
}

// @ts-check
// Says what is wrong, in one line under the room's name, with a button that does something about it. One thing at a time, the most
// important first; and a screen reader hears each once.
import { byId, handFocusOn, setText } from "./element.js";

/** What can be told, the most important first: what one has just done in vain comes before what is so for longer. */
const KINDS =
  /** @type {const} */ (["signed-out", "no-room", "not-done", "sign-in", "gap", "storage", "version", "mention"]);

/** How long after a notice another is not meant by who clicks, in milliseconds: the second click of two. */
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
  /** @type {Kind | undefined} */
  #shown;
  /** Until when another was shown, by the page's clock. */
  #until = -Infinity;

  constructor() {
    this.#button.addEventListener("click", () => {
      if (this.#isMeant) this.#first()?.[1].act?.();
    });
    this.#close.addEventListener("click", () => {
      if (!this.#isMeant) return;
      const [kind] = this.#first() ?? [];
      if (kind) this.#dismissed.add(kind);
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

  #first() {
    const kind = KINDS.find((kind) => this.#notices.has(kind) && !this.#dismissed.has(kind));
    return kind && /** @type {const} */ ([kind, /** @type {Notice} */ (this.#notices.get(kind))]);
  }

  /** Whether what is shown is what somebody who clicks now has seen there. */
  get #isMeant() {
    return performance.now() - this.#until > TOO_SOON_MS;
  }

  #show() {
    const [kind, notice] = this.#first() ?? [];
    if (this.#shown !== undefined && kind !== this.#shown) this.#until = performance.now();
    this.#shown = kind;
    setText(this.#text, notice?.text ?? "");
    setText(this.#button, notice?.button ?? "");
    handFocusOn(this.#banner, () => {
      this.#banner.classList.toggle("shown", Boolean(notice));
      this.#button.hidden = !notice?.button;
    }, () => notice ? this.#close : byId("scroller"));
  }
}

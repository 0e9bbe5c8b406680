// @ts-check
// Says what is wrong, in one line under the room's name, with a button that does something about it. One thing at a time, the most
// important first; and a screen reader hears each once.
import { byId, setText } from "./element.js";

/** What can be told, the most important first. */
const KINDS = /** @type {const} */ (["signed-out", "no-room", "not-done", "gap", "storage", "version", "mention"]);

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
  /** @type {Map<Kind, Notice>} */
  #notices = new Map();
  /** What somebody does not want to see any more, until it is over and comes again. @type {Set<Kind>} */
  #dismissed = new Set();

  constructor() {
    this.#button.addEventListener("click", () => this.#first()?.[1].act?.());
    byId("banner-close").addEventListener("click", () => {
      const [kind] = this.#first() ?? [];
      if (kind) this.#dismissed.add(kind);
      this.#show();
      if (!this.#first()) byId("scroller").focus({ preventScroll: true });
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

  #show() {
    const notice = this.#first()?.[1];
    this.#banner.classList.toggle("shown", Boolean(notice));
    setText(this.#text, notice?.text ?? "");
    this.#button.textContent = notice?.button ?? "";
    this.#button.hidden = !notice?.button;
  }
}

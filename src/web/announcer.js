// @ts-check
// Tells a screen reader of many messages in one sentence, when no more come: nobody wants to hear 3,000.
import { byId, setText } from "./element.js";
import * as words from "./words.js";

/** When nothing more has come for so long, it is told how many came, in milliseconds. */
const TELL_MS = 1_000;

export class Announcer {
  #news = byId("news");
  #untold = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** So many have come. @param {number} count */
  came(count) {
    this.#untold += count;
    clearTimeout(this.#timer);
    setText(this.#news, ""); // the same sentence again is news again
    this.#timer = setTimeout(() => {
      setText(this.#news, words.newMessages(this.#untold));
      this.#untold = 0;
    }, TELL_MS);
  }

  /** Forgets what was not told. */
  clear() {
    clearTimeout(this.#timer);
    this.#untold = 0;
    setText(this.#news, "");
  }
}

// @ts-check
// Says how much longer a text may become: for the eyes at each key; for screen readers now and then, since nobody can listen to that and
// write.
import { setText } from "./element.js";

/** When so few characters are left it is said; and once when there are too many. */
const SAID = [0, 10, 100, 1_000];

export class LengthLine {
  #seen;
  #said;
  /** Of what was said last, if that was how many are left. @type {number | undefined} */
  #step;

  /** @param {HTMLElement} seen @param {HTMLElement} said */
  constructor(seen, said) {
    this.#seen = seen;
    this.#said = said;
  }

  /** @param {string} sentence "" for nothing. @param {number} [left] How many characters are left, if it tells that: all else is said whenever it is another. */
  tell(sentence, left) {
    setText(this.#seen, sentence);
    const step = sentence && left !== undefined ? stepOf(left) : undefined;
    if (step === undefined || step !== this.#step) setText(this.#said, sentence);
    this.#step = step;
  }
}

/** @param {number} left */
function stepOf(left) {
  return left < 0 ? -1 : SAID.find((most) => left <= most) ?? Infinity;
}

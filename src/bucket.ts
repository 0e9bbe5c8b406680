// A bound on how often something may happen, some of it at once: a bucket that holds as many pieces as may be taken at once. It fills
// up by itself, as a comparison with the clock says, so nothing has to run.

/** How much may be taken of something. */
export interface Rate {
  /** How many in `perMs` milliseconds. */
  readonly most: number;
  /** Time, in milliseconds. */
  readonly perMs: number;
  /** How many at once. */
  readonly atOnce: number;
}

/** Pieces that can be taken, and come again by themselves. */
export class Bucket<R extends Rate> {
  #left: number;
  #at: number;

  /** Is full. `now` is a clock in milliseconds that never jumps. */
  constructor(
    /** How much may be taken. */
    readonly rate: R,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.#left = rate.atOnce;
    this.#at = now();
  }

  /** Takes one, or some; or tells in how many milliseconds there are as many. */
  take(pieces = 1): number {
    const ms = this.wait(pieces);
    if (ms === 0) this.#left -= pieces;
    return ms;
  }

  /** Takes one, or some, also where there are none: who has taken too many at once waits for the longer, but no longer than `perMs`. */
  owe(pieces = 1): void {
    this.wait();
    this.#left = Math.max(this.#left - pieces, -this.rate.most);
  }

  /** In how many milliseconds there are as many. */
  wait(pieces = 1): number {
    const { most, perMs, atOnce } = this.rate;
    const now = this.now();
    this.#left = Math.min(atOnce, this.#left + (now - this.#at) * most / perMs);
    this.#at = now;
    return this.#left < pieces ? (pieces - this.#left) * perMs / most : 0;
  }

  /** Gives one back. */
  giveBack(): void {
    this.#left++; // not above what it holds: that is seen to with the next take
  }
}

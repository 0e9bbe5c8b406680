// The database's clock, for whoever has a cursor that seems to lie in the future. It is asked at most once a second, for all of them.

/** How long an answer is good for, in milliseconds. */
const FRESH_MS = 1_000;

/** Knows what time it is in the database. */
export class Clock {
  #asked = -Infinity;
  #answer: Promise<number> | undefined;

  /** `ask` asks the database; `now` is a clock in milliseconds that never jumps. */
  constructor(
    private readonly ask: () => Promise<number>,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /**
   * Milliseconds since 1970, up to a second ago.
   * @throws {DatabaseError} when it can't be asked.
   */
  read(): Promise<number> {
    if (!this.#answer || this.now() - this.#asked >= FRESH_MS) {
      this.#asked = this.now();
      const answer = this.#answer = this.ask();
      answer.catch(() => {
        if (this.#answer === answer) this.#answer = undefined; // the next one asks again
      });
    }
    return this.#answer;
  }
}

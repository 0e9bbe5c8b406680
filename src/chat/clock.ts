// The database's clock, for whoever has a cursor that seems to lie in the future. It is asked at most once a
// second, for all of them; also where it does not answer, since those who ask again would else wear it down.

/** How long an answer is good for, or a failure, in milliseconds. */
const FRESH_MS = 1_000;

/** Knows what time it is in the database. */
export class Clock {
  #asked = -Infinity;
  #asking = false;
  #answer!: Promise<number>;

  /** `ask` asks the database; `now` is a clock in milliseconds that never jumps. */
  constructor(
    private readonly ask: () => Promise<number>,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /**
   * Milliseconds since 1970, up to a second ago.
   * @throws {DatabaseError} when it can't be asked, or could not up to a second ago.
   */
  read(): Promise<number> {
    if (!this.#asking && this.now() - this.#asked >= FRESH_MS) {
      this.#asked = this.now();
      this.#asking = true;
      this.#answer = this.ask().finally(() => this.#asking = false);
    }
    return this.#answer;
  }
}

// Somebody who looks into the log has to find what a server waits for, and not the same line ten times a second.

/** Time after which the same is said again, in milliseconds. */
const REMIND_MS = 60_000;

/** Decides when to say what is waited for. */
export class Reminder {
  #said: string | undefined;
  #saidAt = 0;

  /** Whether to say it: at once when it is something else than before, and every minute. `now` is in milliseconds. */
  isDue(what: string, now: number = performance.now()): boolean {
    if (what === this.#said && now - this.#saidAt < REMIND_MS) return false;
    [this.#said, this.#saidAt] = [what, now];
    return true;
  }
}

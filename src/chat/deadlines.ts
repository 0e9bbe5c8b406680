// When waits end. A timer for each of ten thousand waiters is ten thousand timers to make, to keep and to clear; so waits
// of the same length that begin shortly after one another share one. It counts from the last of them that could come, and
// without a look at any clock, so that nobody is woken too early.
import { setImmediate } from "node:timers";

/** How much longer than asked a wait may last, in milliseconds: nobody who asks for whole seconds minds. */
export const DEADLINE_STEP_MS = 250;

/** Waits that end, or begin again, in one turn of the event loop: a turn of some milliseconds, after which others are served. */
export const SLICE = 250;

/** How late a deadline passes where this process was frozen, in milliseconds: one that is only busy is in time, or nearly. */
const LATE_MS = 1_000;

/** What a deadline ends. */
export interface Expiring {
  /** Called once the deadline has passed. Must not throw. */
  expire(): void;
  /** What that waits for where the process was frozen at its time, and has seen nothing since. Must not throw, or reject. */
  thaw?(): Promise<void>;
}

/** Deadlines that are shared. */
export class Deadlines {
  /** By length of the wait: the deadline that still takes others in. */
  readonly #open = new Map<number, Deadline>();

  /** The deadline that ends `expiring` in `ms` milliseconds, or up to a step later. */
  add(expiring: Expiring, ms: number): Deadline {
    const deadline = this.#open.get(ms) ?? this.#openOne(ms);
    deadline.add(expiring);
    return deadline;
  }

  #openOne(ms: number): Deadline {
    const deadline = new Deadline(ms, () => {
      if (this.#open.get(ms) === deadline) this.#open.delete(ms); // it may have a successor
    });
    this.#open.set(ms, deadline);
    return deadline;
  }
}

/** One moment at which waits end. */
export class Deadline {
  readonly #ending = new Set<Expiring>();
  readonly #timer;
  readonly #closing;
  readonly #due: number;

  /** Passes in `ms` milliseconds and a step; `closed` is told when it takes nobody in any more, the step before. */
  constructor(ms: number, private readonly closed: () => void) {
    this.#due = Date.now() + ms + DEADLINE_STEP_MS; // the clock on the wall, which goes on while a machine sleeps
    this.#timer = setTimeout(() => this.#pass(), ms + DEADLINE_STEP_MS);
    this.#closing = setTimeout(closed, DEADLINE_STEP_MS);
  }

  /** Ends `expiring` too. */
  add(expiring: Expiring): void {
    this.#ending.add(expiring);
  }

  /** Leaves out what has ended before; the last one takes the timers along. */
  remove(expiring: Expiring): void {
    if (!this.#ending.delete(expiring) || this.#ending.size > 0) return;
    clearTimeout(this.#timer);
    clearTimeout(this.#closing);
    this.closed();
  }

  /** One post can have put thousands into one deadline, who have waited for the same time since. */
  async #pass(): Promise<void> {
    if (Date.now() - this.#due > LATE_MS) await Promise.all(Array.from(this.#ending, (expiring) => expiring.thaw?.()));
    let passed = 0;
    for (const expiring of this.#ending) {
      expiring.expire();
      if (++passed % SLICE === 0) await nextTurn();
    }
  }
}

/** Resolves when others have been served. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

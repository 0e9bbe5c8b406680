// When waits end. A timer for each of ten thousand waiters is ten thousand timers to make, to keep and to clear, so all
// whose wait ends within the same step share one.

/** How much longer than asked a wait may last, in milliseconds: nobody who asks for whole seconds minds. */
export const DEADLINE_STEP_MS = 250;

/** What a deadline ends. */
export interface Expiring {
  /** Called once the deadline has passed. */
  settle(): void;
}

interface Step {
  readonly timer: ReturnType<typeof setTimeout>;
  readonly ending: Set<Expiring>;
}

/** The deadlines of all who wait. */
export class Deadlines {
  readonly #steps = new Map<number, Step>();

  /** Adds what is to end in `ms` milliseconds, or up to a step later; returns where it stands, for {@linkcode remove}. */
  add(expiring: Expiring, ms: number): number {
    const now = performance.now();
    const number = Math.ceil((now + ms) / DEADLINE_STEP_MS);
    let step = this.#steps.get(number);
    if (!step) {
      const timer = setTimeout(() => this.#expire(number), Math.ceil(number * DEADLINE_STEP_MS - now));
      step = { timer, ending: new Set() };
      this.#steps.set(number, step);
    }
    step.ending.add(expiring);
    return number;
  }

  /** Takes out what has ended before its deadline; the last one to leave a step takes its timer along. */
  remove(expiring: Expiring, number: number): void {
    const step = this.#steps.get(number);
    if (!step?.ending.delete(expiring) || step.ending.size > 0) return;
    clearTimeout(step.timer);
    this.#steps.delete(number);
  }

  #expire(number: number): void {
    for (const expiring of this.#steps.get(number)!.ending) expiring.settle();
  }
}

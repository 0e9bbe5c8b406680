// Who waits in a room, and how news reaches very many of them: in slices. Each slice's answers go out before the next is made, so that
// posts, health checks and other rooms are served in between, and the memory of one slice serves the next.
//
// Clients come straight back, each as soon as it has its answer. Served as they come, those of the first slices would be before those
// of the last, who have had nothing yet: with ten thousand, every second one. So whoever comes to wait while news is on its way comes
// after it. Where there is news without end nobody stays outside for it: who came during one pass is let in during the next.
import { setImmediate } from "node:timers";
import { type Deadline, Deadlines } from "./deadlines.ts";

/** Waiters that are settled, or let in, in one turn of the event loop: a turn of some milliseconds. */
const SLICE = 250;

/** Of all rooms. */
const deadlines = new Deadlines();

/** Somebody who can wait, time and again. An object rather than closures, since there are so many; the signal knows it as its listener. */
export abstract class Waiter {
  #waiting: Set<Waiter> | undefined;
  #deadline: Deadline | undefined;
  #signal: AbortSignal | undefined;

  /** What he has had. */
  abstract readonly cursor: string;
  /** Whether changes are news. */
  abstract readonly changes: boolean;
  /** His wait is over, for whatever reason. Must not throw. */
  abstract settled(): void;

  /** Waits among `waiting` from now on, for `ms` milliseconds at most, or until `signal` aborts. */
  wait(waiting: Set<Waiter>, ms: number, signal: AbortSignal | undefined): void {
    this.#waiting = waiting.add(this);
    this.#signal = signal;
    signal?.addEventListener("abort", this);
    this.#deadline = deadlines.add(this, ms);
    if (signal?.aborted) this.settle();
  }

  /** The client has left. */
  handleEvent(): void {
    this.settle();
  }

  /** Ends the wait. */
  settle(): void {
    this.leave();
    this.settled();
  }

  /** Ends it without a word. */
  leave(): void {
    this.#deadline?.remove(this);
    this.#signal?.removeEventListener("abort", this);
    this.#waiting?.delete(this);
  }
}

/** All who wait in one room. */
export class Waiters {
  readonly #waiting = new Set<Waiter>();
  /** Who came while news was on its way, in that order. */
  #outside: (() => void)[] = [];
  #news = false;
  #settling = false;

  /** Nobody waits. */
  constructor(private readonly hasNews: (waiter: Waiter) => boolean) {}

  /** Settles him when there is news, `ms` milliseconds have passed, `signal` aborts or all are released. */
  add(waiter: Waiter, ms: number, signal?: AbortSignal): void {
    waiter.wait(this.#waiting, ms, signal);
  }

  /** While news is on its way: until it is the turn of those who come now. */
  turn(): Promise<void> | undefined {
    return this.#settling ? new Promise((resolve) => this.#outside.push(resolve)) : undefined;
  }

  /** There is news. Settles all for whom there is, beginning at once. */
  wake(): void {
    this.#news = true;
    if (!this.#settling) void this.#settleAll();
  }

  /** Settles those of whom `which` is true; all if not given, and lets in who is outside. */
  release(which?: (waiter: Waiter) => boolean): void {
    for (const waiter of this.#waiting) if (!which || which(waiter)) waiter.settle();
    if (!which) this.#letIn(this.#outside.length);
  }

  async #settleAll(): Promise<void> {
    this.#settling = true;
    while (this.#news || this.#outside.length > 0) {
      let due = this.#outside.length; // they came during the pass before
      if (!this.#news) {
        this.#letIn(SLICE);
        await nextTurn();
        continue;
      }
      this.#news = false;
      let settled = 0;
      let left = this.#waiting.size; // who comes back during the pass is for the next one, else it need not end
      for (const waiter of this.#waiting) {
        if (left-- === 0) break;
        if (!this.hasNews(waiter)) continue;
        waiter.settle();
        if (++settled % SLICE !== 0) continue;
        due -= this.#letIn(Math.min(due, SLICE));
        await nextTurn();
      }
    }
    this.#settling = false;
  }

  #letIn(count: number): number {
    const first = this.#outside.splice(0, count);
    for (const enter of first) enter();
    return first.length;
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

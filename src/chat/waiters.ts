// Who waits in a room, and how news reaches very many of them: in slices. Each slice's answers go out before the next is made, so that
// posts, health checks and other rooms are served in between, and the memory of one slice serves the next.
//
// Clients come straight back, each as soon as it has its answer. Served as they come, those of the first slices would be before those
// of the last, who have had nothing yet: with ten thousand, every second one. So whoever comes while news is on its way is let in after
// all who waited for it. Where there is news without end nobody stays outside for it: who came during one pass through those who wait is
// let in during the next.
import { type Deadline, Deadlines, type Expiring, nextTurn, SLICE } from "./deadlines.ts";

/** Of all rooms. */
const deadlines = new Deadlines();

/** Somebody who can wait, time and again. An object rather than closures, since there are so many. */
export interface Waiter extends Expiring {
  /** What he has had. */
  readonly cursor: string;
  /** Whether changes are news. */
  readonly changes: boolean;
  /** How many looks had begun when he had what he has from elsewhere than the feed. */
  readonly came: number;
  /** His wait is over, for whatever reason. Must not throw. */
  settled(): void;
}

/** All who wait in one room. */
export class Waiters {
  readonly #parked = new Map<Waiter, Deadline>();
  /** Who came while news was on its way, in that order. */
  readonly #outside: (() => void)[] = [];
  #news = false;
  #settling = false;

  /** Nobody waits. */
  constructor(private readonly hasNews: (waiter: Waiter) => boolean) {}

  /** Whether anybody waits. */
  get any(): boolean {
    return this.#parked.size > 0;
  }

  /** Parks somebody until there is news, or `ms` milliseconds have passed: then his `expire` is called, to have him settled. */
  park(waiter: Waiter, ms: number): void {
    this.#parked.set(waiter, deadlines.add(waiter, ms));
  }

  /** Ends somebody's wait, if he waits. */
  settle(waiter: Waiter): void {
    if (this.remove(waiter)) waiter.settled();
  }

  /** The same without a word. */
  remove(waiter: Waiter): boolean {
    const deadline = this.#parked.get(waiter);
    if (!deadline) return false;
    this.#parked.delete(waiter);
    deadline.remove(waiter);
    return true;
  }

  /** Whether news is on its way, so that who comes now has to stay outside. */
  get busy(): boolean {
    return this.#settling;
  }

  /** Keeps somebody outside who comes while it is {@linkcode busy}: `enter` is called when it is his turn. It must not throw. */
  keepOutside(enter: () => void): void {
    this.#outside.push(enter);
  }

  /** There is news: settles all for whom there is, beginning now, or next turn where those outside are being let in. */
  wake(): void {
    this.#news = true;
    if (!this.#settling) void this.#settleAll();
  }

  /** Settles all for whom there is news now, and those too who are outside: it is about to be given to nobody any more. */
  serveAll(): void {
    this.#letIn(this.#outside.length);
    this.settleWhere(this.hasNews);
  }

  /** Settles those of whom `which` is true. */
  settleWhere(which: (waiter: Waiter) => boolean): void {
    for (const waiter of this.#parked.keys()) if (which(waiter)) this.settle(waiter);
  }

  /** Settles all, and lets in who is outside. */
  release(): void {
    for (const waiter of this.#parked.keys()) this.settle(waiter);
    this.#letIn(this.#outside.length);
  }

  async #settleAll(): Promise<void> {
    this.#settling = true;
    try {
      while (this.#news || this.#outside.length > 0) {
        if (this.#news) await this.#pass();
        else {
          this.#letIn(SLICE);
          await nextTurn();
        }
      }
    } finally {
      this.#settling = false;
    }
  }

  /** Goes once through all who wait. */
  async #pass(): Promise<void> {
    this.#news = false;
    let settled = 0;
    let due = this.#outside.length; // they came during the pass before
    let left = this.#parked.size; // who comes back during this one is for the next, else it need not end
    for (const waiter of this.#parked.keys()) {
      if (left-- === 0) return;
      if (!this.hasNews(waiter)) continue;
      this.settle(waiter);
      if (++settled % SLICE !== 0) continue;
      due -= this.#letIn(Math.min(due, SLICE));
      await nextTurn();
    }
  }

  #letIn(count: number): number {
    const first = this.#outside.splice(0, count);
    for (const enter of first) enter();
    return first.length;
  }
}

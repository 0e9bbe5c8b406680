// Waits in a feed, as a promise.
import { type Feed, looksBegun } from "../../src/chat/feed.ts";
import type { Waiter } from "../../src/chat/waiters.ts";

class Wait implements Waiter {
  readonly came = looksBegun();

  constructor(
    private readonly feed: Feed,
    readonly cursor: string,
    readonly changes: boolean,
    readonly settled: () => void,
  ) {}

  expire(): void {
    this.feed.settle(this);
  }
}

/** Resolves when somebody who is parked in a feed is settled; which he is, too, when `signal` aborts. */
export function wait(
  feed: Feed,
  cursor: string,
  ms: number,
  changes = false,
  signal?: AbortSignal,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const waiter = new Wait(feed, cursor, changes, resolve);
  feed.park(waiter, ms);
  signal?.addEventListener("abort", () => waiter.expire(), { once: true });
  return promise;
}

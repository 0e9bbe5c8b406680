// Waits in a feed, as a promise.
import type { Feed } from "../../src/chat/feed.ts";
import { Waiter } from "../../src/chat/waiters.ts";

class Wait extends Waiter {
  constructor(readonly cursor: string, readonly changes: boolean, readonly settled: () => void) {
    super();
  }
}

/** Resolves when somebody who is parked in a feed would be settled. */
export function wait(feed: Feed, cursor: string, ms: number, signal: AbortSignal, changes = false): Promise<void> {
  return new Promise((resolve) => feed.park(new Wait(cursor, changes, resolve), ms, signal));
}

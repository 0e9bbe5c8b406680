// Which statements share a connection. Those that do wait for each other: a post for a page that takes long to read, a look
// for a post. So where there are connections to spare, what must not wait has its own; where there are few, all goes on, slower.
import type { Client } from "../database/client.ts";

/** Whom each kind of statement goes to; some or all can be the same. */
export interface Connections {
  /** Stores; one connection in any case, so that one statement is in flight. */
  readonly writes: Client;
  /** Reads what somebody asks for. */
  readonly reads: Client;
  /** Reads what feeds ask for by themselves. */
  readonly looks: Client;
  /** Looks where all rooms are, and notifies. */
  readonly signals: Client;
  /** Statements that `reads` has room for at a time. */
  readonly readsAtOnce: number;
}

/**
 * Shares out `connections`, 2 or more, of which one is left for LISTEN; `open` makes a client of that name, and of so many
 * connections.
 */
export function shareOut(connections: number, open: (name: string, connections: number) => Client): Connections {
  const most = connections - 1;
  // What comes from outside is parted from what this process does by itself: a page can take seconds, and news must not.
  const writes = open("writes", 1);
  const readsAtOnce = Math.max(1, most - 3);
  const reads = most > 1 ? open("reads", readsAtOnce) : writes;
  const signals = most > 2 ? open("signals", 1) : reads;
  const looks = most > 3 ? open("looks", 1) : signals;
  return { writes, reads, looks, signals, readsAtOnce };
}

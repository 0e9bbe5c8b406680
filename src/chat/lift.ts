// A database that comes back without messages which it had acknowledged (it failed over to a standby that was behind, or a backup
// was put back) gives their numbers out again, and with a clock that is behind, ids below theirs. Who had the lost ones for a
// cursor would miss those. So whoever notices lifts the room's head above all that has been lost.
import { log } from "../log.ts";
import { sleep } from "../sleep.ts";
import { seqOf, timeOf } from "./cursor.ts";
import type { Feed } from "./feed.ts";
import type { Floors } from "./floors.ts";
import type { HeadNumbers } from "./sql/head.ts";
import type { Store } from "./store.ts";

/** Pause before a lift that failed is tried again, in milliseconds. */
const RETRY_MS = 1_000;

/** Tries; then the log says that there was no lift. By then every poll that waited has come back. */
const TRIES = 60;

/** Lifts the heads of rooms that have lost messages. */
export class Lift {
  readonly #closing = new AbortController();
  readonly #underWay = new Set<Promise<void>>();
  #turn: Promise<unknown> = Promise.resolve();

  /** `lifted` is told where a head is now. */
  constructor(
    private readonly store: Pick<Store, "lift">,
    private readonly floors: Floors,
    private readonly lifted: (room: string, head: HeadNumbers) => void,
  ) {}

  /** The database has lost what `feed` knows: says so, and lifts the room's head. Never rejects. */
  async above(feed: Pick<Feed, "room" | "furthest">): Promise<void> {
    const lift = this.#above(feed);
    this.#underWay.add(lift);
    await lift;
    this.#underWay.delete(lift);
  }

  /** Tries no more, but for a last time where one rests between two tries; resolves when all that are under way have ended. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#underWay);
  }

  async #above({ room, furthest }: Pick<Feed, "room" | "furthest">): Promise<void> {
    const ms = Math.max(timeOf(furthest), this.floors.of(room)) + 1;
    log("error", "The database has lost messages that it had acknowledged", { room, had: seqOf(furthest) });
    let error: unknown;
    for (let tries = 1;; tries++) {
      try {
        return this.#tell(room, ms, await this.#inTurn(() => this.store.lift(room, ms)));
      } catch (cause) {
        error = cause;
      }
      if (tries === TRIES || this.#closing.signal.aborted) break;
      await sleep(RETRY_MS, this.#closing.signal);
    }
    log(
      "error",
      "New ids may lie below those of lost messages: clients that have the lost ones may miss new messages",
      {
        room,
        error: `${error}`,
      },
    );
  }

  /** One at a time: a database that comes back without its last minutes has lost some in every room, and posts go on beside. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => {});
    return mine;
  }

  #tell(room: string, ms: number, { head, most }: { head: HeadNumbers | undefined; most: number }): void {
    if (head) this.lifted(room, head);
    if (ms <= most) return;
    log(
      "error",
      "Lost messages lie more than an hour ahead of the database's clock: ids begin below them until it gets there",
      {
        room,
        lost: new Date(ms - 1).toISOString(),
        next: new Date(most).toISOString(),
      },
    );
  }
}

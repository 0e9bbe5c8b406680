// Reading ahead for those who catch up. Whoever is given a full page soon asks for the next one, so that one is read while
// this one is on its way: database, server and network work at the same time, not in turn.
//
// What was read ahead is given out only if it is full. A room's order has no gaps, so a full page has the same messages whenever it is
// read; what ends before its limit may have been followed by news, and is read again. But a message in it can have been changed, or
// lost by the database, since it began to wait here: so it is given to nobody who must have what there is now.
//
// Nobody must gain by it what is another's: a page is read ahead while others need nothing, once at a time for one client, and on his
// account, where it counts as if he had asked for it. So it costs nothing more when he does. Of those that wait for him he has few, too.
import type { Allowance } from "../allowance.ts";
import { unavailable } from "../problem.ts";
import type { Page } from "./page.ts";
import type { Gate } from "./gate.ts";
import type { Turn } from "./sql/rows.ts";
import type { Store } from "./store.ts";

/** Most pages that are read ahead at a time: 8 MB at most. Whoever comes then gets each page when he asks for it. */
const MAX_PAGES = 8;

/** Most of them for one client who is counted: what he asks for next in two rooms. */
const MAX_OF_ONE = 2;

/** How long a page waits to be asked for, in milliseconds; then its reader has left, or is slow and needs none. */
const PATIENCE_MS = 1_000;

interface Ahead {
  readonly client: string;
  readonly room: string;
  /** Never rejects; undefined where it could not be read. */
  readonly page: Promise<Page | undefined>;
  readonly timer: ReturnType<typeof setTimeout>;
}

/** The pages of all rooms. */
export class ReadAhead {
  /** By client, room, cursor and limit. */
  readonly #ahead = new Map<string, Ahead>();

  /** Reads nothing by itself. */
  constructor(private readonly store: Pick<Store, "pageAfter">, private readonly gate: Gate) {}

  /**
   * The messages of `room` after a cursor, at most `limit`; what was not read ahead is read in `turn`. A page that was read ahead calls
   * `begun` too: who asks later may know of a change that it lacks.
   * @throws {DatabaseError} when they can't be read.
   * @throws whatever `turn` throws.
   */
  async page(
    room: string,
    after: string,
    limit: number,
    turn: Turn,
    allowance: Allowance,
    begun: () => void,
  ): Promise<Page> {
    const taken = this.#take(`${allowance.client} ${room} ${after} ${limit}`);
    if (taken) {
      await null; // whoever is told so must have been given this work before
      begun();
    }
    const ahead = await taken;
    const page = ahead?.full ? ahead : await this.store.pageAfter(room, after, limit, { turn });
    if (page.full) this.#readAhead(room, page.last!, limit, allowance);
    return page;
  }

  /** Forgets what was read ahead, of one room or of all. */
  forget(room?: string): void {
    for (const [key, ahead] of [...this.#ahead]) {
      if (room === undefined || ahead.room === room) void this.#take(key);
    }
  }

  #take(key: string): Promise<Page | undefined> | undefined {
    const ahead = this.#ahead.get(key);
    clearTimeout(ahead?.timer);
    this.#ahead.delete(key);
    return ahead?.page;
  }

  #readAhead(room: string, after: string, limit: number, allowance: Allowance): void {
    const { client, unlimited } = allowance;
    const key = `${client} ${room} ${after} ${limit}`;
    if (this.#ahead.has(key) || !this.gate.hasRoomFor(allowance)) return;
    const own = unlimited ? [] : [...this.#ahead].filter(([, ahead]) => ahead.client === client);
    // None gives way: three that he reads at once would else each take the place of what the next one comes for.
    if (own.length >= MAX_OF_ONE || this.#ahead.size >= MAX_PAGES) return;
    const turn: Turn = async (statement) => {
      if (!allowance.readAhead()) throw unavailable("This client may read no more for now");
      return await this.gate.run(allowance, room, statement);
    };
    this.#ahead.set(key, {
      client,
      room,
      page: this.store.pageAfter(room, after, limit, { turn }).catch(() => undefined),
      timer: setTimeout(() => this.#ahead.delete(key), PATIENCE_MS),
    });
  }
}

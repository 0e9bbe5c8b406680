// Forgets messages for good, beside the servers that run: in small batches, so that nobody who posts waits for long, and told to
// whoever follows with changes, so that no server goes on showing them. Each batch is done or not: who is ended half-way begins anew.
import { type Client, DatabaseError } from "../database/client.ts";
import type { Run } from "../database/transaction.ts";
import { sleep } from "../sleep.ts";
import { SKEW_MS } from "./sql/append.ts";
import { NIL, randomDigits, seqOf } from "./cursor.ts";
import { forget, type ForgottenRow, markRemoved, newestOf, removeRows, roomsOf } from "./sql/forget.ts";
import type { Store } from "./store.ts";
import { tellHeads } from "./wake.ts";
import { walk, type Walked, type Which } from "./sql/walk.ts";

/** Messages that are forgotten in one statement, which holds their room's head for some milliseconds; each takes a millisecond in its order. */
const BATCH = 200;

/** Messages of a room that may be left for the statement that ends it, beside which nobody posts there: some tenths of a second. */
const LEFT = 10_000;

/** How often it goes on to what has come meanwhile. Where more is posted in a second than can be told of one by one, it would do so for ever. */
const PASSES = 5;

/** Rows of messages that one statement removes, which holds nobody up. */
const REMOVED_AT_ONCE = 1_000;

/** Rows that one statement looks at: some hundredths of a second. */
const LOOKED_AT = 10_000;

/** Pause before a statement that failed is tried again, in milliseconds, and how many times that is done. */
const RETRY_MS = 1_000;
const TRIES = 30;

/** What there is to forget. */
export interface Count {
  /** Messages. */
  readonly messages: number;
  /** Rows of messages that were deleted before. */
  readonly deleted: number;
  /** Rooms that these are in. */
  readonly rooms: number;
}

/** What has been forgotten in one statement. */
export interface Forgotten {
  /** The room's name. */
  readonly room: string;
  /** How many messages. */
  readonly messages: number;
  /** The ids of the first and the last of them. */
  readonly first: string;
  /** See `first`. */
  readonly last: string;
}

type FoundMessage = Walked & { readonly there: boolean };

const COLUMNS = "author, sub, body <> '' as there";

/** Forgets; each of its statements is tried for half a minute. */
export class Forgetter {
  readonly #run: Run = (statement) => persist(() => this.client.run(statement));

  /** `store` tells the servers, over the same connection. */
  constructor(private readonly client: Client, private readonly store: Pick<Store, "notify">) {}

  /** Where a message is that has not been deleted: in one room, and in each into which it was imported under another name. */
  async find(id: string): Promise<Walked[]> {
    const found: Walked[] = [];
    for (let after = "";;) {
      const { rooms, last } = await this.#run((sql) => roomsOf(sql, id, after, LOOKED_AT));
      found.push(...rooms.map((room) => ({ room, id })));
      if (!last) return found;
      after = last;
    }
  }

  /** Counts what there is to forget. */
  async count(which: Which): Promise<Count> {
    let [messages, deleted] = [0, 0];
    const rooms = new Set<string>();
    for await (const found of walk<FoundMessage>(this.#run, which, COLUMNS, LOOKED_AT)) {
      for (const { room, there } of found) {
        if (there) messages++;
        else deleted++;
        rooms.add(room);
      }
    }
    return { messages, deleted, rooms: rooms.size };
  }

  /** Forgets one message, as if its author had deleted it. */
  async forgetOne({ room, id }: Walked): Promise<void> {
    await this.#forget(room, [id], false);
  }

  /** Forgets messages, all that are there when it comes to them. Yields what it has done, again and again. */
  async *forget(which: Which): AsyncGenerator<Forgotten, void, void> {
    for await (const found of walk<FoundMessage>(this.#run, which, COLUMNS, LOOKED_AT)) yield* this.#all(found, which);
  }

  /**
   * Removes a room. It forgets one by one the messages that are there when it begins, then those that have come meanwhile, as long as
   * these are many. What is left it forgets at once, and then it removes the rows. Its head stays, so that no id ever goes back. Yields as
   * `forget` does.
   */
  async *removeRoom(room: string): AsyncGenerator<Forgotten, void, void> {
    const which = { by: "room", name: room } as const;
    let last = NIL;
    for (let pass = 1; pass <= PASSES; pass++) {
      const newest = await this.#run((sql) => newestOf(sql, room));
      if (pass > 1 && seqOf(newest) - seqOf(last) <= LEFT) break;
      for await (const found of walk<FoundMessage>(this.#run, which, COLUMNS, LOOKED_AT, newest, last)) {
        yield* this.#all(found, which);
      }
      last = newest;
    }
    const removed = await this.#run((sql) => markRemoved(sql, { room, after: last, random: randomDigits() }));
    if (!removed) return; // there never was such a room
    const { messages, first, last: newest, trimmed } = removed;
    if (messages > 0) {
      await this.#tell(room, removed, 1);
      yield { room, messages, first: first!, last: newest! };
    }
    const limit = REMOVED_AT_ONCE;
    for (let at: string | undefined = NIL; at;) {
      const after: string = at;
      at = await this.#run((sql) => removeRows(sql, { room, after, last: trimmed, limit }));
    }
  }

  async *#all(found: readonly FoundMessage[], { by }: Which): AsyncGenerator<Forgotten, void, void> {
    // A deleted message has a sub and a key still.
    const meant = by === "sub" ? found : found.filter(({ there }) => there);
    for (const [room, messages] of Map.groupBy(meant, ({ room }) => room)) {
      for (let start = 0; start < messages.length; start += BATCH) {
        const ids = messages.slice(start, start + BATCH).map(({ id }) => id);
        await this.#forget(room, ids, by !== "author");
        yield { room, messages: ids.length, first: ids[0]!, last: ids.at(-1)! };
      }
    }
  }

  async #forget(room: string, ids: readonly string[], names: boolean): Promise<void> {
    const [head] = await this.#run((sql) => forget(sql, { room, ids, names, random: randomDigits() }));
    if (head) await this.#tell(room, head, ids.length);
  }

  async #tell(room: string, { ms, seq, ahead }: ForgottenRow, count: number): Promise<void> {
    await tellHeads(this.store, [[room, { ms: Number(ms), seq: Number(seq) }]]);
    // What is posted next comes out of the future by as much as the head is ahead: not by more than clocks may be apart. Where it is
    // ahead for another reason, too, waiting for the clock could last for ever: posts move such a head on by a millisecond each.
    await sleep(Math.min(Math.max(0, Number(ahead) - SKEW_MS), count));
  }
}

/** Tries again what may pass the next time: a room that others hold, a database that is away. What it does twice, does no harm. */
async function persist<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1;; tries++) {
    try {
      return await work();
    } catch (error) {
      const lasting = !(error instanceof DatabaseError) || error.isOurs || error.code.startsWith("42");
      if (lasting || tries === TRIES) throw error;
      await sleep(RETRY_MS);
    }
  }
}

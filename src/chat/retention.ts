// Messages that are too old are removed, where RETENTION says so: what is kept for ever fills every disk, and some of it must not be kept.
// They go in small batches with rests between them, so that nobody is held up who posts or reads meanwhile; one server at a time.
//
// The time is in the ids, so the oldest message of a room is found by the primary key. A message that was changed is as old as its newest
// change: who follows with changes and was away must still learn that it was deleted, and its row is what tells him.
//
// First the head of the room is marked with the newest place that is to go (`trimmed`); then, in a statement of its own, the messages go
// that stand at or before it. So where a reader does not find one, the mark in the same snapshot says why. And the head, for which
// whoever posts has to wait, is held for the mark alone. What a server leaves that dies between the two, the next run finds; and so it is
// with a room of which another transaction holds something: the rooms behind it must not wait for that.
import type { Config } from "../config.ts";
import { Client, DatabaseError, deadlineOf } from "../database/client.ts";
import type { Database } from "../database/open.ts";
import { log } from "../log.ts";
import { sleep } from "../sleep.ts";
import { Ages } from "./ages.ts";
import { cursorAt, makePlace, MAX_SEQ, NIL, timeOf } from "./cursor.ts";
import { isLockedOut } from "./locked-rooms.ts";

/** Pause between two runs, in milliseconds: who keeps messages for days does not mind an hour. */
const INTERVAL_MS = 3_600_000;

/** Messages that are looked at, and removed, at a time: some milliseconds' work. */
const BATCH = 1_000;

/** Rooms whose oldest message is looked for at a time: some milliseconds' work, too. */
const ROOMS = 1_000;

/** How many times as long as a batch took the trimmer rests after it: it takes a fifth of one connection's time at most. */
const REST = 4;

/**
 * How far the database's clock may be from this machine's, in milliseconds. Beyond that one of them is wrong: to go by one that is years
 * ahead would remove everything.
 */
const MAX_APART_MS = 3_600_000;

/** Rooms that a line of the log names. */
const MAX_LOGGED = 10;

/** The key of the advisory lock that a trimmer has: "lin-trim" in ASCII. */
const LOCK = "7811896170157074797";

/** What a trimmer takes of the settings. */
export type RetentionSettings = Pick<
  Config,
  "RETENTION" | "DATABASE_POOLED" | "DATABASE_DIRECT_URL" | "STATEMENT_TIMEOUT_MS"
>;

/** Removes what is too old. */
export class Retention {
  readonly #ages: Ages;
  readonly #openClient: () => Client;
  readonly #mark: string;

  /** Connects with a run, and leaves no connection behind it. */
  constructor({ openPool }: Pick<Database, "openPool">, settings: RetentionSettings) {
    const { RETENTION, DATABASE_POOLED, DATABASE_DIRECT_URL } = settings;
    this.#ages = new Ages(RETENTION);
    const open: Database["openPool"] = (name, options) => openPool(name, { ...options, direct: true });
    this.#openClient = () => new Client("retention", 1, deadlineOf(settings), open);
    // A lock that ends with the session outlasts the rests. A pooler would keep it; behind one it ends with each statement, so that
    // servers take turns batch by batch.
    this.#mark = mark(DATABASE_POOLED && !DATABASE_DIRECT_URL ? "pg_try_advisory_xact_lock" : "pg_try_advisory_lock");
  }

  /** Removes now and then what is too old, until `stop` aborts. Never rejects. */
  async keep(stop: AbortSignal): Promise<void> {
    while (!this.#ages.unlimited && !stop.aborted) {
      await this.run(stop);
      await sleep(INTERVAL_MS * (0.9 + 0.2 * Math.random()), stop); // of many servers not all in one moment
    }
  }

  /**
   * Removes what is too old at this moment, or nothing where another server is at it, the database only reads, its clock can't be right,
   * or `stop` aborts. Never rejects: what failed is tried with the next run.
   */
  async run(stop: AbortSignal): Promise<void> {
    const client = this.#openClient();
    const end = () => void client.close();
    stop.addEventListener("abort", end);
    const removed = new Map<string, number>();
    const held: string[] = [];
    try {
      await this.#trimAll(client, stop, removed, held);
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error; // which the client has told the log, but for those of the end
    } finally {
      stop.removeEventListener("abort", end);
      await client.close();
      tell(removed);
      tellHeld(held);
    }
  }

  async #trimAll(client: Client, stop: AbortSignal, removed: Map<string, number>, held: string[]): Promise<void> {
    // Before the first mark, after which nothing would follow.
    const [right] = await client.read((sql) =>
      sql<Right[]>`select has_table_privilege('messages', 'delete') as given, quote_ident(current_user) as role`
    );
    if (!right!.given) {
      log("error", `Messages that are too old can't be removed: grant delete on messages to ${right!.role}`);
      return;
    }
    for (let after = ""; !stop.aborted;) {
      const begun = performance.now();
      const sent = Date.now();
      const rooms = await client.read((sql) => sql.unsafe<Oldest[]>(OLDEST, [after, ROOMS], { prepare: true }));
      const [earliest, latest] = [sent - MAX_APART_MS, Date.now() + MAX_APART_MS];
      const wrong = rooms.find(({ now }) => Number(now) < earliest || Number(now) > latest);
      if (wrong) {
        const sentence =
          "Nothing is removed while the database's clock and this machine's are more than an hour apart: set them by NTP";
        return log("error", sentence, { ahead_ms: Number(wrong.now) - sent });
      }
      for (const { room, oldest, now } of rooms) {
        const age = this.#ages.of(room);
        const limit = Number(now) - (age ?? Infinity);
        if (oldest === null || timeOf(oldest) > limit || stop.aborted) continue;
        const isTurn = await this.#trim(client, room, limit, stop, (count) => {
          removed.set(room, (removed.get(room) ?? 0) + count);
        }).catch((error) => {
          if (!isInTheWay(error)) throw error;
          held.push(room);
          return true;
        });
        if (!isTurn) return;
      }
      if (rooms.length < ROOMS) return;
      after = rooms.at(-1)!.room;
      await rest(begun, stop);
    }
  }

  /** Removes what is as old as the time `ms` in a room; returns whether it is this server's turn. */
  async #trim(client: Client, room: string, ms: number, stop: AbortSignal, removed: (count: number) => void) {
    const limit = cursorAt(makePlace(ms, MAX_SEQ));
    for (let from = NIL; !stop.aborted;) {
      const begun = performance.now();
      const [marked] = await client.run((sql) =>
        sql.unsafe<Marked[]>(this.#mark, [room, from, limit, BATCH], { prepare: true })
      );
      const { turn, newest, last, looked } = marked!;
      if (!turn) return false;
      if (newest !== null) {
        const { count } = await client.run((sql) => sql.unsafe(REMOVE, [room, from, last, newest], { prepare: true }));
        removed(count);
      }
      if (looked < BATCH) break;
      from = last!;
      await rest(begun, stop);
    }
    return true;
  }
}

/** Rests after what has begun then. */
async function rest(begun: number, stop: AbortSignal): Promise<void> {
  await sleep(REST * (performance.now() - begun), stop);
}

/** Whether another transaction is in the way, which says nothing of other rooms. */
function isInTheWay(error: unknown): boolean {
  return isLockedOut(error) || error instanceof DatabaseError && error.isConflict;
}

function tellHeld(rooms: readonly string[]): void {
  if (rooms.length === 0) return;
  const sentence = "Other transactions hold rooms that have messages to remove: these rooms are tried again in an hour";
  log("warn", sentence, { rooms: rooms.length, some: rooms.slice(0, MAX_LOGGED) });
}

function tell(removed: ReadonlyMap<string, number>): void {
  const rooms = [...removed].filter(([, count]) => count > 0).sort(([, a], [, b]) => b - a);
  if (rooms.length === 0) return;
  const messages = rooms.reduce((sum, [, count]) => sum + count, 0);
  const named = Object.fromEntries(rooms.slice(0, MAX_LOGGED));
  log("info", "Messages that were too old were removed", { messages, rooms: rooms.length, most: named });
}

/** Whether messages may be removed, and by which role. */
interface Right {
  readonly given: boolean;
  readonly role: string;
}

/** A room, its oldest message, and what time it is. */
interface Oldest {
  readonly room: string;
  readonly oldest: string | null;
  readonly now: string;
}

const OLDEST = `
  select room, (select id from messages m where m.room = h.room order by id limit 1) as oldest,
    floor(extract(epoch from clock_timestamp()) * 1000)::bigint as now
  from (select room from heads where room > $1::text order by room limit $2::int) h order by room`;

/** What became of a mark. */
interface Marked {
  /** Whether it is this server's turn. */
  readonly turn: boolean;
  /** The newest place that is to go; null where nothing is. */
  readonly newest: string | null;
  /** The last message that was looked at. */
  readonly last: string | null;
  /** How many were. */
  readonly looked: number;
}

/**
 * A wait for a lock that is short, since others wait behind it; and a commit that nobody waits for: were it lost, with all that came after
 * it, the next run would do the same again.
 */
const SETTINGS = `settings as materialized (
  select set_config('lock_timeout', '1000', true), set_config('synchronous_commit', 'off', true)
)`;

/** Marks what is to go of the first messages after $2 that are as old as $3, where the lock is to be had by this function. */
function mark(lock: string): string {
  return `
    with ${SETTINGS},
    turn as materialized (
      select case when pg_is_in_recovery() or current_setting('transaction_read_only')::boolean then false else ${lock}(${LOCK}) end as turn
    ),
    looked as materialized (
      select id, coalesce(changed, id) as place from messages
      where room = $1 and id > $2::uuid and id <= $3::uuid order by id limit $4::int
    ),
    newest as materialized (select place from looked where place <= $3::uuid order by place desc limit 1),
    marked as (
      update heads h set trimmed = newest.place from newest, turn, settings
      where h.room = $1 and turn and newest.place > coalesce(h.trimmed, '${NIL}')
    )
    select turn, (select place from newest) as newest, (select id from looked order by id desc limit 1) as last,
      (select count(*)::int from looked) as looked
    from turn`;
}

/** Only what the mark is of: a message that was changed meanwhile is not as old any more. PostgreSQL looks anew after a wait. */
const REMOVE = `
  with ${SETTINGS}
  delete from messages using settings
  where room = $1 and id > $2::uuid and id <= $3::uuid and coalesce(changed, id) <= $4::uuid`;

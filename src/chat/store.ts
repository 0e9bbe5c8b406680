// What the chat asks of its database, and what comes back in the chat's own terms. Long statements have a file each.
import type { PendingQuery } from "postgres";
import { type Client, DatabaseError } from "../database/client.ts";
import type { Sql } from "../database/pool.ts";
import { append } from "./sql/append.ts";
import { type Change, change, type ChangedRow, unchanged } from "./sql/change.ts";
import { trimmed } from "../problem.ts";
import { makeId, NIL, placeOf, seqOf, timeOf } from "./cursor.ts";
import { batchOf, type Draft } from "./draft.ts";
import type { Floors } from "./floors.ts";
import { type Head, type HeadNumbers, type Known, makeHead, MAX_AHEAD_MS, SETTINGS } from "./sql/head.ts";
import { MAX_PAGE_BYTES } from "./message.ts";
import { headRows, newestRows, newRows, type News, newsOf, type NewsRow, type Notification } from "./sql/news.ts";
import { type Entry, entryOf, makeEntry, makePage, type Page, type Row } from "./page.ts";
import { ON_PRIMARY } from "./sql/primary.ts";
import { atOnce, COLUMNS, entriesOf, live, type Rows, rowsAfter, rowsBefore, type Turn } from "./sql/rows.ts";
import { hasIcu, type Search, search } from "./sql/search.ts";

/** What a statement has stored in one room. */
export interface Commit {
  /** The room's name. */
  readonly room: string;
  /** The messages, ascending; or a change. */
  readonly entries: readonly Entry[];
  /**
   * Where the room's head was before; undefined where that proves nothing: while the clock is behind what this process knows of
   * the room, a database that has lost messages can come by the same place again.
   */
  readonly prior: HeadNumbers | undefined;
  /** Where it is now. */
  readonly head: HeadNumbers;
}

/** What became of a change. */
export type Verdict =
  /** It is done. */
  | { readonly outcome: "changed"; readonly entry: Entry; readonly commit: Commit }
  /** It was not needed: the message is so already. */
  | { readonly outcome: "same"; readonly entry: Entry }
  /** There is no such message, or no more; it is another's; or it is not as it was known. */
  | { readonly outcome: "missing" | "deleted" | "foreign" | "other" };

/** Tries to make sense of a change that was not done: each time another came between. */
const MAX_TRIES = 100;

/** A stored message that was posted with a key. */
export interface StoredKey {
  /** The room's name. */
  readonly room: string;
  /** The Idempotency-Key. */
  readonly key: string;
  /** Who said it. */
  readonly author: string | null;
  /** The text. */
  readonly body: string;
  /** What it answers. */
  readonly reply_to: string | null;
  /** The message; it may have been changed since. */
  readonly entry: Entry;
}

/** The constraint that refuses a second message with the same key in the same room. */
export const KEY_TAKEN = "messages_key";

/** Most heads that are looked at for the list of rooms, about a tenth of a second's work; then the list is given as it is, even if short. */
const MAX_LISTED_HEADS = 10_000;

/** A room in the list of rooms. */
export interface ListedRoom {
  /** Its name. */
  readonly room: string;
  /** The id of its newest message. */
  readonly newest: string;
}

/**
 * Reads and writes rooms, heads and messages. Each method is one statement, and fails with a DatabaseError; those that have to come past
 * deleted messages can be several, of which each takes its turn; so can a change, and the list of rooms.
 */
export class Store {
  /**
   * Each kind of statement has a client of its own: `writer` one connection, so that one statement is in flight; `reads` those for
   * whatever somebody asks for; `signals` one that looks where all rooms are, and notifies; `looks` one for what feeds ask by
   * themselves, which must not wait behind what others ask.
   */
  constructor(
    private readonly writer: Client,
    private readonly reads: Client,
    private readonly signals: Client,
    private readonly floors: Floors,
    private readonly looks: Client = reads,
  ) {}

  /**
   * Stores the drafts, in order, and returns their entries in the same order, and what that means for each room: all of them
   * or none. A draft whose key its room knows fails with the constraint {@linkcode KEY_TAKEN}.
   */
  async append(drafts: readonly Draft[]): Promise<{ entries: Entry[]; commits: Commit[] }> {
    const batch = batchOf(drafts);
    let floors: number[] = [];
    const heads = await this.writer.run((sql) => {
      floors = batch.rooms.map((room) => this.floors.of(room)); // now that its turn has come
      return append(sql, batch, floors);
    });
    const rows = new Map(heads.map((row) => [row.room, row]));
    const commits = batch.rooms.map((room, nth) => {
      const row = rows.get(room)!;
      const head = { ms: Number(row.ms), seq: Number(row.seq) };
      const isBehind = Number(row.clock) < floors[nth]!;
      this.floors.raise(room, head.ms);
      return {
        room,
        entries: [] as Entry[],
        head,
        prior: isBehind ? undefined : { ms: Number(row.prior), seq: head.seq - batch.counts[nth]! },
      };
    });
    // The ids were made in SQL; that they are made here by the same rule again saves sending them back.
    const entries = drafts.map((draft, i) => {
      const { room, author, body, random } = draft;
      const { head: { ms, seq }, entries } = commits[batch.roomOf[i]!]!;
      const entry = makeEntry(room, makeId(ms, seq - batch.later[i]!, random), author, body, draft);
      entries.push(entry);
      return entry;
    });
    return { entries, commits };
  }

  /** The stored messages that have one of the drafts' keys, in no particular order; as durable as if they had just been posted. */
  async withKeysOf(drafts: readonly Draft[]): Promise<StoredKey[]> {
    const keyed = drafts.filter((draft) => draft.key !== null);
    // A message can be seen whose commit has not reached the standby, when the wait for that was cut short. So this statement
    // writes something, of no meaning, to the log of the database: its own commit gets there after all others before it.
    const rows = await this.writer.read((sql) =>
      sql<(Row & { room: string; key: string })[]>`
        with ${
        sql.unsafe(SETTINGS)
      }, written as materialized (select pg_logical_emit_message(true, 'linger', '') from settings)
        select room, key, ${sql.unsafe(COLUMNS)} from messages join unnest(
          ${sql.types.texts(keyed.map((draft) => draft.room))}::text[],
          ${sql.types.texts(keyed.map((draft) => draft.key))}::text[]
        ) as k (room, key) using (room, key), written`
    );
    return rows.map((row) => {
      const { room, key, author, body, reply_to } = row;
      this.#given(room, [placeIn(row)]);
      return { room, key, author, body, reply_to, entry: entryOf(room, row) };
    });
  }

  /**
   * Changes a message.
   * @throws {DatabaseError} also where others came between again and again.
   */
  async change(wanted: Change): Promise<Verdict> {
    const { room, body, known } = wanted;
    for (let tries = 1;; tries++) {
      const [done] = await this.writer.run((sql) => change(sql, wanted, this.floors.of(room)));
      if (done) return this.#changed(room, done);
      const [row] = await this.writer.read((sql) => unchanged(sql, wanted));
      if (!row) return { outcome: "missing" };
      if (!row.own) return { outcome: "foreign" };
      const entry = entryOf(room, row);
      this.#given(room, [placeIn(row)]);
      if (row.body === body) return { outcome: "same", entry };
      if (entry.deleted) return { outcome: "deleted" };
      if (known !== null && known !== (row.changed ?? row.id)) return { outcome: "other" };
      // It was as wanted, or as it was not known, when the statement began, and is not any more.
      if (tries === MAX_TRIES) throw new DatabaseError("rolled-back", "40001", undefined, {});
    }
  }

  #changed(room: string, row: ChangedRow): Verdict {
    const head = { ms: Number(row.ms), seq: Number(row.seq) };
    const prior = Number(row.prior);
    this.floors.raise(room, head.ms);
    const entry = entryOf(room, row);
    const commit = {
      room,
      entries: [entry.asChange()],
      head,
      prior: prior < 0 ? undefined : { ms: prior, seq: head.seq },
    };
    return { outcome: "changed", entry, commit };
  }

  /**
   * The first messages of `room` after the cursor `after`: at most `limit`, and `bytes`, but at least one if there is one. With `changes`
   * these too, in the order of their places.
   * @throws {Problem} 410 where some of them were removed since they were too old.
   */
  async readAfter(
    room: string,
    after: string,
    limit: number,
    { bytes = MAX_PAGE_BYTES, changes = false, turn = atOnce }: { bytes?: number; changes?: boolean; turn?: Turn } = {},
  ): Promise<Rows> {
    return await live(room, after, limit, bytes, turn, async (from, most) => {
      const rows = await this.reads.read((sql) =>
        rowsAfter(sql, { room, asked: after, after: from, limit: most, bytes, changes })
      );
      this.#given(room, rows.map((row) => row.id === null ? row.place : placeIn(row)));
      const mark = rows.find(({ id }) => id === null)?.place;
      // Between two places of one number there are changes, which nobody misses who did not ask for them.
      if (mark && (changes || seqOf(mark) !== seqOf(after))) throw trimmed(mark);
      return rows.filter((row) => row.id !== null);
    });
  }

  /**
   * The same as a page.
   * @throws {Problem} the same.
   */
  async pageAfter(
    room: string,
    after: string,
    limit: number,
    options: { changes?: boolean; turn?: Turn } = {},
  ): Promise<Page> {
    const { entries, full } = await this.readAfter(room, after, limit, options);
    return makePage(entries, full);
  }

  /**
   * The last messages of `room` before the cursor `before` (without one: the newest), ascending; and whether the room has come to
   * that cursor, so that no message can come between any more.
   */
  async readBefore(
    room: string,
    before: string | undefined,
    limit: number,
    turn: Turn = atOnce,
  ): Promise<Rows & { past: boolean }> {
    let past: boolean | undefined;
    const { entries, full } = await live(room, before, limit, MAX_PAGE_BYTES, turn, async (from, most) => {
      const rows = await this.reads.read((sql) => rowsBefore(sql, { room, asked: before, before: from, limit: most }));
      this.#given(room, rows.map(placeIn));
      past ??= rows[0]?.past ?? false; // as it was when the page began: what comes during a later round is not in it
      return rows;
    });
    return { entries: entries.reverse(), full, past: past! };
  }

  /** What a feed begins with: the newest messages of `room`, at most `limit`, and its head. */
  async newest(room: string, limit: number): Promise<News> {
    const rows = await this.looks.read((sql) => newestRows(sql, room, limit));
    const { entries, full, head } = this.#news(room, rows, limit, placeOf(NIL));
    return { entries: entries.reverse(), full, head };
  }

  /**
   * How a feed goes on: the first messages and changes of `room` after those known, in the order of their places, at most `limit` and
   * one answer's bytes; its head; and whether what was known is still there.
   */
  async news(room: string, known: Known, limit: number): Promise<News> {
    const { place } = known; // it can be further by the time of the answer
    const rows = await this.looks.read((sql) => newRows(sql, room, known, limit));
    return this.#news(room, rows, limit, place);
  }

  #news(room: string, rows: readonly NewsRow[], limit: number, place: string): News {
    const found = newsOf(room, rows, limit, place);
    this.floors.raise(room, timeOf(found.head.place));
    return found;
  }

  /**
   * The last messages before a cursor that have a text, newest first, as many as one answer may have and one more; and the cursor before
   * which nothing was looked at yet, undefined where there is nothing before.
   */
  async search(wanted: Search): Promise<{ entries: Entry[]; next: string | undefined }> {
    const rows = await this.reads.read((sql) => search(sql, wanted));
    this.#given(wanted.room, rows.map(placeIn));
    const found = rows.filter(({ found }) => found);
    const entries = entriesOf(wanted.room, found, wanted.limit);
    const more = found[entries.length]; // by which whoever makes an answer of it sees that it ends before
    if (more) return { entries: [...entries, entryOf(wanted.room, more)], next: more.id };
    const last = rows.at(-1);
    return { entries, next: last?.ended || found.length === wanted.limit ? last!.id : undefined };
  }

  /** Whether the database has ICU. */
  async hasIcu(): Promise<boolean> {
    const [row] = await this.reads.read(hasIcu);
    return row!.known;
  }

  /** One message, or undefined. */
  async readOne(room: string, id: string): Promise<Entry | undefined> {
    const [row] = await this.reads.read((sql) =>
      sql<Row[]>`
        select ${sql.unsafe(COLUMNS)} from messages where room = ${room} and id = ${id} and ${sql.unsafe(ON_PRIMARY)}`
    );
    this.#given(room, row ? [placeIn(row)] : []);
    return row && entryOf(room, row);
  }

  /** Somebody has these for cursors from here on: no id may come to lie at or below them. */
  #given(room: string, cursors: readonly string[]): void {
    const newest = cursors.reduce((newest, cursor) => cursor > newest ? cursor : newest, NIL);
    this.floors.raise(room, timeOf(newest));
  }

  /** The heads of rooms of which something is known; the same statement notifies, where that is asked for too. */
  async heads(known: ReadonlyMap<string, Known>, notification?: Notification): Promise<Map<string, Head>> {
    const rows = await this.signals.read((sql) => headRows(sql, known, notification));
    for (const { room, ms } of rows) this.floors.raise(room, Number(ms));
    return new Map(rows.map((row) => [row.room, makeHead(row)]));
  }

  /**
   * Lifts the head of `room` to the time `ms` where it is below, so that no id comes to lie at or below those that the database
   * has lost; its number goes on counting what is stored. Returns where it is then, or undefined where it is as high already;
   * and the highest time to which a lift goes.
   */
  async lift(room: string, ms: number): Promise<{ head: HeadNumbers | undefined; most: number }> {
    const [row] = await this.writer.run((sql) =>
      sql<{ seq: string | null; ms: string | null; most: string }[]>`
        with ${sql.unsafe(SETTINGS)},
        lifted as (
          insert into heads as h (room, seq, ms)
          select ${room}, 0, least(${ms}::bigint, clock + ${MAX_AHEAD_MS.lift}::int) from settings
          on conflict (room) do update set prior = h.ms, ms = excluded.ms where h.ms < excluded.ms
          returning seq, ms
        )
        select seq, ms, clock + ${MAX_AHEAD_MS.lift}::int as most from settings left join lifted on true`
    );
    const { seq, ms: lifted, most } = row!;
    return { head: lifted === null ? undefined : { ms: Number(lifted), seq: Number(seq) }, most: Number(most) };
  }

  /**
   * The rooms with the newest messages, newest first, at most `limit`. A head can be newer than that, where messages were changed or
   * removed: so some more are looked at, and ten times as many again where those that were not may have newer messages.
   */
  async newestRooms(limit: number): Promise<ListedRoom[]> {
    for (let count = limit + Math.ceil(limit / 5);; count = Math.min(10 * count, MAX_LISTED_HEADS)) {
      // Reads every head row, since heads has no index on ms: with one, no update of a head row would stay on its page.
      const { rooms, heads } = await this.#listed((sql) => sql`order by ms desc, room limit ${count}`);
      const listed = rooms.slice(0, limit);
      const last = listed.length === limit ? timeOf(listed.at(-1)!.newest) : 0;
      if (heads.length < count || last >= Number(heads.at(-1)!.ms) || count >= MAX_LISTED_HEADS) return listed;
    }
  }

  /** Of the rooms those that have messages, newest first. */
  async newestOf(rooms: readonly string[]): Promise<ListedRoom[]> {
    return (await this.#listed((sql) => sql`and room = any(${sql.types.texts(rooms)}::text[])`)).rooms;
  }

  /** Whether a message was ever stored in a room, of which all can have been removed since. */
  async hasBegun(room: string): Promise<boolean> {
    return (await this.reads.read((sql) =>
      sql`select from heads where room = ${room} and seq > 0 and ${sql.unsafe(ON_PRIMARY)}`
    )).length > 0;
  }

  /** The newest message of each room that is left, and has one, newest first. It is looked for after the limit, so in no other room. */
  async #listed(
    which: (sql: Sql) => PendingQuery<never[]>,
  ): Promise<{ rooms: ListedRoom[]; heads: readonly { ms: string }[] }> {
    const heads = await this.reads.read((sql) =>
      sql<{ room: string; ms: string; newest: string | null }[]>`
        select room, ms, (select id from messages m where m.room = h.room order by id desc limit 1) as newest
        from heads h where ${sql.unsafe(ON_PRIMARY)} ${which(sql)}`
    );
    const rooms = heads.flatMap(({ room, newest }) => newest === null ? [] : [{ room, newest }]);
    for (const { room, newest } of rooms) this.#given(room, [newest]);
    return { rooms: rooms.sort((a, b) => a.newest < b.newest ? 1 : -1), heads };
  }

  /** Sends one notification for each of the payloads on `channel`. */
  async notify(channel: string, payloads: readonly string[]): Promise<void> {
    // Never in the statement that writes: a transaction with a NOTIFY holds a lock that all of them in the cluster
    // share until its commit is on disk. Told twice it does no harm, so it is sent again where the connection is lost under it.
    await this.signals.read((sql) =>
      sql`select pg_notify(${channel}, payload) from unnest(${sql.types.texts(payloads)}::text[]) as payload`
    );
  }

  /** Resolves if the connection that stores leads to where one may store. */
  async checkWritable(): Promise<void> {
    // The statement that stores posts, with none: it takes the same tables, rights and kind of transaction, and touches no row.
    await this.writer.read((sql) => append(sql, batchOf([]), [0]));
  }

  /** Whether a commit of ours has waited for its standby for a while. A connection that is given up leaves it there. */
  async waitsForStandby(): Promise<boolean> {
    const waiting = await this.writer.read((sql) =>
      sql`
        select from pg_stat_activity where usename = session_user and wait_event = 'SyncRep'
          and query_start < clock_timestamp() - interval '1 second' limit 1`
    );
    return waiting.length > 0;
  }

  /** The database's clock, in milliseconds since 1970. */
  async clock(): Promise<number> {
    const [row] = await this.reads.read((sql) =>
      sql<{ ms: string }[]>`
        select floor(extract(epoch from clock_timestamp()) * 1000)::bigint as ms where ${sql.unsafe(ON_PRIMARY)}`
    );
    return Number(row!.ms);
  }
}

/** The newest place of a message: that of its newest change is given out with it. */
function placeIn({ id, changed }: Pick<Row, "id" | "changed">): string {
  return changed ?? id;
}

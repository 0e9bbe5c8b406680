// The only SQL of the application.
import type { Client } from "../database/client.ts";
import type { Sql } from "../database/pool.ts";
import { makeId } from "./cursor.ts";
import { MAX_PAGE_BYTES } from "./message.ts";
import { type Entry, fitting, makeEntry, makePage, makePageOfRows, type Page, type Row } from "./page.ts";

/** A message on its way into the store. */
export interface Draft {
  /** The room's name. */
  readonly room: string;
  /** The text. */
  readonly body: string;
  /** Who says it, if told. */
  readonly author: string | null;
  /** The Idempotency-Key, if given. */
  readonly key: string | null;
  /** The last part of its id: ten hex digits. */
  readonly random: string;
}

/** Stored messages, ascending. */
export interface Rows {
  /** The messages. */
  readonly entries: Entry[];
  /** Whether they were cut at a limit, so that there may be more. */
  readonly full: boolean;
}

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
  /** The message. */
  readonly entry: Entry;
}

/** The constraint that refuses a second message with the same key in the same room. */
export const KEY_TAKEN = "messages_key";

/** How long a statement waits for a room's head row that another holds, in milliseconds, before it is refused. */
const LOCK_TIMEOUT_MS = 1_000;

/** A room in the list of rooms. */
export interface ListedRoom {
  /** Its name. */
  readonly room: string;
  /** The id of its newest message. */
  readonly newest: string;
}

/** Reads and writes rooms, heads and messages. Each method is one statement, and fails with a DatabaseError. */
export class Store {
  /** Each kind of statement has a client of its own: `writer` one connection, so that one statement is in flight. */
  constructor(
    private readonly writer: Client,
    private readonly reads: Client,
    private readonly signals: Client,
  ) {}

  /**
   * Stores the drafts, in order, and returns their entries in the same order: all of them or none.
   * A draft whose key its room knows fails with the constraint {@linkcode KEY_TAKEN}.
   */
  async append(drafts: readonly Draft[]): Promise<Entry[]> {
    const { counts, later } = placesOf(drafts);
    // The numbers come out of the update of the locked head row itself, which Postgres reads anew after its wait.
    // A sub-select in the same statement would see the snapshot from before the wait, and lose messages.
    // Locks are taken in the order of the rooms' names, by every server: no deadlock.
    // What is acknowledged is on disk, also where the database or the role has that turned off for speed.
    const heads = await this.writer.run((sql) =>
      sql<{ room: string; seq: string; ms: string }[]>`
        with settings as materialized (
          select set_config('lock_timeout', ${LOCK_TIMEOUT_MS.toString()}, true),
            set_config('synchronous_commit', coalesce(nullif(current_setting('synchronous_commit'), 'off'), 'on'), true)
        ),
        locked as (
          insert into heads as h (room, seq, ms)
          select room, count, floor(extract(epoch from clock_timestamp()) * 1000)
          from ${roomsIn(sql, counts)} as r (room, count), settings order by room collate "C"
          on conflict (room) do update set
            seq = h.seq + excluded.seq,
            ms = greatest(h.ms, floor(extract(epoch from clock_timestamp()) * 1000)::bigint)
          returning room, seq, ms
        ),
        stored as (
          insert into messages (room, id, key, author, body)
          select room, (lpad(to_hex(ms), 12, '0') || lpad(to_hex(seq - later), 10, '0') || random)::uuid, key, author, body
          from ${batchIn(sql, drafts, later)} as b (room, later, key, author, body, random) join locked using (room)
        )
        select room, seq, ms from locked`
    );
    // The ids were made in SQL; that they are made here by the same rule again saves sending them back.
    const byRoom = new Map(heads.map(({ room, seq, ms }) => [room, { seq: Number(seq), ms: Number(ms) }]));
    return drafts.map(({ room, author, body, random }, i) => {
      const { seq, ms } = byRoom.get(room)!;
      return makeEntry(room, makeId(ms, seq - later[i]!, random), author, body);
    });
  }

  /** The stored messages that have one of the drafts' keys, in no particular order. */
  async withKeysOf(drafts: readonly Draft[]): Promise<StoredKey[]> {
    const keyed = drafts.filter((draft) => draft.key !== null);
    const rows = await this.writer.read((sql) =>
      sql<(Row & { room: string; key: string })[]>`
        select room, key, id, author, body from messages join unnest(
          ${sql.types.texts(keyed.map((draft) => draft.room))}::text[],
          ${sql.types.texts(keyed.map((draft) => draft.key))}::text[]
        ) as k (room, key) using (room, key)`
    );
    return rows.map(({ room, key, id, author, body }) => ({
      room,
      key,
      author,
      body,
      entry: makeEntry(room, id, author, body),
    }));
  }

  /** The first messages of `room` after the cursor `after`: at most `limit`, and one answer's bytes. */
  async readAfter(room: string, after: string, limit: number): Promise<Rows> {
    return cut(room, await this.#rowsAfter(room, after, limit), limit);
  }

  /** The same as bytes at one go, which is faster than by way of entries. */
  async pageAfter(room: string, after: string, limit: number): Promise<Page> {
    const rows = await this.#rowsAfter(room, after, limit);
    const page = makePageOfRows(room, rows, rows.length === limit);
    if (page.body.length <= MAX_PAGE_BYTES || rows.length === 1) return page;
    const { entries, full } = cut(room, rows, limit);
    return makePage(entries, full);
  }

  /** The last messages of `room` before the cursor `before` (without one: the newest), ascending. */
  async readBefore(room: string, before: string | undefined, limit: number): Promise<Rows> {
    const rows = await this.reads.read((sql) =>
      sql<Row[]>`
        select id, author, body from (
          select id, author, body, sum(octet_length(body)) over (order by id desc) - octet_length(body) as after
          from messages where room = ${room} ${before ? sql`and id < ${before}` : sql``} order by id desc limit ${limit}
        ) page where after <= ${MAX_PAGE_BYTES} order by id desc`
    );
    const { entries, full } = cut(room, rows, limit);
    return { entries: entries.reverse(), full };
  }

  /** One message, or undefined. */
  async readOne(room: string, id: string): Promise<Entry | undefined> {
    const [row] = await this.reads.read((sql) =>
      sql<Row[]>`select id, author, body from messages where room = ${room} and id = ${id}`
    );
    return row && makeEntry(room, row.id, row.author, row.body);
  }

  /** The number of the newest message of each of the rooms that has one. */
  async heads(rooms: readonly string[]): Promise<Map<string, number>> {
    const rows = await this.signals.read((sql) =>
      sql<{ room: string; seq: string }[]>`select room, seq from heads where room = any(${
        sql.types.texts(rooms)
      }::text[])`
    );
    return new Map(rows.map(({ room, seq }) => [room, Number(seq)]));
  }

  /** The rooms with the newest messages, newest first, at most `limit`. */
  async newestRooms(limit: number): Promise<ListedRoom[]> {
    // Reads every head row, since heads has no index on ms: with one, no update of a head row would stay on its page.
    const rows = await this.reads.read((sql) =>
      sql<ListedRoom[]>`
        select room, id as newest from (select room from heads order by ms desc, room limit ${limit}) newest,
        lateral (select id from messages m where m.room = newest.room order by id desc limit 1) message
        order by id desc`
    );
    return rows.map(({ room, newest }) => ({ room, newest }));
  }

  #rowsAfter(room: string, after: string, limit: number): Promise<Row[]> {
    return this.reads.read((sql) =>
      sql<Row[]>`
        select id, author, body from messages where room = ${room} and id > ${after} order by id limit ${limit}`
    );
  }

  /** Sends one notification for each of the payloads on `channel`. */
  async notify(channel: string, payloads: readonly string[]): Promise<void> {
    // Never in the statement that writes: a transaction with a NOTIFY holds a lock that all of them in the cluster
    // share until its commit is on disk.
    await this.signals.run((sql) =>
      sql`select pg_notify(${channel}, payload) from unnest(${sql.types.texts(payloads)}::text[]) as payload`
    );
  }

  /** Resolves if the connection that stores leads to where one may write. */
  async checkWritable(): Promise<void> {
    // It takes the same right and the same kind of transaction as a post, and touches no row.
    await this.writer.read((sql) => sql`select from heads where false for update`);
  }

  /** The database's clock, in milliseconds since 1970. */
  async clock(): Promise<number> {
    const [row] = await this.reads.read((sql) =>
      sql<{ ms: string }[]>`select floor(extract(epoch from clock_timestamp()) * 1000)::bigint as ms`
    );
    return Number(row!.ms);
  }
}

function cut(room: string, rows: readonly Row[], limit: number): Rows {
  const entries = rows.map(({ id, author, body }) => makeEntry(room, id, author, body));
  const count = fitting(entries, 0, limit);
  return { entries: entries.slice(0, count), full: count === limit || count < entries.length };
}

/** How many drafts each room has, and how many of its room come later than each draft: the last has the highest number. */
function placesOf(drafts: readonly Draft[]): { counts: Map<string, number>; later: number[] } {
  const counts = new Map<string, number>();
  const later: number[] = [];
  for (let i = drafts.length - 1; i >= 0; i--) {
    const { room } = drafts[i]!;
    later[i] = counts.get(room) ?? 0;
    counts.set(room, later[i]! + 1);
  }
  return { counts, later };
}

// Arrays serve a batch of any length with one prepared statement. A single draft goes as a row, and so does a single room: the
// statement takes two thirds of the time then, and on a quiet server every draft is single.

function roomsIn(sql: Sql, counts: Map<string, number>) {
  const [room] = counts.keys();
  if (counts.size === 1) return sql`(values (${room!}::text, ${counts.get(room!)!}::int))`;
  return sql`unnest(${sql.types.texts([...counts.keys()])}::text[], ${numbers(sql, [...counts.values()])})`;
}

function batchIn(sql: Sql, drafts: readonly Draft[], later: readonly number[]) {
  const [{ room, key, author, body, random }] = drafts as [Draft];
  if (drafts.length === 1) {
    return sql`(values (${room}::text, 0, ${key}::text, ${author}::text, ${body}::text, ${random}::text))`;
  }
  const column = (name: keyof Draft) => sql`${sql.types.texts(drafts.map((draft) => draft[name]))}::text[]`;
  return sql`unnest(${column("room")}, ${numbers(sql, later)}, ${column("key")}, ${column("author")}, ${column("body")},
    ${column("random")})`;
}

function numbers(sql: Sql, values: readonly number[]) {
  return sql`${sql.types.texts(values.map(String))}::text[]::int[]`;
}

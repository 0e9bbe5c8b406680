// A room's messages as they are read, in their order: from a cursor on, or back from one, as many as one answer may have.
import type { PendingQuery } from "postgres";
import type { Sql } from "../../database/pool.ts";
import { NIL } from "../cursor.ts";
import { MAX_PAGE_BYTES } from "../message.ts";
import { type Entry, entryOf, fitting, type Row } from "../page.ts";
import { ON_PRIMARY } from "./primary.ts";

/** Stored messages, and perhaps changes, ascending. */
export interface Rows {
  /** The messages and changes. */
  readonly entries: Entry[];
  /** Whether they were cut at a limit, so that there may be more. */
  readonly full: boolean;
}

/** Lets a statement begin when it is its turn. */
export type Turn = <T>(statement: () => Promise<T>) => Promise<T>;

/** Its turn is now. */
export function atOnce<T>(statement: () => Promise<T>): Promise<T> {
  return statement();
}

/** A message's {@linkcode Row}. */
export const COLUMNS = "id, author, body, sub, reply_to, changed";

/** A message where it stands in the order of its room, or where its newest change does. */
export type PlacedRow = Row & { readonly place?: string };

/**
 * The first messages of `room` after the cursor `after`, at most `limit` and `bytes`, but at least one; with `changes` these too, in the order of
 * their places. A row without an id is the mark up to which messages were removed, where that lies beyond the cursor `asked`.
 */
export function rowsAfter(
  sql: Sql,
  { room, asked, after, limit, bytes, changes }: {
    room: string;
    asked: string;
    after: string;
    limit: number;
    bytes: number;
    changes: boolean;
  },
): PendingQuery<(PlacedRow | { id: null; place: string })[]> {
  const messages = sql`(select ${
    sql.unsafe(COLUMNS)
  }, id as place from messages where room = ${room} and id > ${after} order by id limit ${limit})`;
  // With their messages as they are now.
  const changed = sql`(
    select ${sql.unsafe(COLUMNS)}, changed as place from messages where room = ${room} and changed > ${after}
    order by changed limit ${limit}
  )`;
  const rows = changes ? sql`(${messages} union all ${changed})` : sql`(${messages})`;
  // In the same statement: a message that is gone in it was marked as such before. By what was asked for, not by how far that was
  // read: below the mark there can be messages that are not too old, since they were deleted lately.
  const mark = asked === NIL ? sql`` : sql`
    union all select null, null, null, null, null, null, trimmed from heads where room = ${room} and trimmed > ${asked}`;
  return sql<(PlacedRow | { id: null; place: string })[]>`
    select ${sql.unsafe(COLUMNS)}, place from (
      select *, sum(octet_length(body)) over (order by place) - octet_length(body) as before
      from ${rows} rows order by place limit ${limit}
    ) page where before <= ${bytes} and ${sql.unsafe(ON_PRIMARY)} ${mark} order by place`;
}

/**
 * The last messages of `room` before a cursor (without one: the newest), newest first, at most `limit` and one answer's bytes; and whether the
 * room has come to the cursor `asked`.
 */
export function rowsBefore(
  sql: Sql,
  { room, asked, before, limit }: {
    room: string;
    asked: string | undefined;
    before: string | undefined;
    limit: number;
  },
): PendingQuery<(Row & { past: boolean })[]> {
  // The newest by its order, not any at all: for `exists` the planner reads the table from its oldest row on.
  const newest = sql`select id from messages where room = ${room} order by id desc limit 1`;
  const past = asked ? sql`(${newest}) >= ${asked}` : sql`false`;
  return sql<(Row & { past: boolean })[]>`
    select ${sql.unsafe(COLUMNS)}, ${past} as past from ${lastRows(sql, room, before, limit)} order by id desc`;
}

/** The last messages before a cursor, as much as one answer may have; to be ordered by whoever reads them. */
export function lastRows(
  sql: Sql,
  room: string,
  before: string | undefined,
  limit: number,
): PendingQuery<Row[]> {
  return sql`(
    select ${sql.unsafe(COLUMNS)} from (
      select ${sql.unsafe(COLUMNS)}, sum(octet_length(body)) over (order by id desc) - octet_length(body) as after
      from messages where room = ${room} ${before ? sql`and id < ${before}` : sql``} and ${sql.unsafe(ON_PRIMARY)}
      order by id desc limit ${limit}
    ) page where after <= ${MAX_PAGE_BYTES}
  ) page`;
}

/** Whether a row stands where its message's newest change does. */
export function isChange({ id, place = id }: PlacedRow): boolean {
  return place !== id;
}

/**
 * The first rows as entries, also of deleted messages: as many as one answer may have, at most `limit` and `bytes`, but at least one. Of no
 * others is JSON made: as such a text can be six times as long as in the database, which has counted it.
 */
export function entriesOf(room: string, rows: readonly PlacedRow[], limit: number, bytes = MAX_PAGE_BYTES): Entry[] {
  const entries: Entry[] = [];
  let units = 0;
  for (const row of rows) {
    if (entries.length === limit || units > bytes) break; // UTF-8 has at least one byte for a unit of UTF-16
    const entry = entryOf(room, row);
    units += entry.json.length;
    entries.push(isChange(row) ? entry.asChange() : entry);
  }
  return entries.slice(0, fitting(entries, 0, limit, bytes));
}

/**
 * Most rows that are looked at in one statement, where those before were all of deleted messages: some hundredths of a second. Each
 * statement looks at ten times as many as the one before, so a million of them are a hundred reads of a client.
 */
const MOST_ROWS = 10_000;

/**
 * Reads on until there is something to be given, or nothing more. Deleted messages are left out here and not in SQL, where a million of
 * them would have to be read in one statement; and a page that is full has something, else whoever follows it would stay where it is.
 */
export async function live<T extends string | undefined>(
  room: string,
  from: T,
  limit: number,
  bytes: number,
  turn: Turn,
  read: (from: T, most: number) => Promise<PlacedRow[]>,
): Promise<Rows> {
  for (let cursor = from, most = limit;; most = Math.min(10 * most, MOST_ROWS)) {
    const rows = await turn(() => read(cursor, most));
    const there = rows.filter((row) => isChange(row) || row.body !== "");
    const full = rows.length === most;
    if (there.length > 0 || !full) {
      const entries = entriesOf(room, there, limit, bytes);
      return { entries, full: full || entries.length < there.length };
    }
    const { id, place = id } = rows.at(-1)!;
    cursor = place as T;
  }
}

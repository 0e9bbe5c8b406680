// What feeds ask the database by themselves, again and again: what is new in a room, and how far all rooms are. The texts of these
// statements are made once: to put one together takes longer than to send it.
import type { PendingQuery } from "postgres";
import type { Sql } from "../../database/pool.ts";
import { cursorAt, placeOf, seqOf, timeOf } from "../cursor.ts";
import { type Head, type HeadRow, headsOf, type Known, makeHead } from "./head.ts";
import { MAX_PAGE_BYTES } from "../message.ts";
import type { Row } from "../page.ts";
import { COLUMNS, entriesOf, isChange, lastRows, type Rows } from "./rows.ts";

/** Stored messages, ascending, and the head at the same moment. */
export interface News extends Rows {
  /** The room's head. */
  readonly head: Head;
}

/** What is told to whoever listens on a Postgres channel. */
export interface Notification {
  /** The channel. */
  readonly channel: string;
  /** What is told. */
  readonly payload: string;
}

/** A message, or else the head. */
export type NewsRow = (Row | { readonly id: null }) & Omit<HeadRow, "room">;

const NEWS = `
  select ${COLUMNS}, place, null::bigint as seq, null::bigint as ms, false as lost, null::uuid as trimmed from (
    select *, sum(octet_length(body)) over (order by place) - octet_length(body) as before from (
      (select ${COLUMNS}, id as place from messages where room = $1::text and id > $2::uuid order by id limit $3::int)
      union all
      (select ${COLUMNS}, changed as place from messages where room = $1::text and changed > $4::uuid order by changed limit $3::int)
    ) rows order by place limit $3::int
  ) news where before <= ${MAX_PAGE_BYTES}
  union all select null, null, null, null, null, null, null, seq, ms, lost, trimmed from (
    ${
  headsOf(
    "(values ($1::text, $2::uuid, $5::bigint, $6::bigint, null::uuid, null::uuid))",
    "unnest($7::uuid[], $8::uuid[])",
  )
}
  ) head
  order by place`;
const HEADS = headsOf("unnest($1::text[], $2::uuid[], $3::bigint[], $4::bigint[], $5::uuid[], $6::uuid[])");
const HEADS_AND_NOTIFY = `
  with notified as materialized (select pg_notify($7, $8))
  select found.* from (${HEADS}) found, notified`;

/** The newest messages of `room`, newest first, and its head. */
export function newestRows(sql: Sql, room: string, limit: number): PendingQuery<NewsRow[]> {
  return sql<NewsRow[]>`
    select ${sql.unsafe(COLUMNS)}, null::bigint as seq, null::bigint as ms, false as lost, null::uuid as trimmed
    from ${lastRows(sql, room, undefined, limit)}
    union all select null, null, null, null, null, null, seq, ms, false, trimmed from heads where room = ${room}
    order by id desc`;
}

/** The first messages and changes of `room` after those known, in the order of their places, as much as one answer may have; and its head. */
export function newRows(
  sql: Sql,
  room: string,
  { newest, newestChanges = [], place }: Known,
  limit: number,
): PendingQuery<(NewsRow & { place: string })[]> {
  const where = [room, newest, limit, cursorAt(place), timeOf(place), seqOf(place)];
  const changes = (["id", "cursor"] as const).map((part) =>
    sql.types.texts(newestChanges.map((change) => change[part]))
  );
  return sql.unsafe<(NewsRow & { place: string })[]>(NEWS, [...where, ...changes], { prepare: true });
}

/** The heads of rooms of which something is known; the same statement notifies, where that is asked for too. */
export function headRows(
  sql: Sql,
  known: ReadonlyMap<string, Known>,
  notification: Notification | undefined,
): PendingQuery<HeadRow[]> {
  const column = (of: (known: Known) => string | number | undefined) =>
    sql.types.texts(Array.from(known.values(), (known) => of(known)?.toString() ?? null));
  const columns = [
    sql.types.texts([...known.keys()]),
    column(({ newest }) => newest),
    column(({ place }) => timeOf(place)),
    column(({ place }) => seqOf(place)),
    column(({ newestChanges }) => newestChanges?.at(-1)?.id),
    column(({ newestChanges }) => newestChanges?.at(-1)?.cursor),
  ];
  if (!notification) return sql.unsafe<HeadRow[]>(HEADS, columns, { prepare: true });
  const { channel, payload } = notification;
  return sql.unsafe<HeadRow[]>(HEADS_AND_NOTIFY, [...columns, channel, payload], { prepare: true });
}

/**
 * What such rows say of a room of which `place` was known: as many messages as fit one answer, and the head. All that is new stands above that place,
 * unless the database has lost what was there, and others have posted since while their clock was behind.
 */
export function newsOf(room: string, rows: readonly NewsRow[], limit: number, place: string): News {
  const found = rows.filter((row): row is NewsRow & Row => row.id !== null);
  const entries = entriesOf(room, found, limit);
  const head = makeHead(rows.find(({ id }) => id === null));
  const isOther = found.some((row) => !isChange(row) && placeOf(row.id) <= place);
  return {
    entries,
    full: entries.length === limit || entries.length < found.length,
    head: isOther ? { ...head, lost: true } : head,
  };
}

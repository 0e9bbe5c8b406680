// The statements that forget messages: many of a room at a time, and whoever follows with changes is told of each, as of a deletion by
// its author. And those that remove a room, of which then nothing is left but its head.
import type { PendingQuery } from "postgres";
import type { Sql } from "../../database/pool.ts";
import { begin } from "../../database/transaction.ts";
import { NIL } from "../cursor.ts";
import { idOf, SETTINGS } from "./head.ts";

/** Messages of one room. */
export interface ForgetBatch {
  /** The room's name. */
  readonly room: string;
  /** Their ids. */
  readonly ids: readonly string[];
  /**
   * Whether it is to be forgotten, too, whose they were: the sub, the Idempotency-Key, which begins with it, and the digest of the
   * Message-Key. Else these stay, as after a deletion: so no late retry brings the message back.
   */
  readonly names: boolean;
  /** The last part of the places: ten hex digits. */
  readonly random: string;
}

/** Where the head of the room is then. */
export interface ForgottenRow {
  /** The number of its newest message. */
  readonly seq: string;
  /** The time of its place. */
  readonly ms: string;
  /** How far that is ahead of the clock, in milliseconds. */
  readonly ahead: string;
}

/**
 * Forgets messages. Gives no row where all of them were deleted before, since then nobody is to be told anything.
 *
 * As for a single change, the head is locked first, and a place comes out of the locked row. Each message has a millisecond of its own:
 * places that differ in nothing else would be one place to who reads half of them.
 * @internal
 */
export function forget(
  sql: Pick<Sql, "unsafe" | "types">,
  { room, ids, names, random }: ForgetBatch,
): PendingQuery<ForgottenRow[]> {
  return sql.unsafe<ForgottenRow[]>(FORGET, [room, sql.types.texts(ids), random, names], { prepare: true });
}

const PLACE = idOf("head.ms + nth", "head.seq", "$3");

const FORGET = `
  with ${SETTINGS},
  head as materialized (
    select seq, clock, greatest(h.ms + 1, clock) as ms from heads h, settings where room = $1 for no key update of h
  ),
  meant as materialized (
    select id::uuid, nth - 1 as nth from unnest($2::text[]) with ordinality as u (id, nth)
  ),
  done as (
    update messages m set body = '', author = null, reply_to = null,
      changed = case when m.body = '' then m.changed else ${PLACE} end,
      sub = case when $4::boolean then null else m.sub end,
      key = case when $4::boolean then null else m.key end,
      proof = case when $4::boolean then null else m.proof end
    from head, meant where m.room = $1 and m.id = meant.id and (m.body <> '' or $4::boolean)
    returning head.ms + nth as ms, m.changed = ${PLACE} as told
  ),
  told as (select max(ms) as ms from done where told)
  update heads h set prior = h.ms, ms = told.ms from head, told where h.room = $1 and told.ms is not null
  returning h.seq, h.ms, h.ms - head.clock as ahead`;

/**
 * The id of a room's newest message; the nil cursor where it has none.
 * @internal
 */
export async function newestOf(sql: Sql, room: string): Promise<string> {
  const [row] = await sql<{ id: string }[]>`select id from messages where room = ${room} order by id desc limit 1`;
  return row?.id ?? NIL;
}

/** How a room is marked as removed. */
export interface Removed extends ForgottenRow {
  /** The newest place that is removed; without one the nil cursor. */
  readonly trimmed: string;
  /** How many messages were forgotten with it. */
  readonly messages: number;
  /** The ids of the first and the last of them. */
  readonly first: string | null;
  /** See `first`. */
  readonly last: string | null;
}

/**
 * Forgets what a room has after the id `after`, and marks all of the room as removed; undefined where there is no such room. Nobody posts
 * meanwhile, since the head is locked.
 *
 * What is forgotten here has one place in common, since a millisecond for each could take longer than people go on posting. So the mark
 * lies behind that place: whoever follows with changes and has been given a part of it stands before the mark, and is told that all of it
 * is gone.
 * @internal
 */
export function markRemoved(
  sql: Sql,
  { room, after, random }: { room: string; after: string; random: string },
): Promise<Removed | undefined> {
  return begin(sql, "", async (sql) => {
    await sql.unsafe(`with ${SETTINGS} select from heads, settings where room = $1 for no key update of heads`, [room]);
    // Only a statement that begins after the wait sees what was posted before it.
    const [rest] = await sql.unsafe<Pick<Removed, "messages" | "first" | "last" | "ahead">[]>(REST, [
      room,
      after,
      random,
    ]);
    const [row] = await sql<{ seq: string; ms: string; trimmed: string | null }[]>`
      update heads set trimmed = ${
      rest?.messages ? sql.unsafe(idOf("ms", "seq", `'${random}'`)) : sql`greatest(
        trimmed,
        (select id from messages where room = ${room} order by id desc limit 1),
        (select changed from messages where room = ${room} and changed is not null order by changed desc limit 1)
      )`
    } where room = ${room} returning trimmed, seq, ms`;
    return row && rest && { ...row, ...rest, trimmed: row.trimmed ?? NIL };
  });
}

const REST = `
  with ${SETTINGS},
  head as materialized (select seq, clock, greatest(h.ms + 1, clock) as ms from heads h, settings where room = $1),
  done as (
    update messages m set body = '', author = null, reply_to = null, sub = null, key = null, proof = null,
      changed = ${idOf("head.ms", "head.seq", "$3")}
    from head where m.room = $1 and m.id > $2::uuid and m.body <> ''
    returning m.id
  ),
  moved as (
    update heads h set prior = h.ms, ms = head.ms + 1 from head where h.room = $1 and exists (select from done)
  )
  select (select count(*)::int from done) as messages, (select min(id::text) from done) as first,
    (select max(id::text) from done) as last, head.ms + 1 - head.clock as ahead
  from head`;

/**
 * Removes rows of a room after the id `after` up to the place `last`, at most `limit`; returns the id of the last of them, undefined where
 * there are none. By that the next call goes on: it would come by all rows that are removed and not cleared away yet.
 * @internal
 */
export async function removeRows(
  sql: Sql,
  { room, after, last, limit }: { room: string; after: string; last: string; limit: number },
): Promise<string | undefined> {
  // By an array, for which the planner takes the index, however many rows the room has.
  const [row] = await sql<{ id: string }[]>`
    with ${sql.unsafe(SETTINGS)},
    old as materialized (
      select id from messages where room = ${room} and id > ${after} and id <= ${last} order by id limit ${limit}
    ),
    gone as (
      delete from messages m using settings where room = ${room} and id = any(array(select id from old))
    )
    select id from old order by id desc limit 1`;
  return row?.id;
}

/**
 * The rooms where a message with this id stands that has not been deleted, looked for in at most `limit` rooms after `after`; and the last
 * of these rooms. Ids alone are in no index.
 * @internal
 */
export async function roomsOf(
  sql: Sql,
  id: string,
  after: string,
  limit: number,
): Promise<{ rooms: string[]; last: string | null }> {
  const [row] = await sql<{ rooms: string[]; last: string | null }[]>`
    select max(room) as last, coalesce(json_agg(room) filter (
      where exists (select from messages m where m.room = part.room and m.id = ${id} and m.body <> '')
    ), '[]') as rooms
    from (select room from heads where room > ${after} order by room limit ${limit}) part`;
  return row!;
}

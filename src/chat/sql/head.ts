// A room's head in SQL: how far the room is, whether the database has lost what was known of it, and what holds for each statement
// that moves it.
import { DURABLE } from "../../database/transaction.ts";
import { makePlace, NIL } from "../cursor.ts";
import { ON_PRIMARY } from "./primary.ts";

/** Which message was changed, and where that stands. */
export interface KnownChange {
  /** The message's id. */
  readonly id: string;
  /** The place of the change, as a cursor. */
  readonly cursor: string;
}

/** What a feed knows of its room. */
export interface Known {
  /** The id of the newest message, which may have been deleted. */
  readonly newest: string;
  /** The newest changes, at most one of each message, ascending; none if not given. */
  readonly newestChanges?: readonly KnownChange[];
  /** The place up to which all is known. */
  readonly place: string;
}

/** How far a room is in the database, at one moment. */
export interface Head {
  /** The place of its head; that of the nil cursor when it has none. */
  readonly place: string;
  /** Whether the database has lost what was known of it. */
  readonly lost: boolean;
  /** The newest place whose message was removed since it was too old; the nil cursor where none was. */
  readonly trimmed: string;
}

/** Where a head is, in numbers. */
export interface HeadNumbers {
  /** The time of its place, in milliseconds since 1970. */
  readonly ms: number;
  /** The number of its newest message. */
  readonly seq: number;
}

/** How long a statement waits for a room's head row that another holds, in milliseconds, before it is refused. */
const LOCK_TIMEOUT_MS = 1_000;

/**
 * How far above the database's clock a post or a lift may move a head, in milliseconds. Beyond that a server that has seen a
 * wrong clock would take the room along; a lift, which the log tells of, may do more than what happens in silence.
 */
export const MAX_AHEAD_MS = { post: 60_000, lift: 3_600_000 };

/** A room's head as the database gives it; without numbers where there is none. */
export interface HeadRow {
  /** The room's name. */
  readonly room: string;
  /** The number of its newest message. */
  readonly seq: string | null;
  /** The time of its place. */
  readonly ms: string | null;
  /** Whether the database has lost what was known of it. */
  readonly lost: boolean;
  /** The newest place whose message was removed since it was too old. */
  readonly trimmed: string | null;
}

const NONE = { seq: null, ms: null, lost: false, trimmed: null };

/** Reads a head row; none is the head of an empty room. */
export function makeHead({ seq, ms, lost, trimmed }: Omit<HeadRow, "room"> = NONE): Head {
  return { place: makePlace(Number(ms), Number(seq)), lost, trimmed: trimmed ?? NIL };
}

/**
 * What holds for a statement that moves a head, and the database's clock before it waits for one. What is acknowledged is on disk;
 * and a warning comes through, which is all that tells of a commit whose wait for its standby was cancelled.
 */
export const SETTINGS = `settings as materialized (
  select set_config('lock_timeout', '${LOCK_TIMEOUT_MS}', true),
    ${DURABLE},
    set_config('client_min_messages', 'warning', true),
    floor(extract(epoch from clock_timestamp()) * 1000)::bigint as clock
)`;

/**
 * The time above `floor` to which a statement moves a head where the clock is behind what this process knows; else null.
 * @internal
 */
export function aboveFloor(floor: string): string {
  return `case when clock < ${floor} then least(${floor}, clock + ${MAX_AHEAD_MS.post}) + 1 end`;
}

/**
 * An id, or the place of a change as a cursor, out of its parts: the same rule as `makeId`.
 * @internal
 */
export function idOf(ms: string, seq: string, random: string): string {
  return `(lpad(to_hex(${ms}), 12, '0') || lpad(to_hex(${seq}), 10, '0') || ${random})::uuid`;
}

/**
 * The heads of the rooms in `known`, whose columns are a room and what is known of it: its newest id, the time and number of
 * its place, and its newest change (which message's, and the place; null without one). With `changes`, which has the same two columns,
 * all these are looked at in its stead.
 *
 * A database that has lost something has lost what came last: then its head is behind, or the newest message that was known is missing
 * though it was not too old to be kept, or a change is. Where the message of that change may have been removed as too old, that counts
 * only if the message is still there. The head alone can be where it was, or further: others may have posted since. And the message of a
 * lost change can have been changed again; unless that stands after all that is known, it is not known either. If it does, it is still to
 * be read, and tells nothing of the changes before it: so one change is not enough to look at. But where it does, the head is further,
 * too: so one is enough to see whether there is more to be read.
 * @internal
 */
export function headsOf(known: string, changes = "(values (change_of, change))"): string {
  return `
    select room, seq, ms, trimmed,
      coalesce((ms, seq) < (known_ms, known_seq), known_ms > 0) or newest > coalesce(trimmed, '${NIL}') and
        not exists (select from messages m where m.room = k.room and m.id = newest) or
        exists (
          select from ${changes} as c (id, place) where not exists (
            select from messages m where m.room = k.room and m.id = c.id and
              (m.changed = c.place or m.changed > ${idOf("known_ms", "known_seq", "'ffffffffff'")})
          ) and (
            c.id > coalesce(trimmed, '${NIL}') or
            exists (select from messages m where m.room = k.room and m.id = c.id)
          )
        ) as lost
    from ${known} as k (room, newest, known_ms, known_seq, change_of, change) left join heads using (room)
    where ${ON_PRIMARY}`;
}

// Messages on their way into the store, as a statement takes them: which rooms they are for, and which place each takes among those
// of its room.
import type { Sql } from "../database/pool.ts";

/** A message on its way into the store. */
export interface Draft {
  /** The room's name. */
  readonly room: string;
  /** The text. */
  readonly body: string;
  /** Who says it, if told. */
  readonly author: string | null;
  /** The Idempotency-Key as it is stored, if one was given: with the sub before it, since it counts for each sub by itself. */
  readonly key: string | null;
  /** Whose token posts it, if one does. */
  readonly sub: string | null;
  /** The last part of its id: ten hex digits. */
  readonly random: string;
}

/** How many drafts each room has, and how many of its room come later than each draft: the last has the highest number. */
export function placesOf(drafts: readonly Draft[]): { counts: Map<string, number>; later: number[] } {
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

/** How far clocks that are set well are apart, in milliseconds. */
const SKEW_MS = 1_000;

/**
 * The rooms of a statement: name, number of messages, and the time that its head may not fall below. These times matter where the
 * database's clock is behind them. While none of them lies ahead of ours, the `highest` can stand for all.
 * @internal
 */
export function roomsIn(sql: Sql, counts: Map<string, number>, floors: readonly number[], highest: number) {
  const rooms = [...counts.keys()];
  const [room] = rooms as [string];
  if (rooms.length === 1) return sql`(values (${room}::text, ${counts.get(room)!}::int, ${highest}::bigint))`;
  const columns = sql`${sql.types.texts(rooms)}::text[], ${numbers(sql, [...counts.values()])}::int[]`;
  if (highest > Date.now() + SKEW_MS) return sql`unnest(${columns}, ${numbers(sql, floors)}::bigint[])`;
  return sql`(select *, ${highest}::bigint from unnest(${columns}) as u)`;
}

/**
 * The messages of a statement: room, how many of it come later, and the rest.
 * @internal
 */
export function batchIn(sql: Sql, drafts: readonly Draft[], later: readonly number[]) {
  const [{ room, key, author, body, sub, random }] = drafts as [Draft];
  if (drafts.length === 1) {
    return sql`(values (${room}::text, 0, ${key}::text, ${author}::text, ${body}::text, ${sub}::text, ${random}::text))`;
  }
  const column = (name: keyof Draft) => sql`${sql.types.texts(drafts.map((draft) => draft[name]))}::text[]`;
  return sql`unnest(${column("room")}, ${numbers(sql, later)}::int[], ${column("key")}, ${column("author")}, ${
    column("body")
  },
    ${column("sub")}, ${column("random")})`;
}

function numbers(sql: Sql, values: readonly number[]) {
  return sql`${sql.types.texts(values.map(String))}::text[]`;
}

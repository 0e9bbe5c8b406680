// The statement that stores messages. It is the one that every post pays for, so its text is made once for each shape of a batch, and
// what the rooms of a batch have in common is sent once.
import type { PendingQuery } from "postgres";
import type { Sql } from "../../database/pool.ts";
import type { Batch, Draft } from "../draft.ts";
import { aboveFloor, idOf, SETTINGS } from "./head.ts";

/** Where the head of a room is, and where it was before. */
export interface AppendedRow {
  /** The room's name. */
  readonly room: string;
  /** The number of its newest message. */
  readonly seq: string;
  /** The time of its place. */
  readonly ms: string;
  /** The time of its place before. */
  readonly prior: string;
  /** The database's clock, before the statement waited for any head. */
  readonly clock: string;
}

/** What of a draft is stored. */
type Column = Exclude<keyof Draft, "byToken">;

/** How far clocks that are set well are apart, in milliseconds. */
export const SKEW_MS = 1_000;

/**
 * Stores the drafts: all of them or none. `floors` are the times below which the heads of the rooms may not fall. They matter where
 * the database's clock is behind them; while none of them lies ahead of ours, the highest can stand for all.
 * @internal
 */
export function append(sql: Sql, batch: Batch, floors: readonly number[]): PendingQuery<AppendedRow[]> {
  const { drafts, rooms, counts, later } = batch;
  const { texts } = sql.types;
  const highest = Math.max(...floors);
  const column = (name: Column) => texts(drafts.map((draft) => draft[name]));
  const numbers = (values: readonly number[]) => texts(values.map(String));
  const send = (statement: string, ...parameters: (string | number | null | ReturnType<typeof texts>)[]) =>
    sql.unsafe<AppendedRow[]>(statement, parameters, { prepare: true });
  // What few posts have costs the others nothing.
  const marked = drafts.some(({ proof, reply_to }) => proof !== null || reply_to !== null);
  const statements = marked ? MARKED : PLAIN;

  // On a quiet server every draft is single.
  if (drafts.length === 1) {
    const [{ room, key, author, body, sub, random, proof, reply_to }] = drafts as [Draft];
    const marks = marked ? [proof, reply_to] : [];
    return send(statements.oneDraft, room, highest, key, author, body, sub, random, ...marks);
  }
  const columns = [column("key"), column("author"), column("body"), column("sub"), column("random")];
  if (marked) columns.push(column("proof"), column("reply_to"));
  if (rooms.length === 1) return send(statements.oneRoom, rooms[0]!, highest, drafts.length, ...columns);
  const inRooms = [numbers(counts), column("room"), numbers(later), ...columns];
  if (highest <= Date.now() + SKEW_MS) return send(statements.rooms, texts(rooms), highest, ...inRooms);
  return send(statements.roomsWithFloors, texts(rooms), numbers(floors), ...inRooms);
}

const DRAFT = ["key", "author", "body", "sub", "random"] as const;
const PLAIN = statements(DRAFT);
const MARKED = statements([...DRAFT, "proof", "reply_to"]);

/** The statements for drafts of these columns, by the shape of the batch. */
function statements(columns: readonly Column[]) {
  /** As many parameters as there are columns. */
  const parameters = (first: number, type: string) => columns.map((_, i) => `$${first + i}::${type}`).join(", ");
  const manyDrafts = `select * from unnest($4::text[], $5::int[], ${parameters(6, "text[]")})`;
  return {
    oneDraft: statement(
      columns,
      "values ($1::text, 1, $2::bigint)",
      `values ($1::text, 0, ${parameters(3, "text")})`,
    ),
    oneRoom: statement(
      columns,
      "values ($1::text, $3::int, $2::bigint)",
      `select $1::text, $3::int - place, ${columns.join(", ")}
       from unnest(${parameters(4, "text[]")}) with ordinality as u (${columns.join(", ")}, place)`,
    ),
    rooms: statement(columns, "select *, $2::bigint from unnest($1::text[], $3::int[]) as u", manyDrafts),
    roomsWithFloors: statement(columns, "select * from unnest($1::text[], $3::int[], $2::bigint[])", manyDrafts),
  };
}

/**
 * The statement for these rooms (name, number of drafts, floor) and these drafts (room, how many of it come later, and the rest).
 *
 * The numbers come out of the update of the locked head row itself, which Postgres reads anew after its wait. A sub-select in the same
 * statement would see the snapshot from before the wait, and lose messages. So does `prior`: whoever gets it back knows what the head
 * was before, whatever came between. Locks are taken in the order of the rooms' names, by every server: no deadlock.
 */
function statement(columns: readonly Column[], rooms: string, drafts: string): string {
  const marked = columns.includes("proof");
  return `
    with ${SETTINGS},
    locked as (
      insert into heads as h (room, seq, ms)
      select room, count, greatest(clock, ${aboveFloor("floor")})
      from (${rooms}) as r (room, count, floor), settings order by room collate "C"
      on conflict (room) do update set
        seq = h.seq + excluded.seq, ms = greatest(h.ms, excluded.ms), prior = h.ms
      returning room, seq, ms, prior
    ),
    stored as (
      insert into messages (room, id, key, author, body, sub${marked ? ", proof, reply_to" : ""})
      select room, ${idOf("ms", "seq - later", "random")}, key, author, body, sub
        ${marked ? ", decode(proof, 'hex'), reply_to::uuid" : ""}
      from (${drafts}) as b (room, later, ${columns.join(", ")}) join locked using (room)
    )
    select room, seq, ms, prior, clock from locked, settings`;
}

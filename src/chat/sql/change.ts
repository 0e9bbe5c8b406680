// The statement that changes a message: edits it, or takes it back. It moves the head of the room as a post does, so that a change
// has a place in the room's order, after all that was there before; but no number, which counts messages.
import type { PendingQuery } from "postgres";
import type { Sql } from "../../database/pool.ts";
import { aboveFloor, idOf, SETTINGS } from "./head.ts";
import type { Row } from "../page.ts";

/** What is to become of a message, and who wants it. */
export interface Change {
  /** The room's name. */
  readonly room: string;
  /** The message's id. */
  readonly id: string;
  /** The new text; an empty one takes the message back. */
  readonly body: string;
  /** Whose token wants it, if one does. */
  readonly sub: string | null;
  /** What is kept of the Message-Key that was shown, if one was. */
  readonly proof: string | null;
  /** Whether he may take back what others have said. */
  readonly moderates: boolean;
  /** The place of the newest change that he knows of, or the message's id; null: whatever it is. */
  readonly known: string | null;
  /** The last part of the place: ten hex digits. */
  readonly random: string;
}

/** What a change has done. */
export interface ChangedRow extends Row {
  /** Where the head is now: the number of its newest message. */
  readonly seq: string;
  /** The time of its place. */
  readonly ms: string;
  /** The time before; -1 where that proves nothing, since the clock is behind what this process knows. */
  readonly prior: string;
}

/** A message that was not changed, and whether it is one's own. */
export interface UnchangedRow extends Row {
  /** Whether he who asks may change it. */
  readonly own: boolean;
}

/** A message with a sub is that sub's; one without, whoever's who shows its Message-Key. Takes the names of parameters. */
function isOwn(sub: string, proof: string, moderates: string): string {
  return `(coalesce(case when m.sub is null then m.proof = decode(${proof}, 'hex') else m.sub = ${sub} end, false)
    or ${moderates}::boolean)`;
}

/**
 * Changes a message, if it is one's own, is there, is as it was known, and would be another then. The head moves only if all this is so: else
 * it would stand above all places for ever. After its wait for the head PostgreSQL looks at the message anew (EvalPlanQual), so of two
 * changes at once the second sees what the first has done. No row is no verdict: {@linkcode unchanged} says why. To lock the head is to
 * write something: so also the commit of what changes nothing waits for a synchronous standby, and with it for all that came before.
 *
 * The place is `ms | seq | random`, as an id is. Since `ms` grows by one at least, no other place is the same.
 * @internal
 */
export function change(sql: Sql, change: Change, floor: number): PendingQuery<ChangedRow[]> {
  const { room, id, body, sub, proof, moderates, known, random } = change;
  return sql.unsafe<ChangedRow[]>(CHANGE, [room, id, body, sub, proof, moderates, known, random, floor], {
    prepare: true,
  });
}

const CHANGE = `
  with ${SETTINGS},
  head as materialized (
    select seq, h.ms as prior, clock < $9::bigint as behind, greatest(h.ms + 1, clock, ${
  aboveFloor("$9::bigint")
}) as ms
    from heads h, settings where room = $1 for no key update of h
  ),
  done as (
    update messages m set body = $3,
      author = case when $3 = '' then null else author end,
      reply_to = case when $3 = '' then null else reply_to end,
      changed = ${idOf("head.ms", "head.seq", "$8")}
    from head where m.room = $1 and m.id = $2::uuid and m.body not in ('', $3) and ${isOwn("$4", "$5", "$6")}
      and ($7::uuid is null or coalesce(m.changed, m.id) = $7::uuid)
    returning m.id, m.author, m.body, m.sub, m.reply_to, m.changed
  )
  update heads h set prior = h.ms, ms = head.ms from head, done where h.room = $1
  returning done.*, h.seq, h.ms, case when behind then -1 else h.prior end as prior`;

/**
 * The message that was not changed, if there is one.
 * @internal
 */
export function unchanged(sql: Sql, { room, id, sub, proof, moderates }: Change): PendingQuery<UnchangedRow[]> {
  return sql.unsafe<UnchangedRow[]>(UNCHANGED, [room, id, sub, proof, moderates], { prepare: true });
}

const UNCHANGED = `
  select id, author, body, sub, reply_to, changed, ${isOwn("$3", "$4", "$5")} as own from messages m
  where room = $1 and id = $2::uuid`;

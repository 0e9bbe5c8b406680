// Looks through all messages in the order of rooms and ids, in statements that each look at a bounded number of rows: who wrote what is
// in no index, and one statement for a whole table would hold the database up, or be ended half-way.
import type { Run } from "../../database/transaction.ts";
import { END, NIL } from "../cursor.ts";

/** Which messages are meant. */
export interface Which {
  /** What they have in common. */
  readonly by: "author" | "sub" | "room";
  /** The author, the sub or the room. */
  readonly name: string;
}

/** A message that was found. */
export interface Walked {
  /** The room's name. */
  readonly room: string;
  /** The message's id. */
  readonly id: string;
}

type WalkedRow = Walked & { readonly matches: boolean; readonly looked: number };

/**
 * Finds the messages that are meant, deleted ones too, ascending by room and id. Yields `columns` of those among each `rows` that were
 * looked at, perhaps none. It begins behind the id `after` in the first room, and ends at the id `last` in each: it does not see what is
 * stored behind that meanwhile.
 */
export async function* walk<T extends Walked>(
  run: Run,
  { by, name }: Which,
  columns: string,
  rows: number,
  last = END,
  after = NIL,
): AsyncGenerator<readonly T[], void, void> {
  const statement = `
    select *, ${by} = $3 as matches from (
      select room, id, ${columns}, count(*) over () as looked, row_number() over (order by room, id) as nth from (
        select * from messages where (room, id) > ($1, $2::uuid) and id <= $4::uuid ${
    by === "room" ? "and room = $3" : ""
  }
        order by room, id limit ${rows}
      ) page
    ) numbered where ${by} = $3 or nth = looked order by room, id`;
  let at: Walked = { room: by === "room" ? name : "", id: after };
  while (true) {
    const found = await run((sql) =>
      sql.unsafe<(T & WalkedRow)[]>(statement, [at.room, at.id, name, last], { prepare: true })
    );
    yield found.filter(({ matches }) => matches);
    const end = found.at(-1);
    if (!end || Number(end.looked) < rows) return;
    at = end;
  }
}

// Reads a room from the database, page after page, and does nothing with it: the least that catching up takes in Deno.
// Prints one line of JSON.
import postgres from "postgres";

const [room = "", limit = "1000"] = Deno.args;
const sql = postgres(Deno.env.get("DATABASE_URL")!, { max: 1, fetch_types: false });
await sql`select`;
const begin = performance.now();
let cursor = "00000000-0000-0000-0000-000000000000";
let count = 0;
for (;;) {
  const rows = await sql`
    select id, author, body from messages where room = ${room} and id > ${cursor} order by id limit ${Number(limit)}`;
  count += rows.length;
  if (rows.length === 0) break;
  cursor = rows.at(-1)!.id;
}
console.log(JSON.stringify({ rows: count, ms: performance.now() - begin }));
await sql.end();

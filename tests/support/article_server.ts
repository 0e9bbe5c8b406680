// The design that Linger grew out of, for comparison: ids made in the process, a plain insert, and a loop that asks the
// database for each waiting client. Kept to show that the tests can see what is wrong with it.
import postgres from "postgres";
import { ulid, ulidToUUID } from "ulid";
import { NIL } from "../../src/chat/cursor.ts";
import { sleep } from "../../src/sleep.ts";

const sql = postgres(Deno.env.get("DATABASE_URL")!, { onnotice: () => {} });
await sql`create table if not exists article_messages (id uuid primary key, created_at timestamptz not null, body text not null)`
  .catch(() => {}); // the other server was quicker

async function post(request: Request): Promise<Response> {
  const { body } = await request.json();
  const message = { id: ulidToUUID(ulid()).toLowerCase(), created_at: new Date(), body };
  await sql`insert into article_messages ${sql(message)}`;
  return Response.json(message);
}

async function get(request: Request): Promise<Response> {
  const after = new URL(request.url).searchParams.get("after") ?? NIL;
  for (let tries = 0; tries < 10; tries++) {
    const messages = await sql`select * from article_messages where id > ${after} order by id`;
    if (messages.length > 0) return Response.json(messages);
    await sleep(1000, request.signal);
  }
  return Response.json([]);
}

Deno.serve({
  port: 0,
  hostname: "127.0.0.1",
  onListen: ({ port }) => console.error(`The article's server is ready at http://localhost:${port}`),
}, (request) => request.method === "POST" ? post(request) : get(request));

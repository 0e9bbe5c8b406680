// What one writes first: Hono, postgres.js with its usual pool of ten, and an insert for each post. Keeps no order.
import { Hono } from "hono";
import postgres from "postgres";

const sql = postgres(Deno.env.get("DATABASE_URL")!, { onnotice: () => {} });
await sql`create table if not exists naive_messages (
  id uuid primary key, room text not null, author text, body text not null, created_at timestamptz not null
)`;
const app = new Hono();
app.post("/rooms/:room/messages", async (c) => {
  const { body } = await c.req.json();
  const message = { id: crypto.randomUUID(), room: c.req.param("room"), author: null, body, created_at: new Date() };
  await sql`insert into naive_messages ${sql(message)}`;
  return c.json(message, 201);
});
Deno.serve({
  port: Number(Deno.env.get("PORT")),
  hostname: "127.0.0.1",
  onListen: ({ port }) => console.error(`The naive server is ready at http://localhost:${port}`),
}, app.fetch);

// The same with Hono in front, as Linger has it.
import { Hono } from "hono";

const waiters = new Set<(response: Response) => void>();
const headers = { "content-type": "application/json" };
const app = new Hono();
app.get("/rooms/:room/messages", () => new Promise<Response>((resolve) => waiters.add(resolve)));
app.post("/rooms/:room/messages", async (c) => {
  const { body } = await c.req.json();
  const news = new TextEncoder().encode(JSON.stringify([{ id: crypto.randomUUID(), body }]));
  const parked = [...waiters];
  waiters.clear();
  for (const resolve of parked) resolve(new Response(news, { headers }));
  return new Response(news, { status: 201, headers });
});
Deno.serve({
  port: Number(Deno.env.get("PORT")),
  hostname: "127.0.0.1",
  onListen: ({ port }) => console.error(`The bare server with Hono is ready at http://localhost:${port}`),
}, app.fetch);

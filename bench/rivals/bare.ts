// The least that long polling takes in Deno: a set of waiters in memory. Keeps nothing, promises nothing.
//   GET /static answers BYTES bytes at once; GET /anything waits; POST /anything answers all who wait.
const waiters = new Set<(response: Response) => void>();
const headers = { "content-type": "application/json" };
const bytes = new TextEncoder().encode("x".repeat(Number(Deno.env.get("BYTES") ?? 2)));

Deno.serve({
  port: Number(Deno.env.get("PORT")),
  hostname: "127.0.0.1",
  onListen: ({ port }) => console.error(`The bare server is ready at http://localhost:${port}`),
}, async (request) => {
  if (request.method === "GET") {
    if (request.url.endsWith("/static")) return new Response(bytes, { headers });
    return await new Promise<Response>((resolve) => waiters.add(resolve));
  }
  const { body } = await request.json();
  const news = new TextEncoder().encode(JSON.stringify([{ id: crypto.randomUUID(), body }]));
  const parked = [...waiters];
  waiters.clear();
  for (const resolve of parked) resolve(new Response(news, { headers }));
  return new Response(news, { status: 201, headers });
});

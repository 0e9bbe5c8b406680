// The least that long polling and event streams take in Deno: sets of waiters and streams in memory. Keeps nothing, promises nothing.
//   GET /static answers BYTES bytes at once; GET …/events opens a stream; GET /anything else waits; POST /anything is news for all.
const waiters = new Set<(response: Response) => void>();
const streams = new Set<ReadableStreamDefaultController<Uint8Array>>();
const headers = { "content-type": "application/json" };
const bytes = new TextEncoder().encode("x".repeat(Number(Deno.env.get("BYTES") ?? 2)));

Deno.serve({
  port: Number(Deno.env.get("PORT")),
  hostname: "127.0.0.1",
  onListen: ({ port }) => console.error(`The bare server is ready at http://localhost:${port}`),
}, async (request) => {
  if (request.method === "GET") {
    if (request.url.endsWith("/static")) return new Response(bytes, { headers });
    if (request.url.includes("/events")) {
      return new Response(stream(), { headers: { "content-type": "text/event-stream" } });
    }
    return await new Promise<Response>((resolve) => waiters.add(resolve));
  }
  const { body } = await request.json();
  const news = new TextEncoder().encode(JSON.stringify([{ id: crypto.randomUUID(), body }]));
  const parked = [...waiters];
  waiters.clear();
  for (const resolve of parked) resolve(new Response(news, { headers }));
  const event = new TextEncoder().encode(
    `id: ${crypto.randomUUID()}\nevent: message\ndata: ${JSON.stringify({ body })}\n\n`,
  );
  for (const stream of streams) stream.enqueue(event);
  return new Response(news, { status: 201, headers });
});

function stream(): ReadableStream<Uint8Array> {
  let own: ReadableStreamDefaultController<Uint8Array>;
  return new ReadableStream({
    start(controller) {
      own = controller;
      streams.add(own);
    },
    cancel: () => void streams.delete(own),
  });
}

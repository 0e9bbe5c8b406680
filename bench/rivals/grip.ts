// The server behind Pushpin: has it hold every poll and every stream, and gives it what is posted. Keeps nothing.
const publish = Deno.env.get("PUBLISH")!;
const headers = { "content-type": "application/json" };

Deno.serve({
  port: Number(Deno.env.get("PORT")),
  hostname: "127.0.0.1",
  onListen: ({ port }) => console.error(`The server behind Pushpin is ready at http://localhost:${port}`),
}, async (request) => {
  const [, , room = "", what] = new URL(request.url).pathname.split("/");
  if (request.method === "GET") {
    const hold = { "grip-channel": room, "grip-timeout": "55" };
    return what === "events"
      ? new Response("", { headers: { ...hold, "content-type": "text/event-stream", "grip-hold": "stream" } })
      : new Response("[]", { headers: { ...hold, ...headers, "grip-hold": "response" } });
  }
  const { body } = await request.json();
  const id = crypto.randomUUID();
  const message = JSON.stringify({ id, body });
  const formats = {
    "http-response": { headers, body: `[${message}]` },
    "http-stream": { content: `id: ${id}\nevent: message\ndata: ${message}\n\n` },
  };
  const published = await fetch(publish, {
    method: "POST",
    body: JSON.stringify({ items: [{ channel: room, formats }] }),
  });
  await published.body?.cancel();
  return new Response(message, { status: published.ok ? 201 : 502, headers });
});

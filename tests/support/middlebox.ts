// What can stand between a client and its server, over real sockets: an HTTP proxy that a test can make misbehave, request
// by request, and a TCP proxy that can cut an answer at any byte.

/** An HTTP proxy. */
export interface Middlebox extends AsyncDisposable {
  /** Without a slash at the end. */
  readonly url: string;
  /** The requests that came, as `METHOD path?query`. */
  readonly seen: string[];
}

/** Answers by itself, or passes the request on. */
export type Handler = (request: Request, forward: () => Promise<Response>) => Response | Promise<Response>;

/** A proxy before `server` that does as `handler` says; `prefix` is taken off the path. */
export function middlebox(server: { url: string }, handler: Handler, prefix = ""): Middlebox {
  const seen: string[] = [];
  const ended = new AbortController();
  const proxy = Deno.serve({
    port: 0,
    hostname: "127.0.0.1",
    signal: ended.signal,
    onListen: () => {},
    onError: () => new Response("Bad gateway", { status: 502 }),
  }, async (request) => {
    const { pathname, search } = new URL(request.url);
    seen.push(`${request.method} ${pathname}${search}`);
    const body = request.body && await request.arrayBuffer();
    const { method, headers, signal } = request;
    return await handler(request, async () => {
      const answer = await fetch(server.url + pathname.slice(prefix.length) + search, {
        method,
        headers,
        body,
        signal,
      });
      // Read to its end, so that nothing stays open when the client has left; and unpacked by now.
      const bytes = await answer.arrayBuffer();
      const unpacked = new Headers(answer.headers);
      if (unpacked.has("content-encoding")) {
        for (const name of ["content-encoding", "content-length"]) unpacked.delete(name);
      }
      const isEmpty = answer.status === 204 || answer.status === 304;
      return new Response(isEmpty ? null : bytes, { status: answer.status, headers: unpacked });
    });
  });
  return {
    url: `http://127.0.0.1:${proxy.addr.port}`,
    seen,
    [Symbol.asyncDispose]: () => {
      ended.abort();
      return proxy.finished;
    },
  };
}

/** A TCP proxy. */
export interface Cutter extends AsyncDisposable {
  readonly url: string;
  /** The next bytes that come from the server are cut after so many, and their connection with them. */
  cutNext(bytes: number): void;
  /** How often it has cut. */
  readonly cuts: number;
  /** How often a client has said something after its server had. */
  readonly turns: number;
}

/** A TCP proxy before the servers, which connections take in turns. */
export function cutter(...servers: { url: string }[]): Cutter {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Set<Deno.TcpConn>();
  const answered = new Set<Deno.TcpConn>(); // clients
  let [budget, cuts, turns, turn] = [Infinity, 0, 0, 0];

  const pump = async (from: Deno.TcpConn, to: Deno.TcpConn, fromServer: boolean) => {
    const buffer = new Uint8Array(65_536);
    try {
      for (let read; (read = await from.read(buffer)) !== null;) {
        if (fromServer) answered.add(to);
        else if (answered.delete(from)) turns++;
        const cut = fromServer && budget < Infinity;
        const end = cut ? Math.min(read, budget) : read;
        for (let at = 0; at < end;) at += await to.write(buffer.subarray(at, end));
        if (!cut) continue;
        budget = Infinity;
        cuts++;
        break;
      }
    } catch { /* one side is gone */ }
    for (const connection of [from, to]) {
      if (open.delete(connection)) connection.close();
    }
  };
  const serving = (async () => {
    const pumps: Promise<void>[] = [];
    for await (const client of listener) {
      const port = Number(new URL(servers[turn++ % servers.length]!.url).port);
      let server: Deno.TcpConn;
      try {
        server = await Deno.connect({ hostname: "127.0.0.1", port });
      } catch { // it is away
        client.close();
        continue;
      }
      open.add(client).add(server);
      pumps.push(pump(client, server, false), pump(server, client, true));
    }
    await Promise.all(pumps);
  })();
  return {
    url: `http://127.0.0.1:${listener.addr.port}`,
    cutNext: (bytes) => void (budget = bytes),
    get cuts() {
      return cuts;
    },
    get turns() {
      return turns;
    },
    [Symbol.asyncDispose]: () => {
      listener.close();
      for (const connection of open) connection.close();
      open.clear();
      return serving;
    },
  };
}

// What else can stand around a server: tokens, limits, changes, a proxy, telemetry, threads, a database at some distance. Each beside the
// same server without it.
import { withToken } from "./identity.ts";
import { cycle, loop, NEWS, ping } from "./load.ts";
import { startNginx } from "./nginx.ts";
import type { Rig } from "./rig.ts";
import { type Server, start, startRival } from "./servers.ts";
import { digits, type Findings, median, ratio } from "./table.ts";
import { freePort } from "../tests/support/postgres.ts";
import { SECRET, tokenOf } from "../tests/support/tokens.ts";

/** How far the database is away, in microseconds each way. */
const DISTANCE_US = 500;

/** Connections that post: no more than a client may post at once. */
const CONNECTIONS = 16;

/** As many as nobody reaches: what is measured is the counting. */
const PLENTY = "1000000";

/** Measures each edge. */
export async function measureEdges(rig: Rig): Promise<Findings> {
  const token = await tokenOf({ name: "Ada", read: ["*"], write: ["*"] });
  await using collector = startCollector();
  await using distance = await startDistance(rig);
  await using running = new AsyncDisposableStack();
  const starts: Record<string, () => Promise<Server>> = {
    "nothing else": () => start.Linger(rig),
    "nothing else, again": () => start.Linger(rig),
    tokens: async () =>
      withToken(
        await start.Linger(rig, { TOKEN_SECRET: SECRET, POSTS_PER_MINUTE: "0", PLACES_PER_CLIENT: "0" }),
        token,
      ),
    "limits, of one address": async () =>
      fromAddress(
        await start.Linger(rig, { PROXY_HOPS: "1", POSTS_PER_MINUTE: PLENTY, PLACES_PER_CLIENT: PLENTY }),
      ),
    "changes asked for": async () => {
      const server = await start.Linger(rig);
      return { ...server, poll: server.poll.replace("&wait=", "&changes=true&wait=") };
    },
    nginx: async () => await behindNginx(rig, await start.Linger(rig)),
    OpenTelemetry: () => start.Linger(rig, { OTEL_DENO: "true", OTEL_EXPORTER_OTLP_ENDPOINT: collector.url }),
    "2 threads": () => start["Linger, 2 threads"](rig),
    "a database 0.5 ms away each way": () =>
      startRival(rig, "main.ts", { MAX_WAITERS: "20000" }, undefined, distance.url),
  };
  const names = Object.keys(starts);
  const servers: Record<string, Server> = {};
  for (const [name, start] of Object.entries(starts)) servers[name] = running.use(await start());
  const waiters = rig.waiters(1_000, 100);
  const take = async (server: Server) => {
    const rounds = await cycle(rig, server, waiters, NEWS);
    return {
      last: median(rounds.map(({ last }) => last)),
      cycle: median(rounds.map(({ cycle }) => cycle)) * 1_000 / waiters,
      delivery: (await ping(rig, server, server, rig.size(100, 20))).p50,
      posts: (await loop(rig, server.port, server.post, CONNECTIONS, rig.size(2, 1))).perSecond,
    };
  };
  for (const name of names) await take(servers[name]!); // warms up
  const samples = await rig.interleave(
    Object.fromEntries(names.map((name) => [name, () => take(servers[name]!)])),
  );
  const plain = samples["nothing else"]!;
  const measures = ["last", "cycle", "delivery", "posts"] as const;
  return {
    title: "Edges",
    text:
      `Milliseconds until the last of ${
        waiters.toLocaleString("en")
      } polls that come straight back has the news; microseconds that the ` +
      "server's main thread ran for each of them; milliseconds from a post until another client has it, p50, on a quiet server; posts " +
      `acknowledged per second over ${CONNECTIONS} connections; beside each, the same divided by that of a server with nothing else.`,
    head: ["with", "last", "/ plain", "CPU per cycle", "/ plain", "delivery", "/ plain", "posts/s", "/ plain"],
    rows: names.map((name) => [
      name,
      ...measures.flatMap((measure) => {
        const of = (taken: typeof plain) => taken.map((sample) => sample[measure]);
        return [digits(median(of(samples[name]!))), ratio(of(samples[name]!), of(plain)).toFixed(2)];
      }),
    ]),
    targets: [],
  };
}

/** The same server, asked through a proxy that says where the clients are. */
function fromAddress(server: Server): Server {
  const sent = (request: string) => request.replace("\r\n\r\n", "\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n");
  return { ...server, poll: sent(server.poll), post: sent(server.post) };
}

/** Through nginx as deploy/nginx.conf has it, but without TLS and without its limits. */
async function behindNginx(rig: Rig, server: Server): Promise<Server> {
  const port = freePort();
  const nginx = await startNginx(
    rig,
    port,
    `upstream linger { server 127.0.0.1:${server.port}; keepalive 2000; keepalive_requests 1000000; }
      server {
        listen 127.0.0.1:${port};
        location / {
          proxy_pass http://linger;
          proxy_http_version 1.1;
          proxy_set_header Connection "";
          proxy_set_header Host $http_host;
          proxy_buffering off;
          proxy_read_timeout 75s;
        }
      }`,
  );
  return {
    ...server,
    port,
    [Symbol.asyncDispose]: async () => {
      await nginx[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** Takes telemetry, and throws it away. */
function startCollector(): AsyncDisposable & { url: string } {
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, async (request) => {
    await request.arrayBuffer();
    return new Response();
  });
  return { url: `http://127.0.0.1:${server.addr.port}`, [Symbol.asyncDispose]: () => server.shutdown() };
}

/** The rig's database at some distance. */
async function startDistance(rig: Rig): Promise<AsyncDisposable & { url: string }> {
  const program = `${rig.home}/distance`;
  await rig.run(rig.programs.gcc, ["-O2", "-o", program, `${import.meta.dirname}/distance.c`]);
  const child = new Deno.Command(program, {
    args: [`${rig.port}`, `${DISTANCE_US}`],
    stdin: "piped",
    stdout: "piped",
    signal: rig.options.stop,
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value } = await lines.read();
  return {
    url: rig.url.replace(`:${rig.port}/`, `:${Number(value)}/`),
    [Symbol.asyncDispose]: async () => {
      await child.stdin.close().catch(() => {});
      await lines.cancel();
      await child.status;
    },
  };
}

// What deploy/ has for those who run Linger for others. Each proxy is started with its very file, before real servers: it has to
// let through all that Linger does, keep off what Linger does not defend itself against, and lose nothing when servers restart.
// Times are printed, and not asserted. Whoever means harm comes from 127.0.0.1, and who is to be spared from another address, since
// it is by their addresses that proxies tell clients apart.
import { assert, assertEquals, assertFalse, assertLess } from "@std/assert";
import { join } from "node:path";
import manifest from "../deno.json" with { type: "json" };
import { CHANNEL } from "../src/chat/wake.ts";
import { Linger } from "../src/client/client.ts";
import { connect, continuations, emptyData, flood, pingsAndSettings, rapidResets, trickle } from "./support/attacks.ts";
import { health, type Message, post, posted, until } from "./support/client.ts";
import { runCommand } from "./support/command.ts";
import { readBlocks } from "./support/events.ts";
import { freePort, projectPath, type TestDatabase, testPostgres } from "./support/postgres.ts";
import { type Change, has, PROXIES, type Proxy, type ProxyKind, startProxy } from "./support/proxies.ts";
import { exitCode, type ServerProcess, spawnServer } from "./support/server.ts";
import { bearer, SECRET, tokenOf } from "./support/tokens.ts";
import { sleep } from "../src/sleep.ts";

/** Where somebody sits who is to be spared. */
const ELSEWHERE = "127.0.0.2";

const VERSIONS = [1, 2] as const;

/** A Linger's settings behind a proxy. What is counted here is counted by the proxy. */
const BEHIND = { PROXY_HOPS: "1", POSTS_PER_MINUTE: "0" };

const START = "00000000-0000-0000-0000-000000000000";

for (const { name, isHere } of PROXIES) {
  if (!isHere) console.log(`There is no ${name} here: the tests of its configuration are left out`);
}
const postgres = PROXIES.some(({ isHere }) => isHere) ? await testPostgres() : undefined;

/** A database, and two servers on it, which no test stops. */
let database: TestDatabase;
let servers: [ServerProcess, ServerProcess];

if (postgres) {
  Deno.test.beforeAll(async () => {
    database = await postgres.create();
    const env = { ...BEHIND, HEARTBEAT_MS: "1000", UPLOAD_TIMEOUT_MS: "2000" }; // a test sees several of them
    servers = await Promise.all([spawnServer(database.url, env), spawnServer(database.url, env)]);
    // What they say later would be read in the middle of a test.
    await until(() => servers.every((server) => server.log().includes("Ctrl-C stops")), "they have said all");
  });
  Deno.test.afterAll(async () => {
    for (const server of servers) await server[Symbol.asyncDispose]();
    await database[Symbol.asyncDispose]();
  });
}

/** How many polls wait and streams are open, on both servers. */
async function waiters(): Promise<number> {
  const states = await Promise.all(servers.map(health));
  return states.reduce((sum, { waiters, subscribers }) => sum + waiters + subscribers, 0);
}

/** What is different in a configuration, for each proxy that a test is about. */
type Changes = Partial<Record<ProxyKind["name"], readonly Change[]>>;

/** None: each proxy, as its file is. */
const AS_IT_IS: Changes = { nginx: [], HAProxy: [], Caddy: [] };

/** A test for each proxy, whose name begins with the proxy's. */
function test(
  name: string,
  changes: Changes,
  body: (kind: ProxyKind, changes: readonly Change[]) => Promise<void>,
): void {
  for (const kind of PROXIES) {
    const own = changes[kind.name];
    if (own) Deno.test({ name: `${kind.name} ${name}`, ignore: !kind.isHere, fn: () => body(kind, own) });
  }
}

function tell({ name }: ProxyKind, what: string, ms: number): void {
  console.log(`${name}: ${what} ${Math.round(ms)} ms`);
}

/** Somebody who speaks one version of HTTP, from one address. */
class Visitor implements Disposable {
  readonly #client: Deno.HttpClient;

  constructor(readonly proxy: Proxy, version: 1 | 2 = 2, localAddress = "127.0.0.1") {
    const versions = { http1: version === 1, http2: version === 2 };
    this.#client = Deno.createHttpClient({ caCerts: [proxy.cert], localAddress, ...versions });
  }

  fetch(input: Request | string, init: RequestInit = {}): Promise<Response> {
    return fetch(typeof input === "string" ? this.proxy.url + input : input, { ...init, client: this.#client });
  }

  /** The status that a request is answered with. */
  async status(path: string, init: RequestInit = {}): Promise<number> {
    const response = await this.fetch(path, init);
    await response.body?.cancel();
    return response.status;
  }

  /** Posts a message, which must be stored. */
  async post(room: string, body: string): Promise<Message> {
    const response = await this.fetch(`/rooms/${room}/messages`, posting(JSON.stringify({ body })));
    const answer = await response.text();
    assertEquals([response.status, answer], [201, answer]);
    return JSON.parse(answer);
  }

  /** Reads messages, which must be served. */
  async read(room: string, query: string): Promise<Message[]> {
    const response = await this.fetch(`/rooms/${room}/messages?${query}`);
    const answer = await response.text();
    assertEquals([response.status, answer], [200, answer]);
    return JSON.parse(answer);
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

function posting(body: string): RequestInit {
  return { method: "POST", headers: { "content-type": "application/json" }, body };
}

test("lets posts through, and polls that wait until a message comes", AS_IT_IS, async (kind, changes) => {
  await using proxy = await startProxy(kind, servers, changes);
  (await connect(proxy, "h2")).close(); // it says itself that it speaks HTTP/2
  for (const version of VERSIONS) {
    using visitor = new Visitor(proxy, version);
    const room = `${kind.name}-poll-${version}`;
    const poll = visitor.read(room, "after=now&wait=50");
    await until(async () => await waiters() === 1, "it waits");
    const message = await visitor.post(room, "news");
    assertEquals(await poll, [message]);
  }
});

test("lets Linger know when somebody who waits has left", AS_IT_IS, async (kind, changes) => {
  await using proxy = await startProxy(kind, servers, changes);
  for (const version of VERSIONS) {
    using visitor = new Visitor(proxy, version);
    const leaving = new AbortController();
    const { signal } = leaving;
    const polls = Array.from({ length: 5 }, () => visitor.fetch("/messages?after=now&wait=50", { signal }));
    await until(async () => await waiters() === 5, "they wait");
    leaving.abort();
    await Promise.allSettled(polls);
    await until(async () => await waiters() === 0, "their places are free");
  }
});

test("hands on the events of a stream as they come, for longer than it lets anything be silent", {
  nginx: [["proxy_read_timeout 65s", "proxy_read_timeout 6s"], ["send_timeout 30s", "send_timeout 6s"]],
  HAProxy: [["timeout server 65s", "timeout server 6s"], ["timeout client 75s", "timeout client 6s"]],
  Caddy: [["response_header_timeout 65s", "response_header_timeout 6s"], ["read_header 10s", "read_header 6s"]],
}, async (kind, changes) => {
  await using proxy = await startProxy(kind, servers, changes);
  await Promise.all(VERSIONS.map(async (version) => {
    using visitor = new Visitor(proxy, version);
    const room = `${kind.name}-events-${version}`;
    const leaving = new AbortController();
    const response = await visitor.fetch(`/rooms/${room}/events?after=now`, { signal: leaving.signal });
    assertEquals(response.status, 200);
    let [beats, isOver] = [0, false];
    const got: Message[] = [];
    const reading = (async () => {
      for await (const { comment, data } of readBlocks(response)) {
        if (comment) beats++;
        if (data) got.push(JSON.parse(data));
      }
    })().catch(() => {}).then(() => isOver = true);
    const posted: Message[] = [];
    for (let round = 1; round <= 2; round++) {
      await until(() => beats >= 6 * (round - 1), "time has passed"); // 7.5 s
      const sent = performance.now();
      posted.push(await visitor.post(room, `${round}`));
      await until(() => got.length === round, "the event has come");
      tell(kind, `from a post to its event over HTTP/${version} it took`, performance.now() - sent);
    }
    assertEquals(got, posted);
    assert(!isOver);
    leaving.abort();
    await reading;
  }));
  await until(async () => await waiters() === 0, "their places are free");
});

test(
  "tells Linger the address that it sees, whatever the client says, and the host that the client asks for",
  AS_IT_IS,
  async (kind, changes) => {
    const echo = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen: () => {} },
      ({ headers }) => Response.json(Object.fromEntries(headers)),
    );
    const server = { url: `http://127.0.0.1:${echo.addr.port}` };
    {
      await using proxy = await startProxy(kind, [server, server], changes);
      for (const version of VERSIONS) {
        using visitor = new Visitor(proxy, version, ELSEWHERE);
        const headers = { "x-forwarded-for": "203.0.113.7, 127.0.0.1" };
        const seen: Record<string, string> = await (await visitor.fetch("/", { headers })).json();
        assertEquals(seen["x-forwarded-for"]?.split(", ").at(-1), ELSEWHERE);
        assertEquals(seen.host, `localhost:${proxy.port}`);
      }
    }
    await echo.shutdown();
  },
);

test(
  "lets heads of 12 kB and bodies of 65,536 bytes through, and none that are much larger",
  AS_IT_IS,
  async (kind, changes) => {
    await using proxy = await startProxy(kind, servers, changes);
    for (const version of VERSIONS) {
      using visitor = new Visitor(proxy, version);
      const path = `/rooms/${kind.name}-size-${version}/messages`;
      const sized = (bytes: number) => {
        const [begin, end] = ['{"body":"news","more":"', '"}'];
        return posting(begin + "x".repeat(bytes - begin.length - end.length) + end);
      };
      assertEquals(await visitor.status(path, sized(65_536)), 201);
      // Over HTTP/1.1, who still sends may be cut off before he reads the answer. Caddy leaves it to Linger.
      const large = await visitor.fetch(path, sized(65_537)).catch(() => undefined);
      await large?.body?.cancel();
      const isLingers = large?.headers.get("content-type") === "application/problem+json";
      if (large) assertEquals([large.status, isLingers], [413, kind.name === "Caddy"]);
      const headed = (bytes: number) => visitor.status("/healthz", { headers: { authorization: "x".repeat(bytes) } });
      assertEquals(await headed(12_000), 200);
      const refusal = await headed(30_000).catch(() => "cut off");
      assert(["cut off", 400, 431].includes(refusal), `${refusal}`);
      assertEquals(await visitor.status("/healthz"), 200);
    }
  },
);

test("leads from plain HTTP to TLS, where a post is still a post", AS_IT_IS, async (kind, changes) => {
  await using proxy = await startProxy(kind, servers, changes);
  const response = await fetch(`${proxy.plainUrl}/rooms?x=1`, { redirect: "manual", ...posting("{}") });
  await response.body?.cancel();
  assertEquals(response.status, 308);
  const { protocol, pathname, search } = new URL(response.headers.get("location")!);
  assertEquals([protocol, pathname, search], ["https:", "/rooms", "?x=1"]);
});

test("cuts off whoever is slow with a head", {
  nginx: [["client_header_timeout 10s", "client_header_timeout 1s"]],
  HAProxy: [["timeout http-request 10s", "timeout http-request 1s"]],
  Caddy: [["read_header 10s", "read_header 1s"]],
}, async (kind, changes) => {
  await using proxy = await startProxy(kind, servers, changes);
  const begun = performance.now();
  await trickle(proxy, "GET / HTTP/1.1\r\nHost: localhost\r\n", "x-more: x\r\n");
  tell(kind, "a head that comes line by line was cut off after", performance.now() - begun);
});

// With Caddy it is Linger that gives up, and Caddy that goes on to read.
test("cuts off whoever is slow with a body", {
  nginx: [["client_body_timeout 10s", "client_body_timeout 1s"]],
  HAProxy: [], // Linger's own limit
}, async (kind, changes) => {
  await using proxy = await startProxy(kind, servers, changes);
  const begun = performance.now();
  const head =
    "POST /messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n";
  const said = await trickle(proxy, `${head}{`);
  tell(kind, "a body that does not come was given up after", performance.now() - begun);
  assert(said === "" || said.startsWith("HTTP/1.1 408 "), said);
});

test("tells Linger who is who, whatever a client says of itself", AS_IT_IS, async (kind, changes) => {
  await using stack = new AsyncDisposableStack();
  const { url } = stack.use(await postgres!.create());
  const start = async () => stack.use(await spawnServer(url, { PROXY_HOPS: "1", POSTS_PER_MINUTE: "1" }));
  const proxy = stack.use(await startProxy(kind, [await start(), await start()], changes));
  const [visitor, other] = [stack.use(new Visitor(proxy)), stack.use(new Visitor(proxy, 2, ELSEWHERE))];
  const post = (n: number) => {
    const { headers, ...init } = posting(`{"body":"${n}"}`);
    return visitor.status("/rooms/room/messages", {
      ...init,
      headers: { ...headers as Record<string, string>, "x-forwarded-for": `198.51.100.${n}` },
    });
  };
  const statuses: number[] = [];
  for (let n = 1; n <= 10; n++) statuses.push(await post(n));
  const stored = statuses.filter((status) => status === 201).length;
  assert(stored === 1 || stored === 2, `${statuses}`); // one through each Linger
  assertEquals(statuses.filter((status) => status === 429).length, 10 - stored);
  await other.post("room", "news");
});

test("refuses what one address asks for at a time beyond its share, and serves the others", {
  nginx: [["limit_conn open 100", "limit_conn open 5"]],
  HAProxy: [["sc1_conn_cur gt 100", "sc1_conn_cur gt 5"]],
}, async (kind, changes) => {
  await using proxy = await startProxy(kind, servers, changes);
  for (const version of VERSIONS) {
    using visitor = new Visitor(proxy, version);
    using other = new Visitor(proxy, version, ELSEWHERE);
    const room = `${kind.name}-share-${version}`;
    const polls = Array.from({ length: 5 }, () => visitor.read(room, "after=now&wait=50"));
    await until(async () => await waiters() === 5, "they wait");
    assertEquals(await visitor.status("/healthz"), 429);
    const message = await other.post(room, "news");
    assertEquals(await Promise.all(polls), Array(5).fill([message]));
    await until(async () => await visitor.status("/healthz") === 200, "there is room again");
  }
});

test("refuses what one address asks for too fast, and serves the others", {
  nginx: [["rate=100r/s", "rate=1r/s"], ["burst=200", "burst=5"]],
  HAProxy: [["sc1_http_req_rate gt 1000", "sc1_http_req_rate gt 5"]],
}, async (kind, changes) => {
  await using proxy = await startProxy(kind, servers, changes);
  using other = new Visitor(proxy, 2, ELSEWHERE);
  for (const version of VERSIONS) {
    using visitor = new Visitor(proxy, version, `127.0.1.${version}`);
    const statuses = await Promise.all(Array.from({ length: 60 }, () => visitor.status("/healthz")));
    assertEquals(new Set(statuses), new Set([200, 429]));
    await other.post(`${kind.name}-rate`, "news");
  }
});

test("closes the connections of one address beyond its share, and serves the others", {
  HAProxy: [["sc0_conn_cur gt 100", "sc0_conn_cur gt 5"]],
}, async (kind, changes) => {
  await using proxy = await startProxy(kind, servers, changes);
  using other = new Visitor(proxy, 2, ELSEWHERE);
  const isLetIn = () => connect(proxy, "h2").then((connection) => (connection.close(), true), () => false);
  const connections: Deno.TlsConn[] = [];
  while (connections.length < 5) connections.push(await connect(proxy, "h2"));
  assertEquals(await isLetIn(), false);
  await other.post(`${kind.name}-connections`, "news");
  for (const connection of connections) connection.close();
  await until(isLetIn, "there is room again");
});

for (
  const [name, pieceOf, changes] of [
    // Not Caddy 2.6, which has no limit for it: others wait for many seconds.
    ["polls that are taken back at once", rapidResets, { nginx: [], HAProxy: [] }],
    ["pings and settings", pingsAndSettings, AS_IT_IS],
    ["pieces of nothing", emptyData, AS_IT_IS],
    ["heads that never end", continuations, AS_IT_IS],
  ] as const
) {
  test(`stands a flood of ${name}, while others post and poll`, changes, async (kind, changes) => {
    await using proxy = await startProxy(kind, servers, changes);
    using victim = new Visitor(proxy, 2, ELSEWHERE);
    const room = `${kind.name}-${pieceOf.name}`;
    const count = 30;
    let isOver = false;
    const flooding = flood(proxy, pieceOf, () => isOver);
    const got: Message[] = [];
    const polling = (async () => {
      while (got.length < count) got.push(...await victim.read(room, `after=${got.at(-1)?.id ?? START}&wait=50`));
    })();
    const posted: Message[] = [];
    let slowest = 0;
    while (posted.length < count) {
      const sent = performance.now();
      posted.push(await victim.post(room, `${posted.length}`));
      slowest = Math.max(slowest, performance.now() - sent);
      await sleep(50);
    }
    await polling;
    isOver = true;
    console.log(`${kind.name}: ${await flooding}`);
    tell(kind, `the slowest of ${count} posts took`, slowest);
    assertEquals(got, posted);
    await until(async () => await waiters() === 0, "the flood holds no places");
  });
}

test(
  "passes on nothing that comes behind a request that waits, which would fill a Linger's memory",
  { nginx: [], HAProxy: [] }, // so does Caddy, but it does not end before its connections
  async (kind, changes) => {
    const proxy = await startProxy(kind, servers, changes);
    const resident = async () => {
      const statuses = await Promise.all(servers.map(({ pid }) => Deno.readTextFile(`/proc/${pid}/status`)));
      return statuses.reduce((sum, status) => sum + Number(status.match(/VmRSS:\s+(\d+)/)![1]), 0) / 1_000; // MB
    };
    const before = await resident();
    const connection = await connect(proxy, "http/1.1");
    const write = async (bytes: Uint8Array) => {
      for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
    };
    await write(new TextEncoder().encode(`GET /rooms/${kind.name}-behind/events HTTP/1.1\r\nHost: localhost\r\n\r\n`));
    await until(async () => await waiters() === 1, "the stream is open");
    let mb = 0;
    const piece = new Uint8Array(1_000_000);
    const writing = (async () => {
      while (mb < 200) (await write(piece), mb++);
    })().catch(() => {}); // nobody takes it any more
    await Promise.race([writing, sleep(5_000)]);
    const grown = await resident() - before;
    console.log(`${kind.name}: took ${mb} MB, and the Lingers grew by ${Math.round(grown)} MB`);
    assertLess(grown, 100);
    await proxy[Symbol.asyncDispose](); // else it may not see that a client has left who has more to say
    await writing;
    connection.close();
    await until(async () => await waiters() === 0, "the stream is closed");
  },
);

test("asks the other Linger about a post for which one can't be reached", AS_IT_IS, async (kind, changes) => {
  await using proxy = await startProxy(kind, [{ url: `http://127.0.0.1:${freePort()}` }, servers[1]], changes);
  using visitor = new Visitor(proxy);
  for (let i = 0; i < 6; i++) await visitor.post(`${kind.name}-refused`, `${i}`);
});

test("sends no post to a second Linger that the first one may have stored", AS_IT_IS, async (kind, changes) => {
  const seen: string[] = [];
  await using one = hangUp(seen);
  await using two = hangUp(seen);
  await using proxy = await startProxy(kind, [one, two], changes);
  using visitor = new Visitor(proxy, 1); // over HTTP/2, HAProxy has no answer
  const status = await visitor.status("/messages", posting('{"body":"once"}'));
  assertEquals([status, seen], [502, ["POST /messages"]]);
});

test("logs requests, also failed ones, without what only their senders may know", AS_IT_IS, async (kind, changes) => {
  await using one = hangUp([]);
  await using two = hangUp([]);
  await using proxy = await startProxy(kind, [one, two], changes);
  const secrets = { authorization: "Bearer secret-of-a-token", "message-key": "secret-of-a-message-of-22-characters" };
  {
    using visitor = new Visitor(proxy, 1); // over HTTP/2, HAProxy has no answer
    const { headers, ...init } = posting('{"body":"once"}');
    const status = await visitor.status("/messages?logged", {
      ...init,
      headers: { ...headers as Record<string, string>, ...secrets },
    });
    assertEquals(status, 502);
  }
  await until(async () => (await proxy.logged()).includes("/messages?logged"), "it is in the log");
  const log = await proxy.logged();
  assertFalse(log.includes("secret-of"), log);
});

/** A server that is ready, and hangs up on all else that it is asked for; it writes down what that is. */
function hangUp(seen: string[]): { url: string } & AsyncDisposable {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serve = async (connection: Deno.TcpConn) => {
    using _ = connection;
    const buffer = new Uint8Array(65_536);
    let text = "";
    while (!/^GET .*\r\n\r\n$|\}$/s.test(text)) { // a head, or with a post all
      const read = await connection.read(buffer);
      if (read === null) return;
      text += new TextDecoder().decode(buffer.subarray(0, read));
    }
    const [request] = text.match(/^\w+ \S+/)!;
    if (!request.endsWith(" /readyz")) seen.push(request);
    else await connection.write(new TextEncoder().encode("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  };
  const serving = (async () => {
    for await (const connection of listener) await serve(connection).catch(() => {});
  })();
  return {
    url: `http://127.0.0.1:${listener.addr.port}`,
    [Symbol.asyncDispose]: () => {
      listener.close();
      return serving;
    },
  };
}

test(
  "lets two Lingers restart one after the other, and nobody who posts and follows notices",
  AS_IT_IS,
  async (kind, changes) => {
    await using stack = new AsyncDisposableStack();
    const { url } = stack.use(await postgres!.create());
    const start = async (port: number) => stack.use(await spawnServer(url, { ...BEHIND, PORT: `${port}` }));
    const [one, two] = await Promise.all([start(freePort()), start(freePort())]);
    const proxy = stack.use(await startProxy(kind, [one, two], changes));
    const visitor = stack.use(new Visitor(proxy));
    const leaving = new AbortController();
    let [requests, failures] = [0, 0];
    const counting: typeof fetch = async (request) => {
      requests++;
      let response: Response | undefined;
      try {
        return response = await visitor.fetch(request as Request);
      } finally {
        if (!leaving.signal.aborted && (!response || response.status >= 500)) failures++;
      }
    };

    const room = new Linger(proxy.url, { fetch: counting }).room("room");
    const got: string[] = [];
    const following = (async () => {
      for await (const { body } of room.follow({ after: START, signal: leaving.signal })) got.push(body);
    })();
    let [posts, isOver, slowest] = [0, false, 0];
    const posting = (async () => {
      for (; !isOver; posts++) {
        const sent = performance.now();
        await room.post(`${posts}`);
        slowest = Math.max(slowest, performance.now() - sent);
      }
    })();
    await until(() => got.length > 20, "messages flow");
    for (const server of [one, two]) {
      server.kill("SIGTERM");
      assertEquals(await exitCode(server), 0);
      await start(Number(new URL(server.url).port));
      const before = posts;
      await until(() => posts > before + 20, "messages flow again");
    }
    isOver = true;
    await posting;
    await until(() => got.length >= posts, "all have come");
    leaving.abort();
    await following;
    console.log(`${kind.name}: of ${requests} requests ${failures} failed, and were sent again by the client`);
    tell(kind, `the slowest of ${posts} posts took`, slowest);
    assertEquals(got, Array.from({ length: posts }, (_, i) => `${i}`));
  },
);

/** More than a test that reads as many clients asks for. */
const UNLIMITED: readonly Change[] = [
  ["limit_conn open 100", "limit_conn open 10000"],
  ["rate=100r/s", "rate=100000r/s"],
  ["burst=200", "burst=100000"],
  ["keepalive_requests 1000", "keepalive_requests 100000"],
];

/** How many come late at once. */
const LATE = 1_000;

/** Messages of a page: more than a room in memory begins with. */
const PAGE = 101;

/** Reads a room from page to page, to the last full one, along the links of one relation; in the order in which it comes. */
async function readPages(visitor: Visitor, room: string, query: string, relation: "next" | "prev"): Promise<string[]> {
  const pages: string[] = [];
  for (let next = query; pages.length < 5;) {
    const response = await visitor.fetch(`/rooms/${room}/messages${next}`);
    pages.push(await response.text());
    assertEquals(response.status, 200, pages.at(-1));
    next = `${response.headers.get("link")!.match(`<([^>]*)>; rel="${relation}"`)![1]}&wait=0`;
  }
  return pages;
}

/** Looks of a server, heard or not, are no reads of its clients: none comes while those are counted, however slow the machine. */
const NO_LOOKS = { FALLBACK_MS: "60000", FALLBACK_WITHOUT_LISTEN_MS: "60000" };

test(
  "keeps pages of the past: any number of those who come late cost one read for each page",
  { nginx: [...UNLIMITED, ["proxy_cache_lock_timeout 250ms", "proxy_cache_lock_timeout 30s"]] }, // a slow machine's reads, too
  async (kind, changes) => {
    await using stack = new AsyncDisposableStack();
    const { url, sql } = stack.use(await postgres!.create());
    const env = { ...BEHIND, HISTORY_MAX_AGE: "3600", ...NO_LOOKS };
    const lingers = [stack.use(await spawnServer(url, env)), stack.use(await spawnServer(url, env))] as const;
    const proxy = stack.use(await startProxy(kind, lingers, changes, "deploy/nginx-cache.conf"));
    const visitor = stack.use(new Visitor(proxy));
    const room = "late";
    // All through one of them: once the others are told of the last, it has nothing to send any more that would count as a read.
    const told = Promise.withResolvers<void>();
    const { unlisten } = await sql.listen(CHANNEL, (payload) => {
      if (payload.startsWith(`${1 + 5 * PAGE} ${room} `)) told.resolve();
    });
    const ids = [(await posted(lingers[0], room, "first")).id];
    const posts = Array.from({ length: 5 * PAGE }, (_, i) => posted(lingers[0], room, `${i}`));
    for (const { id } of await Promise.all(posts)) ids.push(id);
    ids.sort();
    await told.promise;
    await unlisten();

    const statements = async () => {
      const states = await Promise.all(lingers.map((linger) => health(linger) as Promise<{ statements?: number }>));
      return states.reduce((sum, { statements }) => sum + statements!, 0);
    };
    const all = async (read: () => Promise<string[]>) => {
      const before = await statements();
      const pages = await Promise.all(Array.from({ length: LATE }, read));
      for (const others of pages) assertEquals(others, pages[0]);
      return { messages: pages[0]!.map((page) => JSON.parse(page) as Message[]), read: await statements() - before };
    };
    const forward = await all(() => readPages(visitor, room, `?after=${START}&limit=${PAGE}&wait=0`, "next"));
    const backward = await all(() => readPages(visitor, room, `?before=${ids.at(-1)}&limit=${PAGE}`, "prev"));
    const one = await all(async () => [await (await visitor.fetch(`/rooms/${room}/messages/${ids[0]}`)).text()]);
    console.log(
      `${kind.name}: ${LATE} readers of 5 pages forward cost ${forward.read} statements, backward ${backward.read}, of one message ${one.read}`,
    );
    assertEquals(forward.messages.flat().map(({ id }) => id), ids.slice(0, -1));
    assertEquals(backward.messages.toReversed().flat().map(({ id }) => id), ids.slice(0, -1));
    assertEquals(forward.read, 5); // with wait=0 nothing is read ahead, for which the other Linger would be asked again
    assertEquals(backward.read, 5);
    assertEquals(one.read, 1);

    // An answer out of the cache says from when it is, or a browser would keep it for as long once more.
    const dateOf = async (path: string) => {
      const response = await visitor.fetch(path);
      await response.body?.cancel();
      return response.headers.get("date");
    };
    const date = await dateOf(`/rooms/${room}/messages/${ids[0]}`);
    await until(async () => await dateOf("/healthz") !== date, "a second has passed");
    assertEquals(await dateOf(`/rooms/${room}/messages/${ids[0]}`), date);
  },
);

test(
  "keeps pages, and nobody who follows or scrolls back misses anything for it",
  { nginx: UNLIMITED },
  async (kind, changes) => {
    await using stack = new AsyncDisposableStack();
    const { url } = stack.use(await postgres!.create());
    const linger = stack.use(await spawnServer(url, { ...BEHIND, HISTORY_MAX_AGE: "3600" }));
    const proxy = stack.use(await startProxy(kind, [linger, linger], changes, "deploy/nginx-cache.conf"));
    const visitor = stack.use(new Visitor(proxy));
    const ids = [(await visitor.post("late", "first")).id];
    const posts = Array.from({ length: 1_050 }, (_, i) => visitor.post("late", `${i}`)); // two pages of the client's, and some
    for (const { id } of await Promise.all(posts)) ids.push(id);
    ids.sort();

    const kept: string[] = [];
    const send = async (input: Request | URL | string) => {
      const response = await visitor.fetch(input as Request);
      if (response.headers.get("x-cache") === "HIT") kept.push((input as Request).url);
      return response;
    };
    const room = new Linger(proxy.url, { fetch: send }).room("late");
    const leaving = new AbortController();
    const got = Array.from({ length: 20 }, () => [] as string[]);
    const following = got.map(async (ids) => {
      for await (const { id } of room.follow({ after: START, signal: leaving.signal })) ids.push(id);
    });
    await until(() => got.every(({ length }) => length === ids.length), "they have caught up");
    for (const body of ["live", "and again"]) {
      ids.push((await visitor.post("late", body)).id);
      await until(() => got.every(({ length }) => length === ids.length), "the news has come");
    }
    for (const one of got) assertEquals(one, ids);
    leaving.abort();
    await Promise.all(following);
    assert(kept.length > 0);

    for (const round of ["first", "out of the cache"]) {
      const back: string[] = [];
      for (let more = true; more;) {
        const page = await room.history({ ...back[0] !== undefined && { before: back[0] } });
        back.unshift(...page.messages.map(({ id }) => id));
        more = page.more;
      }
      assertEquals(back, ids, round);
    }
    assert(kept.some((url) => url.includes("before=")));
  },
);

test("keeps nothing of a closed server", { nginx: [] }, async (kind, changes) => {
  await using stack = new AsyncDisposableStack();
  const { url } = stack.use(await postgres!.create());
  const env = { ...BEHIND, HISTORY_MAX_AGE: "3600", TOKEN_SECRET: SECRET, ANONYMOUS_READ: "news" };
  const linger = stack.use(await spawnServer(url, env));
  const proxy = stack.use(await startProxy(kind, [linger, linger], changes, "deploy/nginx-cache.conf"));
  const visitor = stack.use(new Visitor(proxy));
  const token = bearer(await tokenOf({ read: ["*"], write: ["*"] }));
  for (const room of ["team", "news"]) {
    const { id } = await (await post(linger, room, { body: "hello" }, token)).json();
    const path = `/rooms/${room}/messages/${id}`;
    for (const headers of [token, {}, token, {}]) {
      const response = await visitor.fetch(path, { headers });
      await response.body?.cancel();
      assertEquals(response.status, room === "team" && headers !== token ? 401 : 200);
      assert(response.headers.get("x-cache") !== "HIT");
    }
  }
});

const CELLS = [0, 1, 2, 3];

test("sends each room to its cell, and without one only that one's rooms are away", {
  nginx: [["proxy_pass http://linger;", "proxy_pass http://$cell;"]],
}, async (kind, changes) => {
  await using stack = new AsyncDisposableStack();
  const databases = await Promise.all(CELLS.map(async () => stack.use(await postgres!.create())));
  const ports = CELLS.map(() => `${freePort()}`);
  const start = async (cell: number) =>
    stack.use(await spawnServer(databases[cell]!.url, { ...BEHIND, PORT: ports[cell]! }));
  const cells = await Promise.all(CELLS.map(start));
  const places = CELLS.map((cell) => [`10.0.${cell}.1:8080`, `127.0.0.1:${ports[cell]}`] as const);
  const all = [cells[0]!, cells[3]!] as const; // the page comes from any
  const proxy = stack.use(await startProxy(kind, all, [...changes, ...places], "deploy/nginx-cells.conf"));
  const visitor = stack.use(new Visitor(proxy));
  /** The cells whose databases have a room. */
  const cellsOf = async (room: string) => {
    const heads = await Promise.all(databases.map(({ sql }) => sql`select from heads where room = ${room}`));
    return CELLS.filter((cell) => heads[cell]!.length > 0);
  };

  const rooms = ["lobby", ...Array.from({ length: 23 }, (_, i) => `room.${i}`)];
  const leaving = new AbortController();
  const waiting = await Promise.all(rooms.map(async (room) => {
    const response = await visitor.fetch(`/rooms/${room}/events?after=now`, { signal: leaving.signal });
    assertEquals(response.status, 200);
    return { room, poll: visitor.read(room, "after=now&wait=50"), blocks: readBlocks(response) };
  }));
  const held = async () => {
    const states = await Promise.all(cells.map(health));
    return states.reduce((sum, { waiters, subscribers }) => sum + waiters + subscribers, 0);
  };
  await until(async () => await held() === 2 * rooms.length, "somebody waits in each room");
  const home = new Map<string, number>();
  for (const { room, poll, blocks } of waiting) {
    const message = await visitor.post(room, "news");
    assertEquals(await poll, [message]);
    for await (const { data } of blocks) {
      if (!data) continue;
      assertEquals(JSON.parse(data), message);
      break;
    }
    assertEquals(await visitor.read(room, "before=now"), [message]);
    const [cell, other] = await cellsOf(room);
    assertEquals(other, undefined);
    home.set(room, cell!);
  }
  leaving.abort();
  const spread = CELLS.map((cell) => [...home.values()].filter((home) => home === cell).length);
  console.log(`${kind.name}: rooms in each cell ${spread}`);
  assert(spread.every((count) => count > 0));

  // However a path is written.
  for (const path of ["/messages", "/rooms/lobby/messages", "/rooms/%6Cobby/messages", "/rooms/l%6fbb%79/%6dessages"]) {
    assertEquals(await visitor.status(path, posting(`{"body":"${path}"}`)), 201, path);
  }
  const odd = '{"body":"/"}';
  const head = `Host: localhost\r\nContent-Type: application/json\r\nContent-Length: ${odd.length}\r\n\r\n`;
  for (
    const path of [
      "/rooms/room.1/../room.2/",
      "//rooms/room.1/",
      "/rooms/room.1%2F..%2Froom.2/",
      "/rooms/x/%2e%2e/room.3/",
    ]
  ) {
    const said = await trickle(proxy, `POST ${path}messages HTTP/1.1\r\n${head}${odd}`);
    assert(/^HTTP\/1.1 (201|400|404) /.test(said), said);
  }
  for (const room of rooms) assertEquals(await cellsOf(room), [home.get(room)]);
  const listed = (await (await visitor.fetch("/rooms")).json()).map(({ room }: { room: string }) => room);
  assertEquals(listed.sort(), rooms.filter((room) => home.get(room) === home.get("lobby")).sort());
  // Names that differ in their case alone are rooms of their own, which their hash spreads.
  const cased = ["LOBBY", "Lobby", "lOBBY", "LobbY", "lobbY"];
  for (const room of cased) await visitor.post(room, "x");
  const homes = (await Promise.all(cased.map(cellsOf))).flat();
  assertEquals(homes.length, cased.length);
  assert(homes.some((cell) => cell !== home.get("lobby")), `${homes}`);

  const away = 0; // the lobby's
  cells[away]!.kill("SIGKILL");
  await cells[away]!.status;
  for (const room of rooms) {
    const status = await visitor.status(`/rooms/${room}/messages`, posting('{"body":"more"}'));
    assertEquals(status, home.get(room) === away ? 502 : 201, room);
  }
  for (const path of ["/", "/client/client.ts"]) assertEquals(await visitor.status(path), 200);
  await start(away);
  for (const room of rooms) {
    await visitor.post(room, "again");
    const bodies = (await visitor.read(room, "wait=0")).map(({ body }) => body).filter((body) => !body.includes("/"));
    assertEquals(bodies, home.get(room) === away ? ["news", "again"] : ["news", "more", "again"]);
  }

  // A room that moves takes its ids along: whoever has a cursor goes on from there.
  const room = "room.5";
  const [from, to] = [home.get(room)!, (home.get(room)! + 1) % CELLS.length];
  const before = await visitor.read(room, "wait=0");
  const exported = await runCommand("export", ["--room", room], { DATABASE_URL: databases[from]!.url });
  assertEquals(exported.code, 0, exported.log);
  const file = await Deno.makeTempFile();
  stack.defer(() => Deno.remove(file));
  await Deno.writeTextFile(file, exported.stdout);
  const imported = await runCommand("import", [file], { DATABASE_URL: databases[to]!.url });
  assertEquals(imported.code, 0, imported.log);
  const line = ['"~^lobby$" cell0;', `"~^lobby$" cell0; "~^room\\.5$" cell${to};`] as const;
  const tables = stack.use(await startProxy(kind, all, [...changes, line, ...places], "deploy/nginx-cells.conf"));
  const follower = stack.use(new Visitor(tables));
  assertEquals(await follower.read(room, "wait=0"), before);
  const poll = follower.read(room, `after=${before.at(-1)!.id}&wait=50`);
  const message = await follower.post(room, "moved");
  assertEquals(await poll, [message]);
  assertEquals(await visitor.read(room, "wait=0"), before); // where it was, nobody posts any more
});

const canUnshare = Deno.uid() === 0 && ["ip", "unshare"].every(has) &&
  new Deno.Command("unshare", { args: ["-n", "true"], stderr: "null" }).outputSync().success;
if (!canUnshare) console.log("No networks can be made here: the tests of limits for IPv6 are left out");
const canNft = canUnshare && has("nft") &&
  new Deno.Command("unshare", { args: ["-n", "nft", "list", "ruleset"], stdout: "null", stderr: "null" })
    .outputSync().success;
if (!canNft) console.log("nftables can't be used here: the test of deploy/linger.nft is left out");

for (
  const [name, changes] of [
    ["nginx", [["limit_conn open 100", "limit_conn open 5"]]],
    ["HAProxy", [["sc1_conn_cur gt 100", "sc1_conn_cur gt 5"]]],
  ] as const
) {
  Deno.test({
    name:
      `${name} takes a network of IPv6 for one client, refuses what it asks for beyond its share, and serves the others`,
    ignore: !canUnshare || !has(name.toLowerCase()),
    fn: async () => {
      const script = 'ip link set lo up && exec "$0" run -A --frozen --quiet --no-check "$1" "$2"';
      const clients = projectPath("tests/fixtures/ipv6_clients.ts");
      const { stdout, stderr } = await new Deno.Command("unshare", {
        args: ["-n", "sh", "-c", script, Deno.execPath(), clients, JSON.stringify([name, changes])],
      }).output();
      const said = new TextDecoder().decode(stdout);
      assert(said, new TextDecoder().decode(stderr));
      assertEquals(JSON.parse(said), [429, 429, 200]);
    },
  });
}

/** What is run where nobody else is: it opens connections to a server, and tells how many there can be. */
const CONNECTIONS = `
  const listener = Deno.listen({ hostname: "::", port: 443 });
  (async () => {
    for await (const connection of listener) connection.read(new Uint8Array(1)).then(() => connection.close());
  })();
  const open = (hostname) => Deno.connect({ hostname, port: 443 }).catch(() => undefined);
  const openAll = async (hostname) => (await Promise.all(Array(120).fill(hostname).map(open))).filter(Boolean);
  const [some, others] = [await openAll("127.0.0.1"), await openAll("::1")];
  for (const connection of [...some, ...others]) connection.close();
  let quick = 0;
  for (let i = 0; i < 600; i++) {
    const connection = await open("127.0.0.1");
    if (connection) quick++, connection.close();
    await new Promise((resolve) => setTimeout(resolve, 1)); // the kernel notices that it is closed
  }
  console.log(JSON.stringify([some.length, others.length, quick]));
  Deno.exit();
`;

Deno.test({
  name: "nftables refuses the connections of one address beyond its share, and serves the others",
  ignore: !canNft,
  fn: async () => {
    const script = 'ip link set lo up && nft -f "$0" && exec "$1" eval --no-config "$2"';
    const { stdout, stderr } = await new Deno.Command("unshare", {
      args: ["-n", "sh", "-c", script, projectPath("deploy/linger.nft"), Deno.execPath(), CONNECTIONS],
    }).output();
    const said = new TextDecoder().decode(stdout);
    assert(said, new TextDecoder().decode(stderr));
    const [some, others, quick] = JSON.parse(said);
    console.log(`nftables: of 600 quick connections ${quick} were let in`);
    assertEquals([some, others], [100, 100]);
    assert(quick < 500);
  },
});

/** What systemd may find at most that a service could do harm with, in tenths of its measure: 0 is nothing, 100 is all. */
const MAX_EXPOSURE = 20;

const hasSystemd = has("systemd-analyze");
if (!hasSystemd) console.log("There is no systemd here: the test of its unit is left out");

Deno.test({
  name:
    "The unit is one that systemd takes, for one server and for several, and leaves a server little to do harm with",
  ignore: !hasSystemd,
  fn: async () => {
    const text = await Deno.readTextFile(projectPath("deploy/linger.service"));
    const commands = Array.from(text.matchAll(/^ExecStart(?:Pre)?=(.*)$/gm), ([, command]) => command!);
    const deno = "/usr/local/bin/deno";
    const served = manifest.tasks.serve.command.replaceAll(/\bdeno run/g, `${deno} run --cached-only`).replaceAll(
      "'",
      "",
    );
    assertEquals(commands, served.split(" && "));
    const home = await Deno.makeTempDir({ prefix: "linger-test-" });
    for (const [file, unit] of [["linger.service", "linger.service"], ["linger@.service", "linger@8080.service"]]) {
      await Deno.writeTextFile(join(home, file!), text.replaceAll(deno, Deno.execPath()));
      assertEquals(await analyze("verify", join(home, unit!)), { code: 0, said: "" });
    }
    const options = ["--offline=true", `--threshold=${MAX_EXPOSURE}`, "--no-pager"];
    const { code, said } = await analyze("security", ...options, join(home, "linger.service"));
    console.log(said.trim().split("\n").at(-1));
    assertEquals(code, 0, said);
    await Deno.remove(home, { recursive: true });
  },
});

Deno.test("A command that the docs name for a machine with systemd has what the Lingers there have, and does what it is for", async () => {
  const unit = await Deno.readTextFile(projectPath("deploy/linger.service"));
  const docs = await Deno.readTextFile(projectPath("docs/proxy.md"));
  const [, options, args] = docs.match(/^sudo systemd-run (.*) \/usr\/local\/bin\/deno (run .*)$/m)!;
  const properties = Array.from(options!.matchAll(/-p (\S+)/g), ([, property]) => property!);
  assertEquals(properties.length, 4);
  for (const property of properties) assert(unit.split("\n").includes(property), property);
  const [, variable] = options!.match(/-E (\S+)/)!;
  assert(unit.match(/^Environment=(.*)$/m)![1]!.split(" ").includes(variable!), variable);
  const words = args!.replaceAll("'", "").split(" ");
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: words,
    cwd: projectPath("."),
    env: { TOKEN_SECRET: SECRET },
  }).output();
  assertEquals(code, 0);
  assert(new TextDecoder().decode(stdout).includes("\nhttps://chat.example.com/#token="));
});

async function analyze(...args: string[]): Promise<{ code: number; said: string }> {
  const { code, stdout, stderr } = await new Deno.Command("systemd-analyze", { args }).output();
  return { code, said: [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("") };
}

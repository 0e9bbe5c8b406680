// Which page may ask: by the headers that browsers send, one by one. That browsers send
// them is shown in tests/web/origin_test.ts.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { once } from "node:events";
import http2 from "node:http2";
import { connect } from "node:net";
import { Origins, type OriginSettings } from "../src/origin.ts";
import { OWN_SITE } from "../src/problem.ts";
import { get, post, posted, type ProblemDetails, soon, until } from "./support/client.ts";
import { testPostgres } from "./support/postgres.ts";
import { startServer } from "./support/server.ts";

const postgres = await testPostgres();

const LOOPBACK: OriginSettings = {
  HOST: "127.0.0.1",
  ALLOWED_HOSTS: undefined,
  ALLOWED_ORIGINS: undefined,
  onDeploy: false,
};

/** What becomes of a request with these headers; 200: it goes on. */
function statusOf(
  settings: Partial<OriginSettings>,
  headers: Record<string, string>,
  method = "GET",
  path = "/rooms",
): number {
  const origins = new Origins({ ...LOOPBACK, ...settings });
  return origins.refuse(new Request(`http://localhost${path}`, { method, headers }))?.status ?? 200;
}

Deno.test("Where only this machine can come in, a name that could be a page's own is answered 421, and addresses and localhost are not", () => {
  const answered = [
    "localhost",
    "localhost:8080",
    "LOCALHOST:80",
    "chat.localhost:1",
    "127.0.0.1:8080",
    "[::1]:8080",
    "192.168.1.7",
  ];
  const refused = [
    "evil.test",
    "evil.test:8080",
    "localhost.evil.test",
    "127.0.0.1.evil.test",
    "127-0-0-1.evil.test",
    "[::1].evil.test",
    "notlocalhost",
    // They lead to this machine, but no browser takes them for it: of a page that asks there it says nothing.
    "0.0.0.0",
    "0.0.0.0:8080",
    "[::]:8080",
    "[::ffff:0:0]:8080", // as a browser writes 0.0.0.0 in IPv6
    "[::ffff:7f00:1]:8080", // and 127.0.0.1
    "[::ffff:127.0.0.1]",
    "localhost.",
    "chat.localhost.:80",
  ];
  for (
    const HOST of [
      "127.0.0.1",
      "::1",
      "localhost",
      "127.0.0.2",
      "localhost.",
      "LOCALHOST",
      "0:0:0:0:0:0:0:1",
      "::ffff:127.0.0.1",
      "ip6-localhost",
      "127.1",
    ]
  ) {
    for (const host of answered) assertEquals(statusOf({ HOST }, { host }), 200, host);
    for (const host of refused) assertEquals(statusOf({ HOST }, { host }), 421, host);
    assertEquals(statusOf({ HOST }, {}), 200); // HTTP/1.0, which no browser speaks
    for (const path of ["/healthz", "/readyz"]) {
      assertEquals(statusOf({ HOST }, { host: "pod-7.cluster" }, "GET", path), 200);
    }
    assertEquals(statusOf({ HOST, ALLOWED_HOSTS: ["Chat.Example."] }, { host: "chat.example:443" }), 200);
    assertEquals(statusOf({ HOST, ALLOWED_HOSTS: ["chat.example"] }, { host: "www.chat.example" }), 421);
  }
});

Deno.test("Elsewhere every name is answered, unless ALLOWED_HOSTS says which", () => {
  for (
    const settings of [{ HOST: "0.0.0.0" }, { HOST: "::" }, { HOST: "chat.example" }, { HOST: "127.example.com" }, {
      HOST: "127.0.0.1",
      onDeploy: true,
    }]
  ) {
    assertEquals(statusOf(settings, { host: "whatever.example" }), 200);
    const ALLOWED_HOSTS = ["chat.example"];
    assertEquals(statusOf({ ...settings, ALLOWED_HOSTS }, { host: "chat.example" }), 200);
    assertEquals(statusOf({ ...settings, ALLOWED_HOSTS }, { host: "10.0.0.7:8080" }), 200);
    assertEquals(statusOf({ ...settings, ALLOWED_HOSTS }, { host: "whatever.example" }), 421);
    const own = { ...settings, ALLOWED_HOSTS: ["localhost"] }; // as compose.yaml has it
    assertEquals(["localhost:8080", "localhost.:8080"].map((host) => statusOf(own, { host })), [200, 421]);
  }
});

const site = (site: string, more: Record<string, string> = {}) => ({
  host: "localhost:8080",
  "sec-fetch-site": site,
  ...more,
});
const link = { "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" };
const cases: [what: string, headers: Record<string, string>, status: number, method?: string][] = [
  ["a program", { host: "localhost:8080" }, 200],
  ["the page itself", site("same-origin", { origin: "http://localhost:8080" }), 200, "POST"],
  [
    "the page itself, behind a proxy that sends a Host of its own",
    { host: "127.0.0.1:8080", "sec-fetch-site": "same-origin", origin: "https://chat.example" },
    200,
    "POST",
  ],
  ["somebody who types the address", site("none", link), 200],
  ["a link on another page", site("cross-site", link), 200],
  ["a form on another page", site("cross-site", { ...link, origin: "https://evil.test" }), 403, "POST"],
  ["a frame on another page", site("cross-site", { ...link, "sec-fetch-dest": "iframe" }), 403],
  ["a fetch on another page", site("cross-site", { "sec-fetch-mode": "cors", origin: "https://evil.test" }), 403],
  ["a poll that only looks when it is answered", site("cross-site", { "sec-fetch-mode": "no-cors" }), 403],
  ["a beacon", site("cross-site", { "sec-fetch-mode": "no-cors", origin: "https://evil.test" }), 403, "POST"],
  ["a page of a neighbour", site("same-site", { "sec-fetch-mode": "cors", origin: "http://localhost:3000" }), 403],
  ["an image", site("cross-site", { "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image" }), 403],
  ["an old browser's page itself", { host: "chat.lan", origin: "http://chat.lan" }, 200, "POST"],
  ["an old browser's page itself, on a port", { host: "Chat.lan:81", origin: "http://chat.lan:81" }, 200, "POST"],
  ["an old browser, on another page", { host: "chat.lan", origin: "http://evil.test" }, 403, "POST"],
  ["an old browser, on another port", { host: "chat.lan", origin: "http://chat.lan:81" }, 403, "POST"],
  ["an old browser, in a sandbox", { host: "chat.lan", origin: "null" }, 403, "POST"],
];

for (const [what, headers, status, method] of cases) {
  Deno.test(`Who asks is ${what}: ${status}`, () => {
    assertEquals(statusOf({ HOST: "0.0.0.0" }, headers, method), status);
    if (headers["origin"]) {
      const isOther = status === 403 && headers["origin"] !== "null";
      const ALLOWED_ORIGINS = [headers["origin"]];
      assertEquals(
        statusOf({ HOST: "0.0.0.0", ALLOWED_ORIGINS }, headers, method),
        isOther ? 200 : headers["origin"] === "null" ? 200 : status,
      );
      assertEquals(statusOf({ HOST: "0.0.0.0", ALLOWED_ORIGINS: ["https://friend.test"] }, headers, method), status);
      assertEquals(statusOf({ HOST: "0.0.0.0", ALLOWED_ORIGINS: ["*"] }, headers, method), 200);
    }
    assertEquals(statusOf({ HOST: "0.0.0.0" }, headers, method, "/client/client.mjs"), 200);
  });
}

/** What an answer says of what it is and for whom. */
function ownSite(headers: Headers): Record<string, string | null> {
  return Object.fromEntries(Object.keys(OWN_SITE).map((name) => [name, headers.get(name)]));
}

/** What a server answers to these bytes. */
function raw(server: { url: string }, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1", () => socket.end(request));
    socket.setEncoding("utf8").on("data", (part) => text += part).on("end", () => resolve(text)).on("error", reject);
  });
}

const PAGE = { origin: "https://friend.test", "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors" };

Deno.test("A page that may ask can read what it is told, errors too; others are told nothing", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { ALLOWED_ORIGINS: "https://friend.test, https://other.test" });
  const message = await posted(server, "room", "hello");
  const allowed = { "access-control-allow-origin": "https://friend.test", vary: "origin" };
  for (
    const [path, status] of [
      ["/rooms/room/messages?wait=0", 200],
      ["/rooms/room/messages?limit=x", 400],
      [
        "/nowhere",
        404,
      ],
      ["/rooms", 200],
      [`/rooms?${"x".repeat(4_100)}`, 414],
    ] as const
  ) {
    const answer = await get(server, path, PAGE);
    assertEquals(answer.status, status);
    for (const [name, value] of Object.entries(allowed)) assertEquals(answer.headers.get(name), value, path);
    for (const name of ["link", "retry-after", "ratelimit", "ratelimit-policy"]) {
      assert(answer.headers.get("access-control-expose-headers")!.split(", ").includes(name), name);
    }
    assertEquals((await get(server, path)).headers.get("access-control-allow-origin"), null);
    const refused = await get<{ type: string }>(server, path, { ...PAGE, origin: "https://evil.test" });
    if (status !== 414) assertEquals([refused.status, refused.json.type], [403, "urn:linger:problem:cross-origin"]);
    assertEquals(refused.headers.get("access-control-allow-origin"), null);
  }
  const polled = get(server, `/rooms/room/messages?after=${message.id}&wait=20`, PAGE);
  const next = await posted(server, "room", "next");
  assertEquals([(await polled).json, (await polled).headers.get("vary")], [[next], "origin"]);
  const stored = await post(server, "room", { body: "from a page" }, PAGE);
  assertEquals([stored.status, stored.headers.get("access-control-allow-origin")], [201, "https://friend.test"]);
  await stored.body?.cancel();
});

Deno.test("A preflight is answered without the database, as often as a browser likes, where the page may ask", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { ALLOWED_ORIGINS: "https://friend.test" });
  const before = server.chat.state.statements;
  const ask = async (origin: string) => {
    const answer = await fetch(`${server.url}/rooms/room/messages?after=now`, {
      method: "OPTIONS",
      headers: {
        ...PAGE,
        origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
      },
    });
    await answer.body?.cancel();
    return answer;
  };
  const answer = await ask("https://friend.test");
  assertEquals([answer.status, answer.headers.get("access-control-max-age")], [204, "7200"]);
  assertEquals([answer.headers.get("access-control-allow-origin"), answer.headers.get("vary")], [
    "https://friend.test",
    "origin",
  ]);
  assertEquals(ownSite(answer.headers), OWN_SITE);
  for (const header of ["authorization", "content-type", "idempotency-key", "last-event-id", "message-key", "prefer"]) {
    assertStringIncludes(answer.headers.get("access-control-allow-headers")!, header);
  }
  assertEquals((await ask("https://evil.test")).status, 403);
  assertEquals(server.chat.state.statements, before);
});

Deno.test("A link to a poll is answered at once: the page that opened the window could see when", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const path = "/rooms/quiet/messages?after=now&wait=55";
  const headers = (site: string) => ({ "sec-fetch-site": site, ...link });
  for (const site of ["cross-site", "same-site"]) {
    const answer = get(server, path, headers(site));
    await soon(answer);
    assertEquals([(await answer).status, (await answer).json], [200, []]);
  }
  const typed = get(server, path, headers("none"));
  await until(() => server.chat.state.waiters === 1, "who types the address waits");
  const message = await posted(server, "quiet", "news");
  assertEquals((await typed).json, [message]);
});

Deno.test("A link on a page of another site searches nothing: how long that takes would tell the page whether the text is there", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const headers = (site: string) => ({ "sec-fetch-site": site, ...link });
  const before = server.chat.state.statements;
  for (const query of ["q=ab", "before=now&q=ab"]) {
    for (const site of ["cross-site", "same-site"]) {
      for (let time = 0; time < 2; time++) { // also where the same was asked for a moment ago
        const { status, json } = await get<ProblemDetails>(server, `/rooms/room/messages?${query}`, headers(site));
        assertEquals([status, json.type], [403, "urn:linger:problem:cross-origin"]);
      }
    }
  }
  assertEquals(server.chat.state.statements, before);
  const message = await posted(server, "room", "about");
  assertEquals((await get(server, "/rooms/room/messages?q=ab", headers("none"))).json, [message]);
});

Deno.test("Every answer says that it is what it says, and for no page of another site; the client is for all", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { HISTORY_MAX_AGE: "60" });
  const { id } = await posted(server, "room", "hello");
  const paths = [
    "/",
    "/web/page.js",
    "/healthz",
    "/readyz",
    "/rooms",
    "/rooms/room/messages?wait=0",
    "/rooms/room/messages?before=now",
    `/rooms/room/messages/${id}`,
    "/rooms/room/messages?limit=x",
    "/nowhere",
    "/rooms/room/events",
  ];
  for (const path of paths) {
    const { headers, body } = await fetch(server.url + path);
    await body?.cancel();
    assertEquals(ownSite(headers), OWN_SITE, path);
  }
  const messageKey = "x".repeat(30);
  const mine = await (await post(server, "room", { body: "mine" }, { "message-key": messageKey })).json();
  const path = `/rooms/room/messages/${id}`;
  const etag = (await get(server, path)).headers.get("etag")!;
  const others: [status: number, path: string, init: RequestInit][] = [
    [204, `/rooms/room/messages/${mine.id}`, { method: "DELETE", headers: { "message-key": messageKey } }],
    [204, "/rooms", { method: "OPTIONS" }],
    [304, path, { headers: { "if-none-match": etag } }],
    [403, path, { method: "DELETE" }],
    [403, path, { headers: PAGE }],
    [404, "/nowhere", {}],
    [405, "/rooms", { method: "POST" }],
    [414, `/rooms?${"x".repeat(4_100)}`, {}],
  ];
  for (const [status, path, init] of others) {
    const answer = await fetch(server.url + path, init);
    await answer.body?.cancel();
    assertEquals([answer.status, ownSite(answer.headers)], [status, OWN_SITE], `${init.method ?? "GET"} ${path}`);
  }
  const misdirected = await raw(server, "GET /rooms HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n");
  assertEquals(misdirected.split(" ")[1], "421");
  for (const [name, value] of Object.entries(OWN_SITE)) assertStringIncludes(misdirected, `${name}: ${value}`);
  for (const path of ["/client/client.mjs", "/client/client.ts"]) {
    const { headers, body } = await fetch(server.url + path);
    await body?.cancel();
    assertEquals([headers.get("cross-origin-resource-policy"), headers.get("access-control-allow-origin")], [
      "cross-origin",
      "*",
    ]);
  }
});

Deno.test("A name that is rebound to this machine gets nothing over a real socket", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  await posted(server, "room", "secret");
  const answer = await raw(
    server,
    "GET /rooms/room/messages?wait=0 HTTP/1.1\r\nHost: evil.test:8080\r\nConnection: close\r\n\r\n",
  );
  assertEquals([answer.split(" ")[1], answer.includes("secret")], ["421", false]);
  const stored = await raw(
    server,
    'POST /rooms/room/messages HTTP/1.1\r\nHost: evil.test\r\nContent-Type: application/json\r\nContent-Length: 12\r\nConnection: close\r\n\r\n{"body":"x"}',
  );
  assertEquals(stored.split(" ")[1], "421");
  assertEquals((await database.sql`select from messages`).length, 1);
});

Deno.test("Over HTTP/2, where a name stands in :authority alone, it is looked at, too", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const session = http2.connect(server.url);
  const ask = async (authority: string, more: Record<string, string> = {}) => {
    const request = session.request({ ":authority": authority, ":path": "/rooms", ...more });
    const [[{ ":status": status }], text] = await Promise.all([
      once(request, "response"),
      Array.fromAsync(request.setEncoding("utf8")).then((parts) => parts.join("")),
    ]);
    return { status, text };
  };
  const statuses: [authority: string, headers: Record<string, string>, status: number][] = [
    ["localhost:8080", {}, 200],
    ["127.0.0.1:8080", {}, 200],
    ["evil.test:8080", {}, 421],
    ["localhost:8080", { origin: "http://localhost:8080" }, 200],
    ["localhost:8080", { origin: "http://evil.test:8080" }, 403],
  ];
  for (const [authority, headers, status] of statuses) {
    assertEquals((await ask(authority, headers)).status, status, `${authority} ${headers.origin}`);
  }
  const alive = async (authority: string) =>
    Object.keys(JSON.parse((await ask(authority, { ":path": "/healthz" })).text)).slice(0, 3);
  assertEquals(await alive("localhost"), ["status", "version", "waiters"]);
  assertEquals(await alive("pod-7.cluster"), ["status", "version"]);
  session.close();
  await once(session, "close");
});

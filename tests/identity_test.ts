// Nobody gets in where they don't belong: what a token opens, what nobody can open without, and what is told of it.
import { assert, assertEquals, assertGreater, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { Buffer } from "node:buffer";
import { generateKeyPair } from "jose/key/generate/keypair";
import { SignJWT } from "jose/jwt/sign";
import { createApp } from "../src/app.ts";
import type { Chat } from "../src/chat/chat.ts";
import type { Config } from "../src/config.ts";
import { Identities } from "../src/identity/identities.ts";
import { RemoteKeys } from "../src/identity/keys.ts";
import { Remembered } from "../src/remembered.ts";
import { verifyToken } from "../src/identity/token.ts";
import { UNLIMITED } from "../src/allowance.ts";
import { Problem } from "../src/problem.ts";
import { isPattern, RoomList } from "../src/identity/rights.ts";
import { get, messages, post, type ProblemDetails, soon, until } from "./support/client.ts";
import { subscribe } from "./support/events.ts";
import { logged } from "./support/log.ts";
import { projectPath, testPostgres } from "./support/postgres.ts";
import { Provider } from "./support/provider.ts";
import { LIMITS, LOCAL, startServer, type TestServer } from "./support/server.ts";
import { bearer, SECRET, tokenOf } from "./support/tokens.ts";

const postgres = await testPostgres();

const CLOSED = { TOKEN_SECRET: SECRET };

/** Everything that can be asked of a room, and the right that it takes. */
const requests: [
  what: string,
  right: "read" | "write" | "read and write",
  ask: (server: TestServer, room: string, headers: Record<string, string>) => Promise<number>,
][] = [
  [
    "reading",
    "read",
    async (server, room, headers) => (await get(server, `/rooms/${room}/messages?wait=0`, headers)).status,
  ],
  [
    "waiting",
    "read",
    async (server, room, headers) => (await get(server, `/rooms/${room}/messages?after=now&wait=1`, headers)).status,
  ],
  [
    "history",
    "read",
    async (server, room, headers) => (await get(server, `/rooms/${room}/messages?before=now`, headers)).status,
  ],
  [
    "a message",
    "read",
    async (server, room, headers) =>
      (await get(server, `/rooms/${room}/messages/00000000000000000000000001`, headers)).status,
  ],
  ["a stream", "read", async (server, room, headers) => {
    const { status, body } = await fetch(`${server.url}/rooms/${room}/events`, { headers });
    await body?.cancel();
    return status;
  }],
  ["HEAD", "read", async (server, room, headers) => {
    const { status } = await fetch(`${server.url}/rooms/${room}/messages`, { method: "HEAD", headers });
    return status;
  }],
  ["HEAD of a stream", "read", async (server, room, headers) => {
    const { status } = await fetch(`${server.url}/rooms/${room}/events`, { method: "HEAD", headers });
    return status;
  }],
  ["posting", "write", async (server, room, headers) => {
    const { status, body } = await post(server, room, { body: "hello" }, headers);
    await body?.cancel();
    return status;
  }],
  ["an edit", "read and write", (server, room, headers) => change(server, room, "PATCH", headers)],
  ["a deletion", "read and write", (server, room, headers) => change(server, room, "DELETE", headers)],
];

/** Asks for a change of a message that there is not. */
async function change(server: TestServer, room: string, method: string, headers: Record<string, string>) {
  const { status, body } = await fetch(`${server.url}/rooms/${room}/messages/00000000000000000000000001`, {
    method,
    headers: { "content-type": "application/json", ...headers },
    ...method === "PATCH" && { body: '{"body":"x"}' },
  });
  await body?.cancel();
  return status;
}

/** What is answered where one may: there is no such message. */
function open([what]: typeof requests[number]): number {
  return ["a message", "an edit", "a deletion"].includes(what) ? 404 : what === "posting" ? 201 : 200;
}

Deno.test("What a token opens is open, all else answers 401 or 403, whether there is such a room or not", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, CLOSED);
  const everything = bearer(await tokenOf({ read: ["*"], write: ["*"] }));
  for (const room of ["team7.a", "lobby"]) {
    await (await post(server, room, { body: "there" }, everything)).body?.cancel();
  }
  const reader = bearer(await tokenOf({ read: ["team7.*"] }));
  const writer = bearer(await tokenOf({ write: ["team7.*", "lobby"] }));
  const moderator = bearer(await tokenOf({ moderate: ["*"] })); // alone, it opens nothing
  const nobody = bearer(await tokenOf({}));
  for (const request of requests) {
    const [what, right, ask] = request;
    for (const room of ["team7.a", "team7.none", "lobby", "none"]) {
      const opens = (name: string) => name.startsWith("team7.");
      assertEquals(await ask(server, room, everything), open(request), `${what} in ${room} with everything`);
      assertEquals(await ask(server, room, {}), 401, `${what} in ${room} with nothing`);
      assertEquals(await ask(server, room, moderator), 403, `${what} in ${room} as one who may only moderate`);
      assertEquals(await ask(server, room, nobody), 403, `${what} in ${room} as nobody`);
      const reads = right === "read" && opens(room);
      assertEquals(await ask(server, room, reader), reads ? open(request) : 403, `${what} in ${room}`);
      const writes = right === "write" && (opens(room) || room === "lobby");
      assertEquals(await ask(server, room, writer), writes ? open(request) : 403, `${what} in ${room}`);
    }
  }
  // The lobby of the article, by its routes without a room.
  assertEquals((await get(server, "/messages?wait=0")).status, 401);
  assertEquals((await get(server, "/messages?wait=0", reader)).status, 403);
  assertEquals((await get(server, "/messages?wait=0", everything)).status, 200);
  for (const path of ["/", "/healthz", "/readyz", "/client/client.mjs"]) {
    const { status, body } = await fetch(server.url + path);
    await body?.cancel();
    assertEquals(status, 200, path);
  }
});

Deno.test("A token that is seen for the first time opens and refuses the same, whatever is asked with it", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, CLOSED);
  await (await post(server, "room", { body: "there" }, bearer(await tokenOf({ write: ["*"] })))).body?.cancel();
  for (const request of requests) {
    const [what, right, ask] = request;
    const token = async (rooms: string[], sub: string) => {
      const rights = Object.fromEntries(right.split(" and ").map((right) => [right, rooms]));
      return bearer(await tokenOf({ ...rights, sub: `${what} ${sub}` }));
    };
    assertEquals(await ask(server, "room", await token(["other"], "a")), 403, `${what} without the right`);
    assertEquals(await ask(server, "room", await token(["room"], "b")), open(request), `${what} with the right`);
  }
});

Deno.test("Who may moderate one room deletes what others have said there, and nowhere else", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, CLOSED);
  const ada = bearer(await tokenOf({ sub: "ada", write: ["*"] }));
  const mod = bearer(await tokenOf({ sub: "mod", read: ["*"], write: ["*"], moderate: ["team.a"] }));
  for (const [room, status] of [["team.a", 204], ["team.b", 403], ["team.a2", 403]] as const) {
    const { id } = await (await post(server, room, { body: "hello" }, ada)).json();
    const answer = await fetch(`${server.url}/rooms/${room}/messages/${id}`, { method: "DELETE", headers: mod });
    await answer.body?.cancel();
    assertEquals(answer.status, status, room);
    assertEquals((await get(server, `/rooms/${room}/messages?wait=0`, mod)).json.length, status === 204 ? 0 : 1);
  }
});

/** What a module needs at once, and all that these need. */
async function neededBy(path: string): Promise<string[]> {
  const args = ["info", "--json", path];
  const { stdout } = await new Deno.Command(Deno.execPath(), { args, cwd: projectPath(".") }).output();
  const graph: {
    roots: string[];
    modules: {
      specifier: string;
      dependencies?: { specifier: string; code?: { specifier: string }; isDynamic?: boolean }[];
    }[];
  } = JSON.parse(new TextDecoder().decode(stdout));
  const needed = new Set(graph.roots);
  for (const name of needed) { // which grows meanwhile
    const { dependencies = [] } = graph.modules.find(({ specifier }) => specifier === name) ?? {};
    for (const { specifier, code, isDynamic } of dependencies) {
      if (code && !isDynamic) needed.add(code.specifier ?? specifier);
    }
  }
  return [...needed];
}

Deno.test("Where no tokens are asked for, nothing is loaded that verifies them", async () => {
  for (const path of ["src/commands/serve.ts", "src/thread.ts"]) {
    const needed = await neededBy(path);
    assert(needed.some((name) => name.endsWith("/src/identity/identities.ts")), `${path} asks who may`);
    assertEquals(needed.filter((name) => /jose|identity\/(token|keys)\.ts/.test(name)), [], path);
  }
  assert((await neededBy("src/identity/token.ts")).some((name) => name.includes("jose"))); // so it would be seen
});

Deno.test("A refusal is a problem with a challenge (RFC 6750), and tells of a token only when its signature holds", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { ...CLOSED, TOKEN_ISSUER: "us", TOKEN_AUDIENCE: "chat" });
  const now = Math.floor(Date.now() / 1000);
  const good = { iss: "us", aud: "chat", read: ["*"] };
  const other = "another secret, of the same length ..";
  const unsigned = `${Buffer.from('{"alg":"none"}').toString("base64url")}.${
    Buffer.from(JSON.stringify({ ...good, sub: "ada", exp: now + 60 })).toString("base64url")
  }.`;
  const cases: [string, string, RegExp][] = [
    ["", "You need the right to read in this room", /^Bearer$/],
    ["Basic YTpi", "Authorization must be Bearer and a token, of at most 8192 characters", /invalid_token/],
    ["Bearer", "Authorization must be Bearer and a token, of at most 8192 characters", /invalid_token/],
    ["Bearer x y", "Authorization must be Bearer and a token, of at most 8192 characters", /invalid_token/],
    ["Bearer  a.b.c", "Authorization must be Bearer and a token, of at most 8192 characters", /invalid_token/],
    [
      `Bearer ${"a".repeat(9_000)}.b.c`,
      "Authorization must be Bearer and a token, of at most 8192 characters",
      /invalid_token/,
    ],
    [
      `Bearer ${await tokenOf({ ...good, sub: "a,b" })}`,
      "The token's claim sub must have no commas and no control characters, and no spaces at its ends",
      /invalid_token/,
    ],
    ["Bearer no.n.sense", "The token is not valid", /invalid_token/],
    [`Bearer ${unsigned}`, "Authorization must be Bearer and a token, of at most 8192 characters", /invalid_token/],
    [`Bearer ${await tokenOf({ ...good, exp: now - 3_600 }, other)}`, "The token is not valid", /invalid_token/],
    [`Bearer ${await tokenOf({ ...good, exp: now - 31 })}`, "The token has expired", /invalid_token/],
    [`Bearer ${await tokenOf({ ...good, nbf: now + 60 })}`, "The token is not valid yet", /invalid_token/],
    [
      `Bearer ${await tokenOf({ ...good, iss: "them" })}`,
      "The token is not of the issuer that this server trusts",
      /invalid_token/,
    ],
    [`Bearer ${await tokenOf({ ...good, aud: "shop" })}`, "The token is for another audience", /invalid_token/],
    [
      `Bearer ${await tokenOf({ ...good, sub: undefined })}`,
      "The token has no claim sub, or one of another form",
      /invalid_token/,
    ],
    [
      `Bearer ${await tokenOf({ ...good, exp: undefined })}`,
      "The token has no claim exp, or one of another form",
      /invalid_token/,
    ],
    [
      `Bearer ${await tokenOf({ ...good, exp: (now + 60) * 1_000 })}`,
      "The token's claim exp must be in seconds since 1970",
      /invalid_token/,
    ],
    [
      `Bearer ${await tokenOf({ ...good, sub: "é".repeat(51) })}`,
      "The token's claim sub must be at most 100 bytes of UTF-8",
      /invalid_token/,
    ],
    [
      `Bearer ${await tokenOf({ ...good, sub: "" })}`,
      "The token's claim sub must have no commas and no control characters, and no spaces at its ends",
      /invalid_token/,
    ],
    [
      `Bearer ${await tokenOf({ ...good, name: "\ud800" })}`,
      "The token's claim name must not contain a lone surrogate (half of a UTF-16 pair)",
      /invalid_token/,
    ],
    [
      `Bearer ${await tokenOf({ ...good, read: ["a*b"] })}`,
      "The token's claim read must have rooms, and beginnings of rooms with * at the end",
      /invalid_token/,
    ],
    [
      `Bearer ${await tokenOf({ ...good, read: Array(101).fill("a") })}`,
      "The token's claim read must have at most 100 entries",
      /invalid_token/,
    ],
    [`Bearer ${await tokenOf({ ...good, sub: 7 })}`, "The token's claim sub must be a text", /invalid_token/],
    [`Bearer ${await tokenOf({ ...good, name: 7 })}`, "The token's claim name must be a text", /invalid_token/],
    [
      `Bearer ${await tokenOf({ ...good, read: "*" })}`,
      "The token's claim read must be a list of rooms",
      /invalid_token/,
    ],
    [
      `Bearer ${await tokenOf({ ...good, read: ["a", 7] })}`,
      "The token's claim read must have rooms, and beginnings of rooms with * at the end",
      /invalid_token/,
    ],
  ];
  for (const [authorization, detail, challenge] of cases) {
    const answer = await get<ProblemDetails>(
      server,
      "/rooms/room/messages?wait=0",
      authorization ? { authorization } : {},
    );
    assertEquals([answer.status, answer.json.type, answer.json.detail], [
      401,
      "urn:linger:problem:unauthorized",
      detail,
    ]);
    assertMatch(answer.headers.get("www-authenticate")!, challenge);
  }
  for (
    const claims of [
      { ...good, exp: Math.floor(Date.now() / 1000) - 25 },
      good,
      { ...good, nbf: now + 25 },
      { ...good, aud: ["shop", "chat"] },
      { ...good, name: null, write: null, moderate: null }, // as apps have it of a user without a name
    ]
  ) {
    assertEquals((await get(server, "/rooms/room/messages?wait=0", bearer(await tokenOf(claims)))).status, 200);
  }
  const forbidden = await get<ProblemDetails>(
    server,
    "/rooms/room/messages?wait=0",
    bearer(await tokenOf({ ...good, read: [] })),
  );
  assertEquals([forbidden.status, forbidden.json.type], [403, "urn:linger:problem:forbidden"]);
  assertStringIncludes(forbidden.headers.get("www-authenticate")!, 'error="insufficient_scope"');
});

Deno.test("Who posts with a name in the token is its author, and nobody else; his sub is stored and told", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, CLOSED);
  const ada = bearer(await tokenOf({ sub: "u1", name: "Ada", read: ["*"], write: ["*"] }));
  const bot = bearer(await tokenOf({ sub: 'bot "7"', write: ["*"] }));
  const send = async (headers: Record<string, string>, message: unknown) => {
    const response = await post(server, "room", message, headers);
    return { status: response.status, answer: await response.json() };
  };
  const own = await send(ada, { body: "mine" });
  assertEquals([own.status, own.answer.author, own.answer.sub], [201, "Ada", "u1"]);
  assertEquals((await send(ada, { body: "mine", author: "Ada" })).status, 201);
  const false_ = await send(ada, { body: "not mine", author: "Bob" });
  assertEquals([false_.status, false_.answer.parameter], [400, "author"]);
  const named = await send(bot, { body: "beep", author: "CI" });
  assertEquals([named.answer.author, named.answer.sub], ["CI", 'bot "7"']);
  const all = [own.answer, { ...own.answer, id: "" }, named.answer];
  const stored = await get(server, "/rooms/room/messages?wait=0", ada);
  assertEquals(stored.json.map(({ author }) => author), all.map(({ author }) => author));
  assertEquals(stored.json[2], named.answer);
  assertEquals((await get(server, "/rooms/room/messages?before=now", ada)).json, stored.json);
  assertEquals((await get(server, "/rooms/room/messages?limit=1000&wait=0", ada)).json, stored.json);
  assertEquals((await get<unknown>(server, `/rooms/room/messages/${named.answer.id}`, ada)).json, named.answer);
});

Deno.test("A key counts for each sub by itself, and an old key without one goes on to count", async () => {
  await using database = await postgres.create();
  const key = { "idempotency-key": "k" };
  let old: string;
  {
    await using open = await startServer(database.url);
    old = (await (await post(open, "room", { body: "old" }, key)).json()).id;
  }
  await using server = await startServer(database.url, { ...CLOSED, ANONYMOUS_WRITE: "*" });
  const [ada, bob] = await Promise.all(["ada", "bob"].map(async (sub) => bearer(await tokenOf({ sub, write: ["*"] }))));
  const send = async (headers: Record<string, string>, body: string) => {
    const response = await post(server, "room", { body }, { ...headers, ...key });
    return { status: response.status, id: (await response.json()).id };
  };
  const first = await send(ada!, "ada's");
  assertEquals(first.status, 201);
  assertEquals(await send(ada!, "ada's"), { status: 200, id: first.id });
  assertEquals((await send(bob!, "bob's")).status, 201);
  assertEquals((await send(ada!, "other")).status, 422);
  assertEquals(await send({}, "old"), { status: 200, id: old });
});

Deno.test("A post is the same whatever name the token has by which it is repeated", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, CLOSED);
  const as = async (name?: string) => bearer(await tokenOf({ sub: "u1", name, write: ["*"] }));
  const [ada, renamed, nameless] = [await as("Ada"), await as("Ada L."), await as()];
  const send = async (headers: Record<string, string>, message: unknown) => {
    const response = await post(server, "room", message, { ...headers, "idempotency-key": "k" });
    const { id, author, type } = await response.json();
    return [response.status, id ?? type, author];
  };
  const [status, id, author] = await send(ada, { body: "hello" });
  assertEquals([status, author], [201, "Ada"]);
  for (const [headers, named] of [[renamed, "Ada L."], [ada, "Ada"], [nameless, undefined]] as const) {
    assertEquals(await send(headers, { body: "hello" }), [200, id, "Ada"]);
    if (named) assertEquals(await send(headers, { body: "hello", author: named }), [200, id, "Ada"]);
    for (const other of [{ body: "bye" }, { body: "hello", reply_to: id }]) {
      assertEquals((await send(headers, other)).slice(0, 2), [422, "urn:linger:problem:key-reused"]);
    }
  }
  // Whom no token names says himself who speaks, and means another message where that is another.
  assertEquals(await send(nameless, { body: "hello", author: "Ada" }), [200, id, "Ada"]);
  assertEquals((await send(nameless, { body: "hello", author: "Eve" }))[0], 422);
});

Deno.test("GET /rooms lists what one may read: of the newest rooms, and those that a token names", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { ...CLOSED, ANONYMOUS_READ: "public" });
  // 1,100 rooms, the older ones by their number.
  await database
    .sql`insert into heads (room, seq, ms) select 'room' || n, 1, 1000 + n from generate_series(1, 1100) as n`;
  await database.sql`insert into messages (room, id, body)
    select 'room' || n, (lpad(to_hex(1000 + n), 12, '0') || '0000000001' || '0000000000')::uuid, 'x' from generate_series(1, 1100) as n`;
  await database.sql`insert into heads (room, seq, ms) values ('public', 1, 3000)`;
  await database
    .sql`insert into messages (room, id, body) values ('public', '00000000-0bb8-0000-0000-010000000000', 'x')`;
  const list = async (headers: Record<string, string>) => {
    const { json } = await get<{ room: string; newest: string }[]>(server, "/rooms", headers);
    assertEquals(json.map(({ newest }) => newest), json.map(({ newest }) => newest).sort().reverse());
    return json.map(({ room }) => room);
  };
  assertEquals(await list({}), ["public"]);
  assertEquals(await list(bearer(await tokenOf({ read: [] }))), ["public"]);
  const all = await list(bearer(await tokenOf({ read: ["*"] })));
  assertEquals([all.length, all[0], all[1], all[99]], [100, "public", "room1100", "room1002"]);
  // room7 is too old to be among the thousand, and is named; room8 begins like what is allowed, and is too old.
  assertEquals(await list(bearer(await tokenOf({ read: ["room109*", "room7", "none", "room9"] }))), [
    "public",
    "room1099",
    "room1098",
    "room1097",
    "room1096",
    "room1095",
    "room1094",
    "room1093",
    "room1092",
    "room1091",
    "room1090",
    "room109",
    "room9",
    "room7",
  ]);
  // What all may read can be old, too.
  await database.sql`update heads set ms = 1 where room = 'public'`;
  await database.sql`update messages set id = '00000000-0001-0000-0000-010000000000' where room = 'public'`;
  await using later = await startServer(database.url, { ...CLOSED, ANONYMOUS_READ: "public" });
  const { json } = await get<{ room: string }[]>(later, "/rooms", bearer(await tokenOf({ read: ["room7"] })));
  assertEquals(json.map(({ room }) => room), ["room7", "public"]);
});

Deno.test("A stream ends with its token, and a poll is refused from then on", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, CLOSED);
  // With the leeway of 30 s there are six seconds left.
  const token = bearer(await tokenOf({ read: ["*"], exp: Math.floor(Date.now() / 1000) - 24 }));
  await using stream = await subscribe(server, "room", "", token);
  assertEquals(await stream.ended, true);
  assertEquals(server.chat.state.subscribers, 0);
  assertEquals((await get(server, "/rooms/room/messages?wait=0", token)).status, 401);
  assertEquals((await get(server, "/healthz", token)).status, 200); // whoever asks
  await using lasting = await subscribe(server, "room", "", bearer(await tokenOf({ read: ["*"], exp: 2 ** 37 })));
  assertEquals(server.chat.state.subscribers, 1);
  await lasting.leave();
});

Deno.test("A sub that is revoked gets in no more; the secret before the last one still holds", async () => {
  await using database = await postgres.create();
  const previous = "the secret of last year, long enough";
  await using server = await startServer(database.url, {
    ...CLOSED,
    TOKEN_SECRET_PREVIOUS: previous,
    REVOKED: "eve, mallory",
  });
  const status = async (claims: Record<string, unknown>, secret = SECRET) =>
    (await get(server, "/rooms/room/messages?wait=0", bearer(await tokenOf({ read: ["*"], ...claims }, secret))))
      .status;
  assertEquals(await status({ sub: "ada" }), 200);
  assertEquals(await status({ sub: "ada" }, previous), 200);
  assertEquals(await status({ sub: "ada" }, "the secret of the year before, long"), 401);
  assertEquals(await status({ sub: "eve" }), 401);
  assertEquals(await status({ sub: "mallory" }, previous), 401);
  assertEquals(await status({ sub: "ada", exp: Math.floor(Date.now() / 1000) - 60 }, previous), 401);
});

Deno.test("What is open without a token is open, with any token or none, and nothing else is", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, {
    ...CLOSED,
    ANONYMOUS_READ: "news,public.*",
    ANONYMOUS_WRITE: "public.in",
  });
  const stranger = bearer(await tokenOf({ sub: "stranger" }));
  const member = bearer(await tokenOf({ sub: "member", name: "Ada", read: ["team"], write: ["team"] }));
  for (const [headers, refusal, own] of [[{}, 401, 401], [stranger, 403, 403], [member, 403, 200]] as const) {
    const read = async (room: string) => (await get(server, `/rooms/${room}/messages?wait=0`, headers)).status;
    assertEquals([await read("news"), await read("public.x"), await read("newsroom"), await read("public")], [
      200,
      200,
      refusal,
      refusal,
    ]);
    assertEquals(await read("team"), own);
    const write = async (room: string) => {
      const { status, body } = await post(server, room, { body: "x" }, headers);
      await body?.cancel();
      return status;
    };
    assertEquals([await write("public.in"), await write("public.x"), await write("news")], [201, refusal, refusal]);
    assertEquals(await write("team"), own === 200 ? 201 : own);
  }
  const posted = await get(server, "/rooms/public.in/messages?wait=0");
  assertEquals(posted.json.map(({ author, sub }) => [author, sub]), [
    [null, undefined],
    [null, "stranger"],
    ["Ada", "member"],
  ]);
});

const REMOTE = { TOKEN_ISSUER: "idp", TOKEN_AUDIENCE: "chat" };

Deno.test("Tokens of an identity provider hold, of each kind, also while it is away; others do not", async () => {
  await using database = await postgres.create();
  await using provider = new Provider();
  const signers = await Promise.all(["RS256", "PS256", "ES256", "EdDSA"].map((alg) => provider.key(alg, alg)));
  await using server = await startServer(database.url, { ...REMOTE, TOKEN_JWKS_URL: provider.url });
  await until(async () => (await get(server, "/readyz")).status === 200, "the keys are there");
  const status = async (token: string) => (await get(server, "/rooms/room/messages?wait=0", bearer(token))).status;
  for (const sign of signers) assertEquals(await status(await sign({})), 200);
  assertEquals(await status(await signers[0]!({ iss: "other" })), 401);
  assertEquals(await status(await signers[0]!({ aud: "other" })), 401);
  assertEquals(await status(await signers[0]!({ exp: 1 })), 401);
  // A public key is no secret: whoever has it can't sign with it.
  const [rsa] = provider.keys as { n: string }[];
  for (const secret of [rsa!.n, JSON.stringify(rsa), SECRET]) {
    assertEquals(await status(await tokenOf({ iss: "idp", aud: "chat", read: ["*"] }, secret, { kid: "RS256" })), 401);
  }
  provider.away = true;
  for (const sign of signers) assertEquals(await status(await sign({ jti: "new" })), 200);
});

Deno.test("Before the first keys are there nobody with a token gets in, and the server is not ready", async () => {
  await using database = await postgres.create();
  await using provider = new Provider();
  provider.away = true;
  const sign = await provider.key("ES256");
  await using server = await startServer(database.url, {
    ...REMOTE,
    TOKEN_JWKS_URL: provider.url,
    ANONYMOUS_READ: "news",
  });
  const status = async (path: string) =>
    (await get(server, path, path === "/readyz" ? {} : bearer(await sign({})))).status;
  await until(() => provider.asked > 0, "it has asked");
  assertEquals([await status("/rooms/room/messages?wait=0"), await status("/readyz")], [503, 503]);
  assertEquals((await get(server, "/rooms/news/messages?wait=0")).status, 200);
  provider.away = false;
  await until(async () => await status("/readyz") === 200, "the keys are there");
  assertEquals(await status("/rooms/room/messages?wait=0"), 200);
});

Deno.test("Keys are taken from the address that the settings name, and not where that leads on to another", async () => {
  await using provider = new Provider();
  await provider.key("ES256");
  await using leading = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    () => Response.redirect(provider.url),
  );
  await logged(async (lines) => {
    const keys = new RemoteKeys(`http://127.0.0.1:${leading.addr.port}/jwks.json`);
    const renewing = new AbortController();
    const renewal = keys.renew(renewing.signal);
    await until(() => keys.known || lines.length > 0, "it has asked");
    assertEquals([keys.known, provider.asked], [false, 0]);
    renewing.abort();
    await renewal;
  });
});

Deno.test("A key that is not known is asked for, once in half a minute, whoever names how many", async () => {
  await using provider = new Provider();
  const old = await provider.key("ES256", "old");
  let now = 0;
  const keys = new RemoteKeys(provider.url, () => now);
  const renewing = new AbortController();
  const renewal = keys.renew(renewing.signal);
  await until(() => keys.known, "the keys are there");
  const find = async (token: string) => {
    const header = JSON.parse(Buffer.from(token.split(".")[0]!, "base64url").toString());
    return await Promise.resolve(keys.find(header, { payload: "", signature: "" })).then(() => true, () => false);
  };
  assert(await find(await old({})));
  assertEquals(provider.asked, 1);
  const fresh = await provider.key("ES256", "fresh");
  assertEquals([await find(await fresh({})), provider.asked], [false, 1]); // a moment after the last time
  now += 30_000;
  assertEquals(await Promise.all([find(await fresh({})), find(await fresh({}))]), [true, true]);
  assertEquals(provider.asked, 2);
  const { privateKey } = await generateKeyPair("ES256");
  const stranger = await new SignJWT({}).setProtectedHeader({ alg: "ES256", kid: "nowhere" }).sign(privateKey);
  for (let i = 0; i < 20; i++) assertEquals(await find(stranger), false);
  assertEquals(provider.asked, 2);
  now += 30_000;
  provider.away = true;
  for (let i = 0; i < 20; i++) assertEquals(await find(stranger), false);
  assertEquals(provider.asked, 3); // also where that was in vain
  assert(await find(await old({})));
  renewing.abort();
  await renewal;
});

Deno.test("Keys that could not be fetched again are asked for half a minute later, and not ten minutes later", async () => {
  await using provider = new Provider();
  await provider.key("ES256", "stays");
  await provider.key("ES256", "goes");
  const renewing = new AbortController();
  await logged(async (lines) => {
    using time = new FakeTime();
    const begun = performance.now();
    // What comes over the network comes in real time, while the clock stands still.
    const seen = async (condition: () => boolean) => {
      while (!condition()) {
        assert(performance.now() - begun < 60_000, `asked ${provider.asked} times`);
        await time.tickAsync();
      }
    };
    const keys = new RemoteKeys(provider.url);
    const renewal = keys.renew(renewing.signal);
    await seen(() => keys.known);
    provider.away = true;
    await time.tickAsync(600_000);
    await seen(() => lines.length === 1);
    provider.away = false;
    provider.keys.pop();
    await time.tickAsync(30_000);
    await seen(() => keys.version === 2);
    assertEquals(provider.asked, 3);
    renewing.abort();
    await renewal;
  });
});

Deno.test("When the keys are others, what was known by those before is verified anew", async () => {
  await using database = await postgres.create();
  await using provider = new Provider();
  const [old, fresh] = [await provider.key("ES256", "old"), await provider.key("ES256", "fresh")];
  const keys = new RemoteKeys(provider.url);
  const renewing = new AbortController();
  const renewal = keys.renew(renewing.signal);
  await until(() => keys.known, "the keys are there");
  const config = { ...REMOTE, TOKEN_JWKS_URL: provider.url } as Config;
  const rules = { algorithms: ["ES256"], keys: [keys.find], issuer: "idp", audience: "chat" };
  const identities = new Identities(config, verifyToken, rules, keys);
  const request = async (sign: typeof old, jti: string) =>
    new Request(server.url, { headers: bearer(await sign({ jti })) });
  await using server = await startServer(database.url);
  const known = await request(old, "known");
  assertEquals((await identities.identify(known, () => UNLIMITED)).sub, "ada");
  assert(!(identities.identify(known, () => UNLIMITED) instanceof Promise)); // it is known
  provider.keys.shift();
  renewing.abort();
  await renewal;
  const again = new AbortController();
  const renewed = keys.renew(again.signal);
  await until(() => keys.version === 2, "the keys are others");
  await assertRejects(async () => await identities.identify(known, () => UNLIMITED), Problem, "not valid");
  assertEquals((await identities.identify(await request(fresh, "new"), () => UNLIMITED)).sub, "ada");
  again.abort();
  await renewed;
});

/** What knows the tokens of a provider whose keys have been fetched, with a clock that the test moves. */
async function identitiesOf(provider: Provider) {
  const clock = { now: 0 };
  const keys = new RemoteKeys(provider.url, () => clock.now);
  const renewing = new AbortController();
  const renewal = keys.renew(renewing.signal);
  await until(() => keys.known, "the keys are there");
  renewing.abort();
  await renewal;
  const rules = { algorithms: ["ES256"], keys: [keys.find], issuer: "idp", audience: "chat" };
  let verified = 0;
  const verifyOnce: typeof verifyToken = (...args) => (verified++, verifyToken(...args));
  const identities = new Identities({ TOKEN_JWKS_URL: provider.url } as Config, verifyOnce, rules, keys);
  const charged: string[] = [];
  /** Whether a token holds; whom it is charged to is told by `charged`. */
  const holds = async (token: string, authorization = `Bearer ${token}`) => {
    const request = new Request("http://localhost", { headers: { authorization } });
    const verify = async <T>(verification: () => Promise<T>) => {
      charged.push("verify");
      return await verification().catch((error) => {
        if (error.status === 401) charged.push("bad");
        throw error;
      });
    };
    return await Promise.resolve(identities.identify(request, () => ({ verify })))
      .then(() => true, (error) => {
        if (error instanceof Problem && error.status === 401) return false;
        throw error;
      });
  };
  return { clock, keys, identities, charged, holds, verified: () => verified };
}

/** Asserts that a token is told that its key is not known yet, and when to come again. */
async function assertUnknown(asked: Promise<unknown>, retryAfter: string): Promise<void> {
  const { status, headers } = await assertRejects(() => asked, Problem, "The key of this token is not known yet");
  assertEquals([status, headers["retry-after"]], [503, retryAfter]);
}

Deno.test("A token whose key is new is taken half a minute after the keys were asked for, however often it is shown", async () => {
  await using provider = new Provider();
  const old = await provider.key("ES256", "old");
  const { clock, charged, holds } = await identitiesOf(provider);
  assertEquals(await holds(await old({})), true);
  const fresh = await (await provider.key("ES256", "fresh"))({});
  for (let i = 0; i < 3; i++) await assertUnknown(holds(fresh), "30");
  clock.now += 10_001;
  await assertUnknown(holds(fresh), "20");
  assertEquals(provider.asked, 1);
  clock.now += 19_999;
  assertEquals(await holds(fresh), true);
  assertEquals(provider.asked, 2);
  assertEquals(charged.filter((what) => what === "bad"), []);
});

Deno.test("A token whose key there is not is refused once keys have come that were asked for after it was shown", async () => {
  await using provider = new Provider();
  await provider.key("ES256", "old");
  const { clock, charged, holds } = await identitiesOf(provider);
  const late = await (await provider.key("ES256", "late"))({});
  const key = provider.keys.pop();
  await assertUnknown(holds(late), "30");
  clock.now += 30_000;
  provider.away = true;
  for (let i = 0; i < 3; i++) await assertUnknown(holds(late), "30"); // which says nothing of it
  assertEquals([provider.asked, charged.splice(0)], [2, Array(4).fill("verify")]);
  provider.away = false;
  clock.now += 30_000;
  for (let i = 0; i < 3; i++) assertEquals(await holds(late), false);
  assertEquals([provider.asked, charged.splice(0)], [3, ["verify", "bad"]]);
  provider.keys.push(key);
  assertEquals(await holds(late), false);
  clock.now += 30_000;
  assertEquals(await holds(late), true);
});

Deno.test("A token that does not hold is charged once, a token that held is charged nothing when the keys are others", async () => {
  await using provider = new Provider();
  const [stays, goes] = [await provider.key("ES256", "stays"), await provider.key("ES256", "goes")];
  const { clock, keys, charged, holds, verified } = await identitiesOf(provider);
  const ended = await stays({ exp: 1 });
  for (let i = 0; i < 3; i++) assertEquals(await holds(ended), false);
  assertEquals([verified(), charged.splice(0)], [1, ["verify", "bad"]]);

  const [known, withdrawn] = [await stays({}), await goes({})];
  assertEquals([await holds(known), await holds(withdrawn)], [true, true]);
  assertEquals(charged.splice(0), ["verify", "verify"]);
  provider.keys.pop();
  const another = await (await provider.key("ES256", "another"))({});
  clock.now += 30_000;
  assertEquals([await holds(another), keys.version], [true, 2]);
  charged.splice(0);
  for (let i = 0; i < 3; i++) assertEquals(await holds(known), true);
  assertEquals(await holds(withdrawn), false);
  assertEquals(charged.splice(0), []);
  assertEquals(await holds(ended), false); // by other keys, so it is looked at anew
  assertEquals(await holds(ended), false);
  assertEquals(charged.splice(0), ["verify", "bad"]);
});

Deno.test("A stream ends when the keys are others than its token was verified by, and who comes back is verified anew", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  await using provider = new Provider();
  const [stays, goes] = [await provider.key("ES256", "stays"), await provider.key("ES256", "goes")];
  const { clock, holds, identities } = await identitiesOf(provider);
  const [token, withdrawn] = [await stays({}), await goes({})];
  const gate: { shut?: Promise<void> } = {};
  const { chat } = server;
  const subscribe: typeof chat.subscribe = async (...args) => (await gate.shut, await chat.subscribe(...args));
  const app = createApp({
    chat: () => ({ subscribe }) as Chat,
    uploadTimeoutMs: 1_000,
    heartbeatMs: 1_000,
    origins: LOCAL,
    limits: LIMITS,
    identities,
  });
  const open = async (token: string) =>
    await app.fetch(new Request("http://localhost/rooms/room/events", { headers: bearer(token) }));
  const toEnd = async (response: Response) => (await response.text(), response.status);

  const streams = [await open(token), await open(withdrawn)].map(toEnd);
  assertEquals(chat.state.subscribers, 2);
  const opened = Promise.withResolvers<void>();
  gate.shut = opened.promise;
  assert(await holds(withdrawn)); // so that it is known already
  const late = open(withdrawn).then(toEnd); // comes while it still holds, and has its stream when it does not
  provider.keys.pop();
  clock.now += 30_000;
  assert(await holds(await (await provider.key("ES256", "another"))({})));
  opened.resolve();
  await soon(Promise.all([...streams, late]));
  assertEquals(chat.state.subscribers, 0);
  assertEquals(await toEnd(await open(withdrawn)), 401);
  const again = await open(token);
  assertEquals([again.status, chat.state.subscribers], [200, 1]);

  await using stranger = new Provider();
  provider.keys.reverse(); // the same keys
  clock.now += 30_000;
  const { asked } = provider;
  assertEquals(await holds(await (await stranger.key("ES256", "strange"))({})), false);
  assertEquals([provider.asked, chat.state.subscribers], [asked + 1, 1]);
  await again.body!.cancel();
});

Deno.test("A token is known under one text, whatever case its scheme is written in", async () => {
  await using provider = new Provider();
  const sign = await provider.key("ES256", "key");
  const { charged, holds } = await identitiesOf(provider);
  const token = await sign({});
  for (const scheme of ["Bearer", "bearer", "BEARER", "bEaReR"]) {
    assertEquals(await holds(token, `${scheme} ${token}`), true);
  }
  assertEquals(charged, ["verify"]);
});

Deno.test("Of what is remembered, what comes again stays, however much comes once", () => {
  const remembered = new Remembered<number>(2);
  remembered.set("comes again", 0);
  for (let i = 1; i < 20; i++) {
    remembered.set(`${i}`, i);
    assertEquals(remembered.get("comes again"), 0);
  }
  assertEquals([remembered.get("1"), remembered.get("19")], [undefined, 19]);
});

Deno.test("/healthz tells how much goes on to nobody who may see nothing of it", async () => {
  await using database = await postgres.create();
  await using closed = await startServer(database.url, CLOSED);
  await using open = await startServer(database.url);
  const keys = async (server: TestServer, headers: Record<string, string> = {}) =>
    Object.keys((await get<Record<string, unknown>>(server, "/healthz", headers)).json).slice(0, 3);
  assertEquals(await keys(closed), ["status", "version"]);
  assertEquals(await keys(closed, bearer("x.y.z")), ["status", "version"]);
  assertEquals(await keys(closed, bearer(await tokenOf({}))), ["status", "version", "waiters"]);
  assertEquals(await keys(open), ["status", "version", "waiters"]);
});

Deno.test("A token that names no key is tried with each that could have signed it", async () => {
  await using database = await postgres.create();
  await using provider = new Provider();
  const signers = [await provider.key("ES256"), await provider.key("ES256")];
  await using server = await startServer(database.url, { ...REMOTE, TOKEN_JWKS_URL: provider.url });
  await until(async () => (await get(server, "/readyz")).status === 200, "the keys are there");
  for (const sign of signers) {
    assertEquals((await get(server, "/rooms/room/messages?wait=0", bearer(await sign({})))).status, 200);
  }
  provider.keys = [];
  const stranger = await provider.key("ES256");
  assertEquals((await get(server, "/rooms/room/messages?wait=0", bearer(await stranger({})))).status, 401);
});

Deno.test("A key of the provider that can't be used shuts out nobody but who names it, and the log has it once", async () => {
  await using database = await postgres.create();
  await using provider = new Provider();
  const algorithm = { name: "RSASSA-PKCS1-v1_5", modulusLength: 1024, publicExponent: new Uint8Array([1, 0, 1]) };
  const weak = await crypto.subtle.generateKey({ ...algorithm, hash: "SHA-256" }, true, ["sign", "verify"]);
  const jwk = await crypto.subtle.exportKey("jwk", weak.publicKey);
  provider.keys.push({ ...jwk, alg: "RS256", kid: "weak" }, { kty: "RSA", alg: "RS256", kid: "no key", n: "", e: "" });
  const good = await provider.key("RS256");
  await using server = await startServer(database.url, { ...REMOTE, TOKEN_JWKS_URL: provider.url });
  await until(async () => (await get(server, "/readyz")).status === 200, "the keys are there");
  const lines = await logged(async () => {
    const status = async (token: string) => (await get(server, "/rooms/room/messages?wait=0", bearer(token))).status;
    for (let i = 0; i < 3; i++) assertEquals(await status(await good({ jti: `${i}` })), 200);
    for (const kid of ["weak", "no key", "weak"]) {
      const [, ...rest] = (await good({ jti: crypto.randomUUID() })).split(".");
      const header = Buffer.from(JSON.stringify({ alg: "RS256", kid })).toString("base64url");
      assertEquals(await status([header, ...rest].join(".")), 401);
    }
  });
  assertEquals(lines.filter((line) => line.includes("error")).length, 1, lines.join("\n"));
  assertStringIncludes(lines.join("\n"), "2048 bits");
});

Deno.test("A poll with a token waits, is woken and is forgotten as any other", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, CLOSED);
  const token = bearer(await tokenOf({ read: ["*"], write: ["*"] }));
  for (const headers of [token, token, bearer(await tokenOf({ read: ["*"], jti: "another" }))]) {
    const poll = get(server, "/rooms/room/messages?after=now&wait=30", headers);
    await until(() => server.chat.state.waiters === 1, "it waits");
    const { id } = await (await post(server, "room", { body: "news" }, token)).json();
    assertEquals((await poll).json.map((message) => message.id), [id]);
    const leaving = new AbortController();
    const gone = fetch(`${server.url}/rooms/room/messages?after=now&wait=30`, { headers, signal: leaving.signal })
      .catch(() => {});
    await until(() => server.chat.state.waiters === 1, "it waits");
    leaving.abort();
    await gone;
    await until(() => server.chat.state.waiters === 0, "it is forgotten");
  }
});

Deno.test("Rooms and beginnings of rooms are told from all else, and `*` stands at the very end only", () => {
  for (const pattern of ["*", "a", "a*", "team7.*", "A.b_c~d-e", `${"a".repeat(64)}*`]) {
    assert(isPattern(pattern), pattern);
  }
  for (
    const text of ["", "**", "*a", "a*b", "a b", "é", "..", ".", "a/b", "%2a", `${"a".repeat(65)}*`, "a".repeat(65)]
  ) {
    assertEquals(isPattern(text), false, text);
  }
  const rooms = new RoomList(["team7.*", "lobby"]);
  for (const room of ["team7.", "team7.a", "lobby"]) assert(rooms.has(room), room);
  for (const room of ["team7", "team70.a", "lobby2", "lobb", "xteam7.a"]) assertEquals(rooms.has(room), false, room);
  assertEquals(new RoomList([]).has("lobby"), false);
  assertGreater(new RoomList(["a", "b*"]).names.size, 0);
});

Deno.test("A list of rooms has those that it names, and those that begin as it says, whichever of its entries say so", () => {
  const texts = (letters: string[]) => ["", ...letters, ...letters.flatMap((a) => letters.map((b) => a + b))];
  const rooms = texts(["a", "b", "-", "~"]).flatMap((text) => ["", "a", "b"].map((end) => text + end));
  const entries = [...texts(["a", "b", "-", "~"]).map((text) => `${text}*`), ...rooms.filter((room) => room !== "")];
  for (let n = 0; n < 2_000; n++) {
    const patterns = Array.from({ length: n % 6 }, () => entries[Math.floor(Math.random() * entries.length)]!);
    const list = new RoomList(patterns);
    for (const room of rooms) {
      const is = (pattern: string) => pattern.endsWith("*") ? room.startsWith(pattern.slice(0, -1)) : room === pattern;
      assertEquals(list.has(room), patterns.some(is), `${room} in ${patterns}`);
    }
  }
});

Deno.test("Without settings a token has no meaning, as ever", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const { status, body } = await post(server, "room", { body: "x", author: "Bob" }, bearer("nonsense"));
  await body?.cancel();
  assertEquals(status, 201);
  const [message] = await messages(server, "room", "wait=0");
  assertEquals(Object.keys(message!), ["id", "room", "author", "body", "created_at"]);
});

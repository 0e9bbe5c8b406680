// The protocol as a client sees it: real requests over real sockets, to a server on a database of its own.
import {
  assert,
  assertEquals,
  assertFalse,
  assertGreater,
  assertLessOrEqual,
  assertMatch,
  assertNotEquals,
  assertStringIncludes,
} from "@std/assert";
import { encodeTime, uuidToULID } from "ulid";
import { Buffer } from "node:buffer";
import { createApp } from "../src/app.ts";
import type { Sql } from "../src/database/pool.ts";
import { migrate } from "../src/database/migrations.ts";
import {
  type Answer,
  get,
  linked,
  type Message,
  messages,
  post,
  posted,
  type ProblemDetails,
  read,
  until,
} from "./support/client.ts";
import { logged } from "./support/log.ts";
import {
  connectTo,
  pauseWrites,
  serversAreGone,
  type TestDatabase,
  testPostgres,
  untilTold,
} from "./support/postgres.ts";
import { type Env, LIMITS, LOCAL, startServer, type TestServer } from "./support/server.ts";

const NIL = "00000000-0000-0000-0000-000000000000";
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const RFC_3339_MS = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

const postgresServer = await testPostgres();

/** All tests of this file use it, one after the other: a new one for each would take longer than the tests. */
let database: TestDatabase;

Deno.test.beforeAll(async () => {
  database = await postgresServer.create();
  const sql = connectTo(database);
  await migrate(sql);
  await sql.end();
});

Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());

/** A test with a server of its own, on a database that has no messages. */
function test(name: string, run: (server: TestServer, sql: Sql) => Promise<void>, env?: Env) {
  Deno.test(name, async () => {
    const sql = connectTo(database);
    await sql`truncate heads, messages`;
    try {
      await using server = await startServer(database.url, env);
      await run(server, sql);
    } finally {
      await serversAreGone(sql);
      await sql.end();
    }
  });
}

// Posting

test("POST answers 201 with the message and its Location", async (server) => {
  const answer = await read<Message>(post(server, "tea", { body: "Hello", author: "Ann" }));
  assertEquals(answer.status, 201);
  assertEquals(answer.headers.get("content-type"), "application/json");
  assertEquals(Object.keys(answer.json).sort(), ["author", "body", "created_at", "id", "room"]);
  const { id, room, author, body } = answer.json;
  assertEquals({ room, author, body }, { room: "tea", author: "Ann", body: "Hello" });
  assertMatch(id, UUID);

  const location = new URL(answer.headers.get("location")!, answer.url);
  assertEquals(location.href, `${server.url}/rooms/tea/messages/${id}`);
  assertEquals((await read(fetch(location))).text, answer.text);
});

test("/messages is the room lobby, for posting, reading and finding", async (server) => {
  const answer = await read<Message>(fetch(`${server.url}/messages`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: `{"body":"Hello"}`,
  }));
  assertEquals(answer.status, 201);
  assertEquals(answer.json.room, "lobby");
  const location = new URL(answer.headers.get("location")!, answer.url).href;
  assertEquals(location, `${server.url}/messages/${answer.json.id}`);
  assertEquals((await read(fetch(location))).text, answer.text);
  for (const path of ["/messages", "/rooms/lobby/messages"]) {
    assertEquals((await get(server, `${path}?wait=0`)).json, [answer.json]);
    assertEquals((await get(server, `${path}?before=now`)).json, [answer.json]);
    assertEquals((await get(server, `${path}/${answer.json.id}`)).text, answer.text);
  }
});

test("the author is optional, and null where there is none; unknown members are ignored", async (server) => {
  for (
    const message of [{}, { author: null }, { author: "" }, { id: NIL, room: "x", created_at: 1, key: "k" }]
  ) {
    const answer = await read<Message>(post(server, "tea", { body: "Hello", ...message }));
    assertEquals(answer.status, 201);
    assertEquals(answer.json.author, null);
    assertEquals(answer.json.room, "tea");
    assertNotEquals(answer.json.id, NIL);
  }
  const author = "ä".repeat(50);
  assertEquals((await read<Message>(post(server, "tea", { body: "Hello", author }))).json.author, author);
});

test("an acknowledged message is readable at once", async (server) => {
  for (let i = 1; i <= 10; i++) {
    const message = await posted(server, "tea", `${i}`);
    const [after, before, found] = await Promise.all([
      messages(server, "tea", "wait=0"),
      messages(server, "tea", "before=now"),
      get<Message>(server, `/rooms/tea/messages/${message.id}`),
    ]);
    assertEquals(after.at(-1), message);
    assertEquals(before.at(-1), message);
    assertEquals(found.json, message);
    assertEquals(after.length, i);
  }
});

test("ids strictly grow, and carry the message number", async (server) => {
  await Promise.all(Array.from({ length: 60 }, (_, i) => posted(server, "tea", `${i}`)));
  for (let i = 60; i < 70; i++) await posted(server, "tea", `${i}`);
  const all = await messages(server, "tea", "wait=0");
  assertEquals(all.length, 70);
  all.forEach(({ id }, i) => {
    assertEquals(numberOf(id), i + 1);
    if (i > 0) assertGreater(id, all[i - 1]!.id);
  });
  assertEquals(
    all.slice(60).map((message) => message.body),
    Array.from({ length: 10 }, (_, i) => `${60 + i}`),
  );
});

test("created_at is the time in the id, as RFC 3339 in UTC with milliseconds", async (server) => {
  const from = Date.now() - 1_000;
  const { id, created_at } = await posted(server, "tea", "Hello");
  assertMatch(created_at, RFC_3339_MS);
  assertEquals(Date.parse(created_at), timeOf(id));
  assertGreater(timeOf(id), from);
  assertLessOrEqual(timeOf(id), Date.now() + 1_000);
});

// Idempotency-Key

test("a repeated Idempotency-Key answers 200 with the stored message", async (server) => {
  const first = await keyed(server, "tea", "k", { body: "Hello", author: "Ann" });
  assertEquals(first.status, 201);
  assertEquals(first.headers.get("idempotency-replayed"), null);
  await posted(server, "tea", "Another");

  await using other = await startServer(database.url);
  for (const at of [server, server, other]) {
    const again = await keyed(at, "tea", "k", { author: "Ann", body: "Hello" });
    assertEquals(again.status, 200);
    assertEquals(again.headers.get("idempotency-replayed"), "true");
    assertEquals(again.headers.get("location"), first.headers.get("location"));
    assertEquals(again.text, first.text);
  }
  assertEquals((await messages(server, "tea", "wait=0")).length, 2);
});

test("an Idempotency-Key with another body or another author answers 422", async (server) => {
  await keyed(server, "tea", "k", { body: "Hello", author: "Ann" });
  await keyed(server, "tea", "anonymous", { body: "Hello" });
  for (
    const [key, message] of [
      ["k", { body: "Hallo", author: "Ann" }],
      ["k", { body: "Hello", author: "Bob" }],
      ["k", { body: "Hello" }],
      ["k", { body: "hello", author: "Ann" }],
      ["anonymous", { body: "Hello", author: "Ann" }],
    ] as const
  ) {
    assertProblem(await keyed(server, "tea", key, message), 422, "key-reused");
  }
  assertEquals((await keyed(server, "tea", "anonymous", { body: "Hello", author: null })).status, 200);
  assertEquals((await messages(server, "tea", "wait=0")).length, 2);
});

test("the same Idempotency-Key in another room makes another message", async (server) => {
  const tea = await keyed<Message>(server, "tea", "k", { body: "Hello" });
  const coffee = await keyed<Message>(server, "coffee", "k", { body: "Hello" });
  assertEquals([tea.status, coffee.status], [201, 201]);
  assertNotEquals(tea.json.id, coffee.json.id);
});

test("posts without an Idempotency-Key are messages of their own, however alike", async (server) => {
  await Promise.all([1, 2, 3].map(() => posted(server, "tea", "Hello")));
  assertEquals((await messages(server, "tea", "wait=0")).length, 3);
});

test("an Idempotency-Key is 1 to 255 printable ASCII characters", async (server) => {
  for (const key of ["k", "~".repeat(255), "a b", `"!#$%&'()*+,-./:;<=>?@[]^_{|}\\`, "' or 1=1 --"]) {
    assertEquals((await keyed(server, "tea", key, { body: "Hello" })).status, 201);
    assertEquals((await keyed(server, "tea", key, { body: "Hello" })).status, 200);
  }
  for (const key of ["", "k".repeat(256), "ä", "a\tb", "\u00a0", "\u007f"]) {
    // A client that refuses to send it is fine as well.
    const answer = await keyed(server, "tea", key, { body: "Hello" }).catch(() => undefined);
    if (answer) assertProblem(answer, 400, "invalid-request", "Idempotency-Key");
  }
  assertEquals((await messages(server, "tea", "wait=0")).length, 5);
});

test("posts that come at once with one key make one message", async (server) => {
  await using other = await startServer(database.url);
  const answers = await Promise.all(
    Array.from(
      { length: 20 },
      (_, i) => keyed<Message>(i % 2 ? server : other, "tea", "k", { body: "Hello" }),
    ),
  );
  assertEquals(answers.filter((answer) => answer.status === 201).length, 1);
  assertEquals(answers.filter((answer) => answer.status === 200).length, 19);
  assertEquals(new Set(answers.map((answer) => answer.text)).size, 1);
  assertEquals(answers.filter((answer) => answer.headers.get("idempotency-replayed") === "true").length, 19);
  assertEquals(await messages(server, "tea", "wait=0"), [answers[0]!.json]);
});

test("of different posts that come at once with one key, one is stored and the others answer 422", async (server) => {
  const bodies = Array.from({ length: 10 }, (_, i) => `${i}`);
  const answers = await Promise.all(bodies.map((body) => keyed<Message>(server, "tea", "k", { body })));
  const stored = answers.filter((answer) => answer.status === 201);
  assertEquals(stored.length, 1);
  for (const answer of answers) if (answer !== stored[0]) assertProblem(answer, 422, "key-reused");
  assertEquals(await messages(server, "tea", "wait=0"), [stored[0]!.json]);
});

// Following

test("GET without after begins at the first message, and after goes on behind it", async (server) => {
  const [a, b, c] = [
    await posted(server, "tea", "a"),
    await posted(server, "tea", "b"),
    await posted(server, "tea", "c"),
  ];
  assertEquals(await messages(server, "tea", "wait=0"), [a, b, c]);
  assertEquals(await messages(server, "tea", `wait=0&after=${NIL}`), [a, b, c]);
  assertEquals(await messages(server, "tea", `wait=0&after=${a.id}`), [b, c]);
  assertEquals(await messages(server, "tea", `wait=0&after=${b.id}`), [c]);
  assertEquals(await messages(server, "tea", `wait=0&after=${c.id}`), []);
});

test("a page has at most limit messages, 100 where none is given, and its next link leads to the rest", async (server) => {
  await Promise.all(Array.from({ length: 105 }, (_, i) => posted(server, "tea", `${i}`)));
  const all = await messages(server, "tea", "wait=0&limit=1000");
  assertEquals(all.length, 105);

  const first = await get(server, "/rooms/tea/messages");
  assertEquals(first.json, all.slice(0, 100));
  assertEquals(linked(first, "next"), `${server.url}/rooms/tea/messages?after=${all[99]!.id}&limit=100`);
  assertEquals((await follow(first, "next")).json, all.slice(100));

  const pages = [await get(server, "/rooms/tea/messages?limit=25")];
  while (pages.at(-1)!.json.length === 25) pages.push(await follow(pages.at(-1)!, "next"));
  assertEquals(pages.map((page) => page.json.length), [25, 25, 25, 25, 5]);
  assertEquals(pages.flatMap((page) => page.json), all);
  assertEquals((await get(server, "/rooms/tea/messages?limit=1")).json, all.slice(0, 1));
});

test("a poll waits for the next message, and is given it", async (server) => {
  let newest = await posted(server, "tea", "Old");
  for (
    const query of [(id: string) => `after=${id}&wait=55`, (id: string) => `after=${id}`, () => "after=now"]
  ) {
    const poll = get(server, `/rooms/tea/messages?${query(newest.id)}`);
    await until(() => server.chat.state.waiters === 1, "the poll waits");
    newest = await posted(server, "tea", "News");
    const answer = await poll;
    assertEquals(answer.json, [newest]);
    assertEquals(linked(answer, "next"), `${server.url}/rooms/tea/messages?after=${newest.id}&limit=100`);
    assertEquals(server.chat.state.waiters, 0);
  }
});

test("all who wait are given the same, whatever cursor and limit they have", async (server) => {
  const [a, b] = [await posted(server, "tea", "a"), await posted(server, "tea", "b")];
  const cursors = [b.id, b.id.toUpperCase(), uuidToULID(b.id), "now"];
  const polls = cursors.flatMap((after) =>
    [1, 100].map((limit) => get(server, `/rooms/tea/messages?after=${after}&limit=${limit}&wait=55`))
  );
  await until(() => server.chat.state.waiters === polls.length, "all wait");
  assertEquals((await get(server, `/rooms/tea/messages?after=${a.id}&wait=55`)).json, [b]);
  const c = await posted(server, "tea", "c");
  for (const answer of await Promise.all(polls)) assertEquals(answer.json, [c]);
});

test("a poll that waited in vain answers an empty page that leads on from its cursor", async (server) => {
  const { id } = await posted(server, "tea", "Hello");
  const answers = await Promise.all([
    get(server, `/rooms/tea/messages?after=${id}&wait=1&limit=7`),
    get(server, `/rooms/tea/messages?after=now&wait=1&limit=7`),
    get(server, `/rooms/tea/messages?after=${uuidToULID(id)}&wait=1&limit=7`),
  ]);
  for (const answer of answers) {
    assertEquals(answer.status, 200);
    assertEquals(answer.text, "[]");
    assertEquals(linked(answer, "next"), `${server.url}/rooms/tea/messages?after=${id}&limit=7`);
  }
});

test("wait=0 answers without waiting, also where there is nothing", async (server) => {
  const { id } = await posted(server, "tea", "Hello");
  for (const path of ["/rooms/empty/messages?wait=0", `/rooms/tea/messages?after=${id}&wait=0`]) {
    assertEquals((await get(server, path)).text, "[]");
  }
  assertEquals((await get(server, "/rooms/tea/messages?after=now&wait=0")).text, "[]");
});

test("after=now gives only what comes next, and nothing falls between two polls", async (server) => {
  const empty = await get(server, "/rooms/tea/messages?after=now&wait=0");
  assertEquals(linked(empty, "next"), `${server.url}/rooms/tea/messages?after=${NIL}&limit=100`);
  const a = await posted(server, "tea", "a");
  assertEquals((await follow(empty, "next")).json, [a]);

  const now = await get(server, "/rooms/tea/messages?after=now&wait=0&limit=10");
  assertEquals(now.text, "[]");
  assertEquals(linked(now, "next"), `${server.url}/rooms/tea/messages?after=${a.id}&limit=10`);
  const b = await posted(server, "tea", "b");
  assertEquals((await follow(now, "next")).json, [b]);
});

test("after=now counts what another server has stored", async (server) => {
  await using other = await startServer(database.url);
  const poll = get(other, "/rooms/tea/messages?after=now&wait=55"); // keeps a feed there
  await until(() => other.chat.state.waiters === 1, "the poll waits");
  for (let i = 0; i < 20; i++) {
    const { id } = await posted(server, "tea", `${i}`);
    const answer = await get(other, "/rooms/tea/messages?after=now&wait=0");
    assertEquals(linked(answer, "next"), `${other.url}/rooms/tea/messages?after=${id}&limit=100`);
  }
  assertEquals((await poll).json[0]!.body, "0");
});

test(
  "a room that nobody has written to is empty, can be waited on, and begins with its first message",
  async (server, sql) => {
    assertEquals((await get(server, "/rooms/new/messages?wait=0")).text, "[]");
    assertEquals((await get(server, "/rooms/new/messages?before=now")).text, "[]");
    const poll = get(server, "/rooms/new/messages");
    await until(() => server.chat.state.waiters === 1, "the poll waits");
    assertEquals((await sql`select room from heads`).length, 0);
    const message = await posted(server, "new", "First");
    assertEquals((await poll).json, [message]);
    assertEquals(numberOf(message.id), 1);
  },
);

test("rooms are separate", async (server) => {
  const poll = get(server, "/rooms/tea/messages?wait=55");
  await until(() => server.chat.state.waiters === 1, "the poll waits");
  const names = ["coffee", "Tea", "tea.", "te", "tea~"];
  const others = await Promise.all(names.map((name) => posted(server, name, name)));
  assertEquals(server.chat.state.waiters, 1);
  const tea = await posted(server, "tea", "tea");
  assertEquals((await poll).json, [tea]);
  for (const [i, name] of names.entries()) {
    assertEquals(await messages(server, name, "wait=0"), [others[i]!]);
    assertEquals(numberOf(others[i]!.id), 1);
    assertProblem(await get(server, `/rooms/${name}/messages/${tea.id}`), 404, "not-found");
  }
});

test("a client that leaves is forgotten", async (server) => {
  const leaving = new AbortController();
  const poll = fetch(`${server.url}/rooms/tea/messages?wait=55`, { signal: leaving.signal }).catch(() => "left");
  await until(() => server.chat.state.waiters === 1, "the poll waits");
  leaving.abort();
  assertEquals(await poll, "left");
  await until(() => server.chat.state.waiters === 0 && server.chat.state.feeds === 0, "it is forgotten");
});

// Prefer

test("Prefer: wait=n serves where there is no wait: clamped, ignored when malformed, the first instance", async (server) => {
  await posted(server, "tea", "Hello");
  const applied = async (prefer: string, query = "") => {
    const answer = await get(server, `/rooms/tea/messages${query}`, { prefer });
    assertEquals(answer.status, 200);
    assertEquals(answer.json.length, 1);
    return answer.headers.get("preference-applied");
  };
  for (
    const [prefer, seconds] of [
      ["wait=0", 0],
      ["wait=5", 5],
      ["wait=55", 55],
      ["wait=56", 55],
      ["wait=99999999999999999999999", 55],
      [`wait="7"`, 7],
      ["WAIT=3", 3],
      ["wait = 3", 3],
      ["wait=4; because=slow", 4],
      ["respond-async, wait=4", 4],
      ["respond-async,wait=4,return=minimal", 4],
      ["wait=2, wait=9", 2],
    ] as const
  ) {
    assertEquals(await applied(prefer), `wait=${seconds}`, prefer);
  }
  for (
    const prefer of [
      "",
      "wait",
      "wait=",
      "wait=-1",
      "wait=+1",
      "wait=1.5",
      "wait=1e1",
      "wait=five",
      `wait="5`,
      "waiting=5",
      "await=5",
      "wait=x, wait=9",
      "return=minimal",
    ]
  ) {
    assertEquals(await applied(prefer), null, prefer);
  }
  assertEquals(await applied("wait=5", "?wait=0"), null);
  assertEquals(await applied("wait=5", "?wait=20"), null);
  assertEquals(await applied("wait=5", "?before=now"), null);
});

test("a comma inside of a quoted value ends no preference", async (server) => {
  await posted(server, "tea", "Hello");
  const answer = await get(server, "/rooms/tea/messages", { prefer: `note="later, wait=3", wait=7` });
  assertEquals(answer.headers.get("preference-applied"), "wait=7");
});

test("Prefer: wait=n is how long a poll waits, and without a readable one it waits as ever", async (server) => {
  assertEquals((await get(server, "/rooms/tea/messages", { prefer: "wait=0" })).text, "[]");
  const waited = await get(server, "/rooms/tea/messages", { prefer: "wait=1" });
  assertEquals(waited.text, "[]");
  assertEquals(waited.headers.get("preference-applied"), "wait=1");
  const poll = get(server, "/rooms/tea/messages", { prefer: "wait=soon" });
  const zero = await get(server, "/rooms/tea/messages?wait=0", { prefer: "wait=55" });
  assertEquals(zero.text, "[]");
  await until(() => server.chat.state.waiters === 1, "the poll waits");
  const message = await posted(server, "tea", "Hello");
  assertEquals((await poll).json, [message]);
});

// Reading backwards

test("before gives the page just before a cursor, ascending; before=now the newest page", async (server) => {
  const all: Message[] = [];
  for (let i = 1; i <= 5; i++) all.push(await posted(server, "tea", `${i}`));
  const bodies = async (query: string) =>
    (await messages(server, "tea", query)).map((message) => message.body).join("");
  assertEquals(await bodies("before=now"), "12345");
  assertEquals(await bodies("before=now&limit=2"), "45");
  assertEquals(await bodies(`before=${all[3]!.id}&limit=2`), "23");
  assertEquals(await bodies(`before=${all[3]!.id}`), "123");
  assertEquals(await bodies(`before=${all[0]!.id}`), "");
  assertEquals(await bodies(`before=${NIL}`), "");
  assertEquals(await bodies(`before=${uuidToULID(all[3]!.id).toLowerCase()}&limit=1`), "3");
  assertEquals(await bodies("before=ffffffff-ffff-ffff-ffff-ffffffffffff"), "12345");
});

for (const [count, limit] of [[25, 10], [20, 10], [7, 1], [3, 10]] as const) {
  test(`${count} messages can be walked back and forth in pages of ${limit}, with no hole`, async (server) => {
    await Promise.all(Array.from({ length: count }, (_, i) => posted(server, "tea", `${i}`)));
    const all = await messages(server, "tea", "wait=0");

    const back = [await get(server, `/rooms/tea/messages?before=now&limit=${limit}`)];
    while (linked(back.at(-1)!, "prev")) back.push(await follow(back.at(-1)!, "prev"));
    assertEquals(back.toReversed().flatMap((page) => page.json), all);
    for (const page of back.slice(0, -1)) assertEquals(page.json.length, limit);
    assert(back.at(-1)!.json.length < limit);

    // From the oldest page on, which is the beginning also where it is empty.
    const forth = [back.at(-1)!];
    do forth.push(await follow(forth.at(-1)!, "next")); while (forth.at(-1)!.json.length > 0);
    assertEquals(forth.flatMap((page) => page.json), all);

    // What comes after the newest page is what its next link gives.
    const message = await posted(server, "tea", "News");
    assertEquals((await follow(back[0]!, "next")).json, [message]);
  });
}

test("before never waits", async (server) => {
  for (const query of ["before=now", "before=now&wait=55", `before=${NIL}&wait=55`]) {
    const answer = await get(server, `/rooms/tea/messages?${query}`, { prefer: "wait=55" });
    assertEquals(answer.text, "[]");
    assertEquals(linked(answer, "next"), `${server.url}/rooms/tea/messages?after=${NIL}&limit=100`);
    assertEquals(linked(answer, "prev"), undefined);
  }
});

test("before together with after answers 400", async (server) => {
  for (const query of ["before=now&after=now", `after=${NIL}&before=now&wait=0`]) {
    assertProblem(await get(server, `/rooms/tea/messages?${query}`), 400, "invalid-request", "before");
  }
});

// Cursors

test("a message is found by its id, as UUID or as ULID, in either case", async (server) => {
  const { id } = await posted(server, "other", "Elsewhere");
  const message = await posted(server, "tea", "Hello");
  for (const form of formsOf(message.id)) {
    const answer = await get<Message>(server, `/rooms/tea/messages/${form}`);
    assertEquals(answer.status, 200);
    assertEquals(answer.json, message);
    assertEquals(answer.headers.get("cache-control"), "no-store");
  }
  for (const unknown of [id, NIL, crypto.randomUUID(), uuidToULID(id)]) {
    assertProblem(await get(server, `/rooms/tea/messages/${unknown}`), 404, "not-found");
  }
  for (
    const bad of ["now", "1", `${message.id}0`, message.id.replaceAll("-", ""), `{${message.id}}`, "%00"]
  ) {
    assertProblem(await get(server, `/rooms/tea/messages/${bad}`), 400, "invalid-request", "id");
  }
});

test("a cursor is a UUID or a ULID, in either case, and comes back as a UUID in lower case", async (server) => {
  const [a, b] = [await posted(server, "tea", "a"), await posted(server, "tea", "b")];
  for (const form of formsOf(a.id)) assertEquals(await messages(server, "tea", `after=${form}&wait=0`), [b]);
  for (const form of formsOf(b.id)) {
    assertEquals(await messages(server, "tea", `before=${form}`), [a]);
    const end = await get(server, `/rooms/tea/messages?after=${form}&wait=0`);
    assertEquals(linked(end, "next"), `${server.url}/rooms/tea/messages?after=${b.id}&limit=100`);
  }
});

test("what is no cursor answers 400", async (server) => {
  const { id } = await posted(server, "tea", "Hello");
  const ulid = uuidToULID(id);
  const bad = [
    "",
    "x",
    "0",
    "NOW",
    "now ",
    ` ${id}`,
    `${id} `,
    `${id}\n`,
    id.slice(1),
    `${id}0`,
    id.replaceAll("-", ""),
  ];
  // 8 is more than 48 bits of time; I, L, O and U are no digits; the others become digits only when their case changes.
  const looksLike = [
    `8${ulid.slice(1)}`,
    `${ulid}0`,
    ...[..."ILOU", "ſ", "\u212a"].map((c) => ulid.slice(0, 25) + c),
  ];
  for (const cursor of [...bad, ...looksLike, `${ulid.slice(0, 24)}ß`, `${ulid.slice(0, 24)}ﬆ`]) {
    for (const name of ["after", "before"]) {
      const answer = await get(server, `/rooms/tea/messages?${name}=${encodeURIComponent(cursor)}&wait=0`);
      assertProblem(answer, 400, "invalid-request", name, cursor);
    }
    if (cursor === "") continue;
    const found = await get(server, `/rooms/tea/messages/${encodeURIComponent(cursor)}`);
    assertProblem(found, 400, "invalid-request", "id", cursor);
  }
});

test("a cursor that is only a moment stands for that moment", async (server) => {
  const a = await posted(server, "tea", "a");
  await until(() => Date.now() > timeOf(a.id) + 1, "the clock has moved on");
  const b = await posted(server, "tea", "b");
  const at = (time: number) => encodeTime(time) + "0".repeat(16);

  const halfAnHourAgo = at(Date.now() - 30 * 60_000);
  assertEquals(await messages(server, "tea", `after=${halfAnHourAgo}&wait=0`), [a, b]);
  assertEquals(await messages(server, "tea", `after=${at(timeOf(a.id))}&wait=0`), [a, b]);
  assertEquals(await messages(server, "tea", `after=${at(timeOf(a.id) + 1)}&wait=0`), [b]);
  assertEquals(await messages(server, "tea", `after=${at(timeOf(b.id) + 1)}&wait=0`), []);
  assertEquals(await messages(server, "tea", `before=${at(timeOf(b.id))}`), [a]);
  assertEquals(await messages(server, "tea", `before=${halfAnHourAgo}`), []);
});

test("a cursor up to a minute ahead waits; further ahead answers 400", async (server) => {
  await posted(server, "tea", "Hello");
  const ahead = (ms: number) => encodeTime(Date.now() + ms) + "0".repeat(16);
  for (const room of ["tea", "empty"]) {
    assertEquals((await get(server, `/rooms/${room}/messages?after=${ahead(40_000)}&wait=0`)).text, "[]");
    assertEquals((await get(server, `/rooms/${room}/messages?after=${ahead(40_000)}&wait=1`)).text, "[]");
    for (
      const cursor of [ahead(120_000), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ", "ffffffff-ffff-ffff-ffff-ffffffffffff"]
    ) {
      for (const wait of [0, 55]) {
        const answer = await get(server, `/rooms/${room}/messages?after=${cursor}&wait=${wait}`);
        assertProblem(answer, 400, "invalid-request", "after");
      }
      const before = await messages(server, room, `before=${cursor}`);
      assertEquals(before.map(({ body }) => body), room === "tea" ? ["Hello"] : []); // there is nothing to wait for
    }
  }
});

test(
  "a cursor is ahead only where it is ahead of the room's newest message as well",
  async (server, sql) => {
    const hour = 3_600_000;
    await sql`insert into heads values ('tea', 0, ${Date.now() + hour})`;
    const early = await posted(server, "tea", "From a clock that was an hour fast");
    assertGreater(timeOf(early.id), Date.now() + hour / 2);
    assertEquals(early.created_at, new Date(timeOf(early.id)).toISOString());

    const at = (time: number) => encodeTime(time) + "0".repeat(16);
    assertEquals(await messages(server, "tea", `after=${at(Date.now() + 120_000)}&wait=0`), [early]);
    assertEquals(await messages(server, "tea", `after=${early.id}&wait=0`), []);
    assertEquals(await messages(server, "tea", `after=${at(timeOf(early.id) + 30_000)}&wait=0`), []);
    const further = await get(server, `/rooms/tea/messages?after=${at(timeOf(early.id) + 120_000)}&wait=0`);
    assertProblem(further, 400, "invalid-request", "after");

    const next = await posted(server, "tea", "Order holds all the same");
    assertEquals(await messages(server, "tea", `after=${early.id}&wait=0`), [next]);
  },
);

// Parameters

test("limit is a whole number from 1 to 1000, wait from 0 to 55, and each is given once", async (server) => {
  await posted(server, "tea", "Hello");
  for (
    const query of [
      "limit=1",
      "limit=1000",
      "wait=0",
      "wait=55",
      "limit=007&wait=00",
      "limit=%31",
      "unknown=1&Limit=x",
    ]
  ) {
    assertEquals((await get(server, `/rooms/tea/messages?${query}`)).status, 200, query);
  }
  const odd = [
    "",
    "-1",
    "+1",
    "%2B1",
    "%201",
    "1%20",
    "1.0",
    "1e1",
    "0x1",
    "1,2",
    "one",
    "١",
    "%00",
    "1%0A",
    "null",
    "9".repeat(30),
  ];
  for (
    const [name, values] of [
      ["limit", ["0", "1001", ...odd]],
      ["wait", ["56", "10000", ...odd]],
    ] as const
  ) {
    for (const value of values) {
      const answer = await get(server, `/rooms/tea/messages?${name}=${value}`);
      assertProblem(answer, 400, "invalid-request", name, value);
    }
    assertProblem(await get(server, `/rooms/tea/messages?${name}`), 400, "invalid-request", name);
  }
  for (const [name, value] of [["limit", "1"], ["wait", "0"], ["after", NIL], ["before", NIL]]) {
    const answer = await get(server, `/rooms/tea/messages?${name}=${value}&${name}=${value}`);
    assertProblem(answer, 400, "invalid-request", name);
  }
});

test("a room's name is 1 to 64 letters, digits, dots, dashes, underscores and tildes", async (server) => {
  for (const room of ["a", "0", "-", "~", "_", "...", ".a", "Az09._~-", "x".repeat(64), "%61", "__proto__"]) {
    assertEquals(
      (await post(server, room, { body: "Hello" }).then((answer) => read(answer))).status,
      201,
      room,
    );
    assertEquals((await messages(server, room, "wait=0")).length, room === "%61" ? 2 : 1, room);
  }
  for (
    const room of [
      "x".repeat(65),
      "a%20b",
      "%20",
      "%C3%A4",
      "a%2Fb",
      "a:b",
      "a+b",
      "a*b",
      "a@b",
      "a%00",
      "a%0A",
      "%25",
    ]
  ) {
    for (
      const answer of [
        await read(post(server, room, { body: "Hello" })),
        await get(server, `/rooms/${room}/messages?wait=0`),
        await get(server, `/rooms/${room}/messages?before=now`),
        await get(server, `/rooms/${room}/messages/${NIL}`),
      ]
    ) {
      assertProblem(answer, 400, "invalid-request", "room", room);
    }
  }
});

// Large pages

const large = { "MAX_TAIL_BYTES": "20000000" };

for (
  const [what, body, count] of [
    ["long messages", "x".repeat(10_000), 150],
    ["messages that are six times as long in JSON", "\u0001".repeat(10_000), 40],
  ] as const
) {
  test(`a page of ${what} ends at 1 MB, from memory and from the database`, async (server, sql) => {
    const waiting = get(server, "/rooms/tea/messages?wait=55"); // keeps the room in memory
    await until(() => server.chat.state.waiters === 1, "a poll waits");
    await Promise.all(Array.from({ length: count }, () => posted(server, "tea", body)));
    assertEquals((await waiting).json[0]!.body, body);

    const newest = (await messages(server, "tea", "before=now&limit=1"))[0]!.id;
    await using other = await startServer(database.url);
    const holding = new AbortController();
    const poll = fetch(`${server.url}/rooms/tea/messages?after=${newest}&wait=55`, { signal: holding.signal })
      .catch(() => {});
    await until(() => server.chat.state.waiters === 1, "a poll waits");

    const ids = (await sql`select id from messages where room = 'tea' order by id`).map(({ id }) => id);
    assertEquals(ids.length, count);
    for (const at of [server, other]) {
      const pages = [await get(at, "/rooms/tea/messages?limit=1000&wait=0")];
      while (pages.at(-1)!.json.length > 0) pages.push(await follow(pages.at(-1)!, "next"));
      assertPages(pages, ids, body);

      const back = [await get(at, "/rooms/tea/messages?limit=1000&before=now")];
      while (linked(back.at(-1)!, "prev")) back.push(await follow(back.at(-1)!, "prev"));
      assertPages(back.toReversed(), ids, body);
    }
    holding.abort();
    await poll;
  }, large);
}

// Methods, routes, health

test("HEAD is as GET with wait=0, without the body", async (server) => {
  const message = await posted(server, "tea", "Hello");
  for (
    const path of [
      "/rooms/tea/messages",
      `/rooms/tea/messages?after=${message.id}`,
      "/rooms/tea/messages?after=now&limit=5",
      "/rooms/tea/messages?before=now&limit=1",
      "/rooms/empty/messages",
      `/rooms/tea/messages/${message.id}`,
      `/rooms/tea/messages/${NIL}`,
      "/rooms/tea/messages?limit=0",
      "/messages",
      "/rooms",
      "/healthz",
      "/readyz",
      "/nowhere",
    ]
  ) {
    const head = await read(fetch(server.url + path, { method: "HEAD" }));
    const whole = await get(server, path, { prefer: "wait=0" });
    assertEquals(head.status, whole.status, path);
    assertEquals(head.text, "");
    for (const name of ["content-type", "cache-control", "x-content-type-options"]) {
      assertEquals(head.headers.get(name), whole.headers.get(name), `${path} ${name}`);
    }
  }
  assertEquals(server.chat.state.waiters, 0);
});

test("HEAD has no wait, so no preference is applied to it", async (server) => {
  const head = await read(
    fetch(`${server.url}/rooms/tea/messages`, { method: "HEAD", headers: { prefer: "wait=5" } }),
  );
  assertEquals(head.status, 200);
  assertEquals(head.headers.get("preference-applied"), null);
});

test("HEAD of a list reads no page, and leaves out what depends on one", async (server, sql) => {
  await posted(server, "tea", "Hello");
  await untilTold({ sql });
  const { statements } = server.chat.state;
  for (const query of ["", "?after=now", `?after=${NIL}&limit=1000`, "?before=now"]) {
    const { status, headers } = await read(fetch(`${server.url}/rooms/tea/messages${query}`, { method: "HEAD" }));
    assertEquals([status, headers.get("link"), headers.get("content-length")], [200, null, null]);
  }
  assertEquals(server.chat.state.statements, statements);
});

test("HEAD does not tell a length that GET would not have", async (server) => {
  await posted(server, "tea", "Hello");
  const head = await read(fetch(`${server.url}/rooms/tea/messages`, { method: "HEAD" }));
  const whole = await get(server, "/rooms/tea/messages");
  const length = head.headers.get("content-length");
  assert(length === null || length === whole.headers.get("content-length"), `HEAD says ${length}`);
});

test("OPTIONS answers 204 with Allow, and a method that is not in it 405", async (server) => {
  const { id } = await posted(server, "tea", "Hello");
  const list = "GET, HEAD, OPTIONS, POST";
  const one = "GET, HEAD, OPTIONS";
  const message = "DELETE, GET, HEAD, OPTIONS, PATCH";
  for (
    const [path, allow] of [
      ["/messages", list],
      ["/rooms/tea/messages", list],
      ["/rooms", one],
      ["/events", one],
      ["/rooms/tea/events", one],
      [`/messages/${id}`, message],
      [`/rooms/tea/messages/${id}`, message],
      ["/healthz", one],
      ["/readyz", one],
      ["/", one],
      ["/web/page.css", one],
      ["/client/client.ts", one],
    ] as const
  ) {
    const options = await read(fetch(server.url + path, { method: "OPTIONS" }));
    assertEquals([options.status, options.text, options.headers.get("allow")], [204, "", allow], path);
    for (const method of ["PUT", "PATCH", "DELETE", "POST"].filter((method) => !allow.includes(method))) {
      const answer = await read(fetch(server.url + path, { method }));
      assertProblem(answer, 405, "method-not-allowed");
      assertEquals(answer.headers.get("allow"), allow);
    }
  }
  assertEquals((await messages(server, "tea", "wait=0")).length, 1);
});

test("an unknown route answers 404, whatever the method", async (server) => {
  const paths = [
    "/nowhere",
    "/rooms/",
    "/rooms/tea",
    "/rooms/tea/events/",
    "/rooms//events",
    "/rooms/tea/",
    "/rooms//messages",
    "/Messages",
    "/messages/",
  ];
  for (const path of [...paths, `/rooms/tea/messages/${NIL}/x`, "/healthz/", "/%00", "/messages%2F"]) {
    for (const method of ["GET", "POST", "DELETE", "OPTIONS"]) {
      assertProblem(await read(fetch(server.url + path, { method })), 404, "not-found");
    }
  }
});

test("/healthz says that the process is alive, /readyz that it can serve", async (server) => {
  for (const path of ["/healthz", "/readyz"]) {
    const answer = await get<{ status: string }>(server, path);
    assertEquals(answer.status, 200);
    assertEquals(answer.headers.get("content-type"), "application/json");
    assertEquals(answer.headers.get("cache-control"), "no-store");
  }
  server.chat.drain();
  assertEquals((await get(server, "/healthz")).status, 200);
  assertUnavailable(await get(server, "/readyz"), "unavailable");
});

test("a server that shuts down answers all who wait, and lets nobody wait", async (server) => {
  const poll = get(server, "/rooms/tea/messages?wait=55");
  await until(() => server.chat.state.waiters === 1, "the poll waits");
  server.chat.drain();
  const released = await poll;
  assertEquals([released.status, released.text], [200, "[]"]);
  assertEquals(linked(released, "next"), `${server.url}/rooms/tea/messages?after=${NIL}&limit=100`);
  assertUnavailable(await get(server, "/rooms/tea/messages?wait=55"), "unavailable");
});

Deno.test("a server that has not started yet answers 503, and only to what it could serve", async () => {
  const http = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    createApp({ chat: () => undefined, uploadTimeoutMs: 1_000, heartbeatMs: 1_000, origins: LOCAL, limits: LIMITS })
      .fetch,
  );
  const server = { url: `http://127.0.0.1:${http.addr.port}` };
  assertEquals((await get(server, "/healthz")).status, 200);
  for (
    const path of [
      "/readyz",
      "/messages",
      "/events",
      "/rooms/tea/events",
      "/rooms",
      `/messages/${NIL}`,
      "/messages?before=now",
    ]
  ) {
    assertUnavailable(await get(server, path), "unavailable");
  }
  assertUnavailable(await read(post(server, "tea", { body: "Hello" })), "not-stored");
  assertProblem(await read(post(server, "tea", { body: "" })), 400, "invalid-request", "body");
  assertProblem(await get(server, "/nowhere"), 404, "not-found");
  await http.shutdown();
});

// Problems

test("live answers are not to be stored by caches, nor are errors", async (server) => {
  const { id } = await posted(server, "tea", "Hello");
  for (
    const path of [
      "/messages?wait=0",
      "/rooms/tea/messages?before=now",
      `/rooms/tea/messages/${id}`,
      `/rooms/tea/messages/${NIL}`,
      "/messages?limit=0",
      "/nowhere",
    ]
  ) {
    assertEquals((await get(server, path)).headers.get("cache-control"), "no-store", path);
  }
  assertEquals((await keyed(server, "tea", "k", { body: "Hello" })).headers.get("cache-control"), "no-store");
  assertEquals((await keyed(server, "tea", "k", { body: "Hello" })).headers.get("cache-control"), "no-store");
});

test("a message that answers another has its id, in whichever form it was given, and else no such member", async (server) => {
  const { id } = await posted(server, "tea", "Milk?");
  const answers = [
    await read<Message>(post(server, "tea", { body: "Yes", reply_to: id })),
    await read<Message>(post(server, "tea", { body: "Yes", reply_to: uuidToULID(id) })),
    await read<Message>(post(server, "tea", { body: "Gone", reply_to: NIL })), // not looked up
    await read<Message>(post(server, "tea", { body: "Fresh", reply_to: null })),
  ];
  assertEquals(answers.map(({ status }) => status), [201, 201, 201, 201]);
  const stored = answers.map(({ json }) => json);
  assertEquals(stored.map(({ reply_to }) => reply_to), [id, id, NIL, undefined]);
  assertEquals(Object.keys(stored[0]!), ["id", "room", "author", "body", "created_at", "reply_to"]);
  assertFalse("reply_to" in stored[3]!);
  assertEquals((await messages(server, "tea", "wait=0")).slice(1), stored);
  assertEquals((await messages(server, "tea", "before=now")).slice(1), stored);
  assertEquals((await get<Message>(server, `/rooms/tea/messages/${stored[0]!.id}`)).json, stored[0]);
});

test("what a message answers is part of what its key stands for", async (server) => {
  const { id } = await posted(server, "tea", "Milk?");
  const first = await keyed<Message>(server, "tea", "k", { body: "Yes", reply_to: id });
  assertEquals((await keyed<Message>(server, "tea", "k", { body: "Yes", reply_to: id })).json, first.json);
  assertProblem(await keyed(server, "tea", "k", { body: "Yes" }), 422, "key-reused");
  assertProblem(await keyed(server, "tea", "k", { body: "Yes", reply_to: NIL }), 422, "key-reused");
});

test("of a Message-Key only a digest is kept, whatever else is posted in the same statement", async (server, sql) => {
  const key = "the tea is in the red tin";
  const say = (room: string, body: string, headers = {}) => read<Message>(post(server, room, { body }, headers));
  const answers = await Promise.all([
    ...[1, 2, 3].map((i) => say("tea", `plain ${i}`)),
    say("tea", "keyed", { "message-key": key }),
    say("tea", "also keyed", { "message-key": key, "idempotency-key": "k" }),
    ...[1, 2].map((i) => say("milk", `elsewhere ${i}`, i === 2 ? { "message-key": key } : {})),
  ]);
  assertEquals(answers.map(({ status }) => status), Array(7).fill(201));
  const digest = Buffer.from(await crypto.subtle.digest("SHA-256", Buffer.from(key))).toString("hex");
  const rows = await sql<{ body: string; proof: string | null }[]>`
    select body, encode(proof, 'hex') as proof from messages order by body`;
  assertEquals(
    rows.map(({ body, proof }) => [body, proof]),
    [
      ["also keyed", digest],
      ["elsewhere 1", null],
      ["elsewhere 2", digest],
      ["keyed", digest],
      ...[1, 2, 3].map((i) => [`plain ${i}`, null]),
    ],
  );
  for (const { text } of answers) assertFalse(text.includes(digest) || text.includes(key), text);
});

test("a Message-Key that could be guessed is refused", async (server) => {
  for (const key of ["x".repeat(21), "x".repeat(256)]) {
    assertProblem(
      await read<ProblemDetails>(post(server, "tea", { body: "Hello" }, { "message-key": key })),
      400,
      "invalid-request",
      "Message-Key",
    );
  }
});

test("a member of the message that is wrong is named", async (server) => {
  for (
    const [message, parameter] of [
      [{}, "body"],
      [{ body: "" }, "body"],
      [{ body: 1 }, "body"],
      [{ body: null }, "body"],
      [{ body: "Hello", author: 1 }, "author"],
      [{ body: "Hello", author: "x".repeat(101) }, "author"],
      [{ body: "Hello", author: "ä".repeat(51) }, "author"],
      [{ body: "Hello", author: "\0" }, "author"],
      [{ body: "Hello", reply_to: "yesterday" }, "reply_to"],
      [{ body: "Hello", reply_to: 7 }, "reply_to"],
      [null, "body"],
      ["Hello", "body"],
      [[{ body: "Hello" }], "body"],
    ] as const
  ) {
    const answer = await read<ProblemDetails>(post(server, "tea", message));
    assertProblem(answer, 400, "invalid-request", parameter, JSON.stringify(message));
  }
  assertEquals(await messages(server, "tea", "wait=0"), []);
});

test("a room that takes more than its share of the queue answers 429", async (server, sql) => {
  const { refused, stored } = await postWhileHeld(server, sql, ["tea", "tea", "tea", "coffee"], 1);
  assertEquals(stored.map(({ json }) => json.room).sort(), ["coffee", "tea", "tea"]);
  assertEquals(refused.length, 1);
  assertProblem(refused[0]!, 429, "room-busy");
  assertMatch(refused[0]!.headers.get("retry-after") ?? "", /^\d+$/);
  assertEquals((await messages(server, "tea", "wait=0")).length, 2);
}, { MAX_QUEUED_POSTS_PER_ROOM: "1", STATEMENT_TIMEOUT_MS: "600000" });

test("a server whose queue is full answers 503 not-stored, in every room", async (server, sql) => {
  const { refused, stored } = await postWhileHeld(server, sql, ["tea", "coffee", "coffee", "coffee"], 2);
  assertEquals(stored.map(({ json }) => json.room).sort(), ["coffee", "tea"]);
  assertEquals(refused.length, 2);
  for (const answer of refused) assertUnavailable(answer, "not-stored");
  assertEquals((await sql`select from messages where room <> 'before'`).length, 2);
}, { MAX_QUEUED_POSTS: "1", STATEMENT_TIMEOUT_MS: "600000" });

test("a server where too many wait answers 503", async (server) => {
  const poll = get(server, "/rooms/tea/messages?wait=55");
  await until(() => server.chat.state.waiters === 1, "the poll waits");
  assertUnavailable(await get(server, "/rooms/coffee/messages?wait=55"), "unavailable");
  assertUnavailable(await get(server, "/rooms/tea/messages?wait=55"), "unavailable");
  assertEquals((await get(server, "/rooms/coffee/messages?wait=0")).status, 200);
  const message = await posted(server, "tea", "Hello");
  assertEquals((await poll).json, [message]);
  assertEquals((await get(server, "/rooms/tea/messages?wait=55")).json, [message]);
}, { MAX_WAITERS: "1" });

test("what the database says never leaves", async (server, sql) => {
  await posted(server, "tea", "Hello");
  await sql`alter table messages rename to gone`;
  const answers = [
    await get(server, "/rooms/tea/messages?wait=0"),
    await get(server, "/rooms/tea/messages?before=now"),
    await get(server, `/rooms/tea/messages/${NIL}`),
    await read(post(server, "tea", { body: "Hello" })),
  ];
  await sql`alter table gone rename to messages`;
  for (const answer of answers) {
    assertGreater(answer.status, 499);
    assertProblem(answer, answer.status);
    for (
      const internal of ["relation", "select", "insert", "42P01", "PostgresError", "    at ", "127.0.0.1"]
    ) {
      assertFalse(answer.text.includes(internal), answer.text);
    }
  }
});

Deno.test("an error that nobody foresaw is found in the log by the X-Request-Id of its answer", async () => {
  const chat = () => {
    throw new Error("Nobody foresaw it");
  };
  const { fetch } = createApp({ chat, uploadTimeoutMs: 1_000, heartbeatMs: 1_000, origins: LOCAL, limits: LIMITS });
  const ask = async (id: string) => {
    const answer = await fetch(new Request("http://localhost/readyz", { headers: { "x-request-id": id } }));
    const { type } = await answer.json();
    assertEquals([answer.status, type], [500, "urn:linger:problem:internal"]);
    return answer.headers.get("x-request-id");
  };
  const told: (string | null)[] = [];
  const lines = await logged(async () => {
    for (const id of ["mine", "x".repeat(101), ""]) told.push(await ask(id));
  });
  assertEquals(told.slice(0, 2), ["mine", "x".repeat(100)]);
  assertMatch(told[2]!, UUID);
  assertEquals(lines.map((line) => /"id":"(.*?)"/.exec(line)?.[1] ?? null), told);
});

/** Posts to rooms while the database pauses at the first, until so many posts are refused. */
async function postWhileHeld(
  server: TestServer,
  sql: Sql,
  [first = "", ...others]: string[],
  expected: number,
) {
  await posted(server, "before", "Hello"); // so that there is a connection to pause
  await untilTold({ sql });
  const stored: Answer<Message>[] = [];
  const refused: Answer<unknown>[] = [];
  const send = (room: string) =>
    read<Message>(post(server, room, { body: "Hello" })).then((answer) => {
      if (answer.status === 201) stored.push(answer);
      else refused.push(answer);
    });
  using writes = await pauseWrites({ sql });
  const sent = server.chat.state.statements;
  const posts = [send(first)];
  await until(() => server.chat.state.statements > sent, "the first is being written");
  posts.push(...others.map(send));
  await until(() => refused.length === expected, "the queue is full");
  writes.resume();
  await Promise.all(posts);
  return { stored, refused };
}

/** Posts with an Idempotency-Key. */
function keyed<T = ProblemDetails>(
  server: { url: string },
  room: string,
  key: string,
  message: unknown,
): Promise<Answer<T>> {
  return read<T>(post(server, room, message, { "idempotency-key": key }));
}

/** Goes where an answer's Link of this relation leads, without waiting there. */
function follow(answer: Answer<unknown>, relation: string): Promise<Answer<Message[]>> {
  const target = linked(answer, relation);
  assert(target, `There is no link to ${relation}`);
  return read<Message[]>(fetch(`${target}&wait=0`));
}

/** Checks that an answer is this error, in the shape that all errors have. */
function assertProblem(
  answer: Answer<unknown>,
  status: number,
  type?: string,
  parameter?: string,
  what: string | undefined = parameter,
): void {
  assertEquals(answer.status, status, `${what ?? ""}: ${answer.text}`);
  const problem = answer.json as ProblemDetails;
  assertEquals(answer.headers.get("content-type"), "application/problem+json");
  assertEquals(answer.headers.get("cache-control"), "no-store");
  for (const name of ["type", "title", "detail", "error"] as const) {
    assertEquals(typeof problem[name], "string");
    assertGreater(problem[name].length, 0);
  }
  assertEquals(problem.status, status);
  assertEquals(problem.error, problem.detail);
  if (type) assertEquals(problem.type, `urn:linger:problem:${type}`);
  assertEquals(problem.parameter, parameter, what);
  if (parameter) assertStringIncludes(problem.detail, parameter);
}

/** Checks that an answer is this 503, and says when to come back. */
function assertUnavailable(answer: Answer<unknown>, type: string): void {
  assertProblem(answer, 503, type);
  assertMatch(answer.headers.get("retry-after") ?? "", /^\d+$/);
}

/** Checks that pages have all messages once and in order, each as many bytes as it may, and not fewer than needed. */
function assertPages(pages: Answer<Message[]>[], ids: string[], body: string): void {
  const sizes = pages.map((page) => new TextEncoder().encode(page.text).length);
  pages.forEach((page, i) => {
    const punctuation = page.json.length + 1; // brackets and commas
    assertLessOrEqual(sizes[i]!, 1_000_000 + punctuation);
    for (const message of page.json) assertEquals(message.body === body, true);
  });
  assertEquals(pages.flatMap((page) => page.json.map((message) => message.id)), ids);
  const needed = Math.ceil(sizes.reduce((sum, size) => sum + size, 0) / 1_000_000);
  assertLessOrEqual(pages.filter((page) => page.json.length > 0).length, needed + 1);
}

/** All the ways to write an id. */
function formsOf(id: string): string[] {
  const ulid = uuidToULID(id);
  return [id, id.toUpperCase(), ulid.toUpperCase(), ulid.toLowerCase()];
}

/** The time in an id, in milliseconds since 1970. */
function timeOf(id: string): number {
  return parseInt(id.replaceAll("-", "").slice(0, 12), 16);
}

/** The number of the message in its room. */
function numberOf(id: string): number {
  return parseInt(id.replaceAll("-", "").slice(12, 22), 16);
}

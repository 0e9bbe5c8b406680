// What was said in a room is found by its text, whatever its script, and only as it is now; and who searches all the time wears nobody down.
import { assert, assertEquals, assertFalse, assertRejects, assertThrows } from "@std/assert";
import { getEventListeners } from "node:events";
import type postgres from "postgres";
import { makeId, randomDigits, seqOf } from "../src/chat/cursor.ts";
import { Floors } from "../src/chat/floors.ts";
import { makeEntry } from "../src/chat/page.ts";
import { Reader } from "../src/chat/reader.ts";
import { Searcher, type Sought } from "../src/chat/searcher.ts";
import type { Store } from "../src/chat/store.ts";
import { type Allowance, UNLIMITED } from "../src/allowance.ts";
import { Limits } from "../src/limits.ts";
import { Linger, LingerError } from "../src/client/client.ts";
import { Problem } from "../src/problem.ts";
import { type Answer, get, linked, type Message, post, posted, type ProblemDetails, until } from "./support/client.ts";
import { middlebox } from "./support/middlebox.ts";
import { OwnPostgres } from "./support/own_postgres.ts";
import { type TestDatabase, testPostgres } from "./support/postgres.ts";
import { startServer, type TestServer } from "./support/server.ts";
import { stopped } from "./support/stopped.ts";
import { bearer, SECRET, tokenOf } from "./support/tokens.ts";

const postgresServer = await testPostgres();

const KEY = { "message-key": "a key that nobody else knows" };

/** A test with a server of its own. */
function test(name: string, run: (server: TestServer, database: TestDatabase) => Promise<void>): void {
  Deno.test(name, async () => {
    await using database = await postgresServer.create();
    await using server = await startServer(database.url);
    await run(server, database);
  });
}

/** Writes the messages of a new room into the database. */
async function fill(sql: postgres.Sql, room: string, count: number, body: (number: number) => string): Promise<void> {
  const now = Date.now();
  for (let from = 1; from <= count; from += 5_000) {
    const rows = Array.from({ length: Math.min(5_000, count - from + 1) }, (_, i) => {
      return { room, id: makeId(now, from + i, randomDigits()), body: body(from + i) };
    });
    await sql`insert into messages ${sql(rows)}`;
  }
  await sql`insert into heads values (${room}, ${count}, ${now})`;
}

/** One page of a search. */
function look(server: TestServer, q: string, more = "", room = "tea"): Promise<Answer<Message[]>> {
  return get(server, `/rooms/${room}/messages?${new URLSearchParams({ q })}${more}`);
}

/** What is found, oldest first, by going on from page to page. */
async function found(server: TestServer, q: string, more = ""): Promise<string[]> {
  const bodies: string[] = [];
  let page = await look(server, q, more);
  for (;;) {
    assertEquals(page.status, 200, page.text);
    bodies.unshift(...page.json.map(({ body }) => body));
    const prev = linked(page, "prev");
    if (!prev) return bodies;
    page = await read(prev);
  }
}

async function read(url: string): Promise<Answer<Message[]>> {
  const { origin, pathname, search } = new URL(url);
  return await get({ url: origin }, pathname + search);
}

test("A text is found wherever it stands, in large and small letters of all scripts", async (server) => {
  const pairs = [
    ["Say hello to all", "HELLO"],
    ["ÜBER den Wolken", "über"],
    ["Привет, МИР", "привет, мир"],
    ["ΟΔΥΣΣΕΥΣ", "οδυσσευς"], // whose last letter has a form of its own
    ["οδος", "ΟΔΟΣ"],
    ["Հայաստան", "ՀԱՅԱՍՏԱՆ"],
    ["𐐔𐐯𐑅𐐨𐑉𐐯𐐻", "𐐼𐐇𐑅"],
    ["Große Straße", "GROSSE STRASSE"],
    ["STRAẞE frei", "straße FREI"],
    ["İstanbul'da", "istanbul"],
    ["ISPARTA", "ısparta"],
    ["DİYARBAKIR", "diyarbakır"],
    ["caf\u00e9 noir", "CAFE\u0301"], // one code point, and two
    ["cre\u0300me", "CR\u00c8ME"],
    ["I\u0307zmir'de", "izmir"],
    ["zwei \u212bngstr\u00f6m", "a\u030angstro\u0308m"], // which is a sign of its own, and the letter once it is small
    ["300 \u212a warm", "300 k warm"],
    ["\ufb01ne \ufb02owers", "FINE FLOWERS"], // two letters in one
    ["EFFICIENT", "e\ufb03cient"],
    ["Wach\u017ftube", "WACHSTUBE"], // the long s
    ["한국어", "\u1112\u1161\u11ab국어"],
    ["東京へ行く", "京へ"],
    ["🦊🐻", "🦊🐻"],
  ] as const;
  for (const [body] of pairs) await posted(server, "tea", body);
  for (const [body, q] of pairs) assertEquals(await found(server, q), [body], q);
  for (const q of ["cafe n", "hello  to", "nowhere", "ello\nto"]) assertEquals(await found(server, q), [], q);
});

test("What has a meaning in patterns, in URLs or in SQL, is itself", async (server) => {
  const bodies = [
    "100%",
    "1000",
    "a_b",
    "axb",
    "a\\b",
    "a\\_b",
    "it's",
    "a&q=b",
    'x>; rel="next"',
    "a+b c",
    "%41%41",
    "$1 ?",
  ];
  for (const body of bodies) await posted(server, "tea", body);
  for (const body of bodies) {
    const q = body;
    assertEquals(await found(server, q), [body], q);
    assertEquals(await found(server, q, "&limit=1"), [body], q);
  }
  for (const q of ["%%", "__", "\\\\", "%b", "0_"]) assertEquals(await found(server, q), [], q);
});

test("A page is the last before a cursor that have it, ascending, and its Link goes on with the same search", async (server) => {
  for (let i = 1; i <= 12; i++) await posted(server, "tea", i % 2 ? `Tea & cake ${i}` : `coffee ${i}`);
  await posted(server, "den", "Tea & cake elsewhere");
  const odd = (...numbers: number[]) => numbers.map((number) => `Tea & cake ${number}`);
  const bodies = (page: Answer<Message[]>) => page.json.map(({ body }) => body);

  const newest = await look(server, "TEA & ", "&limit=2");
  assertEquals(bodies(newest), odd(9, 11));
  assertEquals(
    newest.headers.get("link"),
    `<?before=${newest.json[0]!.id}&limit=2&q=TEA%20%26%20>; rel="prev"`,
  );
  const second = await read(linked(newest, "prev")!);
  assertEquals(bodies(second), odd(5, 7));
  const third = await read(linked(second, "prev")!);
  assertEquals(bodies(third), odd(1, 3));
  assertEquals(await found(server, "tea &", "&limit=2"), odd(1, 3, 5, 7, 9, 11));

  const all = await look(server, "tea &", "&before=now");
  assertEquals(bodies(all), odd(1, 3, 5, 7, 9, 11));
  assertEquals(all.headers.get("link"), null);
  assertEquals(all.headers.get("content-length"), `${new TextEncoder().encode(all.text).length}`);
  const { id } = all.json[3]!;
  for (const cursor of [id, id.toUpperCase()]) {
    assertEquals(bodies(await look(server, "tea &", `&before=${cursor}`)), odd(1, 3, 5));
  }
  assertEquals(bodies(await look(server, "tea &", "", "nowhere")), []);
});

test(
  "A page looks at ten thousand messages at most: with none among them it is empty, and leads on",
  async (server, { sql }) => {
    using _clock = stopped(); // else a page ends after a second, and a step waits for five
    await fill(
      sql,
      "tea",
      10_500,
      (number) => number === 1 ? "the very first" : number === 501 ? "within reach" : `No. ${number}`,
    );
    const first = await look(server, "VERY FIRST");
    assertEquals(first.json, []);
    const prev = linked(first, "prev")!;
    assertEquals(seqOf(new URL(prev).searchParams.get("before")!), 501);
    const second = await read(prev);
    assertEquals([
      second.json.map(({ body }) => body),
      linked(second, "prev"),
    ], [["the very first"], undefined]);
    assertEquals((await look(server, "within reach")).json.length, 1); // the last at which was looked
    assertEquals(await found(server, "No. 1050"), ["No. 1050", "No. 10500"]);
  },
);

test(
  "Long messages are looked at a megabyte at a time, and found as much as one answer may have",
  async (server, { sql }) => {
    using _clock = stopped();
    await fill(sql, "tea", 250, (number) => `${"x".repeat(9_900)} No. ${number}.`);
    const page = await look(server, "no.", "&limit=1000");
    assertEquals(page.json.at(-1)!.body.slice(-8), "No. 250.");
    assert(page.text.length <= 1_000_000, `${page.text.length} bytes`);
    assert(page.text.length > 900_000, `${page.text.length} bytes`);
    const all = await found(server, "no.", "&limit=1000");
    assertEquals(all.map((body) => Number(body.slice(9_905, -1))), Array.from({ length: 250 }, (_, i) => i + 1));
    assertEquals((await look(server, "No. 1.")).json.length, 1); // behind two megabytes
  },
);

Deno.test("What was edited is found by its present text, what was deleted by none, on every server", async () => {
  await using database = await postgresServer.create();
  await using one = await startServer(database.url);
  await using other = await startServer(database.url);
  const said = async (body: string) => await (await post(one, "tea", { body }, KEY)).json() as Message;
  const change = async (id: string, init: RequestInit) => {
    const response = await fetch(`${one.url}/rooms/tea/messages/${id}`, init);
    await response.body?.cancel();
    assert(response.ok);
  };
  const [edited, deleted] = [await said("a secret word"), await said("a secret plan")];
  const headers = { "content-type": "application/json", ...KEY };
  assertEquals((await found(other, "secret")).length, 2);
  await change(edited.id, { method: "PATCH", headers, body: JSON.stringify({ body: "an open word" }) });
  await change(deleted.id, { method: "DELETE", headers });
  for (const server of [one, other]) {
    assertEquals(await found(server, "secret"), []);
    assertEquals(await found(server, "plan"), []);
    const { json: [message] } = await look(server, "open word");
    assertEquals([message!.id, message!.body, typeof message!.changed], [edited.id, "an open word", "string"]);
  }
});

test("What can't be searched for is refused by name", async (server) => {
  const refused = async (query: string) => {
    const answer = await get<ProblemDetails>(server, `/rooms/tea/messages?${query}`);
    assertEquals([answer.status, answer.json.parameter], [400, "q"], query);
    return answer.json.detail;
  };
  for (
    const q of [
      "",
      "a",
      "%F0%9F%A6%8A",
      "x".repeat(101),
      encodeURIComponent("🦊".repeat(101)),
      "a%00b",
      "ab%ff",
      "ab%C3",
    ]
  ) {
    await refused(`q=${q}`);
    await refused(`before=now&q=${q}`);
  }
  await refused("q=ab&q=cd");
  for (const other of ["after=now", "after=00000000-0000-0000-0000-000000000000", "wait=5", "wait=0", "changes=true"]) {
    assertEquals(
      await refused(`q=ab&${other}`),
      "q: looks back from before, and can't be given together with after, wait or changes",
    );
  }
  for (
    const q of ["ab", "%F0%9F%A6%8A".repeat(2), encodeURIComponent("🦊".repeat(100)), "ab&changes=false", "ab&other=x"]
  ) {
    assertEquals((await get(server, `/rooms/tea/messages?q=${q}`)).text, "[]");
  }
  const head = await fetch(`${server.url}/rooms/tea/messages?q=ab`, { method: "HEAD" });
  assertEquals([head.status, head.headers.get("content-length")], [200, null]);
});

Deno.test("No cache keeps what was found, and who may not read a room may not search it", async () => {
  await using database = await postgresServer.create();
  await using kept = await startServer(database.url, { HISTORY_MAX_AGE: "60" });
  const ids = [];
  for (let i = 0; i < 4; i++) ids.push((await posted(kept, "tea", "hello")).id);
  const query = `/rooms/tea/messages?before=${ids[3]}&limit=2`;
  assertEquals((await get(kept, query)).headers.get("cache-control"), "public, max-age=60");
  const answer = await get(kept, `${query}&q=hello`);
  assertEquals(answer.json.map(({ id }) => id), ids.slice(1, 3));
  assertEquals([answer.headers.get("cache-control"), answer.headers.get("etag")], ["no-store", null]);

  await using closed = await startServer(database.url, { TOKEN_SECRET: SECRET });
  const token = bearer(await tokenOf({ sub: "ada", read: ["den"] }));
  assertEquals((await get(closed, `${query}&q=hello`)).status, 401);
  assertEquals((await get(closed, `${query}&q=hello`, token)).status, 403);
  assertEquals((await get(closed, query.replace("tea", "den") + "&q=hello", token)).status, 200);
});

Deno.test("Where the database knows no letters but those of ASCII, these are found large and small, all others as they are", async () => {
  await using own = await OwnPostgres.start();
  await own.run("create database ascii encoding 'SQL_ASCII' template template0 lc_collate 'C' lc_ctype 'C'");
  await using server = await startServer(own.url("ascii"));
  for (const body of ["Grün wie GRAS", "привет 100%"]) await posted(server, "tea", body);
  for (const [q, count] of [["gras", 1], ["grün", 1], ["GRÜN", 0], ["привет", 1], ["Привет", 0], ["0%", 1]] as const) {
    assertEquals((await found(server, q)).length, count, q);
  }
});

// The client

Deno.test("The client finds the newest first, over pages without any, and asks no more than its reader takes", async () => {
  using _clock = stopped();
  await using database = await postgresServer.create();
  await using server = await startServer(database.url);
  await fill(database.sql, "tea", 20_500, (number) => [1, 2, 20_400].includes(number) ? `Needle ${number}` : "hay");
  await using box = middlebox(server, (_, forward) => forward());
  const room = new Linger(box.url).room("tea");
  const seen: string[] = [];
  for await (const { body } of room.history({ q: "needle" })) seen.push(body);
  assertEquals(seen, ["Needle 20400", "Needle 2", "Needle 1"]);
  assertEquals(box.seen.length, 3);

  for await (const { body } of room.history({ q: "needle", limit: 2 })) if (body === "Needle 20400") break;
  assertEquals(box.seen.length, 4);
  const [first] = (await room.history({ before: "now", limit: 1 })).messages;
  // @ts-expect-error: it goes back
  assertThrows(() => room.history({ q: "needle", after: first!.id }), TypeError, "it has no `after`");
  const found = room.history({ q: "100%", before: first!.id });
  assertEquals(await found.next(), { done: true, value: undefined });
  assertEquals(new URL(box.url + box.seen[5]!.slice(4)).searchParams.get("q"), "100%");
});

Deno.test("A client's search ends with its signal's reason, by a refusal, or quietly by return(), also while it waits", async () => {
  await using database = await postgresServer.create();
  await using server = await startServer(database.url);
  for (let i = 1; i <= 3; i++) await posted(server, "tea", `hello ${i}`);
  await using box = middlebox(server, ({ url }, forward) => url.includes("never") ? new Promise(() => {}) : forward());
  const room = new Linger(box.url).room("tea");
  const reason = new Error("enough");

  const ended = new AbortController();
  const seen: string[] = [];
  const searching = assertRejects(async () => {
    for await (const { body } of room.history({ q: "hello", signal: ended.signal })) {
      seen.push(body);
      if (seen.length === 2) ended.abort(reason);
    }
  });
  assertEquals([await searching, seen], [reason, ["hello 3", "hello 2"]]);
  assertEquals(await assertRejects(() => room.history({ q: "hello", signal: ended.signal }).next()), reason);

  const waiting = new AbortController();
  const next = assertRejects(() => room.history({ q: "never", signal: waiting.signal }).next());
  await until(() => box.seen.length === 2, "it waits");
  waiting.abort(reason);
  assertEquals(await next, reason);
  for (const { signal } of [ended, waiting]) assertEquals(getEventListeners(signal, "abort").length, 0);

  const during = new AbortController();
  const left = room.history({ q: "never", signal: during.signal });
  const nothing = left.next();
  await until(() => box.seen.length === 3, "it waits again");
  assertEquals(await left.return!(), { done: true, value: undefined });
  assertEquals(await nothing, { done: true, value: undefined });
  assertEquals(getEventListeners(during.signal, "abort").length, 0);

  const unread = room.history({ q: "hello", signal: during.signal });
  await unread.next();
  during.abort(reason); // while its reader is busy, who may never come for more
  assertEquals(getEventListeners(during.signal, "abort").length, 0);
  assertEquals(await assertRejects(() => unread.next()), reason);

  const refused = await assertRejects(() => room.history({ q: "x" }).next(), LingerError);
  assertEquals([refused.status, refused.problem?.detail], [400, "q: must be 2 to 100 characters"]);
});

Deno.test("A client takes no page of a server that does not know how to search", async () => {
  await using database = await postgresServer.create();
  await using server = await startServer(database.url);
  for (const body of ["hello", "other"]) await posted(server, "tea", body);
  let before = 2; // requests that such a server answers
  await using box = middlebox(server, ({ url }, forward) => {
    return before-- > 0
      ? fetch(`${server.url}/rooms/tea/messages?before=now&limit=${new URL(url).searchParams.get("limit")}`)
      : forward();
  });
  const seen: string[] = [];
  for await (const { body } of new Linger(box.url).room("tea").history({ q: "hello", limit: 1 })) seen.push(body);
  assertEquals([seen, box.seen.length], [["hello"], 4]); // twice in vain, and once more where the page was full
});

// The turns

/** A store that looks when the test lets it, at rooms of ten thousand messages without the text. */
function slowly(now?: () => number, reader: Pick<Reader, "run"> = { run: (_allowance, _room, read) => read() }) {
  const steps: { room: string; end: () => void }[] = [];
  const store = {
    hasIcu: () => Promise.resolve(true),
    search: async ({ room, before }: { room: string; before: string }) => {
      await new Promise<void>((end) => steps.push({ room, end }));
      return { entries: [], next: makeId(1, seqOf(before) - 1_000, "0000000000") };
    },
  };
  const searcher = new Searcher(store, reader, now);
  const sought = (room: string, signal = new AbortController().signal): Sought => ({
    ...{ room, text: "hello", limit: 10 },
    before: makeId(1, 20_000, "0000000000"),
    client: { signal },
  });
  return { searcher, steps, sought };
}

/** Lets everything happen that needs no timer. */
const settled = () => new Promise((resolve) => setTimeout(resolve));

/** Ends step after step until a search has its page; returns the rooms of the steps. */
async function steppedUntil(steps: { room: string; end: () => void }[], done: Promise<unknown>): Promise<string[]> {
  const rooms: string[] = [];
  let over = false;
  done.finally(() => over = true).catch(() => {});
  for (await settled(); !over; await settled()) {
    const step = steps.shift();
    if (!step) continue;
    rooms.push(step.room);
    step.end();
  }
  return rooms;
}

/** Clients who take turns, and may read as much as they like. */
const [eve, ada] = ["eve", "ada"].map((client) => ({ ...UNLIMITED, client, read: () => {} }) as unknown as Allowance);

Deno.test("Of all searches one step is under way, and who searches much waits for himself", async () => {
  using _clock = stopped();
  const { searcher, steps, sought } = slowly();
  const crowd = Array.from({ length: 5 }, () => searcher.page(sought("crowd"), eve!));
  await settled();
  assertEquals(steps.length, 1);
  const rooms = await steppedUntil(steps, searcher.page(sought("garden"), ada!));
  assertEquals(rooms.filter((room) => room === "garden").length, 10);
  assert(rooms.length <= 20, `${rooms}`); // in turn
  await steppedUntil(steps, Promise.all(crowd));
});

Deno.test("Nobody's search waits behind the reads of another who searches, too", async () => {
  using _clock = stopped();
  const reader = new Reader({} as Store, new Floors(), 2);
  const { searcher, steps, sought } = slowly(undefined, reader);
  const read = () => new Promise<void>((end) => steps.push({ room: "read", end }));
  const crowd: Promise<unknown>[] = Array.from({ length: 200 }, () => reader.run(eve!, "crowd", read));
  crowd.push(searcher.page(sought("crowd"), eve!));
  await settled();
  const rooms = await steppedUntil(steps, searcher.page(sought("garden"), ada!));
  assertEquals(rooms.filter((room) => room === "garden").length, 10);
  assert(rooms.length <= 70, `${rooms}`); // in turn: a step of each, and two reads before each step
  await steppedUntil(steps, Promise.all(crowd));
});

Deno.test("A search ends where it is when its client leaves, or a second is over", async () => {
  const { searcher, steps, sought } = slowly();
  const leaving = new AbortController();
  const left = searcher.page(sought("garden", leaving.signal), UNLIMITED);
  await settled();
  leaving.abort();
  assertEquals((await steppedUntil(steps, left)).length, 1);

  let now = 0;
  const slow = slowly(() => now += 400);
  const page = slow.searcher.page(slow.sought("garden"), UNLIMITED);
  assertEquals((await steppedUntil(slow.steps, page)).length, 2);
  const { page: { body }, prev } = await page;
  assertEquals([new TextDecoder().decode(body), seqOf(prev!)], ["[]", 18_000]);
});

Deno.test("A search counts as ten reads of what one client may take, before it has begun", async () => {
  const limits = new Limits({ POSTS_PER_MINUTE: 300, PLACES_PER_CLIENT: 200, PROXY_HOPS: 1, HOST: "0.0.0.0" }, () => 0);
  const allowance = limits.of(new Headers({ "x-forwarded-for": "203.0.113.1" }), { remoteAddr: {} }, null);
  let looked = 0;
  const store = {
    hasIcu: () => Promise.resolve(true),
    search: () =>
      Promise.resolve({
        entries: [makeEntry("tea", makeId(1, ++looked, "0000000000"), null, "hello")],
        next: undefined,
      }),
  };
  const searcher = new Searcher(store, { run: (_allowance, _room, read) => read() });
  const { sought } = slowly();
  for (let i = 0; i < 20; i++) assertFalse((await searcher.page(sought("tea"), allowance)).prev);
  const refusal = await assertRejects(() => searcher.page(sought("tea"), allowance), Problem);
  assertEquals([refusal.status, looked], [429, 20]);
});

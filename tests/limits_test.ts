// One client can't take what others need; and who is one client is told by a token or an address, never by what anybody can write.
import {
  assert,
  assertEquals,
  assertFalse,
  assertGreater,
  assertGreaterOrEqual,
  assertMatch,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { clientAddressOf, forwardedFor } from "../src/identity/address.ts";
import { type Allowance, UNLIMITED } from "../src/allowance.ts";
import { Limits } from "../src/limits.ts";
import { makeId, NIL, NOW } from "../src/chat/cursor.ts";
import { Floors } from "../src/chat/floors.ts";
import { NewRooms } from "../src/chat/new-rooms.ts";
import { Places } from "../src/chat/places.ts";
import { Reader } from "../src/chat/reader.ts";
import type { Store } from "../src/chat/store.ts";
import type { Posted } from "../src/chat/writer.ts";
import { Problem, unauthorized, unavailable } from "../src/problem.ts";
import { get, messages, post, type ProblemDetails, read, until } from "./support/client.ts";
import { writeHistory } from "./support/history.ts";
import { hold, pauseWrites, testPostgres, untilTold } from "./support/postgres.ts";
import { spawnServer, startServer, type TestServer } from "./support/server.ts";
import { bearer, SECRET, tokenOf } from "./support/tokens.ts";

const postgres = await testPostgres();

/** The settings' defaults, with one proxy. */
const SETTINGS = { POSTS_PER_MINUTE: 300, PLACES_PER_CLIENT: 200, PROXY_HOPS: 1, HOST: "0.0.0.0" };

const at = (hostname?: string) => ({ remoteAddr: { ...hostname !== undefined && { hostname } } });

const from = (...addresses: string[]) => new Headers({ "x-forwarded-for": addresses.join(", ") });

Deno.test("clientAddressOf() reads addresses as proxies write them, and takes an IPv6 network for one client", () => {
  const addresses: [text: string, address: string | undefined, counted?: boolean][] = [
    ["203.0.113.7", "203.0.113.7", true],
    [" 203.0.113.7:4711 ", "203.0.113.7", true],
    ["::ffff:203.0.113.7", "203.0.113.7", true],
    ["2001:DB8:0:1::42", "2001:db8:0:1::/64", true],
    ["[2001:db8:0:1:ffff:1:2:3]:4711", "2001:db8:0:1::/64", true],
    ["2001:db8::1", "2001:db8:0:0::/64", true],
    ["2001:db8:0:2::1", "2001:db8:0:2::/64", true],
    ["127.0.0.1", "127.0.0.1", false],
    ["::ffff:10.1.2.3", "10.1.2.3", false],
    ["172.31.0.1", "172.31.0.1", false],
    ["172.32.0.1", "172.32.0.1", true],
    ["192.168.1.1", "192.168.1.1", false],
    ["169.254.1.1", "169.254.1.1", false],
    ["::1", "0:0:0:0::/64", false],
    ["fd00::1", "fd00:0:0:0::/64", false],
    ["fe80::1%eth0", "fe80:0:0:0::/64", false],
    ["unknown", undefined],
    ["", undefined],
    ["1.2.3", undefined],
  ];
  for (const [text, address, counted] of addresses) {
    assertEquals(
      clientAddressOf(text, false),
      address === undefined ? undefined : { address, counted: counted! },
      text,
    );
  }
  assertEquals(clientAddressOf("10.1.2.3", true)?.counted, true);
});

Deno.test("forwardedFor() counts addresses from the right, however much stands to the left", () => {
  const headers = ["", ",", "a", "a,b", ",b", "a,,c", "a,b,", `${"x,".repeat(30_000)}b,c`, `${"x".repeat(101)},c`];
  for (const header of headers) {
    for (const hops of [1, 2, 3, 4]) {
      const written = header.split(",").at(-hops);
      assertEquals(forwardedFor(header, hops), written && written.length > 100 ? undefined : written, header.slice(-9));
    }
  }
  assertEquals(forwardedFor(null, 1), undefined);
});

Deno.test("Limits tells clients apart by sub, else by the address that the outermost of our proxies has seen", () => {
  const limits = new Limits(SETTINGS);
  const of = (headers: Headers, sub?: string) => limits.of(headers, at("127.0.0.1"), sub).client;
  assertEquals(of(from("203.0.113.7")), of(from("203.0.113.7")));
  assert(of(from("203.0.113.7")) !== of(from("203.0.113.8")));
  // What a client writes itself stands to the left.
  assertEquals(of(from("198.51.100.1", "203.0.113.7")), of(from("203.0.113.7")));
  assertEquals(of(from("2001:db8::1")), of(from("2001:db8::2")));
  assertEquals(of(from("203.0.113.7"), "ada"), of(from("203.0.113.8"), "ada"));
  assert(of(from("203.0.113.7"), "ada") !== of(from("203.0.113.7"), "bob"));
  assert(of(from("203.0.113.7"), "in 203.0.113.7") !== of(from("203.0.113.7")));

  const two = new Limits({ ...SETTINGS, PROXY_HOPS: 2 });
  assertEquals(two.of(from("9.9.9.9", "203.0.113.7", "10.0.0.2"), at("127.0.0.1"), null).client, "in 203.0.113.7");
  assertEquals(two.of(from("203.0.113.7"), at("198.51.100.2"), null).client, "in 198.51.100.2"); // not by all of them
  // A client that has not come by the first of them writes what he likes, and each text would be remembered.
  assertEquals(two.of(from("9".repeat(101), "203.0.113.7"), at("198.51.100.2"), null).client, "in 198.51.100.2");
  assertEquals(two.of(from(" 9.9.9.9".padEnd(99), "203.0.113.7"), at("198.51.100.2"), null).client, "in 9.9.9.9");
  // A proxy that keeps to itself whom it has it from.
  for (const written of ["unknown", "", "_hidden"]) {
    for (const remote of ["127.0.0.1", "198.51.100.2"]) {
      const { client, unlimited } = limits.of(from(written), at(remote), null);
      assertEquals([client, unlimited], [`in ${remote}`, false], written);
    }
    assert(limits.of(from(written), at(), null).unlimited, "over a Unix socket");
  }
});

Deno.test("Limits: without proxies the header is nobody's word, and private addresses stand for many", () => {
  const limits = new Limits({ ...SETTINGS, PROXY_HOPS: 0 });
  assertEquals(limits.of(from("203.0.113.7"), at("198.51.100.2"), null).client, "in 198.51.100.2");
  assertFalse(limits.of(from("203.0.113.7"), at("198.51.100.2"), null).unlimited);
  for (const remote of ["127.0.0.1", "10.0.0.1", "::1", undefined]) {
    assert(limits.of(new Headers(), at(remote), null).unlimited, remote);
  }
  assertFalse(limits.of(new Headers(), at("127.0.0.1"), "ada").unlimited, "a sub is one client wherever it is");
});

Deno.test("A client posts as many at once as there is room for, and then at its rate", () => {
  let now = 0;
  const limits = new Limits(SETTINGS, () => now);
  const client = limits.of(from("203.0.113.7"), at(), null);
  for (let i = 0; i < 20; i++) client.post();
  const problem = assertThrows(() => client.post(), Problem);
  assertEquals([problem.status, problem.type, problem.headers], [429, "too-many-requests", {
    "retry-after": "1",
    "ratelimit-policy": '"posts";q=300;w=60',
    "ratelimit": '"posts";r=0;t=1',
  }]);
  limits.of(from("203.0.113.8"), at(), null).post(); // another has all of its own
  let posted = 0;
  for (; now <= 60_000; now += 100) posted += attempt(() => client.post());
  assertEquals(posted, 300);
});

Deno.test("Who asks again and again without a pause has to wait for his refusals, until he pauses", () => {
  let now = 0;
  const client = new Limits(SETTINGS, () => now).of(from("203.0.113.7"), at(), null);
  const delay = () => assertThrows(() => client.post(), Problem).delayMs;
  for (let i = 0; i < 20; i++) client.post();
  assertEquals(Array.from({ length: 21 }, delay), [...Array(20).fill(0), 2_000]);
  now = 60_000;
  for (let i = 0; i < 20; i++) client.post();
  assertEquals(delay(), 0);
});

Deno.test("Whoever is refused for want of place is answered when it may ask again", () => {
  const places = new Places(1);
  places.enter("poll", UNLIMITED);
  const problem = assertThrows(() => places.enter("poll", UNLIMITED), Problem);
  assertEquals([problem.delayMs, problem.headers["retry-after"]], [1_000, "1"]);
});

Deno.test("No rate and no places are bounded where the setting is 0", () => {
  const client = new Limits({ ...SETTINGS, POSTS_PER_MINUTE: 0, PLACES_PER_CLIENT: 0 }).of(
    from("203.0.113.7"),
    at(),
    null,
  );
  for (let i = 0; i < 10_000; i++) {
    client.post();
    client.enter("poll");
  }
});

Deno.test("A client has its places, a third of them for streams, and a sub fewer than an address", () => {
  const limits = new Limits(SETTINGS);
  for (const [sub, places, streams] of [[null, 200, 66], ["ada", 30, 10]] as const) {
    const client = limits.of(from("203.0.113.7"), at(), sub);
    for (let i = 0; i < streams; i++) client.enter("stream");
    assertThrows(() => client.enter("stream"), Problem, `${streams} event streams`);
    for (let i = streams; i < places; i++) client.enter("poll");
    assertThrows(() => client.enter("poll"), Problem, `${places} polls`);
    client.leave("stream");
    client.enter("poll");
    assertThrows(() => client.enter("stream"), Problem);
  }
});

Deno.test("The last tenth of all places is for clients that have none", () => {
  const limits = new Limits({ ...SETTINGS, PLACES_PER_CLIENT: 0 });
  const places = new Places(20);
  const many = limits.of(from("203.0.113.7"), at(), null);
  for (let i = 0; i < 18; i++) places.enter("poll", many);
  assertThrows(() => places.enter("poll", many), Problem, "Too many clients");
  const others = ["203.0.113.8", "203.0.113.9"].map((address) => limits.of(from(address), at(), null));
  for (const other of others) places.enter("stream", other);
  assertThrows(() => places.enter("poll", limits.of(from("203.0.113.10"), at(), null)), Problem);
  assertEquals([places.polls, places.streams], [18, 2]);
  for (let i = 0; i < 18; i++) places.leave("poll", many);
  for (const other of others) places.leave("stream", other);
  assertEquals([places.polls, places.streams, many.holds], [0, 0, false]);
});

Deno.test("Whoever is not counted may take all places", () => {
  const places = new Places(20);
  for (let i = 0; i < 20; i++) places.enter("poll", UNLIMITED);
  assertThrows(() => places.enter("poll", UNLIMITED), Problem, "Too many clients");
  for (let i = 0; i < 20; i++) places.leave("poll", UNLIMITED);
});

Deno.test("Limits remembers a bounded number of clients, and every one that holds a place", () => {
  const limits = new Limits(SETTINGS);
  const waiting = limits.of(from("203.0.113.7"), at(), null);
  waiting.enter("poll");
  for (let i = 0; i < 100_000; i++) {
    limits.of(from(`2001:db8:${(i >> 8).toString(16)}:${(i & 255).toString(16)}::1`), at(), null);
  }
  assertStrictEquals(limits.of(from("203.0.113.7"), at(), null), waiting);
  assertGreater(50_000, limits.size);
  waiting.leave("poll");
});

Deno.test("Limits remembers what a client has taken, however many hold places", () => {
  const limits = new Limits(SETTINGS, () => 0);
  const addressOf = (i: number) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`;
  const waiting = Array.from({ length: 25_000 }, (_, i) => {
    const client = limits.of(from(addressOf(i)), at(), null);
    client.enter("poll");
    return client;
  });
  const client = () => limits.of(from("203.0.113.7"), at(), null);
  for (let i = 0; i < 20; i++) client().post();
  for (let i = 0; i < 5_000; i++) {
    assertStrictEquals(limits.of(from(addressOf(i)), at(), null), waiting[i]);
    limits.of(from(`198.51.${i >> 8}.${i & 255}`), at(), null);
  }
  assertThrows(() => client().post(), Problem);
  assertGreater(150_000, limits.size);
  for (const client of waiting) client.leave("poll");
});

Deno.test("Limits forgets the addresses of a network from which somebody holds a place", () => {
  const limits = new Limits(SETTINGS);
  const addressOf = (i: number) => `2001:db8::${(i >> 16).toString(16)}:${(i & 0xffff).toString(16)}`;
  const waiting = limits.of(from("2001:db8::1"), at(), null);
  waiting.enter("poll");
  for (let i = 0; i < 50_000; i++) {
    assertStrictEquals(limits.of(from(addressOf(i)), at(), null), waiting);
    assertGreater(45_000, limits.size);
  }
  waiting.leave("poll");
});

Deno.test("Limits forgets nobody for the addresses of another, however many he has", () => {
  const limits = new Limits(SETTINGS, () => 0);
  const client = () => limits.of(new Headers(), at(), "ada");
  for (let i = 0; i < 20; i++) client().post();
  for (let i = 0; i < 100_000; i++) {
    limits.of(from(`2001:db8::${(i >> 16).toString(16)}:${(i & 0xffff).toString(16)}`), at(), null);
  }
  assertThrows(() => client().post(), Problem);
});

Deno.test("Limits takes a network for one client for as long as one of its addresses is known", () => {
  const limits = new Limits(SETTINGS);
  const client = limits.of(from("2001:db8::1"), at(), null);
  for (let i = 0; i < 50_000; i++) {
    limits.of(from(`203.0.${i >> 8}.${i & 255}`), at(), null);
    if (i % 1_000 === 0) limits.of(from("2001:db8::1"), at(), null);
  }
  assertStrictEquals(limits.of(from("2001:db8::1"), at(), null), client);
  assertStrictEquals(limits.of(from("2001:db8::2"), at(), null), client);
});

Deno.test("A server refuses what one client posts too much, tells when to come back, and serves the others", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { PROXY_HOPS: "1", POSTS_PER_MINUTE: "5" });
  const flood = { "x-forwarded-for": "203.0.113.7" };
  const answers = await Promise.all(
    Array.from({ length: 12 }, () => read<{ type: string }>(post(server, "room", { body: "x" }, flood))),
  );
  const refused = answers.filter(({ status }) => status === 429);
  assertGreater(refused.length, 0);
  assertEquals(answers.length - refused.length, (await messages(server, "room", "wait=0")).length);
  assertEquals(refused[0]!.json.type, "urn:linger:problem:too-many-requests");
  assertMatch(refused[0]!.headers.get("retry-after")!, /^\d+$/);
  assertEquals(refused[0]!.headers.get("ratelimit-policy"), '"posts";q=5;w=60');
  for (const headers of [{ "x-forwarded-for": "203.0.113.8" }, { "x-forwarded-for": "203.0.113.7, 203.0.113.9" }]) {
    assertEquals((await read(post(server, "room", { body: "y" }, headers))).status, 201);
  }
});

Deno.test("A server whose queue is full of one client's bytes refuses the newest of them, and stores another's post", async () => {
  await using database = await postgres.create();
  const env = { PROXY_HOPS: "1", MAX_QUEUED_BYTES: "100000", STATEMENT_TIMEOUT_MS: "600000" };
  await using server = await startServer(database.url, env);
  const say = (body: string, client: string) =>
    read<{ type: string }>(post(server, "room", { body }, { "x-forwarded-for": client }));
  assertEquals((await say("first", "203.0.113.7")).status, 201);
  await untilTold(database);
  using writes = await pauseWrites(database);
  const sent = server.chat.state.statements;
  const posts = [say("under way", "203.0.113.7")];
  await until(() => server.chat.state.statements > sent, "a statement is under way");
  const refused: string[] = [];
  for (let i = 0; i < 10; i++) {
    const flood = say("x".repeat(9_900), "203.0.113.7");
    posts.push(flood);
    void flood.then(({ status, json }) => status === 503 && refused.push(json.type));
  }
  await until(() => refused.length === 1, "nine fit");
  posts.push(say("y".repeat(9_900), "203.0.113.8"));
  await until(() => refused.length === 2, "the other has taken a place");
  writes.resume();
  const statuses = (await Promise.all(posts)).map(({ status }) => status);
  assertEquals([statuses[0], statuses[11]], [201, 201]);
  assertEquals(refused, Array(2).fill("urn:linger:problem:not-stored"));
  assertEquals((await messages(server, "room", "wait=0")).length, 11);
});

Deno.test("Long pages count as many reads, however they are asked for, and another client's are none of his", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { PROXY_HOPS: "1" });
  await writeHistory(database.sql, "room", Array.from({ length: 99 }, () => [1_000, "ada", "x".repeat(9_900)]));
  const ask = async (address: string, path: string) => {
    const headers = { "x-forwarded-for": address, connection: "close" };
    const response = await fetch(`${server.url}/rooms/room/${path}`, { headers });
    const text = await response.text();
    // Who has read so little that he wonders is told what counts.
    if (!response.ok) assertStringIncludes(text, "This client reads, or is given 100 kB, too often: 1200 times");
    return response.status;
  };
  const paths = [
    `messages?after=${NIL}&limit=1000&wait=0`,
    `messages?after=${NIL}&limit=1000`,
    "messages?before=now&limit=1000",
  ];
  for (const [i, path] of paths.entries()) {
    let asked = 1; // each counts as ten: of those that a client has at once, twenty are too many
    while (await ask(`203.0.113.${i}`, path) === 200) assert(++asked < 150, path);
    assertEquals(await ask("203.0.113.9", "messages?before=now&limit=1"), 200);
  }
});

Deno.test("A client begins so many rooms, and posts on into those that are there", async () => {
  await using database = await postgres.create();
  const env = { TOKEN_SECRET: SECRET, POSTS_PER_MINUTE: "0" };
  const everything = bearer(await tokenOf({ read: ["*"], write: ["*"] }));
  const write = async (server: TestServer, room: string) =>
    (await read(post(server, room, { body: "x" }, everything))).status;
  {
    await using server = await startServer(database.url, env);
    for (let i = 0; i < 20; i++) assertEquals(await write(server, `room${i}`), 201, `room${i}`);
    assertEquals(await write(server, "room20"), 429);
    assertEquals(await write(server, "room7"), 201);
    assertEquals((await database.sql`select from heads`).length, 20);
  }
  // A server that has not heard of them yet: what is there is not counted, nor what was there and has been removed.
  await database.sql`delete from messages where room = 'room19'`;
  await using server = await startServer(database.url, env);
  for (let i = 0; i < 10; i++) assertEquals(await write(server, `room${i}`), 201, `room${i} again`);
  for (let i = 20; i < 40; i++) assertEquals(await write(server, `room${i}`), 201, `room${i}`);
  assertEquals(await write(server, "room40"), 429);
  for (let i = 10; i < 20; i++) assertEquals(await write(server, `room${i}`), 201, `room${i} again`);
});

Deno.test("Posts into rooms that are there take nothing but posts of a client, however many such rooms a server has not heard of", async () => {
  const allowance = new Limits({ ...SETTINGS, POSTS_PER_MINUTE: 0 }, () => 0).of(from("203.0.113.7"), at(), null);
  const floors = new Floors();
  const store = { hasBegun: (room: string) => Promise.resolve(room.startsWith("room")) };
  const newRooms = new NewRooms(store, floors, new Reader({} as Store, floors, 2));
  const post = (room: string) =>
    newRooms.counted(
      room,
      allowance,
      () => Promise.resolve({ replayed: false, entry: { id: makeId(1, 2, "0123456789") } } as Posted),
    );
  for (let i = 0; i < 20; i++) allowance.beginRoom();
  await Promise.all(Array.from({ length: 300 }, (_, i) => post(`room${i}`)));
  allowance.read(200);
  const refusal = await assertRejects(() => post("another"), Problem);
  assertEquals([refusal.status, refusal.delayMs], [429, 0]);
});

Deno.test("A server that has no place left for one client has some for others, polls and streams", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { PROXY_HOPS: "1", PLACES_PER_CLIENT: "3" });
  const leaving = new AbortController();
  const ask = (address: string, path = "messages?after=now&wait=50") =>
    fetch(`${server.url}/rooms/room/${path}`, { headers: { "x-forwarded-for": address }, signal: leaving.signal });
  const polls = ["203.0.113.7", "203.0.113.7", "203.0.113.8"].map((address) => ask(address));
  await until(() => server.chat.state.waiters === 3, "they wait");
  const stream = await ask("203.0.113.7", "events");
  assertEquals(stream.status, 200);
  for (const path of [undefined, "events"]) {
    const answer = await ask("203.0.113.7", path);
    assertEquals([answer.status, answer.headers.get("retry-after")], [429, "5"]);
    await answer.body?.cancel();
  }
  polls.push(ask("203.0.113.9"));
  await until(() => server.chat.state.waiters === 4, "another waits");
  leaving.abort();
  await Promise.allSettled(polls);
  await until(() => server.chat.state.waiters + server.chat.state.subscribers === 0, "all places are free again");
});

Deno.test("A poll waits for no turn of another client's, whatever he has asked for in the same room before", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const limits = new Limits(SETTINGS, () => 0); // nothing is given back meanwhile
  const [attacker, ...others] = ["203.0.113.7", "203.0.113.8", "203.0.113.9"].map((address) =>
    limits.of(from(address), at(), null)
  );
  const { signal } = new AbortController();
  const poll = (allowance: Allowance) =>
    server.chat.poll("room", { after: NIL, limit: 10, wait: 0, changes: false, client: { signal }, allowance });
  await messages(server, "another", "wait=0"); // all connections are there
  await using reading = await hold(database, (sql) => sql`lock table messages in access exclusive mode`);
  const answered: string[] = [];
  const reads = Array.from({ length: 60 }, (_, i) => {
    const read = i < 59 ? server.chat.read(`room${i}`, NOW, 10, attacker) : poll(attacker!);
    return read.then(() => answered.push("attacker"));
  });
  const polls = others.map((other) => poll(other).then(() => answered.push("other")));
  await reading.end();
  await Promise.all([...reads, ...polls]);
  assertGreater(50, answered.lastIndexOf("other"));

  // Nor is he told what another is refused.
  for (let i = 0; i < 2_000; i++) attempt(() => attacker!.read());
  const refused = poll(attacker!).then(() => 200, ({ status }: Problem) => status);
  await poll(others[0]!);
  assertEquals(await refused, 429);
});

Deno.test("Whoever shows tokens that don't hold, one after the other, has no more of them verified; others have", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { TOKEN_SECRET: SECRET, PROXY_HOPS: "1", REVOKED: "gone" });
  const ask = (address: string, token: string, path = "/rooms/a/messages?wait=0") =>
    read(fetch(server.url + path, { headers: { "x-forwarded-for": address, ...bearer(token) } }));
  const claims = { read: ["*"] };
  // As many as there may be behind one address come at once when a server has started anew: theirs hold.
  const good = await Promise.all(Array.from({ length: 60 }, (_, i) => tokenOf({ ...claims, sub: `s${i}` })));
  for (const { status } of await Promise.all(good.map((token) => ask("203.0.113.7", token)))) assertEquals(status, 200);

  // A page whose token has been revoked goes on asking with it: that is known, and costs the others nothing.
  const gone = await tokenOf({ ...claims, sub: "gone" });
  for (let i = 0; i < 60; i++) assertEquals((await ask("203.0.113.7", gone)).status, 401);
  assertEquals((await ask("203.0.113.7", await tokenOf({ ...claims, sub: "one more" }))).status, 200);

  const bad = async (i: number) =>
    `${await tokenOf({ ...claims, sub: `bad${i}` }, "another secret, which no server has")}`;
  const paths = ["/rooms/a/messages?wait=0", "/rooms", "/rooms/a/events"];
  let shown = 0;
  /** The first answer that is none to the token itself: each second gives one more, so it is no certain number. */
  const exhausted = async () => {
    for (;;) {
      const answer = await ask("203.0.113.7", await bad(++shown), paths[shown % 3]);
      if (answer.status !== 401) return answer;
    }
  };
  const refused = await exhausted();
  assertGreaterOrEqual(shown, 20);
  assertEquals([refused.status, refused.headers.get("ratelimit-policy")], [429, '"bad-tokens";q=60;w=60']);
  assertEquals(
    (refused.json as ProblemDetails).detail,
    "This client shows tokens that are not valid too often: 60 times in 60 seconds are allowed, 20 of them at once; nothing was done",
  );
  await until(async () => {
    await exhausted();
    return (await ask("203.0.113.7", await tokenOf({ ...claims, sub: `new${shown}` }))).status === 429;
  }, "nor is one verified that holds");
  assertEquals((await ask("203.0.113.7", good[0]!)).status, 200); // which is known
  assertEquals((await ask("203.0.113.8", await bad(1_001))).status, 401);
  assertEquals((await ask("203.0.113.8", await tokenOf({ ...claims, sub: "new" }))).status, 200);
  const health = await ask("203.0.113.7", await bad(1_002), "/healthz");
  assertEquals([health.status, Object.keys(health.json as object)], [200, ["status", "version"]]);
});

Deno.test("Tokens that don't hold are charged however many come at once; those of many that hold all come in", async () => {
  let now = 0;
  const client = new Limits(SETTINGS, () => now).of(from("203.0.113.7"), at(), null);
  const underWay: PromiseWithResolvers<void>[] = [];
  /** How many of so many tokens that come at once are verified. */
  const come = (count: number) => {
    const before = underWay.length;
    for (let i = 0; i < count; i++) {
      client.verify(() => (underWay.push(Promise.withResolvers()), underWay.at(-1)!.promise)).catch(() => {});
    }
    return underWay.length - before;
  };
  /** So many of them end. */
  const end = async (count: number, error?: Problem) => {
    for (const { resolve, reject } of underWay.splice(0, count)) error ? reject(error) : resolve();
    await new Promise((resolve) => setTimeout(resolve));
  };
  const bad = unauthorized("The token is not valid");

  // Of nobody there is known yet that he shows bad ones.
  assertEquals(come(100), 100);
  await end(100);
  assertEquals(come(100), 100);
  await end(5, bad);
  assertEquals(come(1), 0); // 95 of them are under way
  await end(1, unavailable("The keys are not known yet")); // says nothing of a token
  assertEquals(come(1), 0);
  await end(1);
  assertEquals(come(6), 6); // there is one that holds
  await end(99, bad);
  assertEquals(underWay.length, 0);
  now = 59_000; // what is owed is bounded
  assertEquals(come(1), 0);
  now = 65_000;
  assertEquals(come(100), 5);
  await end(5);
  now = 200_000;
  assertEquals(come(100), 100);
  await end(100);
});

Deno.test("A read waits for no posts of another client's that would begin more rooms than he may", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const limits = new Limits({ ...SETTINGS, POSTS_PER_MINUTE: 0 });
  const [attacker, other] = ["203.0.113.7", "203.0.113.8"].map((address) => limits.of(from(address), at(), null));
  for (let i = 0; i < 20; i++) attacker!.beginRoom();
  await messages(server, "another", "wait=0"); // all connections are there
  await using reading = await hold(database, (sql) => sql`lock table messages in access exclusive mode`);
  const answered: (string | number)[] = [];
  const posts = Array.from({ length: 60 }, (_, i) => {
    const post = server.chat.post(
      `room${i}`,
      { bytes: 1, read: () => ({ body: "x", author: null, reply_to: null }) },
      null,
      attacker,
    );
    return post.catch(({ status }: Problem) => answered.push(status));
  });
  const read = server.chat.read("another", NOW, 10, other).then(() => answered.push("other"));
  await reading.end();
  await Promise.all([...posts, read]);
  assertGreater(50, answered.indexOf("other"));
  assertEquals(answered.filter((status) => status === 429).length, 60);
});

Deno.test("Where a proxy stands in front and PROXY_HOPS is not set, the log says so once", async () => {
  await using database = await postgres.create();
  await using server = await spawnServer(database.url);
  const ask = () => get(server, "/messages?wait=0", { "x-forwarded-for": "203.0.113.7" });
  await until(async () => {
    await ask();
    return server.log().includes("PROXY_HOPS");
  }, "it is said");
  await ask();
  assertEquals(server.log().split("PROXY_HOPS").length, 2);
});

/** What the log says when requests come so, one after the other. */
function told(PROXY_HOPS: number, headers: Headers): string[] {
  const [lines, error] = [[] as string[], console.error];
  console.error = (line: string) => lines.push(line);
  try {
    const limits = new Limits({ ...SETTINGS, PROXY_HOPS });
    for (let i = 0; i < 2; i++) limits.of(headers, at("198.51.100.2"), null);
  } finally {
    console.error = error;
  }
  return lines;
}

Deno.test("The log tells of a proxy also where its address is a client's, so that all behind it are one", () => {
  for (const headers of [from("203.0.113.7"), new Headers({ forwarded: "for=203.0.113.7" })]) {
    const lines = told(0, headers);
    assertEquals(lines.map((line) => line.includes("let it send X-Forwarded-For and set PROXY_HOPS")), [true]);
  }
});

Deno.test("The log tells once of requests that have come by fewer proxies than PROXY_HOPS says", () => {
  for (const headers of [new Headers(), from("203.0.113.7")]) {
    assertEquals(told(2, headers).map((line) => line.includes("fewer addresses in X-Forwarded-For")), [true]);
  }
  assertEquals(told(2, from("203.0.113.7", "10.0.0.2")), []);
  assertEquals(told(2, from("198.51.100.1", "203.0.113.7", "10.0.0.2")), []);
});

Deno.test("Nobody who is not counted is bounded", () => {
  for (let i = 0; i < 10_000; i++) {
    UNLIMITED.post();
    UNLIMITED.read();
    UNLIMITED.beginRoom();
  }
});

function attempt(take: () => void): number {
  try {
    take();
    return 1;
  } catch (problem) {
    assert(problem instanceof Problem);
    return 0;
  }
}

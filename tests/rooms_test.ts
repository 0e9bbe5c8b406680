// The list of rooms: true for two seconds, one look for all who ask, and no list at all rather than an old one.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { makeId, seqOf, timeOf } from "../src/chat/cursor.ts";
import { Rooms } from "../src/chat/rooms.ts";
import type { ListedRoom } from "../src/chat/store.ts";
import { get, LISTED_MS, posted, type ProblemDetails, until } from "./support/client.ts";
import { hold, testPostgres } from "./support/postgres.ts";
import { startServer } from "./support/server.ts";

const postgres = await testPostgres();

Deno.test("GET /rooms lists the rooms with the newest messages, newest first, each with the id of its newest", async () => {
  await using database = await postgres.create();
  const newest = new Map<string, string>();
  {
    await using server = await startServer(database.url);
    const say = async (room: string, body: string) => {
      const { id } = await posted(server, room, body);
      await until(() => Date.now() > timeOf(id), "no two are as new"); // which of them comes first would be open
    };
    for (let n = 0; n < 110; n++) await say(`room${n}`, "first");
    for (const room of ["room3", "room105", "room7"]) await say(room, "second");
    for (let n = 0; n < 110; n++) {
      const [{ id }] = await get<[{ id: string }]>(server, `/rooms/room${n}/messages?before=now&limit=1`)
        .then(({ json }) => json);
      newest.set(`room${n}`, id);
    }
    const answer = await get<ListedRoom[]>(server, "/rooms");
    assertEquals(answer.status, 200);
    assertEquals(answer.headers.get("content-type"), "application/json");
    assertEquals(answer.headers.get("cache-control"), "no-store");
    assertEquals(answer.json.length, 100);
    const expected = Array.from(newest, ([room, newest]) => ({ room, newest }))
      .sort((a, b) => a.newest < b.newest ? 1 : -1).slice(0, 100);
    assertEquals(answer.json, expected);
    assertEquals(answer.json.slice(0, 3).map(({ room }) => room), ["room7", "room105", "room3"]);
    assertEquals(answer.json.slice(0, 4).map(({ newest }) => seqOf(newest)), [2, 2, 2, 1]);
  }
});

Deno.test("Rooms whose messages were removed or changed keep no room with newer ones from the list", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const { sql } = database;
  const listed = async (room: string) => {
    const rooms = await server.chat.rooms();
    assertEquals((JSON.parse(rooms) as ListedRoom[])[0]?.room, room, rooms);
  };
  await posted(server, "kept", "One");
  await sql`insert into heads (room, seq, ms) select 'emptied-' || i, 1, ${
    Date.now() + 1_000
  } from generate_series(1, 2000) i`;
  await listed("kept");

  await sql`
    with changed as (
      insert into heads (room, seq, ms) select 'changed-' || i, 1, ${
    Date.now() + 2_000
  } from generate_series(1, 500) i returning room
    )
    insert into messages (room, id, body) select room, ${makeId(1, 1, "0123456789")}, 'old' from changed`;
  await until(async () => (await server.chat.rooms()).includes("changed-"), "the list is renewed", 90_000);
  await listed("kept");
});

Deno.test("Of ten thousand heads in which no message is left the list of rooms is given as it is, and not looked for further", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const { sql } = database;
  await posted(server, "kept", "One");
  await sql`insert into heads (room, seq, ms) select 'emptied-' || i, 1, ${
    Date.now() + 60_000
  } from generate_series(1, 10000) i`;
  assertEquals(await server.chat.rooms(), "[]");
  await sql`delete from heads where room = 'emptied-1'`;
  await until(async () => (await server.chat.rooms()).includes("kept"), "the list is renewed", 90_000);
});

Deno.test("Before the first message there are no rooms, and two seconds later the list knows of a message elsewhere", async () => {
  await using database = await postgres.create();
  await using one = await startServer(database.url);
  await using two = await startServer(database.url);
  assertEquals((await get(one, "/rooms")).text, "[]");
  const { id } = await posted(two, "tea", "Hello");
  await until(async () => (await get(one, "/rooms")).text !== "[]", "the list is renewed", LISTED_MS);
  assertEquals((await get<ListedRoom[]>(one, "/rooms")).json, [{ room: "tea", newest: id }]);
});

Deno.test("However many ask for the list, the database is asked once in two seconds", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  await posted(server, "tea", "Hello");
  const before = server.chat.state.statements;
  const began = performance.now();
  for (let round = 0; round < 5; round++) await Promise.all(Array.from({ length: 100 }, () => get(server, "/rooms")));
  const looks = 1 + Math.floor((performance.now() - began) / 2_000);
  assert(
    server.chat.state.statements - before <= looks + 1,
    "a look for each interval, and the notification of the post",
  );
});

Deno.test("A list is given out while it is younger than two seconds, counted from before its look, or fifty times as old as that took", async () => {
  let now = 0;
  const looks: PromiseWithResolvers<ListedRoom[]>[] = [];
  const rooms = new Rooms(
    {
      newestRooms: () => {
        looks.push(Promise.withResolvers());
        return looks.at(-1)!.promise;
      },
      newestOf: () => Promise.resolve([]),
    },
    100,
    () => now,
  );
  const asking = [rooms.list(), rooms.list()];
  now += 40;
  looks[0]!.resolve([{ room: "a", newest: "1" }]);
  assertEquals(await Promise.all(asking), Array(2).fill('[{"room":"a","newest":"1"}]'));
  now += 1_959;
  await rooms.list();
  assertEquals(looks.length, 1);
  now += 1;
  const next = rooms.list();
  assertEquals(looks.length, 2);
  now += 100;
  looks[1]!.resolve([]);
  assertEquals(await next, "[]");
  now += 4_899;
  await rooms.list();
  assertEquals(looks.length, 2);
  now += 1;
  void rooms.list();
  assertEquals(looks.length, 3);
});

Deno.test("A look that fails is told to all who wait for it; nobody is given the old list, and the next one looks again", async () => {
  let now = 0;
  let fails = false;
  let looks = 0;
  const rooms = new Rooms(
    {
      newestRooms: () => {
        looks++;
        return fails ? Promise.reject(new Error("away")) : Promise.resolve([]);
      },
      newestOf: () => Promise.resolve([]),
    },
    100,
    () => now,
  );
  await rooms.list();
  now += 2_000;
  fails = true;
  await Promise.all([rooms.list(), rooms.list()].map((asked) => assertRejects(() => asked, Error, "away")));
  assertEquals(looks, 2);
  await assertRejects(() => rooms.list(), Error, "away");
  fails = false;
  assertEquals(await rooms.list(), "[]");
  assertEquals(looks, 4);
});

Deno.test("GET /rooms answers 503 when the database can't be asked", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { STATEMENT_TIMEOUT_MS: "2000" });
  const holding = await hold(database, (sql) => sql`lock table heads`);
  const answer = await get<ProblemDetails>(server, "/rooms");
  assertEquals([answer.status, answer.json.type], [503, "urn:linger:problem:unavailable"]);
  assertEquals(answer.headers.get("retry-after"), "1");
  await holding.end();
  assertEquals((await get(server, "/rooms")).text, "[]");
});

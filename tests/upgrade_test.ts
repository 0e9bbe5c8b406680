// The step from the version before: its data, its servers that go on beside the new ones, and their posts while the tables
// change. tests/fixtures holds that version's program, and what it had stored.
import { assert, assertEquals, assertGreater } from "@std/assert";
import { get, messages, post, posted, until } from "./support/client.ts";
import { hold, migrated, projectPath, type TestDatabase, testPostgres } from "./support/postgres.ts";
import { spawnVersionBefore, startServer } from "./support/server.ts";

const postgres = await testPostgres();

const NIL = "00000000000000000000000000";

/** A database as the version before has left it. */
async function createBefore(): Promise<TestDatabase> {
  const database = await postgres.create();
  await database.sql`create table migrations (
    number int primary key, name text not null, applied_at timestamptz not null default now())`;
  for (const file of ["migrations/0001_messages.sql", "tests/fixtures/data_before.sql"]) {
    await database.sql.unsafe(await Deno.readTextFile(projectPath(file)));
  }
  return database;
}

/** Says messages one after the other until `end` is called, which returns the ids of what was stored; all of it has to be. */
function talk(server: { url: string }, room: string, name: string): { end(): Promise<string[]> } {
  let ended = false;
  const talking = (async () => {
    const ids: string[] = [];
    for (let i = 0; !ended; i++) ids.push((await posted(server, room, `${name} ${i}`)).id);
    return ids;
  })();
  talking.catch(() => {});
  return {
    end: () => {
      ended = true;
      return talking;
    },
  };
}

/** Follows a room from its start until it has seen `last`; returns all ids. */
async function follow(server: { url: string }, room: string, last: Promise<string>): Promise<string[]> {
  const ids: string[] = [];
  let end: string | undefined;
  last.then((id) => end = id, () => end = "");
  while (end === undefined || end !== "" && ids.at(-1) !== end) {
    const news = await messages(server, room, `after=${ids.at(-1) ?? NIL}&wait=1`);
    ids.push(...news.map(({ id }) => id));
  }
  return ids;
}

Deno.test("What the version before has stored is migrated and served, to the last byte, and goes on from there", async () => {
  await using database = await createBefore();
  const stored = await database.sql<
    { room: string; id: string; key: string | null; author: string | null; body: string }[]
  >`
    select room, id, key, author, body from messages order by room, id`;
  assertGreater(stored.length, 100);
  await using server = await startServer(database.url);
  const rooms = Map.groupBy(stored, ({ room }) => room);
  for (const [room, rows] of rooms) {
    const served = await messages(server, room, `after=${NIL}&limit=1000&wait=0`);
    assertEquals(
      served.map(({ id, room, author, body }) => ({ id, room, author, body })),
      rows.map(({ id, room, author, body }) => ({ id, room, author, body })),
    );
    const next = await posted(server, room, "next");
    assertGreater(next.id, rows.at(-1)!.id);
    assertEquals((await messages(server, room, `after=${rows.at(-1)!.id}&wait=0`)).map(({ id }) => id), [next.id]);
  }
  const { room, id, key, author, body } = stored.find(({ key }) => key !== null)!;
  const again = await post(server, room, { author, body }, { "idempotency-key": key! });
  assertEquals([again.status, (await again.json()).id], [200, id]);
});

Deno.test("The version before goes on beside this one: one order, each message once, for the followers of both", async () => {
  await using database = await createBefore();
  await using before = await spawnVersionBefore(database.url);
  const talkBefore = talk(before, "room", "before");
  await using server = await startServer(database.url); // it migrates under the posts of the other
  const talks = [talkBefore, talk(server, "room", "now"), talk(before, "room", "too"), talk(server, "room", "also")];
  const last = Promise.withResolvers<string>();
  const following = Promise.all([before, server, before, server].map((server) => follow(server, "room", last.promise)));
  const count = async () => Number((await database.sql`select seq from heads where room = 'room'`)[0]?.seq ?? 0);
  try {
    await until(async () => await count() > 300, "all have said much");
    const said = await Promise.all(talks.map((talk) => talk.end()));
    last.resolve((await posted(server, "room", "end")).id);
    const stored = (await database.sql`select id from messages where room = 'room' order by id`).map(({ id }) => id);
    assertEquals(stored.length, said.flat().length + 1);
    for (const ids of said) assert(ids.length > 0 && ids.every((id, i) => i === 0 || id > ids[i - 1]!));
    for (const seen of await following) assertEquals(seen, stored);
    assertEquals(await count(), stored.length);
  } finally {
    last.reject(new Error("over"));
    await following.catch(() => {});
  }
  for (const { url } of [before, server]) assertEquals((await get({ url }, "/readyz")).status, 200);
});

Deno.test("A migration that finds a table in use lets go of it again, posts go on, and it is done when it can be", async () => {
  await using database = await createBefore();
  await using before = await spawnVersionBefore(database.url);
  await using report = await hold(database, (sql) => sql`select count(*) from messages`); // a backup holds it like this
  const lines: string[] = [];
  const { error } = console;
  console.error = (line: string) => lines.push(line);
  const talking = talk(before, "room", "on");
  const migrating = migrated(database);
  try {
    await until(() => lines.some((line) => line.includes("waits for another transaction")), "it has tried");
    const seq = async () => Number((await database.sql`select seq from heads where room = 'room'`)[0]?.seq ?? 0);
    const said = await seq();
    await until(async () => await seq() > said + 10, "posts go on");
    assertEquals(await database.sql`select from migrations`.then((rows) => rows.length), 1);
  } finally {
    console.error = error;
    await report.end();
  }
  const files = await Array.fromAsync(Deno.readDir(projectPath("migrations")), ({ name }) => name);
  assertEquals(await migrating, files.filter((name) => name.endsWith(".sql")).sort().slice(1));
  assertGreater((await talking.end()).length, 10); // none of which was refused
});

// What is read for clients, each in his turn: no read keeps the others waiting, however much it has to come past.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { makeId, NIL } from "../src/chat/cursor.ts";
import { nextTurn } from "../src/chat/deadlines.ts";
import { Floors } from "../src/chat/floors.ts";
import { Reader } from "../src/chat/reader.ts";
import { Store } from "../src/chat/store.ts";
import { Client } from "../src/database/client.ts";
import { Allowance, UNLIMITED } from "../src/allowance.ts";
import { Problem } from "../src/problem.ts";
import { writeHistory } from "./support/history.ts";
import { hold, openedMigrated, type TestDatabase, testPostgres } from "./support/postgres.ts";

const postgres = await testPostgres();

/** Reads that a client has at once. */
const READS = 200;

/** Messages in a row that were deleted, and after them one that is there. */
const DELETED = 2_000;

const room = "room";
const last = idOf(DELETED + 1);

Deno.test("A read past many deleted messages lets others come between, and each of its statements counts as a read", async () => {
  await using opened = await open();
  const { reader } = opened;
  const done: string[] = [];
  const ways: [name: string, read: (allowance: Allowance) => Promise<unknown>][] = [
    ["a page", (allowance) => reader.pageAfter({ room, after: NIL, limit: 1, exact: true }, allowance)],
    ["what is read ahead", (allowance) => reader.pageAfter({ room, after: NIL, limit: 1, exact: false }, allowance)],
    ["a page back", (allowance) => reader.pageBefore(room, last, 1, allowance)],
  ];
  for (const [name, read] of ways) {
    const allowance = client(name);
    const reading = read(allowance).then(() => done.push(name));
    await Promise.all([reading, reader.one(room, last, UNLIMITED).then(() => done.push("another's message"))]);
    assertEquals(done.splice(0), ["another's message", name]);
    assertEquals(readsOf(allowance), 5, name); // 1, 10, 100, 1000, and the rest
  }
  const allowance = client("a stream");
  const signal = new AbortController().signal;
  const entries = await reader.entriesAfter(room, NIL, false, allowance, { signal });
  assertEquals([entries.map(({ id }) => id), readsOf(allowance)], [[last], 2]); // 1000, and the rest
});

Deno.test("A read past many deleted messages ends when its client has left; one that needs one statement is not looked at", async () => {
  await using opened = await open();
  const { reader } = opened;
  const left = { signal: AbortSignal.abort() };
  for (
    const read of [
      (after: string, allowance: Allowance) =>
        reader.pageAfter({ room, after, limit: 1, exact: true, client: left }, allowance),
      (after: string, allowance: Allowance) => reader.entriesAfter(room, after, false, allowance, left),
    ]
  ) {
    const allowance = client("one who has left");
    await assertRejects(() => read(NIL, allowance), Problem, "left");
    assertEquals(readsOf(allowance), 1);
    await read(idOf(DELETED), UNLIMITED);
  }
  await assertRejects(() => reader.pageBefore(room, last, 1, UNLIMITED, left), Problem, "left");
});

Deno.test("What many ask for at once, going back or by an id, is read for the first two of them, and anew for who asks later", async () => {
  await using opened = await open();
  const { reader, database } = opened;
  const ways: [name: string, read: (allowance: Allowance) => Promise<unknown>][] = [
    ["a page back", (allowance) => reader.pageBefore(room, undefined, 1, allowance)],
    ["one message", (allowance) => reader.one(room, last, allowance)],
  ];
  for (const [name, read] of ways) {
    const holding = await hold(database, (sql) => sql`lock table messages in access exclusive mode`);
    const clients = Array.from({ length: 1_000 }, (_, i) => client(`${name} ${i}`));
    const reading = clients.map(read);
    await nextTurn(); // the first is being read
    const later = client("later");
    reading.push(read(later));
    await holding.end();
    const [first, ...others] = await Promise.all(reading);
    for (const other of others) assertEquals(other, first);
    assertEquals(clients.map(readsOf).reduce((sum, reads) => sum + reads), 2, name);
    assertEquals(readsOf(later), 1, name); // what he asks for may have been taken back after the others' was read
  }
});

Deno.test("What a stream catches up with counts by its length for each who is given it, however many share the read", async () => {
  await using opened = await open();
  const { reader, database } = opened;
  await writeHistory(database.sql, "long", Array.from({ length: 40 }, () => [1_000, "ada", "x".repeat(9_900)]));
  const { signal } = new AbortController();
  const clients = ["first", "second", "third"].map(client);
  await Promise.all(clients.map((allowance) => reader.entriesAfter("long", NIL, false, allowance, { signal })));
  assertEquals(clients.map(readsOf), [3, 3, 2]); // of 250 kB; the first two read as well
});

Deno.test("Of long pages that a client asks for at once no more are read than it may, and what is on nobody's account is read", async () => {
  await using opened = await open();
  const { reader, database } = opened;
  await database.sql`insert into heads (room, seq, ms) values ('long', 100, 1700000000000)`;
  await database.sql`
    insert into messages (room, id, body) select 'long', id, repeat('x', 10000)
    from unnest(${`{${Array.from({ length: 100 }, (_, i) => idOf(i + 1))}}`}::uuid[]) id`;
  const ways: [name: string, read: (before: string, after: string, allowance: Allowance) => Promise<unknown>][] = [
    ["pages", (_, after, allowance) => reader.pageAfter({ room: "long", after, limit: 1_000, exact: true }, allowance)],
    ["pages back", (before, _, allowance) => reader.pageBefore("long", before, 1_000, allowance)],
  ];
  for (const [name, read] of ways) {
    const allowance = client(name);
    allowance.read(READS - 10);
    const reading = Array.from({ length: 10 }, (_, i) => {
      const [before, after] = [1_800_000_000_000, 1_600_000_000_000].map((ms) => makeId(ms, i, "0123456789"));
      return read(before!, after!, allowance).then(() => "read", ({ status }) => status);
    });
    const outcomes = await Promise.all(reading);
    const given = outcomes.filter((outcome) => outcome === "read").length;
    assert(given < 5, `${given} ${name} were read`); // each counts as nine more when it is there, by which time the next has begun
    assertEquals(outcomes.filter((outcome) => outcome === 429).length, 10 - given);
    assertEquals(await reader.run(allowance, "long", () => Promise.resolve("nobody's"), 0), "nobody's");
    await read(last, NIL, client("another"));
  }
});

/** A client whose time stands still. */
function client(name: string): Allowance {
  return new Allowance(name, { posts: 0, places: 1 }, () => 0);
}

/** How much a client has read; then nothing is left to it. */
function readsOf(allowance: Allowance): number {
  for (let left = READS;; left--) {
    try {
      allowance.read(left);
      return READS - left;
    } catch { /* not as much */ }
  }
}

function idOf(number: number): string {
  return makeId(1_700_000_000_000, number, "0123456789");
}

/** A reader with one connection. */
async function open(): Promise<AsyncDisposable & { reader: Reader; database: TestDatabase }> {
  const database = await postgres.create();
  const { config, openPool } = await openedMigrated(database.url);
  const ids = Array.from({ length: DELETED + 1 }, (_, i) => idOf(i + 1));
  await database.sql`insert into heads (room, seq, ms) values (${room}, ${ids.length}, 1700000000000)`;
  await database.sql`
    insert into messages (room, id, body) select ${room}, id, case when id = ${last} then 'last' else '' end
    from unnest(${`{${ids}}`}::uuid[]) id`;
  const client = new Client("test", 1, config.STATEMENT_TIMEOUT_MS, openPool);
  const reader = new Reader(new Store(client, client, client, new Floors()), new Floors(), 1);
  return {
    reader,
    database,
    [Symbol.asyncDispose]: async () => {
      reader.forgetAhead();
      await client.close();
      await database[Symbol.asyncDispose]();
    },
  };
}

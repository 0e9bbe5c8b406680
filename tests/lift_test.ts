// The head of a room whose messages the database has lost is lifted above them: by whoever notices, beside posts, and once is
// enough.
import { assert, assertEquals, assertGreater } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { makeId, placeOf, randomDigits, seqOf, timeOf } from "../src/chat/cursor.ts";
import { Floors } from "../src/chat/floors.ts";
import type { HeadNumbers } from "../src/chat/sql/head.ts";
import { Lift } from "../src/chat/lift.ts";
import { Store } from "../src/chat/store.ts";
import { Client, DatabaseError } from "../src/database/client.ts";
import { until } from "./support/client.ts";
import { draft } from "./support/draft.ts";
import { logged } from "./support/log.ts";
import { hold, openedMigrated, type TestDatabase, testPostgres } from "./support/postgres.ts";

const HOUR_MS = 3_600_000;

const postgres = await testPostgres();

/** A server's store; what it knows it has learned from its own statements. */
async function open({ url }: TestDatabase) {
  const { openPool } = await openedMigrated(url);
  const clients = ["writes", "lifts"].map((name) => new Client(name, 1, 6_000, openPool));
  const floors = new Floors();
  const [writes, lifts] = clients.map((client) => new Store(client, client, client, floors));
  return {
    /** Lifts by a connection of its own, so that it meets posts. */
    lift: (room: string, ms: number) => lifts!.lift(room, ms),
    post: async (room: string) => {
      const { entries } = await writes!.append([draft(room, "x")]);
      return entries[0]!.id;
    },
    store: lifts!,
    [Symbol.asyncDispose]: async () => void await Promise.all(clients.map((client) => client.close())),
  };
}

Deno.test("Two servers that lift at once, beside posts and to different heights, leave ids that grow and numbers without a hole", async () => {
  await using database = await postgres.create();
  await using one = await open(database);
  await using two = await open(database);
  let lifting = true;
  const posting = Promise.all([one, two].map(async ({ post }) => {
    const ids: string[] = [];
    while (lifting) ids.push(await post("room"));
    return ids;
  }));
  let highest = 0;
  for (let round = 0; round < 100; round++) {
    const heights = [0, 1].map(() => Date.now() + Math.floor(Math.random() * 60_000));
    const lifts = await Promise.all([one, two].map(({ lift }, i) => lift("room", heights[i]!)));
    for (const [i, { head }] of lifts.entries()) if (head) assertEquals(head.ms, heights[i]);
    highest = Math.max(highest, ...heights);
    assertGreater(timeOf(await one.post("room")), highest - 1); // from here on nothing lies below either
  }
  lifting = false;
  const posted = await posting;
  for (const ids of posted) assertEquals(ids, ids.toSorted());
  const stored = (await database.sql`select id from messages where room = 'room' order by id`).map(({ id }) => `${id}`);
  assertEquals(stored.map(seqOf), stored.map((_, i) => i + 1));
  const [head] = await database.sql`select seq from heads`;
  assertEquals(Number(head!.seq), stored.length);
});

Deno.test("A lift of a head that is as high already, or that is done twice, changes nothing", async () => {
  await using database = await postgres.create();
  await using server = await open(database);
  const ms = timeOf(await server.post("room"));
  const rows = () =>
    database.sql`select room, seq, ms, prior, trimmed from heads order by room`.then((rows) => [...rows]);
  const before = await rows();
  assertEquals((await server.lift("room", ms)).head, undefined);
  assertEquals(await rows(), before);
  assertEquals((await server.lift("room", ms + 5)).head, { ms: ms + 5, seq: 1 });
  assertEquals((await server.lift("room", ms + 5)).head, undefined);
});

Deno.test("A lift of a room of which nothing is left makes its head, and the next message is number 1 above what was lost", async () => {
  await using database = await postgres.create();
  await using server = await open(database);
  const ms = Date.now() + 30_000;
  assertEquals((await server.lift("gone", ms)).head, { ms, seq: 0 });
  const id = await server.post("gone");
  assertEquals([seqOf(id), timeOf(id)], [1, ms]);
});

Deno.test("What was lost an hour and more ahead of the clock is not lifted above, and the log says so", async () => {
  await using database = await postgres.create();
  await using server = await open(database);
  for (const [ahead, isSaid] of [[HOUR_MS / 2, false], [2 * HOUR_MS, true]] as const) {
    const lost = makeId(Date.now() + ahead, 7, randomDigits());
    const lifted: HeadNumbers[] = [];
    const lift = new Lift(server.store, new Floors(), (_, head) => lifted.push(head));
    const lines = await logged(() => lift.above({ room: "room", furthest: placeOf(lost) }));
    const line = lines.find((line) => line.includes("more than an hour ahead of the database's clock"));
    assertEquals(line !== undefined, isSaid, lines.join("\n"));
    if (line) assert(line.includes(new Date(timeOf(lost)).toISOString()), line);
    const id = await server.post("room");
    assertEquals(id > lost, !isSaid);
    assertEquals(lifted.length, 1);
  }
});

Deno.test("A lift that another holds up is tried until it is done", async () => {
  await using database = await postgres.create();
  await using server = await open(database);
  const last = await server.post("room");
  const lock = await hold(database, (sql) => sql`select from heads for update`);
  const lifted = Promise.withResolvers<HeadNumbers>();
  let failures = 0;
  const store: Pick<Store, "lift"> = {
    lift: (room, ms) =>
      server.lift(room, ms).catch(async (error: DatabaseError) => {
        if (++failures === 2) await lock.end();
        throw error;
      }),
  };
  const lift = new Lift(store, new Floors(), (_, head) => lifted.resolve(head));
  await lift.above({ room: "room", furthest: placeOf(last) });
  assertEquals([failures, await lifted.promise], [2, { ms: timeOf(last) + 1, seq: 1 }]);
});

Deno.test("A lift goes above what its server has only heard of, too", async () => {
  await using database = await postgres.create();
  await using server = await open(database);
  const read = await server.post("room");
  const floors = new Floors();
  const heard = timeOf(read) + 5_000; // of a message that is lost, too
  floors.raise("room", heard);
  const lifted: HeadNumbers[] = [];
  const lift = new Lift(server.store, floors, (_, head) => lifted.push(head));
  await logged(() => lift.above({ room: "room", furthest: placeOf(read) }));
  assertEquals(lifted, [{ ms: heard + 1, seq: 1 }]);
});

const LOST = { room: "room", furthest: placeOf(makeId(1, 1, randomDigits())) };

/** A store whose database is away, and how often it was asked. */
function away() {
  const store = {
    tries: 0,
    lift: (): Promise<never> => {
      store.tries++;
      return Promise.reject(new DatabaseError("not-sent", "ECONNREFUSED", undefined, {}));
    },
  };
  return store;
}

/** The last line says that there was no lift, and why. */
function assertSaidUndone(lines: readonly string[]): void {
  const last = lines.at(-1) ?? "";
  assert(last.includes("may lie below those of lost messages") && last.includes("ECONNREFUSED"), last);
}

Deno.test("A lift is given up after sixty tries, and the log says what comes of it", async () => {
  using time = new FakeTime();
  const store = away();
  const lines = await logged(async () => {
    let ended = false;
    void new Lift(store, new Floors(), () => {}).above(LOST).then(() => ended = true);
    while (!ended) await time.tickAsync(1_000);
  });
  assertEquals(store.tries, 60);
  assertSaidUndone(lines);
});

Deno.test("Closing waits for the lift that is under way", async () => {
  await using database = await postgres.create();
  await using server = await open(database);
  const last = await server.post("room");
  const begun = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const store: Pick<Store, "lift"> = {
    lift: async (room, ms) => {
      begun.resolve();
      await gate.promise;
      return await server.lift(room, ms);
    },
  };
  const lifted: HeadNumbers[] = [];
  const lift = new Lift(store, new Floors(), (_, head) => lifted.push(head));
  const lines = await logged(async () => {
    void lift.above({ room: "room", furthest: placeOf(last) });
    await begun.promise;
    let closed = false;
    const closing = lift.close().then(() => closed = true);
    await server.post("elsewhere"); // which takes longer than a closing that waits for nothing
    assertEquals(closed, false);
    gate.resolve();
    await closing;
  });
  assertEquals([lifted.length, lines.length], [1, 1]);
});

Deno.test("A lift that rests between two tries, or comes to a server that is closed, is tried once more, and the log says what comes of it", async () => {
  for (const resting of [true, false]) {
    const store = away();
    const lift = new Lift(store, new Floors(), () => {});
    const lines = await logged(async () => {
      if (resting) {
        void lift.above(LOST);
        await until(() => store.tries === 1, "it rests");
        await lift.close();
      } else {
        await lift.close();
        await lift.above(LOST);
      }
    });
    assertEquals(store.tries, resting ? 2 : 1);
    assertSaidUndone(lines);
  }
});

Deno.test("Floors remembers the highest of each room, of those that moved last for sure", () => {
  const floors = new Floors();
  assertEquals(floors.of("room"), 0);
  floors.raise("room", 5);
  floors.raise("room", 3);
  assertEquals(floors.of("room"), 5);
  floors.raise("nil", 0);
  for (let i = 0; i < 9_999; i++) floors.raise(`room ${i}`, 7);
  assertEquals([floors.of("room"), floors.of("room 0")], [5, 7]);
  floors.raise("one more", 7);
  floors.raise("room", 4);
  assertEquals([floors.of("room"), floors.of("room 0"), floors.of("one more")], [5, 7, 7]);
  for (let i = 0; i < 10_000; i++) floors.raise(`other ${i}`, 7);
  floors.raise("and one", 7);
  assertEquals([floors.of("room 1"), floors.of("other 9999")], [0, 7]);
});

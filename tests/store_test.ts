// The order of a room, and that a reader of it misses nothing, is made in one SQL statement. Whatever it promises is
// compared here with what stands in the tables, while others post, hold locks, or set the clock back.
import { assert, assertEquals, assertGreater, assertLess, assertRejects } from "@std/assert";
import { END, makeId, makePlace, NIL, parseCursor, placeOf, randomDigits, seqOf, timeOf } from "../src/chat/cursor.ts";
import { MAX_PAGE_BYTES } from "../src/chat/message.ts";
import type { Entry } from "../src/chat/page.ts";
import { Floors } from "../src/chat/floors.ts";
import type { Change } from "../src/chat/sql/change.ts";
import type { Draft } from "../src/chat/draft.ts";
import { KEY_TAKEN, Store } from "../src/chat/store.ts";
import { Client, DatabaseError } from "../src/database/client.ts";
import type { Sql } from "../src/database/pool.ts";
import { type Message, until } from "./support/client.ts";
import { draft } from "./support/draft.ts";
import { hold, openedMigrated, type TestDatabase, testPostgres } from "./support/postgres.ts";

const postgres = await testPostgres();

Deno.test("Store asks for no more rows than one answer's bytes need", async () => {
  await using database = await postgres.create();
  await using server = await open(database);
  const appended = await server.append(Array.from({ length: 300 }, () => draft("room", "x".repeat(10_000))));
  let rows = 0;
  const counting = {
    read: async (statement: (sql: Sql) => PromiseLike<unknown[]>) => {
      const result = await server.reads.read(statement);
      rows = result.length;
      return result;
    },
  } as unknown as Client;
  const store = new Store(counting, counting, counting, new Floors());
  for (
    const read of [
      () => store.pageAfter("room", NIL, 1_000),
      () => store.readAfter("room", NIL, 1_000),
      () => store.readBefore("room", undefined, 1_000),
    ]
  ) {
    await read();
    assertEquals(rows, 101); // the one that reaches the bytes, too
  }
  const read: string[] = [];
  for (let known = NIL, more = true; more;) {
    const { entries, full, head } = await store.news("room", { newest: known, place: placeOf(known) }, 1_000);
    assertEquals(rows, Math.min(101, 300 - read.length) + 1); // and the head
    read.push(...entries.map(({ id }) => id));
    known = read.at(-1)!;
    assertEquals([full, head.place], [read.length < 300, placeOf(appended.at(-1)!.id)]);
    more = full;
  }
  assertEquals(read, appended.map(({ id }) => id));
});

Deno.test("Store makes JSON of no more messages than one answer needs, however long that makes them, and says that there are more", async () => {
  let made = 0;
  const rows = Array.from({ length: 101 }, (_, i) => ({
    ...{ id: makeId(1, i + 1, "0000000000"), body: "\u0001".repeat(9_900), sub: null, reply_to: null, changed: null },
    found: true,
    /** Asked for once, when the message's JSON is made. */
    get author() {
      made++;
      return null;
    },
  }));
  const client = { read: () => Promise.resolve(rows.slice()) } as unknown as Client;
  const store = new Store(client, client, client, new Floors());
  for (
    const read of [
      () => store.readAfter("room", NIL, 1_000),
      () => store.readAfter("room", NIL, 1_000, { changes: true }),
      () => store.readBefore("room", undefined, 1_000),
      () => store.newest("room", 1_000),
      () => store.news("room", { newest: NIL, place: placeOf(NIL) }, 1_000),
    ]
  ) {
    made = 0;
    const { entries, full } = await read();
    assertEquals([entries.length, made, full], [16, 17, true]);
  }
  made = 0;
  const { entries, next } = await store.search({ room: "room", before: END, text: "x", limit: 1_000, hasIcu: true });
  assertEquals([entries.length, made, next], [17, 18, rows[16]!.id]); // one more shows that there are more
});

Deno.test("Store.append() returns what is stored: the same ids, numbered from 1, for rooms that are mixed in one batch", async () => {
  await using database = await postgres.create();
  await using opened = await open(database);
  const { append } = opened;
  const rooms = ["b", "a", "b", "C", "a", "b"];
  const first = await append(rooms.map((room, i) => draft(room, `first ${i}`)));
  const second = await append(rooms.map((room, i) => draft(room, `second ${i}`)));
  for (const room of ["a", "b", "C"]) {
    const returned = [...first, ...second].map(read).filter((message) => message.room === room);
    assertEquals(returned.map(({ id, body }) => ({ id, body })), await stored(database, room));
    assertEquals(returned.map(({ id }) => seqOf(id)), returned.map((_, i) => i + 1));
    assertEquals(await headOf(database, room), returned.length);
  }
  assertEquals(first.map(read).map(({ body }) => body), rooms.map((_, i) => `first ${i}`));
});

Deno.test("Store.append() keeps every text as it is", async () => {
  await using database = await postgres.create();
  await using opened = await open(database);
  const { store, append } = opened;
  const texts = [
    ...['"', "'", "\\", '\\"', "{", "}", "{}", '{"a"}', ",", "a,b", "NULL", "null", '"NULL"', " ", "  x  "],
    ...["\n", "\r\n", "\t", "\u0001\u007f", "$1", "%s", "\\x41", "E'\\n'", "--", "; drop table messages"],
    ...["Grüße", "世界", "👋🏽", "e\u0301", "\u2028", "\ufeff", "\uffff", "\u{10ffff}", "\u202e"],
  ];
  const entries = await append(texts.map((text, i) => {
    return { ...draft("lobby", text), author: texts[texts.length - 1 - i]!, key: `${i} ${text}` };
  }));
  const { entries: found } = await store.readAfter("lobby", NIL, 1_000);
  assertEquals(found, entries);
  assertEquals(found.map(read).map(({ body }) => body), texts);
  assertEquals(found.map(read).map(({ author }) => author), texts.toReversed());
  const keys = await database.sql<{ key: string }[]>`select key from messages order by id`;
  assertEquals(keys.map(({ key }) => key), texts.map((text, i) => `${i} ${text}`));
});

Deno.test("Store.append() tells no author and no key from those that are the word null", async () => {
  await using database = await postgres.create();
  await using opened = await open(database);
  await opened.append([draft("lobby", "x"), { ...draft("lobby", "y"), author: "null", key: "null" }]);
  const rows = await database.sql<{ author: string | null; key: string | null }[]>`
    select author, key from messages order by id`;
  assertEquals([...rows], [{ author: null, key: null }, { author: "null", key: "null" }]);
});

Deno.test("Store.append() makes ids that grow, whatever the database's clock does, with the time of that clock", async () => {
  await using database = await postgres.create();
  await using opened = await open(database);
  await database.sql.unsafe(`
    create schema faketime;
    create table faketime.clock (ms bigint);
    insert into faketime.clock values (1700000000000);
    create function faketime.clock_timestamp() returns timestamptz volatile language sql
      as 'select pg_catalog.to_timestamp(ms / 1000.0) from faketime.clock';
    alter database ${database.name} set search_path = faketime, public, pg_catalog`); // for connections from here on
  const times = [1_700_000_000_000, 1_700_000_000_001, 1_600_000_000_000, 1, 1_700_000_000_000, 1_800_000_000_000];
  const ids: string[] = [];
  for (const ms of times) {
    await database.sql`update faketime.clock set ms = ${ms}`;
    assertEquals(await opened.store.clock(), ms);
    const entries = await opened.append([
      draft("lobby", "a", { random: "ffffffffff" }),
      draft("lobby", "b", { random: "0000000000" }),
    ]);
    ids.push(...entries.map(({ id }) => id));
  }
  for (const [i, id] of ids.slice(1).entries()) assertGreater(id, ids[i]!);
  assertEquals(ids.map(seqOf), ids.map((_, i) => i + 1));
  // A clock that is less than a minute behind what the server has seen makes it go on a millisecond higher.
  const highest = times.reduce<number[]>((all, ms) => {
    const last = all.at(-1) ?? 0;
    return [...all, ms >= last ? ms : last - ms < 60_000 ? last + 1 : last];
  }, []);
  assertEquals(ids.map(timeOf), highest.flatMap((ms) => [ms, ms]));
  assertEquals((await stored(database, "lobby")).map(({ id }) => id), ids);
});

Deno.test("Store.append() tells where the head was before, whoever moved it, and nothing while the clock is behind", async () => {
  await using database = await postgres.create();
  await using opened = await open(database);
  const { store } = opened;
  const append = async (...rooms: string[]) => (await store.append(rooms.map((room) => draft(room, "x")))).commits;
  const head = async (room: string) => {
    const [row] = await database.sql`select seq, ms from heads where room = ${room}`;
    return { ms: Number(row?.ms ?? 0), seq: Number(row?.seq ?? 0) };
  };
  const moves = [
    () => append("b", "a", "b"),
    () => database.sql`update heads set seq = seq + 3`, // as the version before does, in one millisecond
    () => database.sql`update heads set seq = seq + 1, ms = ms + 2, prior = 7`,
  ];
  for (const move of [() => Promise.resolve(), ...moves]) {
    await move();
    const before = new Map([["a", await head("a")], ["b", await head("b")]]);
    const commits = await append("a", "b", "b");
    assertEquals(new Map(commits.map(({ room, prior }) => [room, prior])), before);
    assertEquals(commits.map(({ room, entries }) => [room, entries.length]).sort(), [["a", 1], ["b", 2]]);
  }
  await database.sql`update heads set ms = ms + 30000 where room = 'a'`;
  await append("a"); // from here on it knows
  const proves = async (...rooms: string[]) => (await append(...rooms)).map(({ prior }) => prior !== undefined);
  assertEquals([await proves("a"), await proves("b"), await proves("a", "b")], [[false], [true], [false, true]]);
  assertEquals(await proves("b", "a"), [true, false]);
  // What one room's floor lifts is that room alone.
  assertLess((await head("b")).ms, Date.now() + 10_000);
});

/** A change of a message, by who may do that. */
const wanted = (room: string, id: string, body: string): Change => {
  return { room, id, body, sub: null, proof: null, moderates: true, known: null, random: randomDigits() };
};

Deno.test("Store.change() comes above what its server knows, and proves nothing, while the clock is behind that", async () => {
  await using database = await postgres.create();
  await using opened = await open(database);
  await using other = await open(database);
  const [entry] = await opened.append([draft("room", "x")]);
  const ahead = timeOf(entry!.id) + 30_000;
  await database.sql`update heads set ms = ${ahead}`;
  await opened.store.heads(new Map([["room", { newest: NIL, place: placeOf(NIL) }]]));
  await database.sql`update heads set ms = ${timeOf(entry!.id)}`; // what it has seen is lost
  const change = async ({ store }: typeof opened, body: string) => {
    const verdict = await store.change(wanted("room", entry!.id, body));
    assert(verdict.outcome === "changed");
    return { ms: verdict.commit.head.ms, prior: verdict.commit.prior };
  };
  assertEquals(await change(opened, "a"), { ms: ahead + 1, prior: undefined });
  assertEquals(await change(opened, "b"), { ms: ahead + 2, prior: undefined });
  assertEquals(await change(other, "c"), { ms: ahead + 3, prior: { ms: ahead + 2, seq: 1 } }); // who knows of nothing
});

/** The ways in which a store gives messages out. */
const READS: readonly [what: string, read: (store: Store, room: string, id: string) => Promise<unknown>][] = [
  ["the messages after a cursor", (store, room) => store.readAfter(room, NIL, 10)],
  ["those and the changes", (store, room) => store.readAfter(room, NIL, 10, { changes: true })],
  ["the messages before a cursor", (store, room) => store.readBefore(room, undefined, 10)],
  ["one message", (store, room, id) => store.readOne(room, id)],
  ["what was found", (store, room) => store.search({ room, before: END, text: "x", limit: 10, hasIcu: false })],
  ["the message of a repeated post", (store, room) => store.withKeysOf([draft(room, "x", { key: "k" })])],
  ["a message that is as it is wanted", (store, room, id) => store.change(wanted(room, id, "x"))],
];

/** Those in which it gives their ids out alone. */
const LISTS: typeof READS = [
  ["the newest rooms", (store) => store.newestRooms(100)],
  ["a room by its name", (store, room) => store.newestOf([room])],
];

Deno.test("A store that has given an id out makes none below it, though the database loses that one and its clock is behind", async () => {
  await using database = await postgres.create();
  await using opened = await open(database);
  await using other = await open(database);
  for (const [i, [what, read]] of [...READS, ...LISTS].entries()) {
    const room = `room-${i}`;
    await database.sql`insert into heads (room, seq, ms) values (${room}, 0, ${Date.now() + 30_000})`; // the old clock's
    const [lost] = await other.append([draft(room, "x", { key: "k" })]);
    await read(opened.store, room, lost!.id);
    await database.sql`delete from messages`;
    await database.sql`update heads set seq = 0, ms = 0`;
    const [next] = await opened.append([draft(room, "y")]);
    assertGreater(next!.id, lost!.id, what);
  }
});

Deno.test("A store that has given an edited message out makes no id below its edit, though the database loses that and its clock is behind", async () => {
  await using database = await postgres.create();
  await using opened = await open(database);
  await using other = await open(database);
  for (const [i, [what, read]] of READS.entries()) {
    const room = `room-${i}`;
    const [message] = await other.append([draft(room, "w", { key: "k" })]);
    await database.sql`update heads set ms = ${Date.now() + 30_000} where room = ${room}`; // the old clock's
    const edited = await other.store.change(wanted(room, message!.id, "x"));
    assert(edited.outcome === "changed");
    await read(opened.store, room, message!.id);
    await database.sql`update messages set body = 'w', changed = null`;
    await database.sql`update heads set ms = ${timeOf(message!.id)} where room = ${room}`;
    const [next] = await opened.append([draft(room, "y")]);
    assertGreater(next!.id, edited.entry.changed!, what);
  }
});

Deno.test("Store.append() that waited for another's post comes after it, though it began before that was there", async () => {
  await using database = await postgres.create();
  await using opened = await open(database);
  const rounds = ["old", "new"];
  for (const [i, kind] of rounds.entries()) {
    const room = `${kind}-${i}`;
    if (kind === "old") await opened.append([draft(room, "1")]);
    const future = Date.now() + 5_000; // the other's clock is ahead
    const seq = kind === "old" ? 2 : 1;
    const theirs = makeId(future, seq, "ffffffffff");
    const other = await hold(database, async (sql) => {
      await sql`insert into heads as h values (${room}, 1, ${future})
        on conflict (room) do update set seq = h.seq + 1, ms = excluded.ms`;
      await sql`insert into messages (room, id, body) values (${room}, ${theirs}, 'theirs')`;
    });
    let refused = false;
    const appending = opened.append([draft(room, "ours", { random: "0000000000" })]).catch((error) => {
      // On a machine that is too busy to end the other's in time.
      assert(error instanceof DatabaseError && error.code === "55P03" && rounds.length < 10, `${error}`);
      refused = true;
      rounds.push(kind);
      return [];
    });
    await waiting(database, () => refused);
    await other.end();
    const [ours] = await appending;
    if (refused) continue;
    assertGreater(ours!.id, theirs);
    assertEquals([seqOf(ours!.id), timeOf(ours!.id)], [seq + 1, future]);
    assertEquals((await stored(database, room)).map(({ id }) => id).slice(-2), [theirs, ours!.id]);
  }
});

Deno.test("Store.append() of two servers into one new room numbers their messages together", async () => {
  await using database = await postgres.create();
  await using one = await open(database);
  await using two = await open(database);
  for (let round = 0; round < 10; round++) {
    const room = `room-${round}`;
    const answers = await Promise.all(
      [one, two].map(({ append }) => append([draft(room, "x"), draft(room, "y")])),
    );
    const returned = answers.flat().map(({ id }) => id).sort();
    assertEquals(returned.map(seqOf), [1, 2, 3, 4]);
    assertEquals((await stored(database, room)).map(({ id }) => id), returned);
    assertEquals(await headOf(database, room), 4);
  }
});

Deno.test("Store.append() lets every snapshot see a gapless beginning of the room, while two servers post", async () => {
  await using database = await postgres.create();
  await using one = await open(database);
  await using two = await open(database);
  let posting = true;
  const samples: { count: string; max: string; head: string }[] = [];
  const sampling = (async () => {
    while (posting) {
      samples.push(
        ...await database.sql<typeof samples>`
          select count(*) as count, coalesce(max(('x' || substr(replace(id::text, '-', ''), 13, 10))::bit(40)::bigint), 0) as max,
            coalesce((select seq from heads where room = 'lobby'), 0) as head
          from messages where room = 'lobby'`,
      );
    }
  })();
  await Promise.all([one, two].map(async ({ append }) => {
    for (let i = 0; i < 100; i++) await append([draft("lobby", "x"), draft("aside", "x"), draft("lobby", "y")]);
  }));
  posting = false;
  await sampling;
  for (const { count, max, head } of samples) assertEquals([max, head], [count, count]);
  assertGreater(new Set(samples.map(({ count }) => count)).size, 5);
  assertEquals(await headOf(database, "lobby"), 400);
});

Deno.test("Store.append() of servers that take the same rooms in another order never deadlocks", async () => {
  await using database = await postgres.create();
  await using one = await open(database);
  await using two = await open(database);
  const rooms = Array.from({ length: 20 }, (_, i) => `room-${i}`);
  await Promise.all([[one, rooms], [two, rooms.toReversed()]].map(async ([server, order]) => {
    for (let i = 0; i < 30; i++) {
      await (server as typeof one).append((order as string[]).map((room) => draft(room, "x")));
    }
  }));
  for (const room of rooms) assertEquals(await headOf(database, room), 60);
});

Deno.test("Store.append() gives up on a room that another holds, with nothing stored, and works when it is free", async () => {
  await using database = await postgres.create();
  await using opened = await open(database);
  await opened.append([draft("held", "1")]);
  const other = await hold(database, (sql) => sql`select from heads where room = 'held' for update`);
  const error = await assertRejects(() => opened.append([draft("free", "x"), draft("held", "x")]), DatabaseError);
  assertEquals([error.fate, error.code], ["rolled-back", "55P03"]);
  await other.end();
  assertEquals([await headOf(database, "free"), await headOf(database, "held")], [undefined, 1]);
  const entries = await opened.append([draft("free", "x"), draft("held", "x")]);
  assertEquals(entries.map(({ id }) => seqOf(id)), [1, 2]);
});

Deno.test("Store.append() refuses a key that its room knows, all of the batch, and takes it in another room", async () => {
  await using database = await postgres.create();
  await using opened = await open(database);
  const { store, append } = opened;
  const [first] = await append([{ ...draft("a", "x"), key: "k" }]);
  const again = [draft("a", "y"), { ...draft("a", "x"), key: "k" }];
  const error = await assertRejects(() => append(again), DatabaseError);
  assertEquals([error.fate, error.constraint], ["rolled-back", KEY_TAKEN]);
  assertEquals(await headOf(database, "a"), 1);
  await append([{ ...draft("b", "x"), key: "k" }, draft("a", "no key"), draft("a", "no key")]);
  const found = await store.withKeysOf([...again, { ...draft("c", "x"), key: "k" }, { ...draft("a", "x"), key: "K" }]);
  assertEquals(found, [{ room: "a", key: "k", author: null, body: "x", reply_to: null, entry: first! }]);
});

Deno.test("Store.readAfter() and readBefore() give what the limit allows on their side of the cursor, ascending", async () => {
  await using database = await postgres.create();
  await using opened = await open(database);
  const { store, append } = opened;
  const entries = await append(Array.from({ length: 10 }, (_, i) => draft("lobby", `${i}`)));
  await append([draft("other", "x")]);
  const id = (i: number) => entries[i]!.id;

  assertEquals(await store.readAfter("lobby", NIL, 10), { entries, full: true });
  assertEquals(await store.readAfter("lobby", NIL, 11), { entries, full: false });
  assertEquals(await store.readAfter("lobby", id(3), 3), { entries: entries.slice(4, 7), full: true });
  assertEquals(await store.readAfter("lobby", id(8), 3), { entries: entries.slice(9), full: false });
  assertEquals(await store.readAfter("lobby", id(9), 3), { entries: [], full: false });
  assertEquals(await store.readAfter("nowhere", NIL, 3), { entries: [], full: false });

  assertEquals(await store.readBefore("lobby", undefined, 3), { entries: entries.slice(7), full: true, past: false });
  assertEquals(await store.readBefore("lobby", undefined, 11), { entries, full: false, past: false });
  assertEquals(await store.readBefore("lobby", id(3), 2), { entries: entries.slice(1, 3), full: true, past: true });
  assertEquals(await store.readBefore("lobby", id(1), 2), { entries: entries.slice(0, 1), full: false, past: true });
  assertEquals(await store.readBefore("lobby", NIL, 2), { entries: [], full: false, past: false });
});

Deno.test("Store.readBefore() finds its page by the order, however many messages there are", async () => {
  await using database = await postgres.create();
  await using opened = await open(database);
  const { store, reads } = opened;
  const id = (i: number) => makeId(i, i, "0".repeat(10));
  await database.sql`
    insert into messages (room, id, body)
    select 'long', (lpad(to_hex(i), 12, '0') || lpad(to_hex(i), 10, '0') || '0000000000')::uuid, 'x' from generate_series(1, 20000) i`;
  await database.sql`vacuum analyze messages`;
  const scanned = async () => {
    await reads.read((sql) => sql`select pg_stat_force_next_flush()`);
    const [row] = await database.sql<{ rows: string }[]>`
      select seq_tup_read as rows from pg_stat_user_tables where relname = 'messages'`;
    return Number(row!.rows);
  };
  const before = await scanned();
  assertEquals((await store.readBefore("long", id(10_000), 100)).past, true);
  assertEquals((await store.readBefore("long", id(20_001), 100)).past, false);
  assertEquals(await scanned(), before);
});

Deno.test("Store.readBefore() does not take a page for final since a message has come while deleted ones were passed over", async () => {
  await using database = await postgres.create();
  await using opened = await open(database);
  const id = (i: number) => makeId(i, i, "0".repeat(10));
  const insert = (i: number, body: string) =>
    database.sql`insert into messages ${database.sql({ room: "lobby", id: id(i), body })}`;
  for (const [i, body] of ["a", "b", "c", "", ""].entries()) await insert(i + 1, body);
  let rounds = 0;
  const gated = {
    read: async (statement: (sql: Sql) => PromiseLike<unknown[]>) => {
      const rows = await opened.reads.read(statement);
      if (rounds++ === 0) { for (const i of [6, 8]) await insert(i, "late"); }
      return rows;
    },
  } as unknown as Client;
  const { entries, full, past } = await new Store(gated, gated, gated, new Floors()).readBefore("lobby", id(7), 2);
  assertEquals([rounds, entries.map((entry) => entry.id)], [2, [id(2), id(3)]]);
  assertEquals([full, past], [true, false]); // 6 stands before the cursor, and is not on the page
});

Deno.test("Store.readAfter() and readBefore() cut at a page's bytes of JSON, and lose nothing by it", async () => {
  await using database = await postgres.create();
  await using opened = await open(database);
  const { store, append } = opened;
  const plain = Array.from({ length: 150 }, () => draft("lobby", "x".repeat(10_000)));
  const escaped = Array.from({ length: 30 }, () => draft("lobby", "\u0001".repeat(10_000))); // six times the size as JSON
  const entries = [...await append(plain), ...await append(escaped)];

  const forward: Entry[] = [];
  for (let full = true; full;) {
    const rows = await store.readAfter("lobby", forward.at(-1)?.id ?? NIL, 1_000);
    assertFits(rows.entries);
    forward.push(...rows.entries);
    full = rows.full;
  }
  assertEquals(forward.map(({ id }) => id), entries.map(({ id }) => id));

  const backward: Entry[] = [];
  for (let full = true; full;) {
    const rows = await store.readBefore("lobby", backward[0]?.id, 1_000);
    assertFits(rows.entries);
    backward.unshift(...rows.entries);
    full = rows.full;
  }
  assertEquals(backward.map(({ id }) => id), entries.map(({ id }) => id));
});

Deno.test("Store.search() looks at fewer bytes for a longer text, of which each may be compared with all of it", async () => {
  await using database = await postgres.create();
  await using opened = await open(database);
  await opened.append(Array.from({ length: 150 }, () => draft("room", "x".repeat(10_000))));
  const looked = async (text: string) => {
    const { next } = await opened.store.search({ room: "room", before: END, text, limit: 10, hasIcu: true });
    return 150 - seqOf(next!) + 1;
  };
  assertEquals(await looked("no"), 100);
  assertEquals(await looked("n".repeat(20)), 100);
  assertEquals(await looked("n".repeat(40)), 50);
  assertEquals(await looked("n".repeat(100)), 20);
  assertEquals(await looked("\u0390".repeat(100)), 10);
});

Deno.test("Store.readOne() finds a message in its room only", async () => {
  await using database = await postgres.create();
  await using opened = await open(database);
  const [entry] = await opened.append([{ ...draft("lobby", "x"), author: "Ada" }]);
  assertEquals(await opened.store.readOne("lobby", entry!.id), entry);
  assertEquals(await opened.store.readOne("other", entry!.id), undefined);
  assertEquals(await opened.store.readOne("lobby", parseCursor("0".repeat(26))!), undefined);
});

Deno.test("Store.heads() gives the places of the rooms' heads, and that of the nil cursor where there is none", async () => {
  await using database = await postgres.create();
  await using opened = await open(database);
  const [, b, a] = await opened.append([draft("a", "1"), draft("b", "1"), draft("a", "2")]);
  const unknown = { newest: NIL, place: placeOf(NIL) };
  const heads = await opened.store.heads(new Map(["a", "b", "nowhere"].map((room) => [room, unknown])));
  const head = (place: string) => ({ place, lost: false, trimmed: NIL });
  assertEquals(
    heads,
    new Map([["a", head(placeOf(a!.id))], ["b", head(placeOf(b!.id))], ["nowhere", head(placeOf(NIL))]]),
  );
  assertEquals(await opened.store.heads(new Map()), new Map());
});

Deno.test("Store.heads() and news() tell what is lost: a head that is behind, or a newest message that is missing", async () => {
  await using database = await postgres.create();
  await using opened = await open(database);
  const { store } = opened;
  const id = (ms: number, seq: number) => makeId(ms, seq, "0123456789");
  const cases: [
    what: string,
    head: [ms: number, seq: number] | undefined,
    ids: string[],
    lost: boolean,
    trimmed?: string,
  ][] = [
    ["all is there", [100, 7], [id(100, 6), id(100, 7)], false],
    ["more has come", [120, 9], [id(100, 7), id(120, 8), id(120, 9)], false],
    ["the head has moved alone", [120, 7], [id(100, 7)], false],
    ["a move of the head is lost", [99, 7], [id(99, 7), id(100, 7)], true],
    ["numbers are lost", [100, 6], [id(100, 7)], true],
    ["nothing is left", undefined, [], true],
    ["the head is gone, the message is not", undefined, [id(100, 7)], true],
    ["two new ones in the very place", [100, 7], [makeId(100, 7, "9876543210")], true],
    ["others further on", [130, 9], [makeId(120, 7, "0123456789"), id(130, 9)], true],
    ["it was too old to be kept", [100, 7], [], false, id(100, 7)],
    ["one before it was", [100, 7], [], true, id(100, 6)],
  ];
  const known = { newest: id(100, 7), place: placeOf(id(100, 7)) };
  for (const [what, head, ids, lost, trimmed] of cases) {
    await database.sql`truncate heads, messages`;
    if (head) {
      await database.sql`insert into heads (room, ms, seq, trimmed) values ('room', ${head[0]}, ${head[1]}, ${
        trimmed ?? null
      })`;
    }
    for (const id of ids) await database.sql`insert into messages (room, id, body) values ('room', ${id}, 'x')`;
    const expected = { place: makePlace(...head ?? [0, 0]), lost, trimmed: trimmed ?? NIL };
    assertEquals((await store.heads(new Map([["room", known]]))).get("room"), expected, what);
    const { entries, head: found } = await store.news("room", known, 10);
    assertEquals([entries.map(({ id }) => id), found], [ids.filter((id) => id > known.newest).sort(), expected], what);
  }
  // Who knows nothing has lost nothing.
  await database.sql`truncate heads, messages`;
  const nothing = { newest: NIL, place: placeOf(NIL) };
  assertEquals((await store.heads(new Map([["room", nothing]]))).get("room"), {
    place: placeOf(NIL),
    lost: false,
    trimmed: NIL,
  });
});

Deno.test("Store.news() takes what comes to be known while it reads for no other history", async () => {
  await using database = await postgres.create();
  await using opened = await open(database);
  const known = { newest: NIL, place: placeOf(NIL) };
  const [message] = await opened.append([draft("room", "x")]);
  const reading = opened.store.news("room", known, 10);
  known.place = placeOf(message!.id); // as a feed that is told of its own commit
  const { entries, head } = await reading;
  assertEquals([entries.map(({ id }) => id), head.lost], [[message!.id], false]);
});

Deno.test("Store.news() tells that a change is lost where others have posted below it since", async () => {
  await using database = await postgres.create();
  await using opened = await open(database);
  const id = (ms: number, seq: number) => makeId(ms, seq, "0123456789");
  const known = {
    newest: id(100, 1),
    newestChanges: [{ id: id(100, 1), cursor: id(110, 1) }],
    place: placeOf(id(110, 1)),
  };
  await database.sql`insert into heads (room, ms, seq) values ('room', 120, 2)`;
  await database.sql`insert into messages (room, id, body, changed) values ('room', ${id(100, 1)}, 'x', ${id(120, 1)})`;
  assertEquals((await opened.store.news("room", known, 10)).head.lost, false);
  for (const [ms, lost] of [[111, false], [110, true], [105, true]] as const) {
    await database.sql`delete from messages where id <> ${id(100, 1)}`;
    await database.sql`insert into messages (room, id, body) values ('room', ${id(ms, ms === 110 ? 1 : 2)}, 'x')`;
    assertEquals((await opened.store.news("room", known, 10)).head.lost, lost, `${ms}`);
  }
});

Deno.test("Store.heads() and news() tell that a change is lost, also where its message has been changed again", async () => {
  await using database = await postgres.create();
  await using opened = await open(database);
  const { store } = opened;
  const id = (ms: number, seq: number, random = "0123456789") => makeId(ms, seq, random);
  const [a, b] = [id(100, 1), id(100, 2)];
  const known = {
    newest: b,
    newestChanges: [{ id: a, cursor: id(110, 2) }, { id: b, cursor: id(120, 2) }],
    place: placeOf(id(120, 2)),
  };
  const cases: [
    what: string,
    head: number,
    ofA: string | null,
    ofB: string | null,
    byHead: boolean,
    byNews: boolean,
  ][] = [
    ["all is there", 120, id(110, 2), id(120, 2), false, false],
    ["one has moved on", 130, id(110, 2), id(130, 2), false, false],
    ["both have", 140, id(140, 2), id(130, 2), false, false],
    ["the newest is lost", 130, id(110, 2), null, true, true],
    ["all are lost, and the head is further", 130, null, null, true, true],
    ["both are lost, and the newer one has moved on", 130, null, id(130, 2), false, true],
    ["both are lost, and the older one has moved on", 130, id(130, 2), null, true, true],
    ["the older one is another, above the lost one", 130, id(115, 2), id(130, 2), false, true],
    ["the newest is another in the very place", 120, id(110, 2), id(120, 2, "9876543210"), true, true],
    ["the older one is another in the very place", 130, id(110, 2, "9876543210"), id(130, 2), false, true],
  ];
  for (const [what, head, ofA, ofB, byHead, byNews] of cases) {
    await database.sql`truncate heads, messages`;
    await database.sql`insert into heads (room, ms, seq) values ('room', ${head}, 2)`;
    for (const [id, changed] of [[a, ofA], [b, ofB]] as const) {
      await database.sql`insert into messages (room, id, body, changed) values ('room', ${id!}, 'x', ${changed!})`;
    }
    const found = (await store.heads(new Map([["room", known]]))).get("room")!;
    assertEquals(found.lost, byHead, what);
    assert(byHead || !byNews || found.place > known.place, `${what}: nobody looks any further`);
    assertEquals((await store.news("room", known, 10)).head.lost, byNews, what);
    await database.sql`update heads set trimmed = ${b}`;
    assertEquals(
      (await store.news("room", known, 10)).head.lost,
      byNews,
      `${what}, of messages older than others removed`,
    );
    await database.sql`delete from messages`;
    assertEquals((await store.news("room", known, 10)).head.lost, false, `${what}, of messages too old to be kept`);
  }
});

Deno.test("Store.notify() sends each payload on the channel", async () => {
  await using database = await postgres.create();
  await using opened = await open(database);
  const heard: string[] = [];
  await database.sql.listen("news", (payload) => heard.push(payload));
  await opened.store.notify("elsewhere", ["not for us"]);
  await opened.store.notify("news", ["1 a", '2 "b"', ""]);
  await until(() => heard.length >= 3, "the notifications have come");
  assertEquals(heard, ["1 a", '2 "b"', ""]);
});

function assertFits(entries: readonly Entry[]): void {
  const bytes = entries.reduce((sum, entry) => sum + entry.bytes, 0);
  assert(bytes <= MAX_PAGE_BYTES, `${entries.length} entries of ${bytes} bytes`);
  assertLess(0, entries.length);
}

function read({ json }: Entry): Message {
  return JSON.parse(json);
}

/** The store of one server, with its connections as a server has them; none of them is open yet. */
async function open({ url }: TestDatabase) {
  const { openPool } = await openedMigrated(url);
  const clients = ["writes", "reads", "signals"].map((name) => new Client(name, 1, 6_000, openPool));
  const [writes, reads, signals] = clients;
  const store = new Store(writes!, reads!, signals!, new Floors());
  return {
    store,
    reads: reads!,
    append: async (drafts: Draft[]) => (await store.append(drafts)).entries,
    [Symbol.asyncDispose]: async () => void await Promise.all(clients.map((client) => client.close())),
  };
}

/** Resolves when a statement waits for a lock, or does no more. */
function waiting({ sql, name }: TestDatabase, ended = () => false): Promise<void> {
  const backends = () => sql`select from pg_stat_activity where datname = ${name} and wait_event_type = 'Lock'`;
  return until(async () => ended() || (await backends()).length > 0, "a statement waits for a lock");
}

async function stored({ sql }: TestDatabase, room: string): Promise<{ id: string; body: string }[]> {
  return [...await sql<{ id: string; body: string }[]>`select id, body from messages where room = ${room} order by id`];
}

async function headOf({ sql }: TestDatabase, room: string): Promise<number | undefined> {
  const [row] = await sql<{ seq: string }[]>`select seq from heads where room = ${room}`;
  return row && Number(row.seq);
}

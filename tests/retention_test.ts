// What is too old is removed where RETENTION says so: nobody who reads on from the end notices, who comes from before it is told so, and
// nobody takes it for a message that was lost.
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { cursorAt, makeId, makePlace, NIL, placeOf, seqOf } from "../src/chat/cursor.ts";
import { Retention } from "../src/chat/retention.ts";
import { type FollowOptions, type Gap, Linger } from "../src/client/client.ts";
import {
  type Answer,
  get,
  linked,
  type Message,
  messages,
  post,
  posted,
  type ProblemDetails,
  soon,
  until,
} from "./support/client.ts";
import { subscribe } from "./support/events.ts";
import { logged } from "./support/log.ts";
import { hold, opened, type TestDatabase, testPostgres } from "./support/postgres.ts";
import { type Env, exitCode, spawnServer, spawnVersionBefore, startServer } from "./support/server.ts";

const postgres = await testPostgres();

const DAY_MS = 86_400_000;

/** Of the lock that a trimmer has. */
const LOCK = "7811896170157074797";

Deno.test("What is too old goes, room by room as RETENTION says it; numbers go on, and keys go too", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const rooms = ["lobby", "news.de", "news.archive", "archive"];
  const ids = await Promise.all(rooms.map((room) => stored(database, room, [400, 30, 8, 6, 1])));
  const lines = await logged(() => trimmed(database, "365,news.*:7,news.archive:20,archive:0"));
  const left = await Promise.all(rooms.map((room) => idsOf(server, room)));
  assertEquals(left, [ids[0]!.slice(1), ids[1]!.slice(3), ids[2]!.slice(2), ids[3]]);
  assertEquals(
    await marks(database),
    new Map([["lobby", ids[0]![0]], ["news.de", ids[1]![2]], ["news.archive", ids[2]![1]], ["archive", null]]),
  );
  assertEquals(lines.length, 1);
  assertMatch(lines[0]!, /info Messages that were too old were removed {"messages":6,"rooms":3,"most":{"news\.de":3,/);

  const next = await read(post(server, "news.de", { body: "again" }, { "idempotency-key": "key-1" }));
  assertEquals([next.status, seqOf(next.json.id)], [201, 6]); // it stood for a message that is gone
  const kept = await read(post(server, "lobby", { body: "2" }, { "idempotency-key": "key-2" }));
  assertEquals([kept.status, kept.json.id], [200, ids[0]![1]]);
  assertEquals(await logged(() => trimmed(database, "365,news.*:7,news.archive:20,archive:0")), []);
});

Deno.test("A cursor before what was removed is answered 410 with the place to go on from, and nobody else notices", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  await using other = await startServer(database.url);
  const ids = await stored(database, "room", [30, 20, 10, 2, 1]);
  assertEquals((await messages(other, "room", "wait=0")).length, 5); // and has them in memory from now on
  await trimmed(database, "7");
  const between = makeId(Date.now() - 15 * DAY_MS, 0, "0123456789");
  for (const asked of [server, other]) {
    for (const cursor of [ids[0], ids[1], between]) {
      for (
        const [query, more] of [["wait=0", ""], ["wait=5&limit=2", ""], ["wait=5&limit=900", ""], [
          "wait=0",
          "&changes=true",
        ]]
      ) {
        const answer = await get<Trimmed>(asked, `/rooms/room/messages?after=${cursor}&${query}${more}`);
        isTrimmed(answer, ids[2]!);
        const limit = query!.match(/limit=(\d+)/)?.[1] ?? "100";
        assertEquals(linked(answer, "next"), `${asked.url}/rooms/room/messages?after=${ids[2]}&limit=${limit}${more}`);
        assertEquals(
          pick(await get(asked, new URL(linked(answer, "next")!).pathname + new URL(linked(answer, "next")!).search)),
          ids.slice(3).slice(0, Number(limit)),
        );
      }
      for (const [query, headers] of [[`after=${cursor}`, {}], ["", { "last-event-id": cursor! }]] as const) {
        const answer = await get<Trimmed>(asked, `/rooms/room/events?changes=true&${query}`, headers);
        isTrimmed(answer, ids[2]!);
        assertEquals(linked(answer, "next"), `${asked.url}/rooms/room/events?after=${ids[2]}&changes=true`);
      }
    }
    for (const [cursor, expected] of [[NIL, 3], [ids[2], 3], [ids[3], 4], [ids[4], 5]] as const) {
      for (const query of ["wait=0", "wait=0&changes=true", ...expected < 5 ? ["wait=5", "wait=5&limit=900"] : []]) {
        assertEquals(
          pick(await get(asked, `/rooms/room/messages?after=${cursor}&${query}`)),
          ids.slice(expected),
          query,
        );
      }
      await using stream = await subscribe(asked, "room", `after=${cursor}`);
      await until(() => stream.messages.length === 5 - expected, "what is left has come");
      assertEquals(stream.messages.map(({ id }) => id), ids.slice(expected));
    }
    const before = await get(asked, `/rooms/room/messages?before=now`);
    assertEquals([pick(before), linked(before, "prev")], [ids.slice(3), undefined]);
    assertEquals(pick(await get(asked, `/rooms/room/messages?before=${ids[1]}`)), []);
    assertEquals((await get(asked, `/rooms/room/messages/${ids[2]}`)).status, 404);
  }
});

Deno.test("A room that was removed whole goes on: who stands at its end waits, and gets what comes", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { FALLBACK_MS: "100" });
  const ids = await stored(database, "room", [30, 20, 10]);
  const waiting = [`after=${ids[2]}`, `after=${ids[2]}&changes=true`, "after=now"].map((query) =>
    messages(server, "room", `${query}&wait=50`)
  );
  await using stream = await subscribe(server, "room", `after=${ids[2]}`);
  await until(() => server.chat.state.waiters === 3, "they wait");
  await trimmed(database, "7");
  await until(
    () => get(server, `/rooms/room/messages?after=${ids[0]}&wait=5`).then(({ status }) => status === 410),
    "it looks",
  );
  await using late = await startServer(database.url);
  waiting.push(messages(late, "room", `after=${ids[2]}&wait=50`), messages(late, "room", `after=${NIL}&wait=50`));
  await until(() => late.chat.state.waiters === 2, "they wait there, too");
  assertEquals(await messages(late, "room", "before=now"), []);
  const next = await posted(server, "room", "next");
  assertEquals(seqOf(next.id), 4);
  for (const waited of waiting) assertEquals(await waited, [next]);
  await until(() => stream.messages.length === 1, "the stream has it");
});

Deno.test("A room that is trimmed under those who watch it lifts no head and costs no statement but the looks", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { FALLBACK_MS: "50" });
  await stored(database, "room", [30, 20, 10]);
  const lines = await logged(async () => {
    const newest = (await messages(server, "room", "before=now")).at(-1)!;
    await using stream = await subscribe(server, "room", `after=${newest.id}`);
    const poll = messages(server, "room", `after=${newest.id}&wait=50`);
    await until(() => server.chat.state.waiters === 1, "it waits");
    const head = await database.sql`select seq, ms, prior from heads`;
    await trimmed(database, "7");
    const isNotShown = async () =>
      (await get(server, `/rooms/room/messages?after=${NIL.slice(0, -1)}1&wait=5`)).status === 410;
    await until(isNotShown, "a look has seen it");
    assertEquals([...await database.sql`select seq, ms, prior from heads`], [...head]);
    // Looks go on, and no refresh comes of them.
    const refreshed = () =>
      database
        .sql`select query_start::text from pg_stat_activity where application_name = 'linger looks' and datname = current_database()`;
    const last = [...await refreshed()];
    assertEquals(last.length, 1);
    const { statements } = server.chat.state;
    await until(() => server.chat.state.statements > statements + 10, "it looks on");
    assertEquals([...await refreshed()], last);
    const next = await posted(server, "room", "next");
    assertEquals(await poll, [next]);
    await until(() => stream.messages.length === 1, "the stream goes on");
  });
  assertEquals(lines.filter((line) => /error|warn/.test(line)), []);
});

Deno.test("A server gives out nothing from memory that another has removed, once it has looked", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { FALLBACK_MS: "50" });
  const ids = await stored(database, "room", [30, 20, 2, 1]);
  await using _stream = await subscribe(server, "room", "after=now"); // so that it looks
  const fromMemory = async () => {
    const { statements } = server.chat.state;
    const found = await messages(server, "room", `after=${ids[0]}&wait=5`);
    return server.chat.state.statements - statements < 2 && found.length === 3;
  };
  await until(fromMemory, "it has them in memory");
  await trimmed(database, "7");
  await until(
    () => get(server, `/rooms/room/messages?after=${ids[0]}&wait=5`).then(({ status }) => status === 410),
    "they are gone",
  );
  assertEquals(pick(await get(server, `/rooms/room/messages?after=${ids[1]}&wait=5`)), ids.slice(2));
});

Deno.test("A message that was changed is as old as its change, so that who was away learns of a deletion", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const ids = await stored(database, "room", [30, 20, 10, 1]);
  const gone = cursorAt(makePlace(Date.now() - 9 * DAY_MS, 3));
  await database.sql`update messages set changed = ${gone}, body = '', author = null where id = ${ids[0]!}`;
  const edited = cursorAt(makePlace(Date.now() - DAY_MS / 2, 4));
  await database.sql`update messages set changed = ${edited}, body = 'edited' where id = ${ids[1]!}`;
  await database.sql`update heads set ms = ${Date.now() - DAY_MS / 2} where room = 'room'`;
  await trimmed(database, "7");
  // The deletion is nine days old, the edit half a day.
  assertEquals(await idsOf(server, "room"), [ids[1], ids[3]]);
  assertEquals(await marks(database), new Map([["room", gone]]));
  // Who reads no changes has missed none but messages.
  assertEquals(pick(await get(server, `/rooms/room/messages?after=${ids[2]}&wait=0`)), [ids[3]]);
  isTrimmed(await get(server, `/rooms/room/messages?after=${ids[2]}&wait=0&changes=true`), gone);
  isTrimmed(await get(server, `/rooms/room/messages?after=${ids[1]}&wait=0`), gone);
  assertEquals(pick(await get(server, `/rooms/room/messages?after=${gone}&wait=0&changes=true`)), [ids[3], ids[1]]);
});

Deno.test("What answers a message that is gone stays, and says which it answers, until it is deleted itself", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  await using other = await startServer(database.url);
  const [old] = await stored(database, "room", [30, 1]);
  const key = { "message-key": "a key that nobody else knows" };
  const say = async (body: string, more = {}) => (await read(post(server, "room", { body, ...more }, key))).json;
  const remove = async ({ id }: Message) => {
    const { status } = await fetch(`${server.url}/rooms/room/messages/${id}`, { method: "DELETE", headers: key });
    assertEquals(status, 204);
  };
  const deleted = await say("taken back");
  const gone = [old!, deleted.id];
  const answers: Message[] = [];
  for (const reply_to of gone) answers.push(await say("Yes", { reply_to }));
  await remove(deleted);
  await trimmed(database, "7");
  for (const reply_to of gone) answers.push(await say("Still yes", { reply_to }));
  assertEquals(answers.map(({ reply_to }) => reply_to), [...gone, ...gone]);
  const statuses = await Promise.all(gone.map(async (id) => (await get(server, `/rooms/room/messages/${id}`)).status));
  assertEquals(statuses, [404, 410]);
  const found = async (server: { url: string }, query: string) =>
    (await messages(server, "room", query)).filter(({ reply_to }) => reply_to);
  for (const each of [server, other]) {
    for (const query of ["wait=0", "wait=5", "changes=true&wait=0", "changes=true&wait=5", "before=now", "q=yes"]) {
      assertEquals(await found(each, query), answers, query);
    }
  }
  await remove(answers[0]!);
  for (const query of ["wait=0", "changes=true&wait=0", "before=now", "q=yes"]) {
    assertEquals(await found(server, query), answers.slice(1), query);
  }
  const rows = await database.sql`select reply_to from messages where body = ''`;
  assertEquals([...rows], [{ reply_to: null }, { reply_to: null }]);
});

Deno.test("Who reads from the start comes past any number of lately deleted messages that stand below what was removed", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const count = 1_100; // more than any page
  const ids = await stored(database, "room", [...Array.from({ length: count }, () => 30), 20, 1]);
  await database.sql`
    update messages set body = '', changed = (lpad(to_hex(${Date.now()}::bigint), 12, '0') || right(replace(id::text, '-', ''), 20))::uuid
    where room = 'room' and id <= ${ids[count - 1]!}`;
  await database.sql`update heads set ms = ${Date.now()} where room = 'room'`;
  await trimmed(database, "7");
  assertEquals(await marks(database), new Map([["room", ids[count]!]]));
  const last = ids.at(-1)!;
  for (const query of ["wait=0&limit=1", "wait=0&limit=1000", "wait=5&limit=1000"]) {
    assertEquals((await messages(server, "room", `after=${NIL}&${query}`)).map(({ id }) => id), [last], query);
  }
  assertEquals((await messages(server, "room", `after=${NIL}&wait=0&changes=true&limit=1000`)).at(0)?.id, last);
  for (const changes of [false, true]) {
    await using stream = await subscribe(server, "room", `after=${NIL}&changes=${changes}`);
    await until(() => stream.messages.length > 0, "it begins with what is left");
    assertEquals(stream.messages[0]!.id, last);
  }
  isTrimmed(await get(server, `/rooms/room/messages?after=${ids[0]}&wait=0`), ids[count]!);
});

Deno.test("The mark comes before the removal, which holds up no post and spares what is edited meanwhile", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const ids = await stored(database, "room", [30, 20, 10]);
  const edited = cursorAt(makePlace(Date.now(), 3));
  const holding = await hold(database, (sql) => sql`update messages set changed = ${edited} where id = ${ids[1]!}`);
  const trimming = trimmed(database, "7");
  await until(async () => (await marks(database)).get("room") === ids[2], "the mark is there");
  const next = await posted(server, "room", "next");
  assertEquals(seqOf(next.id), 4);
  isTrimmed(await get(server, `/rooms/room/messages?after=${ids[0]}&wait=0`), ids[2]!);
  await holding.end();
  await trimming;
  await trimmed(database, "7"); // on a slow machine the first may have given up its wait
  assertEquals(await idsOf(server, "room"), [ids[1], next.id]);
});

Deno.test("One server trims at a time, none where the database only reads, and one that ends does so at once", async () => {
  await using database = await postgres.create();
  await using _server = await startServer(database.url);
  await stored(database, "room", [30]);
  const isLeft = async () => (await database.sql`select from messages`).length === 1;
  await using locked = await hold(database, (sql) => sql`select pg_advisory_xact_lock(${LOCK}::bigint)`);
  await trimmed(database, "7");
  assert(await isLeft());
  await locked.end();

  await database.sql`alter database ${database.sql(database.name)} set default_transaction_read_only to on`;
  await logged(() => trimmed(database, "7"));
  assert(await isLeft());
  await database.sql`alter database ${database.sql(database.name)} reset default_transaction_read_only`;

  const stop = new AbortController();
  await using row = await hold(database, (sql) => sql`select from messages for update`);
  const trimming = trimmed(database, "7", stop.signal);
  await until(async () => (await marks(database)).get("room") !== null, "it is at it");
  stop.abort();
  await soon(trimming);
  await row.end();
  await until(async () => (await sessions(database)) === 0, "no session is left");
  await trimmed(database, "7");
  assertEquals(await isLeft(), false);
});

Deno.test("A room of which another transaction holds a message keeps no other from being trimmed, and is named in the log", async () => {
  await using database = await postgres.create();
  await using _server = await startServer(database.url);
  const [a, b] = [await stored(database, "a", [30, 20, 1]), await stored(database, "b", [30, 20, 1])];
  const left = async () => (await database.sql`select id from messages order by room, id`).map(({ id }) => id);
  await using row = await hold(
    database,
    (sql) => sql`select from messages where id = ${a[1]!} and room = 'a' for update`,
  );
  const lines = await logged(() => trimmed(database, "7"));
  assertEquals(await left(), [...a, b[2]]);
  const named = lines.filter((line) => line.includes("Other transactions hold"));
  assertEquals(named.length, 1);
  assertStringIncludes(named[0]!, `{"rooms":1,"some":["a"]}`);
  await row.end();
  await trimmed(database, "7");
  assertEquals(await left(), [a[2], b[2]]);
});

Deno.test("Without the right to remove, the log says which one is missing, and nothing is marked", async () => {
  await using database = await postgres.create();
  await using _server = await startServer(database.url);
  await stored(database, "room", [30]);
  const role = `reader_${crypto.randomUUID().slice(0, 8)}`;
  await database.sql`create role ${database.sql(role)} login`;
  await database.sql`grant select, insert, update on heads, messages to ${database.sql(role)}`;
  const lines = await logged(() => trimmed({ ...database, url: database.url.replace("postgres@", `${role}@`) }, "7"));
  assertEquals(lines.map((line) => line.replace(/^\S+ /, "")), [
    `error Messages that are too old can't be removed: grant delete on messages to ${role}`,
  ]);
  assertEquals(await marks(database), new Map([["room", null]]));
  await database.sql`drop owned by ${database.sql(role)}`;
  await database.sql`drop role ${database.sql(role)}`;
});

Deno.test("While the database's clock is far from the server's nothing is removed, and the log says why", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const ids = await stored(database, "room", [30, 6, 1]);
  await database.sql.unsafe(`
    create schema faketime;
    create table faketime.clock (ahead bigint);
    insert into faketime.clock values (0);
    create function faketime.clock_timestamp() returns timestamptz volatile language sql
      as $$ select pg_catalog.clock_timestamp() + ahead * interval '1 ms' from faketime.clock $$;
    alter database ${database.name} set search_path = faketime, public, pg_catalog`); // for connections from here on
  for (const days of [730, 0.1, -730]) {
    await database.sql`update faketime.clock set ahead = ${Math.round(days * DAY_MS)}`;
    const lines = await logged(() => trimmed(database, "7"));
    assertEquals(lines.length, 1);
    assertMatch(
      lines[0]!,
      /error Nothing is removed while the database's clock and this machine's are more than an hour apart: set them by NTP/,
    );
    assertEquals(await idsOf(server, "room"), ids);
    assertEquals(await marks(database), new Map([["room", null]]));
  }
  await database.sql`update faketime.clock set ahead = ${50 * 60_000}`;
  await trimmed(database, "7");
  assertEquals(await idsOf(server, "room"), ids.slice(1));
});

Deno.test("Many rooms and many messages go in batches", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  await database.sql`insert into heads (room, seq, ms) select 'room-' || n, 1, 1000 from generate_series(1, 1500) n`;
  await database.sql`insert into messages (room, id, body)
    select 'room-' || n, ${makeId(1000, 1, "0123456789")}, 'x' from generate_series(1, 1500) n`;
  const ids = await stored(database, "z", [...Array(2_500).fill(30), 1]);
  await trimmed(database, "7");
  assertEquals([...await database.sql`select room, id from messages`], [{ room: "z", id: ids.at(-1) }]);
  assertEquals(placeOf((await marks(database)).get("z")!), placeOf(ids.at(-2)!));
  assertEquals(await idsOf(server, "z"), [ids.at(-1)]);
});

Deno.test("Followers of this version and of the one before lose nothing while a server trims their room", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { FALLBACK_MS: "100" });
  await using before = await spawnVersionBefore(database.url, { FALLBACK_MS: "100" });
  await stored(database, "room", [30, 20, 10]);
  const said: string[] = [];
  const streams = await Promise.all([server, before].map((at) => subscribe(at, "room", "after=now")));
  for (let i = 0; i < 20; i++) {
    said.push((await posted([server, before][i % 2]!, "room", `${i}`)).id);
    // What was said becomes old as soon as all have it, but for the last: the clock need not be asked.
    const upTo = said.at(-3);
    if (!upTo) continue;
    await until(() => streams.every(({ messages }) => messages.length >= said.length - 2), "all have it");
    await trimmedUpTo(database, upTo);
  }
  for (const stream of streams) {
    await until(() => stream.messages.length >= 20, "all have come");
    assertEquals(stream.messages.map(({ id }) => id), said);
    await stream.leave();
  }
});

Deno.test("A server that is started with RETENTION removes what is too old, says so once, and ends as ever", async () => {
  await using database = await postgres.create();
  {
    await using _server = await startServer(database.url); // migrates
    await stored(database, "room", [30, 1]);
  }
  await using server = await spawnServer(database.url, { RETENTION: "7" });
  await until(() => server.log().includes("were removed"), "it has removed them");
  assertStringIncludes(server.log(), `{"messages":1,"rooms":1,"most":{"room":1}}`);
  assertEquals((await messages(server, "room", "wait=0")).length, 1);
  await until(async () => (await sessions(database)) === 0, "its connection is closed");
  server.kill("SIGTERM");
  assertEquals(await exitCode(server), 0);
});

Deno.test("A follow that was cut goes on with what is left, and tells of the gap only where there is one", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  await stored(database, "room", [3, 2]);
  let cut = false;
  const unsteady = async (request: RequestInfo | URL) => {
    if (cut) throw new TypeError("the network is away");
    const response = await fetch(request);
    const whole = new Response(await response.text(), response);
    if (cut) throw new TypeError("the network went away");
    return whole;
  };
  const room = new Linger(server.url, { fetch: unsteady }).room("room");
  /** Follows until it is left; what came, and what was told of gaps. */
  const follow = (options: FollowOptions) => {
    const gaps: Gap[] = [];
    const ids: string[] = [];
    const messages = room.follow({ ...options, onGap: (gap) => gaps.push(gap) });
    const done = (async () => {
      for await (const { id } of messages) ids.push(id);
    })();
    return { gaps, ids, [Symbol.asyncDispose]: () => messages.return!().then(() => done) };
  };
  await using first = follow({ after: NIL });
  await using withChanges = follow({ after: NIL, changes: true });
  await until(() => first.ids.length === 2 && withChanges.ids.length === 2, "both have all");
  await until(() => server.chat.state.waiters === 2, "they wait");
  cut = true;
  const missed = await posted(server, "room", "missed");
  await until(() => server.chat.state.waiters === 0, "they are cut");
  await trimmedUpTo(database, first.ids[1]!); // inside of what they had
  cut = false;
  await until(() => first.ids.length === 3 && withChanges.ids.length === 3, "they have it");
  assertEquals([first.gaps, withChanges.gaps], [[], []]);

  await until(() => server.chat.state.waiters === 2, "they wait");
  cut = true;
  const removed = await posted(server, "room", "removed");
  await until(() => server.chat.state.waiters === 0, "they are cut");
  const left = await posted(server, "room", "left");
  await trimmedUpTo(database, removed.id);
  cut = false;
  await until(() => first.ids.length === 4 && withChanges.ids.length === 4, "they go on");
  for (const { ids, gaps } of [first, withChanges]) {
    assertEquals(ids.slice(2), [missed.id, left.id]);
    assertEquals(gaps, [{ after: missed.id, earliest: removed.id }]);
  }
  // Who does not want to know goes on, too.
  for await (const message of room.follow({ after: missed.id })) {
    assertEquals(message, left);
    break;
  }
});

/** Removes messages though they are not old. */
async function trimmedUpTo({ sql }: TestDatabase, id: string): Promise<void> {
  await sql`update heads set trimmed = ${id}`;
  await sql`delete from messages where id <= ${id}`;
}

/** What is said of messages that are gone. */
interface Trimmed extends ProblemDetails {
  earliest: string;
}

function isTrimmed(answer: Answer<unknown>, earliest: string): void {
  const { type, earliest: given } = answer.json as Trimmed;
  assertEquals([answer.status, type, given], [410, "urn:linger:problem:trimmed", earliest]);
}

/** Stores messages that are so many days old, and returns their ids. */
async function stored({ sql }: TestDatabase, room: string, days: readonly number[]): Promise<string[]> {
  const ids = days.map((days, i) => makeId(Date.now() - days * DAY_MS, i + 1, "0123456789"));
  const ms = Date.now() - days.at(-1)! * DAY_MS;
  await sql`insert into heads (room, seq, ms) values (${room}, ${days.length}, ${ms})`;
  await sql`insert into messages (room, id, key, body)
    select ${room}, id, 'key-' || number, number::text from unnest(${`{${ids}}`}::uuid[]) with ordinality as u (id, number)`;
  return ids;
}

/** Removes once what is too old. */
async function trimmed(
  { url }: TestDatabase,
  retention: string,
  stop = new AbortController().signal,
  env: Env = {},
): Promise<void> {
  const { config, ...database } = await opened(url, { RETENTION: retention, ...env });
  await new Retention(database, config).run(stop);
}

async function marks({ sql }: TestDatabase): Promise<Map<string, string | null>> {
  const rows = await sql<{ room: string; trimmed: string | null }[]>`select room, trimmed from heads`;
  return new Map(rows.map(({ room, trimmed }) => [room, trimmed]));
}

/** How many connections of trimmers there are. */
async function sessions({ sql }: TestDatabase): Promise<number> {
  const rows = await sql`
    select from pg_stat_activity where datname = current_database() and application_name = 'linger retention'`;
  return rows.length;
}

async function idsOf(server: { url: string }, room: string): Promise<string[]> {
  return (await messages(server, room, "wait=0&limit=1000")).map(({ id }) => id);
}

function pick({ json }: Answer<Message[]>): string[] {
  return json.map(({ id }) => id);
}

async function read(response: Promise<Response>): Promise<{ status: number; json: Message }> {
  const answer = await response;
  return { status: answer.status, json: await answer.json() };
}

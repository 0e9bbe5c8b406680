// What must not be kept is forgotten by a command beside the servers that run: it is in no table and in no answer any more, and whoever
// follows with changes learns of it, however he was cut off.
import {
  assert,
  assertEquals,
  assertFalse,
  assertGreater,
  assertLess,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { join } from "node:path";
import { NIL, randomDigits } from "../src/chat/cursor.ts";
import { Feed } from "../src/chat/feed.ts";
import { Floors } from "../src/chat/floors.ts";
import { Forgetter } from "../src/chat/forgetter.ts";
import { Store } from "../src/chat/store.ts";
import { Client } from "../src/database/client.ts";
import {
  type Answer,
  get,
  health,
  LISTED_MS,
  type Message,
  messages,
  post,
  read,
  soon,
  until,
} from "./support/client.ts";
import { runCommand, spawnCommand } from "./support/command.ts";
import { freePort, hold, opened, projectPath, type TestDatabase, testPostgres } from "./support/postgres.ts";
import { spawnServer, spawnStarting, startServer, type TestServer } from "./support/server.ts";
import { bearer, SECRET, tokenOf } from "./support/tokens.ts";

const postgres = await testPostgres();

const KEY = "a key that nobody else knows";

/** What comes to whoever follows with changes. */
type Item = Message & { deleted?: boolean };

Deno.test("All of an author is forgotten: in no table, in no answer, and followers end with what there is", async () => {
  await using database = await postgres.create();
  await using one = await startServer(database.url);
  await using two = await startServer(database.url);
  const kept = [];
  for (let i = 0; i < 30; i++) {
    const author = i % 3 === 0 ? "Ada" : "Bob";
    const message = await say(
      i % 2 ? one : two,
      i % 5 ? "garden" : "kitchen",
      { body: `word ${i}`, author },
      `key-${i}`,
    );
    if (author === "Bob") kept.push(message);
  }
  await addMany(database, "garden", 500, "Ada"); // more than a batch
  const connected = follow([one, two], "garden", true);
  const plain = follow([two], "garden", false);
  await until(() => connected.held.size > 500 && plain.held.size > 500, "both have all");
  await database.sql`analyze`; // as autovacuum does, which takes samples
  const away = await reader(one, "garden"); // and comes back with an old cursor
  const before = plain.answers;

  const { code, log } = await forget(database, "--author", "Ada", "--yes");
  assertEquals(code, 0, log);
  assertMatch(log, /510 messages in 2 rooms will be forgotten/);
  const inGarden = kept.filter(({ room }) => room === "garden");
  await until(() => connected.held.size === inGarden.length, "who waits is told, though nobody else reads or posts");
  assertFalse(log.includes("Ada"), log); // who it was stands in no log
  assertEquals(await traces(database, "Ada"), 0);
  assertEquals(await traces(database, "word 3"), 0);
  assertEquals(await traces(database, "filler"), 0);

  for (const server of [one, two]) {
    for (const room of ["garden", "kitchen"]) {
      const expected = kept.filter((message) => message.room === room);
      for (const query of ["wait=0&limit=1000", "wait=0", "before=now&limit=1000"]) {
        assertEquals(await messages(server, room, query), expected, query);
      }
    }
  }
  const last = await say(two, "garden", { body: "Goodbye", author: "Bob" });
  const expected = [...inGarden, last];
  await until(() => plain.held.has(last.id) && connected.held.has(last.id), "both have the last one");
  assertEquals([...connected.held.values()], expected);
  assertEquals(plain.answers, before + 1); // for whoever does not ask for changes nothing has happened
  await away.catchUp(two);
  assertEquals([...away.held.values()], expected);
  for (const follower of [connected, plain]) await follower[Symbol.asyncDispose]();

  // What was posted by hand of nobody known comes back by no late retry.
  const retry = await post(one, "kitchen", { body: "word 0", author: "Ada" }, { "idempotency-key": "key-0" });
  assertEquals(retry.status, 410);
  await retry.body?.cancel();
  assertEquals((await get(one, `/rooms/garden/messages/${inGarden[0]!.id}`)).status, 200);
  assertMatch((await forget(database, "--author", "Ada", "--yes")).log, /There is nothing to forget/);
});

Deno.test("All of a sub is forgotten, and the sub with it: in its keys, and in what was deleted before", async () => {
  await using database = await postgres.create();
  const env = { TOKEN_SECRET: SECRET };
  await using server = await startServer(database.url, env);
  const headersOf = async (sub: string) =>
    bearer(await tokenOf({ sub, read: ["*"], write: ["*"], moderate: sub === "mod" ? ["*"] : [] }));
  const [ada, bob, mod] = [await headersOf("ada-lovelace"), await headersOf("bob"), await headersOf("mod")];
  const mine = [];
  for (let i = 0; i < 3; i++) {
    const headers = { ...ada, "idempotency-key": `k${i}`, "message-key": KEY };
    mine.push(await read<Message>(post(server, "room", { body: `hers ${i}`, author: "Ada" }, headers)));
  }
  const his = await read<Message>(post(server, "room", { body: "his", reply_to: mine[0]!.json.id }, bob));
  const url = (id: string) => `${server.url}/rooms/room/messages/${id}`;
  const deleted = await read(fetch(url(mine[2]!.json.id), { method: "DELETE", headers: ada }));
  assertEquals(deleted.status, 204);
  assertGreater(await traces(database, "ada-lovelace"), 0);
  await database.sql`analyze`;

  const { code, log } = await forget(database, "--sub", "ada-lovelace", "--yes");
  assertEquals(code, 0, log);
  assertMatch(log, /2 messages in 1 room, and what is left of 1 deleted message, will be forgotten/);
  await database.sql`vacuum (analyze) messages`; // whose samples have the keys
  for (const word of ["ada-lovelace", "hers", "Ada"]) assertEquals(await traces(database, word), 0, word);
  const rows = await database.sql`select key, sub, proof, reply_to from messages where body = ''`;
  assertEquals([...rows], Array(3).fill({ key: null, sub: null, proof: null, reply_to: null }));
  const left = await get(server, "/rooms/room/messages?wait=0", bob);
  assertEquals(left.json, [his.json]);
  // Nobody gets at what is left; a moderator who deletes it is told that it is so.
  assertEquals((await get(server, `/rooms/room/messages/${mine[0]!.json.id}`, bob)).status, 410);
  assertEquals((await read(fetch(url(mine[0]!.json.id), { method: "DELETE", headers: ada }))).status, 403);
  assertEquals((await read(fetch(url(mine[0]!.json.id), { method: "DELETE", headers: mod }))).status, 204);
});

Deno.test("One message is forgotten by its id, as if its author had deleted it", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const [one, two] = [
    await say(server, "room", { body: "One" }, "a"),
    await say(server, "other", { body: "Two" }, "b"),
  ];
  const { code, log } = await forget(database, "--id", two.id.toUpperCase(), "--yes");
  assertEquals(code, 0, log);
  assertMatch(log, new RegExp(`"room":"other","messages":1,"first":"${two.id}"`));
  assertEquals(await messages(server, "other", "wait=0"), []);
  assertEquals(await messages(server, "room", "wait=0"), [one]);
  assertEquals((await get(server, `/rooms/other/messages/${two.id}`)).status, 410);
  const headers = { "message-key": KEY, "idempotency-key": "b" };
  assertEquals((await read(post(server, "other", { body: "Two" }, headers))).status, 410);
  for (const id of [NIL, two.id]) {
    assertStringIncludes((await forget(database, "--id", id, "--yes")).log, "nothing to forget");
  }
});

Deno.test("A message that was imported under another name is forgotten by its id in both rooms", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const one = await say(server, "room", { body: "One" }, "a");
  const two = await say(server, "room", { body: "Two" }, "b");
  await database.sql`insert into heads (room, seq, ms) select 'a copy', seq, ms from heads where room = 'room'`;
  await database
    .sql`insert into messages (room, id, key, author, body) select 'a copy', id, key, author, body from messages`;
  const { code, log } = await forget(database, "--id", one.id, "--yes");
  assertEquals(code, 0, log);
  assertStringIncludes(log, "A message that is in rooms a copy, room");
  const left = await database.sql`select room, id from messages where body <> '' order by room`;
  assertEquals([...left], [{ room: "a copy", id: two.id }, { room: "room", id: two.id }]);
});

Deno.test("A room is forgotten: no server has it, also one that was asleep; it is listed no more, and goes on when somebody posts", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  await using sleeper = await spawnServer(database.url);
  await say(server, "secret", { body: "first word" });
  await addMany(database, "secret", 300, "Ada");
  const last = await say(server, "secret", { body: "last word" });
  const other = await say(server, "other", { body: "stays" });
  const connected = follow([server], "secret", true);
  const plain = follow([server], "secret", false);
  await until(() => connected.held.size === 302 && plain.held.size === 302, "both have all");
  assertEquals((await messages(sleeper, "secret", "wait=0&limit=50")).length, 50); // and has them in memory
  assertEquals((await messages(sleeper, "secret", `after=${last.id}&wait=0`)).length, 0);

  sleeper.kill("SIGSTOP");
  const unseen = await say(server, "secret", { body: "the very last word" });
  const { code, log } = await forget(database, "--room", "secret", "--yes");
  sleeper.kill("SIGCONT");
  assertEquals(code, 0, log);
  for (const query of ["wait=0", "wait=0&limit=1000", "before=now", `after=${NIL}&wait=0`]) {
    for (const each of [sleeper, server]) assertEquals(await messages(each, "secret", query), [], query);
  }
  // Who was away, asks for changes and holds the last message, is told that nothing of it is left, by whichever server.
  for (const each of [sleeper, server]) {
    const told = await get<{ earliest: string }>(each, `/rooms/secret/messages?after=${last.id}&wait=50&changes=true`);
    assertEquals([told.status, told.json.earliest > last.id], [410, true]);
  }
  // The one that was asleep can't know which it has missed: so those who read with it are told, too, also without changes.
  assertEquals((await get(sleeper, `/rooms/secret/messages?after=${last.id}&wait=0`)).status, 410);
  assertEquals((await database.sql`select from messages where room = 'secret'`).length, 0);
  assertEquals((await get(server, `/rooms/secret/messages/${last.id}`)).status, 404);
  await until(async () => (await rooms(server)).join() === "other", "it is listed no more", LISTED_MS);
  await until(() => connected.held.size === 0, "who follows with changes has been told of each");

  const again = await say(server, "secret", { body: "a new beginning" });
  assertGreater(again.id, last.id);
  assertEquals(numberOf(again), numberOf(unseen) + 1);
  await until(() => plain.held.has(again.id) && connected.held.has(again.id), "both have what comes then");
  assertEquals([...connected.held.values()], [again]);
  for (const follower of [connected, plain]) await follower[Symbol.asyncDispose]();
  for (const each of [sleeper, server]) assertEquals(await messages(each, "secret", "wait=0"), [again]);
  await until(async () => (await rooms(server)).join() === "secret,other", "it is listed", LISTED_MS);
  assertEquals(await messages(server, "other", "wait=0"), [other]);
  assertFalse(sleeper.log().includes("lost"), sleeper.log());
});

Deno.test("Who waits for changes at a server that was asleep while a room was forgotten is told as soon as it wakes up", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  await using sleeper = await spawnServer(database.url);
  const message = await say(server, "secret", { body: "a word" });
  const path = `/rooms/secret/messages?after=${message.id}&wait=50`;
  const told = get<{ earliest: string }>(sleeper, `${path}&changes=true`);
  const plain = get(sleeper, path);
  await until(async () => (await health(sleeper)).waiters === 2, "they wait");
  sleeper.kill("SIGSTOP");
  const { code, log } = await forget(database, "--room", "secret", "--yes");
  sleeper.kill("SIGCONT");
  assertEquals(code, 0, log);
  await soon(told); // and not when its wait is over
  const { status, json } = await told;
  assertEquals([status, json.earliest > message.id], [410, true]);
  // For who does not ask for changes nothing has happened.
  const next = await say(server, "secret", { body: "another word" });
  assertEquals((await plain).json, [next]);
});

Deno.test("What somebody posts into a room while it is forgotten is forgotten too, or stays whole", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  await addMany(database, "busy", 1_500, "Ada");
  let posting = true;
  const said: Message[] = [];
  const writer = (async () => {
    while (posting) said.push(await sayUntilStored(server, "busy", `beside ${said.length}`));
  })();
  const follower = follow([server], "busy", true);
  writer.catch(() => {}); // until it is awaited
  await until(() => follower.held.size > 1_500, "somebody posts");
  const { code, log } = await forget(database, "--room", "busy", "--yes");
  posting = false;
  await writer;
  assertEquals(code, 0, log);
  const end = await sayUntilStored(server, "busy", "the end");
  await until(() => follower.held.has(end.id), "it has the end");
  await follower[Symbol.asyncDispose]();
  const stored = [...(await reader(server, "busy")).held.values()] as Message[];
  assertEquals([...follower.held.values()], stored);
  assertEquals(stored, [...said, end].slice(-stored.length)); // the last ones, without a gap
  assert(said.every(({ id }, i) => i === 0 || id > said[i - 1]!.id));
  const [row] = await database.sql<{ trimmed: string }[]>`select trimmed from heads where room = 'busy'`;
  assert(stored.every(({ id }) => id > row!.trimmed));
});

for (const [count, what, passes] of [[10_000, "at once", 1], [10_001, "at once only after some passes", 5]] as const) {
  Deno.test(`A room is forgotten as it was at the beginning, and ${count} messages that have come meanwhile ${what}, however much comes`, async () => {
    await using database = await postgres.create();
    await using _server = await startServer(database.url); // which makes the tables
    await using forgetting = await open(database);
    const { forgetter } = forgetting;
    const comes = async () => {
      await addMany(database, "room", count, "Ada");
      await database.sql`update messages set body = ''
        where body <> '' and id not in (select max(id::text)::uuid from messages)`;
    };
    await comes();
    const isMarked: boolean[] = [];
    for await (const _ of forgetter.removeRoom("room")) {
      const [head] = await database.sql`select trimmed from heads`;
      isMarked.push(head!.trimmed !== null);
      assert(isMarked.length <= passes + 1, "it goes on for ever");
      const left = await database
        .sql`select from messages join heads using (room) where id <= trimmed and body <> ''`;
      assertEquals(left.length, 0, "followers know that it is removed, and it can be read");
      await comes();
    }
    assertEquals(isMarked, [...Array(passes).fill(false), true]);
  });
}

Deno.test("A room that is forgotten is no loss for a server that knows of edits there, while its rows are still there", async () => {
  await using database = await postgres.create();
  await using _server = await startServer(database.url); // which makes the tables
  await using forgetting = await open(database);
  const { store, forgetter } = forgetting;
  const lost: string[] = [];
  const limits = { messages: 1_000, bytes: 1_000_000 };
  const feed = new Feed("room", store, limits, () => {}, () => lost.push("something"), () => {});
  await addMany(database, "room", 1, "Ada");
  await feed.refresh();
  const removing = forgetter.removeRoom("room");
  await removing.next(); // what was there at the beginning is forgotten
  await addMany(database, "room", 3, "Ada");
  const ids = await database.sql<{ id: string }[]>`select id from messages where body <> '' order by id`;
  for (const { id } of ids) {
    const change = { room: "room", id, body: "edited", sub: null, proof: null, moderates: true, known: null };
    assertEquals((await store.change({ ...change, random: randomDigits() })).outcome, "changed");
  }
  await feed.refresh();
  await removing.next(); // what has come meanwhile is forgotten at once, and not removed yet
  for (let looks = 0; looks < 3; looks++) {
    await feed.refresh();
    assertEquals((await store.heads(new Map([["room", feed]]))).get("room")!.lost, false);
  }
  await Array.fromAsync(removing);
  await feed.refresh();
  assertEquals(lost, []);
});

Deno.test("A room's rows are removed without another look at those that are, though these can't be cleared away yet", async () => {
  await using database = await postgres.create();
  await using _server = await startServer(database.url); // which makes the tables
  await addMany(database, "room", 20_000, "Ada");
  await database.sql`update messages set body = ''`; // so that only their rows are left to be removed
  await database.sql`vacuum (analyze) messages`;
  await using _reader = await hold(
    database,
    (sql) => sql.unsafe("set transaction isolation level repeatable read; select from messages limit 1"),
  );
  const looked = async () => {
    const [row] = await database.sql<{ rows: string; removed: string }[]>`
      select seq_tup_read + coalesce((
        select sum(idx_tup_read) from pg_stat_user_indexes i where i.relname = 'messages'
      ), 0) as rows, n_tup_del as removed from pg_stat_user_tables where relname = 'messages'`;
    return { rows: Number(row!.rows), removed: Number(row!.removed) };
  };
  const before = await looked();
  {
    await using forgetting = await open(database);
    await Array.fromAsync(forgetting.forgetter.removeRoom("room"));
  }
  await until(async () => (await looked()).removed === 20_000, "the database has counted that");
  assertLess((await looked()).rows - before.rows, 100_000);
  assertEquals((await database.sql`select from messages`).length, 0);
});

Deno.test("A room whose head is far ahead of the clock is forgotten all the same", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  await addMany(database, "busy", 1_500, "Ada");
  await database.sql`update heads set prior = ms, ms = ms + 3600000`;
  const forgotten = forget(database, "--room", "busy", "--yes");
  await soon(forgotten);
  const { code, log } = await forgotten;
  assertEquals(code, 0, log);
  assertEquals(await messages(server, "busy", "wait=0"), []);
});

Deno.test("It is killed half-way and run again: then all is forgotten", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  for (const room of ["a", "b"]) await addMany(database, room, 3_000, "Ada");
  const child = spawnCommand("forget", ["--room", "a", "--yes"], { DATABASE_URL: database.url });
  let log = "";
  for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
    log += text;
    if (log.includes("so far")) break;
  }
  child.kill("SIGKILL");
  await child.status;
  await child.stdout.cancel();
  const left = async () => (await database.sql`select from messages where room = 'a' and body <> ''`).length;
  assert(await left() > 0 && await left() < 3_000, `${await left()}`);
  const again = await forget(database, "--room", "a", "--yes");
  assertEquals(again.code, 0, again.log);
  assertEquals((await database.sql`select from messages where room = 'a'`).length, 0);
  assertEquals((await messages(server, "b", "wait=0&limit=1000")).length, 1_000);
});

Deno.test("Where nobody can be asked nothing is forgotten without --yes; at a terminal only with a y", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const message = await say(server, "room", { body: "One", author: "Ada" });
  const refused = await forget(database, "--author", "Ada");
  assertEquals(refused.code, 1);
  assertMatch(
    refused.log,
    /1 message in 1 room will be forgotten.*Nobody is there to be asked, and nothing was forgotten: --yes/s,
  );
  for (const [key, code, expected] of [["n", 1, [message]], ["y", 0, []]] as [string, number, Message[]][]) {
    const command = `exec '${Deno.execPath()}' run -A --frozen --quiet main.ts forget --author Ada`;
    const child = new Deno.Command("script", {
      args: ["--quiet", "--flush", "--return", "--command", command, "/dev/null"],
      cwd: projectPath("."),
      env: { DATABASE_URL: database.url, SHELL: "/bin/sh" },
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const keys = child.stdin.getWriter();
    let output = "";
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      if (!output.includes("Forget it?") && (output + text).includes("Forget it?")) {
        await keys.write(new TextEncoder().encode(`${key}\n`));
      }
      output += text;
    }
    assertEquals((await child.status).code, code, output);
    await keys.close().catch(() => {});
    assertEquals(await messages(server, "room", "wait=0"), expected);
  }
});

Deno.test("What can't be meant is refused, and nothing is forgotten", async () => {
  await using database = await postgres.create();
  for (
    const [args, sentence] of [
      [[], "What is to be forgotten?"],
      [["--sub", "a", "--room", "b"], "One thing at a time is forgotten"],
      [["--sub", "a", "--sub", "b"], "--sub can be given once"],
      [["--room", "no room"], "--room no room is no name of a room"],
      [["--id", "17"], "--id 17 is no id of a message"],
      [["--everything"], "'--everything'"],
    ] as const
  ) {
    const { code, log } = await forget(database, ...args, "--yes");
    assertEquals(code, 1);
    assertStringIncludes(log, sentence);
  }
  assertMatch((await runCommand("forget", ["--help"], {})).stdout, /^deno task forget --sub/);
});

Deno.test("It works on the database in DATA_DIR, while a server has it and while none does; it makes none", async () => {
  const home = await Deno.makeTempDir({ prefix: "linger-test-" });
  const env = { DATA_DIR: join(home, "data"), PORT: `${freePort()}` };
  try {
    const none = await runCommand("forget", ["--room", "room", "--yes"], env);
    assertEquals(none.code, 1);
    assertMatch(none.log, /DATABASE_URL is not set, and .*data has no database/);
    assertEquals([...Deno.readDirSync(home)], []);

    await using server = spawnStarting("", env, "main.ts", "start");
    const running = { url: await server.ready };
    await say(running, "one", { body: "One", author: "Ada" });
    await say(running, "two", { body: "Two", author: "Ada" });
    const beside = await runCommand("forget", ["--room", "one", "--yes"], env);
    assertEquals(beside.code, 0, beside.log);
    assertEquals(await messages(running, "one", "wait=0"), []);
    assertEquals((await messages(running, "two", "wait=0")).length, 1);
    server.kill("SIGTERM");
    assertEquals((await server.status).code, 0);
    const alone = await runCommand("forget", ["--author", "Ada", "--yes"], env);
    assertEquals(alone.code, 0, alone.log);
    assertMatch(alone.log, /1 message in 1 room/);
    const nothing = await runCommand("forget", ["--author", "Ada", "--yes"], env);
    assertMatch(nothing.log, /There is nothing to forget/);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

function forget(database: TestDatabase, ...args: string[]) {
  return runCommand("forget", args, { DATABASE_URL: database.url });
}

async function say(
  server: { url: string },
  room: string,
  message: { body: string; author?: string },
  key: string = crypto.randomUUID(),
): Promise<Message> {
  const answer = await read<Message>(post(server, room, message, { "message-key": KEY, "idempotency-key": key }));
  assertEquals(answer.status, 201, answer.text);
  return answer.json;
}

/** The same beside what holds the room: a post that had to wait for it for too long is refused, and sent again as clients do. */
async function sayUntilStored(server: { url: string }, room: string, body: string): Promise<Message> {
  const headers = { "message-key": KEY, "idempotency-key": crypto.randomUUID() };
  for (let tries = 1;; tries++) {
    const answer = await read<Message>(post(server, room, { body }, headers));
    if (answer.status === 201 || answer.status === 200 && tries > 1) return answer.json;
    assert(answer.status === 503 && tries < 20, answer.text);
  }
}

/** What forgets as the command does, and the store that it tells of it. */
async function open(database: TestDatabase): Promise<{ forgetter: Forgetter; store: Store } & AsyncDisposable> {
  const { openPool } = await opened(database.url);
  const client = new Client("test", 1, 30_000, openPool);
  const store = new Store(client, client, client, new Floors());
  return { forgetter: new Forgetter(client, store), store, [Symbol.asyncDispose]: () => client.close() };
}

/** Stores many messages as a server does, and faster. */
async function addMany({ sql }: TestDatabase, room: string, count: number, author: string): Promise<void> {
  await sql`
    with head as (
      insert into heads as h (room, seq, ms) values (${room}, ${count}, floor(extract(epoch from clock_timestamp()) * 1000))
      on conflict (room) do update set seq = h.seq + excluded.seq, ms = greatest(h.ms, excluded.ms), prior = h.ms
      returning seq, ms
    )
    insert into messages (room, id, author, body)
    select ${room}, (lpad(to_hex(ms), 12, '0') || lpad(to_hex(seq - ${count}::int + i), 10, '0') || '0123456789')::uuid,
      ${author}, 'filler ' || i
    from head, generate_series(1, ${count}::int) i`;
  await sql`select pg_notify('linger', 'something new')`;
}

/** In how many rows of all tables a word stands, whatever the column, and in how many of PostgreSQL's samples of them. */
async function traces({ sql }: TestDatabase, word: string): Promise<number> {
  const tables = await sql<{ name: string }[]>`select tablename as name from pg_tables where schemaname = 'public'`;
  assert(tables.length >= 3);
  let count = 0;
  for (const { name } of tables) {
    const rows = await sql<{ row: string }[]>`select row_to_json(t)::text as row from ${sql(name)} t`;
    const hex = new TextEncoder().encode(word).toHex();
    count += rows.filter(({ row }) => row.includes(word) || row.includes(hex)).length;
  }
  const samples = await sql<{ row: string }[]>`
    select row_to_json(s)::text as row from pg_stats s where schemaname = 'public'`;
  return count + samples.filter(({ row }) => row.includes(word)).length;
}

/** What somebody holds who reads on from the last place that he was given. */
interface Reader {
  readonly held: Map<string, Item>;
  take(answer: Answer<Item[]>): void;
  next: string;
}

function makeReader(): Reader {
  const held = new Map<string, Item>();
  return {
    held,
    next: NIL,
    take(answer) {
      if (answer.status === 410) { // has come to be behind what was removed
        const { earliest } = answer.json as unknown as { earliest: string };
        for (const id of held.keys()) if (id <= earliest) held.delete(id);
        this.next = earliest;
        return;
      }
      assertEquals(answer.status, 200, answer.text);
      for (const item of answer.json) {
        if (item.deleted) held.delete(item.id);
        else held.set(item.id, item);
      }
      this.next = new URL(answer.headers.get("link")!.match(/<([^>]*)>/)![1]!, answer.url).searchParams.get("after")!;
    },
  };
}

async function reader(server: TestServer, room: string) {
  const reader = makeReader();
  const catchUp = async (server: TestServer) => {
    for (let more = true; more;) {
      const answer = await get<Item[]>(server, `/rooms/${room}/messages?after=${reader.next}&wait=0&changes=true`);
      reader.take(answer);
      more = answer.json.length > 0;
    }
  };
  await catchUp(server);
  return { held: reader.held, catchUp };
}

/** Polls, now here and now there, until it is disposed of. */
function follow(servers: readonly { url: string }[], room: string, changes: boolean) {
  const reader = makeReader();
  const leaving = new AbortController();
  const state = { answers: 0 };
  const following = (async () => {
    for (let i = 0; !leaving.signal.aborted; i++) {
      const { url } = servers[i % servers.length]!;
      const path = `/rooms/${room}/messages?after=${reader.next}&wait=50${changes ? "&changes=true" : ""}`;
      const answer = await read<Item[]>(fetch(url + path, { signal: leaving.signal })).catch(() => undefined);
      if (!answer) return;
      state.answers++;
      reader.take(answer);
    }
  })();
  return {
    held: reader.held,
    get answers() {
      return state.answers;
    },
    [Symbol.asyncDispose]: async () => {
      leaving.abort();
      await following;
    },
  };
}

async function rooms(server: { url: string }): Promise<string[]> {
  return (await get<{ room: string }[]>(server, "/rooms")).json.map(({ room }) => room);
}

function numberOf({ id }: Message): number {
  return parseInt(id.slice(14, 18) + id.slice(19, 23) + id.slice(24, 26), 16);
}

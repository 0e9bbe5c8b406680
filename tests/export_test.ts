// A room moves to another database and nobody notices: the same bytes, the same cursors, the same keys. And what somebody has posted is
// printed whole, for whoever asks what is stored of him.
import { assert, assertEquals, assertGreater, assertMatch, assertStringIncludes } from "@std/assert";
import { NIL } from "../src/chat/cursor.ts";
import { Linger } from "../src/client/client.ts";
import { get, type Message, messages, post, read, until } from "./support/client.ts";
import { type Ended, runCommand, spawnCommand } from "./support/command.ts";
import { writeHistory } from "./support/history.ts";
import { type TestDatabase, testPostgres } from "./support/postgres.ts";
import { startServer, type TestServer } from "./support/server.ts";
import { bearer, SECRET, tokenOf } from "./support/tokens.ts";

const postgres = await testPostgres();

const KEY = "a key that nobody else knows";

/** What is hard to keep: ends of lines of all kinds, quotes, what JSON and arrays escape, characters of two units, controls. */
const TEXTS = [
  "plain",
  'a "quoted" \\ one',
  "two\nlines\r\n",
  "\u2028\u2029\u0085",
  "🌻 日本語 e\u0301",
  "{a,null}\t\u0001",
  "''--;",
];

Deno.test("What is exported and imported elsewhere is the same there, byte for byte, and goes on with its ids and keys", async () => {
  await using from = await postgres.create();
  await using to = await postgres.create();
  await using old = await startServer(from.url);
  await using successor = await startServer(to.url);
  const said: Message[] = [];
  for (const [i, body] of TEXTS.entries()) {
    said.push(await say(old, "room", { body, author: `A${i}`, reply_to: said[0]?.id }, i));
  }
  await say(old, "other", { body: "stays" });
  await change(old, "PATCH", said[1]!, { body: "edited" });
  await change(old, "DELETE", said[2]!);
  await change(old, "PATCH", said[6]!, { body: "edited last" });

  const waiting = messages(successor, "room", `after=${NIL}&wait=50`);
  const exported = await runCommand("export", ["--room", "room"], { DATABASE_URL: from.url });
  assertEquals(exported.code, 0, exported.log);
  assertEquals(exported.stdout.trim().split("\n").length, 1 + TEXTS.length);
  const imported = await importText(to, exported.stdout);
  assertEquals(imported.code, 0, imported.log);
  assertMatch(imported.log, /7 messages imported: room$/m);

  assertEquals((await waiting).length, TEXTS.length - 1); // who waits there gets them at once
  const paths = [
    `messages?after=${NIL}&wait=0`,
    `messages?after=${NIL}&wait=0&changes=true`,
    `messages?after=${said[3]!.id}&wait=0&changes=true`,
    "messages?before=now",
    "messages?before=now&limit=2",
    ...said.map(({ id }) => `messages/${id}`),
  ];
  for (const path of paths) {
    const [before, after] = [await get(old, `/rooms/room/${path}`), await get(successor, `/rooms/room/${path}`)];
    for (const header of ["link", "etag"]) assertEquals(after.headers.get(header), before.headers.get(header), path);
    assertEquals([after.status, after.text], [before.status, before.text], path);
  }
  const all = async ({ sql }: TestDatabase) => [
    ...await sql`select *, encode(proof, 'hex') as proof from messages where room = 'room' order by id`,
    ...await sql`select seq, ms, trimmed from heads where room = 'room'`,
  ];
  assertEquals(await all(to), await all(from));
  assertEquals((await get(successor, "/rooms/other/messages?wait=0")).text, "[]");

  const retry = await read<Message>(
    post(successor, "room", { body: TEXTS[4], author: "A4", reply_to: said[0]!.id }, keys(4)),
  );
  assertEquals([retry.status, retry.json], [200, said[4]]);
  await change(successor, "PATCH", said[5]!, { body: "edited there" });
  const next = await say(successor, "room", { body: "next" });
  assertGreater(next.id, said.at(-1)!.id);
  assertEquals(next.id.slice(14, 26), "0000-0000-08"); // the eighth
});

Deno.test("Whoever follows a room into which very much is imported gets all of it, in order, and once", async () => {
  await using from = await postgres.create();
  await using to = await postgres.create();
  await using _old = await startServer(from.url); // which makes the tables
  await using successor = await startServer(to.url);
  await writeHistory(from.sql, "room", Array.from({ length: 12_000 }, (_, i) => [1, "Ada", `${i}`]));
  const exported = await runCommand("export", ["--room", "room"], { DATABASE_URL: from.url });
  const ids = exported.stdout.trim().split("\n").slice(1).map((line) => (JSON.parse(line) as Message).id);
  assertEquals(ids.length, 12_000);

  const leaving = new AbortController();
  const follow = async (changes: boolean) => {
    const got: string[] = [];
    const room = new Linger(successor.url).room("room");
    const options = { after: NIL, signal: leaving.signal, onGap: () => got.push("a gap") };
    for await (const { id } of changes ? room.follow({ ...options, changes }) : room.follow(options)) {
      got.push(id);
      if (got.length === ids.length) break;
    }
    return got;
  };
  const following = Promise.all([follow(false), follow(true)]);
  await until(async () => (await get<{ waiters: number }>(successor, "/healthz")).json.waiters === 2, "both wait");
  const imported = await importText(to, exported.stdout);
  assertEquals(imported.code, 0, imported.log);
  try {
    for (const got of await following) assertEquals(got, ids);
  } finally {
    leaving.abort();
  }
  const { json: { id } } = await read<Message>(post(successor, "room", { body: "next" }));
  assertEquals(
    await messages(successor, "room", `after=${ids.at(-1)}&wait=0`).then((found) => found.map(({ id }) => id)),
    [id],
  );
});

Deno.test("All that is stored of a sub is exported, from all rooms, and of nobody else", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { TOKEN_SECRET: SECRET });
  const headers = async (sub: string) => bearer(await tokenOf({ sub, read: ["*"], write: ["*"] }));
  const [ada, bob] = [await headers("ada"), await headers("bob")];
  const mine: Message[] = [];
  for (const room of ["b", "a", "b"]) {
    mine.push(
      (await read<Message>(post(server, room, { body: "hers", author: "Ada" }, { ...ada, ...keys(mine.length) }))).json,
    );
    await read(post(server, room, { body: "his" }, bob));
  }
  await read(fetch(`${server.url}/rooms/b/messages/${mine[0]!.id}`, { method: "DELETE", headers: ada }));
  const { stdout, code, log } = await runCommand("export", ["--sub", "ada"], { DATABASE_URL: database.url });
  assertEquals(code, 0, log);
  const lines = stdout.trim().split("\n").map((line) => JSON.parse(line));
  assertEquals(lines.map(({ room, id }) => [room, id]), [1, 0, 2].map((i) => [mine[i]!.room, mine[i]!.id]));
  const [{ key, proof, ...first }, deleted] = lines;
  assertEquals([first, key, proof.length], [mine[1], "ada\nkey-1", 64]);
  assertEquals([deleted.deleted, deleted.sub, deleted.body], [true, "ada", undefined]);
  assert(!stdout.includes("bob") && !stdout.includes("his"));
  const none = await runCommand("export", ["--sub", "nobody"], { DATABASE_URL: database.url });
  assertEquals([none.code, none.stdout], [0, ""]);
});

Deno.test("A line that can't come in is named, and nothing of the file has come in", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  await say(server, "used", { body: "here already" });
  const id = (number: number, ms = 1_000) =>
    `${ms.toString(16).padStart(12, "0").replace(/^.{8}/, "$&-")}-0000-0000-${
      number.toString(16).padStart(2, "0")
    }0123456789`;
  const line = (number: number, more: object = {}) =>
    JSON.stringify({ room: "new", id: id(number), body: "x", ...more });
  const many = Array.from({ length: 1_500 }, (_, i) => line(i + 1, { id: makeId(i + 1) }));
  const cases: [lines: string[], why: RegExp][] = [
    [[line(1), "{"], /line 2: .*JSON/],
    [[line(1), "", line(3, { body: undefined })], /line 3: it must have either body or deleted/],
    [[line(1), line(2, { text: "x" })], /line 2: .*text/],
    [[line(1), line(2, { room: "no room" })], /line 2: room must be 1 to 64 characters/],
    [[line(1), line(2, { body: "x".repeat(10_001) })], /line 2: body must be at most 10000 bytes/],
    [[line(2), line(1)], /line 2: id \S+ does not come after \S+, the one before in room new/],
    [[line(1), line(2, { id: id(2, Date.now() + 7_200_000) })], /line 2: lies more than an hour ahead/],
    [[line(1, { changed: id(1) })], /line 1: it must be changed after it was posted/],
    [[line(1, { key: "k" }), line(2, { key: "k" })], /one of the 2 messages up to line 2: duplicate key/],
    [[line(1), line(1, { room: "used" })], /line 2: room used has been used here already/],
    [[...many, "[]"], /line 1501/],
    [
      [JSON.stringify({ room: "new", head: { seq: 1, ms: 1_000, trimmed: id(1, 2_000) } })],
      /line 1: what was removed can't be newer than the head/,
    ],
    [
      [JSON.stringify({ room: "new", head: { seq: 1, ms: 1_000, trimmed: id(2) } })],
      /line 1: what was removed can't be newer than the head/,
    ],
    [
      [JSON.stringify({ room: "new", head: { seq: 3, ms: 1_000, trimmed: null } }), line(1), line(2)],
      /the newest message of room new, number 3, is missing/,
    ],
    [["x".repeat(200_001)], /line 1 is longer than 200000 characters/],
    [[], /there is not one line in it/], // what a shell has made before the export failed
    [["", " "], /there is not one line in it/],
  ];
  for (const [lines, why] of cases) {
    const { code, log } = await importText(database, lines.join("\n"));
    assertEquals(code, 1, log);
    assertMatch(log, /error Nothing was imported: /);
    assertMatch(log, why);
    assertEquals((await database.sql`select from messages`).length, 1, `${why}`);
    assertEquals((await database.sql`select from heads`).length, 1, `${why}`);
  }
  // Without the line of a head it is made out of the messages and their changes: what comes next must lie above all of them.
  const changed = line(1_501, { id: makeId(1_501), changed: makeId(1_501).replace("-1000-", "-2000-") });
  const renamed = await importText(database, [...many, changed].join("\n"), "--room", "renamed");
  assertEquals(renamed.code, 0, renamed.log);
  const [head] = await database.sql`select seq::int, ms::int from heads where room = 'renamed'`;
  assertEquals(head, { seq: 1_501, ms: 0x2000 });
  assertEquals((await messages(server, "renamed", "wait=0&limit=1000")).length, 1_000);
  // Of one sub come few of a room's messages, and the place of a change counts the others, too.
  const few = await importText(database, line(5, { id: id(5, 1_000), changed: id(9, 2_000) }), "--room", "few");
  assertEquals(few.code, 0, few.log);
  assertEquals([...await database.sql`select seq::int, ms::int from heads where room = 'few'`], [{
    seq: 5,
    ms: 2_001,
  }]);
});

Deno.test("An import that is killed leaves nothing, and can be run again; a room that was forgotten takes none", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const lines = Array.from(
    { length: 3_000 },
    (_, i) => JSON.stringify({ room: "new", id: makeId(i + 1), body: `${i}` }),
  );
  const env = { DATABASE_URL: database.url };
  const child = spawnCommand("import", [], env, "piped");
  const stdin = child.stdin.getWriter();
  await stdin.write(new TextEncoder().encode(`${lines.slice(0, 2_500).join("\n")}\n`));
  await until(async () => {
    const [row] = await database.sql`
      select from pg_stat_activity where datname = current_database() and state = 'idle in transaction'
        and query like '%insert into messages%'`;
    return row !== undefined;
  }, "some have come in");
  assertEquals((await get(server, "/rooms/new/messages?wait=0")).text, "[]"); // and nobody sees them
  child.kill("SIGKILL");
  await child.status;
  await stdin.close().catch(() => {});
  await Promise.all([child.stdout.cancel(), child.stderr.cancel()]);
  const again = await importText(database, lines.join("\n"));
  assertEquals(again.code, 0, again.log);
  assertEquals((await messages(server, "new", "wait=0&limit=1000")).length, 1_000);

  assertEquals((await runCommand("forget", ["--room", "new", "--yes"], env)).code, 0);
  const refused = await importText(database, lines.join("\n"));
  assertEquals(refused.code, 1);
  assertMatch(refused.log, /line 1: room new has been used here already/);
});

Deno.test("A database that says nothing any more is given up, in the middle of an export and of an import", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const lines = Array.from(
    { length: 4_000 },
    (_, i) => JSON.stringify({ room: "old", id: makeId(i + 1), body: "word ".repeat(20) }),
  );
  assertEquals((await importText(database, lines.join("\n"))).code, 0);
  const env = { DATABASE_URL: database.url, STATEMENT_TIMEOUT_MS: "2000" };
  /** Stops the process in the database that works for the command, once that waits for the other side. */
  const silence = async (command: string) => {
    let pid = 0;
    await until(async () => {
      const [row] = await database.sql<{ pid: number }[]>`
        select pid from pg_stat_activity where datname = current_database() and state = 'idle in transaction'
          and application_name = ${`linger ${command}`} and (query like '%from messages%' or query like '%into messages%')`;
      return (pid = row?.pid ?? 0) > 0;
    }, "it is in the middle");
    Deno.kill(pid, "SIGSTOP");
    return { [Symbol.dispose]: () => Deno.kill(pid, "SIGCONT") };
  };
  const sentence = `${new URL(database.url).host} has not answered for too long`;
  {
    const reading = spawnCommand("export", ["--room", "old"], env);
    using _silent = await silence("export"); // its output is not read, so it stops after the first rows
    const { code, stderr } = await reading.output();
    assertEquals(code, 1);
    assertStringIncludes(new TextDecoder().decode(stderr), sentence);
  }
  {
    const writing = spawnCommand("import", ["--room", "new"], env, "piped");
    const stdin = writing.stdin.getWriter();
    await stdin.write(new TextEncoder().encode(`${lines.slice(0, 2_500).join("\n")}\n`));
    using _silent = await silence("import");
    await stdin.write(new TextEncoder().encode(`${lines.slice(2_500).join("\n")}\n`)).catch(() => {});
    await stdin.close().catch(() => {});
    const { code, stderr } = await writing.output();
    assertEquals(code, 1);
    assertStringIncludes(new TextDecoder().decode(stderr), sentence);
  }
  assertEquals((await get(server, "/rooms/new/messages?wait=0")).text, "[]");
});

Deno.test("An export whose reader has enough ends with a sentence", async () => {
  await using database = await postgres.create();
  const lines = Array.from(
    { length: 4_000 }, // more than a pipe holds
    (_, i) => JSON.stringify({ room: "old", id: makeId(i + 1), body: "word ".repeat(20) }),
  );
  assertEquals((await importText(database, lines.join("\n"))).code, 0);
  const child = spawnCommand("export", ["--room", "old"], { DATABASE_URL: database.url });
  const reader = child.stdout.getReader();
  await reader.read();
  await reader.cancel();
  const [{ code }, log] = await Promise.all([child.status, new Response(child.stderr).text()]);
  assertEquals(code, 1);
  assertMatch(log, /^\S+ error What is exported can't be written: .*\n$/m); // and nothing behind it
});

Deno.test("What can't be meant is refused", async () => {
  await using database = await postgres.create();
  const env = { DATABASE_URL: database.url };
  for (
    const [name, args, sentence] of [
      ["export", [], "What is to be exported?"],
      ["export", ["--room", "nowhere"], "There is no room nowhere"],
      ["export", ["--room", "a", "--sub", "b"], "What is to be exported?"],
      ["import", ["no-such-file"], "no-such-file can't be read"],
      ["import", ["."], "Nothing was imported: what comes after line 0 can't be read"], // a folder can be opened
      ["import", ["a", "b"], "One file at a time"],
    ] as const
  ) {
    const { code, log } = await runCommand(name, args, env);
    assertEquals(code, 1);
    assertStringIncludes(log, sentence);
  }
});

/** Imports a text, half of the runs from a file and half through a pipe. */
async function importText(database: TestDatabase, text: string, ...args: string[]): Promise<Ended> {
  const file = await Deno.makeTempFile({ prefix: "linger-test-" });
  await Deno.writeTextFile(file, text);
  const env = { DATABASE_URL: database.url };
  try {
    if (text.length % 2 === 0) return await runCommand("import", [file, ...args], env);
    const child = spawnCommand("import", args, env, "piped");
    const [output] = await Promise.all([
      child.output(),
      new Blob([text]).stream().pipeTo(child.stdin).catch(() => {}), // which ends early where a line is refused
    ]);
    const [stdout, log] = [output.stdout, output.stderr].map((bytes) => new TextDecoder().decode(bytes));
    return { code: output.code, stdout: stdout!, log: log! };
  } finally {
    await Deno.remove(file);
  }
}

function makeId(number: number): string {
  const seq = number.toString(16).padStart(10, "0");
  return `00000000-1000-${seq.slice(0, 4)}-${seq.slice(4, 8)}-${seq.slice(8)}0123456789`;
}

function keys(number: number): Record<string, string> {
  return { "message-key": KEY, "idempotency-key": `key-${number}` };
}

async function say(server: TestServer, room: string, message: object, number?: number): Promise<Message> {
  const answer = await read<Message>(post(server, room, message, number === undefined ? {} : keys(number)));
  assertEquals(answer.status, 201, answer.text);
  return answer.json;
}

async function change(server: TestServer, method: string, { id }: Message, body?: object): Promise<void> {
  const answer = await read(fetch(`${server.url}/rooms/room/messages/${id}`, {
    method,
    headers: { "message-key": KEY, ...body && { "content-type": "application/json" } },
    ...body && { body: JSON.stringify(body) },
  }));
  assert(answer.status < 300, answer.text);
}

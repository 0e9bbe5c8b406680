// The database may be away: at the start, in the middle, with its connections cut. What can't be served gets a clear 503
// that tells the truth, and everything goes on by itself.
import { assert, assertEquals, assertGreater } from "@std/assert";
import { type StoredMessage, violations } from "./torture/checker.ts";
import { messages, post, posted, until } from "./support/client.ts";
import { runCommand } from "./support/command.ts";
import { freePort, testPostgres } from "./support/postgres.ts";
import { follow, recordPost } from "./torture/clients.ts";
import { spawnServer, spawnStarting, startServer } from "./support/server.ts";
import { startPostgres } from "./support/start_postgres.ts";
import type { PostRecord } from "./torture/checker.ts";
import driver from "postgres";

const postgres = await testPostgres();

/** A PostgreSQL of a test's own, which it can stop and start again. */
async function ownPostgres(settings: Record<string, string> = {}) {
  const home = await Deno.makeTempDir({ prefix: "linger-test-" });
  const port = freePort();
  const start = () =>
    startPostgres(home, { listen_addresses: "127.0.0.1", port: `${port}`, fsync: "off", ...settings });
  return {
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    start,
    /** Ends it as a crash would: what is not on disk is lost. */
    crash: async () => Deno.kill(parseInt(await Deno.readTextFile(`${home}/cluster/postmaster.pid`)), "SIGQUIT"),
    [Symbol.asyncDispose]: () => Deno.remove(home, { recursive: true }),
  };
}

Deno.test("Without its database a server answers 503, and is ready as soon as the database is there", async () => {
  await using own = await ownPostgres();
  await (await own.start()).stop(); // is made now: later it is there within the minute after which a cause is said again
  await using server = spawnStarting(own.url, { PORT: `${freePort()}` });
  await until(
    () => fetch(`${server.url}/healthz`).then((response) => response.json()).then(() => true, () => false),
    "it listens",
  );

  const refused = async (response: Response, type: string) => {
    assertEquals([response.status, response.headers.get("retry-after")], [503, "1"]);
    assertEquals((await response.json()).type, `urn:linger:problem:${type}`);
  };
  await refused(await fetch(`${server.url}/readyz`), "unavailable");
  await refused(await fetch(`${server.url}/messages?wait=0`), "unavailable");
  await refused(await fetch(`${server.url}/messages?before=now`), "unavailable");
  await refused(await fetch(`${server.url}/messages/00000000-0000-0000-0000-000000000000`), "unavailable");
  await refused(await post(server, "room", { body: "early" }), "not-stored");

  const database = await own.start();
  await server.ready;
  await posted(server, "room", "in time");
  assertEquals((await messages(server, "room", "wait=0")).map(({ body }) => body), ["in time"]);
  const said = server.log().match(/can't be used yet.*/g)!;
  assertEquals(new Set(said).size, said.length, "each cause once");
  server.kill("SIGTERM");
  await server.status;
  await database.stop();
});

Deno.test("A database whose tables are gone while a server runs is told in the log, and to nobody as a mistake of ours", async () => {
  await using database = await postgres.create();
  await using server = await spawnServer(database.url);
  await posted(server, "room", "first");
  await database.sql`alter table messages rename to gone`;
  const refused = async (response: Response, type: string) => {
    assertEquals([response.status, (await response.json()).type], [503, `urn:linger:problem:${type}`]);
  };
  await refused(await post(server, "room", { body: "refused" }), "not-stored");
  await refused(await fetch(`${server.url}/rooms/room/messages?before=now`), "unavailable");
  await refused(await fetch(`${server.url}/rooms`), "unavailable");
  await refused(await fetch(`${server.url}/readyz`), "unavailable");
  await until(
    () => /The database fails \(writes\).*42P01.*messages/.test(server.log()),
    "the log says what is missing",
  );
  assertEquals(server.log().includes("A request failed"), false);
  await database.sql`alter table gone rename to messages`;
  await posted(server, "room", "second");
});

Deno.test("A database that is away for five seconds loses nothing, and every refusal is true", async () => {
  await using own = await ownPostgres();
  let database = await own.start();
  const servers = [await spawnServer(own.url), await spawnServer(own.url)];
  const posts: PostRecord[] = [];
  let finished = false;
  const writers = Array.from({ length: 4 }, async (_, writer) => {
    for (let i = 0; !finished; i++) {
      posts.push(await recordPost(servers[i % 2]!, "room", `${writer}-${i}`, `${writer}-${i}`));
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  });
  const end: { id?: string | undefined } = {}; // the last message, once all are written
  const pollers = Array.from(
    { length: 3 },
    (_, i) => follow(servers, "room", `${i}`, (cursor) => end.id !== undefined && cursor >= end.id),
  );

  await until(() => posts.length > 100, "posts flow");
  const stopped = performance.now();
  await database.stop();
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  database = await own.start();
  const acked = () => posts.filter((post) => post.id).length;
  const before = acked();
  await until(() => acked() > before + 100, "posts flow again");
  const most = 1 + Math.floor((performance.now() - stopped) / 10_000); // it is told again every ten seconds
  finished = true;
  await Promise.all(writers);

  // Whatever was refused is settled by posting it once more with its key.
  const refused = posts.filter((post) => !post.id);
  assertGreater(refused.length, 0);
  for (const record of refused) assertEquals(record.status, 503, JSON.stringify(record));
  const sql = driver(own.url, { max: 1, fetch_types: false });
  const table = () => sql<StoredMessage[]>`select room, id, body, key from messages`;
  assertEquals(violations({ posts, polls: [], table: await table() }), []);
  for (const { body } of refused) {
    const again = await recordPost(servers[0]!, "room", body, body);
    assert(again.id, JSON.stringify(again));
    posts.push(again);
  }
  end.id = posts.map((post) => post.id ?? "").sort().at(-1);
  const polls = await Promise.all(pollers);
  const history = { posts: posts.filter((post) => post.id), polls, table: await table() };
  assertEquals(violations(history), []);
  assertEquals(history.table.length, new Set(posts.map((post) => post.body)).size);
  await sql.end();
  for (const server of servers) {
    const said = server.log().match(/The database fails \(writes\)/g)?.length ?? 0;
    assert(said >= 1 && said <= most, `said ${said} times`);
    await server[Symbol.asyncDispose]();
  }
  await database.stop();
});

Deno.test("What is acknowledged survives a crash, also where the database has synchronous_commit off", async () => {
  await using own = await ownPostgres({ synchronous_commit: "off", wal_writer_delay: "10s" });
  let database = await own.start();
  await using server = await startServer(own.url);
  const stored = [];
  for (let i = 0; i < 20; i++) stored.push(await posted(server, "room", `${i}`));
  await own.crash();
  await database.stop();
  database = await own.start();
  assertEquals(await messages(server, "room", "before=now"), stored);
  await database.stop();
});

Deno.test("What import says is imported survives a crash, also where the database has synchronous_commit off", async () => {
  await using own = await ownPostgres({ synchronous_commit: "off", wal_writer_delay: "10s" });
  let database = await own.start();
  await using server = await startServer(own.url);
  for (let i = 0; i < 20; i++) await posted(server, "room", `${i}`);
  const stored = await messages(server, "room", "before=now");
  const env = { DATABASE_URL: own.url };
  const file = await Deno.makeTempFile({ prefix: "linger-test-" });
  await Deno.writeTextFile(file, (await runCommand("export", ["--room", "room"], env)).stdout);
  const { code, log } = await runCommand("import", [file, "--room", "copy"], env);
  assertEquals(code, 0, log);
  await own.crash();
  await database.stop();
  database = await own.start();
  assertEquals((await messages(server, "copy", "before=now")).map(({ id }) => id), stored.map(({ id }) => id));
  await database.stop();
  await Deno.remove(file);
});

Deno.test("What forget says is forgotten stays so after a crash, also where the database has synchronous_commit off", async () => {
  await using own = await ownPostgres({ synchronous_commit: "off", wal_writer_delay: "10s" });
  let database = await own.start();
  await using server = await startServer(own.url);
  for (let i = 0; i < 20; i++) await posted(server, "room", `${i}`);
  const { code, log } = await runCommand("forget", ["--room", "room", "--yes"], { DATABASE_URL: own.url });
  assertEquals(code, 0, log);
  await own.crash();
  await database.stop();
  database = await own.start();
  const sql = driver(own.url, { max: 1, fetch_types: false, onnotice: () => {} });
  assertEquals([...await sql`select id from messages`], []);
  await sql.end();
  await database.stop();
});

Deno.test("A poll that waits while the database goes away is not told that there is no news", async () => {
  await using own = await ownPostgres();
  const database = await own.start();
  await using server = await startServer(own.url, { FALLBACK_MS: "100", FALLBACK_WITHOUT_LISTEN_MS: "100" });
  await posted(server, "room", "first");
  const poll = fetch(`${server.url}/rooms/room/messages?after=now&wait=10`);
  await until(() => server.chat.state.waiters === 1, "the poll waits");
  await database.stop();
  const response = await poll;
  assertEquals([response.status, (await response.json()).type], [503, "urn:linger:problem:unavailable"]);
});

Deno.test("Killing all connections again and again loses nothing", async () => {
  await using database = await postgres.create();
  await using one = await spawnServer(database.url);
  await using two = await spawnServer(database.url);
  const posts: PostRecord[] = [];
  let finished = false;
  const writers = Array.from({ length: 8 }, async (_, writer) => {
    for (let i = 0; !finished; i++) {
      const body = `${writer}-${i}`;
      let record = await recordPost(i % 2 ? one : two, "room", body, body);
      posts.push(record);
      // A client that does as it is told: posts again with the same key until it has an answer.
      while (!record.id) posts.push(record = await recordPost(i % 2 ? two : one, "room", body, body));
    }
  });
  const end: { id?: string | undefined } = {}; // the last message, once all are written
  const pollers = Array.from(
    { length: 4 },
    (_, i) => follow([one, two], "room", `${i}`, (cursor) => end.id !== undefined && cursor >= end.id),
  );
  for (let i = 0; i < 20; i++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    await database.admin((sql) =>
      sql`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${database.name}`
    );
  }
  finished = true;
  await Promise.all(writers);
  end.id = posts.map((post) => post.id ?? "").sort().at(-1);
  const polls = await Promise.all(pollers);
  const sql = driver(database.url, { max: 1, fetch_types: false });
  const table = await sql<StoredMessage[]>`select room, id, body, key from messages`;
  await sql.end();
  // A body that was refused as not stored and stored by a later try is no violation; what counts is the last try.
  const final = [...new Map(posts.map((post) => [post.body, post])).values()];
  assertEquals(violations({ posts: final, polls, table }), []);
  assertEquals(table.length, final.length);
});

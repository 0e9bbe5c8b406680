// A server that is told to stop answers all who wait, acknowledges or refuses every post truthfully, and is gone.
import { assert, assertEquals, assertGreater } from "@std/assert";
import { sleep } from "../src/sleep.ts";
import { type StoredMessage, violations } from "./torture/checker.ts";
import { get, health, messages, posted, until } from "./support/client.ts";
import { freePort, hold, projectPath, type TestDatabase, testPostgres } from "./support/postgres.ts";
import { recordPost } from "./torture/clients.ts";
import { exitCode, type ServerProcess, spawnServer, spawnStarting } from "./support/server.ts";
import type { PostRecord } from "./torture/checker.ts";

const postgres = await testPostgres();

const table = (database: TestDatabase) =>
  database.sql<StoredMessage[]>`select room, id, body, key from messages where body <> 'first'`;

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.test(`${signal} answers all waiters with an empty list and the wish that they come back, and the process is gone`, async () => {
    await using database = await postgres.create();
    await using server = await spawnServer(database.url);
    await posted(server, "room", "first");
    const polls = Array.from({ length: 100 }, async (_, i) => {
      const { json, headers } = await get(server, `/rooms/${i % 2 ? "room" : "other"}/messages?after=now&wait=50`);
      return [json, headers.get("retry-after")];
    });
    await until(async () => (await health(server)).waiters === 100, "all wait");
    server.kill(signal);
    for (const answer of await Promise.all(polls)) assertEquals(answer, [[], "0"]);
    assertEquals(await exitCode(server), 0);
  });

  Deno.test(`${signal} acknowledges or refuses the posts under way, never half`, async () => {
    await using database = await postgres.create();
    await using server = await spawnServer(database.url);
    await posted(server, "room", "first");
    const posts: PostRecord[] = [];
    let gone = false;
    const writers = Array.from({ length: 16 }, async (_, writer) => {
      for (let i = 0; !gone; i++) {
        const record = await recordPost(server, "room", `${writer}-${i}`);
        posts.push(record);
        gone ||= record.status === 0;
      }
    });
    await until(() => posts.length > 500, "posts flow");
    server.kill(signal);
    assertEquals(await exitCode(server), 0);
    await Promise.all(writers);

    assertEquals(violations({ posts, polls: [], table: await table(database) }), []);
    assertGreater(posts.filter((post) => post.status === 201).length, 500);
    for (const post of posts) {
      assert([0, 201].includes(post.status) || post.problem === "not-stored", JSON.stringify(post));
    }
  });
}

Deno.test("A post that can't be finished does not keep the process, and its outcome is told as unknown", async () => {
  await using database = await postgres.create();
  await using server = await spawnServer(database.url, { DRAIN_MS: "300" });
  await posted(server, "room", "first");
  const holding = await hold(database, (sql) => sql`select from heads where room = 'room' for update`);
  const post = recordPost(server, "room", "stuck", "key");
  await until(async () => {
    const [row] = await database
      .sql`select from pg_stat_activity where datname = ${database.name} and wait_event_type = 'Lock'`;
    return row !== undefined;
  }, "the post waits for the lock");
  server.kill("SIGTERM");
  const record = await post;
  assert(["outcome-unknown", "not-stored"].includes(record.problem!), JSON.stringify(record));
  assertEquals(await exitCode(server), 0);
  await holding.end();
  assertEquals(violations({ posts: [record], polls: [], table: await table(database) }), []);
});

Deno.test("Signals that come together are one; a signal a second later ends the server at once", async () => {
  // Two of a kind can become one on their way.
  await whileItDrains(["SIGINT", "SIGTERM"], async (server, code) => {
    await until(() => {
      server.kill("SIGINT");
      return code() !== undefined;
    }, "it is gone");
  });
});

Deno.test("A key press that comes twice is one also where the first one makes so much to do that the second is heard late", async () => {
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--frozen", "--quiet", projectPath("tests/fixtures/busy_stop.ts")],
    cwd: projectPath("."),
  }).output();
  assertEquals(code, 0);
});

Deno.test("A terminal that closes is never insistence, however often it says so; a signal a second later is", async () => {
  await whileItDrains(["SIGHUP"], async (server, code) => {
    for (const since = performance.now(); performance.now() - since < 2_000; await sleep(100)) server.kill("SIGHUP");
    assertEquals(code(), undefined);
    await until(() => {
      server.kill("SIGTERM"); // again: on a slow machine the first comes within its second
      return code() !== undefined;
    }, "it is gone");
  });
});

/** Ends a server that would drain for a minute more: `insist` is called when it does, after `signals`, and is told its status. */
async function whileItDrains(
  signals: readonly Deno.Signal[],
  insist: (server: ServerProcess, code: () => number | undefined) => Promise<void>,
): Promise<void> {
  await using database = await postgres.create();
  await using server = await spawnServer(database.url, { DRAIN_MS: "60000", STATEMENT_TIMEOUT_MS: "60000" });
  await posted(server, "room", "first");
  const poll = messages(server, "room", "after=now&wait=50");
  await until(async () => (await health(server)).waiters === 1, "it waits");
  const holding = await hold(database, (sql) => sql`lock table messages in access exclusive mode`);
  const post = recordPost(server, "room", "stuck");
  await until(async () => {
    const [row] = await database
      .sql`select from pg_stat_activity where datname = ${database.name} and wait_event_type = 'Lock'`;
    return row !== undefined;
  }, "the post waits for the lock");
  for (const signal of signals) server.kill(signal);
  assertEquals(await poll, []);
  await until(() => server.log().includes("Linger is shutting down"), "it drains");
  let code: number | undefined;
  server.status.then((status) => code = status.code);
  await sleep(300); // in which the last of them would have ended it
  assertEquals(code, undefined, "it drains on");
  await insist(server, () => code);
  assertEquals(code, 130);
  assertEquals((await post).status, 0);
  await holding.end();
}

Deno.test("A server that is told to stop while it waits for its database is gone at once", async () => {
  await using database = await postgres.create();
  await database.admin((sql) => sql`alter database ${sql(database.name)} allow_connections false`);
  await using server = spawnStarting(database.url, { PORT: `${freePort()}` });
  await until(() => server.log().includes("can't be used yet"), "it has tried");
  server.kill("SIGTERM");
  assertEquals(await exitCode(server), 0);
});

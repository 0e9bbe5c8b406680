// Databases that are kept available by a standby: names and addresses lead to the wrong one for a moment, hosts come in lists,
// and a server can stop taking what is written. What can't be served is refused as long as that lasts, and not a moment longer.
import { assert, assertEquals, assertGreater } from "@std/assert";
import { get, health, messages, post, posted, until } from "./support/client.ts";
import { OwnPostgres } from "./support/own_postgres.ts";
import { exitCode, spawnServer, spawnStarting, startServer } from "./support/server.ts";
import { Proxy } from "./torture/proxy.ts";
import { freePort } from "./support/postgres.ts";

/** Sessions of Linger at a server, by name. */
async function sessions(postgres: OwnPostgres): Promise<unknown[]> {
  const rows = await postgres.run(
    "select application_name as name from pg_stat_activity where application_name like 'linger %'",
  );
  return rows.map(({ name }) => name).sort();
}

/** Resolves when a post is stored. */
async function stored(server: { url: string }, what: string): Promise<void> {
  await until(async () => {
    const { status, body } = await post(server, "room", { body: what });
    await body?.cancel();
    return status === 201;
  }, what);
}

async function statusOf(server: { url: string }, path: string): Promise<number> {
  return (await get(server, path)).status;
}

Deno.test("An endpoint that leads to the standby for a while costs the posts of that while, and nothing after it", async () => {
  await using primary = await OwnPostgres.start();
  await using standby = await primary.standby();
  let target = primary;
  await using endpoint = new Proxy(() => target.port);
  await using server = await startServer(primary.url("postgres", endpoint.port), { FALLBACK_WITHOUT_LISTEN_MS: "100" });
  const first = await posted(server, "room", "before");
  assertEquals(await messages(server, "room", "wait=0"), [first]);
  await until(() => standby.run("select from messages").then((rows) => rows.length === 1), "the standby has it too");
  const poll = messages(server, "room", `after=${first.id}&wait=30`).catch(() => []);
  await until(() => server.chat.state.waiters === 1, "the poll waits");

  target = standby;
  endpoint.cut();
  await until(async () => await statusOf(server, "/readyz") === 503, "it is not ready");
  for (let i = 0; i < 5; i++) {
    assertEquals(await statusOf(server, "/readyz"), 503);
    assertEquals(
      (await post(server, "room", { body: "refused" }).then((answer) => answer.json())).type,
      "urn:linger:problem:not-stored",
    );
    // Not from the standby: what was acknowledged a moment ago may be missing there.
    assertEquals(await statusOf(server, "/rooms/room/messages?before=now"), 503);
    assertEquals(await statusOf(server, "/rooms/other/messages?wait=0"), 503);
  }
  await until(async () => (await sessions(standby)).length === 0, "no session stays at the standby");

  target = primary;
  await stored(server, "after");
  assertEquals(await statusOf(server, "/readyz"), 200);
  await until(async () => await statusOf(server, "/rooms/room/messages?before=now") === 200, "it reads");
  assertEquals((await messages(server, "room", "before=now")).map(({ body }) => body), ["before", "after"]);
  await poll;
  const follower = messages(server, "room", "after=now&wait=50");
  await until(() => server.chat.state.waiters === 1 && server.chat.state.listening, "it waits and listens", 20_000);
  assertEquals(await sessions(standby), []);
  const end = await posted(server, "room", "end");
  assertEquals(await follower, [end]);
});

Deno.test("A database that is set to read only refuses posts, goes on to be read, and takes posts as soon as it may", async () => {
  await using postgres = await OwnPostgres.start();
  await using server = await startServer(postgres.url());
  const first = await posted(server, "room", "before");
  const end = "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'linger %'";
  await postgres.run("alter database postgres set default_transaction_read_only = on", end);
  await until(async () => await statusOf(server, "/readyz") === 503, "it is not ready");
  for (let i = 0; i < 3; i++) {
    const answer = await (await post(server, "room", { body: "refused" })).json();
    assertEquals([answer.status, answer.type], [503, "urn:linger:problem:not-stored"]);
    assertEquals(await statusOf(server, "/readyz"), 503);
    assertEquals(await messages(server, "room", "before=now"), [first]);
  }
  await postgres.run(
    "set default_transaction_read_only = off",
    "alter database postgres reset default_transaction_read_only",
  );
  // The sessions stand as they were; only new ones may write.
  assertGreater((await sessions(postgres)).length, 0);
  await stored(server, "after");
  assertEquals(await statusOf(server, "/readyz"), 200);
});

Deno.test("Of several hosts the primary is taken, wherever it stands, and the next one after a failover", async () => {
  await using primary = await OwnPostgres.start();
  await using standby = await primary.standby();
  const gone = freePort();
  const url = `postgres://postgres@127.0.0.1:${gone},127.0.0.1:${standby.port},127.0.0.1:${primary.port}/postgres`;
  await using server = await startServer(url);
  const first = await posted(server, "room", "before");
  assertEquals(await sessions(standby), []);
  assert((await sessions(primary)).includes("linger writes"));

  await primary.stop(); // which sends all that it has to the standby
  await standby.run("select pg_promote()");
  await stored(server, "after");
  assertEquals((await messages(server, "room", "before=now")).map(({ body }) => body), [first.body, "after"]);
  assertEquals(await statusOf(server, "/readyz"), 200);
});

Deno.test("A host that answers nobody costs one timeout, not one for each connection", async () => {
  await using postgres = await OwnPostgres.start();
  const mute = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let attempts = 0;
  const open: Deno.Conn[] = [];
  const accepting = (async () => {
    for await (const connection of mute) attempts = open.push(connection);
  })();
  const { port } = mute.addr as Deno.NetAddr;
  await using server = await startServer(
    `postgres://postgres@127.0.0.1:${port},127.0.0.1:${postgres.port}/postgres?connect_timeout=5`,
  );
  await posted(server, "room", "stored");
  await messages(server, "room", "before=now");
  await messages(server, "room", "wait=0"); // from now on the room is watched
  await until(async () => (await sessions(postgres)).includes("linger listen"), "it listens");
  assertEquals(attempts, 1);
  mute.close();
  await accepting;
  for (const connection of open) connection.close();
});

Deno.test("A pooler that leads to the server before for a while, which is a standby by now, is waited for", async () => {
  await using primary = await OwnPostgres.start();
  await using standby = await primary.standby();
  let target = standby;
  await using pooler = new Proxy(() => target.port);
  await using server = spawnStarting(primary.url("postgres", pooler.port), {
    PORT: `${freePort()}`,
    DATABASE_POOLED: "true",
    DATABASE_DIRECT_URL: primary.url(),
  });
  const sentence = `127.0.0.1:${pooler.port} is a standby, which only reads`;
  await until(() => server.log().includes(sentence), "it says so");
  assertEquals(await primary.run("select from pg_tables where tablename = 'messages'"), []);
  target = primary;
  await posted({ url: await server.ready }, "room", "switched");
  server.kill("SIGTERM");
  assertEquals(await exitCode(server), 0);
});

Deno.test("While a pooler leads to a standby that lags, nothing is read from it, and nothing is taken for lost", async () => {
  await using primary = await OwnPostgres.start();
  await using standby = await primary.standby();
  let target = primary;
  await using pooler = new Proxy(() => target.port);
  await using server = await spawnServer(primary.url("postgres", pooler.port), {
    DATABASE_POOLED: "true",
    FALLBACK_WITHOUT_LISTEN_MS: "100",
    STATEMENT_TIMEOUT_MS: "30000", // a slow machine can take long for its two databases
  });
  const first = await posted(server, "room", "before");
  await until(() => standby.run("select from messages").then((rows) => rows.length === 1), "the standby has it too");
  await standby.run("select pg_wal_replay_pause()");
  const second = await posted(server, "room", "behind");
  const path = "/rooms/room/messages";
  const waiting = messages(server, "room", `after=${second.id}&wait=50`);
  waiting.catch(() => {}); // where something fails below
  await until(async () => (await health(server)).waiters === 1, "the poll waits");

  target = standby;
  pooler.cut();
  for (
    const [what, read] of [
      ["the newest", `${path}?before=now`],
      ["what is new", `${path}?after=${first.id}&wait=0`],
      ["a page that is longer than what a room begins with", `/rooms/other/messages?after=${first.id}&limit=1000`],
      ["a room that nobody has asked for", "/rooms/other/messages?wait=0"],
      ["a message", `${path}/${first.id}`],
      ["a search", `${path}?q=before`],
      ["the list of rooms", "/rooms"],
    ] as const
  ) assertEquals(await statusOf(server, read), 503, what);
  await until(async () => await statusOf(server, `${path}?after=${second.id}&wait=1`) === 503, "a poll is told so");

  target = primary;
  pooler.cut();
  await stored(server, "after");
  assertEquals((await waiting).map(({ body }) => body), ["after"]);
  const all = () => messages(server, "room", "before=now").then((all) => all.map(({ body }) => body).join());
  await until(async () => await all().catch(() => "") === "before,behind,after", "it reads");
  assert(!server.log().includes("has lost messages"), server.log());
});

Deno.test("A standby as the only host is waited for with a sentence, until it is promoted", async () => {
  await using primary = await OwnPostgres.start();
  await (await spawnServer(primary.url()))[Symbol.asyncDispose](); // makes the tables
  await using standby = await primary.standby();
  await using server = spawnStarting(standby.url(), { PORT: `${freePort()}` });
  const sentence = `127.0.0.1:${standby.port} is a standby, which only reads: name the primary, or promote this one`;
  await until(() => server.log().includes(sentence), "it says so");
  assertEquals(await statusOf(server, "/readyz"), 503);
  await standby.run("select pg_promote()");
  await posted({ url: await server.ready }, "room", "promoted");
  server.kill("SIGTERM");
  assertEquals(await exitCode(server), 0);
});

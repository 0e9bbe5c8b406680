// One order, no holes: with several servers, every reader sees every acknowledged message once, in one order. The same
// run against the article's design shows that this test can see it when it is not so.
import { assert, assertEquals, assertGreater } from "@std/assert";
import { type History, violations } from "./torture/checker.ts";
import { until } from "./support/client.ts";
import { type TestDatabase, testPostgres } from "./support/postgres.ts";
import { follow, write } from "./torture/clients.ts";
import { spawnServer } from "./support/server.ts";

const WRITERS = 16;
const POSTS = 120;
const POLLERS = 8;

const postgres = await testPostgres();

/** Writers and pollers on two servers; the pollers begin one after the other while the writers write. */
async function run(database: TestDatabase, script: string, table: string): Promise<History> {
  await using one = await spawnServer(database.url, {}, script);
  await using two = await spawnServer(database.url, {}, script);
  const servers = [one, two];
  let stored = 0;
  const end: { id?: string | undefined } = {}; // the last message, once all are written
  const done = (cursor: string) => end.id !== undefined && cursor >= end.id;

  const writers = Array.from({ length: WRITERS }, async (_, i) => {
    const records = await write(i % 2 ? servers : servers.toReversed(), "room", `writer${i}`, POSTS);
    stored += records.length;
    return records;
  });
  const pollers = Array.from({ length: POLLERS }, async (_, i) => {
    await new Promise((resolve) => setTimeout(resolve, 50 * i));
    return await follow(i % 2 ? servers : servers.toReversed(), "room", `poller${i}`, done);
  });
  const posts = (await Promise.all(writers)).flat();
  end.id = posts.map((post) => post.id ?? "").sort().at(-1);
  const polls = await Promise.all(pollers);
  const rows = await database.sql<{ id: string; body: string }[]>`select id, body from ${
    database.sql(table)
  } order by id`;
  return { posts, polls, table: rows.map(({ id, body }) => ({ room: "room", id, body, key: null })) };
}

Deno.test("Two servers, 16 writers, 8 pollers that change servers: everything reaches everybody once, in one order", async () => {
  await using database = await postgres.create();
  const history = await run(database, "main.ts", "messages");
  assertEquals(violations(history), []);
  assertEquals(history.posts.filter((post) => post.status === 201).length, WRITERS * POSTS);
  assertEquals(history.table.length, WRITERS * POSTS);
});

Deno.test("The same run against the article's design loses messages", async () => {
  await using database = await postgres.create();
  let found: string[] = [];
  await until(
    async () => {
      const history = await run(database, "tests/support/article_server.ts", "article_messages");
      await database.sql`truncate article_messages`;
      found = violations(history).filter((violation) => violation.includes("never saw"));
      return found.length > 0;
    },
    "the article's design loses a message",
    60_000,
  );
  assertGreater(found.length, 0);
});

Deno.test("Every snapshot of a room is a gapless prefix of its order", async () => {
  await using database = await postgres.create();
  await using one = await spawnServer(database.url);
  await using two = await spawnServer(database.url);
  const writing = Promise.all(
    Array.from({ length: 16 }, (_, i) => write([one, two], "room", `writer${i}`, 60)),
  );
  let finished = false;
  writing.finally(() => finished = true);
  for (let samples = 0; !finished || samples < 10; samples++) {
    const [row] = await database.sql<{ count: string; seq: string; head: string | null }[]>`
      select count(*) as count, coalesce(max(('x' || substr(replace(id::text, '-', ''), 13, 10))::bit(40)::bigint), 0) as seq,
        (select seq from heads where room = 'room') as head
      from messages where room = 'room'`;
    assertEquals([row!.count, row!.head ?? "0"], [row!.seq, row!.seq]);
  }
  assert((await writing).flat().every((post) => post.status === 201));
});

// A server lives with as few connections to its database as it is given.
import { assertEquals, assertLessOrEqual } from "@std/assert";
import { isDeepStrictEqual } from "node:util";
import { shareOut } from "../src/chat/connections.ts";
import type { Client } from "../src/database/client.ts";
import { migrateOnce } from "../src/database/migrate.ts";
import { messages, posted, until } from "./support/client.ts";
import { hold, opened, type TestDatabase, testPostgres } from "./support/postgres.ts";
import { spawnServer, startServer } from "./support/server.ts";

const postgres = await testPostgres();

/** How many connections each of the servers' clients has, by its name. */
async function connections(database: TestDatabase): Promise<Record<string, number>> {
  const rows = await database.sql<{ name: string; count: number }[]>`
    select substr(application_name, 8) as name, count(*)::int from pg_stat_activity
    where datname = ${database.name} and application_name like 'linger %' group by 1`;
  return Object.fromEntries(rows.map(({ name, count }) => [name, count]));
}

/**
 * Resolves when the servers have these connections and no others. One that was too busy to see its probe come back has none to
 * listen for a moment, and one that has ended stays a moment longer.
 */
async function untilConnected(database: TestDatabase, expected: Record<string, number>): Promise<void> {
  await until(
    async () => isDeepStrictEqual(await connections(database), expected),
    `the connections are ${JSON.stringify(expected)}`,
  );
}

Deno.test("What must not wait has a connection of its own, as far as there are any", () => {
  const share = (connections: number) => {
    const { readsAtOnce, ...kinds } = shareOut(
      connections,
      (name, connections) => ({ name, connections } as unknown as Client),
    );
    const of = (name: keyof typeof kinds) => kinds[name] as unknown as { name: string; connections: number };
    const clients = [...new Set(Object.values(kinds))] as unknown as { connections: number }[];
    assertEquals(clients.reduce((sum, { connections }) => sum + connections, 1), connections);
    assertEquals([of("writes").connections, of("reads").connections], [1, readsAtOnce]);
    return (["writes", "reads", "looks", "signals"] as const).map((kind) => of(kind).name);
  };
  assertEquals(share(2), ["writes", "writes", "writes", "writes"]);
  assertEquals(share(3), ["writes", "reads", "reads", "reads"]);
  assertEquals(share(4), ["writes", "reads", "signals", "signals"]);
  for (const more of [5, 6, 7, 20]) assertEquals(share(more), ["writes", "reads", "looks", "signals"]);
});

for (
  const [count, expected] of [
    [2, { listen: 1, writes: 1 }],
    [3, { listen: 1, reads: 1, writes: 1 }],
    [4, { listen: 1, reads: 1, signals: 1, writes: 1 }],
    [6, { listen: 1, looks: 1, reads: 2, signals: 1, writes: 1 }],
  ] as const
) {
  Deno.test(`With DATABASE_CONNECTIONS=${count} a server does all its work, and never has more`, async () => {
    await using database = await postgres.create();
    await using server = await startServer(database.url, { DATABASE_CONNECTIONS: `${count}`, FALLBACK_MS: "50" });
    const polls = Array.from({ length: 20 }, (_, i) => messages(server, `room${i}`, "after=now&wait=50"));
    await until(() => server.chat.state.waiters === 20 && server.chat.state.listening, "all wait");
    let most = 0;
    let working = true;
    const watching = (async () => {
      while (working) {
        most = Math.max(
          most,
          Object.values(await connections(database)).reduce((sum, count) => sum + count, 0),
        );
      }
    })();
    const stored = await Promise.all(Array.from({ length: 20 }, (_, i) => posted(server, `room${i}`, "news")));
    assertEquals(await Promise.all(polls), stored.map((message) => [message]));
    for (let round = 0; round < 5; round++) {
      await Promise.all(Array.from({ length: 20 }, async (_, i) => {
        const message = await posted(server, `room${i}`, "more");
        assertEquals((await messages(server, `room${i}`, "before=now&limit=1"))[0], message);
      }));
    }
    working = false;
    await watching;
    assertLessOrEqual(most, count);
    await untilConnected(database, expected);
  });
}

Deno.test("READ_CONNECTIONS means what it did, and the log says what to set now", async () => {
  await using database = await postgres.create();
  await using server = await spawnServer(database.url, { READ_CONNECTIONS: "1" });
  await until(() => server.log().includes("set DATABASE_CONNECTIONS=4"), "it is said");
});

Deno.test("A post waits for a long read where they share a connection, and nowhere else", async () => {
  await using database = await postgres.create();
  await using two = await startServer(database.url, { DATABASE_CONNECTIONS: "2" });
  await using three = await startServer(database.url, { DATABASE_CONNECTIONS: "3" });
  await posted(two, "room", "first");
  const holding = await hold(database, (sql) => sql`lock table messages in access exclusive mode`);
  const held = async (count: number) =>
    (await database.sql`
      select from pg_stat_activity where datname = ${database.name} and wait_event_type = 'Lock'`).length === count;
  const reads = [two, three].map((server) => messages(server, "room", "before=now"));
  await until(() => held(2), "both read");
  const statements = two.chat.state.statements;
  const posts = [two, three].map((server) => posted(server, "room", "next"));
  await until(() => held(3), "the one that has a connection for it is sent");
  assertEquals(two.chat.state.statements, statements);
  await holding.end();
  const stored = await Promise.all(posts);
  assertEquals((await Promise.all(reads)).map(([first]) => first!.body), ["first", "first"]);
  const ids = (await messages(two, "room", "wait=0")).slice(1).map(({ id }) => id);
  assertEquals(ids, stored.map(({ id }) => id).sort());
});

Deno.test("A role with five connections carries two servers with two each, and a migrator beside them", async () => {
  await using database = await postgres.create();
  const role = `few_${crypto.randomUUID().slice(0, 8)}`;
  await database.admin(async (sql) => {
    await sql.unsafe(`create role ${role} login connection limit 5`);
    await sql.unsafe(`alter database ${database.name} owner to ${role}`);
  });
  const url = Object.assign(new URL(database.url), { username: role }).href;
  const env = { DATABASE_CONNECTIONS: "2", FALLBACK_MS: "1000" };
  const migrator = async () => await migrateOnce(await opened(url));
  {
    const [one, two] = await Promise.all([spawnServer(url, env), spawnServer(url, env), migrator()]);
    await using _one = one;
    await using _two = two;
    for (let round = 0; round < 10; round++) {
      const polls = [one, two].map((server) => messages(server, "room", "after=now&wait=50"));
      const waiting = async (server: { url: string }) => (await (await fetch(`${server.url}/healthz`)).json()).waiters;
      await until(async () => await waiting(one) + await waiting(two) === 2, "both wait");
      await untilConnected(database, { listen: 2, writes: 2 }); // and the migrator before is gone
      const [message] = await Promise.all([posted(round % 2 ? one : two, "room", `${round}`), migrator()]);
      assertEquals(await Promise.all(polls), [[message], [message]]);
    }
    await untilConnected(database, { listen: 2, writes: 2 });
    assertEquals([one, two].filter((server) => /no connection left/.test(server.log())), []);
  }
  await database.admin((sql) => sql.unsafe(`alter database ${database.name} owner to postgres`));
  await until(async () => Object.keys(await connections(database)).length === 0, "both are gone");
  await database.sql.unsafe(`drop owned by ${role}`);
  await database.admin((sql) => sql.unsafe(`drop role ${role}`));
});

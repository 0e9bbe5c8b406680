// Behind PgBouncer in transaction mode, which is what hosters' poolers are: LISTEN and migrations go past it. Needs Debian's
// package of that name.
import { assertEquals, assertGreater, assertRejects, assertStringIncludes } from "@std/assert";
import { makeId } from "../src/chat/cursor.ts";
import { Retention } from "../src/chat/retention.ts";
import { migrateOnce } from "../src/database/migrate.ts";
import { Unusable } from "../src/database/unusable.ts";
import { messages, posted, until } from "./support/client.ts";
import { cutter } from "./support/middlebox.ts";
import { OwnPostgres } from "./support/own_postgres.ts";
import { type Env, spawnServer, startServer } from "./support/server.ts";
import { MIGRATIONS, opened } from "./support/postgres.ts";
import { startPgBouncer, whyNoPgBouncer } from "./torture/pgbouncer.ts";

const lack = whyNoPgBouncer();
if (lack) console.log(`${lack}: the tests behind it are left out`);

/** What a test finds. */
interface World {
  readonly postgres: OwnPostgres;
  /** The database `linger` by way of PgBouncer. */
  readonly pooled: string;
  /** The same past it, as another role. */
  readonly direct: string;
}

function test(name: string, body: (world: World) => Promise<void>): void {
  Deno.test({
    name,
    ignore: lack !== undefined,
    fn: async () => {
      await using postgres = await OwnPostgres.start();
      await postgres.run("create database linger", "create database other", "create role past superuser login");
      await using bouncer = await startPgBouncer(postgres.port);
      const pooled = postgres.url("linger", bouncer.port);
      await body({ postgres, pooled, direct: postgres.url("linger").replace("postgres@", "past@") });
    },
  });
}

/** No look within a test's time: what arrives was notified. */
const NEVER = { DATABASE_POOLED: "true", FALLBACK_MS: "60000", FALLBACK_WITHOUT_LISTEN_MS: "60000" };

test("Servers behind a pooler tell each other news at once, where they listen past it", async ({ postgres, pooled, direct }) => {
  const env = { ...NEVER, DATABASE_DIRECT_URL: direct };
  await using one = await startServer(pooled, env);
  await using two = await startServer(pooled, env);
  for (let i = 0; i < 20; i++) {
    const poll = messages(two, "room", "after=now&wait=50");
    await until(() => two.chat.state.waiters === 1 && two.chat.state.listening, "the poll waits");
    const message = await posted(one, "room", `${i}`);
    assertEquals(await poll, [message]);
  }
  const rows = await postgres.run("select application_name as name from pg_stat_activity where usename = 'past'");
  assertEquals(rows, [{ name: "linger listen" }]); // of the one on which somebody waits
});

test("Without it, news comes by the looks, and LISTEN is never believed", async ({ pooled }) => {
  const env = { DATABASE_POOLED: "true", FALLBACK_MS: "60000", FALLBACK_WITHOUT_LISTEN_MS: "100" };
  await using one = await startServer(pooled, env);
  await using two = await startServer(pooled, env);
  const poll = messages(two, "room", "after=now&wait=50");
  await until(() => two.chat.state.waiters === 1, "the poll waits");
  const before = two.chat.state.statements;
  await until(() => two.chat.state.statements > before + 10, "it has looked often");
  assertEquals(two.chat.state.listening, false);
  const message = await posted(one, "room", "news");
  assertEquals(await poll, [message]);
});

test("A statement takes one way there and back, whatever is asked", async ({ pooled }) => {
  await using line = cutter({ url: pooled });
  const { port } = new URL(line.url);
  const { openPool } = await opened(Object.assign(new URL(pooled), { port }).href, { DATABASE_POOLED: "true" });
  const { sql, destroy } = openPool("test");
  const odd = `it's \\ "so" $1, or $$; --`;
  const ask: [rows: object[], statement: () => PromiseLike<object[]>][] = [
    [[{ one: 1 }], () => sql`select 1 as one`],
    [[{ text: odd, none: null }], () => sql`select ${odd}::text as text, ${null}::text as none`],
    [[{ yes: true, two: 2 }], () => sql`select ${true}::bool as yes, ${1}::int + ${sql`${1}`}::int as two`],
    [[{ text: odd, two: 2 }], () => sql.unsafe("select $1::text as text, $2::int as two", [odd, 2], { prepare: true })],
    [
      [{ text: odd }, { text: null }],
      () => sql`select text from unnest(${sql.types.texts([odd, null])}::text[]) as text`,
    ],
  ];
  try {
    await sql`select`; // which connects
    for (const [rows, statement] of ask) {
      const before = line.turns;
      assertEquals([[...await statement()], line.turns - before], [rows, 1]);
    }
    // One that is refused leaves the connection as it was.
    await assertRejects(async () => await sql`select 1 / ${0}::int`, Error, "division by zero");
    assertEquals([...await sql`select ${odd}::text as text`], [{ text: odd }]);
  } finally {
    await destroy();
  }
});

test("A process with both URLs migrates past the pooler, and serves", async ({ postgres, pooled, direct }) => {
  await using server = await spawnServer(pooled, {
    DATABASE_POOLED: "true",
    DATABASE_DIRECT_URL: direct,
    DATABASE_CONNECTIONS: "2",
  });
  assertStringIncludes(server.log(), `Applied migration ${MIGRATIONS[0]}`);
  const [row] = await postgres.runIn("linger", "select count(*)::int as count from migrations");
  assertEquals(row!.count, MIGRATIONS.length);
  const poll = messages(server, "room", "after=now&wait=50");
  const health = async () => await (await fetch(`${server.url}/healthz`)).json();
  await until(async () => {
    const { waiters, listening } = await health();
    return waiters === 1 && listening;
  }, "it waits and listens");
  const message = await posted(server, "room", "news");
  assertEquals(await poll, [message]);
});

test("What is too old is removed past the pooler, and without a way past it through it, where no lock stays behind", async ({ postgres, pooled, direct }) => {
  for (const way of [{ DATABASE_DIRECT_URL: direct }, {}]) {
    const env: Env = { DATABASE_POOLED: "true", RETENTION: "7", ...way };
    const { config, ...database } = await opened(pooled, env);
    await migrateOnce(database);
    const old = makeId(Date.now() - 30 * 86_400_000, 1, "0123456789");
    await postgres.runIn(
      "linger",
      "truncate heads, messages",
      `insert into heads (room, seq, ms) values ('room', 1, 1)`,
      `insert into messages (room, id, body) values ('room', '${old}', 'old')`,
    );
    await new Retention(database, config).run(new AbortController().signal);
    assertEquals(await postgres.runIn("linger", "select from messages"), []);
    assertEquals(await postgres.runIn("linger", "select from pg_locks where locktype = 'advisory'"), []);
  }
});

async function migrating(env: Env): Promise<string[] | string> {
  return await migrateOnce(await opened(env.DATABASE_URL!, env)).catch((error) => {
    if (!(error instanceof Unusable)) throw error;
    return `${error.cure}: ${error.message}`;
  });
}

test("Two URLs that lead to two databases are refused, and so are those that see different tables", async ({ postgres, pooled }) => {
  const env = { DATABASE_URL: pooled, DATABASE_POOLED: "true" };
  assertEquals(
    await migrating({ ...env, DATABASE_DIRECT_URL: postgres.url("other") }),
    "none: DATABASE_DIRECT_URL leads to another database than DATABASE_URL",
  );
  assertEquals(await postgres.runIn("other", "select from pg_tables where tablename = 'messages'"), []);
  await postgres.runIn("linger", "create schema apart");
  const apart = `${postgres.url("linger")}?options=${encodeURIComponent("-c search_path=apart")}`;
  assertEquals(
    await migrating({ ...env, DATABASE_DIRECT_URL: apart }),
    "none: DATABASE_DIRECT_URL leads to tables that DATABASE_URL does not see: give both roles the same search_path",
  );
  assertGreater((await migrating({ ...env, DATABASE_DIRECT_URL: postgres.url("linger") })).length, 0);
});

test("Where nobody may write on one side, that may be the wrong server for a while, and is waited for", async ({ postgres, pooled }) => {
  await postgres.run("alter database other set default_transaction_read_only = on");
  const [linger, other] = [postgres.url("linger"), postgres.url("other")];
  for (const [url, direct] of [[pooled, other], [other, linger]]) {
    const said = await migrating({ DATABASE_URL: url!, DATABASE_POOLED: "true", DATABASE_DIRECT_URL: direct! });
    assertStringIncludes(`${said}`, `time: 127.0.0.1:${postgres.port} lets nobody write`);
  }
});

test("Connections that are killed whenever they are idle, on both sides of a pooler, lose nothing", async ({ postgres, pooled, direct }) => {
  const env = {
    DATABASE_POOLED: "true",
    DATABASE_DIRECT_URL: direct,
    DATABASE_CONNECTIONS: "2",
    FALLBACK_MAX_MS: "60000",
  };
  await using one = await startServer(pooled, env);
  await using two = await startServer(pooled, env);
  let killed = 0;
  let finished = false;
  const killing = (async () => {
    for (; !finished; await new Promise((resolve) => setTimeout(resolve, 100))) {
      const rows = await postgres.run(
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = 'linger' and state = 'idle'
          and state_change < clock_timestamp() - interval '100 ms'`,
      );
      killed += rows.length;
    }
  })();
  const sent: string[] = [];
  const seen: string[] = [];
  const reading = (async () => {
    for (let after = "0".repeat(26); seen.at(-1) !== "end";) {
      const page = await messages(two, "room", `after=${after}&wait=50`).catch(() => []);
      seen.push(...page.map(({ body }) => body));
      after = page.at(-1)?.id ?? after;
    }
  })();
  const say = async (body: string) => {
    const key = { "idempotency-key": crypto.randomUUID() };
    const post = () =>
      fetch(`${one.url}/rooms/room/messages`, {
        method: "POST",
        headers: { "content-type": "application/json", ...key },
        body: JSON.stringify({ body }),
      }).then(async (response) => (await response.body?.cancel(), response.ok));
    await until(post, "it is stored");
    sent.push(body);
  };
  for (let i = 0; i < 40 || killed <= 10; i++) {
    await say(`${i}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await say("end");
  await reading;
  finished = true;
  await killing;
  assertEquals(seen, sent);
});

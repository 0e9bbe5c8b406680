// A database and a role can have settings of their own for every session. None of them may change what Linger stores, what it
// gives back, or whom it refuses.
import { assert, assertEquals } from "@std/assert";
import { migrateOnce } from "../src/database/migrate.ts";
import { get, messages, post, posted, until } from "./support/client.ts";
import { hold, MIGRATIONS, opened, type TestDatabase, testPostgres } from "./support/postgres.ts";
import { startServer } from "./support/server.ts";
import { type StoredMessage, violations } from "./torture/checker.ts";
import { write } from "./torture/clients.ts";

const postgres = await testPostgres();

/** Settings that a role or a database can have for a default, each as far from the usual as it goes. */
const ODD: Record<string, string> = {
  "default_transaction_isolation": "'serializable'",
  "default_transaction_deferrable": "on",
  "statement_timeout": "'1ms'",
  "lock_timeout": "'1ms'",
  "idle_in_transaction_session_timeout": "'100ms'",
  "idle_session_timeout": "'300ms'",
  "synchronous_commit": "off",
  "DateStyle": "'SQL, DMY'",
  "IntervalStyle": "'iso_8601'",
  "TimeZone": "'Pacific/Chatham'",
  "bytea_output": "'escape'",
  "standard_conforming_strings": "off",
  "escape_string_warning": "off",
  "backslash_quote": "off",
  "client_encoding": "'LATIN1'",
  "client_min_messages": "'debug5'",
  "extra_float_digits": "-15",
  "array_nulls": "off",
  "transform_null_equals": "on",
  "row_security": "off",
  "session_replication_role": "'replica'",
  "quote_all_identifiers": "on",
  "xmloption": "'document'",
  "jit": "on",
  "jit_above_cost": "0",
  "jit_inline_above_cost": "0",
  "jit_optimize_above_cost": "0",
  "debug_parallel_query": "on",
  "plan_cache_mode": "'force_generic_plan'",
  "enable_seqscan": "off",
  "enable_indexscan": "off",
  "enable_sort": "off",
  "enable_hashjoin": "off",
  "work_mem": "'64kB'",
  "default_toast_compression": "'pglz'",
  "default_statistics_target": "1",
  "lc_messages": "'C'",
  "application_name": "'another'",
  "check_function_bodies": "off",
  "default_tablespace": "'pg_default'",
  "transaction_timeout": "'3s'",
  "tcp_keepalives_idle": "7200",
  "tcp_keepalives_interval": "75",
  "tcp_keepalives_count": "9",
  "tcp_user_timeout": "'9s'",
};

const TEXTS = [
  "plain",
  "null",
  "NULL",
  "it's",
  "back\\slash",
  '"quoted"',
  "{a,b}",
  "👋 日本語",
  "\u0001",
  "E'\\n'",
  "$1",
];

/** Sets defaults for a database. */
async function set(database: TestDatabase, settings: Record<string, string>): Promise<void> {
  const limited = await database.sql`select from pg_settings where name = 'transaction_timeout'`; // since PostgreSQL 17
  for (const [name, value] of Object.entries(settings)) {
    if (name === "transaction_timeout" && limited.length === 0) continue;
    await database.admin((sql) => sql.unsafe(`alter database "${database.name}" set ${name} = ${value}`));
  }
}

Deno.test("Whatever the defaults of the database are, everything is stored, given back as it was sent, and nobody is refused", async () => {
  await using database = await postgres.create();
  await set(database, ODD);
  await using server = await startServer(database.url, { FALLBACK_MS: "200" });
  for (const body of TEXTS) {
    for (const author of [undefined, "null", body]) {
      const response = await post(server, "room", { body, author }, { "idempotency-key": crypto.randomUUID() });
      assertEquals(response.status, 201);
      const message = await response.json();
      assertEquals([message.body, message.author ?? undefined], [body, author]);
    }
  }
  const stored = await messages(server, "room", "before=now&limit=1000");
  assertEquals(stored.map(({ body }) => body), TEXTS.flatMap((body) => [body, body, body]));
  assertEquals(stored.map(({ author }) => author ?? undefined), TEXTS.flatMap((body) => [undefined, "null", body]));
  assertEquals(await messages(server, "room", "after=now&wait=0"), []);
  // The database's clock is read to the millisecond: a cursor may be a minute ahead of it, and not more.
  for (const [seconds, status] of [[30, 200], [300, 400]] as const) {
    const ms = (Date.now() + seconds * 1_000).toString(16).padStart(12, "0");
    const cursor = `${ms.slice(0, 8)}-${ms.slice(8)}-0000-0000-000000000000`;
    assertEquals((await get(server, `/rooms/none/messages?after=${cursor}&wait=0`)).status, status);
  }

  const poll = messages(server, "room", "after=now&wait=55");
  await until(() => server.chat.state.waiters === 1 && server.chat.state.listening, "it waits and listens");
  assertEquals((await get(server, "/readyz")).status, 200);
  const last = await posted(server, "room", "at last");
  assertEquals(await poll, [last]);
});

Deno.test("Posts that go out together keep what they are, whatever the defaults are", async () => {
  await using database = await postgres.create();
  await set(database, ODD);
  await using server = await startServer(database.url);
  const statuses = await Promise.all(TEXTS.map(async (body) => {
    const response = await post(server, "room", { body });
    await response.body?.cancel();
    return response.status;
  }));
  assertEquals(new Set(statuses), new Set([201]));
  await database.admin((sql) => sql.unsafe(`alter database "${database.name}" reset all`));
  const rows = await database.sql<{ body: string; nothing: boolean }[]>`
    select body, key is null and author is null as nothing from messages`;
  assertEquals(rows.map(({ body }) => body).sort(), TEXTS.toSorted());
  assert(rows.every(({ nothing }) => nothing));
});

Deno.test("A session has the settings that Linger needs, whatever the defaults are, but for one behind a pooler", async () => {
  await using database = await postgres.create();
  await set(database, ODD);
  const settings = async (pooled: string): Promise<Record<string, string>> => {
    const { openPool } = await opened(database.url, { DATABASE_POOLED: pooled, STATEMENT_TIMEOUT_MS: "7000" });
    const { sql, destroy } = openPool("test");
    const [row] = await sql<Record<string, string>[]>`
      select current_setting('transaction_isolation') as isolation, current_setting('statement_timeout') as statement,
        current_setting('idle_session_timeout') as idle, current_setting('array_nulls') as nulls,
        current_setting('client_encoding') as encoding,
        coalesce(nullif(current_setting('transaction_timeout', true), '0'), 'none') as transaction`;
    const keepalives: unknown[] = []; // of the socket, which a parallel worker does not have
    for (const name of ["keepalives_idle", "keepalives_interval", "keepalives_count", "user_timeout"]) {
      keepalives.push(...(await sql.unsafe(`show tcp_${name}`)).flatMap(Object.values));
    }
    await destroy();
    return { ...row, keepalives: keepalives.join(" ") };
  };
  assertEquals(await settings("false"), {
    isolation: "read committed",
    statement: "7s",
    idle: "0",
    nulls: "on",
    encoding: "UTF8",
    keepalives: "30 10 3 60000", // a machine that is gone without a word keeps what it has locked for a minute
    transaction: "none",
  });
  await set(database, { statement_timeout: "'9s'" });
  const { transaction: _, ...pooled } = await settings("true");
  assertEquals(pooled, {
    isolation: "serializable",
    statement: "9s",
    idle: "300ms",
    nulls: "off",
    encoding: "UTF8",
    keepalives: "7200 75 9 9000",
  });
});

for (const pooled of ["false", "true"]) {
  for (const isolation of ["repeatable read", "serializable"]) {
    const how = pooled === "true" ? "behind a pooler" : "by default";
    Deno.test(`Two servers at a database that is ${isolation} ${how} refuse nobody, and keep the order`, async () => {
      await using database = await postgres.create();
      await set(database, { default_transaction_isolation: `'${isolation}'` });
      await using one = await startServer(database.url, { DATABASE_POOLED: pooled });
      await using two = await startServer(database.url, { DATABASE_POOLED: pooled });
      const posts = (await Promise.all(
        Array.from({ length: 32 }, (_, i) => write(i % 2 ? [one, two] : [two, one], "room", `writer${i}`, 20)),
      )).flat();
      assertEquals(posts.filter(({ status }) => status !== 201), []);
      const table = await database.sql<StoredMessage[]>`select room, id, body, key from messages`;
      assertEquals(violations({ posts, polls: [], table: [...table] }), []);
      assertEquals(table.length, 32 * 20);
    });
  }
}

Deno.test("Migrators at a database that is serializable by default, and limits its transactions, wait for each other", async () => {
  await using database = await postgres.create();
  const limitMs = 3_000; // as far as a slow machine needs from BEGIN to what lifts it
  await using another = await hold(database, (sql) => sql`select pg_advisory_xact_lock(119212478817650)`);
  await set(database, {
    default_transaction_isolation: "'serializable'",
    lock_timeout: "'1ms'",
    transaction_timeout: `${limitMs}`,
  });
  const shared = await opened(database.url, { DATABASE_POOLED: "true" });
  const migrating = Promise.all(Array.from({ length: 10 }, () => migrateOnce(shared)));
  const longAgo = until(async () => {
    const waiting = await database.sql`
      select from pg_stat_activity where datname = current_database() and wait_event = 'advisory'
        and extract(epoch from clock_timestamp() - xact_start) * 1000 > ${limitMs}`;
    return waiting.length === 10;
  }, "all have waited for longer than the limit");
  await Promise.race([longAgo, migrating]);
  await another.end();
  assertEquals((await migrating).filter((names) => names.length > 0), [MIGRATIONS]);
});

// What a failure means for its statement decides whether a post may be sent again, so each way to fail is brought about
// for real: commits that fail, backends that are killed, locks that are never given, servers that aren't there.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Client, DatabaseError } from "../src/database/client.ts";
import type { OpenPool, Pool, Sql } from "../src/database/pool.ts";
import { until } from "./support/client.ts";
import { logged } from "./support/log.ts";
import { freePort, hold, opened, type TestDatabase, testPostgres } from "./support/postgres.ts";

const HOUR_MS = 3_600_000;

/** A deadline that is to pass, in milliseconds. Even on a busy machine there is a connection before it does. */
const SOON_MS = 2_000;

const postgres = await testPostgres();

Deno.test("Client.run() gives what the statement returns, and counts what is sent", async () => {
  await using database = await postgres.create();
  await using opened = await open(database.url);
  const { client } = opened;
  assertEquals(client.sent, 0);
  assertEquals([...await client.run((sql) => sql`select 1 as one`)], [{ one: 1 }]);
  assertEquals([...await client.run((sql) => sql`select ${"x"} as x`)], [{ x: "x" }]);
  assertEquals(client.sent, 2);
});

Deno.test("Client.run() rejects when the commit fails, though the statement had gone through", async () => {
  await using database = await postgres.create();
  await using opened = await open(database.url);
  await database.sql.unsafe(`
    create table notes (body text);
    create function refuse() returns trigger language plpgsql as $$ begin raise exception 'not today'; end $$;
    create constraint trigger late after insert on notes
      deferrable initially deferred for each row execute function refuse()`);
  for (const body of ["not prepared yet", "prepared"]) {
    const error = await failure(
      opened.client.run((sql) => sql`insert into notes values (${body}) returning body`),
    );
    assertEquals([error.fate, error.code], ["rolled-back", "P0001"]);
  }
  assertEquals(await count(database, "notes"), 0);
});

Deno.test("Client.run() sends arrays of texts, also when the server has forgotten the plan of their statement", async () => {
  await using database = await postgres.create();
  await using opened = await open(database.url);
  const texts = ["a", null, "null", 'quoted "b" \\', ""];
  const echo = () =>
    opened.client.run((sql) =>
      sql<{ text: string }[]>`select text from unnest(${sql.types.texts(texts)}::text[]) as text`
    );
  const sent = async () => (await echo()).map(({ text }) => text);
  assertEquals(await sent(), texts);
  await opened.client.run((sql) => sql.unsafe("deallocate all"));
  assertEquals(await sent(), texts);
});

Deno.test("Client.run() tells a refused statement, with the constraint that it violates", async () => {
  await using database = await postgres.create();
  await using opened = await open(database.url);
  await database.sql`create table notes (body text constraint no_twins unique)`;
  await opened.client.run((sql) => sql`insert into notes values ('a')`);
  const error = await failure(opened.client.run((sql) => sql`insert into notes values ('b'), ('a')`));
  assertEquals([error.fate, error.code, error.constraint, error.isOurs], ["rolled-back", "23505", "no_twins", true]);
  assertEquals(await count(database, "notes"), 1);
});

Deno.test("Client.run() tells data that is wrong from a database that lacks something", async () => {
  await using database = await postgres.create();
  await using opened = await open(database.url);
  for (
    const [statement, code, isOurs] of [["select 1 / 0", "22012", true], ["table nowhere", "42P01", false]] as const
  ) {
    const error = await failure(opened.client.run((sql) => sql.unsafe(statement)));
    assertEquals([error.fate, error.code, error.isOurs], ["rolled-back", code, isOurs]);
  }
});

Deno.test("Client.run() tells a statement that the database's own timeout ended", async () => {
  await using database = await postgres.create();
  await using opened = await open(database.url, { STATEMENT_TIMEOUT_MS: "1000" });
  const error = await failure(opened.client.run((sql) => sql`select pg_sleep(3600)`));
  assertEquals([error.fate, error.code, error.isOurs], ["rolled-back", "57014", false]);
});

Deno.test("Client.run() tells that a statement was not sent when there is no server", async () => {
  await using opened = await open(`postgres://postgres@127.0.0.1:${freePort()}/postgres`);
  for (let attempt = 0; attempt < 3; attempt++) {
    const error = await failure(opened.client.run((sql) => sql`select 1`));
    assertEquals([error.fate, error.code], ["not-sent", "ECONNREFUSED"]);
  }
  assertEquals(opened.client.sent, 0);
});

Deno.test("Client.run() can't tell the end of a statement whose backend is killed, and doesn't send it again", async () => {
  await using database = await postgres.create();
  await using opened = await open(database.url);
  await using lock = await holdLock(database);
  let asked = 0;
  const running = failure(opened.client.run((sql) => (asked++, takeLock(sql))));
  await killWaiting(database);
  assertEquals((await running).fate, "unknown");
  assertEquals(asked, 1);
  await lock.end();
  assertEquals([...await opened.client.run((sql) => sql`select 1 as one`)], [{ one: 1 }]);
});

Deno.test("Client.run() gives a silent connection up at its deadline, and the next statement works", async () => {
  await using database = await postgres.create();
  await using opened = await open(database.url, {}, SOON_MS);
  await using lock = await holdLock(database);
  const error = await failure(opened.client.run(takeLock));
  assertEquals([error.fate, error.code, error.isOurs], ["unknown", "DEADLINE", false]);
  // The lock is held as before: this is another connection.
  assertEquals([...await opened.client.run((sql) => sql`select 1 as one`)], [{ one: 1 }]);
  assertEquals(opened.clients(), 2);
  await lock.end();
});

Deno.test("Client.run() gives up one connection for all statements that it holds up", async () => {
  await using database = await postgres.create();
  await using opened = await open(database.url, {}, SOON_MS);
  await using lock = await holdLock(database);
  const errors = await Promise.all([1, 2, 3].map(() => failure(opened.client.run(takeLock))));
  for (const { fate } of errors) assert(fate !== "rolled-back");
  assertEquals(opened.clients(), 2);
  await lock.end();
});

Deno.test("Client.run() is right not to know: a statement that was given up can still be committed", async () => {
  await using database = await postgres.create();
  await using opened = await open(database.url, {}, SOON_MS);
  await database.sql`create table notes (body text)`;
  await using lock = await holdLock(database);
  const insert = opened.client.run((sql) => sql`insert into notes select 'late' from pg_advisory_xact_lock_shared(1)`);
  assertEquals((await failure(insert)).fate, "unknown");
  await lock.end();
  await until(async () => await count(database, "notes") === 1, "the statement is committed");
});

Deno.test("Client.run() takes an answer that lies in the socket when a frozen process finds its deadline passed", async () => {
  await using database = await postgres.create();
  await using opened = await open(database.url, {}, SOON_MS);
  await opened.client.run((sql) => sql`select 1`);
  const answer = opened.client.run((sql) => sql`select 'in time' as answer from pg_sleep(1)`);
  const sent = async () =>
    (await database
      .sql`select from pg_stat_activity where query like '%in time%' and pid <> pg_backend_pid()`).length;
  await until(async () => await sent() === 1, "the statement is with the server");
  const frozenUntil = performance.now() + SOON_MS + 500;
  while (performance.now() < frozenUntil);
  assertEquals([...await answer], [{ answer: "in time" }]);
  assertEquals(opened.clients(), 1);
});

Deno.test("Client.read() asks once more when its backend is killed", async () => {
  await using database = await postgres.create();
  await using opened = await open(database.url);
  await using lock = await holdLock(database);
  let asked = 0;
  const reading = Promise.allSettled([opened.client.read((sql) => (asked++, takeLock(sql)))]);
  await killWaiting(database);
  await lock.end();
  const [answer] = await reading;
  assertEquals(answer.status === "fulfilled" && [...answer.value], [{ taken: 1 }]);
  assertEquals(asked, 2);
});

Deno.test("Client.read() asks no third time", async () => {
  await using database = await postgres.create();
  await using opened = await open(database.url);
  await using lock = await holdLock(database);
  let asked = 0;
  const reading = failure(opened.client.read((sql) => (asked++, takeLock(sql))));
  await killWaiting(database);
  await killWaiting(database);
  assertEquals((await reading).fate, "unknown");
  assertEquals(asked, 2);
  await lock.end();
});

Deno.test("Client.read() doesn't repeat what was refused, not sent, or not answered in time", async () => {
  await using database = await postgres.create();
  await using opened = await open(database.url, {}, SOON_MS);
  await using nowhere = await open(`postgres://postgres@127.0.0.1:${freePort()}/postgres`);
  await using lock = await holdLock(database);
  let asked = 0;
  assertEquals(
    (await failure(opened.client.read((sql) => (asked++, sql`select 1 / 0`)))).fate,
    "rolled-back",
  );
  assertEquals((await failure(nowhere.client.read((sql) => (asked++, sql`select 1`)))).fate, "not-sent");
  assertEquals((await failure(opened.client.read((sql) => (asked++, takeLock(sql))))).code, "DEADLINE");
  assertEquals(asked, 3);
  await lock.end();
});

Deno.test("Client.run() keeps the connections that it has where there is no connection left, and makes more when there is", async () => {
  await using database = await postgres.create();
  const role = `role_${database.name}`;
  await database.admin((sql) => sql`create role ${sql(role)} login password 'x' connection limit 1`);
  const { href } = Object.assign(new URL(database.url), { username: role, password: "x" });
  await using opened = await open(href, {}, HOUR_MS, 2);
  await using lock = await holdLock(database);
  const first = opened.client.run(takeLock);
  await waitingBackend(database);
  for (let i = 0; i < 3; i++) {
    const error = await failure(opened.client.run((sql) => sql`select 1`));
    assertEquals([error.fate, error.code], ["not-sent", "53300"]);
  }
  await database.admin((sql) => sql`alter role ${sql(role)} connection limit 2`);
  assertEquals([...await opened.client.run((sql) => sql`select 1 as one`)], [{ one: 1 }]);
  await lock.end();
  assertEquals([...await first], [{ taken: 1 }]);
  assertEquals(opened.clients(), 1);
  await opened.client.close();
  await database.admin((sql) => sql`drop role ${sql(role)}`);
});

Deno.test("Client.run() sends a statement once more, over a new connection, when its own turns out to be of no use", async () => {
  await using database = await postgres.create();
  await using opened = await open(database.url);
  await database.sql`create table notes (body text)`;
  await opened.client.run((sql) => sql`set default_transaction_read_only = on`);
  await opened.client.run((sql) => sql`insert into notes values ('stored')`);
  assertEquals([await count(database, "notes"), opened.clients()], [1, 2]);

  await database.admin((sql) => sql`alter database ${sql(database.name)} set default_transaction_read_only = on`);
  await opened.client.run((sql) => sql`set default_transaction_read_only = on`);
  let asked = 0;
  const error = await failure(opened.client.run((sql) => (asked++, sql`insert into notes values ('refused')`)));
  assertEquals([error.fate, error.code, error.isStale, asked], ["rolled-back", "25006", true, 2]);
  assertEquals(await count(database, "notes"), 1);

  // Where such another is of no use either, each statement makes one, and no second.
  const made = opened.clients();
  for (let i = 0; i < 5; i++) await failure(opened.client.run((sql) => sql`insert into notes values ('refused')`));
  assertEquals(opened.clients() - made, 5);
  await database.admin((sql) => sql`alter database ${sql(database.name)} reset default_transaction_read_only`);
  await opened.client.run((sql) => sql`insert into notes values ('stored')`);
  await opened.client.run((sql) => sql`set default_transaction_read_only = on`);
  await opened.client.run((sql) => sql`insert into notes values ('stored')`); // once more, as above
  assertEquals(await count(database, "notes"), 3);
});

Deno.test("Client.close() fails the statement under way and every later one, and leaves no connection", async () => {
  await using database = await postgres.create();
  await using opened = await open(database.url);
  await using lock = await holdLock(database);
  const running = failure(opened.client.run(takeLock));
  await waitingBackend(database);
  await opened.client.close();
  assertEquals((await running).fate, "unknown");
  assertEquals((await failure(opened.client.run((sql) => sql`select 1`))).fate, "not-sent");
  await lock.end();
  const connections = async () =>
    (await database.sql`
      select from pg_stat_activity where datname = ${database.name} and application_name = 'linger test'`)
      .length;
  await until(async () => await connections() === 0, "the connection is gone");
  assertEquals(opened.clients(), 1);
});

Deno.test("Client logs once that the database is away, and once that it is back", async () => {
  await using database = await postgres.create();
  const lines = (await logged(async () => {
    await using opened = await open(database.url);
    await using lock = await holdLock(database);
    for (let i = 0; i < 2; i++) {
      const running = failure(opened.client.run(takeLock));
      await killWaiting(database);
      await running;
    }
    await lock.end();
    for (let i = 0; i < 2; i++) await opened.client.run((sql) => sql`select 1`);
    await failure(opened.client.run((sql) => sql`select 1 / 0`));
  })).map((line) => line.split(" ").slice(1).join(" "));
  assertEquals(lines.length, 2, lines.join("\n"));
  assert(lines[0]!.startsWith("error The database fails (test)"));
  assert(lines[1]!.startsWith("info The database answers again (test)"));
});

/** A client, of one connection if not said otherwise, and how many postgres.js clients it has made so far. */
async function open(url: string, env: Record<string, string> = {}, deadlineMs = HOUR_MS, connections = 1) {
  const { openPool } = await opened(url, { STATEMENT_TIMEOUT_MS: "600000", ...env });
  const made: Pool[] = [];
  const collecting: OpenPool = (...parameters) => {
    const pool = openPool(...parameters);
    made.push(pool);
    return pool;
  };
  const client = new Client("test", connections, deadlineMs, collecting);
  return {
    client,
    clients: () => made.length,
    [Symbol.asyncDispose]: async () => {
      await client.close();
      await Promise.all(made.map((pool) => pool.destroy())); // also those that were given up
    },
  };
}

function takeLock(sql: Sql) {
  return sql<{ taken: number }[]>`select 1 as taken from pg_advisory_lock_shared(1)`;
}

/** Holds the lock that takeLock() asks for, so that its statement waits. */
function holdLock(database: TestDatabase) {
  return hold(database, (sql) => sql`select pg_advisory_xact_lock(1)`);
}

/** The process id of the backend that waits for a lock, as soon as there is one. */
async function waitingBackend({ sql, name }: TestDatabase): Promise<number> {
  let pid: number | undefined;
  await until(async () => {
    const [row] = await sql<{ pid: number }[]>`
      select pid from pg_stat_activity where datname = ${name} and wait_event_type = 'Lock'`;
    pid = row?.pid;
    return pid !== undefined;
  }, "a backend waits for the lock");
  return pid!;
}

/** Kills the backend that waits for a lock; returns when it is gone. */
async function killWaiting(database: TestDatabase): Promise<void> {
  const pid = await waitingBackend(database);
  await database.sql`select pg_terminate_backend(${pid}, 10000)`;
}

function failure(running: Promise<unknown>): Promise<DatabaseError> {
  return assertRejects(() => running, DatabaseError);
}

async function count({ sql }: TestDatabase, table: string): Promise<number> {
  const [row] = await sql<{ count: number }[]>`select count(*)::int as count from ${sql(table)}`;
  return row!.count;
}

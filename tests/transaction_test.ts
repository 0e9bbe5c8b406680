// A transaction that is lost half-way is told, and nothing else comes of it: not the end of the process, nor a wait without end.
import { assertEquals, assertRejects } from "@std/assert";
import { DatabaseError } from "../src/database/client.ts";
import type { OpenPool, Sql } from "../src/database/pool.ts";
import { begin, transact } from "../src/database/transaction.ts";
import { soon, until } from "./support/client.ts";
import { OwnPostgres } from "./support/own_postgres.ts";
import { opened, type TestDatabase, testPostgres } from "./support/postgres.ts";

const postgres = await testPostgres();

/** Ends the connection of a transaction, from another; resolves when that is known on this side too, where `closed` does. */
async function cut(database: TestDatabase, closed: Promise<void>): Promise<void> {
  const which = "datname = current_database() and application_name = 'linger lost'";
  await database.sql.unsafe(`select pg_terminate_backend(pid, 10000) from pg_stat_activity where ${which}`);
  await soon(closed);
}

for (const end of ["asks on", "ends", "fails"] as const) {
  Deno.test(`A transaction whose connection is lost is told of that, though its work ${end}`, async () => {
    await using database = await postgres.create();
    const { openPool, closed } = await open(database);
    const pool = openPool("lost");
    const world = { asked: false, working: Promise.resolve() };
    const work = async (sql: Sql) => {
      await sql`select 1`;
      await cut(database, closed);
      if (end === "asks on") await sql`select 2`.then(() => world.asked = true);
      if (end === "fails") throw new Error("something else");
    };
    await assertRejects(() => begin(pool.sql, "", (sql) => world.working = work(sql)), Error, "CONNECTION_CLOSED");
    await world.working.catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 100)); // in which what was written too late would end the process
    assertEquals(world.asked, false);
    await pool.destroy();
  });
}

Deno.test("A transaction whose connection is lost under a statement is told of that", async () => {
  await using database = await postgres.create();
  for (let i = 0; i < 20; i++) {
    const pool = (await open(database)).openPool("lost");
    const lost = assertRejects(() => begin(pool.sql, "", (sql) => sql`select pg_sleep(60)`));
    const which = "datname = current_database() and application_name = 'linger lost' and wait_event = 'PgSleep'";
    await until(
      async () =>
        (await database.sql.unsafe(`select pg_terminate_backend(pid) from pg_stat_activity where ${which}`)).length > 0,
      "it sleeps",
    );
    await lost;
    await new Promise((resolve) => setTimeout(resolve, 20)); // as above
    await pool.destroy();
  }
});

Deno.test("What a transaction has done is undone where its connection is lost, and who asks on is told so", async () => {
  await using database = await postgres.create();
  await database.sql`create table notes (text text)`;
  const { openPool, closed } = await open(database);
  const error = await assertRejects(
    () =>
      transact(openPool, { name: "lost", mode: "", deadlineMs: 10_000 }, async (run) => {
        await run((sql) => sql`insert into notes values ('one')`);
        await cut(database, closed);
        await run((sql) => sql`insert into notes values ('two')`);
      }),
    DatabaseError,
  );
  assertEquals(error.fate, "rolled-back");
  await until(async () => (await database.sql`select from notes`).length === 0, "nothing of it is there");
});

Deno.test("A transaction that is lost before its end has done nothing, for sure", async () => {
  await using database = await postgres.create();
  const { openPool, closed } = await open(database);
  const error = await assertRejects(
    () =>
      transact(openPool, { name: "lost", mode: "", deadlineMs: 10_000 }, async (run) => {
        await run((sql) => sql`select 1`);
        await cut(database, closed);
      }),
    DatabaseError,
  );
  assertEquals(error.fate, "rolled-back");
});

Deno.test("A transaction of a command may take longer, and rest longer, than the database lets others", async () => {
  await using database = await postgres.create();
  const limitMs = 2_000; // as far as a slow machine needs from BEGIN to what lifts it
  const limits = await database.sql<{ name: string }[]>`
    select name from pg_settings where name in ('transaction_timeout', 'idle_in_transaction_session_timeout')`;
  for (const { name } of limits) {
    await database.admin((sql) => sql.unsafe(`alter database "${database.name}" set ${name} = ${limitMs}`));
  }
  const { openPool } = await open(database);
  const rows = await transact(openPool, { name: "long", mode: "", deadlineMs: 10_000 }, async (run) => {
    const isOver = async () => {
      const [own] = await database.sql<{ late: boolean }[]>`
        select extract(epoch from clock_timestamp() - xact_start) * 1000 > ${limitMs} + 200 as late
        from pg_stat_activity where datname = current_database() and application_name = 'linger long'`;
      return own?.late ?? true;
    };
    await until(isOver, "it has taken, and rested, longer than the limits");
    return await run((sql) => sql`select 1 as one`);
  });
  assertEquals([...rows], [{ one: 1 }]);
});

Deno.test("A transaction whose wait for a standby was cancelled is told so: it stands, and a failover may lose it", async () => {
  await using primary = await OwnPostgres.start();
  await primary.run(
    "create table notes (text text)",
    "alter system set synchronous_standby_names = 'away'",
    "alter system set client_min_messages = 'error'", // which would keep back what tells of it
  );
  await primary.reload();
  const { openPool } = await open({ url: primary.url() });
  const ended = assertRejects(
    () =>
      transact(
        openPool,
        { name: "cut", mode: "", deadlineMs: 60_000 },
        (run) => run((sql) => sql`insert into notes values ('one')`),
      ),
    DatabaseError,
  );
  const cancelled = "select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'";
  await until(async () => (await primary.run(cancelled)).length > 0, "its commit waits");
  const { fate, code } = await ended;
  assertEquals([fate, code], ["unknown", "UNREPLICATED"]);
  assertEquals((await primary.run("select from notes")).length, 1);
});

/** Opens pools; `closed` resolves when a connection of one has ended. */
async function open(database: Pick<TestDatabase, "url">): Promise<{ openPool: OpenPool; closed: Promise<void> }> {
  const { openPool } = await opened(database.url);
  const { promise: closed, resolve: onClose } = Promise.withResolvers<void>();
  return { openPool: (name, options) => openPool(name, { ...options, onClose }), closed };
}

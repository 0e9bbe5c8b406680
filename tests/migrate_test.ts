// Servers start whenever they like, many at once, old ones beside new ones; the database must come out right each time.
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { migrateOnce } from "../src/database/migrate.ts";
import { until } from "./support/client.ts";
import { logged } from "./support/log.ts";
import { freePort, hold, migrated, opened, projectPath, type TestDatabase, testPostgres } from "./support/postgres.ts";
import { spawnStarting } from "./support/server.ts";

const postgres = await testPostgres();

Deno.test("migrate() applies all migrations to an empty database, in order, and returns their names", async () => {
  await using database = await postgres.create();
  const names = await migrated(database);
  const files = await Array.fromAsync(Deno.readDir(projectPath("migrations")), ({ name }) => name);
  assertEquals(names, files.filter((name) => name.endsWith(".sql")).sort());
  assert(names.length > 0);
  assertEquals(await applied(database), names.map((name, i) => ({ number: i + 1, name })));
});

Deno.test("migrate() does nothing the second time, and keeps what is stored", async () => {
  await using database = await postgres.create();
  await migrated(database);
  await database.sql`insert into heads (room, seq, ms) values ('lobby', 1, 1)`;
  const before = await applied(database);
  assertEquals(await migrated(database), []);
  assertEquals(await applied(database), before);
  assertEquals(await database.sql`select room from heads`.then((rows) => rows.length), 1);
});

Deno.test("migrate() called by twenty servers at once applies each migration once", async () => {
  await using database = await postgres.create();
  const patient = { ...database, url: `${database.url}?connect_timeout=60` }; // they all connect in one moment
  const answers = await Promise.all(Array.from({ length: 20 }, () => migrated(patient)));
  const names = await applied(database);
  assertEquals(answers.filter((answer) => answer.length > 0), [names.map(({ name }) => name)]);
});

Deno.test("migrate() makes an index of a large table without keeping anybody from writing, also after a try that was killed", async () => {
  await using database = await postgres.create();
  const names = await migrated(database);
  const { sql } = database;
  await sql`
    insert into messages (room, id, body) select 'large', gen_random_uuid(), string_agg(md5(random()::text), '')
    from generate_series(1, 8000) i, generate_series(1, 300) j group by i`;
  const isThere = async () => {
    const [index] = await sql<{ valid: boolean }[]>`
      select indisvalid as valid from pg_index where indexrelid = to_regclass('messages_changed')`;
    return index?.valid ?? false;
  };
  await sql`delete from migrations where number >= 3`;
  await sql`update pg_index set indisvalid = false where indexrelid = 'messages_changed'::regclass`; // as one that was killed leaves it
  assertEquals(await migrated(database), names.slice(2));
  assert(await isThere());

  // Somebody is writing, and does not end: what locks the table against writers would wait for him, and all others behind it.
  await sql`delete from migrations where number >= 3`;
  await sql`drop index messages_changed`;
  const write = "insert into messages (room, id, body) values ('a', gen_random_uuid(), '')";
  await using writing = await hold(database, (sql) => sql.unsafe(write));
  await logged(async (lines) => {
    const migrating = Promise.all([migrated(database), migrated(database)]);
    const waits = async () =>
      (await sql`select from pg_stat_activity where query like '%index concurrently%' and wait_event_type = 'Lock'`)
        .length > 0;
    await Promise.race([until(waits, "the index waits for whoever is writing"), migrating]);
    assertStringIncludes(lines.join(), `info ${names[2]} makes an index of a large table, and is waited for`);
    await sql.unsafe(write);
    assert(!await isThere());
    await writing.end();
    assert((await migrating).flat().includes(names[2]!));
  });
  assertEquals(await applied(database).then((rows) => rows.map(({ name }) => name)), names);
  assert(await isThere());
});

Deno.test("A migration that makes an index of a large table may take longer than any statement of a server", async () => {
  await using database = await postgres.create();
  const names = await migrated(database);
  const { sql } = database;
  await sql`
    insert into messages (room, id, body) select 'large', gen_random_uuid(), string_agg(md5(random()::text), '')
    from generate_series(1, 8000) i, generate_series(1, 300) j group by i`;
  await sql`delete from migrations where number >= 3`;
  await sql`drop index messages_changed`;
  await using writing = await hold(
    database,
    (sql) => sql`insert into messages (room, id, body) values ('a', gen_random_uuid(), '')`,
  );
  const migrating = migrateOnce(await opened(database.url, { STATEMENT_TIMEOUT_MS: "2000" }));
  const lasts = async () =>
    (await sql`
      select from pg_stat_activity where query like '%index concurrently%' and wait_event_type = 'Lock'
        and clock_timestamp() - query_start > interval '3 s'`).length > 0;
  await Promise.race([until(lasts, "it has lasted longer"), migrating]);
  await writing.end();
  assertEquals(await migrating, names.slice(2));
});

Deno.test("What others have made of one's own tables is in no migration's way: a view, a trigger, an index of words", async () => {
  await using database = await postgres.create();
  const names = await migrated(database);
  const { sql } = database;
  await sql`delete from migrations where number >= 4`;
  for (const name of ["author", "body", "sub", "proof"]) {
    await sql.unsafe(`alter table messages alter column ${name} set statistics -1`);
  }
  await sql`create view shouted as select upper(author) as author from messages`;
  await sql`create function nothing() returns trigger language plpgsql as 'begin return new; end'`;
  await sql`create trigger heard before update of sub on messages for each row execute function nothing()`;
  await sql`create index words on messages using gin (to_tsvector('simple', body))`;
  const file = async () => (await sql<{ node: number }[]>`select pg_relation_filenode('words') as node`)[0]!.node;
  const before = await file();
  assertEquals(await migrated(database), names.slice(3));
  assertEquals(await file(), before); // nobody has waited for it to be made anew
  const columns = await sql<{ name: string }[]>`
    select attname as name from pg_attribute where attrelid = 'messages'::regclass and attstattarget = 0 and attnum > 0`;
  assertEquals(columns.map(({ name }) => name), ["proof"]); // of the others samples are taken as before
});

Deno.test("migrate() leaves nothing behind when a migration fails, and works when the cause is gone", async () => {
  await using database = await postgres.create();
  await database.sql`create table messages (mine text)`; // in the way of the second table of the first migration
  await assertRejects(() => migrated(database), Error, "already exists");
  const tables = await database.sql<{ name: string }[]>`
    select table_name as name from information_schema.tables where table_schema = 'public'`;
  assertEquals(tables.map(({ name }) => name), ["messages"]);
  await database.sql`drop table messages`;
  assert((await migrated(database)).length > 0);
});

Deno.test("migrate() only warns of a database that is newer than this program", async () => {
  await using database = await postgres.create();
  const names = await migrated(database);
  await database.sql`insert into migrations (number, name) values (${names.length + 1}, 'from the future')`;
  const lines = await logged(async () => assertEquals(await migrated(database), []));
  assertEquals(lines.length, 1);
  assertStringIncludes(lines[0]!, `warn The database has migration ${names.length + 1}`);
});

async function applied({ sql }: TestDatabase): Promise<{ number: number; name: string }[]> {
  return [
    ...await sql<{ number: number; name: string }[]>`select number, name from migrations order by number`,
  ];
}

Deno.test("A server whose connection is lost while it migrates goes on trying, and serves", async () => {
  await using database = await postgres.create();
  const lock = await hold(database, (sql) => sql`select pg_advisory_xact_lock(119212478817650)`);
  await using server = spawnStarting(database.url, { PORT: `${freePort()}` });
  for (let i = 0; i < 3; i++) {
    await until(async () => {
      const ended = await database.sql`
        select pg_terminate_backend(pid, 10000) from pg_stat_activity
        where datname = current_database() and wait_event = 'advisory'`;
      return ended.length > 0;
    }, "it waits for another migrator");
  }
  await lock.end();
  await until(() => server.log().includes("Linger is ready"), "it is ready");
});

Deno.test("A migrator that is gone without a word holds nobody up for long, and goes on when it is back", async () => {
  await using database = await postgres.create();
  await migrated(database);
  const { sql } = database;
  await sql`delete from migrations where number >= 3`;
  await sql`drop index messages_changed`;
  // By then it has made the index, which lets nobody write until the commit.
  await sql`create function wait() returns trigger language plpgsql as
    'begin perform pg_advisory_xact_lock(1); return new; end'`;
  await sql`create trigger wait before insert on migrations for each row execute function wait()`;
  await using lock = await hold(database, (sql) => sql`select pg_advisory_xact_lock(1)`);
  await using server = spawnStarting(database.url, { PORT: `${freePort()}` });
  const waits = async () =>
    (await sql`select from pg_stat_activity where datname = current_database() and wait_event = 'advisory'`).length > 0;
  await until(waits, "it is in the middle");
  server.kill("SIGSTOP"); // its system goes on to answer for it, and so nobody learns that it does nothing
  await lock.end();
  await sql.begin(async (sql) => {
    await sql`set local lock_timeout = '60s'`;
    await sql`insert into messages (room, id, body) values ('a', gen_random_uuid(), '')`;
  });
  server.kill("SIGCONT");
  await until(() => server.log().includes("Linger is ready"), "it is ready");
});

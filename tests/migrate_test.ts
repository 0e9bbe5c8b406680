// Servers start whenever they like, many at once, old ones beside new ones; the database must come out right each time.
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { migrated, projectPath, type TestDatabase, testPostgres } from "./support/postgres.ts";

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
  const answers = await Promise.all(Array.from({ length: 20 }, () => migrated(database)));
  const names = await applied(database);
  assertEquals(answers.filter((answer) => answer.length > 0), [names.map(({ name }) => name)]);
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
  const lines: string[] = [];
  const { error } = console;
  console.error = (line: string) => lines.push(line);
  try {
    assertEquals(await migrated(database), []);
  } finally {
    console.error = error;
  }
  assertEquals(lines.length, 1);
  assertStringIncludes(lines[0]!, `warn The database has migration ${names.length + 1}`);
});

async function applied({ sql }: TestDatabase): Promise<{ number: number; name: string }[]> {
  return [
    ...await sql<{ number: number; name: string }[]>`select number, name from migrations order by number`,
  ];
}

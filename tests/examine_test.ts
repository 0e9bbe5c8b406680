// What a database can lack, on a real one: each lack is one sentence, and where the sentence has SQL, that SQL is the cure.
import { MIGRATIONS, opened } from "./support/postgres.ts";
import { assert, assertEquals, assertFalse, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { migrateOnce } from "../src/database/migrate.ts";
import { Unusable } from "../src/database/unusable.ts";
import { type Message, messages, post, posted, read } from "./support/client.ts";
import { OwnPostgres } from "./support/own_postgres.ts";
import { startServer } from "./support/server.ts";

const postgres = await OwnPostgres.start();
Deno.test.afterAll(() => postgres[Symbol.asyncDispose]());

let databases = 0;

/** A database, and a role that may log in and owns nothing, with names that have to be quoted. */
async function make(
  options = "",
): Promise<{ database: string; role: string; url: string; run: (sql: string) => Promise<void> }> {
  const [database, role] = [`Data "Base" ${++databases}`, `Mr ${databases}`];
  await postgres.run(
    `create database ${quoted(database)} ${options}`,
    `create role ${quoted(role)} login`,
  );
  return {
    database,
    role,
    url: urlOf(database, role),
    run: async (sql) => void await postgres.runIn(database, ...sql.split("; ")),
  };
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function urlOf(database: string, role: string): string {
  return `postgres://${encodeURIComponent(role)}@127.0.0.1:${postgres.port}/${encodeURIComponent(database)}`;
}

async function migrated(url: string): Promise<string[]> {
  return await migrateOnce(await opened(url));
}

/** Why a database can't be used. */
async function lack(url: string): Promise<Unusable> {
  const error = await assertRejects(() => migrated(url), Unusable);
  assertFalse(error.message.includes("\n"), "one sentence");
  return error;
}

/** The SQL in a sentence. */
function cure({ message }: Unusable): string {
  const [, sql] = message.match(/[:(] ?((?:create|grant|alter|drop) .*?)(?:\)|)$/) ?? [];
  assert(sql, message);
  return sql;
}

Deno.test("A role that may not make tables is told the grant, and the grant helps", async () => {
  const { role, url, run } = await make();
  const error = await lack(url);
  assertEquals([error.code, error.cure], ["42501", "person"]);
  assertStringIncludes(
    error.message,
    `Role ${role} may not make tables in schema public: grant usage, create on schema public`,
  );
  await run(cure(error));
  assertEquals(await migrated(url), MIGRATIONS);
});

Deno.test("A schema in which a role may not even look is told with the grant", async () => {
  const { url, run } = await make();
  await run("revoke all on schema public from public");
  const error = await lack(url);
  assertStringIncludes(error.message, "may not make tables in schema public: grant usage, create on schema public");
  await run(cure(error));
  assertEquals(await migrated(url), MIGRATIONS);
});

Deno.test("A search_path that leads nowhere is told with the schema to make", async () => {
  for (const path of ["nowhere, elsewhere", "''"]) {
    const { role, url, run } = await make();
    await run(`alter role ${quoted(role)} set search_path = ${path}`);
    const error = await lack(url);
    assertEquals([error.code, error.cure], ["3F000", "person"]);
    assertStringIncludes(error.message, `The search_path of role ${role} (`);
    await run(cure(error));
    assertEquals(await migrated(url), MIGRATIONS);
    await using server = await startServer(url);
    await posted(server, "room", "in a schema of its own");
  }
});

Deno.test("A schema that has come before the one with the tables gets no empty ones, and how to go on with those is told", async () => {
  const { role, url, run } = await make();
  await run(`grant usage, create on schema public to ${quoted(role)}`);
  await migrated(url);
  await run(`create schema ${quoted(role)} authorization ${quoted(role)}`); // "$user" comes first by default
  assertEquals(await migrated(url), [], "as long as nothing is to be made, it does not matter");
  await using server = await startServer(url);
  const message = await posted(server, "room", "said before");
  const newest = MIGRATIONS.length;
  await run(`delete from migrations where number = ${newest}`); // as if this were a later version
  const error = await lack(url);
  assertEquals([error.code, error.cure], ["OTHER_SCHEMA", "person"]);
  assertStringIncludes(
    error.message,
    `Linger's tables are in schema public, and new ones would come into schema ${role}`,
  );
  await run(cure(error));
  assertEquals(await migrated(url), MIGRATIONS.slice(-1));
  await using later = await startServer(url);
  assertEquals(await messages(later, "room", "before=now"), [message]);
});

Deno.test("Tables of another program are left alone, and the schema is told in which Linger can be beside it", async () => {
  for (
    const table of [
      "migrations (id serial primary key, migration text, batch int)",
      "messages (id bigint, content text)",
      "heads (name text)",
      // Linger's own by their columns, and nobody knows how they came to be.
      "messages (room text, id uuid, key text, author text, body text)",
    ]
  ) {
    const { role, url, run } = await make();
    await run(`create table ${table}; grant all on schema public to ${quoted(role)}`);
    const error = await lack(url);
    const [name] = table.split(" ");
    assertEquals([error.code, error.cure], ["FOREIGN_TABLES", "person"]);
    assertStringIncludes(
      error.message,
      `Schema public has a table ${name} that is not Linger's: give Linger a schema of its own`,
    );
    await run(cure(error));
    assertEquals(await migrated(url), MIGRATIONS);
  }
});

Deno.test("Tables that were dropped are missed, and how to begin anew without them is told", async () => {
  for (
    const [dropped, sentence] of [
      ["heads, messages", "Linger's tables heads and messages are not there any more: put them back from a backup"],
      ["heads", "Linger's table heads is not there any more: put it back from a backup"],
      ["messages", "Linger's table messages is not there any more: put it back from a backup"],
      ["migrations", "Linger's table migrations is not there any more: put it back from a backup"],
    ] as const
  ) {
    const { database, run } = await make();
    const url = urlOf(database, "postgres");
    await migrated(url);
    await run(`drop table ${dropped}`);
    const error = await lack(url);
    assertEquals([error.code, error.cure], ["42P01", "person"]);
    assertStringIncludes(error.message, sentence);
    await run(cure(error));
    assertEquals(await migrated(url), MIGRATIONS);
  }
});

Deno.test("A role that may not use the tables that are there is told the grants, and needs no more than those", async () => {
  const { database, role, url, run } = await make();
  await migrated(urlOf(database, "postgres"));
  for (
    const given of ["", "select on heads, messages, migrations", "insert on heads, messages", "update on heads"]
  ) {
    if (given) await run(`grant ${given} to ${quoted(role)}`);
    const error = await lack(url);
    assertEquals([error.code, error.cure], ["42501", "person"]);
    assertStringIncludes(
      error.message,
      `Role ${role} may not use Linger's tables: grant select on public.migrations to`,
    );
    if (given.includes("update")) await run(cure(error));
  }
  assertEquals(await migrated(url), []);
  await using server = await startServer(url);
  const { json: message } = await read<Message>(
    post(server, "room", { body: "as a role that owns nothing" }, { "message-key": "a key that nobody else knows" }),
  );
  assertEquals(await messages(server, "room", "before=now"), [message]);
  const { status } = await fetch(`${server.url}/rooms/room/messages/${message.id}`, {
    method: "DELETE",
    headers: { "message-key": "a key that nobody else knows" },
  });
  assertEquals(status, 204);
});

Deno.test("Row level security that hides messages is told, and how to end it", async () => {
  const { database, role, url, run } = await make();
  await migrated(urlOf(database, "postgres"));
  await run(
    `grant select, insert, update on all tables in schema public to ${
      quoted(role)
    }; alter table messages enable row level security`,
  );
  const error = await lack(url);
  assertEquals([error.code, error.cure], ["ROW_SECURITY", "person"]);
  await run(cure(error));
  assertEquals(await migrated(url), []);
});

Deno.test("A database in an encoding that can't hold every text is refused for good", async () => {
  for (const encoding of ["LATIN1", "WIN1252", "EUC_JP"]) {
    const { database } = await make(`encoding '${encoding}' locale 'C' template template0`);
    const error = await lack(urlOf(database, "postgres"));
    assertEquals([error.code, error.cure], ["ENCODING", "none"]);
    assertStringIncludes(error.message, `Database ${database} is encoded in ${encoding}`);
  }
});

Deno.test("A database in SQL_ASCII gives back every text as it was sent", async () => {
  const { database } = await make("encoding 'SQL_ASCII' locale 'C' template template0");
  const url = urlOf(database, "postgres");
  await migrated(url);
  await using server = await startServer(url);
  const texts = ["👋", "ä", "\u0001", "日本語", "\u{10ffff}", "é\u0301", "ß".repeat(4_000)];
  for (const text of texts) await posted(server, "room", text);
  assertEquals((await messages(server, "room", "before=now")).map(({ body }) => body), texts);
});

Deno.test("A PostgreSQL that is too old is refused for good", async () => {
  const { database, run } = await make();
  // A function that stands before pg_catalog on the search path is called in place of PostgreSQL's own.
  await run(
    "create schema old; create function old.current_setting(name text) returns text language sql as $$ select case name " +
      "when 'server_version_num' then '140011' when 'server_version' then '14.11' else pg_catalog.current_setting(name) end $$",
  );
  await run(`alter database ${quoted(database)} set search_path = public, old, pg_catalog`);
  const error = await lack(urlOf(database, "postgres"));
  assertEquals([error.code, error.cure], ["VERSION", "none"]);
  assertMatch(error.message, /^127\.0\.0\.1:\d+ has PostgreSQL 14\.11, and Linger needs 15 or newer$/);
});

Deno.test("A database that lets nobody write is waited for", async () => {
  const { database, url } = await make();
  await postgres.run(`alter database ${quoted(database)} set default_transaction_read_only = on`);
  const error = await lack(url);
  assertEquals([error.code, error.cure], ["READ_ONLY", "time"]);
  assertStringIncludes(error.message, `Database ${database} lets nobody write`);
});

Deno.test("A role, a database or a right to connect that is missing is told with the SQL that makes it", async () => {
  const { database, role } = await make();
  const none = urlOf(`None ${databases}`, "postgres");
  await postgres.run(cure(withoutServer(await lack(none))));
  assertEquals(await migrated(none), MIGRATIONS);

  await postgres.run(`revoke connect on database ${quoted(database)} from public`);
  const error = withoutServer(await lack(urlOf(database, role)));
  assertStringIncludes(error.message, `User ${role} may not connect to database ${database}`);
  await postgres.run(cure(error));
  assertEquals((await lack(urlOf(database, role))).code, "42501", "now it is about making tables");

  await postgres.run(`alter role ${quoted(role)} nologin`);
  assertStringIncludes((await lack(urlOf(database, role))).message, `or alter role ${quoted(role)} login`);
  await postgres.run(`alter database ${quoted(database)} allow_connections false`);
  await postgres.run(cure(withoutServer(await lack(urlOf(database, "postgres")))));
  assertEquals(await migrated(urlOf(database, "postgres")), MIGRATIONS);
});

/** The sentence without what the server says. */
function withoutServer(error: Unusable): Unusable {
  return new Unusable(error.code, error.cure, error.message.replace(/ \(it says: .*\)$/, ""));
}

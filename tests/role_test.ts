// In the PostgreSQL that `start` brings along, Linger may use its tables, and nothing else; also in one that was made before.
import { assertEquals, assertRejects } from "@std/assert";
import { join } from "node:path";
import driver from "postgres";
import { startEmbedded } from "../src/database/embedded.ts";
import { messages, posted } from "./support/client.ts";
import { projectPath } from "./support/postgres.ts";
import { exitCode, type ServerProcess, spawnStarting } from "./support/server.ts";

async function temporary(): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "linger-role-" });
  await Deno.chmod(path, 0o755); // PostgreSQL can be another user
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

/** Starts Linger with a database of its own in `home`. */
async function start(home: string): Promise<ServerProcess & { url: string }> {
  const server = spawnStarting("", { DATA_DIR: home, PORT: "0" }, "main.ts", "start");
  return { ...server, url: await server.ready };
}

/** Runs a statement over the socket in `home` as one of its roles. */
async function as(user: string, home: string, statement: string): Promise<Record<string, unknown>[]> {
  const options = { path: join(home, ".s.PGSQL.5432"), user, database: "postgres", max: 1, fetch_types: false };
  const sql = driver({ ...options, onnotice: () => {} } as driver.Options<Record<string, never>>);
  try {
    return [...await sql.unsafe(statement)];
  } finally {
    await sql.end({ timeout: 1 });
  }
}

const OWNERS = "select distinct tableowner as owner from pg_tables where schemaname = 'public'";

Deno.test("Linger is no superuser in the database that it brings along, and can run no program there", async () => {
  await using home = await temporary();
  const data = join(home.path, "data");
  await using server = await start(data);
  const message = await posted(server, "room", "hello");
  assertEquals(await messages(server, "room", "wait=0"), [message]);
  const sessions = "select distinct usename as name from pg_stat_activity where application_name like 'linger %'";
  assertEquals(await as("postgres", data, sessions), [{ name: "linger" }]);
  const rights =
    "select rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls from pg_roles where rolname = 'linger'";
  const [role] = await as("postgres", data, rights);
  assertEquals(Object.values(role!), [false, false, false, false, false]);
  assertEquals(await as("postgres", data, OWNERS), [{ owner: "linger" }]);
  // What it means to start it as root is told once.
  assertEquals(server.log().split("PostgreSQL does not run as root").length - 1, Deno.uid() === 0 ? 1 : 0);
  for (
    const statement of ["copy (select 1) to program 'id'", "select pg_read_file('/etc/passwd')", "create role other"]
  ) {
    await assertRejects(() => as("linger", data, statement), Error, "permission denied");
  }
  server.kill("SIGTERM");
  assertEquals(await exitCode(server), 0);
});

Deno.test("A database that an earlier Linger has made as superuser is taken over with all that is in it", async () => {
  await using home = await temporary();
  const data = join(home.path, "data");
  const embedded = await startEmbedded(data);
  await as(
    "postgres",
    data,
    "create table migrations (number int primary key, name text not null, applied_at timestamptz not null default now())",
  );
  for (const file of ["migrations/0001_messages.sql", "tests/fixtures/data_before.sql"]) {
    await as("postgres", data, await Deno.readTextFile(projectPath(file)));
  }
  await as("postgres", data, "create table mine (x int)"); // which is none of Linger's business
  await embedded.stop();
  for (const _again of [1, 2]) {
    await using server = await start(data);
    assertEquals((await messages(server, "busy", "limit=1000&wait=0")).length, 120);
    await posted(server, "lobby", "goes on");
    server.kill("SIGTERM");
    assertEquals(await exitCode(server), 0);
  }
  const again = await startEmbedded(data);
  assertEquals(await as("postgres", data, `${OWNERS} order by 1`), [{ owner: "linger" }, { owner: "postgres" }]);
  assertEquals(await as("postgres", data, "select count(*)::int as n from messages where body = 'goes on'"), [{
    n: 2,
  }]);
  await again.stop();
});

// A real PostgreSQL for the tests: a server for each test file, or the one that TEST_DATABASE_URL names, and a database
// for each test that asks for one. A test file starts it before its tests, so that the sanitizers don't count it.
import { join } from "node:path";
import postgres from "postgres";
import type { Sql } from "../../src/database/pool.ts";
import { until } from "./client.ts";
import { type Config, readConfig } from "../../src/config.ts";
import { migrate } from "../../src/database/migrations.ts";
import { type Database, openDatabase } from "../../src/database/open.ts";
import { startPostgres } from "./start_postgres.ts";

/** A database that nobody else uses; dropped when disposed of. */
export interface TestDatabase extends AsyncDisposable {
  readonly name: string;
  readonly url: string;
  /** A connection of the test's own, besides those of the servers under test. */
  readonly sql: postgres.Sql;
  /** Runs a statement as superuser, connected to another database. */
  admin(statement: (sql: postgres.Sql) => PromiseLike<unknown>): Promise<void>;
}

/** The server that this test file uses. */
export interface TestPostgres {
  /** Makes a database. */
  create(): Promise<TestDatabase>;
}

/** Brings the server up, and takes it down when the file's tests are done. */
export async function testPostgres(settings: Record<string, string> = {}): Promise<TestPostgres> {
  const given = Deno.env.get("TEST_DATABASE_URL");
  const base = given ?? await startServer(settings);
  return { create: () => createDatabase(base) };
}

async function startServer(settings: Record<string, string>): Promise<string> {
  const home = await Deno.makeTempDir({ prefix: "linger-test-" });
  const port = freePort();
  const server = await startPostgres(home, {
    listen_addresses: "127.0.0.1",
    port: `${port}`,
    max_connections: "100",
    fsync: "off", // no test here takes the power away; and a disk that is busy holds a commit for longer than others wait for its room
    ...settings,
  });
  Deno.test.afterAll(async () => {
    await server.stop();
    await Deno.remove(home, { recursive: true });
  });
  return `postgres://postgres@127.0.0.1:${port}/postgres`;
}

async function createDatabase(base: string): Promise<TestDatabase> {
  const name = `linger_test_${crypto.randomUUID().replaceAll("-", "")}`;
  const url = Object.assign(new URL(base), { pathname: `/${name}` }).href;
  await asAdmin(base, (sql) => sql`create database ${sql(name)}`);
  const sql = postgres(url, { max: 3, fetch_types: false, onnotice: () => {} });
  return {
    name,
    url,
    sql,
    admin: (statement) => asAdmin(base, statement),
    [Symbol.asyncDispose]: async () => {
      await sql.end({ timeout: 1 });
      await asAdmin(base, (sql) => sql`drop database ${sql(name)} with (force)`);
    },
  };
}

async function asAdmin(url: string, statement: (sql: postgres.Sql) => PromiseLike<unknown>): Promise<void> {
  const sql = postgres(url, { max: 1, fetch_types: false, onnotice: () => {} });
  try {
    await statement(sql);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** Holds a transaction open that has run `statements`, until `end` commits it. */
export async function hold(
  { sql }: TestDatabase,
  statements: (sql: postgres.TransactionSql) => PromiseLike<unknown>,
): Promise<{ end(): Promise<void> } & AsyncDisposable> {
  const held = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  const holding = sql.begin(async (sql) => {
    await statements(sql);
    held.resolve();
    await ended.promise;
  });
  await Promise.race([held.promise, holding]);
  const end = async () => {
    ended.resolve();
    await holding;
  };
  return { end, [Symbol.asyncDispose]: end };
}

/**
 * Stops the process in which the database stores what a server writes, until `resume`. Unlike a lock it keeps a statement for as long
 * as a test likes, where the server has time for it (`STATEMENT_TIMEOUT_MS`). The server must have written before.
 */
export function pauseWrites(database: Pick<TestDatabase, "sql">): Promise<Paused> {
  return pause(database, "writes");
}

/** The same with what clients of the server ask for, one of whom must have asked for something before. */
export function pauseReads(database: Pick<TestDatabase, "sql">): Promise<Paused> {
  return pause(database, "reads");
}

/** The same with what the server looks for by itself, which must have been in some room before. */
export function pauseLooks(database: Pick<TestDatabase, "sql">): Promise<Paused> {
  return pause(database, "looks");
}

/** Processes of the database that stand still. */
export interface Paused extends Disposable {
  /** Lets them go on. */
  resume(): void;
}

async function pause({ sql }: Pick<TestDatabase, "sql">, connections: string): Promise<Paused> {
  const stopped = await sql<{ pid: number }[]>`
    select pid from pg_stat_activity
    where datname = current_database() and application_name = ${`linger ${connections}`}`;
  for (const { pid } of stopped) Deno.kill(pid, "SIGSTOP");
  const resume = () => {
    for (const { pid } of stopped.splice(0)) Deno.kill(pid, "SIGCONT");
  };
  return { resume, [Symbol.dispose]: resume };
}

/**
 * Resolves when a server that has stored something has told the others of it, and has counted that statement: the connection on
 * which it tells them is only made then.
 */
export async function untilTold({ sql }: Pick<TestDatabase, "sql">): Promise<void> {
  await until(async () => {
    const told = await sql`
      select from pg_stat_activity where datname = current_database() and application_name = 'linger signals'
        and state = 'idle' and query like '%pg_notify%'`;
    return told.length === 1;
  }, "the others are told");
}

/** A connection of a test's own, for one that outlives the servers on its database. */
export function connectTo({ url }: TestDatabase): Sql {
  return postgres(url, { fetch_types: false, max: 1, max_lifetime: null, onnotice: () => {} }) as unknown as Sql;
}

/** Resolves when no server is connected to the database any more, and the driver's timers are cleared with it. */
export async function serversAreGone(sql: Sql): Promise<void> {
  await until(async () => {
    const others = await sql`
      select from pg_stat_activity where datname = current_database() and application_name like 'linger %'`;
    return others.length === 0;
  }, "the servers' connections are closed");
  await new Promise((resolve) => setTimeout(resolve, 20));
}

/** The ports that were given, on some of which nobody listens yet. */
const given = new Set<number>();

/** The one port of those below that no browser and no `fetch()` asks anything (https://fetch.spec.whatwg.org/#port-blocking). */
const BLOCKED = 10_080;

/**
 * A TCP port that nobody listens on at this moment, another each time. It is none of those that systems give to outgoing connections: one of
 * these would take it away from a server that is to come back to it.
 */
export function freePort(): number {
  while (true) {
    const port = 10_000 + Math.floor(20_000 * Math.random());
    if (port === BLOCKED || given.has(port)) continue;
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      given.add(port);
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}

/** The settings of a server on a database. */
export function configOf(url: string, env: Record<string, string> = {}): Config {
  const variables: Record<string, string> = { DATABASE_URL: url, ...env };
  return readConfig({ get: (name) => variables[name] });
}

/** A database as a server opens it, and its settings; there is no connection yet. */
export async function opened(url: string, env: Record<string, string> = {}): Promise<Database & { config: Config }> {
  const config = configOf(url, env);
  return { config, ...await openDatabase(config, "serve", () => {}) };
}

/** The same, once it is migrated. */
export async function openedMigrated(...parameters: Parameters<typeof opened>): ReturnType<typeof opened> {
  const database = await opened(...parameters);
  const { sql, destroy } = database.openPool("migrate");
  await migrate(sql).finally(destroy);
  return database;
}

/** Migrates a database as a server does, with a connection of its own; returns the names of what was applied. */
export async function migrated(database: TestDatabase): Promise<string[]> {
  const { openPool } = await opened(database.url);
  const { sql, destroy } = openPool("migrate", { patient: true });
  return await migrate(sql).finally(destroy);
}

/** The names of all migrations, in their order. */
export const MIGRATIONS: string[] = Array.from(
  Deno.readDirSync(join(import.meta.dirname!, "../../migrations")),
  ({ name }) => name,
).filter((name) => name.endsWith(".sql")).sort();

/** The path of a file of the project. */
export function projectPath(path: string): string {
  return join(import.meta.dirname!, "../..", path);
}

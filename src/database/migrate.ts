// Brings the database to the shape that this program needs: numbered plain SQL files, forward only, all in one
// transaction under a lock, so that any number of servers can start at once and a failure leaves nothing half done.
import { log } from "../log.ts";
import { sleep } from "../sleep.ts";
import type { Database } from "./open.ts";
import type { Sql } from "./pool.ts";

const DIRECTORY = new URL("../../migrations/", import.meta.url);

/** Longest time that connecting may take, in milliseconds; then it is tried anew. */
const CONNECT_DEADLINE_MS = 10_000;

/** Pause before a database that can't be reached is asked again, in milliseconds. */
const RETRY_MS = 500;

/** The key of the advisory lock that migrators take in turn: "linger" in ASCII. */
const LOCK = "119212478817650";

/**
 * Applies the migrations that the database does not have yet, and returns their names.
 * @throws when the numbers of the files have a gap, or when one fails; nothing is applied then.
 */
export async function migrate(sql: Sql): Promise<string[]> {
  const files = await migrationFiles();
  return await sql.begin(async (sql) => {
    await sql`set local statement_timeout = 0`; // waiting for another migrator, or building an index, takes its time
    // Held until the commit, also behind a pooler in transaction mode, which session locks would not survive.
    await sql`select pg_advisory_xact_lock(${LOCK})`;
    await sql`create table if not exists migrations (
      number int primary key, name text not null, applied_at timestamptz not null default now())`;
    const [last] = await sql<{ number: number | null }[]>`select max(number) as number from migrations`;
    const done = last?.number ?? 0;
    if (done > files.length) {
      // Another server is newer already. Migrations stay usable for the program before them, so this one can go on.
      log("warn", `The database has migration ${done}, this program knows up to ${files.length}`);
    }
    const missing = files.slice(done);
    for (const [i, name] of missing.entries()) {
      await sql.unsafe(await Deno.readTextFile(new URL(name, DIRECTORY)));
      await sql`insert into migrations (number, name) values (${done + i + 1}, ${name})`;
    }
    return missing;
  });
}

/** Migrates over a connection of its own, which ends when `signal` aborts. Returns the names of what was applied. */
export async function migrateOnce({ openPool }: Database, signal?: AbortSignal): Promise<string[]> {
  const { sql, destroy } = openPool("migrate");
  const deadline = setTimeout(destroy, CONNECT_DEADLINE_MS); // a server that accepts us and says nothing would hold us
  signal?.addEventListener("abort", destroy);
  try {
    await sql`select`;
    clearTimeout(deadline);
    return await migrate(sql);
  } finally {
    clearTimeout(deadline);
    signal?.removeEventListener("abort", destroy);
    await destroy();
  }
}

/**
 * Migrates as soon as the database can be reached, and returns whether it came to that before `signal` aborted. `say` is
 * told of each migration.
 */
export async function migrateWhenThere(
  database: Database,
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<boolean> {
  for (let said = ""; !signal.aborted; await sleep(RETRY_MS, signal)) {
    try {
      for (const name of await migrateOnce(database, signal)) say(`Applied migration ${name}`);
      return true;
    } catch (error) {
      if (`${error}` !== said) log("error", "The database can't be migrated yet", { error: said = `${error}` });
    }
  }
  return false;
}

async function migrationFiles(): Promise<string[]> {
  const names = await Array.fromAsync(Deno.readDir(DIRECTORY), ({ name }) => name);
  const files = names.filter((name) => name.endsWith(".sql")).sort();
  files.forEach((name, i) => {
    if (parseInt(name) !== i + 1) throw new Error(`Migration ${name} stands where number ${i + 1} belongs`);
  });
  return files;
}

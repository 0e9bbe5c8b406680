// Brings the database to the shape that this program needs: numbered plain SQL files, forward only, all in one
// transaction under a lock, so that any number of servers can start at once and a failure leaves nothing half done.
// Servers of the version before go on meanwhile, and their posts must not feel it: see LOCK_TIMEOUT_MS.
import postgres from "postgres";
import { ConfigError } from "../config.ts";
import { log } from "../log.ts";
import { sleep } from "../sleep.ts";
import { examine } from "./examine.ts";
import type { Database, Place } from "./open.ts";
import { type Sql, TIMEOUTS } from "./pool.ts";
import { Reminder } from "../reminder.ts";
import { begin } from "./transaction.ts";
import { readOnly, standby, Unusable } from "./unusable.ts";

const DIRECTORY = new URL("../../migrations/", import.meta.url);

/** Longest time that connecting and looking may take, in milliseconds; then it is tried anew. */
const LOOK_DEADLINE_MS = 10_000;

/** Pauses before a database that can't be used yet is asked again, in milliseconds: one that is away, and one that refuses us. */
const RETRY_MS = { time: 500, person: 2_000 };

/** The key of the advisory lock that migrators take in turn: "linger" in ASCII. */
const LOCK = "119212478817650";

/**
 * How long a migration waits for a table, in milliseconds; then it is undone, and tried again later. Who comes to use the table
 * has to wait behind it: two tables take less than the second after which a post is refused.
 */
const LOCK_TIMEOUT_MS = 400;

/**
 * How long each tenth try waits for a table, in milliseconds: longer than `deadlock_timeout`, after which PostgreSQL ends an autovacuum
 * that is in the way. Posts that have to wait behind it for a second are refused then.
 */
const PATIENT_LOCK_TIMEOUT_MS = 1_100;

/** Pause before it is tried again, in milliseconds: what waited behind it goes on. */
const TABLE_PAUSE_MS = 1_000;

/**
 * Applies the migrations that the database does not have yet, and returns their names. While others hold a table for long (a
 * backup, a large report) it tries again and again.
 * @throws when the numbers of the files have a gap, or when one fails; nothing is applied then.
 */
export async function migrate(sql: Sql): Promise<string[]> {
  const files = await migrationFiles();
  const reminder = new Reminder();
  for (let tries = 1;; tries++) {
    try {
      const applied = await apply(sql, files, tries % 10 === 0 ? PATIENT_LOCK_TIMEOUT_MS : LOCK_TIMEOUT_MS);
      return [...applied, ...await applyBeside(sql, files)];
    } catch (error) {
      if (!comesBetween(error as { code?: string; routine?: string })) throw error;
      if (reminder.isDue("table")) {
        log("warn", "The migration waits for another transaction, which holds one of Linger's tables, to end");
      }
      await sleep(TABLE_PAUSE_MS);
    }
  }
}

/**
 * Whether somebody else was at the same: holds a table, or makes the same index. Of two who do that and wait for each other one is ended;
 * and who makes one lets go of the table a moment before it counts (DefineIndex in src/backend/commands/indexcmds.c), so that another
 * takes it for broken and removes what is just being changed.
 */
function comesBetween({ code, routine }: { code?: string; routine?: string }): boolean {
  return code === "55P03" || code === "40P01" || code === "XX000" && routine === "simple_heap_delete";
}

async function apply(sql: Sql, files: readonly string[], lockTimeoutMs: number): Promise<string[]> {
  // Not the default of the role: each statement has to see what another migrator did while this one waited.
  return await begin(sql, "isolation level read committed", async (sql) => {
    // Waiting for another migrator, or building an index, takes its time.
    await sql`select set_config(name, '0', true) from pg_settings where name = any(string_to_array(${TIMEOUTS.join()}, ','))`;
    // Held until the commit, also behind a pooler in transaction mode, which session locks would not survive.
    const [lock] = await sql<{ free: boolean }[]>`select pg_try_advisory_xact_lock(${LOCK}) as free`;
    if (!lock!.free) {
      log("info", "Another server migrates the database, and is waited for");
      await sql`select pg_advisory_xact_lock(${LOCK})`;
    }
    await sql`select set_config('lock_timeout', ${lockTimeoutMs.toString()}, true)`;
    await sql`create table if not exists migrations (
      number int primary key, name text not null, applied_at timestamptz not null default now())`;
    const [last] = await sql<{ number: number | null }[]>`select max(number) as number from migrations`;
    const done = last?.number ?? 0;
    warnOfNewer(done, files.length);
    const missing = files.slice(done);
    const applied = [];
    for (const [i, name] of missing.entries()) {
      const statements = await Deno.readTextFile(new URL(name, DIRECTORY));
      const table = statements.match(INDEX)?.[2];
      if (table) {
        const [size] = await sql<{ bytes: string }[]>`select pg_table_size(${table}::regclass) as bytes`;
        if (Number(size!.bytes) > SMALL_BYTES) break;
      }
      await sql.unsafe(statements.replace(INDEX, (statement) => statement.replace(" concurrently", "")));
      await sql`insert into migrations (number, name) values (${done + i + 1}, ${name})`;
      applied.push(name);
    }
    return applied;
  });
}

/** A migration that makes an index beside the posts that go on meanwhile, which can't be part of a transaction. */
const INDEX = /^create index concurrently if not exists (\w+) on (\w+)/m;

/** Size of a table up to which posts can wait for an index, in bytes: to read it takes a tenth of a second. */
const SMALL_BYTES = 64_000_000;

/**
 * Makes the indexes of large tables that are missing. Several servers may do it at once: each finds what another has made. One that
 * was begun and not ended (its server was killed, or another came in its way) is of no use, and is removed first.
 */
async function applyBeside(sql: Sql, files: readonly string[]): Promise<string[]> {
  const [last] = await sql<{ number: number }[]>`select max(number) as number from migrations`;
  const missing = files.slice(last!.number);
  for (const [i, name] of missing.entries()) {
    const statement = await Deno.readTextFile(new URL(name, DIRECTORY));
    const [, index = "", table = ""] = statement.match(INDEX)!;
    const isMade = async (sql: Sql) => {
      const [made] = await sql<{ valid: boolean }[]>`
        select indisvalid as valid from pg_index where indexrelid = to_regclass(${index})`;
      return made?.valid;
    };
    // It does nothing where there is one of that name, which another may be making, and may give up.
    while (!await isMade(sql)) {
      await begin(sql, "", async (sql) => {
        await sql`select set_config('lock_timeout', '0', true)`;
        await sql.unsafe(`lock table ${table} in share update exclusive mode`); // until nobody makes one
        await sql`select set_config('lock_timeout', ${LOCK_TIMEOUT_MS.toString()}, true)`;
        if (await isMade(sql) === false) await sql.unsafe(`drop index ${index}`);
      });
      await sql.unsafe(statement);
    }
    await sql`insert into migrations (number, name) values (${last!.number + i + 1}, ${name}) on conflict do nothing`;
  }
  return missing;
}

/**
 * Examines the database and migrates it where it has to be, over a connection of its own, which ends when `signal` aborts.
 * Returns the names of what was applied.
 * @throws {Unusable} when the database can't be used as it is.
 */
export async function migrateOnce(database: Database, signal?: AbortSignal): Promise<string[]> {
  const { place, direct } = database;
  if (!direct) return await withConnection(database, place, signal, (sql, looked) => update(sql, place, looked));
  return await withConnection(
    database,
    direct,
    signal,
    (sql, looked) =>
      withConnection(database, place, signal, async (pooled, lookedThere) => {
        if (!await isSame({ sql, at: direct.at }, { sql: pooled, at: place.at })) {
          throw elsewhere("another database than DATABASE_URL");
        }
        lookedThere();
        const applied = await update(sql, direct, looked);
        const known = await knownMigrations();
        const { lack, migrations } = await examine(pooled, known, place.at);
        if (lack) throw lack;
        if (migrations < known) {
          throw elsewhere("tables that DATABASE_URL does not see: give both roles the same search_path");
        }
        return applied;
      }),
  );
}

/** Examines and migrates; calls `looked` when it is known what is to be done, which can take long. */
async function update(sql: Sql, { at }: Place, looked: () => void): Promise<string[]> {
  const known = await knownMigrations();
  const { lack, migrations } = await examine(sql, known, at);
  looked();
  if (lack) throw lack;
  if (migrations < known) return await migrate(sql);
  warnOfNewer(migrations, known);
  return [];
}

/** Works on a connection of its own to `place`, and gives it up when it takes too long before `looked` is called. */
async function withConnection<T>(
  { openPool, direct }: Database,
  place: Place,
  signal: AbortSignal | undefined,
  work: (sql: Sql, looked: () => void) => Promise<T>,
): Promise<T> {
  const { sql, destroy } = openPool("migrate", { direct: place === direct, patient: true });
  let late = false;
  const deadline = setTimeout(() => {
    late = true;
    destroy(); // a server that accepts us and says nothing would hold us
  }, LOOK_DEADLINE_MS);
  signal?.addEventListener("abort", destroy);
  try {
    return await work(sql, () => clearTimeout(deadline));
  } catch (error) {
    throw late
      ? new Unusable(
        "DEADLINE",
        "time",
        `${place.at} does not answer within ${LOOK_DEADLINE_MS / 1_000} s`,
      )
      : unusable(error, place.at);
  } finally {
    clearTimeout(deadline);
    signal?.removeEventListener("abort", destroy);
    await destroy();
  }
}

/**
 * A connection, and its server as people know it.
 * @internal
 */
export interface Way {
  readonly sql: Sql;
  readonly at: string;
}

/**
 * Whether two connections lead to one database: a lock that is taken over one can be seen over the other, also where that one leads
 * through a pooler.
 * @throws {Unusable} when they don't, and nobody may write in one of them: after a switch-over one way can lead to the new primary,
 * and the other for a while to the one before.
 * @internal
 */
export async function isSame(direct: Way, pooled: Way): Promise<boolean> {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2)).map((number) => number >>> 1);
  return await begin(direct.sql, "", async (sql) => {
    const [here] = await sql<[{ readonly: boolean }]>`
      select pg_advisory_xact_lock(${high!}::int, ${low!}::int), current_setting('transaction_read_only')::bool as readonly`;
    // All in one statement, since a pooler can hand the next one to another server.
    const [there] = await pooled.sql<[{ same: boolean; standby: boolean; readonly: boolean }]>`
      select pg_is_in_recovery() as standby, current_setting('transaction_read_only')::bool as readonly,
        exists (select from pg_locks where locktype = 'advisory' and classid = ${high!}::oid and objid = ${low!}::oid
          and database = (select oid from pg_database where datname = current_database())) as same`;
    if (there.same) return true;
    if (there.standby) throw standby(pooled.at);
    if (there.readonly) throw readOnly(pooled.at);
    if (here.readonly) throw readOnly(direct.at);
    return false;
  });
}

function elsewhere(where: string): Unusable {
  return new Unusable("ELSEWHERE", "none", `DATABASE_DIRECT_URL leads to ${where}`);
}

/**
 * Migrates as soon as the database can be used, and returns whether it came to that before `signal` aborted. `say` is
 * told of each migration, and the log of what is waited for.
 * @throws {ConfigError} when it can't be used and waiting can't help.
 */
export async function migrateWhenThere(
  database: Database,
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<boolean> {
  const reminder = new Reminder();
  while (!signal.aborted) {
    try {
      for (const name of await migrateOnce(database, signal)) say(`Applied migration ${name}`);
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      if (!(error instanceof Unusable)) throw error;
      const { message, code, cure } = error;
      if (cure === "none") throw new ConfigError(message, { cause: error });
      if (reminder.isDue(message)) {
        log("error", `The database can't be used yet, and is asked again until it can: ${message}`, {
          code,
          ...database.place,
        });
      }
      await sleep(RETRY_MS[cure], signal);
    }
  }
  return false;
}

/** What it means that a statement failed. */
function unusable(error: unknown, at: string): Error {
  const { code, message } = error as Error & { code?: string };
  if (error instanceof Unusable || code === undefined) return error as Error;
  if (error instanceof postgres.PostgresError) {
    const time = /^(08|25|40|53|55|57)/.test(code);
    return new Unusable(
      code,
      time ? "time" : "person",
      `${at} refuses what is needed to set up the tables (it says: ${message})`,
    );
  }
  return new Unusable(code, "time", `${at} hangs up`, { cause: error });
}

/** Where another server is newer already. Migrations stay usable for the program before them, so this one can go on. */
function warnOfNewer(done: number, known: number): void {
  if (done > known) log("warn", `The database has migration ${done}, this program knows up to ${known}`);
}

/** How many migrations this program has. */
export async function knownMigrations(): Promise<number> {
  return (await migrationFiles()).length;
}

async function migrationFiles(): Promise<string[]> {
  const names = await Array.fromAsync(Deno.readDir(DIRECTORY), ({ name }) => name);
  const files = names.filter((name) => name.endsWith(".sql")).sort();
  files.forEach((name, i) => {
    if (parseInt(name) !== i + 1) throw new Error(`Migration ${name} stands where number ${i + 1} belongs`);
  });
  return files;
}

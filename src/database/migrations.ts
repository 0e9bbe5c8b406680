// Brings the database to the shape that this program needs: numbered plain SQL files, forward only, all in one
// transaction under a lock, so that any number of servers can start at once and a failure leaves nothing half done.
// Servers of the version before go on meanwhile, and their posts must not feel it: see LOCK_TIMEOUT_MS.
import { log } from "../log.ts";
import { Reminder } from "../reminder.ts";
import { sleep } from "../sleep.ts";
import { type Sql, TIMEOUTS } from "./pool.ts";
import { begin } from "./transaction.ts";

const DIRECTORY = new URL("../../migrations/", import.meta.url);

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

/**
 * How long a migration may rest between two statements, in milliseconds; none is meant to. A migrator whose machine is gone without a
 * word would keep its locks until TCP gives up, which takes hours, and all who post would wait for it.
 */
const REST_MS = 5_000;

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
  const applied: string[] = [];
  for (let tries = 1;; tries++) {
    try {
      applied.push(...await apply(sql, files, tries % 10 === 0 ? PATIENT_LOCK_TIMEOUT_MS : LOCK_TIMEOUT_MS));
      const made = await applyBeside(sql, files);
      if (made.length === 0) return applied;
      applied.push(...made); // and those behind them
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
    await limitRests(sql);
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

/** Has the server end a transaction that rests, and so whatever it has locked. */
async function limitRests(sql: Sql): Promise<void> {
  await sql`select set_config('idle_in_transaction_session_timeout', ${REST_MS.toString()}, true)`;
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
  const made: string[] = [];
  for (const [i, name] of files.slice(last!.number).entries()) {
    const statement = await Deno.readTextFile(new URL(name, DIRECTORY));
    const [, index, table] = statement.match(INDEX) ?? [];
    if (!index) break; // it is for a transaction, as soon as those before it are there
    const isMade = async (sql: Sql) => {
      const [made] = await sql<{ valid: boolean }[]>`
        select indisvalid as valid from pg_index where indexrelid = to_regclass(${index})`;
      return made?.valid;
    };
    if (!await isMade(sql)) {
      log("info", `${name} makes an index of a large table, and is waited for: other servers go on`);
    }
    // It does nothing where there is one of that name, which another may be making, and may give up.
    while (!await isMade(sql)) {
      await begin(sql, "", async (sql) => {
        await sql`select set_config('lock_timeout', '0', true)`;
        await limitRests(sql);
        await sql.unsafe(`lock table ${table} in share update exclusive mode`); // until nobody makes one
        await sql`select set_config('lock_timeout', ${LOCK_TIMEOUT_MS.toString()}, true)`;
        if (await isMade(sql) === false) await sql.unsafe(`drop index ${index}`);
      });
      await sql.unsafe(statement);
    }
    await sql`insert into migrations (number, name) values (${last!.number + i + 1}, ${name}) on conflict do nothing`;
    made.push(name);
  }
  return made;
}

/** Where another server is newer already. Migrations stay usable for the program before them, so this one can go on. */
export function warnOfNewer(done: number, known: number): void {
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

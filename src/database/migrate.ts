// Whether and when a database is migrated, and over which connection: it is examined first, may be away or refuse us for a while, and
// where it has two URLs, both have to lead to the same one.
import postgres from "postgres";
import { ConfigError } from "../config.ts";
import { log } from "../log.ts";
import { sleep } from "../sleep.ts";
import { examine } from "./examine.ts";
import { knownMigrations, migrate, warnOfNewer } from "./migrations.ts";
import type { Database, Place } from "./open.ts";
import type { Sql } from "./pool.ts";
import { Reminder } from "../reminder.ts";
import { begin } from "./transaction.ts";
import { readOnly, standby, Unusable } from "./unusable.ts";

/** Longest time that connecting and looking may take, in milliseconds; then it is tried anew. */
const LOOK_DEADLINE_MS = 10_000;

/** Pauses before a database that can't be used yet is asked again, in milliseconds: one that is away, and one that refuses us. */
const RETRY_MS = { time: 500, person: 2_000 };

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

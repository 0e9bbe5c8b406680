// What a database is like for a chat, in plain words: whether it can be used, and what will be slow, late or lost with it. It is asked
// the way a server would ask it, by the same URL; so what is found here is what a server would find.
import type { Config } from "../config.ts";
import { isLoopback } from "../host.ts";
import { reasonOf } from "../reason.ts";
import { sleep, within } from "../sleep.ts";
import { type Address, describe } from "./address.ts";
import { type Capacity, connections } from "./capacity.ts";
import { durability, type Keeping, waitsInVain } from "./durability.ts";
import { type Examination, examine } from "./examine.ts";
import { fault, type Finding, ok, warning } from "./finding.ts";
import { isSame, type Way } from "./migrate.ts";
import type { Database } from "./open.ts";
import type { OpenPool, Sql } from "./pool.ts";
import { identifier } from "./unusable.ts";

/** Selects by which the way to the database is timed. */
const TIMED = 15;

/** A post or a read takes one way there and back, in milliseconds; beyond this it is the better part of what they take. */
const SLOW_MS = 10;

/** Clocks that differ by more, in milliseconds, are not set. */
const CLOCKS_MS = 2_000;

/** How long the way past a pooler may take to be seen, in milliseconds: a server that lets us in and then says nothing would hold us. */
const PAST_MS = 10_000;

/** How long a notification may take to come back, in milliseconds. */
const HEARING_MS = 3_000;

/** What the server says of itself. */
interface Facts extends Keeping, Capacity {
  readonly isolation: string;
  readonly timeout: string;
  /** How long a transaction may take, in milliseconds; null before PostgreSQL 17, which brought it. */
  readonly limit: string | null;
  readonly creates: boolean;
  readonly owns: boolean;
  readonly deletes: boolean;
  readonly tls: string | null;
  readonly size: string;
}

/**
 * Looks at the database that `sql` is connected to, one thing after the other. `known` is the number of migrations that it is to
 * have; `direct` is where DATABASE_DIRECT_URL leads; `trims` is whether a server is to remove what is too old.
 * @throws what the driver throws when a statement fails.
 * @internal
 */
export async function* checkUp(
  sql: Sql,
  { database, address, direct, config, known, trims }: {
    database: Pick<Database, "openPool" | "place">;
    address: Address;
    direct: Address | undefined;
    config: Pick<Config, "DATABASE_POOLED" | "FALLBACK_WITHOUT_LISTEN_MS" | "THREADS" | "DATABASE_CONNECTIONS">;
    known: number;
    trims: boolean;
  },
): AsyncGenerator<Finding, void, void> {
  const { place: { at, user, database: name }, openPool } = database;
  const pooled = config.DATABASE_POOLED;
  const found = await examine(sql, known, at);
  yield ok(`Database ${name} at ${at} lets role ${user} in`);
  yield ok(`It is PostgreSQL ${found.version}`);
  if (found.encoding === "UTF8") yield ok("It is encoded in UTF8");
  if (found.encoding === "SQL_ASCII") {
    yield warning("It is encoded in SQL_ASCII, so that it checks no text that others write into it: UTF8 is better");
  }
  if (found.lack) yield fault(found.lack.message);

  const facts = await factsOf(sql);
  if (!found.lack) {
    yield schema(found, known);
    yield rights(facts, found);
    if (trims && !facts.deletes) {
      const { role } = facts;
      yield warning(
        `Role ${role} may not remove messages, as RETENTION asks: grant delete on messages to ${identifier(role)}`,
      );
    }
  }
  yield isolation(facts, pooled);
  if (pooled && facts.timeout === "0") {
    yield warning(
      `No statement is ended that takes too long, since settings of a session don't pass a pooler: ` +
        `alter role ${identifier(facts.role)} set statement_timeout = '5s'`,
    );
  }
  if (pooled && facts.limit !== null && facts.limit !== "0") {
    yield warning(
      `Transactions are ended after ${facts.limit} ms, so that nobody knows whether a post was stored, and through a pooler Linger ` +
        `can't lift that: alter role ${identifier(facts.role)} set transaction_timeout = 0`,
    );
  }
  yield tls("DATABASE_URL", address, pooled ? undefined : facts.tls);
  // One in which nobody may write is the wrong one for now: it tells nothing of the other.
  const passing = found.lack?.cure === "time";
  const past = direct && !passing ? await wayPast({ sql, at }, openPool, direct) : [];
  yield* past;
  yield* wayAndClock(await timed(sql));
  yield* durability(facts);
  yield ok(
    `It takes ${facts.size} on disk. PostgreSQL does not say how much space is left there: watch it, since posts are refused when the disk is full`,
  );
  const { THREADS: threads, DATABASE_CONNECTIONS: each } = config;
  yield* connections(facts, { threads, each, trims, pooled, direct: direct !== undefined });
  // Last, since it commits: whoever waits in vain goes on with nothing else.
  if (passing || waitsInVain(facts) || past.some(({ level }) => level === "fault")) return;
  yield await hearing(sql, openPool, direct !== undefined, config);
}

async function factsOf(sql: Sql): Promise<Facts> {
  // reset_val: as a session begins, before Linger sets its own.
  const [facts] = await sql<[Facts]>`
    with settings as (select name, reset_val from pg_settings),
      sessions as (select usesysid, datname from pg_stat_activity where datid is not null and pid <> pg_backend_pid())
    select current_user as role, rolsuper as superuser, rolconnlimit as "forRole",
      (select reset_val from settings where name = 'default_transaction_isolation') as isolation,
      (select reset_val from settings where name = 'statement_timeout') as timeout,
      (select reset_val from settings where name = 'transaction_timeout') as "limit",
      coalesce(has_schema_privilege(current_schema(), 'create'), false) as creates,
      (select coalesce(bool_and(pg_has_role(relowner, 'usage')), true) from pg_class
        where oid in (to_regclass('migrations'), to_regclass('heads'), to_regclass('messages'))) as owns,
      coalesce(has_table_privilege(to_regclass('messages'), 'delete'), true) as deletes,
      ${tlsIn(sql)} as tls,
      pg_size_pretty(pg_database_size(current_database())) as size,
      (select datconnlimit from pg_database where datname = current_database()) as "forDatabase",
      current_setting('max_connections')::int as most,
      current_setting('superuser_reserved_connections')::int + coalesce(current_setting('reserved_connections', true)::int, 0)
        as reserved,
      (select count(*)::int from sessions) as used,
      (select count(*)::int from sessions where usesysid = pg_roles.oid) as "usedByRole",
      (select count(*)::int from sessions where datname = current_database()) as "usedHere",
      current_setting('fsync')::bool as fsync, current_setting('full_page_writes')::bool as "fullPages",
      (select reset_val from settings where name = 'synchronous_commit') as commits,
      current_setting('synchronous_standby_names') as names,
      (select count(*)::int from pg_stat_replication) as standbys,
      (select count(*)::int from pg_stat_replication where sync_state is distinct from 'async') as synchronous
    from pg_roles where rolname = current_user`;
  return facts;
}

function schema({ migrations, schema }: Examination, known: number): Finding {
  if (migrations === known) return ok(`Its tables have the shape that this version needs (migration ${known})`);
  if (migrations > known) {
    return warning(
      `Its tables have migration ${migrations}, and this version knows ${known}: a newer Linger uses them`,
    );
  }
  return migrations === 0
    ? ok(`Schema ${schema} has no tables of Linger's yet: the first server makes them, or deno task migrate`)
    : warning(
      `Migrations ${migrations + 1} to ${known} are missing: the next server applies them, or deno task migrate`,
    );
}

function rights({ role, superuser, creates, owns }: Facts, { schema }: Examination): Finding {
  if (superuser) {
    return warning(
      `Role ${role} is a superuser, and Linger needs none: let it use another one, which owns its database`,
    );
  }
  const may = `Role ${role} may read and write`;
  if (creates && owns) return ok(`${may}, make tables in schema ${schema} and change them`);
  const what = creates ? "change Linger's tables" : "make tables";
  return warning(`${may}, but not ${what}: let another role run deno task migrate before each new version`);
}

function isolation({ isolation, role }: Facts, pooled: boolean): Finding {
  if (isolation === "read committed") return ok("Transactions are read committed");
  if (!pooled) return ok(`Transactions are ${isolation} unless Linger says otherwise, and it does`);
  return fault(
    `Transactions are ${isolation}, so that posts refuse each other, and through a pooler Linger can't set it: ` +
      `alter role ${identifier(role)} set default_transaction_isolation = 'read committed'`,
  );
}

/** The version of TLS that a session has; null for none. */
function tlsIn(sql: Sql) {
  return sql`(select version from pg_stat_ssl where pid = pg_backend_pid() and ssl)`;
}

/** How a way is kept from others; `version` is that of its TLS, null for none, undefined where a pooler hides it. */
function tls(variable: string, { hosts, tls: { mode } }: Address, version: string | null | undefined): Finding {
  const demanded = `sslmode=${mode}`;
  if (hosts.every(({ name, address, tcp }) => !tcp || isLoopback(address ?? name))) {
    return ok("The connection stays on this machine, so it needs no TLS");
  }
  if (mode === "verify-full") return ok(`TLS is used, and the server has proven who it is (${demanded})`);
  if (mode === "require" || mode === "verify-ca") {
    return warning(
      `TLS is used, but it is not certain with whom (${demanded}): sslmode=verify-full in ${variable} makes it so`,
    );
  }
  const isOn = mode === "disable" || version === null
    ? "is not used"
    : version === undefined
    ? "may be used or not"
    : `(${version}) is used`;
  return warning(
    `TLS ${isOn}, and nothing demands it (${demanded}): write sslmode=verify-full in ${variable}, or at least require`,
  );
}

/** Where the way past the pooler leads, and how it is. */
async function wayPast(pooled: Way, openPool: OpenPool, direct: Address): Promise<Finding[]> {
  const { at } = describe(direct);
  const past = openPool("doctor goes past", { direct: true });
  const look = async () => {
    if (!await isSame({ sql: past.sql, at }, pooled)) {
      return [fault(`DATABASE_DIRECT_URL leads to another database, at ${at}`)];
    }
    const [row] = await past.sql<[{ tls: string | null }]>`select ${tlsIn(past.sql)} as tls`;
    const { level, sentence } = tls("DATABASE_DIRECT_URL", direct, row.tls);
    return [
      ok(`DATABASE_DIRECT_URL leads to the same database, at ${at}`),
      { level, sentence: `DATABASE_DIRECT_URL: ${sentence}` },
    ];
  };
  const seen = new AbortController();
  try {
    const silence = `DATABASE_DIRECT_URL leads to ${at}, which does not answer within ${PAST_MS / 1_000} s`;
    return await Promise.race([look(), sleep(PAST_MS, seen.signal).then(() => [fault(silence)])]);
  } catch (error) {
    return [fault(`DATABASE_DIRECT_URL leads to ${at}, which can't be used: ${reasonOf(error)}`)];
  } finally {
    seen.abort();
    await past.destroy();
  }
}

/** How long a select takes there and back, and what the clocks then said, in milliseconds. */
interface Timed {
  readonly ms: number;
  readonly ahead: number;
}

async function timed(sql: Sql): Promise<Timed[]> {
  const all: Timed[] = [];
  for (let i = 0; i < TIMED; i++) {
    const begun = performance.now();
    const sent = Date.now();
    const [row] = await sql<[{ clock: number }]>`select extract(epoch from clock_timestamp())::float8 * 1000 as clock`;
    const ms = performance.now() - begun;
    all.push({ ms, ahead: row.clock - (sent + ms / 2) });
  }
  return all.sort((one, other) => one.ms - other.ms);
}

function* wayAndClock(all: readonly Timed[]): Iterable<Finding> {
  const { ms } = all[all.length >> 1]!;
  const way = `A select takes ${ms.toFixed(1)} ms there and back`;
  yield ms <= SLOW_MS
    ? ok(way)
    : warning(`${way}, and each post takes that much longer: run Linger nearer to the database`);
  const { ahead, ms: least } = all[0]!;
  if (Math.abs(ahead) <= CLOCKS_MS + least / 2) return yield ok("Its clock and this machine's agree");
  const by = `${(Math.abs(ahead) / 1000).toFixed(1)} s`;
  yield warning(
    `Its clock is ${by} ${ahead > 0 ? "ahead of" : "behind"} this machine's: set them by NTP. ` +
      "Messages have the database's time, and tokens hold by this machine's",
  );
}

/** Whether a notification comes back: a pooler takes LISTEN, and nothing ever arrives. */
async function hearing(
  sql: Sql,
  openPool: OpenPool,
  isDirect: boolean,
  { DATABASE_POOLED: pooled, FALLBACK_WITHOUT_LISTEN_MS: fallback }: Pick<
    Config,
    "DATABASE_POOLED" | "FALLBACK_WITHOUT_LISTEN_MS"
  >,
): Promise<Finding> {
  const channel = `linger_doctor_${crypto.randomUUID().replaceAll("-", "")}`;
  const listening = openPool("doctor listens", { direct: true });
  const heard = Promise.withResolvers<void>();
  let at: number | undefined;
  let refusal: unknown;
  try {
    const listen = listening.sql.listen(channel, () => {
      at = performance.now();
      heard.resolve();
    });
    await within(listen.catch((error) => refusal = error), HEARING_MS);
    if (refusal) return warning(`Whether notifications come back (LISTEN) can't be seen: ${reasonOf(refusal)}`);
    const sent = performance.now();
    await sql`select pg_notify(${channel}, '')`;
    await within(heard.promise, HEARING_MS);
    if (at !== undefined) return ok(`A notification comes back after ${(at - sent).toFixed(1)} ms (LISTEN)`);
  } finally {
    await listening.destroy();
  }
  return warning(
    `Notifications don't come back (LISTEN): news from other servers takes up to ${fallback} ms. ${
      pooled && !isDirect ? "Through a pooler that is so" : "A pooler seems to stand between"
    }: a direct connection (DATABASE_DIRECT_URL) or session pooling has it at once`,
  );
}

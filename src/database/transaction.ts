// A transaction in which a command works for as long as it takes, and in which nothing hangs: each statement has the deadline that it has
// elsewhere. Between two of them it may idle, since who reads or writes its lines can be slow; and all of them may take as long as they do.
import { DatabaseError, failure, UNREPLICATED, withDeadline } from "./client.ts";
import type { OpenPool, Sql } from "./pool.ts";

/** Runs one statement. */
export type Run = <T>(statement: (sql: Sql) => PromiseLike<T>) => Promise<T>;

/** How a transaction is begun. */
export interface TransactionOptions {
  /** Tells its connection apart in `pg_stat_activity`. */
  readonly name: string;
  /** What stands behind BEGIN. */
  readonly mode: string;
  /** How long a statement is waited for, in milliseconds. */
  readonly deadlineMs: number;
}

/**
 * Has what a transaction commits on disk when its end is told, also where the database or the role has that turned off for speed.
 * @internal
 */
export const DURABLE =
  "set_config('synchronous_commit', coalesce(nullif(current_setting('synchronous_commit'), 'off'), 'on'), true)";

/**
 * What ends a transaction that takes long, or rests long, is off; the second has come with PostgreSQL 17. And a warning comes through,
 * which is all that tells of a commit whose wait for its standby was cancelled.
 */
const SETTINGS =
  `select ${DURABLE}, set_config(name, '0', true), set_config('client_min_messages', 'warning', true) from pg_settings
  where name in ('idle_in_transaction_session_timeout', 'transaction_timeout')`;

/**
 * Does `work` in one transaction, on a connection of its own.
 * @throws {DatabaseError} when the database fails or says nothing: `rolled-back`, but where COMMIT was sent, `unknown`; so too where its wait
 * for a standby was cancelled.
 * @throws whatever `work` throws; then nothing of it stands either.
 * @internal
 */
export async function transact<T>(
  openPool: OpenPool,
  { name, mode, deadlineMs }: TransactionOptions,
  work: (run: Run) => Promise<T>,
): Promise<T> {
  let isUnreplicated = false;
  const pool = openPool(name, { onUnreplicated: () => isUnreplicated = true });
  const answered = async <R>(ask: () => PromiseLike<R>, isCommit = false): Promise<R> => {
    try {
      return await withDeadline(Promise.resolve(ask()), deadlineMs);
    } catch (cause) {
      const { fate, code, constraint } = failure(cause, true);
      throw new DatabaseError(isCommit ? fate : "rolled-back", code, constraint, { cause });
    }
  };
  const begun = Promise.withResolvers<Sql>();
  const worked = Promise.withResolvers<void>();
  const transaction = begin(pool.sql, mode, (sql) => {
    begun.resolve(sql);
    return worked.promise;
  });
  let isOver = false;
  transaction.catch((error) => {
    isOver = true; // whoever waits for a statement, or for the end, is told
    begun.reject(error);
  });
  try {
    const sql = await answered(() => begun.promise);
    await answered(() => sql.unsafe(SETTINGS));
    const result = await work((statement) => answered(() => statement(sql)));
    worked.resolve();
    await answered(() => transaction, !isOver);
    if (isUnreplicated) throw new DatabaseError("unknown", UNREPLICATED, undefined, {}); // a failover may lose it
    return result;
  } finally {
    await pool.destroy();
  }
}

/**
 * The driver's `begin`, which ends the whole process where its connection is lost and the transaction goes on: it writes the next statement,
 * COMMIT or ROLLBACK to a socket that is none any more (postgres.js 3.4.9, `nextWrite`). Here nothing is written then, and it rejects.
 * `sql` must have one connection and no other transaction.
 * @internal
 */
export function begin<T>(sql: Sql, mode: string, work: (sql: Sql) => Promise<T>): Promise<T> {
  // Who waits for an answer is told later than this, so nothing is written in between.
  const { options } = sql;
  const { onclose } = options;
  let isLost = false;
  options.onclose = (id) => {
    isLost = true;
    onclose?.(id);
  };
  const demand = () => {
    if (isLost) {
      throw Object.assign(new Error("The connection of the transaction was lost"), { code: "CONNECTION_CLOSED" });
    }
  };
  return sql.begin(mode, async (transaction) => {
    const guarded = new Proxy(transaction as unknown as Sql, {
      apply(target, self, parameters) {
        demand();
        return Reflect.apply(target, self, parameters);
      },
      get(target, name) {
        if (name === "unsafe") demand();
        return Reflect.get(target, name);
      },
    });
    try {
      return await work(guarded);
    } finally {
      if (isLost) await new Promise(() => {}); // COMMIT and ROLLBACK come behind this
    }
  }).finally(() => options.onclose = onclose) as Promise<T>;
}

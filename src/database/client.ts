// A Postgres client on which nothing hangs. postgres.js may leave a query unsettled for ever when its connection dies
// in a bad moment, and can't give up one connection, only a whole pool. So every statement has a deadline here, after
// which its pool is thrown away and a new one made. And the caller is told what a failure means for its statement.
import postgres from "postgres";
import type { Config } from "../config.ts";
import { log } from "../log.ts";
import { Outage } from "./outage.ts";
import type { OpenPool, Pool, Sql } from "./pool.ts";
import { Unusable } from "./unusable.ts";

/**
 * What became of a statement that failed:
 * `rolled-back` the server refused it and nothing of it stands; `not-sent` it never reached the server;
 * `unknown` it was sent and its end was not seen, so it may have been committed.
 */
export type Fate = "rolled-back" | "not-sent" | "unknown";

/** A statement failed. */
export class DatabaseError extends Error {
  /** `DatabaseError`. */
  override readonly name = "DatabaseError";

  /** The driver's error is the cause. */
  constructor(
    /** What became of the statement. */
    readonly fate: Fate,
    /** The SQLSTATE, or the driver's own code. */
    readonly code: string,
    /** The constraint that was violated. */
    readonly constraint: string | undefined,
    options: ErrorOptions,
  ) {
    super(`The database failed (${code}, ${fate})`, options);
  }

  /** Whether the statement's connection was lost under it, or given up for another's sake; or its wait for a standby was cancelled. */
  get isLost(): boolean {
    return this.code === "CONNECTION_DESTROYED" || this.fate === "unknown" && this.code !== DEADLINE;
  }

  /**
   * Whether the connection is of no use though the statement rolled back: it leads to a server that only reads or shuts
   * down, is stuck in a transaction, or has forgotten what was prepared on it.
   */
  get isStale(): boolean {
    return this.fate === "rolled-back" && /^(08|25|26|57P0|XX)/.test(this.code);
  }

  /** Whether others came between, so that the same statement can pass the next time: a deadlock, or a strict isolation. */
  get isConflict(): boolean {
    return this.fate === "rolled-back" && /^40(001|P01)$/.test(this.code);
  }

  /**
   * Whether the database is well and what the statement brought is wrong (data, constraint, limit), so that asking again can't
   * help. A right or a table that is missing (42…) is the database's: the statements themselves are always the same.
   */
  get isOurs(): boolean {
    return this.fate === "rolled-back" && /^(22|23|54)/.test(this.code);
  }
}

/** Statements that may wait for a connection; more fail at once. */
const MAX_QUEUED = 10_000;

/**
 * Time in which an answer that is due may still be read, in milliseconds. A process that was frozen finds the deadline
 * passed and the answer unread in its socket; the answer goes first.
 */
const GRACE_MS = 50;

/** How long a statement is waited for, in milliseconds: a second longer than the database lets it run. */
export function deadlineOf({ STATEMENT_TIMEOUT_MS }: Pick<Config, "STATEMENT_TIMEOUT_MS">): number {
  return STATEMENT_TIMEOUT_MS + 1_000;
}

/** A pool of `connections` connections, with a deadline of `deadlineMs` on every statement. */
export class Client {
  #pool: Pool;
  readonly #outage: Outage;
  #sent = 0;
  #unreplicated = 0;
  #running = 0;
  /** Pools that were given up since a statement last succeeded. */
  #givenUp = 0;
  readonly #queue: PromiseWithResolvers<void>[] = [];
  #closed = false;

  /** Connects with its first statement. `name` tells it apart in the log and in `pg_stat_activity`. */
  constructor(
    private readonly name: string,
    private readonly connections: number,
    private readonly deadlineMs: number,
    private readonly openPool: OpenPool,
  ) {
    this.#pool = this.#open();
    this.#outage = new Outage(name);
  }

  /** Statements sent to the server so far. */
  get sent(): number {
    return this.#sent;
  }

  /**
   * Runs one statement, as soon as it has a place; once more, over another connection, when it rolled back because its own is
   * of no use, unless that was such another already.
   * @throws {DatabaseError} when it fails, or when its end is not seen within the deadline.
   */
  async run<T>(statement: (sql: Sql) => PromiseLike<T>): Promise<T> {
    // One statement for each connection: behind a slow one, the driver would leave others waiting while some are free.
    if (this.#running < this.connections) this.#running++;
    else await this.#takePlace();
    try {
      const isAnother = this.#givenUp > 0;
      return await this.#send(statement).catch((error) => {
        if (error instanceof DatabaseError && error.isStale && !isAnother && !this.#closed) {
          return this.#send(statement);
        }
        throw error;
      });
    } finally {
      const next = this.#queue.shift();
      if (next) next.resolve(); // the place goes to it
      else this.#running--;
    }
  }

  /** Runs one statement that may run twice, and once more when {@linkcode DatabaseError.isLost}, or others came between. */
  async read<T>(statement: (sql: Sql) => PromiseLike<T>): Promise<T> {
    try {
      return await this.run(statement);
    } catch (error) {
      if (!(error instanceof DatabaseError) || !error.isLost && !error.isConflict) throw error;
      return await this.run(statement);
    }
  }

  /** Ends all connections at once; statements under way fail. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const place of this.#queue.splice(0)) place.reject(this.#refused("CLOSED"));
    await this.#pool.destroy();
  }

  async #takePlace(): Promise<void> {
    if (this.#closed || this.#queue.length >= MAX_QUEUED) throw this.#refused("QUEUE_FULL");
    const place = Promise.withResolvers<void>();
    this.#queue.push(place);
    const timer = setTimeout(() => {
      this.#queue.splice(this.#queue.indexOf(place), 1);
      place.reject(this.#refused(DEADLINE));
    }, this.deadlineMs);
    await place.promise.finally(() => clearTimeout(timer));
  }

  #refused(code: string): DatabaseError {
    const error = new DatabaseError("not-sent", code, undefined, {});
    if (!this.#closed) this.#outage.failed(code, error);
    return error;
  }

  async #send<T>(statement: (sql: Sql) => PromiseLike<T>): Promise<T> {
    const pool = this.#pool;
    const sentBefore = this.#sent;
    const unreplicatedBefore = this.#unreplicated;
    let result: T;
    try {
      result = await withDeadline(Promise.resolve(statement(pool.sql)), this.deadlineMs);
      this.#outage.succeeded();
      this.#givenUp = 0;
    } catch (cause) {
      const sent = this.#sent !== sentBefore;
      const error = failure(cause, sent);
      if (!error.isOurs && !error.isConflict && !this.#closed) this.#outage.failed(error.code, cause);
      // The driver's connections don't survive their own end unharmed: the next statement would be told of this failure.
      // But where the server lets nobody in, those who are in can stay.
      const unharmed = error.fate === "rolled-back" ? !error.isStale : !sent && cause instanceof Unusable;
      if (!unharmed) this.#renewPool(pool);
      throw error;
    }
    // Only a pool of one connection can tell whose commit it was; no other one writes.
    if (this.#unreplicated !== unreplicatedBefore) throw new DatabaseError("unknown", UNREPLICATED, undefined, {});
    return result;
  }

  #open(): Pool {
    return this.openPool(this.name, {
      connections: this.connections,
      inVain: () => Math.max(0, this.#givenUp - 1), // a single one is made good at once
      onStatement: () => this.#sent++,
      onUnreplicated: () => {
        this.#unreplicated++;
        log(
          "error",
          "Somebody has cancelled the wait of a commit for its standby: it is stored here, and a failover may lose it",
        );
      },
    });
  }

  #renewPool(pool: Pool) {
    if (pool !== this.#pool || this.#closed) return; // another statement has seen to it already
    this.#givenUp++;
    this.#pool = this.#open();
    pool.destroy().catch(() => {}); // what it still holds fails with it, and says so by itself
  }
}

/** The code of a statement that was not answered in time. */
export const DEADLINE = "DEADLINE";

/** The code of a commit that stands, whose wait for its standby was cancelled. */
export const UNREPLICATED = "UNREPLICATED";

/** What `cause` means for the statement it ended. */
export function failure(cause: unknown, sent: boolean): DatabaseError {
  const { code = "UNKNOWN", constraint_name } = cause as { code?: string; constraint_name?: string };
  // Only an error of the severity ERROR says that the statement rolled back; FATAL can follow a commit.
  const refused = cause instanceof postgres.PostgresError && cause.severity === "ERROR";
  const fate = !sent ? "not-sent" : refused ? "rolled-back" : "unknown";
  return new DatabaseError(fate, code, constraint_name, { cause });
}

/** What `promise` gives, or else, after so many milliseconds, an error with the code `DEADLINE`. */
export function withDeadline<T>(promise: Promise<T>, ms: number): Promise<T> {
  const { promise: deadline, reject } = Promise.withResolvers<never>();
  const expire = () => reject(Object.assign(new Error(`No answer within ${ms} ms`), { code: DEADLINE }));
  let timer = setTimeout(() => timer = setTimeout(expire, GRACE_MS), ms);
  return Promise.race([promise, deadline]).finally(() => clearTimeout(timer));
}

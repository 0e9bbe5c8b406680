// A Postgres client on which nothing hangs. postgres.js may leave a query unsettled for ever when its connection dies
// in a bad moment, and can't give up one connection, only a whole client. So every statement has a deadline here, after
// which its client is thrown away and a new one made. And the caller is told what a failure means for its statement.
import postgres from "postgres";
import { Outage } from "./outage.ts";

/** Text arrays go out as they are; postgres.js would ask the server for its array types on every connection. */
const texts = {
  to: 1009, // the type text[]
  from: [],
  // The driver hands over what we made of it when it sends a statement again, whose plan the server has dropped.
  serialize: (values: readonly (string | null)[] | string) =>
    typeof values === "string"
      ? values
      : `{${values.map((value) => value === null ? "null" : `"${value.replace(/[\\"]/g, "\\$&")}"`).join()}}`,
  parse: (): readonly (string | null)[] => [], // never called: no answer of ours holds an array
};

/**
 * postgres.js with the one type that we add: `sql.types.texts(values)` for a `text[]`.
 * @internal
 */
export type Sql = postgres.Sql<{ texts: readonly (string | null)[] }>;

/** The options that all our connections share. */
export const connectionOptions = {
  types: { texts },
  fetch_types: false,
  // A dead server is asked again by the next request, not after a pause that grows to 20 s.
  backoff: () => 0.05,
  connect_timeout: 5,
  onnotice: () => {},
} as const;

/** Makes postgres.js clients for one database. `connections` is the most that each of them opens. */
export type Connect = (name: string, options: { connections: number; onStatement?: () => void }) => Sql;

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

  /** Whether the database is well and the statement wrong (data, constraint, syntax), so that asking again can't help. */
  get isOurs(): boolean {
    return this.fate === "rolled-back" && /^(22|23|42|54)/.test(this.code);
  }
}

/**
 * Time in which an answer that is due may still be read, in milliseconds. A process that was frozen finds the deadline
 * passed and the answer unread in its socket; the answer goes first.
 */
const GRACE_MS = 50;

/** One postgres.js client of `connections` connections, with a deadline of `deadlineMs` on every statement. */
export class Client {
  #sql: Sql;
  readonly #outage: Outage;
  #sent = 0;
  #closed = false;

  /** Connects with its first statement. `name` tells it apart in the log and in `pg_stat_activity`. */
  constructor(
    private readonly name: string,
    private readonly connections: number,
    private readonly deadlineMs: number,
    private readonly connect: Connect,
  ) {
    this.#sql = this.#open();
    this.#outage = new Outage(name);
  }

  /** Statements sent to the server so far. */
  get sent(): number {
    return this.#sent;
  }

  /**
   * Runs one statement.
   * @throws {DatabaseError} when it fails, or when its end is not seen within the deadline.
   */
  async run<T>(statement: (sql: Sql) => PromiseLike<T>): Promise<T> {
    const sql = this.#sql;
    const sentBefore = this.#sent;
    try {
      const result = await withDeadline(Promise.resolve(statement(sql)), this.deadlineMs);
      this.#outage.succeeded();
      return result;
    } catch (cause) {
      const error = failure(cause, this.#sent !== sentBefore);
      if (!error.isOurs && !this.#closed) this.#outage.failed(error.code, cause);
      if (error.code === DEADLINE) this.#giveUp(sql);
      throw error;
    }
  }

  /** Runs one statement that only reads, and once more when its connection was lost under it. */
  async read<T>(statement: (sql: Sql) => PromiseLike<T>): Promise<T> {
    try {
      return await this.run(statement);
    } catch (error) {
      const lost = error instanceof DatabaseError && error.fate === "unknown" && error.code !== DEADLINE;
      if (!lost) throw error;
      return await this.run(statement);
    }
  }

  /** Ends all connections at once; statements under way fail. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#sql.end({ timeout: 0 });
  }

  #open(): Sql {
    return this.connect(this.name, { connections: this.connections, onStatement: () => this.#sent++ });
  }

  #giveUp(sql: Sql) {
    if (sql !== this.#sql || this.#closed) return; // another statement has given it up already
    this.#sql = this.#open();
    sql.end({ timeout: 0 }).catch(() => {}); // what it still holds fails with it, and says so by itself
  }
}

const DEADLINE = "DEADLINE";

/** What `cause` means for the statement it ended. */
function failure(cause: unknown, sent: boolean): DatabaseError {
  const { code = "UNKNOWN", constraint_name } = cause as { code?: string; constraint_name?: string };
  // Only an error of the severity ERROR says that the statement rolled back; FATAL can follow a commit.
  const refused = cause instanceof postgres.PostgresError && cause.severity === "ERROR";
  const fate = !sent ? "not-sent" : refused ? "rolled-back" : "unknown";
  return new DatabaseError(fate, code, constraint_name, { cause });
}

function withDeadline<T>(promise: Promise<T>, ms: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout>;
  const deadline = new Promise<never>((_, reject) => {
    const expire = () => reject(Object.assign(new Error(`No answer within ${ms} ms`), { code: DEADLINE }));
    timer = setTimeout(() => timer = setTimeout(expire, GRACE_MS), ms);
  });
  return Promise.race([promise, deadline]).finally(() => clearTimeout(timer));
}

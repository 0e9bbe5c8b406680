// postgres.js, set up as all of Linger uses it, on connections that we make: it is handed a session that a server has
// agreed to. And such that it can be given up at once: its own `end()` leaves a connection that is just being made to come
// up later, and stay.
import type { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import postgres from "postgres";
import { sleep } from "../sleep.ts";
import { type Address, describe } from "./address.ts";
import type { SessionOptions } from "./attempt.ts";
import { connect } from "./connect.ts";
import { Unusable } from "./unusable.ts";

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

/** Some connections to one database. */
export interface Pool {
  /**
   * Runs statements; connects when it has to.
   * @internal
   */
  readonly sql: Sql;
  /** Ends all connections, those too that are just being made; statements under way fail. */
  destroy(): Promise<void>;
}

/**
 * Pause before a connection that takes the place of a lost one of the same pool, in milliseconds, and after the second pool in a row that
 * was of no use: a server that hangs up is not stormed.
 */
const RECONNECT_PAUSE_MS = 50;

/** The longest pause after attempts that failed, in milliseconds: each of them doubles it. A post waits as long to be refused. */
const MAX_PAUSE_MS = 200;

/**
 * How long a refusal that only a person can cure is given again without asking, in milliseconds. A wrong password ten times a
 * second would fill the server's log, and can lock the role out.
 */
const REFUSAL_MS = 1_000;

/** Opens a pool; `name` tells it apart in `pg_stat_activity`. */
export type OpenPool = (name: string, options?: PoolOptions) => Pool;

/** How a pool is opened. */
export interface PoolOptions {
  /** Most connections; 1 if not given. */
  readonly connections?: number;
  /** Whether they must not lead through a pooler in transaction mode: LISTEN, and migrations. */
  readonly direct?: boolean;
  /** How many connections in a row were of no use though a server had let them in: each counts as an attempt that failed. */
  readonly inVain?: () => number;
  /** Whether its statements may take as long as they like, as far as no pooler stands between: migrations. */
  readonly patient?: boolean;
  /** Is called for every statement that is sent. */
  readonly onStatement?: () => void;
  /** Is called whenever a connection has ended. */
  readonly onClose?: () => void;
  /** Is called before a statement's end when its commit stands, though not yet on the standby for which it was to wait. */
  readonly onUnreplicated?: () => void;
}

/**
 * Where PostgreSQL gives up the wait of a commit for its standby, since somebody has cancelled it: the statement then succeeds,
 * with a warning (src/backend/replication/syncrep.c). Its text is in the language of the server; the name of the place is not.
 */
const WAIT_ROUTINE = "SyncRepWaitForLSN";

/** Timeouts that a server, a role or a database can have for a default. The last one has come with PostgreSQL 17. */
export const TIMEOUTS = [
  "statement_timeout",
  "lock_timeout",
  "idle_in_transaction_session_timeout",
  "transaction_timeout",
];

const NO_TIMEOUTS = `select set_config(name, '0', false) from pg_settings where name in ('${TIMEOUTS.join("', '")}')`;

/**
 * Makes pools of the database at `address`.
 * @internal
 */
export function pools(address: Address, session: SessionOptions): OpenPool {
  const turn = { host: 0, place: 0 }; // of all pools
  let failures = 0; // attempts that failed since the last that did not
  let refusal: { error: Error; until: number } | undefined; // of a person's making

  return (
    name,
    {
      connections = 1,
      inVain = () => 0,
      patient = false,
      onStatement = () => {},
      onClose = () => {},
      onUnreplicated = () => {},
    } = {},
  ) => {
    // What is set through a pooler stays with a connection that others get.
    const setup = patient && !session.pooled ? `${session.setup}; ${NO_TIMEOUTS}` : session.setup;
    const sockets = new Map<Socket, Promise<void>>(); // each with what resolves when it has closed
    const destroyed = new AbortController();
    let lastClosed = -Infinity;
    const sql = postgres({
      ...silenced(address),
      fetch_types: false,
      backoff: () => 0, // the pause is in socket()
      connect_timeout: 3,
      onnotice: ({ routine }) => {
        if (routine === WAIT_ROUTINE) onUnreplicated();
      },
      prepare: !session.pooled,
      types: { texts },
      max: connections,
      debug: onStatement,
      socket,
    } as postgres.Options<{ texts: typeof texts }>) as unknown as Sql;

    /** A socket for the driver. What fails, it has to see as the end of one: else it would never use that place again. */
    async function socket(): Promise<Duplex> {
      const pause = performance.now() - lastClosed < RECONNECT_PAUSE_MS ? RECONNECT_PAUSE_MS : 0;
      await sleep(Math.max(pause, pauseAfter(failures + inVain())), destroyed.signal);
      destroyed.signal.throwIfAborted(); // else the driver would try again for ever
      if (refusal && performance.now() < refusal.until) return failing(refusal.error);
      try {
        const startup = { application_name: `linger ${name}`, ...session.startup };
        const made = await connect(address, turn, { ...session, startup, setup }, keep, destroyed.signal);
        failures = 0;
        return introduced(made.socket, made.greeting);
      } catch (error) {
        destroyed.signal.throwIfAborted();
        failures++;
        if (error instanceof Unusable && error.cure === "person") {
          refusal = { error, until: performance.now() + REFUSAL_MS };
        }
        return failing(error as Error);
      }
    }

    function keep(socket: Socket): void {
      const { promise, resolve } = Promise.withResolvers<void>();
      sockets.set(socket, promise);
      socket.once("close", () => {
        sockets.delete(socket);
        lastClosed = performance.now();
        resolve();
        onClose();
      });
    }

    return {
      sql: session.pooled ? inOneTrip(sql) : sql,
      destroy: async () => {
        destroyed.abort();
        await sql.end({ timeout: 0 });
        const closing = [...sockets.values()];
        for (const socket of sockets.keys()) socket.destroy();
        await Promise.all(closing);
      },
    };
  };
}

/**
 * Has a statement go out in one piece where none is prepared. The driver would ask for the types of its parameters first, each time anew
 * (postgres.js 3.4.9, `describeFirst`): a second way there and back. Ours need none: they are texts, numbers, and arrays that say theirs.
 */
function inOneTrip(sql: Sql): Sql {
  const whole = <T extends object>(statement: T): T =>
    Object.defineProperty(statement, "describeFirst", { get: () => false, set: () => {} });
  return new Proxy(sql, {
    apply(target, self, parameters) {
      return whole(Reflect.apply(target, self, parameters));
    },
    get(target, name) {
      if (name !== "unsafe") return Reflect.get(target, name);
      return (...parameters: Parameters<Sql["unsafe"]>) => whole(target.unsafe(...parameters));
    },
  });
}

/** The pause after so many attempts in a row that failed, in milliseconds. */
function pauseAfter(failures: number): number {
  return failures === 0 ? 0 : Math.min(RECONNECT_PAUSE_MS * 2 ** (failures - 1), MAX_PAUSE_MS);
}

/** What the driver need not know, and would take from PGHOST, PGSSL and the like where it were not said. */
function silenced(address: Address): object {
  const { at, database, user } = describe(address);
  const { lifetimes, keepAlive } = address;
  return {
    path: at, // for its messages
    host: "localhost",
    port: 5432,
    user,
    database,
    pass: "-",
    ssl: false,
    sslnegotiation: null,
    idle_timeout: null,
    ...lifetimes,
    keep_alive: keepAlive,
    max_pipeline: 100,
    publications: "alltables",
    target_session_attrs: "primary", // which it is by now
    connection: {},
  };
}

/** A socket on which the driver is let in at once, though it introduces itself as if to a server. */
function introduced(socket: Socket, greeting: Buffer): Socket {
  const { write } = socket;
  socket.write = (() => {
    socket.write = write;
    setTimeout(() => { // and not before the driver has written
      socket.emit("data", greeting);
      socket.resume();
    });
    return true;
  }) as typeof write;
  return socket;
}

/**
 * A socket that fails as soon as the driver has written to it; not before, because a driver whose connection ends between
 * its decision to write and its writing never writes again.
 */
function failing(error: Error): Duplex {
  const socket: Duplex = new Duplex({
    read: () => {},
    write: (_chunk, _encoding, done) => {
      done();
      socket.destroy(error);
    },
  });
  return socket;
}

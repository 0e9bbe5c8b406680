// postgres.js, set up as all of Linger uses it, and such that it can be given up at once: its own `end()` leaves a
// connection that is just being made to come up later, and stay.
import { connect, type Socket } from "node:net";
import postgres from "postgres";
import { sleep } from "../sleep.ts";

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

/** Pause before a connection that takes the place of a lost one, in milliseconds: a server that hangs up is not stormed. */
const RECONNECT_PAUSE_MS = 50;

/** Opens a pool; `name` tells it apart in `pg_stat_activity`. */
export type OpenPool = (name: string, options?: PoolOptions) => Pool;

/** How a pool is opened. */
export interface PoolOptions {
  /** Most connections; 1 if not given. */
  readonly connections?: number;
  /** Is called for every statement that is sent. */
  readonly onStatement?: () => void;
}

/**
 * Makes pools of the database at `url`, with further options of postgres.js.
 * @internal
 */
export function pools(url: string, options: postgres.Options<Record<string, never>>): OpenPool {
  let attempts = 0; // of all pools, so that each goes on to the next host where there are several
  return (name, { connections = 1, onStatement = () => {} } = {}) => {
    const sockets = new Map<Socket, Promise<void>>(); // each with what resolves when it has closed
    const destroyed = new AbortController();
    let lastClosed = -Infinity;
    const sql = postgres(url, {
      fetch_types: false,
      backoff: () => 0, // the pause is in socket(); the driver's own grows to 20 s, and is left out where a server hangs up
      connect_timeout: 3,
      onnotice: () => {},
      ...options as object,
      types: { texts },
      max: connections,
      debug: onStatement,
      connection: { application_name: `linger ${name}`, ...options.connection },
      socket,
    } as postgres.Options<{ texts: typeof texts }>) as unknown as Sql;

    /** Connects in place of the driver, which has no way to give a connection up while it is being made. */
    async function socket(
      { host, port, path }: { host: string[]; port: number[]; path?: string | false },
    ): Promise<Socket> {
      if (performance.now() - lastClosed < RECONNECT_PAUSE_MS) await sleep(RECONNECT_PAUSE_MS, destroyed.signal);
      destroyed.signal.throwIfAborted(); // else the driver would try again for ever
      const next = attempts++ % host.length;
      const place = path ? { path } : { host: host[next]!, port: port[next]! };
      const socket = Object.assign(connect(place as { path: string }), path ? {} : place);
      const { promise, resolve } = Promise.withResolvers<void>();
      sockets.set(socket, promise);
      whenClosed(socket, () => {
        sockets.delete(socket);
        lastClosed = performance.now();
        resolve();
      });
      return socket;
    }

    return {
      sql,
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

/** Listens for `close`, also when the driver takes all listeners away, as it does where it begins to speak TLS. */
function whenClosed(socket: Socket, closed: () => void): void {
  const { removeAllListeners } = socket;
  socket.once("close", closed);
  socket.removeAllListeners = (...names) => {
    removeAllListeners.apply(socket, names);
    socket.once("close", closed);
    return socket;
  };
}

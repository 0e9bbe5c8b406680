// Where the database is: the one that DATABASE_URL names, or a PostgreSQL of our own in DATA_DIR.
import { type Config, ConfigError } from "../config.ts";
import { type OpenPool, pools } from "./pool.ts";

/** A database that can be connected to. */
export interface Database {
  /** Opens connections. */
  readonly openPool: OpenPool;
  /** Its Unix socket, where it is our own. */
  readonly socket: string | undefined;
  /** Shuts it down if it is our own; all pools must be destroyed before. */
  close(): Promise<void>;
}

/**
 * Opens the database. With a DATABASE_URL this does not connect yet; without one it brings up PostgreSQL, which takes
 * some seconds the first time; `say` is told what it is doing.
 * @throws {ConfigError} when there is no DATABASE_URL and this is no place for a database of our own.
 */
export async function openDatabase(
  config: Config,
  command: string,
  say: (line: string) => void,
): Promise<Database> {
  if (config.DATABASE_URL) return { openPool: poolsOf(config), socket: undefined, close: () => Promise.resolve() };
  if (command !== "start" || config.onDeploy) {
    throw new ConfigError(
      "DATABASE_URL is not set, and must be: only `deno task start` on a machine that keeps its disk brings its own database",
    );
  }
  const { startEmbedded } = await import("./embedded.ts"); // not needed, nor permitted, anywhere else
  // What Linger takes, and some for people who look into it.
  const settings = { max_connections: `${config.THREADS * (config.READ_CONNECTIONS + 3) + 20}` };
  const embedded = await startEmbedded(config.DATA_DIR, { say, settings }).catch((error) => {
    throw new ConfigError(error.message, { cause: error }); // a sentence that says what to do
  });
  const { socket } = embedded;
  return { openPool: poolsOf(config, socket), socket, close: () => embedded.stop() };
}

/**
 * Pools of the database that DATABASE_URL names, or of our own at `socket`.
 * @internal
 */
export function poolsOf(config: Config, socket?: string): OpenPool {
  // TLS as libpq has it: where the server offers it, unless the URL says otherwise with ?sslmode=.
  const ssl = /[?&](ssl|sslmode|sslrootcert)=/.test(config.DATABASE_URL ?? "") ? {} : { ssl: "prefer" as const };
  // The driver would take what is not said here from PGHOST, PGUSER and the like, which mean another server.
  const own = { path: socket, user: "postgres", pass: "", database: "postgres", ssl: false };
  const session = config.DATABASE_POOLED ? {} : { statement_timeout: config.STATEMENT_TIMEOUT_MS };
  return pools(config.DATABASE_URL ?? "", {
    ...socket ? own as object : ssl,
    prepare: !config.DATABASE_POOLED,
    connection: session,
  });
}

// Where the database is: the one that DATABASE_URL names, or a PostgreSQL of our own in DATA_DIR.
import { type Config, ConfigError } from "../config.ts";
import { type Address, describe, readAddress, type TlsMode } from "./address.ts";
import { runningIn } from "./directory.ts";
import { type OpenPool, pools } from "./pool.ts";
import { makeRole, ROLE } from "./role.ts";

/** Where a database is, for the log. */
export interface Place {
  /** Its name. */
  readonly database: string;
  /** Its server, or servers. */
  readonly at: string;
  /** The role. */
  readonly user: string;
}

/** A database that can be connected to. */
export interface Database {
  /** Opens connections. */
  readonly openPool: OpenPool;
  /** Where it is. */
  readonly place: Place;
  /** Where it is for connections that must not lead through a pooler, if that is elsewhere. */
  readonly direct?: Place | undefined;
  /** Its Unix socket, where it is our own. */
  readonly socket: string | undefined;
  /** Shuts it down if it is our own; all pools must be destroyed before. */
  close(): Promise<void>;
}

/** Commands that work on the database in DATA_DIR, too: beside a server that has it, or alone. */
const OFFLINE = ["forget", "export", "import"];

/** Who made the cluster of our own. */
const SUPERUSER = "postgres";

/**
 * What a session needs to be, whatever database and role have for a default: posts in one room wait for each other and are
 * not refused; a connection that listens is not ended for its silence; null in an array is no text. Where this machine is gone without a
 * word the session ends within a minute, with all that it has locked: systems wait two hours by default, and a quarter of an hour where
 * an answer was on its way, beside which they send no keepalive. A limit of transactions, which has come with PostgreSQL 17, would end
 * the session, and nobody would know what of a post's statement stands.
 */
const SETUP =
  `set default_transaction_isolation to 'read committed'; set idle_session_timeout to 0; set array_nulls to on; ` +
  `set tcp_keepalives_idle to 30; set tcp_keepalives_interval to 10; set tcp_keepalives_count to 3; ` +
  `set tcp_user_timeout to 60000; ` +
  `select set_config(name, '0', false) from pg_settings where name = 'transaction_timeout'`;

/**
 * Opens the database. With a DATABASE_URL this does not connect yet; without one it brings up PostgreSQL, which takes
 * some seconds the first time; `say` is told what it is doing. When `signal` aborts, nothing more is started.
 * @throws {ConfigError} for a DATABASE_URL that can't be meant, when there is none and this is no place for a database
 * of our own, and when `signal` aborts before that runs: no program is left running then.
 */
export async function openDatabase(
  config: Config,
  command: string,
  say: (line: string) => void,
  signal = new AbortController().signal,
): Promise<Database> {
  if (config.DATABASE_URL) {
    const direct = directOf(config);
    return {
      openPool: poolsOf(config),
      place: describe(addressOf(config)),
      direct: direct && describe(direct),
      socket: undefined,
      close: async () => {},
    };
  }
  if (!OFFLINE.includes(command) && command !== "start" || config.onDeploy) {
    throw new ConfigError(
      "DATABASE_URL is not set, and must be, such as postgres://user:password@host/database, or postgres:// for what PGHOST, " +
        "PGUSER and the like say: only `deno task start` on a machine that keeps its disk brings its own database",
    );
  }
  if (OFFLINE.includes(command)) {
    const socket = await runningIn(config.DATA_DIR).catch((error) => {
      throw new ConfigError(error.message, { cause: error });
    });
    if (socket) {
      return {
        openPool: poolsOf(config, socket),
        place: describe(addressOf(config, socket)),
        socket,
        close: async () => {},
      };
    }
  }
  const { keepEmbedded } = await import("./keeper.ts"); // not needed, nor permitted, anywhere else
  // What Linger takes, and some for people who look into it.
  const settings = { max_connections: `${config.THREADS * config.DATABASE_CONNECTIONS + 20}` };
  const embedded = await keepEmbedded(config.DATA_DIR, { say, settings, signal }).catch((error) => {
    throw new ConfigError(error.message, { cause: error }); // a sentence that says what to do
  });
  const { socket } = embedded;
  if (Deno.uid() === 0) {
    say(
      "PostgreSQL does not run as root: it runs as the user to whom DATA_DIR belongs, whose programs can read and change the messages",
    );
  }
  await makeRole(poolsOf(config, socket, SUPERUSER), signal).catch(async (error) => {
    await embedded.stop();
    throw error;
  });
  return {
    openPool: poolsOf(config, socket),
    place: describe(addressOf(config, socket)),
    socket,
    close: () => embedded.stop(),
  };
}

/**
 * Pools of the database that DATABASE_URL and DATABASE_DIRECT_URL name, or of our own at `socket`.
 * @throws {ConfigError} for a URL that can't be meant.
 * @internal
 */
export function poolsOf(config: Config, socket?: string, user?: string): OpenPool {
  const session = (pooled: boolean) => {
    const startup = pooled ? {} : { statement_timeout: `${config.STATEMENT_TIMEOUT_MS}` };
    return { pooled, startup, setup: pooled ? "" : SETUP };
  };
  const open = pools(addressOf(config, socket, user), session(config.DATABASE_POOLED));
  const direct = directOf(config);
  if (!direct) return open;
  const openDirect = pools(direct, session(false));
  return (name, options) => (options?.direct ? openDirect : open)(name, options);
}

/**
 * Where DATABASE_DIRECT_URL leads, if it is set.
 * @throws {ConfigError} for a URL that can't be meant.
 * @internal
 */
export function directOf(config: Config): Address | undefined {
  const { DATABASE_DIRECT_URL: url } = config;
  return url === undefined ? undefined : readAddress(url, undefined, tlsOf(config), "DATABASE_DIRECT_URL");
}

/** On Deno Deploy the way leads over the internet, and the URL that the platform hands over says nothing of TLS. */
function tlsOf({ onDeploy }: Config): TlsMode {
  return onDeploy ? "require" : "prefer";
}

/**
 * Where DATABASE_URL leads, or the database of our own at `socket`.
 * @throws {ConfigError} for a URL that can't be meant.
 * @internal
 */
export function addressOf(config: Config, socket?: string, user = ROLE): Address {
  if (socket === undefined) return readAddress(config.DATABASE_URL!, undefined, tlsOf(config));
  // The user's PGHOST, PGUSER and the like mean another server.
  const nothing = { env: () => undefined, readFile: () => "", osUser: () => undefined };
  const address = readAddress(`postgres://${user}@/postgres`, nothing);
  return { ...address, hosts: [{ ...address.hosts[0]!, sockets: [socket], tcp: false }] };
}

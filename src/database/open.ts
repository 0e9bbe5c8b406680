// Where the database is: the one that DATABASE_URL names, or a PostgreSQL of our own in DATA_DIR.
import postgres from "postgres";
import { type Config, ConfigError } from "../config.ts";
import { type Connect, connectionOptions } from "./client.ts";

/** A database that can be connected to. */
export interface Database {
  /** Makes clients. */
  readonly connect: Connect;
  /** Shuts it down if it is our own; all clients must be closed before. */
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
  if (config.DATABASE_URL) return { connect: connector(config), close: () => Promise.resolve() };
  if (command !== "start" || config.onDeploy) {
    throw new ConfigError(
      "DATABASE_URL is not set, and must be: only `deno task start` on a machine that keeps its disk brings its own database",
    );
  }
  const { startEmbedded } = await import("./embedded.ts"); // not needed, nor permitted, anywhere else
  const embedded = await startEmbedded(config.DATA_DIR, { say });
  return { connect: connector(config, embedded.socket), close: () => embedded.stop() };
}

function connector(config: Config, socket?: string): Connect {
  // The server's own variables (PGHOST, PGUSER …) must not lead the client of our own database astray.
  const place = socket ? { path: socket, user: "postgres", pass: "", database: "postgres", ssl: false } : {};
  // As libpq does: TLS where the server offers it, unless the URL says otherwise with ?sslmode=.
  const ssl = /[?&](ssl|sslmode)=/.test(config.DATABASE_URL ?? "") ? {} : { ssl: "prefer" as const };
  const session = config.DATABASE_POOLED ? {} : { statement_timeout: config.STATEMENT_TIMEOUT_MS };
  return (name, { connections, onStatement }) =>
    postgres(config.DATABASE_URL ?? "", {
      ...connectionOptions,
      ...ssl,
      ...place as object,
      max: connections,
      prepare: !config.DATABASE_POOLED,
      debug: () => onStatement?.(),
      connection: { application_name: `linger ${name}`, ...session },
    });
}

// `start` and `serve`: from the first moment, in which requests are answered with 503, to the last, in which all are answered.
import { Chat } from "../chat/chat.ts";
import { Retention } from "../chat/retention.ts";
import { isLoopback, urlOf } from "../host.ts";
import type { Config } from "../config.ts";
import { migrateWhenThere } from "../database/migrate.ts";
import { type Database, openDatabase } from "../database/open.ts";
import { drain } from "../drain.ts";
import { openIdentities } from "../identity/identities.ts";
import { listen } from "../listen.ts";
import { log, logged, say, surviveUncaught } from "../log.ts";
import { aborted, sleep, within } from "../sleep.ts";
import { stopSignal } from "../stop.ts";
import { Threads } from "../threads.ts";

/** How long a thread may take to close beyond what posts under way get, in milliseconds; then it is ended. */
const CLOSING_MS = 1_500;

/**
 * How long an instance on Deno Deploy waits for its database before it listens, in milliseconds. The platform lets requests wait
 * until it does, and it starts with each that finds no instance: refused, all who come back after a stop would back off.
 */
const QUIET_START_MS = 5_000;

/** How long after a failure a signal counts as its reason, in milliseconds: the terminal sends it to all in one moment. */
const SAME_MOMENT_MS = 100;

/**
 * Serves at once, answering 503 until the database is there; then chats, until a signal ends it, and with it the process: with
 * status 0, or with 1 when nobody could come in any more, so that a supervisor starts it anew.
 * @throws {ConfigError} when the port or the address is not to be had, or there is no database to use.
 * @internal
 */
export async function serve(config: Config, command: string): Promise<never> {
  surviveUncaught();
  const deaf = new AbortController();
  const lost = () => deaf.abort();
  const stop = AbortSignal.any([stopSignal(), deaf.signal]);

  let chat: Chat | undefined;
  let threads: Threads | undefined;
  let retention: Promise<void> | undefined;
  const identities = await openIdentities(config, stop);
  const early = config.onDeploy ? open(config, command, stop) : undefined;
  if (early) await within(early, QUIET_START_MS);
  const server = listen(config, () => chat, { lost, identities });

  const { database, usable } = await (early ?? open(config, command, stop));
  if (database && usable) {
    const port = server.addr.transport === "tcp" ? server.addr.port : config.PORT;
    // Before the first thread answers: whoever comes then, comes to all.
    threads = await Threads.start({ config: { ...config, PORT: port }, socket: database.socket }, lost);
    chat = new Chat(database, config);
    retention = new Retention(database, config).keep(stop); // here alone: it is enough for all threads
    if (config.READ_CONNECTIONS) {
      log(
        "warn",
        `READ_CONNECTIONS is the older name: set DATABASE_CONNECTIONS=${config.DATABASE_CONNECTIONS} in its place`,
      );
    }
    if (isForOthers(config, server.addr) && !identities) {
      log("warn", "Everybody who can reach this server can read and write every room: TOKEN_SECRET closes it");
    }
    for (const line of welcome(config, server.addr)) say(line);
    await aborted(stop);
  }

  say("Linger is shutting down");
  await Promise.all([threads?.drain(config.DRAIN_MS + CLOSING_MS), drain(server, chat, config.DRAIN_MS), retention]);
  await database?.close();
  say("Linger has stopped");
  await logged();
  Deno.exit(deaf.signal.aborted ? 1 : 0); // a client that never reads its answer must not keep us
}

/** The database, and whether it can be used: as soon as it is there and migrated, or when `stop` aborts. */
async function open(
  config: Config,
  command: string,
  stop: AbortSignal,
): Promise<{ database?: Database | undefined; usable: boolean }> {
  const database = await openDatabase(config, command, say, stop).catch(async (error) => {
    await sleep(SAME_MOMENT_MS, stop); // a key press that ends us has ended the programs that make a database, too
    if (!stop.aborted) throw error;
  }) ?? undefined;
  return { database, usable: database !== undefined && await migrateWhenThere(database, stop, say) };
}

/** Whether others than this machine come in: by themselves, or through a proxy, to which some of the settings point. */
function isForOthers({ HOST, PROXY_HOPS, ALLOWED_HOSTS = [] }: Config, addr: Deno.Addr): boolean {
  const moved = addr.transport === "tcp" ? [addr.hostname] : []; // by DENO_SERVE_ADDRESS
  return PROXY_HOPS > 0 || [HOST, ...moved, ...ALLOWED_HOSTS].some((host) => !isLoopback(host));
}

/** What somebody who has just started it wants to know; a program that waits for the start looks for the first line. */
function welcome(config: Config, address: Deno.Addr): string[] {
  // Whose address only the platform knows, and which nobody stops by hand.
  if (config.onDeploy || address.transport !== "tcp") return ["Linger is ready"];
  const url = urlOf(config.HOST, address);
  const first = `Linger is ready at ${url}`;
  const place = config.DATABASE_URL ? "the database that DATABASE_URL names" : config.DATA_DIR;
  return [
    first,
    `Open it in a browser, or wait for a message with: curl '${url}/messages?after=now&wait=50'`,
    `The messages are in ${place}. Ctrl-C stops Linger`,
  ];
}

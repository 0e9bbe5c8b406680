// `start` and `serve`: from the first moment, in which requests are answered with 503, to the last, in which all are answered.
import { Chat } from "../chat/chat.ts";
import { urlOf } from "../host.ts";
import type { Config } from "../config.ts";
import { migrateWhenThere } from "../database/migrate.ts";
import { openDatabase } from "../database/open.ts";
import { drain } from "../drain.ts";
import { openIdentities } from "../identity/identities.ts";
import { listen } from "../listen.ts";
import { log, logged, say, surviveUncaught } from "../log.ts";
import { aborted, sleep } from "../sleep.ts";
import { isLoopback } from "../origin.ts";
import { stopSignal } from "../stop.ts";
import { Threads } from "../threads.ts";

/** How long a thread may take to close beyond what posts under way get, in milliseconds; then it is ended. */
const CLOSING_MS = 1_500;

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
  const identities = await openIdentities(config, stop);
  const server = listen(config, () => chat, { lost, identities });
  const { port } = server.addr;

  const opening = openDatabase(config, command, say).catch(async (error) => {
    await sleep(SAME_MOMENT_MS, stop); // a key press that ends us has ended the programs that make a database, too
    if (!stop.aborted) throw error;
  });
  const database = await Promise.race([opening, aborted(stop)]);
  if (database && await migrateWhenThere(database, stop, say)) {
    // Before the first thread answers: whoever comes then, comes to all.
    threads = await Threads.start({ config: { ...config, PORT: port }, socket: database.socket }, lost);
    chat = new Chat(database, config);
    for (const line of welcome(config, server.addr)) say(line);
    if (config.READ_CONNECTIONS) {
      log(
        "warn",
        `READ_CONNECTIONS is now DATABASE_CONNECTIONS: set DATABASE_CONNECTIONS=${config.DATABASE_CONNECTIONS}`,
      );
    }
    if (!isLoopback(config.HOST) && !identities) {
      log("warn", "Everybody who can reach this machine can read and write every room: TOKEN_SECRET closes it");
    }
    await aborted(stop);
  }

  say("Linger is shutting down");
  await Promise.all([threads?.drain(config.DRAIN_MS + CLOSING_MS), drain(server, chat, config.DRAIN_MS)]);
  await database?.close();
  say("Linger has stopped");
  await logged();
  Deno.exit(deaf.signal.aborted ? 1 : 0); // a client that never reads its answer must not keep us
}

/** What somebody who has just started it wants to know; a program that waits for the start looks for the first line. */
function welcome(config: Config, address: Deno.NetAddr): string[] {
  const url = urlOf(config.HOST, address);
  const first = `Linger is ready at ${url}`;
  if (config.onDeploy) return [first]; // whose address only the platform knows, and which nobody stops by hand
  const place = config.DATABASE_URL ? "the database that DATABASE_URL names" : config.DATA_DIR;
  return [
    first,
    `Open it in a browser, or wait for a message with: curl '${url}/messages?after=now&wait=50'`,
    `The messages are in ${place}. Ctrl-C stops Linger`,
  ];
}

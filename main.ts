// Linger. `main.ts start` serves, with a PostgreSQL of its own where DATABASE_URL names none; `main.ts serve` serves and
// insists on DATABASE_URL; `main.ts migrate` brings that database up to date and ends.
import { Chat } from "./src/chat/chat.ts";
import { type Config, ConfigError, readConfig } from "./src/config.ts";
import { migrateOnce, migrateWhenThere } from "./src/database/migrate.ts";
import { openDatabase } from "./src/database/open.ts";
import { drain } from "./src/drain.ts";
import { listen } from "./src/listen.ts";
import { log, surviveUncaught } from "./src/log.ts";
import { aborted } from "./src/sleep.ts";
import { Threads } from "./src/threads.ts";

/** How long a thread may take to close beyond what posts under way get, in milliseconds; then it is ended. */
const CLOSING_MS = 1_500;

/** Serves at once, answering 503 until the database is there; then chats, until a signal ends it. */
async function serve(config: Config, command: string): Promise<never> {
  surviveUncaught();
  const stop = stopSignal();

  let chat: Chat | undefined;
  let threads: Threads | undefined;
  const server = listen(config, () => chat);
  const port = server.addr.port;

  const database = await Promise.race([openDatabase(config, command, say), aborted(stop)]);
  if (database && await migrateWhenThere(database, stop, say)) {
    // Before the first thread answers: whoever comes then, comes to all.
    threads = await Threads.start({ config: { ...config, PORT: port }, socket: database.socket });
    chat = new Chat(database, config);
    const host = config.HOST === "127.0.0.1" ? "localhost" : config.HOST;
    say(`Linger is ready at http://${host}:${port}`);
    await aborted(stop);
  }

  say("Linger is shutting down");
  await Promise.all([threads?.drain(config.DRAIN_MS + CLOSING_MS), drain(server, chat, config.DRAIN_MS)]);
  await database?.close();
  say("Linger has stopped");
  Deno.exit(0); // a client that never reads its answer must not keep us
}

/** Brings the database up to date. */
async function bringUpToDate(config: Config): Promise<void> {
  const applied = await migrateOnce(await openDatabase(config, "migrate", say));
  say(applied.length > 0 ? `Applied ${applied.join(", ")}` : "The database is up to date");
}

/** Aborts on SIGINT and SIGTERM. Who asks twice means it, and is obeyed at once. */
function stopSignal(): AbortSignal {
  const stop = new AbortController();
  const obey = () => stop.signal.aborted ? Deno.exit(130) : stop.abort();
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, obey);
  return stop.signal;
}

function say(line: string): void {
  log("info", line);
}

try {
  const config = readConfig();
  const command = Deno.args[0] ?? "start";
  if (command === "migrate") await bringUpToDate(config);
  else if (command === "start" || command === "serve") await serve(config, command);
  else throw new ConfigError(`${command} is not one of start, serve, migrate`);
} catch (error) {
  log("error", error instanceof ConfigError ? error.message : `${error instanceof Error ? error.stack : error}`);
  Deno.exit(1);
}

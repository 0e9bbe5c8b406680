// Linger. `main.ts [start]` serves, with a PostgreSQL of its own where DATABASE_URL names none; `main.ts serve` serves
// and insists on DATABASE_URL; `main.ts migrate` brings that database up to date and ends.
import { createApp } from "./src/app.ts";
import { Chat } from "./src/chat/chat.ts";
import { type Config, ConfigError, readConfig } from "./src/config.ts";
import { migrate } from "./src/database/migrate.ts";
import { type Database, openDatabase } from "./src/database/open.ts";
import { log } from "./src/log.ts";
import { sleep, within } from "./src/sleep.ts";

const say = (line: string) => log("info", line);

/** Serves at once, answering 503 until the database is there; then chats, until a signal ends it. */
async function serve(config: Config, command: string): Promise<void> {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => stop.signal.aborted ? Deno.exit(130) : stop.abort()); // who asks twice means it
  }

  // postgres.js can throw out of its own timers when a connection dies in a bad moment. Its statements have deadlines that
  // see to them; nobody else must die of it.
  for (const type of ["error", "unhandledrejection"]) {
    addEventListener(type, (event) => {
      event.preventDefault();
      const { error, reason } = event as ErrorEvent & PromiseRejectionEvent;
      log("error", "Uncaught", { error: (error ?? reason)?.stack ?? `${error ?? reason}` });
    });
  }

  let chat: Chat | undefined;
  const server = Deno.serve({
    port: config.PORT,
    hostname: config.HOST,
    handler: createApp({ chat: () => chat, uploadTimeoutMs: config.UPLOAD_TIMEOUT_MS }).fetch,
    onListen: () => {},
  });
  const opening = openDatabase(config, command, say);
  const database = await Promise.race([opening, aborted(stop.signal)]);
  if (database && await migrateWhenThere(database, stop.signal)) {
    chat = new Chat(database, config);
    say(
      `Linger is ready at http://${config.HOST === "127.0.0.1" ? "localhost" : config.HOST}:${server.addr.port}`,
    );
    await aborted(stop.signal);
  }
  await drain(server, chat, config.DRAIN_MS);
  await database?.close();
  say("Linger has stopped");
  Deno.exit(0); // a client that never reads its answer must not keep us
}

/** Migrates as soon as the database can be reached. Returns false when `signal` aborted first. */
async function migrateWhenThere(database: Database, signal: AbortSignal): Promise<boolean> {
  for (let said = ""; !signal.aborted; await sleep(500, signal)) {
    const { sql, destroy } = database.openPool("migrate");
    signal.addEventListener("abort", destroy);
    try {
      for (const name of await migrate(sql)) say(`Applied migration ${name}`);
      return true;
    } catch (error) {
      if (`${error}` !== said) {
        log("error", "The database can't be migrated yet", { error: said = `${error}` });
      }
    } finally {
      signal.removeEventListener("abort", destroy);
      await destroy();
    }
  }
  return false;
}

/** Lets nobody in, answers those who wait, finishes what is under way. */
async function drain(server: Deno.HttpServer, chat: Chat | undefined, ms: number): Promise<void> {
  say("Linger is shutting down");
  const finished = server.shutdown(); // first: released before it, the waiters would come straight back
  chat?.drain();
  await within(finished, ms);
  await chat?.close();
  await within(finished, 500);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.aborted ? resolve() : signal.addEventListener("abort", () => resolve()));
}

try {
  const config = readConfig();
  const command = Deno.args[0] ?? "start";
  if (command === "migrate") {
    const database = await openDatabase(config, command, say);
    const { sql, destroy } = database.openPool("migrate");
    const applied = await migrate(sql).finally(destroy);
    say(applied.length > 0 ? `Applied ${applied.join(", ")}` : "The database is up to date");
  } else if (command === "start" || command === "serve") {
    await serve(config, command);
  } else {
    throw new ConfigError(`${command} is not one of start, serve, migrate`);
  }
} catch (error) {
  log(
    "error",
    error instanceof ConfigError ? error.message : `${error instanceof Error ? error.stack : error}`,
  );
  Deno.exit(1);
}

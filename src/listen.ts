// Where requests come in: the application on the port that the settings name. Deno's server stops listening for good at the first
// connection that it can't accept (too many open files, or a client that was too quick to leave), and says so to nobody who
// does not ask. A program that goes on then is alive, ready and deaf; so here the port is opened again.
import { createApp } from "./app.ts";
import type { Config } from "./config.ts";
import { Reminder } from "./reminder.ts";
import { whyNotListening } from "./host.ts";
import type { Identities } from "./identity/identities.ts";
import { Limits } from "./limits.ts";
import { log } from "./log.ts";
import { Origins } from "./origin.ts";
import type { ChatSource } from "./routes/started.ts";
import { sleep } from "./sleep.ts";

/** Pause before the port is opened again, in milliseconds, where that was in vain a moment ago. */
const PAUSE_MS = 200;

/** How long another program may have the port before this one has no use any more, in milliseconds. */
const PATIENCE_MS = 10_000;

/**
 * How long a server that has stopped listening keeps its connections, in milliseconds; then each is closed after its answer.
 * Longer than a poll: nobody who waits notices. What comes over a connection just then gets lost (denoland/deno#36809).
 */
const RETIRE_MS = 60_000;

/** Shortest time between two lines about this in the log, in milliseconds: at the limit of open files it goes on and on. */
const QUIET_MS = 10_000;

/** How a port is opened. */
export interface ListenOptions {
  /** With several threads the first opens the port, and the others join in. */
  readonly join?: boolean;
  /** Is told when nobody can come in any more, and nothing helps. */
  readonly lost: () => void;
  /** Who may do what; everybody may do everything if not given. */
  readonly identities?: Identities | undefined;
  /** How long a server that has stopped listening keeps its connections, in milliseconds; a minute if not given. */
  readonly retireMs?: number;
}

/** A server that lets requests in until it is told not to. */
export interface Listening {
  /**
   * Where it listens: the port also where a free one was taken, the name as the system has understood it; or what
   * `DENO_SERVE_ADDRESS` names, by which a platform moves the first server of a program.
   */
  readonly addr: Deno.Addr;
  /** Lets nobody in any more; resolves when all who were in are answered. */
  shutdown(): Promise<void>;
}

/**
 * Serves the chat that `chat` returns; as long as it returns none, requests are answered with 503.
 * @throws {ConfigError} when the port or the address is not to be had.
 * @internal
 */
export function listen(config: Config, chat: ChatSource["chat"], options: ListenOptions): Listening {
  const { join = false, lost, identities, retireMs = RETIRE_MS } = options;
  const { PORT, HOST: hostname, THREADS, UPLOAD_TIMEOUT_MS: uploadTimeoutMs, HEARTBEAT_MS: heartbeatMs } = config;
  let closing = 0; // servers that are being shut down
  const { fetch } = createApp({
    chat,
    uploadTimeoutMs,
    losesBodies: () => closing > 0,
    heartbeatMs,
    historyMaxAge: config.HISTORY_MAX_AGE,
    origins: new Origins(config),
    limits: new Limits(config),
    identities,
    signInUrl: config.SIGN_IN_URL,
  });
  const shared = THREADS > 1; // the kernel spreads connections over all who listen on a shared port
  const ended = new AbortController();
  let failed = -Infinity;
  let told = -Infinity;
  const reminder = new Reminder();
  // The one that listens, and those before it: they are deaf, but have clients who wait.
  const servers = new Set<Deno.HttpServer<Deno.NetAddr>>();

  function open({ port, hostname }: Pick<Deno.NetAddr, "port" | "hostname">): Deno.HttpServer<Deno.NetAddr> {
    const server = Deno.serve({ port, hostname, reusePort: shared, onListen: () => {} }, fetch);
    servers.add(server);
    const ending = server.finished.then(() => "The server has ended", (error) => error);
    ending.then((cause) => {
      if (ended.signal.aborted) return;
      retire(server);
      const { addr }: { addr: Deno.Addr } = server;
      if (addr.transport === "tcp") openAgain(addr, cause);
      else {
        log("error", "A connection could not be accepted", { address: addr, cause: `${cause}` });
        lost(); // only the first server of a program can listen there
      }
    });
    return server;
  }

  /** Lets go of a server that is deaf, once those who waited when it failed are answered. */
  async function retire(server: Deno.HttpServer<Deno.NetAddr>): Promise<void> {
    await sleep(retireMs, ended.signal);
    await close(server);
    servers.delete(server);
  }

  /** Closes each of its connections after its answer. */
  async function close(server: Deno.HttpServer<Deno.NetAddr>): Promise<void> {
    closing++;
    try {
      await server.shutdown();
    } finally {
      closing--;
    }
  }

  /** Where it was, which is not what the settings name if a platform has moved it. */
  async function openAgain(addr: Deno.NetAddr, cause: unknown): Promise<void> {
    const { port } = addr;
    const since = performance.now();
    let taken = Infinity; // since when another program has it
    let quiet = since - told < QUIET_MS;
    if (!quiet) {
      told = since;
      log("error", "A connection could not be accepted; the port is opened again", { port, cause: `${cause}` });
    }
    const again = since - failed < 2 * PAUSE_MS;
    failed = since;
    for (let pause = again ? PAUSE_MS : 0;; pause = PAUSE_MS) {
      await sleep(pause, ended.signal);
      if (ended.signal.aborted) return;
      try {
        open(addr);
        if (!quiet) log("info", "The port is open again", { port });
        return;
      } catch (error) {
        // Anything else passes: too many open files can last, and whoever is connected has a use for this program.
        const isTaken = error instanceof Deno.errors.AddrInUse;
        taken = isTaken ? Math.min(taken, performance.now()) : Infinity;
        if (performance.now() - taken > PATIENCE_MS) {
          log("error", "The port can't be opened again", { port, cause: `${error}` });
          return lost();
        }
        if (!reminder.isDue(`${error}`)) continue;
        quiet = false;
        log("error", "The port can't be opened yet, and is tried until it can", { port, cause: `${error}` });
      }
    }
  }

  try {
    // Where another program shares the port too, only a try that does not is told that it is in use.
    if (shared && !join) Deno.listen({ port: PORT, hostname }).close();
    const { addr } = open({ port: PORT, hostname });
    return {
      addr,
      shutdown: async () => {
        ended.abort();
        await Promise.allSettled([...servers].map(close));
      },
    };
  } catch (error) {
    throw whyNotListening(error, config);
  }
}

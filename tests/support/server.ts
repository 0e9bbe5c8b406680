// Linger for the tests, over real sockets: in this process, where a test can look inside, or as a process of its own,
// which can be killed.
import { join, resolve } from "node:path";
import { createApp } from "../../src/app.ts";
import { Chat } from "../../src/chat/chat.ts";
import type { Posted } from "../../src/chat/writer.ts";
import { migrateOnce } from "../../src/database/migrate.ts";
import { openIdentities } from "../../src/identity/identities.ts";
import { Limits } from "../../src/limits.ts";
import { Origins } from "../../src/origin.ts";
import { until } from "./client.ts";
import { opened, projectPath } from "./postgres.ts";

/** As without settings on this machine. */
export const LOCAL = new Origins({
  HOST: "127.0.0.1",
  ALLOWED_HOSTS: undefined,
  ALLOWED_ORIGINS: undefined,
  onDeploy: false,
});

/** Of a server without settings. */
export const LIMITS = new Limits({ POSTS_PER_MINUTE: 300, PLACES_PER_CLIENT: 200, PROXY_HOPS: 0, HOST: "127.0.0.1" });

/** Settings as they stand in the environment. */
export type Env = Record<string, string>;

/** A server in this process. */
export interface TestServer extends AsyncDisposable {
  /** Without a slash at the end. */
  readonly url: string;
  readonly chat: Chat;
}

/** Posts to `room` without going through HTTP. */
export function say(chat: Chat, body: string): Promise<Posted> {
  return chat.post("room", { bytes: body.length, read: () => ({ body, author: null, reply_to: null }) });
}

/** Starts a server in this process, on a free port. */
export async function startServer(databaseUrl: string, env: Env = {}): Promise<TestServer> {
  const { config, ...database } = await opened(databaseUrl, env);
  await migrateOnce(database);
  const chat = new Chat(database, config);
  const closing = new AbortController();
  const app = createApp({
    chat: () => chat,
    uploadTimeoutMs: config.UPLOAD_TIMEOUT_MS,
    heartbeatMs: config.HEARTBEAT_MS,
    historyMaxAge: config.HISTORY_MAX_AGE,
    origins: new Origins(config),
    limits: new Limits(config),
    identities: await openIdentities(config, closing.signal),
  });
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    app.fetch,
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    chat,
    [Symbol.asyncDispose]: async () => {
      closing.abort();
      const finished = server.shutdown();
      await chat.close();
      await finished;
    },
  };
}

/** A server that is a process of its own. */
export interface ServerProcess extends AsyncDisposable {
  /** Without a slash at the end. */
  readonly url: string;
  readonly pid: number;
  readonly status: Promise<Deno.CommandStatus>;
  /** What it has logged so far. */
  log(): string;
  kill(signal: Deno.Signal): void;
}

/** Starts `main.ts serve` on a free port; resolves when it is ready. */
export async function spawnServer(databaseUrl: string, env: Env = {}, script = "main.ts"): Promise<ServerProcess> {
  return await whenReady(spawnStarting(databaseUrl, { PORT: "0", ...env }, script));
}

/** Starts a server of the version before, which knows the database's shape of that time, out of its own directory. */
export async function spawnVersionBefore(databaseUrl: string, env: Env = {}): Promise<ServerProcess> {
  const directory = await Deno.makeTempDir({ prefix: "linger-before-" });
  const archive = projectPath("tests/fixtures/version_before.tgz");
  const { success } = await new Deno.Command("tar", { args: ["-xzf", archive, "-C", directory] }).output();
  if (!success) throw new Error("The version before could not be unpacked");
  const server = await whenReady(spawnStarting(databaseUrl, { PORT: "0", ...env }, join(directory, "main.ts")));
  const stop = server[Symbol.asyncDispose];
  return {
    ...server,
    [Symbol.asyncDispose]: async () => {
      await stop();
      await Deno.remove(directory, { recursive: true });
    },
  };
}

async function whenReady(server: ServerProcess & { ready: Promise<string> }): Promise<ServerProcess> {
  try {
    return { ...server, url: await server.ready };
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
}

/**
 * Starts a server without waiting until it is ready; with a `PORT`, it can be asked before. `via` is what stands before its command,
 * and becomes the process; `flags` are further ones of Deno's.
 */
export function spawnStarting(
  databaseUrl: string,
  env: Env,
  script = "main.ts",
  command = "serve",
  via: readonly string[] = [],
  flags: readonly string[] = [],
): ServerProcess & { ready: Promise<string> } {
  const [program, ...args] = [
    ...via,
    ...[Deno.execPath(), "run", "-A", "--frozen", "--quiet", ...flags, resolve(projectPath("."), script), command],
  ];
  const child = new Deno.Command(program!, {
    args,
    cwd: projectPath("."),
    env: { DATABASE_URL: databaseUrl, ...env },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let log = "";
  const ready = Promise.withResolvers<string>();
  const reading = (async () => {
    for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
      log += text;
      const port = log.match(/ready at http:\/\/[^:\s]+:(\d+)/)?.[1];
      if (port) ready.resolve(`http://127.0.0.1:${port}`);
    }
    ready.reject(new Error(`The server ended before it was ready:\n${log}`));
  })();
  ready.promise.catch(() => {});
  const kill = (signal: Deno.Signal) => {
    try {
      child.kill(signal);
    } catch { /* it has ended already */ }
  };
  const stop = async () => {
    kill("SIGKILL");
    await child.status;
    await reading;
  };
  return {
    url: `http://127.0.0.1:${env.PORT}`,
    ready: ready.promise,
    pid: child.pid,
    status: child.status,
    log: () => log,
    kill,
    [Symbol.asyncDispose]: stop,
  };
}

/** Resolves to the exit code; fails when the process is not gone in the end. (How soon it is, torture sees.) */
export async function exitCode({ status }: Pick<ServerProcess, "status">): Promise<number> {
  let code: number | undefined;
  status.then((status) => code = status.code);
  await until(() => code !== undefined, "the process is gone");
  return code!;
}

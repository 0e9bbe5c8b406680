// Linger and its rivals, each a process of its own on a port of its own.
import { join } from "node:path";
import { spawnServer } from "../tests/support/server.ts";
import { freePort } from "../tests/support/postgres.ts";
import { getRequest, type Loaded, postRequest, streamRequest } from "./load.ts";
import { BODY, type Rig } from "./rig.ts";

/** A running server. */
export interface Server extends Loaded, AsyncDisposable {}

/** How to start each. */
export const start = {
  /** Linger as it is served, but for room for the waiters. */
  Linger: (rig: Rig, env: Record<string, string> = {}) => deno(rig, "main.ts", { MAX_WAITERS: "20000", ...env }),
  /** The same on both cores. */
  "Linger, 2 threads": (rig: Rig) => start.Linger(rig, { THREADS: "2" }),
  /** The least that long polling takes in Deno. */
  bare: (rig: Rig, env: Record<string, string> = {}) => deno(rig, "bench/rivals/bare.ts", env),
  /** The same with Hono. */
  "bare + Hono": (rig: Rig) => deno(rig, "bench/rivals/bare_hono.ts"),
  /** Hono and postgres.js, an insert for each post. */
  naive: (rig: Rig) => deno(rig, "bench/rivals/naive.ts"),
  /** The design that Linger grew out of: every waiter asks the database once a second, ten times. */
  article: (rig: Rig) =>
    deno(rig, "tests/support/article_server.ts", {}, "/messages?after=00000000-0000-0000-0000-000000000000"),
  /** nginx with its module for long polling, in C. */
  Nchan: (rig: Rig) => startNchan(rig, 1),
  /** The same on both cores. */
  "Nchan, 2 workers": (rig: Rig) => startNchan(rig, 2),
};

/** Starts Linger out of another directory; out of this one if it is empty. */
export function startVersion(rig: Rig, directory: string): Promise<Server> {
  return deno(rig, join(directory, "main.ts"), { MAX_WAITERS: "20000" });
}

/** Starts several at once. */
export async function startAll<Name extends keyof typeof start>(
  rig: Rig,
  names: readonly Name[],
): Promise<Record<Name, Server> & AsyncDisposable> {
  await using running = new AsyncDisposableStack();
  const servers = {} as Record<Name, Server>;
  for (const name of names) servers[name] = running.use(await start[name](rig));
  const kept = running.move();
  return Object.assign(servers, { [Symbol.asyncDispose]: () => kept.disposeAsync() });
}

/** What measures each of these servers, to be done in turn. */
export function atEach<Name extends string, T>(
  servers: Record<Name, Server>,
  names: readonly Name[],
  measure: (server: Server) => Promise<T>,
): Record<Name, () => Promise<T>> {
  return Object.fromEntries(names.map((name) => [name, () => measure(servers[name])])) as Record<
    Name,
    () => Promise<T>
  >;
}

/** Resident memory of a process, in KiB. */
export async function residentKiB({ pid }: Loaded): Promise<number> {
  return Number((await Deno.readTextFile(`/proc/${pid}/status`)).match(/VmRSS:\s+(\d+)/)![1]);
}

/** How long a process has run on all threads since its start, in milliseconds. */
export async function cpuMs({ pid }: Pick<Loaded, "pid">): Promise<number> {
  const fields = (await Deno.readTextFile(`/proc/${pid}/stat`)).replace(/.*\) /, "").split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10; // ticks, of which Linux tells 100 a second
}

async function deno(
  rig: Rig,
  script: string,
  env: Record<string, string> = {},
  poll = "/rooms/%room/messages?after=now&wait=55",
): Promise<Server> {
  const { url, pid, [Symbol.asyncDispose]: stop } = await spawnServer(rig.url, env, script);
  return {
    port: Number(new URL(url).port),
    pid,
    poll: getRequest(poll),
    stream: streamRequest("/rooms/%room/events?after=now"),
    post: postRequest("/rooms/%room/messages", BODY),
    [Symbol.asyncDispose]: stop,
  };
}

async function startNchan(rig: Rig, workers: number): Promise<Server> {
  const port = freePort();
  const directory = await Deno.makeTempDir({ dir: rig.home, prefix: "nginx-" });
  const places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${directory};`);
  const config = await rig.write(`
    load_module ${rig.programs.nchan};
    ${Deno.uid() === 0 ? "user root;" : ""}
    daemon off;
    worker_processes ${workers};
    worker_rlimit_nofile ${rig.files};
    pid ${directory}/pid;
    error_log ${directory}/error.log;
    events { worker_connections ${rig.files - 500}; }
    http {
      access_log off;
      keepalive_requests 1000000;
      nchan_shared_memory_size 512M;
      ${places.join(" ")}
      server {
        listen 127.0.0.1:${port};
        location = /static { default_type application/json; return 200 "{}"; }
        location ~ ^/rooms/(\\w+)/messages$ {
          nchan_subscriber longpoll;
          nchan_channel_id $1;
          nchan_subscriber_first_message newest;
        }
        location ~ ^/rooms/(\\w+)/events$ {
          nchan_subscriber eventsource;
          nchan_channel_id $1;
          nchan_subscriber_first_message newest;
        }
        location ~ ^/publish/(\\w+)$ { nchan_publisher; nchan_channel_id $1; nchan_message_timeout 1m; }
      }
    }`);
  const child = new Deno.Command(rig.programs.nginx, {
    args: ["-e", `${directory}/error.log`, "-c", config],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const stop = async () => {
    try {
      child.kill("SIGTERM"); // not SIGKILL, which would leave its worker behind
    } catch { /* it has ended already */ }
    await child.status;
  };
  try {
    return {
      port,
      pid: await workerOf(child, rig),
      poll: getRequest("/rooms/%room/messages?after=now&wait=55"),
      stream: streamRequest("/rooms/%room/events"),
      post: postRequest("/publish/%room", BODY),
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The process that serves, or the first of them: nginx's first child. */
async function workerOf({ pid }: Deno.ChildProcess, rig: Rig): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const children = await Deno.readTextFile(`/proc/${pid}/task/${pid}/children`).catch(() => "");
    if (children.trim()) {
      await rig.pause(100); // it listens already; this is for its own start
      return Number(children.trim().split(" ")[0]);
    }
    await rig.pause(50);
  }
  throw new Error("nginx did not start");
}

// Linger and its rivals, each a process of its own on a port of its own.
import { join } from "node:path";
import { NIL } from "../src/chat/cursor.ts";
import { spawnServer } from "../tests/support/server.ts";
import { freePort } from "../tests/support/postgres.ts";
import { startDurableStreams } from "./durable-streams.ts";
import { getRequest, type Loaded, postRequest, streamRequest } from "./load.ts";
import { startNginx } from "./nginx.ts";
import { childOf } from "./program.ts";
import { startPushpin } from "./pushpin.ts";
import { BODY, type Rig } from "./rig.ts";

/** A running server. */
export interface Server extends Loaded, AsyncDisposable {}

/** How to start each. */
export const start = {
  /** Linger as it is served, but for room for the waiters. */
  Linger: (rig: Rig, env: Record<string, string> = {}) => startRival(rig, "main.ts", { MAX_WAITERS: "20000", ...env }),
  /** The same on both cores. */
  "Linger, 2 threads": (rig: Rig) => start.Linger(rig, { THREADS: "2" }),
  /** The least that long polling takes in Deno. */
  bare: (rig: Rig, env: Record<string, string> = {}) => startRival(rig, "bench/rivals/bare.ts", env),
  /** The same with Hono. */
  "bare + Hono": (rig: Rig) => startRival(rig, "bench/rivals/bare_hono.ts"),
  /** Hono and postgres.js, an insert for each post. */
  naive: (rig: Rig) => startRival(rig, "bench/rivals/naive.ts"),
  /** The design that Linger grew out of: every waiter asks the database once a second, ten times. */
  article: (rig: Rig) => startRival(rig, "tests/support/article_server.ts", {}, `/messages?after=${NIL}`),
  /** nginx with its module for long polling, in C. */
  Nchan: (rig: Rig) => startNchan(rig, 1),
  /** The same on both cores. */
  "Nchan, 2 workers": (rig: Rig) => startNchan(rig, 2),
  /** A proxy that holds requests for a server behind it. */
  Pushpin: startPushpin,
  /** The reference server of the Durable Streams protocol. */
  "Durable Streams, in memory": (rig: Rig) => startDurableStreams(rig, false),
  /** The same, keeping them. */
  "Durable Streams, on disk": (rig: Rig) => startDurableStreams(rig, true),
};

/** Starts Linger out of another directory; out of this one if it is empty. */
export function startVersion(rig: Rig, directory: string): Promise<Server> {
  return startRival(rig, join(directory, "main.ts"), { MAX_WAITERS: "20000" });
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

/** How many rounds a process is measured for. Two of one program can differ by a quarter, and each stays as it is. */
const ROUNDS_OF_A_PROCESS = 3;

/** Takes samples of servers in turn, as {@linkcode Rig.interleave} does, but starts them anew every few rounds. */
export async function interleaveAnew<Name extends string, T>(
  rig: Rig,
  starts: Record<Name, () => Promise<Server>>,
  measure: (server: Server, name: Name) => Promise<T>,
): Promise<Record<Name, T[]>> {
  const names = Object.keys(starts) as Name[];
  const samples = Object.fromEntries(names.map((name) => [name, [] as T[]])) as Record<Name, T[]>;
  const { rounds } = rig.options;
  for (let done = 0; done < rounds; done += ROUNDS_OF_A_PROCESS) {
    await using running = new AsyncDisposableStack();
    const takers = {} as Record<Name, () => Promise<T>>;
    for (const name of names) {
      const server = running.use(await starts[name]());
      takers[name] = () => measure(server, name);
      await takers[name](); // warms up
    }
    const taken = await rig.interleave(takers, Math.min(ROUNDS_OF_A_PROCESS, rounds - done));
    for (const name of names) samples[name].push(...taken[name]);
  }
  return samples;
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

/** Starts a server that is a script of Deno's, on a free port. */
export async function startRival(
  rig: Rig,
  script: string,
  env: Record<string, string> = {},
  poll = "/rooms/%room/messages?after=now&wait=55",
  databaseUrl = rig.url,
): Promise<Server> {
  const { url, pid, [Symbol.asyncDispose]: stop } = await spawnServer(databaseUrl, env, script);
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
  const { pid, [Symbol.asyncDispose]: stop } = await startNginx(
    rig,
    port,
    `nchan_shared_memory_size 512M;
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
      }`,
    `load_module ${rig.programs.nchan}; worker_processes ${workers};`,
  );
  return {
    port,
    pid: await childOf(rig, pid, "nginx"), // one of those that serve
    poll: getRequest("/rooms/%room/messages?after=now&wait=55"),
    stream: streamRequest("/rooms/%room/events"),
    post: postRequest("/publish/%room", BODY),
    [Symbol.asyncDispose]: stop,
  };
}

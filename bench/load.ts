// Drives load.c, which puts the load on a server from a process of its own.
import type { Rig } from "./rig.ts";

/** Times of one round of news, in milliseconds since the post was sent. */
export interface Round {
  readonly first: number;
  readonly half: number;
  readonly last: number;
  readonly acknowledged: number;
  /** Milliseconds that the server's main thread ran meanwhile. */
  readonly cpu: number;
}

/** The same where the clients come straight back. */
export interface Cycle extends Round {
  /** The longest time that the probe took; 0 without one. */
  readonly longest: number;
  /** Milliseconds that the server's main thread ran until all waited again. */
  readonly cycle: number;
}

/** A closed loop's throughput, and its times in milliseconds. */
export interface Loop {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** A server as the load sees it. */
export interface Loaded {
  readonly port: number;
  /** The process that does the work. */
  readonly pid: number;
  /** The request that waits for news; %room in it is a room. */
  readonly poll: string;
  /** The request that opens a stream of news; %room in it is a room. */
  readonly stream: string;
  /** The request that is news. */
  readonly post: string;
}

/** How long waiters need until they all wait, in milliseconds. */
export function settling(waiters: number): number {
  return 500 + waiters / 4;
}

/** Rounds of news in each turn. */
export const NEWS = 3;

/** Parks waiters, posts once, and sees when each has it, again and again over the same connections. */
export function fanout(rig: Rig, server: Loaded, waiters: number, rounds: number): Promise<Round[]> {
  return run(rig, "fanout", server, server.poll, waiters, rounds);
}

/**
 * The same with clients that come straight back. A `probe` is a request that one more connection asks over and over, as long as some
 * wait for their answer.
 */
export async function cycle(
  rig: Rig,
  server: Loaded,
  waiters: number,
  rounds: number,
  probe?: string,
): Promise<Cycle[]> {
  const env = { BACK: "1", ...probe ? { PROBE: await rig.write(probe) } : {} };
  return await run<Cycle>(rig, "fanout", server, server.poll, waiters, rounds, env);
}

/** Opens streams, posts once, and sees when the message has come on each, again and again. */
export function streams(rig: Rig, server: Loaded, count: number, rounds: number): Promise<Round[]> {
  return run(rig, "streams", server, server.stream, count, rounds);
}

async function run<R extends Round>(
  rig: Rig,
  command: "fanout" | "streams",
  server: Loaded,
  request: string,
  count: number,
  rounds: number,
  env: Record<string, string> = {},
): Promise<R[]> {
  const files = [await rig.write(request), await rig.write(server.post)];
  const args = [command, server.port, ...files, count, rounds, settling(count)];
  const out = await rig.run(`${rig.home}/load`, args, { PID: `${server.pid}`, ...env });
  return out.trim().split("\n").map((line) => JSON.parse(line));
}

/** Asks over and over; every answer must be 2xx. */
export async function loop(
  rig: Rig,
  port: number,
  request: string,
  connections: number,
  seconds: number,
  rooms = 1,
): Promise<Loop> {
  const args = ["loop", port, await rig.write(request), connections, seconds];
  const result = JSON.parse(await rig.run(`${rig.home}/load`, args, { ROOMS: `${rooms}` }));
  if (result.refused > 0) throw new Error(`${result.refused} requests were not answered with 2xx`);
  return result;
}

/** From a post sent to one server until another client's poll at the other is answered. */
export async function ping(
  rig: Rig,
  waits: Loaded,
  posts: Loaded,
  times: number,
): Promise<{ p50: number; p99: number }> {
  const files = [await rig.write(waits.poll), await rig.write(posts.post)];
  return JSON.parse(await rig.run(`${rig.home}/load`, ["ping", waits.port, posts.port, ...files, times]));
}

/** Reads page after page until there are no more. */
export async function follow(
  rig: Rig,
  port: number,
  path: string,
  query: string,
): Promise<{ pages: number; ms: number }> {
  return JSON.parse(await rig.run(`${rig.home}/load`, ["follow", port, path, query]));
}

/** Keeps polls waiting until it is disposed of. Resolves when all have been sent and had time to arrive. */
export async function hold(
  rig: Rig,
  server: Loaded,
  waiters: number,
  { rooms = 1, request = server.poll }: { rooms?: number; request?: string } = {},
): Promise<AsyncDisposable> {
  const child = new Deno.Command(`${rig.home}/load`, {
    args: ["hold", server.port, await rig.write(request), waiters].map(String),
    env: { ROOMS: `${rooms}` },
    stdin: "piped",
    stdout: "piped",
    signal: rig.options.stop,
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const held: AsyncDisposable = {
    [Symbol.asyncDispose]: async () => {
      await child.stdin.close().catch(() => {}); // it may have ended already
      await lines.cancel();
      await child.status;
    },
  };
  if ((await lines.read()).done) throw new Error("The waiters could not be parked");
  await rig.pause(settling(waiters));
  return held;
}

/** A GET as bytes on the wire; `more` are lines of headers. */
export function getRequest(path: string, more = ""): string {
  return `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`;
}

/** A GET of an event stream. */
export function streamRequest(path: string): string {
  return getRequest(path, "Accept: text/event-stream\r\n");
}

/** A POST of a message as bytes on the wire. */
export function postRequest(path: string, body: string): string {
  const json = JSON.stringify({ body });
  return `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${json.length}\r\n\r\n${json}`;
}

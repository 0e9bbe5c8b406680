// Whether a waiter, a post and a room cost the same however many there are; and the curves of all servers beside.
import { fanout, hold, loop, type Round } from "./load.ts";
import { pgbench } from "./pgbench.ts";
import type { Plot } from "./plots.ts";
import { CONNECTIONS } from "./posts.ts";
import type { Rig } from "./rig.ts";
import { residentKiB, start, startAll } from "./servers.ts";
import { digits, type Findings, median, type Target } from "./table.ts";

type Curve = [x: number, y: number][];

interface News {
  /** Linger's CPU for each waiter, in microseconds. */
  readonly cpu: Curve;
  /** Linger's time from the first waiter's answer to the last's, for each waiter, in microseconds: the post itself is apart. */
  readonly each: Curve;
  /** Everybody's milliseconds until the last has the news. */
  readonly last: Record<string, Curve>;
}

/** How much dearer the dearest may be than the cheapest. */
const FLAT = 1.2;

/** Measures growth. */
export async function measureGrowth(rig: Rig): Promise<Findings> {
  const sizes = rig.size([1_000, 2_000, 5_000, 10_000, 18_000], [100, 200]).filter((size) => size <= rig.files - 1_000);
  const news = await newsOverWaiters(rig, sizes);
  const memory = await memoryOverWaiters(rig, sizes);
  await rig.clear();
  const stored = await postsOverStored(rig);
  await rig.clear();
  const rooms = await postsOverRooms(rig);
  await rig.clear();
  const connections = await postsOverConnections(rig);

  const table = (what: string, curve: Curve) => curve.map(([x, y]) => [`${x.toLocaleString("en")} ${what}`, digits(y)]);
  return {
    title: "Growth",
    text: "Medians. CPU is what the server's main thread ran for one post that goes to all, divided by the waiters.",
    head: ["", ""],
    rows: [
      ...table("waiters: µs of CPU for each", news.cpu),
      ...table("waiters: µs from the first's answer to the last's, for each", news.each),
      ...table("waiters beside a thousand others: KiB for each", memory),
      ...table("stored messages in the room: posts/s", stored),
      ...table("rooms: posts/s", rooms),
    ],
    targets: [
      flat("CPU per waiter", news.cpu),
      flat("time of news per waiter", news.each),
      flat("memory per waiter", memory),
      flat("posts/s over stored messages", stored),
      flat("posts/s over rooms", rooms),
    ],
    plots: [
      {
        name: "fanout",
        title: "From a post until the last waiter has it",
        x: "waiters",
        y: "milliseconds",
        curves: news.last,
      },
      {
        name: "posts",
        title: "Posts acknowledged per second",
        x: "connections",
        y: "posts/s",
        curves: connections,
        logarithmic: true,
      },
      {
        name: "stored",
        title: `Posts per second into a room that holds many messages, ${CONNECTIONS} connections`,
        x: "messages in the room",
        y: "posts/s",
        curves: { Linger: stored },
        logarithmic: true,
      },
      {
        name: "rooms",
        title: `Posts per second over rooms, ${CONNECTIONS} connections`,
        x: "rooms",
        y: "posts/s",
        curves: { Linger: rooms },
        logarithmic: true,
      },
      {
        name: "memory",
        title: "Memory per waiter",
        x: "waiters",
        y: "KiB",
        curves: { Linger: memory },
      },
    ] satisfies Plot[],
  };
}

/** News to crowds of several sizes, by each server in turn; Linger's is taken thrice in a round, since it is what is judged. */
async function newsOverWaiters(rig: Rig, sizes: number[]): Promise<News> {
  await using servers = await startAll(rig, ["Linger", "bare", "bare + Hono", "Nchan"]);
  const names = ["Linger", "bare", "bare + Hono", "Nchan"] as const;
  for (const name of names) await fanout(rig, servers[name], sizes[0]!, 10); // warms up
  const turns = sizes.flatMap((size) =>
    names.map((name) =>
      [`${name}, ${size}`, () => fanout(rig, servers[name], size, name === "Linger" ? 3 : 1)] as const
    )
  );
  const samples = await rig.interleave(Object.fromEntries(turns));
  const curve = (name: string, of: (round: Round) => number): Curve =>
    sizes.map((size) => [size, median(samples[`${name}, ${size}`]!.flat().map(of))]);
  const eachOf = (curve: Curve): Curve => curve.map(([waiters, ms]) => [waiters, ms / waiters * 1000]);
  return {
    cpu: eachOf(curve("Linger", ({ cpu }) => cpu)),
    each: eachOf(curve("Linger", ({ first, last }) => last - first)),
    last: Object.fromEntries(names.map((name) => [name, curve(name, ({ last }) => last)])),
  };
}

async function memoryOverWaiters(rig: Rig, sizes: number[]): Promise<Curve> {
  const curve: Curve = [];
  for (const size of sizes) {
    console.error(`  memory of ${size} waiters`);
    await using server = await start.Linger(rig);
    // What a process takes for its first waiters it has room for many in: only beyond them a waiter shows.
    await using _first = await hold(rig, server, 1_000);
    const before = await residentKiB(server);
    await using _waiters = await hold(rig, server, size);
    curve.push([size, (await residentKiB(server) - before) / size]);
  }
  return curve;
}

async function postsOverStored(rig: Rig): Promise<Curve> {
  const sizes = rig.size([1_000, 10_000, 100_000, 1_000_000, 10_000_000], [1_000, 10_000]);
  await using server = await start.Linger(rig);
  for (const [i, size] of sizes.entries()) {
    console.error(`  ${size} stored messages`);
    await rig.fill(`room${i}`, size);
  }
  const post = (i: number) => () => postsPerSecond(rig, server.port, server.post.replace("%room", `room${i}`));
  await post(0)(); // warms up
  return await curveOf(rig, sizes, post);
}

async function postsOverRooms(rig: Rig): Promise<Curve> {
  const sizes = rig.size([1, 10, 100, 1_000, 10_000], [1, 10]);
  await using server = await start.Linger(rig);
  const post = (i: number) => () => postsPerSecond(rig, server.port, server.post, sizes[i]);
  await post(sizes.length - 1)(); // warms up, and makes the rooms
  return await curveOf(rig, sizes, post);
}

async function postsOverConnections(rig: Rig): Promise<Record<string, Curve>> {
  const sizes = rig.size([1, 4, 16, 64, 256], [1, 16]);
  await using servers = await startAll(rig, ["Linger", "naive"]);
  const { Linger, naive } = servers;
  const seconds = rig.size(3, 1);
  for (const { port, post } of [Linger, naive]) await loop(rig, port, post, CONNECTIONS, seconds); // warms up
  const over = (take: (connections: number) => Promise<number>) => curveOf(rig, sizes, (i) => () => take(sizes[i]!));
  return {
    Linger: await over((connections) => postsPerSecond(rig, Linger.port, Linger.post, 1, connections)),
    "pgbench, single rows": await over(async (connections) => (await pgbench(rig, connections, seconds)).perSecond),
    "Hono and postgres.js, an insert each": await over((connections) =>
      postsPerSecond(rig, naive.port, naive.post, 1, connections)
    ),
  };
}

async function postsPerSecond(
  rig: Rig,
  port: number,
  request: string,
  rooms = 1,
  connections = CONNECTIONS,
): Promise<number> {
  return (await loop(rig, port, request, connections, rig.size(3, 1), rooms)).perSecond;
}

/** The median at each size, taken in turn. */
async function curveOf(rig: Rig, sizes: number[], taker: (i: number) => () => Promise<number>): Promise<Curve> {
  const samples = await rig.interleave(Object.fromEntries(sizes.map((size, i) => [`${size}`, taker(i)])));
  return sizes.map((size) => [size, median(samples[size]!)]);
}

/** Flat is what nowhere differs much. */
function flat(what: string, curve: Curve): Target {
  const values = curve.map(([, y]) => y);
  return {
    what: `${what}: most / least`,
    measured: Math.max(...values) / Math.min(...values),
    bound: { atMost: FLAT },
  };
}

// Whether a waiter, a post and a room cost the same however many there are; and the curves of all servers beside.
import { fanout, hold, loop } from "./load.ts";
import { pgbench } from "./pgbench.ts";
import type { Plot } from "./plots.ts";
import { CONNECTIONS } from "./posts.ts";
import type { Rig } from "./rig.ts";
import { residentKiB, start, startAll } from "./servers.ts";
import { digits, type Findings, median, type Target } from "./table.ts";

type Curve = [x: number, y: number][];

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
      ...table("waiters: µs until the last has it, for each", perWaiter(news.last.Linger!)),
      ...table("waiters beside a thousand others: KiB for each", memory),
      ...table("stored messages in the room: posts/s", stored),
      ...table("rooms: posts/s", rooms),
    ],
    targets: [
      flat("CPU per waiter", news.cpu),
      flat("time of news per waiter", perWaiter(news.last.Linger!)),
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

/** Linger's CPU for each waiter in microseconds, and everybody's milliseconds until the last has the news. */
async function newsOverWaiters(rig: Rig, sizes: number[]): Promise<{ cpu: Curve; last: Record<string, Curve> }> {
  await using servers = await startAll(rig, ["Linger", "bare", "bare + Hono", "Nchan"]);
  const names = ["Linger", "bare", "bare + Hono", "Nchan"] as const;
  const last: Record<string, Curve> = Object.fromEntries(names.map((name) => [name, []]));
  const cpu: Curve = [];
  for (const name of names) await fanout(rig, servers[name], sizes[0]!, 10); // warms up
  for (const size of sizes) {
    for (const name of names) {
      console.error(`  news to ${size}: ${name}`);
      const rounds = await fanout(rig, servers[name], size, rig.options.rounds);
      last[name]!.push([size, median(rounds.map((round) => round.last))]);
      if (name === "Linger") cpu.push([size, median(rounds.map((round) => round.cpu)) / size * 1000]);
    }
  }
  return { cpu, last };
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

const perWaiter = (milliseconds: Curve): Curve => milliseconds.map(([waiters, ms]) => [waiters, ms / waiters * 1000]);

/** Flat is what nowhere differs much. */
function flat(what: string, curve: Curve): Target {
  const values = curve.map(([, y]) => y);
  return {
    what: `${what}: most / least`,
    measured: Math.max(...values) / Math.min(...values),
    bound: { atMost: FLAT },
  };
}

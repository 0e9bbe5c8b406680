// Posts acknowledged in a second, beside single-row inserts by pgbench, and beside what the pieces can do alone.
import { getRequest, type Loop, loop } from "./load.ts";
import { type Inserts, pgbench } from "./pgbench.ts";
import type { Rig } from "./rig.ts";
import { startAll } from "./servers.ts";
import { digits, type Findings, median, ratio } from "./table.ts";

/** Connections in a closed loop. */
export const CONNECTIONS = 64;

/** Measures posts. */
export async function measurePosts(rig: Rig): Promise<Findings> {
  await using servers = await startAll(rig, ["Linger", "naive", "bare + Hono", "Nchan"]);
  const { Linger, naive, "bare + Hono": ceiling, Nchan: nginx } = servers;
  const seconds = rig.size(4, 1);
  const posts = (server: { port: number; post: string }, rooms = 1) => () =>
    loop(rig, server.port, server.post, CONNECTIONS, seconds, rooms);
  for (const server of [Linger, naive, ceiling]) await posts(server)(); // warms up
  await posts(Linger, 100)();

  const samples: Record<string, (Loop | Inserts)[]> = await rig.interleave<string, Loop | Inserts>({
    "Linger, one room": posts(Linger),
    "Linger, 100 rooms": posts(Linger, 100),
    "pgbench, single rows": () => pgbench(rig, CONNECTIONS, seconds),
    "Hono and postgres.js, an insert each": posts(naive),
    "Hono, storing nothing": posts(ceiling),
    "nginx, GET of two bytes: what the load can do": () =>
      loop(rig, nginx.port, getRequest("/static"), CONNECTIONS, seconds),
  });
  const rates = (name: string) => samples[name]!.map(({ perSecond }) => perSecond);
  const slowest = (name: string) => samples[name]!.map(({ p99 }) => p99);
  const single = "pgbench, single rows";
  return {
    title: "Posts",
    text:
      `${CONNECTIONS} connections in a closed loop for ${seconds} s, bodies of 100 bytes, every post acknowledged after its commit. ` +
      "pgbench: prepared single-row inserts over as many connections, one commit each.",
    head: ["", "per second", "/ pgbench", "p50 ms", "p99 ms"],
    rows: Object.entries(samples).map(([name, taken]) => [
      name,
      digits(median(rates(name))),
      digits(ratio(rates(name), rates(single))),
      digits(median(taken.map(({ p50 }) => p50))),
      digits(median(slowest(name))),
    ]),
    targets: ["Linger, one room", "Linger, 100 rooms"].flatMap((name) => [
      { what: `posts/s: ${name} / pgbench`, measured: ratio(rates(name), rates(single)), bound: { atLeast: 1.5 } },
      { what: `posts' p99: ${name} / pgbench`, measured: ratio(slowest(name), slowest(single)), bound: { atMost: 3 } },
    ]),
  };
}

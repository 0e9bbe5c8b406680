// Linger beside programs that people take for the same work, each with what it promises for it.
import { fanout, loop, NEWS, ping } from "./load.ts";
import { CONNECTIONS } from "./posts.ts";
import type { Rig } from "./rig.ts";
import { atEach, type Server, startAll } from "./servers.ts";
import { digits, type Findings, median, ratio, type Target } from "./table.ts";

/** What each does with a message that it has acknowledged: where it is kept, in whose order it comes, and from how many servers. */
const PROMISES = {
  Linger: "on disk, one order, any number of servers",
  naive: "on disk, no order",
  "Durable Streams, on disk": "in files, one order, one server",
  "Durable Streams, in memory": "in memory, one order, one server",
  Nchan: "in memory, one order, one server",
  Pushpin: "nowhere",
} as const;

const names = Object.keys(PROMISES) as (keyof typeof PROMISES)[];

/** Those that have polls that wait. */
const waiting = names.filter((name) => name !== "naive");

/** Measures them. */
export async function measureProducts(rig: Rig): Promise<Findings> {
  await using servers = await startAll(rig, names);
  const waiters = rig.waiters(10_000, 200);
  const times = rig.size(300, 20);
  const seconds = rig.size(4, 1);
  const last = async (server: Server, count: number, rounds: number) =>
    median((await fanout(rig, server, count, rounds)).map(({ last }) => last));
  const delivered = async (server: Server) => (await ping(rig, server, server, times)).p50;
  const posts = async (server: Server) => (await loop(rig, server.port, server.post, CONNECTIONS, seconds)).perSecond;
  for (const name of waiting) await last(servers[name], rig.size(1_000, 50), 3); // warms up

  const fanouts = await rig.interleave(atEach(servers, waiting, (server) => last(server, waiters, NEWS)));
  const deliveries = await rig.interleave(atEach(servers, waiting, delivered));
  // Last: Pushpin goes on sending what was posted for a while.
  for (const name of names) await posts(servers[name]);
  const rates = await rig.interleave(atEach(servers, names, posts));
  const onDisk = names.filter((name) => name !== "Linger" && / disk|files/.test(PROMISES[name]));
  const of = (samples: Partial<Record<string, number[]>>, name: string) => samples[name];
  const cells = (samples: Partial<Record<string, number[]>>, name: string) => {
    const taken = of(samples, name);
    return taken ? [digits(median(taken)), digits(ratio(of(samples, "Linger")!, taken))] : ["", ""];
  };
  return {
    title: "Other programs",
    text:
      `Milliseconds from a post until the last of ${
        waiters.toLocaleString("en")
      } polls is answered; from a post until one poll is, ` +
      `p50, on a quiet server; posts acknowledged per second over ${CONNECTIONS} connections; beside each, Linger's divided by it.`,
    head: [
      "",
      "what was acknowledged is kept",
      "fan-out",
      "Linger / it",
      "delivery",
      "Linger / it",
      "posts/s",
      "Linger / it",
    ],
    rows: names.map((name) => [
      name,
      PROMISES[name],
      ...cells(fanouts, name),
      ...cells(deliveries, name),
      ...cells(rates, name),
    ]),
    targets: onDisk.flatMap((name) => {
      const target = (what: string, samples: Partial<Record<string, number[]>>, bound: Target["bound"]) =>
        of(samples, name)
          ? [{ what: `${what}: Linger / ${name}`, measured: ratio(of(samples, "Linger")!, of(samples, name)!), bound }]
          : [];
      return [
        ...target("fan-out", fanouts, { atMost: 1 }),
        ...target("delivery", deliveries, { atMost: 1 }),
        ...target("posts/s", rates, { atLeast: 1 }),
      ];
    }),
  };
}

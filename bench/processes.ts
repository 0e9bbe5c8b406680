// Several Linger processes on one database, all posting into one room: they share its head row.
import { loop } from "./load.ts";
import type { Rig } from "./rig.ts";
import { type Server, start } from "./servers.ts";
import { digits, type Findings, median, ratio } from "./table.ts";

/** What 2 and 4 are to reach at least of the rate of one: commits of one room come one after the other, whoever sends them. */
const LEAST = { 2: 0.9, 4: 0.6 };

/** Measures posts through 1, 2 and 4 processes. */
export async function measureProcesses(rig: Rig): Promise<Findings> {
  await using running = new AsyncDisposableStack();
  const servers: Server[] = [];
  for (let i = 0; i < 4; i++) servers.push(running.use(await start.Linger(rig)));
  const seconds = rig.size(4, 1);
  const connections = rig.size(1_000, 64);
  const through = (count: number) => async () => {
    const loops = servers.slice(0, count).map(({ port, post }) => loop(rig, port, post, connections / count, seconds));
    return (await Promise.all(loops)).reduce((sum, { perSecond }) => sum + perSecond, 0);
  };
  await through(4)(); // warms up
  const samples = await rig.interleave({ 1: through(1), 2: through(2), 4: through(4) });
  return {
    title: "Processes",
    text: `Posts/s of all together into one room, ${
      connections.toLocaleString("en")
    } connections in all, on the same cores.`,
    head: ["processes", "posts/s", "/ one"],
    rows: Object.entries(samples).map((
      [count, rates],
    ) => [count, digits(median(rates)), digits(ratio(rates, samples[1]!))]),
    targets: ([2, 4] as const).map((count) => ({
      what: `posts/s over ${connections} connections: ${count} processes / one`,
      measured: ratio(samples[count]!, samples[1]!),
      bound: { atLeast: LEAST[count] },
    })),
  };
}

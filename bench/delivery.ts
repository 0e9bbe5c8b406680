// From one client to another, on a server that has nothing else to do.
import { getRequest, loop, ping } from "./load.ts";
import { pgbench } from "./pgbench.ts";
import type { Rig } from "./rig.ts";
import { start, startAll } from "./servers.ts";
import { digits, type Findings, median, ratio } from "./table.ts";

/** Measures the delivery. */
export async function measureDelivery(rig: Rig): Promise<Findings> {
  await using servers = await startAll(rig, ["Linger", "bare"]);
  await using other = await start.Linger(rig);
  const { Linger: one, bare } = servers;
  const times = rig.size(300, 20);
  for (const [waits, posts] of [[one, one], [one, other]] as const) await ping(rig, waits, posts, times); // warms up
  const seconds = rig.size(3, 1);
  await loop(rig, bare.port, getRequest("/static"), 1, seconds);

  const samples = await rig.interleave({
    same: async () => (await ping(rig, one, one, times)).p50,
    other: async () => (await ping(rig, one, other, times)).p50,
    "round trip": async () => (await loop(rig, bare.port, getRequest("/static"), 1, seconds)).p50,
    commit: async () => (await pgbench(rig, 1, seconds)).p50,
  });
  const least = samples["round trip"].map((ms, round) => ms + samples.commit[round]!);
  const row = (what: string, ms: number[]) => [what, digits(median(ms)), digits(ratio(ms, least))];
  return {
    title: "Delivery",
    text:
      "Milliseconds, p50. The least is what nobody can go below: one round trip to the bare server, and one commit.",
    head: ["from the post until the other client has it", "ms", "/ the least"],
    rows: [
      row("at the same server", samples.same),
      row("at another server", samples.other),
      row("one round trip over HTTP", samples["round trip"]),
      row("one commit of a single row", samples.commit),
      row("the least: both", least),
    ],
    targets: [
      { what: "delivery / the least", measured: ratio(samples.same, least), bound: { atMost: 1.5 } },
      {
        what: "delivery through another server / at one",
        measured: ratio(samples.other, samples.same),
        bound: { atMost: 2 },
      },
    ],
  };
}

// From one client to another, on a server that has nothing else to do.
import { ping } from "./load.ts";
import { pausedInsert } from "./pgbench.ts";
import type { Rig } from "./rig.ts";
import { start, startAll } from "./servers.ts";
import { digits, type Findings, median, ratio } from "./table.ts";

/** Milliseconds of pause before each post, and before each commit: a machine that has just slept is slow. */
const PAUSE_MS = 10;

/** Measures the delivery. */
export async function measureDelivery(rig: Rig): Promise<Findings> {
  await using servers = await startAll(rig, ["Linger", "bare"]);
  await using other = await start.Linger(rig);
  const { Linger: one, bare } = servers;
  const times = rig.size(300, 20);
  for (const [waits, posts] of [[one, one], [one, other]] as const) await ping(rig, waits, posts, times); // warms up
  await ping(rig, bare, bare, times);

  const samples = await rig.interleave({
    same: async () => (await ping(rig, one, one, times)).p50,
    other: async () => (await ping(rig, one, other, times)).p50,
    "round trip": async () => (await ping(rig, bare, bare, times)).p50,
    commit: () => pausedInsert(rig, PAUSE_MS, rig.size(6, 1)),
  });
  const least = samples["round trip"].map((ms, round) => ms + samples.commit[round]!);
  const row = (what: string, ms: number[]) => [what, digits(median(ms)), digits(ratio(ms, least))];
  return {
    title: "Delivery",
    text:
      `Milliseconds, p50, with a pause of ${PAUSE_MS} ms before each post. The least is what nobody can go below, measured with ` +
      "the same pauses, since a machine that has just slept is slow: a post to the bare server that answers a poll, and one commit.",
    head: ["from the post until the other client has it", "ms", "/ the least"],
    rows: [
      row("at the same server", samples.same),
      row("at another server", samples.other),
      row("the same at the bare server", samples["round trip"]),
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

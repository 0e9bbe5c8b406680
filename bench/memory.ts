// What a waiting client costs in memory, and whether a server that has been at it for long still costs the same.
import { fanout, hold } from "./load.ts";
import type { Rig } from "./rig.ts";
import { residentKiB, start } from "./servers.ts";
import { digits, type Findings, median, ratio } from "./table.ts";

/** Measures memory. */
export async function measureMemory(rig: Rig): Promise<Findings> {
  const waiters = rig.waiters(10_000, 300);
  const perWaiter = (name: "Linger" | "bare" | "bare + Hono" | "Nchan") => async () => {
    await using server = await start[name](rig);
    const before = await residentKiB(server);
    await using _waiters = await hold(rig, server, waiters);
    return (await residentKiB(server) - before) / waiters;
  };
  const samples = await rig.interleave({
    Linger: perWaiter("Linger"),
    bare: perWaiter("bare"),
    "bare + Hono": perWaiter("bare + Hono"),
    Nchan: perWaiter("Nchan"),
  });

  await using server = await start.Linger(rig);
  const after: number[] = [];
  const rounds = rig.size([5, 20, 25], [2, 2, 2]);
  for (const more of rounds) {
    await fanout(rig, server, waiters, more);
    after.push(await residentKiB(server) / 1024);
  }
  const total = rounds.reduce((sum, more) => sum + more);
  return {
    title: "Memory",
    text:
      `Growth of the resident set of a fresh process while ${
        waiters.toLocaleString("en")
      } polls wait, divided by their number. ` +
      `Beside: the resident set of one Linger through ${total} rounds of news to as many.`,
    head: ["", "KiB per waiter", "Linger / it"],
    rows: [
      ...Object.entries(samples).map(([name, kib]) => [name, digits(median(kib)), digits(ratio(samples.Linger, kib))]),
      ...after.map((mib, i) => [
        `all of Linger after ${rounds.slice(0, i + 1).reduce((sum, more) => sum + more)} rounds`,
        `${digits(mib)} MiB in all`,
        "",
      ]),
    ],
    targets: [
      {
        what: "memory per waiter: Linger / bare + Hono",
        measured: ratio(samples.Linger, samples["bare + Hono"]),
        bound: { atMost: 1.1 },
      },
      {
        what: `memory after ${total} rounds / after ${total - rounds[2]!}`,
        measured: after[2]! / after[1]!,
        bound: { atMost: 1.1 },
      },
    ],
  };
}

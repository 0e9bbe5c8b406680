// One post until all who wait in its room have it.
import { fanout, NEWS, type Round } from "./load.ts";
import type { Rig } from "./rig.ts";
import { atEach, type Server, startAll } from "./servers.ts";
import { digits, type Findings, median, ratio } from "./table.ts";

const last = (rounds: readonly Pick<Round, "last">[]) => rounds.map((round) => round.last);

/** Measures the fan-out. */
export async function measureFanout(rig: Rig): Promise<Findings> {
  const names = ["Linger", "Linger, 2 threads", "bare", "bare + Hono", "Nchan", "Nchan, 2 workers"] as const;
  await using servers = await startAll(rig, [...names, "article"]);
  const { article } = servers;
  const rows: string[][] = [];
  const targets = [];
  for (const name of names) await fanout(rig, servers[name], rig.size(2_000, 50), 5); // warms up

  for (const waiters of [rig.waiters(10_000, 200), rig.waiters(1_000, 100)]) {
    const turn = async (server: Server) => {
      const rounds = await fanout(rig, server, waiters, NEWS);
      const middle = (of: (round: Round) => number) => median(rounds.map(of));
      return { half: middle((r) => r.half), last: middle((r) => r.last), cpu: middle((r) => r.cpu) };
    };
    const samples = {
      ...await rig.interleave(atEach(servers, names, turn)),
      ...await rig.interleave({
        article: async () => {
          await rig.sql`truncate article_messages`;
          return (await fanout(rig, article, waiters, 1))[0]!;
        },
      }, Math.min(2, rig.options.rounds)),
    };
    for (const [name, rounds] of Object.entries(samples)) {
      rows.push([
        `${waiters.toLocaleString("en")}, ${name}`,
        digits(median(rounds.map((round) => round.half))),
        digits(median(last(rounds))),
        digits(ratio(last(samples.Linger), last(rounds))),
        digits(median(rounds.map((round) => round.cpu))),
      ]);
    }
    for (const ours of ["Linger", "Linger, 2 threads"] as const) {
      for (const [its, atMost] of [["bare", 1.15], ["Nchan", 1]] as const) {
        targets.push({
          what: `fan-out to ${waiters}: last by ${ours} / by ${its}`,
          measured: ratio(last(samples[ours]), last(samples[its])),
          bound: { atMost },
        });
      }
    }
  }
  return {
    title: "Fan-out",
    text:
      "Milliseconds from a post (Linger's and the article's are durable, the others keep nothing) until half of the " +
      "waiters, and the last, have their answer; Linger's last divided by the other's; milliseconds that the " +
      "server's main thread ran.",
    head: ["waiters, server", "half", "last", "Linger / it", "CPU"],
    rows,
    targets,
  };
}

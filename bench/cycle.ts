// One post to clients that come straight back, as real ones do: those who have their answer ask again while others still wait for theirs.
import { type Cycle, cycle, getRequest, NEWS } from "./load.ts";
import type { Rig } from "./rig.ts";
import { atEach, type Server, startAll } from "./servers.ts";
import { digits, type Findings, median, ratio, type Target } from "./table.ts";

/** Measures the fan-out to clients that come straight back. */
export async function measureCycle(rig: Rig): Promise<Findings> {
  const names = ["Linger", "Linger, 2 threads", "bare", "bare + Hono", "Nchan", "Nchan, 2 workers"] as const;
  await using servers = await startAll(rig, names);
  for (const name of names) await cycle(rig, servers[name], rig.size(2_000, 50), 5); // warms up
  const rows: string[][] = [];
  const targets: Target[] = [];

  for (const waiters of [rig.waiters(10_000, 200), rig.waiters(1_000, 100)]) {
    const turn = async (server: Server) => {
      const rounds = await cycle(rig, server, waiters, NEWS);
      const middle = (of: (round: Cycle) => number) => median(rounds.map(of));
      return {
        half: middle(({ half }) => half),
        last: middle(({ last }) => last),
        acknowledged: middle(({ acknowledged }) => acknowledged),
        cycle: middle(({ cycle }) => cycle) * 1_000 / waiters,
      };
    };
    const samples = await rig.interleave(atEach(servers, names, turn));
    const last = (name: typeof names[number]) => samples[name].map(({ last }) => last);
    for (const name of names) {
      const middle = (of: (sample: typeof samples.Linger[number]) => number) => digits(median(samples[name].map(of)));
      rows.push([
        `${waiters.toLocaleString("en")}, ${name}`,
        middle(({ half }) => half),
        middle(({ last }) => last),
        digits(ratio(last("Linger"), last(name))),
        middle(({ acknowledged }) => acknowledged),
        middle(({ cycle }) => cycle),
      ]);
    }
    const target = (what: string, measured: number, atMost: number) =>
      targets.push({ what: `${waiters} who come straight back: ${what}`, measured, bound: { atMost } });
    target("last by Linger / by bare", ratio(last("Linger"), last("bare")), 1.3);
    target("last by Linger, 2 threads / by Nchan", ratio(last("Linger, 2 threads"), last("Nchan")), 1);
    const cost = (name: typeof names[number]) => samples[name].map(({ cycle }) => cycle);
    target("CPU per cycle, Linger / bare + Hono", ratio(cost("Linger"), cost("bare + Hono")), 1.2);
  }

  const waiters = rig.waiters(10_000, 200);
  const probe = (server: Server, path: string) => async () =>
    median((await cycle(rig, server, waiters, NEWS, getRequest(path))).map(({ longest }) => longest));
  const waits = await rig.interleave({
    Linger: probe(servers.Linger, "/healthz"),
    bare: probe(servers.bare, "/static"),
  });
  for (const [name, samples] of Object.entries(waits)) {
    rows.push([`longest wait of another request meanwhile, ${name}`, "", digits(median(samples)), "", "", ""]);
  }
  targets.push({
    what: `a health check while ${waiters} come straight back: Linger / bare`,
    measured: ratio(waits.Linger, waits.bare),
    bound: { atMost: 0.35 },
  });
  return {
    title: "Clients that come straight back",
    text:
      "As above, but each client asks again as soon as it has its answer. Also milliseconds until the post is answered, and " +
      "microseconds that the server's main thread ran for each client until it waited again.",
    head: ["waiters, server", "half", "last", "Linger / it", "post", "CPU per cycle"],
    rows,
    targets,
  };
}

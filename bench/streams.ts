// One post until it has come on all event streams of its room, and what a stream takes in memory.
import { hold, NEWS, type Round, streams } from "./load.ts";
import type { Rig } from "./rig.ts";
import { atEach, residentKiB, type Server, start, startAll } from "./servers.ts";
import { digits, type Findings, median, ratio } from "./table.ts";

/** Measures event streams. */
export async function measureStreams(rig: Rig): Promise<Findings> {
  const names = ["Linger", "Linger, 2 threads", "bare", "Nchan"] as const;
  const count = rig.waiters(10_000, 200);
  const perStream = (name: "Linger" | "bare" | "Nchan") => async () => {
    await using server = await start[name](rig);
    const before = await residentKiB(server);
    await using _streams = await hold(rig, server, count, { request: server.stream });
    return (await residentKiB(server) - before) / count;
  };
  const memory = await rig.interleave({
    Linger: perStream("Linger"),
    bare: perStream("bare"),
    Nchan: perStream("Nchan"),
  });

  await using servers = await startAll(rig, names);
  for (const name of names) await streams(rig, servers[name], rig.size(2_000, 50), 5); // warms up
  const turn = async (server: Server) => {
    const rounds = await streams(rig, server, count, NEWS);
    const middle = (of: (round: Round) => number) => median(rounds.map(of));
    return {
      half: middle(({ half }) => half),
      last: middle(({ last }) => last),
      acknowledged: middle(({ acknowledged }) => acknowledged),
      cpu: middle(({ cpu }) => cpu),
    };
  };
  const samples = await rig.interleave(atEach(servers, names, turn));
  const last = (name: typeof names[number]) => samples[name].map(({ last }) => last);
  return {
    title: "Event streams",
    text:
      `Milliseconds from a post until it has come on half of ${
        count.toLocaleString("en")
      } streams, and on the last; until the ` +
      "post is answered; that the server's main thread ran. KiB by which a fresh process grows for each stream.",
    head: ["server", "half", "last", "Linger / it", "post", "CPU", "KiB per stream"],
    rows: names.map((name) => {
      const middle = (of: (sample: typeof samples.Linger[number]) => number) => digits(median(samples[name].map(of)));
      return [
        name,
        middle(({ half }) => half),
        middle(({ last }) => last),
        digits(ratio(last("Linger"), last(name))),
        middle(({ acknowledged }) => acknowledged),
        middle(({ cpu }) => cpu),
        name in memory ? digits(median(memory[name as keyof typeof memory])) : "",
      ];
    }),
    targets: [
      {
        what: `${count} event streams: last by Linger / by bare`,
        measured: ratio(last("Linger"), last("bare")),
        bound: { atMost: 1.15 },
      },
      {
        what: "memory per event stream: Linger / bare",
        measured: ratio(memory.Linger, memory.bare),
        bound: { atMost: 1.15 },
      },
    ],
  };
}

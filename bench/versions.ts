// What a change costs: this version beside other checkouts, and beside itself, which shows how much chance there is in it.
import { basename } from "node:path";
import { fanout, loop } from "./load.ts";
import { CONNECTIONS } from "./posts.ts";
import type { Rig } from "./rig.ts";
import { cpuMs, interleaveAnew, type Server, startVersion } from "./servers.ts";
import { digits, type Findings, median, ratio } from "./table.ts";

/** Processor time, in microseconds, of the server and the database, and of the server alone. */
export interface Cost {
  readonly all: number;
  readonly server: number;
}

/** Measures processor time per post and per delivery. */
export async function measureVersions(rig: Rig): Promise<Findings> {
  const others = rig.options.against.split(",").filter(Boolean);
  if (others.length === 0) throw new Error("The part versions needs --against, the directory of another version");
  const directories = { this: "", ...Object.fromEntries(others.map((other) => [other, other])), "this again": "" };
  const starts: Record<string, () => Promise<Server>> = Object.fromEntries(
    Object.entries(directories).map(([name, directory]) => [name, () => startVersion(rig, directory)]),
  );
  const seconds = rig.size(3, 1);
  const waiters = rig.waiters(1_000, 100);
  const works: Record<string, (server: Server) => Promise<number>> = {
    "a post, 64 connections, one room": async ({ port, post }) =>
      (await loop(rig, port, post, CONNECTIONS, seconds)).perSecond * seconds,
    "a post, 64 connections, 100 rooms": async ({ port, post }) =>
      (await loop(rig, port, post, CONNECTIONS, seconds, 100)).perSecond * seconds,
    "a post, one connection": async ({ port, post }) => (await loop(rig, port, post, 1, seconds)).perSecond * seconds,
    "a delivery, 1,000 waiters": async (server) => (await fanout(rig, server, waiters, 5)).length * waiters,
  };
  const rows: string[][] = [];
  const targets = [];
  for (const [what, work] of Object.entries(works)) {
    console.error(`  ${what}`);
    const samples = await interleaveAnew<string, Cost>(
      rig,
      starts,
      (server) => costOf(rig, server, () => work(server)),
    );
    const costs = (name: string, of: keyof Cost) => samples[name]!.map((cost) => cost[of]);
    for (const other of others) {
      for (const part of ["all", "server"] as const) {
        rows.push([
          `${what}${part === "server" ? ", the server alone" : ""}`,
          basename(other),
          ...["this", other].map((name) => digits(median(costs(name, part)))),
          ratio(costs("this", part), costs(other, part)).toFixed(3),
          ratio(costs("this again", part), costs("this", part)).toFixed(3),
        ]);
      }
      const measured = ratio(costs("this", "all"), costs(other, "all"));
      targets.push({
        what: `processor time of ${what}: this / ${basename(other)}`,
        measured,
        bound: { atMost: 1.03 },
      });
    }
  }
  return {
    title: "This version beside another",
    text:
      "Microseconds of processor time, of server and database together where not said otherwise, by the system's count of " +
      "10 ms; medians, and the medians of the ratios of neighbours. Servers are started anew every three rounds.",
    head: ["what", "the other", "this", "the other's", "this / the other", "this / itself"],
    rows,
    targets,
  };
}

/** What one of `work`'s pieces costs; it returns their number. */
export async function costOf(rig: Rig, server: Server, work: () => Promise<number>): Promise<Cost> {
  const read = async () => ({ server: await cpuMs(server), database: await databaseMs(rig) });
  const before = await read();
  const pieces = await work();
  const after = await read();
  const own = (after.server - before.server) * 1000 / pieces;
  return { server: own, all: own + (after.database - before.database) * 1000 / pieces };
}

/** Processor time of all processes of the database, in milliseconds. */
async function databaseMs(rig: Rig): Promise<number> {
  const [postmaster] = (await Deno.readTextFile(`${rig.cluster}/cluster/postmaster.pid`)).split("\n");
  const pids = [
    postmaster!,
    ...(await Deno.readTextFile(`/proc/${postmaster}/task/${postmaster}/children`)).split(" "),
  ];
  const times = await Promise.all(pids.filter(Boolean).map((pid) => cpuMs({ pid: Number(pid) }).catch(() => 0)));
  return times.reduce((sum, ms) => sum + ms, 0);
}

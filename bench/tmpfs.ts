// Posts where a commit costs next to nothing, beside single-row inserts by pgbench: the database is in memory. What Linger spares it by
// storing many posts with one commit is worth little there, and must still not cost anything.
import { statfs } from "node:fs/promises";
import { type Loop, loop } from "./load.ts";
import { type Inserts, pgbench } from "./pgbench.ts";
import { CONNECTIONS } from "./posts.ts";
import { Rig } from "./rig.ts";
import { start } from "./servers.ts";
import { digits, type Findings, median, ratio } from "./table.ts";

/** Where Linux has a file system in memory. */
const PLACE = "/dev/shm";

/** Bytes that the database, its log and PostgreSQL's programs may take there. */
const SPACE = 3e9;

/** Measures posts there. */
export async function measureTmpfs({ options }: Rig): Promise<Findings> {
  const title = "Posts where commits are cheap";
  const head = ["", "per second", "/ pgbench", "p99 ms"];
  const lack = await whyNot();
  if (lack) return { title, text: `Not measured: ${lack}.`, head, rows: [], targets: [] };

  await using rig = await Rig.start(options, PLACE);
  await using server = await start.Linger(rig);
  const seconds = rig.size(4, 1);
  const posts = (rooms: number) => () => loop(rig, server.port, server.post, CONNECTIONS, seconds, rooms);
  for (const rooms of [1, 100]) await posts(rooms)(); // warms up
  const single = "pgbench, single rows";
  const samples = await rig.interleave<string, Loop | Inserts>({
    "Linger, one room": posts(1),
    "Linger, 100 rooms": posts(100),
    [single]: () => pgbench(rig, CONNECTIONS, seconds),
  });
  const rates = (name: string) => samples[name]!.map(({ perSecond }) => perSecond);
  return {
    title,
    text: `As above, on a database that lies in memory (\`${PLACE}\`).`,
    head,
    rows: Object.entries(samples).map(([name, taken]) => [
      name,
      digits(median(rates(name))),
      digits(ratio(rates(name), rates(single))),
      digits(median(taken.map(({ p99 }) => p99))),
    ]),
    targets: ["Linger, one room", "Linger, 100 rooms"].map((name) => ({
      what: `posts/s where commits are cheap: ${name} / pgbench`,
      measured: ratio(rates(name), rates(single)),
      bound: { atLeast: 1 },
    })),
  };
}

/** Why it can't be measured on this machine; undefined where it can. */
async function whyNot(): Promise<string | undefined> {
  const mounts = (await Deno.readTextFile("/proc/mounts")).split("\n").map((line) => line.split(" "));
  const [, , , flags] = mounts.find(([, at, kind]) => at === PLACE && kind === "tmpfs") ?? [];
  if (flags === undefined) return `there is no file system in memory at ${PLACE}`;
  if (flags.split(",").includes("noexec")) {
    return `${PLACE} lets no programs run (noexec), and PostgreSQL's would lie there`;
  }
  const { bavail, bsize } = await statfs(PLACE);
  return bavail * bsize < SPACE ? `less than ${SPACE / 1e9} GB are free at ${PLACE}` : undefined;
}

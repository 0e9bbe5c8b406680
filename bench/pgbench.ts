// What PostgreSQL does by itself: inserts of single rows, each in a transaction of its own.
import { median } from "./table.ts";
import { BODY, type Rig } from "./rig.ts";

/** Throughput, and the times of single transactions in milliseconds. */
export interface Inserts {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
}

/** Runs pgbench with prepared statements, as fast as it can. */
export async function pgbench(rig: Rig, clients: number, seconds: number): Promise<Inserts> {
  const { perSecond, transactions } = await run(rig, clients, seconds, ["--sampling-rate=0.2"]);
  const times = transactions.map(({ ms }) => ms).sort((a, b) => a - b);
  return { perSecond, p50: median(times), p99: times[Math.floor(times.length * 0.99)] ?? NaN };
}

/** The median time of a single insert after a pause of about `pauseMs`, in milliseconds. */
export async function pausedInsert(rig: Rig, pauseMs: number, seconds: number): Promise<number> {
  // At a given rate pgbench takes pauses of random length; those are looked for that are as long as asked.
  const { transactions } = await run(rig, 1, seconds, ["-R", `${1000 / (pauseMs * 1.1)}`]);
  const paused = transactions.filter(({ begin }, i) => {
    const pause = begin - (transactions[i - 1]?.end ?? NaN);
    return pause > pauseMs * 0.7 && pause < pauseMs * 1.5;
  });
  return median(paused.map(({ ms }) => ms));
}

/** Times in milliseconds. */
interface Transaction {
  readonly begin: number;
  readonly end: number;
  readonly ms: number;
}

async function run(
  rig: Rig,
  clients: number,
  seconds: number,
  options: string[],
): Promise<{ perSecond: number; transactions: Transaction[] }> {
  const script = await rig.write(`insert into single_rows (room, body) values ('bench', '${BODY}');\n`);
  const directory = await Deno.makeTempDir({ dir: rig.home });
  const out = await rig.run(rig.programs.pgbench, [
    ...["-n", "-M", "prepared", "-c", clients, "-j", Math.min(clients, 2), "-T", seconds, "-f", script],
    ...["-h", "127.0.0.1", "-p", rig.port, "-U", "postgres"],
    ...["--log", `--log-prefix=${directory}/log`, ...options, "postgres"],
  ]);
  const transactions: Transaction[] = [];
  for await (const { name } of Deno.readDir(directory)) {
    for (const line of (await Deno.readTextFile(`${directory}/${name}`)).trim().split("\n")) {
      const [, , took, , second, microsecond, late = 0] = line.split(" ").map(Number);
      const ms = (took! - late) / 1000;
      const end = second! * 1000 + microsecond! / 1000;
      transactions.push({ begin: end - ms, end, ms });
    }
  }
  return { perSecond: Number(out.match(/tps = ([\d.]+)/)?.[1] ?? 0), transactions };
}

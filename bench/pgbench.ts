// What PostgreSQL does by itself: inserts of single rows, each in a transaction of its own.
import { median } from "./table.ts";
import { BODY, type Rig } from "./rig.ts";

/** Throughput, and the times of single transactions in milliseconds. */
export interface Inserts {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
}

/** Runs pgbench with prepared statements, at most `rate` transactions a second where that is told. */
export async function pgbench(rig: Rig, clients: number, seconds: number, rate?: number): Promise<Inserts> {
  const script = await rig.write(`insert into single_rows (room, body) values ('bench', '${BODY}');\n`);
  const directory = await Deno.makeTempDir({ dir: rig.home });
  const out = await rig.run(rig.programs.pgbench, [
    ...["-n", "-M", "prepared", "-c", clients, "-j", Math.min(clients, 2), "-T", seconds, "-f", script],
    ...["-h", "127.0.0.1", "-p", rig.port, "-U", "postgres"],
    ...["--log", `--log-prefix=${directory}/log`, ...rate ? ["-R", rate] : ["--sampling-rate=0.2"], "postgres"],
  ]);
  const times: number[] = [];
  for await (const { name } of Deno.readDir(directory)) {
    const lines = (await Deno.readTextFile(`${directory}/${name}`)).trim().split("\n");
    times.push(
      ...lines.map((line) => line.split(" ").map(Number)).map(([_client, _count, us, _script, _s, _us, late = 0]) =>
        (us! - late) / 1000
      ),
    );
  }
  times.sort((a, b) => a - b);
  return {
    perSecond: Number(out.match(/tps = ([\d.]+)/)![1]),
    p50: median(times),
    p99: times[Math.floor(times.length * 0.99)] ?? NaN,
  };
}

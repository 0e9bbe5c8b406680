// What waiting costs where a database is paid by the statement, or sleeps when nobody asks: as few looks as there may be. The
// database counts by itself, in its log.
import { join } from "node:path";
import { LOG } from "../src/database/embedded.ts";
import { hold } from "./load.ts";
import type { Rig } from "./rig.ts";
import { start } from "./servers.ts";
import { digits, type Findings } from "./table.ts";

/** How far the interval may grow, in milliseconds. */
const MOST_MS = 60_000;

/** How many of these it takes to have grown: 5, 10, 20 and 40 s go before the first. */
const RAMP = 2.5;

/** LISTEN ends half a minute after the last has left, in milliseconds. */
const LEAVING_MS = 35_000;

/** Measures statements a minute. */
export async function measureBudget(rig: Rig): Promise<Findings> {
  const most = rig.size(MOST_MS, 1_200); // a minute of a quick run is short
  const { minutes } = rig.options;
  const waiters = rig.waiters(1_000, 100);
  const settings = (...changes: string[]) =>
    Promise.all(changes.map((change) => rig.sql.unsafe(`alter system ${change}`)));
  await settings("set log_statement to 'all'", "set log_line_prefix to '%a> '");
  await rig.sql`select pg_reload_conf()`;
  const env = { FALLBACK_MS: `${most / 12}`, FALLBACK_MAX_MS: `${most}` };
  await using server = await start.Linger(rig, env);
  const count = async () => {
    const log = await Deno.readTextFile(join(rig.cluster, LOG));
    return log.match(/^linger [^>]*> LOG: {2}(execute|statement)/gm)?.length ?? 0;
  };
  const during = async (what: string) => {
    console.error(`  ${what}, ${minutes} minutes`);
    const before = await count();
    await rig.pause(minutes * most);
    return await count() - before;
  };
  let waiting: number;
  {
    await using _waiters = await hold(rig, server, waiters, { rooms: rig.size(100, 10) });
    await rig.pause(RAMP * most);
    waiting = await during(`${waiters} waiters`);
  }
  await rig.pause(LEAVING_MS);
  if (waiting === 0) throw new Error("There was no look at all: nobody has waited");
  const idle = await during("nobody");
  await settings("reset log_statement", "reset log_line_prefix");
  await rig.sql`select pg_reload_conf()`;
  return {
    title: "Statements while nothing happens",
    text: `With \`FALLBACK_MAX_MS=${MOST_MS}\`, over ${minutes} minutes, as the database's log has them.`,
    head: ["", "statements", "a minute"],
    rows: [
      [
        `${waiters.toLocaleString("en")} waiters, after the interval has grown`,
        `${waiting}`,
        digits(waiting / minutes),
      ],
      ["nobody waits, half a minute after the last has left", `${idle}`, digits(idle / minutes)],
    ],
    targets: [
      { what: "statements a minute while they wait", measured: waiting / minutes, bound: { atMost: 1.05 } },
      { what: "statements a minute while nobody waits", measured: idle / minutes, bound: { atMost: 0 } },
    ],
  };
}

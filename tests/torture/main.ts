// `deno task torture`: torments several servers on a real PostgreSQL, and says whether they kept their promises.
//   --seed=N      repeats a schedule (printed at the start)     --servers=N   how many servers (3)
//   --minutes=N   of mixed faults after each fault alone (2)    --only=A,B    faults whose names contain A or B
//   --fault-ms=N  how long a fault lasts (3000)                 --crowd=N     further pollers, who only check numbers (0)
//   --pace-ms=N   pause of each writer between posts (10)       --pgbouncer   with PgBouncer in front of the database
import { parseArgs } from "node:util";
import { pause } from "./clients.ts";
import { startPgBouncer } from "./pgbouncer.ts";
import { torment, type Verdict } from "./torment.ts";
import { Postgres, Server } from "./world.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    seed: { type: "string", default: `${Math.floor(Math.random() * 1e9)}` },
    servers: { type: "string", default: "3" },
    minutes: { type: "string", default: "2" },
    only: { type: "string" },
    "fault-ms": { type: "string", default: "3000" },
    "pace-ms": { type: "string", default: "10" },
    crowd: { type: "string", default: "0" },
    pgbouncer: { type: "boolean", default: false },
  },
});

const began = performance.now();
function say(line: string): void {
  const seconds = (performance.now() - began) / 1000;
  console.log(`${seconds.toFixed(1).padStart(7)} s  ${line}`);
}

function print(verdict: Verdict): void {
  console.log(`\n${"fault".padEnd(46)} times  recovery  stall of others  log lines`);
  for (const { name, times, recovery, stall, lines } of verdict.faults) {
    console.log(
      `${name.padEnd(46)} ${`${times}`.padStart(5)}  ${`${recovery.toFixed()} ms`.padStart(8)}  ` +
        `${`${stall.toFixed()} ms`.padStart(15)}  ${`${lines}`.padStart(9)}`,
    );
  }
  const { tally } = verdict;
  console.log(
    `\n${tally.requests} requests: ${verdict.acked} posts acknowledged, ${tally.delivered} messages delivered to ` +
      `${verdict.pollers} pollers and ${verdict.subscribers} subscribers, ${tally.refused} refused, ${tally.unanswered} unanswered, ${tally.hung} hung; ` +
      `${verdict.stored} messages stored`,
  );
  const { crowd } = verdict;
  if (crowd.pollers > 0) {
    console.log(`a crowd of ${crowd.pollers}: ${crowd.delivered} messages delivered, ${crowd.failed} requests failed`);
  }
  console.log(`memory of the largest server: ${verdict.memory}`);
  console.log(`${verdict.violations.length} violations`);
  for (const violation of verdict.violations.slice(0, 20)) console.log(`  ${violation}`);
}

console.log(`seed ${values.seed}`);
await using postgres = await Postgres.start();
if (!postgres.smallDisk) say("This user can't mount a small file system: the disk will not be filled");
const bouncer = values.pgbouncer ? await startPgBouncer(postgres.port) : undefined;
const env: Record<string, string> = bouncer ? { DATABASE_POOLED: "true" } : {};
const servers = Array.from(
  { length: Number(values.servers) },
  (_, i) => new Server(`server ${i + 1}`, bouncer?.port ?? postgres.port, env),
);
let verdict: Verdict | undefined;
try {
  await Promise.all(servers.map((server) => server.start()));
  verdict = await torment({ postgres, servers, pooled: values.pgbouncer }, {
    seed: Number(values.seed),
    mixedMs: Number(values.minutes) * 60_000,
    faultMs: Number(values["fault-ms"]),
    paceMs: Number(values["pace-ms"]),
    crowd: Number(values.crowd),
    only: values.only?.split(","),
    say,
  });
  print(verdict);
} finally {
  if (!verdict || verdict.violations.length > 0) {
    for (const server of servers) await Deno.writeTextFile(`/tmp/${server.name.replace(" ", "")}.log`, server.log);
  }
  for (const server of servers) await server[Symbol.asyncDispose]();
  await bouncer?.[Symbol.asyncDispose]();
  await pause(100);
}
Deno.exitCode = verdict.violations.length > 0 ? 1 : 0;

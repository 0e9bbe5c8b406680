// `deno task torture`: torments several servers on a real PostgreSQL, and says whether they kept their promises. With
// `--only=floods` it floods one server after the other instead, and says whether its other clients noticed; with `--hosts` it gives
// each server a host of its own.
import { readArguments, refuse } from "../support/arguments.ts";
import { pause } from "./clients.ts";
import { faults } from "./faults.ts";
import { floods } from "./floods.ts";
import { tormentHosts } from "./hosts.ts";
import { whyNoHosts } from "./network.ts";
import { startPgBouncer } from "./pgbouncer.ts";
import { besiege } from "./siege.ts";
import { torment, type Verdict } from "./torment.ts";
import { Postgres, Server } from "./world.ts";

const options = readArguments(
  "torture",
  "torments several servers with every fault there is, and says whether they kept their promises",
  {
    seed: { default: NaN, help: "repeats a schedule; the seed of each is printed at its start" },
    minutes: { default: 2, help: "of mixed faults, after each fault alone" },
    only: {
      default: "",
      help:
        'faults whose names contain one of these, separated by commas; "floods" for what one client can do to others',
    },
    servers: { default: 3, help: "how many servers" },
    changes: { default: 0.5, help: "how many of the posts are followed by an edit or a deletion, from 0 to 1" },
    crowd: { default: 0, help: "further pollers, who only check numbers" },
    "fault-ms": { default: 3_000, help: "how long a fault lasts" },
    "pace-ms": { default: 10, help: "pause of each writer between posts" },
    hosts: { default: false, help: "four servers on hosts of their own, behind HAProxy and nginx; needs root" },
    pgbouncer: { default: false, help: "with PgBouncer in front of the database" },
    "flood-ms": { default: 5_000, help: "how long a flood lasts" },
    settle: { default: 3, help: "seconds after each flood until the memory is read again; from 60 on it is judged" },
    loopback: { default: false, help: "floods as a server without a proxy sees them: all from this machine" },
  },
);
const seed = Number.isNaN(options.seed) ? Math.floor(Math.random() * 1e9) : options.seed;
const only = options.only.split(",");
const chosen = floods.filter(({ name }) => only.some((part) => part.startsWith("floods") && name.includes(part)));
if (chosen.length > 0) {
  const found = await besiege(chosen, {
    beforeMs: 2_000,
    floodMs: options["flood-ms"],
    settleMs: options.settle * 1_000,
    loopback: options.loopback,
  });
  Deno.exit(found > 0 ? 1 : 0);
}

const began = performance.now();
function say(line: string): void {
  const seconds = (performance.now() - began) / 1000;
  console.log(`${seconds.toFixed(1).padStart(7)} s  ${line}`);
}

if (options.hosts) {
  const lack = whyNoHosts();
  if (lack) {
    console.log(`Skipped: ${lack}`);
    Deno.exit(0);
  }
  console.log(`seed ${seed}`);
  Deno.exit(await tormentHosts({ seed, ms: options.minutes * 60_000, say }) > 0 ? 1 : 0);
}
if (!faults.some(({ name }) => only.some((part) => name.includes(part)))) {
  refuse(`There is no fault whose name contains one of "${options.only}"`);
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
    `\n${tally.requests} requests: ${verdict.acked} posts and ${verdict.changed} changes acknowledged, ${tally.delivered} messages delivered to ` +
      `${verdict.pollers} pollers, ${verdict.subscribers} subscribers and ${verdict.followers} followers with changes, ${tally.refused} refused, ${tally.unanswered} unanswered, ${tally.hung} hung; ` +
      `${verdict.stored} messages stored`,
  );
  const { crowd } = verdict;
  if (crowd.pollers > 0) {
    console.log(`a crowd of ${crowd.pollers}: ${crowd.delivered} messages delivered, ${crowd.failed} requests failed`);
  }
  console.log(`memory of a server: ${verdict.memory}`);
  console.log(`${verdict.violations.length} violations`);
  for (const violation of verdict.violations.slice(0, 20)) console.log(`  ${violation}`);
}

console.log(`seed ${seed}`);
await using postgres = await Postgres.start();
if (!postgres.smallDisk) say("This user can't mount a small file system: the disk will not be filled");
const bouncer = options.pgbouncer ? await startPgBouncer(postgres.port) : undefined;
const env: Record<string, string> = bouncer ? { DATABASE_POOLED: "true" } : {};
const servers = Array.from(
  { length: options.servers },
  (_, i) => new Server(`server ${i + 1}`, bouncer ?? postgres, env),
);
let verdict: Verdict | undefined;
try {
  await Promise.all(servers.map((server) => server.start()));
  verdict = await torment({ postgres, servers, pooled: options.pgbouncer }, {
    seed,
    mixedMs: options.minutes * 60_000,
    faultMs: options["fault-ms"],
    paceMs: options["pace-ms"],
    changes: options.changes,
    crowd: options.crowd,
    only,
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

// A first look at how Linger does: posts beside pgbench's single-row inserts in the same run, and what waiting costs.
// `deno task bench`; needs pgbench, which comes with Debian's package postgresql-15 or with the one of another version.
import { startEmbedded } from "../src/database/embedded.ts";
import { freePort } from "../tests/support/postgres.ts";
import { type ServerProcess, spawnServer } from "../tests/support/server.ts";
import driver from "postgres";

const ROUNDS = 3;
const CLIENTS = 64;
const SECONDS = 4;
const WAITERS = 1_000;
const IDLE_SECONDS = 10;

const home = await Deno.makeTempDir({ prefix: "linger-bench-" });
const pgPort = freePort();
const postgres = await startEmbedded(home, {
  settings: { listen_addresses: "127.0.0.1", port: `${pgPort}`, max_connections: "200" },
});
const url = `postgres://postgres@127.0.0.1:${pgPort}/postgres`;
const sql = driver(url, { max: 1, onnotice: () => {} });
await sql`create table bench (id uuid primary key default gen_random_uuid(), room text not null, body text not null)`;
await Deno.writeTextFile(
  `${home}/insert.sql`,
  `insert into bench (room, body) values ('bench', '${"x".repeat(100)}');\n`,
);

/** Runs a program to its end and returns what it printed. */
async function run(program: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args, stderr: "piped" }).output();
  if (!success) throw new Error(`${program} failed: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}

const load = (...args: (string | number)[]) => [
  "run",
  "-A",
  "--quiet",
  new URL("load.ts", import.meta.url).pathname,
  ...args.map(String),
];

async function pgbench(): Promise<number> {
  const options =
    `-n -M prepared -c ${CLIENTS} -j 2 -T ${SECONDS} -f ${home}/insert.sql -h 127.0.0.1 -p ${pgPort} -U postgres`;
  const out = await run("pgbench", ...options.split(" "), "postgres");
  return Number(out.match(/tps = ([\d.]+)/)![1]);
}

async function posts(server: ServerProcess): Promise<{ perSecond: number; p50: number; p99: number }> {
  return JSON.parse(await run(Deno.execPath(), ...load("posts", new URL(server.url).port, CLIENTS, SECONDS)));
}

/** Parks waiters on a fresh server: what they cost while idle, and how long news takes to reach them all. */
async function waiting() {
  await using server = await spawnServer(url);
  const memory = async () =>
    Number((await Deno.readTextFile(`/proc/${server.pid}/status`)).match(/VmRSS:\s+(\d+)/)![1]);
  const cpu = async () =>
    (await Deno.readTextFile(`/proc/${server.pid}/stat`)).split(" ").slice(13, 15).map(Number)
      .reduce((a, b) => a + b);
  const before = await memory();
  const child = new Deno.Command(Deno.execPath(), {
    args: load("waiters", new URL(server.url).port, WAITERS),
    stdout: "piped",
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  await lines.read();
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  const kib = (await memory() - before) / WAITERS;

  const sent = async () => (await (await fetch(`${server.url}/healthz`)).json()).statements as number;
  const [ticksBefore, sentBefore] = [await cpu(), await sent()];
  await new Promise((resolve) => setTimeout(resolve, IDLE_SECONDS * 1000));
  const perSecond = (await sent() - sentBefore) / IDLE_SECONDS;
  const cpuPercent = (await cpu() - ticksBefore) / IDLE_SECONDS; // a tick is 10 ms: 1 % of a core for a second

  const start = performance.timeOrigin + performance.now();
  await fetch(`${server.url}/rooms/bench/messages`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ body: "news" }),
  }).then((response) => response.body?.cancel());
  const { served, half, last } = JSON.parse((await lines.read()).value!);
  if (served !== WAITERS) throw new Error(`Only ${served} of ${WAITERS} were served`);
  await child.status;
  return { kib, perSecond, cpuPercent, half: half - start, last: last - start };
}

console.log(
  `Deno ${Deno.version.deno}, PostgreSQL 18.4, ${navigator.hardwareConcurrency} cores, ${
    new Date().toISOString().slice(0, 10)
  }`,
);
console.log("\nposts: clients in a closed loop, bodies of 100 bytes, each acknowledged after its commit");
for (let round = 1; round <= ROUNDS; round++) {
  const single = await pgbench();
  await using server = await spawnServer(url);
  await posts(server); // warms up
  const { perSecond, p50, p99 } = await posts(server);
  console.log(
    `round ${round}: pgbench ${single.toFixed(0)}/s, Linger ${perSecond.toFixed(0)}/s, ratio ${
      (perSecond / single).toFixed(2)
    }, ` +
      `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`,
  );
}
console.log(`\nwaiting: ${WAITERS} polls in one room`);
for (let round = 1; round <= ROUNDS; round++) {
  const { kib, perSecond, cpuPercent, half, last } = await waiting();
  console.log(
    `round ${round}: ${kib.toFixed(1)} KiB per waiter, idle ${perSecond.toFixed(1)} statements/s and ${
      cpuPercent.toFixed(1)
    } % of a core, ` +
      `one post reaches half after ${half.toFixed(0)} ms, all after ${last.toFixed(0)} ms`,
  );
}
await sql.end();
await postgres.stop();
await Deno.remove(home, { recursive: true });

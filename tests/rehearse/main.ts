// `deno task rehearse`: Linger on a stand-in for Deno Deploy, with the oldest Deno that it runs on and with this one. Its short form
// is tests/rehearse_test.ts.
import { OLDEST_DENO } from "../../src/version.ts";
import { readArguments, refuse } from "../support/arguments.ts";
import { OwnPostgres } from "../support/own_postgres.ts";
import { freePort } from "../support/postgres.ts";
import { coldStart } from "./cold.ts";
import { denoOf } from "./deno.ts";
import { keepSilent, startTogether, stayAwake } from "./rehearsal.ts";
import { environment, HOSTSSL, Revision } from "./revision.ts";

/** Milliseconds of silence after which the platform may stop an instance, at the earliest. */
const IDLE_MS = 5_000;

/** How many times as long as that of a hello the first answer may take, without the database. */
const HELLOS = 3;

const { deno, clients, stops, idle, starts } = readArguments(
  "rehearse",
  "what Deno Deploy does with deno.json's deploy section, and with instances, on a stand-in",
  {
    deno: { default: `${OLDEST_DENO},${Deno.version.deno}`, help: "versions to rehearse with" },
    clients: { default: 200, help: "clients who wait while instances are stopped" },
    stops: { default: 5, help: "instances that are stopped under them" },
    idle: { default: 6, help: "seconds of silence after which an instance is stopped" },
    starts: { default: 10, help: "starts of which the median counts; 0: none is measured" },
  },
);
const versions = deno.split(",").map((version) => version.trim()).filter(Boolean);
if (versions.length === 0) refuse("--deno names no version");

const failures: string[] = [];
await using postgres = await OwnPostgres.start({ tls: true, hba: HOSTSSL });
for (const version of versions) {
  await using revision = await Revision.build(await denoOf(version));
  const { bytes, packages } = await revision.artifact();
  console.log(`Deno ${version}: install brings ${(bytes / 1e6).toFixed(1)} MB, ${packages.join(", ")}`);

  const env = await environment(postgres);
  const instances = await startTogether(revision, env, [freePort(), freePort()]);
  for (const instance of instances) await instance.stop();
  console.log(`Deno ${version}: two instances and a migrator share an empty database`);

  for (const transport of ["tcp", "unix"] as const) {
    const { violations, ends } = await keepSilent(revision, env, { clients, stops, transport, idleMs: idle * 1_000 });
    const wrong = violations.length + ends.filter((code) => code !== 0).length;
    console.log(
      `Deno ${version}, ${transport}: ${clients} clients, ${ends.length} instances ended with ${ends.join(" ")}, ` +
        (wrong > 0 ? `${violations.length} violations` : "nothing lost, nobody backs off"),
    );
    if (wrong > 0) failures.push(`Deno ${version}, ${transport}:`, ...violations.slice(0, 20));
  }

  const stopped = await stayAwake(revision, env, { signs: 4, idleMs: IDLE_MS });
  console.log(`Deno ${version}: an event stream keeps its instance awake${stopped > 0 ? " in vain" : ""}`);
  if (stopped > 0) failures.push(`Deno ${version}: an instance was stopped under an event stream`);

  if (starts > 0) {
    const { hello, alone, served } = await coldStart(revision, env, starts);
    const hellos = alone / hello;
    console.log(
      `Deno ${version}: first answer after ${alone.toFixed(0)} ms, ${hellos.toFixed(1)} times that of a hello ` +
        `with Hono (${hello.toFixed(0)} ms); from the database after ${served.toFixed(0)} ms`,
    );
    if (hellos > HELLOS) {
      failures.push(`Deno ${version}: the first answer takes more than ${HELLOS} times as long as that of a hello`);
    }
  }
}
if (failures.length > 0) {
  console.error(failures.join("\n"));
  Deno.exitCode = 1;
}

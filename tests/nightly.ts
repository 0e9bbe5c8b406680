// `deno task nightly`: what takes longer than a commit can wait for. A person runs it, or a scheduler. Every part runs,
// whatever became of those before it; it ends with 1 if one has failed.
import { readArguments, refuse } from "./support/arguments.ts";
import { whyNoFirefox } from "./support/firefox.ts";
import { projectPath } from "./support/postgres.ts";
import { OLDEST, whyNoOldest } from "./support/start_postgres.ts";
import { whyNoWebKit } from "./support/webkit.ts";
import { whyNoHosts } from "./torture/network.ts";
import { whyNoPgBouncer } from "./torture/pgbouncer.ts";

/** Longest time of a part, in milliseconds: a part that hangs does not keep the others from running. */
const LIMIT_MS = 4 * 3_600_000;

const { fuzz, minutes, only } = readArguments(
  "nightly",
  "what takes longer than a commit can wait for: fuzz, torture in several forms, floods, the suite on the oldest PostgreSQL, " +
    "the page in Firefox and WebKit, a rehearsal, breakages; about three hours",
  {
    fuzz: { default: 20, help: "how many times as much fuzz as in the suite" },
    minutes: { default: 10, help: "of mixed faults in each torture" },
    only: {
      default: "",
      help:
        "parts whose name contains this: fuzz, torture, crowd, PgBouncer, hosts, floods, PostgreSQL 15, Firefox, WebKit, rehearsal, breakages",
    },
  },
);

const torture = (...more: string[]) => ["torture", `--minutes=${minutes}`, ...more];
const all: [name: string, task: string[], env?: Record<string, string>, lack?: string | undefined][] = [
  ["fuzz", ["test", "tests/fuzz_test.ts", "tests/model_test.ts", "tests/changes_model_test.ts"], {
    FUZZ_RUNS: `${fuzz}`,
  }],
  ["torture", torture()],
  ["torture with a crowd", torture("--servers=2", "--crowd=500")],
  ["torture with PgBouncer", torture("--pgbouncer"), {}, whyNoPgBouncer()],
  ["torture of hosts", torture("--hosts"), {}, whyNoHosts()],
  ["floods of clients with addresses", ["torture", "--only=floods", "--settle=60"]],
  ["floods from this machine", ["torture", "--only=floods", "--loopback"]],
  ["suite on PostgreSQL 15", ["test"], { TEST_POSTGRES: OLDEST }, whyNoOldest()],
  ["page in Firefox", ["test:web", "--browser=firefox"], {}, whyNoFirefox()],
  ["page in WebKit", ["test:web", "--browser=webkit"], {}, whyNoWebKit()],
  ["rehearsal of Deno Deploy", ["rehearse"]],
  ["breakages", ["mutate"]],
];
const parts = all.filter(([name]) => name.includes(only));
if (parts.length === 0) refuse(`There is no part whose name contains "${only}"`);

const verdicts: string[] = [];
for (const [name, task, env = {}, lack] of parts) {
  if (lack) {
    verdicts.push(`skipped             ${name}: ${lack}`);
    continue;
  }
  const [began, args] = [performance.now(), ["task", ...task]];
  const signal = AbortSignal.timeout(LIMIT_MS);
  const { success } = await new Deno.Command(Deno.execPath(), { args, env, cwd: projectPath("."), signal }).spawn()
    .status;
  const took = ((performance.now() - began) / 60_000).toFixed(1);
  verdicts.push(`${success ? "passed" : "FAILED"}  ${took.padStart(6)} min  ${name}`);
  if (!success) Deno.exitCode = 1;
}
console.log(`\n${verdicts.join("\n")}`);

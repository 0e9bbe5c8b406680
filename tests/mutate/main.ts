// `deno task mutate`: breaks a copy of this project on purpose, in every way of mutations.ts, and says which test saw it.
// A breakage that no test sees is a test that is missing.
import { dirname, join } from "node:path";
import { startEmbedded } from "../../src/database/embedded.ts";
import { readArguments, refuse } from "../support/arguments.ts";
import { freePort } from "../support/postgres.ts";
import { type Mutation, mutations, type Patch } from "./mutations.ts";

const PROJECT = join(import.meta.dirname!, "../..");
const PARTS = [
  "main.ts",
  "src",
  "migrations",
  "tests",
  "deploy",
  "docs",
  "deno.json",
  "deno.lock",
  "Dockerfile",
  "compose.yaml",
];

/** Time that the tests of one breakage get, in milliseconds: one that makes a test hang is caught by that. */
const DEADLINE_MS = 90_000;

/** How a run of tests ended. */
interface Outcome {
  readonly kind: "passed" | "failed" | "hung" | "broken";
  /** The first test that failed or hung; what was said, where none did. */
  readonly by: string;
  /** All that the run said. */
  readonly output: string;
}

const { only, list, jobs } = readArguments(
  "mutate",
  "breaks a copy of the code on purpose in many ways, and sees that a test catches each",
  {
    only: { default: "", help: "breakages whose name contains this" },
    list: { default: false, help: "only say what there is, if all of it fits" },
    jobs: { default: 1, help: "how many at a time, 1 or 2" },
  },
);
if (jobs !== 1 && jobs !== 2) refuse("--jobs is 1 or 2");
const chosen = mutations.filter(({ name }) => name.includes(only));
if (chosen.length === 0) refuse(`There is no breakage whose name contains "${only}"`);

for (const { name, patches } of chosen) await apply(PROJECT, name, patches); // all of them fit, or none is tried
if (list) {
  for (const { name, tests } of chosen) console.log(`${name}\n    ${tests.join(", ")}`);
} else {
  Deno.exitCode = await run();
}

async function run(): Promise<number> {
  const began = performance.now();
  const seconds = () => `${((performance.now() - began) / 1000).toFixed(0).padStart(4)} s`;
  const home = await Deno.makeTempDir({ prefix: "linger-mutate-" });
  await Deno.chmod(home, 0o755); // PostgreSQL can be another user
  const port = freePort();
  const postgres = await startEmbedded(join(home, "postgres"), {
    settings: { listen_addresses: "127.0.0.1", port: `${port}`, max_connections: "100" },
  });
  const env = {
    TEST_DATABASE_URL: `postgres://postgres@127.0.0.1:${port}/postgres`,
    TEST_PATIENCE_MS: "10000", // many breakages are seen by waiting in vain
  };
  try {
    const whole = await copyProject(join(home, "whole"));
    for (const test of new Set(chosen.flatMap(({ tests }) => tests))) {
      const { kind, by, output } = await runTest(whole, test, env, DEADLINE_MS);
      if (kind !== "passed") throw new Error(`${test} ${kind} without any breakage: ${by}\n${output}`);
    }
    console.log(`${seconds()}  All tests pass without a breakage`);

    const outcomes = new Map<Mutation, Outcome>();
    const waiting = [...chosen];
    await Promise.all(Array.from({ length: jobs }, async (_, i) => {
      const copy = await copyProject(join(home, `copy${i}`));
      for (let mutation; (mutation = waiting.shift());) {
        const outcome = await judge(copy, mutation, env);
        outcomes.set(mutation, outcome);
        console.log(`${seconds()}  ${mutation.name}\n          ${verdict(outcome)}`);
        if (outcome.kind === "broken") console.log(outcome.output);
      }
    }));
    return summarize(outcomes);
  } finally {
    await postgres.stop();
    await Deno.remove(home, { recursive: true });
  }
}

/** Breaks the copy, runs the tests until one sees it, and mends the copy. */
async function judge(copy: string, { name, patches, tests }: Mutation, env: Record<string, string>): Promise<Outcome> {
  const texts = await apply(copy, name, patches);
  for (const [file, { after }] of texts) await Deno.writeTextFile(join(copy, file), after);
  try {
    const deadline = performance.now() + DEADLINE_MS;
    for (const test of tests) {
      const outcome = await runTest(copy, test, env, deadline - performance.now());
      if (outcome.kind !== "passed") return outcome;
    }
    return { kind: "passed", by: "", output: "" };
  } finally {
    for (const [file, { before }] of texts) await Deno.writeTextFile(join(copy, file), before);
  }
}

/** The text of each file before and after the patches; nothing is written yet. */
async function apply(
  root: string,
  name: string,
  patches: readonly Patch[],
): Promise<Map<string, { before: string; after: string }>> {
  const texts = new Map<string, { before: string; after: string }>();
  for (const { file, from, to } of patches) {
    const before = texts.get(file)?.before ?? await Deno.readTextFile(join(root, file));
    const parts = (texts.get(file)?.after ?? before).split(from);
    if (parts.length !== 2) {
      throw new Error(
        `"${name}" no longer applies: its text stands ${parts.length - 1} times in ${file}, not once:\n${from}`,
      );
    }
    texts.set(file, { before, after: parts.join(to) });
  }
  return texts;
}

/** Runs one entry of a mutation's tests, up to the first that fails. */
async function runTest(root: string, test: string, env: Record<string, string>, ms: number): Promise<Outcome> {
  const [file, filter] = test.split(" > ");
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "test",
      "-A",
      "--frozen",
      "--no-check",
      "--preload=tests/support/deadline.ts",
      "--fail-fast",
      ...filter ? ["--filter", filter] : [],
      `tests/${file}`,
    ],
    cwd: root,
    env: { ...env, NO_COLOR: "1", TMPDIR: dirname(root) },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    detached: true, // a group of its own, so that nothing it started outlives it
  }).spawn();
  let hung = false;
  const deadline = setTimeout(() => {
    hung = true;
    killGroup(child.pid);
  }, ms);
  const [{ code }, stdout, stderr] = await Promise.all([
    child.status,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  clearTimeout(deadline);
  killGroup(child.pid);
  return outcomeOf(code, hung, stdout, stderr);
}

function outcomeOf(code: number, hung: boolean, stdout: string, stderr: string): Outcome {
  const output = stdout + stderr;
  // Deno says of a test that takes a minute that it does, and its end on a line of its own.
  const failed = stdout.match(/^(.+) \.\.\.(?:'.+' has been running .*\n)* FAILED/m)?.[1];
  if (failed) return { kind: "failed", by: failed, output };
  // The last test that began, where its end has not been said.
  const begun = [...stdout.matchAll(/^(.+) \.\.\.( ok| ignored)?/gm)].at(-1);
  if (hung) return { kind: "hung", by: begun && !begun[2] ? begun[1]! : "after its last test", output };
  if (code === 0 && / [1-9]\d* passed/.test(stdout)) return { kind: "passed", by: "", output };
  if (stdout.includes("(uncaught error)") && begun) return { kind: "failed", by: `an error in "${begun[1]}"`, output };
  return { kind: "broken", by: "no test ran", output };
}

function verdict({ kind, by }: Outcome): string {
  if (kind === "failed") return `caught: ${by}`;
  if (kind === "hung") return `caught, by hanging: ${by}`;
  return kind === "passed" ? "MISSED" : `MISSED, since ${by}`;
}

function summarize(outcomes: ReadonlyMap<Mutation, Outcome>): number {
  const isCaught = ({ kind }: Outcome) => kind === "failed" || kind === "hung";
  console.log("\n| breakage | seen by |\n| --- | --- |");
  for (const mutation of chosen) console.log(`| ${mutation.name} | ${verdict(outcomes.get(mutation)!)} |`);
  const caught = [...outcomes.values()].filter(isCaught).length;
  const missed = outcomes.size - caught;
  console.log(`\n${caught} caught, ${missed} missed`);
  return missed > 0 ? 1 : 0;
}

async function copyProject(to: string): Promise<string> {
  await Deno.mkdir(to);
  for (const part of PARTS) await copy(join(PROJECT, part), join(to, part));
  return to;
}

async function copy(from: string, to: string): Promise<void> {
  if ((await Deno.stat(from)).isFile) return await Deno.copyFile(from, to);
  await Deno.mkdir(to);
  for await (const { name } of Deno.readDir(from)) await copy(join(from, name), join(to, name));
}

function killGroup(pid: number): void {
  try {
    Deno.kill(-pid, "SIGKILL");
  } catch { /* nothing of it is left */ }
}

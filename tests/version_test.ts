// An older Deno is told to be one, instead of stopping at an import that it does not know.
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import manifest from "../deno.json" with { type: "json" };
import { VERSION, whyNotOn } from "../src/version.ts";
import { projectPath } from "./support/postgres.ts";

Deno.test("The program and deno.json have the same version", () => {
  assertEquals(VERSION, manifest.version);
  assertMatch(VERSION, /^\d+\.\d+\.\d+$/);
});

Deno.test("whyNotOn() refuses what is older than 2.8.2, by each part of the version", () => {
  for (const old of ["1.46.3", "2.0.0", "2.7.14", "2.8.0", "2.8.1", "2.8.1+abc", "2.7.0-rc.9"]) {
    assertMatch(whyNotOn(old)!, /^Linger needs Deno 2\.8\.2 or newer, and this is Deno /);
    assertStringIncludes(whyNotOn(old)!, old);
  }
  for (const new_ of ["2.8.2", "2.8.10", "2.8.3+abc", "2.9.0", "2.10.0", "2.9.0-rc.1", "3.0.0", Deno.version.deno]) {
    assertEquals(whyNotOn(new_), undefined);
  }
});

Deno.test("On an older Deno main.ts says so in a sentence, whatever it is asked for", async () => {
  const home = await Deno.makeTempDir({ prefix: "linger-test-" });
  const older = join(home, "older.js");
  await Deno.writeTextFile(older, 'Object.defineProperty(Deno, "version", { value: { deno: "2.7.14" } });');
  for (const args of [[], ["serve"], ["migrate"]]) {
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--frozen", "--quiet", `--preload=${older}`, projectPath("main.ts"), ...args],
    }).output();
    const log = new TextDecoder().decode(stderr);
    assertMatch(log, /^\S+ error Linger needs Deno 2\.8\.2 or newer, and this is Deno 2\.7\.14: .*\n$/);
    assertEquals(code, 1);
  }
  await Deno.remove(home, { recursive: true });
});

Deno.test("What main.ts imports before it has looked at the version, an older Deno knows", async () => {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json", projectPath("main.ts")] })
    .output();
  const graph: Graph = JSON.parse(new TextDecoder().decode(stdout));
  const modules = new Map(graph.modules.map((module) => [module.specifier, module]));
  const seen = new Set<string>();
  const visit = (specifier: string) => {
    if (seen.has(specifier)) return;
    seen.add(specifier);
    for (const { code, isDynamic } of modules.get(specifier)?.dependencies ?? []) {
      if (code && !isDynamic) visit(code.specifier);
    }
  };
  visit(graph.roots[0]!);
  assert([...seen].some((specifier) => specifier.endsWith("/src/version.ts")));
  // No module of npm but these two, which ask nothing of Deno, and of Node none that has grown since; an import of a text is "external" here.
  const foreign = [...seen].filter((specifier) => !specifier.startsWith("file:")).map((name) =>
    name.replace(/@.*/, "")
  );
  assertEquals(new Set(foreign), new Set(["node:net", "node:util", "npm:ulid", "npm:zod"]));
  const kinds = new Set(
    [...seen].filter((specifier) => specifier.startsWith("file:")).map((url) => modules.get(url)?.kind),
  );
  assertEquals(kinds, new Set(["esm", "asserted"]));
});

interface Graph {
  roots: string[];
  modules: {
    specifier: string;
    kind: string;
    dependencies?: { code?: { specifier: string }; isDynamic?: boolean }[];
  }[];
}

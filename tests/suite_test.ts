// Checks the suite itself: that it can't hang, and that its tools say what they do and refuse what they don't know.
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import manifest from "../deno.json" with { type: "json" };
import { projectPath } from "./support/postgres.ts";

const DEADLINE = "--preload=tests/support/deadline.ts";

Deno.test("Every task that tests gives each test a deadline", () => {
  assertStringIncludes(manifest.tasks.test.command, DEADLINE);
  assertStringIncludes(Deno.readTextFileSync(projectPath("tests/web/main.ts")), DEADLINE);
});

Deno.test("Each test and hook that hangs, or leaves something rejected, fails by its name, and those after it run", async () => {
  const run = await new Deno.Command(Deno.execPath(), {
    args: [
      "test",
      "-A",
      "--frozen",
      "--no-check",
      DEADLINE,
      "tests/fixtures/hanging_file_test.ts",
      "tests/fixtures/hanging_test.ts",
      "tests/cursor_test.ts",
    ],
    cwd: projectPath("."),
    env: { TEST_DEADLINE_MS: "6000", FUZZ_RUNS: "1", NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const said = new TextDecoder().decode(run.stdout);
  const outcomes = [...said.matchAll(/^(.+) \.\.\. (ok|FAILED) \(/gm)].map(([, name, outcome]) => [name, outcome]);
  assertEquals(outcomes.slice(0, 9), [
    ["waits for ever", "FAILED"],
    ["comes next", "ok"],
    ["waits for a clock that nobody moves", "FAILED"],
    ["fakes the time too", "ok"],
    ["leaves something rejected", "FAILED"],
    ["asks late for what was rejected", "ok"],
    ["waits for ever for what was rejected", "FAILED"],
    ["never gives way", "FAILED"],
    ["says that it needs longer", "ok"],
  ]);
  assertStringIncludes(
    said,
    "waits for ever => ./tests/fixtures/hanging_test.ts:6:6\nerror: Test timed out after 6000ms.",
  );
  assertStringIncludes(said, 'What "waits for ever" left behind when it was given up may disturb this test');
  assertMatch(said, /^leaves something rejected => .+\nerror: Error: Nobody asked for it$/m);
  assertStringIncludes(said, "Rejected there, and not asked for: Error: Nothing comes of it");
  assertStringIncludes(said, "What stands outside of the tests of this file took longer than 6000 ms");
  assertStringIncludes(said, "afterAll() took longer than 6000 ms");
  assertMatch(said, /^parseCursor\(\) .* ok/m);
  assertMatch(said, / 7 failed /);
  assertEquals(run.code, 1);
});

for (const task of ["torture", "mutate", "nightly", "bench", "screenshots"] as const) {
  Deno.test(`deno task ${task} says with --help what it takes, and refuses all else in a sentence`, async () => {
    const script = manifest.tasks[task].command.split(" ").at(-1)!;
    const run = async (argument: string) => {
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--frozen", "--no-check", script, argument],
        cwd: projectPath("."),
        env: { NO_COLOR: "1" },
      }).output();
      return { code, out: new TextDecoder().decode(stdout), error: new TextDecoder().decode(stderr) };
    };
    const help = await run("--help");
    assertEquals([help.code, help.error], [0, ""]);
    assertMatch(help.out, new RegExp(`^deno task ${task}: .+\n  (--)?\\w`));
    assertEquals(await run("--nonsense"), {
      code: 2,
      out: "",
      error: `Unknown option '--nonsense': "deno task ${task} --help" says what there is\n`,
    });
  });
}

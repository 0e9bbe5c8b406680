// The first minute: what a start says when it can't be, and what `migrate` does.
import { assertEquals, assertFalse, assertMatch, assertStringIncludes } from "@std/assert";
import { freePort, projectPath, testPostgres } from "./support/postgres.ts";

const postgres = await testPostgres();

/** Runs main.ts to its end. */
async function run(command: string, env: Record<string, string>): Promise<{ code: number; log: string }> {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--frozen", "--quiet", projectPath("main.ts"), command],
    cwd: projectPath("."),
    env,
    stdout: "null",
    stderr: "piped",
  }).output();
  return { code, log: new TextDecoder().decode(stderr) };
}

Deno.test("A setting that can't be meant stops the start with a sentence, without its password", async () => {
  const { code, log } = await run("serve", { PORT: "99999", DATABASE_URL: "mysql://me:secret@host/x" });
  assertEquals(code, 1);
  assertStringIncludes(log, "PORT=99999 must be a whole number from 0 to 65535");
  assertStringIncludes(log, "DATABASE_URL must be a URL that begins with postgres://");
  assertFalse(log.includes("secret"));
});

Deno.test("serve, migrate and any start on Deno Deploy refuse to go without DATABASE_URL", async () => {
  for (const [command, env] of [["serve", {}], ["migrate", {}], ["start", { DENO_DEPLOY: "1" }]] as const) {
    const { code, log } = await run(command, { PORT: "0", ...env });
    assertEquals(code, 1);
    assertMatch(log, /error DATABASE_URL is not set, and must be/);
  }
});

Deno.test("A port that is taken, and a command that is none, are told in a sentence", async () => {
  await using database = await postgres.create();
  const port = freePort();
  using _taken = Deno.listen({ hostname: "127.0.0.1", port });
  const taken = await run("serve", { DATABASE_URL: database.url, PORT: `${port}` });
  assertEquals([taken.code, taken.log.split("\n").length], [1, 2]);
  assertStringIncludes(taken.log, `PORT=${port} is in use by another program`);
  assertStringIncludes((await run("sreve", {})).log, "sreve is not one of start, serve, migrate");
});

Deno.test("migrate brings a database up to date, and says so when it is", async () => {
  await using database = await postgres.create();
  const first = await run("migrate", { DATABASE_URL: database.url });
  assertStringIncludes(first.log, "Applied 0001_messages.sql");
  const second = await run("migrate", { DATABASE_URL: database.url });
  assertStringIncludes(second.log, "The database is up to date");
  assertEquals([first.code, second.code], [0, 0]);
});

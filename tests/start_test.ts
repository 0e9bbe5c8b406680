// The first minute: what a start says when it can't be, and what `migrate` does.
import { assertEquals, assertFalse, assertMatch, assertStringIncludes } from "@std/assert";
import { Reminder } from "../src/reminder.ts";
import { VERSION } from "../src/version.ts";
import { posted, until } from "./support/client.ts";
import { OwnPostgres } from "./support/own_postgres.ts";
import { freePort, MIGRATIONS, projectPath, testPostgres } from "./support/postgres.ts";
import { exitCode, spawnServer, spawnStarting } from "./support/server.ts";

const postgres = await testPostgres();

/** Runs main.ts to its end, with all permissions or those given. */
async function run(
  command: string,
  env: Record<string, string>,
  permissions = ["-A"],
): Promise<{ code: number; log: string }> {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--frozen", "--quiet", ...permissions, projectPath("main.ts"), command],
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
  assertEquals([taken.code, taken.log.split("\n").length], [1, 3]); // which Linger it is, and why it can't be
  assertStringIncludes(taken.log, `PORT=${port} is in use by another program`);
  assertStringIncludes((await run("sreve", {})).log, "sreve is not one of start, serve, migrate");
});

Deno.test("A start tells which Linger it is, where to open it, where the messages are and how to stop it", async () => {
  await using database = await postgres.create();
  await using server = await spawnServer(database.url);
  const url = server.url.replace("127.0.0.1", "localhost");
  await until(() => server.log().includes("Ctrl-C"), "it has told");
  const lines = server.log().trim().split("\n").map((line) => line.replace(/^\S+Z info /, ""));
  assertEquals(lines[0], `Linger ${VERSION}, Deno ${Deno.version.deno}`);
  assertEquals(lines.slice(-3), [
    `Linger is ready at ${url}`,
    `Open it in a browser, or wait for a message with: curl '${url}/messages?after=now&wait=50'`,
    "The messages are in the database that DATABASE_URL names. Ctrl-C stops Linger",
  ]);
  const health = await (await fetch(`${server.url}/healthz`)).json();
  assertEquals([health.status, health.version], ["alive", VERSION]);
});

Deno.test({
  name: "A port that the user may not have is told in a sentence",
  // Only root can become a user that may not; a capability lets that one read Deno and this project, wherever they lie.
  ignore: Deno.build.os !== "linux" || Deno.uid() !== 0,
  fn: async () => {
    const port = [81, 82, 83, 84, 85].find((port) => !isTaken(port))!;
    const { code, stderr } = await new Deno.Command("setpriv", {
      args: [
        ...["--reuid=65534", "--regid=65534", "--clear-groups", "--securebits=+no_setuid_fixup"],
        ...["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"],
        ...[Deno.execPath(), "run", "-A", "--frozen", "--quiet", projectPath("main.ts"), "serve"],
      ],
      env: { PORT: `${port}`, DATABASE_URL: "postgres://127.0.0.1:1/none" },
    }).output();
    const log = new TextDecoder().decode(stderr);
    if (/ready|lookup/.test(log)) return; // a machine where everybody may have every port
    assertEquals(code, 1);
    assertMatch(log, new RegExp(`error PORT=${port} can't be had by this user: choose one from 1024 on`));
  },
});

Deno.test("A server that everybody may use says so where others than this machine can reach it", async () => {
  await using database = await postgres.create();
  const cases: [env: Record<string, string>, says: boolean][] = [
    [{}, false],
    [{ ALLOWED_HOSTS: "localhost,chat.localhost" }, false],
    [{ PROXY_HOPS: "1", TOKEN_SECRET: "s".repeat(32) }, false],
    [{ HOST: "0.0.0.0" }, true],
    [{ PROXY_HOPS: "1" }, true],
    [{ ALLOWED_HOSTS: "localhost,chat.example.com" }, true],
    [{ PORT: "0", DENO_SERVE_ADDRESS: `tcp:0.0.0.0:${freePort()}` }, true],
  ];
  for (const [env, says] of cases) {
    await using server = await spawnServer(database.url, env);
    server.kill("SIGTERM");
    await until(() => server.log().includes("Linger has stopped"), "it has said all");
    const isSaid = server.log().includes("warn Everybody who can reach this server can read and write every room");
    assertEquals(isSaid, says, JSON.stringify(env));
  }
});

Deno.test("migrate brings a database up to date, and says so when it is", async () => {
  await using database = await postgres.create();
  const first = await run("migrate", { DATABASE_URL: database.url });
  assertStringIncludes(first.log, `Applied ${MIGRATIONS.join(", ")}`);
  const second = await run("migrate", { DATABASE_URL: database.url });
  assertStringIncludes(second.log, "The database is up to date");
  assertEquals([first.code, second.code], [0, 0]);
});

Deno.test("migrate says in one sentence why it can't use a database, and ends", async () => {
  await using own = await OwnPostgres.start();
  await own.run("create database latin encoding 'LATIN1' locale 'C' template template0");
  using mute = Deno.listen({ hostname: "127.0.0.1", port: 0 }); // the kernel takes connections, and nobody answers
  const at = `127.0.0.1:${own.port}`;
  const cases: [url: string, sentence: string][] = [
    [`postgres://postgres@127.0.0.1:${freePort()}/x`, "refuses connections: see that PostgreSQL runs there"],
    [`postgres://postgres@127.0.0.1:${mute.addr.port}/x?connect_timeout=2`, "does not answer within 2 s"],
    ["postgres://postgres@nowhere.invalid/x", "nowhere.invalid:5432 can't be found"],
    [`postgres://postgres@${at}/none`, "has no database none: create database none"],
    [`postgres://nobody:secret@${at}/postgres`, "has no role nobody that may log in"],
    [`postgres://postgres@${at}/postgres?sslmode=require`, "offers no TLS, on which sslmode=require insists"],
    [`postgres://postgres@${at}/latin`, "Database latin is encoded in LATIN1"],
    [`postgres://postgres:secret@${at}:x/postgres`, "port in DATABASE_URL must be a number"],
    [`postgres://postgres:sec@ret/secret@${at}/postgres`, "DATABASE_URL has an @ behind its first /"],
  ];
  for (const [url, sentence] of cases) {
    const { code, log } = await run("migrate", { DATABASE_URL: url });
    assertEquals([code, log.split("\n").length], [1, 3], log); // which Linger it is, and the sentence
    assertStringIncludes(log, sentence);
    assertFalse(/secret|\n *at |\.ts:/.test(log), log);
  }

  const { code, log } = await run("serve", { DATABASE_URL: `postgres://postgres@${at}/latin`, PORT: "0" });
  assertEquals([code, log.split("\n").length], [1, 3], "serve does not wait for what nothing can mend");
  assertStringIncludes(log, "error Database latin is encoded in LATIN1");
});

Deno.test("serve says where and why it waits, at once when that changes, and is ready when the last cause is gone", async () => {
  await using own = await OwnPostgres.start();
  const at = `127.0.0.1:${own.port}`;
  await using server = spawnStarting(`postgres://ada:secret@${at}/chat`, { PORT: `${freePort()}` });
  const says = (sentence: string) => until(() => server.log().includes(sentence), sentence);
  await says(`can't be used yet, and is asked again until it can: ${at} has no role ada that may log in`);
  await says(`{"code":"28000","database":"chat","at":"${at}","user":"ada"}`);
  await own.run("create role ada login");
  await says(`${at} has no database chat: create database chat encoding 'UTF8' template template0`);
  await own.run("create database chat encoding 'UTF8' template template0");
  await says("Role ada may not make tables in schema public: grant usage, create on schema public to ada");
  await own.runIn("chat", "grant usage, create on schema public to ada");
  await posted({ url: await server.ready }, "room", "at last");
  assertEquals(server.log().match(/can't be used yet/g)?.length, 3, "each once");
  assertFalse(server.log().includes("secret"));
  server.kill("SIGTERM");
  assertEquals(await exitCode(server), 0);
});

Deno.test("Reminder says what is waited for at once when it changes, and again after a minute", () => {
  const reminder = new Reminder();
  const said = [
    ["a", 0],
    ["a", 59_999],
    ["b", 59_999],
    ["b", 119_998],
    ["b", 119_999],
    ["a", 120_000],
  ].map(([what, now]) => reminder.isDue(what as string, now as number));
  assertEquals(said, [true, false, true, false, true, true]);
});

Deno.test("A socket that the tasks of deno.json may not open is told with the permission, and one they may is opened", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(projectPath("deno.json")));
  for (const task of ["migrate", "serve"]) {
    const permissions: string[] = tasks[task].command.match(/--(?:allow-\S+|no-prompt)/g).concat("--allow-env");
    const path = async (directory: string) =>
      (await run("migrate", { DATABASE_URL: `postgres://postgres@/x?host=${directory}&port=1` }, permissions)).log;
    assertStringIncludes(await path("/nowhere"), "no permission to open /nowhere/.s.PGSQL.1: add it to --allow-read");
    for (const directory of ["/run/postgresql", "/var/run/postgresql"]) {
      assertStringIncludes(await path(directory), `There is no socket ${directory}/.s.PGSQL.1`);
    }
  }
});

function isTaken(port: number): boolean {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return false;
  } catch {
    return true;
  }
}

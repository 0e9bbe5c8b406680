// What the Dockerfile does, as far as it can be done without Docker. The container and the task grant environment variables by
// name: a setting that is missing there would end the start.
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { describeSettings, readConfig } from "../src/config.ts";
import { Origins } from "../src/origin.ts";
import { posted, until } from "./support/client.ts";
import type { Ended } from "./support/command.ts";
import { copyPath } from "./support/files.ts";
import { freePort, projectPath, testPostgres } from "./support/postgres.ts";
import { startServer } from "./support/server.ts";
import { SECRET } from "./support/tokens.ts";

const postgres = await testPostgres({ fsync: "on" }); // else the doctor finds fault with it

for (const file of ["Dockerfile", "deno.json", "deploy/linger.service"]) {
  Deno.test(`What ${file} starts may read every setting`, async () => {
    const text = await Deno.readTextFile(projectPath(file));
    for (const [, names] of text.matchAll(/--allow-env=([^"'\s]+)/g)) {
      const granted = names!.split(",");
      const missing = describeSettings().map(({ name }) => name).filter((name) =>
        !granted.some((pattern) => pattern === name || pattern.endsWith("*") && name.startsWith(pattern.slice(0, -1)))
      );
      assertEquals(missing, []);
    }
  });
}

Deno.test("What the Dockerfile and the unit start may do what `deno task serve` may, and no more", async () => {
  const granted = async (file: string, main: RegExp) => {
    const [, command] = (await Deno.readTextFile(projectPath(file))).replaceAll(/\\\n/g, " ").match(main)!;
    return command!.replaceAll("'", "").match(/--allow-\S+/g)!.sort();
  };
  const served = await granted("deno.json", /names\.ts && (deno run .*) main\.ts serve"/);
  assertEquals(await granted("Dockerfile", /names\.ts && (.*) main\.ts /), served);
  assertEquals(await granted("deploy/linger.service", /^ExecStart=(.*) main\.ts serve$/m), served);
});

Deno.test("compose.yaml brings no password along: one has to be chosen", async () => {
  const text = await Deno.readTextFile(projectPath("compose.yaml"));
  const passwords = [...text.matchAll(/^ +(?:PGPASSWORD|POSTGRES_PASSWORD): (.*)$/gm)].map(([, value]) => value!);
  assertEquals(passwords.length, 2);
  for (const password of passwords) assertMatch(password, /^\$\{POSTGRES_PASSWORD:\?[^}]+\}$/);
  assertEquals(text.match(/postgres(ql)?:\/\/[^@\s]*:[^@\s]*@/), null, "nor has a URL one");
});

/** What the Dockerfile makes. */
interface Image extends AsyncDisposable {
  /** What the shell is given that it begins with. */
  readonly script: string;
  /** Starts it, as `docker run` does; without arguments what stands behind CMD. */
  start(args: readonly string[], env: Record<string, string>): Deno.ChildProcess;
  /** Runs it to its end. */
  run(args: readonly string[], env: Record<string, string>, input?: string): Promise<Ended>;
}

async function makeImage(): Promise<Image> {
  const text = (await Deno.readTextFile(projectPath("Dockerfile"))).replaceAll(/\\\n/g, " ");
  const app = await Deno.makeTempDir({ prefix: "linger-test-" });
  for (const [, from, to] of text.matchAll(/^COPY (.*) (\S+)$/gm)) {
    for (const part of from!.split(" ")) await copyPath(projectPath(part), join(app, to === "./" ? part : to!));
  }
  const entry: string[] = JSON.parse(text.match(/^ENTRYPOINT (.*)$/m)![1]!);
  const [script] = entry.splice(4, 1);
  assertEquals(entry, ["/tini", "--", "sh", "-c", "sh"]);
  const command: string[] = JSON.parse(text.match(/^CMD (.*)$/m)![1]!);
  const start: Image["start"] = (args, env) =>
    new Deno.Command("sh", {
      args: [
        "-c",
        script!.replaceAll(/\bdeno run\b/g, `"${Deno.execPath()}" run`),
        "sh",
        ...args.length > 0 ? args : command,
      ],
      cwd: app,
      env: { NO_COLOR: "1", DENO_NO_PROMPT: "1", ...env },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  return {
    script: script!,
    start,
    run: async (args, env, input = "") => {
      const child = start(args, env);
      const given = new Blob([input]).stream().pipeTo(child.stdin).catch(() => {}); // what reads nothing can end before
      const { code, stdout, stderr } = await child.output();
      await given;
      const [said, log] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
      return { code, stdout: said!, log: log! };
    },
    [Symbol.asyncDispose]: () => Deno.remove(app, { recursive: true }),
  };
}

Deno.test("With what the Dockerfile copies, what it starts finds all that it needs, and stops only for want of a database", async () => {
  await using image = await makeImage();
  const { code, log } = await image.run([], { PORT: "0" });
  assertMatch(log, /^\S+ info Linger .*\n\S+ error DATABASE_URL is not set, and must be.*\n$/);
  assertEquals(code, 1);
  const forget = await image.run(["forget", "--room", "room", "--yes"], {});
  assertMatch(forget.log, /^\S+ info Linger .*\n\S+ error DATABASE_URL is not set, and .*\n$/);
});

Deno.test("A misspelt setting is told in a container too, by what may see all names and do nothing else", async () => {
  await using image = await makeImage();
  const { code, log } = await image.run([], { PORT: "0", MAX_WAITER: "3" });
  assertMatch(log, /^\S+ warn MAX_WAITER is not a setting; did you mean MAX_WAITERS\?\n\S+ info Linger /);
  assertEquals(code, 1);
  const [looks, runs] = image.script.split(" && ");
  assertStringIncludes(looks!, "src/names.ts");
  assertEquals(looks!.match(/--allow-\S+/g), ["--allow-env"]);
  assert(!/--allow-env(\s|$)/.test(runs!));
});

Deno.test("A signal that a container gets reaches Linger, and the status is Linger's", async () => {
  await using image = await makeImage();
  await using database = await postgres.create();
  const url = `http://127.0.0.1:${freePort()}`;
  const child = image.start([], { DATABASE_URL: database.url, PORT: new URL(url).port });
  await child.stdin.close();
  await until(
    () => fetch(`${url}/healthz`).then(async ({ body }) => (await body?.cancel(), true), () => false),
    "it listens",
  );
  child.kill("SIGTERM");
  const { code, stderr } = await child.output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
});

Deno.test("With what the Dockerfile permits, the commands that the docs name for a container do what they are for", async () => {
  await using image = await makeImage();
  await using database = await postgres.create();
  await using other = await postgres.create();
  const docs = await Deno.readTextFile(projectPath("docs/running.md"));
  const commands = new Map(
    Array.from(docs.matchAll(/`docker compose run --rm (?:-T )?linger ([^`<>]+?)(?: [<>] \S+)?`/g), ([, command]) => {
      const [name, ...args] = command!.replaceAll("'", "").split(" ");
      return [name!, args] as const;
    }),
  );
  assertEquals([...commands.keys()].sort(), ["doctor", "export", "forget", "import", "token"]);
  const run = async (name: string, { url }: { url: string }, args: readonly string[], input?: string) => {
    const env = { DATABASE_URL: url, TOKEN_SECRET: SECRET, PORT: "1" }; // the port inside is nobody's outside
    const { code, stdout, log } = await image.run([name, ...args], env, input);
    assertEquals(code, 0, `${name}: ${stdout}${log}`);
    return stdout;
  };
  for (const place of [database, other]) await run("migrate", place, []); // named by the Dockerfile
  assertStringIncludes(await run("doctor", database, commands.get("doctor")!), "Linger can use this database");
  assertMatch(await run("token", database, commands.get("token")!), /^http:\/\/localhost:8080\/#token=\S+$/m);

  await using server = await startServer(database.url);
  const { id } = await posted(server, "kitchen", "words");
  const exported = await run("export", database, commands.get("export")!);
  await run("import", other, commands.get("import")!, exported);
  const bodies = async () =>
    (await other.sql`select body from messages where room = 'kitchen'`).map(({ body }) => body);
  assertEquals(await bodies(), ["words"]);
  const forget = commands.get("forget")!.map((arg) => arg.replace(/^ID$/, id));
  await run("forget", other, [...forget, "--yes"]); // nobody is there to be asked
  assertEquals(await bodies(), [""]);
});

/** What compose.yaml says of the service `linger`, and which variables it gives it. */
async function composed(): Promise<{ linger: string; environment: [name: string, value: string][] }> {
  const text = await Deno.readTextFile(projectPath("compose.yaml"));
  const [, linger] = text.match(/^ {2}linger:\n((?: {4}.*\n|\n)+)/m)!;
  const [, environment] = linger!.match(/^ {4}environment:\n((?: {6}.*\n)+)/m)!;
  const variables = environment!.matchAll(/^ {6}(\w+): "?([^\s"]+)/gm);
  return { linger: linger!, environment: Array.from(variables, ([, name, value]) => [name!, value!]) };
}

Deno.test("A setting in .env reaches the container that compose.yaml starts, but for the three that it says itself", async () => {
  const { linger, environment } = await composed();
  assertMatch(linger, /^ {4}env_file:.*\n {6}- path: \.env$/m);
  // What stands here counts more than the file: some are handed on, with what they have there or elsewhere.
  const said = environment.filter(([name, value]) => !value.startsWith(`\${${name}:-`)).map(([name]) => name);
  assertEquals(
    describeSettings().map(({ name }) => name).filter((name) => said.includes(name)).sort(),
    ["DATABASE_URL", "HOST", "PORT"],
  );
});

Deno.test("What compose.yaml starts without further settings does not answer a page whose name was made to lead to this machine", async () => {
  const { environment } = await composed();
  const unset = new Map(environment.map(([name, value]) => [name, value.replace(/^\$\{\w+:-(.*)\}$/, "$1")]));
  const origins = new Origins(readConfig({ get: (name) => unset.get(name) }));
  const statusFor = (host: string) =>
    origins.refuse(new Request("http://localhost/rooms", { headers: { host } }))?.status;
  assertEquals(statusFor("evil.test:8080"), 421);
  for (const host of ["localhost:8080", "127.0.0.1:8080"]) assertEquals(statusFor(host), undefined, host);
});

// Every example in the docs is run as it stands there, by somebody who has just come: in folders of their own, against the server
// that the README starts. So are the commands that stand in the README's sentences. What can't be run is named here with its reason.
//
// The one thing that is not taken literally is the port: where this machine's 8080 is taken, `localhost:8080` is read as another, and
// `PORT=9000` always is.
import { assert, assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { readAddress } from "../src/database/address.ts";
import { within } from "../src/sleep.ts";
import manifest from "../deno.json" with { type: "json" };
import { post, until } from "./support/client.ts";
import { copyPath } from "./support/files.ts";
import { freePort, projectPath, testPostgres } from "./support/postgres.ts";
import { startServer } from "./support/server.ts";
import { readConfig } from "../src/config.ts";
import { openIdentities } from "../src/identity/identities.ts";
import { UNLIMITED } from "../src/allowance.ts";
import { bearer, SECRET } from "./support/tokens.ts";

/** A fenced block. */
interface Example {
  readonly file: string;
  /** The heading above it. */
  readonly heading: string;
  readonly language: string;
  readonly text: string;
}

/** Examples that are not run, and why. */
const NOT_RUN = [
  {
    why: "the second line runs this test, and the first one starts what the README's does",
    text: `
deno task start    # the server, with a database of its own in ./data
deno task ok       # everything that has to pass: format, lint, types, tests
deno task test tests/feed_test.ts    # the tests of one file`,
  },
  {
    why: "JSR can't be reached from everywhere",
    text: `
grep -v '"links"' deno.json > deno.jsr.json
deno test -A --no-lock --config deno.jsr.json --preload=tests/support/deadline.ts; rm deno.jsr.json`,
  },
  {
    why: "it starts another server on the same port; that page is shown by tests/web/session_test.ts",
    text: `
export TOKEN_SECRET_FILE=secret.txt
npx --yes deno@2.9.6 -A main.ts`,
  },
  {
    why: "the second database is one's own; export_test.ts runs these commands",
    text: `
deno task export --sub ada > ada.jsonl
deno task export --room kitchen > kitchen.jsonl
DATABASE_URL=postgres://linger:secret@db.example/chat deno task import kitchen.jsonl`,
  },
  {
    why: "they need Docker",
    text: `
docker compose stop linger
docker compose exec postgres dropdb -U linger linger
docker compose exec postgres createdb -U linger linger
docker compose exec -T postgres psql -q -U linger linger < backup.sql
docker compose exec postgres psql -U linger -c analyze linger
docker compose start linger`,
  },
  {
    why: "they need a browser",
    text: `
deno task test:web     # the tests of the page; run them when you have changed it, the client or the routes
deno task screenshots  # takes the README's pictures anew, when the page looks different`,
  },
  {
    why: "it is the beginning of the commands that are run",
    text: "npx --yes deno@2.9.6",
  },
];

/** Commands that change the machine. What they install is run, as it stands in deploy/, by deploy_test.ts and downloads_test.ts. */
const ON_A_MACHINE_OF_ITS_OWN = /\bsudo /;

/** Languages of blocks that are there to be looked at. */
const TO_LOOK_AT = [""];

/** How commands begin, which are to be run and not only looked at. */
const COMMAND = /^(sudo|cd|deno|npx|curl|docker|git|psql|export) /m;

/** Programs that not every machine has, whose examples are left out where they are missing. */
const MAY_BE_MISSING = ["jq", "node", "curl", "npx", "openssl", "python3", "php"];

/** How the README runs its example in TypeScript. */
const HELLO = "deno run -A hello.ts";

/** Milliseconds in which what is interrupted has to end; then it is ended. */
const GONE_WITHIN_MS = 30_000;

/** The example that starts the server. */
const START = /^npx --yes deno@[\d.]+ /;

const postgres = await testPostgres();

const documents = ["README.md", "CONTRIBUTING.md", "SECURITY.md"];
for (const { name } of Deno.readDirSync(projectPath("docs"))) if (name.endsWith(".md")) documents.push(`docs/${name}`);
const examples = documents.flatMap(examplesIn);
const start = examples.find(({ text }) => START.test(text))!;

/** The commands that stand in the README's sentences, but for tasks, which have a test of their own. */
const commands = inlineIn("README.md").filter((text) =>
  COMMAND.test(text.replace(/^\w+=\S+ /, "")) && !/^deno task [\w:]+$/.test(text)
);
const starts = commands.filter((text) => text.endsWith(" -A main.ts"));

/** What each example ran in: one folder for all that stand below one heading, since they go on where the one before ended. */
const folders = new Map<string, string>();

let home: string;
let port: number;
let server: Running;

Deno.test.beforeAll(async () => {
  home = await Deno.makeTempDir({ prefix: "linger-test-" });
  await Deno.chmod(home, 0o755); // PostgreSQL can be another user
  port = isFree(8080) ? 8080 : freePort();
  // Where there is no npx, the Deno that runs this test stands for the one that npx would fetch.
  const text = has("npx") ? start.text : start.text.replace(START, `"${Deno.execPath()}" `);
  server = run(text, await checkout("start"), port === 8080 ? {} : { PORT: `${port}` });
  // To its last line: what it says later would be read in the middle of a test.
  const ready = /Linger is ready at http:\/\/localhost:\d+\n(.*\n){2}/;
  let over = false;
  server.ended.then(() => over = true);
  await until(() => over || ready.test(server.log()), "the server is ready", 200_000);
  assertMatch(server.log(), ready);
});

Deno.test.afterAll(async () => {
  await server.interrupt();
  await Deno.remove(home, { recursive: true });
});

Deno.test("The README's first example starts the server, and tells where it is", () => {
  assertEquals(start, examples[0]);
  assertStringIncludes(server.log(), `curl 'http://localhost:${port}/messages?after=now&wait=50'`);
});

for (const text of starts) {
  Deno.test({
    name: `${text} starts the server, as the README says in a sentence`,
    ignore: text.includes("npx ") && !has("npx"),
    fn: async () => {
      const folder = folders.get("starts") ?? await checkout("starts"); // one database will do
      folders.set("starts", folder);
      const free = freePort();
      const isSaid = text.startsWith("PORT=");
      const another = run(text.replace(/^PORT=\d+/, `PORT=${free}`), folder, isSaid ? {} : { PORT: `${free}` });
      try {
        let over = false;
        another.ended.then(() => over = true);
        await until(() => over || /Linger is ready at .*\n/.test(another.log()), "it is ready", 200_000);
        assertStringIncludes(another.log(), `Linger is ready at http://localhost:${free}\n`);
      } finally {
        await another.interrupt();
      }
    },
  });
}

for (const example of examples) {
  const { file, heading, language, text } = example;
  if (
    example === start || language === "sql" || NOT_RUN.some((left) => left.text.trim() === text) ||
    TO_LOOK_AT.includes(language) || ON_A_MACHINE_OF_ITS_OWN.test(text)
  ) continue;
  const missing = MAY_BE_MISSING.find((program) =>
    new RegExp(`^ *${program} `, "m").test(runner(example)) && !has(program)
  );
  Deno.test({
    name: `The example below "${heading}" in ${file} that begins with ${
      text.split("\n")[0]!.slice(0, 60)
    } does something`,
    ignore: missing !== undefined,
    fn: async () => {
      const folder = folders.get(file + heading) ?? await checkout(`${folders.size}`);
      folders.set(file + heading, folder);
      const before = await namesIn(folder);
      if (language !== "sh") await Deno.writeTextFile(join(folder, `example.${extension(language)}`), here(text));
      const env = environment(example);
      const running = run(here(runner(example)), folder, env);
      try {
        let ended = false;
        running.ended.then(() => ended = true);
        // Whoever waits for a message gets one, and what goes on for ever has shown by then that it works.
        await until(
          async () => {
            for (const room of ["lobby", "garden"]) {
              await (await post(url(), room, { body: "News", author: "Noor" })).body?.cancel();
            }
            return ended || running.output() !== "";
          },
          "it says something, or ends",
          60_000,
        );
        if (ended) assertEquals(await running.ended, 0, running.log());
        if (ended && running.output() === "") assertNotEquals(await namesIn(folder), before, "it leaves something");
        const token = running.output().match(/^ey\S+$/m)?.[0];
        if (token) assert(await holds(token, env, folder), `The server would not take ${token}`);
      } finally {
        await running.interrupt();
      }
    },
  });
}

Deno.test("The README's example in TypeScript shows the message that it posts", async () => {
  const { text } = examples.find(({ file, language }) => file === "README.md" && language === "ts")!;
  const folder = await checkout("typescript");
  // In a room of its own, since another example may have posted before.
  await Deno.writeTextFile(join(folder, "hello.ts"), here(text).replace('room("garden")', 'room("typescript")'));
  assert(commands.includes(HELLO));
  for (const _again of [1, 2]) {
    const example = run(HELLO, folder);
    await until(() => example.output() !== "", "it says something", 60_000);
    await example.interrupt();
    assertEquals(example.output(), "Ada Hello\n"); // the second time too: it is stored once
  }
});

for (const shell of ["dash", "bash"]) {
  Deno.test({
    name: `The reader in the README tells messages in ${shell} as they are, obeys none, and says why it ends`,
    ignore: !has(shell) || !has("jq") || !has("curl"),
    fn: async () => {
      const reader = here(examples.find(({ file, text }) => file === "README.md" && text.includes("while true"))!.text);
      const folder = await Deno.makeTempDir({ dir: home });
      const temporary = await Deno.makeTempDir({ dir: home });
      const room = `reader-${shell}`;
      const start = (text: string) => run(text, folder, { TMPDIR: temporary }, shell);
      const reading = [0, 1].map(() => start(reader.replace("rooms/garden", `rooms/${room}`)));
      await until(async () => (await health()).waiters === 2, "both wait");
      const bodies = ["one", "\u001b[31mred\u0007", "two\nlines \u009b1m", 'a "quote" \\ 100% ünïcode 😀', "last"];
      for (const body of bodies) await (await post(url(), room, { body })).body?.cancel();
      const told = ["one", " [31mred ", "two lines  1m", 'a "quote" \\ 100% ünïcode 😀', "last"].map((text) =>
        `?: ${text}\n`
      );
      for (const reader of reading) {
        await until(() => reader.output().includes("last"), "all is told", 60_000);
        assertEquals(reader.output(), told.join(""));
      }
      // Ctrl-C between two commands of a shell is heard when the next one ends, which can be a poll.
      await until(async () => (await health()).waiters === 2, "both wait again");
      for (const reader of reading) await reader.interrupt();
      const refused = start(reader.replace("rooms/garden", "rooms/no%20room"));
      assertEquals(await refused.ended, 1);
      assertStringIncludes(refused.log(), "The server answered 400: {");
      assertEquals([await namesIn(folder), await namesIn(temporary)], [[], []]);
    },
  });
}

Deno.test("Every statement that the docs give to the owner of a database works there", async () => {
  await using database = await postgres.create();
  await using _server = await startServer(database.url); // makes the tables
  const statements = examples.filter(({ language }) => language === "sql").map(({ text }) => text);
  assert(statements.length > 0);
  await database.sql`create role linger login`;
  for (const statement of statements) await database.sql.unsafe(statement);
  await database.sql`drop owned by linger`;
  await database.sql`drop role linger`;
});

Deno.test("Every address that the docs show is one that Linger takes", () => {
  const urls = documents.flatMap((file) =>
    Deno.readTextFileSync(projectPath(file)).match(/postgres:\/\/[^\s`'"]*/g) ?? []
  );
  assert(urls.length > 3);
  const around = { env: () => undefined, readFile: () => "", osUser: () => "user" };
  for (const url of urls) assert(readAddress(url, around).hosts.length > 0);
});

Deno.test("What the docs leave out is named with its reason, and no reason is left over", () => {
  const texts = new Set([...examples.map(({ text }) => text), ...commands]);
  for (const { text } of NOT_RUN) assert(texts.has(text.trim()), `No example reads any more${text}`);
  for (const { language, file, heading, text } of examples) {
    if (TO_LOOK_AT.includes(language)) {
      assert(!COMMAND.test(text), `Nothing runs what is below "${heading}" in ${file}`);
    }
    const known = ["sh", "ts", "js", "sql", "python", "php", ...TO_LOOK_AT].includes(language);
    assert(known, `This test does not know how to run the ${language} below "${heading}" in ${file}`);
  }
  for (const text of commands) {
    if (text === HELLO || starts.includes(text)) continue;
    assert(NOT_RUN.some((left) => left.text === text), `Nothing runs ${text} in the README`);
  }
});

Deno.test("Each task that the docs name is there, and each that runs main.ts answers to --help", async () => {
  const tasks: Record<string, { command: string }> = manifest.tasks;
  const named = new Set<string>();
  for (const file of documents) {
    const text = Deno.readTextFileSync(projectPath(file));
    for (const [, name] of text.matchAll(/deno task ([\w:]+)/g)) named.add(name!);
  }
  assertEquals([...named].filter((name) => !(name in tasks)), []);
  for (const [name, { command }] of Object.entries(tasks)) {
    if (!/main\.ts (start|serve|migrate|doctor|token|forget|export|import)$/.test(command)) continue;
    const { code, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["task", name, "--help"],
      cwd: projectPath("."),
      env: { NO_COLOR: "1" },
    }).output();
    assertEquals([name, code], [name, 0]);
    assertStringIncludes(new TextDecoder().decode(stdout), `deno task ${name}`);
  }
});

Deno.test("One version of Deno is named, wherever one is", async () => {
  const versions = new Set<string>();
  for (const file of [...documents, "Dockerfile", ".ci/run"]) {
    for (const [, version] of (await Deno.readTextFile(projectPath(file))).matchAll(/\bdeno[@:](\d[\d.]*\d)/g)) {
      versions.add(version!);
    }
  }
  assertEquals(versions.size, 1, [...versions].join());
});

function examplesIn(file: string): Example[] {
  const found: Example[] = [];
  let heading = "";
  let block: { language: string; lines: string[] } | undefined;
  for (const line of Deno.readTextFileSync(projectPath(file)).split("\n")) {
    const fence = line.match(/^ *```(\S*)/);
    if (fence && block) {
      found.push({ file, heading, language: block.language, text: block.lines.join("\n") });
      block = undefined;
    } else if (fence) block = { language: fence[1]!, lines: [] };
    else if (block) block.lines.push(line);
    else heading = line.match(/^#+ (.*)/)?.[1] ?? heading;
  }
  return found;
}

/** What stands as code in a file's sentences. */
function inlineIn(file: string): string[] {
  const sentences = Deno.readTextFileSync(projectPath(file)).replaceAll(/^ *```[^]*?^ *```$/gm, "");
  return Array.from(sentences.matchAll(/`([^`\n]+)`/g), ([, text]) => text!);
}

/** An example for the server as it is here. */
function here(text: string): string {
  return text.replaceAll("localhost:8080", `localhost:${port}`);
}

/** What to type to run it. */
function runner({ language, text }: Example): string {
  if (language === "ts") return `"${Deno.execPath()}" run --allow-net example.ts`;
  if (language === "js") return "node example.mjs";
  if (language === "python") return "python3 example.python";
  if (language === "php") return "php example.php";
  return text;
}

function extension(language: string): string {
  return language === "js" ? "mjs" : language;
}

/** What an example exports by itself, or what an app has that has the secret. */
function environment({ file, language, text }: Example): Record<string, string> {
  const [, name, value] = text.match(/^export (\w+)=(.*)$/m) ?? [];
  if (name) return { [name]: value! };
  return file === "docs/closing.md" && language !== "sh" ? { TOKEN_SECRET: SECRET } : {};
}

/** Whether a server that is started so in this folder would let somebody in who shows this token. */
async function holds(token: string, env: Record<string, string>, folder: string): Promise<boolean> {
  const { signal } = new AbortController();
  const config = readConfig({
    get: (name) => name.endsWith("_FILE") && env[name] ? join(folder, env[name]) : env[name],
  });
  const identities = await openIdentities(config, signal);
  const request = new Request("http://localhost", { headers: bearer(token) });
  return await Promise.resolve(identities!.identify(request, () => UNLIMITED)).then(
    ({ sub }) => sub !== null,
    () => false,
  );
}

function url(): { url: string } {
  return { url: `http://localhost:${port}` };
}

async function health(): Promise<{ waiters: number }> {
  return await (await fetch(`${url().url}/healthz`)).json();
}

/** What somebody has who has cloned the project, as far as it is needed to run it. */
async function checkout(name: string): Promise<string> {
  const folder = join(home, name);
  for (const part of ["main.ts", "deno.json", "deno.lock", "src", "migrations", "tests/std"]) {
    await copyPath(projectPath(part), join(folder, part));
  }
  return folder;
}

/** A command that runs in a shell. */
interface Running {
  /** Its exit code. */
  readonly ended: Promise<number>;
  output(): string;
  /** What it has said on standard error. */
  log(): string;
  /** Ends it and all that it has started, as Ctrl-C does. */
  interrupt(): Promise<void>;
}

function run(text: string, cwd: string, env: Record<string, string> = {}, shell = "sh"): Running {
  const child = new Deno.Command(shell, {
    args: ["-c", text],
    cwd,
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    detached: true, // leads a group of its own, as a command in a terminal does
  }).spawn();
  const said = { stdout: "", stderr: "" };
  const reading = (["stdout", "stderr"] as const).map(async (stream) => {
    for await (const part of child[stream].pipeThrough(new TextDecoderStream())) said[stream] += part;
  });
  const ended = Promise.all([child.status, ...reading]).then(([{ code }]) => code);
  let over = false;
  ended.then(() => over = true);
  return {
    ended,
    output: () => said.stdout,
    log: () => said.stderr,
    async interrupt() {
      for (const signal of ["SIGINT", "SIGKILL"] as const) {
        if (over) return;
        try {
          Deno.kill(-child.pid, signal);
        } catch { /* it has ended already */ }
        await within(ended, GONE_WITHIN_MS);
      }
    },
  };
}

async function namesIn(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
}

function has(program: string): boolean {
  return new Deno.Command("sh", { args: ["-c", 'command -v "$0"', program], stdout: "null" }).outputSync().success;
}

function isFree(port: number): boolean {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return true;
  } catch {
    return false;
  }
}

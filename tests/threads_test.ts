// Several threads that serve one port: to clients they are one server.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import manifest from "../deno.json" with { type: "json" };
import { NIL } from "../src/chat/cursor.ts";
import { type Message, messages, PATIENCE_MS, posted, until } from "./support/client.ts";
import { freePort, testPostgres } from "./support/postgres.ts";
import { exitCode, type ServerProcess, spawnServer, spawnStarting } from "./support/server.ts";

const postgres = await testPostgres();

const TWO = { THREADS: "2" };

/** Takes a new connection for each request, so that the kernel chooses the thread anew. */
const client = () => Deno.createHttpClient({ poolMaxIdlePerHost: 0 });

/** So many polls that each thread gets some, and an odd number, so that no two threads have as many. */
const POLLS = 65;

/** How many polls wait at each thread. */
async function waiting({ url }: ServerProcess): Promise<number[]> {
  using fresh = client();
  const told = new Set<number>();
  for (let i = 0; i < 64; i++) {
    const response = await fetch(`${url}/healthz`, { client: fresh });
    told.add((await response.json()).waiters);
  }
  return [...told];
}

/** Parks `POLLS` polls, at both threads. */
async function parked(server: ServerProcess): Promise<Promise<Message[]>[]> {
  const polls = Array.from({ length: POLLS }, () => messages(server, "room", "after=now&wait=50"));
  await until(async () => (await waiting(server)).reduce((sum, here) => sum + here) === POLLS, "all wait");
  assertEquals((await waiting(server)).length, 2);
  return polls;
}

Deno.test("What is posted through one thread reaches those who wait at every thread", async () => {
  await using database = await postgres.create();
  await using server = await spawnServer(database.url, TWO);
  const polls = await parked(server);
  const { id } = await posted(server, "room", "news");
  for (const answer of await Promise.all(polls)) assertEquals(answer.map((message) => message.id), [id]);
});

Deno.test("A reader whose polls come now to one thread, now to the other, misses nothing and gets nothing twice", async () => {
  await using database = await postgres.create();
  await using server = await spawnServer(database.url, TWO);
  const [writers, each] = [8, 25];
  const follow = async () => {
    using fresh = client();
    const seen: string[] = [];
    let deadline = Date.now() + PATIENCE_MS;
    for (let after = NIL; seen.length < writers * each;) {
      assert(Date.now() < deadline, `It has ${seen.length} of ${writers * each}`);
      const response = await fetch(`${server.url}/rooms/room/messages?after=${after}&limit=3&wait=5`, {
        client: fresh,
      });
      const page: Message[] = await response.json();
      seen.push(...page.map(({ body }) => body));
      if (page.length > 0) deadline = Date.now() + PATIENCE_MS;
      after = page.at(-1)?.id ?? after;
    }
    return seen;
  };
  const write = async (writer: number) => {
    for (let i = 0; i < each; i++) await posted(server, "room", `${writer} ${i}`);
  };
  const [readers] = await Promise.all([
    Promise.all(Array.from({ length: 4 }, follow)),
    Promise.all(Array.from({ length: writers }, (_, writer) => write(writer))),
  ]);
  const all = (await messages(server, "room", "limit=1000&wait=0")).map(({ body }) => body);
  assertEquals(new Set(all).size, writers * each);
  for (const seen of readers) assertEquals(seen, all);
});

Deno.test("On a signal all threads answer those who wait, and the process is gone", async () => {
  await using database = await postgres.create();
  await using server = await spawnServer(database.url, TWO);
  const polls = await parked(server);
  server.kill("SIGTERM");
  for (const answer of await Promise.all(polls)) assertEquals(answer, []);
  assertEquals(await exitCode(server), 0);
});

Deno.test("Threads share their port with each other, not with another program", async () => {
  await using database = await postgres.create();
  const port = `${freePort()}`;
  await using _server = await spawnServer(database.url, { ...TWO, PORT: port });
  await using second = spawnStarting(database.url, { ...TWO, PORT: port });
  second.ready.catch(() => {});
  assertEquals(await exitCode(second), 1);
  await until(() => second.log().includes(`PORT=${port} is in use by another program`), "it says why");
});

Deno.test("With the permissions of `deno task serve` threads start, serve and end", async () => {
  await using database = await postgres.create();
  const command = manifest.tasks.serve.command.replaceAll(/\bdeno run\b/g, `"${Deno.execPath()}" run`)
    .replace(" && ", " && exec ");
  const child = new Deno.Command("sh", {
    args: ["-c", command],
    cwd: new URL("..", import.meta.url),
    env: { ...TWO, DATABASE_URL: database.url, PORT: "0" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let log = "";
  for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
    log += text;
    const url = log.match(/ready at (http:\S+)\n/)?.[1];
    if (!url) continue;
    await posted({ url }, "room", "news");
    child.kill("SIGTERM");
    log = "";
  }
  assertEquals((await child.status).code, 0);
  assertStringIncludes(log, "Linger has stopped");
});

Deno.test("A thread that can't start ends the program", async () => {
  await using database = await postgres.create();
  const server = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--frozen",
      "--allow-net",
      "--allow-env",
      "--allow-read=migrations",
      "main.ts",
      "serve",
    ],
    cwd: new URL("..", import.meta.url),
    env: { ...TWO, DATABASE_URL: database.url, PORT: "0" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  });
  const { code, stderr } = await server.output();
  assertEquals(code, 1);
  assertStringIncludes(new TextDecoder().decode(stderr), "A thread failed");
});

// A log that can't be written harms nobody: neither those who are served, nor the start, nor the end.
import { assertEquals, assertGreaterOrEqual, assertLessOrEqual, assertMatch } from "@std/assert";
import { messages, post, read, until } from "./support/client.ts";
import { freePort, hold, projectPath, type TestDatabase, testPostgres } from "./support/postgres.ts";
import { exitCode } from "./support/server.ts";

const postgres = await testPostgres();

/** A server whose standard error leads where the shell's `redirection` says. */
function serverLoggingTo(database: TestDatabase, redirection: string, cwd = projectPath(".")) {
  const port = freePort();
  const command = `exec "${Deno.execPath()}" run -A --frozen --quiet "${projectPath("main.ts")}" serve ${redirection}`;
  const child = new Deno.Command("sh", {
    args: ["-c", command],
    cwd,
    env: { DATABASE_URL: database.url, PORT: `${port}` },
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const url = `http://127.0.0.1:${port}`;
  const ready = () =>
    fetch(`${url}/readyz`).then(async (answer) => (await answer.body?.cancel(), answer.ok), () => false);
  return {
    url,
    status: child.status,
    ready: () => until(ready, "it is ready"),
    stop: () => child.kill("SIGTERM"),
    [Symbol.asyncDispose]: async () => {
      try {
        child.kill("SIGKILL");
      } catch { /* it has ended */ }
      await child.status;
    },
  };
}

/** Makes a post fail in the middle of its statement, which is something to log. The room must have a message. */
async function fail(server: { url: string }, database: TestDatabase): Promise<void> {
  const holding = await hold(database, (sql) => sql`select from heads where room = 'room' for update`);
  assertEquals((await read(post(server, "room", { body: "refused" }))).status, 503);
  await holding.end();
}

/** A pipe with a name. */
async function makePipe() {
  const directory = await Deno.makeTempDir();
  const path = `${directory}/pipe`;
  const sh = (command: string) => new Deno.Command("sh", { args: ["-c", command], stderr: "null" }).output();
  await sh(`mkfifo ${path}`);
  return {
    path,
    /** Fills it, so that whoever writes has to wait. */
    fill: () => sh(`dd if=/dev/zero of=${path} oflag=nonblock bs=4096`),
    /** Opens it for reading; with the right to write, so that nobody has to wait for the other side. */
    open: async () => {
      const file = await Deno.open(path, { read: true, write: true });
      const buffer = new Uint8Array(65_536);
      let text = "";
      return {
        /** Reads until `sentence` has come, and returns all that came. */
        until: async (sentence: string) => {
          while (!text.includes(sentence)) {
            text += new TextDecoder().decode(buffer.subarray(0, (await file.read(buffer))!));
          }
          return text;
        },
        close: () => file.close(),
      };
    },
    [Symbol.asyncDispose]: () => Deno.remove(directory, { recursive: true }),
  };
}

for (const [name, redirection] of [["a full disk", "2>/dev/full"], ["nothing", "2>&-"]] as const) {
  Deno.test(`A server whose log leads to ${name} starts, serves, refuses truthfully, and ends`, async () => {
    await using database = await postgres.create();
    await using server = serverLoggingTo(database, redirection);
    await server.ready();
    assertEquals((await read(post(server, "room", { body: "stored" }))).status, 201);
    await fail(server, database);
    assertEquals((await read(post(server, "room", { body: "stored too" }))).status, 201);
    assertEquals((await messages(server, "room", "wait=0")).map(({ body }) => body), ["stored", "stored too"]);
    server.stop();
    assertEquals(await exitCode(server), 0);
  });
}

Deno.test("What a server could not log is logged as soon as that is possible again", async () => {
  await using database = await postgres.create();
  await using pipe = await makePipe();
  const first = await pipe.open();
  await using server = serverLoggingTo(database, `2>${pipe.path}`);
  await first.until("Linger is ready");
  assertEquals((await read(post(server, "room", { body: "stored" }))).status, 201);
  first.close(); // from now on nothing can be written
  await fail(server, database);
  const second = await pipe.open();
  await second.until("The database fails (writes)");
  second.close();
});

Deno.test("A server whose log nobody reads serves, and ends; what is read later tells all", async () => {
  await using database = await postgres.create();
  await using pipe = await makePipe();
  const reader = await pipe.open();
  await pipe.fill();
  await using server = serverLoggingTo(database, `2>${pipe.path}`);
  await server.ready();
  assertEquals((await read(post(server, "room", { body: "stored" }))).status, 201);

  assertMatch(await reader.until("Linger is ready"), /Applied migration .*\n.* info Linger is ready/);
  await pipe.fill();
  server.stop();
  assertEquals(await exitCode(server), 0);
  reader.close();
});

/** What a program of its own writes to its log, by lines. */
async function linesOf(program: string): Promise<string[]> {
  const script = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(script, program);
  const { stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--no-config", script],
  }).output();
  await Deno.remove(script);
  return new TextDecoder().decode(stderr).trim().split("\n");
}

Deno.test("A log takes ten lines a second, after some at once, and says how many it left out", async () => {
  const lines = await linesOf(`
    import { log, logged, logWithoutWaiting } from "${import.meta.resolve("../src/log.ts")}";
    const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    logWithoutWaiting();
    let count = 0;
    const line = () => log("warn", "line", { i: ++count });
    for (let i = 0; i < 1_000; i++) line();
    for (const end = performance.now() + 2_000; performance.now() < end; await pause(5)) line();
    await pause(2_000);
    log("info", "the last", { count });
    await logged();`);
  const told = lines.filter((line) => line.includes("warn line"));
  const leftOut = lines.map((line) => Number(line.match(/lines are left out \{"lines":(\d+)\}$/)?.[1] ?? 0));
  const [, count] = lines.at(-1)!.match(/info the last \{"count":(\d+)\}$/)!;
  assertEquals(told.length + leftOut.reduce((sum, lines) => sum + lines), Number(count));
  // By the times in the lines themselves, however long the machine took.
  const [first, last] = [told[0]!, told.at(-1)!].map((line) => Date.parse(line.split(" ")[0]!) / 1_000);
  assertGreaterOrEqual(told.length, 50);
  assertLessOrEqual(told.length, 50 + 10 * (last! - first!) + 1);
});

Deno.test("What somebody has done whom the log names is told however much else happens, and takes nothing from that", async () => {
  const lines = await linesOf(`
    import { log, logged, logWithoutWaiting, record } from "${import.meta.resolve("../src/log.ts")}";
    logWithoutWaiting();
    for (let i = 1; i <= 100; i++) record("done", { i });
    log("info", "the first");
    for (let i = 1; i <= 100; i++) log("warn", "line", { i });
    for (let i = 1; i <= 100; i++) record("done", { i });
    await logged();`);
  assertEquals(lines.filter((line) => line.includes("info done")).length, 200);
  assertMatch(lines[100]!, /info the first$/);
});

Deno.test("A line of which only a part could be written is written anew, as a line of its own", async () => {
  const lines = await linesOf(`
    import { log, logWithoutWaiting } from "${import.meta.resolve("../src/log.ts")}";
    const takes = [5, 0]; // bytes; then all
    let written = "";
    Deno.stderr.write = (bytes) => {
      const most = takes.shift() ?? bytes.length;
      if (most === 0) return Promise.reject(new Error("No space left on device"));
      written += new TextDecoder().decode(bytes.subarray(0, most));
      return Promise.resolve(Deno.stderr.writeSync(bytes.subarray(0, most)));
    };
    logWithoutWaiting();
    log("info", "the first");
    log("info", "the next");
    while (!written.includes("the next")) await new Promise((resolve) => setTimeout(resolve, 10));`);
  assertEquals(lines[0]!.length, 5);
  assertEquals(lines.slice(1).map((line) => line.slice(line.indexOf("Z ") + 2)), ["info the first", "info the next"]);
});

Deno.test("A log for which too many lines wait says once how many are missing, and goes on with the next", async () => {
  const lines = await linesOf(`
    import { logged, logWithoutWaiting, record } from "${import.meta.resolve("../src/log.ts")}";
    Deno.stderr.write = (bytes) => Promise.resolve(Deno.stderr.writeSync(bytes)); // which takes no time that logged() would not wait for
    logWithoutWaiting();
    for (let i = 1; i <= 1_100; i++) record("done", { i }); // no line is done with before all of them have come
    await logged();
    record("the next", {});
    await logged();
    record("the last", {});
    await logged();`);
  assertEquals(lines.map((line) => line.slice(line.indexOf("Z ") + 2)), [
    ...Array.from({ length: 1_000 }, (_, i) => `info done {"i":${i + 1}}`),
    'warn The log could not be written for a while; lines are missing {"lines":100}',
    "info the next {}",
    "info the last {}",
  ]);
});

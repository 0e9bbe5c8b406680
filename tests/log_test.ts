// A log that can't be written harms nobody: neither those who are served, nor the start, nor the end.
import { assertEquals, assertMatch } from "@std/assert";
import { messages, post, read, until } from "./support/client.ts";
import { freePort, projectPath, type TestDatabase, testPostgres } from "./support/postgres.ts";
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

for (const [name, redirection] of [["a full disk", "2>/dev/full"], ["nothing", "2>&-"]] as const) {
  Deno.test(`A server whose log leads to ${name} starts, serves, refuses truthfully, and ends`, async () => {
    await using database = await postgres.create();
    await using server = serverLoggingTo(database, redirection);
    await server.ready();
    assertEquals((await read(post(server, "room", { body: "stored" }))).status, 201);
    // Something to log in the middle of a statement.
    await database.sql`alter table messages rename to gone`;
    assertEquals((await read(post(server, "room", { body: "refused" }))).status, 503);
    assertEquals((await read(post(server, "room", { body: "refused" }))).status, 503);
    await database.sql`alter table gone rename to messages`;
    assertEquals((await read(post(server, "room", { body: "stored too" }))).status, 201);
    assertEquals((await messages(server, "room", "wait=0")).map(({ body }) => body), ["stored", "stored too"]);
    server.stop();
    assertEquals(await exitCode(server), 0);
  });
}

Deno.test("A server whose log nobody reads serves, and ends; what is read later tells all", async () => {
  await using database = await postgres.create();
  const directory = await Deno.makeTempDir();
  const pipe = `${directory}/pipe`;
  const sh = async (command: string) => {
    const { success } = await new Deno.Command("sh", { args: ["-c", command], stdout: "null", stderr: "null" })
      .output();
    return success;
  };
  await sh(`mkfifo ${pipe}`);
  using reader = await Deno.open(pipe, { read: true, write: true }); // so that nobody waits for the other side
  await sh(`dd if=/dev/zero of=${pipe} oflag=nonblock bs=4096`); // until it is full
  await using server = serverLoggingTo(database, `2>${pipe}`);
  await server.ready();
  assertEquals((await read(post(server, "room", { body: "stored" }))).status, 201);

  let text = "";
  const buffer = new Uint8Array(65_536);
  while (!text.includes("Linger is ready")) {
    text += new TextDecoder().decode(buffer.subarray(0, (await reader.read(buffer))!));
  }
  assertMatch(text, /Applied migration .*\n.* info Linger is ready/);
  await sh(`dd if=/dev/zero of=${pipe} oflag=nonblock bs=4096`);
  server.stop();
  assertEquals(await exitCode(server), 0);
  await Deno.remove(directory, { recursive: true });
});

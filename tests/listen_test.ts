// A server is never alive and deaf: whatever ends its listening, it listens again, or the process ends.
import { assert, assertEquals, assertLess, assertMatch } from "@std/assert";
import { connect, type Socket } from "node:net";
import { openFiles } from "../src/open-files.ts";
import { sleep } from "../src/sleep.ts";
import { health, type Message, messages, posted, until } from "./support/client.ts";
import { freePort, projectPath, testPostgres } from "./support/postgres.ts";
import { exitCode, type ServerProcess, spawnServer, spawnStarting } from "./support/server.ts";
import { NEVER } from "./support/silent_store.ts";

const postgres = await testPostgres();
const LINUX = Deno.build.os === "linux";

/** Open files that a server may have; a quiet one has some 25. */
const FILES = 60;

/** Without a look at the database meanwhile: Deno 2.9.6 itself can panic where it tells of a connection that it could not open. */
const UNDISTURBED = NEVER;

function limitFiles({ pid }: { pid: number }, soft: number): void {
  const { success, stderr } = new Deno.Command("prlimit", { args: [`--pid=${pid}`, `--nofile=${soft}:`] }).outputSync();
  assert(success, new TextDecoder().decode(stderr));
}

/** Opens connections that say nothing, and waits until each is accepted or refused. */
async function silent({ url }: { url: string }, count: number): Promise<Socket[]> {
  const { hostname, port } = new URL(url);
  const sockets = Array.from({ length: count }, () => connect(Number(port), hostname));
  await Promise.all(
    sockets.map((socket) => new Promise<void>((resolve) => socket.on("connect", resolve).on("error", () => resolve()))),
  );
  return sockets;
}

/** Waits for a message; what comes of it is looked at in the end. */
async function waitOn(server: ServerProcess): Promise<{ poll: Promise<Message[]> }> {
  const poll = messages(server, "room", "after=now&wait=50");
  poll.catch(() => {});
  // A probe is back, so that all connections are made that it needs while files are short.
  await until(async () => {
    const { waiters, listening } = await health(server);
    return waiters === 1 && listening;
  }, "it waits and listens");
  return { poll };
}

/** Asks over a connection of its own. */
async function asked({ url }: { url: string }): Promise<number> {
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  try {
    const response = await fetch(`${url}/healthz`, { client });
    await response.body?.cancel();
    return response.status;
  } catch {
    return 0;
  }
}

Deno.test({
  name: "At the limit of open files who waits stays, and those who come are served as soon as there is room",
  ignore: !LINUX,
  fn: async () => {
    await using database = await postgres.create();
    await using server = await spawnServer(database.url, UNDISTURBED);
    const { poll } = await waitOn(server);
    limitFiles(server, FILES);
    const sockets = await silent(server, 2 * FILES);
    await until(() => server.log().includes("A connection could not be accepted"), "the limit is reached");
    for (const socket of sockets) socket.destroy();
    await until(async () => await asked(server) === 200, "it is served");
    await until(() => server.log().includes("The port is open again"), "the log says so");
    const message = await posted(server, "room", "news");
    assertEquals(await poll, [message]);
    assertMatch(
      server.log(),
      /error A connection could not be accepted; the port is opened again .*Too many open files/,
    );
    server.kill("SIGTERM");
    assertEquals(await exitCode(server), 0);
  },
});

Deno.test({
  name: "A server whose port another program takes answers those who wait, and ends with a status that starts it anew",
  ignore: !LINUX,
  fn: async () => {
    await using database = await postgres.create();
    await using server = await spawnServer(database.url, UNDISTURBED);
    const { poll } = await waitOn(server);
    limitFiles(server, FILES);
    const sockets = await silent(server, 2 * FILES);
    let taken: Deno.Listener | undefined;
    await until(async () => {
      sockets.push(...await silent(server, 1)); // fails again and again, so that the port is not opened again at once
      try {
        taken = Deno.listen({ hostname: "127.0.0.1", port: Number(new URL(server.url).port) });
      } catch { /* it still listens, or again */ }
      return taken !== undefined;
    }, "the port is free for a moment");
    for (const socket of sockets) socket.destroy();
    assertEquals(await poll, []);
    assertEquals((await server.status).code, 1);
    assertMatch(server.log(), /error The port can't be opened again .*in use/);
    assertMatch(server.log(), /Linger has stopped/);
    taken!.close();
  },
});

Deno.test({
  name: "A shortage of open files that lasts longer than another program may have the port ends nothing",
  ignore: !LINUX,
  fn: async () => {
    await using database = await postgres.create();
    await using server = await spawnServer(database.url, UNDISTURBED);
    const { poll } = await waitOn(server);
    limitFiles(server, 3); // which it has already, so that nothing whatever can be opened
    const sockets = await silent(server, 1);
    await until(() => server.log().includes("The port can't be opened yet"), "the port is closed");
    await Promise.race([server.status, sleep(12_000)]); // another program gets ten seconds
    limitFiles(server, 1_000);
    for (const socket of sockets) socket.destroy();
    await until(async () => await asked(server) === 200, "it is served");
    await until(() => server.log().includes("The port is open again"), "the log says so");
    const message = await posted(server, "room", "news");
    assertEquals(await poll, [message]);
    assertEquals(server.log().match(/The port can't be opened/g)!.length, 1);
    server.kill("SIGTERM");
    assertEquals(await exitCode(server), 0);
  },
});

Deno.test({
  name:
    "A post that is on its way to a server that has stopped listening, when that lets go of it, is to be sent again",
  ignore: !LINUX,
  fn: async () => {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--frozen", "--quiet", projectPath("tests/fixtures/retiring.ts")],
      cwd: projectPath("."),
      env: { PORT: "0" },
      stdout: "piped",
    }).spawn();
    const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const url = `http://127.0.0.1:${(await output.read()).value!.trim()}`;
    const post = connect(Number(new URL(url).port), "127.0.0.1");
    let answer = "";
    post.on("data", (piece) => answer += piece);
    post.write(
      "POST /messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 14\r\n" +
        'Expect: 100-continue\r\n\r\n{"body":',
    );
    await until(() => answer.includes(" 100 "), "its body is awaited");
    limitFiles(child, FILES);
    const sockets = await silent({ url }, 2 * FILES);
    await until(() => / (?!100 )\d{3} [^]*"type"/.test(answer), "it is answered");
    assertMatch(answer, / 503 [^]*"urn:linger:problem:not-stored"/);
    for (const socket of [post, ...sockets]) socket.destroy();
    child.kill("SIGTERM");
    await Promise.all([child.status, output.cancel()]);
  },
});

Deno.test({
  name: "/healthz tells how near the limit of open files is",
  ignore: !LINUX,
  fn: async () => {
    await using database = await postgres.create();
    await using server = await spawnServer(database.url);
    const before = await health(server);
    const sockets = await silent(server, 60); // more than what it may have had open for a moment while it started
    await until(async () => (await health(server)).open_files! >= before.open_files! + 20, "it counts them");
    assertLess(before.open_files!, before.max_open_files!);
    limitFiles(server, 100);
    await until(async () => (await health(server)).max_open_files === 100, "it sees the new limit");
    for (const socket of sockets) socket.destroy();
  },
});

Deno.test({
  name:
    "A server that DENO_SERVE_ADDRESS has moved to a socket ends where nobody can come in any more, to be started anew",
  ignore: !LINUX,
  fn: async () => {
    await using database = await postgres.create();
    const home = await Deno.makeTempDir({ prefix: "linger-test-" });
    const path = `${home}/moved.sock`;
    await using server = spawnStarting(database.url, { PORT: "0", DENO_SERVE_ADDRESS: `unix:${path}` });
    await until(() => server.log().includes("Linger is ready\n"), "it is ready");
    limitFiles(server, FILES);
    const sockets = Array.from({ length: 2 * FILES }, () => connect({ path }).on("error", () => {}));
    assertEquals(await exitCode(server), 1);
    assertMatch(server.log(), /error A connection could not be accepted .*Too many open files/);
    for (const socket of sockets) socket.destroy();
    await Deno.remove(home, { recursive: true });
  },
});

Deno.test({
  name: "A server that DENO_SERVE_ADDRESS has moved to another address opens its port again there",
  ignore: !LINUX,
  fn: async () => {
    await using database = await postgres.create();
    const port = freePort();
    const url = `http://127.0.0.2:${port}`;
    const env = { ...UNDISTURBED, PORT: "0", DENO_SERVE_ADDRESS: `tcp:127.0.0.2:${port}` };
    await using server = spawnStarting(database.url, env);
    await until(() => server.log().includes("Linger is ready"), "it is ready");
    limitFiles(server, FILES);
    const sockets = await silent({ url }, 2 * FILES);
    await until(() => server.log().includes("A connection could not be accepted"), "the limit is reached");
    for (const socket of sockets) socket.destroy();
    await until(async () => await asked({ url }) === 200, "it is served");
  },
});

Deno.test({
  name: "Open files are not counted anew for whoever asks without a pause",
  ignore: !LINUX,
  fn: () => {
    const answers = Array.from({ length: 100 }, () => openFiles());
    assert(answers.some((answer, i) => answer !== undefined && answer === answers[i - 1]));
  },
});

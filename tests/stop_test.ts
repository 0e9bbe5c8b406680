// It stops as it says, however it is told: by a key, by a signal to it or to all of its processes, under the programs that
// start it. Everybody who waits is answered, the database is shut down, and nothing is left running.
import { connect } from "node:net";
import { assert, assertEquals, assertFalse, assertMatch, assertStringIncludes } from "@std/assert";
import { sleep } from "../src/sleep.ts";
import { until } from "./support/client.ts";
import { freePort, projectPath } from "./support/postgres.ts";

const LINUX = Deno.build.os === "linux";
const DENO = `'${Deno.execPath()}' task start`;
const NPX = `npx --yes deno@${Deno.version.deno} task start`;
const MAIN = `'${Deno.execPath()}' -A main.ts`;
const README = `npx --yes deno@${Deno.version.deno} -A main.ts`;
const POLLS = 50;
const WRITERS = 4;

/** Starts `command` in a terminal of its own, as the leader of its processes, or in a group without a terminal. */
async function start(command: string, terminal: boolean, home?: string) {
  home ??= await Deno.makeTempDir({ prefix: "linger-test-" });
  const port = freePort();
  const inTerminal = ["script", "--quiet", "--flush", "--return", "--command", `exec ${command}`, "/dev/null"];
  const [program, ...args] = terminal
    ? inTerminal
    : ["setsid", "--wait", "sh", "-c", `echo $$ && exec ${command} 2>&1`];
  const child = new Deno.Command(program!, {
    args,
    cwd: projectPath("."),
    env: { PORT: `${port}`, DATA_DIR: `${home}/data`, SHELL: "/bin/sh" },
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  let output = "";
  const reading = (async () => {
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) output += text;
  })();
  const keys = child.stdin.getWriter();
  return {
    url: `http://127.0.0.1:${port}`,
    home,
    output: () => output,
    press: (key: string) => keys.write(new TextEncoder().encode(key)),
    /** Sends a signal to the first process, or to the whole group of it. */
    signal: (signal: Deno.Signal, group: boolean) => {
      const leader = parseInt(output);
      kill(signal.slice(3), [group ? -leader : leader]);
    },
    /** Closes the terminal. */
    hangUp: () => child.kill("SIGKILL"),
    status: async () => {
      const { code } = await child.status;
      await reading;
      return code;
    },
    [Symbol.asyncDispose]: async () => {
      await keys.close().catch(() => {});
      kill("KILL", await processesIn(home));
      await child.status;
      await reading;
      await Deno.remove(home, { recursive: true }).catch(() => {}); // a later start may have had it, too
    },
  };
}

/**
 * The processes whose environment or arguments name this directory, or that are in it: those of PostgreSQL write their titles over
 * the first two, and outlive the one that made them.
 */
async function processesIn(directory: string): Promise<number[]> {
  const found: number[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === Deno.pid) continue;
    const texts = ["cmdline", "environ"].map((file) => Deno.readTextFile(`/proc/${name}/${file}`));
    texts.push(Deno.readLink(`/proc/${name}/cwd`));
    const told = await Promise.all(texts.map((text) => text.catch(() => ""))); // not of one that ends meanwhile
    if (told.some((text) => text.includes(directory))) found.push(Number(name));
  }
  return found;
}

/** Sends a signal to those of these processes that are still there. */
function kill(signal: string, pids: readonly number[]): void {
  new Deno.Command("kill", { args: ["-s", signal, "--", ...pids.map(String)] }).outputSync();
}

Deno.test({
  name: "A start after a kill waits until the database of the run before has shut down, and can be stopped meanwhile",
  ignore: !LINUX,
  fn: async () => {
    await using killed = await start(DENO, false);
    await until(() => killed.output().includes("Linger is ready"), "it is ready", 120_000);
    const [postmaster] = (await Deno.readTextFile(`${killed.home}/data/cluster/postmaster.pid`)).split("\n");
    Deno.kill(Number(postmaster), "SIGSTOP"); // a database that takes its time
    killed.signal("SIGKILL", true);
    await killed.status();
    const waiting = "Waiting for the PostgreSQL of the previous run";
    await using stopped = await start(DENO, false, killed.home);
    await until(() => stopped.output().includes(waiting), "it waits");
    // To all, the server could be gone before `deno task` has heard of it, which would then end by the signal.
    stopped.signal("SIGTERM", false);
    let code: number | undefined;
    stopped.status().then((ended) => code = ended);
    await until(() => code !== undefined, "it has stopped"); // and has not waited for as long as a start does
    assertEquals(code, 0);
    await using next = await start(DENO, false, killed.home);
    await until(() => next.output().includes(waiting), "it waits");
    Deno.kill(Number(postmaster), "SIGCONT");
    await until(() => next.output().includes("Linger is ready"), "it is ready", 120_000);
    next.signal("SIGTERM", false);
    assertEquals(await next.status(), 0);
  },
});

Deno.test({
  name: "A stop during the start waits for what makes the database, and shuts down one that is just starting",
  ignore: !LINUX,
  fn: async () => {
    await using first = await start(MAIN, false);
    await until(() => first.output().includes("Creating the database"), "it makes the database", 120_000);
    first.signal("SIGTERM", false);
    assertEquals(await first.status(), 0);
    assertEquals(await processesIn(first.home), []);

    await using next = await start(MAIN, false, first.home);
    let postmaster = NaN;
    await until(async () => {
      postmaster = parseInt(await Deno.readTextFile(`${first.home}/data/cluster/postmaster.pid`).catch(() => ""));
      return postmaster > 0;
    }, "PostgreSQL starts");
    Deno.kill(postmaster, "SIGSTOP"); // before it takes connections
    next.signal("SIGTERM", false);
    await until(() => next.output().includes("Waiting for PostgreSQL to shut down"), "it is to shut down");
    Deno.kill(postmaster, "SIGCONT");
    assertEquals(await next.status(), 0);
    await until(async () => (await processesIn(first.home)).length === 0, "nothing is left running");
  },
});

Deno.test({
  name: "SIGTERM to every process, those of the database too, refuses what is under way, and starts no database again",
  ignore: !LINUX,
  fn: async () => {
    await using program = await start(`env DRAIN_MS=60000 UPLOAD_TIMEOUT_MS=60000 ${MAIN}`, false);
    await until(() => program.output().includes("Linger is ready"), "it is ready", 120_000);
    // So that it has sessions: these hear of it, too.
    const stored = await fetch(`${program.url}/messages`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"body":"x"}',
    });
    assertEquals((await stored.json()).body, "x");
    // Linger has to wait for its body.
    const post = connect(Number(new URL(program.url).port), "127.0.0.1");
    let answer = "";
    let closed = false;
    post.on("data", (chunk) => answer += chunk).on("error", () => {}).on("close", () => closed = true);
    post.write("POST /messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n");
    post.write("Content-Length: 12\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n");
    await until(() => answer.includes("100 Continue"), "the body is waited for");

    program.signal("SIGSTOP", false); // it is the last to hear
    const pids = await processesIn(program.home);
    const titles = await Promise.all(pids.map((pid) => Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => "")));
    assert(titles.some((title) => /^postgres: .* idle/.test(title)), titles.join("\n"));
    kill("TERM", pids);
    const pidFile = `${program.home}/data/cluster/postmaster.pid`;
    await until(() => Deno.stat(pidFile).then(() => false, () => true), "the database has ended");
    program.signal("SIGCONT", false);
    await sleep(2_000); // for longer than a database that has ended is left alone
    post.write('{"body":"x"}');
    await until(() => closed, "the post is answered");
    assertMatch(answer, /HTTP\/1\.1 503 [^]*"urn:linger:problem:not-stored"/);
    assertEquals(await program.status(), 0);
    assertFalse(program.output().includes("by itself"), program.output());
    await until(async () => (await processesIn(program.home)).length === 0, "nothing is left running");
    assertStringIncludes(
      await Deno.readTextFile(`${program.home}/data/postgres.log`),
      "database system is shut down",
    );
  },
});

Deno.test({
  name: "Under nohup a terminal that closes changes nothing",
  ignore: !LINUX,
  fn: async () => {
    await using program = await start(`nohup ${MAIN}`, false);
    await until(() => program.output().includes("Linger is ready"), "it is ready", 120_000);
    program.signal("SIGHUP", true);
    const poll = fetch(`${program.url}/messages?after=now&wait=1`);
    assertEquals(await (await poll).json(), []);
    program.signal("SIGTERM", true);
    assertEquals(await program.status(), 0);
    assertStringIncludes(program.output(), "Linger has stopped");
  },
});

interface Way {
  readonly name: string;
  readonly command: string;
  readonly terminal: boolean;
  readonly stop: (program: Awaited<ReturnType<typeof start>>) => unknown;
  /** The status of the whole; `npx` has one of its own. */
  readonly code?: number;
  /** Whether its last words can be heard. */
  readonly says?: boolean;
}

const ways: Way[] = [
  {
    name: "SIGHUP to all processes",
    command: MAIN,
    terminal: false,
    stop: ({ signal }) => signal("SIGHUP", true),
    code: 0,
  },
  { name: "Closing the terminal", command: DENO, terminal: true, stop: ({ hangUp }) => hangUp(), says: false },
  { name: "Ctrl-C in a terminal", command: DENO, terminal: true, stop: ({ press }) => press("\x03"), code: 0 },
  { name: "Ctrl-C under npx", command: README, terminal: true, stop: ({ press }) => press("\x03") },
  {
    name: "SIGTERM to the first process",
    command: DENO,
    terminal: false,
    stop: ({ signal }) => signal("SIGTERM", false),
    code: 0,
  },
  {
    name: "SIGTERM to all processes",
    command: DENO,
    terminal: false,
    stop: ({ signal }) => signal("SIGTERM", true),
    code: 0,
  },
  {
    name: "SIGINT to all processes",
    command: DENO,
    terminal: false,
    stop: ({ signal }) => signal("SIGINT", true),
    code: 0,
  },
  {
    name: "SIGTERM to all processes under npx",
    command: NPX,
    terminal: false,
    stop: ({ signal }) => signal("SIGTERM", true),
  },
];

for (const { name, command, terminal, stop, code, says = true } of ways) {
  Deno.test({
    name: `${name} answers all who wait and all who post, shuts the database down, and leaves nothing running`,
    ignore: !LINUX,
    fn: async () => {
      await using program = await start(command, terminal);
      await until(() => program.output().includes("Linger is ready"), "it is ready", 120_000);
      const polls = Array.from({ length: POLLS }, async () => {
        const response = await fetch(`${program.url}/messages?after=now&wait=50`);
        return [response.status, response.headers.get("retry-after"), await response.json()];
      });
      const state = async () => (await (await fetch(`${program.url}/healthz`)).json()).waiters;
      await until(async () => await state() === POLLS, "all wait");
      let stored = 0;
      const refused: unknown[] = [];
      const writers = Array.from({ length: WRITERS }, async () => {
        while (true) {
          const answer = await fetch(`${program.url}/rooms/other/messages`, {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: '{"body":"x"}',
          }).catch(() => undefined);
          if (!answer) return; // it lets nobody in any more
          const { type } = await answer.json();
          if (answer.status === 201) stored++;
          else refused.push([answer.status, type]);
        }
      });
      await until(() => stored > 100, "posts flow");

      await stop(program);
      for (const answer of await Promise.all(polls)) assertEquals(answer, [200, "0", []]);
      await Promise.all(writers);
      for (const answer of refused) assertEquals(answer, [503, "urn:linger:problem:not-stored"]);
      const ended = await program.status();
      if (code !== undefined) assertEquals(ended, code);
      await until(async () => (await processesIn(program.home)).length === 0, "nothing is left running");
      if (says) assertStringIncludes(program.output(), "Linger has stopped");
      const log = await Deno.readTextFile(`${program.home}/data/postgres.log`);
      assertStringIncludes(log, "database system is shut down");
    },
  });
}

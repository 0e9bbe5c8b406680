// One attack: the victims talk undisturbed, then while somebody floods their server, then after he has left. They must notice nothing but
// that it takes longer.
import { until } from "../support/client.ts";
import { projectPath } from "../support/postgres.ts";
import type { ServerProcess } from "../support/server.ts";
import { bearer, tokenOf } from "../support/tokens.ts";
import type { Attack, Order } from "./attacker.ts";
import { pause } from "./clients.ts";
import { type Addresses, Victim } from "./victim.ts";

/** How long an attacker may take to set everything going, or to say what it was answered, in milliseconds; then it is ended. */
const ATTACKER_MS = 30_000;

/** How long it is waited until the victims are served as before, or nobody else is served, in milliseconds. */
const RECOVERY_MS = 20_000;

/** As before: a message takes no longer than twice what the slowest took before the attack, or than this, in milliseconds. */
const CALM_MS = 50;

/** Polls of the victims that wait at one time. */
const VICTIMS_WAITING = 1;

/** Files that a process opens beside its connections to clients. */
const OTHER_FILES = 500;

/** Documentation addresses (RFC 5737), which are nobody's. */
const ATTACKER = "203.0.113.66";
const VICTIMS: Addresses = { poster: "198.51.100.7", poller: "198.51.100.8" };

/** How to attack. */
export interface FloodOptions {
  /** How long the victims talk before the attack begins, in milliseconds. */
  readonly beforeMs: number;
  /** How long the attack lasts once all of it goes on, in milliseconds. */
  readonly floodMs: number;
  /** How long the server is watched afterwards, in milliseconds. */
  readonly settleMs: number;
  /** How long a message may take afterwards in any case, in milliseconds, where the machine is busy with others. */
  readonly calmMs?: number;
  /** The most connections of the attacker; by default, as many as the files allow. */
  readonly most?: number;
  /** Whether all come from this machine, and none has an address of its own. */
  readonly loopback: boolean;
  /** A room that nobody has used. */
  readonly room?: string;
}

/** A server that writes into a file what memory it has in use, when it is sent a signal. */
export interface FloodedServer extends ServerProcess {
  readonly memoryFile: string;
}

/** What became of it. Times in milliseconds, memory in MB. */
export interface Flooded {
  /** From the moment of a post until its message was there. */
  readonly times: { readonly before: number[]; readonly during: number[]; readonly after: number[] };
  /** From the end of the attack until messages took no longer than before; undefined if that did not come. */
  readonly recovery: number | undefined;
  /** What the server has of the system. That goes up and seldom down, so it tells nothing of a leak. */
  readonly memory: { readonly before: number; readonly most: number; readonly after: number } | undefined;
  /** What it has in use, without garbage; and how long after the attack. */
  readonly live: { readonly before: number; readonly after: number; readonly ms: number } | undefined;
  /** What the attacker was answered, and how often. */
  readonly answers: Record<string, number>;
  /** Requests of the victims that were refused. */
  readonly refusals: Record<string, number>;
  /** Polls and streams that the server holds afterwards beside the victims' own. */
  readonly left: number;
  /** What must never be, as sentences: messages lost, doubled or out of order, a server that is gone or serves nobody new. */
  readonly wrong: string[];
}

/** Lets an attacker at the server, which nobody else uses, and says what became of it. */
export async function flood(attack: Attack, server: FloodedServer, options: FloodOptions): Promise<Flooded> {
  const { room = "victims", beforeMs, floodMs, settleMs, calmMs = CALM_MS, loopback } = options;
  let ended: number | undefined;
  server.status.then(({ code }) => ended = code);
  const attacker = await startAttacker({
    attack: attack.name,
    port: Number(new URL(server.url).port),
    most: Math.min(options.most ?? Infinity, maxFiles() - OTHER_FILES),
    room,
    address: loopback ? undefined : ATTACKER,
  });
  const victim = await Victim.start(server.url, room, loopback ? undefined : VICTIMS);
  const before = await liveOf(server);
  const from = performance.now();
  await pause(beforeMs);

  const memory = memoryOf(server);
  const begin = performance.now();
  const answers = await attacker.attack(floodMs);
  const end = performance.now();

  const bound = Math.max(calmMs, 2 * Math.max(...victim.times(from, begin)));
  const recovery = () => victim.calmAfter(end, bound);
  while (ended === undefined && !isOver()) await pause(100);
  const after = memoryOf(server);
  const over = performance.now();
  const live = ended === undefined ? await liveOf(server) : undefined;
  const left = ended === undefined ? await others(server, attack.tokens ? bearer(await tokenOf({})) : {}) : 0;
  await victim.end();

  const wrong = [...victim.wrong];
  if (!answers) wrong.push("The attacker has ended by itself, or took too long");
  if (ended !== undefined) wrong.push(`The server ended with ${ended}`);
  if (left === undefined) wrong.push("Nobody who comes anew is served");
  return {
    times: { before: victim.times(from, begin), during: victim.times(begin, end), after: victim.times(end, over) },
    recovery: recovery(),
    memory: memory && after && { before: memory.now, most: after.most, after: after.now },
    live: before === undefined || live === undefined ? undefined : { before, after: live, ms: over - end },
    answers: answers ?? {},
    refusals: victim.refusals,
    left: left ?? 0,
    wrong,
  };

  function isOver(): boolean {
    const since = performance.now() - end;
    return since > settleMs && (recovery() !== undefined || since > RECOVERY_MS);
  }
}

/**
 * Polls and streams beside those of the victims, once there are none or it has been waited for. Undefined: nobody who comes anew is
 * answered. One who comes anew has a connection of his own each time, and says who he is where that is asked.
 */
async function others(server: { url: string }, headers: Record<string, string>): Promise<number | undefined> {
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const signal = AbortSignal.timeout(RECOVERY_MS);
  let others: number | undefined;
  while (others !== 0 && !signal.aborted) {
    await pause(50);
    try {
      const { waiters, subscribers } = await (await fetch(`${server.url}/healthz`, { headers, client, signal }))
        .json();
      others = Math.max(0, waiters + subscribers - VICTIMS_WAITING);
    } catch { /* it may come back */ }
  }
  return others;
}

/** What a server has in use without garbage, in MB; undefined where it is gone, or too busy to say. */
async function liveOf({ memoryFile, kill }: FloodedServer): Promise<number | undefined> {
  let said = "";
  await Deno.writeTextFile(memoryFile, said);
  kill("SIGUSR2");
  const hasSaid = async () => (said = await Deno.readTextFile(memoryFile)) !== "";
  await until(hasSaid, "it says what memory it has in use").catch(() => {});
  return said === "" ? undefined : Math.round(Number(said.split(" ")[1]) / 1e6);
}

/** What the system says of a process; undefined where it can't be asked, or the process is gone. */
function memoryOf({ pid }: ServerProcess): { now: number; most: number } | undefined {
  try {
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    const mb = (name: string) => Math.round(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)![1]) / 1024);
    return { now: mb("VmRSS"), most: mb("VmHWM") };
  } catch {
    return undefined;
  }
}

/** How many files a process may open. */
function maxFiles(): number {
  try {
    const limits = Deno.readTextFileSync("/proc/self/limits");
    return Number(/^Max open files\s+\d+\s+(\d+)/m.exec(limits)![1]);
  } catch {
    return 1_024;
  }
}

/** An attacker that is ready. */
interface AttackerProcess {
  /** Lets it go on for so long once all of it goes on; resolves to what it was answered when it is gone. Undefined: it has failed. */
  attack(ms: number): Promise<Record<string, number> | undefined>;
}

async function startAttacker(order: Order): Promise<AttackerProcess> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--frozen", "--quiet", "--no-check", "tests/torture/attack.ts", JSON.stringify(order)],
    cwd: projectPath("."),
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const lines = linesOf(child.stdout);
  const tell = child.stdin.getWriter();
  /** What it says next; undefined when it has ended, as it is made to when it takes too long. */
  const said = async () => {
    const timer = setTimeout(() => child.kill("SIGKILL"), ATTACKER_MS);
    const { value } = await lines.next().finally(() => clearTimeout(timer));
    return value && JSON.parse(value);
  };
  await said();
  return {
    attack: async (ms) => {
      await tell.write(new Uint8Array(1)).catch(() => {});
      if (await said()) await pause(ms);
      await tell.close().catch(() => {});
      const answers = await said();
      await child.status;
      await lines.return();
      return answers;
    },
  };
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, void, void> {
  let text = "";
  for await (const piece of stream.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>)) {
    const lines = (text + piece).split("\n");
    text = lines.pop()!;
    yield* lines;
  }
}

// `deno task torture --hosts`: many servers for real. Four hosts with a server each; before them HAProxy and nginx, as deploy/ has
// them; one PostgreSQL; and clients that are Linger's own, each from an address of its own, who come through the other proxy with
// each request. Hosts are cut off from the database, frozen, unplugged and killed, and everything is restarted in turn. No call of a
// client may fail for that, and what they were told is checked as in all torture.
import { health, until } from "../support/client.ts";
import { OwnPostgres } from "../support/own_postgres.ts";
import { PROXIES, type Proxy, startProxy } from "../support/proxies.ts";
import { type ServerProcess, spawnStarting } from "../support/server.ts";
import { type PollRecord, type StoredMessage, violations } from "./checker.ts";
import { pause } from "./clients.ts";
import { type Host, Network } from "./network.ts";
import { Random } from "./random.ts";
import { END, type Report, Roamer } from "./roamer.ts";

const SERVERS = 4;
const CLIENTS = 16;
const ROOMS = 4;

/** Longest time until all servers are ready again and all followers have read to the end, in milliseconds. */
const RECOVERY_LIMIT_MS = 60_000;

const PORT = 8080;

/** A server on a host of its own. */
class Server {
  #process: (ServerProcess & { ready: Promise<string> }) | undefined;

  constructor(readonly host: Host, private readonly databaseUrl: string) {}

  get url(): string {
    return `http://${this.host.address}:${PORT}`;
  }

  async start(): Promise<void> {
    const env = { HOST: this.host.address, PORT: `${PORT}`, PROXY_HOPS: "1" };
    this.#process = spawnStarting(this.databaseUrl, env, "main.ts", "serve", this.host.enter);
    await this.#process.ready;
  }

  kill(signal: Deno.Signal): void {
    this.#process!.kill(signal);
  }

  /** Ends it as an update does; resolves when it is gone. */
  async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    this.kill(signal);
    await this.#process!.status;
    await this[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process?.[Symbol.asyncDispose]();
  }
}

/** All that a fault can get at. */
interface Site {
  readonly network: Network;
  readonly postgres: OwnPostgres;
  readonly servers: readonly Server[];
  readonly proxies: readonly Proxy[];
}

/** What happens, each for as long as it takes those around to notice and more. */
const FAULTS: readonly [name: string, run: (site: Site, random: Random) => Promise<void>][] = [
  ["a host is cut off from the database", async ({ network, postgres }, random) => {
    const host = random.pick(network.hosts);
    await host.cut(network.address, postgres.port);
    await pause(15_000);
    await host.heal();
  }],
  ["a server is frozen", async ({ servers }, random) => {
    const server = random.pick(servers);
    server.kill("SIGSTOP");
    await pause(25_000); // longer than a client waits
    server.kill("SIGCONT");
  }],
  ["a host is unplugged", async ({ network }, random) => {
    const host = random.pick(network.hosts);
    await host.plug("out");
    await pause(10_000);
    await host.plug("in");
  }],
  ["a server is killed", async ({ servers }, random) => {
    const server = random.pick(servers);
    await server.end("SIGKILL");
    await pause(1_000);
    await server.start();
  }],
  ["all servers restart in turn", async ({ servers }) => {
    for (const server of servers) {
      await server.end("SIGTERM");
      await server.start();
      await pause(1_000); // as whoever rolls out waits until the proxies have seen it
    }
  }],
  ["the proxies restart in turn", async ({ proxies }) => {
    for (const proxy of proxies) {
      await proxy.restart();
      await pause(2_000);
    }
  }],
];

/** What to do. */
export interface HostsOptions {
  /** Repeats the choice of hosts. */
  readonly seed: number;
  /** How long at least; each fault comes once at least, in milliseconds. */
  readonly ms: number;
  /** Is told what goes on. */
  readonly say: (line: string) => void;
}

/** Torments the hosts; resolves to the number of violations. Whatever was made is gone then, also after Ctrl-C. */
export async function tormentHosts(options: HostsOptions): Promise<number> {
  const made = new AsyncDisposableStack();
  let gone: Promise<void> | undefined;
  const takeDown = () => gone ??= made.disposeAsync();
  const leave = () => void takeDown().finally(() => Deno.exit(130));
  const fail = (event: PromiseRejectionEvent) => {
    console.error(event.reason);
    event.preventDefault();
    void takeDown().finally(() => Deno.exit(1));
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, leave);
  addEventListener("unhandledrejection", fail);
  try {
    return await run(made, options);
  } finally {
    await takeDown();
    for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.removeSignalListener(signal, leave);
    removeEventListener("unhandledrejection", fail);
  }
}

async function build(made: AsyncDisposableStack): Promise<Site> {
  const network = made.use(new Network());
  await network.make(SERVERS);
  const postgres = made.use(
    await OwnPostgres.start({
      settings: { listen_addresses: `127.0.0.1,${network.address}`, max_connections: "60" },
      hba: ["local all all trust", "host all all all trust"],
    }),
  );
  const databaseUrl = `postgres://postgres@${network.address}:${postgres.port}/postgres`;
  const servers = network.hosts.map((host) => made.use(new Server(host, databaseUrl)));
  await Promise.all(servers.map((server) => server.start()));
  const proxies: Proxy[] = [];
  for (const kind of PROXIES.filter(({ name }) => name === "HAProxy" || name === "nginx")) {
    // deploy/ has two servers; the others stand below the second.
    const line = kind.name === "nginx" ? "server 127.0.0.1:8081 max_fails=0;" : "server linger2 127.0.0.1:8081";
    const more = servers.slice(2).map(({ host }, i) =>
      line.replace("127.0.0.1:8081", `${host.address}:${PORT}`).replace("linger2", `linger${i + 3}`)
    );
    proxies.push(made.use(
      await startProxy(kind, [servers[0]!, servers[1]!], [[line, [line, ...more].join("\n")]]),
    ));
  }
  return { network, postgres, servers, proxies };
}

async function run(made: AsyncDisposableStack, { seed, ms, say }: HostsOptions): Promise<number> {
  const site = await build(made);
  const random = new Random(seed);
  const reports = new Map<string, Report>();
  const found: string[] = [];
  const roamers = Array.from({ length: CLIENTS }, (_, i) => new Roamer(i, `room${i % ROOMS}`, site.proxies));
  made.defer(() => roamers.forEach((roamer) => roamer.close()));
  const inTime = (condition: () => boolean | Promise<boolean>, what: string) =>
    until(condition, what, RECOVERY_LIMIT_MS).catch((error) => void found.push(error.message));
  const ready = () =>
    Promise.all(site.servers.map(({ url }) =>
      fetch(`${url}/readyz`, { signal: AbortSignal.timeout(1_000) })
        .then(async (answer) => (await answer.body?.cancel(), answer.ok), () => false)
    )).then((all) => all.every(Boolean));

  let writing = true;
  const talking = Promise.all(roamers.map((roamer) => roamer.talk(() => writing)));
  await pause(2_000);
  const began = performance.now();
  do {
    for (const [name, fault] of random.shuffle(FAULTS)) {
      say(name);
      const report = reports.get(name) ?? { times: 0, repeated: 0, reconnected: 0, worst: 0 };
      reports.set(name, report);
      report.times++;
      for (const roamer of roamers) roamer.report = report;
      await fault(site, random);
      await inTime(ready, `all servers are ready again after: ${name}`);
      const posts = roamers.map((roamer) => roamer.posts.length);
      await inTime(
        () => roamers.every((roamer, i) => roamer.posts.length > posts[i]! + 1),
        `all post again after: ${name}`,
      );
    }
  } while (performance.now() - began < ms);

  say("everything is well; reading to the end");
  writing = false;
  await talking;
  await Promise.all(roamers.slice(0, ROOMS).map((roamer) => roamer.post(END)));
  const polls: PollRecord[] = [];
  for (const { following } of roamers) following.then((poll) => polls.push(poll));
  await inTime(() => polls.length === CLIENTS, "the followers have come to the end");
  const table = await site.postgres.run("select room, id, body, key from messages") as unknown as StoredMessage[];
  const posts = roamers.flatMap((roamer) => roamer.posts);
  found.push(...roamers.flatMap((roamer) => roamer.found), ...violations({ posts, polls, table }));
  for (const { url } of site.servers) {
    await inTime(async () => {
      const { waiters, subscribers, feeds } = await health({ url });
      return waiters + subscribers + feeds === 0;
    }, `${url} holds nothing any more`);
  }
  print(reports, posts.length, polls, table.length, found);
  return found.length;
}

function print(
  reports: ReadonlyMap<string, Report>,
  posts: number,
  polls: readonly PollRecord[],
  stored: number,
  found: readonly string[],
): void {
  console.log(`\n${"fault".padEnd(38)} times  posts repeated  follows that tried again  longest call`);
  for (const [name, { times, repeated, reconnected, worst }] of [...reports].sort()) {
    console.log(
      `${name.padEnd(38)} ${`${times}`.padStart(5)}  ${`${repeated}`.padStart(14)}  ` +
        `${`${reconnected}`.padStart(24)}  ${`${worst.toFixed()} ms`.padStart(12)}`,
    );
  }
  const delivered = polls.reduce((sum, { messages }) => sum + messages.length, 0);
  console.log(`\n${SERVERS} servers, ${CLIENTS} clients: ${posts} posts, ${stored} stored, ${delivered} delivered`);
  console.log(`${found.length} violations`);
  for (const violation of found.slice(0, 20)) console.log(`  ${violation}`);
}

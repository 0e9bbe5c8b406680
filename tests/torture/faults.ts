// Everything that can go wrong on one machine. A fault does its harm, for `ms` milliseconds where that has a meaning,
// and takes it away again; then it is over, and what it hit has to serve again by itself.
import { join } from "node:path";
import driver from "postgres";
import type { Sql } from "../../src/database/pool.ts";
import { begin } from "../../src/database/transaction.ts";
import { until } from "../support/client.ts";
import { pause } from "./clients.ts";
import type { Weather } from "./proxy.ts";
import type { Random } from "./random.ts";
import type { Server, World } from "./world.ts";

/** One kind of harm. */
export interface Fault {
  readonly name: string;
  /** What is hit: meanwhile, all else has to serve as ever. */
  readonly hits: "server" | "database" | "nobody";
  /** Does the harm and takes it away; resolves to the server that it hit. One that is told to end may take `drainLimitMs` for it. */
  readonly run: (world: World, random: Random, ms: number, drainLimitMs: number) => Promise<Server | void>;
  /** Whether this machine can do it. */
  readonly possible?: (world: World) => boolean;
}

const encoder = new TextEncoder();

/** Harm to one server, chosen by chance. */
const toServer = (
  name: string,
  run: (server: Server, world: World, ms: number, drainLimitMs: number) => Promise<void>,
): Fault => ({
  name,
  hits: "server",
  run: async (world, random, ms, drainLimitMs) => {
    const server = random.pick(world.servers);
    await run(server, world, ms, drainLimitMs);
    return server;
  },
});

const toDatabase = (name: string, run: Fault["run"]): Fault => ({ name, hits: "database", run });

const harmless = (name: string, run: Fault["run"]): Fault => ({ name, hits: "nobody", run });

/** Bad weather for `ms` milliseconds on one side of one server. */
const weather = (side: "front" | "back", kind: Weather): Fault =>
  toServer(`network ${side === "front" ? "client–server" : "server–database"}: ${kind}`, async (server, _, ms) => {
    server[side].weather = kind;
    await pause(ms);
    server[side].weather = "pass";
    if (kind === "stall") server[side].cut(); // what was lost stays lost: the connections are dead
  });

const cuts = (side: "front" | "back"): Fault =>
  toServer(`network ${side === "front" ? "client–server" : "server–database"}: cut`, async (server, _, ms) => {
    for (let passed = 0; passed < ms; passed += 100) {
      server[side].cut();
      await pause(100);
    }
  });

const killBackends = ({ postgres }: World, which: string) =>
  postgres.admin((sql) =>
    sql.unsafe(`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = 'linger' and pid <> pg_backend_pid() and application_name like '${which}'`)
  ).catch(() => {});

/** Holds a transaction open for `ms` milliseconds after `statement`. */
async function holdTransaction({ postgres }: World, statement: string, ms: number): Promise<void> {
  await postgres.admin(async (sql) => {
    await begin(sql as unknown as Sql, "", async (sql) => {
      await sql.unsafe(statement);
      await pause(ms);
    });
  }).catch(() => {});
}

/** Bends the clock or the notifications, as soon as the database is there. */
async function bend({ postgres }: World, change: string): Promise<void> {
  const done = () =>
    postgres.admin((sql) => sql.unsafe(`update tricks.state set ${change}`)).then(() => true, () => false);
  await until(done, "the database can be bent", 30_000);
}

/** Opens `count` connections to a server and sends each the same bytes. */
async function connections(server: Server, count: number, bytes: string): Promise<Deno.TcpConn[]> {
  const opened: Deno.TcpConn[] = [];
  await Promise.all(Array.from({ length: count }, async () => {
    try {
      const connection = await Deno.connect({ hostname: "127.0.0.1", port: server.front.port });
      opened.push(connection);
      await connection.write(encoder.encode(bytes));
    } catch { /* the server is away */ }
  }));
  return opened;
}

function closeAll(connections: Deno.TcpConn[]): void {
  for (const connection of connections) {
    try {
      connection.close();
    } catch { /* closed by the other side */ }
  }
}

const poll = (room: string, query: string) =>
  `GET /rooms/${room}/messages?${query} HTTP/1.1\r\nHost: localhost\r\n\r\n`;

/** All faults. */
export const faults: readonly Fault[] = [
  toServer("server: kill -9", async (server, _, ms) => {
    server.kill("SIGKILL");
    await server.gone();
    await pause(ms / 4);
    await server.start();
  }),
  toServer("server: SIGTERM", async (server, _world, _ms, drainLimitMs) => {
    const start = performance.now();
    server.kill("SIGTERM");
    const code = await server.gone();
    const took = performance.now() - start;
    await server.start();
    if (code !== 0 || took > drainLimitMs) throw new Error(`A drain took ${took.toFixed()} ms and ended with ${code}`);
  }),
  toServer("server: SIGSTOP", async (server, _, ms) => {
    server.kill("SIGSTOP");
    await pause(ms);
    server.kill("SIGCONT");
  }),

  toDatabase("postgres: all connections killed", async (world, _, ms) => {
    for (let passed = 0; passed < ms; passed += 200) {
      await killBackends(world, "%");
      await pause(200);
    }
  }),
  toDatabase("postgres: restart", async ({ postgres }) => {
    await postgres.stop();
    await postgres.start();
  }),
  toDatabase("postgres: crash", async ({ postgres }) => {
    await postgres.crash();
    await postgres.start();
  }),
  toDatabase("postgres: away", async ({ postgres }, _, ms) => {
    await postgres.stop();
    await pause((10 / 3) * ms); // ten seconds, if the others last three
    await postgres.start();
  }),
  {
    name: "postgres: failover",
    hits: "database",
    possible: ({ pooled }) => !pooled, // the pooler knows one
    run: ({ postgres }, _, ms) => postgres.failOver(ms),
  },
  {
    name: "postgres: disk full",
    hits: "database",
    possible: ({ postgres }) => postgres.smallDisk,
    run: async ({ postgres }, _, ms) => {
      const ballast = join(postgres.home, "ballast");
      const file = await Deno.open(ballast, { write: true, create: true });
      const block = new Uint8Array(1_000_000);
      try {
        while (true) await file.write(block);
      } catch { /* the disk is full */ }
      file.close();
      await pause(ms);
      await Deno.remove(ballast);
      await postgres.revive();
    },
  },
  toDatabase("postgres: no connection left", async (world, _, ms) => {
    const hogs: driver.Sql[] = [];
    for (let i = 0; i < 70; i++) {
      const hog = driver(world.postgres.url(), { max: 1, fetch_types: false, connect_timeout: 2, onnotice: () => {} });
      hogs.push(hog);
      if (!await hog`select 1`.then(() => true, () => false)) break;
    }
    await killBackends(world, "linger%");
    await pause(ms);
    await Promise.all(hogs.map((hog) => hog.end({ timeout: 0 })));
  }),
  toDatabase(
    "postgres: a head row locked",
    (world, random, ms) =>
      holdTransaction(world, `select from heads where room = 'room${random.whole(0, 4)}' for update`, ms),
  ),
  harmless(
    "postgres: idle in transaction",
    (world, _, ms) => holdTransaction(world, "select pg_current_xact_id(); select count(*) from messages", ms),
  ),
  toDatabase("postgres: slow disk", async ({ postgres }, _, ms) => {
    const set = async (delay: string) => {
      await postgres.admin((sql) => sql.unsafe(`alter system set commit_delay = ${delay}`));
      await postgres.admin((sql) => sql`alter system set commit_siblings = 0`);
      await postgres.admin((sql) => sql`select pg_reload_conf()`);
    };
    await set("50000");
    await pause(ms);
    await set("0");
  }),
  harmless("postgres: clock 10 s back", async (world, _, ms) => {
    await bend(world, "clock = '-10 s'");
    await pause(ms);
    await bend(world, "clock = '0'");
  }),
  harmless("postgres: clock 4 s ahead", async (world, _, ms) => {
    await bend(world, "clock = '4 s'");
    await pause(ms);
    await bend(world, "clock = '0'");
  }),

  ...(["refuse", "stall", "delay", "trickle"] as const).flatMap((
    kind,
  ) => [weather("front", kind), weather("back", kind)]),
  cuts("front"),
  cuts("back"),
  toServer("clients: uploads cut in the middle", async (server) => {
    const half = "POST /rooms/room0/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
      'Content-Length: 100\r\n\r\n{"body": "never';
    closeAll(await connections(server, 200, half));
  }),
  toServer("clients: answers never read", async (server, _, ms) => {
    const opened = await connections(server, 50, poll("room0", "limit=1000&wait=0").repeat(20));
    await pause(ms);
    closeAll(opened);
  }),
  toServer("clients: event streams never read", async (server, _, ms) => {
    const opened = await connections(server, 50, "GET /rooms/room0/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await pause(ms);
    closeAll(opened);
  }),
  toServer("clients: slow readers", async (server, _, ms) => {
    const opened = await connections(server, 50, poll("room0", "limit=1000&wait=0").repeat(5));
    const buffer = new Uint8Array(100);
    const reading = opened.map(async (connection) => {
      while (await connection.read(buffer).catch(() => null) !== null) await pause(50);
    });
    await pause(ms);
    closeAll(opened); // where there is nothing more to read, as beside a database that is away, that ends the reading
    await Promise.all(reading);
  }),
  toServer("clients: a thousand vanish in mid-poll", async (server) => {
    for (let round = 0; round < 4; round++) {
      const opened = await connections(server, 250, poll(`room${round}`, "after=now&wait=50"));
      await pause(200);
      closeAll(opened);
    }
  }),
  toServer("clients: reconnect storm", async (server, _, ms) => {
    for (let passed = 0; passed < ms; passed += 500) {
      const opened = await connections(server, 200, poll("room0", "wait=5&limit=10"));
      await pause(500);
      closeAll(opened);
      server.front.cut();
    }
  }),

  harmless("wake: LISTEN killed again and again", async (world, _, ms) => {
    for (let passed = 0; passed < ms; passed += 200) {
      await killBackends(world, "linger listen");
      await pause(200);
    }
  }),
  harmless("wake: notifications dropped", async (world, _, ms) => {
    await bend(world, "notify = 'drop'");
    await pause(2 * ms);
    await bend(world, "notify = 'pass'");
  }),
  harmless("wake: notifications doubled and late", async (world, _, ms) => {
    await bend(world, "notify = 'late'");
    await pause(ms);
    await bend(world, "notify = 'pass'");
  }),
];

// What it costs that clients wait and nothing happens.
import { hold } from "./load.ts";
import type { Rig } from "./rig.ts";
import { cpuMs, type Server, start } from "./servers.ts";
import { digits, type Findings } from "./table.ts";

interface Idling {
  /** Statements a second, as the server counts them. */
  readonly sent: number;
  /** Transactions a second, as the database counts them. */
  readonly seen: number;
  /** Percent of a core. */
  readonly cpu: number;
}

/** Measures idling. */
export async function measureIdle(rig: Rig): Promise<Findings> {
  const waiters = rig.waiters(10_000, 100);
  const rooms = rig.size(1_000, 10);
  const seconds = rig.size(20, 6);
  const few = rig.size(1_000, 50);
  const cases: [string, Idling][] = [];
  for (const listens of [true, false]) {
    if (!listens) await deafen(rig);
    for (const among of [1, rooms]) {
      const where = `${among.toLocaleString("en")} ${among > 1 ? "rooms" : "room"}${listens ? "" : ", without LISTEN"}`;
      console.error(`  ${waiters} waiters, ${where}`);
      await using server = await start.Linger(rig);
      await using _waiters = await hold(rig, server, waiters, { rooms: among });
      cases.push([
        `${waiters.toLocaleString("en")} waiters, ${where}`,
        await idling(rig, server, seconds, statementsOf),
      ]);
    }
  }
  await rig.sql`alter database postgres reset search_path`;
  console.error(`  ${few} waiters on the article's server`);
  await using server = await start.article(rig);
  await rig.sql`truncate article_messages`;
  await using _waiters = await hold(rig, server, few);
  const article = await idling(rig, server, 6, () => Promise.resolve(NaN)); // its polls last ten seconds
  const factor = waiters / few;
  return {
    title: "Waiting costs memory only",
    text:
      `Per second, over ${seconds} s. Linger looks once every 5 s for all rooms, and once every 0.5 s where LISTEN does ` +
      "not work; the database's own count has this rig's questions in it too.",
    head: ["", "statements sent", "transactions seen by the database", "% of a core"],
    rows: [
      ...cases.map(([name, { sent, seen, cpu }]) => [name, digits(sent), digits(seen), digits(cpu)]),
      [`the article's design, ${few.toLocaleString("en")} waiters`, "", digits(article.seen), digits(article.cpu)],
      [
        `the same, extrapolated to ${waiters.toLocaleString("en")}`,
        "",
        digits(article.seen * factor),
        digits(article.cpu * factor),
      ],
    ],
    targets: cases.map(([name, { sent }], i) => ({
      what: `idle, ${name}: statements a second`,
      measured: sent,
      bound: { atMost: i < 2 ? 0.3 : 2.3 }, // a look in each interval, and one or two for the ends of the window
    })),
  };
}

/** From the next connection on, notifications get lost, as they do behind a pooler. */
async function deafen({ sql }: Rig): Promise<void> {
  await sql`create schema deaf`;
  await sql`create function deaf.pg_notify(text, text) returns void language sql as ''`;
  await sql`alter database postgres set search_path = deaf, pg_catalog, public`;
}

/** Watches for some seconds. `statements` is the server's own count. */
async function idling(
  rig: Rig,
  server: Server,
  seconds: number,
  statements: (server: Server) => Promise<number>,
): Promise<Idling> {
  const transactions = async () => {
    const [row] = await rig.sql<{ count: number }[]>`
      select xact_commit::float8 as count from pg_stat_database where datname = current_database()`;
    return row!.count;
  };
  const look = async () => ({ sent: await statements(server), seen: await transactions(), cpu: await cpuMs(server) });
  const before = await look();
  await rig.pause(seconds * 1000);
  const after = await look();
  return {
    sent: (after.sent - before.sent) / seconds,
    seen: (after.seen - before.seen) / seconds,
    cpu: (after.cpu - before.cpu) / seconds / 10,
  };
}

async function statementsOf({ port }: Server): Promise<number> {
  const { statements } = await (await fetch(`http://127.0.0.1:${port}/healthz`)).json();
  return statements;
}

// All floods, one after the other, each against a server that has just been started, on a database that has just been emptied: else the
// memory and the messages of one would be those of the next.
import driver from "postgres";
import { makePlace, randomDigits } from "../../src/chat/cursor.ts";
import { MAX_LOOKED_AT } from "../../src/chat/rooms.ts";
import { MAX_PATTERNS } from "../../src/identity/rights.ts";
import { OwnPostgres } from "../support/own_postgres.ts";
import { type Env, spawnServer } from "../support/server.ts";
import { SECRET } from "../support/tokens.ts";
import type { Attack } from "./attacker.ts";
import { flood, type Flooded, type FloodedServer, type FloodOptions } from "./flood.ts";
import { LONG_ROOMS } from "./floods/reads.ts";
import { manyRooms } from "./floods/requests.ts";
import { judge } from "./verdict.ts";

/** The settings, where clients have addresses: a victim posts 600 times in a minute. */
const BEHIND_A_PROXY = { PROXY_HOPS: "1", POSTS_PER_MINUTE: "900" };

/** Those where there are tokens, and who has none may do the same. */
const WITH_TOKENS = { TOKEN_SECRET: SECRET, ANONYMOUS_READ: "*", ANONYMOUS_WRITE: "*" };

/** Messages of a long room, and the bytes of each. */
const MESSAGES = 1_000;
const BYTES = 10_000;

/** Inflicts the attacks and prints a row of each; resolves to how many violations there were. */
export async function besiege(attacks: readonly Attack[], options: FloodOptions): Promise<number> {
  await using postgres = await OwnPostgres.start({ settings: { max_wal_size: "4GB" } }); // no checkpoint in the middle
  const sql = driver(postgres.url(), { max: 1, fetch_types: false, onnotice: () => {} });
  const found: string[] = [];
  const known: string[] = [];
  console.log(
    "From a post until its message is there: half of them and 99 of 100, in ms. Memory: before, at most, after, in MB. In use, without " +
      "garbage: before and after.",
  );
  print(HEAD);
  try {
    for (const attack of attacks) {
      await using server = await spawnFlooded(postgres.url(), {
        ...options.loopback ? {} : BEHIND_A_PROXY,
        ...attack.tokens ? WITH_TOKENS : {},
      });
      if (attack.longRooms) await fillLongRooms(sql);
      if (attack.tokens) await fillManyRooms(sql);
      const flooded = await flood(attack, server, options);
      await server[Symbol.asyncDispose]();
      await sql`truncate messages, heads`;
      print(rowOf(attack, flooded));
      const verdict = judge(attack, flooded, options.loopback);
      found.push(...verdict.violations.map((violation) => `${attack.name}: ${violation}`));
      known.push(...verdict.known.map((sentence) => `${attack.name}: ${sentence}`));
    }
  } finally {
    await sql.end({ timeout: 1 });
  }
  for (const sentence of known) console.log(`  ${sentence}`);
  console.log(`\n${found.length} violations`);
  for (const violation of found.slice(0, 50)) console.log(`  ${violation}`);
  return found.length;
}

/** Starts a server that says how much memory it has in use. */
export async function spawnFlooded(databaseUrl: string, env: Env = {}): Promise<FloodedServer> {
  const memoryFile = await Deno.makeTempFile({ prefix: "linger-flood-" });
  const server = await spawnServer(databaseUrl, { ...env, MEMORY_FILE: memoryFile }, "tests/torture/server.ts");
  return {
    ...server,
    memoryFile,
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      await Deno.remove(memoryFile).catch(() => {}); // whoever ends it twice finds it gone
    },
  };
}

/**
 * Fills rooms with more than a page holds, of letters that can't be compressed; a server that runs has not heard of them. In the second,
 * every other message was edited when all were there.
 */
export async function fillLongRooms(sql: driver.Sql): Promise<void> {
  for (const room of LONG_ROOMS) {
    const ms = Date.now() - 2 * MESSAGES;
    const isEdited = (i: number) => room === LONG_ROOMS[1] && i % 2 === 0;
    const rows = Array.from({ length: MESSAGES }, (_, i) => ({
      room,
      id: makePlace(ms + i, i + 1) + randomDigits(),
      body: randomText(BYTES),
      changed: isEdited(i) ? makePlace(ms + MESSAGES + i, MESSAGES) + randomDigits() : null,
    }));
    for (let i = 0; i < rows.length; i += 100) await sql`insert into messages ${sql(rows.slice(i, i + 100))}`;
    await sql`insert into heads (room, seq, ms) values (${room}, ${MESSAGES}, ${ms + 2 * MESSAGES})`;
  }
}

/** Begins as many rooms as a list looks at, and before these as many as a token can name. */
async function fillManyRooms(sql: driver.Sql): Promise<void> {
  const rooms = manyRooms(MAX_PATTERNS + MAX_LOOKED_AT);
  const ms = Date.now() - rooms.length;
  const messages = rooms.map((room, i) => ({ room, id: makePlace(ms + i, 1) + randomDigits(), body: "x" }));
  await sql`insert into messages ${sql(messages)}`;
  await sql`insert into heads ${sql(rooms.map((room, i) => ({ room, seq: 1, ms: ms + i })))}`;
}

function randomText(length: number): string {
  return new TextDecoder("latin1").decode(crypto.getRandomValues(new Uint8Array(length)).map((byte) => 64 + byte % 62));
}

const HEAD = [
  "attack",
  "before",
  "during",
  "after",
  "recovery",
  "refused",
  "wrong",
  "left",
  "memory",
  "in use",
  "stopped by",
  "the attacker's answers",
];

/** The widths of the columns, in letters. */
const WIDTHS = [65, 9, 13, 13, 8, 7, 5, 6, 14, 7, 10, 0];

function print(cells: readonly string[]): void {
  console.log(cells.map((cell, i) => i === 0 ? cell.padEnd(WIDTHS[i]!) : cell.padStart(WIDTHS[i]!)).join("  "));
}

function rowOf(attack: Attack, { times, recovery, memory, live, answers, refusals, left, wrong }: Flooded): string[] {
  const refused = Object.values(refusals).reduce((sum, times) => sum + times, 0);
  return [
    attack.name,
    quantiles(times.before),
    quantiles(times.during),
    quantiles(times.after),
    recovery === undefined ? "–" : `${(recovery / 1_000).toFixed(1)} s`,
    `${refused}`,
    `${wrong.length}`,
    `${left}`,
    memory ? `${memory.before} ${memory.most} ${memory.after}` : "–",
    live ? `${live.before} ${live.after}` : "–",
    attack.stoppedBy,
    Object.entries(answers).map(([answer, times]) => `${answer} x ${times.toLocaleString("en")}`).join(", "),
  ];
}

/** The median and the 99th of 100, in milliseconds. */
function quantiles(times: readonly number[]): string {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1]?.toFixed() ?? "–";
  return `${at(0.5)}/${at(0.99)}`;
}

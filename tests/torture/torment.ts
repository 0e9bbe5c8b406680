// A run: writers, pollers and subscribers on all servers, while faults come and go; then everything heals, the readers read
// to the end, and the checker and the meters give their verdict.
import { health, until } from "../support/client.ts";
import type { ChangeRecord, FollowRecord, ReadRecord } from "./change_checker.ts";
import { Changer, followChanges, keyOf } from "./changers.ts";
import { type PollRecord, type PostRecord, type StoredMessage, violations } from "./checker.ts";
import { follow, followEvents, newTally, pause, postUntilStored, recordPost, type Tally } from "./clients.ts";
import { type Fault, faults } from "./faults.ts";
import { Crowd, CROWD_ROOM } from "./crowd.ts";
import { MemoryWatch } from "./memory.ts";
import { Random } from "./random.ts";
import type { Server, World } from "./world.ts";

const ROOMS = 5;
const KEYED_WRITERS = 8;
const PLAIN_WRITERS = 4;
const POLLERS = 12;
const SUBSCRIBERS = 8;
const FOLLOWERS_WITH_CHANGES = 10;

/** One more reader comes after each fault, up to this many: each keeps all that it sees. */
const MAX_READERS = 70;

/** How long a server may take to serve again once a fault is over, in milliseconds. */
const RECOVERY_LIMIT_MS = 20_000;

/** How long a fault and all that it takes to serve again may last, or the reading to the end, in milliseconds. */
const LIMIT_MS = 300_000;

/** Lines that a server may log for one fault: events, not requests. */
const LOG_LIMIT = 30;

/** Files and sockets that a server may have open when nobody asks for anything: those of the runtime, and six connections. */
const MAX_OPEN_FILES = 60;

/** What one kind of fault did. */
export interface FaultReport {
  readonly name: string;
  times: number;
  /** Worst time from the end of the fault until every server has served again, in milliseconds. */
  recovery: number;
  /** Worst time that a post took on a server that was not hit, in milliseconds. */
  stall: number;
  /** Worst number of lines that one server logged. */
  lines: number;
}

/** The verdict on a run. */
export interface Verdict {
  readonly faults: FaultReport[];
  readonly tally: Tally;
  readonly acked: number;
  /** Edits and deletions that were acknowledged, and followers with changes. */
  readonly changed: number;
  readonly followers: number;
  readonly stored: number;
  readonly pollers: number;
  readonly subscribers: number;
  readonly crowd: { readonly pollers: number; readonly delivered: number; readonly failed: number };
  /** The most memory that a server had, in words. */
  readonly memory: string;
  readonly violations: string[];
}

/** What to do. */
export interface TormentOptions {
  /** Repeats the schedule. */
  readonly seed: number;
  /** How long to go on with mixed faults after each has come alone, in milliseconds. */
  readonly mixedMs: number;
  /** How long one fault lasts, in milliseconds. */
  readonly faultMs: number;
  /** How long those that a fault does not hit may be kept waiting by it, in milliseconds: 3 s if not given. */
  readonly stallLimitMs?: number;
  /** How long a server may take to end when it is told to, in milliseconds: 5 s if not given. */
  readonly drainLimitMs?: number;
  /** Pause of each writer between two posts, in milliseconds. */
  readonly paceMs?: number;
  /** How many of the posts are followed by an edit or a deletion, from 0 to 1. */
  readonly changes?: number;
  /** Pollers beside the recorded ones, who only check the numbers. */
  readonly crowd?: number;
  /** Only faults whose names contain one of these. */
  readonly only?: readonly string[] | undefined;
  /** Is told what goes on. */
  readonly say: (line: string) => void;
}

/**
 * Torments the world.
 * @throws when a server ends by itself, or something never ends.
 */
export function torment(world: World, options: TormentOptions): Promise<Verdict> {
  return Promise.race([run(world, options), ...world.servers.map(({ ended }) => ended)]);
}

async function run(
  world: World,
  options: TormentOptions,
): Promise<Verdict> {
  const { seed, mixedMs, faultMs, stallLimitMs = 3_000, drainLimitMs = 5_000, only, say } = options;
  const { paceMs = 10, changes: share = 0.5, crowd: crowdSize = 0 } = options;
  const random = new Random(seed);
  const tally = newTally();
  const posts: PostRecord[] = [];
  const changes: ChangeRecord[] = [];
  const reads: ReadRecord[] = [];
  const found: string[] = [];
  const reports = new Map<string, FaultReport>();

  // The load.
  let writing = true;
  const ends = new Map<string, string>(); // the last message of each room, once all are written
  const lastPlaces = new Map<string, string>(); // the same of messages and changes
  const roomOf = (i: number) => `room${i % ROOMS}`;
  const hop = (
    i: number,
  ) => [...world.servers.slice(i % world.servers.length), ...world.servers.slice(0, i % world.servers.length)];
  const changers = Array.from({ length: ROOMS }, (_, i) => {
    return new Changer(roomOf(i), share, new Random(seed + i), tally, changes, reads);
  });
  const writers = [
    ...Array.from({ length: KEYED_WRITERS }, async (_, i) => {
      for (let n = 0; writing; n++) {
        const body = `keyed${i}-${n}`;
        const tries = await postUntilStored(hop(i + n), roomOf(i), body, tally, [], keyOf(body));
        posts.push(...tries);
        const changer = changers[i % ROOMS]!;
        changer.said(tries.at(-1)!.id!, body);
        await changer.change(hop(i + n + 1));
        await pause(paceMs);
      }
    }),
    ...Array.from({ length: PLAIN_WRITERS }, async (_, i) => {
      for (let n = 0; writing; n++) {
        posts.push(await recordPost(hop(i + n)[0]!, roomOf(i), `plain${i}-${n}`, undefined, tally));
        await pause(paceMs);
      }
    }),
  ];
  if (crowdSize > 0) {
    writers.push((async () => {
      for (let n = 0; writing; n++) {
        await postUntilStored(hop(n), CROWD_ROOM, `crowd-${n}`, tally, posts);
        await pause(1_000);
      }
    })());
  }
  const crowd = new Crowd(world.servers, crowdSize, world.postgres.losses);
  const memory = new MemoryWatch(world.servers);
  const readers: { readonly subscribes: boolean; readonly record: Promise<PollRecord> }[] = [];
  const addReader = (subscribes: boolean) => {
    const i = readers.length;
    const room = roomOf(i);
    // Some begin at the start, some at a message in the middle.
    const middle = random.next() < 0.5 ? posts.findLast((post) => post.room === room && post.id)?.id : undefined;
    const done = (cursor: string) => ends.has(room) && cursor >= ends.get(room)!;
    const options = {
      wait: random.whole(0, 3),
      limit: random.pick([1, 10, 100, 1000]),
      tally,
      ...middle && { from: middle },
    };
    const record = subscribes
      ? followEvents(hop(i), room, `subscriber${i}`, done, options)
      : follow(hop(i), room, `poller${i}`, done, options);
    readers.push({ subscribes, record });
  };
  for (let i = 0; i < POLLERS + SUBSCRIBERS; i++) addReader(i >= POLLERS);
  const followers: Promise<FollowRecord>[] = [];
  const addFollower = () => {
    const i = followers.length;
    const room = roomOf(i);
    const done = (cursor: string) => lastPlaces.has(room) && cursor >= lastPlaces.get(room)!;
    const middle = random.next() < 0.3 ? posts.findLast((post) => post.room === room && post.id)?.id : undefined;
    const options = {
      wait: random.whole(0, 3),
      limit: random.pick([1, 10, 100, 1000]),
      tally,
      random: new Random(seed - i),
      streams: i % 3 === 2,
      ...middle && { from: middle },
    };
    followers.push(followChanges(hop(i), room, `follower${i}`, done, options));
  };
  if (share > 0) { for (let i = 0; i < FOLLOWERS_WITH_CHANGES; i++) addFollower(); }

  // The faults: each alone, then several at a time.
  const inflict = async (batch: readonly Fault[]) => {
    const name = batch.length === 1 ? batch[0]!.name : "mixed";
    const names = batch.map((fault) => fault.name).join(" + ");
    say(names);
    const report = reports.get(name) ?? { name, times: 0, recovery: 0, stall: 0, lines: 0 };
    reports.set(name, report);
    const lines = world.servers.map(linesOf);
    const start = performance.now();
    const runs = batch.map((fault) =>
      fault.run(world, random, faultMs, drainLimitMs).catch((error) => {
        const what = `${fault.name}: ${error instanceof Error ? error.message : error}`;
        say(what); // at once, since what failed to come back may be why nothing serves any more
        found.push(what);
      })
    );
    const hit = await inTime(Promise.all(runs), `${names} is over`);
    const end = performance.now();
    const probes = world.servers.map((server, i) =>
      postUntilStored([server], roomOf(i), `probe${i}-${end}`, tally, posts)
    );
    await inTime(Promise.all(probes), `all serve again after ${names}`);
    for (const loss of world.postgres.losses) loss.over = Math.min(loss.over, performance.now());
    const recovery = performance.now() - end;
    report.times++;
    report.recovery = Math.max(report.recovery, recovery);
    if (recovery > RECOVERY_LIMIT_MS) found.push(`${name}: took ${recovery.toFixed()} ms to serve again`);
    for (const [i, server] of world.servers.entries()) {
      const logged = linesOf(server) - lines[i]!;
      report.lines = Math.max(report.lines, logged);
      if (logged > LOG_LIMIT) found.push(`${name}: ${server.name} logged ${logged} lines`);
    }
    if (batch.every((fault) => fault.hits !== "database")) {
      const spared = new Set(world.servers.filter((server) => !hit.includes(server)).map((server) => server.url));
      for (const { server, sent, answered, body } of posts) {
        if (sent < start || sent > end || !spared.has(server!)) continue;
        report.stall = Math.max(report.stall, answered - sent);
        if (answered - sent > stallLimitMs) {
          found.push(`${name}: ${body} took ${(answered - sent).toFixed()} ms elsewhere`);
        }
      }
    }
    if (readers.length < MAX_READERS) addReader(random.next() < 0.5);
    if (share > 0 && followers.length < MAX_READERS / 2) addFollower();
  };
  const possible = faults.filter((fault) =>
    (fault.possible?.(world) ?? true) && (!only || only.some((part) => fault.name.includes(part)))
  );
  await pause(1_000);
  for (const fault of random.shuffle(possible)) await inflict([fault]);
  const until_ = performance.now() + mixedMs;
  while (performance.now() < until_) {
    // One fault of the database at a time, since they take each other away; with any of the others.
    const [database, others] = [true, false].map((is) =>
      possible.filter((fault) => (fault.hits === "database") === is)
    );
    const servers = random.shuffle(others!).slice(0, random.whole(1, 2));
    const kills = servers.filter((fault) => fault.name.startsWith("server:")).length;
    await inflict([...database!.length > 0 ? [random.pick(database!)] : [], ...kills > 1 ? servers.slice(1) : servers]);
  }

  // The end: all writers stop, all readers read what is there.
  say("everything is well; reading to the end");
  writing = false;
  await Promise.all(writers);
  const table = await world.postgres.admin((sql) =>
    sql<StoredMessage[]>`select room, id, body, key, changed from messages`
  );
  const raise = (places: Map<string, string>, room: string, place: string) => {
    if (place > (places.get(room) ?? "")) places.set(room, place);
  };
  for (const { room, id, body, changed } of table) {
    if (body !== "") raise(ends, room, id);
    raise(lastPlaces, room, changed ?? id);
  }
  const reading = Promise.all(readers.map(({ record }) => record));
  const records = await inTime(reading, "the readers have come to the end");
  const follows = await inTime(Promise.all(followers), "the followers with changes have come to the end");
  await inTime(crowd.readTo(ends.get(CROWD_ROOM) ?? ""), "the crowd has come to the end");
  found.push(...crowd.violations, ...memory.stop());
  found.push(...violations({ posts, polls: records, table, losses: world.postgres.losses, changes, follows, reads }));
  found.push(...await leftovers(world));
  if (tally.hung > 0) say(`${tally.hung} requests hung`);
  return {
    faults: [...reports.values()].sort((a, b) => a.name < b.name ? -1 : 1),
    tally,
    acked: posts.filter((post) => post.id).length,
    changed: changes.filter(({ status }) => status === 200 || status === 204).length,
    followers: followers.length,
    stored: table.length,
    pollers: readers.filter(({ subscribes }) => !subscribes).length,
    subscribers: readers.filter(({ subscribes }) => subscribes).length,
    crowd: { pollers: crowdSize, delivered: crowd.delivered, failed: crowd.failed },
    memory: memory.report(),
    violations: found,
  };
}

/** How many lines a server has logged, but for deletions, of which each is told. */
function linesOf({ log }: Pick<Server, "log">): number {
  return log.split("\n").filter((line) => !line.includes("A message was deleted")).length;
}

/** What a promise resolves to; fails where that takes so long that it may never come. */
async function inTime<T>(promise: Promise<T>, what: string): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`Waited ${LIMIT_MS} ms in vain until ${what}`)), LIMIT_MS);
  return await Promise.race([promise, late.promise]).finally(() => clearTimeout(timer));
}

/** What should not be there when nobody asks for anything any more. */
async function leftovers(world: World): Promise<string[]> {
  const found: string[] = [];
  for (const server of world.servers) {
    const state = () => health({ url: server.direct });
    await until(async () => {
      const { waiters, subscribers, feeds } = await state();
      return waiters === 0 && subscribers === 0 && feeds === 0;
    }, "nobody waits").catch(async () => found.push(`${server.name} still holds ${JSON.stringify(await state())}`));
  }
  for (const server of world.servers) {
    const open = () => Array.from(Deno.readDirSync(`/proc/${server.pid}/fd`)).length;
    await until(() => open() <= MAX_OPEN_FILES, "its sockets are closed").catch(() => {
      found.push(`${server.name} has ${open()} files and sockets open`);
    });
  }
  if (world.pooled) return found; // the connections are the pooler's
  const rows = await world.postgres.admin((sql) =>
    sql<{ name: string; n: number }[]>`
      select application_name as name, count(*)::int as n from pg_stat_activity
      where datname = 'linger' and application_name like 'linger%' group by 1`
  );
  const most: Record<string, number> = {
    "linger writes": 1,
    "linger reads": 2,
    "linger looks": 1,
    "linger signals": 1,
    "linger listen": 1,
  };
  for (const { name, n } of rows) {
    if (n > (most[name] ?? 0) * world.servers.length) found.push(`${n} connections are open as ${name}`);
  }
  return found;
}

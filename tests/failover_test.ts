// A database that comes back without messages which it had acknowledged: a primary dies, and its standby had not all of them; or
// a backup is put back. What is lost is lost; but no server goes on showing it, and all that is said later reaches everybody.
import { assert, assertEquals, assertGreater } from "@std/assert";
import { createApp } from "../src/app.ts";
import { Chat } from "../src/chat/chat.ts";
import { Linger } from "../src/client/client.ts";
import { migrateOnce } from "../src/database/migrate.ts";
import type { OpenPool } from "../src/database/pool.ts";
import { get, type Message, messages, post, posted, type ProblemDetails, read, until } from "./support/client.ts";
import { subscribe } from "./support/events.ts";
import { logged } from "./support/log.ts";
import { OwnPostgres } from "./support/own_postgres.ts";
import { opened } from "./support/postgres.ts";
import { LIMITS, LOCAL, type TestServer } from "./support/server.ts";
import { Proxy } from "./torture/proxy.ts";

const NIL = "00000000000000000000000000";

/** A port where nobody listens. */
const NOBODY = 1;

/**
 * A server that comes to its database by two ways, so that a test says when it finds which: one for what posts and reads, one for
 * what looks and listens.
 */
class Server implements AsyncDisposable {
  readonly #ways = [new Proxy(() => this.#main?.port ?? NOBODY), new Proxy(() => this.#news?.port ?? NOBODY)];
  #main: OwnPostgres | undefined;
  #news: OwnPostgres | undefined;
  #running!: TestServer;

  private constructor(postgres: OwnPostgres) {
    this.#main = this.#news = postgres;
  }

  static async start(postgres: OwnPostgres): Promise<Server> {
    const server = new Server(postgres);
    const env = { FALLBACK_MS: "5000", FALLBACK_WITHOUT_LISTEN_MS: "100", HISTORY_MAX_AGE: "60" };
    const [main, news] = await Promise.all(
      server.#ways.map((way) => opened(postgres.url("postgres", way.port), env)),
    );
    await migrateOnce(main!);
    const openPool: OpenPool = (name, options) =>
      (name === "listen" || name === "signals" ? news! : main!).openPool(name, options);
    const chat = new Chat({ openPool }, main!.config);
    const http = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen: () => {} },
      createApp({
        chat: () => chat,
        uploadTimeoutMs: 20_000,
        heartbeatMs: 15_000,
        historyMaxAge: main!.config.HISTORY_MAX_AGE,
        origins: LOCAL,
        limits: LIMITS,
      }).fetch,
    );
    server.#running = {
      url: `http://127.0.0.1:${http.addr.port}`,
      chat,
      [Symbol.asyncDispose]: async () => {
        const finished = http.shutdown();
        await chat.close();
        await finished;
      },
    };
    return server;
  }

  get url(): string {
    return this.#running.url;
  }

  get chat(): Chat {
    return this.#running.chat;
  }

  /** Its database is gone, and it finds none. */
  lose(): void {
    this.#main = this.#news = undefined;
    for (const way of this.#ways) way.cut();
  }

  /** What posts and reads finds `postgres`. */
  find(postgres: OwnPostgres): void {
    this.#main = postgres;
  }

  /** What looks and listens finds it. */
  look(postgres: OwnPostgres): void {
    this.#news = postgres;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running[Symbol.asyncDispose]();
    for (const way of this.#ways) await way[Symbol.asyncDispose]();
  }
}

/** Follows a room from its start in all the ways there are, each for as long as it takes, and without a break. */
class Followers implements AsyncDisposable {
  readonly #leaving = new AbortController();
  readonly #seen: { name: string; messages: Message[] }[] = [];
  readonly #following: Promise<void>[] = [];

  constructor(servers: readonly { url: string }[], private readonly room: string) {
    for (const [i, server] of servers.entries()) {
      this.#follow(`poll at ${i}`, (seen) => this.#poll(server, seen));
      this.#follow(`stream at ${i}`, (seen) => this.#stream(server, seen));
      this.#follow(`client at ${i}`, (seen) => this.#client(server, seen));
    }
  }

  /** Resolves when all have `message`. */
  async all(message: Message): Promise<void> {
    await until(() => this.#seen.every(({ messages }) => messages.some(({ id }) => id === message.id)), message.body);
  }

  /** What each was given, in the order in which it came. */
  assertSaw(bodies: readonly string[]): void {
    for (const { name, messages } of this.#seen) assertEquals(messages.map(({ body }) => body), bodies, name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#leaving.abort();
    await Promise.all(this.#following);
  }

  #follow(name: string, run: (seen: Message[]) => Promise<void>): void {
    const messages: Message[] = [];
    this.#seen.push({ name, messages });
    this.#following.push((async () => {
      while (!this.#leaving.signal.aborted) {
        await run(messages).catch(() => {});
        await new Promise((resolve) => setTimeout(resolve, 20)); // a 503 is asked again
      }
    })());
  }

  async #poll(server: { url: string }, seen: Message[]): Promise<void> {
    const { signal } = this.#leaving;
    const url = `${server.url}/rooms/${this.room}/messages?after=${seen.at(-1)?.id ?? NIL}&wait=20`;
    const response = await fetch(url, { signal });
    const answer = await response.json();
    if (response.status === 200) seen.push(...answer);
  }

  async #stream(server: { url: string }, seen: Message[]): Promise<void> {
    const { signal } = this.#leaving;
    const stream = await subscribe(server, this.room, `after=${seen.at(-1)?.id ?? NIL}`);
    const before = [...seen];
    const leave = () => void stream.leave();
    signal.addEventListener("abort", leave);
    const copying = setInterval(() => seen.splice(0, Infinity, ...before, ...stream.messages), 10);
    await stream.ended;
    clearInterval(copying);
    signal.removeEventListener("abort", leave);
    seen.splice(0, Infinity, ...before, ...stream.messages);
  }

  async #client(server: { url: string }, seen: Message[]): Promise<void> {
    const { signal } = this.#leaving;
    const room = new Linger(server.url).room(this.room);
    for await (const message of room.follow({ after: seen.at(-1)?.id ?? NIL, signal })) seen.push(message);
  }
}

/** A primary whose standby has all, and two servers at it. */
async function setUp(options: { clock?: boolean } = {}) {
  const primary = await OwnPostgres.start();
  const stream = new Proxy(() => primary.port);
  const standby = await primary.standby(stream.port);
  const [a, b] = [await Server.start(primary), await Server.start(primary)];
  if (options.clock) await shiftableClock(primary);
  const followers = new Followers([a, b], "room");
  const kept = [await posted(a, "room", "kept 1"), await posted(b, "room", "kept 2")];
  await followers.all(kept[1]!);
  await until(async () => (await rows(standby)).length === 2, "the standby has them too");
  return {
    primary,
    standby,
    /** What leads from the primary to the standby. */
    stream,
    a,
    b,
    followers,
    kept,
    [Symbol.asyncDispose]: async () => {
      for (const part of [followers, a, b, standby, primary, stream]) await part[Symbol.asyncDispose]();
    },
  };
}

/** The clock of this cluster's database can be set off from here on, for connections that are made then. */
async function shiftableClock(postgres: OwnPostgres): Promise<void> {
  await postgres.run(
    "create schema shifted",
    "create table shifted.by (ms bigint)",
    "insert into shifted.by values (0)",
    `create function shifted.clock_timestamp() returns timestamptz volatile language sql
      as $$ select pg_catalog.clock_timestamp() + (select ms from shifted.by) * interval '1 ms' $$`,
    "alter database postgres set search_path = shifted, public, pg_catalog",
  );
}

async function rows(postgres: OwnPostgres): Promise<Record<string, unknown>[]> {
  return await postgres.run("select id, body from messages where room = 'room' order by id");
}

/** What a server says of the room, by each way in which it can be asked. */
async function history(server: { url: string }): Promise<string[][]> {
  const first = async (query: string) => (await messages(server, "room", query)).map(({ body }) => body);
  return [await first(`after=${NIL}&wait=0`), await first("before=now"), await first(`after=${NIL}&wait=5`)];
}

/** All servers tell what the database has, and nothing else. */
async function assertOneHistory(servers: readonly Server[], postgres: OwnPostgres, bodies: string[]): Promise<void> {
  assertEquals((await rows(postgres)).map(({ body }) => body), bodies);
  for (const server of servers) assertEquals(await history(server), [bodies, bodies, bodies]);
}

const A_FINDS = "A finds it";
const A_POSTS = "A posts";
const B_FINDS = "B finds it";
const B_LOOKS = "B looks";
const ORDERS = [
  [A_FINDS, A_POSTS, B_FINDS, B_LOOKS],
  [A_FINDS, B_FINDS, A_POSTS, B_LOOKS],
  [A_FINDS, B_FINDS, B_LOOKS, A_POSTS],
  [B_FINDS, A_FINDS, A_POSTS, B_LOOKS],
  [B_FINDS, A_FINDS, B_LOOKS, A_POSTS],
  [B_FINDS, B_LOOKS, A_FINDS, A_POSTS],
];

for (const order of ORDERS) {
  Deno.test(`A failover that loses two messages loses no later ones: ${order.join(", ")}`, async () => {
    await using world = await setUp();
    const { primary, standby, stream, a, b, followers } = world;
    stream.weather = "refuse";
    const lost = [await posted(a, "room", "lost 1"), await posted(b, "room", "lost 2")];
    await followers.all(lost[1]!);
    for (const server of [a, b]) server.lose();
    await primary.kill();
    await standby.run("select pg_promote()");

    const steps: Record<string, () => void | Promise<void>> = {
      [A_FINDS]: () => {
        a.find(standby);
        a.look(standby);
      },
      // As many as were lost, so that they have their numbers.
      [A_POSTS]: async () => {
        for (const body of ["new 1", "new 2"]) await stored(a, "room", body);
      },
      [B_FINDS]: () => b.find(standby),
      [B_LOOKS]: async () => {
        b.look(standby);
        await until(async () => !(await blind(b)), "it has looked");
      },
    };
    for (const step of order) await steps[step]!();
    const now = (await rows(standby)).map(({ id }) => `${id}`);
    for (const id of now.slice(2)) assertGreater(id, lost[1]!.id);
    const end = await posted(b, "room", "end");
    assertGreater(end.id, now.at(-1)!);
    await followers.all(end);
    followers.assertSaw(["kept 1", "kept 2", "lost 1", "lost 2", "new 1", "new 2", "end"]);
    await assertOneHistory([a, b], standby, ["kept 1", "kept 2", "new 1", "new 2", "end"]);
    const [head] = await standby.run("select seq from heads where room = 'room'");
    assertEquals(Number(head!.seq), 5);
  });
}

Deno.test("A server that looks at the new primary before it posts and reads there shows nothing that is lost, and goes on", async () => {
  await using world = await setUp();
  const { primary, standby, stream, a, b, followers } = world;
  stream.weather = "refuse";
  const lost = [await posted(a, "room", "lost 1"), await posted(b, "room", "lost 2")];
  await followers.all(lost[1]!);
  await logged(async (lines) => {
    for (const server of [a, b]) server.lose();
    await primary.kill();
    await standby.run("select pg_promote()");
    b.look(standby);
    await until(() => lines.some((line) => line.includes("has lost messages")), "it has looked");
    for (const query of [`after=${NIL}&wait=5`, `after=${lost[1]!.id}&wait=1`]) {
      assertEquals((await get(b, `/rooms/room/messages?${query}`)).status, 503, query);
    }
    a.find(standby);
    a.look(standby);
    const next = [await stored(a, "room", "new 1"), await stored(a, "room", "new 2")];
    b.find(standby);
    const end = await stored(b, "room", "end");
    await followers.all(end);
    followers.assertSaw(["kept 1", "kept 2", "lost 1", "lost 2", "new 1", "new 2", "end"]);
    await assertOneHistory([a, b], standby, ["kept 1", "kept 2", "new 1", "new 2", "end"]);
    assertGreater(next[0]!.id, lost[1]!.id);
  });
});

Deno.test("After a failover to a clock that is behind, no id lies at or below one that the posting server has heard of", async () => {
  await using world = await setUp({ clock: true });
  const { primary, standby, stream, a, b, followers } = world;
  await using c = await Server.start(primary);
  const heard = [b, c].map((server) => messages(server, "gate", "after=now&wait=50")); // where nobody waits, nobody hears
  const listening = "select from pg_stat_activity where application_name = 'linger listen'";
  await until(async () => (await primary.run(listening)).length === 3, "all listen");
  stream.weather = "refuse";
  const lost = [await posted(a, "room", "lost 1"), await posted(b, "room", "lost 2")];
  // Where nobody is. Notifications come in their order: who has heard of the next one has heard of this one.
  const elsewhere = await posted(a, "elsewhere", "lost 3");
  await until(() => c.chat.state.waiters === 1 && b.chat.state.waiters > 1, "both wait for the next one");
  await posted(a, "gate", "lost 4");
  await Promise.all(heard);
  await followers.all(lost[1]!);
  for (const server of [a, b, c]) server.lose();
  await primary.kill();
  await standby.run("select pg_promote()", "update shifted.by set ms = -30000");
  for (const server of [a, b, c]) {
    server.find(standby);
    server.look(standby);
  }
  const next = [await stored(c, "room", "new 1"), await stored(b, "room", "new 2"), await stored(a, "room", "new 3")];
  for (const { id } of next) assertGreater(id, lost[1]!.id);
  for (const server of [c, b, a]) assertGreater((await stored(server, "elsewhere", server.url)).id, elsewhere.id);
  const end = await posted(c, "room", "end");
  await followers.all(end);
  followers.assertSaw(["kept 1", "kept 2", "lost 1", "lost 2", "new 1", "new 2", "new 3", "end"]);
  await assertOneHistory([a, b, c], standby, ["kept 1", "kept 2", "new 1", "new 2", "new 3", "end"]);
});

Deno.test("A new message in the very place of a lost one is told from it: one history, and all that is said later arrives", async () => {
  await using world = await setUp({ clock: true });
  const { primary, standby, stream, a, b, followers } = world;
  // From here on all happens in the millisecond of the newest message.
  const [{ ms }] = await primary.run("select ms from heads where room = 'room'") as [{ ms: string }];
  await primary.run(`create or replace function shifted.clock_timestamp() returns timestamptz volatile language sql
    as $$ select to_timestamp(${ms} / 1000.0) + (select ms from shifted.by) * interval '1 ms' $$`);
  const frozen = "select from pg_proc where proname = 'clock_timestamp' and prosrc like '%to_timestamp%'";
  await until(async () => (await standby.run(frozen)).length === 1, "the standby's clock stands, too");
  await using stranger = await Server.start(primary); // which has neither seen nor heard of the room
  stranger.lose();
  stream.weather = "refuse";
  const lost = await posted(a, "room", "lost 1");
  await followers.all(lost);
  for (const server of [a, b]) server.lose();
  await primary.kill();
  await standby.run("select pg_promote()", "update shifted.by set ms = -30000");
  stranger.find(standby);
  const next = await stored(stranger, "room", "new 1");
  assertEquals(next.id.slice(0, 26), lost.id.slice(0, 26));
  for (const server of [a, b]) {
    server.find(standby);
    server.look(standby);
  }
  for (const server of [a, b]) {
    await until(async () => !(await quietHistory(server)).includes("lost 1"), "no lost one is served");
  }
  await assertOneHistory([a, b], standby, ["kept 1", "kept 2", "new 1"]);
  await until(async () => await lifted(standby, lost), "the head is lifted");
  stranger.look(standby);
  const end = [
    await posted(a, "room", "end 1"),
    await posted(stranger, "room", "end 2"),
    await posted(b, "room", "end 3"),
  ];
  await followers.all(end[2]!);
  await assertOneHistory([a, b], standby, ["kept 1", "kept 2", "new 1", "end 1", "end 2", "end 3"]);
});

const KEY = { "message-key": "a key that nobody else knows" };

Deno.test("After a failover nothing that is lost is given out, by whichever way one asks, and who had it goes on behind it", async () => {
  await using world = await setUp();
  const { primary, standby, stream, a, b, followers, kept } = world;
  const servers = [a, b];
  const said = (await read<Message>(post(a, "room", { body: "said" }, KEY))).json;
  await until(async () => (await rows(standby)).length === 3, "the standby has it too");
  stream.weather = "refuse";
  const first = { "idempotency-key": "first", ...KEY };
  const lost = [
    (await read<Message>(post(a, "room", { body: "lost 1" }, first))).json,
    await posted(b, "room", "lost 2"),
  ];
  await edited(b, said, "lost 3");
  await posted(a, "lost", "lost 4");
  const byId = `/rooms/room/messages/${said.id}`;
  const edit = (await get<Message>(b, byId)).json.changed;
  const page = `/rooms/room/messages?after=${kept[0]!.id}&limit=3`; // full, so that caches may keep it
  const paths = [
    page,
    byId,
    "/rooms",
    "/rooms/room/messages?q=lost",
    `/rooms/room/messages?after=${NIL}&changes=true&wait=5`,
    `/rooms/room/messages?before=${lost[1]!.id}`,
    `/rooms/room/messages/${lost[0]!.id}`,
    "/rooms/lost/messages?wait=1",
  ];
  const known = new Map<string, string | null>();
  for (const server of servers) {
    for (const path of paths) {
      const { text, headers } = await get(server, path);
      assert(lost.some(({ id }) => text.includes(id)) || text.includes("lost"), path);
      known.set(path, headers.get("etag"));
    }
  }
  await followers.all(lost[1]!);

  for (const server of servers) server.lose();
  await primary.kill();
  await standby.run("select pg_promote()");
  for (const server of servers) {
    server.find(standby);
    server.look(standby);
  }
  const next = await stored(b, "room", "new");
  await followers.all(next);
  for (const server of servers) {
    for (const path of paths) {
      const none = async () => {
        const { status, text } = await get(server, path, { "if-none-match": known.get(path) ?? "" });
        return status < 500 && status !== 304 && !text.includes("lost") && lost.every(({ id }) => !text.includes(id));
      };
      await until(none, `nothing is lost at ${path}`);
    }
    assertEquals((await messages(server, "room", page.split("?")[1]!)).map(({ body }) => body), [
      "kept 2",
      "said",
      "new",
    ]);
    assertEquals((await get<Message>(server, byId)).json, said);
    assertEquals((await get(server, `/rooms/room/messages/${lost[0]!.id}`)).status, 404);
    for (const method of ["PATCH", "DELETE"]) {
      const answer = await read(fetch(`${server.url}/rooms/room/messages/${lost[0]!.id}`, {
        method,
        headers: { ...KEY, "content-type": "application/json" },
        ...method === "PATCH" && { body: '{"body":"x"}' },
      }));
      assertEquals(answer.status, 404, method);
    }
    for (const [cursor, query] of [[lost[1]!.id, ""], [edit!, "&changes=true"]] as const) {
      for (const wait of [0, 5]) {
        assertEquals(await messages(server, "room", `after=${cursor}&wait=${wait}${query}`), [next]);
      }
      await using stream = await subscribe(server, "room", query, { "last-event-id": cursor });
      await until(() => stream.messages.length > 0, "it goes on");
      assertEquals(stream.messages[0], next);
    }
  }
  // What is lost was never stored: whoever repeats it stores it.
  const again = await read<Message>(post(a, "room", { body: "lost 1" }, first));
  assertEquals([again.status, again.json.id > next.id], [201, true]);
  const twice = await read<Message>(post(b, "room", { body: "lost 1" }, first));
  assertEquals([twice.status, twice.json.id], [200, again.json.id]);
});

const FOLLOWED = "has followed";
const HAS_COME = "has come to the room since";

/** Which edits are lost with the primary, which one makes after it who knows nothing of them, and what is known by who does. */
const LOST_EDITS: readonly [what: string, lost: readonly number[], later: readonly number[], knows: string][] = [
  ["and nothing is edited later", [0, 1], [], HAS_COME],
  ["and a message is edited again, but not the first", [0, 1], [1], FOLLOWED],
  ["and another message is edited", [0], [1], HAS_COME],
];

for (const [what, lost, later, knows] of LOST_EDITS) {
  Deno.test(`A failover that loses edits leaves no server with them, ${what}, where a server ${knows}`, async () => {
    await using world = await setUp();
    const { primary, standby, stream, a, b, followers } = world;
    const said: Message[] = [];
    for (const body of ["one", "two"]) said.push((await read<Message>(post(a, "room", { body }, KEY))).json);
    await followers.all(said[1]!);
    await until(async () => (await rows(standby)).length === 4, "the standby has them too");
    await using stranger = await Server.start(primary); // which has neither seen nor heard of the room
    await using newcomer = await Server.start(primary);
    stranger.lose();
    stream.weather = "refuse";
    for (const i of lost) await edited(a, said[i]!, `lost ${i}`);
    const servers = knows === FOLLOWED ? [a, b] : [newcomer];
    await using staying = knows === FOLLOWED ? undefined : new Followers([newcomer], "room");
    for (const server of servers) await until(async () => (await bodies(server)).includes("lost 0"), "it has them");
    for (const server of [a, b, newcomer]) server.lose();
    await primary.kill();
    await standby.run("select pg_promote()");
    stranger.find(standby);
    stranger.look(standby);
    await stored(stranger, "elsewhere", "it is there");
    for (const i of later) await edited(stranger, said[i]!, `new ${i}`);
    for (const server of [a, b, newcomer]) {
      server.find(standby);
      server.look(standby);
    }
    const end = await stored(stranger, "room", "end");
    await followers.all(end);
    await staying?.all(end);
    const now = ["one", "two"].map((body, i) => later.includes(i) ? `new ${i}` : body);
    for (const server of servers) await until(async () => (await bodies(server)).at(-1) === "end", "it is back");
    await assertOneHistory([a, b, newcomer], standby, ["kept 1", "kept 2", ...now, "end"]);
  });
}

/** What a server has of the room in memory, though it may be unable to say. */
async function bodies(server: { url: string }): Promise<string[]> {
  const page = await messages(server, "room", `after=${NIL}&wait=5`).catch(() => []);
  return page.map(({ body }) => body);
}

async function edited(server: { url: string }, { id }: Message, body: string): Promise<void> {
  await until(async () => {
    const answer = await read(fetch(`${server.url}/rooms/room/messages/${id}`, {
      method: "PATCH",
      headers: { ...KEY, "content-type": "application/json" },
      body: JSON.stringify({ body }),
    }));
    return answer.status === 200;
  }, body);
}

Deno.test("A backup that is put back under running servers is their history from then on", async () => {
  await using postgres = await OwnPostgres.start();
  await using a = await Server.start(postgres);
  await using b = await Server.start(postgres);
  await using followers = new Followers([a, b], "room");
  const kept = [await posted(a, "room", "kept 1"), await posted(b, "room", "kept 2")];
  await followers.all(kept[1]!);
  const backup = await postgres.backup();
  await postgres.start();
  const lost = [await stored(a, "room", "lost 1"), await stored(b, "room", "lost 2")];
  await followers.all(lost[1]!);
  await postgres.restore(backup);
  await until(async () => !(await quietHistory(b)).includes("lost 2"), "no lost one is served");
  const next = [await stored(b, "room", "new 1"), await stored(a, "room", "new 2")];
  await followers.all(next[1]!);
  followers.assertSaw(["kept 1", "kept 2", "lost 1", "lost 2", "new 1", "new 2"]);
  await assertOneHistory([a, b], postgres, ["kept 1", "kept 2", "new 1", "new 2"]);
});

Deno.test("With a synchronous standby nothing that was acknowledged is lost, and what did not get there is not acknowledged", async () => {
  await using world = await setUp();
  const { primary, standby, stream, a, b, followers } = world;
  await primary.run(
    "alter system set synchronous_standby_names = 'standby'",
    "alter system set client_min_messages = 'error'", // a warning alone tells that a wait for it was cancelled
  );
  await primary.reload();
  await until(
    async () => (await primary.run("select from pg_stat_replication where sync_state = 'sync'")).length === 1,
    "sync",
  );
  const said = (await read<Message>(post(a, "room", { body: "there 1" }, KEY))).json;
  const acknowledged = [said, await posted(b, "room", "there 2")];

  stream.weather = "refuse";
  const cut = post(a, "room", { body: "cut" }, { "idempotency-key": "cut" });
  await cancelWait(primary);
  assertEquals([(await cut).status, (await (await cut).json()).type], [503, "urn:linger:problem:outcome-unknown"]);
  // It stands on the primary, where it can be seen; but it is no answer to the key as long as the standby does not have it.
  const again = post(a, "room", { body: "cut" }, { "idempotency-key": "cut" });
  await cancelWait(primary);
  assertEquals([(await again).status, (await (await again).json()).type], [503, "urn:linger:problem:outcome-unknown"]);
  assertEquals((await rows(primary)).length, 5);
  // No more is what was taken back: that it is gone there tells nobody that it stays so.
  for (const time of ["first", "second"]) {
    const removing = read<ProblemDetails>(
      fetch(`${a.url}/rooms/room/messages/${said.id}`, { method: "DELETE", headers: KEY }),
    );
    let answered = false;
    removing.finally(() => answered = true);
    await until(async () => {
      await primary.run(CANCEL_WAITS); // of all, since what the server tells the others waits, too
      return answered;
    }, "it is answered");
    const { status, json } = await removing;
    assertEquals([status, json?.type], [503, "urn:linger:problem:outcome-unknown"], `the ${time} time`);
  }

  for (const server of [a, b]) server.lose();
  await primary.kill();
  await standby.run("alter system reset synchronous_standby_names", "select pg_promote()");
  for (const server of [a, b]) {
    server.find(standby);
    server.look(standby);
  }
  const end = await stored(b, "room", "end");
  await followers.all(end);
  const bodies = ["kept 1", "kept 2", ...acknowledged.map(({ body }) => body), "end"];
  assertEquals((await rows(standby)).map(({ body }) => body), bodies);
});

const CANCEL_WAITS = "select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'";

/** Cancels the wait of a commit for the standby, as soon as there is one. */
async function cancelWait(primary: OwnPostgres): Promise<void> {
  await until(async () => (await primary.run(CANCEL_WAITS)).length > 0, "a commit waits for the standby");
}

/** Whether the head of the room is above a message. */
async function lifted(postgres: OwnPostgres, { id }: Message): Promise<boolean> {
  const [head] = await postgres.run("select ms from heads where room = 'room'");
  return Number(head!.ms) > parseInt(id.replaceAll("-", "").slice(0, 12), 16);
}

/** What a server says of the room, though it may be unable to. */
async function quietHistory(server: { url: string }): Promise<string[]> {
  return (await history(server).catch(() => [["lost 1", "lost 2"]])).flat();
}

/** Posts until it is stored, and at once then. */
async function stored(server: { url: string }, room: string, body: string): Promise<Message> {
  let message: Message | undefined;
  await until(async () => {
    const response = await post(server, room, { body }, { "idempotency-key": body });
    const answer = await response.json();
    if (response.ok) message = answer;
    return response.ok;
  }, body);
  return message!;
}

/** Whether a poll that waits is told that nobody can know whether there is news. */
async function blind(server: { url: string }): Promise<boolean> {
  return (await get(server, "/rooms/elsewhere/messages?after=now&wait=1")).status !== 200;
}

// How news gets from one server to the other: at once by notification, and all the same without any.
import { assert, assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { DatabaseError } from "../src/database/client.ts";
import { Feeds } from "../src/chat/feeds.ts";
import { Floors } from "../src/chat/floors.ts";
import { makeEntry } from "../src/chat/page.ts";
import type { Store } from "../src/chat/store.ts";
import type { Subscriber } from "../src/chat/subscriptions.ts";
import { Wake } from "../src/chat/wake.ts";
import type { OpenPool, Pool } from "../src/database/pool.ts";
import { Chat } from "../src/chat/chat.ts";
import { get, messages, posted, until } from "./support/client.ts";
import { makeId, makePlace, NIL, NOW, placeOf, timeOf } from "../src/chat/cursor.ts";
import { UNLIMITED } from "../src/allowance.ts";
import { opened, type TestDatabase, testPostgres } from "./support/postgres.ts";
import { say, startServer } from "./support/server.ts";
import { NEVER, silentStore } from "./support/silent_store.ts";
import { take } from "./support/taking.ts";
import { wait } from "./support/waiting.ts";

const postgres = await testPostgres();

const listeners = (database: TestDatabase) =>
  database.sql<{ pid: number }[]>`
    select pid from pg_stat_activity where datname = ${database.name} and application_name = 'linger listen'`;

const killListeners = (sql: TestDatabase["sql"], database: TestDatabase) =>
  sql`select pg_terminate_backend(pid) from pg_stat_activity
    where datname = ${database.name} and application_name = 'linger listen'`;

Deno.test("News reaches a waiter on the other server by notification alone", async () => {
  await using database = await postgres.create();
  await using one = await startServer(database.url, NEVER);
  await using two = await startServer(database.url, NEVER);
  for (let i = 0; i < 20; i++) {
    const poll = messages(two, "room", "after=now&wait=20");
    await until(() => two.chat.state.waiters === 1 && two.chat.state.listening, "the poll waits");
    const message = await posted(one, "room", `${i}`);
    assertEquals(await poll, [message]);
    await until(() => two.chat.state.feeds === 0, "the feed is dropped");
  }
});

Deno.test("A notification of the version before, which tells the number alone, wakes a waiter too", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, NEVER);
  await using silent = await silentStore(database);
  const poll = messages(server, "room", "after=now&wait=20");
  await until(() => server.chat.state.waiters === 1 && server.chat.state.listening, "the poll waits");
  const id = await silent.say("psst");
  await database.sql`select pg_notify('linger', '1 room')`;
  assertEquals((await poll).map((message) => message.id), [id]);
});

Deno.test("Whatever somebody notifies who may connect, posts go on, and no room runs away", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, NEVER);
  const poll = messages(server, "room", "after=now&wait=20");
  await until(() => server.chat.state.waiters === 1 && server.chat.state.listening, "the poll waits");
  const payloads = [
    "",
    "room",
    "x room",
    "1 room x",
    "1 room -5",
    "1 room 1.5",
    "7 room 281474976710654.5",
    "1 room 1e300",
    "1 room NaN",
    "x room 5",
    "1 room 281474976710655",
    "1 room 999999999999999999999",
  ];
  for (const payload of payloads) await database.sql`select pg_notify('linger', ${payload})`;
  const gate = messages(server, "gate", "after=now&wait=20");
  await until(() => server.chat.state.waiters === 2, "it waits for what comes after them");
  await posted(server, "gate", "heard");
  await gate;
  const message = await posted(server, "room", "goes on");
  assertEquals(await poll, [message]);
  const ahead = timeOf(message.id) - Date.now();
  assert(ahead <= 61_000, `${ahead} ms ahead of the clock`);
  // What tells mistakes from cursors of a room that is ahead, is not moved far either.
  const mistake = makeId(Date.now() + 2 * 3_600_000, 1, "0123456789");
  assertEquals((await get(server, `/rooms/room/messages?after=${mistake}&wait=0`)).status, 400);
});

Deno.test("What nobody was told of is found by the fallback", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { FALLBACK_MS: "100", FALLBACK_WITHOUT_LISTEN_MS: "100" });
  await using silent = await silentStore(database);
  const poll = messages(server, "room", "after=now&wait=20");
  await until(() => server.chat.state.waiters === 1, "the poll waits");
  const id = await silent.say("psst");
  assertEquals((await poll).map((message) => message.id), [id]);
});

Deno.test("A server listens when the first comes to wait, and does not come back to it when nobody does", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { FALLBACK_MS: "1000", FALLBACK_WITHOUT_LISTEN_MS: "1000" });
  await posted(server, "room", "one");
  assertEquals((await listeners(database)).length, 0);
  const leaving = new AbortController();
  const poll = fetch(`${server.url}/rooms/room/messages?after=now&wait=50`, { signal: leaving.signal });
  await until(() => server.chat.state.listening, "the probe is back");
  assertEquals((await listeners(database)).length, 1);
  leaving.abort();
  await poll.catch(() => {});
  await until(
    async () => {
      const { statements } = server.chat.state;
      await new Promise((resolve) => setTimeout(resolve, 3_000)); // three times as long as between two looks
      return server.chat.state.statements === statements;
    },
    "nothing is looked for any more",
    30_000,
  );
  assertEquals((await listeners(database)).length, 1);
  await killListeners(database.sql, database);
  await until(() => !server.chat.state.listening, "it knows");
  await new Promise((resolve) => setTimeout(resolve, 1_000)); // the driver would be back in a tenth of it
  assertEquals((await listeners(database)).length, 0);
  const news = messages(server, "room", "after=now&wait=20");
  await until(() => server.chat.state.waiters === 1 && server.chat.state.listening, "it waits, and listens again");
  const message = await posted(server, "room", "two");
  assertEquals(await news, [message]);
});

Deno.test("LISTEN counts as working only once a probe has come back", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { FALLBACK_MS: "100", FALLBACK_WITHOUT_LISTEN_MS: "100" });
  assertEquals(server.chat.state.listening, false);
  const poll = messages(server, "room", "after=now&wait=20");
  await until(() => server.chat.state.listening, "the probe is back");
  await posted(server, "room", "end");
  await poll;
});

Deno.test("Killing the LISTEN connection loses nothing, and it comes back", async () => {
  await using database = await postgres.create();
  await using one = await startServer(database.url, { FALLBACK_MS: "300", FALLBACK_WITHOUT_LISTEN_MS: "100" });
  await using two = await startServer(database.url, { FALLBACK_MS: "300", FALLBACK_WITHOUT_LISTEN_MS: "100" });
  let finished = false;
  const killing = (async () => {
    for (; !finished; await new Promise((resolve) => setTimeout(resolve, 50))) {
      await killListeners(database.sql, database);
    }
  })();
  const seen: string[] = [];
  const sent: string[] = [];
  const reading = (async () => {
    for (let after = "0".repeat(26); seen.length < 100; after = seen.at(-1) ?? after) {
      seen.push(...(await messages(two, "room", `after=${after}&wait=5`)).map((message) => message.id));
    }
  })();
  for (let i = 0; i < 100; i++) sent.push((await posted(one, "room", `${i}`)).id);
  await reading;
  finished = true;
  await killing;
  assertEquals(seen, sent);

  const poll = messages(two, "room", "after=now&wait=20");
  await until(() => two.chat.state.waiters === 1 && two.chat.state.listening, "it waits, and listens again");
  const last = await posted(one, "room", "end");
  assertEquals(await poll, [last]);
});

Deno.test("A LISTEN that can't be renewed for a while is renewed when it can", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { FALLBACK_MS: "100", FALLBACK_WITHOUT_LISTEN_MS: "100" });
  const poll = messages(server, "room", "after=now&wait=40");
  await until(() => server.chat.state.listening, "the probe is back");

  // Nobody else gets in, so the driver's own attempt to listen again fails.
  await database.admin((sql) => sql`alter database ${sql(database.name)} allow_connections false`);
  await database.admin((sql) => killListeners(sql, database));
  await until(() => !server.chat.state.listening, "the server notices");
  await database.admin((sql) => sql`alter database ${sql(database.name)} allow_connections true`);
  await until(() => server.chat.state.listening, "it listens again");
  const message = await posted(server, "room", "end");
  assertEquals(await poll, [message]);
});

Deno.test("Wake refreshes every held feed when LISTEN is connected again, since it may have missed something", async () => {
  await using database = await postgres.create();
  await using _migrated = await startServer(database.url);
  await using silent = await silentStore(database);
  let connected = () => {};
  const client = {
    listen: (_channel: string, _heard: (payload: string) => void, onListen: () => void) => {
      connected = onListen;
      return Promise.resolve({});
    },
  } as unknown as Pool["sql"];
  const feeds: Feeds = new Feeds(
    silent.store,
    { messages: 100, bytes: 100_000, all: 1_000_000 },
    (signal) => void wake.watch(signal),
    () => {},
  );
  const wake = new Wake(silent.store, () => ({ sql: client, destroy: () => Promise.resolve() }), feeds, new Floors(), {
    listening: 60_000,
    most: 60_000,
    deaf: 60_000,
  });
  const feed = feeds.hold("room");
  await feed.refresh();
  const settled = wait(feed, feed.end, 20_000);
  const id = await silent.say("missed");
  connected();
  await settled;
  assertEquals(feed.end, id);
  feeds.letGo(feed);
  await wake.close();
});

Deno.test("Before each look it is remembered how far a watched room is, whatever the database says of it then", async () => {
  await using database = await postgres.create();
  await using _migrated = await startServer(database.url);
  await using silent = await silentStore(database);
  const id = await silent.say("one");
  const asked = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<void>();
  const store: Pick<Store, "heads" | "notify"> = {
    heads: async (...query) => {
      asked.resolve();
      await answer.promise;
      return await silent.store.heads(...query);
    },
    notify: (...news) => silent.store.notify(...news),
  };
  const feeds: Feeds = new Feeds(
    silent.store,
    { messages: 100, bytes: 100_000, all: 1_000_000 },
    (signal) => void wake.watch(signal),
    () => {},
  );
  const floors = new Floors(); // nothing else raises them: so it is where ten thousand other rooms have moved since
  const deaf = { sql: { listen: () => new Promise(() => {}) }, destroy: () => Promise.resolve() } as unknown as Pool;
  const wake = new Wake(store, () => deaf, feeds, floors, { listening: 10, most: 10, deaf: 10 });
  const feed = feeds.hold("room");
  await asked.promise; // it may not be read yet
  await feed.refresh();
  assertEquals(floors.of("room"), 0);
  answer.resolve();
  await until(() => floors.of("room") === timeOf(id), "it looks again");
  feeds.letGo(feed);
  await wake.close();
});

Deno.test("What is told of a room does not go back, where something older is told of again before that is on its way", async () => {
  const told: string[] = [];
  const flight = Promise.withResolvers<void>();
  const notify = async (_channel: string, payloads: readonly string[]) => {
    told.push(...payloads);
    await flight.promise;
  };
  const unused = undefined as unknown as OpenPool & Feeds & Floors;
  const wake = new Wake({ notify } as unknown as Store, unused, unused, unused, { listening: 1, most: 1, deaf: 1 });
  for (const number of [1, 3, 2]) wake.notify("room", { ms: number, seq: number });
  wake.notify("other", { ms: 1, seq: 1 });
  flight.resolve();
  await wake.close();
  assertEquals(told, ["1 room 1", "3 room 3", "1 other 1"]);
});

Deno.test("While what is new in one room is read, nobody is told of it that the database fails; if it hangs, those in that room", async () => {
  using time = new FakeTime();
  const head = { place: makePlace(1, 1), lost: false, trimmed: NIL };
  const reading = Promise.withResolvers<void>();
  const looks: number[] = [];
  const nothing = { entries: [], full: false, head: { ...head, place: placeOf(NIL) } };
  const store = {
    newest: () => Promise.resolve(nothing),
    news: (room: string) =>
      room === "big" ? reading.promise.then(() => ({ ...nothing, head })) : Promise.resolve(nothing),
    heads: () => {
      looks.push(Date.now());
      return Promise.resolve(new Map([["big", head], ["other", nothing.head]]));
    },
  } as unknown as Store;
  const limits = { messages: 100, bytes: 100_000, all: 1_000_000 };
  const feeds: Feeds = new Feeds(store, limits, (signal) => void wake.watch(signal), () => {});
  const deaf = { sql: { listen: () => new Promise(() => {}) }, destroy: () => Promise.resolve() } as unknown as Pool;
  const wake = new Wake(store, () => deaf, feeds, new Floors(), { listening: 100, most: 100, deaf: 100 });
  const [big, other] = ["big", "other"].map((room) => feeds.hold(room));
  await big!.refresh();
  await other!.refresh();
  await time.tickAsync(100);
  await time.runMicrotasks();
  assert(big!.refreshing, "it looks");
  const blind = () => [wake.isBlind(big!), wake.isBlind(other!)];
  await time.tickAsync(2_900);
  assertEquals(blind(), [false, false]);
  await time.tickAsync(200);
  assertEquals(blind(), [true, false]);
  assertEquals(looks.length, 1);
  for (let i = 0; i < 10; i++) await time.tickAsync(1_000);
  assert(looks.length > 2, "the other room is looked after meanwhile");
  assertEquals(blind(), [true, false]);
  reading.resolve();
  for (let i = 0; i < 10; i++) await time.tickAsync(1_000);
  assertEquals(blind(), [false, false]);
  for (const feed of [big!, other!]) feeds.letGo(feed);
  const closed = wake.close();
  await time.tickAsync(60_000);
  await closed;
});

Deno.test("A room whose messages the database has lost starts anew, rather than freeze", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { FALLBACK_MS: "100", FALLBACK_WITHOUT_LISTEN_MS: "100" });
  await posted(server, "room", "one");
  const lost = await posted(server, "room", "two");
  const poll = messages(server, "room", `after=${lost.id}&wait=20`);
  await until(() => server.chat.state.waiters === 1, "the poll waits");
  // As after a failover to a standby that was behind.
  await database.sql.begin(async (sql) => {
    await sql`delete from messages where id = ${lost.id}`;
    await sql`update heads set seq = 1`;
  });
  assertEquals(await poll, []);
  const message = await posted(server, "room", "three");
  assertEquals((await messages(server, "room", "wait=0")).map(({ body }) => body), ["one", "three"]);
  assertEquals(await messages(server, "room", `after=${lost.id}&wait=5`), [message]);
});

Deno.test("A room starts anew where the database has less than was seen of it, though that is all that is known", async () => {
  const head = { place: makePlace(1, 1), lost: false, trimmed: NIL };
  const store = {
    newest: () => Promise.resolve({ entries: [], full: false, head }),
    news: () => Promise.reject(new DatabaseError("unknown", "08006", undefined, {})), // it went with what it had
    heads: () => Promise.resolve(new Map([["room", head]])),
  } as unknown as Store;
  const restarted = Promise.withResolvers<string>();
  const limits = { messages: 100, bytes: 100_000, all: 1_000_000 };
  const feeds: Feeds = new Feeds(store, limits, (signal) => void wake.watch(signal), ({ furthest }) => {
    restarted.resolve(furthest);
  });
  const deaf = { sql: { listen: () => new Promise(() => {}) }, destroy: () => Promise.resolve() } as unknown as Pool;
  const wake = new Wake(store, () => deaf, feeds, new Floors(), { listening: 10, most: 10, deaf: 10 });
  const feed = feeds.hold("room");
  await feed.refresh();
  const own = makeEntry("room", makeId(3, 3, "0123456789"), null, "behind another server's");
  feed.append({ entries: [own], prior: { ms: 2, seq: 2 } });
  assertEquals(await restarted.promise, placeOf(own.id));
  feeds.letGo(feed);
  await wake.close();
});

/** A chat, and how many statements it has sent over each kind of connection. */
async function countingChat(database: TestDatabase, env: Record<string, string>) {
  const { config, openPool } = await opened(database.url, env);
  const sent: Record<string, number> = { reads: 0, looks: 0, signals: 0, writes: 0, listen: 0 };
  const counting: OpenPool = (name, options) =>
    openPool(name, {
      ...options,
      onStatement: () => {
        sent[name]!++;
        options?.onStatement?.();
      },
    });
  return { chat: new Chat({ openPool: counting }, config), sent };
}

Deno.test("A head that moves without a message is looked at once; then nothing is refreshed, and LISTEN is believed", async () => {
  await using database = await postgres.create();
  await using _migrated = await startServer(database.url);
  const { chat, sent } = await countingChat(database, { FALLBACK_MS: "400", FALLBACK_WITHOUT_LISTEN_MS: "400" });
  await using _closed = { [Symbol.asyncDispose]: () => chat.close() }; // also where it fails: it would go on in the tests behind it
  const { entry } = await say(chat, "one");
  const leaving = new AbortController();
  const asked = { after: entry.id, limit: 10, wait: 200_000, changes: false, client: leaving, allowance: UNLIMITED };
  const poll = chat.poll("room", asked);
  await until(() => chat.state.listening, "the probe is back");

  // As a later version does that changes a message, as a lift does, and as the version before, which tells the number alone.
  const moves = [
    () => database.sql`update heads set ms = ms + 1, prior = ms`,
    () => database.sql`update heads set ms = ms + 5000, prior = ms`,
    () => database.sql`update messages set body = 'two', changed = id`,
    () => database.sql`select pg_notify('linger', '1 room')`,
  ];
  for (const move of moves) {
    // On a busy machine a probe can be late, and LISTEN is doubted for that: not each time.
    for (let round = 1;; round++) {
      await until(() => chat.state.listening, "a probe is back");
      await move();
      const looks = sent.signals!;
      await until(() => sent.signals! > looks + 2, "it has looked");
      const refreshes = sent.looks;
      await until(() => sent.signals! > looks + 7, "it has looked five times more");
      assertEquals(sent.looks, refreshes, "it goes on refreshing");
      if (chat.state.listening) break;
      assert(round < 5, "LISTEN is doubted");
    }
  }
  assertEquals(chat.state.waiters, 1);
  const next = await say(chat, "three");
  assertEquals((await poll).next, next.entry.id);
});

/** A server's chat whose statements are counted, with clients that post and follow. */
async function counted(database: TestDatabase) {
  const { chat, sent } = await countingChat(database, NEVER);
  const subscribers: Subscriber[] = [];
  return {
    sent,
    post: async (room: string) => {
      const { entry } = await chat.post(room, { bytes: 1, read: () => ({ body: "x", author: null, reply_to: null }) });
      return entry.id;
    },
    /** Holds the room's feed by an event stream; each call waits for what comes, and gives its ids. */
    follow: async (room: string) => {
      const subscriber = await chat.subscribe(room, { after: NOW, parameter: "after" });
      subscribers.push(subscriber);
      await until(() => chat.state.listening, "the probe is back");
      return async () => {
        for (;;) {
          const entries = (await take(subscriber))!;
          if (entries.length > 0) return entries.map(({ id }) => id);
        }
      };
    },
    [Symbol.asyncDispose]: async () => {
      for (const subscriber of subscribers) subscriber.end();
      await chat.close();
    },
  };
}

Deno.test("While the head of a room is ahead of the clock each own post there is looked up, once or twice", async () => {
  await using database = await postgres.create();
  await using _migrated = await startServer(database.url);
  await using server = await counted(database);
  await server.post("room");
  const news = await server.follow("room");
  const looks = async () => {
    const before = server.sent.looks!;
    for (let i = 0; i < 5; i++) assertEquals([await server.post("room")], await news());
    return server.sent.looks! - before;
  };
  assertEquals(await looks(), 0);
  await database.sql`update heads set ms = ms + 30000`;
  assertEquals([await server.post("room")], await news()); // from here on it knows
  const whileAhead = await looks();
  assert(whileAhead >= 5 && whileAhead <= 11, `${whileAhead} refreshes`); // perhaps again when their own notifications come
});

Deno.test("What is stored together with posts of a room whose head is ahead of the clock is not looked up", async () => {
  await using database = await postgres.create();
  await using _migrated = await startServer(database.url);
  await using server = await counted(database);
  for (const room of ["ahead", "beside"]) await server.post(room);
  const news = await server.follow("beside");
  await database.sql`update heads set ms = ms + 30000 where room = 'ahead'`;
  await server.post("ahead"); // from here on it knows
  const before = server.sent.looks!;
  for (let i = 0; i < 5; i++) {
    // The first goes alone, and those that come meanwhile go together.
    const [, , id] = await Promise.all(["elsewhere", "ahead", "beside"].map((room) => server.post(room)));
    assertEquals(await news(), [id]);
  }
  assertEquals(server.sent.looks! - before, 0);
});

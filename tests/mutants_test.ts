// Mistakes that are easy to make and hard to see: each of these tests is what sees one of the deliberate breakages of
// `deno task mutate`. Most would be mended a little later by something else, such as a notification or the fallback; so
// here there is neither.
import { assert, assertEquals, assertFalse, assertRejects } from "@std/assert";
import { Chat } from "../src/chat/chat.ts";
import { NIL, NOW, randomDigits, seqOf } from "../src/chat/cursor.ts";
import { Feed } from "../src/chat/feed.ts";
import { Feeds } from "../src/chat/feeds.ts";
import { Floors } from "../src/chat/floors.ts";
import type { Entry } from "../src/chat/page.ts";
import type { Poll } from "../src/chat/polls.ts";
import { proofOf } from "../src/chat/proof.ts";
import { Store } from "../src/chat/store.ts";
import { Wake } from "../src/chat/wake.ts";
import { Client } from "../src/database/client.ts";
import type { OpenPool, Pool } from "../src/database/pool.ts";
import { UNLIMITED } from "../src/allowance.ts";
import { Problem } from "../src/problem.ts";
import { sleep } from "../src/sleep.ts";
import { get, health, type Message, messages, PATIENCE_MS, post, posted, soon, until } from "./support/client.ts";
import { draft } from "./support/draft.ts";
import { hold, opened, openedMigrated, type TestDatabase, testPostgres } from "./support/postgres.ts";
import { say, spawnServer, startServer } from "./support/server.ts";
import { take } from "./support/taking.ts";

const postgres = await testPostgres();

Deno.test("A post whose commit fails is not acknowledged, though its statement had gone through", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  await database.sql.unsafe(`
    create function refuse() returns trigger language plpgsql as $$ begin raise exception 'too late'; end $$;
    create constraint trigger refuse after insert on messages deferrable initially deferred
      for each row execute function refuse()`);
  const response = await post(server, "room", { body: "never" });
  assertEquals([response.status, (await response.json()).type], [503, "urn:linger:problem:not-stored"]);
  assertEquals((await database.sql`select from messages`).length, 0);
});

Deno.test("A poll parks such that a message that comes at any moment after its look is given to it at once", async () => {
  await using database = await postgres.create();
  await using alone = await openAlone(database);
  for (const turns of [0, 1, 2, 3, 4, 5, 6, 7, 8, Infinity]) {
    const room = `room-${turns}`;
    const { refresh } = Feed.prototype;
    let message: Entry | undefined;
    Feed.prototype.refresh = function () {
      Feed.prototype.refresh = refresh;
      const looked = refresh.call(this).then(async () => void (message = await alone.commit(room)));
      looked.then(async () => {
        if (turns === Infinity) await new Promise((resolve) => setTimeout(resolve, 0));
        else for (let turn = 0; turn < turns; turn++) await undefined;
        this.append({ entries: [message!], prior: { ms: 0, seq: 0 } });
      });
      return looked;
    };
    try {
      assertEquals(await alone.poll(room, { after: NIL }), [message!.id], `after ${turns} turns`);
    } finally {
      Feed.prototype.refresh = refresh;
    }
  }
});

Deno.test("A post wakes who waits on its own server, also where LISTEN does not work", async () => {
  await using database = await postgres.create();
  await using alone = await openAlone(database);
  const poll = alone.poll("room", { after: NOW });
  await until(() => alone.chat.state.waiters === 1, "the poll waits");
  const { entry } = await say(alone.chat, "here");
  assertEquals(await poll, [entry.id]);
});

Deno.test("A cursor that is ahead of what its server knows asks the database, and then waits", async () => {
  await using database = await postgres.create();
  await using alone = await openAlone(database);
  const first = alone.poll("room", { after: NOW });
  await until(() => alone.chat.state.waiters === 1, "the poll waits");
  const seen = await alone.commit("room"); // on another server, by a client that now comes here
  const missed = await alone.commit("room");
  const answers = await Promise.all([first, alone.poll("room", { after: seen.id })]);
  assertEquals(answers, [[seen.id, missed.id], [missed.id]]);
});

Deno.test("An answer to wait=0 has what another server stored before it, though nobody has told this one", async () => {
  await using database = await postgres.create();
  await using alone = await openAlone(database);
  const waiting = alone.poll("room", { after: NOW });
  await until(() => alone.chat.state.waiters === 1, "the poll waits");
  const stored = await alone.commit("room");
  const answers = await Promise.all([waiting, alone.poll("room", { after: NIL, wait: 0 })]);
  assertEquals(answers, [[stored.id], [stored.id]]);
});

Deno.test("LISTEN that has missed a message is not believed until a probe is back", async () => {
  await using database = await postgres.create();
  await using alone = await openAlone(database);
  let hear = (_payload: string) => {};
  let connected = () => {};
  const sql = {
    listen: (_channel: string, heard: typeof hear, onListen: () => void) => {
      [hear, connected] = [heard, onListen];
      return Promise.resolve({});
    },
  } as unknown as Pool["sql"];
  const probes: string[] = [];
  const feeds = new Feeds(alone.store, { messages: 100, bytes: 100_000, all: 1_000_000 }, () => {}, () => {});
  const wake = new Wake(
    {
      heads: async (known, notification) => {
        const heads = await alone.store.heads(known);
        if (notification) probes.push(notification.payload);
        return heads;
      },
      notify: () => Promise.resolve(),
    },
    () => ({ sql, destroy: () => Promise.resolve() }),
    feeds,
    new Floors(),
    { listening: 100, most: 100, deaf: 5_000 }, // in which the message is committed, however slow the machine is
  );
  const feed = feeds.hold("room");
  await feed.refresh();
  const leaving = new AbortController();
  const watching = wake.watch(leaving.signal);
  connected();
  await until(() => probes.length === 1, "a probe is sent");
  const { id } = await alone.commit("room");
  hear(probes[0]!);
  assert(wake.hears);

  await until(() => feed.end === id, "another look finds what was missed");
  assertFalse(wake.hears);
  hear(probes[1]!);
  assert(wake.hears);
  leaving.abort();
  await watching;
  feeds.letGo(feed);
  await wake.close();
});

Deno.test("A post that is under way when its server is told to stop is finished and acknowledged", async () => {
  await using database = await postgres.create();
  await using server = await spawnServer(database.url, { DRAIN_MS: "60000" });
  await database.sql.unsafe(`
    create function dawdle() returns trigger language plpgsql as $$ begin perform pg_sleep(1.5); return new; end $$;
    create trigger dawdle before insert on messages for each row execute function dawdle()`);
  const posting = posted(server, "room", "slow");
  await until(async () => {
    return (await database
      .sql`select from pg_stat_activity where wait_event = 'PgSleep' and datname = ${database.name}`)
      .length > 0;
  }, "the statement is under way");
  server.kill("SIGTERM");
  const { id } = await posting;
  assertEquals((await database.sql<{ id: string }[]>`select id from messages`).map((row) => row.id), [id]);
  await server.status;
});

Deno.test("Who waited on a server that shuts down is answered at once, and comes back in vain", async () => {
  await using database = await postgres.create();
  await using server = await spawnServer(database.url, { DRAIN_MS: "60000" });
  let answered = 0;
  const polls = Array.from({ length: 20 }, async () => {
    assertEquals(await messages(server, "room", "after=now&wait=50"), []);
    answered++;
    await assertRejects(() => fetch(`${server.url}/rooms/room/messages?after=now&wait=50`), TypeError);
  });
  await until(async () => (await health(server)).waiters === polls.length, "all wait");
  server.kill("SIGTERM");
  await Promise.all([until(() => answered === polls.length, "all are answered"), ...polls]);
  await server.status;
});

Deno.test("A poll that comes while its server drains is refused at once, not parked", async () => {
  await using database = await postgres.create();
  await using alone = await openAlone(database);
  alone.chat.drain();
  await assertRejects(() => alone.poll("room", { after: NOW }), Problem, "shutting down");
});

Deno.test("Statements of two servers that meet in the middle of their rooms take them in turn, and don't deadlock", async () => {
  await using database = await postgres.create();
  await using alone = await openAlone(database);
  await Promise.all([1, 2].map(() => alone.append(["a", "m", "z"]))); // both connections are there
  const holding = await hold(database, (sql) => sql`select from heads where room = 'm' for update`);
  const waiting = async () => {
    return (await database
      .sql`select from pg_stat_activity where datname = ${database.name} and wait_event_type = 'Lock'`)
      .length;
  };
  await waiting(); // whose connection is there, too: who waits for longer than a second is refused
  const both = [alone.append(["a", "m", "z"]), alone.append(["z", "m", "a"])];
  await until(
    async () => await waiting() === 2,
    "the one has its first room, and waits for the second; the other waits for the first",
  );
  await holding.end();
  const stored = await Promise.all(both);
  assertEquals(stored.map((entries) => entries.map(({ id }) => seqOf(id))).sort(), [[3, 3, 3], [4, 4, 4]]);
});

Deno.test("A process that was frozen takes the answer in its socket also when the statement had long been sent", async () => {
  await using database = await postgres.create();
  const { openPool } = await opened(database.url);
  const client = new Client("test", 1, 3_600, openPool);
  await client.run((sql) => sql`select 1`);
  const began = performance.now();
  const answer = client.run((sql) => sql`select 'in time' as answer from pg_sleep(3.3)`);
  await sleep(3_200);
  while (performance.now() < began + 6_000); // the answer comes, then the deadline passes
  assertEquals([...await answer], [{ answer: "in time" }]);
  await client.close();
});

Deno.test("Who waits in a room whose messages the database has lost is answered soon, not kept until the end", async () => {
  await using database = await postgres.create();
  await using alone = await openAlone(database, "100");
  const { entry } = await say(alone.chat, "lost");
  const poll = alone.poll("room", { after: entry.id });
  await until(() => alone.chat.state.waiters === 1, "the poll waits");
  await database.sql`truncate heads, messages`; // as after a failover to a server that was behind
  assertEquals(await poll, []);
});

Deno.test("The read that finds that messages are lost is answered with what there is", async () => {
  await using database = await postgres.create();
  await using alone = await openAlone(database);
  const { entry } = await say(alone.chat, "lost");
  const holding = alone.poll("room", { after: entry.id });
  await until(() => alone.chat.state.waiters === 1, "the poll waits");
  await database.sql`truncate heads, messages`;
  await database.sql`insert into heads (room, seq, ms) values ('room', 0, ${Date.now() + 1_000})`;
  const next = await alone.commit("room"); // by another server, which nobody was told of
  assertEquals(await alone.poll("room", { after: entry.id, wait: 0 }), [next.id]);
  await holding;
});

Deno.test("A cursor that a server has given out is good there, though the database has lost it, and its clock is minutes behind", async () => {
  await using database = await postgres.create();
  await using alone = await openAlone(database);
  await database.sql`insert into heads (room, seq, ms) values ('room', 0, ${Date.now() + 180_000})`; // the old clock's
  const lost = await alone.commit("room");
  await alone.chat.read("room", NOW, 10);
  await database.sql`truncate heads, messages`;
  assertEquals(await alone.poll("room", { after: lost.id, wait: 0 }), []);
});

Deno.test("A stream whose cursor is ahead of what its server knows asks the database first", async () => {
  await using database = await postgres.create();
  await using alone = await openAlone(database);
  const waiting = alone.poll("room", { after: NOW });
  await until(() => alone.chat.state.waiters === 1, "the poll waits");
  const seen = await alone.commit("room"); // on another server, by a subscriber that now comes here
  const missed = await alone.commit("room");
  const subscriber = await alone.chat.subscribe("room", { after: seen.id, parameter: "after" });
  assertEquals(subscriber.cursor, seen.id);
  assertEquals((await take(subscriber))?.map(({ id }) => id), [missed.id]);
  subscriber.end();
  assertEquals(await waiting, [seen.id, missed.id]);
});

Deno.test("What a retry acknowledges is told to all who wait, also where nobody could be told when it was stored", async () => {
  await using database = await postgres.create();
  await using alone = await openAlone(database);
  await using other = await startServer(database.url, { FALLBACK_MS: "60000" });
  const { chat, store } = alone;
  const proof = proofOf("a secret of 22 characters");
  const lost = draft("room", "One", { key: "k", proof });
  const wait = (after: string) => {
    const here = alone.poll("room", { after, changes: true });
    return [here, get(other, `/rooms/room/messages?after=${after}&wait=55&changes=true`)] as const;
  };
  const waiting = () => until(() => [chat, other.chat].every(({ state }) => state.waiters === 1), "they wait");
  let [here, there] = wait(NIL);
  await waiting();
  await until(() => other.chat.state.listening, "it listens");
  await store.append([lost]); // and its server has no answer
  const read = () => ({ body: "One", author: null, reply_to: null });
  const { entry, replayed } = await chat.post("room", { key: "k", bytes: 3, read });
  assertEquals(replayed, true);
  await soon(Promise.all([here, there]));
  assertEquals(await here, [entry.id]);
  assertEquals((await there).json.map(({ id }) => id), [entry.id]);

  [here, there] = wait(entry.id);
  await waiting();
  const deletion = { room: "room", id: entry.id, body: "", sub: null, moderates: false, known: null };
  await store.change({ ...deletion, proof, random: randomDigits() });
  const { changed } = await chat.change({ ...deletion, messageKey: "a secret of 22 characters" });
  await soon(Promise.all([here, there]));
  assertEquals(await here, [entry.id]);
  assertEquals((await there).json, [{ id: entry.id, room: "room", changed, deleted: true } as unknown as Message]);
});

Deno.test("Whoever comes straight back with the news comes after all who still wait for it", async () => {
  await using database = await postgres.create();
  await using alone = await openAlone(database);
  let served = 0;
  let back: Promise<number> | undefined;
  const polls = Array.from({ length: 1_000 }, async () => {
    await alone.poll("room", { after: NOW });
    served++;
    back ??= alone.poll("room", { after: NIL }).then(() => served); // there is something for him
  });
  await until(() => alone.chat.state.waiters === 1_000, "all wait");
  await say(alone.chat, "news");
  await Promise.all(polls);
  assertEquals(await back, 1_000);
});

Deno.test("Who is kept outside before he is read is kept outside once, and answered though the server drains meanwhile", async () => {
  for (const drains of [false, true]) {
    await using database = await postgres.create();
    await using alone = await openAlone(database);
    const { chat } = alone;
    let outside: Promise<boolean>[] | undefined;
    const polls = Array.from({ length: 1_000 }, async () => {
      await alone.poll("room", { after: NOW });
      if (outside) return;
      outside = Array.from({ length: 500 }, () => {
        const client = new AbortController();
        const poll = { after: NIL, limit: 100, wait: 50_000, changes: false, client, allowance: UNLIMITED };
        return chat.inTurn("room", poll, async (came) => {
          let answered = false;
          const answer = chat.poll("room", { ...poll, came }).then(() => answered = true);
          for (let i = 0; i < 100 && !answered; i++) await null; // what the feed knows is given in this turn
          const atOnce = answered;
          await answer;
          return atOnce;
        })!;
      });
      if (drains) chat.drain();
    });
    await until(() => chat.state.waiters === 1_000, "all wait");
    await say(chat, "news");
    await Promise.all(polls);
    assertEquals(new Set(await Promise.all(outside!)), new Set([true]), `drains: ${drains}`);
  }
});

Deno.test("What one answers throws nothing into the way of those behind him", async () => {
  await using database = await postgres.create();
  await using alone = await openAlone(database);
  const { chat } = alone;
  let outside: Promise<PromiseSettledResult<string>[]> | undefined;
  const polls = Array.from({ length: 1_000 }, async () => {
    await alone.poll("room", { after: NOW });
    const turn = (begin: () => string) => chat.inTurn("room", { after: NIL, changes: false }, begin)!;
    outside ??= Promise.allSettled([
      turn(() => {
        throw new Error("thrown");
      }),
      turn(() => "answered"),
    ]);
  });
  await until(() => chat.state.waiters === 1_000, "all wait");
  await say(chat, "news");
  await Promise.all(polls);
  assertEquals((await outside!).map(({ status }) => status), ["rejected", "fulfilled"]);
});

/** A chat that hears nothing and looks by itself at most once a minute, and a store of somebody else who tells it nothing. */
async function openAlone(database: TestDatabase, fallbackMs = "60000") {
  const env = { FALLBACK_MS: fallbackMs, FALLBACK_WITHOUT_LISTEN_MS: fallbackMs };
  const { config, openPool } = await openedMigrated(database.url, env);
  const deaf = { sql: { listen: () => new Promise(() => {}) }, destroy: () => Promise.resolve() } as unknown as Pool;
  const chat = new Chat({
    openPool: ((name, options) => name === "listen" ? deaf : openPool(name, options)) as OpenPool,
  }, config);
  const client = new Client("else", 2, 5_000, openPool);
  const store = new Store(client, client, client, new Floors());
  const append = async (rooms: string[]) => (await store.append(rooms.map((room) => draft(room, "x")))).entries;
  return {
    chat,
    store,
    append,
    /** Commits a message as another server does whose notification is lost. */
    commit: async (room: string): Promise<Entry> => (await append([room]))[0]!,
    /** The ids that a poll is given; fails when it is kept waiting. */
    poll: async (room: string, poll: Partial<Poll>): Promise<string[]> => {
      const leaving = new AbortController();
      const timer = setTimeout(() => leaving.abort(), PATIENCE_MS);
      const asked = { after: NIL, limit: 100, wait: 50_000, changes: false, client: leaving, allowance: UNLIMITED };
      const { page } = await chat.poll(room, { ...asked, ...poll })
        .finally(() => clearTimeout(timer));
      assertFalse(leaving.signal.aborted, "the poll was kept waiting beside news");
      return JSON.parse(new TextDecoder().decode(page.body)).map(({ id }: { id: string }) => id);
    },
    [Symbol.asyncDispose]: async () => {
      await chat.close();
      await client.close();
    },
  };
}

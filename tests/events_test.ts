// An event stream is a poll that goes on: the same messages in the same order, none lost and none twice, wherever it is
// cut and whoever takes it up again; and what holds for those who wait holds for those who subscribe.
import { assert, assertEquals, assertGreater, assertLess, assertMatch, assertNotEquals } from "@std/assert";
import { EventSource } from "eventsource";
import { once } from "node:events";
import { connect } from "node:net";
import { uuidToULID } from "ulid";
import { createApp } from "../src/app.ts";
import { makeId, NIL } from "../src/chat/cursor.ts";
import {
  type Answer,
  health,
  type Message,
  messages,
  PATIENCE_MS,
  posted,
  type ProblemDetails,
  read,
  until,
} from "./support/client.ts";
import { subscribe, type Subscriber } from "./support/events.ts";
import { freePort, hold, type TestDatabase, testPostgres } from "./support/postgres.ts";
import { LIMITS, LOCAL, spawnServer, startServer } from "./support/server.ts";
import { NEVER } from "./support/silent_store.ts";
import { startPostgres } from "./support/start_postgres.ts";

const postgres = await testPostgres();

const ids = (list: readonly Message[]) => list.map(({ id }) => id);

const bodies = (list: readonly Message[]) => list.map(({ body }) => body);

/** Stores `count` messages as another server would, faster than posting them; the last bytes of their ids are zero. */
async function fill(database: TestDatabase, room: string, count: number, bytes = 1): Promise<void> {
  await database.sql`
    with made as (
      select n, (lpad(to_hex(1700000000000 + n), 12, '0') || lpad(to_hex(n), 10, '0') || '0000000000')::uuid as id
      from generate_series(1, ${count}::int) n
    )
    insert into messages (room, id, body) select ${room}, id, n || repeat('x', ${bytes}) from made`;
  await database.sql`insert into heads (room, seq, ms) values (${room}, ${count}, ${1700000000000 + count})`;
}

/** Resolves when `count` messages have come. */
const came = (stream: Subscriber, count: number, ms = PATIENCE_MS) =>
  until(() => stream.messages.length >= count, `${count} messages have come`, ms);

/** Resolves when the server has ended the stream in an orderly way. */
async function ends(stream: Subscriber): Promise<void> {
  let orderly: boolean | undefined;
  stream.ended.then((value) => orderly = value);
  try {
    await until(() => orderly !== undefined, "the stream ends");
  } finally {
    await stream.leave();
  }
  assert(orderly);
}

/** The problem that a request for a stream is answered with. */
async function refusal(
  server: { url: string },
  path: string,
  headers: Record<string, string> = {},
): Promise<Answer<ProblemDetails>> {
  const response = await fetch(server.url + path, { headers });
  if (response.status === 200) {
    await response.body?.cancel();
    throw new Error(`${path} was served`);
  }
  return await read<ProblemDetails>(response);
}

function assertProblem(answer: { status: number; json: ProblemDetails }, status: number, type: string): void {
  assertEquals([answer.status, answer.json.type], [status, `urn:linger:problem:${type}`]);
}

Deno.test("A stream has all messages of the room and goes on with those to come, each with its id", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const first = await posted(server, "tea", "one");
  await using stream = await subscribe(server, "tea");
  const { headers } = stream.response;
  assertEquals(headers.get("content-type"), "text/event-stream");
  assertEquals(headers.get("cache-control"), "no-store");
  assertEquals(headers.get("x-accel-buffering"), "no");
  assertEquals(headers.get("x-content-type-options"), "nosniff");
  await came(stream, 1);
  const second = await posted(server, "tea", "two\nlines\r\nand \u2028 more");
  await posted(server, "coffee", "elsewhere");
  const third = await posted(server, "tea", "three");
  await came(stream, 3);
  assertEquals(stream.messages, [first, second, third]);
  const [begin, ...events] = stream.blocks;
  assertMatch(begin!.retry!, /^[123]\d{3}$/);
  assertEquals(begin!.id, NIL);
  assertEquals(
    events,
    [first, second, third].map((message) => ({ id: message.id, event: "message", data: JSON.stringify(message) })),
  );
});

Deno.test("/events is the stream of the lobby", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const message = await posted(server, "lobby", "Hello");
  const source = new EventSource(`${server.url}/events`);
  const { data } = await new Promise<MessageEvent>((resolve) => source.onmessage = resolve);
  assertEquals(JSON.parse(data), message);
  source.close();
  await until(() => server.chat.state.subscribers === 0, "the subscriber is gone");
});

Deno.test("after= begins after a cursor, as a UUID or a ULID, and Last-Event-ID goes before it", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const [one, two, three] = [
    await posted(server, "tea", "1"),
    await posted(server, "tea", "2"),
    await posted(server, "tea", "3"),
  ];
  const cases = [
    [`after=${one.id}`, {}, [two.id, three.id]],
    [`after=${uuidToULID(two.id)}`, {}, [three.id]],
    [`after=${NIL}`, { "last-event-id": two.id }, [three.id]],
    ["after=now", { "last-event-id": one.id }, [two.id, three.id]],
    ["", { "last-event-id": uuidToULID(two.id).toLowerCase() }, [three.id]],
    [`after=${two.id}`, { "last-event-id": "" }, [three.id]], // no id yet, says the standard
    [`after=${two.id}&limit=0&wait=x&before=${one.id}`, {}, [three.id]], // not for streams
  ] as const;
  for (const [query, headers, expected] of cases) {
    await using stream = await subscribe(server, "tea", query, headers);
    await came(stream, expected.length);
    assertEquals(ids(stream.messages), [...expected], query);
  }
});

Deno.test("A place that can't be read is refused, and so is one in the future, by the name it was given under", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  await posted(server, "tea", "1");
  const future = makeId(Date.now() + 120_000, 1, "0".repeat(10));
  const cases = [
    ["after=", {}, "after"],
    ["after=x", {}, "after"],
    [`after=${NIL}&after=${NIL}`, {}, "after"],
    [`after=${future}`, {}, "after"],
    ["after=x", { "last-event-id": NIL }, "after"],
    ["", { "last-event-id": "x" }, "Last-Event-ID"],
    ["", { "last-event-id": "now" }, "Last-Event-ID"],
    ["after=now", { "last-event-id": future }, "Last-Event-ID"],
  ] as const;
  for (const [query, headers, parameter] of cases) {
    const answer = await refusal(server, `/rooms/tea/events?${query}`, headers);
    assertProblem(answer, 400, "invalid-request");
    assertEquals(answer.json.parameter, parameter);
    assertEquals(answer.headers.get("content-type"), "application/problem+json");
  }
  assertProblem(await refusal(server, "/rooms/a%20b/events"), 400, "invalid-request");
  assertEquals([server.chat.state.subscribers, server.chat.state.feeds], [0, 0]);
});

Deno.test("One that began with now, and was cut off before its first message, comes back to the same place", async () => {
  await using database = await postgres.create();
  const one = await startServer(database.url);
  await using two = await startServer(database.url);
  const old = await posted(one, "tea", "old");
  const stream = await subscribe(one, "tea", "after=now");
  await until(() => stream.lastId !== undefined, "it knows where it is");
  assertEquals([stream.lastId, stream.messages], [old.id, []]);
  await one[Symbol.asyncDispose]();
  await ends(stream);
  const missed = await posted(two, "tea", "missed");
  await using again = await subscribe(two, "tea", "after=now", { "last-event-id": stream.lastId! });
  await came(again, 1);
  assertEquals(again.messages, [missed]);
});

Deno.test("An EventSource that began with now misses nothing when its server is killed and comes back", async () => {
  await using database = await postgres.create();
  const port = freePort();
  await using other = await startServer(database.url);
  const first = await spawnServer(database.url, { PORT: `${port}` });
  await posted(other, "tea", "old");
  const seen: string[] = [];
  let received = 0;
  let isReady = true;
  const source = new EventSource(`${first.url}/rooms/tea/events?after=now`, {
    fetch: async (url, init) => {
      if (!isReady) throw new TypeError("refused"); // a server that starts answers 503, and then an EventSource gives up
      const response = await fetch(url, init as RequestInit);
      const counting = new TransformStream<Uint8Array, Uint8Array>({
        transform: (chunk, controller) => {
          received += chunk.length;
          controller.enqueue(chunk);
        },
      });
      return new Response(response.body!.pipeThrough(counting), response);
    },
  });
  source.onmessage = ({ data, lastEventId }) => {
    assertEquals(JSON.parse(data).id, lastEventId);
    seen.push(JSON.parse(data).body);
  };
  await until(() => received > 0, "it knows its place");
  isReady = false;
  first.kill("SIGKILL");
  await first.status;
  await posted(other, "tea", "while it was away");
  await using second = await spawnServer(database.url, { PORT: `${port}` });
  isReady = true;
  await until(() => seen.length === 1, "it has come back");
  await posted(second, "tea", "later");
  await until(() => seen.length === 2, "it goes on");
  assertEquals(seen, ["while it was away", "later"]);
  source.close();
  await first[Symbol.asyncDispose]();
});

Deno.test("A room with 5,000 messages is caught up on, and then followed, without a gap", async () => {
  await using database = await postgres.create();
  await using one = await startServer(database.url, { MAX_TAIL_MESSAGES: "200" });
  await using two = await startServer(database.url);
  await fill(database, "tea", 5_000, 100);
  const stored: string[] = [];
  let writing = true;
  const writers = [one, two].map(async (server, w) => {
    for (let n = 0; writing; n++) stored.push((await posted(server, "tea", `${w}-${n}`)).id);
  });
  await using stream = await subscribe(one, "tea");
  await using other = await subscribe(two, "tea", `after=${makeId(1700000002500, 2500, "0".repeat(10))}`);
  await came(stream, 5_200);
  await came(other, 2_700);
  writing = false;
  await Promise.all(writers);
  const end = stored.toSorted().at(-1)!;
  for (const { lastId } of [stream, other]) assertNotEquals(lastId, undefined);
  await until(() => stream.lastId === end && other.lastId === end, "they have come to the end");
  const table = await database.sql<{ id: string }[]>`select id from messages where room = 'tea' order by id`;
  assertEquals(ids(stream.messages), table.map(({ id }) => id));
  assertEquals(ids(other.messages), table.slice(2500).map(({ id }) => id));
});

Deno.test("News reaches all subscribers of all servers without a query for each", async () => {
  await using database = await postgres.create();
  await using one = await startServer(database.url, NEVER);
  await using two = await startServer(database.url, NEVER);
  await posted(one, "tea", "first");
  const streams = await Promise.all(
    Array.from({ length: 200 }, (_, i) => subscribe(i % 2 ? one : two, "tea", "after=now")),
  );
  await until(() => one.chat.state.subscribers + two.chat.state.subscribers === 200, "all are subscribed");
  await until(() => one.chat.state.listening && two.chat.state.listening, "they hear of each other");
  const sent = () => one.chat.state.statements + two.chat.state.statements;
  const before = sent();
  const posts = [];
  for (let n = 0; n < 20; n++) posts.push(await posted(n % 2 ? one : two, "tea", `${n}`));
  await Promise.all(streams.map((stream) => came(stream, 20)));
  for (const stream of streams) assertEquals(ids(stream.messages), ids(posts));
  assertLess(sent() - before, 100);
  await Promise.all(streams.map((stream) => stream.leave()));
  await until(() => one.chat.state.subscribers + two.chat.state.subscribers === 0, "all are gone");
});

Deno.test("Streams that begin at the same message are each given all that there is then", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  // Somebody waits beyond all of them, so that the room's feed stays the same.
  const ahead = makeId(Date.now() + 40_000, 1, "0".repeat(10));
  const leaving = new AbortController();
  const poll = fetch(`${server.url}/rooms/tea/messages?after=${ahead}&wait=50`, { signal: leaving.signal })
    .catch(() => {});
  await until(() => server.chat.state.waiters === 1, "the poll waits");
  for (let n = 1; n <= 3; n++) {
    const message = await posted(server, "tea", `${n}`);
    await using stream = await subscribe(server, "tea");
    await until(() => stream.lastId === message.id, "it has the newest");
    assertEquals(stream.messages.length, n);
    await stream.leave();
    await until(() => server.chat.state.subscribers === 0, "it is gone");
  }
  leaving.abort();
  await poll;
});

Deno.test("A quiet stream shows signs of life, which are no events", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { HEARTBEAT_MS: "50" });
  await using stream = await subscribe(server, "tea", "after=now");
  await until(() => stream.blocks.length > 3, "it is alive");
  assertEquals(stream.blocks.slice(1, 4), Array(3).fill({ comment: "alive" }));
  await posted(server, "tea", "news");
  await came(stream, 1);
});

Deno.test("A subscriber that leaves is forgotten at once, by whatever way it goes", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  await fill(database, "big", 1_000, 9_000);
  for (const room of ["quiet", "big"]) {
    for (const way of ["destroy", "resetAndDestroy"] as const) {
      const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
      const closed = new Promise((resolve) => socket.once("close", resolve));
      socket.write(`GET /rooms/${room}/events HTTP/1.1\r\nHost: localhost\r\n\r\n`);
      await new Promise((resolve) => socket.once("readable", resolve)); // and reads no further
      await until(() => server.chat.state.subscribers === 1, "it is subscribed");
      socket[way]();
      await until(() => server.chat.state.subscribers === 0, `it is forgotten (${room}, ${way})`);
      assertEquals([server.chat.state.feeds, server.chat.state.waiters], [0, 0]);
      await closed;
    }
  }
});

Deno.test("A stream that nobody goes on reading holds nothing, wherever it was left", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  await fill(database, "big", 100, 9_000);
  const app = createApp({
    chat: () => server.chat,
    uploadTimeoutMs: 1_000,
    heartbeatMs: 60_000,
    origins: LOCAL,
    limits: LIMITS,
  });
  for (let pieces = 0; pieces < 6; pieces++) {
    const { body } = await app.fetch(new Request("http://localhost/rooms/big/events"));
    assertEquals(server.chat.state.subscribers, 1);
    const reader = body!.getReader();
    for (let n = 0; n < pieces; n++) assert(!(await reader.read()).done);
    await reader.cancel();
    await until(() => server.chat.state.subscribers === 0, `it is forgotten after ${pieces} pieces`);
    assertEquals(server.chat.state.feeds, 0);
  }
});

for (const tail of [1, 1_000]) {
  Deno.test(`What is taken back while a slow client takes what comes before it, is not sent any more (tail of ${tail})`, async () => {
    await using database = await postgres.create();
    await using server = await startServer(database.url, { MAX_TAIL_MESSAGES: `${tail}` });
    await fill(database, "big", 100, 9_000);
    const { fetch } = createApp({
      chat: () => server.chat,
      uploadTimeoutMs: 1_000,
      heartbeatMs: 60_000,
      origins: LOCAL,
      limits: LIMITS,
    });
    const all = await messages(server, "big", "wait=0");
    for (const [place, changes] of [[20, false], [21, true]] as const) {
      const { body } = await fetch(new Request(`http://localhost/rooms/big/events?changes=${changes}`));
      const reader = body!.getReader(); // takes one piece at a time, and none before it is asked for
      let text = "";
      const read = async () => text += new TextDecoder().decode((await reader.read()).value);
      while (!text.includes('"body":"3x')) await read();
      const { id } = all[place - 1]!;
      const wanted = { room: "big", id, body: "", sub: null, messageKey: undefined, moderates: true, known: null };
      await server.chat.change(wanted);
      const end = changes ? `{"id":"${id}","room":"big","changed"` : '"body":"100x';
      while (!text.includes(end)) await read();
      await reader.cancel();
      const gone = changes ? [20, 21] : [20];
      const left = Array.from({ length: 100 }, (_, i) => i + 1).filter((number) => !gone.includes(number));
      assertEquals(Array.from(text.matchAll(/"body":"(\d+)x/g), ([, number]) => Number(number)), left);
    }
    await until(() => server.chat.state.subscribers === 0, "they are forgotten");
  });
}

Deno.test("A subscriber that leaves before it has an answer is forgotten too", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const holding = await hold(database, (sql) => sql`lock table messages`);
  const leaving = new AbortController();
  const asking = fetch(`${server.url}/rooms/tea/events`, { signal: leaving.signal }).catch(() => {});
  await until(() => server.chat.state.subscribers === 1, "it asks");
  leaving.abort();
  await asking;
  await holding.end();
  await until(() => server.chat.state.subscribers === 0, "it is forgotten");
  assertEquals(server.chat.state.feeds, 0);
});

Deno.test("A subscriber that does not read is cut off, costs no memory until then, and can resume", async () => {
  await using database = await postgres.create();
  await using server = await spawnServer(database.url, { HEARTBEAT_MS: "2000" });
  await fill(database, "big", 6_000, 9_000);
  const resident = async () =>
    Number((await Deno.readTextFile(`/proc/${server.pid}/status`)).match(/VmRSS:\s+(\d+)/)![1]) / 1_000;
  await using warm = await subscribe(server, "big", `after=${makeId(1700000005900, 5900, "0".repeat(10))}`);
  await came(warm, 100);
  await warm.leave();
  await until(async () => (await health(server)).subscribers === 0, "nobody is subscribed");

  // Buffered as it comes, each round would take 20 times 54 MB.
  const unread = async () => {
    const sockets = await Promise.all(Array.from({ length: 20 }, async () => {
      const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
      socket.write("GET /rooms/big/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
      // It has its stream then, and whoever has been cut off before the last one has it has been subscribed all the same.
      const [begin] = await once(socket, "data");
      socket.pause();
      socket.unshift(begin);
      return socket;
    }));
    let most = 0;
    await until(
      async () => {
        most = Math.max(most, await resident());
        return (await health(server)).subscribers === 0;
      },
      "they are cut off",
      2 * PATIENCE_MS,
    );
    return { sockets, most };
  };
  const before = await resident();
  const first = await unread();
  const second = await unread();
  assertLess(first.most - before, 600, "MB");
  assertLess(second.most - first.most, 300, "MB");
  assertEquals((await health(server)).feeds, 0);

  // What was on its way still comes, in order and whole events, and then the end.
  let text = "";
  first.sockets[0]!.setEncoding("latin1").on("data", (part) => text += part).resume();
  await until(() => text.endsWith("0\r\n\r\n"), "the stream has ended");
  const numbers = [...text.matchAll(/"body":"(\d+)x/g)].map(([, n]) => Number(n));
  assertEquals(numbers, numbers.map((_, i) => i + 1));
  assertGreater(6_000, numbers.length);
  await using rest = await subscribe(server, "big", "", {
    "last-event-id": [...text.matchAll(/^id: (\S+)$/gm)].at(-1)![1]!,
  });
  await came(rest, 6_000 - numbers.length, 3 * PATIENCE_MS);
  assertEquals(parseInt(rest.messages[0]!.body), numbers.length + 1);
  for (const socket of [...first.sockets, ...second.sockets]) {
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.destroy();
    await closed;
  }
});

Deno.test("A subscriber that lets a megabyte of news lie is cut off, long before its time, and others are not", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { HEARTBEAT_MS: "55000" });
  await using reading = await subscribe(server, "busy", "after=now");
  const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
  socket.pause();
  socket.write("GET /rooms/busy/events?after=now HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await until(() => server.chat.state.subscribers === 2, "they are subscribed");
  let count = 0;
  await until(async () => { // the system takes some megabytes for it
    await Promise.all(Array.from({ length: 50 }, () => posted(server, "busy", "x".repeat(9_000))));
    count += 50;
    return server.chat.state.subscribers === 1;
  }, "it is cut off");
  await came(reading, count);
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.destroy();
  await closed;
});

Deno.test("A subscriber that reads slowly is not cut off, and misses nothing", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { HEARTBEAT_MS: "3000", MAX_TAIL_MESSAGES: "10" });
  await fill(database, "big", 1_000, 9_000);
  const response = await fetch(`${server.url}/rooms/big/events`);
  let text = "";
  let reads = 0; // some hundred: longer in all than the time after which one that takes nothing is cut off
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (++reads % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 500));
    if (reads === 40) await posted(server, "big", "the last");
    if (text.slice(-1_000).includes('"the last"')) break;
  }
  const numbers = [...text.matchAll(/"body":"(\d+)x/g)].map(([, n]) => Number(n));
  assertEquals(numbers, Array.from({ length: 1_000 }, (_, i) => i + 1));
  await until(() => server.chat.state.subscribers === 0, "it is forgotten");
});

Deno.test("SIGTERM ends all streams in an orderly way, and the process is gone", async () => {
  await using database = await postgres.create();
  await using server = await spawnServer(database.url);
  const streams = await Promise.all(
    Array.from({ length: 50 }, (_, i) => subscribe(server, i % 2 ? "tea" : "coffee", "after=now")),
  );
  server.kill("SIGTERM");
  assertEquals(new Set(await Promise.all(streams.map(({ ended }) => ended))), new Set([true]));
  assertEquals((await server.status).code, 0);
});

Deno.test("A server that drains lets nobody subscribe", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const stream = await subscribe(server, "tea", "after=now");
  server.chat.drain();
  await ends(stream);
  assertProblem(await refusal(server, "/rooms/tea/events"), 503, "unavailable");
  assertEquals(server.chat.state.subscribers, 0);
});

Deno.test("A stream whose database goes away ends rather than pretend that there is no news", async () => {
  const home = await Deno.makeTempDir({ prefix: "linger-test-" });
  const port = freePort();
  const start = () => startPostgres(home, { listen_addresses: "127.0.0.1", port: `${port}` });
  let database = await start();
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  {
    await using server = await startServer(url, {
      HEARTBEAT_MS: "300",
      FALLBACK_MS: "100",
      FALLBACK_WITHOUT_LISTEN_MS: "100",
    });
    await posted(server, "tea", "first");
    const stream = await subscribe(server, "tea");
    await came(stream, 1);
    await database.stop();
    await ends(stream);
    const refused = await refusal(server, "/rooms/other/events");
    assertProblem(refused, 503, "unavailable");
    assertEquals(refused.headers.get("retry-after"), "1");
    assertEquals([server.chat.state.subscribers, server.chat.state.feeds], [0, 0]);

    database = await start();
    await until(() => posted(server, "tea", "second").then(() => true, () => false), "the database is back");
    await using again = await subscribe(server, "tea", "", { "last-event-id": stream.lastId! });
    await came(again, 1);
    assertEquals(bodies(again.messages), ["second"]);
  }
  await database.stop();
  await Deno.remove(home, { recursive: true });
});

Deno.test("A stream whose database has lost messages ends, and does not spin", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { FALLBACK_MS: "100", FALLBACK_WITHOUT_LISTEN_MS: "100" });
  for (let n = 0; n < 3; n++) await posted(server, "tea", `${n}`);
  await using stream = await subscribe(server, "tea");
  await came(stream, 3);
  await database.sql`delete from messages where substr(id::text, 20, 4) is not null and body = '2'`;
  await database.sql`update heads set seq = 2`;
  await ends(stream);
  assertEquals(server.chat.state.subscribers, 0);
});

Deno.test("Polls and streams share the places that there are", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { MAX_WAITERS: "2" });
  await using stream = await subscribe(server, "tea");
  const poll = messages(server, "tea", "after=now&wait=50");
  await until(() => server.chat.state.waiters === 1, "the poll waits");
  assertEquals((await health(server)).subscribers, 1);
  for (const path of ["/rooms/tea/events", "/rooms/tea/messages?after=now&wait=1"]) {
    const refused = await refusal(server, path);
    assertProblem(refused, 503, "unavailable");
    assertEquals(refused.headers.get("retry-after"), "1");
  }
  await stream.leave();
  await until(() => server.chat.state.subscribers === 0, "it is gone");
  await using another = await subscribe(server, "tea", "after=now");
  const message = await posted(server, "tea", "news");
  assertEquals(await poll, [message]);
  await came(another, 1);
});

Deno.test("HEAD tells what GET would, and holds nothing; OPTIONS and other methods as elsewhere", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { STATEMENT_TIMEOUT_MS: "2000" });
  await posted(server, "tea", "1");
  const reading = await hold(database, (sql) => sql`lock table messages`); // what it reads, nobody is given
  for (const path of ["/events", "/rooms/tea/events"]) {
    const head = await read(fetch(server.url + path, { method: "HEAD" }));
    assertEquals([head.status, head.headers.get("content-type"), head.text], [200, "text/event-stream", ""]);
    assertEquals([server.chat.state.subscribers, server.chat.state.feeds], [0, 0]);
    assertEquals((await read(fetch(`${server.url}${path}?after=x`, { method: "HEAD" }))).status, 400);
    const options = await read(fetch(server.url + path, { method: "OPTIONS" }));
    assertEquals([options.status, options.headers.get("allow")], [204, "GET, HEAD, OPTIONS"]);
    const answer = await read<ProblemDetails>(fetch(server.url + path, { method: "POST", body: "{}" }));
    assertProblem(answer, 405, "method-not-allowed");
    assertEquals(answer.headers.get("allow"), "GET, HEAD, OPTIONS");
  }
  await reading.end();
});

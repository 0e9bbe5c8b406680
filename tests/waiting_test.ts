// Waiting is free: a waiting client costs memory only, and one that leaves is forgotten at once.
import { assertEquals, assertGreater, assertLessOrEqual } from "@std/assert";
import { once } from "node:events";
import http2 from "node:http2";
import { connect } from "node:net";
import { messages, PATIENCE_MS, posted, until } from "./support/client.ts";
import { hold, testPostgres } from "./support/postgres.ts";
import { startServer, type TestServer } from "./support/server.ts";
import { bearer, SECRET, tokenOf } from "./support/tokens.ts";

const postgres = await testPostgres();

/** Looks often, so that a look too many shows soon. */
const OFTEN = { FALLBACK_MS: "50", FALLBACK_WITHOUT_LISTEN_MS: "50" };

/** Statements that a server sends while `ms` pass. */
async function statementsDuring(server: TestServer, ms: number): Promise<number> {
  const before = server.chat.state.statements;
  await new Promise((resolve) => setTimeout(resolve, ms));
  return server.chat.state.statements - before;
}

/** Somebody still waits, for whom the fallback looks. */
async function untilMore(server: TestServer): Promise<void> {
  const before = server.chat.state.statements;
  await until(() => server.chat.state.statements > before + 1, "it has looked again"); // one may have been on its way
}

/** Parks `count` polls in a room; `leave` aborts them. */
function park(
  server: TestServer,
  room: string,
  count: number,
): { leave(): Promise<void>; answers: Promise<unknown>[] } {
  const leaving = new AbortController();
  const answers = Array.from({ length: count }, async () => {
    const response = await fetch(`${server.url}/rooms/${room}/messages?after=now&wait=50`, { signal: leaving.signal });
    return await response.json();
  });
  const leave = async () => {
    leaving.abort();
    await Promise.allSettled(answers);
  };
  return { leave, answers };
}

/** A feed is kept for five to ten seconds; then nothing is sent any more. */
async function untilQuiet(server: TestServer): Promise<void> {
  await until(
    async () => await statementsDuring(server, 500) === 0,
    "nothing is sent any more",
    10_000 + PATIENCE_MS,
  );
}

Deno.test("A disconnected poller is forgotten, and nothing asks for its room any more", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, OFTEN);
  const poll = park(server, "room", 1);
  await until(() => server.chat.state.waiters === 1, "the poll waits");
  await untilMore(server);

  await poll.leave();
  await until(() => server.chat.state.waiters === 0, "the waiter is gone");
  assertEquals(server.chat.state.feeds, 0);
  await untilQuiet(server);
});

Deno.test("The last of several to leave ends the looking, not the first", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, OFTEN);
  const [first, second] = [park(server, "room", 1), park(server, "other", 2)];
  await until(() => server.chat.state.waiters === 3, "all wait");
  await first.leave();
  await until(() => server.chat.state.waiters === 2, "one is gone");
  assertEquals(server.chat.state.feeds, 1);
  await untilMore(server);
  await second.leave();
  await until(() => server.chat.state.waiters === 0, "all are gone");
  await untilQuiet(server);
});

Deno.test("A client whose connection is reset is forgotten too", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
  socket.write("GET /rooms/room/messages?after=now&wait=50 HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await until(() => server.chat.state.waiters === 1, "the poll waits");
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.resetAndDestroy();
  await until(() => server.chat.state.waiters === 0, "the waiter is gone");
  assertEquals(server.chat.state.feeds, 0);
  await closed;
});

Deno.test("A client that takes its polls back over HTTP/2 while they are looked up holds no places", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const holding = await hold(database, (sql) => sql`lock table messages in access exclusive mode`);
  const session = http2.connect(server.url);
  const polls = Array.from({ length: 20 }, () => session.request({ ":path": "/messages?after=now&wait=50" }));
  for (const poll of polls) poll.on("error", () => {});
  await until(() => server.chat.state.feeds === 1, "they are looked up");
  for (const poll of polls) poll.close(http2.constants.NGHTTP2_CANCEL);
  // The answer to what was asked after that says that the server has read it.
  const [{ ":status": status }] = await once(session.request({ ":path": "/healthz" }).resume(), "response");
  assertEquals(status, 200);
  await holding.end();
  await until(() => server.chat.state.feeds === 0, "nobody holds the room");
  assertEquals(server.chat.state.waiters, 0);
  session.close();
  await once(session, "close");
});

Deno.test("A client that takes its polls back over HTTP/2 while its token is verified holds no places", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { TOKEN_SECRET: SECRET });
  const { verify } = crypto.subtle;
  const verified = Promise.withResolvers<void>();
  let verifying = 0;
  crypto.subtle.verify = async (...args: Parameters<typeof verify>) => {
    verifying++;
    await verified.promise;
    return await verify.apply(crypto.subtle, args);
  };
  const session = http2.connect(server.url);
  try {
    const headers = { ":path": "/messages?after=now&wait=50", ...bearer(await tokenOf({ read: ["*"] })) };
    const polls = Array.from({ length: 20 }, () => session.request(headers));
    for (const poll of polls) poll.on("error", () => {});
    await until(() => verifying === 20, "their token is verified");
    for (const poll of polls) poll.close(http2.constants.NGHTTP2_CANCEL);
    // The answer to what was asked after that says that the server has read it.
    const [{ ":status": status }] = await once(session.request({ ":path": "/healthz" }).resume(), "response");
    assertEquals(status, 200);
    const holding = await hold(database, (sql) => sql`lock table messages in access exclusive mode`);
    verified.resolve();
    await until(() => server.chat.state.feeds === 1, "they are looked up");
    await holding.end();
    await until(() => server.chat.state.feeds === 0, "nobody holds the room");
    assertEquals(server.chat.state.waiters, 0);
  } finally {
    crypto.subtle.verify = verify;
    verified.resolve();
    session.close();
    await once(session, "close");
  }
});

for (
  const [name, rest] of [
    ["announces a body and does not send it", "Content-Length: 1\r\n\r\n"],
    ["sends half of its body", "Content-Length: 2\r\n\r\na"],
    ["sends a body in chunks, and no end", "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n"],
    ["sends a long body", `Content-Length: 700\r\n\r\n${"a".repeat(700)}`],
  ] as const
) {
  Deno.test(`A client that ${name}, and leaves, is forgotten`, async () => {
    await using database = await postgres.create();
    await using server = await startServer(database.url);
    const sockets = Array.from({ length: 20 }, () => connect(Number(new URL(server.url).port), "127.0.0.1"));
    for (const socket of sockets) {
      socket.write(`GET /messages?after=now&wait=50 HTTP/1.1\r\nHost: localhost\r\n${rest}`);
    }
    await until(() => server.chat.state.waiters > 0, "they wait");
    for (const socket of sockets) socket.destroy();
    await until(() => server.chat.state.waiters === 0, "they are gone");
    await posted(server, "lobby", "news");
    assertEquals((await messages(server, "lobby", "wait=50")).length, 1);
  });
}

Deno.test("Two hundred clients that come and go leave nothing behind", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  for (let round = 0; round < 5; round++) {
    const polls = Array.from({ length: 10 }, (_, i) => park(server, `room${i}`, 20));
    await until(() => server.chat.state.waiters === 200, "all wait");
    assertEquals(server.chat.state.feeds, 10);
    await Promise.all(polls.map((poll) => poll.leave()));
    await until(() => server.chat.state.waiters === 0, "all are gone");
    assertEquals(server.chat.state.feeds, 0);
  }
});

Deno.test("With 1,000 waiters in a room no more statements are sent than with one, and one post reaches them all", async () => {
  await using database = await postgres.create();
  const interval = 200;
  await using server = await startServer(database.url, {
    FALLBACK_MS: `${interval}`,
    FALLBACK_WITHOUT_LISTEN_MS: `${interval}`,
  });
  const one = park(server, "room", 1);
  await until(() => server.chat.state.waiters === 1, "one waits");
  const many = park(server, "room", 999);
  await until(() => server.chat.state.waiters === 1_000, "all wait");
  const start = performance.now();
  const sent = await statementsDuring(server, 3_000);
  const looks = (performance.now() - start) / interval + 1;
  assertGreater(sent, 2);
  assertLessOrEqual(sent, looks); // each is one statement, whoever waits

  const before = server.chat.state.statements;
  const begun = performance.now();
  const message = await posted(server, "room", "news");
  const answers = await Promise.all([...one.answers, ...many.answers]);
  assertEquals(answers.length, 1_000);
  for (const answer of answers) assertEquals(answer, [message]);
  const ticks = (performance.now() - begun) / interval + 1;
  assertLessOrEqual(server.chat.state.statements - before, 2 + 2 * ticks); // the post and its notification, and the looks meanwhile
});

Deno.test("A poll that waits too many is refused, and served when one has left", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { MAX_WAITERS: "3" });
  const polls = park(server, "room", 3);
  await until(() => server.chat.state.waiters === 3, "three wait");
  const response = await fetch(`${server.url}/rooms/room/messages?after=now&wait=5`);
  assertEquals([response.status, response.headers.get("retry-after")], [503, "1"]);
  assertEquals((await response.json()).type, "urn:linger:problem:unavailable");
  assertEquals(await messages(server, "room", "wait=0"), []); // does not wait, so it is served
  await polls.leave();
  await until(() => server.chat.state.waiters === 0, "they are gone");
  assertEquals(await messages(server, "room", "wait=1"), []);
});

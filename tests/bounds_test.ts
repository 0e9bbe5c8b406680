// What is bounded, and what happens at the bound: bursts, slow uploads, starts that hang.
import { connect } from "node:net";
import { runInNewContext } from "node:vm";
import { setFlagsFromString } from "node:v8";
import { assertEquals, assertGreater, assertLess, assertLessOrEqual, assertMatch, assertRejects } from "@std/assert";
import { NIL, seqOf } from "../src/chat/cursor.ts";
import { Problem } from "../src/problem.ts";
import { readBody } from "../src/routes/body.ts";
import { sleep } from "../src/sleep.ts";
import { get, health, messages, post, posted, read, until } from "./support/client.ts";
import { freePort, hold, testPostgres } from "./support/postgres.ts";
import { exitCode, spawnServer, spawnStarting, startServer } from "./support/server.ts";
import { stopped } from "./support/stopped.ts";
import { NEVER } from "./support/silent_store.ts";

const postgres = await testPostgres();
const encoder = new TextEncoder();

/** Sends bytes to a server, and resolves to the first that it says. */
async function exchange(server: { url: string }, bytes: string): Promise<string> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(new URL(server.url).port) });
  await connection.write(encoder.encode(bytes));
  const answer = new Uint8Array(1_000);
  return new TextDecoder().decode(answer.subarray(0, await connection.read(answer) ?? 0));
}

Deno.test("An upload that stalls is answered 408, and nothing is stored", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { UPLOAD_TIMEOUT_MS: "1000" });
  const head = "POST /messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
  for (const rest of ['Content-Length: 100\r\n\r\n{"body"', 'Transfer-Encoding: chunked\r\n\r\n7\r\n{"body"\r\n']) {
    const answer = await exchange(server, head + rest);
    assertEquals(answer.slice(0, 12), "HTTP/1.1 408", answer);
  }
  await posted(server, "lobby", "after");
  assertEquals((await messages(server, "lobby", "wait=0")).length, 1);
});

Deno.test("The connection of an upload that stalls is closed, whatever still comes, and nothing of it is kept", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { UPLOAD_TIMEOUT_MS: "200" });
  const head = "POST /messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
  for (const rest of ["Content-Length: 60000\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"]) {
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
    let answer = "";
    let closed = false;
    let pieces = 0;
    socket.on("data", (chunk) => answer += chunk).on("error", () => {}).on("close", () => closed = true);
    socket.write(head + rest);
    await until(() => {
      if (!closed) socket.write(rest.includes("chunked") ? "1\r\nx\r\n" : "x");
      pieces++;
      return closed;
    }, "it is closed");
    assertLess(pieces, 400); // which is not yet too many
    assertMatch(answer, /^HTTP\/1\.1 408 [^]*connection: close[^]*"urn:linger:problem:request-timeout"/);
  }
  assertEquals((await database.sql`select from messages`).length, 0);
});

Deno.test("What has come of a body that is late is let go with the 408, though nothing more comes of it", async () => {
  setFlagsFromString("--expose-gc");
  const gc: () => void = runInNewContext("gc");
  let held: WeakRef<Uint8Array> | undefined;
  const silent = Promise.withResolvers<never>();
  const reader = {
    read: () => {
      if (held) return silent.promise;
      const slice = () => {
        const kept = new Uint8Array(1_000);
        held = new WeakRef(kept);
        return kept;
      };
      return Promise.resolve({ value: Object.assign(new Uint8Array(1_000), { slice }), done: false });
    },
  };
  const body = { getReader: () => reader } as unknown as ReadableStream<Uint8Array<ArrayBuffer>>;
  const { status } = await assertRejects(() => readBody({ body, headers: new Headers() }, 100), Problem);
  assertEquals(status, 408);
  await until(() => (gc(), held!.deref() === undefined), "it is let go");
});

Deno.test("A body that comes byte by byte is taken up to a number of pieces", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const head = "POST /messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
  const spaces = (count: number) => `${head}Transfer-Encoding: chunked\r\n\r\n${"1\r\n \r\n".repeat(count)}`;
  const end = 'c\r\n{"body":"x"}\r\n0\r\n\r\n';
  assertMatch(await exchange(server, spaces(499) + end), /^HTTP\/1\.1 201 /);
  assertMatch(await exchange(server, spaces(500) + end), /^HTTP\/1\.1 400 [^]*500 pieces/);
  assertMatch(await exchange(server, spaces(3_000)), /^HTTP\/1\.1 400 [^]*500 pieces/);
  assertEquals((await database.sql`select from messages`).length, 1);
});

Deno.test("A body that has been read holds no more memory than it has bytes", async () => {
  const begun = Promise.withResolvers<void>();
  const held = Promise.withResolvers<number>();
  await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, async (request) => {
    begun.resolve();
    held.resolve((await readBody(request, 10_000)).buffer.byteLength);
    return new Response();
  });
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: server.addr.port });
  const head = "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
  await connection.write(encoder.encode(`${head}5\r\nhello\r\n`));
  await begun.promise; // one that is there at once, Deno hands over as it is
  await connection.write(encoder.encode("0\r\n\r\n"));
  assertEquals(await held.promise, 5);
});

Deno.test("What a page costs is bounded before it is read, forwards and backwards", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  // 1,000 messages of 10 kB: ten pages' worth in one page's number.
  await database.sql`
    insert into messages (room, id, body)
    select 'big', (lpad(to_hex(1700000000000), 12, '0') || lpad(to_hex(n), 10, '0') || '0123456789')::uuid, repeat('x', 10000)
    from generate_series(1, 1000) n`;
  await database.sql`insert into heads (room, seq, ms) values ('big', 1000, 1700000000000)`;
  let after = NIL;
  const seqs: number[] = [];
  for (
    let page;
    (page = await messages(server, "big", `after=${after}&limit=1000&wait=0`)).length > 0;
    after = page.at(-1)!.id
  ) {
    assertLess(JSON.stringify(page).length, 1_000_200);
    seqs.push(...page.map(({ id }) => seqOf(id)));
  }
  assertEquals(seqs, Array.from({ length: 1_000 }, (_, i) => i + 1));
});

Deno.test({
  name: "Cursors that a client makes up don't fill the memory, in however many rooms",
  timeout: 900_000, // 18,000 requests, each of which asks the database
  async fn() {
    await using database = await postgres.create();
    await using server = await spawnServer(database.url, { DENO_V8_FLAGS: "--max-old-space-size=36" });
    const leaving = new AbortController();
    const held = [];
    const ends: string[] = [];
    for (const room of ["tea", "coffee", "juice"]) {
      const { id } = await posted(server, room, "first");
      ends.push(`/rooms/${room}/messages?wait=0&after=${id.slice(0, 26)}`);
      held.push(fetch(`${server.url}/rooms/${room}/messages?after=now&wait=50`, leaving).catch(() => {}));
    }
    await until(async () => (await health(server)).waiters === ends.length, "somebody waits in each");
    let made = 0;
    const readers = Array.from({ length: 16 }, async () => {
      while (made++ < 18_000) {
        const { json } = await get(server, ends[made % ends.length] + made.toString(16).padStart(10, "f"));
        assertEquals(json, []);
      }
    });
    await Promise.all(readers);
    leaving.abort();
    await Promise.all(held);
  },
});

Deno.test("A burst of reads is served, each in its turn", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { STATEMENT_TIMEOUT_MS: "60000" });
  await Promise.all(Array.from({ length: 50 }, (_, i) => posted(server, "room", `${i}`.repeat(700))));
  using _clock = stopped(); // else who has waited for his turn for five seconds is refused
  const answers = await Promise.all(
    Array.from({ length: 100 }, () => messages(server, "room", "before=now&limit=1000").then((page) => page.length)),
  );
  assertEquals(new Set(answers), new Set([50]));
  await messages(server, "room", "before=now");
});

Deno.test("Reads take all the connections there are for them, also where all clients come from this machine", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { DATABASE_CONNECTIONS: "12", STATEMENT_TIMEOUT_MS: "60000" });
  await posted(server, "room", "first");
  const holding = await hold(database, (sql) => sql`lock table messages`);
  const reads = Array.from({ length: 8 }, () => messages(server, "room", "before=now"));
  const hanging = () =>
    database.sql`select from pg_stat_activity where datname = ${database.name} and wait_event_type = 'Lock'`;
  await until(async () => (await hanging()).length >= 8, "they are asked for");
  await holding.end();
  for (const page of await Promise.all(reads)) assertEquals(page.length, 1);
});

Deno.test("Reads that hang don't make those behind them hang one deadline after the other", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { STATEMENT_TIMEOUT_MS: "2000" });
  await posted(server, "room", "first");
  const holding = await hold(database, (sql) => sql`lock table messages`);
  const refusals = await Promise.all(Array.from({ length: 24 }, async (_, i) => {
    const path = `/rooms/room/messages?before=now&limit=${i + 1}`; // who asks for the same shares one read
    const { status, json } = await read<{ detail: string }>(fetch(server.url + path));
    assertEquals(status, 503);
    return json.detail;
  }));
  // Two at a time, for two seconds each: those whose turn has not come after five are refused then.
  assertGreater(refusals.filter((refusal) => refusal.startsWith("Too many reads wait")).length, 11);
  await holding.end();
  assertEquals((await messages(server, "room", "before=now")).length, 1);
});

Deno.test("News that fills the tail reaches all waiters without a query for each", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, NEVER);
  const polls = Array.from({ length: 100 }, () => messages(server, "room", "after=now&wait=50&limit=1000"));
  await until(() => server.chat.state.waiters === 100, "all wait");
  const before = server.chat.state.statements;
  // As JSON, control characters take six times their bytes.
  const body = "\u0001".repeat(10_000);
  await Promise.all(
    Array.from({ length: 25 }, (_, i) => post(server, "room", { body, author: `${i}` }).then((r) => r.body?.cancel())),
  );
  const answers = await Promise.all(polls);
  for (const answer of answers) assertGreater(answer.length, 0);
  assertLessOrEqual(server.chat.state.statements - before, 60); // each post may be stored and told of by itself
});

Deno.test("SIGTERM ends a server whose database hangs up, and one whose database never answers", async () => {
  for (const hangsUp of [true, false]) {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const connections: Deno.TcpConn[] = [];
    const accepting = (async () => {
      for await (const connection of listener) {
        if (hangsUp) connection.close();
        else connections.push(connection);
      }
    })();
    await using server = spawnStarting(`postgres://postgres@127.0.0.1:${listener.addr.port}/x`, {
      PORT: `${freePort()}`,
    });
    await until(() => fetch(`${server.url}/healthz`).then((r) => r.json()).then(() => true, () => false), "it listens");
    await sleep(300);
    server.kill("SIGTERM");
    assertEquals(await exitCode(server), 0);
    listener.close();
    await accepting;
    for (const connection of connections) connection.close();
  }
});

Deno.test("A server that stops while it is still connecting leaves no connection behind", async () => {
  await using database = await postgres.create();
  for (let i = 0; i < 5; i++) {
    const server = await startServer(database.url);
    await server[Symbol.asyncDispose]();
  }
  const left = () =>
    database.sql`select from pg_stat_activity where datname = ${database.name} and application_name like 'linger%'`;
  await until(async () => (await left()).length === 0, "all connections are closed");
});

// Those who come straight back with the same URL are kept outside by it, before their query is read.
import { once } from "node:events";
import http2 from "node:http2";
import { assertEquals } from "@std/assert";
import { type Message, post, posted, read, until } from "./support/client.ts";
import { testPostgres } from "./support/postgres.ts";
import { startServer, type TestServer } from "./support/server.ts";
import { bearer, SECRET, tokenOf } from "./support/tokens.ts";

const postgres = await testPostgres();

/** As if news were on its way in all rooms, until it is disposed of. */
function busy(server: TestServer) {
  const ended = Promise.withResolvers<void>();
  const kept = Promise.withResolvers<never>();
  const gate = {
    /** How many are kept outside. */
    outside: 0,
    [Symbol.dispose]: ended.resolve,
    /** What is answered to somebody who is not kept outside. */
    answered: (response: Promise<Response>) => Promise.race([read<Message[]>(response), kept.promise]),
  };
  kept.promise.catch(() => {});
  server.chat.inTurn = async (_room, _poll, begin) => {
    gate.outside++;
    kept.reject(new Error("Somebody is kept outside"));
    await ended.promise;
    return await begin(0);
  };
  return gate;
}

/** A poll that waits, and its URL, which is the last one then. */
async function poll(server: TestServer) {
  const { id } = await posted(server, "room", "old");
  const url = `${server.url}/rooms/room/messages?after=${id}`;
  const answer = read(fetch(url));
  await until(() => server.chat.state.waiters === 1, "it waits");
  return { url, answer };
}

Deno.test("A poll that asks for the same as the one before it is kept outside while news is on its way, and nothing else that stands at its URL", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const { url, answer } = await poll(server);
  using gate = busy(server);
  const link = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" };
  assertEquals((await gate.answered(fetch(url, { method: "HEAD" }))).status, 200);
  assertEquals((await gate.answered(fetch(url, { headers: link }))).json, []);
  assertEquals((await gate.answered(fetch(url, { headers: { "sec-fetch-site": "cross-site" } }))).status, 403);
  const back = read(fetch(url));
  await until(() => gate.outside === 1, "it is kept outside");
  const news = await posted(server, "room", "news");
  assertEquals((await answer).json, [news]);
  gate[Symbol.dispose]();
  assertEquals((await back).json, [news]);
});

Deno.test("A poll is kept outside also where others have asked in other rooms since", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const { url, answer } = await poll(server);
  for (let i = 0; i < 100; i++) await read(fetch(`${server.url}/rooms/other${i}/messages?wait=0`));
  using gate = busy(server);
  const back = read(fetch(url));
  await until(() => gate.outside === 1, "it is kept outside");
  const news = await posted(server, "room", "news");
  gate[Symbol.dispose]();
  assertEquals([(await answer).json, (await back).json], [[news], [news]]);
});

Deno.test("Who asks for what there is, looks back or searches with the same URL as the one before is not kept outside", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const message = await posted(server, "room", "first");
  using gate = busy(server);
  for (const query of ["wait=0", "before=now", "q=first"]) {
    for (let time = 0; time < 2; time++) {
      const answer = gate.answered(fetch(`${server.url}/rooms/room/messages?${query}`));
      assertEquals((await answer).json, [message], query);
    }
  }
  for (let time = 0; time < 2; time++) {
    const { json } = await gate.answered(fetch(`${server.url}/rooms/room/messages`, { headers: { prefer: "wait=0" } }));
    assertEquals(json, [message]);
  }
});

Deno.test("Who may not read the room is refused at once, and only who is known to may is kept outside", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { TOKEN_SECRET: SECRET });
  const tokens = [{ sub: "ada", read: ["room"], write: ["room"] }, { sub: "bob", read: ["room"] }, { sub: "eve" }];
  const [ada, bob, eve] = await Promise.all(tokens.map(async (claims) => bearer(await tokenOf(claims))));
  const old = await read<Message>(post(server, "room", { body: "old" }, ada));
  const url = `${server.url}/rooms/room/messages?after=${old.json.id}`;
  const answer = read<Message[]>(fetch(url, { headers: ada! }));
  await until(() => server.chat.state.waiters === 1, "it waits");
  assertEquals((await read(fetch(url, { headers: eve! }))).status, 403); // from here on her token is known
  using gate = busy(server);
  for (const [headers, status] of [[{}, 401], [bearer("x.y.z"), 401], [eve!, 403]] as const) {
    assertEquals((await gate.answered(fetch(url, { headers }))).status, status);
  }
  const unknown = read<Message[]>(fetch(url, { headers: bob! }));
  await until(() => server.chat.state.waiters === 2, "who is not known yet waits as by any other URL");
  assertEquals(gate.outside, 0);
  const back = read<Message[]>(fetch(url, { headers: ada! }));
  await until(() => gate.outside === 1, "who is known is kept outside");
  const { json: news } = await read<Message>(post(server, "room", { body: "news" }, ada));
  gate[Symbol.dispose]();
  for (const page of [answer, unknown, back]) assertEquals((await page).json, [news]);
});

Deno.test("Whose token ends while he is kept outside is refused when it is his turn", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { TOKEN_SECRET: SECRET });
  const headers = bearer(await tokenOf({ read: ["room"] }));
  const url = `${server.url}/rooms/room/messages?after=now&wait=`;
  await read(fetch(`${url}0`, { headers }));
  const waiting = new AbortController();
  const first = read(fetch(`${url}50`, { headers, signal: waiting.signal })).catch(() => {});
  await until(() => server.chat.state.waiters === 1, "it waits");
  using gate = busy(server);
  const back = read(fetch(`${url}50`, { headers }));
  await until(() => gate.outside === 1, "it is kept outside");
  const { now } = Date;
  try {
    Date.now = () => now() + 7_200_000;
    gate[Symbol.dispose]();
    assertEquals((await back).status, 401);
  } finally {
    Date.now = now;
  }
  waiting.abort();
  await first;
});

Deno.test("A client that takes its polls back over HTTP/2 while they are kept outside holds no places", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const session = http2.connect(server.url);
  const { id } = await posted(server, "room", "old");
  const headers = { ":path": `/rooms/room/messages?after=${id}&wait=50` };
  const first = session.request(headers).on("error", () => {});
  await until(() => server.chat.state.waiters === 1, "one waits");
  using gate = busy(server);
  const polls = Array.from({ length: 20 }, () => session.request(headers).on("error", () => {}));
  await until(() => gate.outside === 20, "they are kept outside");
  for (const poll of [...polls, first]) poll.close(http2.constants.NGHTTP2_CANCEL);
  await until(() => server.chat.state.waiters === 0, "it is seen that they have left");
  gate[Symbol.dispose]();
  // The answer to what was asked after that says that all have been let in.
  const [{ ":status": status }] = await once(session.request({ ":path": "/healthz" }).resume(), "response");
  assertEquals(status, 200);
  assertEquals(server.chat.state.waiters, 0);
  session.close();
  await once(session, "close");
});

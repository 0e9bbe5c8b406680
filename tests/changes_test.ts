// What was said can be taken back: edited and deleted, by whom it belongs to; and who follows with changes ends with what there is.
import { assert, assertEquals, assertFalse, assertGreater, assertRejects, assertStringIncludes } from "@std/assert";
import { Changer } from "../src/chat/changer.ts";
import { NIL, NOW } from "../src/chat/cursor.ts";
import { LockedRooms } from "../src/chat/locked-rooms.ts";
import { type Entry, makeEntry } from "../src/chat/page.ts";
import { cursorAfter } from "../src/client/client.ts";
import { DatabaseError } from "../src/database/client.ts";
import { UNLIMITED } from "../src/allowance.ts";
import { Problem } from "../src/problem.ts";
import {
  type Answer,
  get,
  health,
  linked,
  type Message,
  messages,
  post,
  posted,
  type ProblemDetails,
  read,
  until,
} from "./support/client.ts";
import { subscribe } from "./support/events.ts";
import { inspect } from "./support/inspector.ts";
import { logged } from "./support/log.ts";
import { freePort, hold, pauseLooks, pauseReads, testPostgres } from "./support/postgres.ts";
import { spawnStarting, startServer, type TestServer } from "./support/server.ts";
import { NEVER, silentStore } from "./support/silent_store.ts";
import { take } from "./support/taking.ts";
import { bearer, SECRET, tokenOf } from "./support/tokens.ts";

const postgres = await testPostgres();

const KEY = "a key that nobody else knows";

/** What comes to whoever follows with changes. */
type Item = Message & { deleted?: boolean };

Deno.test("Who shows the Message-Key edits a message: it is another at its old place, and all reads have it", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const first = await say(server, "One");
  const second = await say(server, "Two");
  assertEquals(await messages(server, "room", "wait=0"), [first, second]); // and has them in memory from now on
  const answer = await edit(server, first, "Won");
  assertEquals(answer.status, 200);
  const { changed, ...rest } = answer.json;
  assertEquals(rest, { ...first, body: "Won" });
  assertGreater(changed!, second.id);
  assertEquals(answer.headers.get("etag"), `"${changed}"`);
  for (const query of ["wait=0", "before=now", "after=00000000-0000-0000-0000-000000000000&wait=5"]) {
    assertEquals(await messages(server, "room", query), [answer.json, second], query);
  }
  const one = await get<Message>(server, `/rooms/room/messages/${first.id}`);
  assertEquals([one.json, one.headers.get("etag")], [answer.json, `"${changed}"`]);
  // Numbers count messages, not changes.
  const third = await say(server, "Three");
  assertEquals(number(third), 3);
  assertGreater(third.id, changed!);
});

Deno.test("A deleted message is nowhere any more, and deleting it again is as good", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const [first, second, third] = [await say(server, "One"), await say(server, "secret"), await say(server, "Three")];
  for (let again = 0; again < 2; again++) {
    const answer = await remove(server, second);
    assertEquals([answer.status, answer.text], [204, ""]);
  }
  for (const query of ["wait=0", "before=now", "wait=5", "limit=1000&wait=0"]) {
    assertEquals(await messages(server, "room", query), [first, third], query);
  }
  assertEquals(problem(await get(server, `/rooms/room/messages/${second.id}`)), [410, "gone"]);
  assertEquals(problem(await edit(server, second, "back")), [410, "gone"]);
  await remove(server, third);
  assertEquals(await messages(server, "room", "before=now"), [first]);
  const rows = await database.sql`select author, body, reply_to from messages where id <> ${first.id}`;
  assertEquals([...rows], Array(2).fill({ author: null, body: "", reply_to: null }));
  assertEquals(number(await say(server, "Four")), 4);
});

Deno.test("Whoever can't prove that a message is his changes nothing", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const keyed = await say(server, "mine");
  const unkeyed = await posted(server, "room", "nobody's");
  for (
    const [message, headers] of [[keyed, {}], [keyed, { "message-key": "x".repeat(30) }], [unkeyed, {
      "message-key": KEY,
    }]] as const
  ) {
    assertEquals(problem(await edit(server, message, "stolen", headers)), [403, "forbidden"]);
    assertEquals(problem(await remove(server, message, headers)), [403, "forbidden"]);
  }
  const nowhere = { ...keyed, id: "01234567-89ab-cdef-0123-456789abcdef" };
  assertEquals(problem(await edit(server, nowhere, "x")), [404, "not-found"]);
  assertEquals(problem(await remove(server, nowhere)), [404, "not-found"]);
  assertEquals(await messages(server, "room", "wait=0"), [keyed, unkeyed]);
});

Deno.test("A message with a sub is that sub's; a moderator deletes any, and edits none", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { TOKEN_SECRET: SECRET });
  const rooms = { read: ["*"], write: ["*"] };
  const ada = bearer(await tokenOf({ sub: "ada", ...rooms }));
  const eve = bearer(await tokenOf({ sub: "eve", ...rooms }));
  const mod = bearer(await tokenOf({ sub: "mod", read: ["*"], moderate: ["*"] }));
  const blind = bearer(await tokenOf({ sub: "ada", write: ["*"] }));
  const reader = bearer(await tokenOf({ sub: "ada", read: ["*"] }));
  const key = { "message-key": KEY };
  const message = (await read<Message>(post(server, "room", { body: "Hello" }, { ...ada, ...key }))).json;
  for (const who of [eve, { ...eve, ...key }, mod, blind, reader]) {
    assertEquals(problem(await edit(server, message, "stolen", who)), [403, "forbidden"]);
  }
  assertEquals(problem(await remove(server, message, eve)), [403, "forbidden"]);
  assertEquals((await edit(server, message, "Hi", ada)).json.body, "Hi");
  assertEquals((await remove(server, message, mod)).status, 204);
  assertEquals(problem(await remove(server, message, eve)), [403, "forbidden"]); // as before: he learns nothing
});

Deno.test("A deleted message tells nobody that it was deleted who can't prove that it was his", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const message = await say(server, "One");
  assertEquals((await remove(server, message)).status, 204);
  for (const headers of [{}, { "message-key": "x".repeat(30) }]) {
    assertEquals(problem(await remove(server, message, headers)), [403, "forbidden"]);
    assertEquals(problem(await edit(server, message, "back", headers)), [403, "forbidden"]);
  }
  assertEquals((await remove(server, message)).status, 204);
  assertEquals(problem(await edit(server, message, "back")), [410, "gone"]);
});

Deno.test("A message without a sub is whoever's who shows its Message-Key, whatever his token, and nobody's by a token alone", async () => {
  await using database = await postgres.create();
  const env = { TOKEN_SECRET: SECRET, ANONYMOUS_READ: "*", ANONYMOUS_WRITE: "*" };
  await using server = await startServer(database.url, env);
  const ada = bearer(await tokenOf({ sub: "ada", read: ["*"], write: ["*"] }));
  const mod = bearer(await tokenOf({ sub: "mod", read: ["*"], write: ["*"], moderate: ["*"] }));
  const message = await say(server, "One");
  const other = { "message-key": "x".repeat(30) };
  for (const headers of [ada, mod, { ...ada, ...other }, other, {}]) {
    assertEquals(problem(await edit(server, message, "stolen", headers)), [403, "forbidden"]);
    assertEquals(problem(await edit(server, message, "One", headers)), [403, "forbidden"]); // as it is
  }
  for (const headers of [ada, { ...ada, ...other }]) {
    assertEquals(problem(await remove(server, message, headers)), [403, "forbidden"]);
  }
  const edited = await edit(server, message, "Two", { ...ada, "message-key": KEY });
  assertEquals(edited.json, { ...message, body: "Two", changed: edited.json.changed! }); // and it is not hers now
  assertEquals((await edit(server, message, "Three")).status, 200);
  assertEquals((await remove(server, message, mod)).status, 204);
});

Deno.test("A change to what a message says already is none: it stays at its place, and nobody is told", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const [first, second] = [await say(server, "One"), await say(server, "Two")];
  const follower = poll(server, second.id, 50);
  await until(() => server.chat.state.waiters === 1, "it waits");
  const [before] = await database.sql`select * from heads`;
  for (const known of [undefined, `"${first.id}"`, `"${second.id}"`, "*"]) {
    const headers = { "message-key": KEY, ...known && { "if-match": known } };
    const answer = await edit(server, first, "One", headers);
    assertEquals([answer.status, answer.json, answer.headers.get("etag")], [200, first, `"${first.id}"`], known);
  }
  assertEquals(await database.sql`select * from heads`.then(([head]) => head), before);
  const { changed } = (await edit(server, first, "Three")).json;
  assertEquals((await follower).json.map(({ changed }) => changed), [changed]); // the first of which it is told
});

Deno.test("If-Match is one strong tag, or any, and nothing is changed by what it can't be", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const message = await say(server, "One");
  const { id } = message;
  const forms = [`W/"${id}"`, `"${id}", "${id}"`, `"${NIL}","${id}"`, id, '""', '"*"', `*, "${id}"`, "*, *", `"${id}`];
  for (const form of forms) {
    const headers = { "message-key": KEY, "if-match": form };
    for (const answer of [await edit(server, message, "Two", headers), await remove(server, message, headers)]) {
      const { parameter } = answer.json as unknown as ProblemDetails;
      assertEquals([...problem(answer), parameter], [400, "invalid-request", "If-Match"], form);
    }
  }
  assertEquals(await messages(server, "room", "wait=0"), [message]);
  const any = { "message-key": KEY, "if-match": "*" };
  assertEquals((await edit(server, message, "Two", any)).status, 200);
  assertEquals((await remove(server, message, any)).status, 204);
  assertEquals((await remove(server, message, { ...any, "if-match": `"${id}"` })).status, 204); // it is as he wants it
});

Deno.test("If-Match changes only what one knows, and a change that was made already is no failure", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const message = await say(server, "One");
  const match = (place: string) => ({ "message-key": KEY, "if-match": `"${place}"` });
  const first = await edit(server, message, "Two", match(message.id));
  assertEquals(first.status, 200);
  assertEquals((await edit(server, message, "Two", match(message.id))).json, first.json); // its answer was lost
  assertEquals(problem(await edit(server, message, "Three", match(message.id))), [412, "changed"]);
  assertEquals(problem(await remove(server, message, match(message.id))), [412, "changed"]);
  assertEquals((await edit(server, message, "Three", match(first.json.changed!))).status, 200);
  assertEquals(problem(await edit(server, message, "x", { "message-key": KEY, "if-match": 'W/"x"' })), [
    400,
    "invalid-request",
  ]);
});

Deno.test("Who follows with changes gets messages and changes in their order, and again the same from an old cursor", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const [a, b, c] = [await say(server, "a"), await say(server, "b"), await say(server, "c")];
  const wait = poll(server, c.id, 50);
  await until(() => server.chat.state.waiters === 1, "it waits");
  const b2 = (await edit(server, b, "b2")).json;
  const woken = await wait;
  assertEquals(woken.json, [b2]);
  assertEquals(linked(woken, "next"), `${server.url}/rooms/room/messages?after=${b2.changed}&limit=100&changes=true`);
  const waitAgain = poll(server, b2.changed!, 50);
  await remove(server, c);
  const gone = (await waitAgain).json;
  assertEquals(gone.map(({ id, room, deleted }) => [id, room, deleted]), [[c.id, "room", true]]);
  assertEquals(Object.keys(gone[0]!), ["id", "room", "changed", "deleted"]);
  const d = await say(server, "d");
  // From wherever: from memory, and from a server that has heard nothing of it.
  await using other = await startServer(database.url);
  for (const asked of [server, other, other]) {
    for (const seconds of [0, 5]) {
      assertEquals((await poll(asked, c.id, seconds)).json, [b2, gone[0], d]);
      assertEquals((await poll(asked, a.id, seconds)).json, [b2, b2, gone[0], d]);
      assertEquals((await poll(asked, b2.changed!, seconds)).json, [gone[0], d]);
    }
    assertEquals(await messages(asked, "room", "wait=0"), [a, b2, d]);
  }
});

Deno.test("Whoever does not ask for changes is not woken by them", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const [a, b] = [await say(server, "a"), await say(server, "b")];
  const plain = read<Message[]>(fetch(`${server.url}/rooms/room/messages?after=${b.id}&wait=50`));
  const stale = read<Message[]>(fetch(`${server.url}/rooms/room/messages?after=${a.id}&wait=0`));
  await until(() => server.chat.state.waiters === 1, "one waits");
  assertEquals((await stale).json, [b]);
  await edit(server, a, "a2");
  await remove(server, b);
  const afterDeleted = read<Message[]>(fetch(`${server.url}/rooms/room/messages?after=${a.id}&wait=50`));
  await until(() => server.chat.state.waiters === 2, "what is deleted is no news");
  const c = await say(server, "c");
  assertEquals((await plain).json, [c]);
  assertEquals((await afterDeleted).json, [c]);
});

Deno.test("Another server's change reaches who waits, and no read that begins after it has the old text", async () => {
  await using database = await postgres.create();
  await using here = await startServer(database.url);
  await using there = await startServer(database.url);
  const first = await say(here, "0");
  let known = first.id;
  for (const server of [here, there]) await messages(server, "room", "wait=0"); // both have it in memory
  for (let i = 1; i <= 100; i++) {
    const [from, to] = i % 2 ? [here, there] : [there, here];
    const waiting = poll(to, known, 50);
    const changed = (await edit(from, first, `${i}`)).json;
    for (const server of [to, from]) { // at once at the one that has to hear of it
      assertEquals(await messages(server, "room", "wait=0&limit=1"), [changed]);
      assertEquals(await messages(server, "room", "before=now"), [changed]);
      assertEquals((await get<Message>(server, `/rooms/room/messages/${first.id}`)).json, changed);
    }
    assertEquals((await waiting).json, [changed]);
    known = changed.changed!;
  }
});

for (const again of [false, true]) {
  const when = again ? "and he was told so only when he asked once more" : "and another has posted in between";
  Deno.test(`What was deleted on a server it gives to nobody from then on, though it can't look what else there is, ${when}`, async () => {
    await using database = await postgres.create();
    await using server = await startServer(database.url, { ...NEVER, STATEMENT_TIMEOUT_MS: "600000" });
    await using silent = await silentStore(database);
    await using _holds = await subscribe(server, "room", "after=now");
    const first = await say(server, "One");
    const secret = await say(server, "secret");
    assertEquals(await messages(server, "room", "wait=5"), [first, secret]);
    using _looks = await pauseLooks(database);
    if (again) await silent.edit(secret.id, KEY, ""); // as this server, which has no answer
    const other = await silent.say("Two");
    assertEquals((await remove(server, secret)).status, 204);
    assertEquals((await messages(server, "room", "wait=5")).map(({ id }) => id), [first.id, other]);
    const withChanges = (await poll(server, first.id, 5)).json;
    assertEquals(withChanges.map(({ id }) => id).sort(), [other, secret.id].sort());
    assert(withChanges.find(({ id }) => id === secret.id)!.deleted);
  });

  Deno.test(`Who catches up is not given the words that were taken back on this server, though his page was read ahead${again ? ", also where that was known only the second time" : ""}`, async () => {
    await using database = await postgres.create();
    await using server = await startServer(database.url, { MAX_TAIL_MESSAGES: "1" });
    await using silent = await silentStore(database);
    const said = [];
    for (let i = 0; i < 6; i++) said.push(await say(server, `${i}`));
    const page = (after: string) => messages(server, "room", `after=${after}&limit=2&wait=5`);
    assertEquals(await page(NIL), said.slice(0, 2));
    if (again) await silent.edit(said[2]!.id, KEY, "");
    await remove(server, said[2]!); // its page was asked for before, and has come or is on its way
    assertEquals((await page(said[1]!.id))[0], said[3]); // a page that looks at a deleted one may be short
  });
}

Deno.test("What was taken back is nowhere in a server's memory any more, be it as text or as bytes, whoever has been given it", async () => {
  await using database = await postgres.create();
  const port = freePort();
  const flags = [`--inspect=127.0.0.1:${port}`];
  // One connection for all statements: what it has brought last stays in the driver's buffer until it brings something else.
  const env = { PORT: "0", DATABASE_CONNECTIONS: "2" };
  await using starting = spawnStarting(database.url, env, "main.ts", "serve", [], flags);
  const server = { url: await starting.ready };
  await using memory = await inspect(port);
  const given: Message[] = [];
  await using streams = new AsyncDisposableStack();
  for (const words of ["These words stay", "These words go"]) {
    const room = words.replaceAll(" ", "-");
    const path = `/rooms/${room}/messages`;
    const first = await posted(server, room, "Hello");
    const stream = streams.use(await subscribe(server, room, `after=${first.id}`));
    const polls = ["", "&changes=true"].map((more) => get(server, `${path}?after=${first.id}&wait=50${more}`));
    await until(async () => (await health(server)).waiters === 2, "they wait");
    const headers = { "message-key": KEY, "idempotency-key": "one" };
    for (const status of [201, 200]) assertEquals((await post(server, room, { body: words }, headers)).status, status);
    for (const poll of polls) given.push(...(await poll).json);
    await until(() => stream.messages.length === 1, "the stream has it");
    given.push((await read<Message>(post(server, room, { body: `${words}, too` }, { "message-key": KEY }))).json);
    await until(() => stream.messages.length === 2, "the stream has both");
    for (const query of ["wait=0", "wait=5", "limit=2&wait=5", "changes=true&wait=5", "before=now", `q=${words}`]) {
      assertGreater((await messages(server, room, query)).length, 0, query);
    }
    assertEquals((await get<Message>(server, `${path}/${given.at(-1)!.id}`)).json, given.at(-1));
  }
  assertEquals(given.map(({ body }) => body).slice(3), ["These words go", "These words go", "These words go, too"]);
  const [deleted, , edited] = given.slice(3);
  assertEquals((await edit(server, edited!, "Others")).status, 200);
  assertEquals((await remove(server, deleted!)).status, 204);
  for (let i = 0; i < 100; i++) await posted(server, "elsewhere", `Message ${i}`); // what is sent is made in parts of larger buffers
  const [gone, stayed] = await memory.find(["These words go", "These words stay"]);
  assertEquals(gone, { texts: [], bytes: [] });
  assert(stayed!.texts.length > 0 && stayed!.bytes.length > 0, "it would find nothing anyway");
});

Deno.test("A crowd of deleted messages keeps nobody from those before and after it", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const first = await say(server, "first");
  const crowd = [];
  for (let i = 0; i < 150; i++) crowd.push(await say(server, `${i}`));
  const last = await say(server, "last");
  for (const message of crowd) assertEquals((await remove(server, message)).status, 204);
  await using fresh = await startServer(database.url);
  for (const asked of [server, fresh]) {
    for (const limit of [1, 10, 1_000]) {
      assertEquals(await messages(asked, "room", `after=${first.id}&limit=${limit}&wait=0`), [last]);
      assertEquals(await messages(asked, "room", `before=${last.id}&limit=${limit}`), [first]);
      assertEquals((await messages(asked, "room", `before=now&limit=${limit}`)).at(-1), last);
    }
  }
  await remove(server, last);
  await using empty = await startServer(database.url);
  const waiting = get<Message[]>(empty, `/rooms/room/messages?after=${first.id}&wait=50`);
  await until(() => empty.chat.state.waiters === 1, "there is nothing new");
  const news = await say(server, "news");
  assertEquals((await waiting).json, [news]);
});

Deno.test("Many large edits take no more memory than messages may, and leave the room as it was", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { MAX_TAIL_BYTES: "50000" });
  const said = [];
  for (let i = 0; i < 20; i++) said.push(await say(server, `${i}`));
  const start = said.at(-1)!.id;
  const holding = get<Message[]>(server, `/rooms/room/messages?after=${start}&wait=50`);
  await until(() => server.chat.state.waiters === 1, "somebody keeps the room in memory");
  const waiting = poll(server, start, 50);
  await until(() => server.chat.state.waiters === 2, "somebody waits for changes");
  const edited: Message[] = [];
  for (const message of said) {
    edited.push((await edit(server, message, `${message.body} ${"x".repeat(9_000)}`)).json);
    assertEquals((await waiting).json, [edited[0]]); // before there are more
  }
  const news = await say(server, "news");
  assertEquals((await holding).json, [news]);
  assertEquals((await poll(server, start, 5)).json, [...edited, news]);
  assertEquals((await poll(server, edited[18]!.changed!, 5)).json, [edited[19], news]);
  assertEquals(await messages(server, "room", `after=${said[18]!.id}&wait=5`), [edited[19], news]);
  const subscriber = await server.chat.subscribe("room", { after: NOW, parameter: "after" });
  assertGreater(300_000, subscriber.grown); // of which no more than the setting is kept
  subscriber.end();
});

Deno.test("A late retry of a post is answered with what has become of its message", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const key = { "message-key": KEY, "idempotency-key": "k" };
  const say = () => read<Message>(post(server, "room", { body: "Hello" }, key));
  const message = (await say()).json;
  const edited = (await edit(server, message, "Hi")).json;
  const retried = await say();
  assertEquals([retried.status, retried.json], [200, edited]);
  for (const other of [{ author: "Bob" }, { reply_to: message.id }]) { // which no edit changes, so this is another post
    assertEquals(problem(await read(post(server, "room", { body: "Hello", ...other }, key))), [422, "key-reused"]);
  }
  await remove(server, message);
  assertEquals(problem(await say()), [410, "gone"]);
  assertEquals(await messages(server, "room", "wait=0"), []);
});

Deno.test("An event stream with changes tells of them, and one without has the same bytes as before", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const message = await say(server, "One");
  await using plain = await subscribe(server, "room");
  await using changes = await subscribe(server, "room", "changes=true");
  await until(() => plain.messages.length === 1 && changes.messages.length === 1, "both have it");
  const edited = (await edit(server, message, "Two")).json;
  const news = await say(server, "News");
  await until(() => plain.messages.length === 2 && changes.messages.length === 3, "both have the news");
  assertEquals(plain.messages, [message, news]);
  assertEquals(plain.blocks.slice(1).map(({ id, event }) => [id, event]), [[message.id, "message"], [
    news.id,
    "message",
  ]]);
  assertEquals(changes.blocks.slice(1), [
    { id: message.id, event: "message", data: JSON.stringify(message) },
    { id: edited.changed!, event: "change", data: JSON.stringify(edited) },
    { id: news.id, event: "message", data: JSON.stringify(news) },
  ]);
  await using later = await subscribe(server, "room", "changes=true", { "last-event-id": message.id });
  await until(() => later.messages.length === 2, "it has what it had missed");
  assertEquals(later.messages, [edited, news]);
});

Deno.test("An event stream that begins after an edit has the new text, also between messages that others were given before", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const [a, b, c] = [await say(server, "a"), await say(server, "b"), await say(server, "c")];
  await using before = await subscribe(server, "room");
  await until(() => before.messages.length === 3, "the one before has them");
  assertEquals(before.messages, [a, b, c]);
  const edited = (await edit(server, b, "b2")).json;
  await using after = await subscribe(server, "room");
  await until(() => after.messages.length === 3, "the one after has them");
  assertEquals(after.messages, [a, edited, c]);
});

Deno.test("Who comes from another server is not given what a message was before he had it, by poll or by stream", async () => {
  await using database = await postgres.create();
  await using one = await startServer(database.url);
  await using two = await startServer(database.url, NEVER);
  await using silent = await silentStore(database);
  await using _holds = await subscribe(two, "room", "changes=true&after=now");
  await until(() => two.chat.state.listening, "the second server hears");
  const first = await say(one, "First");
  const second = await say(one, "Second");
  const older = (await edit(one, first, "Older")).json;
  await until(async () => (await poll(two, second.id, 5)).json[0]?.changed === older.changed, "it has the older text");
  for (const way of ["poll", "stream"]) {
    const changed = await silent.edit(first.id, KEY, `Newer, for the ${way}`);
    const newer = { ...first, body: `Newer, for the ${way}`, changed };
    const answer = await get<Item[]>(one, `/rooms/room/messages?wait=0&limit=1&changes=true`);
    assertEquals(answer.json, [newer]);
    if (way === "poll") {
      assertEquals((await poll(two, first.id, 5)).json, [second, newer]);
    } else {
      await using stream = await subscribe(two, "room", "changes=true", { "last-event-id": first.id });
      await until(() => stream.messages.length === 2, "it has come");
      assertEquals(stream.messages, [second, newer]);
    }
  }
});

Deno.test("Who has read in the database is not given, out of memory, what a message was before", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { ...NEVER, MAX_TAIL_MESSAGES: "20" });
  await using silent = await silentStore(database);
  await using _holds = await subscribe(server, "room", "changes=true&after=now");
  const said: Message[] = [];
  for (let i = 0; i < 60; i++) said.push(await say(server, `${i}`.padEnd(10_000)));
  const subscriber = await server.chat.subscribe("room", { after: NIL, parameter: "after", changes: true });
  const had: Entry[] = [...(await take(subscriber))!]; // 250 kB, out of the database
  const target = said[30]!.id;
  await silent.edit(target, KEY, "Older");
  await messages(server, "room", "wait=0&limit=1"); // looks, and keeps that
  const newer = await silent.edit(target, KEY, "Newer");
  while (had.length < 61) had.push(...(await take(subscriber))!);
  subscriber.end();
  assertEquals(had.slice(0, 60).map(({ id }) => id), said.map(({ id }) => id));
  assertEquals(had.filter(({ id }) => id === target).map(({ changed }) => changed), [newer, newer]);
});

Deno.test("Whoever follows with changes, on whichever server and however long away, ends with exactly what there is", async () => {
  await using database = await postgres.create();
  await using one = await startServer(database.url, { MAX_TAIL_MESSAGES: "20" });
  await using two = await startServer(database.url);
  const servers = [one, two];
  const pick = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)]!;
  const known: Message[] = [await say(one, "first")];
  let over = false;
  const write = async (writer: number) => {
    for (let i = 0; i < 60; i++) {
      const dice = Math.random();
      const target = pick(known);
      if (dice < 0.4) known.push(await say(pick(servers), `${writer} ${i}`));
      else if (dice < 0.9) {
        assert([200, 410].includes((await edit(pick(servers), target, `${writer} ${i} edited`)).status));
      } else assert([204].includes((await remove(pick(servers), target)).status));
    }
  };
  /** Keeps what it is given, by id, and checks the order of what it is given. */
  const follow = async (sleepy: boolean) => {
    const held = new Map<string, Item>();
    let cursor = "00000000-0000-0000-0000-000000000000";
    for (let last = false; !last;) {
      last = over;
      const limit = pick([1, 3, 100, 1_000]);
      const answer = await get<Item[]>(
        pick(servers),
        `/rooms/room/messages?after=${cursor}&wait=${last ? 0 : pick([0, 1])}&limit=${limit}&changes=true`,
      );
      if (answer.status === 503) { // the server could not look for a second, and says so
        last = false;
        continue;
      }
      assertEquals(answer.status, 200, answer.text);
      for (const item of answer.json) {
        const at = cursorAfter(cursor, item);
        assertGreater(at, cursor, "out of order, or twice");
        const had = held.get(item.id);
        assert(!had || (item.changed ?? item.id) >= (had.changed ?? had.id), "older than what he had");
        held.set(item.id, item);
        cursor = at;
      }
      const next = new URL(linked(answer, "next")!).searchParams.get("after")!;
      assert(next >= cursor);
      cursor = next;
      if (answer.json.length > 0) last = false;
      else if (sleepy && !over) await until(() => over, "all is written");
    }
    return held;
  };
  const followers = [false, false, true, true].map(follow);
  await Promise.all([1, 2, 3, 4].map(write));
  over = true;
  const rows = await database.sql<
    { id: string; body: string; changed: string | null }[]
  >`select id, body, changed from messages order by id`;
  const expected = rows.filter(({ body }) => body !== "").map((
    { id, body, changed },
  ) => [id, body, changed ?? undefined]);
  for (const held of await Promise.all(followers)) {
    const there = [...held.values()].filter(({ deleted }) => !deleted).sort((a, b) => a.id < b.id ? -1 : 1);
    assertEquals(there.map(({ id, body, changed }) => [id, body, changed]), expected);
  }
  for (const server of servers) {
    const plain = await messages(server, "room", "wait=0&limit=1000");
    assertEquals(plain.map(({ id, body, changed }) => [id, body, changed]), expected);
  }
});

Deno.test("A poll that was woken by a message which is deleted before it is read goes on waiting", async () => {
  await using database = await postgres.create();
  // No message fits the tail: who is woken reads it out of the database.
  const env = { MAX_TAIL_BYTES: "1", DATABASE_CONNECTIONS: "5", STATEMENT_TIMEOUT_MS: "600000" };
  await using server = await startServer(database.url, env);
  const first = await say(server, "One");
  await messages(server, "room", "before=now");
  let answered = false;
  const answer = get(server, `/rooms/room/messages?after=${first.id}&wait=50`).finally(() => answered = true);
  await until(() => server.chat.state.waiters === 1, "it waits");
  using reads = await pauseReads(database);
  const { statements } = server.chat.state;
  const second = await say(server, "Two");
  await until(() => server.chat.state.statements > statements + 2, "it is woken, and reads");
  assertEquals((await remove(server, second)).status, 204);
  reads.resume();
  await until(() => server.chat.state.waiters === 1 || answered, "it waits again");
  assertFalse(answered);
  const third = await say(server, "Three");
  assertEquals((await answer).json, [third]);
});

Deno.test("Who deleted what is in the log, without the words, also where nobody knows whether it was done", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, {
    TOKEN_SECRET: SECRET,
    ANONYMOUS_WRITE: "*",
    ANONYMOUS_READ: "*",
  });
  const ada = bearer(await tokenOf({ sub: "ada", read: ["*"], write: ["*"] }));
  const mod = bearer(await tokenOf({ sub: "mod", read: ["*"], write: ["*"], moderate: ["*"] }));
  const own = (await read<Message>(post(server, "room", { body: "a word" }, ada))).json;
  const [first, second] = [await say(server, "a word"), await say(server, "a word")];
  const lines = await logged(async () => {
    for (const [message, headers] of [[own, ada], [first, mod], [second, undefined], [second, undefined]] as const) {
      assertEquals((await remove(server, message, headers)).status, 204);
    }
  });
  const told = (id: string, by: string) => `info A message was deleted ${JSON.stringify({ room: "room", id, by })}`;
  assertEquals(lines.map((line) => line.slice(25)), [
    told(own.id, "sub ada"),
    told(first.id, "sub mod, who moderates"),
    told(second.id, "whoever has its Message-Key"),
  ]);

  const store = { change: () => Promise.reject(new DatabaseError("unknown", "08006", undefined, {})) };
  const changer = new Changer(store, () => {});
  const wanted = { room: "room", id: own.id, sub: "mod", proof: null, moderates: true, known: null, random: "" };
  const [line, ...others] = await logged(async () => {
    for (const body of ["", "edited"]) {
      const refusal = await assertRejects(() => changer.change({ ...wanted, body }, UNLIMITED), Problem);
      assertEquals(refusal.type, "outcome-unknown");
    }
  });
  assertStringIncludes(
    line!,
    `info A message may have been deleted ${
      JSON.stringify({ room: "room", id: own.id, by: "sub mod, who moderates" })
    }`,
  );
  assertEquals(others, []);
});

Deno.test("A change that PostgreSQL ends for another statement's sake is tried again, and made once", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const [first, second] = [await say(server, "One"), await say(server, "Two")];
  await database.sql.unsafe(`
    create sequence tries;
    create function end_it() returns trigger language plpgsql as $$ begin
      case nextval('tries')
        when 1, 3 then raise exception 'a deadlock' using errcode = '40P01';
        when 2, 4 then raise exception 'not serializable' using errcode = '40001';
        else return new;
      end case;
    end $$;
    create trigger end_it before update on messages for each row execute function end_it()`);
  const edited = await edit(server, first, "Won");
  assertEquals([edited.status, edited.json.body], [200, "Won"]);
  assertEquals([...await database.sql`select nextval('tries')::int as tries`], [{ tries: 6 }]);
  await database.sql`select setval('tries', 3)`; // the next is the fourth
  assertEquals((await remove(server, second)).status, 204);
  assertEquals((await messages(server, "room", "wait=0")).map(({ id }) => id), [first.id]);
});

Deno.test("A change that is ended again and again is refused, and nothing is changed", async () => {
  let tries = 0;
  let now = 0;
  const store = {
    change: () => {
      tries++;
      now += 500;
      if (tries > 100) return Promise.resolve({ outcome: "missing" } as const); // it would never end
      return Promise.reject(new DatabaseError("rolled-back", "40P01", undefined, {}));
    },
  };
  const changer = new Changer(store, () => {}, new LockedRooms(), () => now);
  const wanted = { room: "room", id: "", body: "x", sub: null, proof: null, moderates: false, known: null, random: "" };
  const refusal = await assertRejects(() => changer.change(wanted, UNLIMITED), Problem);
  assertEquals([refusal.status, refusal.type, tries], [503, "not-stored", 4]);
});

Deno.test("A room that another goes on holding is left alone by changes too, and by the posts there", async () => {
  let tries = 0;
  let now = 0;
  const entry = makeEntry("room", NIL, null, "x");
  const away = () => Promise.reject(new DatabaseError("rolled-back", "55P03", undefined, {}));
  const store = {
    change: () => {
      tries++;
      now += 1_000;
      if (now < 3_000) return away();
      return Promise.resolve(tries === 3 ? { outcome: "missing" } as const : { outcome: "same", entry } as const);
    },
  };
  const locked = new LockedRooms(() => now);
  const changer = new Changer(store, () => {}, locked, () => now);
  const wanted = { room: "room", id: "", body: "x", sub: null, proof: null, moderates: false, known: null, random: "" };
  const refused = async () => (await assertRejects(() => changer.change(wanted, UNLIMITED), Problem)).status;
  assertEquals([await refused(), await refused(), await refused(), tries], [503, 503, 503, 2]);
  assert(locked.isLeftAlone("room"));
  now = 5_000;
  assertEquals([await refused(), tries, locked.has("room")], [404, 3, true]); // an import may be about to make it
  assertEquals([(await changer.change(wanted, UNLIMITED)).done, locked.has("room")], [false, false]);
});

Deno.test("That a message is locked is no matter of its room, in whatever language the database says so", async () => {
  for (
    const where of [
      `while updating tuple (0,1) in relation "messages"`,
      "beim Aktualisieren von Tupel (0,1) in Relation »messages«",
    ]
  ) {
    const store = {
      change: () => Promise.reject(new DatabaseError("rolled-back", "55P03", undefined, { cause: { where } })),
    };
    const locked = new LockedRooms();
    const changer = new Changer(store, () => {}, locked);
    const wanted = {
      room: "room",
      id: "",
      body: "x",
      sub: null,
      proof: null,
      moderates: false,
      known: null,
      random: "",
    };
    assertEquals((await assertRejects(() => changer.change(wanted, UNLIMITED), Problem)).status, 503);
    assertFalse(locked.has("room"));
  }
});

Deno.test("Who holds a message keeps those from changing it, and nobody from posting", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const message = await say(server, "held");
  const holding = await hold(database, (sql) => sql`select from messages for update`);
  const remove = async () => (await change(server, "DELETE", message, { "message-key": KEY })).status;
  assertEquals([await remove(), await remove()], [503, 503]);
  const { statements } = server.chat.state;
  assertEquals([await remove(), server.chat.state.statements], [503, statements]); // it is left alone for a while
  await say(server, "meanwhile");
  await holding.end();
  await until(async () => await remove() === 204, "it is tried again");
});

async function say(server: TestServer, body: string): Promise<Message> {
  const answer = await read<Message>(post(server, "room", { body }, { "message-key": KEY }));
  assertEquals(answer.status, 201, answer.text);
  return answer.json;
}

function change(
  server: { url: string },
  method: string,
  { id, room }: Message,
  headers: Record<string, string>,
  body?: string,
): Promise<Answer<Message>> {
  return read<Message>(fetch(`${server.url}/rooms/${room}/messages/${id}`, {
    method,
    headers: { ...headers, ...body !== undefined && { "content-type": "application/json" } },
    ...body !== undefined && { body: JSON.stringify({ body }) },
  }));
}

function edit(
  server: { url: string },
  message: Message,
  body: string,
  headers: Record<string, string> = { "message-key": KEY },
) {
  return change(server, "PATCH", message, headers, body);
}

function remove(server: { url: string }, message: Message, headers: Record<string, string> = { "message-key": KEY }) {
  return change(server, "DELETE", message, headers);
}

function poll(server: TestServer, after: string, wait: number): Promise<Answer<Item[]>> {
  return get<Item[]>(server, `/rooms/room/messages?after=${after}&wait=${wait}&changes=true`);
}

function problem({ status, json }: Answer<unknown>): [number, string] {
  return [status, (json as ProblemDetails).type.replace("urn:linger:problem:", "")];
}

function number({ id }: Message): number {
  return parseInt(id.slice(14, 18) + id.slice(19, 23) + id.slice(24, 26), 16);
}

// The client, against real servers over real sockets, with the faults that a laptop meets. Where time matters it stands still,
// and moves only as a test says: what happens while it stands needs no timer. It moves while the client pauses or a poll
// lingers, not while another request is under way: on a slow machine that would be given up as late.
import { assert, assertEquals, assertGreater, assertLess, assertRejects, assertThrows } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { getEventListeners } from "node:events";
import {
  type ConnectionState,
  cursorAfter,
  type Deletion,
  type FollowOptions,
  Linger,
  LingerError,
  type Message,
} from "../src/client/client.ts";
import { messageNumber, type Retry, type Room } from "../src/client/client.ts";
import { health, messages, PATIENCE_MS, posted, until } from "./support/client.ts";
import { cutter, middlebox } from "./support/middlebox.ts";
import { freePort, projectPath, testPostgres } from "./support/postgres.ts";
import { type ServerProcess, spawnServer, startServer } from "./support/server.ts";

const NIL = "00000000-0000-0000-0000-000000000000";

const postgres = await testPostgres();

/** A follow that goes on by itself. */
interface Follow {
  readonly bodies: string[];
  /** Resolves when it has ended. */
  stop(): Promise<void>;
}

function follow(room: Room, options: FollowOptions = {}): Follow {
  const iterator = room.follow(options);
  const bodies: string[] = [];
  const done = (async () => {
    for await (const { body } of iterator) bodies.push(body);
  })();
  return {
    bodies,
    stop: async () => {
      await iterator.return!();
      await done;
    },
  };
}

/** Waits, in real time, for a condition, while the faked time stands still. */
async function settled(time: FakeTime, condition: () => boolean, what: string): Promise<void> {
  for (let i = 0; !condition(); i++) {
    if (i > PATIENCE_MS / 2) throw new Error(`Waited in vain until ${what}`);
    await time.delay(2);
  }
}

/** Gives everything that needs no timer the chance to happen. */
const idle = (time: FakeTime) => time.delay(50);

/** What a client sends with, and how many of its requests are under way, those that linger left out. */
class Traffic {
  underWay = 0;
  readonly fetch = async (request: RequestInfo | URL): Promise<Response> => {
    const counts = isPoll(request as Request) ? 0 : 1;
    this.underWay += counts;
    try {
      const response = await fetch(request);
      return new Response(await response.text(), response); // whole: for what follows nobody needs the network
    } finally {
      this.underWay -= counts;
    }
  };

  /** Resolves when every answer is there, and the client has done what it does then: given it, or begun to pause. */
  async settled(time: FakeTime): Promise<void> {
    await time.delay(0);
    await settled(time, () => this.underWay === 0, "its requests are answered");
  }
}

/** Moves the faked time, by `step` milliseconds at once, until a condition holds. */
async function passing(time: FakeTime, traffic: Traffic, condition: () => boolean, what: string, step = 1_000) {
  for (let steps = 0;; steps++) {
    await traffic.settled(time);
    if (condition()) return;
    if (steps === 1_000) throw new Error(`${steps} times ${step} ms passed in vain until ${what}`);
    time.tick(step);
  }
}

/** A follow whose first poll waits for ever, beside news, under a faked time. */
async function followUnanswered(server: ServerProcess) {
  let asked = 0;
  const box = middlebox(server, (request, forward) => isPoll(request) && asked++ === 0 ? never() : forward());
  const time = new FakeTime();
  const room = new Linger(box.url).room("room");
  const seen = follow(room);
  await settled(time, () => asked === 1, "it waits");
  await posted(server, "room", "1");
  return {
    time,
    room,
    seen,
    /** Polls so far. */
    get asked() {
      return asked;
    },
    [Symbol.asyncDispose]: async () => {
      time[Symbol.dispose]();
      await box[Symbol.asyncDispose]();
    },
  };
}

/** A test with a server process of its own. */
function test(name: string, run: (server: ServerProcess) => Promise<void>): void {
  Deno.test(name, async () => {
    await using database = await postgres.create();
    await using server = await spawnServer(database.url);
    await run(server);
  });
}

const never = () => new Promise<Response>(() => {});
const busy = (headers: Record<string, string> = {}, status = 503) => new Response("Busy", { status, headers });
const isPoll = ({ method, url }: Request) => method === "GET" && !url.includes("wait=0");

// What it is for

test("What one posts, the other sees; and history has it", async (server) => {
  const [one, other] = [new Linger(server.url).room("tea"), new Linger(`${server.url}/`).room("tea")];
  const seen = follow(other);
  await until(() => other.connection.state.status === "live", "it is live");
  const first = await one.post("Hello", { author: "Ann" });
  assertEquals({ ...first, id: "", created_at: "" }, {
    id: "",
    room: "tea",
    author: "Ann",
    body: "Hello",
    created_at: "",
  });
  for (const body of ["2", "3", "4", "5"]) await one.post(body);
  await until(() => seen.bodies.length === 5, "all are there");
  await seen.stop();
  assertEquals(seen.bodies, ["Hello", "2", "3", "4", "5"]);

  const newest = await one.history({ limit: 3 });
  assertEquals([newest.messages.map(({ body }) => body), newest.more], [["3", "4", "5"], true]);
  const oldest = await one.history({ before: newest.messages[0]!.id, limit: 3 });
  assertEquals([oldest.messages, oldest.more], [(await messages(server, "tea", "")).slice(0, 2), false]);
  assertEquals(oldest.messages.map(({ id }) => messageNumber(id)), [1, 2]);
  assertEquals(messageNumber(NIL), 0);
});

test("A follow from the first message gives all there are, over many pages", async (server) => {
  const room = new Linger(server.url).room("long");
  const bodies = Array.from({ length: 1_203 }, (_, i) => `${i}`);
  for (let i = 0; i < bodies.length; i += 100) {
    await Promise.all(bodies.slice(i, i + 100).map((body) => room.post(body)));
  }
  const seen = follow(room, { after: NIL });
  await until(() => seen.bodies.length >= bodies.length, "all are there");
  await seen.stop();
  assertEquals(
    seen.bodies,
    (await Promise.all(["limit=1000", `before=now&limit=203`].map((query) => messages(server, "long", query)))).flat()
      .map(({ body }) => body),
  );
});

test("A cursor can be a ULID in either case, or any moment", async (server) => {
  await posted(server, "room", "1");
  for (const after of ["0".repeat(26), "01arz3ndektsv4rrffq69g5fav", "00000000-0000-0000-0000-00000000000A"]) {
    const seen = follow(new Linger(server.url).room("room"), { after });
    await until(() => seen.bodies.length > 0, "it is there");
    await seen.stop();
    assertEquals(seen.bodies, ["1"]);
  }
});

test("A token can be a function: it is asked before each request, once more after a 401, and again when it fails", async (server) => {
  const shown: (string | null)[] = [];
  await using box = middlebox(server, ({ headers }, forward) => {
    const token = headers.get("authorization");
    shown.push(token);
    const refused = {
      type: "urn:linger:problem:unauthorized",
      title: "",
      status: 401,
      detail: "The token has expired",
    };
    return token === "Bearer old" ? Response.json(refused, { status: 401 }) : forward();
  });
  let tokens: (string | undefined | Error)[] = [];
  const token = () => {
    const next = tokens.length > 1 ? tokens.shift() : tokens[0];
    return next instanceof Error ? Promise.reject(next) : Promise.resolve(next);
  };
  const room = new Linger(box.url, { token }).room("room");
  const ask = async (...given: typeof tokens) => {
    tokens = given;
    shown.length = 0;
    await room.history().catch((error) => shown.push(`${error.status} ${error.message}`));
    return [...shown];
  };
  assertEquals(await ask("new"), ["Bearer new"]);
  for (const none of [undefined, "", null as unknown as undefined]) assertEquals(await ask(none), [null]);
  assertEquals(await ask("old", "new"), ["Bearer old", "Bearer new"]);
  assertEquals(await ask("old"), ["Bearer old", "Bearer old", "401 The token has expired"]);
  assertEquals(await ask(new Error("no network"), "new"), ["Bearer new"]);
  // A post keeps its key, so that it is one message however often a token was renewed.
  tokens = ["old", "new"];
  await room.post("once");
  assertEquals((await room.history()).messages.map(({ body }) => body), ["once"]);
});

test("A message is edited and deleted until the server has told, though its answers are lost, or come from a hotel", async (server) => {
  const asked: string[] = [];
  await using box = middlebox(server, async ({ method }, forward) => {
    if (method !== "PATCH" && method !== "DELETE") return await forward();
    const times = asked.push(method) - asked.lastIndexOf(method === "PATCH" ? "DELETE" : "PATCH");
    if (times % 3 === 1) return new Response("<h1>Welcome to our hotel</h1>");
    const answer = await forward();
    if (times % 3 === 0) return answer;
    await answer.body?.cancel();
    return busy();
  });
  const room = new Linger(box.url).room("room");
  const messageKey = "only I know this, and no one else";
  const message = await room.post("Helo", { messageKey });
  const edited = await room.edit(message.id, "Hello", { messageKey, known: message });
  assertEquals({ ...edited, changed: "" }, { ...message, body: "Hello", changed: "" });
  const stale = await assertRejects(() => room.edit(message.id, "Hi", { messageKey, known: message }), LingerError);
  assertEquals([stale.status, stale.problem?.type], [412, "urn:linger:problem:changed"]);
  const foreign = await assertRejects(() => room.delete(message.id), LingerError);
  assertEquals(foreign.status, 403);
  await room.delete(message.id, { messageKey, known: edited });
  const gone = await assertRejects(() => room.edit(message.id, "Hello", { messageKey }), LingerError);
  assertEquals([gone.status, gone.problem?.type], [410, "urn:linger:problem:gone"]);
  assertEquals((await room.history()).messages, []);
});

test("A follow with changes gives edits and deletions in their order, and goes on from the place of the last one", async (server) => {
  const room = new Linger(server.url).room("room");
  const messageKey = "only I know this, and no one else";
  const [one, two] = [await room.post("1", { messageKey }), await room.post("2", { messageKey })];
  const seen: (Message | Deletion)[] = [];
  const take = async (after: string, count: number) => {
    seen.length = 0;
    for await (const item of room.follow({ after, changes: true })) {
      seen.push(item);
      if (seen.length === count) break;
    }
    return [...seen];
  };
  const taking = take(NIL, 5);
  await until(() => seen.length === 2, "it has what there is");
  const edited = await room.edit(one.id, "one", { messageKey });
  await room.delete(two.id, { messageKey });
  const three = await room.post("3");
  const all = await taking;
  const deletion = all[3] as Deletion;
  assertEquals(all, [one, two, edited, { id: two.id, room: "room", changed: deletion.changed, deleted: true }, three]);
  assertEquals(await take(NIL, 4), [edited, edited, deletion, three]); // the first where it stands, and where it was changed
  assertEquals(await take(edited.changed!, 2), [deletion, three]);
});

test("Whoever keeps the cursor while he follows with changes goes on with exactly what comes next, wherever he stopped", async (server) => {
  const room = new Linger(server.url).room("room");
  const messageKey = "only I know this, and no one else";
  const ids: string[] = [];
  for (const body of ["1", "2", "3", "4"]) ids.push((await room.post(body, { messageKey })).id);
  await room.edit(ids[1]!, "two", { messageKey });
  await room.delete(ids[2]!, { messageKey });
  const last = await room.post("5");
  let cursor = NIL;
  const take = async (count = Infinity) => {
    const items: (Message | Deletion)[] = [];
    for await (const item of room.follow({ after: cursor, changes: true })) {
      items.push(item);
      cursor = cursorAfter(cursor, item);
      if (items.length === count || item.id === last.id) break;
    }
    return items;
  };
  const all = await take();
  assertEquals(all.map(({ id }) => id), [ids[0], ids[1], ids[3], ids[1], ids[2], last.id]);
  assertEquals(all[1], all[3]); // the same both times
  for (let count = 1; count < all.length; count++) {
    cursor = NIL;
    assertEquals([...await take(count), ...await take()], all, `stopped after ${count}`);
  }
  // Where he began with `now`, what comes first can have been edited already; and no other cursor than a UUID tells whether it is.
  assertEquals(cursorAfter("now", all[1]!), ids[1]);
  assertEquals(cursorAfter("7zzzzzzzzzzzzzzzzzzzzzzzzz", all[1]!), ids[1]);
  assertEquals(cursorAfter(ids[3]!.toUpperCase(), all[3]!), (all[3] as Message).changed);
});

test("A follow with changes passes over none at a server that is too old to give them: it is tried again", async (server) => {
  const room = new Linger(server.url).room("room");
  const messageKey = "only I know this, and no one else";
  const { id } = await room.post("1", { messageKey });
  const edited = await room.edit(id, "one", { messageKey });
  const [two, three] = [await room.post("2"), await room.post("3")];
  let answers = 0;
  await using box = middlebox(server, async ({ url }, forward) => {
    if (++answers > 1) return await forward();
    const { pathname, search } = new URL(url);
    const answer = await fetch(server.url + pathname + search.replace("&changes=true", ""));
    return new Response(await answer.text(), answer); // whose Link has no changes either
  });
  const items: (Message | Deletion)[] = [];
  for await (const item of new Linger(box.url).room("room").follow({ after: id, changes: true })) {
    items.push(item);
    if (item.id === three.id) break;
  }
  assertEquals(items, [edited, two, three]);
  assertEquals(answers, 2);
});

for (const fault of ["hides Link", "gives a page once more"]) {
  for (const start of ["a cursor", "now", "a gap"]) {
    if (fault === "hides Link" && start === "now") continue; // then there is no start at all
    test(`Behind what ${fault}, a follow from ${start} goes on where an edit stands, not where its message does`, async (server) => {
      const origin = new Linger(server.url).room("room");
      const messageKey = "only I know this, and no one else";
      const [one, two, three] = [
        await origin.post("1"),
        await origin.post("2", { messageKey }),
        await origin.post("3"),
      ];
      let again: Response | undefined;
      let pages = 0;
      await using box = middlebox(server, async (request, forward) => {
        const gap = { type: "urn:linger:problem:trimmed", title: "", status: 410, detail: "", earliest: three.id };
        if (request.url.includes(one.id)) return Response.json(gap, { status: 410 });
        if (again) return [again, again = undefined][0]!;
        const answer = await forward();
        if (fault === "hides Link") answer.headers.delete("link");
        else if (await answer.clone().text() !== "[]" && ++pages === 1) again = answer.clone();
        return answer;
      });
      const after = { "a cursor": three.id, "a gap": one.id, now: "now" }[start]!;
      const seen = follow(new Linger(box.url).room("room"), { after, changes: true });
      await until(async () => (await health(server)).waiters === 1, "it waits");
      await origin.edit(two.id, "two", { messageKey });
      await until(() => seen.bodies.length > 0, "the edit is there");
      await origin.post("4");
      await until(() => seen.bodies.includes("4"), "the next is there");
      await seen.stop();
      assertEquals([seen.bodies, again], [["two", "4"], undefined]);
    });
  }
}

for (const start of ["a cursor", "now", "a gap"]) {
  test(`What a proxy has kept from before the start of a follow from ${start} is not given`, async (server) => {
    const [one, two] = [await posted(server, "room", "1"), await posted(server, "room", "2")];
    const old = JSON.stringify([one, two]);
    let answers = 0;
    await using box = middlebox(server, async (request, forward) => {
      const gap = { type: "urn:linger:problem:trimmed", title: "", status: 410, detail: "", earliest: two.id };
      if (request.url.includes(one.id)) return Response.json(gap, { status: 410 });
      return ++answers === (start === "now" ? 2 : 1) ? new Response(old) : await forward();
    });
    const after = { "a cursor": two.id, "a gap": one.id, now: "now" }[start]!;
    const seen = follow(new Linger(box.url).room("room"), { after });
    await until(async () => (await health(server)).waiters === 1, "it waits");
    await posted(server, "room", "3");
    await until(() => seen.bodies.includes("3"), "the next is there");
    await seen.stop();
    assertEquals(seen.bodies, ["3"]);
  });
}

test("A full page that comes again and again is asked for less and less, and the rest comes with another", async (server) => {
  const page = Array.from({ length: 500 }, (_, i) => ({ id: `00000000-0001-0000-0000-${`${i}`.padStart(12, "0")}` }));
  let old: string | undefined = JSON.stringify(page);
  await using box = middlebox(server, (_, forward) => old === undefined ? forward() : new Response(old));
  using time = new FakeTime();
  const traffic = new Traffic();
  const room = new Linger(box.url, traffic).room("room");
  const seen = follow(room, { after: NIL });
  await settled(time, () => seen.bodies.length === 500, "the page is there");
  await settled(time, () => room.connection.state.status === "reconnecting", "it has come again");
  assertEquals(box.seen.length, 2); // the time stands still
  await posted(server, "room", "new");
  old = undefined;
  await passing(time, traffic, () => seen.bodies.length > 500, "the rest is there");
  assertEquals(seen.bodies.slice(500), ["new"]);
  await seen.stop();
});

test("A page that comes once more loses nothing, though a message on it was edited since", async (server) => {
  const room = new Linger(server.url).room("room");
  const messageKey = "only I know this, and no one else";
  const { id } = await room.post("1", { messageKey });
  for (const body of ["2", "3", "4"]) await room.post(body);
  await room.edit(id, "one", { messageKey });
  let first: string | undefined;
  for (const changes of [false, true]) {
    let asked = 0;
    await using box = middlebox(server, async ({ url, headers }) => {
      const { pathname, search } = new URL(url);
      const answer = await fetch(server.url + pathname + search.replace("limit=500", "limit=2"), { headers });
      const text = await answer.text();
      if (++asked === 1) first = text;
      return new Response(asked === 2 ? first : text, asked === 2 ? {} : answer);
    });
    const seen = follow(new Linger(box.url).room("room"), { after: NIL, changes });
    await until(() => seen.bodies.length >= 4 + Number(changes), "all is there");
    await seen.stop();
    assertEquals(seen.bodies, ["one", "2", "3", "4", ...changes ? ["one"] : []]);
  }
});

test("A URL can have a path prefix, with or without a slash, and the token goes with every request", async (server) => {
  const tokens = new Set<string | null>();
  await using box = middlebox(server, ({ url, headers }, forward) => {
    tokens.add(headers.get("authorization"));
    return url.endsWith("/rooms") ? Response.json([{ room: "room", newest: NIL }]) : forward();
  }, "/my/chat");
  for (const url of [`${box.url}/my/chat`, `${box.url}/my/chat/`, new URL(`${box.url}/my/chat?x=1#y`)]) {
    const linger = new Linger(url, { token: "secret" });
    const { id } = await linger.room("room").post("x");
    assertEquals((await linger.room("room").history()).messages.at(-1)!.id, id);
    assertEquals(await linger.rooms(), [{ room: "room", newest: NIL }]);
    for await (const { body } of linger.room("room").follow({ after: NIL })) {
      assertEquals(body, "x");
      break;
    }
  }
  assertEquals([...tokens], ["Bearer secret"]);
  assertThrows(() => new Linger(box.url).room(".."), TypeError);
});

test("Between the first poll of a follow from now on and the second nothing gets lost", async (server) => {
  const held = Promise.withResolvers<void>();
  await using box = middlebox(server, async (request, forward) => {
    if (isPoll(request)) await held.promise;
    return await forward();
  });
  const seen = follow(new Linger(box.url).room("room"));
  await until(() => box.seen.length === 2, "the first poll is answered, the second on its way");
  await posted(server, "room", "between");
  held.resolve();
  await until(() => seen.bodies.length === 1, "it is there");
  await seen.stop();
  assertEquals(seen.bodies, ["between"]);
});

test("While its reader is busy nothing is asked, and never two things at once", async (server) => {
  await posted(server, "room", "1");
  let [under, most] = [0, 0];
  await using box = middlebox(server, async (_, forward) => {
    most = Math.max(most, ++under);
    return await forward().finally(() => under--);
  });
  const messages = new Linger(box.url).room("room").follow({ after: NIL });
  await messages.next();
  await new Promise((resolve) => setTimeout(resolve, 50));
  assertEquals(box.seen.length, 1);
  const next = [messages.next(), messages.next()];
  await until(() => box.seen.length === 2, "it asks");
  await posted(server, "room", "2");
  await posted(server, "room", "3");
  assertEquals((await Promise.all(next)).map(({ value }) => (value as Message).body), ["2", "3"]);
  await messages.return!();
  assertEquals(most, 1);
});

test("Whoever catches up waits for nothing until he has, so that a cache can answer him", async (server) => {
  await Promise.all(Array.from({ length: 1_100 }, (_, i) => posted(server, "room", `${i}`)));
  await using box = middlebox(server, (_, forward) => forward());
  const seen = follow(new Linger(box.url).room("room"), { after: NIL });
  await until(() => seen.bodies.length === 1_100 && box.seen.length === 4, "it has caught up, and waits");
  await seen.stop();
  const waits = box.seen.map((request) => request.match(/wait=(\d+)/)?.[1]);
  assertEquals(waits, ["0", "0", "0", "50"]);
});

// Restarts and bad networks

for (const signal of ["SIGKILL", "SIGTERM"] as const) {
  Deno.test(`Through ${signal} and a new start, again and again, nothing is lost, doubled or out of order`, async () => {
    await using database = await postgres.create();
    const env = { PORT: `${freePort()}` };
    let server = await spawnServer(database.url, env);
    const room = new Linger(server.url).room("room");
    const states: string[] = [];
    room.connection.subscribe(({ status }) => states.push(status));
    const follows = [follow(room), follow(new Linger(server.url).room("room"), { after: NIL })];
    await until(() => room.connection.state.status === "live", "it is live");
    let finished = false;
    const acked: Message[] = [];
    const writers = Array.from({ length: 4 }, async (_, writer) => {
      for (let i = 0; !finished; i++) acked.push(await room.post(`${writer}-${i}`));
    });
    for (let restarts = 0; restarts < 3; restarts++) {
      const before = acked.length;
      await until(() => acked.length > before + 50, "posts flow");
      server.kill(signal);
      await server.status;
      server = await spawnServer(database.url, env);
    }
    finished = true;
    await Promise.all(writers);
    const rows = await database.sql<{ body: string }[]>`select body from messages order by id`;
    const stored = rows.map(({ body }) => body);
    await until(() => follows.every(({ bodies }) => bodies.length >= stored.length), "all are there", 40_000);
    await Promise.all(follows.map((follow) => follow.stop()));
    await server[Symbol.asyncDispose]();
    for (const { bodies } of follows) assertEquals(bodies, stored);
    assertEquals(acked.map(({ body }) => body).sort(), stored.toSorted());
    assert(states.includes("reconnecting"));
    assertEquals(states.at(-1), "idle");
  });
}

test("Answers cut at any byte lose and double nothing", async (server) => {
  await using box = cutter(server);
  const room = new Linger(box.url).room("room");
  const seen = follow(room, { after: NIL });
  await until(() => room.connection.state.status === "live", "it is live");
  const bodies: string[] = [];
  for (let i = 0; i < 24; i++) {
    box.cutNext(i * 23); // in the head, in the body, and once behind its end
    bodies.push(`${i}`);
    await posted(server, "room", `${i}`);
    await until(() => seen.bodies.length === i + 1, `${i} is there`, 30_000);
  }
  await seen.stop();
  assertEquals(seen.bodies, bodies);
  assertGreater(box.cuts, 20);
});

test("An answer that is cut without a trace, or is not Linger's, is a failed try", async (server) => {
  const { id } = await posted(server, "room", "1");
  const odd = [
    `[{"id":"${id}","body":"1"`,
    `[{"id":"${id}","body":"1"},{"bo`,
    "",
    "null",
    "{}",
    `[{"id":1}]`,
    "<h1>Log in to the network of this hotel</h1>",
  ];
  await using box = middlebox(server, (_, forward) => {
    const text = odd.shift();
    return text === undefined ? forward() : new Response(text, { headers: { link: `<?after=${id}>; rel="next"` } });
  });
  using time = new FakeTime();
  const traffic = new Traffic();
  const seen = follow(new Linger(box.url, traffic).room("room"), { after: NIL });
  await passing(time, traffic, () => seen.bodies.length > 0, "it is there");
  assertEquals([seen.bodies, odd], [["1"], []]);
  await seen.stop();
});

test("An answer that tells no place for now is a failed try, as long as it is empty", async (server) => {
  let answers = 0;
  await using box = middlebox(server, async (_, forward) => {
    const response = await forward();
    if (++answers < 3) response.headers.delete("link");
    return response;
  });
  using time = new FakeTime();
  const traffic = new Traffic();
  const room = new Linger(box.url, traffic).room("room");
  const seen = follow(room);
  await passing(time, traffic, () => room.connection.state.status === "live", "it is live");
  await settled(time, () => box.seen.length === 4, "it waits");
  assertEquals(box.seen.map((line) => /after=([^&]*)/.exec(line)![1]), ["now", "now", "now", NIL]);
  await seen.stop();
});

test("What a proxy gives once more is not given once more", async (server) => {
  let old: string | undefined;
  await using box = middlebox(server, async (request, forward) => {
    if (isPoll(request) && old !== undefined) return new Response(old);
    const response = await forward();
    if (box.seen.length === 1) old = await response.clone().text();
    return response;
  });
  for (const body of ["1", "2"]) await posted(server, "room", body);
  using time = new FakeTime();
  const room = new Linger(box.url).room("room");
  const seen = follow(room, { after: NIL });
  await settled(time, () => room.connection.state.status === "reconnecting", "the old page has come again");
  await posted(server, "room", "3");
  old = undefined;
  time.tick(500);
  await settled(time, () => seen.bodies.length >= 3, "the next is there");
  await seen.stop();
  assertEquals(seen.bodies, ["1", "2", "3"]);
});

test("A post whose answers get lost is stored once, and told in the end", async (server) => {
  await using box = cutter(server);
  const room = new Linger(box.url).room("room");
  const stored: Message[] = [];
  for (const bytes of [0, 10, 200, 300]) {
    box.cutNext(bytes);
    stored.push(await room.post(`${bytes}`));
  }
  assertEquals(await messages(server, "room", ""), stored);
  assertEquals(box.cuts, 4);
  const [one, same] = [await room.post("x", { key: "k" }), await room.post("x", { key: "k" })];
  assertEquals(one, same);
  const error = await assertRejects(() => room.post("y", { key: "k" }), LingerError);
  assertEquals([error.status, error.problem!.type], [422, "urn:linger:problem:key-reused"]);
});

Deno.test("Two servers that take turns, with cuts between, are one server", async () => {
  await using database = await postgres.create();
  await using one = await spawnServer(database.url);
  await using two = await spawnServer(database.url);
  await using box = cutter(one, two);
  const rooms = Array.from({ length: 4 }, () => new Linger(box.url).room("room"));
  const follows = rooms.map((room) => follow(room, { after: NIL }));
  for (let i = 0; i < 100; i++) {
    if (i % 10 === 0) box.cutNext(i);
    await rooms[i % 4]!.post(`${i}`);
  }
  const expected = Array.from({ length: 100 }, (_, i) => `${i}`);
  await until(() => follows.every(({ bodies }) => bodies.length >= 100), "all are there", 30_000);
  await Promise.all(follows.map((follow) => follow.stop()));
  for (const { bodies } of follows) assertEquals(bodies, expected);
});

// Time: pauses, deadlines, sleep

test("A stream of news is not slowed: it flows while time stands still", async (server) => {
  const room = new Linger(server.url).room("room");
  using _time = new FakeTime();
  const seen = room.follow({ after: NIL });
  for (let i = 0; i < 100; i++) {
    const next = seen.next();
    await room.post(`${i}`);
    assertEquals((await next).value.body, `${i}`);
  }
  await seen.return!();
});

test("Who answers empty at once, again and again, is not hammered; and what comes then is seen", async (server) => {
  let broken = true;
  await using box = middlebox(
    server,
    (_, forward) =>
      broken ? Response.json([], { headers: { link: `<?after=${NIL}&limit=1>; rel="next"` } }) : forward(),
  );
  using time = new FakeTime();
  const traffic = new Traffic();
  const room = new Linger(box.url, traffic).room("room");
  const seen = follow(room);
  const retryAt = () => room.connection.state.status === "reconnecting" ? room.connection.state.retryAt : 0;
  for (const end = time.now + 600_000; time.now < end;) {
    await settled(time, () => retryAt() >= time.now, "it pauses");
    time.now = Math.ceil(retryAt()) + 1;
  }
  assertGreater(box.seen.length, 20);
  assertLess(box.seen.length, 200);
  broken = false;
  await posted(server, "room", "1");
  await passing(time, traffic, () => seen.bodies.length > 0, "it is there");
  assertEquals(seen.bodies, ["1"]);
  await seen.stop();
});

test("A proxy that cuts every poll before its wait is over makes no one slow", async (server) => {
  const held = new Set<() => void>();
  await using box = middlebox(server, async (request, forward) => {
    if (!isPoll(request)) return await forward();
    await new Promise<void>((resolve) => held.add(resolve));
    return busy({}, 504);
  });
  using time = new FakeTime();
  const room = new Linger(box.url).room("room");
  const seen = follow(room);
  for (let round = 0; round < 10; round++) {
    await settled(time, () => held.size === 1, "it waits");
    time.tick(30_000);
    held.forEach((cut) => cut());
    held.clear();
    await settled(time, () => room.connection.state.status === "reconnecting", "it is cut");
    time.tick(500);
  }
  await seen.stop();
});

test("A server that is away is asked less and less, and each client in its own rhythm", async (server) => {
  const away = { url: server.url };
  await using box = middlebox(away, () => busy());
  using time = new FakeTime();
  const retries = new Set<number>();
  const traffic = new Traffic();
  const rooms = [1, 2, 3].map(() => new Linger(box.url, traffic).room("room"));
  const follows = rooms.map((room) => {
    room.connection.subscribe((state) => {
      if (state.status === "reconnecting") retries.add(state.retryAt - time.now);
    });
    return follow(room);
  });
  for (let second = 0; second < 600; second++) {
    await traffic.settled(time);
    time.tick(1_000);
  }
  assertLess(box.seen.length, 3 * 100);
  assertGreater(retries.size, 30);
  assert([...retries].every((ms) => ms >= 0 && ms <= 30_000));
  assert([...retries].some((ms) => ms > 10_000));
  await Promise.all(follows.map((follow) => follow.stop()));
});

for (const kind of ["seconds", "an HTTP date"]) {
  test(`Retry-After in ${kind} is honoured by posts and follows, and online does not cut it short`, async (server) => {
    let refused = 0;
    await using box = middlebox(server, (_, forward) => {
      const value = kind === "seconds"
        ? "120"
        : new Date(Math.ceil(Date.now() / 1_000) * 1_000 + 120_000).toUTCString();
      return refused++ < 2 ? busy({ "retry-after": value }) : forward();
    });
    using time = new FakeTime();
    const begun = time.now;
    const traffic = new Traffic();
    const room = new Linger(box.url, traffic).room("room");
    const seen = follow(room, { after: NIL });
    const post = room.post("1");
    await traffic.settled(time);
    assertEquals([box.seen.length, room.connection.state.status], [2, "reconnecting"]);
    const state = room.connection.state as ConnectionState & { retryAt: number };
    assert(state.retryAt >= begun + 120_000 && state.retryAt <= begun + 122_000);
    dispatchEvent(new Event("online"));
    await idle(time);
    time.tick(119_000);
    await idle(time);
    assertEquals(box.seen.length, 2);
    for (const _ of [1, 2]) {
      time.tick(2_000);
      await idle(time);
    }
    assertEquals((await post).body, "1");
    await settled(time, () => seen.bodies.length === 1, "it is there");
    await seen.stop();
  });
}

test("A Retry-After that can't be meant keeps nobody away for ever", async (server) => {
  const odd = ["soon", "99999999999999999999", new Date(8e15).toUTCString(), "Thu, 01 Jan 1970 00:00:00 GMT"];
  await using box = middlebox(server, (_, forward) => {
    const value = odd.shift();
    return value ? busy({ "retry-after": value }) : forward();
  });
  using time = new FakeTime();
  const traffic = new Traffic();
  const begun = time.now;
  let told: string | undefined;
  new Linger(box.url, traffic).room("room").post("1").then(({ body }) => told = body);
  await passing(time, traffic, () => told !== undefined, "it is told", 60_000);
  assertEquals([told, odd, box.seen.length], ["1", [], 5]);
  // Two of the four can be meant as "long": an hour at most for each, and the pauses.
  assertGreater(time.now - begun, 2 * 3_600_000);
  assertLess(time.now - begun, 2.5 * 3_600_000);
});

test("A request that is never answered is given up when its wait has long passed", async (server) => {
  await using unanswered = await followUnanswered(server);
  const { time, room, seen } = unanswered;
  time.tick(55_000); // longer than a server waits
  await idle(time);
  assertEquals([unanswered.asked, room.connection.state.status], [1, "live"]);
  time.tick(20_000);
  await settled(time, () => room.connection.state.status === "reconnecting", "it is given up");
  time.tick(500);
  await settled(time, () => seen.bodies.length === 1, "it is there");
  await seen.stop();
});

for (
  const [name, jump, tick] of [["sleeps for an hour", 3_600_000, 5_000], [
    "sets its clock back",
    -3_600_000,
    75_000,
  ]] as const
) {
  test(`A machine that ${name} during a request goes on`, async (server) => {
    await using unanswered = await followUnanswered(server);
    const { time, room, seen } = unanswered;
    // The clock is another, and no timer has run.
    globalThis.Date = new Proxy(Date, {
      get: (target, key) => key === "now" ? () => time.now + jump : Reflect.get(target, key),
    });
    time.tick(tick);
    await settled(time, () => room.connection.state.status === "reconnecting", "it is given up");
    time.tick(500);
    await settled(time, () => seen.bodies.length === 1, "it is there");
    await seen.stop();
  });
}

test("A clock that is set back while a poll waits makes no failure of its empty answer", async (server) => {
  const held = Promise.withResolvers<void>();
  let asked = 0;
  await using box = middlebox(server, async (request, forward) => {
    if (!isPoll(request)) return await forward();
    if (asked++ > 0) return await never();
    await held.promise;
    const { pathname, search } = new URL(request.url);
    return await fetch(server.url + pathname + search.replace("wait=50", "wait=0"));
  });
  using time = new FakeTime(); // stands still: no pause can pass
  const room = new Linger(box.url).room("room");
  const seen = follow(room);
  await settled(time, () => asked === 1, "it waits");
  const now = performance.now() + 50_000;
  Object.defineProperty(performance, "now", { value: () => now, configurable: true });
  globalThis.Date = new Proxy(Date, {
    get: (target, key) => key === "now" ? () => time.now - 3_600_000 : Reflect.get(target, key),
  });
  try {
    held.resolve();
    await settled(time, () => asked === 2, "it asks again");
    assertEquals(room.connection.state.status, "live");
    await seen.stop();
  } finally {
    Reflect.deleteProperty(performance, "now");
  }
});

test("A token that never comes is asked for again: late, or as soon as the network is back", async (server) => {
  let asked = 0;
  const token = () => ++asked > 2 ? "token" : new Promise<string>(() => {});
  using time = new FakeTime();
  const traffic = new Traffic();
  const room = new Linger(server.url, { ...traffic, token }).room("room");
  const tries: Retry[] = [];
  const post = room.post("1", { onRetry: (retry) => tries.push(retry) });
  time.tick(19_999);
  await idle(time);
  assertEquals([asked, tries.length], [1, 0]);
  time.tick(1);
  await settled(time, () => tries.length === 1, "it is late");
  time.tick(500);
  await settled(time, () => asked === 2, "it is asked for again");
  dispatchEvent(new Event("online"));
  await settled(time, () => asked === 3, "it is asked for without a pause: the time stands still");
  assertEquals([(await post).body, tries.length], ["1", 1]);
});

test("Each try at a page of history or at a search that fails is told", async (server) => {
  await posted(server, "room", "tea");
  let isAway = true;
  await using box = middlebox(server, (_, forward) => isAway ? busy() : forward());
  const room = new Linger(box.url).room("room");
  let tries = 0;
  const onRetry = () => {
    tries++;
    isAway = false;
  };
  const { messages: [message] } = await room.history({ onRetry });
  assertEquals([tries, message?.body], [1, "tea"]);
  isAway = true;
  for await (const { body } of room.history({ q: "tea", onRetry })) assertEquals([tries, body], [2, "tea"]);
  assertEquals(tries, 2);
});

test("An answer that comes slowly is waited for, one that stops in its middle is not", async (server) => {
  await posted(server, "room", "1");
  let writer: ReadableStreamDefaultController<Uint8Array>;
  let slow = true;
  await using box = middlebox(server, async (_, forward) => {
    const { headers, body } = await forward();
    if (!slow) return new Response(body, { headers });
    slow = false;
    headers.delete("content-length");
    return new Response(new ReadableStream({ start: (controller) => void (writer = controller) }), { headers });
  });
  const page = new TextEncoder().encode(JSON.stringify(await messages(server, "room", "")));
  using time = new FakeTime();
  let arrived = 0;
  const counted = () =>
    new TransformStream<Uint8Array, Uint8Array>({
      transform: (chunk, controller) => {
        arrived += chunk.length;
        controller.enqueue(chunk);
      },
    });
  const kept: Response[] = []; // in Deno a signal no longer reaches the body of a response that has been garbage collected
  const fetchCounted = async (request: RequestInfo | URL) => {
    const response = await fetch(request);
    kept.push(response);
    return new Response(response.body!.pipeThrough(counted()), response);
  };
  const room = new Linger(box.url, { fetch: fetchCounted }).room("room");
  const seen = follow(room, { after: NIL });
  await settled(time, () => writer !== undefined, "it is asked");
  let late = 0;
  globalThis.Date = new Proxy(Date, {
    get: (target, key) => key === "now" ? () => time.now + late : Reflect.get(target, key),
  });
  for (let i = 0; i < 20; i++) {
    if (i >= 10) late += 55_000; // in a hidden tab timers run once a minute, and a byte comes before
    writer!.enqueue(page.subarray(i, i + 1));
    await settled(time, () => arrived > i, "a byte has come");
    time.tick(10_000);
  }
  await idle(time);
  assertEquals([box.seen.length, room.connection.state.status], [1, "connecting"]);
  time.tick(20_000);
  await settled(time, () => room.connection.state.status === "reconnecting", "it is given up");
  time.tick(500);
  await settled(time, () => seen.bodies.length === 1, "it is there");
  await seen.stop();
});

// What a browser says

test("A network that goes is told, and one that comes back is used at once", async (server) => {
  let dead = false;
  await using box = middlebox(server, (_, forward) => dead ? never() : forward());
  const room = new Linger(box.url).room("room");
  using time = new FakeTime(); // stands still: no pause can pass
  const states: string[] = [];
  const unsubscribe = room.connection.subscribe(({ status }) => states.push(status));
  dead = true;
  const seen = follow(room, { after: NIL });
  const post = room.post("1");
  await settled(time, () => box.seen.length === 2, "both are on their way");
  dispatchEvent(new Event("offline"));
  assertEquals(room.connection.state, { status: "offline" });
  dead = false;
  dispatchEvent(new Event("online"));
  assertEquals((await post).body, "1");
  await settled(time, () => seen.bodies.length === 1, "it is there");
  unsubscribe();
  await seen.stop();
  assertEquals(states, ["connecting", "offline", "connecting", "live"]);
});

test("A network that comes back, or a look at the page, ends a pause", async (server) => {
  let away = true;
  await using box = middlebox(server, (_, forward) => away ? busy() : forward());
  const page = Object.assign(new EventTarget(), { visibilityState: "visible" });
  Object.assign(globalThis, { document: page });
  try {
    using time = new FakeTime(); // stands still: no pause can pass
    for (const [source, type] of [[globalThis, "online"], [page, "visibilitychange"]] as const) {
      away = true;
      const room = new Linger(box.url).room("room");
      const seen = follow(room);
      await settled(time, () => room.connection.state.status === "reconnecting", "it pauses");
      await idle(time);
      away = false;
      source.dispatchEvent(new Event(type));
      await settled(time, () => room.connection.state.status === "live", "it is live");
      await seen.stop();
    }
  } finally {
    Reflect.deleteProperty(globalThis, "document");
  }
});

test("Without a network it tries all the same, for the server may be on this machine", async (server) => {
  let dead = true;
  await using box = middlebox(server, (_, forward) => dead ? busy() : forward());
  const traffic = new Traffic();
  const room = new Linger(box.url, traffic).room("room");
  Object.defineProperty(navigator, "onLine", { value: false, configurable: true });
  try {
    using time = new FakeTime();
    const seen = follow(room);
    const post = room.post("1");
    await traffic.settled(time);
    assertEquals(room.connection.state.status, "offline");
    dead = false;
    time.tick(500);
    assertEquals((await post).body, "1");
    await settled(time, () => room.connection.state.status === "live", "it is live");
    await seen.stop();
  } finally {
    Reflect.deleteProperty(navigator, "onLine");
  }
});

test("A hidden page pauses between news and the next poll, until it is looked at", async (server) => {
  await using box = middlebox(server, (_, forward) => forward());
  const page = Object.assign(new EventTarget(), { visibilityState: "hidden" });
  Object.assign(globalThis, { document: page });
  try {
    using time = new FakeTime();
    const seen = follow(new Linger(box.url).room("room"), { after: NIL });
    await settled(time, () => box.seen.length === 2, "it waits, as any other");
    await posted(server, "room", "1");
    await settled(time, () => seen.bodies.length === 1, "the first is seen at once");
    await posted(server, "room", "2");
    await posted(server, "room", "3");
    await idle(time);
    assertEquals([seen.bodies, box.seen.length], [["1"], 2]);
    time.tick(10_000);
    await settled(time, () => seen.bodies.length === 3, "the rest comes in one answer");
    assertEquals(box.seen.length, 3);
    await posted(server, "room", "4");
    await idle(time);
    page.visibilityState = "visible";
    page.dispatchEvent(new Event("visibilitychange"));
    await settled(time, () => seen.bodies.length === 4, "it is looked at");
    await seen.stop();
  } finally {
    Reflect.deleteProperty(globalThis, "document");
  }
});

test("A hidden page that has missed much catches up without a pause", async (server) => {
  await Promise.all(Array.from({ length: 501 }, (_, i) => posted(server, "room", `${i}`)));
  Object.assign(globalThis, { document: Object.assign(new EventTarget(), { visibilityState: "hidden" }) });
  try {
    using time = new FakeTime(); // stands still: no pause can pass
    const seen = follow(new Linger(server.url).room("room"), { after: NIL });
    await settled(time, () => seen.bodies.length === 501, "all are there");
    await seen.stop();
  } finally {
    Reflect.deleteProperty(globalThis, "document");
  }
});

/** What nobody catches, as the world is told of it. */
function uncaught() {
  const errors: unknown[] = [];
  const onError = (event: ErrorEvent) => {
    event.preventDefault();
    errors.push(event.error.message);
  };
  addEventListener("error", onError);
  return { errors, [Symbol.dispose]: () => removeEventListener("error", onError) };
}

test("A listener that throws is told of, and harms nothing", async (server) => {
  using world = uncaught();
  const room = new Linger(server.url).room("room");
  const states: string[] = [];
  room.connection.subscribe(() => {
    throw new Error("mine");
  });
  room.connection.subscribe(({ status }) => states.push(status));
  const seen = follow(room, { after: NIL });
  await room.post("1");
  await until(() => seen.bodies.length === 1, "it is there");
  await seen.stop();
  assertEquals(states, ["connecting", "live", "idle"]);
  assertEquals(world.errors, ["mine", "mine", "mine"]);
});

test("What throws when it is told of a try that failed or of a gap ends neither a post nor a follow", async (server) => {
  using world = uncaught();
  const { id: earliest } = await posted(server, "room", "1");
  const gap = { type: "urn:linger:problem:trimmed", title: "", status: 410, detail: "", earliest };
  const failures: Record<string, Response> = { POST: busy(), GET: Response.json(gap, { status: 410 }) };
  await using box = middlebox(server, ({ method }, forward) => {
    const failure = failures[method];
    delete failures[method];
    return failure ?? forward();
  });
  const room = new Linger(box.url).room("room");
  const told = (what: string) => () => {
    throw new Error(what);
  };
  await room.post("2", { onRetry: told("a try") });
  const seen = follow(room, { after: NIL, onGap: told("a gap") });
  await until(() => seen.bodies.length === 1, "it is there");
  await seen.stop();
  assertEquals([seen.bodies, world.errors], [["2"], ["a try", "a gap"]]);
});

// Refusals

test("What is refused for good is told with its problem", async (server) => {
  const room = new Linger(server.url).room("room");
  const future = "ffffffff-ffff-0000-0000-000000000000";
  for (
    const [refused, status, type] of [
      [() => room.post(""), 400, "invalid-request"],
      [() => room.post("x".repeat(10_001)), 413, "too-large"],
      [() => room.history({ limit: 0 }), 400, "invalid-request"],
      [() => room.follow({ after: future }).next(), 400, "invalid-request"],
      [() => room.follow({ after: "x" }).next(), 400, "invalid-request"],
      [() => new Linger(server.url).room("a/b").post("x"), 400, "invalid-request"],
      [() => new Linger(`${server.url}/elsewhere`).rooms(), 404, "not-found"],
    ] as const
  ) {
    const error = await assertRejects(refused, LingerError);
    assertEquals([error.status, error.problem?.status, error.problem?.type], [
      status,
      status,
      `urn:linger:problem:${type}`,
    ]);
    assertEquals(error.message, error.problem!.detail);
  }
  assertEquals(room.connection.state, { status: "idle" });
});

test("What is refused after a redirect that made another request of it is told with the URL to use", async (server) => {
  const messageKey = "only I know this, and no one else";
  const { id } = await new Linger(server.url).room("room").post("1", { messageKey });
  let status = 301;
  await using box = middlebox(server, ({ url }) => {
    const { pathname, search } = new URL(url);
    return new Response(null, { status, headers: { location: server.url + pathname + search } });
  });
  const room = new Linger(box.url).room("room");
  const path = "/rooms/room/messages";
  const ended = new AbortController();
  const once = { signal: ended.signal, onRetry: () => ended.abort("It is tried again") };
  const moved = await assertRejects(() => room.post("2", once), LingerError);
  assertEquals([moved.status, moved.problem], [200, undefined]);
  assertEquals(
    moved.message,
    `POST ${box.url}${path} was redirected to ${server.url}${path}, and came there as another request: use that URL`,
  );
  status = 303; // makes another request of these, too
  await assertRejects(() => room.delete(id, { messageKey, ...once }), LingerError, "use that URL");
  await assertRejects(() => room.edit(id, "One", { messageKey, ...once }), LingerError, "use that URL");
  assertEquals((await room.history()).messages.map(({ body }) => body), ["1"]); // what only reads loses nothing
  status = 308;
  await room.post("2");
  assertEquals((await room.edit(id, "One", { messageKey })).body, "One");
  await room.delete(id, { messageKey });
  assertEquals((await room.history()).messages.map(({ body }) => body), ["2"]);
});

test("A post that is redirected to the page of a hotel is tried again", async (server) => {
  await using hotel = middlebox(server, () => new Response("<h1>Welcome to our hotel</h1>"));
  let asked = 0;
  await using box = middlebox(
    server,
    (_, forward) => ++asked === 1 ? new Response(null, { status: 302, headers: { location: hotel.url } }) : forward(),
  );
  assertEquals((await new Linger(box.url).room("room").post("1")).body, "1");
  assertEquals([asked, hotel.seen], [2, ["GET /"]]);
});

test("401, 403 and the like end a follow, also from one who is not Linger", async (server) => {
  for (const status of [401, 403, 404, 405, 410]) {
    const problem = { type: "https://gateway.test/no", title: "No", status }; // in the form of Linger's, and without a detail
    const answer = () => status === 403 ? Response.json(problem, { status }) : busy({}, status);
    await using box = middlebox(server, (request, forward) => isPoll(request) ? answer() : forward());
    const room = new Linger(box.url).room("room");
    const error = await assertRejects(() => room.follow().next(), LingerError);
    assertEquals([error.status, error.problem, room.connection.state], [status, undefined, { status: "idle" }]);
  }
});

test("408, 425, 429 and 5xx are retried", async (server) => {
  const statuses = [408, 425, 429, 500, 502, 503, 504].flatMap((status) => [status, status]);
  await using box = middlebox(server, (_, forward) => {
    const status = statuses.shift();
    return status ? busy({}, status) : forward();
  });
  using time = new FakeTime();
  const traffic = new Traffic();
  const room = new Linger(box.url, traffic).room("room");
  const seen = follow(room, { after: NIL });
  let told: string | undefined;
  room.post("1").then(({ body }) => told = body);
  await passing(time, traffic, () => told !== undefined && seen.bodies.length > 0, "it is stored and seen");
  assertEquals([told, seen.bodies], ["1", ["1"]]);
  await seen.stop();
});

test("A request that can't be made is told at once", async (server) => {
  await assertRejects(() => new Linger(server.url, { token: "\n€" }).room("room").post("x"), TypeError);
  await assertRejects(() => new Linger(server.url).room("room").post("x", { key: "€" }), TypeError);
  assertThrows(() => new Linger("nowhere"), TypeError);
});

// From another origin

Deno.test("What a page of another site has to be allowed is what the docs say and what the server allows", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { ALLOWED_ORIGINS: "https://friend.test" });
  const used = { methods: new Set<string>(), headers: new Set<string>(), read: new Set<string>() };
  const send = async (request: RequestInfo | URL) => {
    const { method, headers } = request as Request;
    used.methods.add(method);
    for (const [name] of headers) used.headers.add(name);
    const response = await fetch(request);
    const get = response.headers.get.bind(response.headers);
    response.headers.get = (name) => (used.read.add(name), get(name));
    return response;
  };
  const linger = new Linger(server.url, { token: "anybody's", fetch: send });
  const room = linger.room("room");
  const messageKey = "only I know this, and no one else";
  const known = await room.post("1", { author: "Ada", replyTo: NIL, messageKey });
  const edited = await room.edit(known.id, "One", { messageKey, known });
  await room.history();
  await room.history({ q: "One" }).next();
  await linger.rooms();
  await room.delete(edited.id, { messageKey, known: edited });
  const seen = follow(room);
  await until(() => used.read.has("retry-after"), "it has looked whether the server ends");
  await seen.stop();

  const sorted = (names: Iterable<string>) => [...names].map((name) => name.toLowerCase()).sort();
  const listed = (text: string | null | undefined) => sorted(text?.split(", ") ?? []);
  const docs = await Deno.readTextFile(projectPath("docs/client.md"));
  const url = `${server.url}/rooms/room/messages?wait=0`;
  const origin = "https://friend.test";
  const preflight = await fetch(url, {
    method: "OPTIONS",
    headers: { origin, "access-control-request-method": "PATCH" },
  });
  const answer = await fetch(url, { headers: { origin } });
  await Promise.all([preflight.body?.cancel(), answer.body?.cancel()]);
  for (
    const [header, names, { headers }] of [
      ["Access-Control-Allow-Methods", used.methods, preflight],
      ["Access-Control-Allow-Headers", used.headers, preflight],
      ["Access-Control-Expose-Headers", used.read, answer],
    ] as const
  ) {
    assertEquals(listed(docs.match(new RegExp(`^\\| \`${header}\` +\\| \`(.*)\` +\\|$`, "m"))?.[1]), sorted(names));
    const allowed = listed(headers.get(header));
    assertEquals(sorted(names).filter((name) => !allowed.includes(name)), [], header);
  }
});

// Ends

/** Every way in which a follow can be when it is ended. */
const situations: Record<
  string,
  (server: { url: string }) => { room: Room; there: () => boolean } & AsyncDisposable
> = {
  "while it waits": (server) => {
    const box = middlebox(server, (_, forward) => forward());
    const room = new Linger(box.url).room("room");
    return { room, there: () => box.seen.length === 2, [Symbol.asyncDispose]: box[Symbol.asyncDispose] };
  },
  "in its first request": (server) => {
    const box = middlebox(server, never);
    const room = new Linger(box.url).room("room");
    return { room, there: () => box.seen.length >= 1, [Symbol.asyncDispose]: box[Symbol.asyncDispose] };
  },
  "while its token does not come": ({ url }) => {
    let asked = 0;
    const room = new Linger(url, { token: () => (asked++, new Promise<string>(() => {})) }).room("room");
    return { room, there: () => asked >= 1, [Symbol.asyncDispose]: () => Promise.resolve() };
  },
  "while its fetch does not come": ({ url }) => {
    const answer = Promise.withResolvers<Response>();
    const left = Promise.withResolvers<void>();
    let asked = 0;
    const room = new Linger(url, { fetch: () => (asked++, answer.promise) }).room("room");
    return {
      room,
      there: () => asked >= 1,
      [Symbol.asyncDispose]: async () => { // when nobody waits for it any more it comes, and is left
        answer.resolve(new Response(new ReadableStream({ cancel: () => left.resolve() })));
        await left.promise;
      },
    };
  },
  "while an answer stops whose fetch knows of no signal": (server) => {
    let [begun, left] = [0, 0];
    const box = middlebox(server, () => new Response(new ReadableStream({ cancel: () => void left++ })));
    const send = async (request: RequestInfo | URL) => {
      const response = await fetch((request as Request).url);
      begun++;
      return response;
    };
    const room = new Linger(box.url, { fetch: send }).room("room");
    return {
      room,
      there: () => begun >= 1,
      [Symbol.asyncDispose]: async () => {
        await until(() => left === begun, "nobody reads it any more");
        await box[Symbol.asyncDispose]();
      },
    };
  },
  "while it pauses": (server) => {
    const box = middlebox(server, () => busy());
    const room = new Linger(box.url).room("room");
    return {
      room,
      there: () => room.connection.state.status === "reconnecting",
      [Symbol.asyncDispose]: box[Symbol.asyncDispose],
    };
  },
  "while it does as Retry-After says": (server) => {
    const box = middlebox(server, () => busy({ "retry-after": "1000" }));
    const room = new Linger(box.url).room("room");
    return {
      room,
      there: () => room.connection.state.status === "reconnecting",
      [Symbol.asyncDispose]: box[Symbol.asyncDispose],
    };
  },
};

/** The listeners that the client leaves with the world. */
function countListeners() {
  const { addEventListener, removeEventListener } = globalThis;
  let count = 0;
  globalThis.addEventListener = (...args: Parameters<typeof addEventListener>) => (count++, addEventListener(...args));
  globalThis.removeEventListener = (...args: Parameters<typeof addEventListener>) => (
    count--, removeEventListener(...args)
  );
  return {
    get count() {
      return count;
    },
    [Symbol.dispose]: () => void Object.assign(globalThis, { addEventListener, removeEventListener }),
  };
}

for (const [when, situation] of Object.entries(situations)) {
  test(`A follow that is ended ${when} is gone, by its signal and by return()`, async (server) => {
    using listeners = countListeners();
    for (const how of ["signal", "return"]) {
      await using place = situation(server);
      const ended = new AbortController();
      const messages = place.room.follow({ signal: ended.signal });
      const next = messages.next();
      await until(place.there, when);
      const states: string[] = [];
      place.room.connection.subscribe(({ status }) => states.push(status));
      if (how === "signal") ended.abort();
      else assertEquals(await messages.return!(), { done: true, value: undefined });
      assertEquals(await next, { done: true, value: undefined });
      assertEquals(await messages.next(), { done: true, value: undefined });
      assertEquals(states, ["idle"]);
      assertEquals([listeners.count, getEventListeners(ended.signal, "abort").length], [0, 0]);
    }
  });

  if (when === "while it waits") continue; // a post does not
  test(`A post that is ended ${when} rejects with the signal's reason`, async (server) => {
    using listeners = countListeners();
    await using place = situation(server);
    const ended = new AbortController();
    const [post, history] = [
      place.room.post("x", { signal: ended.signal }),
      place.room.history({ signal: ended.signal }),
    ];
    const seen = follow(place.room); // tells when we are there
    const reason = new Error("enough");
    const [first, second] = [assertRejects(() => post), assertRejects(() => history)];
    await until(place.there, when);
    ended.abort(reason);
    assertEquals([await first, await second], [reason, reason]);
    await seen.stop();
    assertEquals([listeners.count, getEventListeners(ended.signal, "abort").length], [0, 0]);
  });
}

Deno.test("A follow that is left by break, by an error, or by its signal in mid-page leaves nothing", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  using listeners = countListeners();
  const room = new Linger(server.url).room("room");
  for (const body of ["1", "2", "3"]) await room.post(body);
  const ended = new AbortController();

  for await (const _ of room.follow({ after: NIL, signal: ended.signal })) break;
  await assertRejects(
    async () => {
      for await (const { body } of room.follow({ after: NIL, signal: ended.signal })) throw new Error(body);
    },
    Error,
    "1",
  );
  const seen: string[] = [];
  for await (const { body } of room.follow({ after: NIL, signal: ended.signal })) {
    seen.push(body);
    if (seen.length === 2) ended.abort();
  }
  assertEquals(seen, ["1", "2"]);

  // While its reader is busy, who may never come for more.
  const during = new AbortController();
  const unread = room.follow({ after: NIL, signal: during.signal });
  await unread.next();
  assertEquals(room.connection.state, { status: "live" });
  during.abort();
  assertEquals(room.connection.state, { status: "idle" });
  assertEquals([listeners.count, getEventListeners(during.signal, "abort").length], [0, 0]);
  assertEquals(await unread.next(), { done: true, value: undefined });

  // Ended before it began, or never begun.
  assertEquals(await room.follow({ signal: ended.signal }).next(), { done: true, value: undefined });
  assertEquals(await room.follow().return!(), { done: true, value: undefined });
  await assertRejects(() => room.post("x", { signal: ended.signal }), DOMException);
  room.follow();
  assertEquals([listeners.count, getEventListeners(ended.signal, "abort").length], [0, 0]);
  await until(async () => (await health(server)).waiters === 0, "the server waits for nobody");
  assertEquals(room.connection.state, { status: "idle" });
});

test("With two follows in a room it is idle when both have ended", async (server) => {
  const room = new Linger(server.url).room("room");
  const [one, two] = [follow(room), follow(room)];
  await until(async () => (await health(server)).waiters === 2, "both wait");
  await one.stop();
  assertEquals(room.connection.state.status, "live");
  await two.stop();
  assertEquals(room.connection.state.status, "idle");
});

test("Of several follows in a room the one that is worst off is told, for as long as it goes on", async (server) => {
  let begins: (() => Response | Promise<Response>) | undefined;
  await using box = middlebox(server, (request, forward) => isPoll(request) ? forward() : begins?.() ?? forward());
  const room = new Linger(box.url).room("room");
  const states: string[] = [];
  room.connection.subscribe(({ status }) => states.push(status));
  const told = () => states.splice(0);
  const well = follow(room);
  await until(async () => (await health(server)).waiters === 1, "it waits");
  assertEquals(told(), ["connecting", "live"]);

  begins = never;
  const unanswered = follow(room);
  await until(() => box.seen.length === 3, "the second is on its way");
  await unanswered.stop();
  assertEquals(told(), ["connecting", "live"]);

  begins = () => busy({ "retry-after": "1000" });
  const failing = follow(room);
  await until(() => room.connection.state.status === "reconnecting", "the second pauses");
  await posted(server, "room", "1");
  await until(() => well.bodies.length === 1, "the first has news");
  assertEquals(told(), ["connecting", "reconnecting"]);
  await failing.stop();
  assertEquals(told(), ["live"]);

  // One that waits for its reader asks for nothing, and so does not notice that there is a network.
  begins = undefined;
  const busyReader = room.follow({ after: NIL });
  await busyReader.next();
  dispatchEvent(new Event("offline"));
  assertEquals(told(), ["connecting", "live", "offline"]);
  await posted(server, "room", "2");
  await until(() => well.bodies.length === 2, "the first has news");
  assertEquals(told(), ["live"]);
  await well.stop();
  assertEquals(told(), ["offline"]);
  await busyReader.return!();
  assertEquals(told(), ["idle"]);
});

// A server that ends

Deno.test("A client whose server ends goes straight on at the next, without a failure in between", async () => {
  await using database = await postgres.create();
  await using first = await spawnServer(database.url);
  await using second = await spawnServer(database.url);
  let ended = false;
  // A load balancer, which knows at once who serves.
  await using box = middlebox(first, async ({ url, method }, forward) => {
    const { pathname, search } = new URL(url);
    if (!ended || method !== "GET") return await forward();
    const answer = await fetch(second.url + pathname + search);
    return new Response(await answer.text(), { headers: answer.headers });
  });
  const room = new Linger(box.url).room("room");
  const states: string[] = [];
  room.connection.subscribe(({ status }) => states.push(status));
  const seen = follow(room);
  await until(async () => (await health(first)).waiters === 1, "it waits");
  states.length = 0;
  ended = true;
  first.kill("SIGTERM");
  await until(async () => (await health(second)).waiters === 1, "it waits at the other");
  await posted(second, "room", "news");
  await until(() => seen.bodies.length === 1, "it has the news");
  assertEquals([states, seen.bodies], [[], ["news"]]);
  second.kill("SIGTERM"); // nobody serves now: that is a failure
  await until(() => states.includes("reconnecting"), "it backs off");
  await seen.stop();
});

test("A client that is always sent back at once backs off", async (server) => {
  const sentBack = () =>
    new Response("[]", { headers: { "content-type": "application/json", "retry-after": "0", "link": "<?after=now>" } });
  await using box = middlebox(server, (request, forward) => isPoll(request) ? sentBack() : forward());
  using time = new FakeTime();
  const room = new Linger(box.url).room("room");
  const seen = follow(room);
  await settled(time, () => {
    if (box.seen.length < 3) time.tick(5); // a quarter of a second at most, which passes in steps until it is back
    return box.seen.length === 3;
  }, "it comes back once");
  await settled(time, () => room.connection.state.status === "reconnecting", "it backs off the second time");
  assertEquals(box.seen.length, 3);
  await seen.stop();
});

Deno.test("A client that posts too much is told so, waits as it is told, and posts all of it", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url, { PROXY_HOPS: "1", POSTS_PER_MINUTE: "120" });
  const send = (request: Request | URL | string) => {
    const proxied = new Request(request);
    proxied.headers.set("x-forwarded-for", "203.0.113.7");
    return fetch(proxied);
  };
  const room = new Linger(server.url, { fetch: send }).room("room");
  const retries: Retry[] = [];
  const bodies: string[] = [];
  while (retries.length === 0) { // while 25 are posted more may be allowed, on a busy machine: then it has used up what it had
    const more = Array.from({ length: 25 }, (_, i) => `${bodies.length + i}`);
    bodies.push(...more);
    await Promise.all(more.map((body) => room.post(body, { onRetry: (retry) => retries.push(retry) })));
  }
  const stored = await database.sql<{ body: string }[]>`select body from messages`;
  assertEquals(stored.map(({ body }) => body).sort(), bodies.sort());
  assertGreater(retries.length, 0);
  for (const { problem } of retries) {
    assertEquals([problem?.status, problem?.type], [429, "urn:linger:problem:too-many-requests"]);
  }
});

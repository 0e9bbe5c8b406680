// A poll is answered once, whatever ends its wait; and then nothing is left of it: no place, no hold on its room, no timer, no listener.
import { setImmediate } from "node:timers";
import { assert, assertEquals, assertFalse, assertGreater, assertRejects } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { cursorAt, makeId, makePlace, NIL, NOW, placeOf, randomDigits, seqOf, timeOf } from "../src/chat/cursor.ts";
import { Feeds } from "../src/chat/feeds.ts";
import { type Entry, makeEntry, makePage } from "../src/chat/page.ts";
import { Places } from "../src/chat/places.ts";
import { type Poll, Polls } from "../src/chat/polls.ts";
import type { Asked, Reader } from "../src/chat/reader.ts";
import { Subscriptions } from "../src/chat/subscriptions.ts";
import { Allowance, UNLIMITED } from "../src/allowance.ts";
import { Problem, trimmed } from "../src/problem.ts";
import { soon } from "./support/client.ts";
import { take } from "./support/taking.ts";

const ROOM = "tea";
const EMPTY = makePage([], false);

for (const end of ["news", "signal", "release", "time"] as const) {
  Deno.test(`A poll that ends by ${end} is answered once, and nothing is left of it`, async () => {
    using time = new FakeTime();
    const world = await setUp();
    const client = counted();
    let answers = 0;
    const poll = world.poll({ client }).then(({ page }) => {
      answers++;
      return page.last;
    });
    await time.runMicrotasks();
    assertEquals([world.places.polls, client.listeners.size, answers], [1, 1, 0]);
    const [news] = end === "news" ? [world.commit()] : [];
    if (end === "signal") client.abort();
    if (end === "release") world.feeds.release();
    if (end === "time") await time.tickAsync(11_000);
    assertEquals(await poll, news?.id);
    assertEquals([world.places.polls, world.feeds.size, client.listeners.size], [0, 0, 0]);
    client.abort();
    world.feeds.release();
    assertEquals([client.removals, answers, world.places.polls], [1, 1, 0], "it was settled again");
    world.close();
    assertFalse(time.next(), "a timer was left");
  });
}

Deno.test("A poll whose client has left before it waits is answered at once, and others go on waiting", async () => {
  const world = await setUp();
  const staying = new AbortController();
  const stays = world.poll({ client: staying });
  assertEquals((await world.poll({ client: { signal: AbortSignal.abort() } })).page.last, undefined);
  assertEquals(world.places.polls, 1);
  staying.abort();
  await stays;
  assertEquals(world.places.polls, 0);
  world.close();
});

Deno.test("A poll that leaves while its room begins anew gives back one place and one hold", async () => {
  const world = await setUp();
  world.feeds.get(ROOM)!.forget(); // so that what comes before the end is to be read
  const { promise: reading, resolve: readOn } = Promise.withResolvers<void>();
  world.read = () => reading.then(() => EMPTY);
  const client = new AbortController();
  const poll = world.poll({ after: NIL, client });
  world.feeds.restart(world.feeds.get(ROOM)!); // the database has lost what it knew
  client.abort();
  readOn();
  assertEquals((await poll).page.last, undefined);
  assertEquals([world.places.polls, world.feeds.size], [0, 0]);
  world.close();
});

Deno.test("A poll for now is given what is posted after it came, also while news is on its way to thousands", async () => {
  const world = await setUp();
  const start = world.feeds.get(ROOM)!.end;
  const crowd = Array.from({ length: 2_000 }, () => world.poll({ after: start }));
  const first = world.commit();
  const now = world.poll({ after: NOW });
  const back = world.poll({ after: first.id }); // comes after them
  for (let turn = 0; turn < 2; turn++) await nextTurn(); // of the eight that it takes
  const second = world.commit();
  assertEquals((await now).page.last, second.id);
  assertEquals((await back).page.last, second.id);
  await Promise.all(crowd);
  assertEquals(world.places.polls, 0);
  world.close();
});

Deno.test("A long page out of memory counts as a read, as does a stream that begins with one, but not for who has waited for it", async () => {
  const world = await setUp();
  const allowance = new Allowance("ada", { posts: 0, places: 0 }, () => 0); // nothing is given back meanwhile
  const poll = async (after: string, limit = 1_000) => (await world.poll({ after, limit, allowance })).page;
  const start = world.entries[0]!.id;
  const waiting = poll(start);
  assertEquals(world.places.polls, 1);
  for (let i = 0; i < 11; i++) world.commitElsewhere("x".repeat(10_000));
  await world.feeds.get(ROOM)!.refresh();
  assertGreater((await waiting).body.length, 100_000);

  allowance.read(195); // of 200; the page is as long as two
  await poll(start); // which was made for who waited
  await poll(start, 500);
  (await world.subscribe({ after: start, allowance })).end();
  const between = makeId(timeOf(start), seqOf(start), "ZZZZZZZZZZ");
  for (const again of [() => poll(start), () => poll(between), () => world.subscribe({ after: start, allowance })]) {
    const { headers } = await assertRejects(again, Problem);
    assertEquals(headers["ratelimit-policy"], '"reads";q=1200;w=60');
  }
  assertEquals([world.places.polls, world.places.streams], [0, 0]);
  const [last, end] = world.entries.slice(-2).map(({ id }) => id);
  assertEquals((await poll(last!)).last, end); // what was posted while he came back
  assertEquals((await poll(start, 1)).last, world.entries[1]!.id);
  (await world.subscribe({ after: end!, allowance })).end();
  world.close();
});

Deno.test("A poll that comes while the room is looked at is not given a change that was read before it came", async () => {
  const world = await setUp();
  const feed = world.feeds.get(ROOM)!;
  const held = world.hold();
  world.edit("older");
  const looked = feed.refresh();
  const poll = world.poll({ changes: true }); // by who has the message, as it was then or later
  const newer = world.edit("newer");
  held.open();
  await looked;
  const { page } = await poll;
  assertEquals([page.last, JSON.parse(new TextDecoder().decode(page.body))[0].body], [newer.changed, "newer"]);
  assertEquals(world.looks, 3, "one at the beginning, the one that was too early, and one more");
  world.close();
});

Deno.test("An own change is looked up once for all who wait, not by each of them, and by nobody where none waits", async () => {
  const world = await setUp();
  const polls = [1, 2, 3].map(() => world.poll({ changes: true }));
  const changed = world.editHere("newer");
  for (const poll of polls) assertEquals((await poll).page.last, changed);
  assertEquals([world.looks, world.refreshes], [2, 0]);
  world.editHere("newest");
  await nextTurn();
  assertEquals([world.looks, world.refreshes], [2, 0]);
  world.close();
});

Deno.test("Of two own changes right after one another the first does not end the wait for the second", async () => {
  const world = await setUp();
  const feed = world.feeds.get(ROOM)!;
  const follower = world.poll({ changes: true });
  const held = world.hold();
  world.editHere("newer");
  const second = world.poll({ changes: true, after: feed.endOfChanges });
  const newest = world.editHere("newest");
  held.open();
  for (const poll of [follower, second]) assertEquals((await poll).page.last, newest);
  assertEquals(world.refreshes, 0);
  world.close();
});

Deno.test("Who waits for changes has each after the next look that begins, also where own changes go on all the time", async () => {
  const world = await setUp();
  let due: Promise<unknown> | undefined = world.poll({ changes: true });
  let later: Promise<unknown> | undefined = undefined; // comes during a look, and has its news after the next one
  const subscriber = await world.follow();
  let held = world.hold();
  world.editHere("newer"); // a look begins, and none of those that follow ends without another change
  for (let i = 0; i < 5; i++) {
    const last = world.editHere(`newer still ${i}`);
    const next = world.hold();
    held.open();
    held = next;
    await soon(Promise.resolve(due));
    await nextTurn();
    assertEquals(subscriber.given.at(-1)?.cursor, last);
    [due, later] = [later, world.poll({ changes: true, after: last })];
  }
  world.editHere("newest");
  held.open();
  await soon(Promise.all([due, later]));
  subscriber.end();
  world.close();
});

Deno.test("Who waits is woken by an own change, and by a message right behind it, though the look fails", async () => {
  const world = await setUp();
  const follower = world.poll({ changes: true });
  const reader = world.poll({});
  world.fails = true;
  world.editHere("newer");
  const news = world.commit();
  assertEquals((await reader).page.last, news.id);
  const refused = assertRejects(() => follower, Error, "down"); // by which he knows to come back
  for (let turn = 0; turn < 3; turn++) await nextTurn();
  assertEquals(world.places.polls, 0, "he waits on");
  await refused;
  world.close();
});

Deno.test("News of messages is given to who follows with changes without another look", async () => {
  const world = await setUp();
  const poll = world.poll({ changes: true });
  const news = world.commit();
  assertEquals((await poll).page.last, news.id);
  assertEquals(world.looks, 1);
  world.close();
});

Deno.test("What is changed since it began to be read for a subscriber is read once more before he is given it", async () => {
  const world = await setUp();
  const first = world.entries[0]!;
  const second = world.commit();
  world.feeds.get(ROOM)!.forget(); // so that all of it is to be read
  const reads: PromiseWithResolvers<void>[] = [];
  world.readEntries = async () => {
    const read = world.entries.filter(({ isChange }) => !isChange);
    reads.push(Promise.withResolvers());
    await reads.at(-1)!.promise;
    return read;
  };
  const opening = world.subscribe({ after: NIL });
  await nextTurn();
  world.editHere("edited before he began");
  reads[0]!.resolve();
  const subscriber = await opening;
  const taking = take(subscriber);
  await nextTurn();
  world.editHere("edited while it was read once more");
  reads[1]!.resolve();
  await nextTurn();
  world.editHere("edited again, and he waits no longer");
  reads[2]!.resolve();
  const given = (await taking)!;
  assertEquals(given.map(({ id }) => id), [first.id, second.id]);
  assertEquals(reads.length, 3);
  assert(given[0]!.json.includes("while it was read"));
  assertEquals([1, 2].map(() => subscriber.goesBack(NIL, given)), [true, false]); // in time for what is not passed on yet
  subscriber.end();
  world.close();
});

Deno.test("Of what a subscriber was given he is told what was changed since, once", async () => {
  const world = await setUp();
  const first = world.entries[0]!;
  const second = world.commit();
  const subscriber = await world.subscribe({ after: NIL });
  const given = (await take(subscriber))!;
  assertEquals(given, [first, second]);
  world.editHere("edited");
  assertFalse(subscriber.goesBack(first.id, [second]), "another was changed");
  world.editHere("edited again");
  assertEquals([1, 2].map(() => subscriber.goesBack(NIL, given)), [true, false]);
  subscriber.end();
  world.close();
});

Deno.test("A subscriber passes on nothing that an own change has taken back, also before the room is known up to that", async () => {
  const world = await setUp();
  const first = world.entries[0]!;
  const subscriber = await world.subscribe({ after: NIL });
  const given = (await take(subscriber))!;
  assertEquals(given, [first]);
  const held = world.hold();
  world.commitElsewhere();
  const changed = world.editHere("edited");
  assert(subscriber.goesBack(NIL, given));
  const again = (await take(subscriber))!; // out of the database
  assertEquals(again[0]!.changed, changed);
  assertFalse(subscriber.goesBack(NIL, again), "he has it as it is");
  held.open();
  subscriber.end();
  world.close();
});

Deno.test("What a subscriber was given and has not passed on counts as changed where its feed was closed, or has forgotten which were", async () => {
  const world = await setUp();
  const subscriber = await world.subscribe({ after: NIL });
  const given = (await take(subscriber))!;
  assertFalse(subscriber.goesBack(NIL, given));
  world.commit();
  world.editHere("edited");
  const feed = world.feeds.get(ROOM)!;
  feed.forget();
  assertEquals(subscriber.goesBack(NIL, []), true);
  assertFalse(subscriber.goesBack(NIL, given));
  world.feeds.restart(feed);
  assertEquals(subscriber.goesBack(NIL, given), true);
  subscriber.end();
  world.close();
});

Deno.test("Who begins to follow from now on a room that was lost before it was read is not led to its beginning", async () => {
  const world = await setUp();
  world.feeds.restart(world.feeds.get(ROOM)!);
  world.fails = true;
  await assertRejects(() => world.subscribe({ after: NOW })); // the room has a feed, and that knows nothing yet
  world.commit();
  await nextTurn();
  world.entries.pop(); // the database has lost it
  world.fails = false;
  const subscriber = await world.subscribe({ after: NOW });
  assertEquals(subscriber.cursor, world.entries.at(-1)!.id);
  subscriber.end();
  world.close();
});

Deno.test("Who waits for what was removed is told so, also by a server that could not look for a while", async () => {
  const world = await setUp();
  world.blind = true; // it was asleep, and its last look is late
  const mark = cursorAt(makePlace(timeOf(world.entries[0]!.id) + 1, 1));
  const gone = trimmed(mark);
  world.read = () => Promise.reject(gone);
  world.readEntries = () => Promise.reject(gone);
  const poll = world.poll({ changes: true });
  const subscriber = await world.follow();
  world.feeds.get(ROOM)!.trim(mark);
  assertEquals(await assertRejects(() => poll), gone);
  assertEquals(await subscriber.over, gone);
  world.close();
});

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Polls of a room with one message, without a database. */
async function setUp() {
  const entries: Entry[] = [];
  const newest = () => entries.reduce((place, { cursor }) => cursor > place ? cursor : place, NIL);
  const make = (body = "hello") => {
    const number = entries.filter(({ isChange }) => !isChange).length + 1;
    entries.push(makeEntry(ROOM, makeId(timeOf(newest()) || 1, number, randomDigits()), null, body));
    return entries.at(-1)!;
  };
  make();
  const head = () => ({ place: placeOf(newest()), lost: false, trimmed: NIL });
  let gate: Promise<void> | undefined;
  /** What is there now, when the gate is open. */
  const read = async (which: (entry: Entry) => boolean) => {
    world.looks++;
    if (world.fails) throw new Error("The database is down");
    const known = { entries: entries.filter(which), full: false, head: head() };
    await gate;
    return known;
  };
  const store = {
    newest: () => read(({ isChange }) => !isChange),
    news: (_: string, known: { newest: string; place: string }) =>
      read(({ cursor, isChange }) => isChange ? placeOf(cursor) > known.place : cursor > known.newest),
  };
  const limits = { messages: 1_000, bytes: 1_000_000, all: 1_000_000 };
  const feeds = new Feeds(store, limits, () => {}, () => {}, 5_000);
  const places = new Places(10_000);
  const world = {
    feeds,
    places,
    entries,
    /** Reads of the room so far. */
    looks: 0,
    /** Those of them that somebody asked for himself. */
    refreshes: 0,
    /** Whether no read succeeds. */
    fails: false,
    /** Whether nobody can say that there is no news. */
    blind: false,
    /** Holds back what is read from now on. */
    hold() {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = promise;
      return { open: resolve };
    },
    /** The first message becomes another, by another server. */
    edit(body: string) {
      const { id } = entries[0]!;
      const changed = makeId(timeOf(newest()) + 1, seqOf(newest()), randomDigits());
      const others = entries.slice(1).filter(({ isChange }) => !isChange);
      const edited = makeEntry(ROOM, id, null, body, { changed });
      entries.splice(0, entries.length, edited, ...others, edited.asChange());
      return edited;
    },
    /** The same by this process; returns the place. */
    editHere(body: string) {
      const prior = { ms: timeOf(newest()), seq: seqOf(newest()) };
      const edited = world.edit(body);
      feeds.get(ROOM)!.append({ entries: [edited.asChange()], prior });
      return edited.changed!;
    },
    /** A message that another server has committed. */
    commitElsewhere: make,
    read: (_asked: Asked) => Promise.resolve(EMPTY),
    /** A message that this process has committed. */
    commit() {
      const prior = { ms: timeOf(newest()), seq: seqOf(newest()) };
      const entry = make();
      feeds.get(ROOM)!.append({ entries: [entry], prior });
      return entry;
    },
    poll: (poll: Partial<Poll>) =>
      polls.answer(ROOM, {
        after: entries.at(-1)!.id,
        limit: 10,
        wait: 10_000,
        changes: false,
        client: new AbortController(),
        allowance: UNLIMITED,
        ...poll,
      }),
    readEntries: (): Promise<readonly Entry[]> => Promise.resolve(entries),
    subscribe: (subscription: { after: string; allowance?: Allowance }) =>
      subscriptions.open(ROOM, { ...subscription, parameter: "after" }),
    /** Follows with changes, as an event stream does. */
    async follow() {
      const after = entries.at(-1)!.id;
      const subscriber = await subscriptions.open(ROOM, { after, parameter: "after", changes: true });
      const given: Entry[] = [];
      const receiver = {
        give: (entries: readonly Entry[]) => {
          given.push(...entries);
          queueMicrotask(() => subscriber.take(receiver));
        },
        over: (reason?: unknown) => over.resolve(reason),
      };
      const over = Promise.withResolvers<unknown>();
      subscriber.take(receiver);
      return { given, over: over.promise, end: () => subscriber.end() };
    },
    close: () => feeds.close(),
  };
  const reader = {
    refresh: (feed) => {
      world.refreshes++;
      return feed.refresh();
    },
    pageAfter: (asked) => world.read(asked),
    entriesAfter: () => world.readEntries(),
    refuseFuture: () => Promise.resolve(),
  } as Pick<Reader, "refresh" | "pageAfter" | "entriesAfter" | "refuseFuture"> as Reader;
  const options = {
    feeds,
    reader,
    places,
    wake: { isBlind: () => world.blind, looked: () => Promise.resolve() },
    draining: () => false,
  };
  const polls = new Polls(options);
  const subscriptions = new Subscriptions({ ...options, heartbeatMs: 15_000 });
  const feed = feeds.hold(ROOM);
  await feed.refresh();
  feeds.letGo(feed); // it is kept for a while
  return world;
}

/** A signal that tells which listeners it has, and how often one was taken off. */
function counted() {
  const controller = new AbortController();
  const { signal } = controller;
  const { addEventListener, removeEventListener } = signal;
  const counts = { signal, listeners: new Set<unknown>(), removals: 0, abort: () => controller.abort() };
  signal.addEventListener = (...args: unknown[]) => {
    counts.listeners.add(args[1]);
    Reflect.apply(addEventListener, signal, args);
  };
  signal.removeEventListener = (...args: unknown[]) => {
    counts.listeners.delete(args[1]);
    counts.removals++;
    Reflect.apply(removeEventListener, signal, args);
  };
  return counts;
}

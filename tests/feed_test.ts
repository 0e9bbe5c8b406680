// One room in memory. A feed that is wrong keeps a reader asleep beside news, or shows a room with a hole in it, so the
// looks that run beside commits are held here at their worst moments: by the test, not by luck.
import { setImmediate } from "node:timers";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { assert, assertEquals, assertFalse, assertRejects, assertStrictEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { makeId, makePlace, NIL, placeOf, randomDigits, seqOf, timeOf } from "../src/chat/cursor.ts";
import { DEADLINE_STEP_MS } from "../src/chat/deadlines.ts";
import { Feed } from "../src/chat/feed.ts";
import { Feeds } from "../src/chat/feeds.ts";
import { MAX_PAGE_BYTES } from "../src/chat/message.ts";
import { type Entry, makeEntry, type Page } from "../src/chat/page.ts";
import { MAX_PAGES, Pages } from "../src/chat/pages.ts";
import { Floors } from "../src/chat/floors.ts";
import type { Known } from "../src/chat/sql/head.ts";
import { type Commit, Store } from "../src/chat/store.ts";
import type { Waiter } from "../src/chat/waiters.ts";
import { Client } from "../src/database/client.ts";
import { soon, until } from "./support/client.ts";
import { draft } from "./support/draft.ts";
import { openedMigrated, testPostgres } from "./support/postgres.ts";
import { wait } from "./support/waiting.ts";

const HOUR_MS = 3_600_000;

/** Waiters that are many slices. */
const CROWD = 5_000;

const ROOMY = { messages: 1_000, bytes: 1_000_000 };

const postgres = await testPostgres();

Deno.test("Feed.append() takes messages that continue the tail, without asking the database, and wakes who waits", async () => {
  const room = new FakeRoom();
  const feed = await loaded(room);
  const reads = room.reads;
  const waiting = wait(feed, NIL, HOUR_MS);
  const [first, second] = room.commit(2);
  feed.append(commitOf([first!]));
  await soon(waiting);
  feed.append(commitOf([second!]));
  assertEquals(ids(feed.page(NIL, 10)), [first!.id, second!.id]);
  assertEquals(room.reads, reads);
});

Deno.test("Feed.append() before the tail has been read asks the database for it", async () => {
  const room = new FakeRoom();
  const [first, second] = room.commit(2);
  const feed = makeFeed(room);
  const waiting = wait(feed, NIL, HOUR_MS);
  feed.append(commitOf([second!]));
  await soon(waiting);
  assertEquals(ids(feed.page(NIL, 10)), [first!.id, second!.id]);
});

Deno.test("Feed.append() that leaves a gap asks the database, and nothing is lost", async () => {
  await using database = await postgres.create();
  await using opened = await open(database.url);
  const { store } = opened;
  const { entries: [first] } = await commit(store, 1);
  const feed = await loaded(store);
  const waiting = wait(feed, first!.id, HOUR_MS);
  const { entries: foreign } = await commit(store, 2);
  const own = await commit(store, 1);
  feed.append(own);
  assertEquals(feed.end, first!.id);
  await soon(waiting);
  assertEquals(ids(feed.page(first!.id, 10)), [...foreign, ...own.entries].map(({ id }) => id));
});

Deno.test("Feed.append() during a look that has read the same messages gives none of them twice", async () => {
  await using database = await postgres.create();
  await using opened = await open(database.url);
  const gate = new Gate(opened.store);
  const feed = await loaded(gate.store);
  const own = await commit(opened.store, 2);
  const { entries: foreign } = await commit(opened.store, 2);
  const held = gate.hold();
  const refreshed = feed.refresh();
  await held.read;
  feed.append(own);
  assertEquals(ids(feed.page(NIL, 10)), own.entries.map(({ id }) => id));
  held.release();
  await refreshed;
  assertEquals(ids(feed.page(NIL, 10)), [...own.entries, ...foreign].map(({ id }) => id));
  assertEquals(feed.bytes, [...own.entries, ...foreign].reduce((sum, { bytes }) => sum + bytes, 0));
});

Deno.test("Feed.append() ignores messages that the tail has already", async () => {
  const room = new FakeRoom();
  const entries = room.commit(3);
  const feed = await loaded(room);
  feed.append(commitOf(entries.slice(0, 2)));
  feed.append(commitOf(entries));
  assertEquals([ids(feed.page(NIL, 10)), feed.refreshing], [entries.map(({ id }) => id), false]);
});

Deno.test("Feed.append() of a change behind what it does not know lets go of the words before, and of a look's that has read them", async () => {
  await using database = await postgres.create();
  await using opened = await open(database.url);
  const { store } = opened;
  const gate = new Gate(store);
  const { entries: [first] } = await commit(store, 1);
  const feed = await loaded(gate.store);
  const unloaded = makeFeed(gate.store);
  const edited = await change(store, first!, "edited");
  feed.append(edited);
  assertEquals(ids(feed.page(first!.id, 10, true)), [first!.id]);
  const edit = edited.entries[0]!.cursor;
  const between = `${placeOf(edit)}0000000000`; // a cursor that is none: before the edit, in its place
  assertEquals(ids(feed.page(between, 10, true)), [first!.id]);

  const { entries: [second] } = await commit(store, 1); // by another server
  const held = gate.hold();
  const refreshed = feed.refresh();
  await held.read;
  const heldFirst = gate.hold();
  const firstLook = unloaded.refresh();
  await heldFirst.read;
  const deletions = [await change(store, first!, ""), await change(store, second!, "")];
  for (const deletion of deletions) {
    feed.append(deletion);
    unloaded.append(deletion);
  }
  assertEquals([feed.page(NIL, 10), feed.knows(first!.id, true)], [undefined, false]);
  assertEquals(feed.page(between, 10, true), undefined);
  held.release();
  heldFirst.release();
  await Promise.all([refreshed, firstLook]);
  for (const each of [feed, unloaded]) {
    assertEquals([each.page(first!.id, 10), ids(each.page(second!.id, 10))], [undefined, []]);
    await each.refresh();
    assertEquals(ids(each.page(second!.id, 10, true)), [first!.id, second!.id]); // that they are deleted
  }
});

Deno.test("Feed.refresh() finds out where the database is not as far any more as it was with the page before", async () => {
  const entries = [1, 2].map((number) => makeEntry("lobby", makeId(1, number, "0123456789"), null, "x"));
  const head = (seq: number) => ({ place: makePlace(1, seq), lost: false, trimmed: NIL });
  const pages = [{ entries, full: true, head: head(4) }, { entries: [], full: false, head: head(3) }];
  const store = {
    newest: () => Promise.resolve({ entries: [], full: false, head: { ...head(0), place: placeOf(NIL) } }),
    news: () => Promise.resolve(pages.shift()!),
  };
  let lost = 0;
  const feed = await loaded(store, ROOMY, "lobby", () => lost++);
  await feed.refresh();
  assertEquals([lost, pages.length], [1, 0]);
});

Deno.test("Feed.refresh() finds out that a deletion is lost where its message is edited after that", async () => {
  const id = makeId(1, 1, "0123456789");
  const changes = ["", "back again"].map((body, i) =>
    makeEntry("lobby", id, null, body, { changed: makeId(i + 2, 1, "0123456789") }).asChange()
  );
  const head = (ms: number) => ({ place: makePlace(ms, 1), lost: false, trimmed: NIL });
  const pages = changes.map((change, i) => ({ entries: [change], full: false, head: head(i + 2) }));
  const store = {
    newest: () => Promise.resolve({ entries: [makeEntry("lobby", id, null, "x")], full: false, head: head(1) }),
    news: () => Promise.resolve(pages.shift()!),
  };
  let lost = 0;
  const feed = await loaded(store, ROOMY, "lobby", () => lost++);
  await feed.refresh();
  assertEquals([lost, ids(feed.page(NIL, 10))], [0, []]);
  await feed.refresh();
  assertEquals(lost, 1);
});

Deno.test("Feed.refresh() reads the newest messages of a room, and what comes before them stays unknown", async () => {
  await using database = await postgres.create();
  await using opened = await open(database.url);
  const { entries } = await commit(opened.store, 250);
  const feed = makeFeed(opened.store);
  assertFalse(feed.loaded);
  await feed.refresh();
  assert(feed.loaded);
  assertEquals(feed.end, entries[249]!.id);
  assertEquals(ids(feed.page(entries[149]!.id, 1_000)), entries.slice(150).map(({ id }) => id));
  assertEquals(feed.page(entries[148]!.id, 1_000), undefined);
  assertEquals(feed.page(NIL, 1_000), undefined);
});

Deno.test("Feed.refresh() knows a room from its start when the room is short", async () => {
  await using database = await postgres.create();
  await using opened = await open(database.url);
  const empty = await loaded(opened.store, ROOMY, "empty");
  assertEquals([empty.end, ids(empty.page(NIL, 10))], [NIL, []]);
  const { entries } = await commit(opened.store, 99);
  const feed = await loaded(opened.store);
  assertEquals(ids(feed.page(NIL, 1_000)), entries.map(({ id }) => id));
});

Deno.test("Feed.refresh() reads on until it has all, however much that is", async () => {
  await using database = await postgres.create();
  await using opened = await open(database.url);
  const feed = await loaded(opened.store, { messages: 10_000, bytes: 10_000_000 });
  const { entries } = await commit(opened.store, 2_500);
  await feed.refresh();
  assertEquals(feed.end, entries.at(-1)!.id);
  assertEquals(ids(feed.page(NIL, 10_000)), entries.map(({ id }) => id));
});

Deno.test("Where very much was missed a look ends all the same, and another feed takes the place, which begins with the newest", async () => {
  await using database = await postgres.create();
  await using opened = await open(database.url);
  const { store } = opened;
  let reads = 0;
  const counting: Pick<Store, "newest" | "news"> = {
    newest: (...query) => store.newest(...query),
    news: (...query) => {
      reads++;
      return store.news(...query);
    },
  };
  const lost: Feed[] = [];
  const feeds = new Feeds(counting, { ...ROOMY, all: 10_000_000 }, () => {}, (feed) => lost.push(feed));
  const feed = feeds.hold("lobby");
  await feed.refresh();
  const waiting = [false, true].map((changes) => wait(feed, NIL, HOUR_MS, changes));
  const { entries } = await commit(store, 12_000);
  await feed.refresh();
  await soon(Promise.all(waiting));
  assertEquals([reads, feed.closed, lost, feed.page(NIL, 10)], [10, true, [], undefined]);
  const next = feeds.hold("lobby");
  await next.refresh();
  assertEquals(ids(next.page(entries.at(-11)!.id, 100)), entries.slice(-10).map(({ id }) => id));
  feeds.letGo(feed);
  feeds.letGo(next);
});

Deno.test("Feed.refresh() called during a look starts another look after it, which all such calls share", async () => {
  await using database = await postgres.create();
  await using opened = await open(database.url);
  const gate = new Gate(opened.store);
  const feed = await loaded(gate.store);
  const reads = gate.reads;
  const held = gate.hold();
  const waiting = wait(feed, NIL, HOUR_MS);
  const first = feed.refresh();
  await held.read; // it has read, and found nothing
  const { entries: [missed] } = await commit(opened.store, 1);
  const others = [feed.refresh(), feed.refresh(), feed.refresh()];
  held.release();
  await first;
  assertEquals(feed.end, NIL);
  await soon(Promise.all([...others, waiting]));
  assertEquals(feed.end, missed!.id);
  assertEquals(gate.reads, reads + 2);
});

Deno.test("Feed.wake() during a look that has read before the commit still wakes who waits", async () => {
  await using database = await postgres.create();
  await using opened = await open(database.url);
  const gate = new Gate(opened.store);
  const feed = makeFeed(gate.store);
  const held = gate.hold(); // the first look of all, which reads in another way than the later ones
  const first = feed.refresh();
  await held.read;
  const waiting = wait(feed, NIL, HOUR_MS);
  const { entries } = await commit(opened.store, 1);
  feed.wake();
  held.release();
  await soon(Promise.all([first, waiting]));
  assertEquals(ids(feed.page(NIL, 10)), entries.map(({ id }) => id));
});

Deno.test("Feed.refresh() that fails says so and leaves the feed as it was, and the next one works", async () => {
  const room = new FakeRoom();
  const feed = makeFeed(room);
  room.failures = 1;
  await assertRejects(() => feed.refresh(), Error, "no database");
  assertFalse(feed.loaded);
  assertFalse(feed.refreshing);
  await feed.refresh();
  assert(feed.loaded);

  const [first] = room.commit(1);
  room.failures = 1;
  await assertRejects(() => feed.refresh(), Error, "no database");
  assertEquals(feed.end, NIL);
  const waiting = wait(feed, NIL, HOUR_MS);
  await feed.refresh();
  await soon(waiting);
  assertEquals(feed.end, first!.id);
});

Deno.test("Feed.refresh() called during a look that fails makes a look of its own", async () => {
  const room = new FakeRoom();
  const feed = await loaded(room);
  const [first] = room.commit(1);
  room.failures = 1;
  const failing = feed.refresh();
  const next = feed.refresh();
  await assertRejects(() => failing, Error, "no database");
  await next;
  assertEquals(feed.end, first!.id);
});

Deno.test("Feed.refresh() forgets what was removed, also when it missed that it was changed before, and keeps its end", async () => {
  await using database = await postgres.create();
  await using opened = await open(database.url);
  const { store } = opened;
  const { entries: [, second, third] } = await commit(store, 3);
  const feed = await loaded(store);
  // What removes messages takes them back first; here the row that would tell so is gone before anybody has read it.
  const change = makeId(timeOf(third!.id) + 1, 3, "0123456789");
  await database.sql`update heads set ms = ms + 1, trimmed = ${change}`;
  await database.sql`delete from messages`;
  await feed.refresh();
  assertEquals(feed.page(NIL, 10), undefined);
  assertEquals(ids(feed.page(third!.id, 10)), []);
  assertEquals([feed.end, feed.bytes], [third!.id, 0]); // whoever waits at the end goes on waiting
  assertFalse(feed.knows(second!.id, false));
  assert(feed.knows(third!.id, false) && !feed.knows(third!.id, true) && feed.knows(change, true));
  const { entries: [fourth] } = await commit(store, 1);
  await feed.refresh();
  assertEquals(ids(feed.page(third!.id, 10)), [fourth!.id]);
});

Deno.test("Feed.refresh() of a feed that was behind when what came next was removed knows nothing before that", async () => {
  await using database = await postgres.create();
  await using opened = await open(database.url);
  const { store } = opened;
  const { entries: [, second] } = await commit(store, 2);
  const feed = await loaded(store);
  const { entries: [third] } = await commit(store, 1);
  await database.sql`update heads set trimmed = ${third!.id}`;
  await database.sql`delete from messages`;
  const { entries: [fourth] } = await commit(store, 1);
  await feed.refresh();
  assertFalse(feed.knows(second!.id, false)); // who stands there has missed the third
  assertEquals(ids(feed.page(third!.id, 10)), [fourth!.id]);
});

Deno.test("Feed.refresh() that finds removed what came next wakes those who wait for it, and nobody else", async () => {
  await using database = await postgres.create();
  await using opened = await open(database.url);
  const { store } = opened;
  const { entries: [first] } = await commit(store, 1);
  const feed = await loaded(store);
  const { entries: [second] } = await commit(store, 1);
  await database.sql`update heads set trimmed = ${second!.id}`;
  await database.sql`delete from messages`;
  const [missed, missedChanges, atEnd] = [[first, false], [first, true], [second, true]].map(([entry, changes]) =>
    wait(feed, (entry as Entry).id, 60_000, changes as boolean)
  );
  let woken = false;
  void atEnd!.then(() => woken = true);
  await feed.refresh();
  await soon(Promise.all([missed, missedChanges]));
  assertFalse(woken);
  feed.release();
  await atEnd;
});

for (const [oneByOne, forgets] of [[true, false], [false, false], [true, true]]) {
  const what = oneByOne && !forgets ? "gives the deletions that came before" : "gives nothing that came after";
  const where = forgets ? " of which it holds nothing" : oneByOne ? "" : " at once";
  Deno.test(`Feed.refresh() that finds a room removed${where} ${what}`, async () => {
    const [first, second, third] = [1, 2, 3].map((seq) => makeId(seq === 3 ? 9 : 1, seq, randomDigits()));
    const places = [makeId(2, 2, randomDigits()), makeId(oneByOne ? 3 : 2, 2, randomDigits())];
    const mark = oneByOne ? places[1]! : makeId(3, 2, randomDigits());
    const say = (id: string) => makeEntry("lobby", id, null, "hello");
    const deletions = [first!, second!].map((id, i) =>
      makeEntry("lobby", id, null, "", { changed: places[oneByOne ? i : 0]! }).asChange()
    );
    const head = { place: placeOf(second!), lost: false, trimmed: NIL };
    const feed = await loaded({
      newest: () => Promise.resolve({ entries: [say(first!), say(second!)], full: false, head }),
      news: () =>
        Promise.resolve({
          entries: [...forgets ? [] : deletions, say(third!)], // or else they are gone already
          full: false,
          head: { ...head, place: placeOf(third!), trimmed: mark },
        }),
    });
    const given: (string[] | undefined)[] = [];
    const settled = () => {
      const page = feed.page(second!, 10, true);
      given.push(page && ids(page));
    };
    if (forgets) feed.forget();
    const isTold = oneByOne && !forgets;
    const crowd = isTold ? 600 : 1; // in more than one slice
    for (let i = 0; i < crowd; i++) {
      feed.park({ came: 0, cursor: second!, changes: true, expire: () => {}, settled }, HOUR_MS);
      if (isTold) feed.keepOutside(settled);
    }
    await feed.refresh();
    // Who is not told asks the database, which says what is gone.
    assertEquals(given, isTold ? Array(2 * crowd).fill([first!, second!, third!]) : [undefined]);
  });
}

Deno.test("Feed.refresh() ends where own commits come in all the time while it waits for its turn", async () => {
  const room = new FakeRoom();
  let reads = 0;
  const feed: Feed = await loaded({
    newest: (...asked) => room.newest(...asked),
    news: async (...asked) => {
      await nextTurn(); // of the connection
      if (++reads < 10) feed.append(commitOf(room.commit(1)));
      return await room.news(...asked);
    },
  });
  await feed.refresh();
  assertEquals(reads, 1);
});

Deno.test("Feed.wake() that fails is nobody's error", async () => {
  const room = new FakeRoom();
  const feed = await loaded(room);
  room.failures = 2;
  feed.wake();
  feed.wake();
  await assertRejects(() => feed.refresh(), Error, "no database");
  await feed.refresh();
});

Deno.test("Feed.park() settles only when the tail is past its own cursor", async () => {
  const room = new FakeRoom();
  const feed = await loaded(room);
  const [first, second, third] = room.commit(3);
  const behind = watch(wait(feed, NIL, HOUR_MS));
  const at = watch(wait(feed, first!.id, HOUR_MS));
  const ahead = watch(wait(feed, second!.id, HOUR_MS));
  feed.append(commitOf([first!]));
  await soon(behind.promise);
  assertEquals([at.settled, ahead.settled], [false, false]);
  feed.append(commitOf([second!]));
  await soon(at.promise);
  assertFalse(ahead.settled);
  feed.append(commitOf([third!]));
  await soon(ahead.promise);
});

Deno.test("Feed.park() settles at its deadline or up to a step later, not before, and once", async () => {
  using time = new FakeTime();
  const room = new FakeRoom();
  const feed = await loaded(room);
  let settled = 0;
  const waiter: Waiter = {
    came: 0,
    cursor: NIL,
    changes: false,
    expire: () => feed.settle(waiter),
    settled: () => void settled++,
  };
  feed.park(waiter, 10_000);
  await time.tickAsync(9_999);
  assertEquals(settled, 0);
  await time.tickAsync(1 + DEADLINE_STEP_MS);
  assertEquals(settled, 1);
  feed.append(commitOf(room.commit(1)));
  feed.release();
  assertEquals(settled, 1);
});

Deno.test("Feed settles thousands in slices, between which others have their turn", async () => {
  const room = new FakeRoom();
  const feed = await loaded(room);
  let settled = 0;
  const waiting = Array.from({ length: CROWD }, () => wait(feed, NIL, HOUR_MS).then(() => settled++));
  feed.append(commitOf(room.commit(1)));
  await nextTurn();
  assert(settled > 0 && settled < CROWD, `${settled} were settled before others had their turn`);
  await soon(Promise.all(waiting));
});

Deno.test("Feed settles thousands whose time is over in slices, between which others have their turn", async () => {
  const feed = await loaded(new FakeRoom());
  let settled = 0;
  let waiting: Promise<unknown>;
  {
    using time = new FakeTime();
    waiting = Promise.all(Array.from({ length: CROWD }, () => wait(feed, NIL, 1_000).then(() => settled++)));
    time.tick(1_000 + DEADLINE_STEP_MS);
  }
  await Promise.resolve();
  assert(settled > 0 && settled < CROWD, `${settled} were settled before others had their turn`);
  await soon(waiting);
});

Deno.test("Feed gives thousands all news in its order, also what comes while they are being settled", async () => {
  const room = new FakeRoom();
  const feed = await loaded(room);
  const entries = room.commit(3);
  let answers = 0;
  const follow = async () => {
    const seen: string[] = [];
    while (seen.length < entries.length) {
      await wait(feed, seen.at(-1) ?? NIL, HOUR_MS);
      seen.push(...ids(feed.page(seen.at(-1) ?? NIL, 10)));
      answers++;
    }
    return seen;
  };
  const following = Array.from({ length: CROWD }, follow);
  for (const entry of entries) {
    feed.append(commitOf([entry]));
    await nextTurn();
    assert(answers < CROWD, "all were answered, and none was being settled");
  }
  const expected = entries.map(({ id }) => id);
  await soon(Promise.all(following).then((all) => all.forEach((seen) => assertEquals(seen, expected))));
});

Deno.test("Feed settles who has been passed over, too, when the news for them comes before all others are settled", async () => {
  const room = new FakeRoom();
  const feed = await loaded(room);
  const [first, second] = room.commit(2);
  const ahead = watch(wait(feed, first!.id, HOUR_MS)); // as one that another server has told the first
  const waiting = Array.from({ length: CROWD }, () => wait(feed, NIL, HOUR_MS));
  feed.append(commitOf([first!]));
  await nextTurn();
  feed.append(commitOf([second!]));
  await soon(Promise.all(waiting));
  await soon(ahead.promise);
});

Deno.test("Feed.keepOutside() lets nobody in before all have the news who have waited for it, and nobody waits without news", async () => {
  const room = new FakeRoom();
  const feed = await loaded(room);
  assert(!feed.isBusy(NIL, false));
  let settled = 0;
  const waiting = Array.from({ length: CROWD }, () => wait(feed, NIL, HOUR_MS).then(() => settled++));
  feed.append(commitOf(room.commit(1)));
  await nextTurn();
  const before: number[] = [];
  const outside = Array.from({ length: CROWD }, () => keptOutside(feed).then(() => before.push(settled)));
  await soon(Promise.all(outside));
  assertEquals(new Set(before), new Set([CROWD]));
  await soon(Promise.all(waiting));
  for (let turn = 0; turn < 3; turn++) await nextTurn();
  assert(!feed.isBusy(NIL, false));
});

Deno.test("Feed.keepOutside() lets people in also where there is news without end, for many who come back each time", async () => {
  const room = new FakeRoom();
  const feed = await loaded(room);
  let over = false;
  const following = Array.from({ length: CROWD }, async () => {
    for (let cursor = NIL; !over; cursor = feed.end) await wait(feed, cursor, HOUR_MS);
  });
  feed.append(commitOf(room.commit(1)));
  await nextTurn();
  let outside = 2 * CROWD;
  for (let i = 0; i < 2 * CROWD; i++) void keptOutside(feed).then(() => outside--);
  let news = 0;
  for (; outside > 0 && news < CROWD; news++) {
    feed.append(commitOf(room.commit(1)));
    await nextTurn();
  }
  assertEquals(outside, 0, `after ${news} messages`);
  over = true;
  feed.release();
  await soon(Promise.all(following));
});

Deno.test("Feed.keepOutside() is over when the waiters are released, and nobody stays outside who asks for what the tail does not know", async () => {
  const room = new FakeRoom();
  const feed = await loaded(room, { messages: 1, bytes: 1_000_000 });
  const waiting = Array.from({ length: CROWD }, () => wait(feed, NIL, HOUR_MS));
  feed.append(commitOf(room.commit(2)));
  await nextTurn();
  assert(!feed.isBusy(NIL, false));
  let inside = false;
  void keptOutside(feed).then(() => inside = true);
  feed.release();
  await Promise.resolve();
  assert(inside);
  await soon(Promise.all(waiting));
});

/** Stays outside a feed that is busy with news, until it is his turn. */
function keptOutside(feed: Feed): Promise<void> {
  assert(feed.isBusy(feed.end, false));
  return new Promise((resolve) => feed.keepOutside(resolve));
}

Deno.test("Feed.release() settles all waiters, and later ones wait again", async () => {
  const room = new FakeRoom();
  const feed = await loaded(room);
  const waiting = [1, 2, 3].map(() => wait(feed, NIL, HOUR_MS));
  feed.release();
  await soon(Promise.all(waiting));
  const later = watch(wait(feed, NIL, HOUR_MS));
  await Promise.resolve();
  assertFalse(later.settled);
  feed.append(commitOf(room.commit(1)));
  await soon(later.promise);
});

Deno.test("Feed.page() gives what comes after the cursor, at every place in the tail", async () => {
  const room = new FakeRoom();
  const entries = room.commit(5);
  const feed = await loaded(room);
  const cursors = [NIL, ...entries.map(({ id }) => id)];
  for (const [i, cursor] of cursors.entries()) {
    for (const limit of [1, 2, 4, 5, 6]) {
      const page = feed.page(cursor, limit);
      const expected = entries.slice(i, i + limit).map(({ id }) => id);
      assertEquals(ids(page), expected);
      assertEquals([page?.first, page?.last], [expected.at(0), expected.at(-1)]);
      assertEquals(page?.full, expected.length === limit, `${limit} from ${i}`);
    }
  }
  assertEquals(ids(feed.page("ffffffff-ffff-ffff-ffff-ffffffffffff", 10)), []);
});

Deno.test("Feed.page() takes a cursor that is no message's id as the moment that it is", async () => {
  const room = new FakeRoom();
  const entries = room.commit(3);
  const feed = await loaded(room);
  const between = entries[1]!.id.slice(0, -10) + "ffffffffff"; // after the second, before the third
  assertEquals(ids(feed.page(between, 10)), [entries[2]!.id]);
});

Deno.test("Feed.page() ends at a page's bytes and says that there is more", async () => {
  const room = new FakeRoom();
  const feed = await loaded(room, { messages: 1_000, bytes: 10_000_000 });
  feed.append(commitOf(room.commit(150, "x".repeat(10_000))));
  const page = feed.page(NIL, 1_000)!;
  assert(page.full);
  assert(page.body.length <= 1_000_000 + 2 + 150);
  assert(ids(page).length > 90);
});

Deno.test("Feed.page() gives every reader at one place the very same bytes, until there is news", async () => {
  const room = new FakeRoom();
  room.commit(3);
  const feed = await loaded(room);
  const page = feed.page(NIL, 10)!;
  assertStrictEquals(feed.page(NIL, 10)?.body, page.body);
  assertEquals(ids(feed.page(NIL, 2)).length, 2);
  assertStrictEquals(feed.page(NIL, 10)?.body, page.body);
  feed.append(commitOf(room.commit(1)));
  assert(feed.page(NIL, 10)?.body !== page.body);
  assertEquals(ids(feed.page(NIL, 10)).length, 4);
});

Deno.test("Feed.entriesAfter() gives every subscriber at one place the very same list, and each what he asks for", async () => {
  const room = new FakeRoom();
  const feed = await loaded(room);
  const [first, second] = room.commit(2);
  feed.append(commitOf([first!, second!]));
  const list = feed.entriesAfter(NIL);
  assertEquals(list, [first!, second!]);
  assertStrictEquals(feed.entriesAfter(NIL), list);
  assertEquals(feed.entriesAfter(first!.id), [second!]);

  const changed = makeEntry("lobby", first!.id, null, "edited", { changed: makeId(1, 3, randomDigits()) });
  feed.append({ entries: [changed.asChange()], prior: { ms: 1, seq: 2 } });
  assertEquals(feed.entriesAfter(second!.id), []);
  assertEquals(feed.entriesAfter(second!.id, true), [changed.asChange()]);
  assertEquals(feed.entriesAfter(second!.id), []);
  assertEquals(feed.entriesAfter(first!.id, true), [second!, changed.asChange()]);
  const deleted = makeEntry("lobby", second!.id, null, "", { changed: makeId(1, 4, randomDigits()) });
  feed.append({ entries: [deleted.asChange()], prior: { ms: 1, seq: 3 } });
  assertEquals(feed.entriesAfter(first!.id, true), [changed.asChange(), deleted.asChange()], "what it had before");

  const other = await loaded(new FakeRoom());
  assertEquals(other.entriesAfter(NIL), []);
  const third = makeEntry("lobby", makeId(1, 5, randomDigits()), null, "third");
  feed.append({ entries: [third], prior: { ms: 1, seq: 4 } });
  assertEquals(feed.entriesAfter(second!.id), [third]);
});

Deno.test("Pages keeps a bounded number of pages and of bytes, the newest, and each at its place", () => {
  const page = (size: number) => ({ body: new Uint8Array(size), first: undefined, last: undefined, full: false });
  const pages = new Pages();
  const small = Array.from({ length: 3 * MAX_PAGES }, () => page(2));
  small.forEach((page, place) => pages.keep(place % 2, `${place}`, page));
  assertEquals(pages.size, MAX_PAGES);
  assertStrictEquals(pages.at(0, `${2 * MAX_PAGES}`), small[2 * MAX_PAGES]);
  assertEquals(pages.at(1, `${2 * MAX_PAGES - 1}`), undefined);
  for (let place = 0; place < 100; place++) pages.keep(1, `large ${place}`, page(MAX_PAGE_BYTES));
  const large = [92, 91].map((place) => pages.at(1, `large ${place}`)?.body.length);
  assertEquals([pages.size, large], [8, [MAX_PAGE_BYTES, undefined]]);
  pages.keep(1, "too large", page(100 * MAX_PAGE_BYTES));
  pages.keep(1, "small", page(2));
  assertEquals(pages.size, 1);
});

Deno.test("Pages.forget() lets go of a version's pages, and of no other's, and has their room for others", () => {
  const page = { body: new Uint8Array(MAX_PAGE_BYTES), first: undefined, last: undefined, full: false };
  const pages = new Pages();
  for (let round = 0; round < 3; round++) {
    for (let place = 0; place < 4; place++) pages.keep(place % 2, `${place}`, page);
    pages.forget(0);
    assertEquals([0, 1, 2, 3].map((place) => pages.at(place % 2, `${place}`) === page), [false, true, false, true]);
    pages.forget(0);
    for (let place = 0; place < 6; place++) pages.keep(2, `${place}`, page);
    assertEquals([pages.size, pages.at(1, "1")], [8, page]);
    pages.forget(1);
    pages.forget(2);
    assertEquals(pages.size, 0);
  }
});

Deno.test("Feed keeps nothing that it has made of a message that is taken back, or of any when another takes its place", async () => {
  setFlagsFromString("--expose-gc");
  const gc: () => void = runInNewContext("gc");
  const feed = await loaded(new FakeRoom());
  const [first, second] = new FakeRoom().commit(2);
  feed.append(commitOf([first!, second!]));
  const deleted = makeEntry("lobby", first!.id, null, "", { changed: makeId(1, 3, randomDigits()) });
  const takeBack = () => feed.append({ entries: [deleted.asChange()], prior: { ms: 1, seq: 2 } });
  for (const end of [takeBack, () => feed.close()]) {
    const made = [
      ...[1, 10].map((limit) => new WeakRef(feed.page(NIL, limit)!)),
      ...[false, true].map((changes) => new WeakRef(feed.entriesAfter(NIL, changes)!)),
    ];
    end();
    await until(() => (gc(), made.every((made) => made.deref() === undefined)), "they are let go");
  }
});

Deno.test("Feed trims its tail to a number of messages, and what it gave up is older than the tail", async () => {
  const room = new FakeRoom();
  let bytes = 0;
  const feed = new Feed(
    "lobby",
    room,
    { messages: 3, bytes: 1_000_000 },
    (change) => bytes += change,
    () => {},
    () => {},
  );
  await feed.refresh();
  const entries = room.commit(5);
  feed.append(commitOf(entries.slice(0, 2)));
  assertEquals(ids(feed.page(NIL, 10)).length, 2);
  feed.append(commitOf(entries.slice(2)));
  assertEquals(feed.page(entries[0]!.id, 10), undefined);
  assertEquals(ids(feed.page(entries[1]!.id, 10)), entries.slice(2).map(({ id }) => id));
  assertEquals(feed.bytes, entries.slice(2).reduce((sum, entry) => sum + entry.bytes, 0));
  assertEquals(bytes, feed.bytes);
});

Deno.test("Feed trims its tail to a number of bytes", async () => {
  const room = new FakeRoom();
  const entries = room.commit(5);
  const { bytes } = entries[0]!;
  const feed = await loaded(room, { messages: 1_000, bytes: 2 * bytes });
  assertEquals(feed.page(entries[1]!.id, 10), undefined);
  assertEquals(ids(feed.page(entries[2]!.id, 10)), entries.slice(3).map(({ id }) => id));
  assertEquals(feed.bytes, 2 * bytes);
});

Deno.test("Feed wakes its waiters also for a message that is larger than its tail may be", async () => {
  const room = new FakeRoom();
  const feed = await loaded(room, { messages: 1_000, bytes: 10 });
  const waiting = wait(feed, NIL, HOUR_MS);
  const entries = room.commit(1);
  feed.append(commitOf(entries));
  await soon(waiting);
  assertEquals(feed.end, entries[0]!.id);
  assertEquals(feed.bytes, 0);
  assertEquals(feed.page(NIL, 10), undefined);
  assertEquals(ids(feed.page(feed.end, 10)), []);
});

Deno.test("Feed.forget() gives the messages up, keeps the place, and what comes next still wakes", async () => {
  const room = new FakeRoom();
  const entries = room.commit(3);
  let bytes = 0;
  const feed = new Feed("lobby", room, ROOMY, (change) => bytes += change, () => {}, () => {});
  await feed.refresh();
  feed.page(entries[0]!.id, 10);
  feed.forget();
  assertEquals([feed.bytes, bytes], [0, 0]);
  assertEquals(feed.end, entries[2]!.id);
  assertEquals(feed.page(entries[0]!.id, 10), undefined);
  const waiting = wait(feed, feed.end, HOUR_MS);
  const reads = room.reads;
  const next = room.commit(1);
  feed.append(commitOf(next));
  await soon(waiting);
  assertEquals(room.reads, reads);
  assertEquals(ids(feed.page(entries[2]!.id, 10)), [next[0]!.id]);
});

/** A room without a database, for what a feed does by itself. */
class FakeRoom implements Pick<Store, "newest" | "news"> {
  readonly #entries: Entry[] = [];
  reads = 0;
  /** So many of the next reads fail. */
  failures = 0;

  commit(count: number, body = "hello"): Entry[] {
    const committed = Array.from({ length: count }, (_, i) => {
      return makeEntry("lobby", makeId(1, this.#entries.length + i + 1, randomDigits()), null, body);
    });
    this.#entries.push(...committed);
    return committed;
  }

  newest(_room: string, limit: number) {
    return this.#read(this.#entries.slice(-limit), limit);
  }

  news(_room: string, { newest: end }: Known, limit: number) {
    return this.#read(this.#entries.filter(({ id }) => id > end).slice(0, limit), limit);
  }

  async #read(entries: Entry[], limit: number) {
    this.reads++;
    await Promise.resolve();
    if (this.failures > 0) {
      this.failures--;
      throw new Error("no database");
    }
    const place = placeOf(this.#entries.at(-1)?.id ?? NIL);
    return { entries, full: entries.length === limit, head: { place, lost: false, trimmed: NIL } };
  }
}

/** Holds reads of a store after the database has answered them, until the test lets them go. */
class Gate {
  readonly store: Pick<Store, "newest" | "news">;
  reads = 0;
  #held: { arrived(): void; opened: Promise<void> } | undefined;

  constructor(store: Store) {
    const pass = async <T>(reading: Promise<T>): Promise<T> => {
      this.reads++;
      const held = this.#held;
      this.#held = undefined;
      const rows = await reading;
      held?.arrived();
      await held?.opened;
      return rows;
    };
    this.store = {
      newest: (...query) => pass(store.newest(...query)),
      news: (...query) => pass(store.news(...query)),
    };
  }

  /** Holds the next read: `read` resolves when the database has answered it. */
  hold(): { read: Promise<void>; release(): void } {
    const arrived = Promise.withResolvers<void>();
    const opened = Promise.withResolvers<void>();
    this.#held = { arrived: arrived.resolve, opened: opened.promise };
    return { read: arrived.promise, release: opened.resolve };
  }
}

/** The store of a migrated database. */
async function open(url: string): Promise<AsyncDisposable & { store: Store }> {
  const { config, openPool } = await openedMigrated(url);
  const client = new Client("test", 2, config.STATEMENT_TIMEOUT_MS, openPool);
  return { store: new Store(client, client, client, new Floors()), [Symbol.asyncDispose]: () => client.close() };
}

/** Commits messages as any server does. */
async function commit(store: Store, count: number): Promise<Commit> {
  const { commits } = await store.append(Array.from({ length: count }, (_, i) => draft("lobby", `${i}`)));
  return commits[0]!;
}

/** Changes a message as any server does, on behalf of somebody who moderates. */
async function change(store: Store, { id }: Entry, body: string): Promise<Commit> {
  const wanted = { room: "lobby", id, body, sub: null, proof: null, moderates: true, known: null };
  const verdict = await store.change({ ...wanted, random: randomDigits() });
  assert(verdict.outcome === "changed");
  return verdict.commit;
}

/** What a statement brings that has found the room's head at the message before. */
function commitOf(entries: readonly Entry[]): Omit<Commit, "head"> {
  const before = seqOf(entries[0]!.id) - 1;
  return { room: "lobby", entries, prior: { ms: before === 0 ? 0 : 1, seq: before } };
}

function makeFeed(store: Pick<Store, "newest" | "news">, limits = ROOMY, room = "lobby", lost = () => {}): Feed {
  return new Feed(room, store, limits, () => {}, lost, () => {});
}

async function loaded(...parameters: Parameters<typeof makeFeed>): Promise<Feed> {
  const feed = makeFeed(...parameters);
  await feed.refresh();
  return feed;
}

/** The ids in a page, out of the bytes that a client gets. */
function ids(page: Page | undefined): string[] {
  const messages: { id: string }[] = JSON.parse(new TextDecoder().decode(page?.body));
  return messages.map(({ id }) => id);
}

/** Lets everything run that is ready to. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A promise of which can be seen whether it has settled. */
function watch(promise: Promise<void>) {
  const watched = { promise, settled: false };
  promise.then(() => watched.settled = true);
  return watched;
}

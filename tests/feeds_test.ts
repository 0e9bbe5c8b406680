// The feeds of a process: there is one for each room that is being read, and nothing is left of it afterwards.
import { assert, assertEquals, assertFalse, assertNotEquals, assertStrictEquals } from "@std/assert";
import { makeId, NIL, placeOf, randomDigits, seqOf, timeOf } from "../src/chat/cursor.ts";
import { Feed } from "../src/chat/feed.ts";
import { Feeds } from "../src/chat/feeds.ts";
import { type Entry, makeEntry } from "../src/chat/page.ts";
import type { Commit } from "../src/chat/store.ts";
import { FakeTime } from "@std/testing/time";
import { soon } from "./support/client.ts";
import { wait } from "./support/waiting.ts";

const HOUR_MS = 3_600_000;
const SIZE = makeEntry("a", makeId(1, 1, randomDigits()), null, "hello").bytes;

Deno.test("Feeds.hold() gives all holders of a room one feed, and each room its own", () => {
  const { feeds } = setUp();
  const feed = feeds.hold("a");
  assertStrictEquals(feeds.hold("a"), feed);
  assertNotEquals(feeds.hold("b").room, feed.room);
  assertStrictEquals(feeds.get("a"), feed);
  assertEquals(feeds.size, 2);
  assertEquals(Array.from(feeds.values(), ({ room }) => room), ["a", "b"]);
});

Deno.test("Feeds.letGo() drops a feed with its last holder", () => {
  const { feeds } = setUp();
  const feed = feeds.hold("a");
  feeds.hold("a");
  feeds.letGo(feed);
  assertStrictEquals(feeds.get("a"), feed);
  assertFalse(feed.closed);
  feeds.letGo(feed);
  assertEquals(feeds.get("a"), undefined);
  assertEquals(feeds.size, 0);
  assert(feed.closed); // and keeps nothing of its messages
  assert(feeds.hold("a") !== feed);
});

Deno.test("Feeds keeps a feed for a while after its last holder, and drops it then", async () => {
  using time = new FakeTime();
  const { feeds, runs } = setUp(undefined, 1_000);
  const feed = feeds.hold("a");
  feeds.letGo(feed);
  assertEquals([feeds.size, feeds.get("a")], [0, feed]);
  await time.tickAsync(999);
  assertStrictEquals(feeds.hold("a"), feed);
  await time.tickAsync(5_000);
  assertEquals([feeds.size, feeds.get("a"), runs[0]!.aborted], [1, feed, false]); // somebody holds it again
  feeds.letGo(feed);
  await time.tickAsync(2_000);
  assertEquals([feeds.get("a"), runs[0]!.aborted], [undefined, true]);
  assertEquals(runs.length, 1);
});

Deno.test("Feeds keeps a thousand of them at most, and none when it closes", async () => {
  using time = new FakeTime();
  const { feeds, runs } = setUp(undefined, 1_000);
  const held = feeds.hold("held");
  for (let i = 0; i < 1_001; i++) feeds.letGo(feeds.hold(`room${i}`));
  assertEquals([...feeds.values()].length, 1_001);
  assertEquals([feeds.get("room0"), feeds.get("room1")?.room], [undefined, "room1"]);
  feeds.close();
  assertEquals(Array.from(feeds.values(), ({ room }) => room), ["held"]);
  feeds.letGo(held);
  assert(runs[0]!.aborted);
  await time.tickAsync(5_000);
});

Deno.test("Feeds runs its companion once while any feed is held, and ends it when the last is let go", () => {
  const { feeds, runs } = setUp();
  assertEquals(runs.length, 0);
  const a = feeds.hold("a");
  const b = feeds.hold("b");
  feeds.hold("a");
  assertEquals(runs.length, 1);
  feeds.letGo(a);
  feeds.letGo(a);
  assertFalse(runs[0]!.aborted);
  feeds.letGo(b);
  assert(runs[0]!.aborted);

  const again = feeds.hold("a");
  assertEquals(runs.length, 2);
  assertFalse(runs[1]!.aborted);
  feeds.letGo(again);
  assert(runs[1]!.aborted);
});

Deno.test("Feeds shares its bytes among all rooms: the one that grew longest ago gives its messages up first", async () => {
  const { feeds, commit } = setUp(5 * SIZE);
  const [a, b, c] = ["a", "b", "c"].map((room) => feeds.hold(room));
  for (const feed of feeds.values()) await feed.refresh();
  a!.append(commit("a", 2));
  b!.append(commit("b", 2));
  a!.append(commit("a", 1)); // from here on b is the one
  assertEquals([a!.bytes, b!.bytes], [3 * SIZE, 2 * SIZE]);
  c!.append(commit("c", 1));
  assertEquals([a!.bytes, b!.bytes, c!.bytes], [3 * SIZE, 0, SIZE]);
  b!.append(commit("b", 1));
  assertEquals([a!.bytes, b!.bytes, c!.bytes], [3 * SIZE, SIZE, SIZE]);
});

Deno.test("Feeds takes the room for a message from the one that grew longest ago, and passes by none that has nothing to give up", async () => {
  const { feeds, commit } = setUp(2 * SIZE);
  const all = Array.from({ length: 1_000 }, (_, i) => feeds.hold(`${i}`));
  for (const feed of all) await feed.refresh();
  for (const feed of all) feed.append(commit(feed.room, 1));
  const forget = Feed.prototype.forget;
  using stack = new DisposableStack();
  stack.defer(() => Feed.prototype.forget = forget);
  let asked = 0;
  Feed.prototype.forget = function (this: Feed) {
    asked++;
    forget.call(this);
  };
  for (const feed of all.slice(0, 100)) feed.append(commit(feed.room, 1));
  assertEquals(asked, 100);
  assertEquals(all.filter(({ bytes }) => bytes > 0), all.slice(98, 100));
});

Deno.test("Feeds lets a room that alone is too large give up its own messages, and wakes its waiters all the same", async () => {
  const { feeds, commit } = setUp(2 * SIZE);
  const feed = feeds.hold("a");
  await feed.refresh();
  const waiting = wait(feed, NIL, HOUR_MS);
  const committed = commit("a", 3);
  feed.append(committed);
  await soon(waiting);
  assertEquals([feed.bytes, feed.end], [0, committed.entries[2]!.id]);
  assertEquals(feed.page(NIL, 10), undefined);
});

Deno.test("Feeds.letGo() gives the bytes of a dropped feed back", async () => {
  const { feeds, commit } = setUp(2 * SIZE);
  for (let round = 0; round < 3; round++) {
    const feed = feeds.hold(`a${round}`);
    await feed.refresh();
    feed.append(commit(`a${round}`, 2));
    assertEquals(feed.bytes, 2 * SIZE);
    feeds.letGo(feed);
  }
});

Deno.test("Feeds doesn't count what a look brings into a feed that was dropped meanwhile", async () => {
  const { feeds, commit, gate } = setUp(2 * SIZE);
  const dropped = feeds.hold("a");
  commit("a", 2);
  const opened = gate();
  const looking = dropped.refresh();
  feeds.letGo(dropped);
  opened();
  await looking;
  assertEquals(dropped.bytes, 2 * SIZE);
  assertEquals(feeds.size, 0);
  const feed = feeds.hold("b");
  await feed.refresh();
  feed.append(commit("b", 2));
  assertEquals(feed.bytes, 2 * SIZE);
});

Deno.test("Feeds.restart() settles a feed's waiters and begins a new one, which letting the old go doesn't touch", async () => {
  const { feeds, losses, commit, runs } = setUp();
  const old = feeds.hold("a");
  await old.refresh();
  old.append(commit("a", 2));
  const waiting = wait(old, old.end, HOUR_MS);
  feeds.restart(old);
  await soon(waiting);
  assertEquals([losses, old.page(NIL, 1)], [[old], undefined]);
  const fresh = feeds.hold("a");
  assert(fresh !== old);
  assertFalse(fresh.loaded);
  feeds.letGo(old);
  assertStrictEquals(feeds.get("a"), fresh);
  assertFalse(runs[0]!.aborted);
  feeds.letGo(fresh);
  assertEquals(feeds.size, 0);
  assert(runs[0]!.aborted);
});

Deno.test("Feeds.restart() gives the bytes back, once", async () => {
  const { feeds, commit } = setUp(2 * SIZE);
  const old = feeds.hold("a");
  await old.refresh();
  old.append(commit("a", 2));
  feeds.restart(old);
  feeds.letGo(old);
  const [b, c] = [feeds.hold("b"), feeds.hold("c")];
  for (const feed of [b, c]) await feed.refresh();
  b.append(commit("b", 2));
  assertEquals(b.bytes, 2 * SIZE);
  c.append(commit("c", 1));
  assertEquals([b.bytes, c.bytes], [0, SIZE]);
});

Deno.test("Feeds.restart() of a feed that is no longer its room's leaves the room's feed alone", () => {
  const { feeds, losses } = setUp();
  const old = feeds.hold("a");
  feeds.letGo(old);
  const feed = feeds.hold("a");
  feeds.restart(old);
  assertStrictEquals(feeds.get("a"), feed);
  assertEquals(losses, []);
});

Deno.test("Feeds.release() settles the waiters of all rooms", async () => {
  const { feeds } = setUp();
  const waiting = ["a", "b"].map((room) => wait(feeds.hold(room), NIL, HOUR_MS));
  feeds.release();
  await soon(Promise.all(waiting));
});

/** Feeds of rooms without a database, with the signals that they handed out. */
function setUp(all = 1_000_000, keptMs?: number) {
  const rooms = new Map<string, Entry[]>();
  const runs: AbortSignal[] = [];
  let opened = Promise.resolve();
  const read = async (room: string) => {
    await opened;
    const entries = [...rooms.get(room) ?? []];
    return { entries, full: false, head: { place: placeOf(entries.at(-1)?.id ?? NIL), lost: false, trimmed: NIL } };
  };
  const losses: Feed[] = [];
  const feeds = new Feeds(
    { newest: read, news: read },
    { messages: 1_000, bytes: 1_000_000, all },
    (signal) => runs.push(signal),
    (feed) => losses.push(feed),
    keptMs,
  );
  return {
    feeds,
    runs,
    /** The feeds whose messages are lost. */
    losses,
    /** Commits messages, each of `SIZE` bytes. */
    commit(room: string, count: number): Omit<Commit, "head"> {
      const entries = rooms.get(room) ?? [];
      rooms.set(room, entries);
      const committed = Array.from({ length: count }, (_, i) => {
        return makeEntry(
          room,
          makeId(1, entries.length + i + 1, randomDigits()),
          null,
          "hello".slice(0, 6 - room.length),
        );
      });
      const before = entries.at(-1)?.id ?? NIL;
      const prior = { ms: timeOf(before), seq: seqOf(before) };
      entries.push(...committed);
      return { room, entries: committed, prior };
    },
    /** Holds all reads until the function it returns is called. */
    gate(): () => void {
      const { promise, resolve } = Promise.withResolvers<void>();
      opened = promise;
      return resolve;
    },
  };
}

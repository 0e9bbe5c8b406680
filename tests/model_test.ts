// The parts that order and wake, beside models that are too simple to be wrong: a list of messages, a list of rows.
// What happens when is left to chance, and made smaller until it says what is wrong.
//
// A failure prints its seed; FUZZ_SEED runs it again, FUZZ_RUNS=50 tries 50 times as much.
import { assert, assertEquals, assertGreater, assertLessOrEqual, assertMatch } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { ulidToUUID, uuidToULID } from "ulid";
import { makeId, makePlace, MAX_MS, NIL, parseCursor, placeOf, seqOf, timeOf } from "../src/chat/cursor.ts";
import { DEADLINE_STEP_MS } from "../src/chat/deadlines.ts";
import { Feed } from "../src/chat/feed.ts";
import { Feeds } from "../src/chat/feeds.ts";
import { LockedRooms } from "../src/chat/locked-rooms.ts";
import { MAX_PAGE_BYTES } from "../src/chat/message.ts";
import { type Entry, makeEntry } from "../src/chat/page.ts";
import type { Draft } from "../src/chat/draft.ts";
import type { Known } from "../src/chat/sql/head.ts";
import type { News } from "../src/chat/sql/news.ts";
import { type Commit, KEY_TAKEN, type StoredKey } from "../src/chat/store.ts";
import { type Posted, Writer, type WriterLimits } from "../src/chat/writer.ts";
import { DatabaseError, type Fate } from "../src/database/client.ts";
import { Problem } from "../src/problem.ts";
import { draft as makeDraft } from "./support/draft.ts";
import { wait } from "./support/waiting.ts";

/** A test of a property: `runs` times, each on its own input. */
function property<T>(name: string, runs: number, input: fc.Arbitrary<T>, holds: (value: T) => Promise<void> | void) {
  Deno.test(name, async () => {
    const seed = Deno.env.get("FUZZ_SEED");
    await fc.assert(fc.asyncProperty(input, async (value) => await holds(value)), {
      numRuns: runs * Number(Deno.env.get("FUZZ_RUNS") ?? 1),
      ...seed && { seed: Number(seed) },
    });
  });
}

/** Lets everything run that waits for nothing but its turn. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 40; turn++) await Promise.resolve();
}

// Cursors

const MAX_SEQ = 2 ** 40 - 1;
const hexDigits = (length: number) =>
  fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), minLength: length, maxLength: length });
const idParts = fc.record({
  ms: fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: MAX_MS - 3, max: MAX_MS }), fc.nat(), fc.maxSafeNat()),
  seq: fc.oneof(
    fc.integer({ min: 0, max: 3 }),
    fc.integer({ min: MAX_SEQ - 3, max: MAX_SEQ }),
    fc.nat(),
    fc.maxSafeNat(),
  ),
  random: fc.oneof(hexDigits(10), fc.constantFrom("0".repeat(10), "f".repeat(10))),
}).map(({ ms, seq, random }) => ({ ms: ms % (MAX_MS + 1), seq: seq % (MAX_SEQ + 1), random }));

property(
  "an id gives back what it was made of, in each of the forms that a cursor has",
  300,
  idParts,
  ({ ms, seq, random }) => {
    const id = makeId(ms, seq, random);
    assertMatch(id, /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/);
    assertEquals({ ms: timeOf(id), seq: seqOf(id), random: id.slice(26) }, { ms, seq, random });
    const ulid = uuidToULID(id);
    for (const form of [id, id.toUpperCase(), ulid, ulid.toLowerCase()]) assertEquals(parseCursor(form), id);
  },
);

property(
  "ids are ordered as their times are, then their numbers, then the rest",
  300,
  fc.tuple(idParts, idParts, fc.constantFrom("ms", "seq", "random", "none")).map(([a, b, same]) =>
    [a, same === "none" ? b : same === "ms" ? { ...b, ms: a.ms } : { ...b, ms: a.ms, seq: a.seq }] as const
  ),
  ([a, b]) => {
    const [first, second] = [a, b].map(({ ms, seq, random }) => makeId(ms, seq, random)) as [string, string];
    const expected = a.ms - b.ms || a.seq - b.seq || (a.random < b.random ? -1 : a.random > b.random ? 1 : 0);
    assertEquals(first < second ? -1 : first > second ? 1 : 0, Math.sign(expected));
    assertEquals(uuidToULID(first) < uuidToULID(second), first < second);
  },
);

const ODD = ["ſ", "ß", "ﬀ", "ﬆ", "ı", "\u212a", "٠", "０", "", " ", "\n", "-", "8", "z", "I", "l", "O", "u", "\ud800"];
property(
  "parseCursor() never fails, and what it takes is a UUID or a ULID of ASCII",
  2_000,
  fc.oneof(
    fc.string({ unit: "binary", maxLength: 40 }),
    fc.tuple(
      fc.oneof(fc.constant(NIL), fc.uuid(), fc.uuid().map((id) => uuidToULID(id))),
      fc.nat(36),
      fc.nat(3),
      fc.constantFrom(...ODD),
    ).map(([text, at, cut, odd]) => text.slice(0, at) + odd + text.slice(at + cut)),
  ),
  (text) => {
    const cursor = parseCursor(text);
    if (/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text)) {
      assertEquals(cursor, text.toLowerCase());
    } else if (/^[0-7][0-9a-hjkmnp-tv-z]{25}$/i.test(text)) {
      assertEquals(cursor, ulidToUUID(text).toLowerCase());
    } else {
      assertEquals(cursor, undefined);
    }
  },
);

// The feed

/** A place in the room: at a message, counted from the newest, or a little before or after it; `ahead` of all of them. */
interface Place {
  readonly at: number;
  readonly shift: number;
  readonly ahead: boolean;
}

type FeedStep =
  /** Another server commits `count` messages of `size` characters; nobody tells the feed. */
  | { readonly do: "commit elsewhere"; readonly count: number; readonly size: number }
  /** This server does; the feed hears of it with "append". */
  | { readonly do: "commit here"; readonly count: number; readonly size: number }
  | { readonly do: "append" | "refresh" | "wake" | "release" | "forget" }
  /** The head moves, and no message comes: a message was changed, or the head lifted. */
  | { readonly do: "move" }
  /** The database loses its last `states`: a failover to a standby that was behind, whose clock may be `behind` too. */
  | { readonly do: "lose"; readonly states: number; readonly behind: boolean }
  /** The look under way reads what is there, `most` messages of it; its answer is still on its way. */
  | { readonly do: "read"; readonly most: number }
  | { readonly do: "answer" | "fail" }
  | { readonly do: "wait"; readonly after: Place; readonly ms: number }
  | { readonly do: "abort"; readonly which: number }
  | { readonly do: "page"; readonly after: Place; readonly limit: number }
  | { readonly do: "pass"; readonly ms: number };

const place: fc.Arbitrary<Place> = fc.record({
  at: fc.oneof(fc.nat(3), fc.nat(1_000)),
  shift: fc.constantFrom(0, 0, 0, -1, 1),
  ahead: fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, fc.constant(true)),
});
const size = fc.oneof({ weight: 9, arbitrary: fc.nat(40) }, fc.constantFrom(400_000));
const count = fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 1, max: 4 }) }, fc.constantFrom(99, 100, 101, 130));
const commits = fc.tuple(count, size).map(([count, size]) => ({
  count: size > 1_000 ? Math.min(count, 4) : count,
  size,
}));
const feedStep = fc.oneof<fc.MaybeWeightedArbitrary<FeedStep>[]>(
  { weight: 2, arbitrary: commits.map((commit) => ({ do: "commit elsewhere", ...commit })) },
  { weight: 4, arbitrary: commits.map((commit) => ({ do: "commit here", ...commit })) },
  { weight: 6, arbitrary: fc.constant({ do: "append" }) },
  { weight: 1, arbitrary: fc.constant({ do: "move" }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("lose"), states: fc.integer({ min: 1, max: 4 }), behind: fc.boolean() }),
  },
  { weight: 3, arbitrary: fc.constantFrom({ do: "refresh" }, { do: "wake" }) },
  { weight: 1, arbitrary: fc.constantFrom({ do: "release" }, { do: "release" }, { do: "forget" }) },
  {
    weight: 6,
    arbitrary: fc.constantFrom(1, 2, 3, 50, 1_000, 1_000, 1_000).map((most) => ({ do: "read", most })),
  },
  { weight: 6, arbitrary: fc.constantFrom({ do: "answer" }, { do: "answer" }, { do: "answer" }, { do: "fail" }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("wait"), after: place, ms: fc.constantFrom(10, 50, 1e6) }) },
  fc.record({ do: fc.constant("abort"), which: fc.nat(20) }),
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant("page"), after: place, limit: fc.constantFrom(1, 2, 3, 100, 1_000) }),
  },
  fc.record({ do: fc.constant("pass"), ms: fc.constantFrom(5, 20, 100) }),
);

/** A room: its messages, how it came to them, and looks at them that are held. */
class FakeRoom {
  messages: Entry[] = [];
  /** The messages of all times, those too that were lost, in the order of their ids. */
  ever: Entry[] = [];
  /** What the database had before each loss. */
  readonly lost: Entry[][] = [];
  #head = { ms: 0, seq: 0 };
  #states: { count: number; head: { ms: number; seq: number } }[] = [];
  #clock = 1_000;
  /** The highest time that the head has had. */
  #highest = 0;
  /** Whether a message has come to stand in the very place of a lost one: see `commit`. */
  collided = false;
  /** The newest time that this server has seen. */
  seen = 0;
  /** The look under way; `news` once it has read. */
  look:
    | { known: Known | undefined; limit: number; news?: News; answer: PromiseWithResolvers<News> }
    | undefined;
  looks = 0;
  /** What stands before the first look's oldest message, once that look has been answered. */
  floor: string | undefined;

  get place(): string {
    return makePlace(this.#head.ms, this.#head.seq);
  }

  /** As the statement does it; `floor` is what the server that posts has seen. */
  commit(count: number, size: number, floor: number): Omit<Commit, "head"> {
    if (this.ever.length % 3 === 0) this.#clock++;
    const behind = this.#clock < floor;
    const before = this.#move(Math.max(this.#head.ms, this.#clock, behind ? floor + 1 : 0), count);
    const entries = Array.from({ length: count }, (_, i) => {
      const random = `8${(this.ever.length + i).toString(16).padStart(9, "0")}`;
      return makeEntry("room", makeId(this.#head.ms, before.seq + i + 1, random), null, `x${"é".repeat(size)}`);
    });
    // A server that has not seen a lost message can store another one in its very place, which no feed can tell from it. That is said in
    // docs/running.md, and where it happens nothing more is asked of the feed.
    const places = new Set(this.ever.map(({ id }) => placeOf(id)));
    if (floor < this.#head.ms) this.collided ||= entries.some(({ id }) => places.has(placeOf(id)));
    this.messages.push(...entries);
    this.ever = [...this.ever, ...entries].sort((a, b) => a.id < b.id ? -1 : 1);
    return { room: "room", entries, prior: behind ? undefined : before };
  }

  move(): void {
    this.#move(this.#head.ms + 1, 0);
  }

  lift(ms: number): void {
    if (this.#head.ms < ms) this.#move(ms, 0);
  }

  lose(states: number, behind: boolean): void {
    const state = this.#states.splice(-states)[0];
    if (!state) return;
    this.lost.push(this.messages);
    this.messages = this.messages.slice(0, state.count);
    this.#head = state.head;
    // What takes a database away takes longer than a millisecond, and than changes have put the head ahead of the clock; and before a
    // clock that is behind comes to where the lost messages were, every feed has looked.
    this.#clock = behind ? -1_000_000 : Math.max(this.#clock, this.#highest) + 1;
  }

  #move(ms: number, count: number) {
    const before = this.#head;
    this.#states.push({ count: this.messages.length, head: before });
    this.#head = { ms, seq: before.seq + count };
    this.#highest = Math.max(this.#highest, ms);
    return before;
  }

  news = (_: string, { newest, place }: Known, limit: number) => this.#begin({ newest, place }, limit);
  newest = (_: string, limit: number) => this.#begin(undefined, limit);

  read(most: number): void {
    if (!this.look || this.look.news) return;
    const { known, limit } = this.look;
    const room = this.messages.filter(({ id }) => !known || id > known.newest);
    const fits = Math.min(limit, known ? most : Math.max(2, most)); // a page has room for two, at the least
    const entries = known ? room.slice(0, fits) : room.slice(-fits);
    const lost = known !== undefined &&
      (this.place < known.place || known.newest !== NIL && !this.messages.some(({ id }) => id === known.newest));
    this.look.news = { entries, full: entries.length === fits, head: { place: this.place, lost, trimmed: NIL } };
  }

  end(fails: boolean): void {
    const { look } = this;
    if (!look?.news) return;
    this.look = undefined;
    if (fails) return look.answer.reject(new DatabaseError("unknown", "08006", undefined, {}));
    const { entries, full, head } = look.news;
    if (!look.known) this.floor = full ? entries[0]!.id : NIL;
    this.seen = Math.max(this.seen, timeOf(head.place));
    look.answer.resolve({ entries: [...entries], full, head });
  }

  #begin(known: Known | undefined, limit: number): Promise<News> {
    assert(!this.look, "two looks at one time");
    this.looks++;
    const answer = Promise.withResolvers<News>();
    this.look = { known, limit, answer };
    return answer.promise;
  }
}

/** A poll that waits, and all that may end it. */
interface Waiting {
  readonly cursor: string;
  readonly until: number;
  readonly leave: AbortController;
  released: boolean;
  settled: number;
}

property(
  "a feed gives every reader the messages after its cursor, and no reader sleeps beside news, whatever comes or is lost when",
  600,
  fc.record({
    steps: fc.array(feedStep, { minLength: 1, maxLength: 60, size: "max" }),
    messages: fc.constantFrom(1, 5, 120, 1_000),
    bytes: fc.constantFrom(600, 5_000, 1_000_000, 10_000_000),
    /** Messages that the feed has read at the beginning; null: it has read nothing. */
    known: fc.oneof({ weight: 4, arbitrary: fc.constantFrom(0, 3, 98, 99, 100, 120) }, fc.constant(null)),
    /** Whether the head is lifted above what is found to be lost, as it is by and by. */
    lifts: fc.boolean(),
  }),
  async ({ steps, known: begin, lifts, ...limits }) => {
    using time = new FakeTime(0);
    const room = new FakeRoom();
    let held = 0;
    const makeFeed = (): Feed => {
      const lost = () => {
        assert(room.lost.length > 0, "nothing was lost");
        if (lifts) room.lift(room.seen + 1);
        outrun();
      };
      const outrun = () => {
        assert(made === feed, "another has taken its place");
        made.close();
        for (const waiter of waiters) waiter.released = true;
        [end, forgotten] = [NIL, NIL];
        feed = makeFeed();
        owed.length = 0;
        owe();
        feed.wake(); // those who waited come back
      };
      const made = new Feed("room", room, limits, (bytes) => held += bytes, lost, outrun);
      return made;
    };
    let feed = makeFeed();
    let end = NIL;
    const waiters: Waiting[] = [];
    let unheard: Omit<Commit, "head"> | undefined;
    /** What the feed has to know once no look is under way, and since which look it has to. */
    const owed: { end: string; look: number }[] = [];
    let forgotten = NIL;

    const owe = () => owed.push({ end: room.messages.at(-1)?.id ?? NIL, look: room.looks + 1 });
    const cursorAt = ({ at, shift, ahead }: Place): string => {
      if (ahead) return makeId(1_000_000, 1_000_000, "8000000000");
      const id = [NIL, ...room.ever.map(({ id }) => id)].at(-1 - at % (room.ever.length + 1))!;
      return id === NIL || shift === 0 ? id : `${placeOf(id)}${shift < 0 ? "0000000000" : "ffffffffff"}`;
    };
    /** What the feed may have: what the database has or, until the feed is told, what it had before a loss. */
    const known = () => {
      const histories = [room.messages, ...room.lost.toReversed()];
      const history = histories.find((messages) => feed.end === NIL || messages.some(({ id }) => id === feed.end));
      assert(history, "the tail ends at a message");
      return history.filter(({ id }) => id <= feed.end);
    };
    /** The last message that the tail has let go of. */
    const floor = () => {
      const least = room.floor! > forgotten ? room.floor! : forgotten;
      const tail = known().filter(({ id }) => id > least);
      let sum = tail.reduce((sum, { bytes }) => sum + bytes, 0);
      let gone = 0;
      while (tail.length - gone > limits.messages || sum > limits.bytes) sum -= tail[gone++]!.bytes;
      return gone > 0 ? tail[gone - 1]!.id : least;
    };

    const take: { [S in FeedStep as S["do"]]: (step: S) => void } = {
      "commit elsewhere": ({ count, size }) => void room.commit(count, size, 0),
      "commit here": ({ count, size }) => { // a server has one statement under way
        if (!unheard) unheard = room.commit(count, size, room.seen);
      },
      append: () => {
        const commit = unheard;
        unheard = undefined;
        if (!commit) return;
        const { id } = commit.entries.at(-1)!;
        room.seen = Math.max(room.seen, timeOf(id));
        if (room.messages.some((message) => message.id === id)) owed.push({ end: id, look: room.looks + 1 });
        feed.append(commit);
      },
      move: () => room.move(),
      lose: ({ states, behind }) => {
        room.lose(states, behind);
        owed.length = 0;
      },
      refresh: () => {
        const newest = room.messages.at(-1)?.id ?? NIL;
        const [refreshed, losses] = [feed, room.lost.length];
        feed.refresh().then(() => {
          if (refreshed !== feed || losses !== room.lost.length) return;
          assert(feed.end >= newest, `refreshed up to ${feed.end}, not ${newest}`);
        }, (error) => {
          if (!(error instanceof DatabaseError)) broken.push(error);
        }).catch((error) => broken.push(error));
      },
      wake: () => {
        owe();
        feed.wake();
      },
      release: () => {
        feed.release();
        for (const waiter of waiters) waiter.released = true;
      },
      forget: () => {
        feed.forget();
        forgotten = feed.end;
      },
      read: ({ most }) => room.read(most),
      answer: () => room.end(false),
      fail: () => {
        if (room.look?.news) owed.splice(0, owed.length, ...owed.filter(({ look }) => look > room.looks));
        room.end(true);
      },
      wait: ({ after, ms }) => {
        const cursor = cursorAt(after);
        if (cursor < feed.end) return; // the caller would answer at once
        const waiter = { cursor, until: Date.now() + ms, leave: new AbortController(), released: false, settled: 0 };
        waiters.push(waiter);
        wait(feed, cursor, ms, false, waiter.leave.signal).then(() => waiter.settled++);
      },
      abort: ({ which }) => waiters[which]?.leave.abort(),
      page: ({ after, limit }) => {
        if (!feed.loaded) return;
        const cursor = cursorAt(after);
        const page = feed.page(cursor, limit);
        if (cursor < floor()) return assertEquals(page, undefined);
        assert(page, `no page after ${cursor}, with the floor at ${floor()}`);
        const rest = known().filter(({ id }) => id > cursor);
        let fits = Math.min(rest.length, limit);
        while (fits > 1 && rest.slice(0, fits).reduce((sum, { bytes }) => sum + bytes, 0) > MAX_PAGE_BYTES) fits--;
        const expected = rest.slice(0, fits);
        assertEquals(new TextDecoder().decode(page.body), `[${expected.map(({ json }) => json).join(",")}]`);
        const { first, last, full } = page;
        assertEquals(
          { first, last, full },
          { first: expected.at(0)?.id, last: expected.at(-1)?.id, full: fits === limit || fits < rest.length },
        );
      },
      pass: ({ ms }) => time.tick(ms),
    };
    const broken: unknown[] = [];
    const check = async () => {
      await settled();
      assertEquals(broken, []);
      assert(feed.end >= end, "the tail's end fell");
      end = feed.end;
      const have = known();
      for (const { cursor, until, leave, released, settled } of waiters) {
        const over = cursor < end || until + DEADLINE_STEP_MS <= Date.now() || leave.signal.aborted || released;
        if (!over && until <= Date.now()) continue; // may end from here on
        assertEquals(settled, over ? 1 : 0, `the waiter at ${cursor}, with the end at ${end}`);
      }
      assertEquals(held, feed.bytes);
      if (feed.loaded) {
        const least = floor();
        assertEquals(feed.bytes, have.reduce((sum, { id, bytes }) => sum + (id > least ? bytes : 0), 0));
      }
      if (room.look || feed.refreshing) return;
      for (const { end, look } of owed.splice(0)) {
        assert(feed.end >= end, `the feed knows ${feed.end}, was told of ${end} before look ${look}, and sleeps`);
      }
    };
    const finish = async () => {
      while (room.look) {
        room.read(1_000);
        room.end(false);
        await check();
      }
    };

    if (begin !== null) {
      if (begin > 0) room.commit(begin, 5, 0);
      feed.wake();
      await finish();
    }
    for (const step of steps) {
      (take[step.do] as (step: FeedStep) => void)(step);
      if (room.collided) return feed.release();
      await check();
    }
    await finish();
    take.append({ do: "append" });
    feed.wake();
    await finish();
    assertEquals(feed.end, room.messages.at(-1)?.id ?? NIL);
    assertEquals(feed.place, room.place);
    const tail: { id: string }[] = JSON.parse(new TextDecoder().decode(feed.page(floor(), 1_000)?.body));
    const last = room.messages.filter(({ id }) => id > floor()).slice(0, tail.length);
    assertEquals(tail.map(({ id }) => id), last.map(({ id }) => id));
    feed.release();
    for (const waiter of waiters) waiter.released = true;
    await check();
    assert(!feed.refreshing);
  },
);

// The feeds of a process

type FeedsStep =
  | { readonly do: "hold"; readonly room: string }
  | { readonly do: "let go"; readonly room: string }
  | { readonly do: "commit here" | "commit elsewhere"; readonly room: string; readonly count: number }
  | { readonly do: "read"; readonly room: string; readonly from: number; readonly limit: number };

const roomName = fc.constantFrom("a", "b", "c");
const feedsStep = fc.oneof<fc.MaybeWeightedArbitrary<FeedsStep>[]>(
  { weight: 2, arbitrary: fc.record({ do: fc.constant("hold"), room: roomName }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("let go"), room: roomName }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom("commit here", "commit elsewhere"),
      room: roomName,
      count: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("read"), room: roomName, from: fc.nat(9), limit: fc.constantFrom(1, 100) }),
  },
);

property(
  "feeds keep their bound together, forget no more than that takes, and are there while they are held",
  400,
  fc.record({
    steps: fc.array(feedsStep, { maxLength: 80, size: "max" }),
    fitting: fc.constantFrom(0, 1, 4, 10, 1_000),
  }),
  async ({ steps, fitting }) => {
    const rooms = new Map(["a", "b", "c"].map((room) => [room, [] as Entry[]]));
    const SIZE = makeEntry("a", makeId(1, 1, "0".repeat(10)), null, "hello").bytes;
    const all = fitting * SIZE;
    const running: AbortSignal[] = [];
    const headOf = (room: string) => ({
      place: placeOf(rooms.get(room)!.at(-1)?.id ?? NIL),
      lost: false,
      trimmed: NIL,
    });
    const feeds = new Feeds(
      {
        news: (room, { newest: end }, limit) => {
          const entries = rooms.get(room)!.filter(({ id }) => id > end).slice(0, limit);
          return Promise.resolve({ entries, full: entries.length === limit, head: headOf(room) });
        },
        newest: (room, limit) => {
          const entries = rooms.get(room)!.slice(-limit);
          return Promise.resolve({ entries, full: entries.length === limit, head: headOf(room) });
        },
      },
      { messages: 1_000, bytes: 1_000_000, all },
      (signal) => running.push(signal),
      () => assert(false, "nothing was lost"),
    );
    const holds: { room: string; feed: Feed }[] = [];
    for (const step of steps) {
      const { room } = step;
      const messages = rooms.get(room)!;
      if (step.do === "hold") {
        const feed = feeds.hold(room);
        for (const held of holds) assertEquals(held.feed === feed, held.room === room);
        holds.push({ room, feed });
        await feed.refresh();
      } else if (step.do === "let go") {
        const at = holds.findIndex((held) => held.room === room);
        if (at >= 0) feeds.letGo(holds.splice(at, 1)[0]!.feed);
      } else if (step.do === "read") {
        const cursor = messages.at(-step.from)?.id ?? NIL;
        const page = feeds.get(room)?.page(cursor, step.limit);
        const expected = messages.filter(({ id }) => id > cursor).slice(0, step.limit);
        if (page) assertEquals(new TextDecoder().decode(page.body), `[${expected.map(({ json }) => json).join(",")}]`);
      } else {
        const entries = Array.from({ length: step.count }, (_, i) => {
          return makeEntry(room, makeId(1, messages.length + i + 1, "0".repeat(10)), null, "hello");
        });
        const { place } = headOf(room);
        const prior = { ms: timeOf(place), seq: seqOf(place) };
        messages.push(...entries);
        if (step.do === "commit here") feeds.get(room)?.append({ entries, prior });
        else await feeds.get(room)?.refresh();
      }
      await settled();
      const held = new Set(holds.map((hold) => hold.room));
      assertEquals(new Set(Array.from(feeds.values(), (feed) => feed.room)), held);
      assertEquals(feeds.size, held.size);
      assertEquals(running.filter((signal) => !signal.aborted).length, held.size > 0 ? 1 : 0);
      const bytes = Array.from(feeds.values(), (feed) => feed.bytes).reduce((sum, bytes) => sum + bytes, 0);
      assertLessOrEqual(bytes, all);
      const ever = [...rooms.values()].flat().reduce((sum, entry) => sum + entry.bytes, 0);
      for (const feed of feeds.values()) {
        const { length } = rooms.get(feed.room)!;
        if (ever <= all && length < 100) assert(feed.page(NIL, 1), "forgotten without need");
        assertEquals(feed.end, rooms.get(feed.room)!.at(-1)?.id ?? NIL);
      }
    }
  },
);

// The writer

/** What becomes of a statement: `well` by its rows, or a fault that has nothing to do with them. */
type Outcome = "well" | "timeout" | "refused" | "not sent" | "lost" | "lost after its commit";

type WriterStep =
  | {
    readonly do: "post";
    readonly room: string;
    readonly key: string | null;
    readonly body: string;
    readonly by: string | null;
  }
  /** Another server stores a message. */
  | { readonly do: "stored elsewhere"; readonly room: string; readonly key: string; readonly body: string }
  | { readonly do: "answer"; readonly outcome: Outcome }
  | { readonly do: "close" };

/** A room whose head row somebody never lets go of, and a text that the database does not take. */
const LOCKED = "locked";
const POISON = "poison";

const writerRoom = fc.constantFrom("a", "a", "b", "c", LOCKED);
const writerStep = fc.oneof<fc.MaybeWeightedArbitrary<WriterStep>[]>(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant("post"),
      room: writerRoom,
      key: fc.constantFrom(null, null, "1", "2", "3"),
      body: fc.constantFrom("x", "x", "x", "x", "y", "é".repeat(30), POISON),
      by: fc.constantFrom(null, null, null, "Ann"),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("stored elsewhere"),
      room: writerRoom,
      key: fc.constantFrom("1", "2", "3"),
      body: fc.constantFrom("x", "y"),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.constantFrom<Outcome[]>(
      "well",
      "well",
      "well",
      "well",
      "well",
      "timeout",
      "refused",
      "not sent",
      "lost",
      "lost after its commit",
    )
      .map((outcome) => ({ do: "answer", outcome })),
  },
);

interface Row extends StoredKeyless {
  readonly key: string | null;
}
type StoredKeyless = Omit<StoredKey, "key"> & { readonly random: string };

/** A statement that was sent. */
interface Call {
  readonly kind: "append" | "withKeysOf";
  readonly drafts: readonly Draft[];
  outcome: Outcome | undefined;
  finish(outcome: Outcome): void;
}

/** The rows, their one constraint, and statements that end when and how a test wants. */
class FakeTable {
  readonly rows: Row[] = [];
  readonly calls: Call[] = [];

  get underWay(): Call | undefined {
    return this.calls.find((call) => call.outcome === undefined);
  }

  append = (drafts: readonly Draft[]) =>
    this.#call("append", drafts, () => {
      if (drafts.some(({ body }) => body === POISON)) throw new DatabaseError("rolled-back", "23514", "no_poison", {});
      if (drafts.some(({ room }) => room === LOCKED)) throw new DatabaseError("rolled-back", "55P03", undefined, {});
      const keys = drafts.filter(({ key }) => key !== null).map(({ room, key }) => `${room} ${key}`);
      if (new Set(keys).size < keys.length || this.rows.some(({ room, key }) => keys.includes(`${room} ${key}`))) {
        throw new DatabaseError("rolled-back", "23505", KEY_TAKEN, {});
      }
      const entries = drafts.map((draft) => this.store(draft));
      const rooms = Map.groupBy(entries, (_, i) => drafts[i]!.room);
      return {
        entries,
        commits: Array.from(rooms, ([room, entries]) => {
          return { room, entries, prior: undefined, head: { ms: 1, seq: seqOf(entries.at(-1)!.id) } };
        }),
      };
    });

  withKeysOf = (drafts: readonly Draft[]) =>
    this.#call(
      "withKeysOf",
      drafts,
      () =>
        this.rows.filter((row): row is Row & { key: string } =>
          row.key !== null && drafts.some(({ room, key }) => row.room === room && row.key === key)
        ),
    );

  store({ room, key, author, body, reply_to, random }: Draft): Entry {
    const seq = this.rows.filter((row) => row.room === room).length + 1;
    const entry = makeEntry(room, makeId(1, seq, random), author, body);
    this.rows.push({ room, key, author, body, reply_to, random, entry });
    return entry;
  }

  #call<T>(kind: Call["kind"], drafts: readonly Draft[], work: () => T): Promise<T> {
    assert(!this.underWay, "two statements at one time");
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const finish = (outcome: Outcome) => {
      call.outcome = outcome;
      const fail = (fate: Fate, code: string) => reject(new DatabaseError(fate, code, undefined, {}));
      try {
        if (outcome === "well") resolve(work());
        if (outcome === "lost after its commit") work();
      } catch (error) {
        if (outcome === "well") return reject(error);
      }
      if (outcome === "timeout") fail("rolled-back", "57014");
      if (outcome === "refused") fail("rolled-back", "53100");
      if (outcome === "not sent") fail("not-sent", "CONNECT_TIMEOUT");
      if (outcome === "lost" || outcome === "lost after its commit") fail("unknown", "CONNECTION_CLOSED");
    };
    const call: Call = { kind, drafts, outcome: undefined, finish };
    this.calls.push(call);
    return promise;
  }
}

/** A post, and what became of it. */
interface Posting {
  readonly draft: Draft;
  /** Whether another post with its key was under way. */
  readonly twin: boolean;
  readonly closed: boolean;
  answers: number;
  posted?: Posted;
  problem?: Problem;
}

property(
  "a writer answers each post once with what became of it, and stores it once, whatever becomes of the statements",
  600,
  fc.record({
    steps: fc.array(writerStep, { maxLength: 70, size: "max" }),
    closes: fc.oneof({ weight: 5, arbitrary: fc.constant(null) }, fc.nat(70)),
    limits: fc.record({
      queued: fc.constantFrom(3, 1_000),
      queuedBytes: fc.constantFrom(3_400, 16_000_000),
      queuedPerRoom: fc.constantFrom(2, 1_000),
      batch: fc.constantFrom(1, 2, 5, 500),
      batchBytes: fc.constantFrom(10, 150, 256_000),
    }),
  }),
  async ({ steps, closes, limits }) => {
    const table = new FakeTable();
    const told = new Map<string, string[]>();
    const writer = new Writer(
      table,
      limits,
      ({ room, entries }) => {
        told.set(room, [...told.get(room) ?? [], ...entries.map(({ id }) => id)]);
      },
      new LockedRooms(() => 0),
      () => 0,
    ); // no time passes: nobody waits for too long, and no room is left alone
    const posts: Posting[] = [];
    const broken: unknown[] = [];
    let serial = 0;
    let closing: Promise<void> | undefined;

    const post = (draft: Draft): Posting => {
      const twin = draft.key !== null &&
        posts.some(({ draft: { room, key }, answers }) => room === draft.room && key === draft.key && answers === 0);
      const posting: Posting = { draft, twin, closed: closing !== undefined, answers: 0 };
      const places = { now: placesTaken(posts, table, limits, draft), refused: countRefused() };
      posts.push(posting);
      const { room, key } = draft;
      writer.post({ room, key, client: "", bytes: bytesOf(draft), read: () => draft }).then((posted) => {
        posting.answers++;
        posting.posted = posted;
        if (!posted.replayed) assert(told.get(draft.room)?.includes(posted.entry.id), "answered before it was told of");
      }, (problem) => {
        posting.answers++;
        posting.problem = problem;
      }).catch((error) => broken.push(error));
      if (!twin && !posting.closed) checkPlaces.push({ posting, ...places });
      return posting;
    };
    const isRefused = ({ draft, problem }: Posting) =>
      problem !== undefined && !table.calls.some(({ drafts }) => drafts.includes(draft));
    const countRefused = () => posts.filter(isRefused).length;
    const checkPlaces: { posting: Posting; now: Places; refused: number }[] = [];
    const check = async () => {
      await settled();
      assertEquals(broken, []);
      for (const { posting, now, refused } of checkPlaces.splice(0)) {
        if (now.roomFull) assert(isRefused(posting), "a post was taken, and its room had no place");
        if (now.full) assertGreater(countRefused(), refused, "a post was taken, and nobody was refused for it");
        if (now.free) assert(!isRefused(posting), `refused, and there was a place: ${posting.problem?.detail}`);
      }
    };
    const finish = async () => {
      for (let call; (call = table.underWay);) {
        call.finish("well");
        await check();
      }
    };
    const draftOf = (room: string, key: string | null, body: string, author: string | null): Draft => {
      return makeDraft(room, body, { key, author, random: (++serial).toString(16).padStart(10, "0") });
    };

    for (const [i, step] of steps.entries()) {
      if (i === closes) closing = writer.close();
      if (step.do === "post") post(draftOf(step.room, step.key, step.body, step.by));
      else if (step.do === "answer") table.underWay?.finish(step.outcome);
      else if (
        step.do === "stored elsewhere" && !table.rows.some(({ room, key }) => room === step.room && key === step.key)
      ) {
        table.store(draftOf(step.room, step.key, step.body, null));
      }
      await check();
    }
    await finish();
    await closing;
    checkPosts(posts, table, told);
    checkCalls(table, limits);

    // Nothing is left: there are as many places as at the beginning.
    if (closing) return;
    const before = table.rows.length;
    for (const room of ["a", "b"]) {
      const count = Math.min(limits.queued, limits.queuedPerRoom, Math.floor(limits.queuedBytes / 1_001), 5) + 1; // one more: the first is sent at once
      const last = Array.from({ length: count }, () => post(draftOf(room, null, "x", null)));
      await finish();
      for (const { posted } of last) assert(posted);
    }
    assert(table.rows.length > before);
  },
);

/** Whether there is place for a post. Twins may be queued or not, so it can be neither sure nor out of the question. */
interface Places {
  /** There is none in its room. */
  readonly roomFull: boolean;
  /** There is none for one more: the newest of the room that has most has to go, which may be another. */
  readonly full: boolean;
  /** There is place for sure. */
  readonly free: boolean;
}

function placesTaken(
  posts: readonly Posting[],
  table: FakeTable,
  limits: WriterLimits,
  draft: Draft,
): Places {
  const waiting = posts.filter(({ draft, answers }) =>
    answers === 0 && !table.calls.some(({ drafts }) => drafts.includes(draft))
  );
  const sure = waiting.filter(({ twin }) => !twin);
  const roomFull = (queued: readonly Posting[]) =>
    queued.filter(({ draft: { room } }) => room === draft.room).length >= limits.queuedPerRoom;
  const full = (queued: readonly Posting[]) =>
    queued.length >= limits.queued ||
    queued.reduce((sum, { draft }) => sum + weightOf(draft), weightOf(draft)) > limits.queuedBytes;
  return {
    roomFull: roomFull(sure),
    full: full(sure) && table.underWay !== undefined,
    free: !roomFull(waiting) && !full(waiting),
  };
}

/** What a post weighs in the queue. */
function weightOf(draft: Draft): number {
  return 1_000 + bytesOf(draft);
}

function bytesOf({ body, author, key }: Draft): number {
  return new TextEncoder().encode(body + (author ?? "") + (key ?? "")).length;
}

function checkPosts(posts: readonly Posting[], table: FakeTable, told: ReadonlyMap<string, readonly string[]>): void {
  const byRandom = new Map(table.rows.map((row) => [row.random, row]));
  for (const { draft, twin, closed, answers, posted, problem } of posts) {
    assertEquals(answers, 1, `${draft.random} was never answered`);
    const own = byRandom.get(draft.random);
    const keyed = draft.key === null
      ? undefined
      : table.rows.find(({ room, key }) => room === draft.room && key === draft.key);
    const calls = table.calls.filter(({ drafts }) => drafts.includes(draft));
    const unlucky = calls.some(({ outcome }) => outcome !== "well");
    if (posted) {
      const row = table.rows.find(({ room, entry }) => room === draft.room && entry.id === posted.entry.id);
      assert(row, "acknowledged, and not stored");
      assertEquals(posted.entry, row.entry);
      const { room, key, body, author } = draft;
      assertEquals({ room: row.room, key: row.key, body: row.body, author: row.author }, { room, key, body, author });
      assertEquals(posted.replayed, row.random !== draft.random);
      if (posted.replayed) assertEquals(own, undefined, "stored twice");
      continue;
    }
    assert(problem instanceof Problem, `${problem}`);
    if (closed) assertEquals([problem.type, calls], ["not-stored", []]);
    if (problem.type === "outcome-unknown") {
      const lost = calls.some(({ kind, outcome }) =>
        kind === "append" ? outcome?.startsWith("lost") : outcome !== "well"
      );
      assert(lost || twin, "unknown, and no statement was lost"); // a twin is told what the first was told
      continue;
    }
    assertEquals(own, undefined, `refused as ${problem.type}, and stored`);
    if (problem.type === "key-reused") {
      assert(keyed && (keyed.body !== draft.body || keyed.author !== draft.author), "422 for the same message");
    } else if (problem.type === "invalid-request") {
      assertEquals(draft.body, POISON);
      assertEquals(calls.at(-1)!.drafts.length, 1, "refused together with others");
    } else {
      assert(problem.type === "not-stored" || problem.type === "room-busy", problem.type);
      const atFault = draft.room === LOCKED || draft.body === POISON;
      const sent = calls.length > 0;
      if (sent && !unlucky) assert(atFault, "an innocent post was refused");
      if (sent && calls.at(-1)!.outcome === "timeout" && calls.at(-1)!.kind === "append") {
        assertEquals(
          new Set(calls.at(-1)!.drafts.map(({ room }) => room)).size,
          1,
          "refused together with other rooms",
        );
      }
      if (!sent) {
        assert(twin || closed || problem.detail.includes("Too many") || problem.detail.includes("shutting down"));
      }
    }
  }

  const ours = new Map(posts.map((posting, i) => [posting.draft.random, { ...posting, i }]));
  for (const { random } of table.rows) {
    const posting = ours.get(random);
    if (posting && !posting.posted) {
      assertEquals(posting.problem?.type, "outcome-unknown", "stored, and not acknowledged");
    }
  }
  for (const [room, rows] of Map.groupBy(table.rows, (row) => row.room)) {
    const order = rows.map(({ random }) => ours.get(random)).filter((posting) => posting && !posting.twin);
    assertEquals(order, order.toSorted((a, b) => a!.i - b!.i), "the order of posting");
    const acknowledged = rows.filter(({ random }) => ours.get(random)?.posted).map(({ entry }) => entry.id);
    assertEquals(told.get(room) ?? [], acknowledged);
    const keys = rows.map(({ key }) => key).filter((key) => key !== null);
    assertEquals(new Set(keys).size, keys.length, "one key, two messages");
  }
}

function checkCalls(table: FakeTable, limits: WriterLimits): void {
  for (const { kind, drafts } of table.calls) {
    assert(drafts.length > 0, "a statement without rows");
    assertLessOrEqual(drafts.length, limits.batch);
    const bytes = drafts.reduce((sum, { body }) => sum + Buffer.byteLength(body), 0);
    if (kind === "append" && drafts.length > 1) assertLessOrEqual(bytes, limits.batchBytes);
  }
}

// What waiting costs a database: one statement per interval, which grows while there is no doubt; none where nobody waits, and
// no connection that listens. By the tests' clock, on a database that answers at once, so that every statement can be told by its moment.
import { assert, assertEquals, assertFalse } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { makePlace, NIL } from "../src/chat/cursor.ts";
import { Feeds } from "../src/chat/feeds.ts";
import { Floors } from "../src/chat/floors.ts";
import { Wake } from "../src/chat/wake.ts";
import type { OpenPool, Pool } from "../src/database/pool.ts";

/** A database with one channel: what is notified is heard, as long as somebody listens and `silent` is not set. */
class Database {
  /** The moment of each look, in seconds. */
  readonly looks: number[] = [];
  /** Whether notifications get lost. */
  silent = false;
  /** Whether nobody can connect. */
  away = false;
  /** Happens during the next look. */
  during: (() => void) | undefined;
  /** How many have begun to listen. */
  listens = 0;
  #seq = 1;
  #listener: { hear: (payload: string) => void; listening: () => void; onClose: () => void } | undefined;

  constructor(private readonly time: FakeTime) {}

  /** Whether somebody listens. */
  get listened(): boolean {
    return this.#listener !== undefined;
  }

  /** Stores a message, and notifies nobody. */
  store(): void {
    this.#seq++;
  }

  /** Ends the connection that listens; `reconnect` is what the driver makes of it. */
  kill(reconnect: boolean): void {
    const listener = this.#listener!;
    this.#listener = undefined;
    listener.onClose();
    if (!reconnect) return;
    this.#listener = listener;
    this.listens++;
    listener.listening();
  }

  readonly openPool: OpenPool = (_name, { onClose = () => {} } = {}) => {
    const mine = { hear: (_payload: string) => {}, listening: () => {}, onClose };
    const listen = async (_channel: string, hear: (payload: string) => void, listening: () => void) => {
      await Promise.resolve();
      if (this.away) throw new Error("away");
      this.#listener = Object.assign(mine, { hear, listening });
      this.listens++;
      listening();
    };
    const destroy = () => {
      if (this.#listener === mine) {
        this.#listener = undefined;
        onClose();
      }
      return Promise.resolve();
    };
    return { sql: { listen } as unknown as Pool["sql"], destroy };
  };

  get #head() {
    return { place: makePlace(1_000, this.#seq), lost: false, trimmed: NIL };
  }

  readonly feeds = {
    newest: () => Promise.resolve({ entries: [], full: false, head: this.#head }),
    news: () => Promise.resolve({ entries: [], full: false, head: this.#head }),
  };

  readonly wake = {
    heads: (known: ReadonlyMap<string, unknown>, notification?: { payload: string }) => {
      this.looks.push((Date.now() - this.time.start) / 1_000);
      this.during?.();
      this.during = undefined;
      if (this.away) return Promise.reject(new Error("away"));
      if (notification && !this.silent) this.#listener?.hear(notification.payload);
      return Promise.resolve(new Map(Array.from(known.keys(), (room) => [room, this.#head])));
    },
    notify: () => Promise.resolve(),
  };
}

/** A server that looks after 5 s, then after up to `most` seconds, and after half a second where it hears nothing. */
function setUp(most: number) {
  const time = new FakeTime(1_000_000_000_000);
  const database = new Database(time);
  const feeds: Feeds = new Feeds(
    database.feeds,
    { messages: 100, bytes: 100_000, all: 1_000_000 },
    (signal) => void wake.watch(signal),
    () => {},
  );
  const intervals = { listening: 5_000, most: most * 1_000, deaf: 500 };
  const wake = new Wake(database.wake, database.openPool, feeds, new Floors(), intervals);
  const hold = async () => {
    const feed = feeds.hold("room");
    await feed.refresh();
    return () => feeds.letGo(feed);
  };
  const isBlind = () => wake.isBlind(feeds.get("room")!);
  /** The moments of the looks while `seconds` pass. */
  const pass = async (seconds: number) => {
    const before = database.looks.length;
    await time.tickAsync(0);
    for (let i = 0; i < 2 * seconds; i++) {
      await time.tickAsync(500);
      await time.tickAsync(0); // what is due at once then
    }
    await time.runMicrotasks();
    return database.looks.slice(before);
  };
  const tearDown = async () => {
    const closing = wake.close();
    await time.tickAsync(1_000);
    await closing;
    time.restore();
  };
  return { time, database, wake, hold, isBlind, pass, [Symbol.asyncDispose]: tearDown };
}

Deno.test("While nothing is missed the interval grows to a minute: then ten minutes take ten statements", async () => {
  await using world = setUp(60);
  await world.hold();
  assertEquals(await world.pass(135), [5, 15, 35, 75, 135]);
  assertEquals((await world.pass(600)).length, 10);
  assert(world.wake.hears);
});

Deno.test("The interval is always the same where it is not to grow", async () => {
  for (const most of [5, 1]) {
    await using world = setUp(most);
    await world.hold();
    assertEquals(await world.pass(20), [5, 10, 15, 20]);
  }
});

Deno.test("A look that finds what was missed makes the interval short again, and it grows anew", async () => {
  await using world = setUp(60);
  await world.hold();
  await world.pass(135);
  world.database.store();
  const [found, ...later] = await world.pass(140);
  assertEquals(found, 195);
  assertEquals(later.filter((moment) => moment > 196), [200.5, 210.5, 230.5, 270.5]);
});

Deno.test("A connection that is lost is looked behind at once, and the interval is short again", async () => {
  await using world = setUp(60);
  await world.hold();
  await world.pass(100);
  world.database.kill(true);
  assertEquals(await world.pass(35), [100, 105, 115, 135]);

  world.database.kill(false); // the driver's own attempt has failed
  assertFalse(world.wake.hears);
  const looks = await world.pass(3);
  assertEquals(looks.slice(0, 2), [135, 135.5]);
  assertEquals(world.database.listens, 3, "it listens anew");
  assert(world.wake.hears);
});

Deno.test("What interrupts LISTEN while a look is under way, is looked behind again", async () => {
  await using world = setUp(60);
  await world.hold();
  await world.pass(4);
  world.database.during = () => world.database.kill(true);
  assertEquals(await world.pass(2), [5, 5]);
});

Deno.test("A probe that stays out is noticed after the short interval, however long the other has grown", async () => {
  await using world = setUp(60);
  await world.hold();
  await world.pass(134);
  world.database.silent = true;
  assertEquals((await world.pass(5)).length, 1);
  assert(world.wake.hears, "it may still come");
  await world.pass(1);
  assertFalse(world.wake.hears);
  assertEquals((await world.pass(10)).length > 15, true);
  world.database.silent = false;
  await world.pass(60);
  assert(world.wake.hears);
});

Deno.test("While the database is away it is looked for often, and afterwards the interval grows anew", async () => {
  await using world = setUp(60);
  await world.hold();
  await world.pass(100);
  world.database.away = true;
  world.database.kill(false);
  const looks = await world.pass(10);
  assert(looks.length >= 20 && world.isBlind());
  world.database.away = false;
  await world.pass(10);
  assert(world.wake.hears && !world.isBlind());
  const [first, second, third] = await world.pass(100);
  assertEquals(third! - second!, 2 * (second! - first!));
});

Deno.test("Where nobody waits there is no statement; LISTEN goes on for half a minute, and begins again with the next", async () => {
  await using world = setUp(60);
  assertEquals(await world.pass(600), []);
  assertEquals(world.database.listens, 0);
  const leave = await world.hold();
  await world.pass(10);
  leave();
  assertEquals(await world.pass(29), []);
  assert(world.database.listened);
  const leaveAgain = await world.hold(); // finds it connected
  await world.pass(10);
  leaveAgain();
  await world.pass(29);
  assert(world.database.listened);
  assertEquals(world.database.listens, 1);
  await world.pass(2);
  assertFalse(world.database.listened || world.wake.hears);
  assertEquals(await world.pass(600), []);
  await world.hold();
  await world.pass(1);
  assert(world.database.listened && world.wake.hears);
});

Deno.test("A LISTEN that is lost while nobody needs it is not renewed until somebody does", async () => {
  await using world = setUp(60);
  const leave = await world.hold();
  await world.pass(1);
  leave();
  world.database.kill(false);
  assertEquals(await world.pass(60), []);
  assertEquals(world.database.listens, 1);
  await world.hold();
  await world.pass(1);
  assertEquals(world.database.listens, 2);
  assert(world.wake.hears);
});

Deno.test("Who comes in the moment in which LISTEN ends has it again", async () => {
  await using world = setUp(60);
  const leave = await world.hold();
  await world.pass(1);
  leave();
  for (const again of [1, 2, 3]) {
    await world.time.tickAsync(29_999);
    world.time.tick(1);
    const leave = await world.hold();
    await world.pass(2);
    assert(world.database.listened && world.wake.hears, `the ${again}. time`);
    leave();
  }
});

// Pages that are read before they are asked for. A reader must not see that they are, but by the clock: whatever was
// committed before it asked is in its page, and nothing is read for readers who don't come.
import { assert, assertEquals, assertFalse, assertRejects } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { makeId, NIL } from "../src/chat/cursor.ts";
import { Gate } from "../src/chat/gate.ts";
import { makeEntry, makePage, type Page, type Row } from "../src/chat/page.ts";
import { ReadAhead } from "../src/chat/readahead.ts";
import type { Turn } from "../src/chat/sql/rows.ts";
import { Allowance, UNLIMITED } from "../src/allowance.ts";
import { Problem } from "../src/problem.ts";

Deno.test("ReadAhead.page() reads the next page while the one before is on its way", async () => {
  const room = new FakeRoom(30);
  await using pages = opened(room);
  const first = await pages.page("lobby", NIL, 10);
  assertEquals(room.read, [`lobby ${NIL}`, `lobby ${first.last}`]);
  const second = await pages.page("lobby", first.last!, 10);
  assertEquals(numbers(first), span(1, 10));
  assertEquals(numbers(second), span(11, 20));
  assertEquals(room.read, [`lobby ${NIL}`, `lobby ${first.last}`, `lobby ${second.last}`]);
});

Deno.test("ReadAhead.page() reads again what ended before its limit: there may be news", async () => {
  const room = new FakeRoom(15);
  await using pages = opened(room);
  const { last } = await pages.page("lobby", NIL, 10);
  room.commit(1);
  assertEquals(numbers(await pages.page("lobby", last!, 10)), span(11, 16));
});

Deno.test("ReadAhead.page() waits for a page that is still being read, and has it read once", async () => {
  const room = new FakeRoom(20);
  await using pages = opened(room);
  const gate = Promise.withResolvers<void>();
  room.held.set(numberedId(10), gate.promise);
  await pages.page("lobby", NIL, 10);
  const { last } = await pages.page("lobby", NIL, 10);
  const second = pages.page("lobby", last!, 10);
  gate.resolve();
  assertEquals(numbers(await second), span(11, 20));
  assertEquals(room.read.filter((read) => read === `lobby ${last}`).length, 1);
});

Deno.test("ReadAhead.page() says at once that it gives what was read before, so that nobody shares it who asks later", async () => {
  const room = new FakeRoom(20);
  await using pages = opened(room);
  const gate = Promise.withResolvers<void>();
  room.held.set(numberedId(10), gate.promise);
  let begun = 0;
  const { last } = await pages.page("lobby", NIL, 10, UNLIMITED, () => begun++);
  assertEquals(begun, 0, "it is read in turn");
  const second = pages.page("lobby", last!, 10, UNLIMITED, () => begun++);
  assertEquals(begun, 0, "whoever shares it does not know of it yet");
  await Promise.resolve();
  assertEquals(begun, 1);
  gate.resolve();
  await second;
});

Deno.test("ReadAhead.page() tells rooms and limits apart", async () => {
  const room = new FakeRoom(40);
  await using pages = opened(room);
  const { last } = await pages.page("lobby", NIL, 10);
  assertEquals(numbers(await pages.page("lobby", last!, 20)), span(11, 30));
  await pages.page("den", last!, 10);
  assert(room.read.includes(`den ${last}`));
});

Deno.test("ReadAhead.page() reads by itself what could not be read ahead, and says when that fails", async () => {
  const room = new FakeRoom(30);
  await using pages = opened(room);
  const away = Promise.reject(new Error("away"));
  room.held.set(numberedId(10), away);
  const { last } = await pages.page("lobby", NIL, 10);
  await away.catch(() => {});
  room.held.clear();
  assertEquals(numbers(await pages.page("lobby", last!, 10)), span(11, 20));

  room.held.set(NIL, away);
  await assertRejects(() => pages.page("lobby", NIL, 10), Error, "away");
});

Deno.test("ReadAhead keeps a page for a second, and eight pages", async () => {
  using time = new FakeTime();
  const room = new FakeRoom(30);
  await using pages = opened(room);
  const { last } = await pages.page("lobby", NIL, 10);
  await time.tickAsync(1_000);
  await pages.page("lobby", last!, 10);
  assertEquals(room.read.filter((read) => read === `lobby ${last}`).length, 2);

  pages.forget();
  room.read = [];
  for (let i = 0; i < 10; i++) await pages.page(`room${i}`, NIL, 10);
  assertEquals(room.read.length, 18);
  await pages.page("room0", last!, 10); // takes one and leaves one
  await time.tickAsync(1_000);
  await pages.page("room9", NIL, 10);
  assertEquals(room.read.slice(18), [`room0 ${numberedId(20)}`, `room9 ${NIL}`, `room9 ${last}`]);
});

Deno.test("ReadAhead.forget() forgets the pages of a room in which something was changed, and no others", async () => {
  const room = new FakeRoom(30);
  await using pages = opened(room);
  for (const name of ["lobby", "den"]) await pages.page(name, NIL, 10);
  pages.forget("lobby");
  room.read = [];
  for (const name of ["lobby", "den"]) await pages.page(name, numberedId(10), 10);
  assertEquals(room.read, [10, 20, 20].map((seq, i) => `${i < 2 ? "lobby" : "den"} ${numberedId(seq)}`));
});

Deno.test("ReadAhead reads ahead once at a time for one client, in whichever rooms, and for others besides", async () => {
  const room = new FakeRoom(30);
  await using pages = opened(room);
  const [ada, eve] = [counted("ada"), counted("eve")];
  const gate = Promise.withResolvers<void>();
  room.held.set(numberedId(10), gate.promise);
  for (const [name, who] of [["a", eve], ["b", eve], ["c", ada], ["d", UNLIMITED], ["e", UNLIMITED]] as const) {
    await pages.page(name, NIL, 10, who);
  }
  const ahead = () => room.read.filter((read) => !read.endsWith(NIL)).map(([name]) => name);
  assertEquals(ahead(), ["a", "c", "d", "e"]);
  gate.resolve();
  await pages.page("a", numberedId(10), 10, eve);
  assertEquals(ahead(), ["a", "c", "d", "e", "a"]);
});

Deno.test("ReadAhead keeps the oldest two pages of one client who is counted, so that there is room for others", async () => {
  using time = new FakeTime();
  const room = new FakeRoom(30);
  await using pages = opened(room);
  const [ada, eve] = [counted("ada"), counted("eve")];
  for (let seq = 1; seq < 20; seq += 2) { // from where none of the pages before leads
    await pages.page("lobby", numberedId(seq), 1, eve);
    await time.runMicrotasks();
  }
  await pages.page("den", NIL, 10, ada);
  await time.runMicrotasks();
  const isReadNow = async (name: string, seq: number, limit: number, who: Allowance) => {
    room.read = [];
    await pages.page(name, numberedId(seq), limit, who);
    return room.read.includes(`${name} ${numberedId(seq)}`);
  };
  assertFalse(await isReadNow("den", 10, 10, ada));
  for (const seq of [2, 4]) assertFalse(await isReadNow("lobby", seq, 1, eve));
  assert(await isReadNow("lobby", 6, 1, eve));
});

Deno.test("ReadAhead has each page read once, however many rooms one client who is counted catches up in at once", async () => {
  using time = new FakeTime();
  const room = new FakeRoom(60);
  await using pages = opened(room);
  const eve = counted("eve");
  for (let seq = 0; seq < 60; seq += 10) {
    for (const name of ["a", "b", "c"]) {
      await pages.page(name, seq === 0 ? NIL : numberedId(seq), 10, eve);
      await time.runMicrotasks();
    }
  }
  assertEquals(room.read.toSorted(), [...new Set(room.read)].toSorted());
});

Deno.test("ReadAhead reads nothing ahead while all who may read are at it, or somebody waits", async () => {
  const room = new FakeRoom(30);
  const gate = makeGate();
  await using pages = opened(room, gate);
  const end = Promise.withResolvers<void>();
  const others = Array.from({ length: 18 }, () => gate.run(UNLIMITED, "room", () => end.promise));
  await pages.page("lobby", NIL, 10);
  assertEquals(room.read.length, 2);
  others.push(gate.run(UNLIMITED, "room", () => end.promise));
  await pages.page("den", NIL, 10); // one place is left, and is for whoever comes
  assertEquals(room.read.length, 3);
  end.resolve();
  await Promise.all(others);
});

Deno.test("A page that was read ahead is on its reader's account, and costs him no more than one that was not", async () => {
  const room = new FakeRoom(300);
  await using pages = opened(room);
  const eve = counted("eve");
  let [read, after] = [0, NIL];
  const all = async () => {
    while (true) {
      after = (await pages.page("lobby", after, 1, eve)).last!;
      read++;
    }
  };
  await assertRejects(all, Problem, "200 times");
  assertEquals(read, 200);
});

Deno.test("A page that was read ahead is for nobody but him on whose account it is", async () => {
  const room = new FakeRoom(40);
  await using pages = opened(room);
  const [ada, bob] = [counted("ada"), counted("bob")];
  const { last } = await pages.page("lobby", NIL, 10, ada);
  assertEquals(numbers(await pages.page("lobby", last!, 10, bob)), span(11, 20));
  assertEquals(room.read.filter((read) => read === `lobby ${last}`).length, 2);
  assertEquals(numbers(await pages.page("lobby", last!, 10, ada)), span(11, 20));
  assertEquals(room.read.filter((read) => read === `lobby ${last}`).length, 2);
});

/** The same messages in every room, and what was asked for. */
class FakeRoom {
  readonly #rows: Row[] = [];
  read: string[] = [];
  /** What reads after a cursor wait for. */
  readonly held = new Map<string, Promise<void>>();

  constructor(count: number) {
    this.commit(count);
  }

  commit(count: number): void {
    for (const seq of span(this.#rows.length + 1, this.#rows.length + count)) {
      this.#rows.push({ id: numberedId(seq), author: null, body: `${seq}`, sub: null, reply_to: null, changed: null });
    }
  }

  async pageAfter(room: string, after: string, limit: number, { turn }: { turn?: Turn }): Promise<Page> {
    const rows = await turn!(async () => {
      this.read.push(`${room} ${after}`);
      const rows = this.#rows.filter(({ id }) => id > after).slice(0, limit);
      await this.held.get(after);
      return rows;
    });
    return makePage(rows.map(({ id, author, body }) => makeEntry(room, id, author, body)), rows.length === limit);
  }
}

function opened(room: FakeRoom, gate = makeGate()) {
  const pages = new ReadAhead(room, gate);
  return {
    page: (room: string, after: string, limit: number, allowance = UNLIMITED, begun = () => {}) => {
      const turn: Turn = async (statement) => {
        allowance.read();
        return await gate.run(allowance, room, statement);
      };
      return pages.page(room, after, limit, turn, allowance, begun);
    },
    forget: (room?: string) => pages.forget(room),
    [Symbol.asyncDispose]: () => Promise.resolve(pages.forget()),
  };
}

const makeGate = () => new Gate({ atOnce: 20, perClient: 2, waiting: 500, refusal: () => new Error("too many") });

/** Somebody who is counted; no time passes in which he might be given more. */
const counted = (client: string) => new Allowance(client, { posts: 0, places: 0 }, () => 0);

const numberedId = (seq: number) => makeId(1_700_000_000_000 + seq, seq, "0123456789");

const span = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

const numbers = ({ body }: Page) =>
  JSON.parse(new TextDecoder().decode(body)).map((message: { body: string }) => Number(message.body));

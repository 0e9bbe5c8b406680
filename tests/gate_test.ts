// Who brings much waits for himself, and whoever comes to a long line is told so at once. The test says when a piece of work ends.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { setImmediate } from "node:timers";
import { Clock } from "../src/chat/clock.ts";
import { Gate, type GateOptions } from "../src/chat/gate.ts";

const [ada, bob, eve] = ["ada", "bob", "eve"].map((client) => ({ client, unlimited: false })) as [Who, Who, Who];

type Who = Parameters<Gate["run"]>[0];

/** What a gate says that lets nobody in. */
class Refusal extends Error {}

const LIMITS = { atOnce: 1, perClient: 2, waiting: 500, refusal: () => new Refusal() };

Deno.test("A gate lets in as many as may be, and of one client as many as it may have", async () => {
  const { begun, ask, end } = setUp(3);
  for (let i = 0; i < 4; i++) ask(eve, `eve ${i}`);
  await settled();
  assertEquals(begun, ["eve 0", "eve 1"]);
  ask(ada, "ada");
  ask(bob, "bob");
  await settled();
  assertEquals(begun, ["eve 0", "eve 1", "ada"]);
  await end("eve 0");
  assertEquals(begun.slice(3), ["bob"]); // before Eve's third
  await end("ada");
  assertEquals(begun.slice(4), ["eve 2"]);
  for (const name of ["eve 1", "bob", "eve 2", "eve 3"]) await end(name);
  assertEquals(begun.length, 6);
});

Deno.test("A gate lets in as much as may be of whoever stands for many", async () => {
  const { begun, ask } = setUp(3);
  for (let i = 0; i < 4; i++) ask({ client: "", unlimited: true }, `${i}`);
  await settled();
  assertEquals(begun, ["0", "1", "2"]);
});

Deno.test("A gate lets one client have no more than it may, though what it waited for was refused meanwhile", async () => {
  const { begun, ask, end, refused } = setUp(3, { waiting: 1 });
  for (const [who, name] of [[bob, "bob 1"], [ada, "ada"], [eve, "eve 1"], [bob, "bob 2"], [eve, "eve 2"]] as const) {
    ask(who, name);
  }
  await settled();
  assertEquals(refused, ["eve 2"]);
  await end("eve 1"); // she has nothing any more, but a turn
  ask(eve, "eve 3");
  await end("ada");
  for (const name of ["bob 1", "bob 2"]) await end(name);
  for (const name of ["eve 4", "eve 5"]) ask(eve, name);
  await settled();
  assertEquals(begun.slice(3), ["bob 2", "eve 3", "eve 4"]);
});

Deno.test("A gate has room for what nobody waits for while nobody waits, and another could still begin", async () => {
  const { gate, ask, end } = setUp(3);
  const hasRoom = () => [bob, eve, { client: "", unlimited: true }].map((who) => gate.hasRoomFor(who));
  assertEquals(hasRoom(), [true, true, true]);
  ask(eve, "eve 1");
  assertEquals(hasRoom(), [true, false, true]); // once at a time for one client
  await settled();
  ask({ client: "", unlimited: true }, "many");
  assertEquals(hasRoom(), [false, false, false]);
  await settled();
  for (const name of ["eve 1", "many"]) await end(name);
  assertEquals(hasRoom(), [true, true, true]);
});

Deno.test("A gate takes the rooms of one client in turn", async () => {
  const { begun, ask, end } = setUp(1);
  for (const room of ["a", "a", "a", "b"]) ask(eve, `${room}${begun.length}`, room);
  await settled();
  for (let i = 0; i < 4; i++) await end(begun[i]!);
  assertEquals(begun.map((name) => name[0]), ["a", "a", "b", "a"]);
});

Deno.test("A gate refuses the newest of whoever has most waiting, and goes on", async () => {
  const { begun, ask, end, refused } = setUp(1);
  ask(eve, "first");
  for (let i = 0; i < 499; i++) ask(eve, `eve ${i}`);
  ask(ada, "ada");
  ask(bob, "bob");
  await settled();
  assertEquals(refused, ["eve 498"]);
  await end("first");
  await end(begun[1]!);
  await end(begun[2]!);
  assertEquals(begun.slice(1, 4), ["eve 0", "ada", "bob"]);
  for (let i = 3; i < 501; i++) await end(begun[i]!);
  assertEquals(begun.length, 501);
});

Deno.test("A gate knows nothing any more of who was refused since it took too long", async () => {
  const { gate, ask, end, refused } = setUp(2);
  for (const [who, name] of [[ada, "ada"], [bob, "bob"], [eve, "eve"]] as const) ask(who, name);
  await settled();
  const { now } = performance;
  performance.now = () => now.call(performance) + 6_000;
  try {
    for (const name of ["ada", "bob"]) await end(name);
  } finally {
    performance.now = now;
  }
  assertEquals(refused, ["eve"]);
  assert(gate.hasRoomFor(eve));
});

Deno.test("A gate goes on after work that fails", async () => {
  const gate = new Gate({ ...LIMITS, atOnce: 2 });
  await assertRejects(() => gate.run(eve, "a", () => Promise.reject(new Error("gone"))), Error, "gone");
  assertEquals(await gate.run(eve, "a", () => Promise.resolve(1)), 1);
  assert(gate.hasRoomFor(eve));
});

Deno.test("A clock is asked once a second for all, also while it fails, and once at a time", async () => {
  let now = 0;
  let asked = 0;
  let away = false;
  const clock = new Clock(() => away ? Promise.reject(new Error("away")) : Promise.resolve(++asked), () => now);
  assertEquals(await Promise.all([clock.read(), clock.read()]), [1, 1]);
  now = 999;
  assertEquals(await clock.read(), 1);
  now = 1_000;
  assertEquals(await clock.read(), 2);
  now = 2_000;
  away = true;
  await assertRejects(() => clock.read(), Error, "away");
  away = false;
  now = 2_999;
  await assertRejects(() => clock.read(), Error, "away");
  now = 3_000;
  assertEquals(await clock.read(), 3);

  const slow = Promise.withResolvers<number>();
  let asking = 0;
  const far = new Clock(() => (asking++, slow.promise), () => now);
  const answers = [far.read()];
  now = 10_000;
  answers.push(far.read());
  slow.resolve(7);
  assertEquals([await Promise.all(answers), asking], [[7, 7], 1]);
});

/** Work that ends when the test says so. */
function setUp(atOnce: number, more: Partial<GateOptions> = {}) {
  const gate = new Gate({ ...LIMITS, atOnce, ...more });
  const begun: string[] = [];
  const refused: string[] = [];
  const ends = new Map<string, () => void>();
  return {
    gate,
    begun,
    refused,
    ask(who: Who, name: string, room = "room"): void {
      gate.run(who, room, () => {
        begun.push(name);
        return new Promise<void>((resolve) => ends.set(name, resolve));
      }).catch((problem) => {
        assert(problem instanceof Refusal);
        refused.push(name);
      });
    },
    async end(name: string): Promise<void> {
      ends.get(name)!();
      await settled();
    },
  };
}

const settled = () => new Promise((resolve) => setImmediate(resolve)); // no timer: what waits for five seconds is refused

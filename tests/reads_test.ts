// Who reads much waits for himself, and whoever comes to a long line is told so at once. Each read here is a gate.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Clock } from "../src/chat/clock.ts";
import { Reads } from "../src/chat/reads.ts";
import { Allowance } from "../src/limits.ts";
import { Problem } from "../src/problem.ts";

const [ada, bob, eve] = ["ada", "bob", "eve"].map((name) => new Allowance(name)) as [Allowance, Allowance, Allowance];

Deno.test("Reads runs as many as there are connections, two of one client at most", async () => {
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

Deno.test("Reads takes the rooms of one client in turn", async () => {
  const { begun, ask, end } = setUp(1);
  for (const room of ["a", "a", "a", "b"]) ask(eve, `${room}${begun.length}`, room);
  await settled();
  for (let i = 0; i < 4; i++) await end(begun[i]!);
  assertEquals(begun.map((name) => name[0]), ["a", "a", "b", "a"]);
});

Deno.test("Reads refuses the newest of whoever has most waiting, and goes on", async () => {
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

Deno.test("Reads goes on after a read that fails, and lets no refused client behind", async () => {
  const reads = new Reads(1);
  await assertRejects(() => reads.run(eve, "a", () => Promise.reject(new Error("gone"))), Error, "gone");
  assertEquals(await reads.run(eve, "a", () => Promise.resolve(1)), 1);
  assert(reads.idle);
});

Deno.test("A clock is asked once a second for all, and again after it has failed", async () => {
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
  assertEquals(await clock.read(), 3);
});

/** Reads that end when the test says so. */
function setUp(connections: number) {
  const reads = new Reads(connections);
  const begun: string[] = [];
  const refused: string[] = [];
  const ends = new Map<string, () => void>();
  return {
    begun,
    refused,
    ask(allowance: Allowance, name: string, room = "room"): void {
      reads.run(allowance, room, () => {
        begun.push(name);
        return new Promise<void>((resolve) => ends.set(name, resolve));
      }).catch((problem) => {
        assert(problem instanceof Problem && problem.status === 503);
        refused.push(name);
      });
    },
    async end(name: string): Promise<void> {
      ends.get(name)!();
      await settled();
    },
  };
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 0));

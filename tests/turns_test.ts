// Whoever waits in a line of turns waits for one of everybody else's, however many they have brought.
import { assert, assertEquals } from "@std/assert";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { Turns } from "../src/chat/turns.ts";
import { until } from "./support/client.ts";

interface Item {
  readonly client: string;
  readonly room: string;
  readonly n: number;
}

const keys = [({ client }: Item) => client, ({ room }: Item) => room];

Deno.test("Turns gives each client its turn, and within it each room", () => {
  const turns = new Turns({ keys });
  for (const name of ["Aa1", "Aa2", "Aa3", "Ab4", "Ab5", "Ba6", "Cc7"]) {
    turns.push({ client: name[0]!, room: name[1]!, n: Number(name[2]) });
  }
  assertEquals(drain(turns), [1, 6, 7, 4, 2, 5, 3]);
});

Deno.test("Turns tells how many wait in each line", () => {
  const turns = new Turns({ keys });
  for (const name of ["Aa1", "Aa2", "Ab3", "Ba4"]) turns.push({ client: name[0]!, room: name[1]!, n: Number(name[2]) });
  const lengths = () => [["A"], ["A", "a"], ["A", "b"], ["B", "b"], ["C"]].map((keys) => turns.lengthOf(keys));
  assertEquals(lengths(), [3, 2, 1, 0, 0]);
  drain(turns);
  assertEquals(lengths(), [0, 0, 0, 0, 0]);
});

Deno.test("Turns gives up the newest of whoever is heaviest, and of that one's heaviest room", () => {
  const turns = new Turns<Item>({ keys, weigh: ({ n }) => n });
  turns.push({ client: "A", room: "a", n: 10 });
  turns.push({ client: "A", room: "b", n: 4 });
  turns.push({ client: "A", room: "b", n: 5 });
  turns.push({ client: "B", room: "a", n: 18 });
  assertEquals(Array.from({ length: 5 }, () => turns.pop()?.n), [10, 18, 5, 4, undefined]);
  assertEquals([turns.length, turns.weight], [0, 0]);
});

Deno.test("Turns lets go of what it has given out, though others still wait behind it", async () => {
  setFlagsFromString("--expose-gc");
  const gc: () => void = runInNewContext("gc");
  const turns = new Turns<Item & { body: ArrayBuffer }>({ keys });
  const bodies = Array.from({ length: 100 }, (_, n) => {
    const body = new ArrayBuffer(10_000);
    turns.push({ client: "A", room: "a", n, body });
    return new WeakRef(body);
  });
  for (let i = 0; i < 98; i++) turns.shift();
  const held = () => bodies.filter((body) => body.deref() !== undefined).length;
  await until(() => (gc(), held() === 2), "what was given out is let go");
  assertEquals(drain(turns), [98, 99]);
});

Deno.test("Turns, whatever comes and goes: everybody in order, nobody twice, and no room waits for two of another's", () => {
  const name = fc.constantFrom("a", "b", "c");
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ do: fc.constant("push" as const), client: name, room: name }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("shift" as const) }) },
    fc.record({ do: fc.constant("pop" as const) }),
    fc.record({ do: fc.constant("shift while" as const), behind: fc.nat(20) }),
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 200, size: "max" }), (steps) => {
    const turns = new Turns<Item>({ keys });
    let waiting: Item[] = [];
    const served: Item[] = [];
    for (const [n, step] of steps.entries()) {
      if (step.do === "push") {
        const item = { client: step.client, room: step.room, n };
        turns.push(item);
        waiting.push(item);
        continue;
      }
      if (step.do === "shift while") {
        const [old, rest] = [true, false].map((isOld) =>
          waiting.filter((item) => (item.n <= n - step.behind) === isOld)
        );
        const taken = turns.shiftWhile((item) => item.n <= n - step.behind);
        assertEquals(taken.toSorted((a, b) => a.n - b.n), old!);
        waiting = rest!;
        assertEquals([turns.length, turns.weight], [waiting.length, waiting.length]);
        continue;
      }
      const next = step.do === "shift" ? turns.peek() : undefined;
      const item = step.do === "shift" ? turns.shift() : turns.pop();
      assertEquals(item === undefined, waiting.length === 0);
      if (!item) continue;
      const own = waiting.filter(({ client, room }) => client === item.client && room === item.room);
      if (step.do === "shift") {
        assert(next === item);
        assert(own[0] === item, "out of order");
        served.push(item);
      } else {
        assert(own.at(-1) === item, "not the newest");
        const most = Math.max(...Map.groupBy(waiting, ({ client }) => client).values().map((list) => list.length));
        assertEquals(waiting.filter(({ client }) => client === item.client).length, most);
      }
      waiting = waiting.filter((other) => other !== item);
      assertEquals([turns.length, turns.weight], [waiting.length, waiting.length]);
    }
    while (turns.length > 0) served.push(turns.shift()!);
    checkTurns(served, waiting);
  }));
});

/** Of those that were there to the end of what was left: between two of one client each other client has had one. */
function checkTurns(served: readonly Item[], rest: readonly Item[]): void {
  const order = served.slice(served.length - rest.length);
  assertEquals(new Set(order).size, rest.length);
  for (const [i, { client }] of order.entries()) {
    const again = order.findIndex((other, j) => j > i && other.client === client);
    if (again < 0) continue;
    const between = new Set(order.slice(i + 1, again).map((other) => other.client));
    const later = new Set(order.slice(again + 1).map((other) => other.client));
    for (const other of later) assert(other === client || between.has(other), `${other} waited for two of ${client}`);
  }
}

function drain<T extends Item>(turns: Turns<T>): number[] {
  return Array.from({ length: turns.length }, () => turns.shift()!.n);
}

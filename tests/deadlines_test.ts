// The deadlines that waiters share. One that passes too early answers for nothing, one that stays keeps what it would end.
import { assert, assertEquals, assertFalse, assertStrictEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { type Deadline, DEADLINE_STEP_MS, Deadlines, type Expiring, nextTurn } from "../src/chat/deadlines.ts";

Deno.test("Waits of one length that begin within a step share a deadline, which passes before none of their times, and once", async () => {
  using time = new FakeTime();
  const deadlines = new Deadlines();
  const first = new Wait(deadlines, 60_000);
  time.tick(DEADLINE_STEP_MS - 1);
  const crowd = Array.from({ length: 5_000 }, () => new Wait(deadlines, 60_000));
  const shorter = new Wait(deadlines, 1_000);
  time.tick(1);
  const next = new Wait(deadlines, 60_000);
  for (const { deadline } of crowd) assertStrictEquals(deadline, first.deadline);
  assert(next.deadline !== first.deadline);

  time.tick(60_000 - 1);
  assertEquals([first.ends, shorter.ends, crowd.some(({ ends }) => ends > 0)], [0, 1, false]);
  time.tick(1);
  while (crowd.some(({ ends }) => ends === 0)) await nextTurn();
  assertEquals([first.ends, next.ends, crowd.every(({ ends }) => ends === 1)], [1, 0, true]);
  time.tick(DEADLINE_STEP_MS);
  assertEquals(next.ends, 1);
  assertFalse(time.next(), "there were more timers than deadlines");
});

Deno.test("Who leaves a deadline is not ended by it, who stays is, and the last takes the timers along", () => {
  using time = new FakeTime();
  const deadlines = new Deadlines();
  const [first, second, staying] = [1, 2, 3].map(() => new Wait(deadlines, 10));
  first!.leave();
  second!.leave();
  second!.leave();
  time.tick(10 + DEADLINE_STEP_MS);
  assertEquals([first!.ends, second!.ends, staying!.ends], [0, 0, 1]);
  new Wait(deadlines, 10).leave();
  assertFalse(time.next(), "a timer was left behind");
});

Deno.test("A deadline that all have left takes nobody in", () => {
  using time = new FakeTime();
  const deadlines = new Deadlines();
  new Wait(deadlines, 10).leave();
  const later = new Wait(deadlines, 10);
  time.tick(10 + DEADLINE_STEP_MS);
  assertEquals(later.ends, 1);
});

Deno.test("What ends after the process was frozen, or its machine, waits for a look before; what ends in time does not", async () => {
  using time = new FakeTime();
  const deadlines = new Deadlines();
  const looks: PromiseWithResolvers<void>[] = [];
  const waits = [10, 10, 20_000].map((ms) =>
    new Wait(deadlines, ms, () => {
      looks.push(Promise.withResolvers());
      return looks.at(-1)!.promise;
    })
  );
  const ends = () => waits.map(({ ends }) => ends);
  time.tick(10 + DEADLINE_STEP_MS);
  assertEquals([ends(), looks.length], [[1, 1, 0], 0]); // in the turn in which it is due

  const { Date } = globalThis;
  globalThis.Date = class extends Date {
    static override now = () => Date.now() + 60_000; // timers have stood still meanwhile
  } as DateConstructor;
  time.tick(20_000);
  globalThis.Date = Date;
  await time.runMicrotasks();
  assertEquals([ends(), looks.length], [[1, 1, 0], 1]);
  looks[0]!.resolve();
  await time.runMicrotasks();
  assertEquals(ends(), [1, 1, 1]);
});

/** Something with a deadline, which leaves it when it ends. */
class Wait implements Expiring {
  ends = 0;
  readonly deadline: Deadline;

  constructor(deadlines: Deadlines, ms: number, readonly thaw = () => Promise.resolve()) {
    this.deadline = deadlines.add(this, ms);
  }

  expire(): void {
    this.ends++;
    this.leave();
  }

  leave(): void {
    this.deadline.remove(this);
  }
}

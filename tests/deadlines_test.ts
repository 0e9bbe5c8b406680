// The deadlines that waiters share. One that ends too early answers for nothing, one that stays keeps what it would end.
import { assertEquals, assertFalse } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { DEADLINE_STEP_MS, Deadlines, type Expiring } from "../src/chat/deadlines.ts";

/** When the tests begin, in milliseconds since 1970: at the beginning of a step. */
const START = 4_000_000_000 * DEADLINE_STEP_MS;

Deno.test("Deadlines within one step share a timer, and pass neither before their time nor twice", () => {
  using time = new FakeTime(START);
  using _clock = fakeClock();
  const deadlines = new Deadlines();
  const waits = Array.from({ length: DEADLINE_STEP_MS }, (_, i) => new Wait(deadlines, 60_001 + i));
  const next = new Wait(deadlines, 60_001 + DEADLINE_STEP_MS);
  time.tick(60_000 + DEADLINE_STEP_MS - 1);
  assertEquals(waits.filter(({ ends }) => ends > 0), []);
  assertEquals(time.next(), true);
  assertEquals(waits.filter(({ ends }) => ends !== 1), []);
  assertEquals(next.ends, 0);
  assertEquals(time.next(), true);
  assertEquals(next.ends, 1);
  assertFalse(time.next(), "there were more timers than steps");
});

Deno.test("A deadline that is taken out does not pass, those beside it do, and the last takes the timer along", () => {
  using time = new FakeTime(START);
  using _clock = fakeClock();
  const deadlines = new Deadlines();
  const [first, second, staying] = [1, 2, 3].map((ms) => new Wait(deadlines, ms));
  first!.leave();
  second!.leave();
  second!.leave();
  time.tick(DEADLINE_STEP_MS);
  assertEquals([first!.ends, second!.ends, staying!.ends], [0, 0, 1]);
  new Wait(deadlines, 1).leave();
  assertFalse(time.next(), "a timer was left behind");
});

/** Something with a deadline, which leaves it when it ends. */
class Wait implements Expiring {
  ends = 0;
  readonly #at: number;

  constructor(private readonly deadlines: Deadlines, ms: number) {
    this.#at = deadlines.add(this, ms);
  }

  settle(): void {
    this.ends++;
    this.leave();
  }

  leave(): void {
    this.deadlines.remove(this, this.#at);
  }
}

/** Lets `performance.now()` follow the faked time too. */
function fakeClock(): Disposable {
  const real = performance.now;
  performance.now = () => Date.now();
  return { [Symbol.dispose]: () => performance.now = real };
}

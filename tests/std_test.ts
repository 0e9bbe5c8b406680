// Checks the stand-ins in tests/std; passes with the real packages as well.

import {
  assert,
  assertArrayIncludes,
  assertEquals,
  assertExists,
  assertFalse,
  assertGreater,
  assertGreaterOrEqual,
  AssertionError,
  assertLess,
  assertLessOrEqual,
  assertMatch,
  assertNotEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
  fail,
} from "@std/assert";
import { FakeTime } from "@std/testing/time";

Deno.test("assertEquals() accepts deeply equal values", () => {
  assertEquals({ a: [1, { b: new Date(5) }] }, { a: [1, { b: new Date(5) }] });
  assertEquals(new Map([["a", new Set([1])]]), new Map([["a", new Set([1])]]));
});

Deno.test("assertEquals() throws on a different nested value and shows both", () => {
  const error = assertThrows(
    () => assertEquals({ a: [{ b: 41 }] }, { a: [{ b: 42 }] }, "why"),
    AssertionError,
  );
  for (const part of ["41", "42", "why"]) {
    assertStringIncludes(error.message, part);
  }
});

Deno.test("assertEquals() tells an undefined property from a missing one", () => {
  assertThrows(() => assertEquals<unknown>({ a: undefined }, {}), AssertionError);
});

Deno.test("The other assertions pass or throw an AssertionError", () => {
  assert(1);
  assertFalse("");
  assertNotEquals({ a: 1 }, { a: 2 });
  assertStrictEquals(NaN, NaN);
  assertExists(0);
  assertMatch("abc", /b/);
  assertStringIncludes("abc", "bc");
  assertArrayIncludes([{ a: 1 }, { a: 2 }], [{ a: 2 }]);
  assertGreater(2, 1);
  assertGreaterOrEqual(2, 2);
  assertLess(new Date(1), new Date(2));
  assertLessOrEqual(2, 2);
  const failing: (() => void)[] = [
    () => assert(0),
    () => assertFalse("x"),
    () => assertNotEquals({ a: 1 }, { a: 1 }),
    () => assertStrictEquals({}, {}),
    () => assertExists(null),
    () => assertMatch("abc", /d/),
    () => assertStringIncludes("abc", "d"),
    () => assertArrayIncludes([{ a: 1 }], [{ a: 2 }]),
    () => assertGreater(2, 2),
    () => assertGreaterOrEqual(1, 2),
    () => assertLess(2, 2),
    () => assertLessOrEqual(NaN, 2),
    () => fail("no"),
  ];
  for (const fn of failing) assertThrows(fn, AssertionError);
});

Deno.test("assertThrows() returns the error and checks class and message", () => {
  const thrown = new RangeError("too far");
  const fn = () => {
    throw thrown;
  };
  assertStrictEquals(assertThrows(fn), thrown);
  assertStrictEquals(assertThrows(fn, Error, "far"), thrown);
  assertThrows(() => assertThrows(fn, TypeError), AssertionError);
  assertThrows(() => assertThrows(fn, RangeError, "near"), AssertionError);
  assertThrows(() => assertThrows(() => {}, "why"), AssertionError, "why");
});

Deno.test("assertRejects() resolves to the error and checks class and message", async () => {
  const reason = new RangeError("too far");
  const fn = () => Promise.reject(reason);
  assertStrictEquals(await assertRejects(fn), reason);
  assertStrictEquals(await assertRejects(fn, RangeError, "far"), reason);
  await assertRejects(() => assertRejects(fn, TypeError), AssertionError);
  await assertRejects(() => assertRejects(fn, RangeError, "near"), AssertionError);
  await assertRejects(() => assertRejects(() => Promise.resolve(), "why"), AssertionError, "why");
});

Deno.test("assertRejects() fails when the function throws instead of rejecting", async () => {
  const throwing = () => {
    throw new Error("at once");
  };
  await assertRejects(() => assertRejects(throwing), AssertionError);
});

Deno.test("FakeTime starts where it is told and moves only by tick()", () => {
  using time = new FakeTime("2024-02-29T12:00:00Z");
  assertEquals([time.now, time.start], [Date.now(), Date.UTC(2024, 1, 29, 12)]);
  time.tick(1500);
  assertEquals(new Date(), new Date("2024-02-29T12:00:01.500Z"));
  assert(new Date() instanceof Date);
  assertThrows(() => new FakeTime(), Error, "already faked");
});

Deno.test("FakeTime.tick() fires timers in order of their time", () => {
  using time = new FakeTime(0);
  const fired: string[] = [];
  const log = (name: string) => fired.push(`${name} ${Date.now()}`);
  setTimeout(log, 30, "c");
  setTimeout(log, 10, "a");
  setTimeout(() => setTimeout(log, 10, "b2"), 10);
  setTimeout(log, 20, "b1");
  setTimeout(log, 41, "late");
  time.tick(40);
  assertEquals(fired, ["a 10", "b1 20", "b2 20", "c 30"]);
});

Deno.test("FakeTime clears timeouts, and an interval from within its callback", () => {
  using time = new FakeTime(0);
  const fired: number[] = [];
  clearTimeout(setTimeout(() => fired.push(-1), 5));
  const interval = setInterval(() => {
    if (fired.push(Date.now()) === 3) clearInterval(interval);
  }, 10);
  time.tick(100);
  assertEquals(fired, [10, 20, 30]);
  assertEquals([time.next(), time.now], [false, 100]);
});

Deno.test("FakeTime.tickAsync() runs pending microtasks before the timers", async () => {
  using time = new FakeTime(0);
  let fired = false;
  Promise.resolve().then(() => {}).then(() => setTimeout(() => fired = true, 10));
  await time.tickAsync(10);
  assert(fired);
});

Deno.test("FakeTime.next() and runAllAsync() go from timer to timer", async () => {
  using time = new FakeTime(0);
  const fired: number[] = [];
  const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
  setTimeout(() => fired.push(Date.now()), 1000);
  assertEquals([time.next(), time.now], [true, 1000]);
  setTimeout(async () => {
    await wait(50);
    fired.push(Date.now());
  }, 100);
  setTimeout(() => fired.push(Date.now()), 500);
  await time.runAllAsync();
  assertEquals(fired, [1000, 1150, 1500]);
});

Deno.test("FakeTime aborts AbortSignal.timeout() by its time", () => {
  using time = new FakeTime();
  const signal = AbortSignal.timeout(1000);
  time.tick(999);
  assertFalse(signal.aborted);
  time.tick(1);
  assertEquals(signal.reason.name, "TimeoutError");
});

Deno.test("FakeTime leaves the real globals behind it, even when the block throws", () => {
  const before = [
    Date,
    setTimeout,
    clearTimeout,
    setInterval,
    clearInterval,
    AbortSignal.timeout,
  ];
  assertThrows(() => {
    using _time = new FakeTime();
    assertNotEquals(setTimeout, before[1]);
    throw new Error("in the block");
  });
  const after = [
    Date,
    setTimeout,
    clearTimeout,
    setInterval,
    clearInterval,
    AbortSignal.timeout,
  ];
  after.forEach((value, i) => assertStrictEquals(value, before[i]));
  assertThrows(() => FakeTime.restore(), Error, "already restored");
});

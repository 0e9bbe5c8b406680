// A sleep that its signal ends must leave nothing behind: the tests that end one early sleep for an hour, in real time,
// so that a timer that stays is a leak which fails them.
import { assert, assertEquals, assertFalse, assertRejects } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { sleep, unlessAborted, within } from "../src/sleep.ts";

const HOUR_MS = 3_600_000;

Deno.test("sleep() resolves when its time has passed, not before", async () => {
  using time = new FakeTime();
  const slept = watch(sleep(1_000));
  await time.tickAsync(999);
  await time.runMicrotasks();
  assertFalse(slept.settled);
  await time.tickAsync(1);
  await time.runMicrotasks();
  assert(slept.settled);
});

Deno.test("sleep() resolves as soon as its signal aborts", async () => {
  const controller = new AbortController();
  const sleeping = sleep(HOUR_MS, controller.signal);
  controller.abort(new Error("never seen"));
  await sleeping;
});

Deno.test("sleep() resolves at once when its signal has aborted already", async () => {
  await sleep(HOUR_MS, AbortSignal.abort());
});

Deno.test("sleep() takes its listener off the signal, however it ends", async () => {
  const ended = counted();
  await sleep(0, ended.signal);
  assertEquals(ended.listeners.size, 0);

  const aborted = counted();
  const sleeping = sleep(HOUR_MS, aborted.signal);
  assertEquals(aborted.listeners.size, 1);
  aborted.abort();
  await sleeping;
  assertEquals(aborted.listeners.size, 0);
});

Deno.test("within() resolves when the promise does, and when it rejects", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const waiting = watch(within(promise, HOUR_MS));
  await Promise.resolve();
  assertFalse(waiting.settled);
  resolve();
  await waiting.promise;
  await within(Promise.reject(new Error("never seen")), HOUR_MS);
});

Deno.test("within() resolves when its time has passed, and leaves a later rejection handled", async () => {
  using time = new FakeTime();
  const { promise, reject } = Promise.withResolvers<void>();
  const waiting = watch(within(promise, 1_000));
  await time.tickAsync(999);
  await time.runMicrotasks();
  assertFalse(waiting.settled);
  await time.tickAsync(1);
  await waiting.promise;
  reject(new Error("never seen"));
  await time.runMicrotasks();
});

/** A promise of which can be seen whether it has settled. */
function watch(promise: Promise<void>) {
  const watched = { promise, settled: false };
  promise.then(() => watched.settled = true);
  return watched;
}

/** A signal that tells which listeners it has. */
function counted() {
  const controller = new AbortController();
  const { signal } = controller;
  const listeners = new Set<unknown>();
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: unknown[]) => {
    listeners.add(args[1]);
    Reflect.apply(addEventListener, signal, args);
  };
  signal.removeEventListener = (...args: unknown[]) => {
    listeners.delete(args[1]);
    Reflect.apply(removeEventListener, signal, args);
  };
  return { signal, listeners, abort: (reason?: Error) => controller.abort(reason) };
}

Deno.test("unlessAborted() brings what its promise does or its signal says, and takes its listener off that, however it ends", async () => {
  const { listeners, signal, abort } = counted();
  assertEquals(await unlessAborted(Promise.resolve("there"), signal), "there");
  await assertRejects(() => unlessAborted(Promise.reject(new Error("not there")), signal), Error, "not there");
  assertEquals(listeners.size, 0);
  const waiting = unlessAborted(new Promise(() => {}), signal);
  assertEquals(listeners.size, 1);
  abort(new Error("enough"));
  await assertRejects(() => waiting, Error, "enough");
  await assertRejects(() => unlessAborted(new Promise(() => {}), signal), Error, "enough");
  assertEquals(listeners.size, 0);
});

// Gives every test a deadline, so that one that hangs fails by its name and the run goes on; and has what it leaves rejected
// fail it, not its whole file. No setting of Deno's does that: the tasks that test load this file before each file of tests
// (`--preload`). A test that needs longer says so in `timeout`.
import { FakeTime } from "@std/testing/time";
import { runInThisContext } from "node:vm";

const { TEST_DEADLINE_MS = 240_000, FUZZ_RUNS = 1 } = Deno.env.toObject();

/**
 * How long a test may take, a hook, or what stands outside of a file's tests, in milliseconds. It is many times what they
 * take where nothing else runs, so that it says nothing about a machine that is slow or busy.
 */
const DEADLINE_MS = Number(TEST_DEADLINE_MS) * Math.max(1, Number(FUZZ_RUNS));

// The real ones, also while a test fakes the time. For tests Deno has a clock of its own.
const { setTimeout, clearTimeout } = globalThis;

const register = Deno.test;

const beginning = setTimeout(() => {
  throw new Error(`What stands outside of the tests of this file took longer than ${DEADLINE_MS} ms`);
}, DEADLINE_MS);
Deno.unrefTimer(beginning);
register.beforeAll(() => clearTimeout(beginning));

/** The test that runs: at the beginning of the next one, a test that was given up. */
let running: string | undefined;

/** What was rejected in this test, and why, where nobody has asked for it yet: a test may do that later. */
const rejections = new Map<Promise<unknown>, unknown>();

addEventListener("unhandledrejection", (event) => {
  if (running === undefined) return; // Deno says of which file
  event.preventDefault();
  rejections.set(event.promise, event.reason);
});
addEventListener("rejectionhandled", ({ promise }) => rejections.delete(promise));

/** Throws what was rejected in a test that is over, and that it has not asked for. */
async function throwRejected(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve)); // both events come a turn late
  const [first] = rejections.values();
  const wasRejected = rejections.size > 0;
  rejections.clear();
  if (wasRejected) throw first;
}

/** The definition of a test, made of what `Deno.test` is called with. */
function limited(...args: unknown[]): Deno.TestDefinition {
  const parts = args.map((arg) =>
    typeof arg === "string" ? { name: arg } : typeof arg === "function" ? { fn: arg } : arg
  );
  const { fn, name = fn.name, ...options }: Deno.TestDefinition = Object.assign({}, ...parts);
  return {
    timeout: DEADLINE_MS,
    ...options,
    name,
    fn: async (context) => {
      if (running !== undefined) tidyUp(running);
      running = name;
      try {
        await fn(context);
        await throwRejected();
      } catch (error) {
        throw firstOf(error);
      } finally {
        if (running === name) running = undefined;
      }
    },
  };
}

/** What a test has failed with; what its resources said when they were disposed of after that is printed, and would hide it. */
function firstOf(error: unknown): unknown {
  if (!(error instanceof SuppressedError)) return error;
  console.error("And then:", error.error);
  return firstOf(error.suppressed);
}

/** Takes away what a test that was given up would disturb the next one with, and says so, since there may be more. */
function tidyUp(name: string): void {
  try {
    FakeTime.restore();
  } catch { /* it had not faked the time */ }
  for (const reason of rejections.values()) console.error("Rejected there, and not asked for:", reason);
  rejections.clear();
  console.error(`What "${name}" left behind when it was given up may disturb this test`);
}

/** A hook that fails when it takes too long. */
function limitedHook(kind: string, work: () => void | Promise<void>): () => Promise<void> {
  return async () => {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(new Error(`${kind}() took longer than ${DEADLINE_MS} ms`)), DEADLINE_MS);
    try {
      await Promise.race([work(), late.promise]);
    } finally {
      clearTimeout(timer);
    }
  };
}

// Deno takes for the place of a test the first function on the stack that is in a file. This one is in none.
const wrap = runInThisContext("(register, limited) => (...args) => register(limited(...args))", {
  filename: "deadline",
});
const hooks = (["beforeAll", "beforeEach", "afterEach", "afterAll"] as const).map((kind) => {
  const hook = (work: () => void | Promise<void>) => register[kind](limitedHook(kind, work));
  return [kind, hook] as const;
});
Object.assign(Deno, { test: Object.assign(wrap(register, limited), register, Object.fromEntries(hooks)) });

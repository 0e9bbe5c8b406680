/**
 * A stand-in for the few functions of `@std/assert` that the tests use.
 *
 * JSR isn't reachable from every network, and the tests should run on those too. Names, signatures and
 * meaning are those of the package: delete the `links` line in the root deno.json and the real one serves.
 * What differs is the text of the messages, and that `assertEquals` is a little stricter here: it tells 0
 * from -0, an object without a prototype from a plain one, and errors by their messages.
 *
 * @module
 */

import { isDeepStrictEqual } from "node:util";

/** The error of every failed assertion. */
export class AssertionError extends Error {
  override name = "AssertionError";
}

/** A class of errors, as `assertThrows` and `assertRejects` take it. */
// deno-lint-ignore no-explicit-any
type ErrorClass<E extends Error> = abstract new (...args: any[]) => E;

/** What `assertFalse` lets pass. */
export type Falsy = false | 0 | 0n | "" | null | undefined;

/** Anything with a length and indices, except a string. */
export type ArrayLikeArg<T> = ArrayLike<T> & object;

function show(value: unknown): string {
  return Deno.inspect(value, { depth: Infinity, iterableLimit: Infinity, strAbbreviateSize: Infinity });
}

function sentence(what: string, msg: string | undefined): string {
  return msg ? `${what}: ${msg}` : `${what}.`;
}

function failWith(what: string, msg: string | undefined): never {
  throw new AssertionError(sentence(what, msg));
}

function failShowing(what: string, msg: string | undefined, actual: unknown, expected: unknown): never {
  const [a, e] = [actual, expected].map((value) => show(value).replaceAll("\n", "\n  "));
  throw new AssertionError(`${sentence(what, msg)}\n\n  actual:   ${a}\n  expected: ${e}\n`);
}

/** Fails unless `expr` is truthy. */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError(msg);
}

/** Fails unless `expr` is falsy. */
export function assertFalse(expr: unknown, msg = ""): asserts expr is Falsy {
  if (expr) throw new AssertionError(msg);
}

/** Fails always. */
export function fail(msg?: string): never {
  failWith("Failed assertion", msg);
}

/** Fails unless both are deeply equal. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  if (!isDeepStrictEqual(actual, expected)) {
    failShowing("Values are not equal", msg, actual, expected);
  }
}

/** Fails if both are deeply equal. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  if (isDeepStrictEqual(actual, expected)) {
    failWith(`Expected ${show(actual)} not to equal ${show(expected)}`, msg);
  }
}

/** Fails unless both are the same value, as `Object.is` has it. */
export function assertStrictEquals<T>(actual: unknown, expected: T, msg?: string): asserts actual is T {
  if (!Object.is(actual, expected)) {
    failShowing("Values are not strictly equal", msg, actual, expected);
  }
}

/** Fails if `actual` is null or undefined. */
export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T> {
  if (actual === null || actual === undefined) {
    failWith(`Expected ${actual} not to be null or undefined`, msg);
  }
}

/** Fails unless `actual` matches the pattern. */
export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  if (!expected.test(actual)) {
    failWith(`Expected ${show(actual)} to match ${expected}`, msg);
  }
}

/** Fails unless `actual` contains `expected`. */
export function assertStringIncludes(actual: string, expected: string, msg?: string): void {
  if (!actual.includes(expected)) {
    failWith(`Expected ${show(actual)} to contain ${show(expected)}`, msg);
  }
}

/** Fails unless each item of `expected` is deeply equal to one in `actual`. */
export function assertArrayIncludes<T>(
  actual: ArrayLikeArg<T>,
  expected: ArrayLikeArg<T>,
  msg?: string,
): void {
  const items = Array.from(actual);
  const missing = Array.from(expected).filter((e) => !items.some((item) => isDeepStrictEqual(item, e)));
  if (missing.length > 0) {
    failWith(`Expected ${show(actual)} to include ${show(missing)}`, msg);
  }
}

/** Fails unless `actual > expected`. */
export function assertGreater<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual > expected)) {
    throw new AssertionError(msg ?? `Expected ${show(actual)} > ${show(expected)}`);
  }
}

/** Fails unless `actual >= expected`. */
export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual >= expected)) {
    throw new AssertionError(msg ?? `Expected ${show(actual)} >= ${show(expected)}`);
  }
}

/** Fails unless `actual < expected`. */
export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual < expected)) {
    throw new AssertionError(msg ?? `Expected ${show(actual)} < ${show(expected)}`);
  }
}

/** Fails unless `actual <= expected`. */
export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual <= expected)) {
    throw new AssertionError(msg ?? `Expected ${show(actual)} <= ${show(expected)}`);
  }
}

/** Fails unless `error` is of the class and its message contains `msgIncludes`. */
function checkError(
  error: unknown,
  errorClass: ErrorClass<Error>,
  msgIncludes: string | undefined,
  msg: string | undefined,
): void {
  if (!(error instanceof errorClass)) {
    failWith(`Expected a ${errorClass.name}, got ${show(error)}`, msg);
  }
  if (msgIncludes !== undefined && !error.message.includes(msgIncludes)) {
    failWith(`Expected an error message with ${show(msgIncludes)}, got ${show(error.message)}`, msg);
  }
}

/** Fails unless `fn` throws; returns what it threw. */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
/** Fails unless `fn` throws an error of the class with `msgIncludes` in its message; returns it. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  ErrorClass: ErrorClass<E>,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows(
  fn: () => unknown,
  classOrMsg?: ErrorClass<Error> | string,
  msgIncludes?: string,
  msg?: string,
): unknown {
  if (typeof classOrMsg === "string") msg = classOrMsg;
  try {
    fn();
  } catch (error) {
    if (typeof classOrMsg === "function") {
      checkError(error, classOrMsg, msgIncludes, msg);
    }
    return error;
  }
  failWith("Expected function to throw", msg);
}

/** Fails unless the promise of `fn` rejects (`fn` itself must not throw); resolves to the reason. */
export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
/** Fails unless the promise of `fn` rejects with such an error; resolves to it. */
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClass: ErrorClass<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects(
  fn: () => PromiseLike<unknown>,
  classOrMsg?: ErrorClass<Error> | string,
  msgIncludes?: string,
  msg?: string,
): Promise<unknown> {
  if (typeof classOrMsg === "string") msg = classOrMsg;
  let promise: PromiseLike<unknown> | undefined;
  try {
    promise = fn();
  } catch (error) {
    failWith(`Expected function to reject, but it threw ${show(error)}`, msg);
  }
  if (typeof promise?.then !== "function") {
    failWith("Expected function to reject, but it returned no promise", msg);
  }
  try {
    await promise;
  } catch (error) {
    if (typeof classOrMsg === "function") {
      checkError(error, classOrMsg, msgIncludes, msg);
    }
    return error;
  }
  failWith("Expected function to reject", msg);
}

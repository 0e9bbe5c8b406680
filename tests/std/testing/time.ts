/**
 * A stand-in for `FakeTime` of `@std/testing/time`: a clock that moves only when a test moves it.
 *
 * JSR isn't reachable from every network, and the tests should run on those too. Names and meaning are those
 * of the package: delete the `links` line in the root deno.json and the real one serves. Left out are
 * `restoreFor` and the options of the constructor and of `delay`.
 *
 * @module
 */

/** One pending timer. */
interface Timer {
  due: number;
  /** Milliseconds from one run to the next; null for a timeout. */
  every: number | null;
  run: () => void;
}

/** The error of faking a time that is faked, or of restoring one that isn't. */
export class TimeError extends Error {
  override name = "TimeError";
}

const real = {
  Date: globalThis.Date,
  setTimeout: globalThis.setTimeout,
  setInterval: globalThis.setInterval,
  clearTimeout: globalThis.clearTimeout,
  clearInterval: globalThis.clearInterval,
};
const realAbortSignalTimeout = AbortSignal.timeout;

let active: FakeTime | undefined;

/** Far above the ids of real timers, so that clearing a fake one after `restore` can't hit a real one. */
let lastId = 1_000_000_000;

/** Replaces Date, the timeouts and intervals and `AbortSignal.timeout` with ones of a time it holds. */
export class FakeTime {
  /** The time it was constructed with, in milliseconds since 1970. */
  readonly start: number;
  #now: number;
  /** By id, in the order they were set: those due at the same time run in that order. */
  #timers = new Map<number, Timer>();

  /** Fakes the time from `start` on, by default from now. */
  constructor(start?: number | string | Date | null) {
    if (active) {
      throw new TimeError("Cannot construct FakeTime: time is already faked");
    }
    this.start = this.#now = typeof start === "number"
      ? Math.floor(start)
      : start === null || start === undefined
      ? real.Date.now()
      : new real.Date(start).getTime();
    if (Number.isNaN(this.start)) {
      throw new TypeError(`Cannot construct FakeTime: invalid start time ${start}`);
    }

    const set = (repeat: boolean) => (callback: unknown, delay = 0, ...args: unknown[]): number => {
      if (typeof callback !== "function") {
        throw new TimeError("FakeTime takes only functions as callbacks");
      }
      const wait = Math.max(repeat ? 1 : 0, Math.floor(delay));
      this.#timers.set(++lastId, {
        due: this.#now + wait,
        every: repeat ? wait : null,
        run: () => callback(...args),
      });
      return lastId;
    };
    const clear = (id?: unknown): void => void (typeof id === "number" && this.#timers.delete(id));
    const now = () => this.#now;

    Object.assign(globalThis, {
      Date: new Proxy(real.Date, {
        construct: (target, args, newTarget) =>
          Reflect.construct(target, args.length > 0 ? args : [this.#now], newTarget),
        apply: () => new real.Date(this.#now).toString(),
        get: (target, key) => key === "now" ? now : Reflect.get(target, key),
      }),
      setTimeout: set(false),
      setInterval: set(true),
      clearTimeout: clear,
      clearInterval: clear,
    });
    AbortSignal.timeout = (delay) => {
      const controller = new AbortController();
      const abort = () => controller.abort(new DOMException("Signal timed out.", "TimeoutError"));
      set(false)(abort, delay);
      return controller.signal;
    };
    active = this;
  }

  /** The fake time, in milliseconds since 1970; setting it runs the timers due until then, in order. */
  get now(): number {
    return this.#now;
  }
  set now(value: number) {
    if (value < this.#now) {
      throw new RangeError(`Cannot set time back from ${this.#now} to ${value}`);
    }
    for (let id = this.#first(); id !== undefined; id = this.#first()) {
      const timer = this.#timers.get(id)!;
      if (timer.due > value) break;
      this.#now = timer.due;
      this.#timers.delete(id);
      if (timer.every !== null) {
        this.#timers.set(id, { ...timer, due: timer.due + timer.every });
      }
      timer.run();
    }
    this.#now = value;
  }

  /** The id of the timer due first. */
  #first(): number | undefined {
    let first: [id: number, due: number] | undefined;
    for (const [id, { due }] of this.#timers) {
      if (!first || due < first[1]) first = [id, due];
    }
    return first?.[0];
  }

  /** Moves the time forward by `ms`, running the timers due until then. */
  tick(ms = 0): void {
    this.now += ms;
  }

  /** Runs pending microtasks, then moves the time forward as `tick` does. */
  async tickAsync(ms = 0): Promise<void> {
    await this.runMicrotasks();
    this.now += ms;
  }

  /** Moves the time to the timer due next; false if there is none. */
  next(): boolean {
    const id = this.#first();
    if (id === undefined) return false;
    this.now = this.#timers.get(id)!.due;
    return true;
  }

  /** Runs pending microtasks, then moves the time as `next` does. */
  async nextAsync(): Promise<boolean> {
    await this.runMicrotasks();
    return this.next();
  }

  /** Moves the time until no timer is pending; with an interval that nobody clears it doesn't end. */
  runAll(): void {
    while (this.#timers.size > 0) this.next();
  }

  /** As `runAll`, running pending microtasks before each timer. */
  async runAllAsync(): Promise<void> {
    while (this.#timers.size > 0) await this.nextAsync();
  }

  /** Resolves after `ms` milliseconds of real time. */
  delay(ms: number): Promise<void> {
    return new Promise((resolve) => void real.setTimeout.call(globalThis, resolve, ms));
  }

  /** Lets pending microtasks run, by waiting for a real timer of 0 ms. */
  runMicrotasks(): Promise<void> {
    return this.delay(0);
  }

  /** Brings the real time back; pending fake timers never run. */
  restore(): void {
    if (!active) {
      throw new TimeError("Cannot restore time: time is already restored");
    }
    active = undefined;
    Object.assign(globalThis, real);
    AbortSignal.timeout = realAbortSignalTimeout;
  }

  /** Brings the real time back at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.restore();
  }

  /** Brings the real time back, whichever instance faked it. */
  static restore(): void {
    if (!active) {
      throw new TimeError("Cannot restore time: time is already restored");
    }
    active.restore();
  }
}

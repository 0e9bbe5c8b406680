// Waiting that ends early: a loop that sleeps on a signal stops with it, and leaves no timer behind.

/** Resolves after `ms` milliseconds, or as soon as `signal` aborts; ask `signal.aborted` which it was. Never rejects. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(wake, signal?.aborted ? 0 : ms);
  signal?.addEventListener("abort", wake, { once: true });
  return promise;

  function wake() {
    clearTimeout(timer);
    signal?.removeEventListener("abort", wake);
    resolve();
  }
}

/** Resolves when `signal` aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  else signal.addEventListener("abort", () => resolve(), { once: true });
  return promise;
}

/** Resolves when `promise` settles, either way, but after `ms` milliseconds at the latest. */
export async function within(promise: Promise<unknown>, ms: number): Promise<void> {
  const settled = new AbortController();
  promise.then(() => settled.abort(), () => settled.abort());
  await sleep(ms, settled.signal);
}

/**
 * What `promise` brings, unless `signal` aborts before.
 * @throws the signal's reason then, or what the promise is rejected with.
 */
export function unlessAborted<T>(promise: PromiseLike<T>, signal: AbortSignal): Promise<T> {
  const { promise: outcome, resolve, reject } = Promise.withResolvers<T>();
  const giveUp = () => reject(signal.reason);
  if (signal.aborted) giveUp();
  signal.addEventListener("abort", giveUp);
  promise.then(resolve, reject);
  return outcome.finally(() => signal.removeEventListener("abort", giveUp));
}

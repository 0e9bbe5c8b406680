// A clock that stands still, for tests of something else than what a machine does within the seconds of the product.

/** Has the monotonic clock of this process stand still until disposed of: nobody has waited for too long, nothing takes too long. */
export function stopped(): Disposable {
  const { now } = performance;
  performance.now = () => 0;
  return { [Symbol.dispose]: () => Object.assign(performance, { now }) };
}

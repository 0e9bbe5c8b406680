// A poll that waits, without Hono waiting beside it. As long as the promise that a handler returns is open, Hono keeps the
// request's context, its path, its matches and two promises of its own: 1.8 kB of heap for each of ten thousand polls, which
// every collection of garbage walks, more than all that the waiting itself takes. So the handler of a poll returns at once,
// with an empty response that carries the promise of the real one, and whoever called Hono awaits that instead.

/** Stands in for the answer to a poll that waits. */
export class Parked extends Response {
  /** `answer` is what the client will get. */
  constructor(readonly answer: Promise<Response>) {
    super();
  }
}

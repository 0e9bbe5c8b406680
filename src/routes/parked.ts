// A poll that waits, without Hono waiting beside it. As long as the promise that a handler returns is open, Hono keeps the
// request's context, its path, its matches and two promises of its own: 1.8 kB of heap for each of ten thousand polls, which
// every collection of garbage walks, more than all that the waiting itself takes. So the handler of a poll returns at once,
// with the promise of the answer in a wrapping that Hono passes on as it is, and whoever called Hono awaits that instead.

/** The answer to a poll that waits, to come. */
export class Parked {
  private constructor(
    /** What the client will get. */
    readonly answer: Promise<Response>,
  ) {}

  /** Wraps an answer. It is no response, but all that Hono does with what a handler returns is to return it. */
  static response(answer: Promise<Response>): Response {
    return new Parked(answer) as unknown as Response;
  }

  /** The answer in what a handler returned, if it is one that waits. */
  static answerIn(returned: Response | Promise<Response>): Promise<Response> | undefined {
    const parked: unknown = returned;
    return parked instanceof Parked ? parked.answer : undefined;
  }
}

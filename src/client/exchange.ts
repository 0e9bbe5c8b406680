// One request and its answer, and the pause before the next try. Whatever a laptop's network does to a request ends here in
// one of three ways: with an answer, with a Failure (nothing is known: try again), or with an error that is final.

/** The least that Linger says of an error (RFC 9457). */
export interface ProblemDetails {
  /** What a program looks at: `urn:linger:problem:…`. */
  type: string;
  /** The type in words. */
  title: string;
  /** The HTTP status. */
  status: number;
  /** What is wrong this time. */
  detail: string;
  /** Of the type `urn:linger:problem:trimmed`: the cursor from which everything is there. */
  earliest?: string;
}

/** The server, or something before it, refuses: the same request would be refused again. */
export class LingerError extends Error {
  /** `LingerError`. */
  override readonly name = "LingerError";
  /** The HTTP status. */
  readonly status: number;
  /** What the server says of it; undefined where the answer is not Linger's. */
  readonly problem: ProblemDetails | undefined;

  /** An answer of this status; `message` for people, where there is no problem. */
  constructor(status: number, problem?: ProblemDetails, message = `The answer has status ${status}`) {
    super(problem?.detail ?? message);
    this.status = status;
    this.problem = problem;
  }
}

/** A try that told nothing, or nothing yet. */
export class Failure extends Error {
  /** Milliseconds that the server asks to stay away. */
  readonly retryAfterMs: number;
  /** Whether the network has just come back, so that there is nothing to wait for. */
  readonly atOnce: boolean;
  /** What the server says of it, where it was Linger that answered. */
  readonly problem: ProblemDetails | undefined;

  /** A failure, for people in `message`. */
  constructor(message: string, retryAfterMs = 0, atOnce = false, problem?: ProblemDetails) {
    super(message);
    this.retryAfterMs = retryAfterMs;
    this.atOnce = atOnce;
    this.problem = problem;
  }
}

/** What a browser has to say of itself; others lack some of it, or all. */
export interface Host extends Partial<EventTarget> {
  /** Whether there is a network. */
  readonly navigator?: { readonly onLine?: boolean };
  /** Whether the page is seen. */
  readonly document?: EventTarget & { readonly visibilityState?: string };
}

/** The world we run in. */
export const host: Host = globalThis as unknown as Host;

/** Longest sleep of one timer, in milliseconds: so soon after waking up a laptop notices that a deadline has passed. */
const TICK_MS = 5_000;

/** An answer that has begun and then stops for so many milliseconds is cut. However slow, one that trickles is not. */
const STALL_MS = 20_000;

/** Upper bounds of the pause after the first failure, and after many, in milliseconds: soon back, but no stampede. */
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;

/** Longest stay away that a server may ask for, in milliseconds: its date can be wrong, and so can our clock. */
const LONGEST_RETRY_AFTER_MS = 3_600_000;

/**
 * One try: sends a request, and reads its answer, which has to begin within `ms` milliseconds. `read` makes a result of the
 * answer's JSON and its headers, or returns undefined where it is not what Linger says.
 * @throws {Failure} when nothing is known, or the server asks to try again.
 * @throws {LingerError} for any other status that is not 2xx; and where a redirect has made another request of it.
 * @throws the reason of `signal`, and TypeError for a request that can't be made.
 */
export function exchange<T>(
  send: typeof fetch,
  url: URL,
  init: RequestInit,
  ms: number,
  signal: AbortSignal | undefined,
  read: (json: unknown, headers: Headers, status: number) => T | undefined,
): Promise<T> {
  // A network that comes back may have left this request's connection dead.
  return bounded(ms, signal, ["online"], async (ended, extend) => {
    const request = new Request(url, { ...init, cache: "no-store", signal: ended });
    const answer = async () => {
      const response = await send(request);
      return { response, json: parse(await textOf(response, ended, () => extend(STALL_MS))) };
    };
    let response: Response;
    let json: unknown;
    try {
      ({ response, json } = await unlessEnded(ended, answer));
    } catch (error) {
      signal?.throwIfAborted();
      throw new Failure(`${error}`, 0, ended.reason === "online");
    }

    const { status, ok, headers } = response;
    if (ok) {
      const result = read(json, headers, status);
      if (result !== undefined) return result;
      // By 301, 302 and 303 a post comes there as a GET, and would each time. What is no JSON can be a hotel's page: that passes.
      if (response.redirected && request.method !== "GET" && json !== undefined) {
        const asked = `${request.method} ${url}`;
        throw new LingerError(
          status,
          undefined,
          `${asked} was redirected to ${response.url}, and came there as another request: use that URL`,
        );
      }
      throw new Failure("The answer is cut, or not Linger's");
    }
    const problem = isProblem(json) ? json : undefined;
    if (status >= 500 || status === 408 || status === 425 || status === 429) {
      throw new Failure(`The answer has status ${status}`, retryAfterMs(headers.get("retry-after")), false, problem);
    }
    throw new LingerError(status, problem);
  });
}

/**
 * One try to get what a function gives that knows of no signal, within `ms` milliseconds.
 * @throws {Failure} when it fails or is late, with `what` before the reason; the reason of `signal`.
 */
export function answerOf<T>(
  ask: () => T | Promise<T>,
  what: string,
  ms: number,
  signal: AbortSignal | undefined,
): Promise<T> {
  return bounded(ms, signal, ["online"], async (ended) => {
    try {
      return await unlessEnded(ended, ask);
    } catch (error) {
      signal?.throwIfAborted();
      throw new Failure(`${what}: ${error}`, 0, ended.reason === "online");
    }
  });
}

/** What a function gives that need not heed the signal; the signal's reason, if it ends before. */
function unlessEnded<T>(ended: AbortSignal, ask: () => T | Promise<T>): Promise<T> {
  const over = new Promise<never>((_, reject) => ended.addEventListener("abort", () => reject(ended.reason)));
  return Promise.race([ask(), over]);
}

/**
 * Pauses before the next try: as long as the server asked for, and then a random part of a span that doubles with each
 * failure in a row, so that the clients of a server that was away don't all come back at one moment. `tell` is told when,
 * in milliseconds since 1970.
 * @throws the reason of `signal`.
 */
export async function backOff(
  { atOnce, retryAfterMs }: Failure,
  failures: number,
  signal: AbortSignal | undefined,
  tell?: (retryAt: number) => void,
): Promise<void> {
  if (atOnce) return;
  const ms = Math.random() * Math.min(FIRST_PAUSE_MS * 2 ** failures, LONGEST_PAUSE_MS);
  tell?.(Date.now() + retryAfterMs + ms);
  if (retryAfterMs > 0) await pause(retryAfterMs, signal, []);
  await pause(ms, signal);
}

/**
 * Resolves after `ms` milliseconds, or as soon as the network comes back or the page is looked at.
 * @throws the reason of `signal`.
 */
export async function pause(
  ms: number,
  signal: AbortSignal | undefined,
  events: readonly string[] = ["online", "visibilitychange"],
): Promise<void> {
  await bounded(
    ms,
    signal,
    events,
    (ended) => new Promise<void>((resolve) => ended.addEventListener("abort", () => resolve())),
  );
  signal?.throwIfAborted();
}

/**
 * Does `work` with a signal that aborts after `ms` milliseconds, with `signal`, or with one of the events (its reason is the
 * event's name). `extend` sets the milliseconds that are left from now on. Leaves no timer and no listener.
 */
async function bounded<T>(
  ms: number,
  signal: AbortSignal | undefined,
  events: readonly string[],
  work: (ended: AbortSignal, extend: (ms: number) => void) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const end = new AbortController();
  const leave = () => end.abort(signal!.reason);
  const wake = ({ type }: Event) => end.abort(type);
  const sourceOf = (type: string) => type === "visibilitychange" ? host.document : host;

  // A timer stands still while the machine sleeps, and a clock can be set back: whichever says that more has passed.
  let left = ms;
  let seen = Date.now();
  let slice: number;
  let timer: ReturnType<typeof setTimeout>;
  const wind = () => timer = setTimeout(tick, slice = Math.min(left, TICK_MS));
  const tick = () => {
    const now = Date.now();
    left -= Math.max(slice, now - seen);
    seen = now;
    if (left > 0) wind();
    else end.abort("late");
  };

  const extend = (ms: number) => {
    left = ms;
    seen = Date.now();
  };

  signal?.addEventListener("abort", leave);
  for (const type of events) sourceOf(type)?.addEventListener?.(type, wake);
  wind();
  try {
    return await work(end.signal, extend);
  } finally {
    clearTimeout(timer!);
    signal?.removeEventListener("abort", leave);
    for (const type of events) sourceOf(type)?.removeEventListener?.(type, wake);
  }
}

/** The text of an answer; `alive` is called whenever some of it has come. What is not read by the end is cancelled. */
async function textOf(response: Response, ended: AbortSignal, alive: () => void): Promise<string> {
  alive();
  const decoder = new TextDecoder();
  const reader = response.body?.getReader();
  const leave = () => void reader?.cancel().catch(() => {});
  if (ended.aborted) leave();
  ended.addEventListener("abort", leave);
  let text = "";
  for (let chunk; reader && !(chunk = await reader.read()).done; alive()) {
    text += decoder.decode(chunk.value, { stream: true });
  }
  return text + decoder.decode();
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isProblem(json: unknown): json is ProblemDetails {
  // What stands before the server can speak of its own problems in this form, with other types.
  return String((json as ProblemDetails | null | undefined)?.type).startsWith("urn:linger:problem:");
}

/** `Retry-After`: seconds, or an HTTP date. */
function retryAfterMs(header: string | null): number {
  if (header === null) return 0;
  const ms = /^\d+$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - Date.now();
  return Math.min(Math.max(ms || 0, 0), LONGEST_RETRY_AFTER_MS); // an unreadable date is NaN
}

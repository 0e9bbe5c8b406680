// Messages as server-sent events (WHATWG HTML): one answer that goes on. A stream is only ever handed what it has room for,
// so a client that reads slowly costs one page, and one that does not read at all is cut off. It comes back with the id
// of the last event it has had, to whichever server, and misses nothing.
import type { Context, Hono } from "hono";
import type { Chat, News } from "../chat/chat.ts";
import { NIL, parseCursor } from "../chat/cursor.ts";
import type { Entry } from "../chat/page.ts";
import { DatabaseError } from "../database/client.ts";
import { log } from "../log.ts";
import { invalid, OWN_SITE, Problem } from "../problem.ts";
import { allowanceOf, type LimitSource } from "./allowance.ts";
import { leadOn } from "./answer.ts";
import { cursor, flag, queryOf, roomOf } from "./parameters.ts";
import { permit, type PermitSource } from "./permit.ts";
import { type ChatSource, started } from "./started.ts";

/** What the routes need. */
export interface EventRoutes extends ChatSource, PermitSource, LimitSource {
  /** Milliseconds between two signs of life. */
  readonly heartbeatMs: number;
}

/**
 * Bytes that a stream is handed at a time, but for a single message: the next only when these are on their way. Small enough
 * that a slow client is seen to read, large enough that catching up takes few turns.
 */
const MAX_PIECE_BYTES = 65_536;

/** How many heartbeats long a stream may take none of what it is handed; then it ends, and its client comes back if it lives. */
const PATIENCE_HEARTBEATS = 2;

/** How many bytes of news there may be while a stream takes none of what it is handed; then it ends, too. */
const MAX_UNTAKEN_BYTES = 1_000_000;

/** How often that is looked at, in milliseconds. */
const LOOK_MS = 1_000;

/**
 * Milliseconds after which a client comes back, from and to: soon, but those of a server that ends not all in one moment.
 */
const RETRY_MS = [1_000, 3_000] as const;

const HEADERS = {
  "content-type": "text/event-stream",
  "cache-control": "no-store",
  "x-accel-buffering": "no", // nginx would keep events until it has some kilobytes of them
  ...OWN_SITE,
};

const encoder = new TextEncoder();

const HEARTBEAT = encoder.encode(": alive\n\n");

/**
 * Adds the routes of events.
 * @internal
 */
export function eventRoutes(app: Hono, deps: EventRoutes): void {
  for (const path of ["/events", "/rooms/:room/events"]) {
    app.get(path, (c) => subscribe(c, started(deps), deps));
  }
}

async function subscribe(c: Context, chat: Chat, deps: EventRoutes): Promise<Response> {
  const room = roomOf(c);
  const who = await permit(deps, c, "read", room);
  const query = queryOf(c);
  const after = cursor(query, "after");
  const changes = flag(query, "changes");
  const last = lastEventId(c);
  if (c.req.method === "HEAD") return new Response(null, { headers: HEADERS }); // as with a list, its headers are worth no page
  const gone = new AbortController(); // by the stream: a client that leaves before it has one is found out by it too
  const news = chat.follow(room, {
    after: last ?? after ?? NIL,
    parameter: last === undefined ? "after" : "Last-Event-ID",
    changes,
    allowance: allowanceOf(deps, c, who),
    signal: who?.sub ? AbortSignal.any([gone.signal, ending(who.until, gone.signal)]) : gone.signal,
  });
  // What can't be served is said now, while the status is not.
  const begin = await news.next().catch((error) => {
    gone.abort();
    leadOn(error, changes ? "&changes=true" : "");
  });
  if (begin.done) gone.abort();
  const patience = new Patience(PATIENCE_HEARTBEATS * deps.heartbeatMs, () => chat.grown(room));
  return new Response(begin.done ? null : streamOf(begin.value.next, news, gone, patience), { headers: HEADERS });
}

/** Longest time that a timer takes, in milliseconds; a stream that gets so old is opened again. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Aborts at the time `until`, when a token ends and its stream with it; unless `gone` aborts before. */
function ending(until: number, gone: AbortSignal): AbortSignal {
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(), Math.min(Math.max(0, until - Date.now()), MAX_TIMER_MS));
  gone.addEventListener("abort", () => clearTimeout(timer), { once: true });
  return over.signal;
}

/**
 * The id that a client resumes from. An empty one is what the standard calls the id of a client that has none yet. One that
 * can't be read is refused: to begin elsewhere would be to lose messages, or to give them twice, without a word.
 */
function lastEventId(c: Context): string | undefined {
  const header = c.req.header("last-event-id");
  if (!header) return undefined;
  const id = parseCursor(header);
  if (!id) throw invalid("Last-Event-ID", "must be a message id (a UUID or a ULID)");
  return id;
}

/** The bytes of a stream, in the pieces in which they are handed out. */
async function* events(begin: string, news: AsyncIterable<News>): AsyncGenerator<Uint8Array, void, void> {
  // An id without data is no event, but the client keeps it: one that began with `now` and is cut off before its first
  // message comes back to this place, not to another `now`.
  const [from, to] = RETRY_MS;
  yield encoder.encode(`retry: ${Math.round(from + (to - from) * Math.random())}\nid: ${begin}\n\n`);
  for await (const { entries } of news) {
    if (entries.length === 0) yield HEARTBEAT;
    else yield* pieces(entries);
  }
}

function* pieces(entries: readonly Entry[]): Iterable<Uint8Array> {
  for (let start = 0, end = 0; start < entries.length; start = end) {
    for (let bytes = 0; end < entries.length; end++) {
      bytes += entries[end]!.bytes;
      if (bytes > MAX_PIECE_BYTES && end > start) break;
    }
    yield encode(entries, start, end);
  }
}

/** The piece that was made last. News reaches all subscribers of a room one right after the other: all send the same bytes. */
let latest: { entries: readonly Entry[]; bytes: Uint8Array } | undefined;

function encode(all: readonly Entry[], start: number, end: number): Uint8Array {
  const entries = all.slice(start, end);
  // Each of them: between the same first and last another can have been edited.
  if (latest?.entries.length !== entries.length || latest.entries.some((entry, i) => entry !== entries[i])) {
    const texts = entries.map(({ cursor, isChange, json }) =>
      `id: ${cursor}\nevent: ${isChange ? "change" : "message"}\ndata: ${json}\n\n`
    );
    latest = { entries, bytes: encoder.encode(texts.join("")) };
  }
  return latest.bytes;
}

/** Hands out the events as they are taken. `gone` is aborted when the client has left, or has stopped to read. */
function streamOf(
  begin: string,
  news: AsyncGenerator<News, void, void>,
  gone: AbortController,
  patience: Patience,
): ReadableStream<Uint8Array> {
  const pieces = events(begin, news);
  const leave = () => {
    patience.end();
    gone.abort();
    void news.return(); // not that of the pieces, which would not reach it before their first turn
  };
  const wait = (controller: ReadableStreamDefaultController<Uint8Array>) =>
    patience.begin(() => {
      controller.close();
      leave();
    });
  return new ReadableStream<Uint8Array>({
    start: wait,
    async pull(controller) {
      patience.end();
      const { value } = await pieces.next().catch(told);
      if (gone.signal.aborted) return;
      if (!value) {
        gone.abort();
        return controller.close();
      }
      wait(controller); // first: handing out can find at once that the client has left, and then ends the wait
      controller.enqueue(value);
    },
    cancel: leave,
  }, { highWaterMark: 0 });
}

/** How long a stream is waited for that takes nothing: in time, and in news that it lets lie. */
class Patience {
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly ms: number, private readonly grown: () => number) {}

  /** Calls `over` when it is over, unless it ends before. */
  begin(over: () => void): void {
    const since = this.grown();
    let left = this.ms;
    const look = () => {
      if (left <= 0 || this.grown() - since > MAX_UNTAKEN_BYTES) return over();
      const step = Math.min(left, LOOK_MS);
      left -= step;
      this.#timer = setTimeout(look, step);
    };
    look();
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}

/** A stream that can't go on ends, and its client is told why when it comes back. Only our own faults are for the log. */
function told(error: unknown): { value: undefined } {
  if (!(error instanceof Problem) && !(error instanceof DatabaseError && !error.isOurs)) {
    log("error", "An event stream failed", { error: error instanceof Error ? error.stack : `${error}` });
  }
  return { value: undefined };
}

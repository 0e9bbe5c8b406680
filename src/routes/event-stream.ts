// One event stream, as bytes. It is only ever handed what it has room for: the next piece when the one before is on its way. So a client that
// reads slowly costs one page, and one that does not read at all is cut off.
import type { Entry } from "../chat/page.ts";
import type { Receiver, Subscriber } from "../chat/subscriptions.ts";
import { DatabaseError } from "../database/client.ts";
import { log } from "../log.ts";
import { Problem } from "../problem.ts";

/**
 * Bytes that a stream is handed at a time, but for a single message: the next only when these are on their way. Small enough
 * that a slow client is seen to read, large enough that catching up takes few turns.
 */
const MAX_PIECE_BYTES = 65_536;

/** How many bytes of news there may be while a stream takes none of what it is handed; then it ends. */
const MAX_UNTAKEN_BYTES = 1_000_000;

/** How often that is looked at, in milliseconds. */
const LOOK_MS = 1_000;

/**
 * Milliseconds after which a client comes back, from and to: soon, but those of a server that ends not all in one moment.
 */
const RETRY_MS = [1_000, 3_000] as const;

/** Longest time that a timer takes, in milliseconds; a stream that gets so old is opened again. */
const MAX_TIMER_MS = 2 ** 31 - 1;

const encoder = new TextEncoder();

const HEARTBEAT = encoder.encode(": alive\n\n");

const NONE: readonly Entry[] = [];

/** How long a client's token holds. */
export interface StreamToken {
  /** In milliseconds since 1970. */
  readonly until: number;
  /** Aborts when it has to be verified anew: the client comes back, and is. */
  readonly outdated?: AbortSignal | undefined;
}

/** The events of one subscriber: handed out as they are taken. */
export class EventStream implements UnderlyingDefaultSource<Uint8Array>, Receiver {
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  /** What he was given last, and how many of that were handed out. */
  #entries = NONE;
  #handed = 0;
  #begun = false;
  /** Whether the subscriber has been asked for more. */
  #asking = false;
  /** Looks that found it untaken, and how much news there was when it was handed out. */
  #looks = 0;
  #since = 0;
  readonly #ending: ReturnType<typeof setTimeout> | undefined;
  readonly #end = () => this.#close();

  /** Ends when it was not taken for `patienceMs` milliseconds; and when the client's token does, if there is one. */
  constructor(
    private readonly subscriber: Subscriber,
    private readonly patienceMs: number,
    private readonly token: StreamToken | undefined,
  ) {
    if (!token) return;
    this.#ending = setTimeout(this.#end, Math.min(Math.max(0, token.until - Date.now()), MAX_TIMER_MS));
    token.outdated?.addEventListener("abort", this.#end);
  }

  /** Waits until it is read. */
  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#controller = controller;
    if (this.token?.outdated?.aborted) return this.#close();
    this.#awaitTaking();
  }

  /** It was taken, and there is room for more. */
  pull(): void {
    untaken.delete(this);
    if (!this.#begun) return this.#begin();
    if (this.#entries !== NONE) {
      if (!this.subscriber.goesBack(this.#entries[this.#handed - 1]!.cursor, this.#entries.slice(this.#handed))) {
        return this.#handPiece();
      }
      this.#entries = NONE;
    }
    if (this.#asking) return;
    this.#asking = true;
    this.subscriber.take(this);
  }

  /** The client has left. */
  cancel(): void {
    this.#leave();
  }

  give(entries: readonly Entry[]): void {
    this.#asking = false;
    if (entries.length === 0) return this.#hand(HEARTBEAT);
    this.#entries = entries;
    this.#handed = 0;
    this.#handPiece();
  }

  over(error?: unknown): void {
    if (error !== undefined) tell(error);
    this.#close();
  }

  /** Whether it was left untaken for too long, or lets too much news lie; asked every {@linkcode LOOK_MS}. */
  check(): void {
    const late = ++this.#looks * LOOK_MS >= this.patienceMs + LOOK_MS; // the first can come right after the handing out
    if (late || this.subscriber.grown - this.#since > MAX_UNTAKEN_BYTES) this.#close();
  }

  #begin(): void {
    this.#begun = true;
    // An id without data is no event, but the client keeps it: one that began with `now` and is cut off before its first
    // message comes back to this place, not to another `now`.
    const [from, to] = RETRY_MS;
    const retry = Math.round(from + (to - from) * Math.random());
    this.#hand(encoder.encode(`retry: ${retry}\nid: ${this.subscriber.cursor}\n\n`));
  }

  #handPiece(): void {
    const start = this.#handed;
    let end = start;
    for (let bytes = 0; end < this.#entries.length; end++) {
      bytes += this.#entries[end]!.bytes;
      if (bytes > MAX_PIECE_BYTES && end > start) break;
    }
    const piece = encode(this.#entries, start, end);
    this.#handed = end;
    if (end === this.#entries.length) this.#entries = NONE; // they can be large
    this.#hand(piece);
  }

  #hand(bytes: Uint8Array): void {
    this.#awaitTaking(); // first: handing out can find at once that the client has left, and then ends the wait
    this.#controller.enqueue(bytes);
  }

  #awaitTaking(): void {
    this.#looks = 0;
    this.#since = this.subscriber.grown;
    untaken.add(this);
  }

  #close(): void {
    this.#leave();
    this.#controller.close();
  }

  #leave(): void {
    clearTimeout(this.#ending);
    this.token?.outdated?.removeEventListener("abort", this.#end);
    untaken.delete(this);
    this.subscriber.end();
  }
}

/** Streams that have not taken yet what they were handed: one timer for all of them. */
class Untaken {
  readonly #streams = new Set<EventStream>();
  #timer: ReturnType<typeof setInterval> | undefined;

  add(stream: EventStream): void {
    this.#streams.add(stream);
    this.#timer ??= setInterval(() => {
      for (const stream of this.#streams) stream.check();
    }, LOOK_MS);
  }

  delete(stream: EventStream): void {
    if (!this.#streams.delete(stream) || this.#streams.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

const untaken = new Untaken();

/** A part of a list, as bytes. */
interface Piece {
  readonly start: number;
  readonly end: number;
  readonly bytes: Uint8Array;
}

/**
 * The piece that was made last of each list. News reaches all subscribers of a room one right after the other, as the very same list: all
 * send the same bytes. They go with the list, since it may have words that are taken back.
 */
const pieces = new WeakMap<readonly Entry[], Piece>();

function encode(all: readonly Entry[], start: number, end: number): Uint8Array {
  const known = pieces.get(all);
  if (known?.start === start && known.end === end) return known.bytes;
  const texts = all.slice(start, end).map(({ cursor, isChange, json }) =>
    `id: ${cursor}\nevent: ${isChange ? "change" : "message"}\ndata: ${json}\n\n`
  );
  const bytes = encoder.encode(texts.join(""));
  pieces.set(all, { start, end, bytes });
  return bytes;
}

/** A stream that can't go on ends, and its client is told why when it comes back. Only our own faults are for the log. */
function tell(error: unknown): void {
  if (error instanceof Problem || error instanceof DatabaseError && !error.isOurs) return;
  log("error", "An event stream failed", { error: error instanceof Error ? error.stack : `${error}` });
}

// The feeds of this process: one for each room that somebody is reading at this moment, and those that somebody has read a moment ago.
// Who polls alone lets go of his feed with each answer; were it dropped then, the database would be asked for every message. A feed
// that nobody has held for some seconds is dropped, so that nothing asks for its room any more.
import { Feed, type TailLimits } from "./feed.ts";
import type { Store } from "./store.ts";

/** Feeds that are kept though nobody holds them: their tails are bounded besides, with all others. */
const MAX_KEPT = 1_000;

/** Runs while there is at least one feed; `signal` aborts when the last one is dropped. */
export type WhileHeld = (signal: AbortSignal) => void;

/** Feeds by room. */
export class Feeds {
  readonly #feeds = new Map<string, Feed>();
  /** Those whose tails hold something, in the order of their last growth, which is the order in which they give up their tails. */
  readonly #withTail = new Set<Feed>();
  readonly #holders = new Map<Feed, number>();
  /** Feeds that nobody holds: those that have been let go since the last sweep, and those that one has seen. */
  #left = new Set<Feed>();
  #leaving = new Set<Feed>();
  #sweeping: ReturnType<typeof setTimeout> | undefined;
  #held: AbortController | undefined;
  #bytes = 0;

  /**
   * `limits.all` bounds all tails together, in bytes of JSON; the others bound each. A feed is kept for `keptMs` milliseconds after
   * its last holder, and up to as long again. `lost` is told of each feed whose messages the database has lost.
   */
  constructor(
    private readonly store: Pick<Store, "newest" | "news">,
    private readonly limits: TailLimits & { readonly all: number },
    private readonly whileHeld: WhileHeld,
    private readonly lost: (feed: Feed) => void,
    private keptMs = 0,
  ) {}

  /** Rooms that somebody is reading. */
  get size(): number {
    return this.#feeds.size - this.#left.size - this.#leaving.size;
  }

  /** The feed of a room, if it has one. */
  get(room: string): Feed | undefined {
    return this.#feeds.get(room);
  }

  /** All feeds. */
  values(): Iterable<Feed> {
    return this.#feeds.values();
  }

  /** Takes hold of a room's feed; whoever does must {@linkcode letGo}. */
  hold(room: string): Feed {
    let feed = this.#feeds.get(room);
    if (!feed) {
      feed = new Feed(
        room,
        this.store,
        this.limits,
        (bytes) => this.#resized(feed!, bytes),
        () => this.restart(feed!),
        () => this.replace(feed!),
      );
      this.#feeds.set(room, feed);
    }
    this.#holders.set(feed, (this.#holders.get(feed) ?? 0) + 1);
    if (!this.#left.delete(feed)) this.#leaving.delete(feed);
    if (!this.#held) {
      this.#held = new AbortController();
      this.whileHeld(this.#held.signal);
    }
    return feed;
  }

  /** Lets go of a feed; some time after its last holder has, it is dropped. */
  letGo(feed: Feed): void {
    const holders = this.#holders.get(feed)! - 1;
    if (holders > 0) {
      this.#holders.set(feed, holders);
      return;
    }
    this.#holders.delete(feed);
    if (this.#feeds.get(feed.room) === feed) this.#keep(feed);
    this.#endIfEmpty();
  }

  /** Starts a room's feed anew, since the database has lost messages that it holds. */
  restart(feed: Feed): void {
    if (this.#feeds.get(feed.room) === feed) this.lost(feed);
    this.replace(feed);
  }

  /** Has another feed take the place of this one, whose waiters come back by themselves; unless it was dropped meanwhile. */
  replace(feed: Feed): void {
    if (this.#feeds.get(feed.room) !== feed) return;
    this.#remove(feed);
    this.#endIfEmpty();
  }

  /** Settles all waiters. */
  release(): void {
    for (const feed of this.#feeds.values()) feed.release();
  }

  /** Drops the feeds that nobody holds; from now on none is kept. */
  close(): void {
    this.keptMs = 0;
    clearTimeout(this.#sweeping);
    for (const feed of [...this.#leaving, ...this.#left]) this.#remove(feed);
    this.#endIfEmpty();
  }

  #keep(feed: Feed): void {
    if (this.keptMs === 0) return this.#remove(feed);
    this.#left.add(feed);
    const [oldest] = this.#leaving.size > 0 ? this.#leaving : this.#left;
    if (this.#left.size + this.#leaving.size > MAX_KEPT) this.#remove(oldest!);
    this.#sweeping ??= setTimeout(() => this.#sweep(), this.keptMs);
  }

  #sweep(): void {
    for (const feed of this.#leaving) this.#remove(feed);
    this.#leaving = this.#left;
    this.#left = new Set();
    this.#sweeping = this.#leaving.size > 0 ? setTimeout(() => this.#sweep(), this.keptMs) : undefined;
    this.#endIfEmpty();
  }

  #endIfEmpty(): void {
    if (this.#holders.size > 0 || this.#left.size > 0 || this.#leaving.size > 0) return;
    this.#held?.abort();
    this.#held = undefined;
  }

  #remove(feed: Feed): void {
    this.#left.delete(feed);
    this.#leaving.delete(feed);
    this.#feeds.delete(feed.room);
    this.#withTail.delete(feed);
    this.#bytes -= feed.bytes;
    feed.close(); // with it goes what was made of its messages: of what is taken back from now on, it would not hear
  }

  #resized(feed: Feed, bytes: number): void {
    if (this.#feeds.get(feed.room) !== feed) return; // dropped while it was still reading
    this.#bytes += bytes;
    if (bytes >= 0 || feed.bytes === 0) this.#withTail.delete(feed);
    if (bytes < 0) return;
    this.#withTail.add(feed);
    for (const oldest of this.#withTail) {
      if (this.#bytes <= this.limits.all) break;
      oldest.forget();
    }
  }
}

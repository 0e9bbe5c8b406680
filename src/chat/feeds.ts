// The feeds of this process: one for each room that somebody is reading at this moment, and none else. A feed that
// nobody holds is dropped, so that nothing asks for its room any more.
import { Feed, type TailLimits } from "./feed.ts";
import type { Store } from "./store.ts";

/** Runs while at least one feed is held; `signal` aborts when the last one is let go. */
export type WhileHeld = (signal: AbortSignal) => void;

/** Feeds by room. */
export class Feeds {
  // In the order of their last growth, which is the order in which they give up their tails.
  readonly #feeds = new Map<string, Feed>();
  readonly #holders = new Map<Feed, number>();
  #held: AbortController | undefined;
  #bytes = 0;

  /**
   * `limits.all` bounds all tails together, in bytes of JSON; the others bound each. `lost` is told of each feed whose messages
   * the database has lost.
   */
  constructor(
    private readonly store: Pick<Store, "newest" | "news">,
    private readonly limits: TailLimits & { readonly all: number },
    private readonly whileHeld: WhileHeld,
    private readonly lost: (feed: Feed) => void,
  ) {}

  /** Rooms that have a feed. */
  get size(): number {
    return this.#feeds.size;
  }

  /** The feed of a room, if somebody holds it. */
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
      );
      this.#feeds.set(room, feed);
    }
    this.#holders.set(feed, (this.#holders.get(feed) ?? 0) + 1);
    if (!this.#held) {
      this.#held = new AbortController();
      this.whileHeld(this.#held.signal);
    }
    return feed;
  }

  /** Lets go of a feed; the last holder's letting go drops it. */
  letGo(feed: Feed): void {
    const holders = this.#holders.get(feed)! - 1;
    if (holders > 0) {
      this.#holders.set(feed, holders);
      return;
    }
    this.#holders.delete(feed);
    if (this.#feeds.get(feed.room) === feed) this.#remove(feed);
    if (this.#holders.size === 0) {
      this.#held?.abort();
      this.#held = undefined;
    }
  }

  /** Starts a room's feed anew, since the database has lost messages that it holds; its waiters come back by themselves. */
  restart(feed: Feed): void {
    if (this.#feeds.get(feed.room) !== feed) return; // dropped meanwhile
    this.#remove(feed);
    this.lost(feed);
    feed.close();
  }

  /** Settles all waiters. */
  release(): void {
    for (const feed of this.#feeds.values()) feed.release();
  }

  #remove(feed: Feed): void {
    this.#feeds.delete(feed.room);
    this.#bytes -= feed.bytes;
  }

  #resized(feed: Feed, bytes: number): void {
    if (this.#feeds.get(feed.room) !== feed) return; // dropped while it was still reading
    this.#bytes += bytes;
    if (bytes < 0) return;
    this.#feeds.delete(feed.room);
    this.#feeds.set(feed.room, feed);
    for (const oldest of this.#feeds.values()) {
      if (this.#bytes <= this.limits.all) break;
      oldest.forget();
    }
  }
}

// Polls: each is answered once, at once or as soon as there is news. One that waits is an object in its room's feed, and the promise of its
// answer; nothing of the way that led there is kept alive beside it. There can be ten thousand of them, and each collection of garbage walks
// through all that they keep.
import type { Allowance } from "../allowance.ts";
import { unavailable } from "../problem.ts";
import { NOW, placeOf } from "./cursor.ts";
import { type Feed, looksBegun, PRELOAD } from "./feed.ts";
import type { Feeds } from "./feeds.ts";
import type { Page } from "./page.ts";
import type { Places } from "./places.ts";
import type { Leaving, Reader } from "./reader.ts";
import type { Waiter } from "./waiters.ts";
import type { Wake } from "./wake.ts";

/** What a poll asks for. */
export interface Poll {
  /** A cursor, or `now`. */
  readonly after: string;
  /** Most messages in the answer. */
  readonly limit: number;
  /** Milliseconds to wait for news; 0 asks the database and answers at once. */
  readonly wait: number;
  /** Whether changes are news, too. */
  readonly changes: boolean;
  /** Who asks: its signal aborts when it leaves. It is made when it is first asked for; a poll that does not wait saves that. */
  readonly client: Leaving;
  /** What the client may take. */
  readonly allowance: Allowance;
  /** How many looks had begun when he came, if he has had to stay outside since then: see {@linkcode Polls.inTurn}. */
  readonly came?: number | undefined;
}

/** A page, and the cursor from which the reader goes on. */
export interface Reading {
  /** The messages. */
  readonly page: Page;
  /** The last cursor given; else the one that was asked, or the end of the room where nothing is left of what came after that. */
  readonly next: string;
  /** Whether whoever asks for the same at any later time is given the same. */
  readonly final: boolean;
}

/** What polls need. */
export interface PollsOptions {
  /** Where they wait. */
  readonly feeds: Feeds;
  /** Reads what the feeds don't know. */
  readonly reader: Reader;
  /** How many may wait. */
  readonly places: Places;
  /** Knows whether there could be news that nobody has seen. */
  readonly wake: Pick<Wake, "isBlind" | "looked">;
  /** Whether nobody may wait any more. */
  readonly draining: () => boolean;
}

/** The polls of one process. */
export class Polls {
  /** Nobody has asked. */
  constructor(private readonly options: PollsOptions) {}

  /**
   * The messages of `room` after a cursor, as soon as there are any; none when `wait` passes without news.
   * @throws {Problem} 400 for a cursor that lies in the future, 410 for one after which messages were removed since they were too
   * old, 429, 503.
   */
  answer(room: string, poll: Poll): Promise<Reading> {
    const { wait, client, came = looksBegun() } = poll;
    if (wait === 0) return this.#look(room, poll, came);
    if (poll.came !== undefined) return this.#begin(room, poll, came); // he has had his turn, and came before any drain
    if (this.options.draining()) return Promise.reject(unavailable("This server is shutting down"));
    void client.signal; // a signal that is made when its client has left already never aborts (Deno 2.9.6, HTTP/2)
    return this.#turn(room, poll, () => this.#begin(room, poll, came)) ?? this.#begin(room, poll, came);
  }

  /**
   * While news is on its way to those who wait in a room: what `begin` returns for a poll that comes now, when it is its turn; it then asks
   * for the poll's {@linkcode answer}, and says when it `came`. Undefined where its turn is now.
   */
  inTurn<T>(
    room: string,
    poll: Pick<Poll, "after" | "changes">,
    begin: (came: number) => T | Promise<T>,
  ): Promise<T> | undefined {
    const came = looksBegun();
    return this.#turn(room, poll, () => begin(came));
  }

  /** Those who have had the news come back after those who still wait for it. */
  #turn<T>(
    room: string,
    { after, changes }: Pick<Poll, "after" | "changes">,
    begin: () => T | Promise<T>,
  ): Promise<T> | undefined {
    const feed = this.options.feeds.get(room);
    if (!feed?.isBusy(after, changes) || after === NOW) return undefined; // `now` is this moment, not that
    return new Promise((resolve, reject) =>
      feed.keepOutside(() => {
        try {
          resolve(begin());
        } catch (error) {
          reject(error);
        }
      })
    );
  }

  /** Who comes back to what the feed knows needs no look; that is nearly everybody. */
  #begin(room: string, poll: Poll, came: number): Promise<Reading> {
    const { after, changes } = poll;
    const feed = this.options.feeds.get(room);
    if (!feed?.loaded || !isReached(feed, after) || !feed.knows(after, changes)) return this.#look(room, poll, came);
    return this.#open(this.options.feeds.hold(room), after, poll, came);
  }

  /** Looks what there is in the database first. */
  async #look(room: string, poll: Poll, came: number): Promise<Reading> {
    const { after, limit, wait, changes, client, allowance } = poll;
    const { feeds, reader } = this.options;
    const read = (after: string) =>
      reader.pageAfter({ room, after, limit, changes, exact: wait === 0, client }, allowance);
    // A page that is longer than what a feed begins with can't come out of a new one.
    if (limit > PRELOAD && after !== NOW && !feeds.get(room)?.loaded) {
      const page = await read(after);
      if (page.last) return { page, next: page.last, final: page.full && !changes };
    }
    // Held from before the first look until the answer: whatever is committed from here on reaches this feed.
    let feed = feeds.hold(room);
    try {
      // Who does not wait gets what the database has now: something may have been taken back elsewhere a moment ago.
      const known = feed.loaded && wait > 0 && isReached(feed, after);
      if (!known) await reader.refresh(feed, allowance);
      if (!known && feed.closed) { // the database has lost what it knew: ask the feed that takes its place
        feeds.letGo(feed);
        feed = feeds.hold(room);
        await reader.refresh(feed, allowance);
      }
      let cursor = after === NOW ? feed.startOf(changes) : after;
      if (placeOf(cursor) > feed.place) await reader.refuseFuture(room, cursor, feed.place);

      // What came before the feed began it does not know. Where nothing of that is left, the reader goes on from the feed's end.
      if (wait > 0 && !feed.knows(cursor, changes)) {
        const begins = feed.startOf(changes);
        const page = await read(cursor);
        if (page.last) {
          feeds.letGo(feed);
          return { page, next: page.last, final: page.full && !changes };
        }
        cursor = begins;
      }
      return this.#open(feed, cursor, poll, came); // not awaited: from here on it lets go of the feed itself
    } catch (error) {
      feeds.letGo(feed);
      throw error;
    }
  }

  /** Goes on where the feed, which is held, knows what comes after `cursor`. */
  #open(feed: Feed, cursor: string, poll: Poll, came: number): Promise<Reading> {
    return new Promise((resolve, reject) => new OpenPoll(this.options, feed, cursor, poll, came, resolve, reject).go());
  }
}

/** Whether a cursor lies no further than what the feed knows of. */
function isReached(feed: Feed, after: string): boolean {
  return after !== NOW && placeOf(after) <= feed.place;
}

/** A poll that holds its room's feed until it is answered. */
class OpenPoll implements Waiter {
  /** When it began to wait, if it has. */
  #since: number | undefined;

  constructor(
    private readonly options: PollsOptions,
    private readonly feed: Feed,
    public cursor: string,
    private readonly poll: Poll,
    /** See {@linkcode Waiter.came}. */
    readonly came: number,
    private readonly resolve: (reading: Reading) => void,
    private readonly reject: (error: unknown) => void,
  ) {}

  get changes(): boolean {
    return this.poll.changes;
  }

  expire(): void {
    this.feed.settle(this);
  }

  /** News may lie unread in a socket, or be lost with its connection. */
  thaw(): Promise<void> {
    return this.options.wake.looked();
  }

  /** The client has left. */
  handleEvent(): void {
    this.feed.settle(this);
  }

  /** Waits, or answers. */
  go(): void {
    const { feed, poll: { wait, client, allowance } } = this;
    const left = this.#since === undefined ? wait : wait - (performance.now() - this.#since);
    // From this check to the parking nothing else runs, so no message can slip in between.
    if (left <= 0 || !feed.isAtEnd(this.cursor, this.changes) || this.options.draining()) return this.#read(false);
    try {
      this.options.places.enter("poll", allowance);
    } catch (error) {
      return this.#fail(error);
    }
    this.#since ??= performance.now();
    const { signal } = client;
    signal.addEventListener("abort", this);
    if (signal.aborted) this.settled();
    else feed.park(this, left);
  }

  settled(): void {
    const { feed, cursor, changes } = this;
    const { places, wake } = this.options;
    this.poll.client.signal.removeEventListener("abort", this);
    places.leave("poll", this.poll.allowance);
    // Where the feed does not know what comes next any more, the database is asked, and fails by itself.
    if (feed.knows(cursor, changes) && feed.isAtEnd(cursor, changes) && wake.isBlind(feed)) {
      return this.#fail(unavailable("The database can't be reached"));
    }
    this.#read(true);
  }

  #read(woken: boolean): void {
    const { feed, cursor, changes, came, poll: { allowance } } = this;
    if (!changes || !feed.mayBeOld(cursor, came)) return this.#give(woken);
    this.options.reader.refresh(feed, allowance).then(() => this.#give(woken), (error) => this.#fail(error));
  }

  #give(woken: boolean): void {
    const { feed, cursor, changes, poll: { limit, wait, client, allowance } } = this;
    const begins = feed.startOf(changes);
    let page: Page | undefined;
    try {
      page = feed.page(cursor, limit, changes, this.#since === undefined ? allowance : undefined); // who has waited for it pays nothing
    } catch (error) {
      return this.#fail(error);
    }
    if (page) return this.#answer(page, woken, begins);
    const asked = { room: feed.room, after: cursor, limit, changes, exact: wait === 0, client };
    this.options.reader.pageAfter(asked, allowance)
      .then((page) => this.#answer(page, woken, begins))
      .catch((error) => this.#fail(error));
  }

  #answer(page: Page, woken: boolean, begins: string): void {
    if (!page.last && woken && !this.feed.isAtEnd(this.cursor, this.changes)) {
      this.cursor = begins; // what it was woken by was taken back before it was read
      return this.go();
    }
    this.options.feeds.letGo(this.feed);
    const final = page.full && this.#since === undefined && !this.changes;
    this.resolve({ page, next: page.last ?? this.cursor, final });
  }

  #fail(error: unknown): void {
    this.options.feeds.letGo(this.feed);
    this.reject(error);
  }
}

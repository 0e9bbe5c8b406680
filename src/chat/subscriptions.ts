// Those who follow a room. One who has all that there is costs what a poll does that waits: an object in the room's feed, and no promise.
// News is handed to him in the very turn that brings it; so ten thousand are served about as fast as their bytes can be written.
import { type Allowance, UNLIMITED } from "../allowance.ts";
import { unavailable } from "../problem.ts";
import { NOW, placeOf } from "./cursor.ts";
import { type Feed, looksBegun } from "./feed.ts";
import type { Entry } from "./page.ts";
import type { PollsOptions } from "./polls.ts";
import type { Leaving } from "./reader.ts";
import type { Waiter } from "./waiters.ts";

/** What a subscriber asks for. */
export interface Subscription {
  /** A cursor, or `now`. */
  readonly after: string;
  /** Where the client gave it, for the problem that it is one. */
  readonly parameter: string;
  /** Whether it is given changes, too. */
  readonly changes?: boolean;
  /** What the client may take; any amount if not given. */
  readonly allowance?: Allowance;
}

/** Who takes what a subscriber is given. Neither method may throw. */
export interface Receiver {
  /** The messages that come next, at most a page; none is a sign of life. */
  give(entries: readonly Entry[]): void;
  /** There is no more: this server ends, or what comes next can't be had, for which `error` is the reason. */
  over(error?: unknown): void;
}

/** What subscribers need. */
export interface SubscriptionsOptions extends PollsOptions {
  /** Milliseconds between two signs of life. */
  readonly heartbeatMs: number;
}

/** The subscribers of one process. */
export class Subscriptions {
  /** Nobody has subscribed. */
  constructor(private readonly options: SubscriptionsOptions) {}

  /**
   * Follows `room` from a cursor on. Whoever does must end it.
   * @throws {Problem} 400 for a cursor that lies in the future, 410 for one after which messages were removed since they were too
   * old, 429, 503.
   */
  async open(
    room: string,
    subscription: Subscription,
  ): Promise<Subscriber> {
    const { after, parameter, changes = false, allowance = UNLIMITED } = subscription;
    const { feeds, reader, places, draining } = this.options;
    if (draining()) throw unavailable("This server is shutting down");
    places.enter("stream", allowance);
    const feed = feeds.hold(room);
    const subscriber = new Subscriber(feed, changes, allowance, this.options);
    try {
      if (!feed.loaded || after === NOW || placeOf(after) > feed.place) await reader.refresh(feed, allowance);
      if (feed.closed) { // the database has lost what it knew: follow the feed that takes its place
        subscriber.end();
        return await this.open(room, subscription);
      }
      const cursor = after === NOW ? feed.startOf(changes) : after;
      if (placeOf(cursor) > feed.place) await reader.refuseFuture(room, cursor, feed.place, parameter);
      await subscriber.begin(cursor);
      return subscriber;
    } catch (error) {
      subscriber.end();
      throw error;
    }
  }
}

/** One who follows a room. */
export class Subscriber implements Waiter, Leaving {
  #cursor = "";
  /** What was read before he began. */
  #first: readonly Entry[] = [];
  #receiver!: Receiver;
  #leaving: AbortController | undefined;
  #over = false;
  #came: number = looksBegun();
  /** The newest change known when he was given what he has, or before it was read. */
  #asOf = "";

  /** Holds a place and the feed. */
  constructor(
    private readonly feed: Feed,
    readonly changes: boolean,
    private readonly allowance: Allowance,
    private readonly options: SubscriptionsOptions,
  ) {}

  /** The last cursor given, or else the one asked: from there on a subscriber that is cut off misses nothing. */
  get cursor(): string {
    return this.#cursor;
  }

  /** See {@linkcode Waiter.came}. */
  get came(): number {
    return this.#came;
  }

  /** Bytes of news in his room, since whenever: it only tells how much there was between two moments. */
  get grown(): number {
    return this.feed.grown;
  }

  /** Aborts when he ends. */
  get signal(): AbortSignal {
    this.#leaving ??= new AbortController();
    if (this.#over) this.#leaving.abort();
    return this.#leaving.signal;
  }

  /**
   * Begins after `cursor`. What the feed does not know is read now: what was removed meanwhile is to be told before he is given anything.
   * What it knows counts as a read, too: else he could come for it again and again.
   * @throws {Problem} 410, 429, 503.
   */
  async begin(cursor: string): Promise<void> {
    this.#cursor = cursor;
    if (!this.feed.knows(cursor, this.changes)) this.#first = await this.#read();
    else if (!this.feed.isAtEnd(cursor, this.changes)) this.allowance.read();
  }

  /** Gives `receiver` what comes next, once, now or as soon as there is something; or a sign of life. Only when it was given that. */
  take(receiver: Receiver): void {
    this.#receiver = receiver;
    const first = this.#first;
    this.#first = [];
    if (first.length > 0 && !this.feed.hasChanged(first, this.#asOf)) this.#give(first);
    else this.#advance();
  }

  /**
   * Whether one of `rest`, which he was given and has not passed on, was changed since: what was taken back is not to be passed on. Then he takes
   * what comes next once more, from `cursor` on.
   */
  goesBack(cursor: string, rest: readonly Entry[]): boolean {
    const since = this.#asOf;
    this.#asOf = this.feed.newestChange;
    if (!this.feed.hasChanged(rest, since)) return false;
    this.#cursor = cursor;
    return true;
  }

  /** Ends it: he is given nothing more. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    this.feed.remove(this);
    this.#leaving?.abort();
    this.options.feeds.letGo(this.feed);
    this.options.places.leave("stream", this.allowance);
  }

  /** A feed whose place another has taken knows nothing any more. */
  get #goesOn(): boolean {
    return !this.#over && !this.options.draining() && this.options.feeds.get(this.feed.room) === this.feed;
  }

  #advance(): void {
    const { feed, changes } = this;
    while (this.#goesOn) {
      if (!feed.knows(this.#cursor, changes)) return void this.#catchUp();
      if (feed.isAtEnd(this.#cursor, changes)) { // from this check to the parking nothing else runs, as in a poll
        return feed.park(this, this.options.heartbeatMs);
      }
      if (changes && feed.mayBeOld(this.#cursor, this.#came)) return void this.#refresh();
      const begins = feed.startOf(changes);
      this.#asOf = feed.newestChange;
      const entries = feed.entriesAfter(this.#cursor, changes)!;
      if (entries.length > 0) return this.#give(entries);
      this.#skipTo(begins);
    }
    this.#finish();
  }

  /** There was nothing for a while. */
  expire(): void {
    this.feed.settle(this);
  }

  /** A sign of life says that there is no news, so it waits for a look, as in a poll. */
  thaw(): Promise<void> {
    return this.options.wake.looked();
  }

  /** There is news, or nothing for a while. */
  settled(): void {
    const { feed, changes } = this;
    if (!this.#goesOn) this.#finish();
    // What the feed does not know any more the database knows, or fails by itself.
    else if (!feed.knows(this.#cursor, changes) || !feed.isAtEnd(this.#cursor, changes)) this.#advance();
    else if (this.options.wake.isBlind(feed)) this.#finish(unavailable("The database can't be reached"));
    else this.#receiver.give([]);
  }

  /** Gives what only the database knows. */
  async #catchUp(): Promise<void> {
    const begins = this.feed.startOf(this.changes);
    let entries: readonly Entry[];
    try {
      entries = await this.#read();
      // Once: where others change it all the time he would never be given anything.
      if (!this.#over && this.feed.hasChanged(entries, this.#asOf)) entries = await this.#read();
    } catch (error) {
      return this.#finish(error);
    }
    if (this.#over) return;
    if (entries.length > 0) return this.#give(entries);
    this.#skipTo(begins);
    this.#advance();
  }

  /** Goes on with what there is now. */
  async #refresh(): Promise<void> {
    try {
      await this.options.reader.refresh(this.feed, this.allowance);
    } catch (error) {
      return this.#finish(error);
    }
    this.#advance();
  }

  async #read(): Promise<readonly Entry[]> {
    const { feed, changes, allowance } = this;
    this.#asOf = feed.newestChange; // what is changed while it is read may be in it as it was
    const entries = await this.options.reader.entriesAfter(feed.room, this.#cursor, changes, allowance, this);
    this.#came = looksBegun(); // the feed may know less than what was read just now
    return entries;
  }

  #give(entries: readonly Entry[]): void {
    this.#cursor = entries.at(-1)!.cursor;
    this.#receiver.give(entries);
  }

  /** Nothing is left of what was to come: he goes on behind it; or the database has lost it, and another feed takes this one's place. */
  #skipTo(begins: string): void {
    this.#cursor = begins;
    this.feed.wake();
  }

  #finish(error?: unknown): void {
    if (this.#over) return;
    this.end();
    this.#receiver.over(error);
  }
}

// The chat itself: post, read, poll, follow. Everything that a client can ask for comes through here.
import type { Config } from "../config.ts";
import { Client } from "../database/client.ts";
import type { Database } from "../database/open.ts";
import { isClosed } from "../identity/identities.ts";
import type { Identity } from "../identity/identity.ts";
import { type Allowance, UNLIMITED } from "../limits.ts";
import { gone, notChanged, notFound, unavailable } from "../problem.ts";
import { within } from "../sleep.ts";
import type { Change } from "./change.ts";
import { Changer } from "./changer.ts";
import { shareOut } from "./connections.ts";
import { END, NOW, placeOf, randomDigits } from "./cursor.ts";
import { PRELOAD } from "./feed.ts";
import { Feeds } from "./feeds.ts";
import { Floors } from "./floors.ts";
import { Lift } from "./lift.ts";
import type { NewMessage } from "./message.ts";
import { NewRooms } from "./new-rooms.ts";
import type { Entry, Page } from "./page.ts";
import { Places } from "./places.ts";
import { proofOf } from "./proof.ts";
import { Reader } from "./reader.ts";
import { Readiness } from "./readiness.ts";
import { MAX_LOOKED_AT, MAX_ROOMS, Rooms } from "./rooms.ts";
import { type Found, Searcher, type Sought } from "./searcher.ts";
import { type Commit, Store } from "./store.ts";
import { type Subscriber, type Subscription, Subscriptions } from "./subscriptions.ts";
import { Wake } from "./wake.ts";
import { type Posted, Writer } from "./writer.ts";

/** A message as it came. */
export interface Unparsed {
  /** The Idempotency-Key, if one was given. */
  readonly key?: string | undefined;
  /** The Message-Key, if one was given. */
  readonly messageKey?: string | undefined;
  /** Its size in bytes. */
  readonly bytes: number;
  /**
   * What it says, asked when it is its turn.
   * @throws {Problem} 400, 413.
   */
  read(): NewMessage;
}

/** What a poll asks for. */
export interface Poll {
  /** A cursor, or `now`. */
  readonly after: string;
  /** Most messages in the answer. */
  readonly limit: number;
  /** Milliseconds to wait for news; 0 asks the database and answers at once. */
  readonly wait: number;
  /** Whether changes are news, too. */
  readonly changes?: boolean;
  /** Who asks: its signal aborts when it leaves. It is made when it is first asked for; a poll that does not wait saves that. */
  readonly client: { readonly signal: AbortSignal };
  /** What the client may take; any amount if not given. */
  readonly allowance?: Allowance;
}

/** A page, and the cursor from which the reader goes on. */
export interface Reading {
  /** The messages. */
  readonly page: Page;
  /** The last id given, or else the cursor asked. */
  readonly next: string;
  /** Whether whoever asks for the same at any later time is given the same. */
  readonly final: boolean;
}

/** What a change asks for: see {@linkcode Change}. */
export type Wanted = Omit<Change, "proof" | "random"> & {
  /** The Message-Key, if one was shown. */
  readonly messageKey: string | undefined;
};

/** What a process holds. */
export interface ChatState {
  /** Polls that wait. */
  readonly waiters: number;
  /** Event streams that are open. */
  readonly subscribers: number;
  /** Rooms that somebody is reading. */
  readonly feeds: number;
  /** Statements sent to the database since the start. */
  readonly statements: number;
  /** Whether notifications of other servers arrive, as far as is known. */
  readonly listening: boolean;
}

/** How long closing waits for statements that are under way, in milliseconds; then they fail with their connections. */
const LAST_MOMENT_MS = 500;

/** How long a feed is kept after its last holder, in milliseconds: a client is back from its last answer in a tenth of that. */
const KEPT_MS = 5_000;

/** The chat of one process. Any number of processes can share one database. */
export class Chat {
  readonly #clients: Client[];
  readonly #floors = new Floors();
  readonly #store: Store;
  readonly #writer: Writer;
  readonly #changer: Changer;
  readonly #feeds: Feeds;
  readonly #wake: Wake;
  readonly #lift: Lift;
  readonly #rooms: Rooms;
  readonly #reader: Reader;
  readonly #searcher: Searcher;
  readonly #readiness: Readiness;
  readonly #newRooms: NewRooms;
  readonly #places: Places;
  readonly #subscriptions: Subscriptions;
  #draining = false;
  #closed = false;

  /** Connects lazily: nothing is sent before it is needed, but for LISTEN. */
  constructor(database: Pick<Database, "openPool">, config: Config) {
    const client = (name: string, connections: number) =>
      new Client(name, connections, config.STATEMENT_TIMEOUT_MS + 1_000, database.openPool);
    const { writes, reads, looks, signals, readsAtOnce } = shareOut(config.DATABASE_CONNECTIONS, client);
    this.#clients = [...new Set([writes, reads, looks, signals])];
    const floors = this.#floors;
    this.#store = new Store(writes, reads, signals, floors, looks);
    this.#reader = new Reader(this.#store, floors, readsAtOnce);
    this.#searcher = new Searcher(this.#store, this.#reader);
    this.#newRooms = new NewRooms(this.#store, floors, this.#reader);
    this.#places = new Places(config.MAX_WAITERS);
    this.#rooms = new Rooms(this.#store, isClosed(config) ? MAX_LOOKED_AT : MAX_ROOMS);
    this.#feeds = new Feeds(
      this.#store,
      { messages: config.MAX_TAIL_MESSAGES, bytes: config.MAX_TAIL_BYTES, all: config.MAX_TAILS_BYTES },
      (signal) => void this.#wake.watch(signal),
      (feed) => void this.#lift.above(feed),
      KEPT_MS,
    );
    this.#wake = new Wake(
      this.#store,
      database.openPool,
      this.#feeds,
      floors,
      {
        listening: config.FALLBACK_MS,
        most: config.FALLBACK_MAX_MS ?? config.FALLBACK_MS,
        deaf: config.FALLBACK_WITHOUT_LISTEN_MS,
      },
    );
    this.#subscriptions = new Subscriptions({
      feeds: this.#feeds,
      reader: this.#reader,
      places: this.#places,
      wake: this.#wake,
      heartbeatMs: config.HEARTBEAT_MS,
    });
    this.#lift = new Lift(this.#store, floors, (room, head) => this.#wake.notify(room, head));
    const committed = (commit: Commit) => {
      this.#feeds.get(commit.room)?.append(commit);
      this.#wake.notify(commit.room, commit.head);
    };
    this.#writer = new Writer(
      this.#store,
      {
        queued: config.MAX_QUEUED_POSTS,
        queuedBytes: config.MAX_QUEUED_BYTES,
        queuedPerRoom: config.MAX_QUEUED_POSTS_PER_ROOM,
        batch: config.MAX_BATCH_POSTS,
        batchBytes: config.MAX_BATCH_BYTES,
      },
      committed,
    );
    this.#changer = new Changer(this.#store, committed);
    this.#readiness = new Readiness(this.#store, this.#writer);
  }

  /**
   * Stores a message; resolves when it is durable, and readable on every server. With an Idempotency-Key, the message that was
   * stored with it before is the answer to every repetition, of the same `sub` if there is one.
   * @throws {Problem} see {@linkcode Writer.post}.
   */
  post(
    room: string,
    message: Unparsed,
    sub: string | null = null,
    allowance: Allowance = UNLIMITED,
  ): Promise<Posted> {
    const { key: given = null, messageKey, bytes } = message;
    const key = sub === null || given === null ? given : `${sub}\n${given}`; // no key has a line feed
    const proof = messageKey === undefined ? null : proofOf(messageKey);
    const read = () => ({ room, ...message.read(), key, sub, proof, random: randomDigits() });
    const incoming = { room, key, client: allowance.client, bytes, read };
    return this.#newRooms.counted(room, allowance, () => this.#writer.post(incoming));
  }

  /**
   * Changes a message, or takes it back (an empty text); resolves with it as it is then, when that is durable.
   * @throws {Problem} see {@linkcode Changer.change}.
   */
  async change({ messageKey, ...wanted }: Wanted, allowance: Allowance = UNLIMITED): Promise<Entry> {
    if (this.#closed) throw notChanged("This server is shutting down");
    const proof = messageKey === undefined ? null : proofOf(messageKey);
    return await this.#changer.change({ ...wanted, proof, random: randomDigits() }, allowance);
  }

  /**
   * The messages of `room` after a cursor, as soon as there are any; none when `wait` passes without news.
   * @throws {Problem} 400 for a cursor that lies in the future, 410 for one after which messages were removed since they were too
   * old, 503.
   */
  async poll(
    room: string,
    { after, limit, wait, changes = false, client, allowance = UNLIMITED }: Poll,
  ): Promise<Reading> {
    if (wait > 0 && this.#draining) throw unavailable("This server is shutting down");
    // Before the first await: a signal that is made when its client has left already never aborts (Deno 2.9.6, HTTP/2).
    const signal = wait > 0 ? client.signal : undefined;
    // Whoever has had the news that is on its way is back before the last one has it.
    const turn = signal && this.#feeds.get(room)?.turn(after === NOW ? END : after, changes);
    if (turn) await turn;
    // A page that is longer than what a feed begins with can't come out of a new one.
    const read = (after: string) =>
      this.#reader.pageAfter({ room, after, limit, changes, exact: wait === 0, client }, allowance);
    if (limit > PRELOAD && after !== NOW && !this.#feeds.get(room)?.loaded) {
      const page = await read(after);
      if (page.last) return { page, next: page.last, final: page.full && !changes };
    }
    // Held from before the first look until the answer: whatever is committed from here on reaches this feed.
    let feed = this.#feeds.hold(room);
    try {
      // Who does not wait gets what the database has now: something may have been taken back elsewhere a moment ago.
      const known = feed.loaded && wait > 0 && after !== NOW && placeOf(after) <= feed.place;
      if (!known) await this.#reader.refresh(feed, allowance);
      if (!known && feed.closed) { // the database has lost what it knew: ask the feed that takes its place
        this.#feeds.letGo(feed);
        feed = this.#feeds.hold(room);
        await this.#reader.refresh(feed, allowance);
      }
      let cursor = after === NOW ? feed.startOf(changes) : after;
      if (placeOf(cursor) > feed.place) await this.#reader.refuseFuture(room, cursor, feed.place);

      // What came before the feed began it does not know. Where nothing of that is left, the reader goes on from the feed's end.
      if (signal && !feed.knows(cursor, changes)) {
        const begins = feed.startOf(changes);
        const page = await read(cursor);
        if (page.last) return { page, next: page.last, final: page.full && !changes };
        cursor = begins;
      }

      const begun = performance.now();
      let waited = false;
      for (let left = wait;; left = wait - (performance.now() - begun)) {
        // From this check to the parking inside of wait() nothing else runs, so no message can slip in between.
        const waits = signal && left > 0 && feed.isAtEnd(cursor, changes) && !this.#draining;
        if (waits) {
          waited = true;
          this.#places.enter("poll", allowance);
          await feed.wait(cursor, left, signal, changes);
          this.#places.leave("poll", allowance);
          if (feed.isAtEnd(cursor, changes) && this.#wake.blind) throw unavailable("The database can't be reached");
        }
        const begins = feed.startOf(changes);
        const page = feed.page(cursor, limit, changes) ?? await read(cursor);
        if (page.last || !waits || feed.isAtEnd(cursor, changes)) {
          return { page, next: page.last ?? cursor, final: page.full && !waited && !changes };
        }
        cursor = begins; // what it was woken by was taken back before it was read
      }
    } finally {
      this.#feeds.letGo(feed);
    }
  }

  /**
   * Follows `room`: its messages after a cursor, those to come too. Whoever does must end it.
   * @throws {Problem} see {@linkcode Subscriptions.open}.
   */
  subscribe(room: string, subscription: Subscription): Promise<Subscriber> {
    return this.#subscriptions.open(room, subscription);
  }

  /**
   * The newest rooms, newest first, as a JSON array of `{room, newest}`: all, or those that `reader` may read.
   * @throws {DatabaseError} when they can't be looked up.
   */
  rooms(reader?: Identity, allowance: Allowance = UNLIMITED): Promise<string> {
    // Some that his token names may have to be asked for.
    return reader ? this.#reader.run(allowance, "", () => this.#rooms.list(reader)) : this.#rooms.list();
  }

  /**
   * The messages of `room` just before a cursor (`now`: the newest).
   * @throws {Problem} 503.
   */
  read(
    room: string,
    before: string,
    limit: number,
    allowance: Allowance = UNLIMITED,
    client?: Poll["client"],
  ): Promise<Pick<Reading, "page" | "final">> {
    return this.#reader.pageBefore(room, before === NOW ? undefined : before, limit, allowance, client);
  }

  /**
   * The messages just before a cursor (`now`: the newest) that have a text: see {@linkcode Searcher.page}.
   * @throws {Problem} 429, 503.
   */
  search(sought: Sought, allowance: Allowance = UNLIMITED): Promise<Found> {
    return this.#searcher.page({ ...sought, before: sought.before === NOW ? END : sought.before }, allowance);
  }

  /**
   * One message.
   * @throws {Problem} 404, 410 when it was deleted, 503.
   */
  async find(room: string, id: string, allowance: Allowance = UNLIMITED): Promise<Entry> {
    const entry = await this.#reader.one(room, id, allowance);
    if (!entry) throw notFound("There is no such message in this room");
    if (entry.deleted) throw gone();
    return entry;
  }

  /**
   * Resolves if posts can be stored, and with them all the rest.
   * @throws {Problem} 503.
   */
  async check(): Promise<void> {
    if (this.#draining) throw unavailable("This server is shutting down");
    await this.#readiness.check();
  }

  /** Whether this server is shutting down. */
  get draining(): boolean {
    return this.#draining;
  }

  /** What this process holds at the moment. */
  get state(): ChatState {
    return {
      waiters: this.#places.polls,
      subscribers: this.#places.streams,
      feeds: this.#feeds.size,
      statements: this.#clients.reduce((sum, client) => sum + client.sent, 0),
      listening: this.#wake.hears,
    };
  }

  /** Answers all who wait, and lets nobody wait from now on. Posts go on. */
  drain(): void {
    this.#draining = true;
    this.#subscriptions.drain();
    this.#feeds.release();
  }

  /** Refuses the posts that are still queued, gives the statements under way a moment, and closes all connections. */
  async close(): Promise<void> {
    this.#closed = true;
    this.drain();
    this.#reader.close();
    this.#feeds.close();
    await within(Promise.all([this.#writer.close(), this.#lift.close()]), LAST_MOMENT_MS);
    await within(this.#wake.close(), LAST_MOMENT_MS);
    await within(Promise.all(this.#clients.map((client) => client.close())), LAST_MOMENT_MS);
  }
}

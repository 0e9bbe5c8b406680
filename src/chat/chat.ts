// The chat itself: post, read, poll, follow. Everything that a client can ask for comes through here.
import type { Config } from "../config.ts";
import { Client, deadlineOf } from "../database/client.ts";
import type { Database } from "../database/open.ts";
import { isClosed } from "../identity/identities.ts";
import type { Identity } from "../identity/identity.ts";
import { type Allowance, UNLIMITED } from "../allowance.ts";
import { gone, notChanged, notFound, unavailable } from "../problem.ts";
import { within } from "../sleep.ts";
import type { Change } from "./sql/change.ts";
import { Changer } from "./changer.ts";
import { shareOut } from "./connections.ts";
import { END, NOW, placeOf, randomDigits, seqOf, timeOf } from "./cursor.ts";
import type { Draft } from "./draft.ts";
import { Feeds } from "./feeds.ts";
import { Floors } from "./floors.ts";
import { LockedRooms } from "./locked-rooms.ts";
import { Lift } from "./lift.ts";
import type { NewMessage } from "./message.ts";
import { NewRooms } from "./new-rooms.ts";
import type { Entry } from "./page.ts";
import { Places } from "./places.ts";
import { type Poll, Polls, type Reading } from "./polls.ts";
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
  read(): NewMessage & Pick<Draft, "byToken">;
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
  readonly #polls: Polls;
  readonly #subscriptions: Subscriptions;
  #draining = false;
  #closed = false;

  /** Connects lazily: nothing is sent before it is needed. */
  constructor(database: Pick<Database, "openPool">, config: Config) {
    const client = (name: string, connections: number) =>
      new Client(name, connections, deadlineOf(config), database.openPool);
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
    const draining = () => this.#draining;
    const waiting = { feeds: this.#feeds, reader: this.#reader, places: this.#places, wake: this.#wake, draining };
    this.#polls = new Polls(waiting);
    this.#subscriptions = new Subscriptions({ ...waiting, heartbeatMs: config.HEARTBEAT_MS });
    this.#lift = new Lift(this.#store, floors, (room, head) => this.#wake.notify(room, head));
    const committed = (commit: Commit) => {
      this.#wake.notify(commit.room, commit.head); // first: to thousands who wait here it takes some milliseconds
      this.#feeds.get(commit.room)?.append(commit);
      if (commit.entries[0]!.isChange) this.#reader.forgetAhead(commit.room); // it may have the words that were taken back
    };
    const locked = new LockedRooms();
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
      locked,
    );
    this.#changer = new Changer(this.#store, committed, locked);
    this.#readiness = new Readiness(this.#store, this.#writer);
  }

  /**
   * Stores a message; resolves when it is durable, and readable on every server. With an Idempotency-Key, the message that was
   * stored with it before is the answer to every repetition, of the same `sub` if there is one.
   * @throws {Problem} see {@linkcode Writer.post}.
   */
  async post(
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
    const posted = await this.#newRooms.counted(room, allowance, () => this.#writer.post(incoming));
    if (posted.replayed) this.#tellAgain(room, posted.entry);
    return posted;
  }

  /**
   * Changes a message, or takes it back (an empty text); resolves with it as it is then, when that is durable.
   * @throws {Problem} see {@linkcode Changer.change}.
   */
  async change({ messageKey, ...wanted }: Wanted, allowance: Allowance = UNLIMITED): Promise<Entry> {
    if (this.#closed) throw notChanged("This server is shutting down");
    const proof = messageKey === undefined ? null : proofOf(messageKey);
    const { entry, done } = await this.#changer.change({ ...wanted, proof, random: randomDigits() }, allowance);
    if (!done) this.#tellAgain(wanted.room, entry);
    return entry;
  }

  /**
   * What was stored before is acknowledged to who asks once more. Perhaps nobody has been told of it: a server that had no answer of the
   * database, or ended right after that, could not. And who waits must not sleep beside what was acknowledged,
   * nor must anybody be given what a change has taken back.
   */
  #tellAgain(room: string, entry: Entry): void {
    const last = entry.changed === null ? entry : entry.asChange();
    const place = last.cursor;
    this.#wake.notify(room, { ms: timeOf(place), seq: seqOf(place) });
    const feed = this.#feeds.get(room);
    if (feed && placeOf(place) > feed.place) feed.append({ entries: [last], prior: undefined });
    if (last.isChange) this.#reader.forgetAhead(room);
  }

  /**
   * The messages of `room` after a cursor, as soon as there are any; none when `wait` passes without news.
   * @throws {Problem} see {@linkcode Polls.answer}.
   */
  poll(room: string, poll: Poll): Promise<Reading> {
    return this.#polls.answer(room, poll);
  }

  /** What `begin` returns for a poll that has to stay outside for a moment, see {@linkcode Polls.inTurn}. */
  inTurn<T>(
    room: string,
    poll: Pick<Poll, "after" | "changes">,
    begin: (came: number) => T | Promise<T>,
  ): Promise<T> | undefined {
    return this.#polls.inTurn(room, poll, begin);
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
    this.#feeds.release();
  }

  /** Refuses the posts that are still queued, gives the statements under way a moment, and closes all connections. */
  async close(): Promise<void> {
    this.#closed = true;
    this.drain();
    this.#reader.forgetAhead();
    this.#feeds.close();
    await within(Promise.all([this.#writer.close(), this.#lift.close()]), LAST_MOMENT_MS);
    await within(this.#wake.close(), LAST_MOMENT_MS);
    await within(Promise.all(this.#clients.map((client) => client.close())), LAST_MOMENT_MS);
  }
}

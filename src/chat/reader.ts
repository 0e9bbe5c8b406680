// What is read out of the database for clients, each in his turn; and the refreshes that their polls ask for.
import type { Allowance } from "../allowance.ts";
import { invalid, unavailable } from "../problem.ts";
import { Clock } from "./clock.ts";
import { timeOf } from "./cursor.ts";
import type { Feed } from "./feed.ts";
import type { Floors } from "./floors.ts";
import { Gate } from "./gate.ts";
import { MAX_CURSOR_AHEAD_MS, MAX_LIMIT } from "./message.ts";
import { type Entry, makePage, type Page } from "./page.ts";
import { ReadAhead } from "./readahead.ts";
import { Sharing } from "./sharing.ts";
import type { Turn } from "./sql/rows.ts";
import type { Store } from "./store.ts";

/** What a subscriber that catches up is read at a time, in bytes: it is held until he has taken it, however slow he is. */
const SUBSCRIBER_BYTES = 250_000;

/** Reads of one client that are under way at a time, so that another's soon finds a connection. */
const PER_CLIENT = 2;

/** Reads that wait for their turn, of all clients: a second's work or two. */
const MAX_WAITING = 500;

/** Which page somebody asks for. */
export interface Asked {
  /** The room's name. */
  readonly room: string;
  /** A cursor. */
  readonly after: string;
  /** Most messages. */
  readonly limit: number;
  /** Whether changes are asked for, too. */
  readonly changes?: boolean | undefined;
  /** Whether it must be what the database has at this moment. */
  readonly exact: boolean;
  /** Who asks, if he can leave. */
  readonly client?: Leaving | undefined;
}

/** Somebody who can leave. */
export interface Leaving {
  /** Aborts then. */
  readonly signal: AbortSignal;
}

/** Reads for clients. All methods throw a Problem: 429 for a client that reads too often, 503 where too many wait. */
export class Reader {
  readonly #gate: Gate;
  readonly #readAhead: ReadAhead;
  readonly #clock: Clock;
  readonly #refreshes = new Sharing<Feed, void>();
  readonly #pages = new Sharing<string, Page>();
  readonly #entries = new Sharing<string, Entry[]>();
  readonly #before = new Sharing<string, { page: Page; final: boolean }>();
  readonly #ones = new Sharing<string, Entry | undefined>();

  /** As many reads at a time as there are connections. */
  constructor(private readonly store: Store, private readonly floors: Floors, connections: number) {
    this.#gate = new Gate({
      atOnce: connections,
      perClient: PER_CLIENT,
      waiting: MAX_WAITING,
      refusal: () => unavailable("Too many reads wait on this server").heldBack(),
    });
    this.#readAhead = new ReadAhead(store, this.#gate);
    this.#clock = new Clock(() => store.clock());
  }

  /** Reads something else, in turn; `price` is what it counts as, and 0 where it is on nobody's account. */
  async run<T>(allowance: Allowance, room: string, read: () => Promise<T>, price = 1): Promise<T> {
    if (price === 0) return await this.#gate.run(allowance, room, read);
    allowance.read(price);
    return await this.#gate.run(allowance, room, () => {
      allowance.goOn();
      return read();
    });
  }

  /**
   * The messages of `room` after a cursor, and the changes if asked for, at most `limit` and a page. With `exact` as they are at this
   * moment; without, what was read ahead may be given, a second ago. Who asks for the same before that is begun shares it.
   */
  async pageAfter(
    { room, after, limit, changes = false, exact, client }: Asked,
    allowance: Allowance,
  ): Promise<Page> {
    const key = `${room} ${after} ${limit} ${changes} ${exact}`;
    const page = await this.#pages.ask(key, allowance.client, (begun) => {
      const turn = this.#turns(allowance, room, client, begun);
      if (exact || changes) return this.store.pageAfter(room, after, limit, { changes, turn });
      return this.#readAhead.page(room, after, limit, turn, allowance, begun);
    });
    allowance.weigh(page.body.length); // each who is given it, since each has to be sent it
    return page;
  }

  /**
   * The messages of `room` just before a cursor; without one the newest. It is final if it is full and none can come between. It is shared
   * as a page after one is.
   */
  async pageBefore(
    room: string,
    before: string | undefined,
    limit: number,
    allowance: Allowance,
    client?: Leaving,
  ): Promise<{ page: Page; final: boolean }> {
    const found = await this.#before.ask(`${room} ${before} ${limit}`, allowance.client, async (begun) => {
      const turn = this.#turns(allowance, room, client, begun);
      const { entries, full, past } = await this.store.readBefore(room, before, limit, turn);
      return { page: makePage(entries, full), final: full && past };
    });
    allowance.weigh(found.page.body.length);
    return found;
  }

  /** What a subscriber is read next after a cursor; it is shared as a page is. */
  async entriesAfter(
    room: string,
    after: string,
    changes: boolean,
    allowance: Allowance,
    client: Leaving,
  ): Promise<readonly Entry[]> {
    const entries = await this.#entries.ask(`${room} ${after} ${changes}`, allowance.client, async (begun) => {
      const turn = this.#turns(allowance, room, client, begun);
      const options = { bytes: SUBSCRIBER_BYTES, changes, turn };
      return (await this.store.readAfter(room, after, MAX_LIMIT, options)).entries;
    });
    allowance.weigh(entries.reduce((bytes, entry) => bytes + entry.bytes, 0));
    return entries;
  }

  /**
   * The turns of one read: past many deleted messages it is several statements, each of which waits for others and counts. After the first
   * it goes on only for who is still there; a signal that nobody has asked for before costs those nothing who need one statement.
   */
  #turns(allowance: Allowance, room: string, client: Leaving | undefined, begun = () => {}): Turn {
    let goesOn = false;
    return async (statement) => {
      if (goesOn && client?.signal.aborted) throw unavailable("The client has left");
      goesOn = true;
      return await this.run(allowance, room, () => {
        begun();
        return statement();
      });
    };
  }

  /** One message, or undefined; it is shared as a page is. */
  one(room: string, id: string, allowance: Allowance): Promise<Entry | undefined> {
    return this.#ones.ask(
      `${room} ${id}`,
      allowance.client,
      (begun) => this.#turns(allowance, room, undefined, begun)(() => this.store.readOne(room, id)),
    );
  }

  /** Refreshes a feed, with a look that begins after this call. */
  refresh(feed: Feed, allowance: Allowance): Promise<void> {
    return this.#refreshes.ask(
      feed,
      allowance.client,
      (begun) => this.#turns(allowance, feed.room, undefined, begun)(() => feed.refresh()),
    );
  }

  /**
   * A cursor a little ahead of everything comes from another server, or another clock; far ahead it is a mistake.
   * @throws {Problem} 400 that names `parameter`.
   */
  async refuseFuture(room: string, cursor: string, place: string, parameter = "after"): Promise<void> {
    // What the room had come to before the database lost some of it, counts too.
    const newest = Math.max(timeOf(place), this.floors.of(room));
    if (timeOf(cursor) <= newest + MAX_CURSOR_AHEAD_MS) return;
    if (timeOf(cursor) <= await this.#clock.read() + MAX_CURSOR_AHEAD_MS) return;
    throw invalid(
      parameter,
      "lies more than a minute ahead of the database's clock and of the room's newest message",
    );
  }

  /** Forgets what was read ahead, of one room or of all. */
  forgetAhead(room?: string): void {
    this.#readAhead.forget(room);
  }
}

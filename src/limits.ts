// What one client may take, so that it can't wear the server down for the others. A client is a token's sub, or else an address. What
// is bounded is what costs others something: posts, new rooms, reads that ask the database, and places where one waits.
//
// A client that has taken nothing for a while is like one that is not known: the memory is bounded by forgetting those who came last
// the longest ago. Each thread counts for itself.
import { Bucket, type Rate } from "./bucket.ts";
import { forwardedFor, LOCAL, placeOf } from "./identity/address.ts";
import { Remembered } from "./remembered.ts";
import type { Config } from "./config.ts";
import { log } from "./log.ts";
import { isLoopback } from "./origin.ts";
import { Problem, tooManyPlaces, tooManyRequests } from "./problem.ts";

/** The settings that bound a client. */
export type LimitSettings = Pick<Config, "POSTS_PER_MINUTE" | "PLACES_PER_CLIENT" | "PROXY_HOPS" | "HOST">;

/** Where a request comes from; asked only where it matters, since it takes longer than all the rest. */
export interface Remote {
  /** Without a hostname over a Unix socket. */
  readonly remoteAddr: { readonly hostname?: string };
}

/** Clients that are remembered for sure beside those that hold places, and as many more at most: some 10 MB. */
const MAX_CLIENTS = 20_000;

/** Addresses that need not be read again, as they are written; twice as many at most. A network has any number. */
const MAX_ADDRESSES = 4_000;

/** Posts at once: a paste of many lines, or a bot that tells of all that it has missed. */
const POSTS_AT_ONCE = 20;

/** Rooms that a client may begin in an hour, and at once: people make some, and each stays for ever. */
const ROOMS = { name: "new-rooms", what: "begins rooms", most: 60, perMs: 3_600_000, atOnce: 20 };

/** Reads that ask the database, in a minute, and at once: a browser with ten tabs needs a tenth of it. */
const READS = { name: "reads", what: "reads from the database", most: 1_200, perMs: 60_000, atOnce: 200 };

/** How often a request is looked at for a proxy that the settings don't know of, in milliseconds. */
const LOOK_MS = 1_000;

/**
 * Tokens that don't hold: each is verified, which costs as much as some posts. A browser whose token has ended asks a few times; who
 * guesses, or wears the server down, asks on.
 */
const BAD_TOKENS = { name: "bad-tokens", what: "shows tokens that are not valid", most: 60, perMs: 60_000, atOnce: 20 };

/**
 * Refusals that a client is given at once. One that comes back again and again without a pause costs more by its refusals than by all
 * that it is allowed: from then on each of its refusals is held back.
 */
const REFUSALS = { most: 60, perMs: 60_000, atOnce: 20 };

/** How long, in milliseconds: its connections then ask once in that time. */
const REFUSAL_DELAY_MS = 2_000;

/** What one sub may hold of what an address may, behind which there can be a whole school. */
const SUB_SHARE = 0.15;

/** What event streams may hold of a client's places: each takes as much memory as three polls. */
const STREAM_SHARE = 1 / 3;

/** And what one is told who takes more. */
interface Limit extends Rate {
  /** As `RateLimit` has it. */
  readonly name: string;
  /** As a sentence has it. */
  readonly what: string;
}

/** Who asks, and how much is left to him. */
export class Allowance {
  readonly #posts: Bucket<Limit> | undefined;
  readonly #rooms: Bucket<Limit> | undefined;
  readonly #reads: Bucket<Limit> | undefined;
  readonly #badTokens: Bucket<Limit> | undefined;
  readonly #refusals: Bucket<Rate> | undefined;
  /** Tokens that are being verified. */
  #verifying = 0;
  /** Whether the last one that was verified did not hold. */
  #lastWasBad = false;
  #places = 0;
  #streams = 0;

  /** With `limited` there are limits: posts in a minute, and places; 0 is none. */
  constructor(
    /** Tells clients apart where they take turns. */
    readonly client: string,
    private readonly limited?: { readonly posts: number; readonly places: number },
    now: () => number = () => performance.now(),
  ) {
    if (!limited) return;
    const { posts } = limited;
    if (posts > 0) {
      const atOnce = Math.min(POSTS_AT_ONCE, posts);
      this.#posts = new Bucket({ name: "posts", what: "posts", most: posts, perMs: 60_000, atOnce }, now);
    }
    this.#rooms = new Bucket(ROOMS, now);
    this.#reads = new Bucket(READS, now);
    this.#badTokens = new Bucket(BAD_TOKENS, now);
    this.#refusals = new Bucket(REFUSALS, now);
  }

  /** Whether it is one client, and holds places. */
  get holds(): boolean {
    return this.limited !== undefined && this.#places > 0;
  }

  /** Whether nothing is bounded. */
  get unlimited(): boolean {
    return !this.limited;
  }

  /**
   * A post is on its way.
   * @throws {Problem} 429.
   */
  post(): void {
    this.#take(this.#posts);
  }

  /**
   * A read is to ask the database; one that takes as long as several counts as these.
   * @throws {Problem} 429.
   */
  read(price = 1): void {
    this.#take(this.#reads, price);
  }

  /** A read is to ask the database that nobody has asked for yet. Takes it if there is one left, and refuses nobody. */
  readAhead(): boolean {
    return (this.#reads?.take() ?? 0) === 0;
  }

  /**
   * Has a token verified. Nothing is taken for one that holds: when a server starts anew, many come at once whose tokens do. Those that are
   * under way count from the first that did not hold to the next that does, as if they did not: else any number could come at once.
   * @throws {Problem} 429 where too many before it did not hold.
   * @throws whatever `verification` throws: 401 where the token does not hold.
   */
  async verify<T>(verification: () => Promise<T>): Promise<T> {
    const underWay = this.#lastWasBad ? this.#verifying : 0;
    const bucket = this.#badTokens;
    if (bucket && bucket.wait(underWay + 1) > 0) throw this.#refusal(tooManyRequests(BAD_TOKENS, bucket.wait()));
    this.#verifying++;
    try {
      const identity = await verification();
      this.#lastWasBad = false;
      return identity;
    } catch (error) {
      if (error instanceof Problem && error.status === 401) {
        this.#lastWasBad = true;
        bucket?.owe();
      }
      throw error;
    } finally {
      this.#verifying--;
    }
  }

  /** A post may begin a room. Takes one if there is one left, and refuses nobody. */
  mayBeginRoom(): boolean {
    return (this.#rooms?.take() ?? 0) === 0;
  }

  /**
   * A post may begin a room.
   * @throws {Problem} 429.
   */
  beginRoom(): void {
    this.#take(this.#rooms);
  }

  /** It has not. */
  roomWasThere(): void {
    this.#rooms?.giveBack();
  }

  /**
   * Takes a place to wait in, for a poll or a stream; who does must {@linkcode leave}.
   * @throws {Problem} 429.
   */
  enter(kind: "poll" | "stream"): void {
    const most = this.limited?.places || Infinity;
    if (this.#places >= most) throw this.#refusal(tooManyPlaces(most, "polls and event streams"));
    const streams = Math.max(1, Math.floor(most * STREAM_SHARE));
    if (kind === "stream" && this.#streams >= streams) throw this.#refusal(tooManyPlaces(streams, "event streams"));
    this.#places++;
    if (kind === "stream") this.#streams++;
  }

  /** Gives the place back. */
  leave(kind: "poll" | "stream"): void {
    this.#places--;
    if (kind === "stream") this.#streams--;
  }

  #take(bucket: Bucket<Limit> | undefined, pieces = 1): void {
    const ms = bucket?.take(pieces) ?? 0;
    if (ms > 0) throw this.#refusal(tooManyRequests(bucket!.rate, ms));
  }

  #refusal(problem: Problem): Problem {
    return this.#refusals!.take() > 0 ? problem.heldBack(REFUSAL_DELAY_MS) : problem;
  }
}

/** Nobody's: for whoever is not counted. */
export const UNLIMITED: Allowance = new Allowance("");

/** The allowances of all clients. */
export class Limits {
  // Two generations, as of all that strangers can make up. By sub, and by address.
  #known = new Map<string, Allowance>();
  #before = new Map<string, Allowance>();
  /** How many of the generation before it were kept when this one began. */
  #kept = 0;
  /** Which client it is that has an address, as it is written. Not among the clients: these are forgotten for other clients alone. */
  readonly #addresses = new Remembered<{ client: string; counted: boolean }>(MAX_ADDRESSES);
  /** Whether only this machine can connect, and no proxy tells who else is behind it. */
  readonly #alone: boolean;
  #looked = -Infinity;
  /** Whether the log has it that PROXY_HOPS does not fit. */
  #told = false;

  /** `now` is a clock in milliseconds that never jumps. */
  constructor(private readonly settings: LimitSettings, private readonly now: () => number = () => performance.now()) {
    this.#alone = settings.PROXY_HOPS === 0 && isLoopback(settings.HOST);
  }

  /** Who sends a request; `sub` is the token's, if there is one. */
  of(headers: Headers, remote: Remote, sub: string | null | undefined): Allowance {
    if (sub) return this.#find(`sub ${sub}`, true, SUB_SHARE);
    const { PROXY_HOPS: hops } = this.settings;
    if (hops === 0) {
      if (!this.#told) this.#lookForProxy(headers);
      return this.#alone ? UNLIMITED : this.#at(remote.remoteAddr.hostname) ?? this.#local;
    }
    const written = forwardedFor(headers.get("x-forwarded-for"), hops);
    if (written === undefined && !this.#told) this.#tellOfTooFew();
    // What has not come by all the proxies is of whoever connects, and what comes by one that does not say from where.
    return this.#at(written) ?? this.#at(remote.remoteAddr.hostname) ?? this.#local;
  }

  /** Clients and addresses that are remembered. */
  get size(): number {
    return this.#known.size + this.#before.size + this.#addresses.size;
  }

  /** Whoever is at an address, as it is written; undefined where that is none. */
  #at(written: string | undefined): Allowance | undefined {
    if (written === undefined) return undefined;
    const key = `at ${written}`; // its own text: a part of a header would keep all of the header
    let found = this.#addresses.get(key);
    if (!found) {
      const place = placeOf(written, this.settings.PROXY_HOPS > 0);
      if (!place) return undefined;
      const { address, counted } = place;
      found = { client: `in ${address}`, counted };
      this.#addresses.set(key, found);
    }
    return this.#find(found.client, found.counted, 1);
  }

  /** All who connect without an address. */
  get #local(): Allowance {
    return this.#find(`in ${LOCAL.address}`, LOCAL.counted, 1);
  }

  #make(client: string, counted: boolean, share: number): Allowance {
    if (!counted) return new Allowance(client);
    const { POSTS_PER_MINUTE: posts, PLACES_PER_CLIENT } = this.settings;
    return new Allowance(client, { posts, places: Math.ceil(PLACES_PER_CLIENT * share) }, this.now);
  }

  #find(client: string, counted: boolean, share: number): Allowance {
    const known = this.#known.get(client);
    if (known) return known;
    const allowance = this.#before.get(client) ?? this.#make(client, counted, share);
    if (this.#known.size >= MAX_CLIENTS + this.#kept) { // else those who are kept would leave no room for others
      this.#before = this.#known;
      // Who holds places must give them back to whom he has them from.
      this.#known = new Map([...this.#before].filter(([, { holds }]) => holds));
      this.#kept = this.#known.size;
    }
    this.#known.set(client, allowance);
    return allowance;
  }

  /** A proxy in front, and all whom it lets in counted as one or not at all: looked for once a second, and told once. */
  #lookForProxy(headers: Headers): void {
    const now = this.now();
    if (now - this.#looked < LOOK_MS) return;
    this.#looked = now;
    if (!headers.has("x-forwarded-for") && !headers.has("forwarded")) return;
    this.#told = true;
    log(
      "warn",
      "A request has come through a proxy. If the proxy is yours, let it send X-Forwarded-For and set PROXY_HOPS to the number of your " +
        "proxies: else Linger can't tell the clients behind it apart, and counts them as one client or not at all",
    );
  }

  /** Fewer proxies than there should be, and all whom one lets in counted as one: told once. */
  #tellOfTooFew(): void {
    this.#told = true;
    log(
      "warn",
      "A request has fewer addresses in X-Forwarded-For than PROXY_HOPS says, so it counts for the address that connects. Set PROXY_HOPS to " +
        "the number of your proxies, let each of them add to that header, and let nobody reach this server past them",
    );
  }
}

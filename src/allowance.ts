// What one client may take, so that it can't wear the server down for the others. What is bounded is what costs others something: posts,
// new rooms, reads that ask the database or are long, tokens that don't hold, and places where one waits.
import { Bucket, type Rate } from "./bucket.ts";
import { Problem, tooManyPlaces, tooManyRequests } from "./problem.ts";

/** Posts at once: a paste of many lines, or a bot that tells of all that it has missed. */
const POSTS_AT_ONCE = 20;

/** Rooms that a client may begin in an hour, and at once: people make some, and each stays for ever. */
const ROOMS = { name: "new-rooms", what: "begins rooms", most: 60, perMs: 3_600_000, atOnce: 20 };

/** Reads that ask the database or are long, in a minute, and at once: a browser with ten tabs needs a tenth of it. */
const READS = { name: "reads", what: "reads, or is given 100 kB,", most: 1_200, perMs: 60_000, atOnce: 200 };

/** What one read may bring, in bytes: to make and send this much takes about as long as to ask the database. More counts as more reads. */
const READ_BYTES = 100_000;

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

/** What event streams may hold of a client's places: each takes as much memory as three polls. */
const STREAM_SHARE = 1 / 3;

/** How much may be taken of something, and what one is told who takes more. */
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
   * A read is to ask the database, or is long; one that takes as long as several counts as these.
   * @throws {Problem} 429.
   */
  read(price = 1): void {
    this.#take(this.#reads, price);
  }

  /** A read has brought so many bytes. How much it brings is known only then: what is too much is owed, and refused is who asks next. */
  weigh(bytes: number): void {
    this.#reads?.owe(Math.floor(bytes / READ_BYTES));
  }

  /**
   * The turn of a read has come. What others of his have brought meanwhile is owed by then: else as many as come at once would all be made,
   * however long they are.
   * @throws {Problem} 429.
   */
  goOn(): void {
    this.#take(this.#reads, 0);
  }

  /** A read is to ask the database that nobody has asked for yet. Takes it if there is one left, and refuses nobody. */
  readAhead(): boolean {
    return (this.#reads?.take() ?? 0) === 0;
  }

  /**
   * Has a token verified. A valid token costs nothing, since many come at once when a server starts. From the first invalid token to the
   * next valid one, those still being verified count as invalid: else any number could come at once.
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

// The list of the newest rooms. Finding them means to look at every head row, which have no index that would help: one
// would cost every post more than the list is worth. So a process looks at most once per interval, only when asked, and
// all who ask meanwhile share what it saw; also those who may see only some of it.
import type { Identity } from "../identity/identity.ts";
import type { ListedRoom, Store } from "./store.ts";

/** How old a list may be when it is given out, in milliseconds: what bounds the looks, whoever asks how often. */
const MAX_AGE_MS = 2_000;

/**
 * How many times as long as a look took the list is given out: with millions of rooms a look takes a second. After one that failed
 * there is no list to give out, and the next who asks has it looked for again, one look at a time.
 */
const REST = 50;

/** Most rooms in the list: a screenful or two. Older ones are not listed. */
export const MAX_ROOMS = 100;

/** Most rooms of which those are listed that somebody may read. */
export const MAX_LOOKED_AT = 1_000;

interface List {
  readonly rooms: readonly ListedRoom[];
  /** The first of them as JSON. */
  readonly json: string;
  readonly until: number;
}

/** The newest rooms, as one process knows them. */
export class Rooms {
  #list: List | undefined;
  #looking: Promise<List> | undefined;

  /** A list that has not been asked for yet, of `count` rooms. `now` is a clock in milliseconds that never jumps. */
  constructor(
    private readonly store: Pick<Store, "newestRooms" | "newestOf">,
    private readonly count = MAX_ROOMS,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /**
   * The newest rooms, newest first, as a JSON array of `{room, newest}`: for `reader` those of them that he may read, and the
   * rooms that his token names.
   * @throws {DatabaseError} when it is time for a look, and the look fails: an old list is no answer then.
   */
  async list(reader?: Identity): Promise<string> {
    const { rooms, json } = await this.#newest();
    if (!reader) return json;
    const readable = rooms.filter(({ room }) => reader.may("read", room));
    const listed = new Set(readable.map(({ room }) => room));
    const named = [...reader.named].filter((room) => !listed.has(room));
    if (named.length > 0) readable.push(...await this.store.newestOf(named));
    return JSON.stringify(readable.sort((a, b) => a.newest < b.newest ? 1 : -1).slice(0, MAX_ROOMS));
  }

  #newest(): Promise<List> {
    if (this.#list && this.now() < this.#list.until) return Promise.resolve(this.#list);
    return this.#looking ??= this.#look().finally(() => this.#looking = undefined);
  }

  async #look(): Promise<List> {
    // The age counts from before the look: what was committed while it was under way may be missing.
    const since = this.now();
    const rooms = await this.store.newestRooms(this.count);
    const age = Math.max(MAX_AGE_MS, REST * (this.now() - since));
    return this.#list = { rooms, json: JSON.stringify(rooms.slice(0, MAX_ROOMS)), until: since + age };
  }
}

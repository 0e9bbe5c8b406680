// The list of the newest rooms. Finding them means to look at every head row, which have no index that would help: one
// would cost every post more than the list is worth. So a process looks at most once per interval, only when asked, and
// all who ask meanwhile share what it saw.
import type { Store } from "./store.ts";

/** How old a list may be when it is given out, in milliseconds: what bounds the looks, whoever asks how often. */
const MAX_AGE_MS = 2_000;

/** Most rooms in the list: a screenful or two. Older ones are not listed. */
export const MAX_ROOMS = 100;

/** The newest rooms, as one process knows them. */
export class Rooms {
  #list: { readonly json: string; readonly since: number } | undefined;
  #looking: Promise<string> | undefined;

  /** A list that has not been asked for yet. `now` is a clock in milliseconds that never jumps. */
  constructor(
    private readonly store: Pick<Store, "newestRooms">,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /**
   * The newest rooms, newest first, as a JSON array of `{room, newest}`; never older than `MAX_AGE_MS`. Calls share looks.
   * @throws {DatabaseError} when it is time for a look, and the look fails: an old list is no answer then.
   */
  list(): Promise<string> {
    // The age counts from before the look: what was committed while it was under way may be missing.
    if (this.#list && this.now() - this.#list.since < MAX_AGE_MS) return Promise.resolve(this.#list.json);
    return this.#looking ??= this.#look().finally(() => this.#looking = undefined);
  }

  async #look(): Promise<string> {
    const since = this.now();
    const json = JSON.stringify(await this.store.newestRooms(MAX_ROOMS));
    this.#list = { json, since };
    return json;
  }
}

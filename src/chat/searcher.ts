// Searches that clients ask for. One takes as long as many pages, so it is parted into steps of one statement, between which others get
// their turn; and of all searches one step is under way at a time, so that with two connections for reads one is always left for pages.
import { Allowance } from "../allowance.ts";
import { unavailable } from "../problem.ts";
import { Gate } from "./gate.ts";
import { type Entry, fitting, makePage, type Page } from "./page.ts";
import type { Reader } from "./reader.ts";
import { ROWS_AT_A_TIME, type Search } from "./sql/search.ts";
import type { Store } from "./store.ts";

/** Most messages at which is looked for one page. */
const MAX_ROWS = 10_000;

/** What a search counts as, in reads of one client: taken at once, since one that is refused in its middle was for nothing. */
const PRICE = MAX_ROWS / ROWS_AT_A_TIME;

/** How long one page is looked for, in milliseconds, where the database is slow or many search: then it ends where it is. */
const MAX_MS = 1_000;

/** Steps of searches that wait for their turn, of all clients: a second's work or two. */
const MAX_WAITING = 100;

/**
 * Whose steps they are where reads take turns: of all searches together. A step that waited behind its own client's reads would keep the
 * one place of all searches meanwhile. What a search costs its client is taken before.
 */
const SEARCHES = new Allowance("searches");

/** What a client asks for. */
export type Sought = Omit<Search, "hasIcu"> & {
  /** Who asks: its signal aborts when it leaves. */
  readonly client: { readonly signal: AbortSignal };
};

/** What was found. */
export interface Found {
  /** The messages, ascending. */
  readonly page: Page;
  /** The cursor before which nothing was looked at yet; undefined where that is nothing. */
  readonly prev: string | undefined;
}

/** Searches for clients. */
export class Searcher {
  readonly #gate = new Gate({
    atOnce: 1,
    perClient: 1,
    waiting: MAX_WAITING,
    refusal: () => unavailable("Too many searches wait on this server").heldBack(),
  });
  #hasIcu: Promise<boolean> | undefined;

  /** `now` is a clock in milliseconds that never jumps. */
  constructor(
    private readonly store: Pick<Store, "search" | "hasIcu">,
    private readonly reader: Pick<Reader, "run">,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /**
   * The messages before a cursor that have the text, at most `limit` and a page. Ends early, perhaps with none, where it has looked at
   * enough, or for long enough.
   * @throws {Problem} 429 for a client that reads too often, 503 where too many wait.
   */
  async page({ client, ...sought }: Sought, allowance: Allowance): Promise<Found> {
    const { signal } = client; // before the first await, as in a poll
    allowance.read(PRICE);
    const begun = this.now();
    const entries: Entry[] = [];
    let prev: string | undefined = sought.before;
    for (let rows = 0; prev && rows < MAX_ROWS && this.now() - begun < MAX_MS; rows += ROWS_AT_A_TIME) {
      const step = { ...sought, before: prev, limit: sought.limit - entries.length };
      const found = await this.#look(step, allowance);
      entries.push(...found.entries);
      prev = found.next;
      const count = fitting(entries, 0, sought.limit);
      if (count < entries.length) prev = entries[count - 1]!.cursor;
      if (count < entries.length || count === sought.limit || signal.aborted) {
        entries.length = count;
        break;
      }
    }
    return { page: makePage(entries.reverse(), prev !== undefined), prev };
  }

  #look(step: Omit<Search, "hasIcu">, allowance: Allowance): ReturnType<Store["search"]> {
    const { room } = step;
    const look = async () => {
      try {
        return await this.store.search({ ...step, hasIcu: await (this.#hasIcu ??= this.store.hasIcu()) });
      } catch (error) {
        this.#hasIcu = undefined; // it may be another database by now
        throw error;
      }
    };
    return this.#gate.run(allowance, room, () => this.reader.run(SEARCHES, room, look));
  }
}

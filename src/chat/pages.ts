// The pages that were made out of memory, kept for the others who stand at the same place: one page answers ten thousand who
// waited. Places are cursors, and clients can make up as many as they like. So what is kept is bounded, in all rooms together;
// the oldest goes first, and is made again for whoever still comes for it.
import type { Page } from "./page.ts";

/** Most pages kept: each takes some 3 kB with the answer that is made of it, however short it is. */
export const MAX_PAGES = 1_000;

/** Most bytes that they have together: eight of the largest. */
const MAX_PAGES_BYTES = 8_000_000;

/** Pages by place. */
export class Pages {
  /** In the order in which they were made. */
  readonly #pages = new Map<string, Page>();
  #bytes = 0;

  /** How many are kept. */
  get size(): number {
    return this.#pages.size;
  }

  /** The page at a place, if it is kept. */
  at(place: string): Page | undefined {
    return this.#pages.get(place);
  }

  /** Keeps a page that was not. */
  keep(place: string, page: Page): void {
    this.#pages.set(place, page);
    this.#bytes += page.body.length;
    for (const [oldest, { body }] of this.#pages) {
      if (this.#pages.size <= MAX_PAGES && this.#bytes <= MAX_PAGES_BYTES) return;
      this.#pages.delete(oldest);
      this.#bytes -= body.length;
    }
  }
}

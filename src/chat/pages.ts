// The pages that were made out of memory, kept for the others who stand at the same place: one page answers ten thousand who
// waited. Places are cursors, and clients can make up as many as they like. So what is kept is bounded, in all rooms together;
// the oldest goes first, and is made again for whoever still comes for it.
import type { Page } from "./page.ts";

/** Most pages kept: each takes some 3 kB with the answer that is made of it, however short it is. */
export const MAX_PAGES = 1_000;

/** Most bytes that they have together: eight of the largest. */
const MAX_PAGES_BYTES = 8_000_000;

/** A page, and of which version it is. */
interface Kept {
  readonly version: number;
  readonly page: Page;
}

/** Pages by version and place. A version is what a feed holds at one time, until it holds something else. */
export class Pages {
  /** In the order in which they were made. */
  readonly #pages = new Map<string, Kept>();
  /** Where those of a version are kept. */
  readonly #keys = new Map<number, Set<string>>();
  #bytes = 0;

  /** How many are kept. */
  get size(): number {
    return this.#pages.size;
  }

  /** The page at a place, if it is kept. */
  at(version: number, place: string): Page | undefined {
    return this.#pages.get(`${version} ${place}`)?.page;
  }

  /** Keeps a page that was not. */
  keep(version: number, place: string, page: Page): void {
    const key = `${version} ${place}`;
    this.#pages.set(key, { version, page });
    const keys = this.#keys.get(version);
    if (keys) keys.add(key);
    else this.#keys.set(version, new Set([key]));
    this.#bytes += page.body.length;
    for (const oldest of this.#pages.keys()) {
      if (this.#pages.size <= MAX_PAGES && this.#bytes <= MAX_PAGES_BYTES) return;
      this.#drop(oldest);
    }
  }

  /** Lets go of a version's pages, for which nobody comes any more: they may have words that were taken back. */
  forget(version: number): void {
    for (const key of this.#keys.get(version) ?? []) this.#drop(key);
  }

  #drop(key: string): void {
    const { version, page } = this.#pages.get(key)!;
    this.#pages.delete(key);
    this.#bytes -= page.body.length;
    const keys = this.#keys.get(version)!;
    keys.delete(key);
    if (keys.size === 0) this.#keys.delete(version);
  }
}

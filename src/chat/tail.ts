// What a feed holds of its room in memory: messages, or changes, in the order of their cursors. A tail grows at its end and lets go at its
// beginning, so that it has no gaps: whoever stands after its start is given all that there is.
import { END } from "./cursor.ts";
import type { Entry } from "./page.ts";

/** All entries of a room after `start`. */
export class Tail {
  readonly #entries: Entry[] = [];
  #bytes = 0;
  #grown = 0;

  /** An empty one. `resized` is told of each of its changes, by how many bytes it grows or shrinks. */
  constructor(private from: string, private readonly resized: (bytes: number) => void) {}

  /** A cursor, or a place, before which it knows nothing. */
  get start(): string {
    return this.from;
  }

  /** The first entry. */
  get first(): Entry | undefined {
    return this.#entries[0];
  }

  /** The last entry. */
  get last(): Entry | undefined {
    return this.#entries.at(-1);
  }

  /** Bytes of JSON that it holds. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Bytes of JSON that were appended since its beginning. */
  get grown(): number {
    return this.#grown;
  }

  /** Whether it has all that stands after `cursor`. */
  knows(cursor: string): boolean {
    return cursor >= this.from;
  }

  /** The entry that stands at `cursor`. */
  at(cursor: string): Entry | undefined {
    const last = this.#entries[this.#indexAfter(cursor) - 1];
    return last?.cursor === cursor ? last : undefined;
  }

  /** The first entry for which `which` is true. */
  find(which: (entry: Entry) => boolean): Entry | undefined {
    return this.#entries.find(which);
  }

  /** Those that stand after `cursor`. */
  after(cursor: string): Entry[] {
    return this.#entries.slice(this.#indexAfter(cursor));
  }

  /** Takes in what stands after all that it has. */
  append(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    this.#entries.push(...entries);
    const added = entries.reduce((sum, entry) => sum + entry.bytes, 0);
    this.#grown += added;
    this.#resize(added);
  }

  /** Puts another entry, or nothing, where one stands that it has. */
  replace(entry: Entry, by?: Entry): void {
    this.#entries.splice(this.#indexAfter(entry.cursor) - 1, 1, ...by ? [by] : []);
    this.#resize((by?.bytes ?? 0) - entry.bytes);
  }

  /** Lets go of what stands at or before `cursor`. */
  drop(cursor = END): void {
    this.#drop(this.#indexAfter(cursor));
  }

  /** Lets go of the first, until there are at most so many, and of at most so many bytes. */
  bound(most: number, mostBytes: number): void {
    let count = 0;
    let bytes = this.#bytes;
    while (this.#entries.length - count > most || bytes > mostBytes) bytes -= this.#entries[count++]!.bytes;
    this.#drop(count);
  }

  /** Knows nothing up to `start` from now on; whether it did. */
  startAfter(start: string): boolean {
    if (start <= this.from) return false;
    this.from = start;
    return true;
  }

  #drop(count: number): void {
    if (count === 0) return;
    const dropped = this.#entries.splice(0, count);
    this.from = dropped.at(-1)!.cursor;
    this.#resize(-dropped.reduce((sum, entry) => sum + entry.bytes, 0));
  }

  #resize(bytes: number): void {
    this.#bytes += bytes;
    this.resized(bytes);
  }

  /** The index of the first that stands after `cursor`. */
  #indexAfter(cursor: string): number {
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#entries[middle]!.cursor > cursor) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

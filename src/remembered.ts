// What is remembered of all that strangers can make up: in two generations, so that the memory is bounded, and what has come again
// lately stays.

/** Values by their texts: `most` of them for sure, and as many more at most. */
export class Remembered<V> {
  #now = new Map<string, V>();
  #before = new Map<string, V>();

  /** Remembers nothing yet. */
  constructor(private readonly most: number) {}

  /** How many are remembered; what has come again counts twice. */
  get size(): number {
    return this.#now.size + this.#before.size;
  }

  /** What was remembered last under a text. */
  get(text: string): V | undefined {
    const now = this.#now.get(text);
    if (now !== undefined) return now;
    const before = this.#before.get(text);
    if (before !== undefined) this.set(text, before); // it has come again
    return before;
  }

  /** Remembers it, and may forget the older half. */
  set(text: string, value: V): void {
    if (this.#now.size >= this.most) {
      this.#before = this.#now;
      this.#now = new Map();
    }
    this.#now.set(text, value);
  }

  /** Forgets it. */
  delete(text: string): void {
    this.#now.delete(text);
    this.#before.delete(text);
  }
}

// What is remembered of all that strangers can make up: in two generations, so that the memory is bounded, and what has come again
// lately stays.

/** Values by their texts: `most` of them for sure, and as many more at most. */
export class Remembered<V> {
  #now = new Map<string, V>();
  #before = new Map<string, V>();

  /** Remembers nothing yet. */
  constructor(private readonly most: number) {}

  /** What was remembered last under a text. */
  get(text: string): V | undefined {
    return this.#now.get(text) ?? this.#before.get(text);
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

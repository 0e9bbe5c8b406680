// Lines in which nobody waits behind another's crowd. Whoever is next is found by turns: first the clients, then the rooms of each.
// So a client that brings a thousand things waits for itself, and one that brings a single thing waits for one of everybody's.

/** A line that is served from its front. */
export interface Line<T> {
  /** How many wait. */
  readonly length: number;
  /** What they weigh together. */
  readonly weight: number;
  /** The next. */
  peek(): T | undefined;
  /** To its end. */
  push(item: T): void;
  /** Takes the next. */
  shift(): T | undefined;
  /** Takes the newest of the heaviest line. */
  pop(): T | undefined;
  /** Takes from its front all that are over. */
  shiftWhile(isOver: (item: T) => boolean): T[];
}

/** How a line is parted. */
export interface TurnsOptions<T> {
  /** Whose turn it is, from the outermost: a client, then a room. */
  readonly keys: readonly ((item: T) => string)[];
  /** What an item weighs where the heaviest line is looked for; 1 if not given. */
  readonly weigh?: (item: T) => number;
}

/** Lines by key, of which each gives one in turn. */
export class Turns<T> implements Line<T> {
  readonly #lines = new Map<string, Line<T>>();
  /** Whose turns come, with lines that have become empty meanwhile. */
  readonly #order: Fifo<{ readonly key: string; readonly line: Line<T> }> = new Fifo(() => 1);
  readonly #keyOf: (item: T) => string;
  readonly #inner: Required<TurnsOptions<T>>;
  length = 0;
  weight = 0;

  /** Nobody waits. */
  constructor({ keys: [keyOf, ...keys], weigh = () => 1 }: TurnsOptions<T>) {
    this.#keyOf = keyOf!;
    this.#inner = { keys, weigh };
  }

  /** How many wait in the line of these keys, the outermost first. */
  lengthOf([key, ...keys]: readonly string[]): number {
    const line = this.#lines.get(key!);
    return line instanceof Turns && keys.length > 0 ? line.lengthOf(keys) : line?.length ?? 0;
  }

  /** The next. */
  peek(): T | undefined {
    while (this.#order.peek()?.line.length === 0) this.#order.shift();
    return this.#order.peek()?.line.peek();
  }

  /** To the end of its line. */
  push(item: T): void {
    const key = this.#keyOf(item);
    let line = this.#lines.get(key);
    if (!line) {
      line = this.#inner.keys.length > 0 ? new Turns(this.#inner) : new Fifo(this.#inner.weigh);
      this.#lines.set(key, line);
      this.#order.push({ key, line });
    }
    line.push(item);
    this.length++;
    this.weight += this.#inner.weigh(item);
  }

  /** Takes the next. */
  shift(): T | undefined {
    if (this.peek() === undefined) return undefined;
    const turn = this.#order.shift()!;
    const item = turn.line.shift()!;
    if (turn.line.length > 0) this.#order.push(turn);
    else this.#lines.delete(turn.key);
    return this.#taken(item);
  }

  /** Takes the newest of the heaviest line: who has brought most is the one to be turned away. */
  pop(): T | undefined {
    let heaviest: { key: string; line: Line<T> } | undefined;
    for (const [key, line] of this.#lines) {
      if (!heaviest || line.weight >= heaviest.line.weight) heaviest = { key, line };
    }
    if (!heaviest) return undefined;
    const item = heaviest.line.pop()!;
    if (heaviest.line.length === 0) this.#lines.delete(heaviest.key);
    return this.#taken(item);
  }

  /** Takes from the front of each line all that are over, whoever's turn it is. */
  shiftWhile(isOver: (item: T) => boolean): T[] {
    const taken: T[] = [];
    for (const [key, line] of this.#lines) {
      for (const item of line.shiftWhile(isOver)) taken.push(this.#taken(item));
      if (line.length === 0) this.#lines.delete(key);
    }
    return taken;
  }

  #taken(item: T): T {
    this.length--;
    this.weight -= this.#inner.weigh(item);
    return item;
  }
}

/** How many that have gone a line keeps the places of. */
const MAX_GONE = 100;

/** First come, first served. */
class Fifo<T> implements Line<T> {
  #items: T[] = [];
  /** Where the first one stands; what is before it has gone. An array that gives up its first item moves all the others. */
  #first = 0;
  weight = 0;

  constructor(private readonly weigh: (item: T) => number) {}

  get length(): number {
    return this.#items.length - this.#first;
  }

  peek(): T | undefined {
    return this.#items[this.#first];
  }

  push(item: T): void {
    this.#items.push(item);
    this.weight += this.weigh(item);
  }

  shift(): T | undefined {
    if (this.length === 0) return undefined;
    const item = this.#items[this.#first]!;
    this.#items[this.#first++] = undefined as T; // else its place would keep it
    if (this.#first >= MAX_GONE || this.#first === this.#items.length) {
      this.#items.splice(0, this.#first);
      this.#first = 0;
    }
    this.weight -= this.weigh(item);
    return item;
  }

  pop(): T | undefined {
    if (this.length === 0) return undefined;
    const item = this.#items.pop()!;
    this.weight -= this.weigh(item);
    return item;
  }

  shiftWhile(isOver: (item: T) => boolean): T[] {
    const taken: T[] = [];
    while (this.length > 0 && isOver(this.peek()!)) taken.push(this.shift()!);
    return taken;
  }
}

// The edits and deletions of a room's messages, as far as its feed knows them: those that came while it was there, each with its message as
// it is now; the newest of all, by which it finds out that the database has lost some; and own ones to which it has not come yet.
import { cursorAt, NIL, placeOf } from "./cursor.ts";
import type { KnownChange } from "./sql/head.ts";
import type { Entry } from "./page.ts";
import { Tail } from "./tail.ts";

/** Changes that a feed keeps: who has missed more asks the database. */
const MAX_CHANGES = 1_000;

/**
 * Changes by which a feed finds out that the database has lost some: of so many messages the last. The loss shows while one of them has
 * not been changed once more.
 */
const CHANGES_LOOKED_AT = 20;

/** The changes that a feed knows of. */
export class Changes {
  /** It begins after a place. */
  readonly #tail: Tail;
  #newest = NIL;
  #lookedAt: readonly KnownChange[] = [];
  #ahead: readonly KnownChange[] = [];

  /** None yet. `resized` is told by how many bytes they grow or shrink. */
  constructor(resized: (bytes: number) => void) {
    this.#tail = new Tail(placeOf(NIL), resized);
  }

  /** The cursor at the newest that came while the feed was there. */
  get newest(): string {
    return this.#newest;
  }

  /** A cursor behind all that are known. */
  get end(): string {
    const start = cursorAt(placeOf(this.#tail.start));
    return this.#newest > start ? this.#newest : start;
  }

  /** The newest that are known, ascending; those too with which messages came. */
  get lookedAt(): readonly KnownChange[] {
    return this.#lookedAt;
  }

  /** Own changes to which the feed has not come yet. */
  get ahead(): readonly KnownChange[] {
    return this.#ahead;
  }

  /** Bytes of JSON that they hold. */
  get bytes(): number {
    return this.#tail.bytes;
  }

  /** Bytes of JSON that they have held since their beginning. */
  get grown(): number {
    return this.#tail.grown;
  }

  /** Whether all that stand after `cursor` are there. */
  knows(cursor: string): boolean {
    return this.#tail.knows(cursor);
  }

  /** Those that stand after `cursor`. */
  after(cursor: string): Entry[] {
    return this.#tail.after(cursor);
  }

  /** Those at or before `place` are not known. */
  startAfter(place: string): void {
    this.#tail.startAfter(place);
  }

  /** Takes in a change; not where it is known, or a later one of its message. */
  take(change: Entry): boolean {
    if (change.cursor <= this.#newest) return false; // own commits and a look that ran beside them overlap
    // The message was read as it is after a later change, which comes with the next page.
    if (this.#lookedAt.some(({ id, cursor }) => id === change.id && cursor > change.cursor)) return false;
    this.#newest = change.cursor;
    this.remember([change]);
    const before = this.#tail.find(({ id }) => id === change.id); // which has moved on
    if (before) this.#tail.replace(before);
    this.#tail.append([change]);
    return true;
  }

  /** Keeps in mind which of these were changed: also messages whose change comes only with the next page. */
  remember(entries: readonly Entry[]): void {
    const changed = entries.filter((entry) => entry.changed !== null);
    if (changed.length === 0) return;
    const ids = new Set(changed.map(({ id }) => id));
    const others = this.#lookedAt.filter(({ id }) => !ids.has(id));
    this.#lookedAt = [...others, ...changed.map(({ id, changed }) => ({ id, cursor: changed! }))]
      .sort((a, b) => a.cursor < b.cursor ? -1 : 1).slice(-CHANGES_LOOKED_AT);
  }

  /** An own change was committed to which the feed has not come. */
  expect({ id, cursor }: Entry): void {
    this.#ahead = [...this.#ahead.filter((change) => change.id !== id), { id, cursor }];
  }

  /** The feed has come to `place`. */
  reach(place: string): void {
    this.#ahead = this.#ahead.filter(({ cursor }) => placeOf(cursor) > place);
  }

  /** Whether one of these was changed since {@linkcode end} was `since`; also where nobody knows any more. */
  haveTouched(entries: readonly Entry[], since: string): boolean {
    if (this.#ahead.some((change) => entries.some((entry) => isOlder(entry, change)))) return true;
    if (this.end === since) return false;
    if (!this.knows(since)) return true;
    const ids = new Set(this.after(since).map(({ id }) => id));
    return entries.some(({ id }) => ids.has(id));
  }

  /** Lets go of those that have a message as it was before an own change ahead, and of all that stand before these. */
  letGoOfOlder(): void {
    for (const change of this.#ahead) {
      const old = this.#tail.find((entry) => isOlder(entry, change));
      if (old) this.#tail.drop(old.cursor);
    }
  }

  /** Lets go of the first, where there are more than may be. */
  bound(mostBytes: number): void {
    this.#tail.bound(MAX_CHANGES, mostBytes);
  }

  /** Whether {@linkcode trim} would have it know less. */
  reachesBefore(mark: string): boolean {
    return placeOf(mark) > this.#tail.start;
  }

  /** Lets go of those at or before `mark`, and does not know any more which there were; whether it did. */
  trim(mark: string): boolean {
    this.#tail.drop(mark);
    // Their rows are gone, or about to be, and may have been changed for that all at once: they tell nothing of a loss any more.
    this.#lookedAt = this.#lookedAt.filter(({ cursor }) => cursor > mark);
    return this.#tail.startAfter(placeOf(mark));
  }

  /** Lets go of all. */
  forget(): void {
    this.#tail.drop();
  }
}

/** Whether an entry has a message as it was before a change. */
export function isOlder({ id, changed }: Entry, change: KnownChange): boolean {
  return id === change.id && (changed ?? NIL) < change.cursor;
}

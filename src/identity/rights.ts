// What somebody may do, and in which rooms. A list of rooms has their names, and beginnings of names with `*` at the very end; no
// room has a `*` in its name, so nothing needs escaping, and nothing is ever searched or compiled.
import { isRoom } from "../chat/message.ts";

/** What can be allowed in a room. */
export type Right = "read" | "write" | "moderate";

/** Most entries in one list: a token has to fit a header. */
export const MAX_PATTERNS = 100;

/** Whether a text is a room's name, or the beginning of one with `*` at its end. */
export function isPattern(text: string): boolean {
  return text.endsWith("*") ? /^[A-Za-z0-9._~-]{0,64}$/.test(text.slice(0, -1)) : isRoom(text);
}

/** A list of rooms. */
export class RoomList {
  /** The rooms that are named outright. */
  readonly names: ReadonlySet<string>;
  /** Sorted, and none of them begins with another: that one says all that it says. */
  readonly #beginnings: readonly string[];

  /** Takes what {@linkcode isPattern} takes. */
  constructor(patterns: readonly string[]) {
    this.names = new Set(patterns.filter((pattern) => !pattern.endsWith("*")));
    const beginnings: string[] = [];
    const all = patterns.filter((pattern) => pattern.endsWith("*")).map((pattern) => pattern.slice(0, -1));
    for (const beginning of all.sort()) {
      if (beginnings.length === 0 || !beginning.startsWith(beginnings.at(-1)!)) beginnings.push(beginning);
    }
    this.#beginnings = beginnings;
  }

  /** Whether the room is in it; a list of rooms asks this a thousand times. */
  has(room: string): boolean {
    if (this.names.has(room)) return true;
    let [from, to] = [0, this.#beginnings.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (this.#beginnings[middle]! <= room) from = middle + 1;
      else to = middle;
    }
    // The last that is not after the room is the only one with which it can begin: any in between would begin with that one, too.
    return from > 0 && room.startsWith(this.#beginnings[from - 1]!);
  }
}

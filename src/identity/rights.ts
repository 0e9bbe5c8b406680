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
  readonly #beginnings: readonly string[];

  /** Takes what {@linkcode isPattern} takes. */
  constructor(patterns: readonly string[]) {
    this.names = new Set(patterns.filter((pattern) => !pattern.endsWith("*")));
    this.#beginnings = patterns.filter((pattern) => pattern.endsWith("*")).map((pattern) => pattern.slice(0, -1));
  }

  /** Whether the room is in it. */
  has(room: string): boolean {
    return this.#beginnings.some((beginning) => room.startsWith(beginning)) || this.names.has(room);
  }
}

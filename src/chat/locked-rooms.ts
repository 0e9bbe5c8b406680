// Rooms whose head rows another transaction keeps locked: an import, somebody at psql. To find that out takes a second, in which all other
// posts and changes wait. So these rooms are left alone for as long as that has gone on, and then one of them is tried, by itself.
import { DatabaseError } from "../database/client.ts";

/** How long they are left alone between two tries, at most, in milliseconds. */
const ALONE_MS = 8_000;

/** After how long without a try, in milliseconds, what was found before says nothing any more. */
const FORGOTTEN_MS = 60_000;

/** The locked rooms of one process. */
export class LockedRooms {
  /** When each was first found to be locked. */
  readonly #since = new Map<string, number>();
  /** When the next of them is tried. */
  #next = -Infinity;

  /** None is locked; `now` is a clock in milliseconds that never jumps. */
  constructor(private readonly now: () => number = () => performance.now()) {}

  /** Whether a room was locked when it was last tried: what is for it must not take others along. */
  has(room: string): boolean {
    return this.#since.has(room);
  }

  /** Whether a room is not to be tried now. */
  isLeftAlone(room: string): boolean {
    return this.has(room) && this.now() < this.#next;
  }

  /** A room was tried by itself, and is locked. When that is first found it can have been for a moment: the next try comes at once. */
  found(room: string): void {
    const now = this.now();
    if (now - this.#next > FORGOTTEN_MS) this.#since.clear();
    const since = this.#since.get(room) ?? now;
    this.#since.set(room, since);
    this.#next = Math.max(this.#next, now + Math.min(now - since, ALONE_MS));
  }

  /** A statement for a room has succeeded. Whoever had locked it can have let go of others, too. */
  free(room: string): void {
    if (this.#since.delete(room)) this.#next = this.now();
  }
}

/** Lock not available, statement timeout: another has locked a row of the statement, as a rule the head of a room. */
export function isLockedOut(error: unknown): boolean {
  return error instanceof DatabaseError && (error.code === "55P03" || error.code === "57014");
}

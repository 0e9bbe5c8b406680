// Who asks, and what he may. An identity is made once for a token, and kept with it: what it may costs a comparison then.
import { forbidden } from "../problem.ts";
import type { Right, RoomList } from "./rights.ts";

/** The cause of a refusal that may be none later, with the same token: its time has not come, or its key is not known yet. */
export const NOT_YET: Error = new Error("It may hold later");

/** What an identity is made of. */
export interface IdentityParts {
  /** The token's subject; null without a token. */
  readonly sub: string | null;
  /** The author of what it posts; null where that is the message's own affair. */
  readonly name: string | null;
  /** When it ends, in milliseconds since 1970. */
  readonly until: number;
  /** The rooms in which it has each right. */
  readonly rooms: Readonly<Record<Right, RoomList>>;
  /** Who has no token: whoever has one may do the same, and what his token says besides. */
  readonly anybody?: Identity | undefined;
}

/** Somebody who asks. */
export class Identity {
  /** Who posts. */
  readonly sub: string | null;
  /** What he is called. */
  readonly name: string | null;
  /** When his token ends, in milliseconds since 1970. */
  readonly until: number;
  readonly #rooms: Readonly<Record<Right, RoomList>>;
  readonly #anybody: Identity | undefined;

  /** Puts it together. */
  constructor({ sub, name, until, rooms, anybody }: IdentityParts) {
    this.sub = sub;
    this.name = name;
    this.until = until;
    this.#rooms = rooms;
    this.#anybody = anybody;
  }

  /** Whether it has a right in a room. */
  may(right: Right, room: string): boolean {
    return this.#rooms[right].has(room) || this.#anybody?.may(right, room) === true;
  }

  /**
   * Goes on where it has the right.
   * @throws {Problem} 403 where it has not, whether there is such a room or not; 401 where a token could help.
   */
  demand(right: Right, room: string): void {
    if (!this.may(right, room)) throw forbidden(right, this.sub !== null);
  }

  /** The rooms that it may read and that are named outright. */
  get named(): Iterable<string> {
    return [...this.#rooms.read.names, ...this.#anybody?.named ?? []];
  }
}

// How far each room has come, as far as this process has seen, given out, or heard. The head row of a room sees to it that ids grow; but a
// database that comes back without its last messages (an asynchronous standby, a backup) has a head that is behind, and with a
// clock that is behind too it would give out ids below those that readers have for a cursor. So a post carries what its server
// knows, and the head never falls below that.
import { Remembered } from "../remembered.ts";

/** Rooms that are remembered for sure: those that moved last, or were read. 1 MB; a room that is forgotten has only its head row. */
const MAX_ROOMS = 10_000;

/** The newest times of rooms. */
export class Floors {
  readonly #rooms = new Remembered<number>(MAX_ROOMS);

  /** The newest time known of a room, in milliseconds since 1970; 0 when none is. */
  of(room: string): number {
    return this.#rooms.get(room) ?? 0;
  }

  /** The room has been seen, read, or heard of, at the time `ms`. */
  raise(room: string, ms: number): void {
    if (ms > this.of(room)) this.#rooms.set(room, ms);
  }
}

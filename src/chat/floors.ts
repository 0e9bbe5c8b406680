// How far each room has come, as far as this process has seen or heard. The head row of a room sees to it that ids grow; but a
// database that comes back without its last messages (an asynchronous standby, a backup) has a head that is behind, and with a
// clock that is behind too it would give out ids below those that readers have for a cursor. So a post carries what its server
// knows, and the head never falls below that.
import { timeOf } from "./cursor.ts";

/** Rooms that are remembered: those that moved last. 1 MB; a room that is forgotten has only its head row. */
const MAX_ROOMS = 10_000;

/** The newest times of rooms. */
export class Floors {
  // In the order of their last movement.
  readonly #rooms = new Map<string, number>();

  /** The time in the newest place known, in milliseconds since 1970; 0 when none is. */
  of(room: string): number {
    return this.#rooms.get(room) ?? 0;
  }

  /** `place`, or an id there, has been seen or heard of. */
  raise(room: string, place: string): void {
    const ms = Math.max(timeOf(place), this.of(room));
    if (ms === 0) return;
    this.#rooms.delete(room);
    this.#rooms.set(room, ms);
    if (this.#rooms.size > MAX_ROOMS) this.#rooms.delete(this.#rooms.keys().next().value!);
  }
}

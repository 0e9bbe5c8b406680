// How far each room has come, as far as this process has seen, given out, or heard. The head row of a room sees to it that ids grow; but a
// database that comes back without its last messages (an asynchronous standby, a backup) has a head that is behind, and with a
// clock that is behind too it would give out ids below those that readers have for a cursor. So a post carries what its server
// knows, and the head never falls below that.

/** Rooms that are remembered for sure: those that moved last, or were read. 1 MB; a room that is forgotten has only its head row. */
const MAX_ROOMS = 10_000;

/** The newest times of rooms. */
export class Floors {
  // Two generations, since a room that moves is set again and again: nothing is moved for that.
  #rooms = new Map<string, number>();
  #before = new Map<string, number>();

  /** The newest time known of a room, in milliseconds since 1970; 0 when none is. */
  of(room: string): number {
    return this.#rooms.get(room) ?? this.#before.get(room) ?? 0;
  }

  /** The room has been seen, read, or heard of, at the time `ms`. */
  raise(room: string, ms: number): void {
    const known = this.#rooms.get(room);
    if (known !== undefined && known >= ms || ms === 0) return;
    if (known === undefined && this.#rooms.size >= MAX_ROOMS) {
      this.#before = this.#rooms;
      this.#rooms = new Map();
    }
    this.#rooms.set(room, Math.max(ms, known ?? this.of(room)));
  }
}

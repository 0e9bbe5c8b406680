// Rooms that a post begins. Each stays for ever and takes a line in the list of rooms, so a client may begin some and not thousands. A
// room of which this process has heard is there; of another, only the database can say, and it is asked only when it matters, in turn.
import type { Allowance } from "../allowance.ts";
import { seqOf } from "./cursor.ts";
import type { Floors } from "./floors.ts";
import type { Reader } from "./reader.ts";
import type { Store } from "./store.ts";
import type { Posted } from "./writer.ts";

/** Counts the rooms that clients begin. */
export class NewRooms {
  /** Asks nothing by itself. */
  constructor(
    private readonly store: Pick<Store, "hasBegun">,
    private readonly floors: Floors,
    private readonly reader: Pick<Reader, "run">,
  ) {}

  /**
   * Posts; a room that the post begins is counted.
   * @throws {Problem} 429 when there is no such room, and the client has begun as many as it may.
   * @throws whatever `post` throws.
   */
  counted(room: string, allowance: Allowance, post: () => Promise<Posted>): Promise<Posted> {
    return allowance.unlimited || this.floors.of(room) > 0 ? post() : this.#counted(room, allowance, post);
  }

  async #counted(room: string, allowance: Allowance, post: () => Promise<Posted>): Promise<Posted> {
    if (!allowance.mayBeginRoom()) {
      if (await this.#isThere(room, allowance)) return await post();
      allowance.beginRoom(); // refuses, unless there is one again
    }
    let began = false;
    try {
      const posted = await post();
      began = seqOf(posted.entry.id) === 1 && !posted.replayed;
      return posted;
    } finally {
      if (!began) allowance.roomWasThere();
    }
  }

  /** It is no read of the client's: he has asked for none, and those that he may have are not for his posts. */
  #isThere(room: string, allowance: Allowance): Promise<boolean> {
    const look = async () => this.floors.of(room) > 0 || await this.store.hasBegun(room); // heard of while it waited
    return this.reader.run(allowance, room, look, 0);
  }
}

// The places of those who wait: polls and event streams. There is a number of them in a process and for each client; and the last tenth
// is for clients that have none yet, so that a few who hold many don't keep everybody else out.
import type { Allowance } from "../allowance.ts";
import { unavailable } from "../problem.ts";

/** What part of all places is kept for clients that have none. */
const KEPT = 0.1;

/** The places of one process. */
export class Places {
  #polls = 0;
  #streams = 0;

  /** All of them are free. */
  constructor(private readonly most: number) {}

  /** Polls that wait. */
  get polls(): number {
    return this.#polls;
  }

  /** Event streams that are open. */
  get streams(): number {
    return this.#streams;
  }

  /**
   * Takes a place; who does must {@linkcode leave}.
   * @throws {Problem} 503 where none is left, 429 where the client has as many as it may.
   */
  enter(kind: "poll" | "stream", allowance: Allowance): void {
    const kept = allowance.holds ? Math.floor(this.most * KEPT) : 0;
    if (this.#polls + this.#streams >= this.most - kept) {
      throw unavailable("Too many clients wait on this server").heldBack();
    }
    allowance.enter(kind);
    if (kind === "poll") this.#polls++;
    else this.#streams++;
  }

  /** Gives it back. */
  leave(kind: "poll" | "stream", allowance: Allowance): void {
    allowance.leave(kind);
    if (kind === "poll") this.#polls--;
    else this.#streams--;
  }
}

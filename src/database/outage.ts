// A database that fails fails every statement; the log is told once that it does, and once that it answers again.
import { log } from "../log.ts";

/** Shortest time between two lines about failures, in milliseconds: connections that flap would fill the log. */
const QUIET_MS = 10_000;

/** The failures of one kind of statements. */
export class Outage {
  #failures = 0;
  #said = -Infinity;
  #told = false;

  /** `what` names the statements. */
  constructor(private readonly what: string) {}

  /** A statement failed. */
  failed(code: string, cause: unknown): void {
    this.#failures++;
    const now = performance.now();
    if (now - this.#said < QUIET_MS) return;
    this.#said = now;
    this.#told = true;
    log("error", `The database fails (${this.what})`, { code, failures: this.#failures, cause: `${cause}` });
  }

  /** A statement succeeded. */
  succeeded(): void {
    if (this.#told) log("info", `The database answers again (${this.what})`, { failures: this.#failures });
    this.#told = false;
    this.#failures = 0;
  }
}

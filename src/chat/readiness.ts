// Whether posts can be stored, for those who send clients here or elsewhere. Where posts are being stored that is known;
// else the connection that stores them is asked, once a second for all who want to know, so that asking takes no post its place.
import { DatabaseError } from "../database/client.ts";
import { type Problem, unavailable } from "../problem.ts";
import type { Store } from "./store.ts";
import type { Writer } from "./writer.ts";

/** How long a post that was stored, or an answer, says whether the next one can be, in milliseconds. */
const FRESH_MS = 1_000;

/**
 * How long a post that the database refused says that it would refuse the next one, in milliseconds. A full disk lets itself
 * be asked, so only a post can tell that there is room again; and none comes to a server that says it is not ready.
 */
const DOUBT_MS = 10_000;

/** Knows whether posts can be stored. */
export class Readiness {
  #answeredAt = -Infinity;
  #refusal: { readonly problem: Problem; readonly at: number } | undefined;
  #asking: Promise<void> | undefined;

  /** Asks nothing yet. */
  constructor(
    private readonly store: Pick<Store, "checkWritable" | "waitsForStandby">,
    private readonly writer: Pick<Writer, "last">,
    private readonly clock: () => number = () => performance.now(),
  ) {}

  /**
   * Resolves if they can.
   * @throws {Problem} 503.
   */
  async check(): Promise<void> {
    const { outcome, at } = this.writer.last;
    const now = this.clock();
    if (outcome === "refused" && now - at < DOUBT_MS) throw unavailable("The database takes no posts");
    const knownAt = this.#answeredAt > at ? this.#answeredAt : outcome === "stored" ? at : -Infinity;
    if (now - knownAt < FRESH_MS) return;
    if (this.#refusal && this.#refusal.at > knownAt && now - this.#refusal.at < FRESH_MS) throw this.#refusal.problem;
    await (this.#asking ??= this.#ask());
  }

  async #ask(): Promise<void> {
    try {
      await this.store.checkWritable();
      // That commits nothing, so it waits for no standby. A post that did is lost when its time is up, and so would be the next.
      if (this.writer.last.outcome === "lost" && await this.store.waitsForStandby()) {
        throw this.#refuse("The database waits for its standby");
      }
      this.#answeredAt = this.clock();
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
      throw this.#refuse(
        error.fate === "rolled-back" ? "The database takes no posts" : "The database can't be reached",
      );
    } finally {
      this.#asking = undefined;
    }
  }

  #refuse(sentence: string): Problem {
    this.#refusal = { problem: unavailable(sentence), at: this.clock() };
    return this.#refusal.problem;
  }
}

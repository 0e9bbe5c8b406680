// @ts-check
// Goes on where the answer was no. What says no need not be Linger, and need not go on to: a proxy whose session has run out, a
// router that knows of no server for the moment. So one asks again, more and more slowly, and at once when somebody comes back to the page.
import { cursorAfter, LingerError } from "../client/client.ts";

/** The first pause and the longest, in milliseconds. */
const FIRST_MS = 2_000;
const LONGEST_MS = 60_000;

/** Who was let in for so long, in milliseconds, is not refused again but anew. */
const LASTED_MS = 60_000;

export class Patience {
  #signal;
  #refused;
  #accepted;

  /**
   * @param {AbortSignal} signal Ends it.
   * @param {(error: LingerError, retryAt: number) => void} refused Is told of each refusal, and when it is tried again, in milliseconds since 1970.
   * @param {() => void} [accepted] Is told when something is done that was refused before.
   */
  constructor(signal, refused, accepted = () => {}) {
    this.#signal = signal;
    this.#refused = refused;
    this.#accepted = accepted;
  }

  /** Does something until it is not refused. @template T @param {() => Promise<T>} attempt @returns {Promise<T>} */
  async until(attempt) {
    for (let refusals = 0;; refusals++) {
      try {
        const done = await attempt();
        if (refusals > 0) this.#accepted();
        return done;
      } catch (error) {
        await this.#pause(error, refusals);
      }
    }
  }

  /**
   * Follows from a cursor, and after a refusal from where it was.
   * @template {import("../client/client.ts").Message | import("../client/client.ts").Deletion} News
   * @param {string} after
   * @param {(after: string) => AsyncIterable<News>} follow
   */
  async *follow(after, follow) {
    for (let refusals = 0;; refusals++) {
      const begun = performance.now();
      try {
        for await (const news of follow(after)) {
          after = cursorAfter(after, news);
          yield news;
        }
        return;
      } catch (error) {
        if (performance.now() - begun >= LASTED_MS) refusals = 0;
        await this.#pause(error, refusals);
      }
    }
  }

  /** @param {unknown} error @param {number} refusals */
  async #pause(error, refusals) {
    if (!(error instanceof LingerError)) throw error;
    this.#signal.throwIfAborted();
    const ms = Math.min(FIRST_MS * 2 ** refusals, LONGEST_MS) * (1 - Math.random() / 4);
    this.#refused(error, Date.now() + ms);
    await new Promise((resolve) => {
      const ended = new AbortController();
      const { signal } = ended;
      const end = () => {
        clearTimeout(timer);
        ended.abort();
        resolve(undefined);
      };
      const timer = setTimeout(end, ms);
      for (const type of ["focus", "online"]) addEventListener(type, end, { signal });
      document.addEventListener("visibilitychange", () => document.hidden || end(), { signal });
      this.#signal.addEventListener("abort", end, { signal });
    });
    this.#signal.throwIfAborted();
  }
}

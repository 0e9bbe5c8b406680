// Further threads that serve, so that more than one core can. Each is a server of its own on the same port, with feeds and
// connections of its own; news gets from one to the other as it does between any two servers, by way of the database. So
// nothing has to be said between them but when to start and when to drain.
import type { Config } from "./config.ts";
import { within } from "./sleep.ts";

/** What a thread is told, each once. */
export type Order = { readonly start: ThreadStart } | { readonly drain: true };

/** What a thread tells: it has done as told; or nobody can come in to it any more. */
export type Report = "done" | "lost";

/** What a thread needs to start. */
export interface ThreadStart {
  /**
   * The settings, with the port that is already open.
   * @internal
   */
  readonly config: Config;
  /** The database's Unix socket, where it is our own. */
  readonly socket: string | undefined;
}

/** The threads beside the first. */
export class Threads {
  private constructor(private readonly workers: readonly Worker[]) {}

  /**
   * Starts as many threads as are to serve beside this one; resolves when all of them do. `lost` is told when one of them has
   * lost the port for good.
   * @throws when one of them can't.
   */
  static async start(start: ThreadStart, lost: () => void): Promise<Threads> {
    const threads = new Threads(
      Array.from(
        { length: start.config.THREADS - 1 },
        () => new Worker(import.meta.resolve("./thread.ts"), { type: "module" }),
      ),
    );
    await threads.#order({ start }, lost);
    for (const worker of threads.workers) {
      worker.onerror = null; // what fails from now on is uncaught, and logged as such
    }
    return threads;
  }

  /** Drains them; resolves when they are gone, after `ms` milliseconds at the latest. */
  async drain(ms: number): Promise<void> {
    await within(this.#order({ drain: true }, () => {}), ms);
    for (const worker of this.workers) worker.terminate();
  }

  /** Resolves when all have done as told. Whether before that or later: `lost` is told when one has lost the port. */
  async #order(order: Order, lost: () => void): Promise<void> {
    await Promise.all(this.workers.map((worker) =>
      new Promise<void>((resolve, reject) => {
        worker.onmessage = ({ data }: MessageEvent<Report>) => data === "done" ? resolve() : lost();
        worker.onerror = (event) => {
          event.preventDefault();
          reject(new Error(`A thread failed: ${event.message}`));
        };
        worker.postMessage(order);
      })
    ));
  }
}

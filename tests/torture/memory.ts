// Watches the memory of the servers: it may go up and down, but must not be higher at the end than it was.
import type { Server } from "./world.ts";

const EVERY_MS = 2_000;

/** How much higher the last third of a run may be than its first, as a share. */
const GROWTH_LIMIT = 0.3;

/** Runs that are shorter say nothing: a process takes some time to reach its size. */
const MIN_SAMPLES = 90;

/** Samples of resident memory, in MB, of the largest server at each moment. */
export class MemoryWatch {
  readonly #samples: number[] = [];
  readonly #timer: ReturnType<typeof setInterval>;

  /** Begins to watch. */
  constructor(servers: readonly Server[]) {
    this.#timer = setInterval(() => {
      const sizes = servers.map((server) => resident(server)).filter((size) => size !== undefined);
      if (sizes.length > 0) this.#samples.push(Math.max(...sizes));
    }, EVERY_MS);
  }

  /** Ends, and returns what is wrong. */
  stop(): string[] {
    clearInterval(this.#timer);
    const [first, , last] = this.#thirds();
    const grown = this.#samples.length >= MIN_SAMPLES && last! > first! * (1 + GROWTH_LIMIT);
    return grown ? [`Memory grew from ${first} MB to ${last} MB`] : [];
  }

  /** The largest size in each third of the run. */
  report(): string {
    return `${this.#thirds().map((size) => `${size} MB`).join(", ")} at most in each third of the run`;
  }

  #thirds(): number[] {
    const third = Math.ceil(this.#samples.length / 3);
    return [0, 1, 2].map((i) => Math.max(0, ...this.#samples.slice(i * third, (i + 1) * third)));
  }
}

function resident(server: Server): number | undefined {
  try {
    const status = Deno.readTextFileSync(`/proc/${server.pid}/status`);
    return Math.round(Number(status.match(/VmRSS:\s+(\d+)/)![1]) / 1024);
  } catch {
    return undefined; // it is not running at the moment
  }
}

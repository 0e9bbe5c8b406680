// Watches the memory of the servers. Whatever comes and goes, a server holds what it needs by itself and something for each
// reader; what it holds beyond that for long, it has forgotten to let go of.
import type { Server } from "./world.ts";

const EVERY_MS = 5_000;

/** So many samples in a row are above the bound where memory leaks: half a minute. While a fault lasts, some may be. */
const IN_A_ROW = 6;

/** More than a server holds without readers, in MB: 14 to 19 with its code, the tails of its rooms, and posts under way. */
const OWN_MB = 24;

/** More than a server holds for each reader, in MB. */
const READER_MB = 0.008;

/** One process at one moment. */
interface Sample {
  /** Memory in use, without garbage, in MB. */
  readonly live: number;
  /** Pollers and subscribers that wait on it. */
  readonly readers: number;
}

/** Samples of all processes. */
export class MemoryWatch {
  /** By the process, with the name of its server. */
  readonly #samples = new Map<string, Sample[]>();
  readonly #timer: ReturnType<typeof setInterval>;
  #resident = 0;

  /** Begins to watch. */
  constructor(servers: readonly Server[]) {
    this.#timer = setInterval(() => servers.forEach((server) => this.#take(server)), EVERY_MS);
  }

  async #take(server: Server): Promise<void> {
    try {
      const { pid, live, resident } = server.memory();
      const answer = await fetch(`${server.direct}/healthz`, { signal: AbortSignal.timeout(EVERY_MS) });
      const { waiters, subscribers } = await answer.json();
      const key = `${server.name} (${pid})`;
      const samples = this.#samples.get(key) ?? [];
      this.#samples.set(key, [...samples, { live, readers: waiters + subscribers }]);
      this.#resident = Math.max(this.#resident, resident);
    } catch { /* it is not running at the moment, or not able to say */ }
  }

  /** Ends, and returns what is wrong. */
  stop(): string[] {
    clearInterval(this.#timer);
    return [...this.#samples].flatMap(([process, samples]) => {
      const least = leak(samples);
      return least ? [`${process} went on holding ${words(least)}`] : [];
    });
  }

  /** The most there was. */
  report(): string {
    const all = [...this.#samples.values()].flat().sort((a, b) => b.live - a.live);
    return `${all[0] ? words(all[0]) : "unknown"} in use at most, ${this.#resident} MB resident at most`;
  }
}

/** The least of the samples in the last row of those that are above the bound for too long; undefined where none are. */
export function leak(samples: readonly Sample[]): Sample | undefined {
  let found: Sample | undefined;
  let row: Sample[] = [];
  for (const sample of samples) {
    row = sample.live > OWN_MB + READER_MB * sample.readers ? [...row, sample].slice(-IN_A_ROW) : [];
    if (row.length === IN_A_ROW) found = row.toSorted((a, b) => a.live - b.live)[0];
  }
  return found;
}

function words({ live, readers }: Sample): string {
  return `${live} MB for ${readers} readers`;
}

// Many pollers at once, each so light that thousands fit: instead of keeping what they are given, they check at once
// that every message has the number after the one before it.
import { seqOf } from "../../src/chat/cursor.ts";
import { pause, type Target } from "./clients.ts";

/** The room that the crowd follows. */
export const CROWD_ROOM = "crowd";

/** A crowd of pollers. */
export class Crowd {
  delivered = 0;
  failed = 0;
  readonly violations: string[] = [];
  readonly #client = Deno.createHttpClient({ poolMaxIdlePerHost: 10_000 });
  readonly #pollers: Promise<void>[];
  #end: string | undefined;

  /** Sets `count` pollers going, who change servers when a request fails. */
  constructor(
    private readonly servers: readonly Target[],
    count: number,
    private readonly losses: readonly unknown[],
  ) {
    this.#pollers = Array.from({ length: count }, (_, i) => this.#follow(i));
  }

  /** Resolves when all have read up to the message `id`. */
  async readTo(id: string): Promise<void> {
    this.#end = id;
    await Promise.all(this.#pollers);
    this.#client.close();
  }

  async #follow(i: number): Promise<void> {
    let cursor: string | undefined;
    for (let n = i; this.#end === undefined || cursor === undefined || cursor < this.#end; n++) {
      const { url } = this.servers[n % this.servers.length]!;
      const query = cursor === undefined ? "after=now&wait=0" : `after=${cursor}&wait=25&limit=1000`;
      try {
        const response = await fetch(`${url}/rooms/${CROWD_ROOM}/messages?${query}`, { client: this.#client });
        const messages: { id: string }[] = await response.json();
        if (!response.ok) throw new Error(`${response.status}`);
        cursor ??= response.headers.get("link")!.match(/after=([^&>]+)/)![1]!;
        for (const { id } of messages) {
          // What the database has lost is followed by the same numbers again.
          const next = seqOf(cursor) + 1;
          if (this.losses.length > 0 ? seqOf(id) > next || id <= cursor : seqOf(id) !== next) {
            this.violations.push(`poller ${i} of the crowd saw ${id} after ${cursor}`);
          }
          cursor = id;
          this.delivered++;
        }
        n--; // stays with a server that serves
      } catch {
        this.failed++;
        await pause(200 + 800 * Math.random()); // as a good client does: not all at once
      }
    }
  }
}

// LISTEN, and whether it works. That can't be asked of Postgres: through a pooler LISTEN is accepted, and nothing ever
// arrives. So a probe of our own has to come back. And the driver's own attempt to listen again after a lost connection
// is its only one; so whenever a probe stays out, everything is made anew.
import type { Pool } from "../database/pool.ts";
import { log } from "../log.ts";
import { aborted, sleep } from "../sleep.ts";

/** Pauses between two attempts to LISTEN anew, in milliseconds: growing, since behind a pooler all of them are in vain. */
const MIN_PAUSE_MS = 500;
const MAX_PAUSE_MS = 60_000;

/** The longest pause while no connection can be made, in milliseconds: the database can be there again at any moment. */
const MAX_AWAY_PAUSE_MS = 5_000;

/** Longest time that connecting and LISTEN may take, in milliseconds; then they are tried anew. */
const LISTEN_DEADLINE_MS = 10_000;

/** What a listener is given. */
export interface ListenerOptions {
  /** The Postgres channel. */
  readonly channel: string;
  /** Opens the pool that listens, and does nothing else. */
  readonly openPool: () => Pool;
  /** Sends a notification on the channel, over another connection. */
  readonly notify: (payload: string) => Promise<void>;
  /** Is handed every notification, but for probes. */
  readonly heard: (payload: string) => void;
  /** Is called whenever listening has begun, again or for the first time: what came before then has not been heard. */
  readonly connected: () => void;
}

/** Keeps one LISTEN connection. */
export class Listener {
  readonly #probe = `probe:${crypto.randomUUID()}`;
  /** How far the connection is: the probe that counts is one sent while it listened. */
  #state: "connecting" | "connected" | "probing" = "connecting";
  #hears = false;
  /** Whether a probe has ever come back over the connection at hand. */
  #proven = false;
  #renewal = new AbortController();
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;

  /** Begins to listen. */
  constructor(private readonly options: ListenerOptions) {
    this.#running = this.#run();
  }

  /** Whether notifications reach this process, as far as the last probe tells. */
  get hears(): boolean {
    return this.#hears;
  }

  /** Something was missed: believe it again only after the next probe. */
  doubt(): void {
    this.#hears = false;
  }

  /** Sends a probe; if the last one is not back by now, listens anew. To be called once per interval. */
  async probe(): Promise<void> {
    if (this.#state === "probing") {
      this.#hears = false;
      this.#renewal.abort();
    }
    if (this.#state !== "connected") return;
    this.#state = "probing";
    await this.options.notify(this.#probe);
  }

  /** Stops listening. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#renewal.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    for (let pause = MIN_PAUSE_MS; !signal.aborted; await sleep(pause, signal)) {
      let longest = MAX_PAUSE_MS;
      try {
        await this.#listen();
      } catch (error) {
        longest = MAX_AWAY_PAUSE_MS;
        if (pause === MIN_PAUSE_MS) {
          log("warn", "LISTEN failed; news from other servers comes late", { error: `${error}` });
        }
      }
      pause = this.#proven ? MIN_PAUSE_MS : Math.min(2 * pause, longest);
      this.#state = "connecting";
      this.#hears = false;
    }
  }

  /** Listens until it is to be done anew. */
  async #listen(): Promise<void> {
    const { channel, openPool } = this.options;
    const renewal = this.#renewal = new AbortController();
    const renewed = aborted(renewal.signal);
    let late = false;
    const deadline = setTimeout(() => {
      late = true;
      renewal.abort();
    }, LISTEN_DEADLINE_MS);
    const connected = () => { // also after each reconnection of the driver's own
      clearTimeout(deadline);
      this.#state = "connected";
      this.options.connected();
    };
    this.#proven = false;
    const { sql, destroy } = openPool();
    try {
      await Promise.race([
        sql.listen(channel, (payload) => this.#hear(payload), connected).then(() => renewed),
        renewed,
      ]);
      if (late) throw new Error(`LISTEN took more than ${LISTEN_DEADLINE_MS} ms`);
    } finally {
      clearTimeout(deadline);
      await destroy();
    }
  }

  #hear(payload: string): void {
    if (payload !== this.#probe) return this.options.heard(payload);
    this.#state = "connected";
    this.#hears = this.#proven = true;
  }
}

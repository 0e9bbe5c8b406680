// LISTEN, and whether it works. That can't be asked of Postgres: through a pooler LISTEN is accepted, and nothing ever
// arrives. So a probe of our own has to come back. And the driver's own attempt to listen again after a lost connection
// is its only one; so whenever a probe stays out, everything is made anew. While nobody needs it, no connection is held: a
// database can have few of them, and can go to sleep when it has none.
import type { OpenPool } from "../database/pool.ts";
import { log } from "../log.ts";
import { aborted, sleep } from "../sleep.ts";

/** Pauses between two attempts to LISTEN anew, in milliseconds: growing, since behind a pooler all of them are in vain. */
const MIN_PAUSE_MS = 500;
const MAX_PAUSE_MS = 60_000;

/** The longest pause while no connection can be made, in milliseconds: the database can be there again at any moment. */
const MAX_AWAY_PAUSE_MS = 5_000;

/** Longest time that connecting and LISTEN may take, in milliseconds; then they are tried anew. */
const LISTEN_DEADLINE_MS = 10_000;

/**
 * How long it goes on listening when nobody needs it, in milliseconds: whoever loads a page anew or has lost his network is back by then,
 * and finds it connected.
 */
const KEPT_MS = 30_000;

/** What a listener is given. */
export interface ListenerOptions {
  /** The Postgres channel. */
  readonly channel: string;
  /** Opens the pool that listens, and does nothing else. */
  readonly openPool: OpenPool;
  /** Is handed every notification, but for probes. */
  readonly heard: (payload: string) => void;
  /**
   * Is called whenever listening has begun, again or for the first time, since what came before has not been heard; and as soon as
   * its connection is lost.
   */
  readonly interrupted: () => void;
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
  #ending = new AbortController();
  #running: Promise<void> | undefined;
  /** Aborted while nobody needs it. */
  #needed: AbortSignal | undefined;
  #leaving: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  /** Does nothing until it is needed. */
  constructor(private readonly options: ListenerOptions) {}

  /** Listens until `needed` aborts, and half a minute longer. */
  listen(needed: AbortSignal): void {
    if (this.#closed) return;
    clearTimeout(this.#leaving);
    this.#needed = needed;
    if (this.#ending.signal.aborted) this.#ending = new AbortController();
    this.#running ??= this.#run();
    needed.addEventListener("abort", () => {
      if (!this.#closed) this.#leaving = setTimeout(() => this.#end(), KEPT_MS);
    }, { once: true });
  }

  /** Whether notifications reach this process, as far as the last probe tells. */
  get hears(): boolean {
    return this.#hears;
  }

  /** Whether no probe is out. */
  get isQuiet(): boolean {
    return this.#state !== "probing";
  }

  /** Something was missed: believe it again only after the next probe. */
  doubt(): void {
    this.#hears = false;
  }

  /**
   * A probe to be sent on the channel over another connection; undefined while it makes no sense to send one. If the last one is not
   * back by now, it listens anew. To be called once per interval.
   */
  probe(): string | undefined {
    if (this.#state === "probing") {
      this.#hears = false;
      this.#renewal.abort();
    }
    if (this.#state !== "connected") return undefined;
    this.#state = "probing";
    return this.#probe;
  }

  /** Stops listening for good. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#leaving);
    this.#end();
    await this.#running;
  }

  #end(): void {
    this.#ending.abort();
    this.#renewal.abort();
  }

  async #run(): Promise<void> {
    // Who comes while it ends, needs it again.
    for (let pause = MIN_PAUSE_MS; !this.#ending.signal.aborted; await sleep(pause, this.#ending.signal)) {
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
    this.#running = undefined;
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
      this.options.interrupted();
    };
    const onClose = () => {
      if (renewal.signal.aborted || this.#state === "connecting") return;
      this.#hears = false;
      if (this.#needed?.aborted) this.#end(); // before the driver makes another
      else this.options.interrupted();
    };
    this.#proven = false;
    const { sql, destroy } = openPool("listen", { direct: true, onClose });
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

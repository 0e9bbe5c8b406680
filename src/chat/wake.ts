// How news travels between servers. A notification says where to look, nothing more: lost, doubled or late ones do no
// harm. Whether LISTEN works can't be asked of Postgres (through a pooler it is accepted and nothing ever arrives), so a
// probe of our own has to come back. And while anyone waits, one query per interval looks for what notifications missed.
import type { Sql } from "../database/client.ts";
import { log } from "../log.ts";
import { sleep } from "../sleep.ts";
import { seqOf } from "./cursor.ts";
import type { Feeds } from "./feeds.ts";
import type { Store } from "./store.ts";

/** The Postgres channel that all servers of a database share. */
const CHANNEL = "linger";

/** Pauses between two attempts to LISTEN anew, in milliseconds: growing, since behind a pooler all of them are in vain. */
const MIN_PAUSE_MS = 500;
const MAX_PAUSE_MS = 60_000;

/** Longest time that connecting and LISTEN may take, in milliseconds; then they are tried anew. */
const LISTEN_DEADLINE_MS = 10_000;

/** Intervals of the fallback, in milliseconds. */
export interface WakeIntervals {
  /** While LISTEN works. */
  readonly listening: number;
  /** While it does not. */
  readonly deaf: number;
}

/** Tells other servers of our commits, and this one's feeds of theirs. */
export class Wake {
  /** Rooms to tell of, with the number of their newest message. */
  readonly #changed = new Map<string, number>();
  #notifying: Promise<void> | undefined;

  /** Names this process in its probes; no room's name has a colon. */
  readonly #probe = `probe:${crypto.randomUUID()}`;
  #connected = false;
  #probeSent = false;
  #hears = false;
  #blind = false;

  readonly #closing = new AbortController();
  #renew = new AbortController();
  readonly #listening: Promise<void>;

  /** Begins to listen. */
  constructor(
    private readonly store: Pick<Store, "heads" | "notify">,
    private readonly listenClient: () => Sql,
    private readonly feeds: Feeds,
    private readonly intervals: WakeIntervals,
  ) {
    this.#listening = this.#listen(this.#closing.signal);
  }

  /** Whether notifications reach this process, as far as the last probe tells. */
  get hears(): boolean {
    return this.#hears;
  }

  /** Whether the last look at the heads failed: then nobody can say that there is no news. */
  get blind(): boolean {
    return this.#blind;
  }

  /** Tells the other servers that `room` has messages up to `seq`. Returns at once; rooms are told of once per flight. */
  notify(room: string, seq: number): void {
    this.#changed.set(room, seq);
    this.#notifying ??= this.#notifyAll();
  }

  /** The fallback: looks for missed messages of all held feeds until `signal` aborts. */
  async watch(signal: AbortSignal): Promise<void> {
    this.#blind = false;
    while (true) {
      const sure = this.#hears && !this.#blind;
      await sleep(sure ? this.intervals.listening : this.intervals.deaf, signal);
      if (signal.aborted) return;
      await this.#look().then(() => this.#blind = false, () => this.#blind = true);
    }
  }

  /** Sends what is to be told, and stops listening. */
  async close(): Promise<void> {
    await this.#notifying;
    this.#closing.abort();
    this.#renew.abort();
    await this.#listening;
  }

  async #notifyAll(): Promise<void> {
    while (this.#changed.size > 0) {
      const payloads = Array.from(this.#changed, ([room, seq]) => `${seq} ${room}`);
      this.#changed.clear();
      // What could not be told is found by the others' fallback.
      await this.store.notify(CHANNEL, payloads).catch(() => {});
    }
    this.#notifying = undefined;
  }

  async #look(): Promise<void> {
    if (this.#probeSent) {
      // The last look's probe is not back: nothing arrives, so listen anew.
      this.#hears = false;
      this.#renew.abort();
    }
    const before = Array.from(this.feeds.values(), (feed) => ({ feed, end: seqOf(feed.end) }));
    const heads = await this.store.heads(before.map(({ feed }) => feed.room));
    for (const { feed, end } of before) {
      const head = heads.get(feed.room) ?? 0;
      if (head > seqOf(feed.end) && !feed.refreshing) {
        this.#hears = false; // a notification was missed; the probe will tell whether more will be
        feed.wake();
      } else if (head < end) {
        log("error", "The database has lost messages that it had acknowledged", {
          room: feed.room,
          had: end,
          has: head,
        });
        this.feeds.restart(feed);
      }
    }
    if (!this.#connected) return;
    this.#probeSent = true;
    await this.store.notify(CHANNEL, [this.#probe]);
  }

  #hear(payload: string): void {
    if (payload === this.#probe) {
      this.#probeSent = false;
      this.#hears = true;
      return;
    }
    const [seq, room] = payload.split(" ");
    const feed = this.feeds.get(room ?? "");
    if (feed && !(Number(seq) <= seqOf(feed.end))) feed.wake();
  }

  /** Keeps one LISTEN connection, anew whenever the fallback finds it deaf. */
  async #listen(signal: AbortSignal): Promise<void> {
    for (let pause = MIN_PAUSE_MS; !signal.aborted; pause = Math.min(2 * pause, MAX_PAUSE_MS)) {
      const renew = this.#renew = new AbortController();
      const renewed = aborted(renew.signal);
      const deadline = setTimeout(() => renew.abort(), LISTEN_DEADLINE_MS);
      const client = this.listenClient();
      const heard = (payload: string) => {
        this.#hear(payload);
        if (this.#hears) pause = MIN_PAUSE_MS / 2;
      };
      // Also called after each reconnection of the driver's own: what was notified in between has to be looked for, and
      // a probe that was sent in between will not come back.
      const connected = () => {
        clearTimeout(deadline);
        this.#connected = true;
        this.#probeSent = false;
        for (const feed of this.feeds.values()) feed.wake();
      };
      try {
        await Promise.race([client.listen(CHANNEL, heard, connected).then(() => renewed), renewed]);
      } catch (error) {
        if (pause === MIN_PAUSE_MS) {
          log("warn", "LISTEN failed; news from other servers comes late", { error: `${error}` });
        }
      }
      clearTimeout(deadline);
      await client.end({ timeout: 0 });
      this.#connected = this.#hears = this.#probeSent = false;
      await sleep(pause, signal);
    }
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  signal.addEventListener("abort", () => resolve(), { once: true });
  return promise;
}

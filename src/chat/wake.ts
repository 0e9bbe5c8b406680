// How news travels between servers. A notification says where to look, nothing more: lost, doubled or late ones do no
// harm. And while anyone waits, one query per interval looks for what notifications missed.
import type { Pool } from "../database/pool.ts";
import { log } from "../log.ts";
import { sleep } from "../sleep.ts";
import { seqOf } from "./cursor.ts";
import type { Feed } from "./feed.ts";
import type { Feeds } from "./feeds.ts";
import { Listener } from "./listener.ts";
import type { Store } from "./store.ts";

/** The Postgres channel that all servers of a database share. */
const CHANNEL = "linger";

/** Pause after notifications have gone out, in milliseconds: under load they gather, on a quiet server none waits. */
const NOTIFY_PAUSE_MS = 5;

/** Time after which a look that has no answer yet counts as failed, in milliseconds. */
const LOOK_DEADLINE_MS = 1_000;

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
  #blind = false;
  readonly #listener: Listener;

  /** Begins to listen. */
  constructor(
    private readonly store: Pick<Store, "heads" | "notify">,
    openPool: () => Pool,
    private readonly feeds: Feeds,
    private readonly intervals: WakeIntervals,
  ) {
    this.#listener = new Listener({
      channel: CHANNEL,
      openPool,
      notify: (payload) => store.notify(CHANNEL, [payload]),
      heard: (payload) => this.#hear(payload),
      connected: () => void this.#look(), // what was notified before has not been heard
    });
  }

  /** Whether notifications reach this process, as far as is known. */
  get hears(): boolean {
    return this.#listener.hears;
  }

  /** Whether the last look for news failed: then nobody can say that there is none. */
  get blind(): boolean {
    return this.#blind;
  }

  /** Tells the other servers that `room` has messages up to `seq`. Returns at once; a room is told of once per flight. */
  notify(room: string, seq: number): void {
    this.#changed.set(room, seq);
    this.#notifying ??= this.#notifyAll();
  }

  /** The fallback: looks for missed messages of all held feeds until `signal` aborts. */
  async watch(signal: AbortSignal): Promise<void> {
    this.#blind = false;
    while (true) {
      const sure = this.hears && !this.#blind;
      await sleep(sure ? this.intervals.listening : this.intervals.deaf, signal);
      if (signal.aborted) return;
      await this.#look();
      if (signal.aborted) return;
      await this.#listener.probe().catch(() => {}); // a probe that can't be sent does not come back
    }
  }

  /** Sends what is to be told, and stops listening. */
  async close(): Promise<void> {
    await this.#notifying;
    await this.#listener.close();
  }

  async #notifyAll(): Promise<void> {
    while (this.#changed.size > 0) {
      const payloads = Array.from(this.#changed, ([room, seq]) => `${seq} ${room}`);
      this.#changed.clear();
      // What could not be told is found by the others' fallback.
      await this.store.notify(CHANNEL, payloads).catch(() => {});
      await sleep(NOTIFY_PAUSE_MS);
    }
    this.#notifying = undefined;
  }

  /** One query for all held feeds, and a refresh for those that are behind. Never rejects. */
  async #look(): Promise<void> {
    const before = Array.from(this.feeds.values(), (feed) => ({ feed, end: seqOf(feed.end) }));
    if (before.length === 0) return;
    const late = setTimeout(() => this.#blind = true, LOOK_DEADLINE_MS);
    try {
      const heads = await this.store.heads(before.map(({ feed }) => feed.room));
      await Promise.all(before.map(({ feed, end }) => this.#compare(feed, end, heads.get(feed.room) ?? 0)));
      this.#blind = false;
    } catch {
      this.#blind = true;
    } finally {
      clearTimeout(late);
    }
  }

  /** `end` is what the feed knew before the look that saw `head`. */
  async #compare(feed: Feed, end: number, head: number): Promise<void> {
    if (this.feeds.get(feed.room) !== feed) return; // dropped meanwhile
    if (head > seqOf(feed.end)) {
      if (!feed.refreshing) this.#listener.doubt();
      await feed.refresh();
    } else if (head < end) {
      log("error", "The database has lost messages that it had acknowledged", { room: feed.room, had: end, has: head });
      this.feeds.restart(feed);
    }
  }

  #hear(payload: string): void {
    const [seq, room] = payload.split(" ");
    const feed = this.feeds.get(room ?? "");
    if (feed && !(Number(seq) <= seqOf(feed.end))) feed.wake();
  }
}

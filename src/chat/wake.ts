// How news travels between servers. A notification says where to look, nothing more: lost, doubled or late ones do no
// harm. And while anyone waits, one query per interval looks for what notifications missed.
import type { Sql } from "../database/client.ts";
import { log } from "../log.ts";
import { sleep } from "../sleep.ts";
import { seqOf } from "./cursor.ts";
import type { Feeds } from "./feeds.ts";
import { Listener } from "./listener.ts";
import type { Store } from "./store.ts";

/** The Postgres channel that all servers of a database share. */
const CHANNEL = "linger";

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
    listenClient: () => Sql,
    private readonly feeds: Feeds,
    private readonly intervals: WakeIntervals,
  ) {
    this.#listener = new Listener({
      channel: CHANNEL,
      connect: listenClient,
      notify: (payload) => store.notify(CHANNEL, [payload]),
      heard: (payload) => this.#hear(payload),
      connected: () => {
        for (const feed of feeds.values()) feed.wake();
      },
    });
  }

  /** Whether notifications reach this process, as far as is known. */
  get hears(): boolean {
    return this.#listener.hears;
  }

  /** Whether the last look at the heads failed: then nobody can say that there is no news. */
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
      await this.#look().then(() => this.#blind = false, () => this.#blind = true);
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
    }
    this.#notifying = undefined;
  }

  async #look(): Promise<void> {
    const before = Array.from(this.feeds.values(), (feed) => ({ feed, end: seqOf(feed.end) }));
    const heads = await this.store.heads(before.map(({ feed }) => feed.room));
    for (const { feed, end } of before) {
      const head = heads.get(feed.room) ?? 0;
      if (head > seqOf(feed.end) && !feed.refreshing) {
        this.#listener.doubt();
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
    await this.#listener.probe();
  }

  #hear(payload: string): void {
    const [seq, room] = payload.split(" ");
    const feed = this.feeds.get(room ?? "");
    if (feed && !(Number(seq) <= seqOf(feed.end))) feed.wake();
  }
}

// How news travels between servers. A notification says where to look, nothing more: lost, doubled or late ones do no
// harm. And while anyone waits, one statement per interval looks for what notifications missed. A database can cost by the
// statement, so the interval may grow for as long as nothing speaks against the notifications.
import type { OpenPool } from "../database/pool.ts";
import { sleep, within } from "../sleep.ts";
import { makePlace, MAX_MS, timeOf } from "./cursor.ts";
import type { Feed } from "./feed.ts";
import type { Feeds } from "./feeds.ts";
import type { Floors } from "./floors.ts";
import { Listener } from "./listener.ts";
import { type Head, type HeadNumbers, MAX_AHEAD_MS } from "./sql/head.ts";
import type { Store } from "./store.ts";

/** The Postgres channel that all servers of a database share. */
export const CHANNEL = "linger";

/** Tells servers where heads are. Who is not told finds out at his next look. Never rejects. */
export async function tellHeads(
  store: Pick<Store, "notify">,
  heads: Iterable<readonly [string, HeadNumbers]>,
): Promise<void> {
  // The version before reads the number and the room.
  const payloads = Array.from(heads, ([room, { ms, seq }]) => `${seq} ${room} ${ms}`);
  await store.notify(CHANNEL, payloads).catch(() => {});
}

/** Pause after notifications have gone out, in milliseconds: under load they gather, on a quiet server none waits. */
const NOTIFY_PAUSE_MS = 5;

/** Time after which a look that has no answer yet counts as failed, in milliseconds. */
const LOOK_DEADLINE_MS = 1_000;

/**
 * Longest time to read what is new in one room, in milliseconds. After it nobody can say that the room has no news, and the look goes on
 * without it. It can take long: what others read comes before it, and much may have been imported there.
 */
const READ_DEADLINE_MS = 3_000;

/** Intervals of the fallback, in milliseconds. */
export interface WakeIntervals {
  /** While LISTEN works. */
  readonly listening: number;
  /** How far that grows, each time doubled, until there is doubt; no growth where it is no more. */
  readonly most: number;
  /** While it does not. */
  readonly deaf: number;
}

/** Tells other servers of our commits, and this one's feeds of theirs. */
export class Wake {
  /** What is to be told of rooms. */
  readonly #changed = new Map<string, HeadNumbers>();
  #notifying: Promise<void> | undefined;
  /** Whether the last look failed. */
  #blind = false;
  /** Whether news of a room that was found to be behind could not be read, since the last look began. */
  #failed = false;
  /** Feeds whose news could not be read, or not in time. */
  readonly #unread = new WeakSet<Feed>();
  /** Who waits for the next look. */
  #asked: PromiseWithResolvers<void> | undefined;
  /** Aborts as soon as news may have been missed since the last look began. */
  #doubt = new AbortController();
  /** How long the next interval is, in milliseconds, while LISTEN works. */
  #calmMs: number;
  readonly #listener: Listener;

  /** Listens while somebody watches. */
  constructor(
    private readonly store: Pick<Store, "heads" | "notify">,
    openPool: OpenPool,
    private readonly feeds: Feeds,
    private readonly floors: Floors,
    private readonly intervals: WakeIntervals,
  ) {
    this.#calmMs = intervals.listening;
    this.#listener = new Listener({
      channel: CHANNEL,
      openPool,
      heard: (payload) => this.#hear(payload),
      interrupted: () => this.#hurry(),
    });
  }

  /** Whether notifications reach this process, as far as is known. */
  get hears(): boolean {
    return this.#listener.hears;
  }

  /** Whether nobody can say that there is no news for a feed: the last look failed, or what it found there is not read. */
  isBlind(feed: Feed): boolean {
    return this.#blind || this.#unread.has(feed);
  }

  /** Tells the other servers where the head of `room` is. Returns at once; a room is told of once per flight. */
  notify(room: string, head: HeadNumbers): void {
    const known = this.#changed.get(room);
    if (!known || makePlace(known.ms, known.seq) < makePlace(head.ms, head.seq)) this.#changed.set(room, head);
    this.#notifying ??= this.#notifyAll();
  }

  /** The fallback: looks for missed messages of all feeds, also those that are kept, until `signal` aborts. */
  async watch(signal: AbortSignal): Promise<void> {
    this.#blind = false;
    this.#calmMs = this.intervals.listening;
    this.#doubt = new AbortController();
    this.#listener.listen(signal);
    signal.addEventListener("abort", () => this.#doubt.abort(), { once: true });
    while (!signal.aborted) {
      await this.#rest();
      if (signal.aborted) return;
      const asked = this.#asked;
      this.#asked = undefined;
      this.#doubt = new AbortController(); // for what comes from here on, this look may be too early
      await this.#look();
      asked?.resolve();
    }
  }

  /** Resolves after a look that begins after this call, to be had by somebody who holds a feed. Calls share it. */
  looked(): Promise<void> {
    this.#hurry();
    return (this.#asked ??= Promise.withResolvers<void>()).promise;
  }

  /** Sends what is to be told, and stops listening. */
  async close(): Promise<void> {
    await this.#notifying;
    await this.#listener.close();
  }

  async #notifyAll(): Promise<void> {
    while (this.#changed.size > 0) {
      const heads = [...this.#changed];
      this.#changed.clear();
      await tellHeads(this.store, heads);
      await sleep(NOTIFY_PAUSE_MS);
    }
    this.#notifying = undefined;
  }

  /** Until the next look is due. */
  async #rest(): Promise<void> {
    const { listening, most, deaf } = this.intervals;
    const { signal } = this.#doubt;
    if (!this.hears || this.#blind || this.#failed) {
      this.#calmMs = listening;
      return await sleep(deaf, signal);
    }
    const calm = this.#calmMs;
    this.#calmMs = Math.max(listening, Math.min(2 * calm, most));
    await sleep(listening, signal);
    // By now the probe of the last look is back; else the next one is due, which listens anew.
    if (calm > listening && this.#listener.isQuiet) await sleep(calm - listening, signal);
  }

  /** Looks at once, or again, and often for a while. */
  #hurry(): void {
    this.#calmMs = this.intervals.listening;
    this.#doubt.abort();
  }

  /** One query for all feeds, which carries the probe, and a refresh for those that are behind. Never rejects. */
  async #look(): Promise<void> {
    const known = new Map(
      Array.from(this.feeds.values(), (feed) => {
        const { room, newest, newestChanges, place, furthest } = feed;
        return [room, { feed, newest, newestChanges, place, furthest }];
      }),
    );
    if (known.size === 0) return;
    for (const [room, { place }] of known) this.floors.raise(room, timeOf(place)); // however long nothing has moved there
    this.#failed = false;
    const late = setTimeout(() => this.#blind = true, LOOK_DEADLINE_MS);
    try {
      const payload = this.#listener.probe();
      const heads = await this.store.heads(known, payload ? { channel: CHANNEL, payload } : undefined);
      clearTimeout(late);
      const reads = Array.from(heads, ([room, head]) => this.#compare(known.get(room)!, head));
      await within(Promise.all(reads), READ_DEADLINE_MS);
      this.#blind = false;
    } catch {
      this.#blind = true;
    } finally {
      clearTimeout(late);
    }
  }

  /** Never rejects. */
  #compare(
    { feed, furthest }: { feed: Feed; furthest: string },
    { place, lost, trimmed }: Head,
  ): Promise<void> | undefined {
    if (this.feeds.get(feed.room) !== feed) return; // dropped meanwhile
    if (lost || place < furthest) return void this.feeds.restart(feed);
    feed.trim(trimmed);
    if (place <= feed.place) return void this.#unread.delete(feed);
    if (!feed.refreshing) {
      this.#calmMs = this.intervals.listening;
      this.#listener.doubt();
    }
    return this.#read(feed);
  }

  /** Reads what is new; what goes on for longer than a look waits, goes on beside the next. */
  async #read(feed: Feed): Promise<void> {
    const late = setTimeout(() => this.#unread.add(feed), READ_DEADLINE_MS);
    try {
      await feed.refresh();
      this.#unread.delete(feed);
    } catch {
      this.#unread.add(feed);
      this.#failed = true;
    } finally {
      clearTimeout(late);
    }
  }

  #hear(payload: string): void {
    const [seq, room = "", time] = payload.split(" ");
    const ms = Number(time);
    const feed = this.feeds.get(room);
    // The number alone, which the version before tells, is no place: after a loss it comes again. And whoever can connect to the
    // database can notify whatever he likes: no further than a lift goes, else the room's own posts would prove nothing for years.
    if (!Number.isInteger(ms) || ms <= 0 || ms > MAX_MS) return feed?.wake();
    this.floors.raise(room, Math.min(ms, Date.now() + MAX_AHEAD_MS.lift));
    if (feed && !(makePlace(ms, Number(seq)) <= feed.place)) feed.wake();
  }
}

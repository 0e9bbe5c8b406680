// Two who talk while somebody else floods the server: one posts ten times a second over a kept connection, one polls. Each message is
// measured from the moment in which it was to be posted until it is there, so that a server that stops for long is not measured once.
import { get, linked } from "../support/client.ts";
import { pause } from "./clients.ts";

/** Time from one post to the next, in milliseconds. */
const PERIOD_MS = 100;

/** Longest time of a request, in milliseconds, beside what it waits; longer counts as refused. */
const PATIENCE_MS = 30_000;

/** How long the last messages are waited for, in milliseconds; what has not come by then is lost. */
const LAST_MS = 30_000;

/** Pause after a request that was refused, in milliseconds. */
const AGAIN_MS = 100;

/** Seconds that a poll waits. */
const WAIT_SECONDS = 25;

/** A message of the victims. Times in milliseconds. */
interface Post {
  readonly due: number;
  /** Its id, once it is acknowledged. */
  id?: string;
  delivered?: number;
}

/** Addresses that the two have, as a proxy in front of the server would tell. */
export interface Addresses {
  readonly poster: string;
  readonly poller: string;
}

/** The two. */
export class Victim {
  readonly #posts: Post[] = [];
  /** How often a request was refused, by what it was and what came. */
  readonly refusals: Record<string, number> = {};
  /** Messages that came twice or out of order, as sentences; at the end those that never came. */
  readonly wrong: string[] = [];
  readonly #clients = [0, 1].map(() => Deno.createHttpClient({ poolMaxIdlePerHost: 1, http2: false }));
  readonly #leaving = new AbortController();
  #ending = false;
  readonly #running: Promise<unknown>;

  private constructor(
    private readonly url: string,
    private readonly room: string,
    private readonly addresses: Addresses | undefined,
    cursor: string,
  ) {
    this.#running = Promise.all([this.#post(), this.#poll(cursor)]);
  }

  /** Sets them going, in a room that nobody has used. */
  static async start(url: string, room: string, addresses?: Addresses): Promise<Victim> {
    const path = `/rooms/${room}/messages`;
    const headers: Record<string, string> = addresses ? { "x-forwarded-for": addresses.poller } : {};
    const next = new URL(linked(await get({ url }, `${path}?after=now&wait=0`, headers), "next")!);
    return new Victim(url + path, room, addresses, next.searchParams.get("after")!);
  }

  /** What the messages took that were due between two moments, in milliseconds; those that are still on their way, so far. */
  times(from: number, to: number): number[] {
    const now = performance.now();
    return this.#posts.filter(({ due }) => due >= from && due < to).map(({ due, delivered = now }) => delivered - due);
  }

  /** Milliseconds from `moment` until a second of messages begins none of which took longer than `bound`; undefined: not yet. */
  calmAfter(moment: number, bound: number): number | undefined {
    const second = 1_000 / PERIOD_MS;
    const after = this.#posts.filter(({ due }) => due >= moment);
    const isQuick = ({ due, delivered = Infinity }: Post) => delivered - due <= bound;
    const begin = after.findIndex((_, i) => i + second <= after.length && after.slice(i, i + second).every(isQuick));
    if (begin < 0) return undefined;
    return begin === 0 ? 0 : after[begin]!.due - moment;
  }

  /** Ends when all that was acknowledged has come, or will never come. */
  async end(): Promise<void> {
    this.#ending = true;
    const until = performance.now() + LAST_MS;
    const missing = () => this.#posts.filter(({ id, delivered }) => id !== undefined && delivered === undefined);
    const isOver = () => missing().length === 0 && this.#posts.at(-1)?.id !== undefined;
    while (!isOver() && performance.now() < until) await pause(10);
    this.#leaving.abort();
    await this.#running;
    for (const client of this.#clients) client.close();
    for (const { id } of missing()) this.wrong.push(`${id} was acknowledged and never came`);
    if (this.#posts.at(-1)?.id === undefined) this.wrong.push("The last message could not be posted");
  }

  async #post(): Promise<void> {
    const began = performance.now();
    for (let n = 0;; n++) {
      const due = began + n * PERIOD_MS;
      if (due > performance.now()) await pause(due - performance.now());
      if (this.#ending) return;
      const post: Post = { due };
      this.#posts.push(post);
      const body = `${this.room} ${n}`;
      while (post.id === undefined && !this.#leaving.signal.aborted) {
        const answer = await this.#ask<{ id: string }>("post", this.url, 0, {
          method: "POST",
          headers: { "content-type": "application/json", "idempotency-key": body },
          body: JSON.stringify({ body }),
        });
        if (answer) post.id = answer.id;
      }
    }
  }

  async #poll(cursor: string): Promise<void> {
    let last = -1;
    while (!this.#leaving.signal.aborted) {
      const query = `after=${cursor}&limit=1000&wait=${WAIT_SECONDS}`;
      const messages = await this.#ask<{ id: string; body: string }[]>("poll", `${this.url}?${query}`, WAIT_SECONDS);
      const now = performance.now();
      for (const { id, body } of messages ?? []) {
        if (id <= cursor) this.wrong.push(`${id} came after ${cursor}`);
        cursor = id;
        const [room, n] = body.split(" ");
        if (room !== this.room) continue; // the attacker talks in this room too
        if (Number(n) !== last + 1) this.wrong.push(`${body} came after ${last}`);
        last = Number(n);
        this.#posts[last]!.delivered ??= now;
      }
    }
  }

  /** What a request is answered; undefined when it is refused. */
  async #ask<T>(what: "post" | "poll", url: string, wait: number, init: RequestInit = {}): Promise<T | undefined> {
    const isPost = what === "post";
    const headers = new Headers(init.headers);
    if (this.addresses) headers.set("x-forwarded-for", isPost ? this.addresses.poster : this.addresses.poller);
    const client = this.#clients[isPost ? 0 : 1]!;
    const signal = AbortSignal.any([this.#leaving.signal, AbortSignal.timeout(wait * 1_000 + PATIENCE_MS)]);
    let refusal: string;
    try {
      const response = await fetch(url, { ...init, headers, client, signal });
      const answer = await response.json();
      if (response.ok) return answer;
      refusal = `${what} ${response.status}`;
    } catch {
      if (this.#leaving.signal.aborted) return undefined;
      refusal = `${what} without an answer`;
    }
    this.refusals[refusal] = (this.refusals[refusal] ?? 0) + 1;
    await pause(AGAIN_MS);
    return undefined;
  }
}

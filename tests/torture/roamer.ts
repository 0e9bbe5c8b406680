// A client as a page or a program is one: Linger's own, from an address of its own. It comes through another proxy with each request,
// posts, reads and follows a room, and writes down what it was told, and each call that fails.
import { NIL } from "../../src/chat/cursor.ts";
import { Linger, type Room } from "../../src/client/client.ts";
import type { Proxy } from "../support/proxies.ts";
import type { PollRecord, PostRecord } from "./checker.ts";
import { pause } from "./clients.ts";

/** Pause of each client between two posts, in milliseconds: below the 300 posts a minute that it may send. */
const PACE_MS = 250;

/** Posts of a client after which it also reads what a page shows. */
const READS_EVERY = 8;

/** Longest time that a call of a client may take, in milliseconds. It gives an answer up after 20 s, and asks again. */
const CALL_LIMIT_MS = 60_000;

/** The last message of a room. */
export const END = "the end";

/** What one kind of fault did to the clients. */
export interface Report {
  times: number;
  /** Posts that took more than one try. */
  repeated: number;
  /** Times that a follow had to try again. */
  reconnected: number;
  /** Worst time that a call took, in milliseconds. */
  worst: number;
}

/** The client. */
export class Roamer {
  /** What it has posted. */
  readonly posts: PostRecord[] = [];
  /** What should not be. */
  readonly found: string[] = [];
  /** What happens to it at the moment counts here. */
  report: Report = { times: 0, repeated: 0, reconnected: 0, worst: 0 };
  readonly #http: Deno.HttpClient;
  readonly #linger: Linger;
  readonly #room: Room;
  /** What it was given, when it has seen the end. */
  readonly following: Promise<PollRecord>;

  /** Begins to follow. */
  constructor(readonly number: number, readonly room: string, proxies: readonly Proxy[]) {
    this.#http = Deno.createHttpClient({
      caCerts: proxies.map(({ cert }) => cert),
      localAddress: `127.0.0.${100 + number}`, // proxies and servers count what an address takes
    });
    let next = number;
    const roam = (input: string | URL | Request) => {
      const request = input as Request; // as the client says
      const { pathname, search } = new URL(request.url);
      const { url } = proxies[next++ % proxies.length]!;
      return fetch(new Request(url + pathname + search, request), { client: this.#http });
    };
    this.#linger = new Linger(proxies[0]!.url, { fetch: roam });
    this.#room = this.#linger.room(room);
    this.#room.connection.subscribe(({ status }) => {
      if (status === "reconnecting") this.report.reconnected++;
    });
    this.following = this.#follow();
  }

  async #follow(): Promise<PollRecord> {
    const name = `client ${this.number}`;
    const messages: { id: string; body: string; at: number }[] = [];
    try {
      for await (const { id, body } of this.#room.follow({ after: NIL })) {
        messages.push({ id, body, at: performance.now() });
        if (body === END) break;
      }
    } catch (error) {
      this.found.push(`${name} can't follow any more: ${error}`);
    }
    return { name, room: this.room, from: NIL, messages };
  }

  /** Posts and reads while `goesOn` says so. */
  async talk(goesOn: () => boolean): Promise<void> {
    for (let n = 1; goesOn(); n++) {
      const id = await this.post(`${this.number}-${n}`);
      if (n % READS_EVERY === 0) {
        const page = await this.#call("history", (options) => this.#room.history({ ...options, limit: 1_000 }));
        if (id && page && !page.messages.some((message) => message.id === id)) {
          this.found.push(`client ${this.number} was told that ${id} is stored, and it is not among the newest 1,000`);
        }
        await this.#call("rooms", (options) => this.#linger.rooms(options));
      }
      await pause(PACE_MS);
    }
  }

  /** Posts, until it is stored; resolves to its id, or to undefined where that fails. */
  async post(body: string): Promise<string | undefined> {
    const sent = performance.now();
    let repeated = false;
    const message = await this.#call(
      `post of ${body}`,
      ({ signal }) => this.#room.post(body, { key: `${this.room} ${body}`, signal, onRetry: () => repeated = true }),
    );
    if (repeated) this.report.repeated++;
    const { room } = this;
    const answered = performance.now();
    this.posts.push({
      room,
      body,
      key: body,
      sent,
      answered,
      status: message ? 201 : 0,
      ...message && { id: message.id },
    });
    return message?.id;
  }

  async #call<T>(what: string, call: (options: { signal: AbortSignal }) => Promise<T>): Promise<T | undefined> {
    const begun = performance.now();
    try {
      return await call({ signal: AbortSignal.timeout(CALL_LIMIT_MS) });
    } catch (error) {
      this.found.push(`client ${this.number}: ${what} failed: ${error}`);
      return undefined;
    } finally {
      this.report.worst = Math.max(this.report.worst, performance.now() - begun);
    }
  }

  /** Ends its connections. */
  close(): void {
    this.#http.close();
  }
}

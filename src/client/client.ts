// Linger's client for browsers, Deno, Node and Bun: a post is retried until the server has told what became of it, a follow
// goes on through restarts, sleep and bad networks without a loss or a double. It imports nothing from the rest of Linger,
// and has only types that can be stripped, as the server does for browsers: no enum, parameter property or namespace.
import { answerOf, backOff, exchange, Failure, host, LingerError, pause, type ProblemDetails } from "./exchange.ts";

export { LingerError };
export type { ProblemDetails };

/** A message. */
export interface Message {
  /** Its id, a UUID: also its place in the room's order (ids compare as text), and a cursor. */
  id: string;
  /** The room's name. */
  room: string;
  /** Who wrote it, as the writer says; null where nobody is named. */
  author: string | null;
  /** The text. */
  body: string;
  /** When it was stored: RFC 3339, UTC, milliseconds. */
  created_at: string;
  /** Whose token posted it, if it took one. */
  sub?: string;
  /** The id of the message that it answers, if it does; that one may be gone. */
  reply_to?: string;
  /** The place of its newest change in the room's order, if it was changed. */
  changed?: string;
}

/** That a message was deleted. */
export interface Deletion {
  /** The message's id. */
  id: string;
  /** The room's name. */
  room: string;
  /** The place of the deletion in the room's order. */
  changed: string;
  /** What tells it from a message. */
  deleted: true;
}

/** A room that has messages. */
export interface RoomSummary {
  /** The room's name. */
  room: string;
  /** The id of its newest message. */
  newest: string;
}

/** How the follows of a room stand. */
export type ConnectionState =
  /** Nobody follows. */
  | { status: "idle" }
  /** A try is under way. */
  | { status: "connecting" }
  /** What comes is seen at once. */
  | { status: "live" }
  /** A try has failed; the next begins at `retryAt`, in milliseconds since 1970. `problem` is what the server says of it, if it does. */
  | ({ status: "reconnecting" } & Retry)
  /** The browser says that there is no network. It is tried all the same: the server may be on this machine. */
  | { status: "offline" };

/** When the next try begins. */
export interface Retry {
  /** In milliseconds since 1970. */
  retryAt: number;
  /** What the server says of the try that failed, if it was Linger that answered: with status 429 it is asked too often. */
  problem?: ProblemDetails | undefined;
}

/** The state of a room's follows, to look at and to be told of. */
export interface Connection {
  /** The state at this moment. */
  readonly state: ConnectionState;
  /** Calls `listener` with every new state from now on; what is returned ends that. */
  subscribe(listener: (state: ConnectionState) => void): () => void;
}

/** How a client reaches its server. */
export interface LingerOptions {
  /**
   * Sent as `Authorization: Bearer`. A function is asked before each request, and once more when the server does not take what it
   * gave; if it fails, or takes longer than 20 seconds, that is tried again like a request. None is sent for undefined, or
   * an empty one.
   */
  token?: string | (() => string | undefined | Promise<string | undefined>);
  /** Used instead of the global `fetch`; called with one `Request`. */
  fetch?: typeof fetch;
}

/** How a message is posted. */
export interface PostOptions {
  /** At most 100 bytes. */
  author?: string | undefined;
  /** The post's `Idempotency-Key`, to be able to repeat it after a reload; without it every post gets a new one. */
  key?: string;
  /** The id of a message of the room that this one answers. */
  replyTo?: string | undefined;
  /** A secret of 22 to 255 printable ASCII characters: who shows it again may change the message. The server keeps a digest of it. */
  messageKey?: string | undefined;
  /** Ends the tries. The message may have been stored. */
  signal?: AbortSignal;
  /** Is told of each try that fails. */
  onRetry?: (retry: Retry) => void;
}

/** How a message is changed. */
export interface ChangeOptions {
  /** The key that the message was posted with; with a token that posted it none is needed. */
  messageKey?: string | undefined;
  /** The message as one knows it: changed only if it is still so. */
  known?: Pick<Message, "id" | "changed">;
  /** Ends the tries. The message may have been changed. */
  signal?: AbortSignal;
  /** Is told of each try that fails. */
  onRetry?: (retry: Retry) => void;
}

/** Which messages to read. */
export interface HistoryOptions {
  /** A cursor, or `now` (default): the newest. */
  before?: string;
  /** A cursor: instead, the first messages after it; `more` says whether there were any. */
  after?: string;
  /** 1 to 1000 messages; 100 if not given. */
  limit?: number;
  /** Ends the tries. */
  signal?: AbortSignal;
  /** Is told of each try that fails. */
  onRetry?: (retry: Retry) => void;
}

/** Which messages to search for. */
export interface SearchOptions extends Omit<HistoryOptions, "after"> {
  /** A text of 2 to 100 characters, which the messages contain in large or small letters. */
  q: string;
}

/** What a follow has passed over: messages that the server has removed since they were too old. */
export interface Gap {
  /** The cursor that the follow had come to. */
  after: string;
  /** The cursor from which it goes on: what was removed stood at or before it. */
  earliest: string;
}

/** Which messages to follow. */
export interface FollowOptions {
  /** A cursor, or `now` (default): only what comes next. */
  after?: string;
  /** Whether edited messages come again, as they are now, and deletions too. */
  changes?: boolean;
  /** Is told where messages were removed that the follow would have given; without it the follow goes on all the same. */
  onGap?: (gap: Gap) => void;
  /** Ends the follow. */
  signal?: AbortSignal;
}

/** A room on a server. Each has a connection of its own: keep it as long as you use it. */
export interface Room {
  /** The room's name. */
  readonly name: string;
  /** How its follows stand. */
  readonly connection: Connection;
  /**
   * Posts a message of 1 to 10,000 bytes; retries, with one key, until the server has told.
   * @throws {LingerError} when it is refused for good; else only the signal's reason.
   */
  post(body: string, options?: PostOptions): Promise<Message>;
  /**
   * Edits a message of one's own; retries until the server has told.
   * @throws {LingerError} when it is refused for good: 403, 404, 410 (deleted), 412 (no more as one knows it); else only the signal's reason.
   */
  edit(id: string, body: string, options?: ChangeOptions): Promise<Message>;
  /**
   * Deletes a message of one's own, or as a moderator; retries until the server has told. To delete it again does no harm.
   * @throws {LingerError} when it is refused for good; else only the signal's reason.
   */
  delete(id: string, options?: ChangeOptions): Promise<void>;
  /**
   * A page of messages, ascending, and whether there may be more in that direction; retries until there is an answer.
   * @throws {LingerError} when it is refused for good; else only the signal's reason.
   */
  history(options?: HistoryOptions): Promise<{ messages: Message[]; more: boolean }>;
  /**
   * The older messages that contain a text, the newest first, back to the first of the room; asks for so many at a time as are looked
   * through at once, and only while its reader waits for one. Retries until there is an answer.
   * @throws {LingerError} when it is refused for good; else only the signal's reason.
   */
  history(options: SearchOptions): AsyncIterableIterator<Message>;
  /**
   * The messages after a cursor as they come, each once and in the room's order. Ends by `break`, `return()` or the signal;
   * never by itself. Asks only while its reader waits for a message. With `changes` these come too, in the room's order: so who keeps
   * where he is, by {@linkcode cursorAfter}, ends with what there is, however long he was away. Where messages that would come next
   * are so old that the server has removed them, it goes on with what is left, and `onGap` is told.
   * @throws {LingerError} when it is refused for good.
   */
  follow(options: FollowOptions & { changes: true }): AsyncIterableIterator<Message | Deletion>;
  /** The same without changes. */
  follow(options?: FollowOptions): AsyncIterableIterator<Message>;
}

/** Seconds that a poll may linger: below the 60 s after which common proxies cut a silent request. */
const WAIT_S = 50;

/** Milliseconds for an answer to begin, besides the wait: more than a server in trouble takes to say so. */
const ANSWER_MS = 20_000;

/** Most messages that a poll asks for: a client that was away catches up in few of them. */
const PAGE_LIMIT = 500;

/**
 * A poll that has lasted so long, in milliseconds, counts as one that waited, however it ends: some proxies cut all that do.
 * An empty answer that comes sooner does not, and to ask again at once would be a busy loop.
 */
const LINGERED_MS = 10_000;

/** Longest pause after an answer that says that its server ends, in milliseconds: not all come to the next in one moment. */
const COME_BACK_MS = 250;

/**
 * Who is asked to come back twice within so many milliseconds does not do it at once: some servers only ever say so. A platform
 * that stops what is idle may say it every few seconds.
 */
const SENT_BACK_MS = 1_000;

/** Pause between news and the next poll while the page is hidden, in milliseconds: one answer then brings what many would. */
const HIDDEN_PAUSE_MS = 10_000;

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** A Linger server. */
export class Linger {
  readonly #base: URL;
  readonly #token: LingerOptions["token"];
  readonly #fetch: typeof fetch;

  /** The server at `url`, which can have a path prefix. Sends nothing yet. */
  constructor(url: string | URL, { token, fetch: send = (...args) => fetch(...args) }: LingerOptions = {}) {
    this.#base = new URL(url);
    this.#base.pathname = this.#base.pathname.replace(/\/*$/, "/");
    this.#token = token;
    this.#fetch = send;
  }

  /**
   * A room; it need not exist yet.
   * @throws {TypeError} for `.` and `..`, which would lead to another place.
   */
  room(name: string): Room {
    if (name === "." || name === "..") throw new TypeError(`A room can't be named ${name}`);
    const path = `rooms/${encodeURIComponent(name)}/messages`;
    return new RemoteRoom(name, (query, init, ms, signal, read) => this.#try(path + query, init, ms, signal, read));
  }

  /**
   * The 100 rooms with the newest messages, newest first; retries until there is an answer.
   * @throws {LingerError} when it is refused for good; else only the signal's reason.
   */
  rooms({ signal }: { signal?: AbortSignal } = {}): Promise<RoomSummary[]> {
    const read = (json: unknown) => isList<RoomSummary>(json, "newest") ? json : undefined;
    return untilTold(signal, () => this.#try("rooms", {}, ANSWER_MS, signal, read));
  }

  #try: Try = async (path, init, ms, signal, read) => {
    const attempt = async () => {
      const token = await this.#tokenNow(signal);
      const headers = { ...token && { authorization: `Bearer ${token}` }, ...init.headers };
      return await exchange(this.#fetch, new URL(path, this.#base), { ...init, headers }, ms, signal, read);
    };
    return await attempt().catch((error) => {
      if (error instanceof LingerError && error.status === 401 && typeof this.#token === "function") return attempt();
      throw error;
    });
  };

  async #tokenNow(signal: AbortSignal | undefined): Promise<string | undefined> {
    const token = this.#token;
    return typeof token === "function" ? await answerOf(token, "No token", ANSWER_MS, signal) : token;
  }
}

/** One try at a path, as {@linkcode exchange} does it. */
type Try = <T>(
  path: string,
  init: { method?: string; headers?: Record<string, string>; body?: string },
  ms: number,
  signal: AbortSignal | undefined,
  read: (json: unknown, headers: Headers, status: number) => T | undefined,
) => Promise<T>;

class RemoteRoom implements Room {
  readonly name: string;
  readonly connection: FollowState = new FollowState();
  readonly #try: Try;

  constructor(name: string, attempt: Try) {
    this.name = name;
    this.#try = attempt;
  }

  post(
    body: string,
    { author, key = newKey(), replyTo, messageKey, signal, onRetry }: PostOptions = {},
  ): Promise<Message> {
    const init = {
      method: "POST",
      headers: {
        "content-type": "application/json",
        "idempotency-key": key,
        ...headersOf({ messageKey }),
      },
      body: JSON.stringify({ body, author, reply_to: replyTo }),
    };
    const read = (json: unknown) => isList<Message>([json], "id") ? json as Message : undefined;
    return untilTold(signal, () => this.#try("", init, ANSWER_MS, signal, read), onRetry);
  }

  edit(id: string, body: string, { signal, onRetry, ...options }: ChangeOptions = {}): Promise<Message> {
    const init = {
      method: "PATCH",
      headers: { "content-type": "application/json", ...headersOf(options) },
      body: JSON.stringify({ body }),
    };
    // A redirect by 303 makes a GET of it, which gives the message as it was. An edit gives the text that was sent.
    const read = (json: unknown) =>
      isList<Message>([json], "id") && (json as Message).body === body ? json as Message : undefined;
    return untilTold(signal, () => this.#try(pathOf(id), init, ANSWER_MS, signal, read), onRetry);
  }

  async delete(id: string, { signal, onRetry, ...options }: ChangeOptions = {}): Promise<void> {
    const init = { method: "DELETE", headers: headersOf(options) };
    const read = (_json: unknown, _headers: Headers, status: number) => status === 204 || undefined;
    await untilTold(signal, () => this.#try(pathOf(id), init, ANSWER_MS, signal, read), onRetry);
  }

  history(options?: HistoryOptions): Promise<{ messages: Message[]; more: boolean }>;
  history(options: SearchOptions): AsyncIterableIterator<Message>;
  history(
    { before = "now", after, limit, q, signal, onRetry }: HistoryOptions & Partial<SearchOptions> = {},
  ): Promise<{ messages: Message[]; more: boolean }> | AsyncIterableIterator<Message> {
    if (q !== undefined) {
      if (after !== undefined) throw new TypeError("A search goes back from `before`; it has no `after`");
      const ended = new AbortController();
      return endable(this.#search({ before, limit, q, onRetry }, ended, signal), ended);
    }
    const query = after === undefined ? queryOf({ before, limit }) : queryOf({ after, limit, wait: 0 });
    const isMore = (messages: Message[], headers: Headers) =>
      after === undefined ? linkOf(headers).includes('rel="prev"') : messages.length > 0;
    const read = (json: unknown, headers: Headers) =>
      isList<Message>(json, "id") ? { messages: json, more: isMore(json, headers) } : undefined;
    return untilTold(signal, () => this.#try(query, {}, ANSWER_MS, signal, read), onRetry);
  }

  follow(options: FollowOptions & { changes: true }): AsyncIterableIterator<Message | Deletion>;
  follow(options?: FollowOptions): AsyncIterableIterator<Message>;
  follow({ after = "now", changes = false, onGap, signal }: FollowOptions = {}): AsyncIterableIterator<
    Message | Deletion
  > {
    const ended = new AbortController();
    return endable(this.#follow(after, changes, onGap, ended, signal), ended);
  }

  async *#search(
    { before, limit, q, onRetry }: {
      before: string;
      limit: number | undefined;
      q: string;
      onRetry: HistoryOptions["onRetry"];
    },
    ended: AbortController,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Message, void> {
    signal?.throwIfAborted();
    const end = () => ended.abort(signal!.reason);
    signal?.addEventListener("abort", end, { once: true });
    const read = (json: unknown, headers: Headers) => {
      const link = linkOf(headers);
      // A server that is older does not know `q`, and gives all messages; such a page leads on to the next one, too.
      if (!isList<Message>(json, "id") || link.includes('rel="next"')) return undefined;
      return { messages: json, prev: /[?&]before=([\w-]+)[^>]*>; *rel="prev"/.exec(link)?.[1] };
    };
    try {
      for (let prev: string | undefined = before; prev !== undefined;) {
        const query = queryOf({ before: prev, limit, q });
        const found = await untilTold(ended.signal, () => this.#try(query, {}, ANSWER_MS, ended.signal, read), onRetry);
        prev = found.prev;
        for (const message of found.messages.reverse()) {
          ended.signal.throwIfAborted();
          yield message;
        }
      }
    } catch (error) {
      if (error !== ended.signal.reason || signal?.aborted) throw error;
    } finally {
      signal?.removeEventListener("abort", end);
    }
  }

  async *#follow(
    after: string,
    changes: boolean,
    onGap: FollowOptions["onGap"],
    ended: AbortController,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Message | Deletion, void> {
    if (signal?.aborted) return;
    const end = () => ended.abort();
    const tell = (state: ConnectionState) => {
      if (!ended.signal.aborted) this.connection.set(ended, state);
    };
    let live = false;
    const offline = () => {
      live = false;
      tell({ status: "offline" });
    };
    const leave = () => {
      signal?.removeEventListener("abort", end);
      host.removeEventListener?.("offline", offline);
      this.connection.leave(ended);
    };
    signal?.addEventListener("abort", end);
    host.addEventListener?.("offline", offline);
    ended.signal.addEventListener("abort", leave); // at once: a reader that is busy may never come for more

    let last = ""; // where the last one stands that was given
    let failures = 0; // in a row, with neither news nor a poll that lingered between them
    let sentBack = false; // by a server that ends, and nothing else since
    let more = false; // as far as is known: the last page was full
    try {
      while (true) {
        // The first poll, and the first after a failure, does not wait: so one knows at once that all is well. Nor does one that
        // catches up: a cache before the server can answer it, since nobody's news is held up behind it there.
        const wait = live && !more ? WAIT_S : 0;
        // What stands at or before the cursor was given, or is not asked for: also where `now` turned out to be, or a gap ends.
        if (placeOf(after) > last) last = placeOf(after);
        if (!live) tell({ status: "connecting" });
        const begun = Date.now();
        const begunByTimer = performance.now(); // which may stand still while the machine sleeps, but nobody sets it
        const lingered = () => Math.max(Date.now() - begun, performance.now() - begunByTimer) >= LINGERED_MS;
        let news: Placed[];
        let comeBack: boolean;
        try {
          ({ news, next: after, comeBack, more } = await this.#poll(after, changes, last, wait, ended.signal));
          if (comeBack && !(sentBack && Date.now() - begun < SENT_BACK_MS)) {
            sentBack = true;
            await pause(Math.random() * COME_BACK_MS, ended.signal);
            continue;
          }
          if (more && news.length === 0) throw new Failure("A full page, and nothing new on it");
          if (wait > 0 && news.length === 0 && !lingered()) throw new Failure("An empty answer, and too soon");
          sentBack = false;
        } catch (failure) {
          const earliest = earliestOf(failure);
          if (earliest !== undefined && earliest !== after) { // else it would ask for the same again and again
            const gap = { after, earliest };
            after = earliest;
            guarded(() => onGap?.(gap));
            continue;
          }
          if (!(failure instanceof Failure)) throw failure;
          if (lingered()) failures = 0;
          live = false;
          await backOff(failure, failures++, ended.signal, (retryAt) =>
            tell(
              host.navigator?.onLine === false
                ? { status: "offline" }
                : { status: "reconnecting", retryAt, problem: failure.problem },
            ));
          continue;
        }
        if (wait > 0 || news.length > 0) failures = 0;
        live = true;
        tell({ status: "live" });

        for (const { place, item } of news) {
          if (ended.signal.aborted) return;
          last = place;
          yield item;
        }
        // A page that nobody sees need not be the first to know, once it has caught up. The pause ends as soon as it is looked at.
        const hidden = host.document?.visibilityState === "hidden";
        if (hidden && news.length > 0 && !more) await pause(HIDDEN_PAUSE_MS, ended.signal);
      }
    } catch (error) {
      if (error !== ended.signal.reason) throw error;
    } finally {
      ended.abort();
    }
  }

  /** What is new after a cursor, but for what was given already. */
  #poll(
    after: string,
    changes: boolean,
    last: string,
    wait: number,
    signal: AbortSignal,
  ): Promise<Polled> {
    const query = queryOf({ after, limit: PAGE_LIMIT, wait, changes: changes ? "true" : undefined });
    return this.#try(query, {}, wait * 1_000 + ANSWER_MS, signal, (json, headers) => {
      if (!isList<Message>(json, "id")) return undefined;
      let end = after;
      const placed = json.map((item) => ({ place: end = changes ? cursorAfter(end, item) : item.id, item }));
      const link = /<([^>]*)>; *rel="next"/.exec(linkOf(headers))?.[1];
      // A server that is older does not know `changes`, and would lead past them; another one may answer the next time.
      if (changes && link !== undefined && !link.includes("changes=true")) return undefined;
      const next = /[?&]after=([\w-]+)/.exec(link ?? "")?.[1] ?? end;
      const comeBack = json.length === 0 && headers.get("retry-after") === "0";
      // `now` asked twice would be two different places, and what came between them lost.
      if (next === "now") return undefined;
      const more = json.length === PAGE_LIMIT;
      // What ends where we were already was given: a cache can have kept it. An edit since then makes some of it look new.
      const isOld = placeOf(next) !== "" && placeOf(next) <= last;
      if (isOld) return { news: [], next: after, comeBack, more };
      return { news: placed.filter(({ place }) => place > last), next, comeBack, more };
    });
  }
}

/** Something new, and its place in the room's order. */
interface Placed {
  place: string;
  item: Message | Deletion;
}

/** What a poll got. */
interface Polled {
  news: Placed[];
  /** The cursor from which to go on. */
  next: string;
  /** Whether the server ends, and asks to come back soon. */
  comeBack: boolean;
  /** Whether the page was full, so that there may be more. */
  more: boolean;
}

/**
 * Which state counts where several follow: the first of these that one of them is in. What keeps one from its news is told, however well the
 * others are; but one that still says that there is no network knows less than one that has been answered since.
 */
const FIRST_TOLD = ["reconnecting", "connecting", "live", "offline"];

/** A connection's state, made of those that the follows set. */
class FollowState implements Connection {
  state: ConnectionState = { status: "idle" };
  readonly #listeners = new Set<(state: ConnectionState) => void>();
  /** By what ends the follow. */
  readonly #states = new Map<AbortController, ConnectionState>();

  subscribe(listener: (state: ConnectionState) => void): () => void {
    const own = (state: ConnectionState) => listener(state);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  set(follow: AbortController, state: ConnectionState): void {
    this.#states.set(follow, state);
    this.#tell();
  }

  leave(follow: AbortController): void {
    this.#states.delete(follow);
    this.#tell();
  }

  #tell(): void {
    const rank = ({ status }: ConnectionState) => FIRST_TOLD.indexOf(status);
    const states = [...this.#states.values()].sort((a, b) => rank(a) - rank(b));
    const state: ConnectionState = states[0] ?? { status: "idle" };
    if (state === this.state || state.status === this.state.status && state.status !== "reconnecting") return;
    this.state = state;
    for (const listener of this.#listeners) guarded(() => listener(state));
  }
}

/** Tells somebody. What he throws is his own fault, to be seen as such; what he is told of goes on. */
function guarded(tell: () => void): void {
  try {
    tell();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

/** Ends by `return()` at once: a generator would first wait for the next() that is under way, which may take a minute. */
function endable<T>(items: AsyncGenerator<T, void>, ended: AbortController): AsyncIterableIterator<T> {
  return {
    next: () => items.next(),
    return: () => {
      ended.abort();
      return items.return();
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

/** Tries until there is an answer, or an error that is final. */
async function untilTold<T>(
  signal: AbortSignal | undefined,
  attempt: () => Promise<T>,
  onRetry?: (retry: Retry) => void,
): Promise<T> {
  for (let failures = 0;; failures++) {
    try {
      return await attempt();
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
      const { problem } = failure;
      await backOff(failure, failures, signal, (retryAt) => guarded(() => onRetry?.({ retryAt, problem })));
    }
  }
}

/** The number of a message in its room, out of its id: 1 for the first, 0 for the nil cursor. */
export function messageNumber(id: string): number {
  return parseInt(id.slice(14, 18) + id.slice(19, 23) + id.slice(24, 26), 16);
}

/**
 * The cursor at what a follow has given: who keeps it goes on after that. `cursor` is the one before, after which it came. A message that
 * was edited meanwhile comes first where it was posted, and once more where its edit stands, after all that was said between the two; so
 * its `changed` alone does not tell which of them this is. Nor does a `cursor` that is no UUID, such as `now`: then it is taken for the
 * first, so that nothing is lost, and what was said since then comes again.
 */
export function cursorAfter(cursor: string, news: Message | Deletion): string {
  const { id, changed = id } = news;
  const isFirst = !("deleted" in news) && id > placeOf(cursor);
  return isFirst ? id : changed;
}

/** Where a cursor stands, to be compared with ids; "", which is before all of them, where only the server knows. */
function placeOf(cursor: string): string {
  return UUID.test(cursor) ? cursor.toLowerCase() : "";
}

/** From where to go on, where the server says by an error that it has removed what would come next. */
export function earliestOf(error: unknown): string | undefined {
  const isGap = error instanceof LingerError && error.status === 410;
  return isGap && typeof error.problem?.earliest === "string" ? error.problem.earliest : undefined;
}

/** A new `Idempotency-Key`. Not `crypto.randomUUID`: browsers have that on https only. */
function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function pathOf(id: string): string {
  return `/${encodeURIComponent(id)}`;
}

function headersOf({ messageKey, known }: Pick<ChangeOptions, "messageKey" | "known">): Record<string, string> {
  return {
    ...messageKey !== undefined && { "message-key": messageKey },
    ...known && { "if-match": `"${known.changed ?? known.id}"` },
  };
}

function linkOf(headers: Headers): string {
  return headers.get("link") ?? "";
}

function queryOf(parameters: Record<string, string | number | undefined>): string {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined);
  return `?${new URLSearchParams(given.map(([name, value]) => [name, `${value}`]))}`;
}

/** Whether it is an array of objects that have a text under `member`. */
function isList<T>(json: unknown, member: keyof T): json is T[] {
  return Array.isArray(json) && json.every((item) => typeof item?.[member] === "string");
}

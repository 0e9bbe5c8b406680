// @ts-check
// Sends what you write, room by room in the order you wrote it, and keeps it until the server has it: through a reload, an
// outage, a lost answer. What can't be sent yet holds back what is behind it, and goes out by itself when the server is back.
// Every message has one idempotency key for all its attempts, so none is stored twice: not by two windows of this page either. These
// have one outbox, in the storage, and one of them sends.
import { LingerError } from "../client/client.ts";
import { RENEW_MS } from "./lease.js";
import { isOwn } from "./own.js";
import { Patience } from "./patience.js";
import * as words from "./words.js";

/** @import { Linger, Message } from "../client/client.ts" */
/** @import { Lease } from "./lease.js" */
/** @import { Memory, Unsent } from "./memory.js" */
/** @import { Me } from "./own.js" */
/** @import { Session } from "./session.js" */

/** How long a message is on its way before its writer is told why, in milliseconds. */
const LATE_MS = 30_000;

/** A message in the outbox; with the id that the server gave it, once it has. @typedef {Unsent} OutboxItem */

/** How long it may take to hear what another window has done, in milliseconds; what is not in the storage for longer was lost with it. */
const UNHEARD_MS = 10_000;

/** Of so many messages it is kept that they were not wanted any more, and may have arrived. */
const TAKEN_BACK = 10;

/** The attempts at one message. */
class Attempts {
  ended = new AbortController();
  /** When the next begins, in milliseconds since 1970. */
  retryAt = 0;

  /** @param {OutboxItem} item */
  constructor(item) {
    this.item = item;
  }
}

export class Outbox {
  #linger;
  #memory;
  #session;
  #lease;
  #changed;
  /** @type {OutboxItem[]} */
  #items;
  /** The room that one sees. */
  #room = "";
  /** What is being sent, by room. @type {Map<string, Attempts>} */
  #sending = new Map();
  /** What its writer has deleted while nobody knew whether it had arrived. @type {OutboxItem[]} */
  #takenBack = [];
  /** Since when they are in the storage no more, by the page's clock. @type {WeakMap<OutboxItem, number>} */
  #missing = new WeakMap();
  /** The last answer to each that asked who one is. @type {WeakMap<OutboxItem, LingerError>} */
  #asked = new WeakMap();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {Linger} linger
   * @param {Memory} memory
   * @param {Session} session
   * @param {Lease} lease Who has it sends.
   * @param {(room: string) => void} changed
   */
  constructor(linger, memory, session, lease, changed) {
    this.#linger = linger;
    this.#memory = memory;
    this.#session = session;
    this.#lease = lease;
    this.#changed = changed;
    this.#items = memory.unsent().map((item) => this.#named(item));
    memory.watchUnsent((key, item) => this.#hear(key, item && this.#named(item)));
    // Of what was done while the browser kept this page, to come back to, it was told nothing.
    addEventListener("pageshow", ({ persisted }) => persisted && this.#catchUp());
    // Not before the page is put together.
    queueMicrotask(() => this.#work());
  }

  /** Another room is seen. @param {string} room */
  open(room) {
    this.#room = room;
    this.#tidy();
    this.#tellAsked();
  }

  /** What is in a room's outbox, in the order it was written. @param {string} room */
  of(room) {
    return this.#items.filter((item) => item.room === room);
  }

  /** @param {{ room: string, author: string, body: string, after: string, unread: boolean, replyTo?: string }} message */
  add(message) {
    // Later than all before it, whatever the clock says: that is their order.
    const at = Math.max(Date.now(), ...this.of(message.room).map(({ at }) => at + 1));
    const item = this.#named({ ...message, key: newKey(), messageKey: newKey(), at, state: "sending" });
    this.#items.push(item);
    this.#keep(item);
    this.#work();
  }

  /** Tries again at once. @param {OutboxItem} item */
  retry(item) {
    item.state = "sending";
    delete item.failure;
    this.#asked.delete(item); // so that one is told anew
    this.#keep(item);
    this.#sending.get(item.room)?.ended.abort();
    this.#work();
  }

  /** Tries again at once whatever waits for a server to come back: it is back. */
  goOn() {
    for (const { retryAt, ended } of this.#sending.values()) if (retryAt > Date.now()) ended.abort();
    this.#work();
  }

  /** Gives back the words of a message that was refused, to be sent as another. @param {OutboxItem} item */
  take(item) {
    this.remove(item);
    return item.body;
  }

  /** Sends an item no more. It may have arrived all the same: then its writer can still delete it. @param {OutboxItem} item */
  takeBack(item) {
    if (item.state === "late") this.#takenBack = [...this.#takenBack, item].slice(-TAKEN_BACK);
    this.remove(item);
  }

  /**
   * Keeps the keys of what was taken back in a room and is among its messages all the same, as far as one can tell.
   * @param {string} room @param {Me} me @param {(cursor: string) => Message[]} after The messages after a cursor.
   */
  findTakenBack(room, me, after) {
    this.#takenBack = this.#takenBack.filter((item) => {
      if (item.room !== room) return true;
      const isIt = (/** @type {Message} */ message) => canBe(message, item, me) && !this.#memory.messageKey(message.id);
      const seen = after(item.after).find(isIt);
      if (seen && item.messageKey) this.#memory.keepMessageKey(seen.id, item.messageKey);
      return !seen;
    });
  }

  /** Forgets an item: it has arrived, or its writer doesn't want it any more. @param {OutboxItem} item */
  remove(item) {
    // What the storage has lost goes there without a word: for the other windows to hear of it, it is kept once more, as what nobody sends.
    if (!item.id && !this.#memory.isUnsent(item)) this.#memory.keepUnsent({ ...item, state: "refused" });
    this.#memory.forgetUnsent(item);
    this.#drop(item);
  }

  /** @param {OutboxItem} item */
  #drop(item) {
    this.#items = this.#items.filter((other) => other !== item);
    const attempts = this.#sending.get(item.room);
    if (attempts?.item === item) attempts.ended.abort();
    this.#changed(item.room);
  }

  /**
   * An item under the name in the token, if there is one: that can have been renewed since the item was written, and the server takes no
   * other name.
   * @param {OutboxItem} item @returns {OutboxItem}
   */
  #named(item) {
    return { ...item, author: this.#session.givenName || item.author };
  }

  /** Lets go of what has arrived in rooms that nobody sees here: in the one that he sees it is there until its message is. */
  #tidy() {
    this.#items = this.#items.filter(({ id, room }) => !id || room === this.#room);
  }

  /** @param {OutboxItem} item */
  #keep(item) {
    this.#lease.take(); // first: another window that hears of the item would take it at once, and both would send
    this.#memory.keepUnsent(item);
    this.#changed(item.room);
  }

  /** Another window has kept an item, or forgotten it. @param {string} key @param {OutboxItem | undefined} told */
  #hear(key, told) {
    const item = this.#items.find((item) => item.key === key);
    if (!told) return item && !item.id && this.#drop(item);
    if (!this.#session.isSame) return; // it is for the next one to send, and not under the name of the one before
    if (!item) this.#items = [...this.#items, told].sort((a, b) => a.at - b.at);
    else if (!item.id) {
      const again = item.state !== "sending" && told.state === "sending";
      delete item.failure;
      Object.assign(item, told);
      const attempts = this.#sending.get(item.room);
      if (attempts?.item === item && (again || item.id)) attempts.ended.abort();
    }
    this.#tidy();
    this.#changed(told.room);
    this.#work();
  }

  /** Makes up for what it could not hear: what the storage has no more was sent, or not wanted any more. */
  #catchUp() {
    for (const item of this.#items) if (!item.id && !this.#memory.isUnsent(item)) this.#drop(item);
    for (const item of this.#memory.unsent()) this.#hear(item.key, this.#named(item));
  }

  /** Sends what there is to send, if this window is the one that does. */
  #work() {
    clearTimeout(this.#timer);
    const rooms = new Set(this.#items.filter(isToSend).map(({ room }) => room));
    if (rooms.size === 0) return this.#lease.release();
    this.#timer = setTimeout(() => this.#work(), RENEW_MS);
    if (this.#lease.take()) { for (const room of rooms) this.#send(room); }
    else for (const { ended } of this.#sending.values()) ended.abort();
  }

  /** Sends the first that there is of a room. @param {string} room */
  async #send(room) {
    const item = this.of(room).find((item) => isToSend(item) && !this.#isSentElsewhere(item));
    if (!item || this.#sending.has(room)) return;
    const attempts = new Attempts(item);
    this.#sending.set(room, attempts);
    await this.#post(attempts);
    this.#sending.delete(room);
    this.#work();
    this.#tellAsked(); // after that: of what only goes on, nothing has changed
  }

  /** Has it told whether something waits for its writer to sign in, in the room that he sees: in another he may be let write. */
  #tellAsked() {
    const item = this.#sending.get(this.#room)?.item;
    this.#session.asksWriter(item && this.#asked.get(item));
  }

  /** Whether another window has had it confirmed, though this one has not heard of it yet. @param {OutboxItem} item */
  #isSentElsewhere(item) {
    if (this.#memory.isUnsent(item)) return false;
    const since = this.#missing.get(item) ?? performance.now();
    this.#missing.set(item, since);
    return performance.now() - since < UNHEARD_MS;
  }

  /** @param {Attempts} attempts */
  async #post(attempts) {
    const { item, ended: { signal } } = attempts;
    const { room, body, author, key, messageKey, replyTo } = item;
    let why = words.unreachable;
    const timer = setTimeout(() => this.#fail(item, "late", why), LATE_MS);
    /** @type {import("../client/client.ts").PostOptions} */
    const options = {
      author,
      key,
      messageKey,
      replyTo,
      signal,
      onRetry: ({ retryAt, problem }) => {
        why = problem?.detail ?? words.unreachable;
        attempts.retryAt = problem?.status === 429 ? 0 : retryAt; // who is asked to wait waits
      },
    };
    const patience = new Patience(signal, (error, retryAt) => {
      why = reasonOf(error);
      attempts.retryAt = retryAt;
      if (error.status === 401) this.#asked.set(item, error);
      this.#fail(item, "late", why);
      this.#tellAsked();
    });
    try {
      const done = await patience.until(() =>
        this.#linger.room(room).post(body, options).catch((error) => {
          if (isVerdict(error)) return /** @type {LingerError} */ (error);
          throw error;
        })
      );
      if (!(done instanceof LingerError)) this.#arrived(item, done.id);
      else if (done.status === 410) this.remove(item); // it had arrived, and was deleted since
      else this.#fail(item, "refused", reasonOf(done));
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** @param {OutboxItem} item @param {string} id */
  #arrived(item, id) {
    item.id = id;
    if (item.messageKey) this.#memory.keepMessageKey(id, item.messageKey);
    this.#memory.keepUnsent(item); // so that the other windows know what it is
    this.#memory.forgetUnsent(item);
    this.#tidy();
    this.#changed(item.room);
  }

  /** @param {OutboxItem} item @param {"late" | "refused"} state @param {string} failure */
  #fail(item, state, failure) {
    if (item.state === state && item.failure === failure) return;
    item.state = state;
    item.failure = failure;
    if (this.#items.includes(item)) this.#keep(item);
  }
}

/** Whether it is for the outbox to send, not for its writer. @param {OutboxItem} item */
function isToSend({ id, state }) {
  return !id && state !== "refused";
}

/**
 * Whether a message can be what an item has become: it does not say with which key it was posted, so its words, and whose it is, have to do.
 * @param {Message} message @param {OutboxItem} item @param {Me} me
 */
export function canBe(message, item, me) {
  // Who has a token is told by that: it can have been stored under the name of another day.
  const writer = { ...me, name: item.author };
  return item.after < message.id && isOwn(message, writer) && item.body === message.body;
}

/**
 * Whether the server says of this message that it does not take it. Anything else is said by something before the server, or of
 * who asks: it may pass, and what is behind the message would meet the same. @param {unknown} error
 */
function isVerdict(error) {
  return error instanceof LingerError && error.status !== 401 && error.problem !== undefined;
}

/** @param {LingerError} error */
function reasonOf({ status, problem }) {
  return problem?.detail ?? words.answerWas(status);
}

/** A random key; `crypto.randomUUID` would be shorter, and is missing on pages that came over plain HTTP. */
function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

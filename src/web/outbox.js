// @ts-check
// Sends what you write, room by room in the order you wrote it, and keeps it until the server has it: through a reload,
// an outage, a lost answer. Every message has one idempotency key for all its attempts, so none is stored twice.

import { LingerError } from "../client/client.ts";
import * as words from "./words.js";

/** @import { Linger } from "../client/client.ts" */
/** @import { Memory, Unsent } from "./memory.js" */

/** How long a message is tried before its writer is asked what to do, in milliseconds. */
const GIVE_UP_MS = 30_000;

/**
 * A message in the outbox; with the id that the server gave it, once it has.
 * @typedef {Unsent & { id?: string }} OutboxItem
 */

export class Outbox {
  #linger;
  #memory;
  #changed;
  /** @type {OutboxItem[]} */
  #items = [];
  /** @type {Set<string>} */
  #busy = new Set();

  /** @param {Linger} linger @param {Memory} memory @param {(room: string) => void} changed */
  constructor(linger, memory, changed) {
    this.#linger = linger;
    this.#memory = memory;
    this.#changed = changed;
    this.#items = memory.unsent();
    for (const { room } of this.#items) this.#send(room);
  }

  /** What is in a room's outbox, in the order it was written. @param {string} room */
  of(room) {
    return this.#items.filter((item) => item.room === room);
  }

  /** @param {{ room: string, author: string, body: string, after: string }} message */
  add(message) {
    /** @type {Unsent} */
    const item = { ...message, key: newKey(), messageKey: newKey(), at: Date.now(), state: "sending" };
    this.#items.push(item);
    this.#keep(item);
    this.#send(item.room);
  }

  /** Tries again, with the same key. @param {OutboxItem} item */
  retry(item) {
    item.state = "sending";
    this.#keep(item);
    this.#send(item.room);
  }

  /** Forgets an item: it has arrived, or its writer doesn't want it any more. @param {OutboxItem} item */
  remove(item) {
    this.#items = this.#items.filter((other) => other !== item);
    this.#memory.forgetUnsent(item);
    this.#changed(item.room);
  }

  /** @param {OutboxItem} item */
  #keep(item) {
    this.#memory.keepUnsent(item);
    this.#changed(item.room);
  }

  /** @param {string} room */
  async #send(room) {
    if (this.#busy.has(room)) return;
    this.#busy.add(room);
    for (;;) {
      const item = this.of(room).find(({ id, state }) => !id && state === "sending");
      if (!item) break;
      await this.#post(item);
    }
    this.#busy.delete(room);
  }

  /** @param {OutboxItem} item */
  async #post(item) {
    const { room, body, author, key, messageKey } = item;
    let told;
    try {
      const signal = AbortSignal.timeout(GIVE_UP_MS);
      const { id } = await this.#linger.room(room).post(body, {
        author,
        key,
        messageKey,
        signal,
        onRetry: ({ problem }) => told = problem?.status === 429 ? problem.detail : undefined,
      });
      item.id = id;
      if (messageKey) this.#memory.keepMessageKey(id, messageKey);
      this.#memory.forgetUnsent(item);
      this.#changed(room);
    } catch (error) {
      const refused = error instanceof LingerError;
      item.state = refused ? "refused" : "late";
      item.failure = refused ? error.problem?.detail ?? error.message : told ?? words.unreachable;
      if (this.#items.includes(item)) this.#keep(item);
    }
  }
}

/** A random key; `crypto.randomUUID` would be shorter, and is missing on pages that came over plain HTTP. */
function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// @ts-check
// How far one has read in a room, and what came after that. Read is what was on the screen before somebody, in order from
// where he had stopped; and all of it when he goes to the end. One's own messages are never unread, whatever they were
// written with.
import { messageNumber } from "../client/client.ts";

/** @import { Message } from "../client/client.ts" */

export class Unread {
  #isOwn;
  /** Own messages that came after what was read. @type {Set<string>} */
  #own = new Set();
  /** The newest message that was read; "" for none. */
  read;
  /** The newest message there is. */
  newest;

  /** @param {string} read @param {(message: Message) => boolean} isOwn */
  constructor(read, isOwn) {
    this.read = this.newest = read;
    this.#isOwn = isOwn;
  }

  /** How many messages are unread, by their numbers: those that are gone by now, too. */
  get count() {
    return unreadCount(this.read, this.newest, [...this.#own]);
  }

  /** Takes note of messages, in their order, that are before one's eyes or not. @param {Message[]} messages */
  came(messages) {
    for (const message of messages) {
      if (message.id <= this.read) continue;
      const own = this.#isOwn(message);
      if (own) this.#own.add(message.id);
      if (message.id <= this.newest) continue;
      // What one writes elsewhere where nothing is unread leaves nothing unread.
      if (own && this.read === this.newest && this.read !== "") this.read = message.id;
      this.newest = message.id;
    }
  }

  /** There are messages up to this one, though they have not been loaded. @param {string} id */
  reaches(id) {
    if (id > this.newest) this.newest = id;
  }

  /** Those of these that are unread. @param {Message[]} messages */
  among(messages) {
    return messages.filter((message) => message.id > this.read && !this.#isOwn(message));
  }

  /** The first of these that can be unread. @param {Message[]} messages */
  firstOf(messages) {
    return messages.find((message) => !this.#isOwn(message));
  }

  /** Everything up to a message was read. @param {string} id */
  mark(id) {
    if (id <= this.read) return false;
    this.read = id;
    for (const own of this.#own) if (own <= id) this.#own.delete(own);
    return true;
  }
}

/**
 * How many messages of others there are after the one that was read last, up to the newest, by their numbers.
 * @param {string} read "" for none: who has never read a room has missed nothing there. @param {string} newest
 * @param {string[]} own The ids of one's own among them, as far as they are known.
 */
export function unreadCount(read, newest, own) {
  if (read === "" || newest <= read) return 0;
  const mine = own.filter((id) => id > read && id <= newest).length;
  return Math.max(0, (messagesBetween(read, newest) ?? mine + 1) - mine);
}

/**
 * How many messages there are after the first of two, up to the second, by their numbers. undefined where nobody knows: a database that has
 * lost messages gives their numbers out once more, and a new one begins with 1.
 * @param {string} after @param {string} id
 */
export function messagesBetween(after, id) {
  const count = messageNumber(id) - messageNumber(after);
  return count > 0 ? count : undefined;
}

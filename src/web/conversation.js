// @ts-check
// One room as this page knows it: its newest messages without a gap, read from history and then followed, and what you
// wrote that is not among them yet. Decides when the one has become the other, so that no message is seen twice.

import { messageNumber } from "../client/client.ts";

import { Patience } from "./patience.js";

/** @import { LingerError, Message, Room } from "../client/client.ts" */
/** @import { Outbox } from "./outbox.js" */
/** @import { Timeline } from "./timeline.js" */

/** Messages in one page of history: some screens. */
const PAGE = 50;

/** Stands before every message. */
export const NIL = "00000000-0000-0000-0000-000000000000";

export class Conversation {
  #room;
  #outbox;
  #timeline;
  #grown;
  #left = new AbortController();
  #patience;
  /** @type {Message[]} */
  #fresh = [];
  #scheduled = false;
  #loading = false;
  #oldest = "";
  /** Which message an outbox item has been seen as, by its key. @type {Map<string, string>} */
  #seenAs = new Map();
  /** The id of the newest message; "" until the room has been read. */
  newest = "";

  /**
   * @param {Room} room @param {Outbox} outbox @param {Timeline} timeline
   * @param {(newest: string, messages: Message[]) => void} grown
   * @param {(error: LingerError, retryAt: number) => void} refused It goes on all the same, at that time.
   */
  constructor(room, outbox, timeline, grown, refused) {
    this.#room = room;
    this.#outbox = outbox;
    this.#timeline = timeline;
    this.#grown = grown;
    this.#patience = new Patience(this.#left.signal, refused);
    this.#run().catch((error) => {
      if (!this.#left.signal.aborted) throw error;
    });
  }

  /** Stops following. */
  leave() {
    this.#left.abort();
  }

  /** Has the outbox, or what was followed, shown soon: much that arrives at once is shown at once. */
  change() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setTimeout(() => {
      this.#scheduled = false;
      if (!this.#left.signal.aborted) this.#show();
    });
  }

  /** Shows the page of history before the oldest message. */
  async loadOlder() {
    if (this.#loading || !this.#oldest) return;
    this.#loading = true;
    const before = this.#oldest;
    const page = await this.#patience.until(() => this.#history(before)).catch(() => undefined);
    this.#loading = false;
    if (!page || this.#left.signal.aborted) return;
    // Meanwhile the timeline may have let go of its oldest messages; then this page does not adjoin.
    if (before === this.#oldest) {
      this.#oldest = page.messages[0]?.id ?? before;
      this.#timeline.prepend(page.messages, page.more);
    }
    this.#timeline.watchForOlder();
  }

  async #run() {
    const { signal } = this.#left;
    const { messages, more } = await this.#patience.until(() => this.#history("now"));
    this.#oldest = messages[0]?.id ?? "";
    this.newest = messages.at(-1)?.id ?? NIL;
    this.#recognize(messages);
    this.#timeline.begin(messages, more);
    this.#show();
    this.#timeline.watchForOlder();
    const follow = (/** @type {string} */ after) => this.#room.follow({ after, signal });
    for await (const message of this.#patience.follow(this.newest, follow)) {
      this.#fresh.push(message);
      this.change();
    }
  }

  /** @param {string} before */
  #history(before) {
    const limit = before === "now" ? PAGE : toPageBoundary(messageNumber(before) - 1);
    return this.#room.history({ before, limit, signal: this.#left.signal });
  }

  #show() {
    const fresh = this.#fresh;
    this.#fresh = [];
    this.#oldest ||= fresh[0]?.id ?? "";
    this.newest = fresh.at(-1)?.id ?? this.newest;
    this.#recognize(fresh);
    this.#timeline.append(fresh, this.#waiting());
    this.#oldest = this.#timeline.prune() ?? this.#oldest;
    this.#grown(this.newest, fresh);
  }

  /**
   * Finds among new messages those that are in the outbox without its knowing: the answer to a post may come after the
   * message itself, or never. A message does not say with which key it was posted, so its words have to do until the
   * answer says for sure: for the one that is under way, since no other can have arrived, and only to show it once. It is sent as long
   * as there is no answer, whatever others say meanwhile.
   * @param {Message[]} messages
   */
  #recognize(messages) {
    const item = this.#outbox.of(this.#room.name).find(({ id, state }) => !id && state !== "refused");
    if (item?.state !== "sending" || this.#seenAs.has(item.key)) return;
    const seen = messages.find(({ id, author, body }) =>
      item.after < id && item.author === author && item.body === body
    );
    if (seen) this.#seenAs.set(item.key, seen.id);
  }

  /** What is in the outbox and not among the messages. */
  #waiting() {
    return this.#outbox.of(this.#room.name).filter((item) => {
      if (!item.id) return item.state === "refused" || !this.#seenAs.has(item.key);
      if (item.id > this.newest) return true;
      this.#outbox.remove(item);
      return false;
    });
  }
}

/**
 * How many messages to read back so that what is before them is a whole number of pages: about a page. So all who read back come to
 * ask for the same pages, whenever they came, and a cache before the server can have them.
 * @param {number} count How many messages there are before.
 */
function toPageBoundary(count) {
  const least = PAGE / 2;
  return least + (count + PAGE - least) % PAGE;
}

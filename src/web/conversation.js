// @ts-check
// One room as this page knows it: a part of its messages without a gap, where you stopped reading or at the newest; what
// comes, which is shown when that part reaches it; and what you wrote that is not among them yet. Decides when the one has
// become the other, so that no message is seen twice.

import { earliestOf, messageNumber } from "../client/client.ts";
import { timeOf } from "./calendar.js";
import { isOutdated, rowOf } from "./message-row.js";
import { canBe } from "./outbox.js";
import { Patience } from "./patience.js";

/** @import { Deletion, Gap, LingerError, Message, Retry, Room } from "../client/client.ts" */
/** @import { Outbox, OutboxItem } from "./outbox.js" */
/** @import { Me } from "./own.js" */
/** @import { Timeline } from "./timeline.js" */

/**
 * What a conversation tells.
 * @typedef {object} Told
 * @property {(newest: string, messages: Message[]) => void} grown There is something new.
 * @property {(edited: number, deleted: number) => void} changed So many messages on the page are not what they were.
 * @property {(news: Message | Deletion) => void} became A message, on the page or not, is not what it was.
 * @property {(earliest: string) => void} gap The server has removed messages that were to come next, up to that place, and so
 * perhaps some that are shown.
 * @property {() => void} missed Messages that were not read yet are gone, since they were old.
 * @property {(error: LingerError, retryAt: number) => void} refused It goes on all the same, at that time.
 * @property {() => void} accepted What was refused is done.
 * @property {(retry: Retry) => void} retries What is read before the room is followed has failed, and is tried again.
 */

/** @typedef {Pick<Message, "id" | "body">} Edit What a message is to say. */

/** Messages in one page of history: some screens. */
const PAGE = 50;

/** When others have changed nothing more for so long, it is told what they did, in milliseconds: a program may edit its answer every second. */
const CHANGED_MS = 3_000;

/** Stands before every message. */
export const NIL = "00000000-0000-0000-0000-000000000000";

export class Conversation {
  #room;
  #me;
  #outbox;
  #timeline;
  #told;
  #left = new AbortController();
  #patience;
  /** @type {(Message | Deletion)[]} */
  #fresh = [];
  #scheduled = false;
  #loading = false;
  /** Pages that are on their way, and what became meanwhile of messages that may be on them. */
  #underWay = 0;
  /** @type {Map<string, Message | Deletion>} */
  #meanwhile = new Map();
  /** What is deleted from here. @type {Set<string>} */
  #deleting = new Set();
  /** What is edited from here, until that has an answer. @type {Set<Edit>} */
  #editing = new Set();
  /** The messages on the page that others have changed, which is not told yet, and whether each is gone. @type {Map<string, boolean>} */
  #untold = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** The newest wish to see another part. */
  #going = {};
  #oldest = "";
  #read;
  #message;
  #from;
  /** Which message an outbox item has been seen as, by its key. @type {Map<string, string>} */
  #seenAs = new Map();
  /** The id of the newest message; "" until the room has been read. */
  newest = "";

  /**
   * @param {Room} room @param {Me} me @param {Outbox} outbox @param {Timeline} timeline @param {Told} told
   * @param {{ read: string, message: string, from: string }} place What was read and a message that one wants to see,
   * "" for none; and a place up to which nothing more comes.
   */
  constructor(room, me, outbox, timeline, told, { read, message, from }) {
    this.#read = read;
    this.#message = message;
    this.#from = from;
    this.#room = room;
    this.#me = me;
    this.#outbox = outbox;
    this.#timeline = timeline;
    this.#told = told;
    this.#patience = new Patience(this.#left.signal, told.refused, told.accepted);
    this.#run().catch((error) => {
      if (!this.#left.signal.aborted) throw error;
    });
  }

  /** A message is about to be deleted from here: that need not be told. @param {string} id */
  deletes(id) {
    this.#deleting.add(id);
  }

  /** A message is about to be edited from here: that need not be told either, but what others make of it. @param {Edit} edit */
  edits(edit) {
    this.#editing.add(edit);
  }

  /** What became of an edit is known. @param {Edit} edit */
  edited(edit) {
    this.#editing.delete(edit);
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
  loadOlder() {
    return this.#load(async () => {
      const before = this.#oldest;
      if (!before) return;
      const page = await this.#page(() => this.#history(before));
      // Meanwhile the timeline may have let go of its oldest messages, or show others; then this page does not adjoin.
      if (before !== this.#oldest || this.#left.signal.aborted) return;
      this.#oldest = page.messages[0]?.id ?? before;
      this.#timeline.prepend(page.messages, page.more);
    });
  }

  /** Shows the messages after the last that is shown, where there are more. */
  loadNewer() {
    return this.#load(async () => {
      const after = this.#timeline.last;
      if (!after) return await this.goTo(""); // all that was shown is gone
      const { newest } = this;
      const page = await this.#page(() => this.#after(after));
      if (after !== this.#timeline.last || this.#left.signal.aborted) return;
      // What was the newest may be gone, and so may all of this page by now.
      const reached = page.last ?? newest;
      this.#timeline.extend(page.messages, reached < this.newest);
    });
  }

  /** Shows what is after a cursor, and some before it; or for "" the newest. @param {string} place @param {string} [message] To be found there. */
  async goTo(place, message) {
    const going = this.#going = {};
    const { newest } = this;
    const [before, after] = await Promise.all([
      this.#page(() => place ? this.#history(endOf(place), messageNumber(place)) : this.#history("now")),
      place ? this.#page(() => this.#after(place)) : undefined,
    ]).catch(() => []);
    if (!before || going !== this.#going || this.#left.signal.aborted) return;
    // The one may have been changed while the other was on its way.
    const messages = [...before.messages, ...after?.messages ?? []].flatMap((message) => this.#asItIs(message));
    // A page that is not full ends where the newest was, though that, or all of the page, may be gone.
    const last = (after ?? before).last ?? "";
    this.#oldest = messages[0]?.id ?? last;
    const reached = after?.more || last > newest ? last : newest;
    this.#timeline.begin(messages, { older: before.more, newer: reached < this.newest, at: message });
    this.#timeline.watchEdges();
  }

  /** One page at a time. @param {() => Promise<void>} load */
  async #load(load) {
    if (this.#loading) return;
    this.#loading = true;
    await load().catch(() => {}); // tried again when its place is near the screen again
    this.#loading = false;
    if (!this.#left.signal.aborted) this.#timeline.watchEdges();
  }

  /** A page as it has become while it was on its way; and the id of its last message, which may be gone. @param {() => Promise<{ messages: Message[], more: boolean }>} ask */
  async #page(ask) {
    if (this.#underWay++ === 0) this.#meanwhile.clear();
    try {
      const { messages, more } = await this.#patience.until(ask);
      return { messages: messages.flatMap((message) => this.#asItIs(message)), more, last: messages.at(-1)?.id };
    } finally {
      this.#underWay--;
    }
  }

  /** None, if it was deleted. @param {Message} message @returns {Message[]} */
  #asItIs(message) {
    const news = this.#meanwhile.get(message.id);
    return asItIs(message, news);
  }

  async #run() {
    const { signal } = this.#left;
    const { messages, more } = await this.#patience.until(() => this.#history("now"));
    this.newest = messages.at(-1)?.id ?? NIL;
    this.#recognize(messages);
    const isLinked = this.#message !== "" && this.#message <= this.newest; // else it is not there yet
    const isBehind = more && this.#read !== "" && this.#read < (messages[0]?.id ?? "");
    if (isLinked || isBehind) {
      this.#timeline.reaches(this.newest);
      await (isLinked ? this.goTo(this.#message, this.#message) : this.goTo(this.#read));
      signal.throwIfAborted(); // the timeline is another room's now
    } else {
      this.#oldest = messages[0]?.id ?? "";
      this.#timeline.begin(messages, { older: more, newer: false, at: this.#message });
    }
    this.#show();
    this.#timeline.watchEdges();
    // What is missing after what was read was deleted, or removed because it was old; that one is told.
    const first = messages[0] ? messageNumber(messages[0].id) : Infinity;
    if (!more && this.#read !== "" && first > messageNumber(this.#read) + 1) this.#after(this.#read).catch(() => {});
    let status = "";
    this.#room.connection.subscribe((state) => {
      if (state.status === "live" && (status === "reconnecting" || status === "offline")) this.#timeline.interrupt();
      if (state.status !== "connecting") status = state.status;
    });
    // What was read is as it was at the newest of its places, and what changed before that is in it. So it is where a gap has ended, though
    // what is left there may stand before it: the server marks what it removes some time before it does.
    const newest = messages.reduce((last, { id, changed = id }) => changed > last ? changed : last, this.#from);
    const onGap = (/** @type {Gap} */ { earliest }) => this.#told.gap(earliest);
    const follow = (/** @type {string} */ after) => this.#room.follow({ after, changes: true, onGap, signal });
    for await (const news of this.#patience.follow(newest, follow)) {
      this.#fresh.push(news);
      this.change();
    }
  }

  /** While the room is followed its connection tells this. @param {Retry} retry */
  #onRetry = (retry) => {
    if (this.#room.connection.state.status === "idle") this.#told.retries(retry);
  };

  /** A page after a cursor; where that is so old that what came next was removed, what is left. @param {string} after */
  async #after(after) {
    const { signal } = this.#left;
    const onRetry = this.#onRetry;
    const page = (/** @type {string} */ after) => this.#room.history({ after, limit: PAGE, signal, onRetry });
    try {
      return await page(after);
    } catch (error) {
      const earliest = earliestOf(error);
      if (!earliest || earliest === after) throw error;
      if (after !== this.#message) this.#told.missed();
      return await page(earliest);
    }
  }

  /** @param {string} before @param {number} [count] How many messages there are before that. */
  #history(before, count = messageNumber(before) - 1) {
    const limit = before === "now" ? PAGE : toPageBoundary(count);
    return this.#room.history({ before, limit, signal: this.#left.signal, onRetry: this.#onRetry });
  }

  #show() {
    const fresh = this.#takeFresh();
    this.#oldest ||= fresh[0]?.id ?? "";
    this.#recognize(fresh);
    this.#timeline.append(fresh, this.#waiting());
    this.#outbox.findTakenBack(this.#room.name, this.#me, (cursor) => this.#timeline.after(cursor));
    this.#timeline.reaches(this.newest); // which may have been deleted before it came
    this.#oldest = this.#timeline.prune() ?? this.#oldest;
    this.#told.grown(this.newest, fresh);
  }

  /** What came, but for changes: those are shown, and told. @returns {Message[]} */
  #takeFresh() {
    /** The new messages, as they are after the last of their changes. @type {Map<string, Message>} */
    const fresh = new Map();
    // A page that was asked for meanwhile may have some already.
    const before = this.newest > this.#timeline.last ? this.newest : this.#timeline.last;
    for (const news of this.#fresh) {
      const { id } = news;
      const isNew = id > before;
      if (id > this.newest) this.newest = id; // also of one that is gone: what was sent has arrived
      if (this.#underWay > 0) this.#meanwhile.set(id, news);
      if ("deleted" in news || news.changed) this.#told.became(news);
      if ("deleted" in news) {
        fresh.delete(id);
        if (rowOf(id) && !this.#deleting.has(id)) this.#tellChange(id, true);
        this.#timeline.remove(id);
      } else if (isNew) {
        fresh.set(id, news);
      } else if (isOutdated(news)) {
        if (!this.#isEditedHere(news)) this.#tellChange(id, false);
        this.#timeline.replace(id, news);
      }
    }
    this.#fresh = [];
    return [...fresh.values()];
  }

  /** Whether a message is as it is being edited from here: that may come before the answer, which may be lost and asked for anew. @param {Message} message */
  #isEditedHere({ id, body }) {
    return [...this.#editing].some((edit) => edit.id === id && edit.body === body);
  }

  /** Has it told that others have changed a message on the page, together with what else they change before long. @param {string} id @param {boolean} isGone */
  #tellChange(id, isGone) {
    this.#untold.set(id, isGone);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#left.signal.aborted) return;
      const deleted = [...this.#untold.values()].filter((isGone) => isGone).length;
      this.#told.changed(this.#untold.size - deleted, deleted);
      this.#untold.clear();
    }, CHANGED_MS);
  }

  /**
   * Finds among new messages those that are in the outbox without its knowing: the answer to a post may come after the
   * message itself, or never. Until the answer says for sure, a message that can be the one under way is taken for it, since no other can
   * have arrived; and only to show it once. It is sent as long as there is no answer, whatever others say meanwhile.
   * @param {Message[]} messages
   */
  #recognize(messages) {
    const item = this.#outbox.of(this.#room.name).find(({ id, state }) => !id && state !== "refused");
    if (item?.state !== "sending" || this.#seenAs.has(item.key)) return;
    const seen = messages.find((message) => canBe(message, item, this.#me));
    if (seen) this.#seenAs.set(item.key, seen.id);
  }

  /** Whether an item stands among the messages, as far as one can tell. @param {OutboxItem} item */
  #isSeen(item) {
    const seen = this.#seenAs.get(item.key);
    // What is late and was taken for something that had been said before it was not: its writer has to know of it. That only a clock can
    // tell, which may be wrong, and only where it was written before the room was read: else what was there before is known.
    const isDoubted = item.unread && item.state === "late";
    if (seen && isDoubted && timeOf(seen).getTime() < item.at) this.#seenAs.delete(item.key);
    return this.#seenAs.has(item.key);
  }

  /** What is in the outbox and not among the messages. */
  #waiting() {
    return this.#outbox.of(this.#room.name).filter((item) => {
      if (!item.id) return item.state === "refused" || !this.#isSeen(item);
      if (item.id > this.newest) return true;
      this.#outbox.remove(item);
      return false;
    });
  }
}

/** A message as it is after what was told of it; none, if it was deleted. @param {Message} message @param {Message | Deletion | undefined} news @returns {Message[]} */
export function asItIs(message, news) {
  if (!news || (news.changed ?? news.id) <= (message.changed ?? message.id)) return [message];
  return "deleted" in news ? [] : [news];
}

/** A cursor right after a message: its place, and what is the last there. @param {string} id */
export function endOf(id) {
  return `${id.slice(0, -10)}ffffffffff`;
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

// One room as this process sees it: its newest messages, and the polls that wait for more. All who wait in a room
// share its feed, so that one SELECT serves them all, and a waiting poll costs memory only.
//
// Its tail has no gaps. It grows by this process's own commits and by refreshing, which reads what the database has after the
// tail's end. A refresh is single flight: while one is under way, all further calls share the next one, since the one under way
// may have read before the change they were told of. Without that second flight a message committed in such a moment would wake nobody.
//
// Messages change: their authors edit and delete them. What was taken back is in no tail: a changed message is replaced where it
// stands, a deleted one is left out. Those who follow with changes get messages and changes in the order of their places.
//
// Messages that were too old are removed, too. Whoever stands at the end need not know, so nobody is told: the feed sees it at its next
// look and lets go of them, whereupon a cursor before them has to ask the database, which says that they are gone.
//
// Who follows with changes can come from another server, or from the database itself, with a message as it is after a change that this feed
// has not heard of. An older change of it is no news for him: where the feed may have one, it looks once more before he is given that.
//
// It can hear of an own change before it knows all that came before that: then another server has posted in between. Whoever asked for the
// change is told that it is done, so nobody is given the message as it was: the feed lets go of it, and who wants it has to ask the database.
//
// How far it knows the room is told by its place, which is that of the room's head when it was read. It can lie behind the last
// message: a head also moves when no message comes.
//
// A database can come back without its last messages. Each refresh asks whether what the feed knows is still there; if it is
// not, nothing is put behind it, and another feed takes its place.
import type { Allowance } from "../allowance.ts";
import { Changes, isOlder } from "./changes.ts";
import { cursorAt, makePlace, NIL, placeOf, seqOf } from "./cursor.ts";
import type { KnownChange } from "./sql/head.ts";
import { MAX_LIMIT } from "./message.ts";
import { type Entry, fitting, makePage, type Page } from "./page.ts";
import { Pages } from "./pages.ts";
import type { Commit, Store } from "./store.ts";
import { Tail } from "./tail.ts";
import { type Waiter, Waiters } from "./waiters.ts";

/** Messages that a new feed begins with: what clients that come back after a short break still lack, and a page unasked. */
export const PRELOAD = 100;

/** Messages that one SELECT of a refresh takes. */
const REFRESH_LIMIT = 1_000;

/**
 * Full SELECTs that one look takes, some tenths of a second. Whoever asks what there is now waits for its end, and keeps others from reading
 * meanwhile; so where more was missed, as after an import, another feed begins with the newest.
 */
const MOST_SELECTS = 10;

/**
 * Size from which on a page costs its reader a read, in bytes of JSON: one or two of the longest messages. It is kept until he has taken
 * it, however slow he is; who comes straight back to what was posted meanwhile is given less.
 */
const LONG_PAGE_BYTES = 16_000;

/** How much a tail may hold. */
export interface TailLimits {
  /** Most messages. */
  readonly messages: number;
  /** Most bytes of JSON. */
  readonly bytes: number;
}

/** Of all feeds. */
const pages = new Pages();
let tails = 0;
let looks = 0;
/** What subscribers with changes, and without, were given last: news reaches all who stand at one place one right after the other. */
const given = new Map<boolean, { version: number; cursor: string; entries: readonly Entry[] }>();

/** Looks that have begun, in all rooms: who keeps the number when he comes can tell which began after that. */
export function looksBegun(): number {
  return looks;
}

/** The tail of one room and its waiters. */
export class Feed {
  readonly #tail = new Tail(NIL, (bytes) => this.#resize(bytes));
  readonly #changes = new Changes((bytes) => this.#resize(bytes));
  #newest = NIL;
  #place = placeOf(NIL);
  /** How far the database has been seen: it has lost something if it is not as far any more. */
  #furthest = placeOf(NIL);
  /** The look by which it knows the room: nothing that was committed before that began is missing. */
  #asOf = 0;
  /** Whether something was taken in for which nobody was woken yet. */
  #news = false;
  /** While those who follow with changes wait for one more look, but for whom nothing is old: how many had begun before. */
  #owed: number | undefined;
  #loaded = false;
  #closed = false;
  #looking: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  /** Tells what tail and changes hold now from what they held before, and from all others: pages are kept by it, and go with it. */
  #version = ++tails;
  readonly #waiters = new Waiters(({ cursor, changes, came }) =>
    !this.isAtEnd(cursor, changes) && (!changes || this.#owed === undefined || this.#asOf > came)
  );

  /**
   * A feed that knows nothing yet. `resized` is told by how many bytes tail and changes grow or shrink; `lost` that the database has
   * lost what the feed knows, and `outrun` that it has missed more than it reads, whereupon it is to be closed.
   */
  constructor(
    /** The room's name. */
    readonly room: string,
    private readonly store: Pick<Store, "newest" | "news">,
    private readonly limits: TailLimits,
    private readonly resized: (bytes: number) => void,
    private readonly lost: () => void,
    private readonly outrun: () => void,
  ) {}

  /** Whether the tail has been read; before that the feed knows nothing. */
  get loaded(): boolean {
    return this.#loaded;
  }

  /** Whether another feed has taken its place. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Whether a refresh is under way. */
  get refreshing(): boolean {
    return this.#looking !== undefined;
  }

  /** The id of the newest message that is there; the nil cursor in an empty room. */
  get end(): string {
    return this.#tail.last?.id ?? this.#tail.start;
  }

  /** The cursor at the newest message or change: what `end` is for those who follow with changes. */
  get endOfChanges(): string {
    return this.#changes.newest > this.end ? this.#changes.newest : this.end;
  }

  /** Whether it has nothing after `cursor`. */
  isAtEnd(cursor: string, changes: boolean): boolean {
    return cursor >= (changes ? this.endOfChanges : this.end);
  }

  /** A cursor behind all that is there now. */
  startOf(changes: boolean): string {
    return changes ? cursorAt(this.#place) : this.end;
  }

  /** The id of the newest message known, which may have been deleted. */
  get newest(): string {
    return this.#newest;
  }

  /** The newest changes known, ascending; those too with which messages came. */
  get newestChanges(): readonly KnownChange[] {
    return this.#changes.lookedAt;
  }

  /** A cursor behind all changes known. */
  get newestChange(): string {
    return this.#changes.end;
  }

  /** The place of the head up to which the room is known. */
  get place(): string {
    return this.#place;
  }

  /** The place of the head up to which the database has been seen, also where the room is not known so far. */
  get furthest(): string {
    return this.#furthest;
  }

  /** Bytes of JSON that it holds. */
  get bytes(): number {
    return this.#tail.bytes + this.#changes.bytes;
  }

  /** Bytes of JSON by which it has grown since its beginning: how much news there was. */
  get grown(): number {
    return this.#tail.grown + this.#changes.grown;
  }

  /**
   * Takes in messages or a change that this process has just committed, if the head was where this feed knows it to have been; then
   * nothing came between. Else it asks the database, unless a refresh has been faster.
   */
  append({ entries, prior }: Pick<Commit, "entries" | "prior">): void {
    const last = entries.at(-1)!;
    this.#see(placeOf(last.cursor));
    if (!this.#loaded || !prior || makePlace(prior.ms, prior.seq) !== this.#place) {
      if (last.isChange) { // also where it has come to that place: the change may have moved on, to one that it has not come to
        this.#changes.expect(last);
        this.#letGoOfOlder();
      }
      if (!this.#has(last)) this.wake();
      return;
    }
    this.#take(entries, placeOf(last.cursor));
    if (last.isChange && this.#waiters.any) this.#lookFirst();
    else this.#announce();
  }

  /** Reads what the database has after the tail, with a look that begins after this call. Calls share looks. */
  refresh(): Promise<void> {
    if (!this.#looking) {
      return this.#looking = this.#look().finally(() => this.#looking = undefined);
    }
    return this.#next ??= this.#looking.catch(() => {}).then(() => {
      this.#next = undefined;
      return this.refresh();
    });
  }

  /** Refreshes without anybody awaiting it; when it fails the next fallback finds out. */
  wake(): void {
    this.refresh().catch(() => {});
  }

  /**
   * Parks somebody until the tail is past his cursor, `ms` milliseconds have passed or the waiters are released, whichever comes first.
   * To be called in the same turn that saw the tail's end at or before the cursor: a message that comes in between would wake nobody.
   * In a feed that is closed his wait is over at once.
   */
  park(waiter: Waiter, ms: number): void {
    if (this.#closed) waiter.settled();
    else this.#waiters.park(waiter, ms);
  }

  /** Ends somebody's wait, if he waits. */
  settle(waiter: Waiter): void {
    this.#waiters.settle(waiter);
  }

  /** The same without a word. */
  remove(waiter: Waiter): void {
    this.#waiters.remove(waiter);
  }

  /** Whether news is on its way to those who wait, so that who comes now with a cursor that the tail knows has to stay outside. */
  isBusy(cursor: string, changes: boolean): boolean {
    return this.#waiters.busy && this.knows(cursor, changes);
  }

  /** Keeps somebody outside while it is busy: `enter` is called when it is his turn. It must not throw. */
  keepOutside(enter: () => void): void {
    this.#waiters.keepOutside(enter);
  }

  /** Settles all waiters, news or not. */
  release(): void {
    this.#waiters.release();
  }

  /** Settles all waiters, and whoever comes to wait from now on, and forgets its messages: another feed takes over. */
  close(): void {
    this.#closed = true;
    this.forget();
    this.release();
  }

  /**
   * The messages after `cursor`, and the changes if asked for, at most `limit`; undefined when they begin before what is known. A long page
   * is on the account of `payer`, before it is made; and what it weighs.
   * @throws {Problem} 429.
   */
  page(cursor: string, limit: number, changes = false, payer?: Allowance): Page | undefined {
    if (!this.knows(cursor, changes)) return undefined;
    const version = this.#version;
    const place = `${cursor} ${limit} ${changes}`;
    const known = pages.at(version, place);
    if (known) {
      if (known.body.length > LONG_PAGE_BYTES) payer?.read();
      payer?.weigh(known.body.length);
      return known;
    }
    const after = this.#after(cursor, changes);
    const count = fitting(after, 0, limit);
    if (payer && fitting(after, 0, count, LONG_PAGE_BYTES) < count) payer.read();
    const page = makePage(after.slice(0, count), count === limit || count < after.length);
    pages.keep(version, place, page);
    payer?.weigh(page.body.length);
    return page;
  }

  /** The same that fit one page, as they are: the very same list for all who stand at one place. */
  entriesAfter(cursor: string, changes = false): readonly Entry[] | undefined {
    if (!this.knows(cursor, changes)) return undefined;
    const last = given.get(changes);
    if (last?.version === this.#version && last.cursor === cursor) return last.entries;
    const after = this.#after(cursor, changes);
    const entries = after.slice(0, fitting(after, 0, MAX_LIMIT));
    given.set(changes, { version: this.#version, cursor, entries });
    return entries;
  }

  /** Lets go of what was removed since it was too old: all that stands at or before `mark`. `place` is how far it had come before it read that. */
  trim(mark: string, place = this.#place): void {
    this.#tail.drop(mark);
    // It may have missed changes whose rows were removed before it has read them: who forgets a room changes its messages first.
    const mayMissChanges = this.#changes.trim(mark);
    // Where it had not come as far as the newest message of these, nobody knows any more which it has missed.
    const mayMiss = seqOf(place) < seqOf(mark) && this.#tail.startAfter(mark);
    if (!mayMiss && !mayMissChanges) return;
    // Nothing comes any more that would wake those who wait for one of these: the database tells them what was removed.
    this.#waiters.settleWhere(({ cursor, changes }) => !this.knows(cursor, changes));
  }

  /** Forgets messages and changes, not the place: what comes next still wakes the waiters. */
  forget(): void {
    this.#tail.drop();
    this.#changes.forget();
  }

  /** Whether it has all messages after `cursor`, and all changes if asked for. */
  knows(cursor: string, changes: boolean): boolean {
    return this.#tail.knows(cursor) && (!changes || this.#changes.knows(cursor));
  }

  /**
   * Whether who stands at `cursor`, and came when `came` looks had begun, may have had one of its messages as it was after the change that
   * would be given to him.
   */
  mayBeOld(cursor: string, came: number): boolean {
    if (this.#asOf > came || this.#changes.newest <= cursor) return false;
    return this.#changes.after(cursor).some(({ id }) => id <= cursor);
  }

  /** Whether one of these was changed since {@linkcode newestChange} was `since`; also where nobody knows any more. */
  hasChanged(entries: readonly Entry[], since: string): boolean {
    return this.#closed || this.#changes.haveTouched(entries, since);
  }

  #after(cursor: string, changes: boolean): Entry[] {
    const messages = this.#tail.after(cursor);
    const changed = changes ? this.#changes.after(cursor) : [];
    return changed.length === 0 ? messages : [...messages, ...changed].sort((a, b) => a.cursor < b.cursor ? -1 : 1);
  }

  async #look(): Promise<void> {
    if (this.#closed) return;
    const look = ++looks;
    if (!this.#loaded) {
      const furthest = this.#furthest;
      const { entries, full, head } = await this.store.newest(this.room, PRELOAD + 1);
      if (head.place < furthest) return this.lost();
      this.#see(head.place);
      // What stands before the oldest of them is not known, so the tail begins after it.
      if (full) this.#tail.startAfter(this.#newest = entries.shift()!.id);
      this.#loaded = true;
      this.#changes.startAfter(head.place);
      this.#looked(look, head.place);
      this.#take(entries, head.place);
      this.#announce();
      this.trim(head.trimmed, placeOf(NIL));
      return;
    }
    for (let more = true, selects = 0; more && !this.#closed;) {
      if (selects === MOST_SELECTS) return this.outrun();
      // What is seen while it waits for its turn and reads, it need not have read. It asks from here all the same: if it asked from what it
      // knows by then, an own commit taken in meanwhile would be missing in the answer, and be taken for lost.
      const { newest, newestChanges, place: before, endOfChanges, furthest } = this;
      const known = { newest, newestChanges, place: before };
      const { entries, full, head } = await this.store.news(this.room, known, REFRESH_LIMIT);
      if (this.#closed) return;
      if (head.lost || head.place < furthest) return this.lost();
      this.#see(head.place);
      const place = full ? placeOf(entries.at(-1)!.cursor) : head.place;
      // An own commit that was taken in meanwhile is among them, or else they were read before it. What reaches its place and does
      // not have it, comes from a database that has lost it: the next look will say so.
      const own = this.endOfChanges;
      const passed = own !== endOfChanges && place >= this.#place && !entries.some(({ cursor }) => cursor === own);
      if (!full && !passed) this.#looked(look, place);
      const isWhole = this.#tail.start === NIL;
      if (!passed) this.#take(entries, place);
      // What was removed without having been deleted one by one must be gone first: else who is given what came after it, never knows. Only of
      // a room that it had from the beginning can it tell: there its tail had all of them.
      const isTold = isWhole && (!this.#tail.first || this.#tail.first.id > head.trimmed);
      if (!isTold) this.trim(head.trimmed, before);
      if (!passed) this.#announce();
      if (isTold) {
        if (this.#changes.reachesBefore(head.trimmed)) this.#waiters.serveAll();
        this.trim(head.trimmed, before);
      }
      more = full || passed;
      if (full) selects++;
    }
  }

  /** Nothing that was committed before this look, or stands up to `place`, is missing from now on. */
  #looked(look: number, place: string): void {
    this.#asOf = look;
    this.#changes.reach(place);
    if (this.#owed !== undefined && look > this.#owed) this.#owed = undefined;
  }

  #see(place: string): void {
    if (place > this.#furthest) this.#furthest = place;
  }

  /** Takes in what there is up to `place`. */
  #take(entries: readonly Entry[], place: string): void {
    const before = this.#version;
    // Own commits and a look that ran beside them overlap.
    const messages = entries.filter(({ id, isChange }) => !isChange && id > this.#newest);
    this.#newest = messages.at(-1)?.id ?? this.#newest;
    this.#tail.append(messages.filter(({ deleted }) => !deleted));
    this.#changes.remember(messages);
    for (const entry of entries) {
      if (entry.isChange) this.#change(entry);
      if (this.#closed) return; // it was found to be wrong
    }
    this.#tail.bound(this.limits.messages, this.limits.bytes);
    this.#changes.bound(this.limits.bytes);
    if (place > this.#place) this.#place = place;
    this.#letGoOfOlder(); // it can have been read before those changes
    this.#news ||= this.#version !== before; // most refreshes bring nothing, and there can be ten thousand waiters to look at
  }

  /** Wakes those who wait, if there is something for which they have not been woken. */
  #announce(): void {
    if (!this.#news) return;
    this.#news = this.#owed !== undefined; // for those who wait for the look
    this.#waiters.wake();
  }

  /** To all who wait already nothing is old after a look that begins now, see {@linkcode mayBeOld}: so none of them has to ask for one. */
  #lookFirst(): void {
    const owed = this.#owed = looks;
    this.refresh().catch(() => {}).then(() => {
      if (this.#owed === owed) this.#owed = undefined; // where it has failed
      this.#announce();
    });
  }

  /** Takes in a change, and with it the message as it is now. */
  #change(change: Entry): void {
    if (!this.#changes.take(change)) return;
    const held = this.#tail.at(change.id);
    if (held) return this.#tail.replace(held, change.deleted ? undefined : change.asMessage());
    // What the tail should have and has not was deleted. If it is there again, the database has lost the deletion.
    if (!change.deleted && change.id > this.#tail.start && change.id <= this.#newest) this.lost();
  }

  #has({ id, cursor, isChange }: Entry): boolean {
    if (isChange) return cursor <= this.#changes.newest;
    return this.#tail.at(id) !== undefined;
  }

  /** Lets go of the messages of own changes ahead, where they are as before, and of all that stands before these. */
  #letGoOfOlder(): void {
    for (const change of this.#changes.ahead) {
      const held = this.#tail.at(change.id);
      if (held && isOlder(held, change)) this.#tail.drop(held.id);
    }
    this.#changes.letGoOfOlder();
  }

  #resize(bytes: number): void {
    // What was made of what it held may have words that were taken back.
    pages.forget(this.#version);
    for (const [changes, { version }] of given) if (version === this.#version) given.delete(changes);
    this.#version = ++tails;
    this.resized(bytes);
  }
}

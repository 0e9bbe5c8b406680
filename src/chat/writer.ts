// Group commit. All posts that wait go to the database in one statement, one at a time: while one is being committed
// the next batch gathers. So a post waits for at most one commit before its own, and a server stores many times what
// it could with a statement for each.
import { DatabaseError } from "../database/client.ts";
import { log } from "../log.ts";
import { gone, invalid, keyReused, notStored, outcomeUnknown, type Problem, roomBusy } from "../problem.ts";
import { isLockedOut, LockedRooms } from "./locked-rooms.ts";
import type { Entry } from "./page.ts";
import type { Draft, Incoming } from "./draft.ts";
import { type Commit, KEY_TAKEN, type Store } from "./store.ts";
import { Turns } from "./turns.ts";

/** What a post got. */
export interface Posted {
  /** The stored message. */
  readonly entry: Entry;
  /** Whether an earlier post with the same key had stored it. */
  readonly replayed: boolean;
}

/** What became of a statement that had something to store. */
export interface LastWrite {
  /** `lost` with its connection or after its deadline, or `refused` by a database that takes nothing, such as one whose disk is full. */
  readonly outcome: "none" | "stored" | "lost" | "refused";
  /** When, in milliseconds of the process's clock. */
  readonly at: number;
}

/** Bounds of the queue and of one statement. */
export interface WriterLimits {
  /** Most posts that wait. */
  readonly queued: number;
  /** Most bytes that they have, with {@linkcode POST_BYTES} for each besides. */
  readonly queuedBytes: number;
  /** Most posts that wait for one room. */
  readonly queuedPerRoom: number;
  /** Most posts in one statement. */
  readonly batch: number;
  /** Most bytes in one statement, but for a single post. */
  readonly batchBytes: number;
}

interface Waiting {
  readonly incoming: Incoming;
  /** When it came. */
  readonly since: number;
  resolve(posted: Posted): void;
  reject(problem: Problem): void;
}

/** One whose turn has come. */
interface Post extends Pick<Waiting, "since" | "resolve" | "reject"> {
  readonly draft: Draft;
  /** Those with the same key. Two in one statement would refuse each other for ever: they are answered with this one. */
  readonly twins: Post[];
}

/** What a post weighs in the queue besides its bytes. */
const POST_BYTES = 1_000;

/** What part of a room's places is kept for clients that have none of them, so that nobody keeps all others out of a room. */
const KEPT = 0.1;

/**
 * How old a post may be for a statement to begin with it, in milliseconds; then it is refused, also where it was tried already with others
 * and is to be tried in a smaller batch. Whoever has sent it gives up after 20 seconds, of which that statement can take six; and a post that
 * came behind a statement that is lost is to have a try of its own.
 */
const PATIENCE_MS = 10_000;

/** How often the queue is looked through for those that are too old, in milliseconds: it can have thousands of lines. */
const LOOK_MS = 1_000;

/** Stores posts in batches. */
export class Writer {
  readonly #queue = new Turns<Waiting>({
    keys: [({ incoming }) => incoming.client, ({ incoming }) => incoming.room],
    weigh: ({ incoming }) => incoming.bytes + POST_BYTES,
  });
  #writing: Promise<void> | undefined;
  #closed = false;
  readonly #perRoom = new Map<string, number>();
  #last: LastWrite = { outcome: "none", at: -Infinity };
  #looked = -Infinity;

  /**
   * `committed` is told of each room's new messages, before their posts resolve; `now` is a clock in milliseconds that never jumps.
   */
  constructor(
    private readonly store: Pick<Store, "append" | "withKeysOf">,
    private readonly limits: WriterLimits,
    private readonly committed: (commit: Commit) => void,
    private readonly locked: LockedRooms = new LockedRooms(),
    private readonly now: () => number = () => performance.now(),
  ) {}

  /**
   * Stores one message of a client; resolves when it is durable. Where the queue is full, the newest post is refused of whoever has
   * most in it.
   * @throws {Problem} 503 `not-stored` or `outcome-unknown`, 429, 422 for a key that belongs to another message, or 400
   * when the database does not take it.
   * @throws whatever reading it throws.
   */
  async post(incoming: Incoming): Promise<Posted> {
    if (this.#closed) throw notStored("This server is shutting down");
    if (this.#isRoomFull(incoming)) throw roomBusy().heldBack();

    const { promise, ...settle } = Promise.withResolvers<Posted>();
    this.#queue.push({ incoming, since: this.now(), ...settle });
    this.#perRoom.set(incoming.room, (this.#perRoom.get(incoming.room) ?? 0) + 1);
    this.#writing ??= this.#writeAll();
    while (this.#overfull) {
      this.#left(this.#queue.pop()!).reject(notStored("Too many posts wait on this server").heldBack());
    }
    return await promise;
  }

  /** What became of the last statement that had something to store. */
  get last(): LastWrite {
    return this.#last;
  }

  /** Refuses what is queued and whatever comes; resolves when the statement under way has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    while (this.#queue.length > 0) this.#left(this.#queue.shift()!).reject(notStored("This server is shutting down"));
    await this.#writing;
  }

  async #writeAll(): Promise<void> {
    while (this.#queue.length > 0) await this.#write(this.#take());
    this.#writing = undefined;
  }

  /**
   * The next batch: as many posts as fit, by turns, but for those that say what can't be meant; and twins go with the first of them. A room
   * that another holds has a batch of its own, of one post, or is left alone.
   */
  #take(): Post[] {
    const batch: Post[] = [];
    const keyed = new Map<string, Post>();
    let bytes = 0;
    for (let taken = 0, next; taken < this.limits.batch && (next = this.#queue.peek()); taken++) {
      const { room } = next.incoming;
      const isLocked = this.locked.has(room);
      if (this.locked.isLeftAlone(room)) {
        this.#left(this.#queue.shift()!).reject(notStored("This room takes no messages at the moment").heldBack());
        continue;
      }
      if (isLocked && batch.length > 0) break;
      bytes += next.incoming.bytes;
      if (bytes > this.limits.batchBytes && taken > 0) break;
      const { incoming, ...waiting } = this.#left(this.#queue.shift()!);
      try {
        const post: Post = { draft: incoming.read(), twins: [], ...waiting };
        const name = incoming.key === null ? undefined : keyOf(incoming);
        const first = name && keyed.get(name);
        (first ? first.twins : batch).push(post);
        if (name && !first) keyed.set(name, post);
      } catch (problem) {
        waiting.reject(problem as Problem);
      }
      if (isLocked) break;
    }
    return batch;
  }

  /** Whether more wait than may. */
  get #overfull(): boolean {
    return this.#queue.length > this.limits.queued || this.#queue.weight > this.limits.queuedBytes;
  }

  /** A post has left the queue. */
  #left(waiting: Waiting): Waiting {
    const { room } = waiting.incoming;
    const left = this.#perRoom.get(room)! - 1;
    if (left > 0) this.#perRoom.set(room, left);
    else this.#perRoom.delete(room);
    return waiting;
  }

  /** Whether a room has no place left for a post. */
  #isRoomFull({ room, client }: Incoming): boolean {
    const most = this.limits.queuedPerRoom;
    const inRoom = this.#perRoom.get(room) ?? 0;
    if (inRoom < most - Math.floor(most * KEPT)) return false;
    return inRoom >= most || this.#queue.lengthOf([client, room]) > 0;
  }

  /** Stores posts, but for those that are too old, and settles every one of them, one way or another. Never rejects. */
  async #write(posts: Post[]): Promise<void> {
    this.#refuseOld();
    const { old = [], batch = [] } = Object.groupBy(posts, (post) => this.#isOld(post) ? "old" : "batch");
    this.#refuse(old, tooLate);
    if (batch.length === 0) return; // or none could be meant
    try {
      const { entries, commits } = await this.store.append(batch.map((post) => post.draft));
      this.#note("stored");
      this.locked.free(batch[0]!.draft.room);
      for (const commit of commits) this.committed(commit);
      batch.forEach(({ draft, twins, resolve }, i) => {
        resolve({ entry: entries[i]!, replayed: false });
        replay(entries[i]!, draft, twins);
      });
    } catch (error) {
      await this.#recover(batch, error);
    }
  }

  /** Refuses what waits for too long. It is in no statement, however long the one before it took, or was tried in parts. */
  #refuseOld(): void {
    if (this.now() - this.#looked < LOOK_MS) return;
    this.#looked = this.now();
    for (const old of this.#queue.shiftWhile((waiting) => this.#isOld(waiting))) this.#left(old).reject(tooLate());
  }

  /** Whether one is too old to be sent, or one that is answered with it. */
  #isOld({ since, twins = [] }: { since: number; twins?: readonly Post[] }): boolean {
    return this.now() - since > PATIENCE_MS || twins.some((twin) => this.#isOld(twin));
  }

  async #recover(batch: Post[], error: unknown): Promise<void> {
    if (!(error instanceof DatabaseError)) {
      log("error", "A batch failed", { error: `${error}` });
      return this.#refuse(batch, outcomeUnknown);
    }
    if (error.fate !== "rolled-back") this.#note("lost");
    if (error.fate === "unknown") return this.#refuse(batch, outcomeUnknown);
    if (error.fate === "not-sent") {
      return this.#refuse(batch, () => notStored("The database can't be reached"));
    }
    if (error.constraint === KEY_TAKEN) return await this.#answerKnown(batch);
    if (error.isConflict) {
      if (!batch.every((post) => this.#isOld(post))) return await this.#write(batch);
      log("error", "Posts are refused, since other statements came between again and again", { code: error.code });
    }

    // The statement rolled back, all of it. If a row is at fault, halve until it stands alone. If a room may be, give each a statement of
    // its own: of ever smaller halves, each with the room that is locked would wait for it.
    const parts = error.isOurs ? halve(batch) : isLockedOut(error) ? byRoom(batch) : undefined;
    if (parts) {
      for (const part of parts) await this.#write(part);
    } else if (error.isOurs) {
      const [{ reject, twins }] = batch as [Post];
      reject(invalid("body", "the database does not take this message"));
      this.#refuse(twins, () => notStored("Another post with this key was refused")); // which may say something else
    } else {
      if (isLockedOut(error)) this.locked.found(batch[0]!.draft.room);
      else this.#note("refused");
      this.#refuse(batch, () => notStored("The database refused the statement"));
    }
  }

  /** A key in the batch is taken: answers the posts whose messages are stored already, and sends the rest again. */
  async #answerKnown(batch: Post[]): Promise<void> {
    const known = await this.store.withKeysOf(batch.map((post) => post.draft)).catch(() => []);
    if (known.length === 0) {
      // This attempt has stored nothing; but which of the keys stands for a message that is stored, we can't say.
      const problem = ({ draft }: Post) =>
        draft.key === null ? notStored("The database can't be reached") : outcomeUnknown();
      return this.#refuse(batch, problem);
    }
    const stored = new Map(known.map((message) => [keyOf(message), message]));
    const rest = batch.filter((post) => {
      const message = post.draft.key === null ? undefined : stored.get(keyOf(post.draft));
      if (message) replay(message.entry, message, [post, ...post.twins]);
      return !message;
    });
    if (rest.length > 0) await this.#write(rest);
  }

  #note(outcome: LastWrite["outcome"]): void {
    this.#last = { outcome, at: this.now() };
  }

  #refuse(posts: Post[], problem: (post: Post) => Problem): void {
    for (const post of posts.flatMap((post) => [post, ...post.twins])) post.reject(problem(post));
  }
}

/** Answers posts whose key is known: with the stored message, if it is the same one. What it said before it was changed, nobody knows. */
function replay(entry: Entry, stored: Pick<Draft, "body" | "author" | "reply_to">, posts: readonly Post[]): void {
  for (const { draft, resolve, reject } of posts) {
    const same = (stored.body === draft.body || entry.changed !== null) && stored.reply_to === draft.reply_to &&
      (draft.byToken || stored.author === draft.author);
    if (entry.deleted) reject(gone());
    else if (same) resolve({ entry, replayed: true });
    else reject(keyReused());
  }
}

/** What is told to one that is too old. */
function tooLate(): Problem {
  return notStored("The database did not take it in time");
}

/** A list in two halves; undefined when it can't be halved. */
function halve<T>(list: readonly T[]): [T[], T[]] | undefined {
  const half = Math.ceil(list.length / 2);
  return list.length < 2 ? undefined : [list.slice(0, half), list.slice(half)];
}

/** A batch by its rooms; undefined where there is but one. */
function byRoom(batch: readonly Post[]): Post[][] | undefined {
  const rooms = [...Map.groupBy(batch, (post) => post.draft.room).values()];
  return rooms.length < 2 ? undefined : rooms;
}

/** Names a key across rooms; no room's name has a space. */
function keyOf({ room, key }: { room: string; key: string | null }): string {
  return `${room} ${key}`;
}

// Changes that clients ask for, one at a time: each is a statement of its own, over the connection over which posts are stored, so that
// a crowd of them must not keep posts from it.
import { DatabaseError } from "../database/client.ts";
import { log, record } from "../log.ts";
import type { Allowance } from "../allowance.ts";
import { changeUnknown, foreignMessage, gone, invalid, messageChanged, notChanged, notFound } from "../problem.ts";
import type { Change } from "./sql/change.ts";
import { Gate } from "./gate.ts";
import { isLockedOut, LockedRooms } from "./locked-rooms.ts";
import type { Entry } from "./page.ts";
import type { Commit, Store, Verdict } from "./store.ts";

/** Changes that wait for their turn, of all clients: a second's work. */
const MAX_WAITING = 500;

/** How long a change is tried again where other statements come between, in milliseconds: the next in line wait for it. */
const PATIENCE_MS = 2_000;

/** Changes messages. */
export class Changer {
  readonly #gate = new Gate({
    atOnce: 1,
    perClient: 1,
    waiting: MAX_WAITING,
    refusal: () => notChanged("Too many changes wait on this server").heldBack(),
  });

  /** Messages that others go on locking, by room and id. Each try waits for a second, and the posts behind it. */
  readonly #lockedMessages = new LockedRooms(() => this.now());

  /** `committed` is told of each change, before it resolves; `now` is a clock in milliseconds that never jumps. */
  constructor(
    private readonly store: Pick<Store, "change">,
    private readonly committed: (commit: Commit) => void,
    private readonly locked: LockedRooms = new LockedRooms(),
    private readonly now: () => number = () => performance.now(),
  ) {}

  /**
   * Changes a message; resolves with it as it is then, when that is durable, and with whether this call has done it.
   * @throws {Problem} 403, 404, 410, 412; 503 `not-stored` or `outcome-unknown`; 400 when the database does not take it.
   */
  async change(wanted: Change, allowance: Allowance): Promise<{ entry: Entry; done: boolean }> {
    const verdict = await this.#gate.run(allowance, wanted.room, () => this.#tried(wanted)).catch(refuse);
    switch (verdict.outcome) {
      case "changed":
        this.committed(verdict.commit);
        if (verdict.entry.deleted) logDeletion(wanted);
        return { entry: verdict.entry, done: true };
      case "same":
        return { entry: verdict.entry, done: false };
      case "missing":
        throw notFound("There is no such message in this room");
      case "foreign":
        throw foreignMessage();
      case "deleted":
        throw gone();
      case "other":
        throw messageChanged();
    }
  }

  /** The statement, once more where PostgreSQL has ended it for another's sake: nothing of it stands then. */
  async #tried(wanted: Change): Promise<Verdict> {
    const { room } = wanted;
    const message = `${room} ${wanted.id}`;
    if (this.locked.isLeftAlone(room)) throw notChanged("This room takes no changes at the moment").heldBack();
    if (this.#lockedMessages.isLeftAlone(message)) {
      throw notChanged("This message takes no changes at the moment").heldBack();
    }
    for (const until = this.now() + PATIENCE_MS;;) {
      try {
        const verdict = await this.store.change(wanted);
        this.#lockedMessages.free(message);
        if (verdict.outcome !== "missing") this.locked.free(room); // a room that another is about to make has no message and no head yet
        return verdict;
      } catch (error) {
        if (isOfMessage(error)) this.#lockedMessages.found(message);
        else if (isLockedOut(error)) this.locked.found(room);
        // It may have been done: if it was, the next try finds it so, and is of nobody's account.
        const isUnknown = error instanceof DatabaseError && error.fate === "unknown";
        if (isUnknown && wanted.body === "") logDeletion(wanted, "A message may have been deleted");
        if (!(error instanceof DatabaseError) || !error.isConflict || this.now() >= until) throw error;
      }
    }
  }
}

/** Who has taken back what; not the words. */
function logDeletion({ room, id, sub, moderates }: Change, sentence = "A message was deleted"): void {
  if (sub === null) return log("info", sentence, { room, id, by: "whoever has its Message-Key" });
  record(sentence, { room, id, by: moderates ? `sub ${sub}, who moderates` : `sub ${sub}` });
}

/** Whether what another has locked is the message, and not the head: who posts waits only for as long as a change of it is tried. */
function isOfMessage(error: unknown): boolean {
  if (!isLockedOut(error)) return false;
  const cause = (error as DatabaseError).cause as { where?: string } | undefined;
  return /\bmessages\b/.test(cause?.where ?? ""); // in the language of the server, but for the name of the table
}

/** What a client is told of a statement that failed. */
function refuse(error: unknown): never {
  if (!(error instanceof DatabaseError)) throw error;
  if (error.fate === "unknown") throw changeUnknown();
  if (error.isOurs) throw invalid("body", "the database does not take this message");
  throw notChanged("The database can't make the change now");
}

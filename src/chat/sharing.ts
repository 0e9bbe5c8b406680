// Work whose turn has not come, for all who ask for the same meanwhile. When a server ends, ten thousand come to another one in a moment, all
// from the same place: were each given a read of its own, most would be refused.
//
// Whoever asked first may have a long line before him, or be refused. So the next client waits in his own line too, and all the others for
// what comes first. What these two are refused is for them alone: then the others try for themselves.
import { Problem } from "../problem.ts";

/** Work that has not begun. */
interface Pending<T> {
  readonly client: string;
  readonly done: Promise<T>;
  /** That, or the same in the turn of another client. */
  either?: Promise<T>;
}

/** How often somebody waits for what others ask for, who are then refused. After that he does it for himself. */
const MAX_TRIES = 2;

/** Work that is shared, by what it is for. */
export class Sharing<Key, T> {
  readonly #pending = new Map<Key, Pending<T>>();

  /**
   * What `work` gives, perhaps begun by another client, but after this call. `work` must call `begun` when its turn has come, and not before
   * it has returned. `tries`: how often this caller has shared.
   * @throws {Problem} where this client's own work was refused.
   * @throws whatever else `work` throws.
   */
  ask(key: Key, client: string, work: (begun: () => void) => Promise<T>, tries = 1): Promise<T> {
    const known = this.#pending.get(key);
    const shared = known?.client === client ? known.done : known?.either;
    if (shared) {
      return shared.catch((error) => {
        if (!isRefusal(error)) throw error;
        return tries < MAX_TRIES ? this.ask(key, client, work, tries + 1) : work(() => {});
      });
    }
    const forget = () => {
      if (this.#pending.get(key) === pending) this.#pending.delete(key);
    };
    const done = work(forget);
    const pending: Pending<T> = known ?? { client, done };
    done.then(forget, forget); // perhaps refused before it began
    if (!known) {
      this.#pending.set(key, pending);
      return done;
    }
    known.either = Promise.any([known.done, done]).catch(({ errors: [, error] }) => {
      throw error;
    });
    return known.either;
  }
}

/** Whether it says nothing of what was asked for: he was refused, or has left, for whom it was. */
function isRefusal(error: unknown): boolean {
  return error instanceof Problem && (error.status === 429 || error.status === 503);
}

// @ts-check
// Something that one window of this page does for all of them. Browsers have locks for that, but on https only; so it is an entry
// in the storage that lapses unless it is renewed. Two windows that take it in one moment both believe that they have it, until
// they look again: what is done under a lease does no harm when it is done twice.

/** How long a lease holds unless it is renewed, in milliseconds: so soon a window that has died is followed, and one that is busy is not. */
const LEASE_MS = 10_000;

/**
 * The same for a window that nobody sees: browsers let its timers go off once a minute. So when it crashes, other windows that nobody
 * sees follow after so long; whoever has one before his eyes does not wait for it, since that one takes the lease away.
 */
const HIDDEN_LEASE_MS = 90_000;

/** How often who holds one renews it, in milliseconds. */
export const RENEW_MS = 1_000;

/** This window among all. */
const ME = Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16)).join("");

/**
 * Who holds a lease.
 * @typedef {object} Holder
 * @property {boolean} isMe
 * @property {number} rank
 * @property {string} what What for.
 */

export class Lease {
  #key;

  /** @param {URL} base All windows below it share the lease. @param {string} name */
  constructor(base, name) {
    this.#key = `linger ${base.pathname} lease ${name}`;
    addEventListener("pagehide", () => this.release());
    document.addEventListener("freeze", () => this.release());
  }

  /** Who holds it; undefined if nobody does. @returns {Holder | undefined} */
  get holder() {
    try {
      const [holder, rank, until, ...what] = (localStorage.getItem(this.#key) ?? "").split(" ");
      const left = Number(until) - Date.now();
      // One that holds for longer is from before the clock was set.
      if (!(left > 0 && left <= HIDDEN_LEASE_MS)) return undefined;
      return { isMe: holder === ME, rank: Number(rank), what: what.join(" ") };
    } catch {
      return undefined;
    }
  }

  /**
   * Takes it, or renews it; returns whether this window has it now. Whoever is before somebody's eyes takes it away from who is not.
   * Where nothing can be stored, each window has its own. @param {string} [what]
   */
  take(what = "") {
    const { holder } = this;
    if (holder && !holder.isMe && holder.rank >= rank()) return false;
    const until = Date.now() + (document.hidden ? HIDDEN_LEASE_MS : LEASE_MS);
    try {
      localStorage.setItem(this.#key, [ME, rank(), until, what].join(" "));
    } catch { /* forbidden, or full */ }
    return true;
  }

  /** Whether this window has it, and others can see so: where nothing can be stored, they can't. */
  get isSeen() {
    return this.holder?.isMe === true;
  }

  /** Leaves it to others, if this window has it. */
  release() {
    if (this.isSeen) localStorage.removeItem(this.#key);
  }
}

/** How much it matters to people what this window can do: 2 where they are, 1 where they look, 0 where they do not. */
export function rank() {
  return document.hidden ? 0 : document.hasFocus() ? 2 : 1;
}

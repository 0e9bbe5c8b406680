// @ts-check
// Whether somebody is before the page: what comes to a page that nobody looks at is not read by being there.

/** Who comes back sees first what came meanwhile; only what comes later comes before his eyes. In milliseconds. */
const ARRIVAL_MS = 1_000;

/**
 * Who moves the pointer over a page without focus reads there for so long, in milliseconds: a screenful takes about that, and whoever goes on
 * reading has to move it again. It may also have been moved on the way elsewhere.
 */
const GLANCE_MS = 60_000;

export class Attention {
  /** Since when, by the page's clock, which nobody sets; Infinity while there is nobody. Who opens the page is before it. */
  #since = isLookedAt() ? -Infinity : Infinity;

  /** @param {() => void} changed */
  constructor(changed) {
    const look = () => this.#set(isLookedAt(), changed);
    document.addEventListener("visibilitychange", look);
    for (const event of ["focus", "blur", "pageshow", "resume"]) addEventListener(event, look);
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    const glance = () => {
      clearTimeout(timer);
      timer = setTimeout(look, GLANCE_MS);
      this.#set(true, changed);
    };
    // A window beside the one in which one types has no focus, and is read all the same.
    for (const event of ["pointermove", "wheel"]) addEventListener(event, glance, { passive: true });
  }

  /** Whether somebody is here, as far as a page can know. */
  get isHere() {
    return this.#since < Infinity;
  }

  /** Whether somebody has been here for long enough to see things come. */
  get sawItCome() {
    return performance.now() - this.#since >= ARRIVAL_MS;
  }

  /** What comes next was missed: the network was away, or the whole machine. */
  interrupt() {
    if (this.isHere) this.#since = performance.now();
  }

  /** @param {boolean} here @param {() => void} changed */
  #set(here, changed) {
    if (here === this.isHere) return;
    this.#since = here ? performance.now() : Infinity;
    changed();
  }
}

/** Whether the page is before somebody's eyes, as far as the browser says. */
export function isLookedAt() {
  return document.visibilityState === "visible" && document.hasFocus();
}

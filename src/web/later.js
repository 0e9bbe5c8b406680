// @ts-check
// What the page needs not at once comes when it is needed; and then the server, or the way to it, may be away for a while.

/** Pause before it is tried again, in milliseconds. */
const PAUSE_MS = 2_000;

/**
 * What `load` gives, as soon as it does.
 * @template T
 * @param {() => Promise<T>} load
 * @returns {Promise<T>}
 */
export async function later(load) {
  for (;;) {
    try {
      return await load();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}

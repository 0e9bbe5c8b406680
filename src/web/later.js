// @ts-check
// What the page needs not at once comes when it is needed; and then the server, or the way to it, may be away for a while. A module is
// asked for only when there is an answer: what could not be had once, a browser may say for ever (as Firefox does, and the HTML
// standard: https://html.spec.whatwg.org/multipage/webappapis.html#fetch-a-single-module-script).

/** Pause before it is tried again, in milliseconds. */
const PAUSE_MS = 2_000;

/**
 * What `load` gives, as soon as it does; it is asked for by the first call of what is returned, and kept.
 * @template {object} T
 * @param {() => Promise<T>} load
 * @returns {() => Promise<T>}
 */
export function later(load) {
  /** @type {Promise<T> | undefined} */
  let loaded;
  return () => loaded ??= had(load);
}

/**
 * @template {object} T
 * @param {() => Promise<T>} load
 * @returns {Promise<T>}
 */
async function had(load) {
  for (;;) {
    const isThere = await fetch(import.meta.url, { method: "HEAD" }).then(isScript, () => false);
    const loaded = isThere && await load().catch(() => undefined);
    if (loaded) return loaded;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

/** Whether it is a script, and not a page to log in that came in its place. @param {Response} response */
export function isScript({ ok, headers }) {
  return ok && /javascript/.test(headers.get("content-type") ?? "");
}

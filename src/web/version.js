// @ts-check
// Sees whether the server has another version of the page than this window has: it asks for the page's script without its text, now and
// then. Of two servers side by side during an update the one may say this and the other that, so that only what is said twice counts.
import { isScript } from "./later.js";

/** How often it asks, in milliseconds. */
const EVERY_MS = 3_600_000;

/** How soon it asks again where the answer was another, in milliseconds. */
const AGAIN_MS = 5_000;

/** @param {URL} base @param {() => void} changed */
export function watchVersion(base, changed) {
  /** @type {string | undefined} */
  let mine;
  let other = "";
  const ask = async () => {
    const response = await fetch(new URL("web/page.js", base), { method: "HEAD", cache: "no-store" }).catch(() =>
      undefined
    );
    const etag = response && isScript(response) ? response.headers.get("etag") : undefined;
    if (!etag) return;
    mine ??= etag;
    if (etag === mine) other = "";
    else if (etag === other) changed();
    else {
      other = etag;
      setTimeout(ask, AGAIN_MS);
    }
  };
  ask(); // what this window has, soon after it was loaded
  setInterval(ask, EVERY_MS);
  return ask;
}

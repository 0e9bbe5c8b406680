// @ts-check
// A part of the messages that the browser need not lay out while it is far from the screen. Chromium does it all the same when it is
// asked for the place of a row in there. Firefox and WebKit do not: they tell a place where nothing is.

/** Spares the browser a chunk's layout while it is far from the screen; its size has to be known for that. @param {HTMLElement} chunk */
export function settle(chunk) {
  chunk.classList.remove("settled");
  chunk.style.containIntrinsicBlockSize = `auto ${chunk.getBoundingClientRect().height}px`;
  chunk.classList.add("settled");
}

/** Has the browser lay out what is around a row, if it spares itself that, until the next frame shows where the screen is. @param {Element} row */
export function layOut(row) {
  if (row.checkVisibility({ contentVisibilityAuto: true })) return;
  const chunk = /** @type {HTMLElement | null} */ (row.closest(".settled"));
  if (!chunk) return;
  chunk.classList.remove("settled");
  requestAnimationFrame(() => settle(chunk));
}

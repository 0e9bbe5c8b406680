// @ts-check
// The keys that scroll the messages: also where one writes, as long as nothing is written that they could move in.
import { byId, isConverting } from "./element.js";

/** A page is so much of the screen: some of it stays to be recognized. */
const PAGE = .85;

/** @param {() => void} goToEnd */
export function listenForScrollKeys(goToEnd) {
  const scroller = byId("scroller");
  const text = /** @type {HTMLTextAreaElement} */ (byId("text"));
  text.addEventListener("keydown", (event) => {
    if (text.value || isConverting(event) || isChord(event)) return;
    if (event.key === "End") goToEnd();
    else if (event.key === "PageUp") scroller.scrollBy({ top: -PAGE * scroller.clientHeight });
    else if (event.key === "PageDown") scroller.scrollBy({ top: PAGE * scroller.clientHeight });
    else return;
    event.preventDefault();
  });
  // The browser would go to the end of what is loaded.
  scroller.addEventListener("keydown", (event) => {
    if (event.key !== "End" || event.target !== scroller || isChord(event)) return;
    event.preventDefault();
    goToEnd();
  });
}

/** @param {KeyboardEvent} event */
function isChord({ altKey, ctrlKey, metaKey, shiftKey }) {
  return altKey || ctrlKey || metaKey || shiftKey;
}

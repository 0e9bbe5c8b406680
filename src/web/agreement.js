// @ts-check
// Has the windows of this page in one browser agree on who you are and on what you have begun to write. A draft is in the storage once
// for all of them, and each has a field with words in it: so nobody's words are taken away, and an empty field that nobody
// is in shows what is written elsewhere.

/** @import { Memory } from "./memory.js" */

/**
 * @param {Memory} memory
 * @param {HTMLTextAreaElement} text Where one writes.
 * @param {{ room: () => string, renamed: () => void, isSame: () => boolean }} page
 */
export function agree(memory, text, { room, renamed, isSame }) {
  memory.watch("name", renamed);

  /** @param {string} words */
  const write = (words) => {
    text.value = words;
    text.dispatchEvent(new Event("input"));
  };
  memory.watch("draft ", (draftOf, draft, before) => {
    if (draftOf !== room() || !isSame()) return;
    const isIn = text === document.activeElement && document.hasFocus();
    // What is shown here was written there, and goes on there, or was sent.
    const mirrored = !isIn && (text.value === "" || text.value === before);
    if (mirrored) write(draft);
    else if (draft === "" && text.value !== "") memory.keepDraft(room(), text.value); // other words were sent
  });
  addEventListener("pagehide", () => text.value && isSame() && memory.keepDraft(room(), text.value));
}

// @ts-check
// Has the windows of this page in one browser agree on who you are and on what you have begun to write. A draft is in the storage once
// for all of them, and each has a field with words in it: so nobody's words are taken away, and an empty field that nobody
// is in shows what is written elsewhere.

/** @import { Composer } from "./composer.js" */
/** @import { Memory } from "./memory.js" */

/**
 * @param {Memory} memory
 * @param {Composer} composer
 * @param {{ room: () => string, renamed: () => void, isSame: () => boolean }} page
 */
export function agree(memory, composer, { room, renamed, isSame }) {
  /** What this window shows of what is written in another: it is not for this one to keep. */
  let mirrored = "";
  memory.watch("name", renamed);
  memory.watch("draft ", (draftOf, draft, before) => {
    if (draftOf !== room() || !isSame()) return;
    const { text } = composer;
    // What is shown here was written there, and goes on there, or was sent.
    const isTheirs = ["", mirrored].includes(text) || text === before && goesOn(draft, before);
    if (!composer.isIn && isTheirs) composer.show(mirrored = draft);
    else if (draft === "" && text !== "") memory.keepDraft(room(), text); // other words were sent
  });
  addEventListener("pagehide", () => {
    const { text } = composer;
    if (text && composer.isWritten && isSame()) memory.keepDraft(room(), text);
  });
}

/** Whether somebody goes on with a draft, or has sent it: not who has put other words in its place. @param {string} draft @param {string} before */
function goesOn(draft, before) {
  const length = Math.min(draft.length, before.length);
  let start = 0;
  while (start < length && draft[start] === before[start]) start++;
  let end = 0;
  while (start + end < length && draft.at(-1 - end) === before.at(-1 - end)) end++;
  return draft === "" || start + end >= before.length / 2;
}

// @ts-check
// Has the windows of this page in one browser agree on who you are and on what you have begun to write. A draft is in the storage once
// for all of them; each has a field with words in it, and knows what was written in it in other rooms. So nobody's words are taken
// away, and an empty field that nobody is in shows what is written elsewhere.

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
    if (!isSame()) return;
    const isHere = draftOf === room();
    const text = isHere ? composer.text : composer.left.get(draftOf) ?? "";
    // What is here was written there, and goes on there, or was sent; or it is there among other words.
    const isTheirs = isHere && text === mirrored || draft.includes(text) || text === before && goesOn(draft, before);
    if (isTheirs && !isHere) composer.left.delete(draftOf);
    else if (isTheirs && !composer.isIn) composer.show(mirrored = draft);
    else if (draft === "" && text !== "") memory.keepDraft(draftOf, text); // other words were sent
  });
  addEventListener("pagehide", () => {
    if (!isSame()) return;
    for (const [room, text] of composer.written) memory.keepDraft(room, both(memory.draft(room), text));
  });
  // Who comes back to the page finds what was kept when he went, as it is by now.
  addEventListener("pageshow", ({ persisted }) => {
    if (!persisted || !isSame()) return;
    composer.left.clear();
    composer.show(memory.draft(room()));
  });
}

/** What is kept and what was written here: other words may have been kept since. @param {string} kept @param {string} text */
function both(kept, text) {
  if (kept.includes(text)) return kept;
  return text.includes(kept) ? text : `${kept}\n\n${text}`;
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

// @ts-check
// Has the windows of this page in one browser agree on who you are and on what you have begun to write. A draft is in the storage once
// for all of them; each has a field with words in it, and knows what was written in it in other rooms; one that goes leaves them in the
// storage beside that. So nobody's words are taken away, and an empty field that nobody is in shows what is written elsewhere.
import { equals, has, isEmpty, NONE } from "./draft.js";

/** @import { Composer } from "./composer.js" */
/** @import { Memory } from "./memory.js" */

/**
 * @param {Memory} memory
 * @param {Composer} composer
 * @param {{ room: () => string, renamed: () => void, isSame: () => boolean }} page
 */
export function agree(memory, composer, { room, renamed, isSame }) {
  /** What this window shows of what is written in another: it is not for this one to keep. */
  let mirrored = NONE;
  /** What one was called when one went. */
  let name = "";
  memory.watch("name", renamed);
  memory.watchDrafts((draftOf, draft, before) => {
    if (!isSame()) return;
    const isHere = draftOf === room();
    const here = isHere ? composer.draft : composer.left.get(draftOf) ?? NONE;
    const wasKept = equals(here, before) || isHere && !composer.isWritten;
    // What is here was written there, and goes on there, or was sent; or it is there among other words.
    const isTheirs = isHere && equals(here, mirrored) || has(draft, here) || wasKept && goesOn(draft.text, here.text);
    if (isTheirs && !isHere) composer.left.delete(draftOf);
    else if (isTheirs && !composer.isIn) composer.show(mirrored = draft);
    else if (!isEmpty(here) && isEmpty(draft) && isEmpty(memory.draft(draftOf))) { // other words were sent, and no more written since
      memory.keepDraft(draftOf, here);
    }
  });
  addEventListener("pagehide", () => {
    name = memory.name;
    if (!isSame()) return;
    for (const [room, draft] of composer.written) if (draft.text) memory.leaveDraft(room, draft);
  });
  // Who comes back to the page finds what was left when he went, as it is by now, and has the name that he has by now.
  addEventListener("pageshow", ({ persisted }) => {
    if (!persisted || !isSame()) return;
    composer.left.clear();
    composer.show(memory.draft(room()));
    if (memory.name !== name) renamed();
  });
}

/** Whether somebody goes on with a draft, or has sent it: not who has put other words in its place. @param {string} draft @param {string} before */
function goesOn(draft, before) {
  const length = Math.min(draft.length, before.length);
  let start = 0;
  while (start < length && draft[start] === before[start]) start++;
  let end = 0;
  while (start + end < length && draft.at(-1 - end) === before.at(-1 - end)) end++;
  return draft === "" || before !== "" && start + end >= before.length / 2;
}

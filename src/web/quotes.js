// @ts-check
// The line above a message that says what it answers, and leads there: the original may be on the page, far back in the
// room, or gone.
import { endOf } from "./conversation.js";
import { element, leadsElsewhere } from "./element.js";
import { part } from "./length.js";
import { messageOf, rowOf, shownName, showRow, whose } from "./message-row.js";
import { Patience } from "./patience.js";
import * as words from "./words.js";

/** @import { Deletion, Message, Room } from "../client/client.ts" */
/** @import { Seen } from "./message-row.js" */
/** @import { Me } from "./own.js" */

/** So much of the original is seen, in characters. */
const SEEN = 200;

/** So many originals are kept, those that were fetched last: in a room that stays open for days more and more are answered. */
const KEPT = 100;

/** What was fetched to be quoted, by id, oldest first; undefined where it is gone. @type {Map<string, Promise<Seen | undefined>>} */
const fetched = new Map();

/** Ends what is being fetched. */
let left = new AbortController();

/** Forgets them: what becomes of them is told only while their room is open. */
export function clear() {
  left.abort();
  left = new AbortController();
  fetched.clear();
}

/**
 * Fills the line above a message.
 * @param {HTMLAnchorElement} line @param {string} id The original's. @param {Room} room @param {Me} me
 * @param {() => void} goThere Opens what the page's address is already.
 */
export async function quote(line, id, room, me, goThere) {
  const { signal } = left;
  // By then the page that it came with is there.
  await new Promise((resolve) => setTimeout(resolve));
  const row = rowOf(id);
  if (row) fill(line, messageOf(row), me);
  else {
    const original = await remembered(id, room).catch((error) => {
      if (!signal.aborted) throw error;
      return undefined; // nobody sees the line any more
    });
    fill(line, original, me);
  }
  line.addEventListener("click", (event) => {
    if (leadsElsewhere(event)) return;
    const row = rowOf(id);
    const isThere = line.getAttribute("href") === location.hash;
    if (!row && !isThere) return; // the address leads there
    event.preventDefault();
    if (!row) return goThere(); // once more: one has gone elsewhere since
    showRow(row);
    row.focus({ preventScroll: true });
  });
}

/** A message was changed: what is quoted of it is what it says now, nothing if it was deleted. @param {Message | Deletion} news @param {Me} me */
export function requote(news, me) {
  const now = "deleted" in news ? undefined : news;
  if (fetched.has(news.id)) fetched.set(news.id, Promise.resolve(now));
  for (const line of document.querySelectorAll(`.quoted[data-of="${news.id}"]`)) {
    fill(/** @type {HTMLAnchorElement} */ (line), now, me);
  }
}

/** @param {HTMLAnchorElement} line @param {Seen | undefined} original @param {Me} me */
function fill(line, original, me) {
  const hadFocus = line === document.activeElement;
  line.replaceChildren(...said(original, me));
  if (original) return;
  line.removeAttribute("href");
  if (hadFocus) line.closest("article")?.focus({ preventScroll: true }); // which it can't have any more
}

/** Who wrote a message, and the beginning of it, in one line. @param {Seen | undefined} original Undefined if it is gone. @param {Me} me */
export function said(original, me) {
  if (!original) return [words.originalGone];
  const { author, body } = original;
  const text = part(body, 0, SEEN).replace(/\s+/g, " ");
  return [
    element("bdi", { className: "name", textContent: shownName(author) }),
    " ",
    ...whose(original, me).flatMap((mark) => [mark, " "]),
    element("bdi", { textContent: text }),
  ];
}

/** A message as it is on the page, or else on the server; undefined if it is gone. @param {string} id @param {Room} room @returns {Promise<Seen | undefined>} */
export async function seen(id, room) {
  const row = rowOf(id);
  return row ? messageOf(row) : await remembered(id, room);
}

/** A message as it is now on the server; undefined if it is gone. @param {string} id @param {Room} room @param {AbortSignal} signal @returns {Promise<Message | undefined>} */
export async function find(id, room, signal) {
  const { messages: [message] } = await room.history({ before: endOf(id), limit: 1, signal });
  return message?.id === id ? message : undefined;
}

/** A message as it is now, also if it was changed while it was fetched. @param {string} id @param {Room} room */
async function remembered(id, room) {
  const { signal } = left;
  const patience = new Patience(signal, () => {}); // who is refused this is refused the room, which tells it
  let known, original;
  do {
    known = fetched.get(id) ?? patience.until(() => find(id, room, signal));
    fetched.set(id, known);
    for (const oldest of fetched.keys()) {
      if (fetched.size <= KEPT) break;
      fetched.delete(oldest);
    }
    original = await known;
  } while (fetched.has(id) && fetched.get(id) !== known);
  return original;
}

// @ts-check
// Searches in a room: the messages that contain a text, the newest first, each a link that shows it among its neighbours. The server
// looks, so that also what is not loaded is found. It is loaded when somebody asks for it.
import { LingerError } from "../client/client.ts";
import { hashOf } from "./address.js";
import { clockTime, dayName } from "./calendar.js";
import { asItIs } from "./conversation.js";
import { element, handFocusOn, isConverting, setText } from "./element.js";
import { openFinder } from "./finder.js";
import { part } from "./length.js";
import { shownName, whose } from "./message-row.js";
import * as words from "./words.js";

/** @import { Deletion, Message, Retry, Room } from "../client/client.ts" */
/** @import { Me } from "./own.js" */

/** It waits so long after the last key, in milliseconds: each search is dearer for the server than a page of messages. */
const PAUSE_MS = 300;

/** The server takes texts of so many characters. */
const LEAST = 2;
const MOST = 100;

/** So many messages are shown at a time. */
const SHOWN = 30;

/** So much of a message is shown before what was found, and in all, in characters. */
const BEFORE = 60;
const EXCERPT = 240;

/**
 * Opens the window; returns what has it show a message as it is now.
 * @param {Room} room @param {Me} me @param {(href: string) => void} goTo @returns {(news: Message | Deletion) => void}
 */
export function searchIn(room, me, goTo) {
  const title = words.searchTitle(room.name);
  const { dialog, field, told, list, left } = openFinder("search", title, words.searchFor, goTo, false);
  field.maxLength = MOST;
  told.textContent = words.searchHint;
  const more = element("button", { type: "button", className: "quietly", textContent: words.searchOn, hidden: true });
  dialog.append(more);
  /** What became of messages since: some that are found are on their way here, or wait to be shown. @type {Map<string, Message | Deletion>} */
  const heard = new Map();
  /** Tells how many are shown; nothing while more are searched for. */
  let tellCount = () => {};
  let searching = new AbortController();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  /** Shows the next of what is found. @param {AsyncIterator<Message>} found @param {string} text @param {AbortSignal} signal */
  const show = async (found, text, signal) => {
    tellCount = () => {};
    setText(told, words.searchGoesOn);
    handFocusOn(more, () => more.hidden = true, () => [...list.querySelectorAll("a")].at(-1) ?? field);
    let ended = false;
    try {
      for (let count = 0; count < SHOWN && !ended;) {
        const { value, done } = await found.next();
        if (signal.aborted) return;
        setText(told, words.searchGoesOn); // again, if it had come to a stop
        ended = done === true;
        const [message] = value ? asItIs(value, heard.get(value.id)) : [];
        if (!message) continue;
        list.append(result(message, text, me));
        count++;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof LingerError)) throw error;
      told.textContent = error.problem?.detail ?? error.message;
      return;
    }
    tellCount = () => setText(told, words.messagesFound(list.childElementCount, ended));
    tellCount();
    more.hidden = ended;
    more.onclick = () => show(found, text, signal);
  };
  const start = () => {
    searching.abort();
    clearTimeout(timer);
    list.replaceChildren();
    more.hidden = true;
    const text = field.value.trim();
    const isShort = [...text].length < LEAST;
    setText(told, isShort ? words.searchHint : words.searchGoesOn);
    if (isShort) return;
    searching = new AbortController();
    const { signal } = searching;
    const onRetry = (/** @type {Retry} */ { problem }) => setText(told, problem?.detail ?? words.unreachable);
    timer = setTimeout(() => show(room.history({ q: text, limit: SHOWN, signal, onRetry }), text, signal), PAUSE_MS);
  };

  field.addEventListener("input", start);
  field.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown" || isConverting(event)) return;
    event.preventDefault();
    list.querySelector("a")?.focus();
  });
  list.addEventListener("keydown", (event) => {
    const links = [...list.querySelectorAll("a")];
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const at = links.indexOf(/** @type {HTMLAnchorElement} */ (event.target));
    if (!step || at < 0) return;
    event.preventDefault();
    (links[at + step] ?? (step < 0 ? field : links[at]))?.focus();
  });
  left.addEventListener("abort", () => {
    searching.abort();
    clearTimeout(timer);
  });
  return (news) => {
    if (left.aborted) return;
    heard.set(news.id, news);
    const shown = list.querySelector(`[data-id="${news.id}"]`);
    if (!shown) return;
    const now = "deleted" in news ? [] : [result(news, field.value.trim(), me)];
    const next = now[0] ?? shown.nextElementSibling ?? shown.previousElementSibling;
    handFocusOn(shown, () => shown.replaceWith(...now), () => next?.querySelector("a") ?? field);
    tellCount();
  };
}

/** @param {Message} message @param {string} text @param {Me} me */
function result(message, text, me) {
  const { room, id, author, body, created_at } = message;
  const time = new Date(created_at);
  const at = body.toLowerCase().indexOf(text.toLowerCase());
  const from = at > BEFORE ? at - BEFORE : 0;
  const excerpt = `${from > 0 ? "…" : ""}${part(body, from, from + EXCERPT).replace(/\s+/g, " ")}`;
  const item = element(
    "li",
    {},
    element(
      "a",
      { href: hashOf(room, id) },
      element("bdi", { className: "author", textContent: shownName(author) }),
      " ",
      ...whose(message, me).flatMap((mark) => [mark, " "]),
      element("time", { dateTime: created_at, textContent: `${dayName(time)}, ${clockTime(time)}` }),
      element("span", { className: "excerpt", dir: "auto", textContent: excerpt }),
    ),
  );
  item.dataset.id = id;
  return item;
}

// @ts-check
// One message as it is seen: who, when, what.
import { hashOf } from "./address.js";
import { clockTime, exactTime, timeOf } from "./calendar.js";
import { layOut } from "./chunk.js";
import { byId, element } from "./element.js";
import { fromVisible, isVisible } from "./length.js";
import { mentions } from "./mentions.js";
import { isMixed, Names } from "./names.js";
import { isOwn } from "./own.js";
import { isLoneEmoji, isLong, prose } from "./prose.js";
import * as words from "./words.js";

/** @import { Message } from "../client/client.ts" */
/** @import { OutboxItem } from "./outbox.js" */
/** @import { Me } from "./own.js" */

/**
 * What there is to see of a message.
 * @typedef {Pick<Message, "id" | "room" | "author" | "body" | "created_at" | "reply_to" | "changed" | "sub">} Seen
 */

/** How many colours page.css has for people. */
const HUES = 8;

/** So many lines page.css shows of a message that is folded. */
const FOLDED_LINES = 20;

/** A name of so many characters may be cut. */
const LONG_NAME = 24;

const graphemes = new Intl.Segmenter();
const names = new Names();

/** What the rows show. @type {WeakMap<Element, Seen>} */
const shown = new WeakMap();

/** Is told of each line that leads to the message which a row answers. @type {(line: HTMLAnchorElement, message: Seen) => void} */
let quoted = () => {};

/** @param {typeof quoted} listener */
export function onQuote(listener) {
  quoted = listener;
}

/** @param {Seen} message @param {Me} me */
export function messageRow(message, me) {
  const row = element("article", { className: "message", id: idOf(message.id), tabIndex: -1 });
  try {
    fill(row, message, me);
  } catch (error) {
    reportError(error); // and go on: what fails at one message must not keep back the others
    row.replaceChildren(...plainly(message));
  }
  shown.set(row, message);
  return row;
}

/** @param {HTMLElement} row @param {Seen} message @param {Me} me */
function fill(row, message, me) {
  const { author, body, changed } = message;
  const time = new Date(message.created_at);
  row.append(
    ...answered(message),
    avatar(author ?? words.nobody),
    element(
      "header",
      {},
      ...whoWrote(message, me),
      " ",
      element("time", { dateTime: time.toISOString(), title: exactTime(time), textContent: clockTime(time) }),
    ),
    ...whatIsWritten(body, changed),
  );
  relate(row, message, me);
}

/** Shows whether a message is one's own, and whether it speaks of one: by another name than before, perhaps. @param {Element} row @param {Seen} message @param {Me} me */
export function relate(row, message, me) {
  const own = isOwn(message, me);
  row.classList.toggle("own", own);
  row.classList.toggle("mentions-me", !own && mentions(message.body, me.name));
}

/** A message without anything that could fail. @param {Seen} message */
function plainly({ author, body }) {
  return [
    element("header", {}, element("bdi", { className: "author", textContent: shownName(author) })),
    element("div", { className: "body", textContent: body }),
  ];
}

/** The message that a row shows. @param {Element} row */
export function messageOf(row) {
  return shown.get(row);
}

/** The row of a message, if it is on the page. @param {string} id */
export function rowOf(id) {
  return document.getElementById(idOf(id));
}

/** Whether the page shows a message as it was before. @param {Seen} message As it is now. */
export function isOutdated({ id, changed = "" }) {
  const row = rowOf(id);
  return row !== null && (messageOf(row)?.changed ?? "") < changed;
}

/** @param {string} id "" for a message that has none yet. */
function idOf(id) {
  return id && `message-${id}`;
}

/** The line that leads to what it answers. @param {Seen} message */
function answered(message) {
  const { room, reply_to } = message;
  if (!reply_to) return [];
  const line = element("a", {
    className: "quoted",
    href: hashOf(room, reply_to),
    textContent: words.searching,
    ariaLive: "off",
  });
  line.dataset.of = reply_to;
  quoted(line, message);
  return [line];
}

/**
 * The name under which a message stands: without signs that turn text around, by which one name could be made to look like another.
 * @param {string | null} author
 */
export function shownName(author) {
  const name = (author ?? words.nobody).replace(/\p{Bidi_Control}/gu, "");
  return isVisible(name) ? name : words.blankName;
}

/** @param {Seen} message @param {Me} me */
function whoWrote(message, me) {
  const { author } = message;
  const name = shownName(author);
  const said = element("bdi", { className: "author", textContent: name });
  if (name.length > LONG_NAME) said.title = name;
  return [said, ...whose(message, me)];
}

/** What tells a name from others like it, wherever it stands. @param {Pick<Seen, "author" | "sub">} message @param {Me} me */
export function whose({ author, sub = "" }, me) {
  const name = author ?? words.nobody;
  if (me.name) names.likeOf(me.name, me.sub); // comes first: who looks like you is the other
  const like = names.likeOf(name, author === null ? "" : sub);
  const doubt = like ? words.notTheName(shownName(like), like === name) : isMixed(name) ? words.mixedName : "";
  return [
    ...sub ? [mark("verified", words.signedInAs(sub), words.verified)] : [],
    // Where nobody needs a token, nobody is told apart by it.
    ...!sub && me.sub ? [element("span", { className: "claim", textContent: words.guest, title: words.ownClaim })] : [],
    ...doubt ? [mark("doubt", doubt)] : [],
  ];
}

/** @param {string} text @param {string | undefined} changed The place of its newest change. */
function whatIsWritten(text, changed) {
  const body = element("div", { className: "body" }, prose(text));
  if (changed) body.append(editedMark(changed));
  if (!isVisible(text)) body.dataset.nothing = words.blankBody;
  body.classList.toggle("large", isLoneEmoji(text));
  if (!isLong(text, body)) return [body];
  const more = element("button", { type: "button", className: "unfold", ariaLive: "off" });
  fold(body, more, true);
  more.addEventListener("click", () => {
    const scroller = more.closest("#scroller");
    const { top } = more.getBoundingClientRect();
    const folded = !body.classList.contains("folded");
    fold(body, more, folded);
    if (!scroller) return;
    // It grows below, and what one reads stays. Where it shrinks, one is at its end, and that stays.
    if (folded) scroller.scrollTop += more.getBoundingClientRect().top - top;
    scroller.dispatchEvent(new Event("scroll")); // the timeline has to see whether this is the end
  });
  // Where lines are long it may be seen whole also when it is folded: there is nothing more to show, nor less. The button keeps its place,
  // so that nothing moves.
  new ResizeObserver(() => {
    const isWhole = body.classList.contains("folded")
      ? body.scrollHeight <= body.clientHeight
      : body.scrollHeight <= Math.ceil(FOLDED_LINES * parseFloat(getComputedStyle(body).lineHeight));
    more.style.visibility = isWhole ? "hidden" : "";
    body.classList.toggle("whole", isWhole);
  }).observe(body);
  // Who comes to a link by keyboard sees where he is.
  body.addEventListener("focusin", ({ target }) => {
    const focused = /** @type {Element} */ (target);
    const isBeyond = focused.getBoundingClientRect().bottom > body.getBoundingClientRect().bottom;
    if (!isBeyond || !body.classList.contains("folded")) return;
    more.click();
    focused.scrollIntoView({ block: "nearest" });
  });
  return [body, more];
}

/** @param {Element} body @param {Element} more @param {boolean} folded */
function fold(body, more, folded) {
  body.classList.toggle("folded", folded);
  more.textContent = folded ? words.showMore : words.showLess;
  more.ariaExpanded = `${!folded}`;
}

/** Brings a row before one's eyes, all of its message, and says which it is: the one that is meant now. @param {HTMLElement} row */
export function showRow(row) {
  for (const found of document.querySelectorAll("#log .found")) found.classList.remove("found");
  void row.offsetWidth; // so that it begins anew
  row.classList.add("found");
  layOut(row);
  const body = /** @type {Element} */ (row.querySelector(".body"));
  if (body.scrollHeight > body.clientHeight) unfold(row); // what one looks for may be anywhere in it
  row.scrollIntoView({ block: row.clientHeight < byId("scroller").clientHeight ? "center" : "start" });
}

/** Shows all of the message of a row. @param {Element} row */
function unfold(row) {
  const [body, more] = [".body", ".unfold"].map((part) => row.querySelector(part));
  if (body && more) fold(body, more, false);
}

/** Unfolds a row if the one was unfolded whose place it takes. @param {Element} row @param {Element} before */
export function unfoldAs(row, before) {
  if (before.querySelector(".unfold[aria-expanded=true]")) unfold(row);
}

/** Says that a message was edited; what is to be copied of it is its text alone. @param {string} changed */
function editedMark(changed) {
  const edited = mark("edited", words.editedAt(exactTime(timeOf(changed))));
  edited.dataset.word = words.edited;
  return edited;
}

/** A sign that says more to whoever points at it. @param {string} className @param {string} title @param {string} ariaLabel */
function mark(className, title, ariaLabel = title) {
  return element("span", { className, title, ariaLabel, role: "img" });
}

/**
 * What can be done with a message that is not confirmed.
 * @typedef {object} OutboxActions
 * @property {(item: OutboxItem) => void} retry
 * @property {(item: OutboxItem) => void} edit
 * @property {(item: OutboxItem) => void} remove
 */

/**
 * A message that is not confirmed: dimmed, and with a way out when it failed.
 * @param {OutboxItem} item
 * @param {Me} me
 * @param {boolean} heldBack Whether one before it is late.
 * @param {OutboxActions} actions
 */
export function outboxRow(item, me, heldBack, { retry, edit, remove }) {
  const row = messageRow(messageIn(item, me), { ...me, name: item.author });
  if (item.id) return row;
  row.classList.add(item.state === "sending" ? "sending" : "failed");
  if (item.state === "sending") {
    row.append(element("p", { className: "fate", textContent: heldBack ? words.heldBack : words.sending }));
    return row;
  }
  const refused = item.state === "refused";
  const said = (refused ? words.notSent : words.notSentYet)(item.failure ?? "");
  /** @param {string} name @param {(item: OutboxItem) => void} action */
  const button = (name, action) =>
    element("button", { type: "button", textContent: name, onclick: () => action(item) });
  const buttons = [button(words.retry, retry), " ", button(words.forget, remove)];
  // What is late may have arrived: to send its words once more, changed, could be to say them twice.
  if (refused) buttons.splice(2, 0, button(words.change, edit), " ");
  row.append(element("p", { className: "fate", role: "alert" }, element("span", { textContent: said }), ...buttons));
  return row;
}

/** An item of the outbox as the message that it will be. @param {OutboxItem} item @param {Me} me @returns {Seen} */
export function messageIn({ room, author, body, at, replyTo }, { sub }) {
  const created_at = new Date(at).toISOString();
  return { id: "", room, author, body, created_at, ...replyTo && { reply_to: replyTo }, ...sub && { sub } };
}

/** A circle with somebody's initial, in a colour that is always the same. @param {string} name */
export function avatar(name) {
  let hash = 0;
  for (const character of name) hash = (hash * 37 + /** @type {number} */ (character.codePointAt(0))) >>> 0;
  const [first] = graphemes.segment(fromVisible(name) || "?");
  const circle = element("span", {
    className: `avatar hue-${hash % HUES}`,
    textContent: /** @type {Intl.SegmentData} */ (first).segment.toLocaleUpperCase(),
  });
  circle.ariaHidden = "true";
  return circle;
}

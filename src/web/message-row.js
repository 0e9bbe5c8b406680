// @ts-check
// One message as it is seen: who, when, what.
import { clockTime, exactTime } from "./calendar.js";
import { element } from "./element.js";
import { isBlank, isMixed, Names } from "./names.js";
import { isLoneEmoji, isLong, prose } from "./prose.js";
import * as words from "./words.js";

/** @import { OutboxItem } from "./outbox.js" */

/** How many colours page.css has for people. */
const HUES = 8;

/** A name of so many characters may be cut. */
const LONG_NAME = 24;

const graphemes = new Intl.Segmenter();
const names = new Names();

/** @param {string | null} author @param {string} body @param {Date} time @param {string} me */
export function messageRow(author, body, time, me) {
  if (me) names.likeOf(me); // comes first: who looks like you is the other
  const row = element(
    "article",
    { className: "message" },
    avatar(author ?? words.nobody),
    element(
      "header",
      {},
      ...whoWrote(author ?? words.nobody),
      " ",
      element("time", { dateTime: time.toISOString(), title: exactTime(time), textContent: clockTime(time) }),
    ),
    ...whatIsWritten(body),
  );
  row.classList.toggle("own", author === me);
  return row;
}

/** @param {string} name */
function whoWrote(name) {
  const author = element("bdi", {
    className: "author",
    textContent: isBlank(name) ? "A name that nobody can see" : name,
  });
  if (name.length > LONG_NAME) author.title = name;
  const like = names.likeOf(name);
  const doubt = like
    ? `Not the “${like}” that was here before: the names only look alike`
    : isMixed(name)
    ? "This name mixes letters of several alphabets"
    : "";
  return doubt
    ? [author, element("span", { className: "doubt", title: doubt, ariaLabel: doubt, role: "img" })]
    : [author];
}

/** @param {string} text */
function whatIsWritten(text) {
  const body = element("div", { className: "body" }, prose(text));
  if (isBlank(text)) body.dataset.nothing = "Nothing that one can see";
  body.classList.toggle("large", isLoneEmoji(text));
  if (!isLong(text)) return [body];
  body.classList.add("folded");
  const more = element("button", { type: "button", className: "more", textContent: "Show more" });
  more.ariaExpanded = "false";
  more.addEventListener("click", () => {
    const folded = body.classList.toggle("folded");
    more.textContent = folded ? "Show more" : "Show less";
    more.ariaExpanded = `${!folded}`;
    // It grows below, and what one reads stays; the timeline has to see that this is not the end any more.
    more.closest("#scroller")?.dispatchEvent(new Event("scroll"));
  });
  return [body, more];
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
 * @param {boolean} heldBack Whether one before it is late.
 * @param {OutboxActions} actions
 */
export function outboxRow(item, heldBack, { retry, edit, remove }) {
  const row = messageRow(item.author, item.body, new Date(item.at), item.author);
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

/** A circle with somebody's initial, in a colour that is always the same. @param {string} name */
export function avatar(name) {
  let hash = 0;
  for (const character of name) hash = (hash * 37 + /** @type {number} */ (character.codePointAt(0))) >>> 0;
  const [first] = graphemes.segment(isBlank(name) ? "?" : name.trim());
  const circle = element("span", {
    className: `avatar hue-${hash % HUES}`,
    textContent: /** @type {Intl.SegmentData} */ (first).segment.toLocaleUpperCase(),
  });
  circle.ariaHidden = "true";
  return circle;
}

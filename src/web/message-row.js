// @ts-check
// One message as it is seen: who, when, what.
import { clockTime, exactTime } from "./calendar.js";
import { element } from "./element.js";
import { prose } from "./prose.js";
import * as words from "./words.js";

/** @import { OutboxItem } from "./outbox.js" */

/** How many colours page.css has for people. */
const HUES = 8;

const graphemes = new Intl.Segmenter();

/** @param {string | null} author @param {string} body @param {Date} time @param {string} me */
export function messageRow(author, body, time, me) {
  const name = author ?? words.nobody;
  const row = element(
    "article",
    { className: "message" },
    avatar(name),
    element(
      "header",
      {},
      element("bdi", { className: "author", textContent: name }),
      " ",
      element("time", { dateTime: time.toISOString(), title: exactTime(time), textContent: clockTime(time) }),
    ),
    element("p", { className: "body", dir: "auto" }, ...prose(body)),
  );
  row.classList.toggle("own", author === me);
  return row;
}

/**
 * A message that is not confirmed: dimmed, and with a way out when it failed.
 * @param {OutboxItem} item
 * @param {(item: OutboxItem) => void} retry
 * @param {(item: OutboxItem) => void} remove
 */
export function outboxRow(item, retry, remove) {
  const row = messageRow(item.author, item.body, new Date(item.at), item.author);
  if (item.id) return row;
  row.classList.add(item.state === "sending" ? "sending" : "failed");
  if (item.state === "sending") {
    row.append(element("p", { className: "fate", textContent: words.sending }));
    return row;
  }
  row.append(element(
    "p",
    { className: "fate", role: "alert" },
    element("span", { textContent: words.notSent(item.failure ?? "") }),
    element("button", { type: "button", textContent: words.retry, onclick: () => retry(item) }),
    " ",
    element("button", { type: "button", textContent: words.forget, onclick: () => remove(item) }),
  ));
  return row;
}

/** A circle with somebody's initial, in a colour that is always the same. @param {string} name */
export function avatar(name) {
  let hash = 0;
  for (const character of name) hash = (hash * 37 + /** @type {number} */ (character.codePointAt(0))) >>> 0;
  const [first] = graphemes.segment(name.trim() || "?");
  const circle = element("span", {
    className: `avatar hue-${hash % HUES}`,
    textContent: /** @type {Intl.SegmentData} */ (first).segment.toLocaleUpperCase(),
  });
  circle.ariaHidden = "true";
  return circle;
}

// @ts-check
// Text that somebody else wrote, as a part of the page: it stays text, whatever it looks like. A small part of Markdown is
// shown as what it means: code between fences, quotes, lists, and what phrase.js knows of a line; never headings, tables,
// pictures or markup. As there, every character stays in its place, and hostile text costs no more than other text.
import { element } from "./element.js";
import { mark, phrase } from "./phrase.js";

/** Quotes and lists in one another, at most. */
const DEEPEST = 4;

/** Of empty lines in a row so many are seen. */
const EMPTY_LINES = 2;

/** So much is a long message, of which one sees the beginning: in lines, and characters that fill a line. */
const LONG_LINES = 24;
const LINE = 80;

/** What fills the place of two characters: Chinese, Japanese, Korean. Beyond these a character is two units long, and counts as two anyway. */
const WIDE = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\uff01-\uff60]/g;

const FENCE = /^(`{3,})([^`]*)$/;
const QUOTE = /^>(?: |$)/;
const BULLET = /^ {0,3}(?:[*+•\-]|(\d{1,3})[.\)]) +(?=\S)/v;
const LONE_EMOJI = /^(?:[\p{RGI_Emoji}\p{Emoji_Presentation}]\s*){1,3}$/v;

/**
 * A line: what a quote or a list has taken from its beginning, and the rest, with its end.
 * @typedef {{ taken: string, text: string, end: string }} Line
 */

/** @param {string} text @returns {Node} */
export function prose(text) {
  const lines = text.split("\n").map((line, i, all) => ({
    taken: "",
    text: line,
    end: i < all.length - 1 ? "\n" : "",
  }));
  return blocks(lines, DEEPEST);
}

/** Whether one reads only the beginning of it at first. @param {string} text @param {Element} shown What was made of it. */
export function isLong(text, shown) {
  if (!fills(text)) return false;
  const seen = /** @type {Element} */ (shown.cloneNode(true));
  for (const unseen of seen.querySelectorAll(".mark")) unseen.remove();
  return fills(seen.textContent ?? "");
}

/** Whether a text has more than a few lines. @param {string} text */
function fills(text) {
  if (text.length < LONG_LINES) return false;
  let lines = 0;
  for (const line of text.split("\n")) lines += Math.max(1, Math.ceil(line.replace(WIDE, "  ").length / LINE));
  return lines > LONG_LINES;
}

/** Whether it is nothing but an emoji, or three. @param {string} text */
export function isLoneEmoji(text) {
  return text.length < 100 && LONE_EMOJI.test(text.trim());
}

/** @param {Line[]} lines @param {number} depth @returns {Node} */
function blocks(lines, depth) {
  const all = document.createDocumentFragment();
  /** What a fence of that many backticks was looked for in vain with. @type {Set<string>} */
  const unclosed = new Set();
  for (let i = 0; i < lines.length;) {
    const from = i;
    const line = /** @type {Line} */ (lines[i]);
    const fence = FENCE.exec(line.text)?.[1];
    if (fence && !unclosed.has(fence)) {
      let close = from + 1;
      while (close < lines.length && lines[close]?.text.trimEnd() !== fence) close++;
      if (close < lines.length) {
        all.append(fenced(lines.slice(from, close + 1)));
        i = close + 1;
        continue;
      }
      unclosed.add(fence);
    }
    if (depth > 0 && QUOTE.test(line.text)) {
      while (i < lines.length && QUOTE.test(/** @type {Line} */ (lines[i]).text)) i++;
      const inside = lines.slice(from, i).map((line) => take(line, /^> ?/));
      all.append(element("blockquote", { dir: "auto" }, blocks(inside, depth - 1)));
    } else if (depth > 0 && BULLET.test(line.text)) {
      const [item, after] = listItem(lines, from, depth);
      const tag = BULLET.exec(line.text)?.[1] ? "ol" : "ul";
      if (all.lastChild?.nodeName.toLowerCase() !== tag) all.append(element(tag, {}));
      all.lastElementChild?.append(item);
      i = after;
    } else if (line.text === "") {
      while (i < lines.length && lines[i]?.text === "") i++;
      all.append(...empty(lines.slice(from, i)));
    } else {
      i++;
      all.append(...begun(line), phrase(line.text), line.end);
    }
  }
  all.normalize();
  return all;
}

/** One item of a list, with the lines below it that are set in as far. @param {Line[]} lines @param {number} from @param {number} depth */
function listItem(lines, from, depth) {
  const first = /** @type {Line} */ (lines[from]);
  const [bullet, number] = /** @type {RegExpExecArray} */ (BULLET.exec(first.text));
  const inset = new RegExp(`^ {2,${bullet.length}}`);
  let after = from + 1;
  while (inset.test(lines[after]?.text ?? "")) after++;
  const inside = [take(first, BULLET), ...lines.slice(from + 1, after).map((line) => take(line, inset))];
  const item = element("li", { dir: "auto" }, blocks(inside, depth - 1));
  if (number) item.value = Number(number);
  return /** @type {const} */ ([item, after]);
}

/** @param {Line[]} lines */
function fenced(lines) {
  const [first, last] = [/** @type {Line} */ (lines[0]), /** @type {Line} */ (lines.at(-1))];
  const inside = lines.slice(1, -1).flatMap((line) => [...begun(line), line.text + line.end]);
  const block = element(
    "pre",
    {},
    hidden(first.taken + first.text + first.end),
    element("code", {}, ...inside),
    hidden(last.taken + last.text + last.end),
  );
  block.dir = "ltr";
  return block;
}

/** @param {Line[]} lines Without text. */
function empty(lines) {
  const unseen = lines.slice(EMPTY_LINES).map(({ taken, end }) => taken + end).join("");
  const seen = lines.slice(0, EMPTY_LINES).flatMap((line) => [...begun(line), line.end]);
  return unseen ? [...seen, hidden(unseen)] : seen;
}

/** Whole lines that one does not see. @param {string} text */
function hidden(text) {
  const lines = mark(text);
  lines.classList.add("lines");
  return lines;
}

/** @param {Line} line */
function begun({ taken }) {
  return taken ? [mark(taken)] : [];
}

/** @param {Line} line @param {RegExp} what */
function take({ taken, text, end }, what) {
  const [start = ""] = what.exec(text) ?? [];
  return { taken: taken + start, text: text.slice(start.length), end };
}

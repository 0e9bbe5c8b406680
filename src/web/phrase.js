// @ts-check
// A line that somebody wrote, as a part of the page: addresses become links, `code`, *emphasis* and **strength** are shown as
// that. Every character stays where it was written, the marks too (page.css makes those too small to see), so that whoever
// copies a line has it as it was. What is not closed stays as it is. However hostile a line is, this takes time in
// proportion to its length, and never nests deeper than there are kinds of marks.
import { element } from "./element.js";
import { looksLatin } from "./names.js";
import { isOfOneScript, UNSPACED } from "./scripts.js";

/** What may mean something: of an address its beginning. */
const TOKEN = /`+|\*+|_+|\bhttps?:\/\//giv;

/**
 * What can be in an address: nothing that nobody sees, and no punctuation of other scripts and of typography, nor what stands for that: it
 * is the sentence's.
 */
const IN_ADDRESS =
  /[^\s<>"`\u2800\u301C\uFF1C\uFF1E\uFF5C\uFF5E\p{C}\p{DI}\p{Pi}\p{Pf}[[\p{Po}\p{Ps}\p{Pe}]--[\p{ASCII}\u00B7]]]/v;

/** An address also ends before the punctuation that ends the sentence around it, and before a parenthesis that it has not opened. */
const ENDS_SENTENCE = /[.,;:!?'*_~\u2013\u2014]/;
const OPENED_BY = new Map([[")", "("], ["]", "["], ["}", "{"]]);

/** What is emphasized stands between spaces or punctuation, or in a script that has none: so 2*3*4 and snake_case are left alone. */
const BEFORE = new RegExp(String.raw`^$|[\s\p{Ps}\p{Pi}\p{Pd}"':*_>${UNSPACED}]`, "v");
const AFTER = new RegExp(String.raw`^$|[\s\p{Pe}\p{Pf}\p{Pd}"'.,;:!?…*_${UNSPACED}[\p{Po}--\p{ASCII}]]`, "v");
const FIRST = /[^\s.,;:!?\)\]\}\/\\]/v;
const LAST = /[^\s\(\[\{\/\\]/v;

/** There is nothing to emphasize in a face: *-*. */
const SAYS_SOMETHING = /[\p{L}\p{N}\p{S}]/gv;

/** @type {Map<string, ("em" | "strong")[]>} */
const EMPHASIS = new Map([["*", ["em"]], ["_", ["em"]], ["**", ["strong"]], ["***", ["strong", "em"]]]);

/**
 * A piece of the line with a meaning of its own.
 * @typedef {{ start: number, end: number, kind: "link" | "code" | "open" | "close", run: string }} Piece
 */

/** @param {string} text One line. @returns {Node} */
export function phrase(text) {
  /** @type {Node} */
  const whole = document.createDocumentFragment();
  /** @type {Node[]} */
  const into = [whole];
  const inner = () => /** @type {Node} */ (into.at(-1));
  let end = 0;
  /** @param {number} to */
  const plain = (to) => {
    if (to > end) inner().appendChild(document.createTextNode(text.slice(end, to)));
    end = to;
  };
  for (const { start, end: after, kind, run } of piecesOf(text)) {
    plain(start);
    end = after;
    const written = text.slice(start, after);
    if (kind === "link") inner().appendChild(link(written));
    else if (kind === "code") inner().appendChild(code(written, run.length));
    else if (kind === "open") {
      for (const tag of EMPHASIS.get(run) ?? []) into.push(inner().appendChild(element(tag, {})));
      inner().appendChild(mark(written));
    } else {
      inner().appendChild(mark(written));
      into.length -= EMPHASIS.get(run)?.length ?? 0;
    }
  }
  plain(text.length);
  return whole;
}

/** Characters that say how the others are meant: there to be copied, not to be seen. @param {string} text */
export function mark(text) {
  const mark = element("span", { className: "mark", textContent: text });
  mark.ariaHidden = "true";
  return mark;
}

/** @param {string} text @returns {Piece[]} In their order, none over another; what is opened is closed. */
function piecesOf(text) {
  /** @type {Piece[]} */
  const pieces = [];
  /** Where emphasis may have begun: the newest of each kind, oldest first. @type {Piece[]} */
  let open = [];
  const ticks = ticksOf(text);
  const says = saidIn(text);
  TOKEN.lastIndex = 0;
  for (let match; (match = TOKEN.exec(text));) {
    const [run] = match;
    const start = match.index;
    if (run.startsWith("`")) {
      const end = ticks(start, run.length);
      if (end === undefined) continue;
      pieces.push({ start, end, kind: "code", run });
      TOKEN.lastIndex = end;
    } else if (/^[*_]/.test(run)) {
      const end = start + run.length;
      const opener = open.find((piece) => piece.run === run);
      const [before, next] = [text[start - 1] ?? "", text[end] ?? ""];
      if (opener && LAST.test(before) && AFTER.test(next) && says(opener.end, start)) {
        pieces.push(opener, { start, end, kind: "close", run });
        open = open.slice(0, open.indexOf(opener));
      } else if (EMPHASIS.has(run) && BEFORE.test(before) && FIRST.test(next)) {
        open = [...open.filter((piece) => piece !== opener), { start, end, kind: "open", run }];
      }
    } else {
      const end = endOfAddress(text, start);
      if (URL.canParse(text.slice(start, end))) pieces.push({ start, end, kind: "link", run });
      TOKEN.lastIndex = end;
    }
  }
  return pieces.sort((a, b) => a.start - b.start);
}

/** Finds where as many backticks follow as opened it. @param {string} text @returns {(start: number, length: number) => number | undefined} */
function ticksOf(text) {
  /** Where runs of a length end, last first. @type {Map<number, number[]>} */
  const ends = new Map();
  for (const { 0: run, index } of [...text.matchAll(/`+/g)].reverse()) {
    const list = ends.get(run.length) ?? [];
    list.push(index + run.length);
    ends.set(run.length, list);
  }
  return (start, length) => {
    const list = ends.get(length) ?? [];
    while (list.length > 0 && /** @type {number} */ (list.at(-1)) <= start + length) list.pop();
    return list.at(-1);
  };
}

/**
 * Finds whether something is said between two places. The second never goes back: so no part is looked at twice.
 * @param {string} text @returns {(from: number, to: number) => boolean}
 */
function saidIn(text) {
  let looked = 0;
  let last = -1;
  return (from, to) => {
    for (const { index } of text.slice(looked, to).matchAll(SAYS_SOMETHING)) last = looked + index;
    looked = to;
    return last >= from;
  };
}

/** Where the address ends that begins at a place. @param {string} text @param {number} start */
function endOfAddress(text, start) {
  /** How many of each parenthesis are open. @type {Map<string, number>} */
  const open = new Map();
  let end = start;
  for (const character of text.slice(start)) {
    if (!IN_ADDRESS.test(character)) break;
    const opener = OPENED_BY.get(character);
    const count = open.get(opener ?? character) ?? 0;
    if (opener && count === 0) break;
    open.set(opener ?? character, opener ? count - 1 : count + 1);
    end += character.length;
  }
  while (ENDS_SENTENCE.test(text[end - 1] ?? "")) end--;
  return end;
}

/** A link of which nobody can mistake where it leads. @param {string} address */
function link(address) {
  const [scheme = "", authority = ""] = /^(https?:\/\/)([^\/?#\\]*)/i.exec(address)?.slice(1) ?? [];
  const [name = ""] = authority.split(":");
  const rest = address.slice(scheme.length + name.length);
  // A host that is read from the right would else be seen behind digits, or a path of such letters, that stand behind it.
  const seen = /\P{ASCII}/v.test(name) ? element("bdi", { dir: "ltr", textContent: name }) : name;
  const link = element("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, scheme, seen, rest);
  link.dir = "ltr"; // by itself, whatever is around it, and from its beginning
  const { host } = new URL(address);
  const named = authority.replace(/:(?:80|443)?$/, "");
  const honest = named.toLowerCase() === host || /\P{ASCII}/v.test(named) && isPlain(named) && !looksLatin(named);
  if (!honest) link.dataset.host = host;
  return link;
}

/** Whether nothing in a host's name can be taken for its end: no sign, nor a letter among those of another script, as what looks like a slash. @param {string} named */
function isPlain(named) {
  return named.replace(/:\d*$/, "").normalize("NFC").split(".").every(isOfOneScript);
}

/** @param {string} text @param {number} ticks */
function code(text, ticks) {
  const inside = text.slice(ticks, -ticks);
  return element("code", { dir: "ltr" }, mark(text.slice(0, ticks)), inside, mark(text.slice(-ticks)));
}

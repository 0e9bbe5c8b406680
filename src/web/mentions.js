// @ts-check
// Whether a message speaks of somebody by name.
import { UNSPACED } from "./scripts.js";

/** What makes another word of a name beside which it stands: a letter, but for those that stand beside any word. */
const LETTER = String.raw`[\p{L}\p{N}\p{M}_]`;
const SPACED_LETTER = `[${LETTER}--[${UNSPACED}]]`;

const BEGINS_UNSPACED = new RegExp(`^[${UNSPACED}]`, "v");
const ENDS_UNSPACED = new RegExp(`[${UNSPACED}]$`, "v");

/** @type {{ name: string, pattern: RegExp } | undefined} */
let last;

/**
 * Whether `name` stands in `body` as a whole word, in whatever case; in a script without blanks between words: whether it stands there.
 * @param {string} body @param {string} name "" is never mentioned.
 */
export function mentions(body, name) {
  if (!name) return false;
  if (last?.name !== name) last = { name, pattern: patternOf(folded(name)) };
  return last.pattern.test(folded(body));
}

/** @param {string} name */
function patternOf(name) {
  const literal = name.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
  // One letter alone is in many words, of any script.
  if ([...name].length === 1) return new RegExp(`(?<!${LETTER})${literal}(?!${LETTER})`, "v");
  const before = BEGINS_UNSPACED.test(name) ? "" : `(?<!${SPACED_LETTER})`;
  const after = ENDS_UNSPACED.test(name) ? "" : `(?!${SPACED_LETTER})`;
  return new RegExp(before + literal + after, "v");
}

/** @param {string} text */
function folded(text) {
  return text.normalize("NFKC").toLowerCase().toUpperCase().toLowerCase(); // ß and SS, ς and σ are one
}

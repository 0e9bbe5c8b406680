// @ts-check
// How much longer a text may become, in characters as people count them. The server counts bytes of UTF-8; a writer who is told of
// bytes learns nothing. Takes no longer for a book than for a line.

/** Longest message that the server takes, in bytes of UTF-8. */
export const MAX_BODY_BYTES = 10_000;

/** Characters are counted one by one up to so many UTF-16 units; beyond them nobody counts along. */
const COUNTED = 1_000;

/** Neither a mark on nothing, nor what leaves no ink: what Unicode says of that, the empty Braille cell, and the note without a head. */
const VISIBLE = /[^\p{Cc}\p{Cf}\p{DI}\p{Z}\p{M}\s\u2800\u{1d159}]/u;

const utf8 = new TextEncoder();
const graphemes = new Intl.Segmenter();

/**
 * How many characters a text may still grow by; below 0: how many it has too many.
 * @param {string} text @param {number} maxBytes
 */
export function charactersLeft(text, maxBytes) {
  // No more is encoded than there is room for.
  const { read, written } = utf8.encodeInto(text, new Uint8Array(maxBytes));
  if (read < text.length) return -characters(text.slice(read));
  if (written === 0) return maxBytes;
  return Math.floor((maxBytes - written) * text.length / written); // of those that it has so far
}

/** @param {string} text */
function characters(text) {
  return text.length > COUNTED ? text.length : [...graphemes.segment(text)].length;
}

/**
 * A part of a text, from one place in it to another, in UTF-16 units; each goes back to where a character begins, but for the end within
 * a character that is longer than the part.
 * @param {string} text @param {number} from @param {number} to
 */
export function part(text, from, to) {
  const segments = graphemes.segment(text);
  const [start, end] = [from, to].map((place) => segments.containing(place)?.index); // undefined beyond the end
  return text.slice(start, end === undefined || end > (start ?? 0) ? end : to);
}

/** Whether there is anything in a text that can be seen. @param {string} text */
export function isVisible(text) {
  return VISIBLE.test(text);
}

/** A text from its first character on that can be seen; "" where there is none. @param {string} text */
export function fromVisible(text) {
  return isVisible(text) ? text.slice(text.search(VISIBLE)) : "";
}

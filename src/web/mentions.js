// @ts-check
// Whether a message speaks of somebody by name.

/** @type {{ name: string, pattern: RegExp } | undefined} */
let last;

/**
 * Whether `name` stands in `body` as a whole word, in whatever case.
 * @param {string} body @param {string} name "" is never mentioned.
 */
export function mentions(body, name) {
  if (!name) return false;
  if (last?.name !== name) {
    const literal = folded(name).replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
    last = { name, pattern: new RegExp(`(?<![\\p{L}\\p{N}\\p{M}_])${literal}(?![\\p{L}\\p{N}\\p{M}_])`, "u") };
  }
  return last.pattern.test(folded(body));
}

/** @param {string} text */
function folded(text) {
  return text.normalize("NFKC").toLowerCase().toUpperCase().toLowerCase(); // ß and SS, ς and σ are one
}

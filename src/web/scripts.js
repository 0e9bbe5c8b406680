// @ts-check
// What the page has to know of scripts: which ones have no blanks around a word, and which ones stand together in one.

/** In these a word is told from the next by nothing, or what belongs to a name stands right behind it: for a class of a pattern. */
export const UNSPACED = String.raw`\p{scx=Han}\p{scx=Hiragana}\p{scx=Katakana}\p{scx=Hangul}\p{scx=Thai}`;

/** Scripts, but for Latin, that are found in hosts' names: alone, and those that are mixed. */
const ALONE =
  "Arabic Armenian Bengali Cyrillic Devanagari Ethiopic Georgian Greek Gujarati Gurmukhi Hebrew Kannada Khmer Lao Malayalam Myanmar Oriya Sinhala Tamil Telugu Thai";
const MIXED = [["Han", "Hiragana", "Katakana"], ["Han", "Bopomofo"], ["Han", "Hangul"]];

/** Letters of one script, digits and hyphens; of the Latin ones not those of clicks and stops, which look like signs. */
const ONE_SCRIPT = new RegExp(
  [
    String.raw`^[[\p{Script=Latin}\d_\-]--[ǀ-ǃꞌꞏ]]*$`,
    ...[...ALONE.split(" ").map((script) => [script]), ...MIXED].map((scripts) => {
      const letters = scripts.map((script) => String.raw`\p{scx=${script}}`).join("");
      return String.raw`^[\d_\-[[${letters}]&&[\p{L}\p{M}\p{N}]]]*$`;
    }),
  ].join("|"),
  "v",
);

/** Whether a word has letters of one script only, and no signs. @param {string} word */
export function isOfOneScript(word) {
  return ONE_SCRIPT.test(word);
}

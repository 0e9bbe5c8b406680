// @ts-check
// Tells names apart that look alike. Anybody can call themselves anything here: "Ada" with a Cyrillic A, "Ada" with a space
// behind it. The page can't say who is who, but it says where two names that look the same are two.

/** What leaves no ink: spaces, controls, and what Unicode has to be ignored, the empty Braille cell and the note without a head besides. */
const INVISIBLE = /[\s\u2800\u{1d159}\p{C}\p{DI}\p{Z}]/gv;

/** Letters of other scripts that look like Latin ones, small; and what looks alike among the Latin ones. */
const SMALL = shapes({
  a: "аɑαａ",
  b: "ьƅ",
  c: "сϲᴄ",
  d: "ԁ",
  e: "еҽ℮",
  g: "ɡց",
  h: "һհ",
  i: "іıιɩl1|!ӏյӀ",
  j: "јϳ",
  k: "кκ",
  m: "м",
  n: "ոпη",
  o: "о0οσօᴏ",
  p: "рρ",
  q: "ԛգ",
  r: "г",
  s: "ѕꜱ",
  t: "тτ",
  u: "υսᴜ",
  v: "ѵνᴠ",
  w: "ԝωѡ",
  x: "хχ",
  y: "уүγ",
  z: "ᴢ",
});

/** Capitals that look like Latin ones, where the small letters do not, or look like another. */
const CAPITAL = shapes({
  a: "Ꭺ",
  b: "ВΒᏴ",
  c: "Ꮯ",
  d: "Ꭰ",
  e: "ΕᎬ",
  g: "ԌᏀ",
  h: "НΗᎻ",
  i: "Ꭵ",
  j: "Ꭻ",
  k: "Ꮶ",
  l: "ԼᏞ",
  m: "ΜᎷ",
  n: "Ν",
  p: "Ꮲ",
  r: "ᎡᏒ",
  s: "ՏᏕᏚ",
  t: "Ꭲ",
  v: "Ꮩ",
  w: "Ꮃ",
  y: "ΥᎽ",
  z: "ΖᏃ",
});

/** The scripts whose letters are mistaken for one another. */
const SCRIPTS = [/\p{scx=Latin}/v, /\p{scx=Cyrillic}/v, /\p{scx=Greek}/v, /\p{scx=Armenian}/v, /\p{scx=Cherokee}/v];

/** Letters of other scripts by the Latin ones. @param {Record<string, string>} letters */
function shapes(letters) {
  return new Map(Object.entries(letters).flatMap(([latin, others]) => [...others].map((other) => [other, latin])));
}

/** A text in the letters that its own look like. @param {string} text @param {Map<string, string>} shapes */
function shaped(text, shapes) {
  return Array.from(text, (letter) => shapes.get(letter) ?? letter).join("");
}

/** What two names have in common that look alike: in small letters, or by their capitals. @param {string} name */
function looksOf(name) {
  const plain = name.normalize("NFKC").replace(INVISIBLE, "");
  return [plain, shaped(plain, CAPITAL)].map((text) => shaped(text.toLowerCase().normalize("NFKC"), SMALL));
}

/** Whether something that is not Latin looks as if it were. @param {string} text As it is written: capitals look otherwise. */
export function looksLatin(text) {
  return /\P{ASCII}/v.test(text) && looksOf(text).some((looks) => /^\p{ASCII}*$/v.test(looks));
}

/** Whether its letters come from scripts that are mistaken for one another. @param {string} name */
export function isMixed(name) {
  const letters = name.replace(/[^\p{L}]/gv, "");
  return SCRIPTS.filter((script) => script.test(letters)).length > 1;
}

/** So many names are remembered: more than people who talk. */
const MOST_NAMES = 5_000;

/** The names that were seen, and whose they are. */
export class Names {
  /** The first name of those that look the same, by what they look like. @type {Map<string, string>} */
  #first = new Map();
  /** What was answered of a name. @type {Map<string, string>} */
  #answers = new Map();
  /** The subject of the first token that had a name, by the name. @type {Map<string, string>} */
  #subs = new Map();

  /**
   * The name seen earlier that this one could be mistaken for, which is the same one where it is somebody else's; "" where there is none.
   * @param {string} name @param {string} sub Of the token that had it; "" without a token.
   */
  likeOf(name, sub) {
    const known = this.#answers.get(name);
    if (known === undefined && this.#answers.size >= MOST_NAMES) {
      for (const map of [this.#first, this.#answers, this.#subs]) map.clear();
    }
    const owner = this.#subs.get(name);
    if (owner === undefined && sub) this.#subs.set(name, sub);
    if (owner !== undefined && owner !== sub) return name;
    if (known !== undefined) return known;
    const looks = looksOf(name);
    const like = looks.map((one) => this.#first.get(one)).find(Boolean) ?? "";
    for (const one of looks) if (!this.#first.has(one)) this.#first.set(one, name);
    this.#answers.set(name, like);
    return like;
  }
}

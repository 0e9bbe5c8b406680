// @ts-check
// Tells names apart that look alike. Anybody can call themselves anything here: "Ada" with a Cyrillic A, "Ada" with a space
// behind it. The page can't say who is who, but it says where two names that look the same are two.

/** What leaves no ink: spaces, controls, and what Unicode has to be ignored, the empty Braille cell besides. */
const INVISIBLE = /[\s\u2800\p{C}\p{DI}\p{Z}]/gv;

/** Letters of other scripts that look like Latin ones, small; and what looks alike among the Latin ones. */
const LOOKS_LIKE = new Map(
  Object.entries({
    a: "аɑαａ",
    b: "ЬьƄ",
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
  }).flatMap(([latin, others]) => [...others].map((other) => [other, latin])),
);

/** The scripts whose letters are mistaken for one another. */
const SCRIPTS = [/\p{scx=Latin}/v, /\p{scx=Cyrillic}/v, /\p{scx=Greek}/v, /\p{scx=Armenian}/v, /\p{scx=Cherokee}/v];

/** What two names have in common that look alike. @param {string} name */
function looksOf(name) {
  const plain = name.normalize("NFKC").replace(INVISIBLE, "").toLowerCase().normalize("NFKC");
  return Array.from(plain, (letter) => LOOKS_LIKE.get(letter) ?? letter).join("");
}

/** Whether something that is not Latin looks as if it were. @param {string} text */
export function looksLatin(text) {
  return /\P{ASCII}/v.test(text) && /^\p{ASCII}*$/v.test(looksOf(text));
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
    const like = this.#first.get(looks) ?? "";
    if (!like) this.#first.set(looks, name);
    this.#answers.set(name, like);
    return like;
  }
}

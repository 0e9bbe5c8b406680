// What people write, as it is shown: what it means is seen, every character of it can be copied, and nothing that it can be
// is slow, deep, or anything but text.
/// <reference lib="dom" />
import { assertEquals, assertLess } from "@std/assert";
import fc from "fast-check";
import { testSite, visit, type Visitor, webTest } from "../support/browser.ts";
import { post } from "../support/client.ts";

const site = await testSite();

/** All that a message may become. */
const ALLOWED = ["a", "blockquote", "code", "em", "li", "ol", "pre", "span", "strong", "ul"];

/** What came of a text. */
interface Made {
  /** All of it. */
  text: string;
  /** What one sees, with what has a meaning in brackets. */
  seen: string;
  tags: string[];
  depth: number;
}

/** Makes prose of texts, with the page's own code. */
async function make({ page }: Visitor, texts: string[]): Promise<Made[]> {
  return await page.evaluate(async (texts) => {
    const { prose } = await import(`${location.origin}/web/prose.js`);
    const see = (node: Node): string => {
      if (!(node instanceof Element)) return node.textContent!;
      if (node.matches(".mark")) return "";
      const inside = [...node.childNodes].map(see).join("");
      const name = node.localName;
      return name === "a" ? `<${node.textContent}>` : `${name}[${inside}]`;
    };
    const depthOf = (node: Node): number => 1 + Math.max(0, ...Array.from(node.childNodes, depthOf));
    return texts.map((text) => {
      const body = document.createElement("div");
      body.append(prose(text));
      const tags = [...new Set([...body.querySelectorAll("*")].map(({ localName }) => localName))];
      return {
        text: body.textContent!,
        seen: [...body.childNodes].map(see).join(""),
        tags,
        depth: depthOf(body),
      };
    });
  }, texts);
}

webTest(
  "Code, emphasis, lists and quotes are shown as what they mean; what is not closed, or only looks so, as it is",
  async () => {
    const cases: [text: string, seen: string][] = [
      ["a *b* **c** ***d*** _e_", "a em[b] strong[c] strong[em[d]] em[e]"],
      ["**a *b* _c_**", "strong[a em[b] em[c]]"],
      ["*a **b* c**", "em[a **b] c**"],
      ["これは**重要**です", "これはstrong[重要]です"],
      ["(*a*), “_b_”!", "(em[a]), “em[b]”!"],
      ["`a *b*` ``c`d`` `e", "code[a *b*] code[c`d] `e"],
      ["snake_case_name 2*3*4 5 * 6 * 7 __init__ *a _b", "snake_case_name 2*3*4 5 * 6 * 7 __init__ *a _b"],
      [":-) :* (*_*) *-* ^_^ >:( >_< *.js, src/* */5 * * *", ":-) :* (*_*) *-* ^_^ >:( >_< *.js, src/* */5 * * *"],
      [
        "https://a.example/x_y_z*w* and *https://b.example*",
        "<https://a.example/x_y_z*w> and em[<https://b.example>]"
          .replace("w>", "w>*"),
      ],
      ["```js\nlet a = *1*;\n\n> b\n```\nc", "pre[code[let a = *1*;\n\n> b\n]]c"],
      ["```\nnot closed\n*a*", "```\nnot closed\nem[a]"],
      ["> a *b*\n> > c\nd", "blockquote[a em[b]\nblockquote[c\n]]d"],
      ["> ```\n> x\n> ```", "blockquote[pre[code[x\n]]]"],
      ["- a\n- *b*\n  c\n  - d\n\n1. e\n2) f\ng", "ul[li[a\n]li[em[b]\nc\nul[li[d\n]]]]\nol[li[e\n]li[f\n]]g"],
      ["- a\nb\n- c", "ul[li[a\n]]b\nul[li[c]]"],
      ["# a\n| b | c |\n---\n![d](e) [f](g) <b>h</b> ~~i~~", "# a\n| b | c |\n---\n![d](e) [f](g) <b>h</b> ~~i~~"],
      ["-a -- b\n-\n>c\n2026.", "-a -- b\n-\n>c\n2026."],
      ["a\n\n\n\n\n\nb", "a\n\n\nb"],
      ["> a\n>\n>\n>\n>\n> b", "blockquote[a\n\n\nb]"],
    ];
    await using reader = await visit(site, { name: "Ada" });
    const made = await make(reader, cases.map(([text]) => text));
    assertEquals(made.map(({ seen }) => seen), cases.map(([, seen]) => seen));
    assertEquals(made.map(({ text }) => text), cases.map(([text]) => text));
  },
);

webTest(
  "Whatever is written, not a character of it is lost or moved, and it becomes nothing but a few elements",
  async () => {
    await using reader = await visit(site, { name: "Ada" });
    const piece = fc.constantFrom(
      ..."*_`>-+.[]()<&1a é日ا\n\u202E\u200B".split(""),
      ...["```", "\n```\n", "\n> ", "\n- ", "\n1. ", "**", "https://a.example/", "🙂", "\n\n\n\n", "<b>", "  "],
    );
    const texts = fc.sample(fc.array(piece, { maxLength: 60 }).map((pieces) => pieces.join("")), 3_000);
    const made = await make(reader, texts);
    assertEquals(made.map(({ text }) => text), texts);
    assertEquals([...new Set(made.flatMap(({ tags }) => tags))].filter((tag) => !ALLOWED.includes(tag)), []);
    assertLess(Math.max(...made.map(({ depth }) => depth)), 20);
  },
);

webTest(
  "Ten thousand characters of marks come out whole, and nest no deeper than others",
  async () => {
    await using reader = await visit(site, { name: "Ada" });
    const marks = [
      "*",
      "_",
      "`",
      ">",
      "> ",
      "[",
      "*a ",
      "_a ",
      "*a *",
      "**a ",
      "a* ",
      "*a _b ",
      "`\n",
      "```\n",
      "- ",
      "- a\n",
      "\n- ",
      "  - a\n",
      "> - ",
      "(",
      ")",
      "https://",
      "https://a.b/",
      "\n",
      "*-",
      " *a*",
      "`a`` ",
      "```\n```\n",
      "1. ",
      "\u200B",
    ];
    const texts = marks.map((mark) => mark.repeat(10_000 / mark.length));
    texts.push("https://a.b/" + ")".repeat(9_900), "https://a.b/" + "(".repeat(4_900) + ")".repeat(4_900));
    texts.push(Array.from({ length: 140 }, (_, i) => "`".repeat(i + 1)).join(" "));
    texts.push(Array.from({ length: 140 }, (_, i) => "`".repeat(i + 3)).join("\n"));
    const made = await make(reader, texts);
    assertEquals(made.map(({ text }) => text), texts);
    for (const [i, { depth }] of made.entries()) assertLess(depth, 20, texts[i]!.slice(0, 20));
  },
);

webTest("What a message costs grows with its length alone: no part of it is read again and again", async () => {
  const texts = ["*-" + "!*".repeat(4_999), "_-" + "._".repeat(4_999), "*a *".repeat(2_500), "`a`` ".repeat(2_000)];
  texts.push("https://a)".repeat(1_000));
  await using reader = await visit(site, { name: "Ada" });
  const { page } = reader;
  await page.evaluate(() => {
    const { exec } = RegExp.prototype;
    const counter = { read: 0 };
    Object.assign(globalThis, { counter });
    // All that looks at a text with a pattern comes through here.
    RegExp.prototype.exec = function (text) {
      const from = this.global ? this.lastIndex : 0;
      const found = exec.call(this, text);
      counter.read += (found ? found.index + found[0].length : `${text}`.length) - from;
      return found;
    };
  });
  const read = () => page.evaluate(() => (globalThis as unknown as { counter: { read: number } }).counter.read);
  for (const text of texts) {
    const before = await read();
    await make(reader, [text]);
    assertLess(await read() - before, 50 * text.length, text.slice(0, 20));
  }
});

webTest("A message is copied as it was written", async () => {
  const body = "**a** `b`\n> c\n- d\n- e\n```\nf\n```\nhttps://example.org";
  await post(site, "copied", { body });
  await using reader = await visit(site, { room: "copied", name: "Ada" });
  await reader.sees(body);
  await reader.page.focus("#scroller"); // as a mouse that selects would have it
  await reader.page.evaluate(() => getSelection()!.selectAllChildren(document.querySelector(".body")!));
  await reader.page.keyboard.press("Control+C");
  await reader.page.focus("#text");
  await reader.page.keyboard.press("Control+V");
  assertEquals(await reader.page.inputValue("#text"), body);
});

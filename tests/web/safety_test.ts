// What people write stays text; the page asks nobody but its server, and is small.
import { assertEquals, assertGreater, assertLess, assertLessOrEqual } from "@std/assert";
import { testSite, visit, webTest } from "../support/browser.ts";
import { post } from "../support/client.ts";

const site = await testSite();

/** The most that a browser may have to fetch before it shows a room, in bytes as they are sent, and in files. */
const MAX_WEIGHT = 60_000;
const MAX_FILES = 14;

webTest("Nothing that is written becomes anything but text", async () => {
  const attacks = [
    `<img src=x onerror="globalThis.caught = 1">`,
    `<script>globalThis.caught = 1</script>`,
    `<a href="javascript:globalThis.caught = 1">click</a>`,
    `"><svg onload=globalThis.caught=1>`,
    `javascript:globalThis.caught=1`,
    `data:text/html,<script>globalThis.caught=1</script>`,
    `&lt;b&gt; &amp; {{7*7}} \${7*7}`,
    `\u202Egnp.exe and \u2066more`,
  ];
  for (const attack of attacks) await post(site, "attack", { body: attack, author: attack });
  const name = `"><img src=x onerror=globalThis.caught=1>`;
  await using reader = await visit(site, { room: "attack", name: `\u202E${name}` });
  await reader.say(attacks[0]!);
  await reader.settles();
  await reader.sees(...attacks, attacks[0]!);
  assertEquals(await reader.page.$$eval("#log .author", (all) => all.map(({ textContent }) => textContent)), [
    ...attacks.slice(0, -1),
    "gnp.exe and more", // as it is read, and not as it would look if the name were turned around
    name,
  ]);
  const you = await reader.page.$eval("#you bdi", (you) => [you.textContent, you.getAttribute("title")]);
  assertEquals(you, [name, name]);
  await reader.page.goto(`${site.url}/#<img src=x onerror=globalThis.caught=1>`);
  await reader.until(() => document.querySelector("h1")!.textContent === "lobby", 0);
  assertEquals(await reader.page.evaluate(() => (globalThis as unknown as { caught?: number }).caught), undefined);
  assertEquals(await reader.page.$$eval("#scroller :is(a, b, img, script, iframe)", (all) => all.length), 0);
});

/** @param path Where on example.com. */
function example(path: string): string {
  return `https://example.com/${path}`;
}

webTest("Web addresses become links, and nothing else does", async () => {
  const cases: [body: string, ...links: string[]][] = [
    ["See https://example.org/a?b=c#d.", "https://example.org/a?b=c#d"],
    ["(https://example.org/x)", "https://example.org/x"],
    ["https://en.wikipedia.org/wiki/Linger_(song), yes", "https://en.wikipedia.org/wiki/Linger_(song)"],
    [`https://example.org/"onmouseover="globalThis.caught=1`, "https://example.org/"],
    ["HTTP://EXAMPLE.ORG and http://[::1]:8080/x", "http://example.org/", "http://[::1]:8080/x"],
    ["https://example.org/wörter/日本", "https://example.org/w%C3%B6rter/%E6%97%A5%E6%9C%AC"],
    ["javascript:alert(1) data:text/html,x file:///etc/passwd ftp://example.org mailto:a@example.org"],
    ["https:// http:///// xhttps://example.org www.example.org"],
    ["javascript://https://example.org/%0aalert(1)", "https://example.org/%0aalert(1)"],
    ["“https://example.com/a” «https://example.com/b» 「https://example.com/c」", ...["a", "b", "c"].map(example)],
    [
      "（https://example.com/a） 谢https://example.com/b。谢谢 https://example.com/c，然后",
      ...["a", "b", "c"].map(example),
    ],
    ["https://example.com/a، https://example.com/b؟ https://example.com/c।", ...["a", "b", "c"].map(example)],
    [
      "https://example.com/a\u200Bb https://example.com/b\u2060 https://example.com/c\u202Ed",
      ...["a", "b", "c"].map(example),
    ],
    [
      "(https://example.com/A_(b_(c)), https://example.com/[d]) [https://example.com/e]",
      ...["A_(b_(c))", "[d]", "e"].map(example),
    ],
    // Also a sentence without blanks, and what is a link in Markdown.
    [
      "(https://example.com/a)は[t](https://example.com/b)说明 ＜https://example.com/c＞ https://example.com/d｜说明",
      ...["a", "b", "c", "d"].map(example),
    ],
    [
      "https://example.com/a〜 https://example.com/b～ {https://example.com/{c}}d",
      ...["a", "b", "%7Bc%7D"].map(example),
    ],
    [
      "[https://example.com](https://example.com) [https://example.com/a](https://example.com/b)[c]",
      ...["", "", "a", "b"].map(example),
    ],
  ];
  for (const [body] of cases) await post(site, "links", { body });
  await using reader = await visit(site, { room: "links", name: "Ada" });
  await reader.sees(...cases.map(([body]) => body));
  const links = await reader.page.$$eval(
    ".body",
    (all) => all.map((body) => [...body.querySelectorAll("a")].map(({ href, rel, target }) => ({ href, rel, target }))),
  );
  assertEquals(
    links,
    cases.map(([, ...hrefs]) => hrefs.map((href) => ({ href, rel: "noopener noreferrer", target: "_blank" }))),
  );
});

webTest(
  "A link never seems to lead elsewhere: nothing turns it around, and where its text names another host, it says which",
  async () => {
    const cases: [body: string, host: string | undefined][] = [
      ["\u202Ehttps://evil.example/moc.knab-ym//:sptth", undefined],
      ["https://my-bank.com@evil.example/x", "evil.example"],
      ["https://my-bank.com%2Eevil.example/", "my-bank.com.evil.example"],
      ["https://аррӏе.com/", "xn--80ak6aa92e.com"],
      ["http://0x7f.1/", "127.0.0.1"],
      ["https://EXAMPLE.org:443/x https://my-bank.com\\@evil.example/", undefined],
      ["https://bücher.example/", undefined],
      ["https://bu\u0308cher.example:8080/", undefined],
      ["https://пример.рф/ノ", undefined],
      ["https://ノート.example/", undefined],
      ["https://日本ノート.example/", undefined],
      ["https://한국.example/", undefined],
      ["https://сбербанк.рф/", undefined],
      ["https://भारत.example/", undefined],
      ["https://ПРИМЕР.РФ/", undefined],
      // However long it is.
      [`https://my-bank.com:${"a".repeat(3_000)}@evil.example/`, "evil.example"],
    ];
    // What looks like the end of the host's name, and is none.
    const ends = [..."\u2044\u2215\u29F8\u0338ǃ丿ノ"].map((end) => `https://my-bank.com${end}login.evil.example/`);
    const others = [..."\u2044ノ丿"].map((end) => `https://пример.рф${end}вход.evil.example/`);
    // Cyrillic and Greek capitals.
    const capitals = ["ВВС", "НР", "ЕВАУ", "ΕΒΑΥ", "ΜΑΧ"].map((name) => `https://${name}.com/`);
    for (const address of [...ends, ...others, ...capitals]) {
      cases.push([address, new URL(address).host]);
    }
    for (const [body] of cases) await post(site, "elsewhere", { body });
    await using reader = await visit(site, { room: "elsewhere", name: "Ada" });
    await reader.sees(...cases.map(([body]) => body));
    const links = await reader.page.$$eval(".body", (all) =>
      all.map((body) => {
        const link = body.querySelector("a")!;
        return {
          host: link.dataset.host,
          shown: getComputedStyle(link, "::before").content,
          isolated: getComputedStyle(link),
        };
      }).map(({ host, shown, isolated }) => [host, shown, isolated.unicodeBidi, isolated.direction]));
    assertEquals(
      links,
      cases.map(([, host]) => [host, host ? `"(→ ${host}) "` : "none", "isolate", "ltr"]),
    );
  },
  { notInFirefox: "Firefox does not tell what attr() has become" },
);

webTest("What stands in a link behind its host is seen behind it, also where that is read from the right", async () => {
  const host = "דוגמה.קום";
  const other = "בנק.קום";
  const mirrored = (text: string) => [...text].reverse().join("");
  const cases: [body: string, seen: string][] = [
    [`https://${host}/192.168.1.1/login`, `https://${mirrored(host)}/192.168.1.1/login`],
    [`https://${host}:8080/x`, `https://${mirrored(host)}:8080/x`],
    [`https://${host}?${other}`, `https://${mirrored(host)}?${mirrored(other)}`],
    [`https://${host}/${other}/login`, `https://${mirrored(host)}/${mirrored(other)}/login`],
  ];
  for (const [body] of cases) await post(site, "mirrored", { body });
  await using reader = await visit(site, { room: "mirrored", name: "Ada" });
  await reader.sees(...cases.map(([body]) => body));
  const seen = await reader.page.$$eval(".body a", (links) =>
    links.map((link) => {
      const letters: [letter: string, left: number][] = [];
      const range = document.createRange();
      const walk = document.createTreeWalker(link, NodeFilter.SHOW_TEXT);
      for (let node; (node = walk.nextNode());) {
        for (const [i, letter] of [...node.textContent!].entries()) {
          range.setStart(node, i);
          range.setEnd(node, i + 1);
          letters.push([letter, range.getBoundingClientRect().left]);
        }
      }
      return letters.sort(([, a], [, b]) => a - b).map(([letter]) => letter).join("");
    }));
  assertEquals(seen, cases.map(([, seen]) => seen));
});

webTest("The page weighs little until it shows a room, is few files, and comes from its own server only", async () => {
  const context = await site.browser.newContext();
  const page = await context.newPage();
  const asked = new Map<string, Promise<number>>();
  page.on("requestfinished", (request) => {
    asked.set(request.url(), request.sizes().then(({ responseBodySize }) => responseBodySize));
  });
  await post(site, "lobby", { body: "Here" });
  await page.goto(site.url);
  await page.waitForSelector("#log .body");
  const files = [...asked.keys()].filter((url) => !/messages|rooms$/.test(url));
  assertEquals(files.filter((url) => new URL(url).origin !== site.url), []);
  let weight = 0;
  for (const file of files) weight += await asked.get(file)!;
  await context.close();
  console.log(`${files.length} files, ${weight} bytes`);
  assertGreater(weight, 10_000);
  assertLess(weight, MAX_WEIGHT);
  assertLessOrEqual(files.length, MAX_FILES);
});

webTest("A visit leaves nothing in the console: no error, no warning, nothing that the policy stopped", async () => {
  await using ada = await visit(site, { room: "quiet" });
  await ada.page.fill("#name", "Ada");
  await ada.page.press("#name", "Enter");
  await ada.say("https://example.org 🙂 שלום");
  await ada.settles();
  await ada.page.fill("#text", "two\nlines");
  await ada.page.reload();
  await ada.is("live");
}); // complaints fail every visit; this one is nothing but that

webTest("The policy holds: no markup from strings, no foreign host", async () => {
  await using ada = await visit(site, { name: "Ada" });
  const stopped = await ada.page.evaluate(async () => {
    const image = await new Promise((resolve) => {
      const image = new Image();
      image.onerror = () => resolve("stopped");
      image.onload = () => resolve("let through");
      image.src = "https://example.org/x.png";
    });
    let markup = "let through";
    try {
      document.createElement("p").innerHTML = "<b>x</b>";
    } catch {
      markup = "stopped";
    }
    const request = await fetch("https://example.org/").then(() => "let through", () => "stopped");
    return [image, markup, request];
  });
  assertEquals(stopped, ["stopped", "stopped", "stopped"]);
  ada.complaints.splice(0);
}, { notInFirefox: "Firefox says in the console what the policy stopped, as it should" });

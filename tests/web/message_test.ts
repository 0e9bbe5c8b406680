// How a message looks, whatever stands in it: it keeps to its place, and who wrote it can be seen.
/// <reference lib="dom" />
import { assert, assertEquals, assertLess, assertLessOrEqual } from "@std/assert";
import { part } from "../../src/web/length.js";
import { testSite, visit, webTest } from "../support/browser.ts";
import { post } from "../support/client.ts";
import { spawnServer } from "../support/server.ts";
import { bearer, SECRET, tokenOf } from "../support/tokens.ts";

const site = await testSite();

webTest("The time of a message that goes on under a name is beside its words, not over them", async () => {
  await using server = await spawnServer(site.database.url, {
    TOKEN_SECRET: SECRET,
    ANONYMOUS_READ: "*",
    ANONYMOUS_WRITE: "*",
  });
  const ada = await tokenOf({ sub: "a", name: "Ada", read: ["*"], write: ["*"] });
  for (const author of ["Noor", "N\u043Eor"]) { // who only looks like the other
    for (const body of ["One", "Two"]) await post(server, "beside", { body, author });
  }
  for (const body of ["One", "Two"]) await post(server, "beside", { body }, bearer(ada));
  await using reader = await visit({ browser: site.browser, url: server.url }, { room: `token=${ada}`, live: false });
  const { page } = reader;
  await page.evaluate(() => location.hash = "beside");
  await reader.sees("One", "Two", "One", "Two", "One", "Two");
  const marks = await page.$$eval(
    ".continued > header",
    (all) => all.map((header) => [".claim", ".doubt", ".verified"].map((mark) => header.querySelector(mark) !== null)),
  );
  assertEquals(marks, [[true, false, false], [true, true, false], [false, false, true]]);
  for (const row of await page.$$(".continued")) {
    await row.hover();
    const [seen, words] = await row.evaluate((row) => {
      const seen = [...row.querySelectorAll("header > *")]
        .filter((part) => getComputedStyle(part).clipPath === "none")
        .map((part) => [part.localName, part.getBoundingClientRect().right] as const);
      const range = document.createRange();
      range.selectNodeContents(row.querySelector(".body")!);
      return [seen, range.getBoundingClientRect().left];
    });
    assertEquals(seen.map(([name]) => name), ["time"]);
    assertLessOrEqual(seen[0]![1], words);
  }
});

webTest(
  "A long message shows its beginning; the rest unfolds below, and what one reads stays where it is",
  async () => {
    await post(site, "long", { body: "Before" });
    await post(site, "long", { body: Array.from({ length: 300 }, (_, i) => `Line ${i}`).join("\n") });
    await post(site, "long", { body: "After" });
    await using reader = await visit(site, { room: "long", name: "Ada" });
    const { page } = reader;
    await page.waitForSelector(".body >> text=After");
    const heights = () => page.$$eval(".body", (all) => all.map((body) => body.getBoundingClientRect().height));
    const [line, first] = await heights();
    assertLess(first!, line! * 21);
    const top = () => page.$eval(".unfold", (more) => more.parentElement!.getBoundingClientRect().top);
    await page.locator(".unfold").first().scrollIntoViewIfNeeded();
    const before = await top();
    assertEquals(await page.textContent(".unfold"), "Show more");
    await page.click(".unfold");
    await reader.until(
      (height) => document.querySelectorAll(".body")[1]!.getBoundingClientRect().height > height,
      first! * 10,
    );
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
    assertEquals(await top(), before);
  },
);

webTest("What is written in letters that are two wide folds at as many lines as what is not", async () => {
  const long = ["漢", "か", "한", "Ａ", "𠀀"].map((letter) => letter.repeat(1_000));
  const short = ["漢", "か", "한", "Ａ", "𠀀", "aa"].map((letter) => letter.repeat(900));
  for (const body of [...long, ...short]) await post(site, "two-wide", { body });
  await using reader = await visit(site, { room: "two-wide", name: "Ada" });
  await reader.sees(...long, ...short);
  const folded = await reader.page.$$eval(".body", (all) => all.map((body) => body.classList.contains("folded")));
  assertEquals(folded, [...long.map(() => true), ...short.map(() => false)]);
});

webTest("A message of which nothing would be cut off is not folded, however many empty lines it has", async () => {
  const lines = ["One", "Two", "Three", "Four", "Five"];
  const bodies = [
    lines.join("\n".repeat(7)),
    lines.map((line) => `> ${line}`).join("\n>".repeat(6) + "\n"),
    `a${"\n".repeat(9_990)}b`,
    `\`\`\`\n${lines.join("\n".repeat(7))}\n\`\`\``, // which is code: all of it is seen
  ];
  for (const body of bodies) await post(site, "airy", { body });
  await using reader = await visit(site, { room: "airy", name: "Ada" });
  await reader.sees(...bodies);
  assertEquals(
    await reader.page.$$eval(".body", (all) => all.map((body) => body.classList.contains("folded"))),
    [false, false, false, true],
  );
  assertEquals(await reader.page.locator(".unfold").count(), 1);
  const [airy, , flood] = await reader.page.$$eval(".body", (all) => all.map((body) => body.clientHeight));
  assertLess(flood!, airy! / 2); // empty lines in a row are few
});

webTest(
  "A long message that is seen whole, since the window is wide, fades nowhere and has nothing more to show",
  async () => {
    const room = "wide";
    const lines = 20; // as many as are ever seen of one that is folded
    const line85 = "It still fits in a little line. ".repeat(3).slice(0, 85);
    const body = Array(lines).fill(line85).join("\n");
    const key = "a key that nobody can guess";
    const { id } = await (await post(site, room, { body }, { "message-key": key })).json();
    const wide = { width: 1600, height: 700 };
    await using reader = await visit(site, { room, name: "Ada", viewport: wide });
    const { page } = reader;
    await page.waitForSelector("#log .body");
    const { x, y, width, height } = (await page.locator("#log .body").boundingBox())!;
    const line = async (which: number) =>
      await page.screenshot({ clip: { x, y: y + which * height / lines, width, height: height / lines } });
    assertEquals(await line(lines - 1), await line(0));
    assertEquals(await page.isVisible("#log .unfold"), false);
    // Nor has it less to show to whoever looks for it.
    await page.evaluate((hash) => location.hash = hash, `${room}/${id}`);
    await page.waitForSelector(".found");
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
    assertEquals(await page.isVisible("#log .unfold"), false);
    // Where the window is narrow it is long.
    await page.setViewportSize({ width: 390, height: 700 });
    await page.waitForSelector("#log .unfold");
    await page.click("#log .unfold");
    await page.waitForSelector("#log .unfold >> text=Show less");
    // Once it was unfolded, a wide window has nothing less to show either, nor when it is edited there.
    const hidden = () =>
      reader.until(() => getComputedStyle(document.querySelector(".unfold")!).visibility === "hidden", 0);
    await page.setViewportSize(wide);
    await hidden();
    const edit = await fetch(`${site.url}/rooms/${room}/messages/${id}`, {
      method: "PATCH",
      headers: { "message-key": key, "content-type": "application/json" },
      body: JSON.stringify({ body: ["Anew", ...Array(lines - 2).fill(line85)].join("\n") }),
    });
    assertEquals((await edit.json()).id, id);
    await page.waitForSelector("#log .body >> text=Anew");
    assertEquals(await page.textContent("#log .unfold"), "Show less");
    await hidden();
    await page.setViewportSize({ width: 390, height: 700 });
    await page.waitForSelector("#log .unfold >> text=Show less");
  },
);

webTest("On paper stands the conversation, with all of each message, and nothing to press or to write in", async () => {
  const body = Array.from({ length: 100 }, (_, i) => `Line ${i}`).join("\n");
  // More than one chunk, of which the first is far from the screen.
  for (let i = 0; i < 60; i++) await post(site, "paper", { body: i % 30 ? `Message ${i}` : body, author: "Noor" });
  for (const viewport of [{ width: 1000, height: 700 }, { width: 600, height: 700 }]) {
    await using reader = await visit(site, { room: "paper", name: "Ada", colorScheme: "dark", viewport });
    const { page } = reader;
    await page.waitForSelector(".body.folded", { state: "attached" });
    await page.hover("#log article:last-child");
    await page.waitForSelector("#actions");
    await page.evaluate(() => document.getElementById("since")!.hidden = false);
    await page.emulateMedia({ media: "print" });
    assertEquals(
      await page.$$eval(
        "button, input, textarea, #sidebar, #foot, #actions, #since, #connection",
        (all) => all.filter((one) => one.checkVisibility()).map((one) => one.id || one.className),
      ),
      [],
    );
    const { around, cut, reached, log, ink } = await page.evaluate(() => {
      const log = document.getElementById("log")!;
      const around = [];
      for (let node = log.parentElement; node; node = node.parentElement) {
        around.push([node.localName, getComputedStyle(node).overflow, node.clientHeight >= log.clientHeight]);
      }
      const bodies = [...document.querySelectorAll(".body")];
      return {
        around,
        cut: bodies.filter((body) => body.clientHeight < body.scrollHeight - 1).length,
        reached: document.documentElement.scrollHeight,
        log: log.getBoundingClientRect().height,
        ink: getComputedStyle(bodies[0]!).color,
      };
    });
    assertEquals(
      around.map(([name, overflow, holds]) => [name, overflow, name === "html" || holds]),
      ["div", "main", "body", "html"].map((name) => [name, "visible", true]),
    );
    assertEquals(cut, 0);
    assertLessOrEqual(log, reached);
    assertEquals(ink, "rgb(44, 37, 33)"); // which can be read on white
  }
});

webTest("Whoever folds a long message again is where he was; and an edit folds nothing", async () => {
  const room = "folded";
  const key = "a key that nobody can guess";
  const lines = Array.from({ length: 300 }, (_, i) => `Line ${i}`).join("\n");
  for (let i = 0; i < 30; i++) await post(site, room, { body: `Before ${i}` });
  const long = await (await post(site, room, { body: lines }, { "message-key": key })).json();
  for (let i = 0; i < 60; i++) await post(site, room, { body: `After ${i}` });
  await using reader = await visit(site, { room, name: "Ada" });
  const { page } = reader;
  await page.waitForSelector(".unfold");
  await page.$eval(".unfold", (more) => more.scrollIntoView({ block: "center" }));
  await page.click(".unfold");
  const atButton = async () => {
    // After whatever holds what one reads in its place.
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
    return await page.$eval(".unfold", (more) => [more.textContent, Math.round(more.getBoundingClientRect().top)]);
  };
  const edit = await fetch(`${site.url}/rooms/${room}/messages/${long.id}`, {
    method: "PATCH",
    headers: { "message-key": key, "content-type": "application/json" },
    body: JSON.stringify({ body: `${lines}\nThe end` }),
  });
  assertEquals([edit.status, (await edit.json()).id], [200, long.id]);
  await page.waitForSelector(".body:not(.folded) >> text=The end");

  await page.$eval(".unfold", (more) => more.scrollIntoView({ block: "center" }));
  const [said, top] = await atButton();
  assertEquals(said, "Show less");
  await page.click(".unfold");
  assertEquals(await atButton(), ["Show more", top]);
});

webTest(
  "Where somebody is led in a long message he sees it: to a link by keyboard, to the message by its address",
  async () => {
    const room = "led";
    const body = Array.from({ length: 60 }, (_, i) => `Line ${i}`).join("\n");
    for (let i = 0; i < 20; i++) await post(site, room, { body: `Before ${i}` });
    const { id } = await (await post(site, room, { body: `${body}\nhttps://example.org/`, author: "Noor" })).json();
    for (let i = 0; i < 20; i++) await post(site, room, { body: `After ${i}` });
    await using reader = await visit(site, { room, name: "Ada" });
    const { page } = reader;
    await page.waitForSelector(".body.folded");
    const isSeen = () =>
      page.$eval("#log .body a", (link) => {
        const { top, bottom } = link.getBoundingClientRect();
        return document.elementFromPoint(link.getBoundingClientRect().left + 1, (top + bottom) / 2) === link;
      });
    assertEquals(await isSeen(), false);
    await page.focus("#log .body a");
    await page.waitForSelector(".body:not(.folded) a");
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
    assertEquals([await isSeen(), await page.textContent(".unfold")], [true, "Show less"]);

    await page.click(".unfold");
    await page.waitForSelector(".body.folded");
    await page.evaluate((hash) => location.hash = hash, `${room}/${id}`);
    await page.waitForSelector(".found .body:not(.folded)");
    const top = await page.$eval(".found", (row) => row.getBoundingClientRect().top);
    assert(top > 0 && top < 700, `${top}`);
  },
);

webTest("What reaches out of a message by marks upon marks is clipped", async () => {
  await post(site, "marks", { body: `Zoo${"\u0310\u0323".repeat(60)}`, author: `Z${"\u0310\u0323".repeat(20)}` });
  await using reader = await visit(site, { room: "marks", name: "Ada" });
  await reader.page.waitForSelector(".body");
  await reader.page.click("#find");
  await reader.page.fill("#search input", "Zoo");
  await reader.page.waitForSelector("#search a");
  const clipped = await reader.page.$$eval(
    "#banner p, .message :is(.avatar, .author, .body), #search a",
    (all) => all.map((one) => getComputedStyle(one).overflow),
  );
  assertEquals(clipped, ["clip", "clip", "hidden", "clip", "clip"]);
});

webTest("Names that look alike are told apart, and who looks like you is the other", async () => {
  const names = ["Noor", "Ada", "noor", "Noor ", "N\u200Boor", "Nооr", "Aԁа", "Bоb", "Боб", "李", "\u200B\u2060"];
  names.push("No\u{1d159}or", "ВОВ", "ANNA", "ΑΝΝΑ", "αννα", "Вова", "вова", "\u202E"); // but for the first of them and Anna no letter is Latin
  for (const author of names) await post(site, "alike", { body: author, author });
  await using reader = await visit(site, { room: "alike", name: "Ada" });
  await reader.page.waitForSelector(".message >> nth=18");
  const rows = await reader.page.$$eval(".message", (all) =>
    all.map((row) => [
      row.querySelector(".author")!.textContent,
      row.querySelector(".doubt")?.getAttribute("title") ?? "",
    ]));
  const like = (name: string) => `Not the “${name}” that was here before: the names only look alike`;
  assertEquals(rows.map(([, doubt]) => doubt), [
    "",
    "",
    like("Noor"),
    like("Noor"),
    like("Noor"),
    like("Noor"),
    like("Ada"),
    "This name mixes letters of several alphabets",
    "",
    "",
    "",
    like("Noor"),
    like("Bоb"),
    "",
    like("ANNA"),
    like("ΑΝΝΑ"),
    "",
    like("Вова"),
    like("A name that nobody can see"),
  ]);
  assertEquals(rows[10]![0], "A name that nobody can see");
  assertEquals(await reader.page.locator(".avatar").nth(11).textContent(), "?");
});

Deno.test("A character that is longer than what is shown of a text is cut, and any other is whole or not there", () => {
  const marked = `Z${"\u0301".repeat(300)}`;
  assertEquals(part(marked, 0, 200), marked.slice(0, 200));
  assertEquals(part(`A ${marked}`, 0, 200), "A ");
  assertEquals(part(`A ${marked}`, 10, 200), `A ${marked}`.slice(2, 200));
});

webTest("The picture of a name has the first character of it that can be seen", async () => {
  const names = ["\u200BAda", "\u2065\u{e0080} noor", "\u0301Élise", "\u{1d159}李"];
  for (const author of names) await post(site, "initials", { body: "Here", author });
  await using reader = await visit(site, { room: "initials", name: "Eve" });
  await reader.page.waitForSelector(".message >> nth=3");
  assertEquals(await reader.page.$$eval("#log .avatar", (all) => all.map(({ textContent }) => textContent)), [
    "A",
    "N",
    "É",
    "李",
  ]);
});

webTest("A name that nobody can see is said to be one wherever it stands", async () => {
  const body = `A teapot ${"a".repeat(190)}🙂 and more`;
  const { id } = await (await post(site, "unseen", { body, author: "\u2060" })).json();
  await post(site, "unseen", { body: "Whose?", author: "Noor", reply_to: id });
  await using reader = await visit(site, { room: "unseen", name: "Ada" });
  const { page } = reader;
  await page.waitForSelector(".quoted .name");
  assertEquals(await page.textContent(".quoted .name + bdi"), `A teapot ${"a".repeat(190)}`); // and no half of an emoji
  await page.hover("#log .body >> text=A teapot");
  await page.waitForSelector("#actions");
  const name = "A name that nobody can see";
  assert((await page.getAttribute("#actions", "aria-label"))!.startsWith(`Message of ${name}, `));
  await page.click("#find");
  await page.fill("#search input", "teapot");
  await page.waitForSelector("#search li");
  assertEquals(
    await page.$$eval(".author, .quoted .name", (all) => all.map(({ textContent }) => textContent)),
    [name, name, "Noor", name],
  );
});

webTest(
  "Words that nobody can see are said to be that, a lone emoji is large, and a long name can be read whole",
  async () => {
    const author = "A name that is rather long for a name, but not for the server";
    const bodies = ["\u2800\u200B", "🙂", "👩‍👩‍👧‍👦 🇩🇪👍🏽", "🙂🙂🙂🙂", "1", "Ha 🙂"];
    for (const body of bodies) await post(site, "seen", { body, author });
    await using reader = await visit(site, { room: "seen", name: "Ada" });
    await reader.sees(...bodies);
    const shown = await reader.page.$$eval(
      ".body",
      (all) => all.map((body) => [getComputedStyle(body, "::before").content, body.classList.contains("large")]),
    );
    assertEquals(shown, [
      ['"Nothing visible"', false],
      ...[true, true, false, false, false].map((large) => ["none", large]),
    ]);
    assertEquals(await reader.page.getAttribute(".author", "title"), author);
    assertEquals(await reader.page.getAttribute("h1", "title"), "seen");
    assert(
      await reader.page.$eval(".large", (one) => parseFloat(getComputedStyle(one).fontSize) > 30),
    );
  },
  { notInFirefox: "Firefox does not tell what attr() has become" },
);

webTest("Each paragraph is written from the side that it is read from, with its number or bullet", async () => {
  const body = "שלום לכולם\nHello all\n> שלום\n- שלום\n365. Day";
  await post(site, "sides", { body });
  await using reader = await visit(site, { room: "sides", name: "Ada" });
  await reader.sees(body);
  const sides = await reader.page.evaluate(() => {
    const body = document.querySelector(".body")!;
    const middle = body.getBoundingClientRect().left + body.getBoundingClientRect().width / 2;
    const walk = document.createTreeWalker(body, NodeFilter.SHOW_TEXT);
    const sides: string[] = [];
    for (let node; (node = walk.nextNode());) {
      if (node.parentElement!.matches(".mark")) continue;
      const range = document.createRange();
      for (const { index, 0: line } of node.textContent!.matchAll(/.+/g)) {
        range.setStart(node, index);
        range.setEnd(node, index + line.length);
        sides.push(range.getBoundingClientRect().left > middle ? "right" : "left");
      }
    }
    return sides;
  });
  assertEquals(sides, ["right", "left", "right", "right", "left"]);
  const lacks = await reader.page.$$eval(".body li", (items) =>
    items.map((item, i) => {
      const body = item.closest(".body")!.getBoundingClientRect();
      const { left, right } = item.getBoundingClientRect();
      const marker = document.createElement("pre");
      marker.style.cssText = "font: inherit; white-space: pre; position: absolute; padding: 0; border: 0";
      marker.textContent = ["• ", "365. "][i]!;
      item.append(marker);
      return marker.getBoundingClientRect().width - (i === 0 ? body.right - right : left - body.left);
    }));
  for (const lack of lacks) assertLessOrEqual(lack, 0);
});

webTest("Code in a sentence that is read from the right is read from the left, as it was typed", async () => {
  const body = "הריצו `--help; a+(b)` עכשיו";
  await post(site, "code-sides", { body });
  await using reader = await visit(site, { room: "code-sides", name: "Ada" });
  await reader.sees(body);
  const [code, before, after] = await reader.page.$eval(".body code", (code) => {
    const text = [...code.childNodes].find((node) => node.nodeType === Node.TEXT_NODE)!;
    const range = document.createRange();
    const lefts = (node: Node) =>
      Array.from(node.textContent!, (_, i) => {
        range.setStart(node, i);
        range.setEnd(node, i + 1);
        return range.getBoundingClientRect().left;
      });
    return [lefts(text), lefts(code.previousSibling!)[0]!, lefts(code.nextSibling!).at(-1)!];
  });
  assertEquals(code, code.toSorted((a, b) => a - b));
  assert(before > code.at(-1)! && code[0]! > after); // and the sentence around it from the right
});

webTest("A message in which one's name stands is marked, for nobody else", async () => {
  await using ada = await visit(site, { room: "marked", name: "Ada" });
  await using noor = await visit(site, { room: "marked", name: "Noor" });
  await noor.say("Is ADA there?");
  await noor.say("Adamant, she is");
  await noor.settles();
  await ada.say("Ada is here");
  await ada.settles();
  const marked = ({ page }: typeof ada) =>
    page.$$eval(".mentions-me .body", (all) => all.map((one) => one.textContent));
  await ada.sees("Is ADA there?", "Adamant, she is", "Ada is here");
  await noor.sees("Is ADA there?", "Adamant, she is", "Ada is here");
  assertEquals([await marked(ada), await marked(noor)], [["Is ADA there?"], []]);
});

webTest("Somebody with any name sees what others write, and where their own name stands in it", async () => {
  const name = "Anne-Marie [\\^$.*+?(){}|/]";
  await post(site, "any-name", { body: `Is ${name} there?`, author: "Noor" });
  await using reader = await visit(site, { room: "any-name", name });
  await reader.sees(`Is ${name} there?`);
  assertEquals(await reader.page.locator(".mentions-me").count(), 1);
});

webTest("A message that the page's own code fails at is shown as plain text, among the others", async () => {
  for (const body of ["Before", "*Poison*"]) await post(site, "plainly", { body, author: "N\u202Eoor" });
  await using reader = await visit(site, { room: "plainly", name: "Ada", live: false });
  const { page } = reader;
  await page.addInitScript(() => {
    const { normalize } = String.prototype;
    String.prototype.normalize = function (...form) {
      if (/poison/i.test(String(this))) throw new Error("poisoned");
      return normalize.apply(this, form as ["NFC"]);
    };
  });
  await page.reload();
  await reader.sees("Before", "*Poison*");
  for (const body of ["And more *poison*", "After"]) await post(site, "plainly", { body, author: "Noor" });
  await reader.sees("Before", "*Poison*", "And more *poison*", "After");
  assertEquals(
    await page.$$eval("#log .author", (all) => all.map(({ textContent }) => textContent)),
    Array(4).fill("Noor"),
  );
  await reader.is("live");
  assert(reader.complaints.length > 0);
  reader.complaints.length = 0;
});

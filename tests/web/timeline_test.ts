// Reading back: what you read stays where it is, whatever comes above or below.
import { assert, assertEquals, assertLess, assertLessOrEqual, assertNotEquals } from "@std/assert";
import type { CDPSession, Page } from "playwright-core";
import { testSite, visit, type Visitor, webTest } from "../support/browser.ts";
import { post, posted } from "../support/client.ts";
import { runCommand } from "../support/command.ts";
import { type Line, sinceNoonYesterday, writeHistory } from "../support/history.ts";

const site = await testSite();

/** Lines of many heights, on some days. */
function lines(count: number): Line[] {
  return Array.from({ length: count }, (_, i) => [
    (count - i) * 11,
    ["Ada", "Ada", "Noor"][i % 3]!,
    `Message ${i + 1}${" and more of it".repeat(i * i % 37)}${"\nline".repeat(i % 5)}`,
  ]);
}

/** Where some message on the screen is, in pixels from the top. */
function place(visitor: Visitor, body?: string): Promise<{ body: string; top: number }> {
  return visitor.page.evaluate((body) => {
    const top = document.getElementById("scroller")!.getBoundingClientRect().top;
    const all = [...document.querySelectorAll(".body")];
    const found = body === undefined
      ? all.find((one) => one.getBoundingClientRect().top >= top)
      : all.find((one) => one.textContent === body);
    return { body: found!.textContent!, top: found!.getBoundingClientRect().top };
  }, body);
}

/** Resolves when nothing scrolls any more: the browser takes some frames for a turn of the wheel. */
async function still(page: Page): Promise<void> {
  await page.evaluate(async () => {
    const scroller = document.getElementById("scroller")!;
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    for (let same = 0, top = -1; same < 5; top = scroller.scrollTop) {
      await frame();
      same = scroller.scrollTop === top ? same + 1 : 0;
    }
  });
}

webTest("Scrolling back through 600 messages loads them all, and what is on the screen never moves", async () => {
  await writeHistory(site.database.sql, "long", lines(600));
  await using reader = await visit(site, { room: "long", name: "Ada" });
  const { page } = reader;
  let loaded = Promise.withResolvers<void>();
  let asked = false;
  await page.route(/before=[0-9a-f]/, async (route) => {
    asked = true;
    await loaded.promise; // until the reader has scrolled, and looked where things are
    await route.continue();
  });
  await page.hover("#scroller");
  for (let count = await page.locator(".body").count(); count < 600;) {
    while (!asked) {
      await page.mouse.wheel(0, -900);
      await still(page);
    }
    const before = await place(reader);
    asked = false;
    loaded.resolve();
    await reader.until((count) => document.querySelectorAll(".body").length > count, count);
    loaded = Promise.withResolvers();
    const after = await place(reader, before.body);
    assertLessOrEqual(Math.abs(after.top - before.top), 1, `${before.body} moved when older messages came`);
    count = await page.locator(".body").count();
  }
  assertEquals(await page.$$eval(".body", (all) => all.map(({ textContent }) => textContent!.match(/\d+/)![0])), [
    ...Array.from({ length: 600 }, (_, i) => `${i + 1}`),
  ]);
  loaded.resolve();
  await reader.until(() => {
    document.getElementById("scroller")!.scrollTop = 0;
    return document.getElementById("beginning")!.textContent === "This is where it began";
  }, 0);
});

webTest("Who holds the scrollbar at the top gets 2,000 messages without letting go", async () => {
  await writeHistory(site.database.sql, "top", lines(2_000));
  await using reader = await visit(site, { room: "top", name: "Ada" });
  const count = () => reader.page.locator(".body").count();
  for (let held = await count(); held < 2_000; held = await count()) { // time for each page, not for all of them
    await reader.until((held) => {
      document.getElementById("scroller")!.scrollTop = 0;
      return document.querySelectorAll(".body").length > held;
    }, held);
  }
  assertEquals(await count(), 2_000);
});

webTest("Whoever reads back asks for the pages that others have asked for, whenever he came", async () => {
  await writeHistory(site.database.sql, "shared", lines(333));
  const asked: Set<string>[] = [];
  for (const late of [0, 7]) {
    for (let i = 0; i < late; i++) await posted(site, "shared", `Late ${i}`);
    await using reader = await visit(site, { room: "shared", name: "Ada" });
    await reader.until((count) => {
      document.getElementById("scroller")!.scrollTop = 0;
      return document.querySelectorAll(".body").length === count;
    }, 333 + late);
    // All since the page began: it may read back before a test can listen. What was asked for stands there some time after its answer.
    await reader.page.evaluate(async () => await (await fetch("healthz")).text());
    await reader.until(() => performance.getEntriesByType("resource").some(({ name }) => name.endsWith("/healthz")), 0);
    const urls = await reader.page.evaluate(() => performance.getEntriesByType("resource").map(({ name }) => name));
    asked.push(new Set(urls.filter((url) => url.includes("before=0"))));
  }
  const [first, second] = asked;
  assertEquals(second!.difference(first!).size, 1); // the first one, from where the newest began
  assert(first!.intersection(second!).size >= 4);
});

webTest("What is written by others does not move who reads back; a pill counts it, and leads there", async () => {
  await writeHistory(site.database.sql, "pill", lines(200));
  await using reader = await visit(site, { room: "pill", name: "Ada" });
  const { page } = reader;
  assertEquals(await page.isVisible("#pill"), false);
  await page.hover("#scroller");
  await page.mouse.wheel(0, -600);
  await page.waitForSelector("#pill");
  await still(page);
  const before = await place(reader);
  await post(site, "pill", { body: "One", author: "Noor" });
  await reader.until(() => document.getElementById("pill")!.textContent === "1 new message", 0);
  await post(site, "pill", { body: "Two", author: "Noor" });
  await reader.until(() => document.getElementById("pill")!.textContent === "2 new messages", 0);
  assertEquals(await place(reader, before.body), before);
  await reader.until(() => document.title === "(2) pill · Linger", 0);
  await page.click("#pill");
  await page.waitForSelector("#pill", { state: "hidden" });
  assert(await page.locator(".body", { hasText: /^Two$/ }).isVisible());
  await reader.until(() => document.title === "pill · Linger", 0);
  await post(site, "pill", { body: "Three", author: "Noor" });
  await page.waitForSelector("text=Three");
  assertEquals(await page.isVisible("#pill"), false);
});

webTest("Your own message brings you to the end", async () => {
  await writeHistory(site.database.sql, "own", lines(100));
  await using reader = await visit(site, { room: "own", name: "Ada" });
  await reader.page.hover("#scroller");
  await reader.page.mouse.wheel(0, -900);
  await reader.page.waitForSelector("#pill");
  await reader.say("Mine");
  await reader.settles();
  await reader.page.waitForSelector("#pill", { state: "hidden" });
});

webTest("A page that stays open lets go of old messages, and loads them again when somebody reads back", async () => {
  await using reader = await visit(site, { room: "busy", name: "Ada" });
  for (let i = 0; i < 900; i += 100) {
    await Promise.all(Array.from({ length: 100 }, (_, j) => posted(site, "busy", `Number ${i + j}`)));
  }
  await posted(site, "busy", "The last");
  await reader.page.waitForSelector("text=The last");
  const kept = (await reader.bodies()).length;
  assertLess(kept, 600);
  await reader.until(() => {
    document.getElementById("scroller")!.scrollTop = 0;
    return document.querySelectorAll(".body").length === 901;
  }, 0);
  assertEquals(new Set(await reader.bodies()).size, 901);
});

/** What a page holds when all is gone that nothing leads to any more. */
async function held(session: CDPSession): Promise<{ heap: number; nodes: number; listeners: number }> {
  await session.send("HeapProfiler.collectGarbage");
  const { metrics } = await session.send("Performance.getMetrics");
  const of = (name: string) => metrics.find((metric) => metric.name === name)!.value;
  return { heap: of("JSHeapUsedSize"), nodes: of("Nodes"), listeners: of("JSEventListeners") };
}

webTest("A page that stays open in a busy room holds no more by that, also while one reads back", async () => {
  const room = "for-days";
  const originals: Line[] = Array.from({ length: 600 }, (_, i) => [700 - i, "Ada", `${i} ${"and so on ".repeat(900)}`]);
  const { sql } = site.database;
  await writeHistory(sql, room, [...originals, ...lines(100)]);
  const far = await sql`select id from messages where room = ${room} order by id limit ${originals.length}`;
  await using there = await visit(site, { room, name: "Ada" });
  await using back = await visit(site, { room, name: "Noor" });
  await back.page.hover("#scroller");
  await back.page.mouse.wheel(0, -600);
  await back.page.waitForSelector("#pill");
  let count = 0;
  /** People talk: at length, in lists, in answer to what stands far above; and some think better of what they wrote. */
  const say = async () => {
    const i = count++;
    const author = i % 10 === 3 ? "Ada" : `Person ${i % 50}`;
    const body = [`${i}${"\nand on".repeat(40)}`, `${i}:\n- one\n- https://example.org/${i}`][i % 10] ?? `Message ${i}`;
    const reply_to = i % 4 === 2 ? far[i >> 2]!.id : undefined;
    const key = { "message-key": `the key of the message ${i}` };
    const { id } = await (await post(site, room, { author, body, reply_to }, key)).json();
    if (i % 20 === 4) {
      const { ok } = await fetch(`${site.url}/rooms/${room}/messages/${id}`, {
        method: "PATCH",
        headers: { "content-type": "application/json", ...key },
        body: JSON.stringify({ body: `${body}, or not` }),
      });
      assert(ok);
    }
    return id as string;
  };
  const come = async (to: number) => {
    while (count < to) {
      const ids = await Promise.all(Array.from({ length: 100 }, say));
      await there.until((last) => document.getElementById(`message-${last}`) !== null, ids.toSorted().at(-1)!);
      const told = `${count.toLocaleString("en")} new messages`;
      await back.until((told) => document.getElementById("pill")!.textContent === told, told);
    }
  };
  const sessions = await Promise.all([there, back].map(({ context, page }) => context.newCDPSession(page)));
  for (const session of sessions) await session.send("Performance.enable");
  await come(600); // as many as it keeps of anything
  const before = await Promise.all(sessions.map(held));
  await come(1_600);
  const after = await Promise.all(sessions.map(held));
  for (const [i, { heap, nodes, listeners }] of before.entries()) {
    assertLess(after[i]!.nodes, 1.5 * nodes);
    assertLess(after[i]!.listeners, 1.5 * listeners);
    assertLess(after[i]!.heap - heap, 1_000_000);
  }
  assertLessOrEqual(await there.page.locator("#log article").count(), 550);
  assertLessOrEqual(await back.page.locator("#log article").count(), 400);
}, { notInFirefox: "it does not tell how much a page holds" });

webTest("In a room of which most was forgotten the page lets go of nothing that one sees", async () => {
  const room = "sparse";
  const spam = Array.from({ length: 750 }, (_, i): Line => [750 - i, i % 25 ? "Weeds" : "Noor", `Message ${i + 1}`]);
  await writeHistory(site.database.sql, room, spam);
  const { code, log } = await runCommand("forget", ["--author", "Weeds", "--yes"], {
    DATABASE_URL: site.database.url,
  });
  assertEquals(code, 0, log);
  const left = spam.filter(([, author]) => author === "Noor").map(([, , body]) => body);
  await using reader = await visit(site, { room, name: "Ada" });
  await reader.until(() => {
    document.getElementById("scroller")!.scrollTop = 0;
    return document.getElementById("beginning")!.textContent === "This is where it began";
  }, 0);
  await reader.sees(...left);
  await reader.say("A word");
  await reader.settles();
  await reader.sees(...left, "A word");
});

webTest("Who is at an old message that the page lets go of is in the messages then, and not nowhere", async () => {
  await posted(site, "let-go", "The first");
  await using reader = await visit(site, { room: "let-go", name: "Ada" });
  const { page } = reader;
  await reader.sees("The first");
  await page.focus("#log article");
  for (let i = 0; i < 600; i += 100) {
    await Promise.all(Array.from({ length: 100 }, (_, j) => posted(site, "let-go", `Number ${i + j}`)));
  }
  await reader.until(() => document.querySelector("#log .body")!.textContent !== "The first", 0);
  assertEquals(await page.evaluate(() => document.activeElement!.id), "scroller");
});

webTest("Messages of one author within minutes stand under one name, and a day begins with its name", async () => {
  const noon = sinceNoonYesterday();
  await writeHistory(site.database.sql, "grouped", [
    [noon + 60 * 24 * 400, "Ada", "Long ago"],
    [noon + 60 * 24, "Ada", "Yesterday"],
    [noon + 3, "Ada", "One"],
    [noon + 2, "Ada", "Two"],
    [noon + 1, "Noor", "Three"],
  ]);
  await using reader = await visit(site, { room: "grouped", name: "Ada" });
  await reader.page.clock.install({ time: Date.now() - noon * 60_000 });
  await reader.page.reload();
  await reader.sees("Long ago", "Yesterday", "One", "Two", "Three");
  const days = await reader.page.$$eval(".day", (days) => days.map(({ textContent }) => textContent));
  assertEquals(days[1], "Yesterday");
  assertEquals(days[2], "Today");
  assertEquals(
    await reader.page.$$eval(".continued .body", (bodies) => bodies.map(({ textContent }) => textContent)),
    ["Two"],
  );
});

/** Somebody comes back to the page; returns whether a screen reader would read out what is written in the log by that. */
function comeBack({ page }: Visitor): Promise<string | null> {
  return page.evaluate(() => {
    dispatchEvent(new Event("focus"));
    return document.getElementById("log")!.ariaLive;
  });
}

webTest(
  "After a night in which the machine slept days are called what they are now, and no time is written anew",
  async () => {
    await posted(site, "slept", "Before");
    await using reader = await visit(site, { room: "slept", name: "Ada" });
    const { page } = reader;
    await page.clock.install({ time: Date.now() });
    await page.reload();
    await reader.sees("Before");
    await reader.until(() => document.getElementById("log")!.ariaLive === "polite", 0);
    assertEquals(await page.textContent("#log .day"), "Today");
    const time = await page.evaluateHandle(() => document.querySelector("#log time")!.firstChild!);
    await page.clock.setSystemTime(Date.now() + 86_400_000); // and no timer has run
    assertEquals(await comeBack(reader), "polite"); // what comes now is read out
    assertEquals(await page.textContent("#log .day"), "Yesterday");
    assertEquals(await time.evaluate(({ isConnected }) => isConnected), true); // also where somebody has selected it
  },
);

webTest("After a flight times are told as they are there, and no screen reader reads them out", async () => {
  await posted(site, "flight", "Before");
  await using reader = await visit(site, { room: "flight", name: "Ada" });
  const { page } = reader;
  await reader.sees("Before");
  await reader.until(() => document.getElementById("log")!.ariaLive === "polite", 0);
  const before = await page.textContent("#log time");
  const session = await page.context().newCDPSession(page);
  await session.send("Emulation.setTimezoneOverride", { timezoneId: "Asia/Kathmandu" });
  assertEquals(await comeBack(reader), "off");
  assertNotEquals(await page.textContent("#log time"), before);
  await reader.until(() => document.getElementById("log")!.ariaLive === "polite", 0);
}, { notInFirefox: "it is told no other time zone while a page is open" });

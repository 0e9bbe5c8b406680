// Catching up: a room opens where one stopped reading, and read is what was on the screen.
import { assert, assertEquals, assertLess } from "@std/assert";
import type { Page } from "playwright-core";
import { clickBanner, testSite, visit, Visitor, webTest } from "../support/browser.ts";
import { messages, post, posted } from "../support/client.ts";
import { type Line, writeHistory } from "../support/history.ts";

const site = await testSite();

function lines(count: number): Line[] {
  return Array.from({ length: count }, (_, i) => [
    (count - i) / 10,
    ["Noor", "Noor", "Ines"][i % 3]!,
    `Message ${i + 1}${" and more of it".repeat(i * i % 37)}`,
  ]);
}

/** The cursor before all messages. */
const BEFORE_ALL = "00000000-0000-0000-0000-000000000000";

/** Goes to a room that was read up to `last`. */
async function open({ page }: Visitor, room: string, last: string): Promise<void> {
  await page.evaluate(([key, value]) => localStorage[key!] = value, [`linger / read ${room}`, last]);
  await page.evaluate((room) => location.hash = room, room);
}

/** Opens a room that was read up to one of its messages; returns its messages. */
async function opened(ada: Visitor, room: string, count: number, read: number): Promise<string[]> {
  await writeHistory(site.database.sql, room, lines(count));
  const ids = (await messages(site, room, "wait=0&limit=1000")).map(({ id }) => id);
  await open(ada, room, ids[read - 1]!);
  await ada.until((room) => document.querySelector("h1")!.textContent === room, room);
  await ada.until(() => document.querySelectorAll("#log .body").length > 0, 0);
  await ada.is("live");
  return ids;
}

/** Where the line is, in pixels from the top of the messages; undefined if there is none. */
function lineTop({ page }: Visitor): Promise<number | undefined> {
  return page.evaluate(() => {
    const top = document.getElementById("scroller")!.getBoundingClientRect().top;
    const line = document.querySelector("#log .unread");
    return line ? line.getBoundingClientRect().top - top : undefined;
  });
}

function nextOfLine({ page }: Visitor): Promise<string | undefined> {
  return page.evaluate(() =>
    document.querySelector("#log .unread")?.nextElementSibling?.querySelector(".body")?.textContent?.match(/\d+/)?.[0]
  );
}

function read({ page }: Visitor, room: string): Promise<string> {
  return page.evaluate((key) => localStorage[key], `linger / read ${room}`);
}

async function bottom(ada: Visitor): Promise<void> {
  await ada.until(() => {
    const { scrollHeight, scrollTop, clientHeight } = document.getElementById("scroller")!;
    return document.getElementById("ending")!.hidden && scrollHeight - scrollTop - clientHeight < 2;
  }, 0);
}

/** Has a page take itself for hidden, or for seen; for hidden once more: it then does not wait with what is new. */
function look(page: Page, state: "hidden" | "visible"): Promise<void> {
  return page.evaluate((state) => {
    Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
    Object.defineProperty(document, "hidden", { value: state === "hidden", configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, state);
}

/** Holds back what a room has after a cursor, until that is let through; `asked` resolves when it was asked for. */
async function hold({ page }: Visitor, room: string): Promise<{ asked: Promise<void>; open: () => void }> {
  const asked = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<void>();
  await page.route(new RegExp(`/rooms/${room}/messages\\?after=.*wait=0`), async (route) => {
    asked.resolve();
    await opened.promise;
    await route.continue();
  });
  return { asked: asked.promise, open: () => opened.resolve() };
}

webTest("A room that is left before it has opened leaves nothing behind in the next one", async () => {
  await using ada = await visit(site, { room: "elsewhere", name: "Ada", badNetwork: true });
  await writeHistory(site.database.sql, "left", lines(300));
  await writeHistory(site.database.sql, "next", lines(4).map(([, ...rest]) => [100_000, ...rest]));
  const ids = async (room: string) => (await messages(site, room, "wait=0&limit=1000")).map(({ id }) => id);
  const held = await hold(ada, "left");
  await open(ada, "left", (await ids("left"))[9]!);
  await held.asked;
  const next = await ids("next");
  await open(ada, "next", next[1]!);
  await ada.until(() => document.querySelectorAll("#log .body").length === 4, 0);
  held.open();
  await ada.is("live");
  await ada.page.waitForTimeout(500);
  await ada.until(() => document.title !== "next · Linger", 0); // the list of rooms has come
  assertEquals([await read(ada, "next"), await ada.page.title()], [next[3], "(290) next · Linger"]);
});

webTest("Nothing is read in a room that is still opening, whatever becomes of the window", async () => {
  await using ada = await visit(site, { room: "elsewhere", name: "Ada", badNetwork: true });
  await writeHistory(site.database.sql, "opening", lines(300));
  const ids = (await messages(site, "opening", "wait=0&limit=1000")).map(({ id }) => id);
  const held = await hold(ada, "opening");
  await open(ada, "opening", ids[9]!);
  await held.asked;
  await ada.page.setViewportSize({ width: 1000, height: 600 });
  await ada.page.fill("#text", "One\nTwo\nThree");
  await ada.page.waitForTimeout(300);
  assertEquals(await read(ada, "opening"), ids[9]);
  held.open();
  await ada.until(() => document.querySelectorAll("#log .body").length > 0, 0);
  assertEquals(await nextOfLine(ada), "11");
});

for (const missed of [3, 40, 300, 9_000]) {
  webTest(`With ${missed} unread messages a room opens at the line`, async () => {
    await using ada = await visit(site, { room: "elsewhere", name: "Ada" });
    const room = `missed-${missed}`;
    const ids = await opened(ada, room, missed + 200, 200);
    assertEquals(await nextOfLine(ada), "201");
    const top = await lineTop(ada);
    assert(top! >= 0 && top! < 640, `${top}`);
    if (missed > 10) assertLess(top!, 200);
    assertLess(await ada.page.locator("#log .body").count(), 400);
    const mark = await read(ada, room);
    if (missed >= 300) assert(mark < ids[260]!, "all is read at once");
    if (missed < 10) await bottom(ada);
    if (missed > 10) {
      await ada.until(() => /^\d[\d,]* new messages$/.test(document.getElementById("pill")!.textContent!), 0);
      // All that there are, loaded or not, but for those that were on the screen.
      const told = parseInt((await ada.page.textContent("#pill"))!.replaceAll(",", ""));
      assert(told <= missed && told > missed - 40, `${told} of ${missed}`);
      await ada.page.click("#pill");
    }
    await bottom(ada);
    assert((await ada.bodies()).at(-1)!.startsWith(`Message ${missed + 200}`));
    if (missed < 300) return;
    await ada.page.waitForSelector("#since");
    assert(/^[\d,]+ new since \S/.test(await ada.page.innerText("#since")), await ada.page.innerText("#since"));
    await ada.page.click("#since");
    await ada.page.waitForSelector("#log .unread");
    const back = await lineTop(ada);
    assert(back! >= 0 && back! < 640, `${back}`);
  });
}

webTest("Scrolling down from the line loads what comes next, without a gap, up to the newest", async () => {
  await using ada = await visit(site, { room: "elsewhere", name: "Ada" });
  await opened(ada, "down", 400, 100);
  await posted(site, "down", "Message 401");
  // As fast as frames come, which is how fast one can see.
  await ada.page.evaluate(async () => {
    const scroller = document.getElementById("scroller")!;
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    const isEnd = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 2;
    while (!(document.getElementById("ending")!.hidden && isEnd())) {
      scroller.scrollBy(0, 400);
      await frame();
      await frame();
    }
  });
  const numbers = (await ada.bodies()).map((body) => Number(body.match(/\d+/)![0]));
  assertEquals(numbers, numbers.map((_, i) => numbers[0]! + i));
  assertEquals(numbers.at(-1), 401);
  assertEquals(await ada.page.isVisible("#since"), false); // all was on the screen
  await posted(site, "down", "Message 402");
  await ada.page.waitForSelector("text=Message 402");
  await ada.until(() => document.title === "down · Linger", 0);
});

webTest("The line is never above one's own words, nor above what comes before one's eyes", async () => {
  await using ada = await visit(site, { room: "mine", name: "Ada" });
  await ada.say("One");
  await ada.settles();
  await ada.page.reload();
  await ada.is("live");
  await ada.say("Two");
  await ada.settles();
  await new Promise((resolve) => setTimeout(resolve, 1_100)); // long enough to see things come
  await post(site, "mine", { body: "Three", author: "Noor" });
  await ada.sees("One", "Two", "Three");
  assertEquals(await ada.page.locator("#log .unread").count(), 0);
});

webTest("Where what is below the line is deleted, it is above the next message of another, or nowhere", async () => {
  const room = "line-moves";
  const headers = { "message-key": "a key that only Noor has" };
  await posted(site, room, "Before");
  await using ada = await visit(site, { room, name: "Ada" });
  await ada.sees("Before");
  await look(ada.page, "hidden");
  const sees = async (...bodies: string[]) => {
    await look(ada.page, "hidden");
    await ada.sees(...bodies);
  };
  const ids: string[] = [];
  for (const [body, author] of [["One", "Noor"], ["Mine", "Ada"], ["Two", "Noor"], ["Mine too", "Ada"]] as const) {
    ids.push((await (await post(site, room, { body, author }, headers)).json()).id);
  }
  await sees("Before", "One", "Mine", "Two", "Mine too");
  const below = () => ada.page.evaluate(() => document.querySelector("#log .unread + article .body")?.textContent);
  const takeBack = async (id: string) => {
    assertEquals((await fetch(`${site.url}/rooms/${room}/messages/${id}`, { method: "DELETE", headers })).status, 204);
  };
  assertEquals(await below(), "One");
  await takeBack(ids[0]!);
  await sees("Before", "Mine", "Two", "Mine too");
  assertEquals(await below(), "Two");
  await takeBack(ids[2]!);
  await sees("Before", "Mine", "Mine too");
  assertEquals(await ada.page.locator("#log .unread").count(), 0);
});

webTest("What comes before the eyes of somebody who has set the clock back is below no line", async () => {
  await posted(site, "set-back", "One");
  await using ada = await visit(site, { room: "set-back", name: "Ada" });
  await ada.sees("One");
  for (const state of ["hidden", "visible"] as const) await look(ada.page, state);
  await ada.page.evaluate(() => {
    const { now } = Date;
    Date.now = () => now() - 3_600_000;
  });
  await new Promise((resolve) => setTimeout(resolve, 1_100)); // long enough to see things come
  await post(site, "set-back", { body: "Two", author: "Noor" });
  await ada.sees("One", "Two");
  assertEquals(await ada.page.locator("#log .unread").count(), 0);
});

webTest("What comes while nobody looks is below the line, and not read", async () => {
  await using ada = await visit(site, { room: "elsewhere", name: "Ada" });
  await opened(ada, "away", 60, 60);
  await bottom(ada);
  await look(ada.page, "hidden");
  await post(site, "away", { body: "Mine, from my phone", author: "Ada" });
  for (let i = 0; i < 300; i++) await post(site, "away", { body: `Missed ${i}`, author: "Noor" });
  const mark = await read(ada, "away");
  await look(ada.page, "visible");
  await ada.until(() => document.getElementById("news")!.textContent!.endsWith(" new messages"), 0);
  const top = await lineTop(ada);
  assert(top! >= 0 && top! < 640, `${top}`);
  assertEquals(
    await ada.page.evaluate(() => document.querySelector("#log .unread + article .body")!.textContent),
    "Missed 0",
  );
  assert(await read(ada, "away") >= mark);
  const all = await messages(site, "away", "wait=0&limit=1000");
  assert(await read(ada, "away") < all[200]!.id);
  assert(await ada.page.isVisible("#pill"));
});

webTest(
  "What is read in one window is read in the others, and none of them moves away from what is read there",
  async () => {
    const room = "two-windows";
    await posted(site, room, "Before");
    await using first = await visit(site, { room, name: "Ada" });
    await using second = new Visitor(first.context, await first.context.newPage(), {});
    await second.page.goto(`${site.url}/#${room}`);
    await second.is("live");
    for (const { page } of [first, second]) await look(page, "hidden");
    const bodies = Array.from({ length: 20 }, (_, i) => `Message ${i + 1}${"\nand more of it".repeat(5)}`);
    for (const body of bodies) await post(site, room, { body, author: "Noor" });
    for (const one of [first, second]) {
      await look(one.page, "hidden");
      await one.sees("Before", ...bodies);
      await one.page.waitForSelector("#log .unread", { state: "attached" });
      await one.page.waitForSelector("#pill.news");
    }
    await look(first.page, "visible");
    await first.page.click("#pill");
    await bottom(first);
    await second.page.waitForSelector("#pill", { state: "hidden" });
    await bottom(second);
    assertEquals(await second.page.locator("#log .unread").count(), 0);

    // Somebody has read back here.
    await second.page.evaluate(() => document.getElementById("scroller")!.scrollTop = 100);
    await second.page.waitForSelector("#pill >> text=Newest messages");
    await look(first.page, "hidden");
    await post(site, room, { body: "Last", author: "Noor" });
    await look(second.page, "hidden");
    await second.page.waitForSelector("#pill >> text=1 new message");
    await first.sees("Before", ...bodies, "Last");
    await look(first.page, "visible");
    await second.page.waitForSelector("#pill >> text=Newest messages");
    assertEquals(await second.page.$eval("#scroller", ({ scrollTop }) => scrollTop), 100);
    assertEquals(await second.page.locator("#log .unread").count(), 0);
  },
  { notInFirefox: "windows of Firefox without a screen have no mouse, and focus is with one of them" },
);

webTest("Where nothing was read before, what is new is new since no day", async () => {
  const room = "since-nothing";
  await using ada = await visit(site, { room, name: "Ada" });
  await look(ada.page, "hidden");
  for (let i = 0; i < 60; i++) await post(site, room, { body: `Message ${i}`, author: "Noor" });
  await look(ada.page, "hidden");
  await ada.until(() => document.querySelectorAll("#log .body").length === 60, 0);
  await ada.page.$eval("#pill", (pill) => (pill as HTMLElement).click()); // no pointer comes near
  await ada.page.waitForSelector("#since");
  assertEquals(await ada.page.textContent("#since"), "60 new messages");
});

webTest(
  "In a window without focus a pointer that moves says for a while that somebody reads, and no longer",
  async () => {
    const room = "glanced";
    await posted(site, room, "Before");
    await using ada = await visit(site, { room, name: "Ada" });
    const { page } = ada;
    await page.clock.install();
    await page.reload();
    await ada.sees("Before");
    await ada.is("live");
    await page.evaluate(() => {
      document.hasFocus = () => false;
      dispatchEvent(new Event("blur"));
    });
    await page.mouse.move(500, 300);
    const seen = await posted(site, room, "Seen");
    await ada.sees("Before", "Seen");
    await ada.until(([key, id]) => localStorage[key!] === id, [`linger / read ${room}`, seen.id]);
    await page.clock.fastForward(61_000);
    await posted(site, room, "Unseen");
    await ada.sees("Before", "Seen", "Unseen");
    assertEquals(await read(ada, room), seen.id);
  },
);

webTest("A link to a message shows it among its neighbours, and says so if it is gone", async () => {
  await writeHistory(site.database.sql, "linked", lines(500));
  const all = await messages(site, "linked", "wait=0&limit=500");
  await using ada = await visit(site, { room: `linked/${all[249]!.id}`, name: "Ada" });
  await ada.page.waitForSelector(".message.found");
  assert((await ada.page.innerText(".message.found .body")).startsWith("Message 250"));
  const box = await ada.page.locator(".message.found").boundingBox();
  assert(box!.y > 50 && box!.y < 600);
  assert((await ada.bodies()).some((body) => body.startsWith("Message 249")));
  assert((await ada.bodies()).some((body) => body.startsWith("Message 251")));
  assertEquals(await ada.page.isVisible("#notice"), false);
  for (const id of [`${all[99]!.id.slice(0, -3)}fff`, "no-id"]) {
    await ada.page.evaluate((hash) => location.hash = hash, `linked/${id}`);
    await ada.page.waitForSelector("#notice:not(:empty)");
  }
  await ada.page.evaluate((hash) => location.hash = hash, `linked/${all[10]!.id}`);
  await ada.page.waitForSelector("#notice", { state: "hidden" });
});

webTest("What one reads stays at the top of the screen when the width changes", async () => {
  await using ada = await visit(site, { room: "elsewhere", name: "Ada" });
  await opened(ada, "narrow", 200, 100);
  const { page } = ada;
  await page.evaluate(() => document.getElementById("scroller")!.scrollBy(0, 30));
  const first = () =>
    page.evaluate(() => {
      const { top } = document.getElementById("scroller")!.getBoundingClientRect();
      const rows = [...document.querySelectorAll("#log article")];
      // Firefox has places for what it shows nowhere.
      const shown = rows.filter((row) => row.checkVisibility({ contentVisibilityAuto: true }));
      const row = shown.find((row) => row.getBoundingClientRect().top >= top)!;
      return { id: (row as HTMLElement).dataset.id, top: Math.round(row.getBoundingClientRect().top - top) };
    });
  const painted = () =>
    page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  await painted();
  const before = await first();
  const stays = async () => {
    await painted();
    const after = await first();
    assertEquals(after.id, before.id);
    assertLess(Math.abs(after.top - before.top), 3);
  };
  for (const width of [600, 400, 1000]) {
    await page.setViewportSize({ width, height: 700 });
    await ada.until((width) => innerWidth === width, width);
    await stays();
  }
  // Also where one scrolls at that very moment.
  await page.evaluate(() => {
    document.getElementById("scroller")!.scrollBy(0, 1);
    document.getElementById("main")!.style.maxWidth = "400px";
  });
  await stays();
});

webTest("A screen reader hears of many messages in one sentence, and of no day again", async () => {
  await using ada = await visit(site, { room: "elsewhere", name: "Ada" });
  await opened(ada, "heard", 60, 60);
  const { page } = ada;
  await bottom(ada);
  await page.waitForFunction(() => document.getElementById("log")!.ariaLive === "polite");
  await page.evaluate(() => {
    const heard: string[] = [];
    Object.assign(globalThis, { heard });
    new MutationObserver((changes) => {
      for (const { target, addedNodes } of changes) {
        for (const node of addedNodes) {
          const from = node instanceof Element ? node : target as Element;
          const live = from.closest("[aria-live], [role=status]");
          const quiet = live?.ariaLive === "off" || !document.getElementById("scroller")!.contains(live!);
          if (!quiet) heard.push(node.textContent ?? "");
        }
      }
    }).observe(document.getElementById("scroller")!, { subtree: true, childList: true, characterData: true });
    Object.defineProperty(document, "visibilityState", { value: "hidden", configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  // What is posted at once comes at once, after what woke the poll.
  await Promise.all(
    Array.from({ length: 200 }, (_, i) => post(site, "heard", { body: `Missed ${i}`, author: "Noor" })),
  );
  await page.evaluate(() => {
    Object.defineProperty(document, "visibilityState", { value: "visible", configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await ada.until(() => document.getElementById("news")!.textContent!.endsWith(" new messages"), 0);
  const heard = await page.evaluate(() => (globalThis as unknown as { heard: string[] }).heard);
  assertLess(heard.length, 10, heard.join(" | "));
  assertEquals(heard.filter((text) => text.endsWith(" new messages")).length, 1);
  assertEquals(heard.filter((text) => /Today/.test(text)), []);
});

webTest("Who reads far back hears of each message that comes, though the sentence is the same", async () => {
  await writeHistory(site.database.sql, "far-back", lines(500));
  const all = await messages(site, "far-back", "wait=0&limit=500");
  await using ada = await visit(site, { room: `far-back/${all[99]!.id}`, name: "Ada" });
  const { page } = ada;
  await page.waitForSelector(".message.found");
  await page.evaluate(() => {
    const heard: string[] = [];
    Object.assign(globalThis, { heard });
    const news = document.getElementById("news")!;
    new MutationObserver(() => news.textContent && heard.push(news.textContent)).observe(news, { childList: true });
  });
  for (const count of [1, 2, 3]) {
    await posted(site, "far-back", `New ${count}`);
    await ada.until((count) => (globalThis as unknown as { heard: string[] }).heard.length === count, count);
  }
  const heard = await page.evaluate(() => (globalThis as unknown as { heard: string[] }).heard);
  assertEquals(heard, Array(3).fill("1 new message"));
});

webTest("In the empty field the keys of pages scroll the messages, and End leads to the newest", async () => {
  await using ada = await visit(site, { room: "elsewhere", name: "Ada" });
  await opened(ada, "keys", 400, 400);
  const { page } = ada;
  await bottom(ada);
  await page.focus("#text");
  await page.keyboard.press("PageUp");
  await page.waitForSelector("#pill");
  const left = () =>
    page.$eval("#scroller", (it) => (it.scrollHeight - it.scrollTop - it.clientHeight) / it.clientHeight);
  assertLess(await left(), 1, "screens, and some of what was seen is still there");
  await page.keyboard.press("End");
  await bottom(ada);
  await page.keyboard.press("PageUp");
  await page.waitForSelector("#pill");
  await page.fill("#text", "words");
  await page.keyboard.press("End");
  assert(await page.isVisible("#pill"));
});

webTest(
  "Where unread messages were removed because they were old, the page says so, until one is elsewhere",
  async () => {
    await using ada = await visit(site, { room: "elsewhere", name: "Ada", badNetwork: true });
    /** Removes the oldest, as retention does. */
    const remove = async (room: string, last: string) => {
      await site.database.sql`delete from messages where room = ${room} and id <= ${last}`;
      await site.database.sql`update heads set trimmed = ${last} where room = ${room}`;
    };
    const told = () => ada.page.textContent("#banner-text");
    for (const [room, count, left] of [["short", 20, 5], ["long", 200, 120]] as const) {
      await writeHistory(site.database.sql, room, lines(count));
      const ids = (await messages(site, room, "wait=0&limit=1000")).map(({ id }) => id);
      await remove(room, ids[count - left - 1]!);
      await open(ada, room, ids[1]!);
      await ada.until(() => document.getElementById("banner-text")!.textContent!.includes("are gone"), 0);
      await ada.until(
        (first) => document.querySelector("#log .body")?.textContent?.startsWith(first),
        `Message ${count - left + 1}`,
      );
      await ada.page.evaluate(() => location.hash = "elsewhere");
      await ada.until(() => document.querySelector("h1")!.textContent === "elsewhere", 0);
      assertEquals(await told(), "");
    }
    // Who has read all that was removed has missed nothing.
    const [room, count] = ["read", 20];
    await writeHistory(site.database.sql, room, lines(count));
    const ids = (await messages(site, room, "wait=0&limit=1000")).map(({ id }) => id);
    await remove(room, ids[9]!);
    await open(ada, room, ids[9]!);
    await ada.until(() => document.querySelectorAll("#log .body").length === 10, 0);
    await ada.is("live");
    assertEquals(await told(), "");
  },
);

webTest("A room whose old messages are marked, and not removed yet, is there at once, and stays", async () => {
  const room = "marked";
  const headers = { "message-key": "a key that only Noor has" };
  const { id } = await (await post(site, room, { body: "Deleted", author: "Noor" }, headers)).json();
  await posted(site, room, "Left");
  const deleted = await fetch(`${site.url}/rooms/${room}/messages/${id}`, { method: "DELETE", headers });
  assertEquals(deleted.status, 204);
  // As retention marks what it removes then: up to the deletion, which stands after all that is left.
  await site.database.sql`
    update heads h set trimmed = changed from messages m where h.room = ${room} and m.room = ${room} and changed is not null`;
  await using ada = await visit(site, { room: "elsewhere", name: "Ada", badNetwork: true });
  let asked = 0;
  ada.page.on("request", (request) => asked += Number(request.url().includes(`/rooms/${room}/messages?before=now`)));
  await ada.page.evaluate((room) => location.hash = room, room);
  await ada.sees("Left");
  await ada.is("live");
  await posted(site, room, "New");
  await ada.sees("Left", "New");
  assertEquals(asked, 2); // once more after it has met the mark
});

webTest("Who writes while messages are lost that he has not read is told so each time, and writes on", async () => {
  const first = await posted(site, "lost", "First");
  await using ada = await visit(site, { room: `lost/${first.id}`, name: "Ada", badNetwork: true });
  const { page } = ada;
  await page.waitForSelector(".message.found");
  const problem = { type: "urn:linger:problem:trimmed", title: "", status: 410, detail: "", earliest: BEFORE_ALL };
  const contentType = "application/problem+json";
  const bodies = ["First"];
  for (const body of ["Second", "Third"]) {
    await page.fill("#text", "I began to");
    // The poll that waits is answered, and the next one then is told that what it asks for is gone.
    const gone = { status: 410, contentType, body: JSON.stringify(problem) };
    await page.route(/[?&]changes=true/, (route) => route.fulfill(gone), { times: 1 });
    await posted(site, "lost", body);
    bodies.push(body);
    await page.waitForSelector("#banner.shown >> text=Some messages that you had not read are gone");
    await ada.sees(...bodies);
    assertEquals(await page.evaluate(() => document.activeElement!.id), "text");
    await clickBanner(page, "#banner-close");
    await page.waitForSelector("#banner:not(.shown)", { state: "attached" });
  }
});

webTest("While nobody looks the title counts neither what one writes elsewhere nor what is deleted", async () => {
  const room = "counted";
  await posted(site, room, "Before");
  await using ada = await visit(site, { room, name: "Ada" });
  await ada.sees("Before");
  await ada.until((room) => localStorage[`linger / read ${room}`] !== undefined, room);
  await look(ada.page, "hidden");
  /** What the page says while it shows these. */
  const counts = async (...bodies: string[]) => {
    await look(ada.page, "hidden");
    await ada.sees(...bodies);
    return [await ada.page.title(), await ada.page.textContent(`#rooms a[href="#${room}"] .count`)];
  };
  const headers = { "message-key": "a key that only Noor has" };
  /** Posts a message that speaks of Ada; resolves to what takes it back. */
  const calls = async (body: string) => {
    const { id } = await (await post(site, room, { body, author: "Noor" }, headers)).json();
    return async () => {
      const deleted = await fetch(`${site.url}/rooms/${room}/messages/${id}`, { method: "DELETE", headers });
      assertEquals(deleted.status, 204);
    };
  };
  const takeBack = await calls("Ada?");
  await post(site, room, { body: "On my phone", author: "Ada" });
  await post(site, room, { body: "Good", author: "Noor" });
  const takeBackToo = await calls("Ada!");
  assertEquals(await counts("Before", "Ada?", "On my phone", "Good", "Ada!"), ["(3) counted · Linger", "@ 3"]);
  await takeBackToo();
  assertEquals(await counts("Before", "Ada?", "On my phone", "Good"), ["(2) counted · Linger", "@ 2"]);
  await takeBack();
  assertEquals(await counts("Before", "On my phone", "Good"), ["(1) counted · Linger", "1"]);
});

webTest("Where the database has lost messages, the title counts others that have their numbers", async () => {
  const { id } = await posted(site, "restored", "Before");
  await using ada = await visit(site, { room: "backup", name: "Ada" });
  await look(ada.page, "hidden");
  await open(ada, "restored", `${id.slice(0, 14)}0000-0000-c8${id.slice(26)}`); // that is, to the message with the number 200
  await ada.sees("Before");
  for (const body of ["One", "Two"]) await post(site, "restored", { body, author: "Noor" });
  await look(ada.page, "hidden");
  await ada.sees("Before", "One", "Two");
  assertEquals(await ada.page.title(), "(2) restored · Linger");
});

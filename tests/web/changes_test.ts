// A message that is changed or taken away: what one reads stays where it is, and its neighbours fit together again.
import { assertEquals, assertGreater, assertLessOrEqual } from "@std/assert";
import type { Page } from "playwright-core";
import type { Message } from "../../src/client/client.ts";
import type { Timeline } from "../../src/web/timeline.js";
import { testSite, visit, type Visitor, webTest } from "../support/browser.ts";
import { messages } from "../support/client.ts";
import { type Line, writeHistory } from "../support/history.ts";

const site = await testSite();

const LINES: Line[] = Array.from({ length: 200 }, (_, i) => [
  (200 - i) * 2,
  ["Ada", "Ada", "Noor"][i % 3]!,
  `Message ${i + 1}${" and more of it".repeat(i * i % 37)}`,
]);
await writeHistory(site.database.sql, "place", LINES);

/** A visitor whose page's timeline is at hand as `timeline`. */
async function reader(room: string): Promise<Visitor> {
  const visitor = await visit(site, { room: "elsewhere", name: "Ada" });
  await visitor.page.evaluate(async (room) => {
    const { Timeline } = await import(`${location.origin}/web/timeline.js`);
    const { clear } = Timeline.prototype;
    Timeline.prototype.clear = function (...args: unknown[]) {
      Object.assign(globalThis, { timeline: this });
      return clear.apply(this, args);
    };
    location.hash = room;
  }, room);
  await visitor.until(() => document.querySelectorAll("#log .body").length > 0, 0);
  await visitor.is("live");
  return visitor;
}

function change(page: Page, id: string, message?: Message): Promise<void> {
  return page.evaluate(([id, message]) => {
    const { timeline } = globalThis as unknown as { timeline: Timeline };
    if (message) timeline.replace(id, message);
    else timeline.remove(id);
  }, [id, message] as const);
}

/** The rows on the screen, and where they begin, in pixels from the top of the messages. */
function onScreen(page: Page): Promise<{ id: string; top: number }[]> {
  return page.evaluate(() => {
    const { top, bottom } = document.getElementById("scroller")!.getBoundingClientRect();
    return [...document.querySelectorAll<HTMLElement>("#log article")]
      .map((row) => ({ row, place: row.getBoundingClientRect() }))
      .filter(({ place }) => place.bottom > top && place.top < bottom)
      .map(({ row, place }) => ({ id: row.dataset.id!, top: place.top - top }));
  });
}

async function frame(page: Page): Promise<void> {
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
}

webTest("What changes or goes above does not move what one reads", async () => {
  await using ada = await reader("place");
  const { page } = ada;
  const all = await messages(site, "place", "wait=0&limit=200");
  await ada.until(() => {
    document.getElementById("scroller")!.scrollTop = 0;
    return document.querySelectorAll("#log .body").length > 150;
  }, 0);
  await page.evaluate(() => document.querySelectorAll("#log article")[90]!.scrollIntoView({ block: "center" }));
  await frame(page);
  const before = await onScreen(page);
  const kept = before.find(({ top }) => top >= 0)!;
  const index = all.findIndex(({ id }) => id === kept.id);
  const place = async (what: string) => {
    await frame(page);
    const now = (await onScreen(page)).find(({ id }) => id === kept.id);
    assertLessOrEqual(Math.abs((now?.top ?? Infinity) - kept.top), 1, what);
  };
  // Far above, which the browser has not laid out; just above; and the one that reaches in from above.
  for (const distance of [40, 3, 2, 1]) {
    const message = all[index - distance]!;
    await change(page, message.id, { ...message, body: "line\n".repeat(30) });
    await place(`${distance} above was edited`);
    await change(page, message.id);
    await place(`${distance} above was deleted`);
  }
  await change(page, all[index + 1]!.id);
  await place("the next one was deleted");
  const [, next] = (await onScreen(page)).filter(({ top }) => top >= 0);
  await change(page, kept.id);
  await frame(page);
  const after = (await onScreen(page)).find(({ id }) => id === next!.id)!;
  assertLessOrEqual(Math.abs(after.top - next!.top), 1, "the one at the top was deleted");
  assertEquals((await ada.bodies()).length, await page.locator("#log article").count());
});

webTest("Who is at the newest stays there, whatever is changed or goes", async () => {
  await using ada = await reader("place");
  const { page } = ada;
  const all = await messages(site, "place", "wait=0&limit=200");
  const last = all.at(-1)!;
  const bottom = () =>
    page.$eval("#scroller", ({ scrollHeight, scrollTop, clientHeight }) => scrollHeight - scrollTop - clientHeight);
  for (const body of ["line\n".repeat(60), "short", undefined]) {
    await change(page, last.id, body === undefined ? undefined : { ...last, body });
    await frame(page);
    assertLessOrEqual(await bottom(), 1);
    assertEquals(await page.isVisible("#pill"), false);
  }
});

webTest("Neighbours of a message that goes stand under their name and their day", async () => {
  await writeHistory(site.database.sql, "names", [
    [60 * 24 * 2, "Ada", "Long ago"],
    [5, "Ada", "One"],
    [4, "Ada", "Two"],
    [3, "Noor", "Three"],
    [2, "Ada", "Four"],
  ]);
  await using ada = await reader("names");
  const { page } = ada;
  const all = await messages(site, "names", "wait=0");
  const rows = () =>
    page.$$eval(
      "#log .chunk > *",
      (rows) =>
        rows.map((row) =>
          row.matches("article")
            ? `${row.matches(".continued") ? "" : row.querySelector(".author")!.textContent}: ${
              row.querySelector(".body")!.textContent
            }`
            : row.className
        ),
    );
  assertEquals(await rows(), ["day", "Ada: Long ago", "day", "Ada: One", ": Two", "Noor: Three", "Ada: Four"]);
  await change(page, all[1]!.id);
  assertEquals(await rows(), ["day", "Ada: Long ago", "day", "Ada: Two", "Noor: Three", "Ada: Four"]);
  await change(page, all[3]!.id);
  assertEquals(await rows(), ["day", "Ada: Long ago", "day", "Ada: Two", ": Four"]);
  await change(page, all[2]!.id, { ...all[2]!, body: "Two, edited" });
  assertEquals(await rows(), ["day", "Ada: Long ago", "day", "Ada: Two, edited", ": Four"]);
  await change(page, all[2]!.id);
  await change(page, all[4]!.id);
  assertEquals(await rows(), ["day", "Ada: Long ago"]);
  await change(page, "00000000-0000-0000-0000-000000000000");
  assertGreater(await page.locator("#log article").count(), 0);
});

webTest("Who has the focus in a message that goes has it in the messages", async () => {
  await using ada = await reader("place");
  const all = await messages(site, "place", "wait=0&limit=200");
  await ada.page.evaluate(() => {
    const row = [...document.querySelectorAll<HTMLElement>("#log article")].at(-1)!;
    row.tabIndex = -1;
    row.focus();
  });
  await change(ada.page, all.at(-1)!.id);
  assertEquals(await ada.page.evaluate(() => document.activeElement!.id), "scroller");
});

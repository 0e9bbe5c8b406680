// A message that is changed or taken away: what one reads stays where it is, and its neighbours fit together again.
import { assertEquals, assertLessOrEqual } from "@std/assert";
import type { Page } from "playwright-core";
import { proofOf } from "../../src/chat/proof.ts";
import { testSite, visit, type Visitor, webTest } from "../support/browser.ts";
import { type Message, messages } from "../support/client.ts";
import { type Line, sinceNoonYesterday, writeHistory } from "../support/history.ts";

const site = await testSite();

const LINES: Line[] = Array.from({ length: 200 }, (_, i) => [
  (200 - i) * 2,
  ["Ada", "Ada", "Noor"][i % 3]!,
  `Message ${i + 1}${" and more of it".repeat(i * i % 37)}`,
]);

const KEY = "a key that the tests have posted with";

/** Somebody who reads a room with this history, which can be changed. */
async function reader(room: string, lines: Line[]): Promise<Visitor> {
  const { sql } = site.database;
  await writeHistory(sql, room, lines);
  await sql`update messages set proof = decode(${proofOf(KEY)}, 'hex') where room = ${room}`;
  return await visit(site, { room, name: "Zoe" });
}

/** Edits a message, or deletes it, and waits until the page shows that. */
async function change({ page }: Visitor, { room, id }: Message, body?: string): Promise<void> {
  const response = await fetch(`${site.url}/rooms/${room}/messages/${id}`, {
    method: body === undefined ? "DELETE" : "PATCH",
    headers: { "message-key": KEY, "content-type": "application/json" },
    ...body !== undefined && { body: JSON.stringify({ body }) },
  });
  assertEquals(response.status, body === undefined ? 204 : 200);
  await response.body?.cancel();
  await page.waitForFunction(([id, body]) => {
    const row = document.querySelector(`#log article[data-id="${id}"]`);
    return body === undefined ? !row : row?.querySelector(".body")?.textContent === body;
  }, [id, body] as const);
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
  await using ada = await reader("above", LINES);
  const { page } = ada;
  const all = await messages(site, "above", "wait=0&limit=200");
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
    await change(ada, message, "line\n".repeat(30).trimEnd());
    await place(`${distance} above was edited`);
    await change(ada, message);
    await place(`${distance} above was deleted`);
  }
  await change(ada, all[index + 1]!);
  await place("the next one was deleted");
  const [, next] = (await onScreen(page)).filter(({ top }) => top >= 0);
  await change(ada, all[index]!);
  await frame(page);
  const after = (await onScreen(page)).find(({ id }) => id === next!.id)!;
  assertLessOrEqual(Math.abs(after.top - next!.top), 1, "the one at the top was deleted");
  assertEquals((await ada.bodies()).length, await page.locator("#log article").count());
});

webTest("Who is at the newest stays there, whatever is changed or goes", async () => {
  await using ada = await reader("newest", LINES);
  const { page } = ada;
  const all = await messages(site, "newest", "wait=0&limit=200");
  const last = all.at(-1)!;
  const bottom = () =>
    page.$eval("#scroller", ({ scrollHeight, scrollTop, clientHeight }) => scrollHeight - scrollTop - clientHeight);
  for (const body of ["line\n".repeat(60).trimEnd(), "short", undefined]) {
    await change(ada, last, body);
    await frame(page);
    assertLessOrEqual(await bottom(), 1);
    assertEquals(await page.isVisible("#pill"), false);
  }
});

webTest("Neighbours of a message that goes stand under their name and their day", async () => {
  const noon = sinceNoonYesterday();
  await using ada = await reader("names", [
    [noon + 60 * 24 * 2, "Ada", "Long ago"],
    [noon + 5, "Ada", "One"],
    [noon + 4, "Ada", "Two"],
    [noon + 3, "Noor", "Three"],
    [noon + 2, "Ada", "Four"],
  ]);
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
  await change(ada, all[1]!);
  assertEquals(await rows(), ["day", "Ada: Long ago", "day", "Ada: Two", "Noor: Three", "Ada: Four"]);
  await change(ada, all[3]!);
  assertEquals(await rows(), ["day", "Ada: Long ago", "day", "Ada: Two", ": Four"]);
  await change(ada, all[2]!, "Two, edited");
  assertEquals(await rows(), ["day", "Ada: Long ago", "day", "Ada: Two, edited", ": Four"]);
  await change(ada, all[2]!);
  await change(ada, all[4]!);
  assertEquals(await rows(), ["day", "Ada: Long ago"]);
});

webTest("Who has the focus in a message that goes has it in the messages", async () => {
  await using ada = await reader("focus", LINES);
  const all = await messages(site, "focus", "wait=0&limit=200");
  await ada.page.evaluate(() => {
    const row = [...document.querySelectorAll<HTMLElement>("#log article")].at(-1)!;
    row.tabIndex = -1;
    row.focus();
  });
  await change(ada, all.at(-1)!);
  assertEquals(await ada.page.evaluate(() => document.activeElement!.id), "scroller");
});

// The part of a room that is on the page is as the room is, whatever is changed, deleted or forgotten while it is on its way.
/// <reference lib="dom" />
import { assert, assertEquals, assertLess } from "@std/assert";
import type { Page } from "playwright-core";
import { proofOf } from "../../src/chat/proof.ts";
import { testSite, type Visit, visit, type Visitor, webTest } from "../support/browser.ts";
import { type Message, messages, post, posted } from "../support/client.ts";
import { runCommand } from "../support/command.ts";
import { type Line, writeHistory } from "../support/history.ts";
import { freePort } from "../support/postgres.ts";
import { spawnServer } from "../support/server.ts";

const site = await testSite();

const KEY = "a key that the tests have posted with";

/** Writes so many messages, which can be changed. */
async function written(room: string, count: number): Promise<Message[]> {
  const lines = Array.from({ length: count }, (_, i): Line => [
    (count - i) / 10,
    ["Noor", "Ines"][i % 2]!,
    `Message ${i + 1}`,
  ]);
  await writeHistory(site.database.sql, room, lines);
  await site.database.sql`update messages set proof = decode(${proofOf(KEY)}, 'hex') where room = ${room}`;
  return await messages(site, room, "wait=0&limit=1000");
}

async function change({ room, id }: Message, body?: string): Promise<void> {
  const response = await fetch(`${site.url}/rooms/${room}/messages/${id}`, {
    method: body === undefined ? "DELETE" : "PATCH",
    headers: { "message-key": KEY, "content-type": "application/json" },
    ...body !== undefined && { body: JSON.stringify({ body }) },
  });
  assert(response.ok);
  await response.body?.cancel();
}

/** Somebody who opens a room that was read up to a message. */
async function back(room: string, read: string, address = room, options: Visit = {}): Promise<Visitor> {
  const ada = await visit(site, { room: "elsewhere", name: "Ada", ...options });
  await ada.page.evaluate(([room, read]) => localStorage.setItem(`linger / read ${room}`, read!), [room, read]);
  await ada.page.evaluate((hash) => location.hash = hash, address);
  await ada.until((room) => document.querySelector("h1")!.textContent === room, room);
  await ada.page.waitForSelector("#log .body");
  return ada;
}

/** Holds back the pages after a cursor; resolves `asked` when the server has answered one. */
async function holdNewer(page: Page): Promise<{ asked: Promise<void>; release: () => void }> {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  await page.route(/after=.*wait=0/, async (route) => {
    const response = await route.fetch();
    ask();
    await released;
    await route.fulfill({ response });
  });
  return { asked, release };
}

/** Resolves when the page has been told of something by its poll. */
function told(page: Page, text: string): Promise<unknown> {
  return page.waitForResponse(async (response) =>
    /wait=\d\d/.test(response.url()) && (await response.text()).includes(text)
  );
}

async function forget(...what: string[]): Promise<void> {
  const { code, log } = await runCommand("forget", [...what, "--yes"], { DATABASE_URL: site.database.url });
  assertEquals(code, 0, log);
}

/** The numbers of the messages on the page. */
const numbers = async (ada: Visitor) =>
  (await ada.bodies()).map((body) => Number(body.match(/^Message (\d+)$/)?.[1] ?? 0)).filter(Boolean);

webTest("What is edited and deleted between two pages of a jump is so on both", async () => {
  const all = await written("jump", 900);
  await using ada = await back("jump", all[399]!.id);
  await ada.page.waitForSelector("#log .unread");
  await ada.page.click("#pill");
  await ada.page.waitForSelector("#log .body >> text=Message 900");
  await ada.page.waitForSelector("#since");
  const { asked, release } = await holdNewer(ada.page);
  const { promise: came, resolve: come } = Promise.withResolvers<void>();
  await ada.page.route(/before=[0-9a-f]/, async (route) => {
    await route.fulfill({ response: await route.fetch() });
    come();
  });
  await ada.page.click("#since");
  await Promise.all([came, asked]);
  await change(all[398]!);
  await change(all[397]!, "Edited");
  const last = told(ada.page, "Told after the changes");
  await posted(site, "jump", "Told after the changes");
  await last;
  release();
  await ada.page.waitForSelector("#log .body >> text=Message 405");
  const bodies = await ada.bodies();
  assertEquals(
    [bodies.includes("Message 399"), bodies.includes("Message 398"), bodies.includes("Edited")],
    [false, false, true],
  );
});

webTest("Where a whole page of newer messages is deleted on its way, the next one is loaded", async () => {
  const all = await written("gap", 600);
  await using ada = await visit(site, { room: `gap/${all[99]!.id}`, name: "Ada" });
  await ada.page.waitForSelector(".found");
  await ada.until(() => document.querySelectorAll("#log .body").length > 60, 0);
  const { asked, release } = await holdNewer(ada.page);
  await ada.page.evaluate(() => document.getElementById("scroller")!.scrollTop = 1e9);
  await asked;
  const last = (await numbers(ada)).at(-1)!;
  const after = told(ada.page, all[last + 49]!.id);
  for (const message of all.slice(last, last + 50)) await change(message);
  await after;
  release();
  await ada.until((last) => {
    document.getElementById("scroller")!.scrollTop = 1e9;
    return [...document.querySelectorAll("#log .body")].some(({ textContent }) => textContent === `Message ${last}`);
  }, last + 60);
  const shown = await numbers(ada);
  const expected = all.map((_, i) => i + 1).filter((n) =>
    n >= shown[0]! && n <= shown.at(-1)! && !(n > last && n <= last + 50)
  );
  assertEquals(shown, expected);
});

webTest("When all that is on the page is forgotten at once, there is something to read again", async () => {
  const lines = Array.from({ length: 1_000 }, (_, i): Line => [
    (1_000 - i) / 10,
    i >= 200 && i < 400 ? "Spam" : "Noor",
    `Message ${i + 1}`,
  ]);
  await writeHistory(site.database.sql, "emptied", lines);
  const all = await messages(site, "emptied", "wait=0&limit=1000");
  await using ada = await visit(site, { room: `emptied/${all[299]!.id}`, name: "Ada" });
  await ada.page.waitForSelector(".found");
  await ada.until(() => document.querySelectorAll("#log .body").length > 60, 0);
  await forget("--author", "Spam");
  await ada.until(() => {
    const authors = [...document.querySelectorAll("#log .author")].map(({ textContent }) => textContent);
    return authors.length > 0 && !authors.includes("Spam");
  }, 0);
  await ada.is("live");
});

webTest(
  "When all that is on the page at the newest is forgotten, what is older comes, and else it is said to be quiet",
  async () => {
    const count = 400;
    const lines = Array.from({ length: count }, (_, i): Line => [
      (count - i) / 10,
      i >= 250 ? "Spam" : "Egg",
      `Message ${i + 1}`,
    ]);
    await writeHistory(site.database.sql, "emptied-end", lines);
    await using ada = await visit(site, { room: "emptied-end", name: "Ada" });
    await ada.page.waitForSelector("#log .body >> text=Message 400");
    await forget("--author", "Spam");
    await ada.page.waitForSelector("#log .body >> text=Message 250");
    assertEquals((await ada.bodies()).at(-1), "Message 250");
    assertEquals(await ada.page.isVisible("#empty"), false);
    await forget("--author", "Egg"); // also what is not on the page
    await ada.page.waitForSelector("#empty:not([hidden])");
  },
);

webTest("Where the newest page is deleted on its way, what is before it is loaded", async () => {
  const all = await written("gone-there", 300);
  await using ada = await visit(site, { room: `gone-there/${all[49]!.id}`, name: "Ada" });
  await ada.page.waitForSelector(".found");
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  await ada.page.route(/before=now/, async (route) => {
    const response = await route.fetch();
    ask();
    await released;
    await route.fulfill({ response });
  });
  await ada.page.click("#pill");
  await asked;
  const after = told(ada.page, all[299]!.id);
  for (const message of all.slice(200)) await change(message);
  await after;
  release();
  await ada.page.waitForSelector("#log .body >> text=Message 200");
});

webTest("When all of a room is forgotten while one reads back, the page says so, asks once, and goes on", async () => {
  const lines = Array.from({ length: 300 }, (_, i): Line => [(300 - i) / 10, "Spam", `Message ${i + 1}`]);
  await writeHistory(site.database.sql, "all-spam", lines);
  const all = await messages(site, "all-spam", "wait=0&limit=1000");
  await using ada = await visit(site, { room: `all-spam/${all[49]!.id}`, name: "Ada" });
  await ada.page.waitForSelector(".found");
  await ada.page.waitForSelector("#ending", { state: "attached" });
  let asked = 0;
  ada.page.on("request", (request) => {
    if (request.url().includes("before=now")) asked++;
  });
  await forget("--author", "Spam");
  await ada.page.waitForSelector("#empty:not([hidden])");
  assertEquals(await ada.page.isVisible("#ending"), false);
  await posted(site, "all-spam", "Still here");
  await ada.sees("Still here");
  assertEquals(await ada.page.isVisible("#empty"), false);
  assertLess(asked, 3);
});

webTest("A link to a message that cannot be there yet opens the room, and says that it is not here", async () => {
  await written("future", 120);
  for (const id of ["ffffffff-ffff-7fff-bfff-ffffffffffff", "12345678-0000-4000-0000-000000000000"]) {
    await using ada = await visit(site, { room: `future/${id}`, name: "Ada" });
    await ada.page.waitForSelector("#notice:not(:empty)");
    assertEquals((await ada.bodies()).at(-1), "Message 120");
  }
});

webTest(
  "What came and was deleted while one was away, and what one wrote elsewhere, leaves nothing unread",
  async () => {
    const all = await written("away", 30);
    const newest = await (await post(site, "away", { body: "Regretted", author: "Noor" }, { "message-key": KEY }))
      .json();
    await change(newest);
    await using ada = await back("away", all.at(-1)!.id);
    await ada.until(() => document.title === "away · Linger", 0);
    await post(site, "away", { body: "From my phone", author: "Ada" });
    await ada.page.waitForSelector("#log .body >> text=From my phone");
    await ada.page.reload();
    await ada.page.waitForSelector("#log .body >> text=From my phone");
    await ada.is("live");
    await ada.until(() => document.title === "away · Linger", 0);
  },
);

webTest(
  "Who comes by a link for the first time has missed nothing; who comes back has missed what came since",
  async () => {
    const all = await written("linked", 500);
    await using noor = await visit(site, { room: `linked/${all[49]!.id}`, name: "Zoe" });
    await noor.page.waitForSelector(".found");
    await noor.until(() => document.title === "linked · Linger", 0);
    assertEquals(await noor.page.textContent("#pill"), "Newest messages");
    await using ada = await back("linked", all[479]!.id, `linked/${all[49]!.id}`);
    await ada.page.waitForSelector(".found");
    await ada.page.waitForSelector("#pill >> text=20 new messages");
  },
);

webTest("What was forgotten while the server was away is not on the page when it is back", async () => {
  const port = freePort();
  const start = () => spawnServer(site.database.url, { PORT: `${port}` });
  let server = await start();
  for (let i = 0; i < 5; i++) await post(server, "secrets", { body: `Secret ${i}`, author: "Noor" });
  await using ada = await visit({ browser: site.browser, url: server.url }, {
    room: "secrets",
    name: "Ada",
    badNetwork: true,
  });
  await ada.page.waitForSelector("#log .body >> text=Secret 4");
  await server[Symbol.asyncDispose]();
  await ada.is("reconnecting");
  await forget("--room", "secrets");
  server = await start();
  await using _server = server;
  await post(server, "secrets", { body: "After", author: "Noor" });
  await ada.page.evaluate(() => dispatchEvent(new Event("online"))); // ends its pause, which can be as long as a test waits
  await ada.sees("After");
});

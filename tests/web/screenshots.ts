// `deno task screenshots`: takes pictures of the chat page: page-light.png and page-dark.png for the README, into docs; with
// the name of a folder, those and many others into that folder.
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import postgres from "postgres";
import { startEmbedded } from "../../src/database/embedded.ts";
import { readArguments } from "../support/arguments.ts";
import { launchBrowser } from "../support/browser.ts";
import { type Line, writeHistory } from "../support/history.ts";
import { freePort, projectPath } from "../support/postgres.ts";
import { startServer } from "../support/server.ts";

const GARDEN: Line[] = [
  [1480, "Noor", "The seed order is in. Twelve kinds of tomato, because somebody couldn’t choose"],
  [1478, "Ada", "I could choose. I chose twelve"],
  [1471, "Tomás", "Then you water twelve 🍅"],
  [62, "Ada", "Morning! The frost is over, I think. Who has time on Saturday to turn the beds?"],
  [58, "Tomás", "Me, from ten. I’ll bring the good fork"],
  [57, "Tomás", "And the one you like"],
  [
    41,
    "Noor",
    "After lunch for me. The soil calendar says the peas can go out already:\nhttps://gardens.example/calendar/march",
  ],
  [39, "Ada", "Peas, spinach, broad beans. The rest waits for the ides of March"],
  [12, "יעל", "אני מביאה עוגה ☕️"],
  [9, "Noor", "Cake! Then I’m there at ten too"],
  [3, "Ada", "So it’s settled: Saturday, ten, two forks, one cake. See you by the shed"],
];

const OTHERS: Record<string, Line[]> = {
  kitchen: [[200, "Tomás", "The dishwasher has opinions again"], [26, "Noor", "Fixed. It was a spoon"]],
  lobby: [[300, "Ada", "Welcome"], [90, "Ines", "Hello everyone"]],
  "reading-circle": [[4000, "Ines", "Chapter seven by Thursday"], [2900, "Noor", "Chapter eight is better"]],
  workshop: [[5000, "Tomás", "The lathe is free"]],
};

const { folder } = readArguments("screenshots", "takes the README's pictures of the chat page", {
  folder: { default: "", help: "takes many more, into this folder", bare: true },
});
const home = await Deno.makeTempDir({ prefix: "linger-screenshots-" });
const port = freePort();
const database = await startEmbedded(home, { settings: { listen_addresses: "127.0.0.1", port: `${port}` } });
const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
const browser = await launchBrowser();
try {
  await using server = await startServer(url);
  const sql = postgres(url, { max: 1 });
  for (const [room, lines] of Object.entries({ garden: GARDEN, ...OTHERS, archive: many() })) {
    await writeHistory(sql, room, lines);
  }
  await sql.end();
  if (folder) await takeAll(browser, server.url, folder);
  else {
    for (const colorScheme of ["light", "dark"] as const) {
      await using shot = await open(browser, server.url, { colorScheme });
      await shot.page.screenshot({ path: projectPath(`docs/page-${colorScheme}.png`) });
    }
  }
} finally {
  await browser.close();
  await database.stop();
  await Deno.remove(home, { recursive: true });
}

async function takeAll(browser: Browser, url: string, folder: string): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  const phone = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };
  const save = (page: Page, name: string) => page.screenshot({ path: `${folder}/${name}.png` });
  for (const colorScheme of ["light", "dark"] as const) {
    {
      await using shot = await open(browser, url, { colorScheme });
      await save(shot.page, `page-${colorScheme}`);
    }
    {
      await using shot = await open(browser, url, { colorScheme, ...phone });
      await save(shot.page, `phone-${colorScheme}`);
      await shot.page.click("#menu");
      await shot.page.waitForTimeout(300);
      await save(shot.page, `drawer-${colorScheme}`);
    }
    {
      await using shot = await open(browser, url, { colorScheme }, "orchard");
      await save(shot.page, `empty-${colorScheme}`);
    }
    {
      await using shot = await open(browser, url, { colorScheme }, "garden", "");
      await save(shot.page, `name-${colorScheme}`);
    }
    {
      await using shot = await open(browser, url, { colorScheme });
      await shot.page.route("**/messages", (route) =>
        route.fulfill({
          status: 400,
          contentType: "application/problem+json",
          body: JSON.stringify({
            type: "urn:linger:problem:invalid-request",
            detail: "The room is closed for the night.",
          }),
        }));
      await shot.page.fill("#text", "Can somebody open the gate for me?\nI have the cake");
      await shot.page.press("#text", "Enter");
      await shot.page.waitForSelector(".failed");
      await shot.page.fill("#text", "x".repeat(9_990));
      await shot.page.fill("#text", "A draft that is too long, " + "very ".repeat(2_000));
      await save(shot.page, `failed-${colorScheme}`);
    }
    {
      await using shot = await open(browser, url, { colorScheme });
      await shot.page.route("**/messages*", (route) => route.fulfill({ status: 503, headers: { "retry-after": "5" } }));
      await shot.page.fill("#text", "Is anybody there?");
      await shot.page.press("#text", "Enter");
      await shot.page.evaluate("dispatchEvent(new Event('online'))");
      await shot.page.waitForSelector("#connection[data-status=reconnecting]");
      await shot.page.waitForTimeout(1200);
      await save(shot.page, `reconnecting-${colorScheme}`);
    }
    {
      await using shot = await open(browser, url, { colorScheme }, "archive");
      await shot.page.hover("#scroller");
      await shot.page.mouse.wheel(0, -1500);
      await shot.page.waitForSelector("#pill");
      await fetch(`${url}/rooms/archive/messages`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ author: "Noor", body: "And one more" }),
      });
      await shot.page.waitForSelector("#pill.news");
      await save(shot.page, `many-${colorScheme}`);
    }
    {
      await using shot = await open(browser, url, { colorScheme });
      const read = (await (await fetch(`${url}/rooms/archive/messages?limit=100`)).json()).at(-1).id;
      await shot.page.evaluate(`localStorage.setItem("linger / read archive", ${JSON.stringify(read)});
        location.hash = "archive"`);
      await shot.page.waitForSelector("#pill.news");
      await save(shot.page, `unread-${colorScheme}`);
      await shot.page.evaluate("void (Storage.prototype.setItem = () => { throw new DOMException('', 'full'); })");
      await shot.page.fill("#text", "A draft that this browser does not keep");
      await shot.page.waitForSelector("#banner.shown");
      await save(shot.page, `banner-${colorScheme}`);
    }
    {
      await using shot = await open(browser, url, { colorScheme });
      await shot.page.route("**/messages*", (route) => route.fulfill({ status: 401 }));
      await shot.page.evaluate("dispatchEvent(new Event('online'))");
      await shot.page.waitForSelector("#banner.shown");
      await save(shot.page, `signed-out-${colorScheme}`);
      await shot.page.evaluate("location.hash = 'orchard'");
      await shot.page.waitForSelector("#gate");
      await save(shot.page, `invitation-${colorScheme}`);
    }
    {
      await using shot = await open(browser, url, { colorScheme });
      await shot.page.click("#find");
      await shot.page.fill("#search input", "the");
      await shot.page.waitForSelector("#search li");
      await save(shot.page, `search-${colorScheme}`);
    }
    {
      await using shot = await open(browser, url, { colorScheme }, `greenhouse-${colorScheme}`);
      await shot.page.fill("#text", "Who waters on Sonday?");
      await shot.page.press("#text", "Enter");
      await shot.page.waitForSelector("#log .own");
      await shot.page.waitForSelector("#waiting:empty", { state: "attached" });
      await shot.page.press("#text", "ArrowUp");
      await shot.page.waitForSelector("#editor");
      await save(shot.page, `editing-${colorScheme}`);
    }
    {
      await using shot = await open(browser, url, { colorScheme, forcedColors: "active" });
      await save(shot.page, `forced-colours-${colorScheme}`);
    }
    {
      const half = { viewport: { width: 470, height: 300 }, deviceScaleFactor: 2 };
      await using shot = await open(browser, url, { colorScheme, ...half });
      await save(shot.page, `zoomed-${colorScheme}`);
    }
  }
}

async function open(
  browser: Browser,
  url: string,
  options: BrowserContextOptions,
  room = "garden",
  name = "Ada",
): Promise<{ page: Page } & AsyncDisposable> {
  const context = await browser.newContext({ viewport: { width: 940, height: 600 }, locale: "en-GB", ...options });
  const page = await context.newPage();
  page.on("pageerror", (error) => console.error(error));
  const read = await Promise.all(
    Object.entries({ ...OTHERS, archive: [] }).map(async ([other]) => {
      const newest = (await (await fetch(`${url}/rooms/${other}/messages?before=now&limit=1`)).json()).at(-1);
      return [other, newest.id];
    }),
  );
  const [first] = await (await fetch(`${url}/rooms/kitchen/messages?limit=1`)).json();
  await page.addInitScript(`localStorage.setItem("linger / name", ${JSON.stringify(name)});
    for (const [room, id] of ${JSON.stringify(read)}) localStorage.setItem("linger / read " + room, id);
    localStorage.setItem("linger / read kitchen", ${JSON.stringify(first.id)})`);
  await page.goto(`${url}/#${room}`);
  await page.waitForSelector("#connection[data-status=live]");
  await page.waitForSelector("#rooms .count", { state: "attached" });
  return { page, [Symbol.asyncDispose]: () => context.close() };
}

/** A long conversation. */
function many(): Line[] {
  const authors = ["Ada", "Noor", "Tomás", "Ines", "Somebody with quite a long name for a chat"];
  const bodies = [
    "Yes",
    "That is how the old pump worked, before the winter of the great freeze, when everything stood still for three weeks and we carried the water by hand.",
    "👍",
    "See https://example.org/a/rather/long/address/that/goes/on/and/on/and/does/not/end/before/the/line/does?and=then&some=more",
    "Two lines\nare better than one",
    "Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!",
  ];
  return Array.from({ length: 400 }, (_, i) => [4000 - i * 9 + i % 7, authors[(i * i + i) % 5]!, bodies[i * 7 % 6]!]);
}

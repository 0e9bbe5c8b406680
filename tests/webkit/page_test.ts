// The page in WebKit, the engine of Safari: what engines do each in their own way. What the page does in any of them is tested by
// the files in tests/web/.
/// <reference lib="dom" />
import { assert, assertEquals, assertLess, assertStringIncludes } from "@std/assert";
import { messages, posted, until } from "../support/client.ts";
import { type Line, writeHistory } from "../support/history.ts";
import { type TestDatabase, testPostgres } from "../support/postgres.ts";
import { type ServerProcess, spawnServer } from "../support/server.ts";
import { KEYS, WebKit, type WebKitVisitor, whyNoWebKit } from "../support/webkit.ts";

const lack = whyNoWebKit();
if (lack) console.log(`Skipped: ${lack}`);

const postgres = await testPostgres();

/** A test with a browser, a server and a database of its own. */
function test(name: string, run: (ada: WebKitVisitor, site: Site) => Promise<void>): void {
  Deno.test({
    name,
    ignore: lack !== undefined,
    async fn() {
      await using database = await postgres.create();
      await using server = await spawnServer(database.url);
      await using webkit = await WebKit.start();
      await using ada = await webkit.open();
      await run(ada, { url: server.url, database, server });
    },
  });
}

interface Site {
  readonly url: string;
  readonly database: TestDatabase;
  readonly server: ServerProcess;
}

/** Opens a room as Ada, and waits until it is live. */
async function enter(visitor: WebKitVisitor, { url }: Site, room: string): Promise<void> {
  await visitor.goto(`${url}/`);
  await visitor.run(() => localStorage.setItem("linger / name", "Ada"));
  await visitor.goto(`${url}/?#${room}`);
  await visitor.run(() => location.reload());
  await live(visitor);
}

function live(visitor: WebKitVisitor): Promise<void> {
  return visitor.until("it is live", () => document.querySelector("#connection[data-status=live]"));
}

/** Says something, and waits until it is among the messages of the room. */
async function say(visitor: WebKitVisitor, text: string): Promise<void> {
  await visitor.type("#text", text + KEYS.enter);
  const isThere = (text: string) =>
    [...document.querySelectorAll("#log .body")].some((body) => body.textContent!.endsWith(text));
  await visitor.until("it is sent", isThere, text);
}

/** Lines of many heights. */
function lines(count: number): Line[] {
  return Array.from(
    { length: count },
    (_, i) => [(count - i) * 11, "Noor", `Message ${i + 1}${" and more of it".repeat(i * i % 37)}`],
  );
}

test("What is said and changed is seen at once, by keyboard", async (ada, site) => {
  await enter(ada, site, "tea");
  await say(ada, "Is there tea?");
  await posted(site, "tea", "There is");
  await ada.sees("Is there tea?", "There is");
  await ada.type("#text", KEYS.up);
  await ada.until("one edits", () => document.activeElement?.id === "edited-text");
  await ada.type("#edited-text", " Please" + KEYS.enter);
  await ada.sees("Is there tea? Please", "There is");
  await until(async () => (await messages(site, "tea", "wait=0"))[0]?.body === "Is there tea? Please", "it is stored");
  await ada.type("#text", KEYS.up);
  await ada.until("one edits", () => document.activeElement?.id === "edited-text");
});

test("The conversation is there, and where it was, when the window becomes wide or narrow", async (ada, site) => {
  await writeHistory(
    site.database.sql,
    "long",
    lines(400),
  );
  await ada.resize(500, 900);
  await enter(ada, site, "long");
  await ada.until("its end is there", () => document.querySelectorAll(".body").length > 20);
  for (let i = 0; i < 8; i++) {
    await ada.run(() => document.getElementById("scroller")!.scrollBy(0, -1_000));
    await settled(ada);
  }
  for (const [width, height] of [[860, 900], [500, 900], [900, 420], [1280, 900]] as const) {
    const before = await first(ada);
    await ada.resize(width, height);
    await ada.until("the window is so wide", (width) => innerWidth === width, width);
    await settled(ada);
    assertLess(Math.abs(await topOf(ada, before.id) - before.top), 2, `at ${width} pixels`);
    // What is blank has next to no colours, and its picture next to no bytes.
    assertLess(20_000, (await ada.picture()).length, `at ${width} pixels`);
  }
});

test("A link to a message leads there, and a room opens where one stopped reading", async (ada, site) => {
  await writeHistory(
    site.database.sql,
    "linked",
    lines(500),
  );
  const all = await messages(site, "linked", "wait=0&limit=500");
  await enter(ada, site, `linked/${all[249]!.id}`);
  const isOnScreen = (selector: string) => {
    const { top, bottom } = document.querySelector(selector)!.getBoundingClientRect();
    return top > 40 && bottom < innerHeight &&
      document.querySelector(selector)!.checkVisibility({ contentVisibilityAuto: true });
  };
  await ada.until("the message is on the screen", isOnScreen, ".found .body");
  assertStringIncludes(await ada.run(() => document.querySelector(".found .body")!.textContent!), "Message 250");

  await ada.goto(`${site.url}/?again#elsewhere`);
  await live(ada);
  await ada.run((id) => localStorage.setItem("linger / read linked", id), all[199]!.id);
  await ada.goto(`${site.url}/?and-again#linked`);
  await ada.until("the line is on the screen", isOnScreen, "#log .unread");
  assertStringIncludes(
    await ada.run(() => document.querySelector("#log .unread + article .body")!.textContent!),
    "Message 201",
  );
});

/** The first message that begins on the screen, as a finger would find it: WebKit has places for what it shows nowhere. */
function first(visitor: WebKitVisitor): Promise<{ id: string; top: number }> {
  return visitor.run(() => {
    const { left, right, top, bottom } = document.getElementById("scroller")!.getBoundingClientRect();
    for (let y = top + 1; y < bottom; y += 4) {
      const row = document.elementFromPoint((left + right) / 2, y)?.closest("article");
      const begins = row ? row.getBoundingClientRect().top - top : -1;
      if (begins >= 0) return { id: row!.dataset.id!, top: begins };
    }
    throw new Error("There is nothing on the screen");
  });
}

/** How far below the top of the screen a message begins, in pixels. */
function topOf(visitor: WebKitVisitor, id: string): Promise<number> {
  return visitor.run((id) => {
    const { top } = document.getElementById("scroller")!.getBoundingClientRect();
    return document.querySelector(`article[data-id="${id}"]`)!.getBoundingClientRect().top - top;
  }, id);
}

/** Resolves when nothing moves any more. */
async function settled(visitor: WebKitVisitor): Promise<void> {
  let before: number | undefined;
  await until(async () => {
    const now = await visitor.run(() => {
      const { scrollTop, scrollHeight } = document.getElementById("scroller")!;
      return scrollTop + scrollHeight;
    });
    const same = now === before;
    before = now;
    await new Promise((resolve) => setTimeout(resolve, 100));
    return same;
  }, "nothing moves");
}

test("Enter that ends a conversion, which WebKit tells after its end, sends nothing", async (ada, site) => {
  await enter(ada, site, "ime");
  await ada.type("#text", "nihon");
  await ada.run(() => {
    const text = document.getElementById("text")!;
    text.dispatchEvent(new CompositionEvent("compositionend", { data: "日本" }));
    text.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", keyCode: 229, bubbles: true, cancelable: true }));
  });
  assertEquals(await ada.run(() => document.querySelector("#waiting")!.children.length), 0);
  const ended = await ada.run(() => performance.now());
  await ada.until("nobody can mean that press any more", (ended) => performance.now() - ended > 100, ended);
  await say(ada, "go");
  assertEquals((await messages(site, "ime", "wait=0")).map(({ body }) => body), ["nihongo"]);
});

test("What is written while the server is away goes out in order and by itself when it is back", async (ada, site) => {
  await enter(ada, site, "away");
  site.server.kill("SIGKILL");
  await site.server.status;
  for (const text of ["One", "Two", "Three"]) await ada.type("#text", text + KEYS.enter);
  await ada.sees("One", "Two", "Three");
  await using _again = await spawnServer(site.database.url, { PORT: new URL(site.url).port });
  await ada.until("all are sent", () => !document.querySelector("#waiting")!.children.length);
  await ada.sees("One", "Two", "Three");
  assertEquals((await messages(site, "away", "wait=0")).map(({ body }) => body), ["One", "Two", "Three"]);
});

test("Two windows see each message once, and poll once", async (ada, site) => {
  await enter(ada, site, "two");
  const first = await ada.another();
  await ada.goto(`${site.url}/?#two`);
  await live(ada);
  await say(ada, "From the second");
  await ada.turnTo(first);
  await ada.sees("From the second");
  await say(ada, "From the first");
  await ada.sees("From the second", "From the first");
  const { waiters } = await (await fetch(`${site.url}/healthz`)).json();
  assert(waiters <= 1);
});

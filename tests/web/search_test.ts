// What was said long ago is found by a word of it, and shown among what was said around it.
/// <reference lib="dom" />
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { Route } from "playwright-core";
import { testSite, visit, type Visitor, webTest } from "../support/browser.ts";
import { get, LISTED_MS, post, posted, until } from "../support/client.ts";
import { type Line, writeHistory } from "../support/history.ts";

const site = await testSite();

const LINES: Line[] = Array.from({ length: 400 }, (_, i) => [
  (400 - i) * 7,
  ["Ada", "Noor"][i % 2]!,
  i === 20
    ? `${"It was a long evening. ".repeat(10)}The Teapot was found in the shed, and nobody said how.`
    : i % 10 === 0
    ? `Message ${i} of the kettle`
    : `Message ${i}`,
]);

webTest("A word from long ago is found, and its message is shown among its neighbours", async () => {
  await writeHistory(site.database.sql, "garden", LINES);
  await using ada = await visit(site, { room: "garden", name: "Ada" });
  const { page } = ada;
  await page.click("#find");
  await page.waitForSelector("#search"); // which comes when it is asked for
  assertEquals(await page.evaluate(() => document.activeElement!.ariaLabel), "Search for");
  await page.keyboard.type("t");
  assertEquals(await page.textContent("#search [role=status]"), "Two letters or more. Capitals don’t matter.");
  await page.keyboard.type("eapot");
  await page.waitForSelector("#search [role=status] >> text=1 message");
  const [found] = await page.$$eval("#search li", (all) => all.map(({ textContent }) => textContent ?? ""));
  assertStringIncludes(found!, "The Teapot was found");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#search", { state: "detached" });
  await ada.until(() => {
    const row = document.querySelector("#log .found")?.getBoundingClientRect();
    const screen = document.getElementById("scroller")!.getBoundingClientRect();
    return row && row.top >= screen.top && row.bottom <= screen.bottom;
  }, 0);
  const bodies = await ada.bodies();
  const at = bodies.findIndex((body) => body.includes("Teapot"));
  assertEquals([bodies[at - 1], bodies[at + 1]], ["Message 19", "Message 21"]);
});

webTest("What is found comes in parts, the newest first, and a new word begins anew", async () => {
  await writeHistory(site.database.sql, "kitchen", LINES);
  await using ada = await visit(site, { room: "kitchen", name: "Ada" });
  const { page } = ada;
  await page.click("#find");
  await page.fill("#search input", "KETTLE");
  await page.waitForSelector("#search [role=status] >> text=The newest 30 messages");
  const shown = () => page.$$eval("#search .excerpt", (all) => all.map(({ textContent }) => textContent));
  const kettles = LINES.map(([, , body]) => body).filter((body) => body.includes("kettle")).reverse();
  assertEquals(await shown(), kettles.slice(0, 30));
  await page.click("#search >> text=Search further");
  await page.waitForSelector(`#search [role=status] >> text="${kettles.length} messages"`);
  assertEquals(await shown(), kettles);
  await page.fill("#search input", "nothing of the kind");
  await page.waitForSelector("#search [role=status] >> text=No message has this text");
  assertEquals(await shown(), []);
  await page.keyboard.press("Escape"); // which empties the field
  await page.keyboard.press("Escape");
  assertEquals(await page.evaluate(() => document.activeElement!.id), "find");
});

webTest(
  "By keyboard one is never nowhere among what is found: neither where it goes on, nor where it changes",
  async () => {
    await writeHistory(site.database.sql, "shed", LINES);
    const key = { "message-key": "a key of these messages" };
    const ids: string[] = [];
    for (const body of ["A first teapot", "A second teapot"]) {
      ids.push((await (await post(site, "shed", { body, author: "Noor" }, key)).json()).id);
    }
    await using ada = await visit(site, { room: "shed", name: "Ada" });
    const { page } = ada;
    const focused = () =>
      page.evaluate(() => document.activeElement!.closest("a")?.querySelector(".excerpt")?.textContent);
    await page.click("#find");
    await page.fill("#search input", "kettle");
    await page.waitForSelector("#search [role=status] >> text=The newest 30 messages");
    const last = await page.$$eval("#search .excerpt", (all) => all.at(-1)!.textContent);
    await page.focus("#search >> text=Search further");
    await page.keyboard.press("Enter");
    await ada.until(() => document.querySelectorAll("#search li").length > 30, 0);
    assertEquals(await focused(), last);

    await page.fill("#search input", "teapot");
    await page.waitForSelector("#search [role=status] >> text=3 messages");
    await page.focus("#search a");
    const headers = { ...key, "content-type": "application/json" };
    const url = `${site.url}/rooms/shed/messages`;
    const edit = { method: "PATCH", headers, body: JSON.stringify({ body: "A blue teapot" }) };
    await (await fetch(`${url}/${ids[1]}`, edit)).body?.cancel();
    await page.waitForSelector("#search >> text=A blue teapot");
    assertEquals(await focused(), "A blue teapot");
    await (await fetch(`${url}/${ids[1]}`, { method: "DELETE", headers: key })).body?.cancel();
    await page.waitForSelector("#search >> text=A blue teapot", { state: "detached" });
    assertEquals(await focused(), "A first teapot");
  },
);

webTest("Where all that is shown was deleted, the search says so, and finds what is older", async () => {
  const room = "lumber-room";
  const key = { "message-key": "a key of these messages" };
  const ids: string[] = [];
  for (let n = 0; n < 31; n++) {
    ids.push((await (await post(site, room, { body: `Lamp ${n}` }, key)).json()).id);
  }
  await using ada = await visit(site, { room, name: "Ada" });
  const { page } = ada;
  await page.click("#find");
  await page.fill("#search input", "lamp");
  await page.waitForSelector("#search [role=status] >> text=The newest 30 messages");
  for (const id of ids.slice(1)) {
    const url = `${site.url}/rooms/${room}/messages/${id}`;
    await (await fetch(url, { method: "DELETE", headers: key })).body?.cancel();
  }
  await page.waitForSelector("#search [role=status] >> text=The messages that were found have been deleted");
  await page.click("#search >> text=Search further");
  await page.waitForSelector("#search >> text=Lamp 0");
  await page.waitForSelector("#search [role=status] >> text=1 message");
});

/**
 * Loads the page anew, and answers in another way whether there is a server, and what the search is; gives the methods of what is asked so.
 * From before the page is there: once it rests it loads the search, too.
 */
async function holdSearch(visitor: Visitor, answer: (route: Route) => Promise<void>): Promise<string[]> {
  const asked: string[] = [];
  await visitor.page.route(/\/web\//, (route) => {
    const request = route.request();
    if (request.method() === "GET" && !request.url().endsWith("/search.js")) return route.continue();
    asked.push(request.method());
    return answer(route);
  });
  await visitor.page.reload();
  await visitor.is("live");
  return asked;
}

webTest("The window closes with its room, and is there once however often it was asked for", async () => {
  await posted(site, "hall", "Here");
  await using ada = await visit(site, { room: "porch", name: "Ada", badNetwork: true });
  const { page } = ada;
  const asked = await holdSearch(ada, (route) => route.abort());
  await page.evaluate(() => location.hash = "hall");
  await ada.sees("Here");
  for (let i = 0; i < 3; i++) await page.click("#find");
  await page.waitForTimeout(3_000); // longer than it takes until it is tried again
  assertEquals(new Set(asked), new Set(["HEAD"])); // a module that could not be had once is never had in Firefox
  await page.unrouteAll();
  await page.waitForSelector("#search");
  await page.waitForTimeout(3_000);
  assertEquals(await page.locator("dialog").count(), 1);
  await page.evaluate(() => history.back());
  await page.waitForSelector("#search", { state: "detached" });
  await ada.until(() => document.querySelector("h1")!.textContent === "porch", 0);
});

webTest("A page to log in that comes in the place of a part of the page is not taken for it", async () => {
  await using ada = await visit(site, { room: "logged-out", name: "Ada" });
  const { page } = ada;
  const asked = await holdSearch(ada, (route) => route.fulfill({ contentType: "text/html", body: "<h1>Log in" }));
  await page.click("#find");
  await until(() => asked.length > 1, "it is tried again");
  assertEquals(new Set(asked), new Set(["HEAD"])); // a module that could not be had once is never had in Firefox
  await page.unrouteAll();
  await page.waitForSelector("#search");
});

webTest("What has been open once opens at once, though the server is away", async () => {
  await using ada = await visit(site, { room: "yard", name: "Ada", badNetwork: true });
  const { page } = ada;
  const windows = [["#find", "#search"], ["#all-rooms", "#all"]] as const;
  const open = async ([button, window]: typeof windows[number]) => {
    await page.click(button);
    await page.waitForSelector(window);
    await page.keyboard.press("Escape");
    await page.waitForSelector(window, { state: "detached" });
  };
  for (const each of windows) await open(each);
  await page.route("**/*", (route) => route.abort());
  for (const each of windows) await open(each);
  await page.unrouteAll();
});

webTest("A window closes by a click beside it, and by none that was for it or has opened it", async () => {
  await posted(site, "pantry", "A teapot");
  await using ada = await visit(site, { room: "pantry", name: "Ada" });
  const { page } = ada;
  await page.click("#find");
  await page.waitForSelector("#search");
  await page.keyboard.press("Escape");
  await page.waitForSelector("#search", { state: "detached" });
  await page.dblclick("#find"); // it opens by the first
  await page.waitForSelector("#search");
  await page.fill("#search input", "teapot");
  await page.waitForSelector("#search li");
  const found = () => page.locator("#search li").count();
  const [window, field] = await page.evaluate(() =>
    ["#search", "#search input"].map((part) => {
      const { left, top, height } = document.querySelector(part)!.getBoundingClientRect();
      return { left, middle: top + height / 2 };
    })
  );
  const inPadding = [window!.left + 5, window!.middle] as const;
  const inField = [field!.left + 30, field!.middle] as const;
  const beside = [window!.left - 50, window!.middle] as const;
  await page.mouse.click(...inPadding);
  assertEquals(await found(), 1);
  for (const [from, to] of [[inField, beside], [beside, inField]] as const) {
    await page.mouse.move(...from);
    await page.mouse.down();
    await page.mouse.move(...to);
    await page.mouse.up();
    assertEquals([from, await found()], [from, 1]);
  }
  await page.mouse.click(...beside);
  await page.waitForSelector("#search", { state: "detached" });
});

webTest("A window that comes late opens over nobody who has gone on to write", async () => {
  await using ada = await visit(site, { room: "late", name: "Ada", badNetwork: true });
  const { page } = ada;
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  const { promise: there, resolve: come } = Promise.withResolvers<void>();
  await page.route(/\/web\/(all-rooms|search)\.js/, async (route) => {
    ask();
    await there;
    await route.continue();
  });
  await page.reload(); // once the page rests it loads them, too
  await ada.is("live");
  for (const button of ["#find", "#all-rooms"]) await page.click(button);
  await asked;
  await page.click("#text");
  await page.keyboard.type("Hello");
  come();
  await page.waitForTimeout(1_000);
  assertEquals(await page.locator("dialog").count(), 0);
  await page.keyboard.type(" there");
  assertEquals(await page.inputValue("#text"), "Hello there");
  await page.click("#find");
  await page.waitForSelector("#search");
});

webTest("Keys of an input method belong to it, in the windows and before they are open", async () => {
  await posted(site, "converting", "Here");
  // The server looks which rooms there are only now and then.
  await until(async () => (await get<unknown[]>(site, "/rooms")).json.length > 0, "it is listed", LISTED_MS);
  await using ada = await visit(site, { room: "converting", name: "Ada" });
  const { page } = ada;
  const press = (selector: string, init: { key: string; keyCode?: number; isComposing?: boolean }) =>
    page.$eval(selector, (node, init) => {
      node.dispatchEvent(new KeyboardEvent("keydown", { bubbles: true, cancelable: true, ...init }));
    }, init);
  await page.hover("#log .body");
  await page.click("#actions [aria-label=Reply]");
  await press("#text", { key: "Escape", keyCode: 229 }); // as Safari has it
  assertEquals(await page.isVisible("#replying"), true);
  await page.click("#find");
  await page.fill("#search input", "He");
  await page.waitForSelector("#search li");
  await press("#search input", { key: "ArrowDown", isComposing: true });
  assertEquals(await page.evaluate(() => document.activeElement?.localName), "input");
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  await page.click("#all-rooms");
  await page.waitForSelector("#all a");
  await press("#all input", { key: "Enter", isComposing: true });
  assertEquals(await page.locator("#all").count(), 1);
});

webTest("However long a room's name is, the window has all of it and its button in sight", async () => {
  const room = "a".repeat(64);
  await using ada = await visit(site, { room, name: "Ada", viewport: { width: 390, height: 700 } });
  const { page } = ada;
  await page.click("#find");
  await page.waitForSelector("#search");
  const [window, close, title] = await page.evaluate(() =>
    ["#search", "#search header button", "#search h2"].map((part) => {
      const node = document.querySelector(part)!;
      return { ...node.getBoundingClientRect().toJSON(), reaches: node.scrollWidth - node.clientWidth };
    })
  );
  assertEquals([window.reaches, title.reaches, window.width < 390], [0, 0, true]);
  assert(title.right <= close.left && close.right < window.right);
});

webTest("What others wrote is text here too", async () => {
  await posted(site, "attic", `<img src=x onerror="globalThis.caught = 1"> & teapot`);
  await using ada = await visit(site, { room: "attic", name: "Ada" });
  await ada.page.click("#find");
  await ada.page.fill("#search input", "teapot");
  await ada.page.waitForSelector("#search li");
  assertStringIncludes((await ada.page.textContent("#search .excerpt"))!, "<img src=x");
  assert(await ada.page.evaluate(() => !("caught" in globalThis)));
});

webTest("Of what is found no character is cut in two", async () => {
  await posted(site, "porcelain", `${"🙂".repeat(40)}-teapot-${"🙂".repeat(100)}`);
  await using ada = await visit(site, { room: "porcelain", name: "Ada" });
  await ada.page.click("#find");
  await ada.page.fill("#search input", "teapot");
  await ada.page.waitForSelector("#search li");
  assertEquals(
    await ada.page.textContent("#search .excerpt"),
    `…${"🙂".repeat(30)}-teapot-${"🙂".repeat(86)}`,
  );
});

webTest("Who searches while the server is away is told so, and finds it once that is back", async () => {
  await posted(site, "porch", "A teapot");
  await using ada = await visit(site, { room: "porch", name: "Ada", badNetwork: true });
  const { page } = ada;
  await page.route(/[?&]q=/, (route) => route.abort());
  await page.click("#find");
  await page.fill("#search input", "teapot");
  await page.waitForSelector("#search [role=status] >> text=The server could not be reached.");
  await page.unroute(/[?&]q=/);
  await page.waitForSelector('#search [role=status] >> text="1 message"');
});

webTest("What is found is shown as it is now: edited words, and no more what was deleted", async () => {
  const key = { "message-key": "a key of these messages" };
  const ids: string[] = [];
  for (const body of ["A first teapot", "A second teapot"]) {
    ids.push((await (await post(site, "cellar", { body, author: "Noor" }, key)).json()).id);
  }
  await using ada = await visit(site, { room: "cellar", name: "Ada" });
  const { page } = ada;
  await page.click("#find");
  await page.fill("#search input", "teapot");
  await page.waitForSelector("#search [role=status] >> text=2 messages");
  const headers = { ...key, "content-type": "application/json" };
  const url = `${site.url}/rooms/cellar/messages`;
  const edit = { method: "PATCH", headers, body: JSON.stringify({ body: "A blue teapot" }) };
  await (await fetch(`${url}/${ids[0]}`, edit)).body?.cancel();
  await (await fetch(`${url}/${ids[1]}`, { method: "DELETE", headers: key })).body?.cancel();
  await ada.until(() => {
    const found = [...document.querySelectorAll("#search .excerpt")].map(({ textContent }) => textContent);
    return found.join() === "A blue teapot";
  }, 0);
  assertEquals(await page.textContent("#search [role=status]"), "1 message");
  await (await fetch(`${url}/${ids[0]}`, { method: "DELETE", headers: key })).body?.cancel();
  await page.waitForSelector("#search li", { state: "detached" });
  assertEquals(await page.textContent("#search [role=status]"), "No message has this text");
});

webTest("What is deleted while one searches further is counted no more, and the search goes on", async () => {
  await writeHistory(site.database.sql, "cupboard", LINES);
  const key = { "message-key": "a key of this message" };
  const { id } = await (await post(site, "cupboard", { body: "The last kettle", author: "Noor" }, key)).json();
  await using ada = await visit(site, { room: "cupboard", name: "Ada" });
  const { page } = ada;
  await page.click("#find");
  await page.fill("#search input", "kettle");
  await page.waitForSelector("#search [role=status] >> text=The newest 30 messages");
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  await page.route(/[?&]q=/, async (route) => {
    await released;
    await route.continue();
  });
  await page.click("#search >> text=Search further");
  await (await fetch(`${site.url}/rooms/cupboard/messages/${id}`, { method: "DELETE", headers: key })).body?.cancel();
  await page.waitForSelector(`#search [data-id="${id}"]`, { state: "detached" });
  assertEquals(await page.textContent("#search [role=status]"), "Searching…");
  release();
  const left = LINES.filter(([, , body]) => body.includes("kettle")).length;
  await page.waitForSelector(`#search [role=status] >> text="${left} messages"`);
});

webTest("What is edited or deleted while it is on its way to who searches is shown as it is", async () => {
  const key = { "message-key": "a key of these messages" };
  const ids: string[] = [];
  for (const body of ["A first teapot", "A second teapot"]) {
    ids.push((await (await post(site, "loft", { body, author: "Noor" }, key)).json()).id);
  }
  await using ada = await visit(site, { room: "loft", name: "Ada" });
  const { page } = ada;
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  await page.route(/[?&]q=/, async (route) => {
    const response = await route.fetch();
    ask();
    await released;
    await route.fulfill({ response });
  });
  await page.click("#find");
  await page.fill("#search input", "teapot");
  await asked;
  const headers = { ...key, "content-type": "application/json" };
  const url = `${site.url}/rooms/loft/messages`;
  const edit = { method: "PATCH", headers, body: JSON.stringify({ body: "A blue teapot" }) };
  await (await fetch(`${url}/${ids[0]}`, edit)).body?.cancel();
  await (await fetch(`${url}/${ids[1]}`, { method: "DELETE", headers: key })).body?.cancel();
  await ada.sees("A blue teapot"); // so it has heard of both
  release();
  await page.waitForSelector("#search [role=status] >> text=1 message");
  const found = await page.$$eval("#search .excerpt", (all) => all.map(({ textContent }) => textContent));
  assertEquals(found, ["A blue teapot"]);
});

webTest("What is needed only after the server was updated is still of the version that the page is of", async () => {
  await using ada = await visit(site, { room: "updated", name: "Ada" });
  const { page } = ada;
  const last = page.waitForResponse("**/web/notifications.js");
  await page.reload();
  await (await last).finished();
  await page.route("**/web/*.js", (route) => route.fulfill({ contentType: "text/javascript", body: "export {};" }));
  await page.click("#find");
  await page.waitForSelector("#search");
});

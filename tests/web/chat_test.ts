// People chat in real browsers while servers die and networks fail: everybody sees every message once.
import { assertEquals } from "@std/assert";
import type { Page, Route } from "playwright-core";
import { launchBrowser, testSite, visit, webTest } from "../support/browser.ts";
import { messages, post, posted } from "../support/client.ts";
import { freePort } from "../support/postgres.ts";
import { spawnServer } from "../support/server.ts";
import { Proxy } from "../torture/proxy.ts";

const site = await testSite();

/** A post, without the polls of the same path. */
const POSTS = /\/messages$/;

/** The server has each post, and the follow brings its message, while the answer is on its way until what is returned is called. */
async function holdAnswers(page: Page): Promise<() => void> {
  const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
  await page.route(POSTS, async (route) => {
    const response = await route.fetch();
    await answered;
    await route.fulfill({ response });
  });
  return answer;
}

webTest("Two windows chat, and a third that comes late reads back", async () => {
  await using ada = await visit(site, { room: "garden", name: "Ada" });
  await using noor = await visit(site, { room: "garden", name: "Noor" });
  await ada.say("Hello");
  await noor.sees("Hello");
  await noor.say("Hello, Ada");
  await ada.say("How are you?\nAnd the peas?");
  const all = ["Hello", "Hello, Ada", "How are you?\nAnd the peas?"];
  await ada.until((count) => document.querySelectorAll("#log .body").length === count, all.length);
  const stored = (await messages(site, "garden", "wait=0")).map(({ body }) => body);
  assertEquals(stored.toSorted(), all.toSorted());
  await ada.sees(...stored);
  await noor.sees(...stored);
  await using late = await visit(site, { room: "garden", name: "Late" });
  await late.sees(...stored);
  assertEquals(await late.page.$$eval(".author", (authors) => authors.map((author) => author.textContent)), [
    ...(await messages(site, "garden", "wait=0")).map(({ author }) => author),
  ]);
});

webTest("Somebody new is asked for a name once, and can change it", async () => {
  await using visitor = await visit(site, { room: "names" });
  const { page } = visitor;
  assertEquals(await page.isVisible("#text"), false);
  await page.fill("#name", "  Ada ");
  await page.press("#name", "Enter");
  await visitor.say("It is me");
  await visitor.settles();
  await page.reload();
  await visitor.is("live");
  assertEquals(await page.isVisible("#name"), false);
  await page.click("#rename");
  await page.fill("#name", "Augusta");
  await page.press("#name", "Enter");
  await visitor.is("live");
  await visitor.say("Still me");
  await visitor.settles();
  assertEquals((await messages(site, "names", "wait=0")).map(({ author }) => author), ["Ada", "Augusta"]);
});

webTest("Who takes a name that somebody has written under is told so once, and can take another", async () => {
  await post(site, "taken", { body: "It is me", author: "Zoe" });
  await using visitor = await visit(site, { room: "taken" });
  const { page } = visitor;
  await visitor.sees("It is me");
  const take = async (name: string) => {
    await page.fill("#name", name);
    await page.press("#name", "Enter");
  };
  await take("Zoe");
  await page.waitForSelector("#banner.shown [role=status] >> text=Somebody has written here as “Zoe” before.");
  await page.press("#banner-button", "Enter");
  assertEquals(await page.evaluate(() => document.activeElement!.id), "name");
  await take("Noor");
  assertEquals(await page.isVisible("#banner-close"), false);
  await page.click("#rename");
  await take("Zoe"); // which one had before in this browser
  await page.waitForSelector("#log .own");
  assertEquals(await page.isVisible("#banner-close"), false);
});

webTest("A message is there at once, dimmed until it is confirmed, and never there twice", async () => {
  await using ada = await visit(site, { room: "once", name: "Ada" });
  const answer = await holdAnswers(ada.page);
  await ada.page.evaluate(() => {
    const seen = Object.assign(globalThis, { most: 0, dimmed: false });
    new MutationObserver(() => {
      seen.most = Math.max(seen.most, document.querySelectorAll(".body").length);
      seen.dimmed ||= document.querySelector(".sending") !== null;
    }).observe(document.getElementById("scroller")!, { subtree: true, childList: true });
  });
  await ada.say("Only once");
  await ada.page.waitForSelector("#log .body");
  await ada.settles();
  answer();
  await ada.until(() => Object.keys(localStorage).every((key) => !key.includes("unsent")), 0);
  await ada.sees("Only once");
  const seen = await ada.page.evaluate(() => {
    const { most, dimmed } = globalThis as unknown as { most: number; dimmed: boolean };
    return { most, dimmed };
  });
  assertEquals(seen, { most: 1, dimmed: true });
}, { notInFirefox: "its driver does not tell what a page posts, which so can't be sent on" });

webTest("Two equal messages are two, also while their answers are on their way", async () => {
  await using ada = await visit(site, { room: "equal", name: "Ada" });
  const answer = await holdAnswers(ada.page);
  await ada.say("Yes");
  await ada.say("Yes");
  // Somebody else of that name says the same.
  await post(site, "equal", { body: "Yes", author: "Ada" });
  answer();
  await ada.sees("Yes", "Yes", "Yes");
  await ada.settles();
  assertEquals((await messages(site, "equal", "wait=0")).length, 3);
}, { notInFirefox: "its driver does not tell what a page posts, which so can't be sent on" });

webTest("A post whose answer is lost is sent again with its key, and is one message", async () => {
  await using ada = await visit(site, { room: "lost", name: "Ada", badNetwork: true });
  const keys: (string | undefined)[] = [];
  await ada.page.route(POSTS, async (route) => {
    keys.push(route.request().headers()["idempotency-key"]);
    const response = await route.fetch();
    if (keys.length === 1) await route.abort();
    else await route.fulfill({ response });
  });
  await ada.say("Did you get this?");
  await ada.until(() => Object.keys(localStorage).every((key) => !key.includes("unsent")), 0);
  await ada.sees("Did you get this?");
  assertEquals([keys.length, new Set(keys).size], [2, 1]);
  assertEquals((await messages(site, "lost", "wait=0")).length, 1);
}, { notInFirefox: "its driver does not tell what a page posts, which so can't be sent on" });

webTest("A message that is refused says why; Retry sends it with the same key, Delete forgets it", async () => {
  await using ada = await visit(site, { room: "refused", name: "Ada", badNetwork: true });
  const keys: (string | undefined)[] = [];
  let open = false;
  await ada.page.route(POSTS, async (route) => {
    keys.push(route.request().headers()["idempotency-key"]);
    if (open) return await route.continue();
    const problem = {
      type: "urn:linger:problem:invalid-request",
      title: "",
      status: 400,
      detail: "The room is closed",
    };
    await route.fulfill({ status: 400, contentType: "application/problem+json", body: JSON.stringify(problem) });
  });
  await ada.say("One");
  await ada.say("Two");
  await ada.page.waitForSelector(".failed >> nth=1");
  assertEquals(await ada.page.textContent(".failed .fate span"), "Not sent. The room is closed ");
  await ada.page.reload(); // and it does not go away by itself
  await ada.page.click(".failed >> nth=1 >> text=Delete");
  await ada.sees("One");
  open = true;
  await ada.page.click(".failed >> text=Retry");
  await ada.settles();
  await ada.sees("One");
  assertEquals((await messages(site, "refused", "wait=0")).map(({ body }) => body), ["One"]);
  assertEquals([keys.length, keys[2]], [3, keys[0]]);
});

webTest("A server that has had too many posts is obeyed, and the page says that this is the reason", async () => {
  await using ada = await visit(site, { room: "limited", name: "Ada", badNetwork: true });
  const problem = {
    type: "urn:linger:problem:too-many-requests",
    title: "",
    status: 429,
    detail: "This client posts too much",
  };
  const limited = (route: Route) =>
    route.fulfill({
      status: 429,
      headers: { "retry-after": "60" },
      contentType: "application/problem+json",
      body: JSON.stringify(problem),
    });
  await ada.page.route(POSTS, limited);
  await ada.say("One");
  await ada.page.waitForSelector(".failed", { timeout: 60_000 });
  assertEquals(
    await ada.page.textContent(".failed .fate span"),
    "Not sent yet. Trying again. This client posts too much ",
  );
  await ada.page.unroute(POSTS);
  await ada.page.click(".failed >> text=Retry");
  await ada.settles();
  assertEquals((await messages(site, "limited", "wait=0")).map(({ body }) => body), ["One"]);

  const POLLS = "**/rooms/limited/messages?*";
  await ada.page.route(POLLS, limited);
  await posted(site, "limited", "Two"); // ends the poll that waits
  await ada.page.waitForSelector("#connection-said >> text=Asked too often");
  await ada.page.unroute(POLLS);
});

webTest("What was on its way when the page was closed is sent by the next, once", async () => {
  await using ada = await visit(site, { room: "closed", name: "Ada", badNetwork: true });
  const { promise: lost, resolve: lose } = Promise.withResolvers<void>();
  let tries = 0;
  await ada.page.route(POSTS, async (route) => {
    if (tries++ > 0) return; // still on its way when the page is closed
    await route.fetch(); // stored, and nobody learns it
    await route.abort();
    lose();
  });
  await ada.say("Before the page is closed");
  await ada.page.waitForSelector("#log .body");
  await lost; // the message can be there before
  await ada.page.unroute(POSTS);
  await ada.page.reload();
  await ada.until(() => Object.keys(localStorage).every((key) => !key.includes("unsent")), 0);
  await ada.sees("Before the page is closed");
  assertEquals((await messages(site, "closed", "wait=0")).length, 1);
}, { notInFirefox: "its driver does not tell what a page posts, which so can't be sent on" });

webTest(
  "Offline the page says so and keeps what is written; online everything goes out, and what was missed comes",
  async () => {
    // The browser's own switch lets the requests go on that are under way; the proxy cuts them.
    await using proxy = new Proxy(() => Number(new URL(site.url).port));
    const there = { browser: site.browser, url: `http://127.0.0.1:${proxy.port}` };
    await using ada = await visit(there, { room: "tunnel", name: "Ada", badNetwork: true });
    await ada.say("Into the tunnel");
    await ada.settles();
    await ada.context.setOffline(true);
    proxy.weather = "refuse";
    await ada.is("offline");
    await ada.say("In the tunnel");
    await posted(site, "tunnel", "Outside");
    await ada.sees("Into the tunnel", "In the tunnel");
    proxy.weather = "pass";
    await ada.context.setOffline(false);
    await ada.is("live");
    await ada.settles();
    await ada.sees(...(await messages(site, "tunnel", "wait=0")).map(({ body }) => body));
    assertEquals((await ada.bodies()).toSorted(), ["In the tunnel", "Into the tunnel", "Outside"]);
  },
);

webTest("Who opens a room while the server is away is told so, and is in it once that is back", async () => {
  await posted(site, "cave", "Inside");
  await using ada = await visit(site, { room: "garden", name: "Ada", badNetwork: true });
  const { page } = ada;
  const open = async (room: string) => {
    await page.evaluate((room) => location.hash = room, room);
    await ada.until((room) => document.querySelector("h1")!.textContent === room, room);
  };
  const HISTORY = /\/messages\?before=now/;
  await page.route(HISTORY, (route) => route.fulfill({ status: 503 }));
  await open("cave");
  await ada.is("reconnecting");
  await page.evaluate(() => {
    Object.defineProperty(navigator, "onLine", { value: false, configurable: true });
  });
  await open("grotto");
  await ada.is("offline");
  await page.evaluate(() => Reflect.deleteProperty(navigator, "onLine"));
  await page.unroute(HISTORY);
  await open("cave");
  await ada.is("live");
  await ada.sees("Inside");
});

webTest("The server is killed in the middle and comes back: all go on, nothing is lost, nothing doubled", async () => {
  const port = `${freePort()}`;
  const first = await spawnServer(site.database.url, { PORT: port });
  const there = { browser: site.browser, url: first.url };
  await using ada = await visit(there, { room: "restart", name: "Ada", badNetwork: true });
  await using noor = await visit(there, { room: "restart", name: "Noor", badNetwork: true });
  await ada.say("Before");
  await noor.sees("Before");
  first.kill("SIGKILL");
  await first[Symbol.asyncDispose]();
  await ada.say("While it is away, Ada");
  await noor.say("While it is away, Noor");
  await ada.is("reconnecting");
  await ada.until(() => document.getElementById("connection-seen")!.textContent!.startsWith("Reconnecting"), 0);
  await using _second = await spawnServer(site.database.url, { PORT: port });
  await ada.is("live");
  await noor.is("live");
  await ada.settles();
  await noor.settles();
  const stored = (await messages(site, "restart", "wait=0")).map(({ body }) => body);
  assertEquals(stored.toSorted(), ["Before", "While it is away, Ada", "While it is away, Noor"]);
  await ada.sees(...stored);
  await noor.sees(...stored);
});

webTest("Without Chromium the tests say what to do", async () => {
  const path = Deno.env.get("PATH")!;
  Deno.env.set("PATH", "/nowhere");
  try {
    const error = await launchBrowser().then(() => undefined, (error) => error);
    assertEquals(/apt-get install (chromium|firefox-esr)/.test(`${error}`), true);
  } finally {
    Deno.env.set("PATH", path);
  }
});

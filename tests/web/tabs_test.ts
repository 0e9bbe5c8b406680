// Many tabs of one person, over HTTP/1.1 and its six connections: all work, and in one room they cost what one costs.
/// <reference lib="dom" />
import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import type { Page, Request } from "playwright-core";
import { comeBack, putAside, refuse, testSite, visit, Visitor, webTest } from "../support/browser.ts";
import { LISTED_MS, messages, post, posted, until } from "../support/client.ts";
import { runCommand } from "../support/command.ts";
import { type Line, writeHistory } from "../support/history.ts";

const site = await testSite();

/** Another tab of the same person. */
async function tab({ context }: Visitor, room: string, live = true): Promise<Visitor> {
  const other = new Visitor(context, await context.newPage(), {});
  await other.page.goto(`${site.url}/#${room}`, { waitUntil: "commit" });
  if (live) await other.is("live");
  return other;
}

/** The polls that wait at the server, of all tabs, and the most that there were at a time. */
class WaitingPolls {
  readonly now = new Set<Request>();
  /** All that were ever asked. */
  asked: string[] = [];
  most = 0;

  constructor({ context }: Visitor) {
    context.on("request", (request) => {
      this.asked.push(request.url());
      if (!/[?&]wait=[1-9]/.test(request.url())) return;
      this.now.add(request);
      this.most = Math.max(this.most, this.now.size);
    });
    for (const event of ["requestfinished", "requestfailed"] as const) {
      context.on(event as "requestfinished", (request) => void this.now.delete(request));
    }
  }

  /** The tab whose poll waits in a room. */
  pageIn(room: string): Page | undefined {
    return [...this.now].find((request) => request.url().includes(`/rooms/${room}/`))?.frame().page();
  }
}

webTest("Ten tabs in ten rooms all load, post and are told, and their polls leave connections free", async () => {
  await using first = await visit(site, { room: "ten-0", name: "Ada" });
  const waiting = new WaitingPolls(first);
  const tabs = [first];
  while (tabs.length < 10) tabs.push(await tab(first, `ten-${tabs.length}`));
  for (const [i, one] of tabs.entries()) await one.say(`From tab ${i}`);
  for (const one of tabs) await one.settles();
  for (const i of tabs.keys()) {
    assertEquals((await messages(site, `ten-${i}`, "wait=0")).map(({ body }) => body), [`From tab ${i}`]);
    await posted(site, `ten-${i}`, "From elsewhere");
  }
  for (const [i, one] of tabs.entries()) await one.sees(`From tab ${i}`, "From elsewhere");
  assertLessOrEqual(waiting.most, 5); // three, and those of windows that are too busy to see that others wait for them
});

webTest("Tabs of two servers under one host leave connections free, too", async () => {
  const gone = () => new Response(null, { status: 502 }); // a client that left
  const proxy = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {}, onError: gone }, (request) => {
    const { pathname, search } = new URL(request.url);
    const { method, headers, body, signal } = request;
    return fetch(site.url + pathname.replace(/^\/(one|two)/, "") + search, { method, headers, body, signal });
  });
  {
    const url = `http://127.0.0.1:${proxy.addr.port}`;
    await using first = await visit({ browser: site.browser, url: `${url}/one` }, { room: "host-0", name: "Ada" });
    const waiting = new WaitingPolls(first);
    await posted(site, "host-0", "Before"); // the first poll began before a test could listen
    const tabs = [first];
    while (tabs.length < 6) {
      const other = new Visitor(first.context, await first.context.newPage(), {});
      await other.page.goto(`${url}/${tabs.length % 2 ? "two" : "one"}/#host-${tabs.length}`, { waitUntil: "commit" });
      await other.is("live");
      tabs.push(other);
    }
    for (const [i, one] of tabs.entries()) {
      await posted(site, `host-${i}`, "From elsewhere");
      await one.sees(...i === 0 ? ["Before"] : [], "From elsewhere");
    }
    assertLessOrEqual(waiting.most, 5); // three, and those of windows that are too busy to see that others wait for them
  }
  await proxy.shutdown();
});

webTest("Where nothing can be stored only the tab that has the focus lets the server wait", async () => {
  const full = 'Storage.prototype.setItem = () => { throw new DOMException("", "QuotaExceededError"); }';
  for (const without of [full, "delete globalThis.localStorage"]) {
    const context = await site.browser.newContext();
    await context.addInitScript(without);
    const tabs: Visitor[] = [];
    let waiting: WaitingPolls | undefined;
    while (tabs.length < 4) {
      const one = new Visitor(context, await context.newPage(), {});
      waiting ??= new WaitingPolls(one);
      // For the browser under test each tab has the focus, which in a real one only one has.
      if (tabs.length > 0) await one.page.addInitScript("document.hasFocus = () => false");
      await one.page.goto(`${site.url}/#unseen-${tabs.length}`);
      await one.is("live");
      tabs.push(one);
    }
    const body = without === full ? "Full" : "Forbidden";
    for (const i of tabs.keys()) await posted(site, `unseen-${i}`, body);
    for (const { page } of tabs) await page.waitForSelector(`#log >> text=${body}`);
    assertEquals(waiting!.most, 1);
    await tabs[0]![Symbol.asyncDispose]();
  }
});

webTest("Ten tabs in one room ask as often as one, and each sees every message once", async () => {
  await posted(site, "two", "Old");
  await using first = await visit(site, { room: "two", name: "Ada" });
  await first.until(() => localStorage.getItem("linger / read two") !== null, 0);
  const waiting = new WaitingPolls(first);
  await first.page.evaluate(() => location.hash = "one");
  await first.until(() => document.querySelector("h1")!.textContent === "one", 0);
  await first.is("live");
  const tabs = [first];
  while (tabs.length < 10) tabs.push(await tab(first, "one"));
  const bodies = ["Before"];
  await posted(site, "one", "Before"); // the first poll began before a test could listen
  for (const one of tabs) await one.sees(...bodies);
  await until(async () => await Promise.resolve(waiting.now.size === 1), "one tab polls for all");
  waiting.asked = [];
  const begun = Date.now();
  for (let i = 0; i < 20; i++) {
    await posted(site, "one", `Number ${i}`);
    bodies.push(`Number ${i}`);
    for (const one of tabs) await one.sees(...bodies);
  }
  await post(site, "two", { body: "Ada?", author: "Noor" });
  for (const { page } of tabs) {
    await page.waitForSelector(`#rooms a[href="#two"] .count >> text=@ 1`, { timeout: LISTED_MS });
  }
  const elapsed = Date.now() - begun;
  // Each has its own parts of the page, some of which come later.
  const urls = waiting.asked.map((url) => new URL(url)).filter(({ pathname }) => !pathname.startsWith("/web/"));
  const asked = Object.groupBy(urls, ({ pathname }) => pathname);
  const { "/rooms/one/messages": polls = [], "/rooms/two/messages": glances = [], "/rooms": lists = [], ...others } =
    asked;
  const alone = polls.filter(({ searchParams }) => searchParams.get("wait") === "0");
  assertLessOrEqual(polls.length - alone.length, 21 + elapsed / 50_000); // one for each message, and for each time that is up
  // Of ten windows that each asked for themselves there would be 180, ten, and more than three in a second.
  assertLessOrEqual(alone.length, 9 + elapsed / 1_000); // by windows that are too busy to see the answer that another has got
  assertLessOrEqual(glances.length, 3 + elapsed / 10_000); // one, and those of windows that are too busy to see that another does it
  assertLessOrEqual(lists.length, elapsed / 1_000 + 9);
  assertEquals(others, {});
  await tabs[7]!.say("Mine");
  for (const one of tabs) {
    await one.sees(...bodies, "Mine");
    await one.settles();
  }
  assertEquals((await messages(site, "one", "wait=0")).length, 22);
});

webTest("When the tab that polls for all is closed, or crashes, the others go on", async () => {
  await using first = await visit(site, { room: "heirs", name: "Ada" });
  const waiting = new WaitingPolls(first);
  let tabs = [first];
  while (tabs.length < 4) tabs.push(await tab(first, "heirs"));
  const bodies = ["Before"];
  await posted(site, "heirs", "Before"); // the first poll began before a test could listen
  for (const one of tabs) await one.sees(...bodies);
  for (const end of ["close", "crash"]) {
    await until(async () => await Promise.resolve(waiting.pageIn("heirs") !== undefined), "one tab polls");
    const page = waiting.pageIn("heirs")!;
    const crashed = new Set<Page>([page]);
    for (const { page } of tabs) page.on("crash", (page) => crashed.add(page));
    if (end === "close") await page.close();
    else {
      const session = await first.context.newCDPSession(page);
      const crash = page.waitForEvent("crash");
      session.send("Page.crash").catch(() => {});
      await crash;
    }
    waiting.now.clear();
    bodies.push(`After the ${end}`);
    await posted(site, "heirs", bodies.at(-1)!);
    tabs = tabs.filter(({ page }) => !crashed.has(page));
    assert(tabs.length > 0);
    for (const one of tabs) await one.sees(...bodies);
    await tabs[0]!.say(`By one that is left after the ${end}`);
    bodies.push(`By one that is left after the ${end}`);
    for (const one of tabs) await one.sees(...bodies);
    for (const one of tabs) await one.settles();
  }
  assertEquals((await messages(site, "heirs", "wait=0")).map(({ body }) => body), bodies);
}, { notInFirefox: "only Chromium can be told to freeze or to crash" });

webTest("A tab that takes the poll over late has the server wait only for the rest of its own time", async () => {
  await using first = await visit(site, { room: "late", name: "Ada" });
  const second = new Visitor(first.context, await first.context.newPage(), {});
  await second.page.clock.install();
  await second.page.goto(`${site.url}/#late`);
  await second.is("live");
  const waits: number[] = [];
  second.page.on("request", (request) => {
    const wait = Number(new URL(request.url()).searchParams.get("wait"));
    if (wait > 0) waits.push(wait);
  });
  await until(async () => { // again where it had not yet begun to look at the first tab
    if (waits.length === 0) await second.page.clock.fastForward(30_000); // by which it has not seen the first tab for so long
    for (let tries = 0; waits.length === 0 && tries < 50; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return waits.length > 0;
  }, "the second tab polls");
  assertLessOrEqual(waits[0]!, 20);
  await posted(site, "late", "Not too late");
  for (const one of [first, second]) await one.sees("Not too late");
}, { notInFirefox: "windows of Firefox without a screen have no mouse, and focus is with one of them" });

webTest("Where an empty answer leads the tab on that polls for all, the others go on to wait for it", async () => {
  await posted(site, "emptied", "Gone");
  const { code, log } = await runCommand("forget", ["--room", "emptied", "--yes"], { DATABASE_URL: site.database.url });
  assertEquals(code, 0, log);
  await using first = await visit(site, { name: "Ada" });
  await first.page.clock.install();
  await first.page.reload();
  await first.is("live");
  const led = Promise.withResolvers<void>();
  await first.page.route(/\/emptied\/messages\?.*wait=\d\d/, async (route) => {
    const url = new URL(route.request().url());
    if (!/^[0-]*$/.test(url.searchParams.get("after")!)) {
      led.resolve();
      return await route.continue();
    }
    url.searchParams.set("wait", "1");
    const response = await route.fetch({ url: `${url}` });
    await first.page.clock.fastForward(15_000); // by its clock it has waited
    await route.fulfill({ response });
  });
  await goTo(first, "emptied");
  await led.promise;
  const second = new Visitor(first.context, await first.context.newPage(), {});
  await second.page.clock.install();
  await second.page.goto(`${site.url}/#emptied`);
  await second.is("live");
  let asked = 0;
  second.page.on("request", (request) => {
    if (/\/emptied\/messages\?.*wait=0/.test(request.url())) asked++;
  });
  for (let i = 0; i < 5; i++) {
    await second.page.clock.runFor(2_000);
    await second.page.evaluate(() => fetch("healthz")); // by then it has the answer, if it has asked
  }
  assertLessOrEqual(asked, 2); // once, and where it is too busy to see where the first tab stands
  await posted(site, "emptied", "Somebody");
  for (const one of [first, second]) await one.sees("Somebody");
}, { notInFirefox: "windows of Firefox without a screen have no mouse, and focus is with one of them" });

webTest("A tab that comes back after it was frozen has what came meanwhile, once and in order", async () => {
  await using first = await visit(site, { room: "frozen", name: "Ada" });
  const second = await tab(first, "frozen");
  const session = await first.context.newCDPSession(first.page);
  await session.send("Page.setWebLifecycleState", { state: "frozen" });
  for (const body of ["One", "Two", "Three"]) await posted(site, "frozen", body);
  await second.sees("One", "Two", "Three");
  await session.send("Page.setWebLifecycleState", { state: "active" });
  await first.sees("One", "Two", "Three");
  await posted(site, "frozen", "Four");
  for (const one of [first, second]) await one.sees("One", "Two", "Three", "Four");
}, { notInFirefox: "only Chromium can be told to freeze or to crash" });

webTest("A tab that is behind is given of what others were told no words that were taken back since", async () => {
  await using ada = await visit(site, { room: "one", name: "Ada" });
  const given = await ada.page.evaluate(async () => {
    const base = new URL("/", location.href);
    const script = new URL("web/polls.js", base).href;
    const { Polls } = await import(script);
    const polls = new Polls(base, () => {});
    const [told, heard] = [0, 1].map(() => new BroadcastChannel(`linger ${base.pathname}`)) as [
      BroadcastChannel,
      BroadcastChannel,
    ];
    let count = 0;
    const all = new Promise<void>((resolve) => heard.onmessage = () => ++count === 3 && resolve());
    const path = "/rooms/behind/messages?limit=100&changes=true";
    const tell = (after: string, next: string, news: unknown[]) =>
      told.postMessage({ place: ` ${path} ${after}`, answer: { news, next, link: "" } });
    const room = "behind";
    tell("1", "3", [{ id: "2", room, body: "secret" }, { id: "3", room, body: "wrong" }]);
    tell("3", "4", [{ id: "3", room, body: "right", changed: "4" }]);
    tell("4", "5", [{ id: "2", room, changed: "5", deleted: true }, {
      id: "3",
      room: "other",
      changed: "5",
      deleted: true,
    }]);
    await all;
    const response = await polls.fetch(new Request(new URL(`${path}&after=1&wait=50`, base)));
    for (const channel of [told, heard]) channel.close();
    return (await response.json()).map(({ id, body }: { id: string; body?: string }) => `${id} ${body}`);
  });
  assertEquals(given, ["2 undefined", "3 right", "3 right", "2 undefined", "3 undefined"]);
});

webTest("Tabs of one person agree on the name, and on which message is whose; nobody is led away", async () => {
  await writeHistory(site.database.sql, "agree", [
    [60, "Mallory", "From another device"],
    [50, "Noor", "Mallory, is that you?"],
    ...Array.from({ length: 48 }, (_, i): Line => [48 - i, "Noor", `Filler ${i}`]),
  ]);
  await using first = await visit(site, { room: "agree", name: "Ada" });
  const second = await tab(first, "agree");
  const scrolled = () => second.page.$eval("#scroller", ({ scrollTop }) => scrollTop);
  await second.page.$eval("#scroller", (scroller) => scroller.scrollTop = 100);
  await first.page.click("#rename");
  await first.page.fill("#name", "Mallory");
  await first.page.press("#name", "Enter");
  await second.page.waitForSelector("#you >> text=Mallory");
  for (const { page } of [first, second]) {
    await page.waitForSelector("#log .own >> text=From another device");
    await page.waitForSelector("#log .mentions-me >> text=Mallory, is that you?");
  }
  assertEquals(await scrolled(), 100);
  await second.say("Who am I?");
  await second.settles();
  for (const { page } of [first, second]) await page.waitForSelector("#log .own >> text=Who am I?");
  assertEquals((await messages(site, "agree", "wait=0&limit=100")).at(-1)!.author, "Mallory");
});

webTest("Where a tab asks for the name one is in the text once it was given in another", async () => {
  await using first = await visit(site, { room: "named" });
  const second = await tab(first, "named");
  const focused = () => second.page.evaluate(() => document.activeElement!.id);
  assertEquals(await focused(), "name");
  await first.page.fill("#name", "Ada");
  await first.page.press("#name", "Enter");
  await second.page.waitForSelector("#you >> text=Ada");
  assertEquals(await focused(), "text");
  // Who is elsewhere stays there.
  await second.page.click("#rename");
  await second.page.focus("#scroller");
  await first.page.click("#rename");
  await first.page.fill("#name", "Augusta");
  await first.page.press("#name", "Enter");
  await second.page.waitForSelector("#you >> text=Augusta");
  assertEquals(await focused(), "scroller");
});

webTest(
  "What one tab sends takes no other words from another, and what was written in one can be sent in another",
  async () => {
    await using first = await visit(site, { room: "drafts", name: "Ada" });
    const second = await tab(first, "drafts");
    await second.page.fill("#text", "A long draft that goes on");
    await first.say("ok");
    await first.settles();
    await second.page.evaluate(() => location.hash = "elsewhere");
    await second.until(() => document.querySelector("h1")!.textContent === "elsewhere", 0);
    await second.page.evaluate(() => location.hash = "drafts");
    await second.until(() => document.querySelector("h1")!.textContent === "drafts", 0);
    assertEquals(await second.page.inputValue("#text"), "A long draft that goes on");

    // A field that nobody is in shows what is written elsewhere.
    const third = await tab(first, "drafts");
    assertEquals(await third.page.inputValue("#text"), "A long draft that goes on");
    await third.page.focus("#scroller");
    await third.page.evaluate(() => {
      const { setItem } = Storage.prototype;
      const kept: string[] = [];
      Object.assign(globalThis, { kept });
      Storage.prototype.setItem = function (name, value) {
        if (/ draft /.test(name)) kept.push(value);
        setItem.call(this, name, value);
      };
    });
    await second.page.fill("#text", "A long draft that has come to its end");
    await third.until(() => (document.getElementById("text") as HTMLTextAreaElement).value.endsWith("end"), 0);
    await second.page.press("#text", "Enter");
    await third.until(() => (document.getElementById("text") as HTMLTextAreaElement).value === "", 0);
    // It keeps nothing of what it shows: that would come late, over what has been written there since.
    assertEquals(await third.page.evaluate(() => (globalThis as unknown as { kept: string[] }).kept), []);
    await second.settles();
    assertEquals((await messages(site, "drafts", "wait=0")).map(({ body }) => body), [
      "ok",
      "A long draft that has come to its end",
    ]);
  },
);

webTest("A draft that a tab only shows is not put over a newer one when it goes to another room", async () => {
  await using first = await visit(site, { room: "newer-draft", name: "Ada" });
  await first.page.fill("#text", "Old words");
  const second = await tab(first, "newer-draft");
  assertEquals(await second.page.inputValue("#text"), "Old words");
  await first.page.fill("#text", "Something else, and at length");
  await knows(second, "newer-draft", "Something else, and at length");
  await second.page.evaluate(() => location.hash = "elsewhere");
  await second.until(() => document.querySelector("h1")!.textContent === "elsewhere", 0);
  await second.page.evaluate(() => location.hash = "newer-draft");
  await second.until(() => document.querySelector("h1")!.textContent === "newer-draft", 0);
  assertEquals(await second.page.inputValue("#text"), "Something else, and at length");
});

webTest("A draft in a tab that has no focus gives way to what goes on with it, and not to other words", async () => {
  await using first = await visit(site, { room: "two-drafts", name: "Ada" });
  await first.page.fill("#text", "A long draft");
  const second = await tab(first, "two-drafts");
  // For the browser under test each tab has the focus, which in a real one only one has.
  await first.page.evaluate(() => document.hasFocus = () => false);
  const text = () => first.page.inputValue("#text");
  const heard = await hearing(first, second);
  await heard("A long draft that goes on");
  assertEquals(await text(), "A long draft that goes on");
  await first.page.fill("#text", "A lnog draft");
  await heard("A long draft");
  assertEquals(await text(), "A long draft");
  await first.page.fill("#text", "A long draft of this tab");
  for (const other of ["A", "Also ok", "A long draft of the other tab"]) {
    await heard(other);
    assertEquals(await text(), "A long draft of this tab");
  }
});

/** Writes a draft in one tab; resolves when another has heard of it. */
async function hearing(hearer: Visitor, writer: Visitor): Promise<(draft: string) => Promise<void>> {
  await hearer.page.evaluate(() => {
    // After the page's own listeners.
    addEventListener("storage", ({ key, newValue }) => {
      if (key?.includes(" draft ")) Object.assign(globalThis, { heard: newValue });
    });
  });
  return async (draft) => {
    await writer.page.fill("#text", draft);
    await hearer.until((draft) => (globalThis as unknown as { heard?: string }).heard === draft, draft);
  };
}

/** Goes to a place, and waits until its room is shown. */
async function goTo(one: Visitor, place: string): Promise<void> {
  await one.page.evaluate((hash) => location.hash = hash, place);
  await one.until((room) => document.querySelector("h1")!.textContent === room, place.split("/")[0]);
}

/** Two tabs in one room with words of their own in each: those of the second were kept last. */
async function twoDrafts(room: string): Promise<[Visitor, Visitor]> {
  const first = await visit(site, { room, name: "Ada" });
  await first.page.fill("#text", "Of the first");
  const second = await tab(first, room);
  await second.page.fill("#text", "Said in the second");
  await knows(first, room, "Said in the second");
  return [first, second];
}

/** Resolves when a tab has what another has kept as a room's draft: browsers give one process later what another has stored. */
const knows = (one: Visitor, room: string, draft: string) =>
  one.until(([key, draft]) => localStorage.getItem(key!)?.endsWith(draft!) === true, [`linger / draft ${room}`, draft]);

const draftOf = ({ page }: Visitor, room: string) =>
  page.evaluate((key) => localStorage.getItem(key), `linger / draft ${room}`);

webTest("Who goes elsewhere in the room keeps what is written in the tab, and puts it over nothing", async () => {
  const { id } = await posted(site, "around", "Here");
  const [first, second] = await twoDrafts("around");
  await using _first = first;
  await goTo(first, `around/${id}`);
  await first.page.waitForSelector("#log .found");
  await second.page.click("#rename");
  await second.page.fill("#name", "Mallory");
  await second.page.press("#name", "Enter");
  await first.page.waitForSelector("#you >> text=Mallory");
  assertEquals(await first.page.inputValue("#text"), "Of the first");
  assertEquals(await draftOf(first, "around"), "Said in the second");
});

webTest("What was written in two tabs is all there when both are loaded anew", async () => {
  const [first, second] = await twoDrafts("anew");
  await using _first = first;
  for (const one of [first, second]) {
    await one.page.reload();
    await one.is("live");
    assertEquals(await one.page.inputValue("#text"), "Said in the second\n\nOf the first");
  }
});

webTest("What a tab that was loaded anew, or closed, has left is lost to no key in another", async () => {
  const [first, second] = await twoDrafts("left-behind");
  await using _first = first;
  await second.page.reload();
  await second.is("live");
  const heard = await hearing(second, first);
  await heard("Of the first, and more");
  await goTo(second, "elsewhere");
  await goTo(second, "left-behind");
  assertEquals(await second.page.inputValue("#text"), "Of the first, and more\n\nSaid in the second");
  await second.page.close();
  await first.page.fill("#text", "Of the first, and much more");
  await first.page.reload();
  await first.is("live");
  assertEquals(await first.page.inputValue("#text"), "Of the first, and much more\n\nSaid in the second");
});

webTest("What a tab has left is there once when one goes on with it, and no more when it was sent", async () => {
  await using first = await visit(site, { room: "left-once", name: "Ada" });
  const { page } = first;
  const reload = async () => {
    await page.reload();
    await first.is("live");
    return await page.inputValue("#text");
  };
  await page.fill("#text", "A drfat");
  assertEquals(await reload(), "A drfat");
  await page.fill("#text", "A draft");
  assertEquals(await reload(), "A draft");
  await page.press("#text", "Enter");
  await first.settles();
  assertEquals(await reload(), "");
  assertEquals(await page.evaluate(() => Object.keys(localStorage).filter((key) => / (left|draft) /.test(key))), []);
});

webTest("Few letters are not lost because they stand in what is written in another tab", async () => {
  await using first = await visit(site, { room: "letters", name: "Ada" });
  const second = await tab(first, "letters");
  await first.page.fill("#text", "ok");
  await first.page.evaluate(() => document.hasFocus = () => false);
  const heard = await hearing(first, second);
  await heard("Look here");
  assertEquals(await first.page.inputValue("#text"), "ok");
  await first.page.reload();
  await first.is("live");
  assertEquals(await first.page.inputValue("#text"), "Look here\n\nok");
});

webTest("A tab that hears late that something was sent puts nothing over what was written since", async () => {
  const [first] = await twoDrafts("heard-late");
  await using _first = first;
  await first.page.evaluate(() => {
    const key = "linger / draft heard-late";
    dispatchEvent(new StorageEvent("storage", { key, oldValue: "Sent before that" }));
  });
  assertEquals(await draftOf(first, "heard-late"), "Said in the second");
});

webTest("What was written in a tab that is elsewhere now is there again, whatever is written meanwhile", async () => {
  const [first, second] = await twoDrafts("meanwhile");
  await using _first = first;
  await goTo(second, "elsewhere");
  await first.page.fill("#text", "Of the first, and sent");
  await goTo(second, "meanwhile");
  assertEquals(await second.page.inputValue("#text"), "Said in the second");
  await goTo(second, "elsewhere");
  await first.say("Of the first, and sent");
  await first.until((key) => localStorage.getItem(key) === "Said in the second", "linger / draft meanwhile");
  await first.settles();
});

webTest("Who sends what is written in one tab takes nothing from another, where he wrote last", async () => {
  const [first, second] = await twoDrafts("sent-first");
  await using _first = first;
  await second.page.evaluate(() => document.hasFocus = () => false);
  await first.page.press("#text", "Enter");
  await second.sees("Of the first");
  await second.settles();
  assertEquals(await second.page.inputValue("#text"), "Said in the second");
  assertEquals(await draftOf(first, "sent-first"), "Said in the second");
});

webTest("What was sent after somebody has emptied the storage stays in the field of no other tab", async () => {
  await using first = await visit(site, { room: "cleared", name: "Ada" });
  const { page } = first;
  const second = await tab(first, "cleared");
  await second.page.evaluate(() => document.hasFocus = () => false);
  await page.fill("#text", "Sent by now");
  const shows = (text: string) =>
    second.until((text) => (document.getElementById("text") as HTMLTextAreaElement).value === text, text);
  await shows("Sent by now");
  await page.evaluate(() => localStorage.clear());
  await page.press("#text", "Enter");
  await page.fill("#name", "Ada"); // it is gone, too
  await page.press("#name", "Enter");
  await page.click("#send");
  await first.sees("Sent by now");
  await shows("");
});

webTest("What was written in a tab that is elsewhere now, and sent in another, is not there again", async () => {
  await using first = await visit(site, { room: "sent-since", name: "Ada" });
  await first.page.fill("#text", "A draft");
  await goTo(first, "elsewhere");
  const second = await tab(first, "sent-since");
  await second.page.press("#text", "Enter");
  await second.settles();
  await goTo(first, "sent-since");
  await first.sees("A draft");
  assertEquals(await first.page.inputValue("#text"), "");
});

webTest("What one tab is about to answer another shows with the draft, and no longer than that", async () => {
  await posted(site, "answered", "The question");
  await using first = await visit(site, { room: "answered", name: "Ada" });
  const second = await tab(first, "answered");
  // For the browser under test each tab has the focus, which in a real one only one has.
  await second.page.evaluate(() => document.hasFocus = () => false);
  await first.page.hover("#log .body");
  await first.page.click("#actions [aria-label=Reply]");
  await second.page.waitForSelector("#replying >> text=The question");
  await first.say("The answer");
  await second.page.waitForSelector("#replying", { state: "hidden" });
  await first.settles();
});

webTest("A tab that only shows what is answered in another keeps nothing of it", async () => {
  await posted(site, "only-heard", "The question");
  await using first = await visit(site, { room: "only-heard", name: "Ada" });
  const second = await tab(first, "only-heard");
  await second.page.evaluate(() => {
    document.hasFocus = () => false;
    const kept: string[] = [];
    Object.assign(globalThis, { kept });
    const { setItem } = Storage.prototype;
    Storage.prototype.setItem = function (name, value) {
      if (/ (draft|reply) /.test(name)) kept.push(value);
      setItem.call(this, name, value);
    };
  });
  await first.page.hover("#log .body");
  await first.page.click("#actions [aria-label=Reply]");
  await second.page.waitForSelector("#replying >> text=The question");
  await first.page.press("#text", "Escape");
  await second.page.waitForSelector("#replying", { state: "hidden" });
  assertEquals(await second.page.evaluate(() => (globalThis as unknown as { kept: string[] }).kept), []);
});

webTest("What is answered goes with the words: into a tab where they were begun, and not to other words", async () => {
  const { id } = await posted(site, "goes-with", "The question");
  await using first = await visit(site, { room: "goes-with", name: "Ada" });
  await first.page.fill("#text", "The");
  const second = await tab(first, "goes-with");
  await first.page.evaluate(() => document.hasFocus = () => false);
  await second.page.hover("#log .body");
  await second.page.click("#actions [aria-label=Reply]");
  await second.page.fill("#text", "The answer");
  await first.page.waitForSelector("#replying >> text=The question");
  await first.until(() => (document.getElementById("text") as HTMLTextAreaElement).value === "The answer", 0);
  await second.page.evaluate(() => document.hasFocus = () => false);
  await first.page.press("#text", "Enter");
  await second.page.waitForSelector("#replying", { state: "hidden" });
  await second.say("To nobody");
  await second.settles();
  await first.settles();
  const said = (await messages(site, "goes-with", "wait=0")).map(({ body, reply_to }) => [body, reply_to]);
  assertEquals(said, [["The question", undefined], ["The answer", id], ["To nobody", undefined]]);
});

webTest("Who comes back to words of his own finds what they answer, whatever is answered in another tab", async () => {
  await posted(site, "own-answer", "One");
  await posted(site, "own-answer", "Two");
  await using first = await visit(site, { room: "own-answer", name: "Ada" });
  const second = await tab(first, "own-answer");
  const answer = async ({ page }: Visitor, question: string, text: string) => {
    await page.hover(`#log .body >> text=${question}`);
    await page.click("#actions [aria-label=Reply]");
    await page.fill("#text", text);
  };
  await answer(first, "One", "The first answer");
  await answer(second, "Two", "Something else");
  await goTo(first, "elsewhere");
  await second.page.fill("#text", "Something else, and at length");
  await goTo(first, "own-answer");
  await first.page.waitForSelector("#replying >> text=One");
  assertEquals(await first.page.inputValue("#text"), "The first answer");
});

webTest("Who comes back to a page that the browser has kept finds the draft as it is by now", async () => {
  await posted(site, "kept-page", "The question");
  const [first, second] = await twoDrafts("kept-page");
  await using _first = first;
  await second.page.evaluate(() => document.hasFocus = () => false);
  await putAside(first.page);
  const both = "Said in the second\n\nOf the first";
  await second.until((both) => (document.getElementById("text") as HTMLTextAreaElement).value === both, both);
  await second.page.hover("#log .body");
  await second.page.click("#actions [aria-label=Reply]");
  await second.page.fill("#text", "Of both");
  await knows(first, "kept-page", "Of both");
  await comeBack(first.page);
  await first.page.waitForSelector("#replying >> text=The question");
  assertEquals(await first.page.inputValue("#text"), "Of both");
});

webTest(
  "Who comes back to a page that the browser has kept finds nothing new in what he has read elsewhere",
  async () => {
    await posted(site, "kept-read", "Old");
    await using first = await visit(site, { room: "kept-read", name: "Ada" });
    await first.sees("Old");
    await first.page.evaluate(() => {
      document.hasFocus = () => false;
      dispatchEvent(new Event("blur"));
    });
    await putAside(first.page);
    await post(site, "kept-read", { body: "Read elsewhere", author: "Noor" });
    await first.page.waitForSelector("#log .unread");
    const second = await tab(first, "kept-read");
    const { id } = (await messages(site, "kept-read", "wait=0")).at(-1)!;
    await first.until((id) => localStorage.getItem("linger / read kept-read") === id, id);
    assertEquals(await first.page.locator("#log .unread").count(), 1);
    await comeBack(first.page);
    await first.page.waitForSelector("#log .unread", { state: "detached" });
    await second.sees("Old", "Read elsewhere");
  },
);

webTest("Who comes back to a page that the browser has kept has the name that he has by now", async () => {
  await using first = await visit(site, { room: "kept-name", name: "Ada" });
  const second = await tab(first, "kept-name");
  await putAside(first.page);
  await second.page.click("#rename");
  await second.page.fill("#name", "Mallory");
  await second.page.press("#name", "Enter");
  await first.until(() => localStorage.getItem("linger / name") === "Mallory", 0);
  assertEquals(await first.page.textContent("#you bdi"), "Ada");
  await comeBack(first.page);
  await first.page.waitForSelector("#you >> text=Mallory");
  await first.say("Who am I?");
  await first.page.waitForSelector("#log .own >> text=Who am I?");
});

webTest("Who comes back to a page that the browser has kept finds what is not sent as it is by now", async () => {
  await using first = await visit(site, { room: "kept-outbox", name: "Ada", badNetwork: true });
  const { context } = first;
  await context.route(
    /\/messages$/,
    (route) => route.fulfill({ status: 404, contentType: "text/html", body: "Nobody" }),
  );
  await first.say("Taken back");
  await first.page.waitForSelector(".failed >> text=Not sent yet");
  const second = await tab(first, "kept-outbox");
  await second.sees("Taken back");
  await putAside(first.page);
  await second.page.click("#waiting >> text=Delete");
  await second.say("Written elsewhere");
  await second.sees("Written elsewhere");
  await first.until(() => Object.values(localStorage).some((kept) => kept.includes('"Written elsewhere"')), 0);
  await first.sees("Taken back");
  await comeBack(first.page);
  await first.sees("Written elsewhere");
  await context.unroute(/\/messages$/);
  await first.say("And more");
  for (const one of [first, second]) {
    await one.settles();
    await one.sees("Written elsewhere", "And more");
  }
  assertEquals((await messages(site, "kept-outbox", "wait=0")).map(({ body }) => body), [
    "Written elsewhere",
    "And more",
  ]);
});

webTest(
  "A refused message that is deleted in one tab is gone in the others, and can't be sent from there",
  async () => {
    await using first = await visit(site, { room: "shared-outbox", name: "Ada", badNetwork: true });
    const { context } = first;
    await context.route(/\/messages$/, refuse);
    await first.say("Not to be said");
    await first.say("To be said");
    await first.page.waitForSelector(".failed >> nth=1");
    const second = new Visitor(context, await context.newPage(), { badNetwork: true });
    await second.page.goto(`${site.url}/#shared-outbox`);
    await second.sees("Not to be said", "To be said");
    await first.page.click(".failed >> nth=0 >> text=Delete");
    await second.sees("To be said");
    await context.unroute(/\/messages$/);
    await second.page.click(".failed >> text=Retry");
    for (const one of [first, second]) {
      await one.settles();
      await one.sees("To be said");
    }
    assertEquals(
      (await messages(site, "shared-outbox", "wait=0")).map(({ body }) => body),
      ["To be said"],
    );
  },
);

webTest("Where there is no BroadcastChannel, or no storage, each tab has what comes all the same", async () => {
  for (const without of ["delete globalThis.BroadcastChannel", "delete globalThis.localStorage"]) {
    const context = await site.browser.newContext();
    await context.addInitScript(without);
    const first = new Visitor(context, await context.newPage(), {});
    await first.page.goto(`${site.url}/#alone`);
    await first.is("live");
    const second = await tab(first, "alone");
    await post(site, "alone", { body: without, author: "Noor" });
    for (const one of [first, second]) await one.page.waitForSelector(`#log >> text=${without}`);
    await first[Symbol.asyncDispose]();
  }
});

// What is told when nobody looks: messages that speak of you, once, on the desktop; and what is wrong, in one line.
import { assertEquals } from "@std/assert";
import { mentions } from "../../src/web/mentions.js";
import * as words from "../../src/web/words.js";
import { clickBanner, testSite, type Visit, visit, type Visitor, webTest } from "../support/browser.ts";
import { get, LISTED_MS, post, posted, read, until } from "../support/client.ts";

const site = await testSite();

/** What somebody's browser makes of what a page would show on the desktop. */
interface Desktop {
  /** What comes of it when it is asked for leave: granted, if not given. */
  answer?: NotificationPermission;
  /** Whether it has all but what a page can show, as those of phones. */
  isPhone?: boolean;
}

/** A browser that notes what it would show on the desktop, and a page that takes itself for hidden when it is told so. */
async function desk(visitor: Visitor, permission: NotificationPermission, desktop: Desktop = {}): Promise<void> {
  await visitor.context.addInitScript(([permission, { answer = "granted", isPhone }]) => {
    class Notice {
      static permission = localStorage.getItem("test permission") ?? permission;
      static requestPermission() {
        localStorage.setItem("test permission", answer);
        return Promise.resolve(Notice.permission = answer);
      }
      onclick = () => {};
      body: string;
      constructor(title: string, { body = "", tag = "" }: { body?: string; tag?: string } = {}) {
        this.body = body;
        if (isPhone) {
          localStorage.setItem("test tried", "yes");
          throw new TypeError("Illegal constructor");
        }
        if (Notice.permission !== "granted") return; // which shows nothing
        const shown = JSON.parse(localStorage.getItem("test shown") ?? "[]");
        localStorage.setItem("test shown", JSON.stringify([...shown, `${title}: ${body}`]));
        const tags = JSON.parse(localStorage.getItem("test tags") ?? "[]");
        localStorage.setItem("test tags", JSON.stringify([...tags, tag]));
        Object.assign(globalThis, { lastNotice: this });
      }
      close() {
        localStorage.setItem("test closed", this.body);
      }
    }
    Object.defineProperty(globalThis, "Notification", { value: Notice });
    Object.defineProperty(document, "hidden", { get: () => Boolean(sessionStorage.getItem("test hidden")) });
    Object.defineProperty(document, "visibilityState", {
      get: () => sessionStorage.getItem("test hidden") ? "hidden" : "visible",
    });
  }, [permission, desktop] as const);
  await visitor.page.reload();
  await visitor.is("live");
}

const hide = (visitor: Visitor, hidden: boolean) =>
  visitor.page.evaluate((hidden) => {
    if (hidden) sessionStorage.setItem("test hidden", "yes");
    else sessionStorage.removeItem("test hidden");
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);

/** Ends the pause that a page nobody sees makes after news. */
const wake = ({ page }: Visitor) => page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));

const shown = ({ page }: Visitor) => page.evaluate(() => JSON.parse(localStorage.getItem("test shown") ?? "[]"));

const KEY = { "message-key": "a key that only Noor has", "content-type": "application/json" };

/** Posts a message that can be changed, and waits until the page has it; its address. */
async function says(visitor: Visitor, room: string, body: string): Promise<string> {
  const { id } = await (await post(site, room, { body, author: "Noor" }, KEY)).json();
  await wake(visitor);
  await visitor.page.waitForSelector(`#log article[data-id="${id}"]`, { state: "attached" });
  return `${site.url}/rooms/${room}/messages/${id}`;
}

Deno.test("mentions() finds a name as a whole word, in whatever case and script", () => {
  const found: [body: string, name: string][] = [
    ["ada, come here", "Ada"],
    ["Is that ADA?", "ada"],
    ["@Ada!", "Ada"],
    ["für Strauß und STRAUSS", "strauss"],
    ["о чём, ИГОРЬ", "Игорь"],
    ["C++ (guru) was it", "C++ (guru)"],
    ["Ａｄａ", "Ada"],
    ["Mary Ann said so", "mary ann"],
    ["田中さん、こんにちは", "田中"],
    ["小明你好", "小明"],
    ["小明OK", "小明"],
    ["OK小明", "小明"],
    ["지민아 안녕", "지민"],
    ["สวัสดีสมชายครับ", "สมชาย"],
    ["Adaさん、こんにちは", "Ada"],
    ["明 你好", "明"],
  ];
  for (const [body, name] of found) assertEquals([body, mentions(body, name)], [body, true]);
  const not: [body: string, name: string][] = [
    ["Adam and Canada", "Ada"],
    ["ada_2 and 3ada", "Ada"],
    ["Adá and Ad\u0061\u0301", "Ada"],
    ["anything", ""],
    ["Axa", "A.a"],
    ["明天见", "明"],
    ["Canadaさん", "Ada"],
    ["田中3x", "中3"],
  ];
  for (const [body, name] of not) assertEquals([body, mentions(body, name)], [body, false]);
});

Deno.test("mentions() finds every name that somebody can have", () => {
  const ascii = Array.from({ length: 0x7e - 0x20 }, (_, i) => String.fromCharCode(0x21 + i));
  const others = ["é", "’", "・", "🙂", "👩‍👩‍👧‍👦", "\u200B", "\uD83D", "\n", "\u0301", "ß", "ﬁ"];
  for (const character of [...ascii, ...others]) {
    for (const name of [character, `Anne${character}Marie`, `${character}Ada${character}`]) {
      assertEquals([name, mentions(`Is ${name} there?`, name)], [name, true]);
      assertEquals([name, mentions("Is she there?", name)], [name, false]);
    }
  }
});

Deno.test("A name turns no sentence around in which it stands", () => {
  const name = "\u202EnooN\u2066";
  const sentences = [
    words.mentionedYou(name, "attic"),
    words.saysIn(name, "attic"),
    words.notTheName(name, false),
    words.signedInAs(name),
    words.actionsOf(name, "14:03"),
    words.linkForAnother(name, name, 0),
    words.linkRenews(name),
    words.changedMeanwhile(name),
    words.nameTaken(name),
    words.noSuchRoom(name, ""),
    words.notInRoomNames("\u202E"),
  ];
  for (const sentence of sentences) assertEquals([sentence, /\p{Bidi_Control}/u.test(sentence)], [sentence, false]);
  assertEquals(words.saysIn(name, "attic"), "nooN in attic");
});

webTest("Who is mentioned while away is offered notifications, and never asked at the load", async () => {
  await using ada = await visit(site, { room: "tower", name: "Ada" });
  await desk(ada, "default");
  await hide(ada, true);
  for (const body of ["Adam?", "ada: look up"]) await says(ada, "tower", body);
  await ada.page.waitForSelector("#banner >> text=Noor wrote to you in tower while you were away");
  assertEquals(await shown(ada), []);
  await hide(ada, false);
  await ada.page.focus("#banner >> text=Yes, tell me");
  await ada.page.keyboard.press("Enter");
  await ada.until(() => !document.getElementById("banner")!.classList.contains("shown"), 0);
  assertEquals(await ada.page.evaluate(() => document.activeElement!.id), "scroller"); // and not nowhere
  await hide(ada, true);
  await post(site, "tower", { body: "And you, ADA?", author: "Noor" });
  await ada.until(() => localStorage.getItem("test shown") !== null, 0);
  assertEquals(await shown(ada), ["Noor in tower: And you, ADA?"]);
});

webTest("A name that nobody can see is told as one, and no character is cut in two", async () => {
  await using ada = await visit(site, { room: "unseen", name: "Ada" });
  await desk(ada, "default");
  await hide(ada, true);
  await post(site, "unseen", { body: "Ada?", author: "\u2060" });
  await ada.page.waitForSelector("#banner >> text=A name that nobody can see wrote to you in unseen");
  await hide(ada, false);
  await clickBanner(ada.page, "#banner-button");
  await ada.until(() => !document.getElementById("banner")!.classList.contains("shown"), 0);
  await hide(ada, true);
  const body = `Ada, ${"a".repeat(194)}`;
  await post(site, "unseen", { body: `${body}🙂`, author: "\u2060" });
  await ada.until(() => localStorage.getItem("test shown") !== null, 0);
  assertEquals(await shown(ada), [`A name that nobody can see in unseen: ${body}`]);
});

webTest("A message is told once, whatever number of windows one has, and a click leads to its room", async () => {
  await posted(site, "roof", "Old");
  await using ada = await visit(site, { room: "roof", name: "Ada" });
  await desk(ada, "granted");
  await ada.until(() => localStorage.getItem("linger / read roof") !== null, 0); // else it is counted below
  const second = await ada.context.newPage();
  await second.goto(`${site.url}/#cellar`);
  await second.waitForSelector("#connection[data-status=live]");
  await second.evaluate(() => {
    sessionStorage.setItem("test hidden", "yes");
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await hide(ada, true);
  // Has the window that asks for the list of rooms do it more often.
  await ada.page.evaluate(() => setInterval(() => document.dispatchEvent(new Event("visibilitychange")), 1_000));
  const counts = (count: string) =>
    second.waitForFunction(
      (count) => document.querySelector(`a[href="#roof"] .count`)?.textContent === count,
      count,
      { polling: 100, timeout: LISTED_MS },
    );
  await says(ada, "roof", "Come down, Ada");
  await counts("@ 1");
  for (const body of ["Nothing for her", "And a cake for Ada"]) await says(ada, "roof", body);
  await ada.until(() => JSON.parse(localStorage.getItem("test shown") ?? "[]").length === 2, 0);
  await counts("@ 3");
  await second.waitForTimeout(1_500); // longer than a window waits for another to be read
  assertEquals(await shown(ada), ["Noor in roof: Come down, Ada", "Noor in roof: And a cake for Ada"]);
  await ada.page.evaluate(() => location.hash = "#cellar");
  await ada.page.evaluate(() =>
    (globalThis as unknown as { lastNotice: Notification }).lastNotice.onclick!(new Event("click"))
  );
  await ada.until(() => document.querySelector("h1")!.textContent === "roof", 0);
});

webTest("A window that one sees, and has not turned to, tells on the desktop what speaks of one", async () => {
  await using ada = await visit(site, { room: "beside", name: "Ada" });
  await desk(ada, "granted");
  await ada.page.evaluate(() => {
    document.hasFocus = () => false;
    dispatchEvent(new Event("blur"));
  });
  await post(site, "beside", { body: "Over here, Ada", author: "Noor" });
  await ada.until(() => localStorage.getItem("test shown") !== null, 0);
  assertEquals(await shown(ada), ["Noor in beside: Over here, Ada"]);
});

webTest("A room that is chosen tells each of its messages, a muted one none", async () => {
  await using ada = await visit(site, { room: "bell", name: "Ada" });
  await desk(ada, "default");
  await ada.page.click(`[aria-label="Options of bell"]`);
  await ada.page.click("text=Notify me of everything");
  await ada.until(() => localStorage.getItem("linger / room bell") === "loud", 0); // which the browser is asked for first
  await hide(ada, true);
  await post(site, "bell", { body: "Ding", author: "Noor" });
  await ada.until(() => localStorage.getItem("test shown") !== null, 0);
  assertEquals(await shown(ada), ["Noor in bell: Ding"]);
  await hide(ada, false);
  await ada.page.click(`[aria-label="Options of bell"]`);
  await ada.page.click("text=Mute");
  await hide(ada, true);
  await post(site, "bell", { body: "Ada!", author: "Noor" });
  await ada.page.waitForSelector("#log >> text=Ada!", { state: "attached" });
  await ada.page.waitForTimeout(1_500);
  assertEquals((await shown(ada)).length, 1);
});

webTest("Who asks to be notified where the browser does not allow it is told so", async () => {
  await using ada = await visit(site, { room: "denied", name: "Ada" });
  await ada.page.evaluate(() => {
    Object.defineProperty(Notification, "requestPermission", { value: () => Promise.resolve("denied") });
  });
  await ada.page.click(`[aria-label="Options of denied"]`);
  await ada.page.click("text=Notify me of everything");
  await ada.page.waitForSelector("#banner >> text=does not let this page notify you");
});

webTest("Who says yes to the page and then no to the browser is told what that means", async () => {
  await using ada = await visit(site, { room: "refused", name: "Ada" });
  await desk(ada, "default", { answer: "denied" });
  await hide(ada, true);
  await post(site, "refused", { body: "Ada?", author: "Noor" });
  await ada.page.waitForSelector("#banner >> text=Noor wrote to you");
  await hide(ada, false);
  await clickBanner(ada.page, "#banner >> text=Yes, tell me");
  await ada.page.waitForSelector("#banner >> text=does not let this page notify you");
  await clickBanner(ada.page, "#banner-close");
  assertEquals(await ada.page.textContent("#banner-text"), ""); // nor is it asked again
});

webTest("Where a browser shows nothing for a page, or the way to it is not safe, nothing is offered", async () => {
  await using ada = await visit(site, { room: "phone", name: "Ada" });
  await desk(ada, "default", { isPhone: true });
  await hide(ada, true);
  await post(site, "phone", { body: "Ada?", author: "Noor" });
  await ada.until(() => localStorage["test tried"] || document.querySelector("#banner.shown"), 0);
  assertEquals(await ada.page.textContent("#banner-text"), "");
  await hide(ada, false);
  const options = async (visitor: Visitor) => {
    await visitor.page.click(`[aria-label="Options of phone"]`);
    return await visitor.page.$$eval(".options button", (all) => all.map(({ textContent }) => textContent));
  };
  assertEquals(await options(ada), ["Mute", "Leave"]);
  await using denied = await visit(site, { room: "phone", name: "Ada" });
  await desk(denied, "denied", { isPhone: true });
  assertEquals(await options(denied), ["Mute", "Leave"]);
  await using noor = await visit(site, { room: "phone", name: "Noor" });
  await desk(noor, "default");
  await noor.page.evaluate(() => {
    Object.defineProperty(globalThis, "isSecureContext", { value: false });
  });
  assertEquals(await options(noor), ["Mute", "Leave"]);
});

/** Has the banner tell that the storage is full, and then that there is no such room, which is more important. */
async function tellTwoThings({ page }: Visitor): Promise<void> {
  await page.evaluate(() => {
    Storage.prototype.setItem = () => {
      throw new DOMException("full", "QuotaExceededError");
    };
  });
  await page.fill("#text", "A draft");
  await page.waitForSelector("#banner >> text=This browser can store nothing more");
  await page.evaluate(() => location.hash = "#so%20so");
  await page.waitForSelector("#banner >> text=There is no room “so so”");
}

webTest("The banner tells one thing at a time, the most important first, and each once", async () => {
  await using ada = await visit(site, { room: "told", name: "Ada", badNetwork: true });
  const { page } = ada;
  await page.evaluate(() => {
    const heard: string[] = [];
    Object.assign(globalThis, { heard });
    new MutationObserver(() => heard.push(document.getElementById("banner-text")!.textContent!))
      .observe(document.getElementById("banner-text")!, { childList: true });
  });
  await tellTwoThings(ada);
  await clickBanner(page, "#banner >> text=Open so-so");
  await page.waitForSelector("#banner >> text=This browser can store nothing more");
  await page.waitForResponse(/\/rooms$/);
  await page.waitForResponse(/\/rooms$/);
  await clickBanner(page, "#banner-close");
  assertEquals(await page.isVisible("#banner-close"), false);
  const heard = await page.evaluate(() => (globalThis as unknown as { heard: string[] }).heard);
  assertEquals(heard.map((text) => text.slice(0, 12)), ["This browser", "There is no ", "This browser", ""]);
});

webTest("A double click puts one thing aside that the banner tells, and not the next", async () => {
  await using ada = await visit(site, { room: "twice", name: "Ada" });
  const { page } = ada;
  await tellTwoThings(ada);
  await page.waitForTimeout(600);
  await page.evaluate(() => {
    for (let click = 0; click < 2; click++) document.getElementById("banner-close")!.click();
  });
  await page.waitForSelector("#banner.shown >> text=This browser can store nothing more");
  await clickBanner(page, "#banner-close");
  assertEquals(await page.textContent("#banner-text"), "");
});

/** Has the clock by which the page knows one click from two go on, and stand still: a click is not too soon now, and each after it is. */
async function stopClock({ page }: Visitor): Promise<void> {
  await page.evaluate(() => {
    const now = performance.now() + 600;
    performance.now = () => now;
  });
}

webTest(
  "A click is for a notice that came from nothing, and for none that has just taken the place of another",
  async () => {
    await using ada = await visit(site, { room: "clicked", name: "Ada" });
    const { page } = ada;
    /** Goes to an address that is no room's, of which the banner tells. */
    const goTo = async (name: string) => {
      await page.evaluate((name) => location.hash = name, name);
      await page.waitForSelector(`#banner >> text=There is no room “${name}”`);
    };
    await stopClock(ada);
    await goTo("so so");
    await page.evaluate(() => location.hash = "clicked");
    await ada.until(() => !document.querySelector("#banner.shown"), 0);
    await goTo("café");
    await page.click("#banner >> text=Open cafe");
    await ada.until(() => document.querySelector("h1")!.textContent === "cafe", 0);

    // It comes from nothing again, but somebody has just clicked there: this can be the second click of two.
    await goTo("so so");
    await page.click("#banner-close");
    assertEquals(await page.isVisible("#banner-close"), true);

    await stopClock(ada);
    await goTo("café");
    await page.click("#banner-button");
    assertEquals(await page.evaluate(() => decodeURIComponent(location.hash)), "#café");
    await stopClock(ada);
    await page.click("#banner-button");
    await ada.until(() => document.querySelector("h1")!.textContent === "cafe", 0);
  },
);

webTest("A new version of the page is told, with a button that loads it", async () => {
  await using ada = await visit(site, { room: "version", name: "Ada" });
  const { page } = ada;
  const url = page.url();
  await page.goto("about:blank"); // what the first window asked for is not counted
  let etag = `"a page to log in"`;
  let contentType = "text/html";
  let asked = 0;
  let isWatching = false; // before that, HEAD asks whether there is a server; but for what the page is, which the server says
  page.on("request", (request) => isWatching ||= request.url().endsWith("/web/notifications.js"));
  await page.clock.install();
  await page.route("**/web/page.js", async (route) => {
    if (route.request().method() !== "HEAD" || !isWatching) return await route.continue();
    asked++;
    await route.fulfill({ headers: { etag }, contentType });
  });
  await page.goto(url);
  /** Lets time go by, in steps, until the page has asked so often in all. */
  const asks = async (count: number, stepMs: number) => {
    while (asked < count) await page.clock.runFor(stepMs);
  };
  while (!isWatching) await page.clock.runFor(6_000);
  await asks(2, 3_600_000);
  await page.evaluate(() => fetch("web/page.js", { method: "HEAD" })); // by then the page has the answers before
  assertEquals(await page.textContent("#banner-text"), "");
  etag = `"another"`;
  contentType = "text/javascript; charset=utf-8";
  await asks(asked + 1, 3_600_000);
  await asks(asked + 1, 6_000);
  await page.waitForSelector("#banner >> text=There is a new version of this page.");
  const loaded = page.waitForEvent("load");
  await clickBanner(page, "#banner >> text=Reload");
  await loaded;
});

/** Somebody who is away from a room, and may be told on the desktop of what is said there. */
async function away(room: string, options: Visit = {}): Promise<Visitor> {
  await posted(site, room, "Old");
  const visitor = await visit(site, { room, name: "Ada", ...options });
  await desk(visitor, "granted");
  await visitor.until((room) => localStorage.getItem(`linger / read ${room}`) !== null, room);
  await hide(visitor, true);
  return visitor;
}

/** Edits a message, and waits until the page shows that. */
async function edit(visitor: Visitor, message: string, body: string): Promise<void> {
  const response = await fetch(message, { method: "PATCH", headers: KEY, body: JSON.stringify({ body }) });
  assertEquals(response.status, 200);
  await response.body?.cancel();
  await wake(visitor);
  await visitor.page.waitForSelector(`#log .body >> text="${body}"`, { state: "attached" });
}

async function takeBack(visitor: Visitor, message: string): Promise<void> {
  const response = await fetch(message, { method: "DELETE", headers: KEY });
  assertEquals(response.status, 204);
  const id = message.split("/").at(-1);
  await wake(visitor);
  await visitor.page.waitForSelector(`#log article[data-id="${id}"]`, { state: "detached" });
}

webTest("What the desktop was told of a message is taken back when it is deleted", async () => {
  await using ada = await away("taken-back");
  const secret = await says(ada, "taken-back", "Ada, a secret");
  await ada.until(() => localStorage["test shown"]?.includes("a secret"), 0);
  await takeBack(ada, secret);
  await ada.until(() => localStorage["test closed"] === "Ada, a secret", 0);
});

webTest(
  "What the desktop was told of a message that is edited is as it is now, and goes with the name in it",
  async () => {
    await using ada = await away("edited");
    const message = await says(ada, "edited", "Ada, the wrong words");
    await ada.until(() => localStorage["test shown"]?.includes("the wrong words"), 0);
    await edit(ada, message, "Ada, the right words");
    await ada.until(() => localStorage["test shown"].includes("the right words"), 0);
    await edit(ada, message, "Ada, the right words, and more");
    await ada.until(() => localStorage["test shown"].includes(", and more"), 0);
    const long = `Ada, ${"o".repeat(200)}`;
    for (const body of [long, `${long}h`]) await edit(ada, message, body); // of which the desktop shows the same
    assertEquals(await ada.page.evaluate(() => localStorage["test closed"]), undefined);
    await edit(ada, message, "Nothing for anybody");
    await ada.until((body) => localStorage["test closed"] === body, long.slice(0, 200));
    const bodies = [
      "Ada, the wrong words",
      "Ada, the right words",
      "Ada, the right words, and more",
      long.slice(0, 200),
    ];
    assertEquals(await shown(ada), bodies.map((body) => `Noor in edited: ${body}`));
  },
);

webTest(
  "What the desktop was told of a room that is not open goes, or is as it is now, with the next look there",
  async () => {
    const room = "not-open";
    await using ada = await away(room);
    await ada.page.evaluate(() => location.hash = "another");
    await ada.until(() => document.querySelector("h1")!.textContent === "another", 0);
    const ids: string[] = [];
    for (const body of ["Ada, the wrong words", "Ada, a secret"]) {
      ids.push((await (await post(site, room, { body, author: "Noor" }, KEY)).json()).id);
    }
    const newest = async () => (await get<{ newest: string }[]>(site, "/rooms")).json.map(({ newest }) => newest);
    await until(async () => (await newest()).includes(ids[1]!), "it is listed", LISTED_MS);
    await wake(ada);
    await ada.until(
      () => ["wrong", "secret"].every((word) => localStorage["test shown"]?.includes(word)),
      0,
      LISTED_MS,
    );
    const [wrong, secret] = ids.map((id) => `${site.url}/rooms/${room}/messages/${id}`);
    const body = JSON.stringify({ body: "Ada, the right words" });
    assertEquals((await read(fetch(wrong!, { method: "PATCH", headers: KEY, body }))).status, 200);
    assertEquals((await fetch(secret!, { method: "DELETE", headers: KEY })).status, 204);
    await ada.page.evaluate(() => {
      const now = performance.now.bind(performance);
      performance.now = () => now() + 60_000; // after which it looks again
    });
    await wake(ada);
    await ada.until(() => localStorage["test shown"].includes("the right words"), 0, LISTED_MS);
    await ada.until(() => localStorage["test closed"] === "Ada, a secret", 0, LISTED_MS);
  },
);

webTest("What is taken back or edited at once, before the desktop was told, never gets there as it was", async () => {
  await using ada = await away("at-once");
  // Another window is about to tell the same: this one waits for it, for as long as the test needs.
  await ada.page.evaluate(() => {
    const { promise, resolve } = Promise.withResolvers<void>();
    Object.assign(globalThis, { letTell: resolve });
    navigator.locks.request("linger notifications", () => promise);
  });
  await takeBack(ada, await says(ada, "at-once", "Ada, a secret"));
  await edit(ada, await says(ada, "at-once", "Ada, but not you"), "Nothing for anybody");
  await edit(ada, await says(ada, "at-once", "Ada, the wrong words"), "Ada, the right words");
  await ada.page.evaluate(() => (globalThis as unknown as { letTell: () => void }).letTell());
  await says(ada, "at-once", "Ada, the last");
  await ada.until(() => localStorage["test shown"]?.includes("the last"), 0);
  assertEquals(await shown(ada), ["Noor in at-once: Ada, the right words", "Noor in at-once: Ada, the last"]);
});

/** Has messages come all at once, as after an outage; resolves when the desktop was told of the last. */
async function comeAtOnce(visitor: Visitor, room: string, bodies: string[]): Promise<void> {
  await visitor.context.setOffline(true);
  await visitor.page.evaluate(() => dispatchEvent(new Event("online"))); // gives the open poll up
  await visitor.is("offline");
  let last = "";
  for (const body of bodies) last = (await posted(site, room, body)).id;
  await visitor.context.setOffline(false);
  await visitor.until(([room, last]) => localStorage[`linger / told ${room}`] === last, [room, last]);
}

webTest("Many messages that come at once, as after an outage, are told on the desktop in one sentence", async () => {
  await using ada = await away("outage", { badNetwork: true });
  await ada.page.evaluate(() => localStorage.setItem("linger / room outage", "loud"));
  await comeAtOnce(ada, "outage", Array.from({ length: 300 }, (_, i) => `Missed ${i}`));
  assertEquals(await shown(ada), ["300 new messages in outage: "]);
});

webTest("The one sentence for many messages counts those that speak of one, also those before it", async () => {
  const room = "counted";
  await using ada = await away(room, { badNetwork: true });
  const missed = (count: number, meant: number) =>
    Array.from({ length: count }, (_, i) => `${i < count - meant ? "Somebody" : "Ada"}, ${i}`);
  await comeAtOnce(ada, room, missed(20, 5));
  await comeAtOnce(ada, room, missed(9, 4));
  const told = (count: number) => `${count} new messages in ${room}, your name among them: `;
  assertEquals(await shown(ada), [5, 9].map(told));
  const tags = await ada.page.evaluate(() => JSON.parse(localStorage["test tags"]));
  assertEquals(tags, Array(2).fill(`many in ${room}`)); // so that the one takes the place of the other

  // What was read, in another window say, is not new any more.
  await ada.page.evaluate(() => localStorage.setItem("linger / read counted", localStorage["linger / told counted"]));
  await comeAtOnce(ada, room, missed(4, 4));
  assertEquals((await shown(ada)).slice(2), [told(4)]);
});

webTest("The one sentence for many messages says so where one of them, or one before, speaks of one", async () => {
  const room = "among-many";
  await using ada = await away(room, { badNetwork: true });
  const store = (name: string, value: string) =>
    ada.page.evaluate(([name, value]) => localStorage.setItem(`linger / ${name}`, value!), [name, value]);
  await store(`room ${room}`, "loud");
  await comeAtOnce(ada, room, ["One", "Two", "Ada?", "Four"]);
  await comeAtOnce(ada, room, ["Five", "Six", "Seven", "Eight"]);
  const mark = await ada.page.evaluate((key) => localStorage[key], `linger / told ${room}`);
  await store(`read ${room}`, mark); // in another window, say
  await comeAtOnce(ada, room, ["Nine", "Ten", "Eleven", "Twelve"]);
  assertEquals(await shown(ada), [
    `4 new messages in ${room}, your name among them: `,
    `8 new messages in ${room}, your name among them: `,
    `4 new messages in ${room}: `,
  ]);
});

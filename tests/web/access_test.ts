// Everybody can use the page: with a keyboard, with a screen reader, on a phone, in the dark.
import { assertEquals, assertGreaterOrEqual, assertLess, assertLessOrEqual } from "@std/assert";
import axe from "axe-core";
import type { BrowserContextOptions, Page } from "playwright-core";
import { testSite, visit, type Visitor, webTest } from "../support/browser.ts";
import { post } from "../support/client.ts";
import { type Line, writeHistory } from "../support/history.ts";

const site = await testSite();
const LINES: Line[] = [[3000, "Noor", "Long ago"], [60, "Ada", "Hello"], [59, "Ada", "Again"], [
  5,
  "יעל",
  "שלום https://example.org",
], [4, "Аda", "*a* `b` https://a@example.org\n> c\n- d\n```\ne\n```"]];
await writeHistory(site.database.sql, "garden", LINES);

/** The last id that there can be. */
const LAST = "ffffffff-ffff-7fff-bfff-ffffffffffff";

const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

/** A window that is so narrow that the rooms are in a drawer. */
const NARROW = { viewport: { width: 390, height: 700 } };

const LOOKS: Record<string, BrowserContextOptions> = {
  "light": { colorScheme: "light" },
  "dark": { colorScheme: "dark" },
  "a phone, light": { colorScheme: "light", ...PHONE },
  "a phone, dark": { colorScheme: "dark", ...PHONE },
};

/** What axe finds wrong, in words. */
async function violations({ page }: Visitor): Promise<string[]> {
  // Colours are judged as they end up.
  await page.evaluate(() => {
    for (const animation of document.getAnimations()) {
      if (animation.effect?.getComputedTiming().endTime === Infinity) animation.cancel();
      else animation.finish();
    }
  });
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() =>
    (globalThis as unknown as { axe: typeof axe }).axe.run({
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    })
  );
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`)
  );
}

/** Waits until somebody is in a room. */
function isIn(visitor: Visitor, room: string): Promise<void> {
  return visitor.until((room) => document.querySelector("h1")!.textContent === room, room);
}

async function openDrawer(page: Page): Promise<void> {
  await page.click("#menu");
  await page.waitForSelector("#sidebar.open");
}

for (const [look, options] of Object.entries(LOOKS)) {
  webTest(`axe finds nothing to say: ${look}`, async () => {
    await using ada = await visit(site, { room: "garden", name: "Ada", badNetwork: true, ...options });
    const { page } = ada;
    await page.evaluate(() => {
      localStorage.setItem("linger / room pond", "muted"); // in another window
      dispatchEvent(new StorageEvent("storage", { key: "linger / room pond" }));
    });
    await page.waitForSelector("#rooms .muted", { state: "attached" });
    assertEquals(await violations(ada), [], "a conversation");
    await page.focus(".own.message");
    await page.keyboard.press("Shift");
    await page.waitForSelector("#actions");
    await page.keyboard.press("r");
    await page.waitForSelector("#replying");
    await page.focus(".own.message");
    assertEquals(await violations(ada), [], "a message, what can be done with it, and a reply begun");
    if (options.isMobile) {
      await openDrawer(page);
      assertEquals(await violations(ada), [], "the drawer");
      await page.click(`[aria-label="Options of garden"]`);
      assertEquals(await violations(ada), [], "a room's options");
      await page.click("#all-rooms");
      await page.waitForSelector("#all a");
      assertEquals(await violations(ada), [], "all rooms");
      await page.keyboard.press("Escape");
      await page.keyboard.press("Escape");
    }
    await page.route(/\/messages$/, (route) => route.fulfill({ status: 400, body: "{}" }));
    await page.fill("#text", "Refused");
    await page.click("#send");
    await page.waitForSelector(".failed");
    await page.fill("#text", "x".repeat(10_001));
    assertEquals(await violations(ada), [], "a message that failed, and one that is too long");
    await page.unroute(/\/messages$/);

    await page.route(/\/messages/, (route) => route.fulfill({ status: 503, headers: { "retry-after": "60" } }));
    await page.fill("#text", "On its way");
    await page.click("#send");
    await page.evaluate(() => dispatchEvent(new Event("online"))); // gives the open poll up
    await ada.is("reconnecting");
    assertEquals(await violations(ada), [], "reconnecting");
    await page.unroute(/\/messages/);

    await using empty = await visit(site, { room: "nobody", ...options });
    assertEquals(await violations(empty), [], "an empty room, and a name to give");
  });
}

for (const look of ["light", "a phone, dark"]) {
  webTest(`axe finds nothing to say of what comes and goes: ${look}`, async () => {
    const room = `axe-${look.replaceAll(/\W+/g, "-")}`;
    const lines = Array.from({ length: 60 }, (_, i): Line => [100 - i, "Noor", `Line ${i}`]);
    await writeHistory(site.database.sql, room, lines);
    await using ada = await visit(site, { room, name: "Ada", badNetwork: true, ...LOOKS[look] });
    const { page } = ada;
    // Of a link to a message axe thinks that it leads past something on the page.
    const inSearch = async () => (await violations(ada)).filter((violation) => !violation.startsWith("skip-link: "));
    await page.click("#find");
    assertEquals(await inSearch(), [], "a search that is to begin");
    await page.fill("#search input", "Line");
    await page.waitForSelector("#search >> text=Search further");
    assertEquals(await inSearch(), [], "what was found");
    await page.click("#search a >> nth=20");
    await page.waitForSelector("#log .found");
    assertEquals(await violations(ada), [], "a message that was found");
    const read = await page.$eval("#log .found", (row) => row.id.replace("message-", ""));

    await ada.say("Mine");
    await ada.confirmed();
    await page.press("#text", "ArrowUp");
    await page.waitForSelector("#editor:not([hidden])");
    await page.fill("#edited-text", "x".repeat(10_001));
    assertEquals(await violations(ada), [], "a message that is edited, and is too long");
    await page.keyboard.press("Escape");

    await page.evaluate(() => location.hash = "#so%20so");
    await page.waitForSelector("#banner.shown");
    assertEquals(await violations(ada), [], "the banner");

    await page.evaluate(([key, id]) => localStorage[key!] = id, [`linger / read ${room}`, read]);
    await page.evaluate((room) => location.hash = room, room);
    await page.waitForSelector("#log .unread");
    await page.waitForSelector("#pill:not([hidden])");
    assertEquals(await violations(ada), [], "what is new, and the way to the newest");

    await page.route(/\/messages/, (route) => route.fulfill({ status: 401, body: "" }));
    await page.evaluate(() => location.hash = "#shut");
    await page.waitForSelector("#gate:not([hidden])");
    assertEquals(await violations(ada), [], "a room that is shut");
  });
}

webTest(
  "With colours that somebody has chosen, the focus, the room one is in, counts and lines are still seen",
  async () => {
    await using ada = await visit(site, { room: "garden", name: "Ada", forcedColors: "active" });
    const seen = (selector: string, pseudo: string | null = null) =>
      ada.page.$eval(selector, (node, pseudo) => {
        const { outlineStyle, borderTopStyle } = getComputedStyle(node, pseudo);
        return outlineStyle !== "none" || borderTopStyle !== "none";
      }, pseudo);
    await ada.page.focus("#text");
    assertEquals(await seen("#composer .field"), true);
    const plain = await ada.page.$eval("#composer .field", (node) => getComputedStyle(node).outlineStyle);
    await ada.page.focus("#rename");
    assertEquals(
      plain !== await ada.page.$eval("#composer .field", (node) => getComputedStyle(node).outlineStyle),
      true,
    );
    assertEquals(await seen("#rooms a[aria-current]"), true);
    assertEquals(await seen("#connection", "::before"), true);
    assertEquals(await seen(".count"), true);
    assertEquals(await seen(".day", "::before"), true);
    const found = await ada.page.$eval("#log article", (row) => (row as HTMLElement).dataset.id);
    await ada.page.evaluate((hash) => location.hash = hash, `garden/${found}`);
    await ada.page.waitForSelector("#log .found");
    await ada.page.focus("#text"); // whose line is another
    assertEquals(await seen("#log .found"), true);
    assertEquals(await violations(ada), []);
  },
  { notInFirefox: "this Firefox is told no colours that somebody likes" },
);

webTest(
  "The way back to what one went past stands over the messages, and never over the line that tells what is wrong",
  async () => {
    for (const width of [1000, 390]) {
      await using ada = await visit(site, { room: "garden", name: "Ada", viewport: { width, height: 700 } });
      const { page } = ada;
      await page.evaluate(() => location.hash = "#so%20so");
      await page.waitForSelector("#banner.shown");
      const [since, box] = await page.evaluate(() => { // in one turn: in the next one the page may have hidden it again
        Object.assign(document.getElementById("since")!, { hidden: false, textContent: "12 new since Monday" });
        return ["since", "scroller"].map((id) => document.getElementById(id)!.getBoundingClientRect().toJSON());
      });
      assertEquals([since.top > box.top, since.bottom < box.top + 100], [true, true]);
      assertLess(Math.abs(since.left + since.right - box.left - box.right), 4);
    }
  },
);

webTest("At 400 % there is still room for messages, and nothing is to be scrolled sideways", async () => {
  await using ada = await visit(site, { room: "garden", name: "Ada", viewport: { width: 320, height: 256 } });
  const { page } = ada;
  const width = () => page.evaluate(() => document.documentElement.scrollWidth);
  const height = () => page.$eval("#scroller", ({ clientHeight }) => clientHeight);
  assertEquals(await width(), 320);
  await page.fill("#text", "line\n".repeat(6));
  assertGreaterOrEqual(await height(), 96);
  assertEquals(await violations(ada), []);
  await page.fill("#text", "");
  await page.evaluate(() => location.hash = "#my%20room");
  await page.waitForSelector("#banner.shown");
  await ada.is("live");
  assertGreaterOrEqual(await height(), 64);
  assertEquals(await width(), 320);
  assertEquals(await violations(ada), [], "something is wrong");

  const [name, line] = await page.evaluate(() => { // in one turn, too
    document.getElementById("connection")!.dataset.status = "reconnecting";
    document.getElementById("connection-seen")!.textContent = "The answer is 503, reconnecting in 14 s";
    return ["room", "connection"].map((id) => document.getElementById(id)!.getBoundingClientRect().toJSON());
  });
  assertGreaterOrEqual(name.width, 64);
  assertLessOrEqual(line.right, 320);
});

webTest("Back closes the drawer, and then leads back; a room that is chosen in it leaves no step behind", async () => {
  await using ada = await visit(site, { room: "garden", name: "Ada", ...PHONE });
  const { page } = ada;
  await page.evaluate(() => location.hash = "#shed");
  await isIn(ada, "shed");
  await page.tap("#menu");
  await page.waitForSelector("#sidebar.open");
  await page.evaluate(() => history.back());
  await page.waitForSelector("#sidebar:not(.open)", { state: "attached" });
  assertEquals(await page.textContent("h1"), "shed");
  await page.tap("#menu");
  await page.tap(`#rooms a[href="#garden"]`);
  await isIn(ada, "garden");
  await page.waitForSelector("#sidebar:not(.open)", { state: "attached" });
  await page.evaluate(() => history.back());
  await isIn(ada, "shed");
  // Nor does one that was open when the page was loaded anew.
  await page.tap("#menu");
  await page.waitForSelector("#sidebar.open");
  await page.reload();
  await ada.is("live");
  assertEquals(await page.locator("#sidebar.open").count(), 0);
  await ada.until(() => !history.state?.drawer, 0); // it has gone the drawer's step back itself
  await page.tap("#menu");
  await page.waitForSelector("#sidebar.open");
  await page.evaluate(() => history.back());
  await page.waitForSelector("#sidebar:not(.open)", { state: "attached" });
  await page.evaluate(() => history.back());
  await isIn(ada, "garden");
}, { notInFirefox: "WebDriver BiDi has no touch screen" });

webTest("Back closes a window on a narrow screen, and then the drawer under it, before it leads back", async () => {
  await using ada = await visit(site, { room: "garden", name: "Ada", ...NARROW });
  const { page } = ada;
  const back = () => page.evaluate(() => history.back());
  const isThere = (selector: string) => page.locator(selector).count();
  const isGone = (selector: string) => page.waitForSelector(selector, { state: "detached" });
  await page.evaluate(() => location.hash = "#shed");
  await isIn(ada, "shed");
  await openDrawer(page);
  await page.click("#all-rooms");
  await page.waitForSelector("#all a");
  await back();
  await isGone("#all");
  assertEquals(await isThere("#sidebar.open"), 1);
  await back();
  await isGone("#sidebar.open");
  await page.click("#find");
  await page.waitForSelector("#search");
  await back();
  await isGone("#search");
  assertEquals(await page.textContent("h1"), "shed");
  // What closes it otherwise, or leads on from it, leaves no step behind.
  await page.click("#find");
  await page.click("#search >> text=Close");
  await isGone("#search");
  await ada.until(() => !history.state?.drawer, 0); // it has gone the window's step back itself
  await page.evaluate(() => location.hash = "#garden");
  await isIn(ada, "garden");
  await page.click("#find");
  await page.fill("#search input", "Again");
  await page.click("#search a");
  await page.waitForSelector("#log .found");
  await back();
  await ada.until(() => location.hash === "#garden", 0);
  await openDrawer(page);
  await page.click("#all-rooms");
  await page.waitForSelector("#all");
  await page.fill("#all input", "pond");
  await page.click(`#all a[href="#pond"]`);
  await isIn(ada, "pond");
  assertEquals(await isThere("#sidebar.open"), 0);
  for (const room of ["garden", "shed", "garden"]) {
    await back();
    await isIn(ada, room);
  }
});

webTest("Who is at a message when he goes back to another room on a phone is in the messages there", async () => {
  await using ada = await visit(site, { room: "meadow", name: "Ada", ...PHONE });
  const { page } = ada;
  await page.evaluate(() => location.hash = "#garden");
  await page.waitForSelector("#log article");
  await page.focus("#log article");
  await page.evaluate(() => history.back());
  await isIn(ada, "meadow");
  assertEquals(await page.evaluate(() => document.activeElement!.id), "scroller"); // and not nowhere
}, { notInFirefox: "WebDriver BiDi has no touch screen" });

webTest("A phone's keyboard comes up where one searches, and not over the list of all rooms", async () => {
  await using ada = await visit(site, { room: "garden", name: "Ada", ...PHONE });
  const { page } = ada;
  const focused = () => page.evaluate(() => document.activeElement!.localName);
  await page.tap("#find");
  await page.waitForSelector("#search");
  assertEquals(await focused(), "input");
  await page.tap("#search >> text=Close");
  await page.tap("#menu");
  await page.tap("#all-rooms");
  await page.waitForSelector("#all");
  assertEquals(await focused(), "button");
}, { notInFirefox: "WebDriver BiDi has no touch screen" });

webTest("A room that is left in the drawer leaves no step behind", async () => {
  await using ada = await visit(site, { room: "garden", name: "Ada", ...NARROW });
  const { page } = ada;
  await page.evaluate(() => location.hash = "#shed");
  await isIn(ada, "shed");
  await openDrawer(page);
  await page.click(`[aria-label="Options of shed"]`);
  await page.click("#rooms >> text=Leave");
  await isIn(ada, "lobby");
  await page.waitForSelector("#sidebar:not(.open)", { state: "attached" });
  await page.evaluate(() => history.back());
  await isIn(ada, "shed");
  await page.evaluate(() => history.back());
  await isIn(ada, "garden");
});

webTest("What is asked for in the drawer is answered where one can see it and write", async () => {
  await using ada = await visit(site, { room: "garden", name: "Ada", ...NARROW });
  const { page } = ada;
  const open = async () => {
    await openDrawer(page);
  };
  await open();
  await page.click("#rename");
  await page.waitForSelector("#sidebar:not(.open)", { state: "attached" });
  assertEquals(await page.evaluate(() => document.activeElement!.id), "name");
  await page.keyboard.press("Escape");
  await page.evaluate(() => {
    Object.defineProperty(Notification, "requestPermission", { value: () => Promise.resolve("denied") });
  });
  await open();
  await page.click(`[aria-label="Options of garden"]`);
  await page.click("#rooms >> text=Notify me of everything");
  await page.waitForSelector("#banner >> text=does not let this page notify you");
  assertEquals(await page.evaluate(() => document.getElementById("main")!.inert), false);
});

webTest(
  "What lies over the drawer closes first; and who closes the drawer twice in one moment stays on the page",
  async () => {
    await using ada = await visit(site, { room: "garden", name: "Ada", ...NARROW });
    const { page } = ada;
    const open = async () => {
      await openDrawer(page);
    };
    const steps = await page.evaluate(() => history.length);
    await open();
    await page.click("#all-rooms");
    await page.waitForSelector("#all");
    await page.keyboard.press("Escape");
    await page.waitForSelector("#all", { state: "detached" });
    await page.waitForTimeout(200); // longer than a step back takes
    assertEquals(await page.locator("#sidebar.open").count(), 1);
    await page.keyboard.press("Escape");
    await page.waitForSelector("#sidebar:not(.open)", { state: "attached" });
    for (const way of ["Escape", "curtain"]) {
      await open();
      await page.evaluate((way) => {
        for (let i = 0; i < 2; i++) {
          if (way === "curtain") document.getElementById("curtain")!.click();
          else document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
        }
      }, way);
      await page.waitForTimeout(200);
      await page.fill("#text", `Still here after ${way}`);
    }
    // Who opens it again in that moment has it open, and goes back once.
    await open();
    await page.evaluate(() => {
      document.getElementById("curtain")!.click();
      document.getElementById("menu")!.click();
    });
    await page.waitForSelector("#sidebar.open");
    await page.evaluate(() => history.back());
    await page.waitForSelector("#sidebar:not(.open)", { state: "attached" });
    assertEquals(await page.evaluate(() => history.state), null);
    assertEquals(await page.evaluate(() => history.length) - steps, 1);
  },
);

webTest("Where the screen is turned and the drawer is none any more, Back leads to the room before", async () => {
  await using ada = await visit(site, { room: "garden", name: "Ada", ...NARROW });
  const { page } = ada;
  await page.evaluate(() => location.hash = "#shed");
  await isIn(ada, "shed");
  await openDrawer(page);
  await page.setViewportSize({ width: 1000, height: 390 });
  await page.waitForSelector("#sidebar:not(.open):not([inert])");
  await ada.until(() => !history.state?.drawer, 0); // it has gone the drawer's step back itself
  await page.evaluate(() => history.back());
  await isIn(ada, "garden");
});

webTest("From right to left nothing hangs over the edge", async () => {
  await using ada = await visit(site, { room: "garden", name: "Ada", ...PHONE });
  await ada.page.evaluate(() => document.documentElement.dir = "rtl");
  assertEquals(await ada.page.evaluate(() => document.documentElement.scrollWidth), 390);
  await ada.page.tap("#menu");
  await ada.page.waitForFunction(() => document.getElementById("sidebar")!.getBoundingClientRect().right === 390);
  assertEquals(await violations(ada), []);
}, { notInFirefox: "WebDriver BiDi has no touch screen" });

webTest("Light and dark follow the system", async () => {
  for (const [colorScheme, isDark] of [["light", false], ["dark", true]] as const) {
    await using ada = await visit(site, { colorScheme });
    const [paper, ink] = await ada.page.evaluate(() => {
      const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true })!;
      return ["backgroundColor", "color"].map((property) => {
        context.fillStyle = getComputedStyle(document.querySelector("main")!)[property as "color"];
        context.fillRect(0, 0, 1, 1);
        return context.getImageData(0, 0, 1, 1).data.slice(0, 3).reduce((sum, part) => sum + part);
      });
    });
    assertEquals(paper! < ink!, isDark);
  }
}, { notInFirefox: "this Firefox is told no colours that somebody likes" });

webTest("Who wants less to move on the screen has nothing moving", async () => {
  await using ada = await visit(site, { room: "nobody", name: "Ada", reducedMotion: "reduce" });
  const moving = () =>
    ada.page.evaluate(() =>
      document.getAnimations().filter(({ effect }) => Number(effect?.getComputedTiming().activeDuration) > 10).length
    );
  await ada.page.waitForSelector("#empty .quiet");
  assertEquals(await moving(), 0);
  await ada.say("Hello");
  assertEquals(await moving(), 0);
});

webTest("On a phone the rooms are in a drawer, which holds the focus while it is open and gives it back", async () => {
  await using ada = await visit(site, { room: "garden", name: "Ada", ...PHONE });
  const { page } = ada;
  const active = () => page.evaluate(() => document.activeElement?.id || document.activeElement?.getAttribute("href"));
  assertEquals(await page.isVisible("#sidebar"), false);
  assertEquals(await page.evaluate(() => document.documentElement.scrollWidth), 390);
  await page.focus("#menu");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#sidebar.open");
  assertEquals(await active(), "#garden");
  assertEquals(await page.getAttribute("#menu", "aria-expanded"), "true");
  for (let i = 0; i < 12; i++) {
    await page.keyboard.press("Tab");
    assertEquals(await page.evaluate(() => document.getElementById("main")!.contains(document.activeElement)), false);
  }
  await page.focus("#rooms a");
  await page.keyboard.press("Escape");
  await page.waitForSelector("#sidebar", { state: "hidden" });
  assertEquals(await active(), "menu");

  await page.click("#menu");
  await page.fill("#new-room-name", "pocket");
  await page.press("#new-room-name", "Enter");
  await page.waitForSelector("#sidebar", { state: "hidden" });
  assertEquals(await page.textContent("h1"), "pocket");

  for (
    const size of await page.$$eval(
      "input, textarea",
      (all) => all.map((one) => parseFloat(getComputedStyle(one).fontSize)),
    )
  ) {
    assertGreaterOrEqual(size, 16); // smaller, and the browser zooms in
  }
});

webTest("With the keyboard alone one gets everywhere, sees where one is, and writes lines", async () => {
  await using ada = await visit(site, { room: "keyboard", name: "Ada" });
  const { page } = ada;
  assertEquals(await page.evaluate(() => document.activeElement?.id), "text");
  await page.keyboard.type("One");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("Two");
  await page.keyboard.press("Enter");
  await ada.sees("One\nTwo");
  const stops: (string | undefined)[] = [];
  await page.evaluate(() => (document.activeElement as HTMLElement).blur());
  await page.focus("#rooms a >> nth=0");
  for (let i = 0; i < 20; i++) {
    await page.keyboard.press("Tab");
    const stop = await page.evaluate(() => {
      const { id } = document.activeElement!;
      const field = document.activeElement!.closest(".field") ?? document.activeElement!;
      const { outlineStyle, boxShadow } = getComputedStyle(field);
      return id && `${id}${outlineStyle === "none" && boxShadow === "none" ? " unseen" : ""}`;
    });
    if (stop) stops.push(stop);
  }
  for (const id of ["new-room-name", "rename", "scroller", "text"]) assertEquals([id, stops.includes(id)], [id, true]);
  assertEquals(stops.filter((stop) => stop?.endsWith("unseen")), []);
}, { notInFirefox: "windows of Firefox without a screen have no mouse, and focus is with one of them" });

webTest("A screen reader hears new messages once, and neither history nor what is on its way", async () => {
  await using ada = await visit(site, { room: "garden", name: "Ada" });
  const { page } = ada;
  await ada.until(() => document.getElementById("log")!.ariaLive === "polite", 0);
  assertEquals(await page.getAttribute("#log", "role"), "log");
  await page.evaluate(() => {
    const heard: string[] = [];
    Object.assign(globalThis, { heard });
    new MutationObserver((changes) => {
      if (document.getElementById("log")!.ariaLive !== "polite") return;
      for (const { addedNodes } of changes) for (const node of addedNodes) heard.push(node.textContent ?? "");
    }).observe(document.getElementById("log")!, { subtree: true, childList: true });
  });
  await ada.say("Mine");
  await ada.settles();
  await post(site, "garden", { body: "Theirs", author: "Noor" });
  await page.waitForSelector("text=Theirs");
  const heard = await page.evaluate(() => (globalThis as unknown as { heard: string[] }).heard);
  assertEquals(heard.filter((text) => text.endsWith("Mine")).length, 1);
  assertEquals(heard.filter((text) => text.endsWith("Theirs")).length, 1);
  assertEquals(await page.textContent("#connection-said"), "Live");
});

webTest("A screen reader hears of an outage once, however often the page tries, and of its end", async () => {
  await using ada = await visit(site, { room: "garden", name: "Ada", badNetwork: true });
  const { page } = ada;
  await page.evaluate(() => {
    const heard: string[] = [];
    Object.assign(globalThis, { heard });
    const said = document.getElementById("connection-said")!;
    new MutationObserver(() => heard.push(said.textContent!)).observe(said, { childList: true, characterData: true });
  });
  let tries = 0;
  await page.route(/\/messages\?/, (route) => {
    tries++;
    return route.abort();
  });
  await page.evaluate(() => dispatchEvent(new Event("online"))); // gives the open poll up
  await ada.is("reconnecting");
  while (tries < 4) {
    await page.evaluate(() => dispatchEvent(new Event("online"))); // has it try at once
    await page.waitForTimeout(50);
  }
  await page.unroute(/\/messages\?/);
  await ada.is("live");
  const heard = await page.evaluate(() => (globalThis as unknown as { heard: string[] }).heard);
  assertEquals(heard, ["Reconnecting", "Live"]);
});

/** Notes what a screen reader says from now on of what is told beside the conversation. */
async function listen({ page }: Visitor): Promise<() => Promise<string[]>> {
  await page.evaluate(() => {
    const heard: string[] = [];
    Object.assign(globalThis, { heard });
    new MutationObserver((changes) => {
      const lines = changes.map(({ target }) =>
        (target instanceof Element ? target : target.parentElement)?.closest("[role=status], [role=alert]")
      );
      for (const line of new Set(lines)) if (line?.textContent) heard.push(line.textContent);
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
  });
  return () => page.evaluate(() => (globalThis as unknown as { heard: string[] }).heard);
}

webTest(
  "A screen reader hears now and then how much longer a text may become, and one sees it at each key",
  async () => {
    await using ada = await visit(site, { room: "counted", name: "Ada" });
    const { page } = ada;
    await ada.say("Mine");
    await ada.settles();
    const heard = await listen(ada);
    const seen: (string | null)[] = [];
    for (
      const [length, keys] of [[9_001, "abc"], [9_900, "abc"], [9_990, "abc"], [10_000, ""], [10_001, "abc"]] as const
    ) {
      await page.fill("#text", "x".repeat(length));
      await page.keyboard.type(keys);
      seen.push(await page.textContent("#room-left"));
    }
    assertEquals(seen.map((sentence) => parseInt(sentence!)), [996, 97, 7, 0, 4]);
    const said = ["999 characters left", "100 characters left", "10 characters left", "0 characters left"];
    assertEquals(await heard(), [...said, "1 character too long"]);
    // Some tell of what describes a field, too, whenever it changes.
    const described = await page.getAttribute("#text", "aria-describedby");
    assertEquals(await page.textContent(`#${described}`), "1 character too long");
    // What has nothing to do with that is said, whatever was said before.
    await page.evaluate(() => {
      const init = { inputType: "insertFromPaste", data: "x".repeat(60_000), bubbles: true, cancelable: true };
      document.getElementById("text")!.dispatchEvent(new InputEvent("beforeinput", init));
    });
    assertEquals((await heard()).at(-1), await page.textContent("#room-left"));
    const before = await heard();
    await page.fill("#text", "");
    await page.press("#text", "ArrowUp");
    await page.waitForSelector("#editor:not([hidden])");
    await page.fill("#edited-text", "x".repeat(10_001));
    await page.keyboard.type("ab");
    await page.waitForSelector(`#editor >> text="3 characters too long"`);
    assertEquals(await heard(), [...before, "1 character too long"]);
  },
);

webTest(
  "A screen reader hears that a link leads nowhere, as all that is told: no line of it is hidden before",
  async () => {
    await using ada = await visit(site, { room: "garden", name: "Ada" });
    const { page } = ada;
    const hidden = await page.$$eval(
      "[role=status]",
      (lines) => lines.filter((line) => !line.checkVisibility()).map(({ id }) => id),
    );
    assertEquals(hidden, []);
    const heard = await listen(ada);
    const sentence = "The message that this link leads to is not here, or no longer.";
    const links = ["no-id", LAST];
    for (const id of links) {
      await page.evaluate((hash) => location.hash = hash, `garden/${id}`);
      await page.waitForSelector("#notice:not(:empty)");
      await page.evaluate(() => location.hash = "garden");
      await page.waitForSelector("#notice:empty", { state: "attached" });
    }
    assertEquals((await heard()).filter((told) => told === sentence).length, links.length);
  },
);

webTest("A screen reader hears nothing twice while somebody types what to look for", async () => {
  await using ada = await visit(site, { room: "garden", name: "Ada" });
  const { page } = ada;
  await page.route(/\/rooms$/, (route) => route.fulfill({ json: [{ room: "tea-garden", newest: LAST }] }));
  await page.reload(); // the list that it has already is good for a while
  await ada.is("live");
  for (
    const [button, list, first] of [["#find", "#search", "text=Two letters"], ["#all-rooms", "#all", "a"]] as const
  ) {
    await page.click(button);
    await page.waitForSelector(`${list} >> ${first}`);
    const heard = await listen(ada);
    for (const key of ["g", "Backspace", "a"]) await page.keyboard.press(key);
    assertEquals(await heard(), []);
    await page.keyboard.press("Escape"); // which empties the field
    await page.keyboard.press("Escape");
    await page.waitForSelector(list, { state: "detached" });
  }
});

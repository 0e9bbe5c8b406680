// What one writes goes out in order, by itself and once, whatever happens on the way; and what is refused can be said otherwise.
/// <reference lib="dom" />
import { assertEquals } from "@std/assert";
import type { Route } from "playwright-core";
import { noServer, refuse, testSite, visit, Visitor, webTest } from "../support/browser.ts";
import { messages, post, posted, until } from "../support/client.ts";
import { runCommand } from "../support/command.ts";
import { Proxy } from "../torture/proxy.ts";

const site = await testSite();

/** A post, without the polls of the same path. */
const POSTS = /\/messages$/;
const POLLS = /\/messages\?/;

/** Counts from now on what is added to what waits: a screen reader reads that out. */
function watchAlerts({ page }: Visitor): Promise<void> {
  return page.evaluate(() => {
    const seen = Object.assign(globalThis, { alerts: 0 });
    new MutationObserver((changes) => seen.alerts += changes.flatMap(({ addedNodes }) => [...addedNodes]).length)
      .observe(document.getElementById("waiting")!, { subtree: true, childList: true });
  });
}

function alerts({ page }: Visitor): Promise<number> {
  return page.evaluate(() => (globalThis as unknown as { alerts: number }).alerts);
}

/** Has the next message stored, and nothing answered: neither to it nor to what is sent after it. */
async function storeUnheard({ page }: Visitor): Promise<void> {
  let stores = true;
  await page.route(POSTS, async (route) => {
    if (stores) await route.fetch(); // the others would still be under way when the test is over
    stores = false;
    await route.abort();
  });
}

async function stored(room: string): Promise<string[]> {
  return (await messages(site, room, "wait=0")).map(({ body }) => body);
}

webTest(
  "What is late holds back what is behind it, and all goes out in order and by itself, also after a reload",
  async () => {
    await using ada = await visit(site, { room: "order", name: "Ada", badNetwork: true });
    await ada.page.route(POSTS, noServer);
    for (const body of ["One", "Two", "Three"]) await ada.say(body);
    await ada.page.waitForSelector(".failed >> text=Not sent yet");
    assertEquals(await ada.page.locator(".failed").count(), 1);
    await ada.page.reload();
    await ada.sees("One", "Two", "Three");
    await ada.page.waitForSelector(".failed >> text=Not sent yet");
    await ada.page.unroute(POSTS);
    await ada.settles();
    assertEquals(await stored("order"), ["One", "Two", "Three"]);
    await ada.sees("One", "Two", "Three");
  },
);

webTest("After an outage of more than half a minute all goes out in the order it was written", async () => {
  await using proxy = new Proxy(() => Number(new URL(site.url).port));
  const there = { browser: site.browser, url: `http://127.0.0.1:${proxy.port}` };
  await using ada = await visit(there, { room: "outage", name: "Ada", badNetwork: true });
  proxy.weather = "refuse";
  for (const body of ["One", "Two", "Three"]) await ada.say(body);
  await ada.page.waitForSelector(".failed >> text=Not sent yet", { timeout: 60_000 });
  await ada.page.waitForSelector("text=Waits for the one above");
  proxy.weather = "pass";
  await ada.settles();
  assertEquals(await stored("outage"), ["One", "Two", "Three"]);
});

webTest("A refused message gives its words back to be said otherwise, and holds back nothing", async () => {
  await using ada = await visit(site, { room: "edit", name: "Ada", badNetwork: true });
  await ada.page.route(POSTS, refuse);
  await ada.say("Not so");
  await ada.page.waitForSelector(".failed");
  await ada.page.unroute(POSTS);
  await ada.say("Behind it");
  await ada.page.waitForSelector("#log >> text=Behind it");
  await ada.page.fill("#text", "And more");
  await ada.page.click(".failed >> text=Edit");
  assertEquals(await ada.page.inputValue("#text"), "Not so\n\nAnd more");
  await ada.settles();
  await ada.say("But so");
  await ada.settles();
  assertEquals(await stored("edit"), ["Behind it", "But so"]);
});

webTest("The words of a refused message that one edits are not lost when another tab writes there", async () => {
  await using ada = await visit(site, { room: "given-back", name: "Ada", badNetwork: true });
  await ada.page.route(POSTS, refuse);
  await ada.say("Not so");
  await ada.page.click(".failed >> text=Edit");
  const other = new Visitor(ada.context, await ada.context.newPage(), {});
  await other.page.goto(`${site.url}/#given-back`);
  await other.is("live");
  await other.page.fill("#text", "Something else, and at length");
  await ada.until(() => localStorage.getItem("linger / draft given-back")?.endsWith("at length") === true, 0);
  await ada.page.reload();
  await ada.is("live");
  assertEquals(await ada.page.inputValue("#text"), "Something else, and at length\n\nNot so");
});

webTest(
  "A message that is late is neither taken for another's with the same words nor sent because of it",
  async () => {
    await using ada = await visit(site, { room: "same", name: "Ada", badNetwork: true });
    let tries = 0;
    await ada.page.route(POSTS, (route) => {
      tries++;
      return noServer(route);
    });
    await ada.say("ok");
    await ada.page.waitForSelector(".failed");
    const [before, begun] = [tries, Date.now()];
    await post(site, "same", { body: "ok", author: "Ada" });
    await ada.sees("ok", "ok");
    // It tries again by itself: after pauses that double, the second of three seconds or more.
    const most = 1 + (Date.now() - begun) / 3_000;
    assertEquals([await ada.page.locator(".failed").count(), tries - before <= most], [1, true]);
    await ada.page.click("text=Delete");
    await ada.sees("ok");
    await ada.page.unroute(POSTS);
    assertEquals(await stored("same"), ["ok"]);
  },
);

/** Somebody who writes "ok" in a room where that was said before, while it is still to be read, and without a way to the server. */
async function saysAgain(room: string, read: (id: string) => string): Promise<Visitor> {
  const { id } = await (await post(site, room, { body: "ok", author: "Ada" })).json();
  const ada = await visit(site, { name: "Ada", badNetwork: true });
  const { page } = ada;
  await page.clock.install();
  await page.reload();
  await ada.is("live");
  const asked = Promise.withResolvers<Route>();
  await page.route(/before=now&limit=50/, (route) => asked.resolve(route), { times: 1 });
  await page.route(POSTS, (route) => route.abort());
  await page.evaluate(([room, id]) => {
    localStorage.setItem(`linger / read ${room}`, id!);
    location.hash = room!;
  }, [room, read(id)]);
  const history = await asked.promise;
  await ada.say("ok");
  await ada.sees("ok");
  await history.continue();
  await page.waitForSelector("#log >> text=ok");
  return ada;
}

webTest("What one writes in a room that is still to be read is not taken for what one has read there", async () => {
  await using ada = await saysAgain("again", (id) => id);
  await ada.sees("ok", "ok");
});

webTest("What was taken for something said before shows itself when it is late", async () => {
  await using ada = await saysAgain("mistaken", () => "");
  await ada.page.clock.fastForward(31_000);
  await ada.page.waitForSelector(".failed >> text=ok");
});

webTest(
  "What stands there is not told to be unsent, however late its answer is, also with a clock that is ahead",
  async () => {
    await using ada = await visit(site, { room: "ahead", name: "Ada", badNetwork: true });
    const { page } = ada;
    await page.clock.install({ time: Date.now() + 120_000 });
    await page.reload();
    await ada.is("live");
    await storeUnheard(ada);
    await ada.say("Here");
    await page.waitForSelector("#log >> text=Here");
    await ada.settles();
    await page.clock.fastForward(31_000);
    await ada.until(
      () =>
        Object.entries(localStorage).some(([key, kept]) => / unsent /.test(key) && JSON.parse(kept).state === "late"),
      0,
    );
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve))); // as it is shown: after this turn
    assertEquals([await page.locator(".failed").count(), await ada.bodies()], [0, ["Here"]]);
  },
);

webTest("On a phone one sees, and hears, that something is not sent in another room", async () => {
  const viewport = { width: 390, height: 700 };
  await using ada = await visit(site, { room: "pocket", name: "Ada", badNetwork: true, viewport });
  const { page } = ada;
  await page.route(POSTS, refuse);
  await ada.say("Refused");
  await page.waitForSelector(".failed");
  assertEquals(await page.isVisible("#menu-badge"), false); // one sees it here
  await page.evaluate(() => location.hash = "elsewhere");
  await page.waitForSelector("#menu-badge");
  const name = "Rooms, some with messages that are not sent";
  assertEquals(await page.getByRole("button", { name, exact: true }).count(), 1);
});

for (const order of ["before", "after"]) {
  webTest(
    `What had arrived when it was given up as late can still be deleted, seen ${order} that`,
    async () => {
      const room = `seen-${order}`;
      await using ada = await visit(site, { room, name: "Ada", badNetwork: true });
      const { page } = ada;
      await page.clock.install();
      await page.reload();
      await ada.is("live");
      await page.route(POLLS, (route) => route.abort());
      await storeUnheard(ada);
      await page.evaluate(() => dispatchEvent(new Event("online"))); // gives the open poll up
      await ada.is("reconnecting");
      await ada.say("A secret");
      await until(async () => (await stored(room)).length === 1, "it is stored");
      await page.clock.fastForward(31_000);
      await page.waitForSelector(".failed");
      if (order === "after") {
        await page.click(".failed >> text=Delete");
        await ada.sees();
      }
      await page.unroute(POLLS);
      await page.evaluate(() => dispatchEvent(new Event("online")));
      await page.waitForSelector("#log >> text=A secret");
      if (order === "before") await page.click(".failed >> text=Delete");
      await ada.sees("A secret");
      page.on("dialog", (dialog) => dialog.accept());
      await page.hover("#log .body");
      await page.click("#actions [aria-label=Delete]");
      await ada.sees();
      assertEquals(await stored(room), []);
    },
  );
}

webTest("A failure stays the same element while messages come, with the focus in it", async () => {
  await using ada = await visit(site, { room: "still", name: "Ada", badNetwork: true });
  await ada.page.route(POSTS, refuse);
  await ada.say("Refused");
  await ada.page.waitForSelector(".failed");
  await ada.page.focus(".failed >> text=Retry");
  await watchAlerts(ada);
  for (let i = 0; i < 5; i++) {
    await posted(site, "still", `Number ${i}`);
    await ada.page.waitForSelector(`#log >> text=Number ${i}`);
  }
  assertEquals(await ada.page.evaluate(() => document.activeElement?.textContent), "Retry");
  assertEquals(await alerts(ada), 0);
});

webTest("What is late goes on to say the same for as long as the answer is the same, and says it once", async () => {
  await using ada = await visit(site, { room: "same-answer", name: "Ada", badNetwork: true });
  const { page } = ada;
  await page.clock.install();
  await page.reload();
  await ada.is("live");
  await page.route(POSTS, noServer);
  await ada.say("Where are you?");
  const fate = "Not sent yet. Trying again. The answer was 404.";
  await page.waitForSelector(`.failed >> text=${fate}`);
  await watchAlerts(ada);
  const again = page.waitForResponse(POSTS);
  await page.clock.fastForward(31_000);
  await (await again).finished();
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve)));
  assertEquals((await page.textContent(".failed .fate span"))!.trim(), fate);
  assertEquals(await alerts(ada), 0);
});

webTest("What is late says why the server itself does not store it", async () => {
  await using ada = await visit(site, { room: "own-answer", name: "Ada", badNetwork: true });
  const { page } = ada;
  await page.clock.install();
  await page.reload();
  await ada.is("live");
  const problem = { type: "urn:linger:problem:not-stored", title: "", status: 503, detail: "The disk is full" };
  await page.route(POSTS, (route) => route.fulfill({ status: 503, json: problem }));
  const answered = page.waitForResponse(POSTS);
  await ada.say("Where are you?");
  await (await answered).finished();
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve)));
  await page.clock.fastForward(31_000);
  await page.waitForSelector(".failed >> text=Not sent yet. Trying again. The disk is full");
});

webTest("Whoever takes back or repeats what was refused by keyboard is not nowhere then", async () => {
  await using ada = await visit(site, { room: "nowhere", name: "Ada", badNetwork: true });
  const { page } = ada;
  const focused = (id: string) => ada.until((id) => document.activeElement?.id === id, id);
  await page.route(POSTS, refuse);
  await ada.say("Refused");
  await page.waitForSelector(".failed");
  await page.focus(".failed >> text=Retry");
  await page.keyboard.press("Enter");
  await focused("scroller"); // there is no such button while it is on its way
  await page.waitForSelector(".failed");
  await page.focus(".failed >> text=Delete");
  await page.keyboard.press("Enter");
  await focused("scroller");
});

webTest("Who presses Enter twice to edit what was refused does not send it", async () => {
  await using ada = await visit(site, { room: "pressed", name: "Ada", badNetwork: true });
  const { page } = ada;
  await page.route(POSTS, refuse);
  await ada.say("Refused");
  await page.waitForSelector(".failed");
  await page.evaluate(() => {
    const edit = [...document.querySelectorAll("button")].find(({ textContent }) => textContent === "Edit")!;
    const init = { bubbles: true, cancelable: true };
    const press = (node: Element) => node.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", ...init }));
    press(edit);
    edit.click();
    press(document.activeElement!);
    const lineBreak = new InputEvent("beforeinput", { inputType: "insertLineBreak", ...init });
    document.activeElement!.dispatchEvent(lineBreak);
  });
  assertEquals(await page.inputValue("#text"), "Refused");
  await page.reload();
  await ada.is("live");
  assertEquals(await page.inputValue("#text"), "Refused"); // it is kept as a draft
});

webTest("What is sent once more answers what it did, however soon it is sent", async () => {
  await using ada = await visit(site, { room: "answers", name: "Ada", badNetwork: true });
  const { page } = ada;
  const original = await posted(site, "answers", "The question");
  await ada.sees("The question");
  await page.hover("#log .body");
  await page.click("#actions [aria-label=Reply]");
  await page.route(POSTS, refuse);
  await ada.say("The answer");
  await page.waitForSelector(".failed");
  await page.unroute(POSTS);
  await page.evaluate(() => {
    const edit = [...document.querySelectorAll("button")].find(({ textContent }) => textContent === "Edit");
    edit!.click();
    (document.getElementById("composer") as HTMLFormElement).requestSubmit();
  });
  await until(async () => (await stored("answers")).length === 2, "it is stored");
  const [, answer] = await messages(site, "answers", "wait=0");
  assertEquals([answer!.body, answer!.reply_to], ["The answer", original.id]);
  await page.waitForTimeout(300);
  assertEquals(await page.isVisible("#replying"), false);
});

webTest("A tab that has not heard yet that another has sent all does not send it again", async () => {
  await using ada = await visit(site, { room: "unheard", name: "Ada", badNetwork: true });
  const { context } = ada;
  const senders: unknown[] = [];
  context.on("request", (request) => request.method() === "POST" && senders.push(request.frame().page()));
  await context.route(POSTS, noServer);
  await ada.say("One");
  await ada.page.waitForSelector(".failed");
  const other = new Visitor(context, await context.newPage(), { badNetwork: true });
  await other.page.addInitScript(() => {
    addEventListener("storage", (event) => event.stopImmediatePropagation(), true); // it is told of nothing
  });
  await other.page.goto(`${site.url}/#unheard`);
  await other.sees("One");
  await other.is("live");
  const holder = () =>
    other.page.evaluate(() => {
      const key = Object.keys(localStorage).find((key) => key.endsWith("lease outbox"));
      return key && localStorage.getItem(key)!.split(" ")[0];
    });
  const first = await holder();
  senders.length = 0;
  await context.unroute(POSTS);
  await ada.settles();
  await until(async () => ![first, undefined].includes(await holder()), "the other one has the lease");
  await other.page.evaluate((url) => fetch(url), `${site.url}/healthz`); // a request of before would have been seen by now
  assertEquals(senders.every((page) => page === ada.page), true);
  assertEquals(await stored("unheard"), ["One"]);
});

webTest("What has arrived in a room that is not seen is not there again once the room was emptied", async () => {
  await using ada = await visit(site, { room: "left-behind", name: "Ada" });
  const { page } = ada;
  const other = new Visitor(ada.context, await ada.context.newPage(), {});
  await other.page.goto(`${site.url}/#elsewhere`);
  await other.is("live");
  const goTo = async (one: Visitor, room: string) => {
    await one.page.evaluate((room) => location.hash = room, room);
    await one.until((room) => document.querySelector("h1")!.textContent === room, room);
  };
  const asked = Promise.withResolvers<Route>();
  await page.route(POSTS, (route) => asked.resolve(route));
  await ada.say("Gone soon");
  await goTo(ada, "elsewhere");
  const pencil = '#rooms a[href="#left-behind"] .pencil';
  for (const one of [ada, other]) await one.page.waitForSelector(pencil);
  await (await asked.promise).continue();
  for (const one of [ada, other]) await one.page.waitForSelector(pencil, { state: "hidden" });
  const { code, log } = await runCommand("forget", ["--room", "left-behind", "--yes"], {
    DATABASE_URL: site.database.url,
  });
  assertEquals(code, 0, log);
  for (const one of [ada, other]) {
    await goTo(one, "left-behind");
    await one.page.waitForSelector("#empty");
    await one.sees();
  }
});

webTest("What the storage has lost is sent before long, also when the clock is set back meanwhile", async () => {
  await using ada = await visit(site, { room: "lost", name: "Ada" });
  const { page } = ada;
  await page.clock.install();
  await page.reload();
  await ada.is("live");
  const asked = Promise.withResolvers<Route>();
  await page.route(POSTS, (route) => asked.resolve(route), { times: 1 });
  await ada.say("One");
  const first = await asked.promise;
  await ada.say("Two");
  await page.evaluate(() => {
    localStorage.removeItem(Object.keys(localStorage).find((key) => localStorage.getItem(key)!.includes('"Two"'))!);
  });
  await first.continue();
  await ada.until(() => document.getElementById("waiting")!.childElementCount === 1, 0);
  await page.evaluate(() => {
    const { now } = Date;
    Date.now = () => now() - 3_600_000;
  });
  await page.clock.fastForward(11_000);
  await ada.settles();
  assertEquals(await stored("lost"), ["One", "Two"]);
});

webTest("What one deletes in one tab no other sends, also where the storage has lost it", async () => {
  await using ada = await visit(site, { room: "lost-twice", name: "Ada", badNetwork: true });
  const { context, page } = ada;
  await context.route(POSTS, noServer);
  await ada.say("Not wanted");
  await page.waitForSelector(".failed >> text=Not sent yet");
  const other = new Visitor(context, await context.newPage(), { badNetwork: true });
  await other.page.goto(`${site.url}/#lost-twice`);
  await other.sees("Not wanted");
  await page.evaluate(() => localStorage.clear());
  await other.until(() => !localStorage.getItem("linger / name"), 0);
  await page.click(".failed >> text=Delete");
  for (const one of [ada, other]) await one.sees();
});

webTest(
  "Two tabs have one outbox: what is late in both is sent once and in order, and goes on when one is closed",
  async () => {
    await using ada = await visit(site, { room: "two", name: "Ada", badNetwork: true });
    const { context } = ada;
    const senders = new Set<unknown>();
    const keys = new Set<string | undefined>();
    context.on("request", (request) => {
      if (request.method() !== "POST") return;
      senders.add(request.frame().page());
      keys.add(request.headers()["idempotency-key"]);
    });
    await context.route(POSTS, noServer);
    const other = new Visitor(context, await context.newPage(), { badNetwork: true });
    await other.page.goto(`${site.url}/#two`);
    await other.is("live");
    await ada.page.bringToFront(); // whoever is in front sends for all
    await ada.say("One");
    await ada.page.waitForSelector(".failed");
    await other.sees("One");
    await other.say("Two");
    await ada.sees("One", "Two");
    await ada.say("Three");
    await other.sees("One", "Two", "Three");
    await context.unroute(POSTS);
    for (const one of [ada, other]) {
      await one.settles();
      await one.sees("One", "Two", "Three");
    }
    assertEquals(await stored("two"), ["One", "Two", "Three"]);
    assertEquals([senders.size, keys.size], [1, 3]);

    await context.route(POSTS, noServer);
    await ada.say("Four");
    await other.sees("One", "Two", "Three", "Four");
    await ada.page.close();
    await context.unroute(POSTS);
    await other.settles();
    assertEquals(await stored("two"), ["One", "Two", "Three", "Four"]);
  },
);

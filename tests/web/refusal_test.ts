// Something before the server says no for a while: the page says so, asks again, and is there as soon as it may.
/// <reference lib="dom" />
import { assertEquals } from "@std/assert";
import type { Route } from "playwright-core";
import { testSite, visit, webTest } from "../support/browser.ts";
import { posted } from "../support/client.ts";
import { middlebox } from "../support/middlebox.ts";

const site = await testSite();

const POLLS = /\/messages\?/;

/** Pages of history, but for the newest. */
const PAGES = /[?&]before=(?!now)/;

const answer = (status: number) => (route: Route) =>
  route.fulfill({ status, contentType: "text/html", body: "<h1>No" });

/** In the form of Linger's, of a type of its own, and without a detail. */
const answerOfGateway = (route: Route) =>
  route.fulfill({
    status: 403,
    contentType: "application/problem+json",
    body: JSON.stringify({ type: "https://gateway.test/no", title: "No", status: 403 }),
  });

webTest(
  "A page that was answered 404, 403 or 401 for a while says so, and goes on by itself with what it missed",
  async () => {
    await using ada = await visit(site, { room: "refusals", name: "Ada", badNetwork: true });
    const bodies: string[] = [];
    for (const status of [404, 403, 401]) {
      await ada.page.route(POLLS, status === 403 ? answerOfGateway : answer(status));
      bodies.push(`Ends the poll before ${status}`, `Missed by ${status}`);
      await posted(site, "refusals", bodies.at(-2)!);
      if (status === 404) await ada.page.waitForSelector("#connection-said >> text=The answer is 404");
      else {
        const said = status === 403 ? "not open to you. Ask" : "by invitation";
        await ada.page.waitForSelector(`#banner >> text=${said}`);
      }
      await posted(site, "refusals", bodies.at(-1)!);
      await ada.page.unroute(POLLS);
      await ada.is("live");
      await ada.sees(...bodies);
      assertEquals([await ada.page.isVisible("#gate"), await ada.page.textContent("#banner-text")], [false, ""]);
    }
  },
);

webTest(
  "Who is writing while the page is refused for a while goes on where he was, unless he is elsewhere by then",
  async () => {
    await using ada = await visit(site, { room: "writing", name: "Ada", badNetwork: true });
    const { page } = ada;
    const active = () => page.evaluate(() => document.activeElement!.id);
    await posted(site, "writing", "Here");
    await ada.sees("Here");
    for (const elsewhere of ["", "new-room-name"]) {
      await page.locator("#text").pressSequentially("Wri");
      await page.route(POLLS, answer(403));
      await page.evaluate(() => dispatchEvent(new Event("online"))); // gives the open poll up
      await page.waitForSelector("#banner >> text=not open to you");
      assertEquals([await active(), await page.isVisible("#foot")], ["scroller", false]);
      if (elsewhere) await page.focus(`#${elsewhere}`);
      await page.unroute(POLLS);
      await ada.is("live");
      assertEquals(await active(), elsewhere || "text");
      await page.keyboard.type("ting");
      assertEquals(await page.inputValue(`#${elsewhere || "text"}`), elsewhere ? "ting" : "Writing");
      await page.fill("#text", "");
    }
  },
);

webTest("An empty room that was refused for a while says again that it is empty", async () => {
  await using ada = await visit(site, { room: "nobody", name: "Ada", badNetwork: true });
  await ada.page.waitForSelector("#empty:not([hidden])");
  await ada.page.route(POLLS, answer(403));
  await ada.page.evaluate(() => dispatchEvent(new Event("online"))); // gives the open poll up
  await ada.page.waitForSelector("#gate >> text=not open to you");
  assertEquals(await ada.page.isVisible("#empty"), false);
  await ada.page.unroute(POLLS);
  await ada.is("live");
  await ada.page.waitForSelector("#empty");
  assertEquals(await ada.page.isVisible("#gate"), false);
});

webTest("Where only a page of history was refused for a while, one writes on as soon as it comes", async () => {
  const bodies = Array.from({ length: 200 }, (_, i) => `Number ${i}`);
  for (const body of bodies) await posted(site, "pages", body);
  for (const status of [404, 403, 401]) {
    await using ada = await visit(site, { room: "pages", name: "Ada", badNetwork: true });
    await ada.page.waitForSelector("#log >> text=Number 199");
    await ada.page.route(PAGES, answer(status));
    const told = status === 404
      ? ["connection-said", "The answer is 404"]
      : ["banner", status === 403 ? "not open to you" : "by invitation"];
    await ada.until(([id, text]) => {
      document.getElementById("scroller")!.scrollTop = 0; // again after a page that was under way
      return document.getElementById(id!)!.textContent!.includes(text!);
    }, told);
    const { length } = await ada.bodies();
    await ada.page.unroute(PAGES);
    await ada.page.evaluate(() => dispatchEvent(new Event("focus")));
    await ada.until((before) => document.querySelectorAll(".body").length > before, length);
    await ada.is("live");
    assertEquals([await ada.page.textContent("#connection-said"), await ada.page.textContent("#banner-text")], [
      "Live",
      "",
    ]);
    assertEquals(await ada.page.isVisible("#text"), true);
  }
});

webTest("Nobody is told that a room is empty that could not be read", async () => {
  await posted(site, "unread", "Something");
  const context = await site.browser.newContext();
  await context.route(POLLS, answer(404));
  await using ada = await visit({ ...site, browser: { newContext: () => context } as unknown as typeof site.browser }, {
    room: "unread",
    name: "Ada",
    badNetwork: true,
    live: false,
  });
  await ada.page.waitForSelector("#connection-said >> text=The answer is 404");
  await ada.page.route(/\/messages$/, answer(404));
  await ada.say("Waits");
  await ada.sees("Waits");
  assertEquals(await ada.page.isVisible("#empty"), false);
  await ada.page.unroute(/\/messages$/);
  await context.unroute(POLLS);
  await ada.page.evaluate(() => dispatchEvent(new Event("focus")));
  await ada.sees("Something", "Waits");
});

webTest("Behind a proxy that lets nobody in without its cookie, the page can be installed as anywhere", async () => {
  const refused: string[] = [];
  await using proxy = middlebox(site, (request, forward) => {
    if (request.headers.get("cookie") === "who=ada") return forward();
    refused.push(new URL(request.url).pathname);
    return new Response("<h1>Who are you?", { status: 401, headers: { "content-type": "text/html" } });
  });
  const cookie = { name: "who", value: "ada", domain: "127.0.0.1", path: "/", expires: -1 };
  const cookies = [{ ...cookie, httpOnly: true, secure: false, sameSite: "Lax" as const }];
  await using ada = await visit({ ...site, url: proxy.url }, { name: "Ada", storageState: { cookies, origins: [] } });
  const session = await ada.context.newCDPSession(ada.page);
  const { data, errors } = await session.send("Page.getAppManifest");
  assertEquals([refused, errors, JSON.parse(data!).name], [[], [], "Linger"]);
}, { notInFirefox: "it takes no commands of Chromium's" });

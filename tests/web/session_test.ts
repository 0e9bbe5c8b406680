// The page where a server asks for a token: an invitation link lets one in, and what is in it is nobody else's to see.
/// <reference lib="dom" />
import { assertEquals } from "@std/assert";
import type { Route } from "playwright-core";
import {
  clickBanner,
  comeBack,
  hearNothingAside,
  launchBrowser,
  noServer,
  putAside,
  refuse,
  webTest,
} from "../support/browser.ts";
import { get, LISTED_MS, post, until } from "../support/client.ts";
import { testPostgres } from "../support/postgres.ts";
import { spawnServer } from "../support/server.ts";
import { bearer, SECRET, tokenOf } from "../support/tokens.ts";

const postgres = await testPostgres();
const database = await postgres.create();
const server = await spawnServer(database.url, {
  TOKEN_SECRET: SECRET,
  SIGN_IN_URL: "https://club.example/sign-in",
  ANONYMOUS_READ: "open,news,bulletin",
  ANONYMOUS_WRITE: "open",
});
const browser = await launchBrowser();
Deno.test.afterAll(async () => {
  await browser.close();
  await server[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

/** Posts a message. @param token Whose; nobody's without one. */
async function say(room: string, body: string, token?: string, members: Record<string, string> = {}) {
  const response = await post(server, room, { body, ...members }, token ? bearer(token) : {});
  assertEquals([response.status, (await response.json()).body], [201, body]);
}

/** A page of somebody who has not been here before. */
async function newPage() {
  const context = await browser.newContext();
  await hearNothingAside(context);
  return { page: await context.newPage(), [Symbol.asyncDispose]: () => context.close() };
}

webTest(
  "An invitation link lets one in as who it says, leaves the address, and goes on to hold after a reload",
  async () => {
    const token = await tokenOf({ sub: "u1", name: "Ada Łovelace", read: ["club.*", "garden"], write: ["garden"] });
    await using visit = await newPage();
    const { page } = visit;
    await page.goto(`${server.url}/#token=${token}`);
    await page.waitForSelector("#connection[data-status=live]");
    assertEquals(new URL(page.url()).hash, "#garden"); // the first room that the token names
    assertEquals(await page.textContent("#you bdi"), "Ada Łovelace");
    assertEquals([await page.isVisible("#rename"), await page.isVisible("#sign-out")], [false, true]);
    await page.fill("#text", "in the garden");
    await page.click("#send");
    const read = async () => (await get(server, "/rooms/garden/messages?wait=0", bearer(token))).json;
    await until(async () => (await read()).length === 1, "it is stored");
    const [message] = await read() as unknown as { author: string; sub: string }[];
    assertEquals([message!.author, message!.sub], ["Ada Łovelace", "u1"]);

    await page.reload();
    await page.waitForSelector("#log >> text=in the garden");
    await page.goto(`${server.url}/#elsewhere`);
    await page.waitForSelector("#gate >> text=This room is not open to you");
    await page.goto(`${server.url}/#garden`);
    await page.waitForSelector("#log >> text=in the garden");
    assertEquals(await page.isVisible("#gate"), false);

    await page.hover("#log .body");
    await page.click('#actions [aria-label="Edit"]');
    await page.fill("#edited-text", "behind the garden");
    const kept = () => page.evaluate(() => Object.keys(localStorage).filter((key) => /token|name|edit/.test(key)));
    assertEquals((await kept()).length, 3);
    await page.click("#sign-out");
    await page.waitForSelector("#gate >> text=This chat is by invitation");
    assertEquals(await kept(), []);
    assertEquals(await page.textContent("#log"), "");
  },
);

webTest("What is on its way when one signs out is not kept for the next one, who would send it", async () => {
  await using visit = await newPage();
  const { page } = visit;
  await page.goto(`${server.url}/#token=${await tokenOf({ sub: "u5", name: "Ada", read: ["*"], write: ["*"] })}`);
  await page.waitForSelector("#connection[data-status=live]");
  const sent = Promise.withResolvers<Route>();
  await page.route(/\/messages$/, (route) => sent.resolve(route));
  await page.fill("#text", "Mine");
  await page.press("#text", "Enter");
  const message = await sent.promise;
  // The page is there until the next one has come; but nobody can look into it then, so it says itself what it shows.
  const beside = await page.context().newPage();
  await beside.goto(`${server.url}/healthz`);
  await page.evaluate(() => {
    setInterval(() => document.querySelector(".failed") && localStorage.setItem("another app", "failed"), 10);
  });
  page.on("dialog", (dialog) => dialog.accept()); // it is asked about
  const reloaded = Promise.withResolvers<Route>();
  await page.route(({ pathname }) => pathname === "/", (route) => reloaded.resolve(route));
  await page.evaluate(() => document.getElementById("sign-out")!.click());
  const next = await reloaded.promise;
  await noServer(message);
  await beside.waitForFunction(() => localStorage.getItem("another app") === "failed", undefined, { polling: 20 });
  assertEquals(await beside.evaluate(() => Object.keys(localStorage).filter((key) => / unsent /.test(key))), []);
  await next.continue();
  await page.waitForSelector("#gate >> text=This chat is by invitation");
});

webTest("What the next one writes is not sent by a window that is still of the one before", async () => {
  await using visit = await newPage();
  const { page } = visit;
  const anyone = { read: ["stage"], write: ["stage"] };
  await page.goto(`${server.url}/#token=${await tokenOf({ sub: "a", name: "Ada", ...anyone })}`);
  await page.waitForSelector("#connection[data-status=live]");
  // Nobody can look into it while it goes, so it says itself that it has heard, once all that it had begun by then was asked for.
  await page.evaluate(() => {
    addEventListener("storage", ({ key, newValue }) => {
      if (key?.includes(" unsent ") && newValue?.includes("Bob's")) {
        setTimeout(() => fetch("healthz").then(() => localStorage.setItem("another app", "heard")));
      }
    });
  });
  const reloaded = Promise.withResolvers<Route>();
  await page.route(({ pathname }) => pathname === "/", (route) => reloaded.resolve(route));
  const posts: unknown[] = [];
  await page.route(/\/messages$/, (route) => {
    posts.push(route.request().postData());
    return route.continue();
  });
  const other = await page.context().newPage();
  other.on("dialog", (dialog) => dialog.accept());
  await other.goto(`${server.url}/#token=${await tokenOf({ sub: "b", name: "Bob", ...anyone })}`);
  await other.waitForSelector("#connection[data-status=live]");
  const next = await reloaded.promise;
  await other.route(/\/messages$/, () => {}); // it is not answered
  await other.evaluate(() => document.hasFocus = () => false); // whoever has the focus sends
  await other.fill("#text", "Bob's");
  await other.press("#text", "Enter");
  await other.waitForFunction(() => localStorage.getItem("another app") === "heard", undefined, { polling: 20 });
  assertEquals(posts, []);
  await other.unrouteAll({ behavior: "ignoreErrors" });
  await next.continue();
  await page.waitForSelector("#you >> text=Bob");
});

webTest(
  "A link that somebody else sends makes nobody of another, and what one has written stays one's own",
  async () => {
    await using visit = await newPage();
    const { page } = visit;
    await page.goto(`${server.url}/#token=${await tokenOf({ sub: "a", name: "Ada", read: ["*"], write: ["*"] })}`);
    await page.waitForSelector("#connection[data-status=live]");
    await page.fill("#text", "Ada's draft");
    const other = await visit.page.context().newPage();
    const mallory = await tokenOf({ sub: "m", name: "Mallory", read: ["trap", "*"], write: ["*"] });
    const questions: string[] = [];
    let answer = false;
    other.on("dialog", async (dialog) => {
      questions.push(dialog.message());
      await (answer ? dialog.accept() : dialog.dismiss());
    });
    await other.goto(`${server.url}/#token=${mallory}`);
    await other.waitForSelector("#connection[data-status=live]");
    assertEquals([await other.textContent("#you bdi"), new URL(other.url()).hash], ["Ada", ""]);
    assertEquals(questions, ["This link is for Mallory. Here you are Ada. Switch?"]);

    await page.evaluate(() => Object.assign(globalThis, { isBefore: true }));
    answer = true;
    await other.goto("about:blank");
    await other.goto(`${server.url}/#token=${mallory}`);
    await other.waitForSelector("#you >> text=Mallory");
    await page.waitForFunction(() => !("isBefore" in globalThis), undefined, { polling: 20 }); // it was loaded anew
    await page.waitForSelector("#you >> text=Mallory"); // the other window says so, too
    assertEquals(await page.inputValue("#text"), "");
    for (const claims of ['{"read":5}', '{"name":{"a":1}}', "null", "[1]", '{"name":"\\u2060"}']) {
      await other.goto("about:blank");
      await other.goto(`${server.url}/#token=x.${btoa(claims)}.y`);
      await other.waitForSelector("#gate >> text=Your invitation has ended");
      assertEquals(new URL(other.url()).hash, "");
    }
    assertEquals(
      questions.at(-1),
      "This link is for A name that nobody can see. Here you are somebody else. Switch?",
    );
  },
);

webTest(
  "Who says no to somebody else's link, or opens his own that names no room, stays where he is, with what he edits",
  async () => {
    const own = await tokenOf({ sub: "a", name: "Ada", read: ["*"], write: ["*"] });
    await using visit = await newPage();
    const { page } = visit;
    /** Opens a link in the page that is there; resolves when that has done what comes of it. */
    const follow = (hash: string) =>
      page.evaluate((hash) =>
        new Promise<void>((resolve) => {
          addEventListener("hashchange", () => resolve(), { once: true });
          location.hash = hash;
        }), hash);
    const place = () => page.evaluate(() => [location.hash, document.querySelector("h1")!.textContent]);
    await page.goto(`${server.url}/#token=${own}`);
    await page.waitForSelector("#connection[data-status=live]");
    await follow("#orchard");
    await page.fill("#text", "Tpyo");
    await page.press("#text", "Enter");
    await page.hover("#log .body");
    await page.click('#actions [aria-label="Edit"]');
    await page.fill("#edited-text", "Typo");
    const questions: string[] = [];
    page.on("dialog", async (dialog) => {
      questions.push(dialog.message());
      await dialog.dismiss();
    });
    const mallory = await tokenOf({ sub: "m", name: "Mallory", read: ["trap"], write: ["trap"] });
    for (const token of [mallory, own]) {
      await follow(`#token=${token}`);
      assertEquals(await place(), ["#orchard", "orchard"]);
      assertEquals([await page.isVisible("#editor"), await page.inputValue("#edited-text")], [true, "Typo"]);
    }
    assertEquals(questions, ["This link is for Mallory. Here you are Ada. Switch?"]);
    // An address that names no room is still the lobby's; and who says no there is in it still.
    await follow("");
    assertEquals(await place(), ["", "lobby"]);
    await follow(`#token=${mallory}`);
    assertEquals(await place(), ["", "lobby"]);
  },
);

webTest("Who signs out while something is not sent is asked, and loses it only if he says so", async () => {
  await using visit = await newPage();
  const { page } = visit;
  await page.goto(`${server.url}/#token=${await tokenOf({ sub: "u8", name: "Ada", read: ["*"], write: ["*"] })}`);
  await page.waitForSelector("#connection[data-status=live]");
  await page.route(/\/messages$/, refuse);
  for (const body of ["Unheard", "Unheard, too"]) {
    await page.fill("#text", body);
    await page.press("#text", "Enter");
    await page.waitForSelector(`.failed >> text="${body}"`);
  }
  const questions: string[] = [];
  let answer = false;
  page.on("dialog", async (dialog) => {
    questions.push(dialog.message());
    await (answer ? dialog.accept() : dialog.dismiss());
  });
  await page.click("#sign-out");
  await page.click(".failed >> nth=1 >> text=Delete");
  await page.reload();
  await page.waitForSelector('.failed >> text="Unheard"');
  answer = true;
  await page.click("#sign-out");
  await page.waitForSelector("#gate >> text=This chat is by invitation");
  assertEquals(await page.evaluate(() => Object.keys(localStorage).filter((key) => / unsent /.test(key))), []);
  assertEquals(questions, [
    "2 messages are not sent yet, and will be lost. Sign out?",
    "1 message is not sent yet, and will be lost. Sign out?",
  ]);
});

webTest("Who signs out leaves nothing to be seen in a page that the browser has kept, to come back to", async () => {
  await using visit = await newPage();
  const { page } = visit;
  await page.goto(`${server.url}/#token=${await tokenOf({ sub: "u7", name: "Ada", read: ["*"], write: ["*"] })}`);
  await page.waitForSelector("#connection[data-status=live]");
  await page.fill("#text", "Ada's draft");
  await putAside(page);
  const beside = await page.context().newPage();
  await beside.goto(server.url);
  await beside.click("#sign-out");
  await beside.waitForSelector("#gate >> text=This chat is by invitation");
  await page.waitForFunction(() => !localStorage.getItem("linger / token"), undefined, { polling: 20 });
  assertEquals(await page.textContent("#you bdi"), "Ada");
  await comeBack(page);
  await page.waitForSelector("#gate >> text=This chat is by invitation");
  assertEquals(await page.inputValue("#text"), "");
  assertEquals(await page.evaluate(() => Object.keys(localStorage).filter((key) => / (draft|left) /.test(key))), []);
});

webTest("The link that one came in by leads to its room again, and asks nothing", async () => {
  await using visit = await newPage();
  const { page } = visit;
  const link = `${server.url}/#token=${await tokenOf({ sub: "u3", name: "Ada", read: ["garden"] })}`;
  await page.goto(link);
  await page.waitForSelector("#connection[data-status=live]");
  const questions: string[] = [];
  page.on("dialog", async (dialog) => {
    questions.push(dialog.message());
    await dialog.dismiss();
  });
  // In a window of its own, and in one that is there already.
  for (const before of ["about:blank", `${server.url}/#elsewhere`]) {
    await page.goto(before);
    await page.goto(link);
    await page.waitForSelector("h1 >> text=garden");
    await page.waitForSelector("#connection[data-status=live]");
    assertEquals([new URL(page.url()).hash, await page.isVisible("#gate")], ["#garden", false]);
  }
  assertEquals(questions, []);
});

webTest("An old link of one's own that is over leads to its room, and leaves one in", async () => {
  const claims = { sub: "u9", name: "Ada", read: ["*"] };
  const now = Math.floor(Date.now() / 1000);
  const holds = await tokenOf({ ...claims, exp: now + 3_600 });
  const old = await tokenOf({ ...claims, read: ["garden", "*"], exp: now - 3_600 });
  await using visit = await newPage();
  const { page } = visit;
  const questions: string[] = [];
  page.on("dialog", async (dialog) => {
    questions.push(dialog.message());
    await dialog.accept();
  });
  await page.goto(`${server.url}/#token=${holds}`);
  await page.waitForSelector("#connection[data-status=live]");
  for (const before of ["about:blank", `${server.url}/#elsewhere`]) {
    await page.goto(before);
    await page.goto(`${server.url}/#token=${old}`);
    await page.waitForSelector("h1 >> text=garden");
    await page.waitForSelector("#connection[data-status=live]");
  }
  assertEquals(await page.evaluate(() => localStorage["linger / token"]), holds);
  // Where what one has is over for longer, it renews that, as far as the page knows.
  await page.evaluate(
    (token) => localStorage["linger / token"] = token,
    await tokenOf({ ...claims, exp: now - 7_200 }),
  );
  await page.reload();
  await page.goto("about:blank");
  await page.goto(`${server.url}/#token=${old}`);
  await page.waitForSelector("#gate >> text=Your invitation has ended");
  assertEquals(questions, ["This link renews your invitation, as Ada. Use it from now on?"]);
});

webTest("A link that renews an invitation asks whether it may, and takes nothing of what one has here", async () => {
  const claims = { sub: "u4", read: ["shed", "*"], write: ["shed"] };
  await using visit = await newPage();
  const { page } = visit;
  await page.goto(`${server.url}/#token=${await tokenOf({ ...claims, name: "Ada" })}`);
  await page.waitForSelector("#connection[data-status=live]");
  await page.route(/\/messages$/, refuse);
  await page.fill("#text", "refused");
  await page.press("#text", "Enter");
  await page.waitForSelector(".failed >> text=refused");
  await page.fill("#text", "a draft");
  const kept = () => page.evaluate(() => [localStorage["linger / draft shed"], localStorage["linger / token"]]);
  const [, before] = await kept();
  const questions: string[] = [];
  let answer = false;
  page.on("dialog", async (dialog) => {
    questions.push(dialog.message());
    await (answer ? dialog.accept() : dialog.dismiss());
  });
  const renewed = await tokenOf({ ...claims, name: "Ada Lovelace", exp: Math.floor(Date.now() / 1000) + 7_200 });
  const open = async () => {
    await page.goto("about:blank");
    await page.goto(`${server.url}/#token=${renewed}`);
    await page.waitForSelector("#connection[data-status=live]");
  };
  await open();
  assertEquals(await kept(), ["a draft", before]);
  answer = true;
  await open();
  assertEquals(await kept(), ["a draft", renewed]);
  assertEquals(questions, Array(2).fill("This link renews your invitation, as Ada Lovelace. Use it from now on?"));
  await page.waitForSelector(".failed >> text=refused");
  assertEquals(await page.inputValue("#text"), "a draft");
  assertEquals([await page.textContent("#you bdi"), new URL(page.url()).hash], ["Ada Lovelace", "#shed"]);

  // Of two tokens that do not say whose they are nobody knows whether they are of the same.
  for (const token of [1, 2].map((sub) => `x.${btoa(JSON.stringify({ sub, name: "Ada" }))}.y`)) {
    await page.goto("about:blank");
    await page.goto(`${server.url}/#token=${token}`);
    await page.waitForSelector("#gate >> text=Your invitation has ended");
  }
  assertEquals(questions.slice(2), [
    "This link is for Ada. Here you are Ada Lovelace. 1 message is not sent yet, and will be lost. Switch?",
    "This link is for Ada. Here you are Ada. Switch?",
  ]);
  assertEquals((await kept())[0], undefined);
});

webTest(
  "What was under way when an invitation was renewed under another name is neither refused nor there twice",
  async () => {
    const claims = { sub: "u5", read: ["barn"], write: ["barn"] };
    await using visit = await newPage();
    const { page } = visit;
    await page.goto(`${server.url}/#token=${await tokenOf({ ...claims, name: "Ada" })}`);
    await page.waitForSelector("#connection[data-status=live]");
    let stores = true;
    await page.route(/\/messages$/, async (route) => {
      if (stores) await route.fetch();
      stores = false;
      await route.abort();
    });
    for (const body of ["stored", "waits"]) {
      await page.fill("#text", body);
      await page.press("#text", "Enter");
    }
    const renewed = await tokenOf({ ...claims, name: "Ada Lovelace" });
    const read = async () => {
      const { json } = await get(server, "/rooms/barn/messages?wait=0", bearer(renewed));
      return json.map(({ author, body }) => [author, body]);
    };
    await until(async () => (await read()).length === 1, "it is stored, and its answer lost");
    await page.goto("about:blank");
    await page.unroute(/\/messages$/);
    // Each is stored at once, and answered when both windows have been looked at.
    const answers: (() => void)[] = [];
    await page.context().route(/\/messages$/, async (route) => {
      const response = await route.fetch();
      await new Promise<void>((resolve) => answers.push(resolve));
      await route.fulfill({ response });
    });
    page.on("dialog", (dialog) => dialog.accept());
    await page.goto(`${server.url}/#token=${renewed}`);
    await page.waitForSelector("#connection[data-status=live]");
    const beside = await page.context().newPage();
    await beside.goto(`${server.url}/#barn`);
    /** Keeps what waits as a window of before does that is about to go: under the old name. Resolves when the page has heard it. */
    const tellsOld = async () => {
      await page.evaluate(() => {
        const heard = ({ newValue }: StorageEvent) => newValue?.endsWith("} ") && document.body.classList.add("heard");
        addEventListener("storage", heard);
      });
      await beside.evaluate(() => {
        const key = Object.keys(localStorage).find((key) => localStorage[key].includes('"waits"'))!;
        localStorage[key] += " ";
      });
      await page.waitForSelector("body.heard");
    };
    for (const [i, body] of ["stored", "waits"].entries()) {
      for (const window of [page, beside]) {
        await window.waitForSelector(`#log >> text=${body}`);
        const seen = await window.$$eval(
          ".message",
          (rows) => rows.map((row) => [".author", ".body"].map((part) => row.querySelector(part)!.textContent)),
        );
        assertEquals(seen, [["Ada", "stored"], ["Ada Lovelace", "waits"]]);
      }
      await until(() => answers.length > i, "it is stored");
      if (i === 0) await tellsOld();
      answers[i]!();
    }
    await page.waitForSelector("#waiting:empty", { state: "attached" });
    assertEquals(await read(), [["Ada", "stored"], ["Ada Lovelace", "waits"]]);
  },
  { notInFirefox: "its driver does not tell what a page posts, which so can't be sent on" },
);

webTest("Without a token, and with one that holds no more, the page says so, with a way in", async () => {
  await using visit = await newPage();
  const { page } = visit;
  await page.goto(server.url);
  await page.waitForSelector("#gate >> text=This chat is by invitation");
  assertEquals(await page.getAttribute("#gate a", "href"), "https://club.example/sign-in");
  // A link that is opened in a page that is there already.
  const old = await tokenOf({ name: "Bob", read: ["*"], exp: Math.floor(Date.now() / 1000) - 3_600 });
  await page.evaluate((hash) => location.hash = hash, `token=${old}`);
  await page.waitForSelector("#gate >> text=Your invitation has ended");
  assertEquals(new URL(page.url()).hash, "");
  await page.waitForSelector("#gate >> text=The token has expired");
});

webTest("A link that is opened in a page that is there lets one in also where nothing can be stored", async () => {
  const token = await tokenOf({ sub: "u6", name: "Ada", read: ["garden"], write: ["garden"] });
  const full = 'Storage.prototype.setItem = () => { throw new DOMException("", "QuotaExceededError"); }';
  for (const without of [full, "delete globalThis.localStorage"]) {
    await using visit = await newPage();
    const { page } = visit;
    await page.addInitScript(without);
    await page.goto(server.url);
    await page.waitForSelector("#gate >> text=This chat is by invitation");
    await page.evaluate((hash) => location.hash = hash, `token=${token}`);
    await page.waitForSelector("#you >> text=Ada");
    await page.waitForSelector("#connection[data-status=live]");
    assertEquals(new URL(page.url()).hash, "#garden");
  }
});

webTest("What the page says of why one is not let in stays as it is while it tries again", async () => {
  await using visit = await newPage();
  const { page } = visit;
  await page.goto(server.url);
  await page.waitForSelector("#gate a");
  await page.focus("#gate a");
  await page.evaluate(() => {
    const counter = { changes: 0 };
    Object.assign(globalThis, { counter });
    new MutationObserver(({ length }) => counter.changes += length).observe(document.getElementById("gate")!, {
      subtree: true,
      childList: true,
      characterData: true,
    });
  });
  // Who comes back to the page has it try again at once; when it listens for that once more, it has told of the try before.
  for (let i = 0; i < 3; i++) {
    const refused = page.waitForResponse((response) =>
      response.url().includes("before=now") && response.status() === 401
    );
    await page.evaluate(() => dispatchEvent(new Event("focus")));
    await refused;
  }
  const changes = await page.evaluate(() =>
    (globalThis as unknown as { counter: { changes: number } }).counter.changes
  );
  assertEquals([changes, await page.evaluate(() => document.activeElement!.textContent)], [0, "Sign in"]);
});

webTest("Where there is no place to sign in, the page says to ask for a new link", async () => {
  await using alone = await spawnServer(database.url, { TOKEN_SECRET: SECRET });
  await using visit = await newPage();
  const { page } = visit;
  await page.goto(alone.url);
  await page.waitForSelector("#gate >> text=This chat is by invitation");
  await page.waitForSelector("#gate >> text=Ask for a new link, and open it here.");
  assertEquals(await page.locator("#gate a").count(), 0);
});

webTest("A room of mine that refuses me takes nothing from the others: what speaks of me there is told", async () => {
  const noor = await tokenOf({ sub: "n", name: "Noor", read: ["*"], write: ["*"] });
  for (const room of ["yard", "porch"]) await say(room, `old in ${room}`, noor);
  await using visit = await newPage();
  const { page } = visit;
  await page.goto(`${server.url}/#token=${await tokenOf({ sub: "a", name: "Ada", read: ["yard", "porch"] })}`);
  await page.waitForSelector("#log >> text=old in yard");
  await page.goto(`${server.url}/#lobby`);
  await page.waitForSelector("#gate >> text=This room is not open to you");
  await page.goto(`${server.url}/#porch`);
  await page.waitForSelector("#log >> text=old in porch");
  assertEquals(
    await page.$$eval("#rooms .room-name", (all) => all.map(({ textContent }) => textContent)),
    ["lobby", "porch", "yard"],
  );
  await say("yard", "Ada, come and see", noor);
  await page.waitForSelector(`#rooms a[href="#yard"] .count >> text=@ 1`, { timeout: LISTED_MS });
});

webTest("A token that ends while one reads is told above what one has read, with a way in", async () => {
  const token = await tokenOf({ name: "Ada", read: ["*"] });
  await using visit = await newPage();
  const { page } = visit;
  const polled = page.waitForRequest(/[?&]wait=[1-9]/);
  await page.goto(`${server.url}/#token=${token}`);
  await polled;
  await page.waitForSelector("#connection[data-status=live]");
  // The poll that waits goes on to its end; what is asked after that is as if it were asked an hour later.
  const ended = await tokenOf({ name: "Ada", read: ["*"], exp: Math.floor(Date.now() / 1000) - 3_600 });
  await page.route(
    /\/rooms/,
    (route) => route.continue({ headers: { ...route.request().headers(), ...bearer(ended) } }),
  );
  await say("lobby", "news", await tokenOf({ write: ["*"] }));
  await page.waitForSelector("#banner >> text=Your invitation has ended. The token has expired.");
  // What one has read is there, and what is of no use now is not.
  assertEquals(await page.textContent("#log .body"), "news");
  assertEquals([await page.isVisible("#gate"), await page.isVisible("#foot")], [false, false]);
  await page.route("https://club.example/**", (route) => route.fulfill({ body: "Who are you?" }));
  await clickBanner(page, "#banner >> text=Sign in");
  await page.waitForURL("https://club.example/sign-in");
});

webTest("Who writes when his token has ended is told so once, and one click puts that aside", async () => {
  await using visit = await newPage();
  const { page } = visit;
  const polled = page.waitForRequest(/[?&]wait=[1-9]/);
  await page.goto(`${server.url}/#token=${await tokenOf({ name: "Ada", read: ["den"], write: ["den"] })}`);
  await polled;
  await page.waitForSelector("#connection[data-status=live]");
  // The poll that waits goes on to its end, as above: first it is a post that is refused.
  const ended = await tokenOf({ name: "Ada", read: ["den"], exp: Math.floor(Date.now() / 1000) - 3_600 });
  await page.route(
    /\/rooms/,
    (route) => route.continue({ headers: { ...route.request().headers(), ...bearer(ended) } }),
  );
  await page.fill("#text", "Too late");
  await page.press("#text", "Enter");
  await page.waitForSelector(".failed >> text=The token has expired");
  await say("den", "news", await tokenOf({ write: ["*"] }));
  await page.waitForSelector("#foot", { state: "hidden" });
  await page.waitForSelector("#banner.shown >> text=Your invitation has ended.");
  await clickBanner(page, "#banner-close");
  await page.waitForSelector("#banner:not(.shown)", { state: "attached" });
});

webTest("A name is marked by whether somebody signed in with it, and is nobody else's", async () => {
  const ada = await tokenOf({ sub: "u1", name: "Ada", read: ["*"], write: ["*"] });
  const nameless = await tokenOf({ sub: "u2", read: ["*"], write: ["*"] });
  await say("open", "first", ada, { author: "Ada" });
  await using visit = await newPage();
  const { page } = visit;
  await page.goto(`${server.url}/#token=${ada}`);
  await page.goto(`${server.url}/#open`);
  await page.waitForSelector("#log >> text=first");
  await say("open", "not Ada, who signed in", undefined, { author: "Ada" });
  await say("open", "nor who signed in as another", nameless, { author: "Ada" });
  await say("open", "second", ada);
  await page.waitForSelector("#log >> text=second");
  const rows = () =>
    page.$$eval("#log .message", (rows) =>
      rows.map((row) => [
        row.classList.contains("own"),
        row.classList.contains("continued"),
        row.querySelector(".verified")?.getAttribute("title") ?? row.querySelector(".claim")?.textContent ?? "",
        row.querySelector(".doubt") !== null,
      ]));
  assertEquals(await rows(), [
    [true, false, "Verified: signed in as u1", false],
    [false, false, "guest", true],
    [false, false, "Verified: signed in as u2", true],
    [true, false, "Verified: signed in as u1", false],
  ]);
  // For somebody without a token nobody is a guest.
  await using other = await newPage();
  await other.page.goto(`${server.url}/#open`);
  await other.page.waitForSelector("#log >> text=second");
  assertEquals(
    await other.page.$$eval(
      "#log .message header",
      (headers) => headers.map((header) => header.querySelectorAll(".claim").length),
    ),
    [0, 0, 0, 0],
  );
});

webTest(
  "A name that stands in a quote, in a reply begun or in what was found is marked there as over its message",
  async () => {
    const ada = await tokenOf({ sub: "u1", name: "Ada", read: ["*"], write: ["*"] });
    const nameless = await tokenOf({ sub: "u2", read: ["*"], write: ["*"] });
    const posted = async (body: string, members: Record<string, string>, token?: string) =>
      (await (await post(server, "open", { body, ...members }, token ? bearer(token) : {})).json()).id as string;
    const ids = [
      await posted("Marked: mine", {}, ada),
      await posted("Marked: by a guest", { author: "Ada" }),
      await posted("Marked: by another", { author: "Ada" }, nameless),
      await posted("Marked: by a lookalike", { author: "Аda" }), // whose first letter is Cyrillic
    ];
    for (const reply_to of ids) await posted("An answer", { author: "Noor", reply_to });
    await using visit = await newPage();
    const { page } = visit;
    await page.goto(`${server.url}/#token=${ada}`);
    await page.goto(`${server.url}/#open`);
    await page.waitForSelector(`.quoted[data-of="${ids[3]}"] .name`);
    const marks = (selector: string) =>
      page.$$eval(`${selector} :is(.verified, .claim, .doubt)`, (all) => all.map(({ className }) => className));
    const expected = [["verified"], ["claim", "doubt"], ["verified", "doubt"], ["claim", "doubt"]];
    const places = [
      (id: string) => `#message-${id} header`,
      (id: string) => `.quoted[data-of="${id}"]`,
      (id: string) => `#search [data-id="${id}"]`,
    ];
    await page.focus(`#message-${ids[1]}`);
    await page.keyboard.press("Shift");
    await page.waitForSelector("#actions");
    await page.keyboard.press("r");
    await page.waitForSelector("#replying .name");
    assertEquals(await marks("#replying"), expected[1]);
    await page.click("#find");
    await page.fill("#search input", "Marked:");
    await page.waitForSelector("#search a >> nth=3");
    for (const place of places) {
      assertEquals(await Promise.all(ids.map((id) => marks(place(id)))), expected, place("…"));
    }
    // They are words of their own for who hears them.
    assertEquals((await page.textContent(`.quoted[data-of="${ids[1]}"]`))?.startsWith("Ada guest "), true);
    // A message that is edited is another in all of them.
    await page.evaluate(async ([id, token]) => {
      const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };
      await fetch(`rooms/open/messages/${id}`, { method: "PATCH", headers, body: '{"body":"Marked: anew"}' });
    }, [ids[0]!, ada]);
    await page.waitForSelector("#search a >> text=Marked: anew");
    await page.waitForSelector(".quoted >> text=Marked: anew");
    for (const place of places) assertEquals(await marks(place(ids[0]!)), ["verified"], place("…"));
  },
);

webTest("However long a name is, what marks it is seen, also in a quote and above what one writes", async () => {
  const token = await tokenOf({ sub: "u1", name: "Ada", read: ["*"], write: ["*"] });
  const name = `da ${"of the many names ".repeat(5)}`.trim();
  await say("open", "The first", undefined, { author: `A${name}` });
  const response = await post(server, "open", { body: "Under a long name", author: `А${name}` }); // whose first letter is Cyrillic
  const { id } = await response.json();
  await say("open", "An answer", token, { reply_to: id });
  await using visit = await newPage();
  const { page } = visit;
  await page.setViewportSize({ width: 390, height: 800 });
  await page.goto(`${server.url}/#token=${token}`);
  await page.goto(`${server.url}/#open`);
  await page.waitForSelector(`.quoted[data-of="${id}"] .name`);
  await page.focus(`#message-${id}`);
  await page.keyboard.press("Shift");
  await page.waitForSelector("#actions");
  await page.keyboard.press("r");
  await page.waitForSelector("#replying .name");
  await page.click("#find");
  await page.fill("#search input", "Under a long name");
  await page.waitForSelector("#search a");
  const seen = (place: string) =>
    page.$$eval(`${place} :is(.claim, .doubt)`, (marks) =>
      marks.map((mark) => {
        const { left, top, width, height } = mark.getBoundingClientRect();
        return document.elementFromPoint(left + width / 2, top + height / 2) === mark;
      }));
  assertEquals(await seen("#search"), [true, true]);
  await page.click("#search >> text=Close");
  await page.waitForSelector("#search", { state: "detached" });
  for (const place of [`#message-${id} header`, `.quoted[data-of="${id}"]`, "#replying"]) {
    assertEquals(await seen(place), [true, true], place);
  }
});

webTest(
  "What waits to be sent is marked as what it will be: a message of who signed in, and of nobody else",
  async () => {
    const noor = await tokenOf({ sub: "n", name: "Noor", write: ["*"] });
    await say("hall", "before", noor);
    await using visit = await newPage();
    const { page } = visit;
    await page.goto(
      `${server.url}/#token=${await tokenOf({ sub: "u9", name: "Ada", read: ["hall"], write: ["hall"] })}`,
    );
    await page.waitForSelector("#log >> text=before");
    await page.route(/\/messages$/, noServer);
    await page.fill("#text", "waits");
    await page.press("#text", "Enter");
    await page.waitForSelector("#waiting .failed");
    const marks = await page.$$eval(
      "#waiting header [role=img]",
      (marks) => marks.map((mark) => [mark.className, mark.getAttribute("title")]),
    );
    assertEquals(marks, [["verified", "Verified: signed in as u9"]]);
  },
);

webTest(
  "Where one has to sign in to write, that is told once: it stays, or stays away, while the network comes and goes",
  async () => {
    await say("bulletin", "Good evening", await tokenOf({ name: "Noor", write: ["*"] }));
    await using visit = await newPage();
    const { page } = visit;
    await page.goto(`${server.url}/#bulletin`);
    await page.waitForSelector("#log >> text=Good evening");
    await page.waitForSelector("#connection[data-status=live]");
    await page.fill("#name", "Ada");
    await page.press("#name", "Enter");
    await page.fill("#text", "And to you");
    await page.press("#text", "Enter");
    await page.waitForSelector("#banner.shown >> text=Writing here is by invitation.");
    const id = await page.$eval("#log article", (row) => (row as HTMLElement).dataset.id);
    let posts = 0;
    page.on("request", (request) => void (request.method() === "POST" && posts++));
    /** Has the network go and come again, and waits for what the page makes of that. */
    const blink = async () => {
      await page.route(/\/messages\?/, (route) => route.abort());
      await page.evaluate(() => dispatchEvent(new Event("online"))); // gives the open poll up
      await page.waitForSelector("#connection[data-status=reconnecting]");
      await page.unroute(/\/messages\?/);
      await page.waitForSelector("#connection[data-status=live]");
      // It posts again then; and once more, when it has told what that was answered, as soon as somebody comes back to the page.
      const before = posts;
      await until(async () => {
        await page.evaluate(() => dispatchEvent(new Event("focus")));
        return posts >= before + 2;
      }, "it has told of the post before");
    };
    await page.focus("#banner-button");
    await page.evaluate(() => {
      const counter = { changes: 0 };
      Object.assign(globalThis, { counter });
      new MutationObserver(({ length }) => counter.changes += length).observe(document.getElementById("banner")!, {
        subtree: true,
        childList: true,
        characterData: true,
      });
    });
    await blink();
    const changes = await page.evaluate(() =>
      (globalThis as unknown as { counter: { changes: number } }).counter.changes
    );
    assertEquals([changes, await page.evaluate(() => document.activeElement!.id)], [0, "banner-button"]);

    await clickBanner(page, "#banner-close");
    await page.waitForSelector("#banner:not(.shown)", { state: "attached" });
    await blink();
    await page.evaluate((id) => location.hash = `#bulletin/${id}`, id); // a message that was found, say
    await page.waitForSelector("#log .found");
    await blink();
    assertEquals(await page.isVisible("#banner-close"), false);
    await page.click(".failed >> text=Retry");
    await page.waitForSelector("#banner.shown >> text=Writing here is by invitation.");
  },
);

webTest(
  "Who may read without a token, but not write, is told so with a way in, and goes on to read and to write",
  async () => {
    await say("news", "Good morning", await tokenOf({ name: "Noor", write: ["*"] }));
    await using visit = await newPage();
    const { page } = visit;
    await page.goto(`${server.url}/#news`);
    await page.waitForSelector("#log >> text=Good morning");
    await page.fill("#name", "Ada");
    await page.press("#name", "Enter");
    await page.fill("#text", "And to you");
    await page.press("#text", "Enter");
    await page.waitForSelector("#banner >> text=Writing here is by invitation.");
    await page.waitForSelector(".failed >> text=And to you");
    assertEquals(await page.textContent("#banner-button"), "Sign in");
    assertEquals([await page.isVisible("#text"), await page.textContent("#log .body")], [true, "Good morning"]);
    // It is said of that room, and not of one where one may write; at once, whatever the server has still to say.
    const { promise: going, resolve: goOn } = Promise.withResolvers<void>();
    await page.route(/\/messages(\?|$)/, async (route) => {
      await going;
      await route.continue().catch(() => {}); // given up meanwhile
    });
    await page.evaluate(() => location.hash = "#open");
    await page.waitForSelector("h1 >> text=open");
    await page.waitForSelector("#banner:not(.shown)", { state: "attached" });
    await page.evaluate(() => location.hash = "#news");
    await page.waitForSelector("#banner.shown >> text=Writing here is by invitation.");
    goOn();
    await page.unroute(/\/messages(\?|$)/);
    await page.waitForSelector("#log >> text=Good morning");
    // What one does in vain meanwhile one hears of, and of that again when one has put it aside.
    await page.evaluate(() => {
      Object.defineProperty(navigator, "clipboard", { value: { writeText: () => Promise.reject(new Error("No")) } });
    });
    await page.hover("#log .body");
    await page.click('#actions [aria-label="Copy link"]');
    await page.waitForSelector("#banner.shown >> text=The browser did not let the link be copied.");
    await clickBanner(page, "#banner-close");
    await page.waitForSelector("#banner.shown >> text=Writing here is by invitation.");
    // Whoever comes back signed in would be somebody else.
    const ada = await tokenOf({ sub: "u10", name: "Ada", read: ["news"], write: ["news"] });
    const asked = Promise.withResolvers<string>();
    page.once("dialog", async (dialog) => {
      asked.resolve(dialog.message());
      await dialog.dismiss();
    });
    await page.evaluate((hash) => location.hash = hash, `token=${ada}`);
    assertEquals(
      await asked.promise,
      "This link is for Ada. Here you are Ada. 1 message is not sent yet, and will be lost. Switch?",
    );
    await page.goto(`${server.url}/#news`);
    await page.waitForSelector("#banner.shown");
    await page.click(".failed >> text=Delete");
    await page.waitForSelector("#banner:not(.shown)", { state: "attached" });
  },
);

// What was said can be taken back, changed and answered: with a mouse, a keyboard, a finger; and everybody sees it.
/// <reference lib="dom" />
import { assert, assertEquals } from "@std/assert";
import type { Page, Route } from "playwright-core";
import { format } from "../../src/web/draft.js";
import { clickBanner, refuse, testSite, visit, type Visitor, webTest } from "../support/browser.ts";
import { type Message, messages, post, posted, read, until } from "../support/client.ts";
import { type Line, sinceNoonYesterday, writeHistory } from "../support/history.ts";
import { spawnServer } from "../support/server.ts";
import { bearer, SECRET, tokenOf } from "../support/tokens.ts";

const site = await testSite();

/** Says yes to what the page asks; what it asked. */
function agree(page: Page): string[] {
  const asked: string[] = [];
  page.on("dialog", async (dialog) => {
    asked.push(dialog.message());
    await dialog.accept();
  });
  return asked;
}

/** Points at a message, and presses a button of it. */
async function act({ page }: Visitor, body: string, button: string): Promise<void> {
  await page.hover(`#log .body >> text="${body}"`);
  await page.click(`#actions [aria-label="${button}"]`);
}

/** Keeps back what changes messages, until it is let through or answered otherwise. */
async function hold(page: Page, method: "PATCH" | "DELETE") {
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  const { promise: ended, resolve: end } = Promise.withResolvers<(route: Route) => Promise<void>>();
  await page.route(/\/messages\/[0-9a-f-]+$/, async (route) => {
    if (route.request().method() !== method) return await route.continue();
    ask();
    await (await ended)(route);
  });
  return { asked, release: (how = (route: Route) => route.continue()) => end(how) };
}

/** All that is told a screen reader beside the conversation. */
async function listen({ page }: Visitor): Promise<void> {
  await page.evaluate(() => {
    const said: string[] = [];
    Object.assign(globalThis, { said });
    new MutationObserver((records) => {
      for (const { target } of records) {
        const line = target.parentElement?.closest("[role=status]") ?? (target as Element).closest("[role=status]");
        if (line?.textContent && !line.closest("#connection")) said.push(line.textContent);
      }
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
  });
}
const said = ({ page }: Visitor) => page.evaluate(() => (globalThis as unknown as { said: string[] }).said);

webTest(
  "With the arrow up in the empty composer one edits one's last message, and everybody sees it so, once",
  async () => {
    await using ada = await visit(site, { room: "edit", name: "Ada" });
    await using noor = await visit(site, { room: "edit", name: "Noor" });
    await ada.say("One");
    await ada.say("Tow");
    await ada.settles();
    await noor.say("Mine");
    await noor.sees("One", "Tow", "Mine");
    await ada.sees("One", "Tow", "Mine");
    await listen(ada);
    await listen(noor);
    await ada.page.press("#text", "ArrowUp");
    assertEquals(await ada.page.inputValue("#edited-text"), "Tow");
    await ada.page.fill("#edited-text", "Two");
    await ada.page.press("#edited-text", "Enter");
    await ada.sees("One", "Two", "Mine");
    await noor.sees("One", "Two", "Mine");
    await ada.page.waitForSelector("#editor", { state: "hidden" });
    for (const { page } of [ada, noor]) {
      assertEquals(await page.locator(".edited").count(), 1);
      assert((await page.getAttribute(".edited", "title"))!.startsWith("Edited "));
    }
    assertEquals(await ada.page.evaluate(() => document.activeElement!.id), "text");
    await noor.until(() => (globalThis as unknown as { said: string[] }).said.length > 0, 0);
    assertEquals(await said(noor), ["1 message was edited"]);
    agree(noor.page);
    await act(noor, "Mine", "Delete");
    await ada.until(() => (globalThis as unknown as { said: string[] }).said.length > 0, 0);
    assertEquals(await said(ada), ["1 message was deleted"]); // her own edit is no news to her
    assertEquals((await messages(site, "edit", "wait=0")).map(({ body }) => body), ["One", "Two"]);
    await using late = await visit(site, { room: "edit", name: "Late" });
    await late.sees("One", "Two");
    assertEquals(await late.page.locator(".edited").count(), 1);
  },
);

webTest(
  "What one has just said can be edited as soon as it is known to be one's own, also when one points at it already",
  async () => {
    await using ada = await visit(site, { room: "just-said", name: "Ada" });
    const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
    await ada.page.route(/\/messages$/, async (route) => {
      const response = await route.fetch();
      await answered;
      await route.fulfill({ response });
    });
    await ada.say("Just said");
    await ada.page.waitForSelector("#log .body"); // by the poll, which says of nothing whose it is
    await ada.page.hover("#log .body");
    await ada.page.waitForSelector("#actions [aria-label=Reply]");
    assertEquals(await ada.page.locator("#actions [aria-label=Edit]").count(), 0);
    answer();
    await ada.page.waitForSelector("#actions [aria-label=Edit]");
  },
  { notInFirefox: "its driver does not tell what a page posts, which so can't be sent on" },
);

webTest("Escape leaves what one edits as it was, and the draft too", async () => {
  await using ada = await visit(site, { room: "escape", name: "Ada" });
  await ada.say("Stays");
  await ada.settles();
  await ada.page.fill("#text", "A draft");
  await ada.page.press("#text", "ArrowUp"); // is for the draft's lines
  assertEquals(await ada.page.isVisible("#editor"), false);
  await act(ada, "Stays", "Edit");
  await ada.page.fill("#edited-text", "Goes");
  await ada.page.press("#edited-text", "Escape");
  assertEquals([await ada.page.isVisible("#editor"), await ada.page.inputValue("#text")], [false, "A draft"]);
  await ada.sees("Stays");
});

webTest("What one has begun to edit is there again after another message or room, until it is put aside", async () => {
  await using ada = await visit(site, { room: "begun", name: "Ada" });
  const { page } = ada;
  for (const text of ["One", "Two"]) await ada.say(text);
  await ada.settles();
  const edited = () => page.inputValue("#edited-text");
  await act(ada, "One", "Edit");
  await page.fill("#edited-text", "One, and a long story");
  await act(ada, "Two", "Edit");
  assertEquals(await edited(), "Two");
  await act(ada, "One", "Edit");
  assertEquals(await edited(), "One, and a long story");
  await page.evaluate(() => location.hash = "elsewhere");
  await ada.until(() => document.querySelector("h1")!.textContent === "elsewhere", 0);
  await page.evaluate(() => location.hash = "begun");
  await ada.sees("One", "Two");
  await act(ada, "One", "Edit");
  assertEquals(await edited(), "One, and a long story");
  await page.press("#edited-text", "Escape");
  await act(ada, "One", "Edit");
  assertEquals(await edited(), "One");
});

/** What this browser keeps of edits that are neither saved nor put aside. */
const unsaved = ({ page }: Visitor) =>
  page.evaluate(() =>
    Object.entries(localStorage).filter(([key]) => key.startsWith("linger / edit ")).map(([, kept]) =>
      JSON.parse(kept).text
    )
  );

webTest("An edit that was begun is there again after a reload, until it is saved or put aside", async () => {
  await using ada = await visit(site, { room: "reloaded", name: "Ada" });
  const { page } = ada;
  await ada.say("One");
  await ada.settles();
  const reopen = async (body: string) => {
    await page.reload();
    await ada.sees(body);
    await act(ada, body, "Edit");
    return await page.inputValue("#edited-text");
  };
  await act(ada, "One", "Edit");
  await page.fill("#edited-text", "One, and a long story");
  assertEquals(await reopen("One"), "One, and a long story");
  await page.press("#edited-text", "Enter");
  await ada.sees("One, and a long story");
  await page.waitForSelector("#editor", { state: "hidden" });
  assertEquals(await unsaved(ada), []);

  assertEquals(await reopen("One, and a long story"), "One, and a long story");
  await page.fill("#edited-text", "");
  assertEquals(await reopen("One, and a long story"), "");
  await page.press("#edited-text", "Escape");
  assertEquals(await reopen("One, and a long story"), "One, and a long story");
});

webTest(
  "What one has begun to make of a message goes with it, wherever that is deleted, and wherever one is by then",
  async () => {
    await using ada = await visit(site, { room: "goes", name: "Ada" });
    const { page } = ada;
    for (const text of ["One", "Two", "Three"]) await ada.say(text);
    await ada.settles();
    for (const body of ["One", "Two"]) {
      await act(ada, body, "Edit");
      await page.fill("#edited-text", `${body}, and a long story`);
    }
    await act(ada, "Three", "Reply");
    assertEquals((await unsaved(ada)).sort(), ["One, and a long story", "Two, and a long story"]);
    const two = (await messages(site, "goes", "wait=0")).find(({ body }) => body === "Two")!;
    const key = await page.evaluate((id) => localStorage.getItem(`linger / key ${id}`)!, two.id);
    const url = `${site.url}/rooms/goes/messages/${two.id}`;
    assertEquals((await fetch(url, { method: "DELETE", headers: { "message-key": key } })).status, 204);
    await ada.sees("One", "Three");
    assertEquals(await unsaved(ada), ["One, and a long story"]);

    agree(page);
    const held = await hold(page, "DELETE");
    await act(ada, "One", "Delete");
    await held.asked;
    await page.evaluate(() => location.hash = "elsewhere");
    await ada.until(() => document.querySelector("h1")!.textContent === "elsewhere", 0);
    held.release();
    await ada.until(() => Object.keys(localStorage).every((key) => !key.includes(" edit ")), 0);
  },
);

webTest("Of the edits that were begun the ten that were written at last are kept", async () => {
  await using ada = await visit(site, { room: "ten", name: "Ada" });
  for (const body of ["One", "Two"]) await ada.say(body);
  await ada.settles();
  await ada.page.evaluate(() => {
    for (let i = 0; i < 10; i++) {
      // The last is the oldest; and the clock was set back since.
      localStorage.setItem(`linger / edit 0-${i}`, JSON.stringify({ at: 4e12 - i, text: `${i}` }));
    }
  });
  await act(ada, "One", "Edit");
  await ada.page.fill("#edited-text", "One, and more");
  await ada.page.fill("#edited-text", "One, and a long story");
  assertEquals((await unsaved(ada)).sort(), [..."012345678", "One, and a long story"]);
  await act(ada, "Two", "Edit");
  await ada.page.fill("#edited-text", "Two, and more");
  assertEquals((await unsaved(ada)).sort(), [..."01234567", "One, and a long story", "Two, and more"]);
});

webTest("The arrow that leads to the last message of one's own edits no other while that is on its way", async () => {
  await using ada = await visit(site, { room: "arrow", name: "Ada", badNetwork: true });
  const { page } = ada;
  await ada.say("One");
  await ada.settles();
  const { promise: sent, resolve: send } = Promise.withResolvers<void>();
  await page.route(/\/messages$/, async (route) => {
    await sent;
    await route.continue();
  });
  await ada.say("Twoo");
  await page.keyboard.press("ArrowUp");
  await page.waitForTimeout(300);
  assertEquals(await page.isVisible("#editor"), false);
  send();
  await ada.confirmed();
  await page.keyboard.press("ArrowUp");
  assertEquals(await page.inputValue("#edited-text"), "Twoo");
}, { notInFirefox: "its driver does not tell what a page posts, which so can't be sent on" });

/** Edits "One" into "Two", of which the server hears as soon as it is released. */
async function saveSlowly(ada: Visitor) {
  await ada.say("One");
  await ada.settles();
  const held = await hold(ada.page, "PATCH");
  await act(ada, "One", "Edit");
  await ada.page.fill("#edited-text", "Two");
  await ada.page.press("#edited-text", "Enter");
  await held.asked;
  return held;
}

webTest("Who goes on writing while his edit is saved goes on, and saves that too", async () => {
  await using ada = await visit(site, { room: "going-on", name: "Ada", badNetwork: true });
  const { page } = ada;
  const held = await saveSlowly(ada);
  let again = 0;
  page.on("request", (request) => request.method() === "PATCH" && again++);
  await page.keyboard.type(" and more");
  await page.keyboard.press("Enter"); // too soon
  await page.waitForTimeout(300);
  assertEquals(again, 0);
  held.release();
  await ada.sees("Two");
  assertEquals(await page.inputValue("#edited-text"), "Two and more");
  await page.unrouteAll({ behavior: "wait" });
  await page.waitForSelector("#editor button.primary:not(:disabled)");
  await page.press("#edited-text", "Enter");
  await ada.sees("Two and more");
  await page.waitForSelector("#editor", { state: "hidden" });
}, { notInFirefox: "its driver does not tell what a page posts, which so can't be sent on" });

webTest("Who saves an edit while the server is away is told so, until it is saved", async () => {
  await using ada = await visit(site, { room: "unheard", name: "Ada", badNetwork: true });
  const { page } = ada;
  await ada.say("One");
  await ada.settles();
  await page.route(/\/messages\/[0-9a-f-]+$/, (route) => route.abort());
  await act(ada, "One", "Edit");
  await page.fill("#edited-text", "Two");
  await page.press("#edited-text", "Enter");
  await page.waitForSelector("#editor .note >> text=The server could not be reached.");
  await page.fill("#edited-text", "Three");
  await page.unrouteAll({ behavior: "wait" });
  await ada.sees("Two");
  await ada.until(() => document.querySelector("#editor .note")!.textContent === "", 0);
  await page.press("#edited-text", "Enter");
  await ada.sees("Three");
});

webTest("Who opens a message again whose edit is being saved has that before him, and can go on", async () => {
  await using ada = await visit(site, { room: "again", name: "Ada", badNetwork: true });
  const { page } = ada;
  const held = await saveSlowly(ada);
  await act(ada, "One", "Edit");
  assertEquals(await page.inputValue("#edited-text"), "Two");
  held.release();
  await ada.sees("Two");
  await page.unrouteAll({ behavior: "wait" });
  await page.waitForSelector("#editor button.primary:not(:disabled)");
  await page.fill("#edited-text", "Three");
  await page.press("#edited-text", "Enter");
  await ada.sees("Three");
}, { notInFirefox: "its driver does not tell what a page posts, which so can't be sent on" });

webTest("Who takes an edit back while it is being saved, and goes, has that before him when he is back", async () => {
  await using ada = await visit(site, { room: "taken-back", name: "Ada", badNetwork: true });
  const { page } = ada;
  const held = await saveSlowly(ada);
  await page.fill("#edited-text", "One");
  await page.evaluate(() => location.hash = "elsewhere");
  await ada.until(() => document.querySelector("h1")!.textContent === "elsewhere", 0);
  held.release();
  await page.evaluate(() => location.hash = "taken-back");
  await ada.sees("Two");
  await act(ada, "Two", "Edit");
  assertEquals(await page.inputValue("#edited-text"), "One");
}, { notInFirefox: "its driver does not tell what a page posts, which so can't be sent on" });

webTest("An edit that was handed over when the page was loaded anew is there again", async () => {
  await using ada = await visit(site, { room: "handed-over", name: "Ada", badNetwork: true });
  const { page } = ada;
  const held = await saveSlowly(ada);
  await page.reload();
  held.release((route) => route.abort());
  await page.unrouteAll({ behavior: "wait" });
  // In its last moments a page tries once more, and the browser holds that back no more: so the edit can have arrived.
  const body = await page.textContent("#log .body");
  await act(ada, body!, "Edit");
  assertEquals(await page.inputValue("#edited-text"), "Two");
  await page.press("#edited-text", "Enter");
  await ada.sees("Two");
}, { notInFirefox: "its driver does not tell what a page posts, which so can't be sent on" });

webTest("Who presses Enter twice where one was meant does not send the draft that waits", async () => {
  await using ada = await visit(site, { room: "twice", name: "Ada" });
  const { page } = ada;
  await ada.say("One");
  await ada.settles();
  await page.fill("#text", "Half a thought");
  // The first is how a phone's keyboard that still holds a word tells of it; after the other, it would be too soon after that, too.
  for (const enter of [{ key: "Unidentified", keyCode: 229 }, { key: "Enter" }]) {
    await act(ada, "One", "Edit");
    // Nothing was changed, so the editor closes at once, and the second goes to the draft.
    const focused = await page.evaluate((enter) =>
      ["edited-text", "text"].map((id) => {
        const focused = document.activeElement!;
        const init = { bubbles: true, cancelable: true };
        focused.dispatchEvent(new KeyboardEvent("keydown", { ...enter, ...init }));
        focused.dispatchEvent(new InputEvent("beforeinput", { inputType: "insertLineBreak", ...init }));
        return [id, focused.id];
      }), enter);
    assertEquals(focused, [["edited-text", "edited-text"], ["text", "text"]]);
    assertEquals(await page.inputValue("#text"), "Half a thought");
  }
  await page.waitForTimeout(600);
  await page.keyboard.press("Enter");
  await ada.sees("One", "Half a thought");
});

webTest("Who presses Enter twice for his name does not save the edit that waits", async () => {
  await using ada = await visit(site, { room: "named-twice", name: "Ada" });
  const { page } = ada;
  await ada.say("One");
  await ada.confirmed();
  await act(ada, "One", "Edit");
  await page.fill("#edited-text", "Half a thought");
  let saves = 0;
  page.on("request", (request) => request.method() === "PATCH" && saves++);
  await page.click("#rename");
  await page.fill("#name", "Ada L.");
  const focused = await page.evaluate(() => {
    const name = document.activeElement!;
    const press = () => {
      const init = { key: "Enter", bubbles: true, cancelable: true };
      document.activeElement!.dispatchEvent(new KeyboardEvent("keydown", init));
    };
    press();
    (document.getElementById("name-form") as HTMLFormElement).requestSubmit();
    press();
    const edited = document.activeElement!;
    edited.dispatchEvent(
      new InputEvent("beforeinput", { inputType: "insertLineBreak", bubbles: true, cancelable: true }),
    );
    return [name.id, edited.id];
  });
  assertEquals(focused, ["name", "edited-text"]);
  await page.waitForTimeout(600);
  assertEquals([saves, await page.isVisible("#editor")], [0, true]);
  await page.keyboard.press("Enter");
  await ada.sees("Half a thought");
});

webTest("Who saves an edit with the button is where he writes, also when it is refused", async () => {
  await using ada = await visit(site, { room: "button", name: "Ada", badNetwork: true });
  const { page } = ada;
  await ada.say("One");
  await ada.settles();
  await act(ada, "One", "Edit");
  const saving = await hold(page, "PATCH");
  await page.fill("#edited-text", "Two");
  await page.focus("#editor button.primary");
  await page.keyboard.press("Enter");
  await saving.asked;
  saving.release(refuse);
  await page.waitForSelector("#editor .note >> text=Not like this");
  assertEquals(await page.evaluate(() => document.activeElement!.id), "edited-text");
});

webTest("What was changed meanwhile is shown before it is put aside", async () => {
  await using ada = await visit(site, { room: "meanwhile", name: "Ada", badNetwork: true });
  await ada.say("First");
  await act(ada, "First", "Edit");
  const [message] = await messages(site, "meanwhile", "wait=0");
  const key = await ada.page.evaluate(
    (id) => Object.entries(localStorage).find(([name]) => name.endsWith(` key ${id}`))![1],
    message!.id,
  );
  const answer = await fetch(`${site.url}/rooms/meanwhile/messages/${message!.id}`, {
    method: "PATCH",
    headers: { "content-type": "application/json", "message-key": key },
    body: JSON.stringify({ body: "Second" }),
  });
  assertEquals(answer.status, 200);
  await answer.body?.cancel();
  await ada.sees("Second");
  await ada.page.fill("#edited-text", "Third");
  await ada.page.route(/limit=1$/, refuse); // what it has become can't be read
  await ada.page.press("#edited-text", "Enter");
  await ada.page.waitForSelector("#editor .note >> text=Not like this");
  await ada.page.unrouteAll();
  await ada.page.press("#edited-text", "Enter");
  await ada.page.waitForSelector("#editor .note >> text=is now: “Second”");
  await ada.page.press("#edited-text", "Enter");
  await ada.sees("Third");
  assertEquals((await messages(site, "meanwhile", "wait=0")).map(({ body }) => body), ["Third"]);
});

webTest("One's own message is deleted when one says so, for everybody; another's has no such button", async () => {
  await using ada = await visit(site, { room: "delete", name: "Ada" });
  await using noor = await visit(site, { room: "delete", name: "Noor" });
  await ada.say("Regretted");
  await ada.settles();
  await noor.say("Stays");
  await ada.sees("Regretted", "Stays");
  await ada.page.hover("#log .body >> text=Stays");
  await ada.page.waitForSelector("#actions");
  assertEquals(
    await ada.page.$$eval("#actions button", (all) => all.map(({ ariaLabel }) => ariaLabel)),
    ["Reply", "Copy link"],
  );
  const asked = agree(ada.page);
  await act(ada, "Regretted", "Delete");
  await ada.sees("Stays");
  await noor.sees("Stays");
  assertEquals(asked.length, 1);
  assertEquals((await messages(site, "delete", "wait=0")).map(({ body }) => body), ["Stays"]);
  await ada.page.waitForSelector("[role=status] >> text=The message is deleted");
});

webTest("A page of history that is on its way brings nothing back that was edited or deleted meanwhile", async () => {
  const key = "a key that nobody can guess";
  const early: Message[] = [];
  for (const body of ["Old", "Gone", "Kept"]) {
    early.push(await (await post(site, "way", { body }, { "message-key": key })).json());
  }
  for (let i = 0; i < 60; i++) await posted(site, "way", `Filler ${i}`);
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  const context = await site.browser.newContext({ viewport: { width: 1000, height: 700 } });
  await using _context = { [Symbol.asyncDispose]: () => context.close() };
  const page = await context.newPage();
  await page.route(/before=[0-9a-f]/, async (route) => {
    const response = await route.fetch();
    ask();
    await released;
    await route.fulfill({ response });
  });
  await page.goto(`${site.url}/#way`);
  await page.waitForSelector("#connection[data-status=live]");
  await page.evaluate(() => document.getElementById("scroller")!.scrollTop = 0);
  await asked;
  for (
    const [method, { id }, body] of [["PATCH", early[0]!, { body: "New" }], ["DELETE", early[1]!, undefined]] as const
  ) {
    const answer = await fetch(`${site.url}/rooms/way/messages/${id}`, {
      method,
      headers: { "content-type": "application/json", "message-key": key },
      ...body && { body: JSON.stringify(body) },
    });
    assert(answer.ok);
    await answer.body?.cancel();
  }
  await posted(site, "way", "The changes are heard");
  await page.waitForSelector("#log .body >> text=The changes are heard", { state: "attached" });
  release();
  await page.waitForSelector("#log .body >> text=Kept", { state: "attached" });
  const bodies = await page.$$eval("#log .body", (all) => all.map(({ textContent }) => textContent));
  assertEquals(bodies.slice(0, 2), ["New", "Kept"]);
});

webTest(
  "A reply has a line above it that leads to what it answers, wherever that is, and says when it is gone",
  async () => {
    const original = await posted(site, "reply", "The question");
    for (let i = 0; i < 60; i++) await posted(site, "reply", `Filler ${i}`);
    await using ada = await visit(site, { room: "reply", name: "Ada" });
    await ada.page.evaluate(() => document.getElementById("scroller")!.scrollTop = 0);
    await ada.page.waitForSelector("#log .body >> text=The question");
    await act(ada, "The question", "Reply");
    assertEquals(await ada.page.textContent("#replying .what"), "Reply to Anonymous The question");
    await ada.page.keyboard.press("Escape");
    assertEquals(await ada.page.isVisible("#replying"), false);
    await act(ada, "The question", "Reply");
    await ada.say("The answer");
    await ada.settles();
    assertEquals(await ada.page.isVisible("#replying"), false);
    const [answer] = await messages(site, "reply", "wait=0").then((all) => all.filter(({ reply_to }) => reply_to));
    assertEquals([answer!.body, answer!.reply_to], ["The answer", original.id]);
    await ada.page.click(".quoted >> text=The question");
    await ada.until(() => {
      const { top, bottom } = document.activeElement!.getBoundingClientRect();
      return document.activeElement!.textContent!.includes("The question") && top > 0 && bottom < innerHeight;
    }, 0);

    // Not loaded: it is fetched, to be seen; and its address leads there.
    await using late = await visit(site, { room: "reply", name: "Late" });
    await late.page.waitForSelector(".quoted >> text=The question");
    assertEquals(await late.page.getAttribute(".quoted", "href"), `#reply/${original.id}`);

    await post(site, "reply", { body: "To nothing", reply_to: answer!.id.replace(/.$/, (c) => c === "0" ? "1" : "0") });
    await late.page.waitForSelector(".quoted >> text=A message that is gone");
  },
);

webTest(
  "By keyboard: Tab leads to the messages, arrows between them, Enter to what can be done, a key does it",
  async () => {
    await using ada = await visit(site, { room: "keys", name: "Ada" });
    for (const body of ["One", "Two", "Three"]) await ada.say(body);
    await ada.settles();
    await ada.sees("One", "Two", "Three");
    const { page } = ada;
    const focused = () =>
      page.evaluate(() =>
        document.activeElement!.ariaLabel ?? document.activeElement!.querySelector(".body")?.textContent
      );
    await page.waitForSelector("#actions", { state: "attached" }); // else Tab does not lead to the messages yet
    await page.focus("#scroller");
    await page.keyboard.press("Tab");
    assertEquals(await focused(), "Three");
    await page.keyboard.press("ArrowUp");
    await page.keyboard.press("ArrowUp");
    await page.keyboard.press("ArrowDown");
    assertEquals(await focused(), "Two");
    await page.keyboard.press("Enter");
    assertEquals(await focused(), "Reply");
    await page.keyboard.press("ArrowRight");
    assertEquals(await focused(), "Copy link");
    await page.keyboard.press("ArrowLeft");
    await page.keyboard.press("ArrowLeft");
    assertEquals(await focused(), "Delete");
    await page.keyboard.press("Escape");
    assertEquals(await focused(), "Two");
    const asked = agree(page);
    await page.keyboard.press("Delete");
    await ada.sees("One", "Three");
    assertEquals(asked.length, 1);
    await ada.until(() => document.activeElement!.textContent!.includes("Three"), 0);
    await page.keyboard.press("e");
    assertEquals(await page.inputValue("#edited-text"), "Three");
    await page.keyboard.press("Escape");
    await page.focus("#scroller");
    await page.keyboard.press("Tab");
    await page.keyboard.press("r");
    await page.waitForSelector("#replying >> text=Three");
  },
);

webTest("Tab leads from the messages to the one that one reads, and not to a link far above it", async () => {
  const room = "far-link";
  await posted(site, room, "See https://example.org");
  for (let i = 0; i < 60; i++) await posted(site, room, `Message ${i}`);
  await using ada = await visit(site, { room, name: "Ada" });
  const { page } = ada;
  await page.waitForSelector("#log .body >> text=Message 59");
  await ada.until(() => document.querySelector("#log .body a"), 0);
  await page.hover('#log .body >> text="Message 59"'); // which loads what keys do there
  await page.waitForSelector("#actions");
  await page.focus("#scroller");
  await page.keyboard.press("Tab");
  assertEquals(await page.evaluate(() => document.activeElement!.querySelector(".body")?.textContent), "Message 59");
  await page.focus("#scroller");
  await page.keyboard.press("Shift+Tab"); // and back out of them
  assertEquals(await page.evaluate(() => document.activeElement!.closest("#scroller") === null), true);
});

webTest("Whoever has clicked a button of a message has those of the next one where he points at it", async () => {
  await using ada = await visit(site, {
    room: "next",
    name: "Ada",
    permissions: ["clipboard-read", "clipboard-write"],
  });
  const { page } = ada;
  for (const body of ["One", "Two"]) await ada.say(body);
  await ada.settles();
  await act(ada, "One", "Copy link");
  await page.waitForSelector("[role=status] >> text=The link is copied");
  await act(ada, "Two", "Reply");
  await page.waitForSelector("#replying >> text=Two");
  page.on("dialog", (dialog) => dialog.dismiss());
  await act(ada, "One", "Delete");
  await page.hover('#log .body >> text="Two"');
  await ada.until(() => document.querySelector("#log .active")!.textContent!.includes("Two"), 0);
  assertEquals(await page.evaluate(() => document.activeElement!.id), "scroller"); // and not nowhere
});

webTest("What one types after a click on a message, or on a button of it, does nothing with it", async () => {
  await using ada = await visit(site, {
    room: "clicked",
    name: "Ada",
    permissions: ["clipboard-read", "clipboard-write"],
  });
  const { page } = ada;
  for (const body of ["One", "Two"]) await ada.say(body);
  await ada.settles();
  const asked = agree(page);
  const type = async () => {
    await listen(ada);
    for (const key of ["c", "e", "Delete", "r"]) await page.keyboard.press(key);
    await page.waitForTimeout(300); // longer than it takes to tell of it
    assertEquals([asked, await said(ada)], [[], []]);
    assertEquals([await page.isVisible("#editor"), await page.isVisible("#replying")], [false, false]);
  };
  await page.dblclick('#log .body >> text="Two"');
  assertEquals(await page.evaluate(() => document.activeElement!.localName), "article");
  await type();
  // What comes back from another window gets the focus again.
  const isFocused = await page.evaluate(() => {
    const focused = document.activeElement as HTMLElement;
    focused.blur();
    focused.focus();
    return document.activeElement === focused;
  });
  assert(isFocused);
  await type();
  await act(ada, "Two", "Copy link");
  await page.waitForSelector("[role=status] >> text=The link is copied");
  await type();
  // By keyboard one goes on from there.
  await page.click('#log .body >> text="Two"');
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("r");
  await page.waitForSelector("#replying >> text=One");
});

webTest("Who scrolls with the mouse does by key what he came to do by key", async () => {
  await using ada = await visit(site, { room: "scroll-bar", name: "Ada" });
  const { page } = ada;
  await ada.say("One");
  await ada.settles();
  await page.waitForSelector("#actions", { state: "attached" }); // else Tab does not lead to the messages yet
  await page.focus("#scroller");
  await page.keyboard.press("Tab");
  assertEquals(await page.evaluate(() => document.activeElement!.localName), "article");
  await page.dispatchEvent("#scroller", "pointerdown"); // as of a press on the scroll bar, which takes no focus
  await page.keyboard.press("r");
  await page.waitForSelector("#replying >> text=One");
});

webTest("A message's link is copied, and its exact time seen", async () => {
  await using ada = await visit(site, {
    room: "link",
    name: "Ada",
    locale: "en-US",
    permissions: ["clipboard-read", "clipboard-write"],
  });
  await ada.say("Here");
  await ada.settles();
  await act(ada, "Here", "Copy link");
  await ada.page.waitForSelector("[role=status] >> text=The link is copied");
  const [message] = await messages(site, "link", "wait=0");
  assertEquals(await ada.page.evaluate(() => navigator.clipboard.readText()), `${site.url}/#link/${message!.id}`);
  assertEquals(
    await ada.page.textContent("#actions time"),
    await ada.page.evaluate(
      (at) => new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "medium" }).format(new Date(at)),
      message!.created_at,
    ),
  );
});

webTest("The exact time goes by the same clock as the one beside the name", async () => {
  const minutes = sinceNoonYesterday() - 185;
  await writeHistory(site.database.sql, "clocks", [[minutes, "Noor", "At five past three"]]);
  await using ada = await visit(site, { room: "clocks", name: "Ada", locale: "de-DE" });
  const { page } = ada;
  await page.hover("#log .body");
  await page.waitForSelector("#actions");
  const seen = await page.$$eval(
    "#log time, #actions time",
    (all) => all.flatMap((time) => [time.textContent!, (time as HTMLElement).title]),
  );
  assertEquals(seen.map((time) => /\b15:0\d/.test(time) && !/PM/.test(time)), seen.map(() => true), `${seen}`);
});

webTest("A link is copied also where the page came over plain HTTP, and one goes on where one was", async () => {
  await using ada = await visit(site, { room: "plain", name: "Ada" });
  const { page } = ada;
  await page.evaluate(() => Object.defineProperty(navigator, "clipboard", { value: undefined })); // which browsers leave out there
  await ada.say("Here");
  await ada.settles();
  const [message] = await messages(site, "plain", "wait=0");
  const paste = async () => {
    await page.fill("#text", "");
    await page.press("#text", "Control+V");
    return await page.inputValue("#text");
  };
  const focused = () =>
    page.evaluate(() =>
      document.activeElement!.ariaLabel ?? document.activeElement!.querySelector(".body")?.textContent
    );
  await act(ada, "Here", "Copy link");
  await page.waitForSelector("#actions .done[aria-label='Copy link']");
  assertEquals(await paste(), `${site.url}/#plain/${message!.id}`);
  await page.focus("#log article");
  await page.keyboard.press("c");
  await page.waitForSelector("#actions .done");
  assertEquals(await focused(), "Here");
  await page.mouse.move(0, 0);
  for (const key of ["ArrowDown", "Enter", "ArrowRight"]) await page.keyboard.press(key);
  assertEquals(await focused(), "Copy link");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#actions .done");
  assertEquals(await focused(), "Copy link");
  assertEquals(await page.locator("#actions textarea").count(), 0);
});

webTest("A link that the browser does not let be copied is shown", async () => {
  await using ada = await visit(site, { room: "unlinked", name: "Ada" });
  const { page } = ada;
  await ada.say("Here");
  await ada.settles();
  const [message] = await messages(site, "unlinked", "wait=0");
  const copy = async () => {
    await act(ada, "Here", "Copy link");
    await page.waitForSelector(`#banner.shown >> text=${site.url}/#unlinked/${message!.id}`);
  };
  await page.evaluate(() => {
    const value = { writeText: () => Promise.reject(new Error("No")) };
    Object.defineProperty(navigator, "clipboard", { value, configurable: true });
  });
  await copy();
  await clickBanner(page, "#banner-close");
  await page.waitForSelector("#banner:not(.shown)", { state: "attached" });
  await page.evaluate(() => { // over plain HTTP there is none
    Object.defineProperty(navigator, "clipboard", { value: undefined });
    document.execCommand = () => false;
  });
  await copy();
});

webTest("A tap on a message shows what can be done with it, and another hides it", async () => {
  await using ada = await visit(site, {
    room: "tap",
    name: "Ada",
    hasTouch: true,
    isMobile: true,
    viewport: { width: 390, height: 800 },
  });
  await ada.say("Here");
  await ada.settles();
  await ada.page.tap("#log .body");
  await ada.page.waitForSelector("#actions [aria-label=Delete]");
  await ada.page.tap("#log .body");
  await ada.page.waitForSelector("#actions", { state: "hidden" });
}, { notInFirefox: "WebDriver BiDi has no touch screen" });

webTest("On the smallest phone all that can be done with a message has the width of a finger", async () => {
  const phone = { viewport: { width: 320, height: 568 }, isMobile: true, hasTouch: true };
  await using ada = await visit(site, { room: "fingers", name: "Ada", ...phone });
  await ada.say("Mine");
  await ada.confirmed();
  await ada.page.tap("#log .body");
  await ada.page.waitForSelector("#actions [aria-label=Delete]");
  const places = await ada.page.$$eval("#actions button", (buttons) =>
    buttons.map((button) => {
      const { width, right } = button.getBoundingClientRect();
      return { width, isInside: right <= innerWidth };
    }));
  assertEquals(places, Array(4).fill({ width: 44, isInside: true }));
}, { notInFirefox: "WebDriver BiDi has no touch screen" });

webTest("Who replies while he edits is in his reply, and the edit is there when he comes back to it", async () => {
  const { id } = await posted(site, "beside-edit", "The question");
  await using ada = await visit(site, { room: "beside-edit", name: "Ada", badNetwork: true });
  const { page } = ada;
  await ada.say("Mine");
  await ada.settles();
  await act(ada, "Mine", "Edit");
  await page.fill("#edited-text", "Mine, with more words");
  await act(ada, "The question", "Reply");
  assertEquals([await page.isVisible("#replying"), await page.isVisible("#editor")], [true, false]);
  await page.keyboard.type("The answer");
  await page.keyboard.press("Enter");
  await ada.settles();
  const answer = (await messages(site, "beside-edit", "wait=0")).at(-1)!;
  assertEquals([answer.body, answer.reply_to], ["The answer", id]);
  await act(ada, "Mine", "Edit");
  assertEquals(await page.inputValue("#edited-text"), "Mine, with more words");
  await page.keyboard.press("Escape");

  // So it is with what was refused.
  await page.route(/\/messages$/, refuse);
  await ada.say("Refused");
  await page.waitForSelector(".failed");
  await act(ada, "Mine", "Edit");
  await page.click(".failed >> text=Edit");
  assertEquals([await page.isVisible("#text"), await page.inputValue("#text")], [true, "Refused"]);
});

webTest("Who edits and is asked for his name at once goes on in the one when he is done with the other", async () => {
  await using ada = await visit(site, { room: "name-and-edit", name: "Ada" });
  const { page } = ada;
  const focused = () => page.evaluate(() => document.activeElement!.id);
  /** Where Escape leads from a message. */
  const fromMessage = async () => {
    await page.focus("#log article");
    await page.keyboard.press("Escape");
    return await focused();
  };
  await ada.say("One");
  await ada.settles();
  await act(ada, "One", "Edit");
  assertEquals(await fromMessage(), "edited-text");
  for (const key of ["Enter", "Escape"]) {
    await page.click("#rename");
    assertEquals(await focused(), "name");
    await page.keyboard.press(key);
    assertEquals([key, await focused()], [key, "edited-text"]);
  }
  await page.click("#rename");
  await page.press("#edited-text", "Escape");
  assertEquals(await focused(), "name");
  assertEquals(await fromMessage(), "name");
  await act(ada, "One", "Edit");
  await page.click("#editor >> text=Cancel");
  assertEquals(await focused(), "name");
  await page.keyboard.press("Escape");
  assertEquals(await focused(), "text");
});

webTest("Who replies before he has a name is asked for it, and then in his reply", async () => {
  const { id } = await posted(site, "nameless", "The question");
  await using ada = await visit(site, { room: "nameless" });
  const { page } = ada;
  await act(ada, "The question", "Reply");
  assertEquals(await page.evaluate(() => document.activeElement!.id), "name");
  await page.keyboard.type("Ada");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#replying >> text=The question");
  await page.keyboard.type("The answer");
  await page.keyboard.press("Enter");
  await ada.settles();
  assertEquals((await messages(site, "nameless", "wait=0")).at(-1)!.reply_to, id);
});

webTest("A reply goes on while one looks around in its room, and when it was refused", async () => {
  const original = await posted(site, "kept", "The question");
  const other = await posted(site, "kept", "Something else");
  await using ada = await visit(site, { room: "kept", name: "Ada", badNetwork: true });
  const { page } = ada;
  await act(ada, "The question", "Reply");
  await page.evaluate((hash) => location.hash = hash, `kept/${other.id}`);
  await page.waitForSelector("#log .found");
  assertEquals(await page.textContent("#replying .what"), "Reply to Anonymous The question");
  await page.route(/\/messages$/, refuse);
  await ada.say("The answer");
  await page.waitForSelector(".failed");
  assertEquals(await page.isVisible("#replying"), false);
  await page.unrouteAll();
  await page.click(".failed >> text=Edit");
  await page.waitForSelector("#replying >> text=The question");
  await ada.say("The better answer");
  await ada.settles();
  const answer = (await messages(site, "kept", "wait=0")).at(-1)!;
  assertEquals([answer.body, answer.reply_to], ["The better answer", original.id]);
  // Not in another room.
  await act(ada, "The question", "Reply");
  await page.evaluate(() => location.hash = "elsewhere");
  await page.waitForSelector("#replying", { state: "hidden" });
});

webTest("A draft that answers something does so after another room and a reload, and only that one", async () => {
  const original = await posted(site, "reply-kept", "The question");
  await using ada = await visit(site, { room: "reply-kept", name: "Ada" });
  const { page } = ada;
  await act(ada, "The question", "Reply");
  await page.keyboard.type("The answer");
  await page.evaluate(() => location.hash = "elsewhere");
  await page.waitForSelector("#replying", { state: "hidden" });
  await page.evaluate(() => history.back());
  await page.waitForSelector("#replying >> text=The question");
  await page.reload();
  await page.waitForSelector("#replying >> text=The question");
  // Also while the line above it is still to come.
  await page.route(/\/web\/reply\.js/, () => {});
  await page.reload();
  await ada.is("live");
  await page.press("#text", "Enter");
  await ada.settles();
  const answer = (await messages(site, "reply-kept", "wait=0")).at(-1)!;
  assertEquals([answer.body, answer.reply_to], ["The answer", original.id]);
  assertEquals(await page.evaluate(() => localStorage.getItem("linger / reply reply-kept")), null);
  assertEquals(await page.evaluate(() => Object.keys(localStorage).filter((key) => / (draft|left) /.test(key))), []);
  await page.unrouteAll({ behavior: "ignoreErrors" });
  await page.reload();
  await ada.is("live");
  await act(ada, "The question", "Reply");
  await page.click("#replying button");
  await page.reload();
  await ada.is("live");
  await ada.say("Something else");
  await ada.settles();
  assertEquals((await messages(site, "reply-kept", "wait=0")).at(-1)!.reply_to, undefined);
});

webTest(
  "The line above a reply says what its original says now, and none of its words when that is deleted",
  async () => {
    const room = "requote";
    const key = "a key that nobody can guess";
    const at = (id: string) => `${site.url}/rooms/${room}/messages/${id}`;
    const headers = { "message-key": key, "content-type": "application/json" };
    const originals: Message[] = [];
    for (const body of ["Far away", "Near"]) {
      originals.push(await (await post(site, room, { body }, { "message-key": key })).json());
      for (let i = 0; body === "Far away" && i < 120; i++) await posted(site, room, `Filler ${i}`);
    }
    for (const { id } of originals) await post(site, room, { body: "An answer", reply_to: id });
    await using ada = await visit(site, { room, name: "Ada" });
    const lines = (...texts: string[]) =>
      ada.until((texts) => {
        const said = [...document.querySelectorAll(".quoted")].map(({ textContent }) => textContent);
        return JSON.stringify(said) === JSON.stringify(texts);
      }, texts);
    await lines("Anonymous Far away", "Anonymous Near");
    for (const { id } of originals) {
      await (await fetch(at(id), { method: "PATCH", headers, body: JSON.stringify({ body: "Changed" }) })).body
        ?.cancel();
    }
    await lines("Anonymous Changed", "Anonymous Changed");
    for (const { id } of originals) await fetch(at(id), { method: "DELETE", headers });
    const gone = "A message that is gone";
    await lines(gone, gone);
    assertEquals(await ada.page.locator(".quoted[href]").count(), 0);
    // Also a reply that is shown anew knows it.
    await post(site, room, { body: "Late", reply_to: originals[0]!.id });
    await lines(gone, gone, gone);
    assertEquals(await ada.page.locator(".quoted[href]").count(), 0);
  },
);

webTest(
  "With a token one changes what its subject wrote, and who moderates a room deletes anything there",
  async () => {
    await using server = await spawnServer(site.database.url, { TOKEN_SECRET: SECRET });
    const there = { browser: site.browser, url: server.url };
    const ada = await tokenOf({ sub: "a", name: "Ada", read: ["*"], write: ["*"] });
    const eve = await tokenOf({ sub: "e", name: "Eve", read: ["*"], write: ["*"], moderate: ["club.*"] });
    for (const room of ["club.tea", "other"]) {
      for (const [token, body] of [[ada, "Ada's"], [eve, "Eve's"]] as const) {
        const answer = await post(server, room, { body }, bearer(token));
        assertEquals(answer.status, 201);
        await answer.body?.cancel();
      }
    }
    const context = await site.browser.newContext();
    const page = await context.newPage();
    const asked = agree(page);
    await page.goto(`${there.url}/#token=${eve}`);
    await page.waitForSelector("#connection[data-status=live]");
    const buttons = async (room: string, body: string) => {
      await page.goto(`${there.url}/#${room}`);
      await page.hover(`#log .body >> text=${body}`);
      await page.waitForSelector("#actions");
      return await page.$$eval("#actions button", (all) => all.map(({ ariaLabel }) => ariaLabel).slice(2));
    };
    assertEquals(await buttons("other", "Eve's"), ["Edit", "Delete"]);
    assertEquals(await buttons("other", "Ada's"), []);
    assertEquals(await buttons("club.tea", "Ada's"), ["Delete"]);
    await page.click("#actions [aria-label=Delete]");
    await page.waitForSelector("#log .body >> text=Ada's", { state: "detached" });
    assertEquals(asked, ["Delete somebody else’s message, for everybody and for good?"]);
    await until(async () => {
      const answer = await fetch(`${server.url}/rooms/club.tea/messages?wait=0`, { headers: bearer(eve) });
      return (await answer.json()).length === 1;
    }, "it is gone");
    await context.close();
  },
);

webTest("A key does what it does with the message that has the focus, wherever the mouse rests", async () => {
  await using ada = await visit(site, { room: "focus", name: "Ada" });
  for (const body of ["One", "Two", "Three", "Four"]) await ada.say(body);
  await ada.settles();
  const { page } = ada;
  const rest = async () => {
    await page.mouse.move(0, 0);
    await page.hover("#log .body >> text=Two");
    await page.waitForSelector("#actions");
  };
  await rest();
  await page.locator("#log article", { hasText: "Four" }).focus();
  await rest();
  await page.keyboard.press("ArrowUp");
  assertEquals(await page.evaluate(() => document.activeElement!.querySelector(".body")!.textContent), "Three");
  await rest();
  agree(page);
  await page.keyboard.press("Delete");
  await ada.sees("One", "Two", "Four");
});

webTest("What is answered late takes the focus from nobody who is elsewhere by then", async () => {
  await using ada = await visit(site, { room: "late", name: "Ada" });
  const { page } = ada;
  for (const body of ["One", "Two", "Three"]) await ada.say(body);
  await ada.settles();
  agree(page);
  const deleting = await hold(page, "DELETE");
  await act(ada, "One", "Delete");
  await deleting.asked;
  await page.locator("#text").pressSequentially("Wri");
  deleting.release();
  await page.waitForSelector("[role=status] >> text=The message is deleted", { state: "attached" });
  await ada.until(() => document.querySelectorAll("#log .body").length === 2, 0);
  await page.keyboard.type("ting");
  assertEquals(await page.inputValue("#text"), "Writing");

  const saving = await hold(page, "PATCH");
  await act(ada, "Two", "Edit");
  await page.fill("#edited-text", "2");
  await page.press("#edited-text", "Enter");
  await saving.asked;
  await page.locator("#new-room-name").pressSequentially("an");
  saving.release();
  await page.waitForSelector("#editor", { state: "hidden" });
  await page.keyboard.type("other");
  assertEquals(await page.inputValue("#new-room-name"), "another");
  await ada.until(() => document.querySelector("#log .body")!.textContent === "2", 0);

  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  await page.route(/before=[0-9a-f]/, async (route) => {
    await released;
    await route.continue();
  });
  const [two] = await messages(site, "late", "wait=0");
  await page.evaluate((hash) => location.hash = hash, `late/${two!.id}`);
  await page.locator("#text").pressSequentially(" to");
  release();
  await page.waitForSelector("#log .found");
  await page.keyboard.type(" you");
  assertEquals(await page.inputValue("#text"), "Writing to you");
});

webTest("By keyboard one is never nowhere after a deletion, also not of the last message", async () => {
  await using ada = await visit(site, { room: "last", name: "Ada" });
  const { page } = ada;
  for (const body of ["One", "Two"]) await ada.say(body);
  await ada.confirmed();
  agree(page);
  await page.waitForSelector("#actions", { state: "attached" }); // else Tab does not lead to the messages yet
  await page.focus("#scroller");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.focus("#actions [aria-label=Delete]");
  await page.keyboard.press("Enter");
  await ada.sees("One");
  await ada.until(() => document.activeElement!.matches("#log article"), 0);
});

webTest("Whose message is taken away by another while he is at its buttons is not nowhere", async () => {
  await using ada = await visit(site, { room: "buttons", name: "Ada" });
  const { page } = ada;
  const key = { "message-key": "a key that nobody else knows" };
  const { json: { id } } = await read<Message>(post(site, "buttons", { body: "Goes" }, key));
  await ada.sees("Goes");
  await page.hover("#log .body");
  await page.focus("#actions button");
  await fetch(`${site.url}/rooms/buttons/messages/${id}`, { method: "DELETE", headers: key });
  await page.waitForSelector("#log .body", { state: "detached" });
  await ada.until(() => document.activeElement?.id === "scroller", 0);
});

webTest("Whose message is edited while he is at its buttons goes on there, with what it says now", async () => {
  const room = "edited-there";
  const headers = { "content-type": "application/json", "message-key": "a key that nobody else knows" };
  const ids: string[] = [];
  for (const body of ["One", "Two"]) {
    ids.push((await read<Message>(post(site, room, { body, author: "Noor" }, headers))).json.id);
  }
  await using ada = await visit(site, { room, name: "Ada" });
  const { page } = ada;
  await ada.say("Three");
  await ada.settles();
  await page.waitForSelector("#actions", { state: "attached" });
  const edit = async (body: string) => {
    const url = `${site.url}/rooms/${room}/messages/${ids[1]}`;
    const { status } = await read(fetch(url, { method: "PATCH", headers, body: JSON.stringify({ body }) }));
    assertEquals(status, 200);
    await ada.sees("One", body, "Three");
  };
  const focused = () =>
    page.evaluate(() =>
      document.activeElement!.ariaLabel ?? document.activeElement!.querySelector(".body")?.textContent
    );
  await page.focus("#scroller");
  for (const key of ["Tab", "ArrowUp", "Enter"]) await page.keyboard.press(key);
  await edit("Zwei"); // which makes place for the mark of an edit; the later ones are as high as this one
  await edit("Deux");
  assertEquals(await focused(), "Reply");
  assertEquals(await page.textContent("#log .active .body"), "Deux");
  await page.keyboard.press("ArrowDown");
  assertEquals(await focused(), "Three");
  for (const key of ["ArrowUp", "Enter"]) await page.keyboard.press(key);
  await edit("Zwei");
  await page.keyboard.press("Escape");
  assertEquals(await focused(), "Zwei");
  await page.keyboard.press("Enter");
  await edit("Deux");
  await page.keyboard.press("Shift+Tab");
  assertEquals(await focused(), "Deux");
  await page.keyboard.press("Enter");
  await edit("Zwei");
  await page.keyboard.press("Enter");
  assertEquals(await page.textContent("#replying .what"), "Reply to Noor Zwei");
  await page.keyboard.press("Escape");

  // So it is for who stands on the message itself,
  await page.locator("#log article", { hasText: "Zwei" }).focus();
  await edit("Deux");
  assertEquals(await focused(), "Deux");
  await page.keyboard.press("ArrowUp");
  assertEquals(await focused(), "One");
  await edit("Zwei");

  // and whoever has come there by a click means nothing by the keys that he goes on to press.
  await page.click('#log .body >> text="Zwei"');
  await page.keyboard.press("x");
  await edit("Deux");
  assertEquals(await focused(), "Deux");
  await page.keyboard.press("r");
  assertEquals(await page.isVisible("#replying"), false);
  await page.hover('#log .body >> text="One"'); // at which he points now
  await edit("Zwei");
  assertEquals(await page.textContent("#log .active .body"), "One");

  // So it is for who has clicked on something in it.
  const long = Array.from({ length: 60 }, (_, i) => `Line ${i}`).join("\n");
  await edit(long);
  await page.click(".unfold");
  await page.keyboard.press("PageDown");
  await edit(`${long}!`);
  assertEquals(await focused(), `${long}!`);
  await page.keyboard.press("r");
  assertEquals(await page.isVisible("#replying"), false);

  // So it is with a mouse that rests on one.
  await edit("Zwei");
  await page.hover('#log .body >> text="Zwei"');
  await page.hover("#actions [aria-label=Reply]");
  await edit("Deux");
  await page.mouse.down();
  await page.mouse.up();
  assertEquals(await page.textContent("#replying .what"), "Reply to Noor Deux");
});

webTest("Whoever is at the line above a reply when its original is deleted is at the reply, not nowhere", async () => {
  const room = "leads-nowhere";
  const key = { "message-key": "a key that nobody else knows" };
  const { json: { id } } = await read<Message>(post(site, room, { body: "The question" }, key));
  await post(site, room, { body: "The answer", reply_to: id });
  await using ada = await visit(site, { room, name: "Ada" });
  const { page } = ada;
  await page.waitForSelector(".quoted >> text=The question");
  await page.focus(".quoted");
  await fetch(`${site.url}/rooms/${room}/messages/${id}`, { method: "DELETE", headers: key });
  await page.waitForSelector(".quoted >> text=A message that is gone");
  assertEquals(await page.evaluate(() => document.activeElement!.matches("article:has(.quoted)")), true);
});

webTest("A deletion that is on its way is seen, and told once when it takes long", async () => {
  await using ada = await visit(site, { room: "under-way", name: "Ada", badNetwork: true });
  const { page } = ada;
  agree(page);
  await ada.say("Goes");
  await ada.settles();
  let tries = 0;
  await page.route(/\/messages\/[0-9a-f-]+$/, (route) => {
    tries++;
    return route.abort();
  });
  await listen(ada);
  await act(ada, "Goes", "Delete");
  await page.waitForSelector("#log .deleting >> text=Goes");
  await page.waitForSelector("[role=status] >> text=not deleted yet");
  await until(() => tries > 3, "it is tried again and again");
  await page.unrouteAll({ behavior: "wait" });
  await page.waitForSelector("#log .body", { state: "detached" });
  await page.waitForSelector("[role=status] >> text=The message is deleted");
  assertEquals(await said(ada), ["The message is not deleted yet. Trying again.", "The message is deleted"]);
});

webTest("What others change one after the other is told in one sentence, each message once", async () => {
  const room = "told-once";
  const headers = { "content-type": "application/json", "message-key": "a key that nobody can guess" };
  const at: string[] = [];
  for (const body of ["An answer", "Another", "Goes"]) {
    const { json: { id } } = await read<Message>(post(site, room, { body }, headers));
    at.push(`${site.url}/rooms/${room}/messages/${id}`);
  }
  await using ada = await visit(site, { room, name: "Ada" });
  await listen(ada);
  const edit = async (url: string, body: string) => {
    const { status } = await read(fetch(url, { method: "PATCH", headers, body: JSON.stringify({ body }) }));
    assertEquals(status, 200);
    await ada.page.waitForSelector(`#log .body >> text="${body}"`);
  };
  for (const word of ["is", "that", "grows", "and", "grows"]) await edit(at[0]!, `An answer ${word}`);
  await edit(at[1]!, "The other");
  await fetch(at[2]!, { method: "DELETE", headers });
  await ada.sees("An answer grows", "The other");
  await ada.until(() => (globalThis as unknown as { said: string[] }).said.length > 0, 0);
  assertEquals(await said(ada), ["2 messages were edited, 1 message was deleted"]);
});

webTest("One's own edit is no news, however late its answer is; what others make of the message is", async () => {
  const room = "late-answer";
  const key = { "message-key": "a key that nobody can guess" };
  const at = (id: string) => `${site.url}/rooms/${room}/messages/${id}`;
  const { json: { id } } = await read<Message>(post(site, room, { body: "Goes" }, key));
  await using ada = await visit(site, { room, name: "Ada", badNetwork: true });
  const { page } = ada;
  await ada.say("One");
  await ada.settles();
  const own = (await messages(site, room, "wait=0")).at(-1)!;
  const ownKey = await page.evaluate((id) => localStorage.getItem(`linger / key ${id}`)!, own.id);
  const editElsewhere = async (body: string) => {
    const headers = { "content-type": "application/json", "message-key": ownKey };
    const { status } = await read(fetch(at(own.id), { method: "PATCH", headers, body: JSON.stringify({ body }) }));
    assertEquals(status, 200);
  };
  const hears = async (...sentences: string[]) => {
    await ada.until((count) => (globalThis as unknown as { said: string[] }).said.length >= count, sentences.length);
    assertEquals(await said(ada), sentences);
  };
  await listen(ada);
  const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
  const saving = await hold(page, "PATCH");
  saving.release(async (route) => {
    const response = await route.fetch();
    await answered;
    await route.fulfill({ response });
  });
  await act(ada, "One", "Edit");
  await page.fill("#edited-text", "Two");
  await page.press("#edited-text", "Enter");
  await ada.sees("Goes", "Two"); // by the poll
  await fetch(at(id), { method: "DELETE", headers: key });
  await hears("1 message was deleted");
  await editElsewhere("Three");
  await hears("1 message was deleted", "1 message was edited");
  answer();
  await ada.until(() => document.querySelector("#editor .primary")!.textContent === "Save", 0);
  await editElsewhere("Two");
  await hears("1 message was deleted", "1 message was edited", "1 message was edited");
}, { notInFirefox: "its driver does not tell what a page posts, which so can't be sent on" });

webTest("A deletion that is refused is told, for everybody to see", async () => {
  await using ada = await visit(site, { room: "refused-deletion", name: "Ada", badNetwork: true });
  const { page } = ada;
  await ada.say("Stays");
  await ada.settles();
  agree(page);
  const deleting = await hold(page, "DELETE");
  deleting.release(refuse);
  await listen(ada);
  for (const times of [1, 2]) { // and heard each time, though the sentence is the same
    await act(ada, "Stays", "Delete");
    await page.waitForSelector("#banner.shown >> text=The message was not deleted (Not like this).");
    await ada.until((times) => (globalThis as unknown as { said: string[] }).said.length >= times, times);
  }
  await ada.sees("Stays");
});

webTest("An edit goes on while one looks around in its room", async () => {
  const other = await posted(site, "edit-kept", "Something else");
  await using ada = await visit(site, { room: "edit-kept", name: "Ada" });
  const { page } = ada;
  await ada.say("Mine");
  await ada.settles();
  await page.fill("#text", "A draft");
  await act(ada, "Mine", "Edit");
  await page.fill("#edited-text", "Mine, with more words");
  await page.evaluate((hash) => location.hash = hash, `edit-kept/${other.id}`);
  await page.waitForSelector("#log .found");
  assertEquals([await page.inputValue("#edited-text"), await page.isVisible("#composer")], [
    "Mine, with more words",
    false,
  ]);
  await page.press("#edited-text", "Enter");
  await ada.sees("Something else", "Mine, with more words");
  await page.waitForSelector("#editor", { state: "hidden" });
  assertEquals([await page.isVisible("#editor"), await page.inputValue("#text")], [false, "A draft"]);
  assertEquals((await messages(site, "edit-kept", "wait=0")).at(-1)!.body, "Mine, with more words");
});

webTest(
  "What is being saved when one goes to another room is saved, and if it can't be its words are kept",
  async () => {
    await using ada = await visit(site, { room: "saving", name: "Ada", badNetwork: true });
    const { page } = ada;
    const goTo = async (room: string) => {
      await page.evaluate((hash) => location.hash = hash, room);
      await ada.until((room) => document.querySelector("h1")!.textContent === room, room);
      await ada.is("live");
    };
    await ada.say("Mine");
    await ada.settles();
    const saving = await hold(page, "PATCH");
    await act(ada, "Mine", "Edit");
    await page.fill("#edited-text", "Mine, saved");
    await page.press("#edited-text", "Enter");
    await saving.asked;
    await goTo("elsewhere");
    assertEquals([await page.isVisible("#editor"), await page.isVisible("#composer")], [false, true]);
    // One that is given up here leaves the other alone.
    await ada.say("There");
    await ada.settles();
    await act(ada, "There", "Edit");
    await page.press("#edited-text", "Escape");
    saving.release();
    await until(
      async () => (await messages(site, "saving", "wait=0"))[0]!.body === "Mine, saved",
      "it is saved",
    );
    await page.unrouteAll();

    await goTo("saving");
    await ada.sees("Mine, saved");
    assertEquals(await unsaved(ada), []);
    const refusing = await hold(page, "PATCH");
    await page.fill("#text", "A draft");
    await act(ada, "Mine, saved", "Edit");
    await page.fill("#edited-text", "Mine, once more");
    await page.press("#edited-text", "Enter");
    await refusing.asked;
    await goTo("elsewhere");
    refusing.release(refuse);
    await page.waitForSelector("#banner.shown >> text=Your edit in saving was not saved (Not like this).");
    assertEquals(await page.inputValue("#text"), "");
    await clickBanner(page, "#banner >> text=Open saving");
    await ada.until(() => document.querySelector("h1")!.textContent === "saving", 0);
    assertEquals([await page.inputValue("#text"), await unsaved(ada)], ["Mine, once more\n\nA draft", []]);
  },
);

webTest(
  "What one has done in vain is told until one is elsewhere, and what was in another room until one is there",
  async () => {
    await using ada = await visit(site, { room: "in-vain", name: "Ada", badNetwork: true });
    const { page } = ada;
    const isIn = (room: string) => ada.until((room) => document.querySelector("h1")!.textContent === room, room);
    const goTo = async (room: string) => {
      await page.evaluate((hash) => location.hash = hash, room);
      await isIn(room);
    };
    await ada.say("Mine");
    await ada.settles();
    agree(page);
    const deleting = await hold(page, "DELETE");
    deleting.release(refuse);
    await act(ada, "Mine", "Delete");
    await page.waitForSelector("#banner.shown >> text=The message was not deleted (Not like this).");
    await goTo("elsewhere");
    assertEquals(await page.textContent("#banner-text"), "");
    await page.unrouteAll();

    await goTo("in-vain");
    const saving = await hold(page, "PATCH");
    await act(ada, "Mine", "Edit");
    await page.fill("#edited-text", "Mine, once more");
    await page.press("#edited-text", "Enter");
    await saving.asked;
    await goTo("elsewhere");
    saving.release(refuse);
    await page.waitForSelector("#banner.shown >> text=Your edit in in-vain was not saved (Not like this).");
    await goTo("a-third");
    assertEquals(await page.textContent("#banner-button"), "Open in-vain");
    await page.click(`#rooms a[href="#in-vain"]`);
    await isIn("in-vain");
    assertEquals([await page.textContent("#banner-text"), await page.inputValue("#text")], ["", "Mine, once more"]);
  },
);

webTest(
  "An edit that is refused while one answers something gets into the answer only if its message is gone",
  async () => {
    await posted(site, "refused-edit", "The question");
    await using ada = await visit(site, { room: "refused-edit", name: "Ada", badNetwork: true });
    const { page } = ada;
    await ada.say("Mine");
    await ada.settles();
    const saveAndAnswer = async () => {
      const saving = await hold(page, "PATCH");
      await act(ada, "Mine", "Edit");
      await page.fill("#edited-text", "Mine, too");
      await page.press("#edited-text", "Enter");
      await saving.asked;
      await act(ada, "The question", "Reply");
      await page.fill("#text", "The answer");
      return saving;
    };
    const refusing = await saveAndAnswer();
    refusing.release(refuse);
    await page.waitForSelector("#banner.shown >> text=Your edit was not saved (Not like this).");
    assertEquals(await page.inputValue("#text"), "The answer");
    await act(ada, "Mine", "Edit");
    assertEquals(await page.inputValue("#edited-text"), "Mine, too");
    await page.press("#edited-text", "Escape");
    await page.unrouteAll();

    const deleting = await saveAndAnswer();
    const problem = { type: "urn:linger:problem:deleted", title: "", status: 410, detail: "Gone" };
    deleting.release((route) =>
      route.fulfill({ status: 410, contentType: "application/problem+json", body: JSON.stringify(problem) })
    );
    await page.waitForSelector("#banner.shown >> text=Your edit in refused-edit was not saved");
    assertEquals(await page.isVisible("#banner-button"), false); // one is there
    assertEquals([await page.inputValue("#text"), await unsaved(ada)], ["Mine, too\n\nThe answer", []]);
  },
);

webTest(
  "Whoever points at a message while what can be done with it is still to come, sees that as soon as it has come",
  async () => {
    await using ada = await visit(site, { room: "pointed", name: "Ada" });
    const { page } = ada;
    const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    await page.route("**/web/actions.js", async (route) => {
      ask();
      await released;
      await route.continue();
    });
    await page.reload(); // once the page rests it loads that, too
    await ada.is("live");
    await ada.say("Mine"); // somebody is there, by the keys
    await ada.settles();
    await asked;
    await page.hover('#log .body >> text="Mine"');
    release();
    await page.waitForSelector('#actions [aria-label="Edit"]');
  },
);

webTest(
  "A key for a message that is pressed while what can be done with it is still to come, does it then",
  async () => {
    for (const key of ["ArrowUp", "r", "r after a click", "none any more", "ArrowUp elsewhere", "ArrowUp in words"]) {
      await using ada = await visit(site, { room: "pressed", name: "Ada" });
      const { page } = ada;
      const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
      const { promise: released, resolve: release } = Promise.withResolvers<void>();
      await page.route("**/web/actions.js", async (route) => {
        ask();
        await released;
        await route.continue();
      });
      await page.reload(); // once the page rests it loads that, too
      await ada.is("live");
      await ada.say(`Mine, for ${key}`);
      await ada.settles();
      await asked;
      if (key === "ArrowUp elsewhere" || key === "ArrowUp in words") {
        if (key === "ArrowUp in words") await page.fill("#text", "Words");
        else await page.focus("#scroller");
        await page.keyboard.press("ArrowUp");
        await page.$eval("#text", (text) => { // fill() would press another key
          (text as HTMLTextAreaElement).value = "";
          (text as HTMLTextAreaElement).focus();
        });
      } else if (key === "ArrowUp") await page.press("#text", key);
      else {
        const row = page.locator("#log article").last();
        await (key === "r after a click" ? row.click() : row.focus());
        await page.keyboard.press("r");
      }
      if (key === "none any more") await page.focus("#text");
      release();
      if (key === "ArrowUp") assertEquals(await page.inputValue("#edited-text:visible"), `Mine, for ${key}`);
      else if (key === "r") await page.waitForSelector(`#replying >> text=Mine, for ${key}`);
      else {
        await page.hover("#log article:last-child .body");
        await page.waitForSelector('#actions [aria-label="Edit"]');
        assert(await page.isHidden("#replying") && await page.isHidden("#editor"));
      }
    }
  },
);

/** The first of 500 messages in a room: far above what is loaded at first. */
async function farBack(room: string): Promise<Message> {
  const lines = Array.from({ length: 500 }, (_, i): Line => [600 - i, "Noor", i === 0 ? "Far away" : `Filler ${i}`]);
  await writeHistory(site.database.sql, room, lines);
  return (await messages(site, room, "wait=0&limit=1"))[0]!;
}

webTest("A quoted line that could not be read is read as soon as that is possible", async () => {
  const original = await farBack("unread-quote");
  await using ada = await visit(site, { room: "unread-quote", name: "Ada", badNetwork: true });
  const { page } = ada;
  const { promise: refused, resolve } = Promise.withResolvers<void>();
  await page.route(/limit=1$/, async (route) => {
    await refuse(route);
    resolve();
  });
  await post(site, "unread-quote", { body: "An answer", reply_to: original.id });
  await page.waitForSelector(".quoted >> text=…");
  await refused;
  await page.unrouteAll();
  await page.waitForSelector(".quoted >> text=Far away");
});

webTest("The line above a reply leads far back as often as one likes", async () => {
  const original = await farBack("far-back");
  await post(site, "far-back", { body: "An answer", reply_to: original.id });
  await using ada = await visit(site, { room: "far-back", name: "Ada" });
  const { page } = ada;
  for (let times = 0; times < 2; times++) {
    await page.click(".quoted >> text=Far away");
    await page.waitForSelector(".found >> text=Far away");
    await page.click("#pill");
    await page.waitForSelector("#log >> text=An answer");
    assertEquals(await page.locator("#log .body >> text=Far away").count(), 0);
  }
});

webTest("The line above a reply marks that one alone to which it leads, and shows it from its beginning", async () => {
  const room = "marked-alone";
  const tall = Array.from({ length: 60 }, (_, i) => `Line ${i}`).join("\n");
  for (const body of ["Short", tall]) {
    const { id } = await posted(site, room, body);
    for (let i = 0; i < 10; i++) await posted(site, room, `Filler ${i}`);
    await post(site, room, { body: "An answer", reply_to: id });
  }
  await using ada = await visit(site, { room, name: "Ada" });
  const { page } = ada;
  const follow = async (original: string) => {
    await page.click(`.quoted >> text=${original}`);
    await page.waitForSelector(`.found >> text=${original}`);
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
    return await page.evaluate(() => {
      const [found, ...others] = [...document.querySelectorAll(".found")];
      const distance = found!.getBoundingClientRect().top - found!.closest("#scroller")!.getBoundingClientRect().top;
      return { others: others.length, isAtTop: Math.abs(distance) < 2 }; // pixels: browsers scroll by whole ones
    });
  };
  await follow("Short");
  assertEquals(await follow("Line 0"), { others: 0, isAtTop: true });
});

webTest("Who reads far back edits nothing with the arrow up, which is for his last message", async () => {
  const original = await farBack("apart");
  await using ada = await visit(site, { room: "apart", name: "Ada" });
  const { page } = ada;
  await ada.say("The last");
  await ada.settles();
  await page.evaluate((id) => localStorage.setItem(`linger / key ${id}`, "that of one's own"), original.id);
  await page.evaluate((hash) => location.hash = hash, `apart/${original.id}`);
  await page.hover("#log .found .body");
  await page.waitForSelector("#actions [aria-label=Edit]");
  await page.press("#text", "ArrowUp");
  assertEquals(await page.isVisible("#editor"), false);
  await page.click("#pill");
  await page.waitForSelector("#log >> text=The last");
  await page.press("#text", "ArrowUp");
  assertEquals(await page.inputValue("#edited-text"), "The last");
});

webTest("What one is about to answer is shown as it is now, also if it was changed while it was fetched", async () => {
  const room = "fetched-reply";
  const key = "a key that nobody can guess";
  const original: Message = await (await post(site, room, { body: "As it was" }, { "message-key": key })).json();
  for (let i = 0; i < 300; i++) await posted(site, room, `Filler ${i}`);
  await using ada = await visit(site, { room: "elsewhere", name: "Ada" });
  const { page } = ada;
  await page.evaluate(
    ([key, draft]) => localStorage[key!] = draft,
    [`linger / draft ${room}`, format({ text: "An answer", replyTo: original.id })],
  );
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  await page.route(/limit=1$/, async (route) => {
    const response = await route.fetch();
    ask();
    await released;
    await route.fulfill({ response });
  });
  await page.evaluate((room) => location.hash = room, room);
  await asked;
  await ada.is("live");
  const told = page.waitForResponse(async (response) =>
    /wait=\d\d/.test(response.url()) && (await response.text()).includes("As it is")
  );
  const response = await fetch(`${site.url}/rooms/${room}/messages/${original.id}`, {
    method: "PATCH",
    headers: { "message-key": key, "content-type": "application/json" },
    body: JSON.stringify({ body: "As it is" }),
  });
  await response.body?.cancel();
  await told;
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve))); // as it is taken: after this turn
  release();
  await page.waitForSelector("#replying .what >> text=Reply to Anonymous As it is");
});

webTest("What one is about to answer is shown as it is now, and not at all when it is deleted", async () => {
  const room = "reply-bar";
  const key = "a key that nobody can guess";
  const original: Message = await (await post(site, room, { body: "As it was" }, { "message-key": key })).json();
  const at = `${site.url}/rooms/${room}/messages/${original.id}`;
  const headers = { "message-key": key, "content-type": "application/json" };
  await using ada = await visit(site, { room, name: "Ada" });
  const { page } = ada;
  await act(ada, "As it was", "Reply");
  await page.keyboard.type("An ans");
  await (await fetch(at, { method: "PATCH", headers, body: JSON.stringify({ body: "As it is" }) })).body?.cancel();
  await page.waitForSelector("#replying .what >> text=Reply to Anonymous As it is");
  await fetch(at, { method: "DELETE", headers });
  await page.waitForSelector("#replying .what >> text=Reply to A message that is gone");
  await page.keyboard.type("wer");
  assertEquals(await page.inputValue("#text"), "An answer");
  await page.click("#replying button");
  assertEquals(await page.isVisible("#replying"), false);
});

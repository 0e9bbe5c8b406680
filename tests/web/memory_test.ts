// What the page remembers, also where the browser has no room left for it, or forbids it.
/// <reference lib="dom" />
import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { testSite, visit, type Visitor, webTest } from "../support/browser.ts";
import { messages, posted } from "../support/client.ts";

const site = await testSite();

/** What this browser keeps for the page, by the part of its keys after the scope. */
function kept({ page }: Visitor, beginning: string): Promise<Record<string, string>> {
  return page.evaluate((beginning) => {
    const scope = `linger / ${beginning}`;
    const all = Object.entries(localStorage).filter(([key]) => key.startsWith(scope));
    return Object.fromEntries(all.map(([key, value]) => [key.slice(scope.length), value]));
  }, beginning);
}

/** Leaves no room for a single character. */
function fill({ page }: Visitor): Promise<void> {
  return page.evaluate(() => {
    for (let size = 1 << 22; size >= 1; size >>= 1) {
      for (let i = 0;; i++) {
        try {
          localStorage.setItem(`another app ${size} ${i}`, "x".repeat(size));
        } catch {
          break;
        }
      }
    }
  });
}

webTest(
  "The key of each message that one sends is kept, of the newest 500, and with it the message can be changed",
  async () => {
    await using ada = await visit(site, { room: "keys", name: "Ada" });
    await ada.page.evaluate(() => {
      for (let i = 0; i < 500; i++) {
        localStorage.setItem(`linger / key 00000000-0000-0000-0000-${`${i}`.padStart(12, "0")}`, "old");
      }
    });
    await ada.say("Tpyo");
    await ada.settles();
    await ada.until(() => Object.keys(localStorage).every((key) => !key.includes("unsent")), 0);
    const keys = await kept(ada, "key ");
    const id = (await messages(site, "keys", "wait=0"))[0]!.id;
    assertEquals(Object.keys(keys).length, 500);
    assertMatch(keys[id]!, /^[0-9a-f]{32}$/);
    const path = `${site.url}/rooms/keys/messages/${id}`;
    const edited = await fetch(path, {
      method: "PATCH",
      headers: { "content-type": "application/json", "message-key": keys[id]! },
      body: '{"body":"Typo"}',
    });
    assertEquals([edited.status, (await edited.json()).body], [200, "Typo"]);
  },
);

webTest(
  "With a full storage name, drafts, edits and what was read hold as long as the page, and are stored when there is room",
  async () => {
    await using ada = await visit(site, { room: "full" });
    await fill(ada);
    await ada.page.fill("#name", "Ada");
    await ada.page.press("#name", "Enter");
    await ada.is("live");
    assertEquals(await ada.page.textContent("#you bdi"), "Ada");
    await ada.say("It is me");
    await ada.settles();
    assertEquals((await messages(site, "full", "wait=0")).map(({ author }) => author), ["Ada"]);
    await ada.page.hover("#log .body");
    await ada.page.waitForSelector("#actions [aria-label=Edit]"); // it is known to be one's own
    await ada.page.press("#text", "ArrowUp");
    await ada.page.fill("#edited-text", "It is only me");
    await ada.page.evaluate(() => location.hash = "somewhere");
    await ada.until(() => document.querySelector("h1")!.textContent === "somewhere", 0);
    await ada.page.evaluate(() => history.back());
    await ada.sees("It is me");
    await ada.page.press("#text", "ArrowUp");
    assertEquals(await ada.page.inputValue("#edited-text"), "It is only me");
    await ada.page.press("#edited-text", "Escape");
    await ada.page.fill("#text", "A draft");
    await ada.page.waitForSelector(
      "#banner >> text=your name, drafts, messages that are not sent and what you have read",
    );
    await ada.page.evaluate(() => location.hash = "elsewhere");
    await ada.until(() => document.querySelector("h1")!.textContent === "elsewhere", 0);
    await ada.page.evaluate(() => history.back());
    await ada.until(() => document.querySelector("h1")!.textContent === "full", 0);
    assertEquals(await ada.page.inputValue("#text"), "A draft");

    await ada.page.evaluate(() => {
      for (const key of Object.keys(localStorage)) if (key.startsWith("another app")) localStorage.removeItem(key);
    });
    await ada.page.fill("#text", "A draft that");
    assertEquals(await kept(ada, "name"), { "": "Ada" });
    assertEquals(await kept(ada, "draft "), { full: "A draft that" });
    assertNotEquals(await kept(ada, "read "), {});
  },
);

webTest("A draft is kept with what it answers, and as its words alone where that is nothing", async () => {
  const { id } = await posted(site, "format", "The question");
  await using ada = await visit(site, { room: "format", name: "Ada" });
  await ada.page.fill("#text", "The answer");
  assertEquals(await kept(ada, "draft "), { format: "The answer" });
  await ada.page.hover("#log .body");
  await ada.page.click("#actions [aria-label=Reply]");
  assertEquals(await kept(ada, "draft "), { format: `${id}\u001fThe answer` });
  await ada.page.evaluate(() => localStorage["linger / draft before"] = "As it was kept before");
  await ada.page.evaluate(() => location.hash = "before");
  await ada.page.waitForSelector("#replying", { state: "hidden" });
  assertEquals(await ada.page.inputValue("#text"), "As it was kept before");
});

webTest("Who empties the storage while the page is open is asked for a name before anything is sent", async () => {
  await using ada = await visit(site, { room: "emptied", name: "Ada" });
  await ada.page.evaluate(() => localStorage.clear());
  await ada.say("It is me");
  await ada.page.fill("#name", "Augusta");
  await ada.page.press("#name", "Enter");
  await ada.is("live");
  assertEquals(await ada.page.inputValue("#text"), "It is me");
  await ada.say("It is still me");
  await ada.settles();
  const stored = await messages(site, "emptied", "wait=0");
  assertEquals(stored.map(({ author, body }) => [author, body]), [["Augusta", "It is still me"]]);
});

webTest("What is kept and can't be read is forgotten, and stands in nobody's way", async () => {
  await using ada = await visit(site, { room: "unreadable", name: "Ada" });
  await ada.page.evaluate(() => {
    for (const name of ["unsent a", "unsent b", "edit a", "edit b"]) {
      localStorage.setItem(`linger / ${name}`, name.endsWith("a") ? "no JSON" : "null");
    }
    localStorage.setItem("linger / unsent c", "{}");
  });
  await ada.page.reload();
  await ada.is("live");
  await ada.page.evaluate(() => { // another window keeps them
    for (const newValue of ["no JSON", "null", "{}"]) {
      dispatchEvent(new StorageEvent("storage", { key: "linger / unsent d", newValue }));
    }
  });
  await ada.say("Tpyo");
  await ada.until(() => Object.keys(localStorage).every((key) => !key.includes(" unsent ")), 0);
  await ada.settles();
  await ada.page.press("#text", "ArrowUp");
  await ada.page.fill("#edited-text", "Typo");
  await ada.page.press("#edited-text", "Enter");
  await ada.sees("Typo");
  await ada.until(() => Object.keys(localStorage).every((key) => !key.includes(" edit ")), 0);
});

webTest("A name that can't be stored goes before the one that was", async () => {
  await using ada = await visit(site, { room: "stale", name: "Ada" });
  await fill(ada);
  await ada.page.click("#rename");
  await ada.page.fill("#name", "Augusta Ada King");
  await ada.page.press("#name", "Enter");
  await ada.is("live");
  await ada.say("Under my new name");
  await ada.settles();
  assertEquals((await messages(site, "stale", "wait=0")).map(({ author }) => author), ["Augusta Ada King"]);
});

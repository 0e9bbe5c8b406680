// More than one room: what is unread, drafts, addresses that can be shared, and a server under somebody else's path.
import { assert, assertEquals, assertGreater, assertLessOrEqual } from "@std/assert";
import {
  clickBanner,
  noServer,
  refuse,
  testSite,
  type Visit,
  visit,
  type Visitor,
  webTest,
} from "../support/browser.ts";
import { get, LISTED_MS, messages, PATIENCE_MS, post, posted, until } from "../support/client.ts";

const site = await testSite();

/** The count beside a room at the side. */
const count = (room: string) => `#rooms a[href="#${room}"] .count`;

/** Somebody who has opened these rooms before. */
async function regular(rooms: string[], options: Visit = {}): Promise<Visitor> {
  const ada = await visit(site, { name: "Ada", ...options, room: rooms[0]! });
  ada.page.setDefaultTimeout(LISTED_MS); // what a test waits for is in the list of rooms
  for (const room of rooms.slice(1)) await goTo(ada, room);
  if (rooms.length > 1) await goTo(ada, rooms[0]!);
  return ada;
}

async function goTo(ada: Visitor, room: string): Promise<void> {
  await ada.page.evaluate((room) => location.hash = room, room);
  await ada.until((room) => document.querySelector("h1")!.textContent === room, room);
  await ada.is("live");
  await ada.until((room) => localStorage.getItem(`linger / read ${room}`) !== null, room);
}

/** Resolves when the list of rooms has been asked for three times more. */
async function threeLooks({ page }: Visitor): Promise<void> {
  for (let i = 0; i < 3; i++) await page.waitForResponse(/\/rooms$/);
}

const listed = ({ page }: Visitor) =>
  page.$$eval("#rooms .room-name", (all) => all.map(({ textContent }) => textContent));

webTest(
  "My rooms are those that I opened, by name; what is unread there is counted at the side and in the title",
  async () => {
    await posted(site, "kitchen", "Old");
    await posted(site, "hall", "Old");
    await using ada = await regular(["hall", "kitchen"]);
    await post(site, "attic", { body: "A room of others", author: "Noor" });
    await post(site, "kitchen", { body: "One", author: "Noor" });
    await post(site, "kitchen", { body: "Two", author: "Noor" });
    await ada.until(() => document.title === "(2) hall · Linger", 0, LISTED_MS);
    assertEquals(await ada.page.textContent(count("kitchen")), "2");
    assertEquals((await ada.page.locator(`#rooms a[href="#kitchen"]`).ariaSnapshot()).includes("2 unread"), true);
    assertEquals(await listed(ada), ["hall", "kitchen"]);
    const weight = (room: string) => ada.page.$eval(`#rooms a[href="#${room}"]`, (a) => getComputedStyle(a).fontWeight);
    const heavy = await weight("kitchen");
    await ada.page.click("#rooms >> text=kitchen");
    await ada.sees("Old", "One", "Two");
    assertEquals(await ada.page.textContent(".unread"), "New");
    await ada.until(() => document.title === "kitchen · Linger", 0);
    assert(await weight("hall") < heavy); // where nothing is unread
    await ada.page.reload();
    await ada.is("live");
    assertEquals(await listed(ada), ["hall", "kitchen"]);
  },
);

webTest("Who sets the clock back goes on to see what is new in other rooms", async () => {
  await posted(site, "tower", "Old");
  await using ada = await regular(["clock", "tower"]);
  await ada.page.evaluate(() => {
    const { now } = Date;
    Date.now = () => now() - 3_600_000;
  });
  await post(site, "tower", { body: "One", author: "Noor" });
  await ada.page.waitForSelector(`${count("tower")} >> text=1`);
});

webTest("Who comes with the memory of an older page keeps the rooms that were read", async () => {
  const { id } = await posted(site, "cellar", "Old");
  await posted(site, "cellar", "Newer");
  await using ada = await visit(site, { name: "Ada", room: "porch" });
  await ada.page.evaluate((id) => localStorage.setItem("linger / read cellar", id), id);
  await ada.page.reload();
  await ada.until(() => document.title === "(1) porch · Linger", 0);
  assertEquals(await listed(ada), ["cellar", "porch"]);
});

webTest("All rooms are a click away, are found by a part of their names, and opened", async () => {
  await posted(site, "far-away", "Here");
  // The server looks which rooms there are only now and then.
  const isListed = async () =>
    (await get<{ room: string }[]>(site, "/rooms")).json.some(({ room }) => room === "far-away");
  await until(isListed, "the room is listed", LISTED_MS);
  await using ada = await visit(site, { name: "Ada", room: "near" });
  await ada.page.focus("#all-rooms");
  await ada.page.keyboard.press("Enter");
  await ada.page.waitForSelector("#all >> text=far-away");
  await ada.page.keyboard.type("AR-AW");
  await ada.until(() => document.querySelectorAll("#all a").length === 1, 0);
  await ada.page.keyboard.press("Enter");
  await ada.sees("Here");
  assertEquals(await listed(ada), ["far-away", "near"]);
  await ada.page.click("#all-rooms");
  await ada.page.waitForSelector("#all");
  await ada.page.keyboard.press("Escape");
  await ada.page.waitForSelector("#all", { state: "detached" });
});

webTest("Where the list is too short for all rooms it says so, and one that is not on it can be opened", async () => {
  const { id } = await posted(site, "long-ago", "Here all the same");
  await using ada = await visit(site, { name: "Ada", room: "middle" });
  const { page } = ada;
  const told = (sentence: string) => page.waitForSelector(`#all [role=status] >> text="${sentence}"`);
  await page.route(
    /\/rooms$/,
    (route) => route.fulfill({ json: Array.from({ length: 100 }, (_, i) => ({ room: `full-${i}`, newest: id })) }),
  );
  await page.reload();
  await ada.is("live");
  await page.click("#all-rooms");
  await told("The newest 100 rooms");
  await page.fill("#all input", "LL-9");
  await told("11 of the newest 100 rooms");
  const links = () => page.$$eval("#all a", (all) => all.map(({ textContent }) => textContent));
  await page.fill("#all input", "full-9");
  await told("11 of the newest 100 rooms");
  assertEquals((await links()).at(-1), "full-99"); // it is there itself
  await page.fill("#all input", "ull-99");
  await told("1 of the newest 100 rooms");
  assertEquals(await links(), ["full-99", "Open ull-99"]);
  await page.fill("#all input", "long-ago");
  await told("0 of the newest 100 rooms");
  assertEquals(await links(), ["Open long-ago"]);
  await page.keyboard.press("Enter");
  await ada.sees("Here all the same");
});

webTest(
  "What another window keeps has the rooms at the side drawn anew only if they show it, and once for all at once",
  async () => {
    await using ada = await visit(site, { name: "Ada", room: "watch" });
    /** How often the storage is gone through when another window keeps something a hundred times. */
    const passes = (key: string | null, atOnce: boolean) =>
      ada.page.evaluate(async ([key, atOnce]) => {
        const turn = () => new Promise((resolve) => setTimeout(resolve));
        const { keys } = Object;
        let passes = 0;
        Object.keys = (of: object) => {
          if (of === localStorage) passes++;
          return keys(of);
        };
        for (let i = 0; i < 100; i++) {
          dispatchEvent(new StorageEvent("storage", { key }));
          if (!atOnce) await turn();
        }
        await turn();
        Object.keys = keys;
        return passes;
      }, [key, atOnce] as const);
    const few = 50; // the list is asked for now and then
    for (const name of ["lease poll 0", "key of a message"]) {
      assertLessOrEqual(await passes(`linger / ${name}`, false), few, name);
    }
    const shown = ["read", "glanced", "own", "mention", "room", "unsent"].map((name) => `linger / ${name} elsewhere`);
    for (const key of [...shown, null]) { // that is all that is kept, which is gone
      const count = await passes(key, true);
      assert(count > 0 && count <= few, `${key}: ${count}`);
    }
  },
);

webTest("A room can be muted and left, with the keyboard too", async () => {
  await posted(site, "loud", "Old");
  await posted(site, "quiet", "Old");
  await using ada = await regular(["quiet", "loud"]);
  const { page } = ada;
  await page.focus(`#rooms a[href="#loud"]`);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  assertEquals(await page.evaluate(() => document.activeElement?.textContent), "Mute");
  await page.keyboard.press("Enter");
  await post(site, "loud", { body: "Noise", author: "Noor" });
  await page.waitForSelector(".muted >> text=loud");
  assertEquals((await page.locator(`#rooms a[href="#loud"]`).ariaSnapshot()).includes("muted"), true);
  await page.waitForResponse(/\/rooms$/);
  await page.waitForResponse(/\/rooms$/);
  assertEquals(await page.title(), "quiet · Linger");
  await page.click(`[aria-label="Options of loud"]`);
  await page.click("text=Leave");
  await ada.until(() => document.querySelectorAll("#rooms a").length === 1, 0);
  await page.reload();
  await ada.is("live");
  assertEquals(await listed(ada), ["quiet"]);
  await page.click(`[aria-label="Options of quiet"]`);
  await page.click("text=Leave");
  await ada.until(() => document.querySelector("h1")!.textContent === "lobby", 0);
  assertEquals(await listed(ada), ["lobby"]);
  await goTo(ada, "quiet");
  assertEquals(await listed(ada), ["lobby", "quiet"]);
});

webTest("The lobby is left for another room of mine, and can't be left where there is none", async () => {
  await using ada = await visit(site, { name: "Ada" });
  const { page } = ada;
  const options = async () => {
    await page.click(`[aria-label="Options of lobby"]`);
    return await page.$$eval(".options button", (all) => all.map(({ textContent }) => textContent));
  };
  assertEquals((await options()).includes("Leave"), false);
  await goTo(ada, "annex");
  await goTo(ada, "lobby");
  await page.click(`[aria-label="Options of lobby"]`); // they were open
  assertEquals((await options()).includes("Leave"), true);
  await page.click(".options >> text=Leave");
  await ada.until(() => document.querySelector("h1")!.textContent === "annex", 0);
  assertEquals(await listed(ada), ["annex"]);
  assertEquals(new URL(page.url()).hash, "#annex");
});

webTest("What I wrote on another device is not unread, nor what I answered there", async () => {
  for (const room of ["desktop", "pocket"]) await posted(site, room, "Old");
  await using ada = await regular(["desktop", "pocket"]);
  await post(site, "pocket", { body: "Where are you?", author: "Noor" });
  await post(site, "pocket", { body: "Here, on my phone", author: "Ada" });
  await post(site, "pocket", { body: "Good", author: "Noor" });
  await ada.until(() => document.title === "(1) desktop · Linger", 0, LISTED_MS);
});

webTest("What I wrote here that waited for the network does not make read what others wrote meanwhile", async () => {
  for (const room of ["window-seat", "tunnel"]) await posted(site, room, "Old");
  await using ada = await regular(["tunnel", "window-seat"], { badNetwork: true });
  const { page } = ada;
  await page.route(/\/messages$/, noServer);
  await ada.say("On my way");
  await page.waitForSelector(".failed >> text=Not sent yet");
  await goTo(ada, "window-seat");
  for (const body of ["Where are you, Ada?", "We wait"]) await post(site, "tunnel", { body, author: "Noor" });
  await page.unroute(/\/messages$/);
  const stored = async () => (await messages(site, "tunnel", "wait=0")).at(-1)!;
  await until(async () => (await stored()).body === "On my way", "it is stored", PATIENCE_MS);
  await ada.until((id) => localStorage.getItem("linger / glanced tunnel") === id, (await stored()).id);
  await page.waitForSelector(`${count("tunnel")} >> text="@ 2"`); // what I wrote is none of it
  await ada.until(() => document.title === "(2) window-seat · Linger", 0);
  const other = await ada.context.newPage(); // another window, which does not look into that room
  await other.goto(`${site.url}/#window-seat`);
  await other.waitForSelector(`${count("tunnel")} >> text="@ 2"`);
  await other.close();
  await page.click("#rooms >> text=tunnel");
  await ada.sees("Old", "Where are you, Ada?", "We wait", "On my way");
  assertEquals(await page.locator(".unread").count(), 1);
  // What I write elsewhere after that says that I have read it.
  await goTo(ada, "window-seat");
  await post(site, "tunnel", { body: "Ada?", author: "Noor" });
  await page.waitForSelector(`${count("tunnel")} >> text=@ 1`);
  await post(site, "tunnel", { body: "Here, on my phone", author: "Ada" });
  await page.waitForSelector(count("tunnel"), { state: "hidden" });
});

webTest("Where the database has lost messages, others that have their numbers are unread all the same", async () => {
  const { id } = await posted(site, "restored", "Old");
  await using ada = await regular(["backup", "restored"]);
  const lost = `${id.slice(0, 14)}0000-0000-c8${id.slice(26)}`; // the message with the number 200
  await ada.page.evaluate((lost) => localStorage.setItem("linger / read restored", lost), lost);
  for (const body of ["Ada?", "Two", "Three"]) await post(site, "restored", { body, author: "Noor" });
  await ada.page.waitForSelector(`${count("restored")} >> text="@ 3"`);
});

webTest("A room of mine that the list is too short for is looked after all the same", async () => {
  const { id } = await posted(site, "longago", "Old");
  await posted(site, "longago", "Newer");
  await using ada = await visit(site, { name: "Ada", room: "now" });
  await ada.page.route(/\/rooms$/, async (route) => {
    const rooms = await (await route.fetch()).json() as { room: string }[];
    await route.fulfill({ json: rooms.filter(({ room }) => room !== "longago") });
  });
  const asked: string[] = [];
  ada.page.on("request", (request) => request.url().includes("longago") && asked.push(new URL(request.url()).search));
  await ada.page.evaluate((id) => localStorage.setItem("linger / read longago", id), id);
  await ada.page.reload();
  await ada.until(() => document.title === "(1) now · Linger", 0);
  assertEquals(asked[0], "?before=now&limit=1");
  const looks = async () => {
    await threeLooks(ada);
    return asked.splice(0).length;
  };
  assertGreater(await looks(), 0); // to find it, and to see what is there: on a slow machine more than once
  assertEquals(await looks(), 0);
});

webTest("What I have not read in a room counts no more when it is gone, or not open to me any more", async () => {
  const { id: read } = await posted(site, "museum", "Old");
  const { id: glanced } = await posted(site, "museum", "Newer");
  await using ada = await visit(site, { name: "Ada", room: "foyer", badNetwork: true });
  const { page } = ada;
  const rooms = ["emptied", "closed"];
  await page.evaluate(({ rooms, ...ids }) => {
    for (const room of rooms) {
      for (const [name, id] of Object.entries(ids)) localStorage.setItem(`linger / ${name} ${room}`, id);
    }
  }, { rooms, read, glanced });
  await page.route(/\/rooms\/closed\//, refuse);
  await page.route(/\/rooms$/, (route) => route.abort());
  await page.reload();
  for (const room of rooms) await page.waitForSelector(`${count(room)} >> text=1`);
  await page.unroute(/\/rooms$/);
  for (const room of rooms) await page.waitForSelector(count(room), { state: "hidden" });
});

webTest("While the list is full, my rooms that it leaves out are looked after in turn, again and again", async () => {
  await using ada = await visit(site, { name: "Ada", room: "here" });
  for (const room of ["far-0", "far-1", "far-2"]) await goTo(ada, room);
  await goTo(ada, "here");
  const { id } = await posted(site, "elsewhere", "Hello");
  await ada.page.route(
    /\/rooms$/,
    (route) => route.fulfill({ json: Array.from({ length: 100 }, (_, i) => ({ room: `full-${i}`, newest: id })) }),
  );
  await ada.page.route(/\/rooms\/far-0\//, () => {}); // is not answered
  const asked: string[] = [];
  ada.page.on("request", (request) => {
    const room = /\/rooms\/(far-[12])\//.exec(request.url())?.[1];
    if (room && room !== asked.at(-1)) asked.push(room);
  });
  await until(() => Promise.resolve(asked.length >= 3), "one is asked for again", 4 * PATIENCE_MS); // after five looks, each after a pause
  await post(site, "far-1", { body: "There you are, Ada", author: "Noor" });
  await ada.page.waitForSelector(`${count("far-1")} >> text=@ 1`);
});

webTest("What was deleted before I came is not unread, and is asked for once", async () => {
  for (const room of ["gone", "tail", "thinned"]) await posted(site, room, "Old");
  await using ada = await regular(["study", "fresh", "gone", "tail", "thinned"], { badNetwork: true });
  const { page } = ada;
  await page.route(/\/rooms$/, (route) => route.abort());
  const answered = new Set<string>();
  page.on("response", (response) => answered.add(/rooms\/(\w+)/.exec(response.url())?.[1] ?? ""));
  const say = async (room: string) => {
    const key = crypto.randomUUID();
    const response = await post(site, room, { body: "Ada?", author: "Noor" }, { "message-key": key });
    const { id } = await response.json();
    return async () => {
      const path = `${site.url}/rooms/${room}/messages/${id}`;
      const deleted = await fetch(path, { method: "DELETE", headers: { "message-key": key } });
      assertEquals(deleted.status, 204);
    };
  };
  const takeBack: (() => Promise<void>)[] = [];
  for (const room of ["gone", "gone", "thinned", "thinned", "fresh", "fresh"]) takeBack.push(await say(room));
  for (const room of ["thinned", "fresh", "tail"]) await say(room);
  takeBack.push(await say("tail"));
  for (const take of takeBack) await take();
  await page.unroute(/\/rooms$/);
  for (const room of ["fresh", "thinned"]) await page.waitForSelector(`${count(room)} >> text=@ 1`);
  await page.waitForSelector(`${count("tail")} >> text=@`);
  await page.waitForSelector(count("gone"), { state: "hidden" });
  const looks = async () => {
    await threeLooks(ada);
    return ["fresh", "gone", "tail", "thinned"].filter((room) => answered.has(room));
  };
  assertEquals(await looks(), ["fresh", "gone", "tail", "thinned"]); // which on a slow machine takes more than one look
  answered.clear();
  assertEquals(await looks(), []);
});

webTest(
  "What is deleted after it was counted is counted no more before long, and nothing speaks of me by it",
  async () => {
    for (const room of ["square", "street"]) await posted(site, room, "Old");
    await using ada = await regular(["house", "square", "street"]);
    const { page } = ada;
    await page.clock.install();
    await page.reload();
    await ada.is("live");
    await posted(site, "street", "Anybody?");
    const begun = Date.now();
    const headers = { "message-key": "a key that nobody can guess" };
    for (const room of ["square", "street"]) {
      const { id } = await (await post(site, room, { body: "Ada?", author: "Noor" }, headers)).json();
      await page.waitForSelector(`${count(room)} >> text=@`);
      const path = `${site.url}/rooms/${room}/messages/${id}`;
      assertEquals((await fetch(path, { method: "DELETE", headers })).status, 204);
    }
    const asked: string[] = [];
    page.on("request", (request) => asked.push(request.url()));
    await threeLooks(ada);
    if (Date.now() - begun < 60_000) { // else it was time to look again
      assertEquals(asked.filter((url) => /square|street/.test(url)), []); // not at each look
      for (const room of ["square", "street"]) assert((await page.textContent(count(room)))!.includes("@"));
    }
    await page.clock.fastForward(60_000);
    await page.waitForSelector(count("square"), { state: "hidden" });
    await ada.until((count) => !document.querySelector(count)!.textContent!.includes("@"), count("street"));
    assertEquals(await page.isVisible(count("street")), true); // there is something to read
  },
);

webTest(
  "What others write in a room that I opened while it was empty is unread, and the line is above it",
  async () => {
    await using ada = await regular(["shelter", "trip"]);
    await post(site, "trip", { body: "Ada, are you coming?", author: "Noor" });
    await ada.until(() => document.title === "(1) shelter · Linger", 0, LISTED_MS);
    await ada.page.waitForSelector(`${count("trip")} >> text=@ 1`);
    await ada.page.click("#rooms >> text=trip");
    await ada.sees("Ada, are you coming?");
    assertEquals(await ada.page.textContent(".unread"), "New");
  },
);

webTest(
  "A room that refuses, and one that does not answer, take nothing from the others: one sees who speaks of one",
  async () => {
    for (const room of ["aisle", "apse", "balcony", "court"]) await posted(site, room, "Old");
    await using ada = await regular(["court", "aisle", "apse", "balcony"], { badNetwork: true });
    await ada.page.route(/\/rooms\/aisle\/messages/, refuse);
    await ada.page.route(/\/rooms\/apse\/messages/, () => {});
    for (const room of ["aisle", "apse"]) await post(site, room, { body: "Anybody?", author: "Noor" });
    await post(site, "balcony", { body: "Ada, look down", author: "Noor" });
    await ada.page.waitForSelector(`${count("aisle")} >> text=1`);
    await ada.page.waitForSelector(`${count("balcony")} >> text=@ 1`);
  },
);

webTest("On a slow way one sees what is unread, and who speaks of one, all the same", async () => {
  for (const room of ["slow", "slower"]) await posted(site, room, "Old");
  await using ada = await regular(["slow", "slower"], { badNetwork: true });
  await ada.page.route(/\/rooms($|\/slower\/messages)/, async (route) => {
    await new Promise((resolve) => setTimeout(resolve, 4_000)); // longer than the pause between two looks
    await route.continue().catch(() => {}); // it was given up meanwhile
  });
  await post(site, "slower", { body: "Ada, come as you can", author: "Noor" });
  // It learns how slow the way is by trying, each time for longer: on a slow machine it tries once or twice more.
  await ada.page.waitForSelector(`${count("slower")} >> text=@ 1`, { timeout: 4 * PATIENCE_MS });
  await ada.page.unrouteAll({ behavior: "ignoreErrors" });
});

webTest(
  "A press on a room during which a message comes still leads there, and the focus stays where it is",
  async () => {
    await posted(site, "press", "Old");
    await posted(site, "talk", "Old");
    await using ada = await regular(["talk", "press"]);
    const { page } = ada;
    await page.focus(`#rooms a[href="#press"]`);
    await page.hover("#rooms >> text=press");
    await page.mouse.down();
    await post(site, "talk", { body: "Meanwhile", author: "Noor" });
    await post(site, "press", { body: "There too", author: "Noor" });
    await page.waitForSelector("#log >> text=Meanwhile");
    await page.waitForSelector(count("press") + ":not([hidden])");
    assertEquals(await page.evaluate(() => document.activeElement?.getAttribute("href")), "#press");
    await page.mouse.up();
    await ada.until(() => document.querySelector("h1")!.textContent === "press", 0);
  },
);

webTest("An address that is no room's is decoded where it can be, else told, with a way to the nearest", async () => {
  await posted(site, "~foo", "Tilde");
  await using ada = await visit(site, { name: "Ada", room: "%7Efoo" });
  await ada.sees("Tilde");
  assertEquals(await ada.page.isVisible("#banner-close"), false);
  await ada.page.evaluate(() => location.hash = "#caf%C3%A9%20stra%C3%9Fe");
  await ada.page.waitForSelector("#banner >> text=There is no room “café straße”. “é” can’t be in the name");
  await clickBanner(ada.page, "#banner >> text=Open cafe-strasse");
  await ada.until(() => document.querySelector("h1")!.textContent === "cafe-strasse", 0);
  assertEquals(await ada.page.isVisible("#banner-close"), false);
  await ada.page.evaluate(() => location.hash = "#" + "x".repeat(70));
  await ada.page.waitForSelector("#banner >> text=has at most 64 characters. This one has 70.");
  await ada.page.evaluate(() => location.hash = "#/garden");
  await ada.page.waitForSelector("#banner >> text=There is no room “/garden”. “/” can’t be in the name");
  assertEquals(await ada.page.textContent("#notice"), ""); // of no message
  await clickBanner(ada.page, "#banner >> text=Open garden");
  await ada.until(() => document.querySelector("h1")!.textContent === "garden", 0);
});

webTest(
  "Who has put aside that an address is no room's is told so of another, and not once more of the same",
  async () => {
    await using ada = await visit(site, { name: "Ada" });
    const { page } = ada;
    await page.evaluate(() => location.hash = "#so%20so");
    await page.waitForSelector("#banner >> text=There is no room “so so”");
    await clickBanner(page, "#banner-close");
    await page.waitForSelector("#banner:not(.shown)", { state: "attached" });
    await page.evaluate(() => dispatchEvent(new Event("hashchange"))); // opens it once more
    assertEquals(await page.isVisible("#banner-close"), false);
    await page.evaluate(() => location.hash = "#caf%C3%A9");
    await page.waitForSelector("#banner.shown >> text=There is no room “café”");
  },
);

webTest("A room is in the address: it can be shared, and the browser's back button leads back", async () => {
  await posted(site, "library", "Psst");
  await using ada = await visit(site, { name: "Ada" });
  assertEquals(await ada.page.textContent("h1"), "lobby");
  await ada.page.fill("#new-room-name", "library");
  await ada.page.press("#new-room-name", "Enter");
  await ada.sees("Psst");
  assertEquals(new URL(ada.page.url()).hash, "#library");
  await using noor = await visit(site, { room: "library", name: "Noor" });
  await noor.sees("Psst");
  await ada.page.evaluate(() => history.back());
  await ada.until(() => document.querySelector("h1")!.textContent === "lobby", 0);
});

webTest("A click that asks for a tab of its own gets one wherever something leads on, and this one stays", async () => {
  const { id } = await posted(site, "tabs", "A teapot");
  await post(site, "tabs", { body: "Whose?", reply_to: id });
  await using ada = await visit(site, { room: "tabs", name: "Ada", viewport: { width: 390, height: 700 } });
  const { page } = ada;
  const openTab = async (link: string) => {
    const [tab] = await Promise.all([
      ada.context.waitForEvent("page"),
      page.click(link, { modifiers: ["ControlOrMeta"] }),
    ]).catch((cause) => {
      throw new Error(`No tab came of ${link}`, { cause });
    });
    await tab.waitForURL(/#/);
    const { hash } = new URL(tab.url());
    await tab.close();
    return hash;
  };
  await page.waitForSelector(".quoted >> text=A teapot");
  assertEquals(await openTab(".quoted"), `#tabs/${id}`);
  assertEquals(await page.locator("#log .found").count(), 0);
  await page.click("#find");
  await page.fill("#search input", "teapot");
  assertEquals(await openTab("#search li a"), `#tabs/${id}`);
  assertEquals(await page.locator("#search li").count(), 1);
  await page.click("#search >> text=Close");
  await page.click("#menu");
  assertEquals(await openTab(`#rooms a[href="#tabs"]`), "#tabs");
  assertEquals(await page.locator("#sidebar.open").count(), 1);
  assertEquals(new URL(page.url()).hash, "#tabs");
});

webTest("A name that no room can have is told while it is typed, and nothing jumps or is cut", async () => {
  await using ada = await visit(site, { name: "Ada" });
  const { page } = ada;
  const told = async (name: string) => {
    await page.fill("#new-room-name", name);
    return await page.textContent("#new-room-hint");
  };
  assertEquals(
    await told("tête-à-tête"),
    "“ê” can’t be in the name of a room. Use letters A to Z, digits, and . _ ~ - For example: tete-a-tete",
  );
  await page.press("#new-room-name", "Enter");
  assertEquals(await page.textContent("h1"), "lobby");
  assertEquals((await told("x".repeat(70)))!.includes("at most 64 characters. This one has 70."), true);
  assertEquals((await page.inputValue("#new-room-name")).length, 70);
  assertEquals(await told("teatime"), "");
  for (let i = 0; i < 4; i++) await page.press("#new-room-name", "ArrowLeft");
  await page.keyboard.type(" ");
  await page.keyboard.type("x");
  assertEquals(await page.inputValue("#new-room-name"), "tea xtime");
  assertEquals(await page.textContent("#new-room-hint"), "This opens tea-xtime.");
  await page.keyboard.press("Enter");
  await ada.until(() => document.querySelector("h1")!.textContent === "tea-xtime", 0);
});

webTest("Every room keeps its draft, through a change of rooms and a reload", async () => {
  await using ada = await visit(site, { room: "desk", name: "Ada" });
  await ada.page.fill("#text", "Dear all,\nI began to");
  await ada.page.fill("#new-room-name", "shelf");
  await ada.page.press("#new-room-name", "Enter");
  await ada.until(() => document.querySelector("h1")!.textContent === "shelf", 0);
  assertEquals(await ada.page.inputValue("#text"), "");
  await ada.page.evaluate(() => history.back());
  await ada.until(() => document.querySelector("h1")!.textContent === "desk", 0);
  assertEquals(await ada.page.inputValue("#text"), "Dear all,\nI began to");
  await ada.page.reload();
  await ada.is("live");
  await ada.page.press("#text", "Enter");
  await ada.settles();
  assertEquals((await messages(site, "desk", "wait=0")).map(({ body }) => body), ["Dear all,\nI began to"]);
  await ada.page.reload();
  await ada.is("live");
  assertEquals(await ada.page.inputValue("#text"), "");
});

webTest("An empty room is friendly, and its line for the shell works", async () => {
  await using ada = await visit(site, { room: "orchard", name: "Ada" });
  const line = await ada.page.innerText("#curl");
  const curl = await new Deno.Command("bash", { args: ["-c", line], stdout: "null", stderr: "piped" }).output();
  assertEquals(curl.success, true);
  await ada.sees("Hello");
  assertEquals(await ada.page.isVisible("#empty"), false);
});

webTest("Under a path that a proxy takes away everything works, and nothing else is asked for", async () => {
  const outside: string[] = [];
  const gone = () => new Response(null, { status: 502 }); // a client that left
  const proxy = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {}, onError: gone }, (request) => {
    const { pathname, search } = new URL(request.url);
    if (!pathname.startsWith("/chat/")) {
      outside.push(pathname);
      return new Response("Not here", { status: 404 });
    }
    const { method, headers, body, signal } = request;
    return fetch(site.url + pathname.slice("/chat".length) + search, { method, headers, body, signal });
  });
  {
    const there = { browser: site.browser, url: `http://127.0.0.1:${proxy.addr.port}/chat` };
    await using ada = await visit(there, { room: "behind", name: "Ada" });
    await using noor = await visit(there, { room: "behind", name: "Noor" });
    assertEquals((await ada.page.innerText("#curl")).includes(`${there.url}/rooms/behind/messages`), true);
    await ada.say("Through the wall");
    await noor.sees("Through the wall");
    await ada.page.waitForSelector(`#rooms a[href="#behind"]`);
    assertEquals(new URL(ada.page.url()).pathname, "/chat/");
  }
  await proxy.shutdown();
  assertEquals(outside, []);
});

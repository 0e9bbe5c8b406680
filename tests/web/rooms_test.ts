// More than one room: what is unread, drafts, addresses that can be shared, and a server under somebody else's path.
import { assertEquals } from "@std/assert";
import { testSite, visit, webTest } from "../support/browser.ts";
import { messages, post, posted } from "../support/client.ts";

const site = await testSite();

/** The count beside a room at the side. */
const count = (room: string) => `#rooms a[href="#${room}"] .count`;

webTest("Unread messages of other rooms are counted at the side and in the title, until they are read", async () => {
  await posted(site, "kitchen", "Old");
  await posted(site, "hall", "Old");
  await using ada = await visit(site, { room: "hall", name: "Ada" });
  await ada.page.waitForSelector(`#rooms a[href="#kitchen"]`);
  assertEquals(await ada.page.locator(".count").count(), 0); // who is new has missed nothing
  await post(site, "kitchen", { body: "One", author: "Noor" });
  await post(site, "kitchen", { body: "Two", author: "Noor" });
  await post(site, "attic", { body: "A new room", author: "Noor" });
  await ada.until(() => document.title === "(3) hall · Linger", 0);
  assertEquals(await ada.page.textContent(count("kitchen")), "2 unread");
  assertEquals(await ada.page.textContent(count("attic")), "1 unread");
  assertEquals(await ada.page.$$eval("#rooms .room-name", (all) => all.map(({ textContent }) => textContent)), [
    "attic",
    "kitchen",
    "hall",
  ]);
  await ada.page.click("#rooms >> text=kitchen");
  await ada.sees("Old", "One", "Two");
  assertEquals(await ada.page.textContent(".unread"), "New");
  await ada.until(() => document.title === "(1) kitchen · Linger", 0);
  await ada.page.reload();
  await ada.until(() => document.title === "(1) kitchen · Linger", 0);
});

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
  await ada.page.goBack();
  await ada.until(() => document.querySelector("h1")!.textContent === "lobby", 0);
});

webTest("A name that no room can have is told before it is sent", async () => {
  await using ada = await visit(site, { name: "Ada" });
  await ada.page.fill("#new-room-name", "tea time");
  assertEquals(await ada.page.inputValue("#new-room-name"), "tea-time");
  await ada.page.fill("#new-room-name", "tête-à-tête");
  await ada.page.press("#new-room-name", "Enter");
  assertEquals(
    await ada.page.evaluate(() => (document.getElementById("new-room-name") as HTMLInputElement).validity.valid),
    false,
  );
  assertEquals(await ada.page.textContent("h1"), "lobby");
});

webTest("Every room keeps its draft, through a change of rooms and a reload", async () => {
  await using ada = await visit(site, { room: "desk", name: "Ada" });
  await ada.page.fill("#text", "Dear all,\nI began to");
  await ada.page.fill("#new-room-name", "shelf");
  await ada.page.press("#new-room-name", "Enter");
  await ada.until(() => document.querySelector("h1")!.textContent === "shelf", 0);
  assertEquals(await ada.page.inputValue("#text"), "");
  await ada.page.goBack();
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

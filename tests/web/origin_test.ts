// Pages of other sites in a real browser: what they can do to a server on the same machine, by all the ways that a page has.
/// <reference lib="dom" />
import { assert, assertEquals } from "@std/assert";
import { launchBrowser, webTest } from "../support/browser.ts";
import { get, messages, posted, until } from "../support/client.ts";
import { testPostgres } from "../support/postgres.ts";
import { spawnServer } from "../support/server.ts";

const postgres = await testPostgres();
const database = await postgres.create();
const server = await spawnServer(database.url);
const { port } = new URL(server.url);
// As after a rebinding: the page's own name leads to this machine, on the very port.
const browser = await launchBrowser(["--host-resolver-rules=MAP rebound.test 127.0.0.1, MAP evil.test 127.0.0.1"]);
const evil = Deno.serve(
  { port: 0, hostname: "127.0.0.1", onListen: () => {} },
  () => new Response("<!doctype html><title>evil</title>", { headers: { "content-type": "text/html" } }),
);
Deno.test.afterAll(async () => {
  await browser.close();
  await evil.shutdown();
  await server[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

/** Runs `attack` in a page at `url`, and gives what it returns. */
async function inPage<T>(url: string, attack: (target: string) => Promise<T>, target = server.url): Promise<T> {
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    await page.goto(url);
    return await page.evaluate(attack, target);
  } finally {
    await context.close();
  }
}

webTest("A page whose name is rebound to this machine reads nothing, posts nothing, and streams nothing", async () => {
  await posted(server, "secret", "for our eyes only");
  const context = await browser.newContext();
  const page = await context.newPage();
  const answer = await page.goto(`http://rebound.test:${port}/`);
  assertEquals(answer!.status(), 421);
  const got = await page.evaluate(async () => {
    const status = (path: string, init?: RequestInit) => fetch(path, init).then(({ status }) => status, () => 0);
    const message = { method: "POST", headers: { "content-type": "application/json" }, body: '{"body":"rebound"}' };
    return [
      await status("/rooms"),
      await status("/rooms/secret/messages?wait=0"),
      await status("/rooms/secret/messages", message),
      await new Promise((resolve) => {
        const source = new EventSource("/rooms/secret/events");
        source.onopen = () => resolve("open");
        source.onerror = () => resolve(source.readyState);
      }),
    ];
  });
  await context.close();
  assertEquals(got, [421, 421, 421, 2]);
  assertEquals((await messages(server, "secret", "wait=0")).length, 1);
}, { notInFirefox: "only Chromium can be told where a name leads" });

webTest("A page of another site posts nothing, by form, beacon or fetch, and reads nothing", async () => {
  const { port: evilPort } = evil.addr;
  const got = await inPage(`http://evil.test:${evilPort}/`, async (target) => {
    const url = `${target}/rooms/target/messages`;
    const fails = (init: RequestInit) => fetch(url, init).then(() => "answered", () => "failed");
    const body = '{"body":"by a page"}';
    navigator.sendBeacon(url, body);
    navigator.sendBeacon(url, new Blob([body], { type: "text/plain" }));
    const results = [
      await fails({}),
      await fails({ method: "POST", body }),
      await fails({ method: "POST", headers: { "content-type": "application/json" }, body }),
      await fails({ method: "POST", mode: "no-cors", body }),
    ];
    const frame = document.createElement("iframe");
    frame.name = "frame";
    const form = Object.assign(document.createElement("form"), {
      method: "post",
      action: url,
      enctype: "text/plain",
      target: "frame",
    });
    const input = Object.assign(document.createElement("input"), { name: '{"body":"', value: '"}' });
    form.append(input);
    document.body.append(frame, form);
    const loaded = new Promise((resolve) => frame.onload = resolve);
    form.submit();
    await loaded;
    return results;
  });
  assertEquals(got.slice(0, 3), ["failed", "failed", "failed"]); // the last one's answer is hidden from the page
  assertEquals(await messages(server, "target", "wait=0"), []);
}, { notInFirefox: "only Chromium can be told where a name leads" });

webTest("A page of another site can't see by the time of an answer that somebody speaks", async () => {
  const { port: evilPort } = evil.addr;
  const waiting = async () => (await get<{ waiters: number }>(server, "/healthz")).json.waiters;
  const watched = inPage(`http://evil.test:${evilPort}/`, async (target) => {
    const poll = `${target}/rooms/quiet/messages?after=now&wait=55`;
    const timed = (ask: () => Promise<unknown>) =>
      Promise.race([
        ask().then(() => true, () => true),
        new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 30_000)),
      ]);
    const load = (name: "img" | "script" | "iframe" | "embed" | "video") =>
      new Promise((resolve) => {
        const element = document.createElement(name) as HTMLImageElement;
        element.onload = element.onerror = resolve;
        element.src = poll;
        document.body.append(element);
      });
    const linked = (rel: string, as = "") =>
      new Promise((resolve) => {
        const link = Object.assign(document.createElement("link"), { rel, as, href: poll });
        link.onload = link.onerror = resolve;
        document.head.append(link);
      });
    const told = (open: (name: string) => EventTarget) =>
      new Promise((resolve) => {
        const from = open(poll);
        for (const event of ["open", "error"]) from.addEventListener(event, resolve);
      });
    const ask = `fetch(${JSON.stringify(poll)}, { mode: "no-cors" }).then(tell, tell)`;
    const inWorker = () =>
      new Promise((resolve) => {
        const script = `const tell = () => postMessage(0); ${ask}`;
        new Worker(URL.createObjectURL(new Blob([script]))).onmessage = resolve;
      });
    const inSandbox = () =>
      new Promise((resolve) => {
        addEventListener("message", resolve, { once: true });
        const frame = document.createElement("iframe");
        frame.setAttribute("sandbox", "allow-scripts"); // whose origin is `null`
        frame.srcdoc = `<script>const tell = () => parent.postMessage(0, "*"); ${ask}</script>`;
        document.body.append(frame);
      });
    // Each is answered at once, though nobody speaks.
    return [
      await timed(() => fetch(poll, { mode: "no-cors" })),
      await timed(() => load("img")),
      await timed(() => load("script")),
      await timed(() => load("iframe")),
      await timed(() => load("embed")),
      await timed(() => load("video")),
      await timed(() => linked("stylesheet")),
      await timed(() => linked("preload", "font")),
      await timed(() => linked("modulepreload")),
      await timed(() => told((url) => new EventSource(url))),
      await timed(() => told((url) => new WebSocket(url.replace("http:", "ws:")))),
      await timed(inWorker),
      await timed(inSandbox),
    ];
  });
  assertEquals(await watched, Array(13).fill(true));
  assertEquals(await waiting(), 0);
}, { notInFirefox: "only Chromium can be told where a name leads" });

webTest(
  "The page itself, a link to it from elsewhere, and another site's import of the client still work",
  async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(`http://evil.test:${evil.addr.port}/`);
    await page.evaluate((target) => {
      const link = Object.assign(document.createElement("a"), { href: `${target}/#linked`, textContent: "go" });
      document.body.append(link);
    }, server.url);
    await page.click("a");
    await page.waitForSelector("#connection[data-status=live]");
    await page.fill("#name", "Ada");
    await page.click("#name-form button");
    await page.fill("#text", "from a link");
    await page.click("#send");
    await until(async () => (await messages(server, "linked", "wait=0")).length === 1, "it is posted");
    await context.close();
    const imported = await inPage(`http://evil.test:${evil.addr.port}/`, async (target) => {
      const { Linger } = await import(`${target}/client/client.mjs`);
      return typeof Linger;
    });
    assertEquals(imported, "function");
    assert((await messages(server, "linked", "wait=0"))[0]!.author === "Ada");
  },
  { notInFirefox: "only Chromium can be told where a name leads" },
);

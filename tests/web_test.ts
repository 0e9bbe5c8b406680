// The chat page's files over HTTP: who may do what with them, and when a browser has to fetch them again.
import { assert, assertEquals, assertLess, assertMatch, assertNotEquals, assertStringIncludes } from "@std/assert";
import { createApp } from "../src/app.ts";
import { SOURCES } from "../src/routes/page-files.ts";
import { versionOf } from "../src/routes/web.ts";
import { MARKUP } from "../src/web/words.js";
import { LIMITS, LOCAL } from "./support/server.ts";

const app = createApp({
  chat: () => undefined,
  uploadTimeoutMs: 1_000,
  heartbeatMs: 1_000,
  origins: LOCAL,
  limits: LIMITS,
});

function ask(path: string, init?: RequestInit): Response | Promise<Response> {
  return app.fetch(new Request(`http://localhost${path}`, init));
}

Deno.test("The page is there before the database is, and may load nothing from elsewhere", async () => {
  const response = await ask("/");
  assertEquals(response.status, 200);
  assertEquals(response.headers.get("content-type"), "text/html; charset=utf-8");
  assertEquals(response.headers.get("x-content-type-options"), "nosniff");
  assertEquals(response.headers.get("referrer-policy"), "no-referrer");
  const policy = response.headers.get("content-security-policy") ?? "";
  for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"]) {
    assertStringIncludes(policy, part);
  }
  assertEquals(/unsafe|https?:|\*/.test(policy), false);
});

Deno.test("What the page names is there, by an address relative to the page", async () => {
  const page = await (await ask("/")).text();
  const names = [...page.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, name]) => name!);
  for (const name of new Set(names)) {
    assertMatch(name, /^[a-z]/);
    const response = await ask(`/${name}`);
    assertEquals([name, response.status], [name, 200]);
    await response.body?.cancel();
  }
});

Deno.test("The page's markup has no words of its own but for browsers without scripts, and words.js has all it names", async () => {
  const page = await (await ask("/")).text();
  const body = page.slice(page.indexOf("<body>")).replace(/<noscript>.*<\/noscript>/s, "");
  assertEquals(body.replace(/<[^>]*>/g, "").trim(), "linger");
  assertEquals(/(?:aria-label|placeholder|title)="/.test(body.replace(/data-\w+="/g, "")), false);
  const named = [...body.matchAll(/data-(?:words|label|placeholder)="(.*?)"/g)].map(([, key]) => key!);
  assertEquals([...new Set(named)].toSorted(), Object.keys(MARKUP).toSorted());
});

Deno.test("The page's first script is another where any part of the page is: by it an open window sees a new version", async () => {
  assertStringIncludes(await (await ask("/web/page.js")).text(), versionOf(SOURCES));
  for (const [path, source] of Object.entries(SOURCES)) {
    assertNotEquals(versionOf({ ...SOURCES, [path]: `${source} ` }), versionOf(SOURCES), path);
  }
});

Deno.test("The page can be installed: its manifest is allowed, and names icons that are there, one of them maskable", async () => {
  const page = await ask("/");
  assertStringIncludes(page.headers.get("content-security-policy") ?? "", "manifest-src 'self'");
  const [, path] = (await page.text()).match(/rel="manifest" href="(.*?)"/)!;
  const response = await ask(`/${path}`);
  assertEquals(response.headers.get("content-type"), "application/manifest+json");
  const { icons, start_url, id } = await response.json() as {
    icons: { src: string; purpose: string }[];
    start_url: string;
    id?: string;
  };
  const base = `http://localhost/${path}`;
  assertEquals(new URL(start_url, base).pathname, "/"); // under whatever path a proxy puts before it
  for (const { src } of icons) {
    const icon = await ask(new URL(src, base).pathname);
    assertEquals([icon.status, icon.headers.get("content-type")], [200, "image/svg+xml"]);
    await icon.body?.cancel();
  }
  assertEquals(icons.map(({ purpose }) => purpose), ["any", "maskable"]);
  // Under two paths of one host it is two apps. An id counts from the host, where there is one; else it is the start.
  const start = new URL(start_url, `http://localhost/chat/${path}`);
  assertEquals(new URL(id ?? start, start.origin).pathname, "/chat/");
});

Deno.test("An iPhone, which takes no SVG, has a picture of the page for its home screen: small, and without transparent corners", async () => {
  const [, path] = (await (await ask("/")).text()).match(/rel="apple-touch-icon" href="(.*?)"/)!;
  const response = await ask(`/${path}`);
  assertEquals(response.headers.get("content-type"), "image/png");
  const bytes = await response.bytes();
  const text = String.fromCharCode(...bytes);
  assert(text.startsWith("\x89PNG\r\n\x1a\n"));
  assertMatch(text, /IEND.{4}$/s); // it is whole
  const { width, height, colours } = { width: 16, height: 20, colours: 25 }; // where a PNG says it
  const view = new DataView(bytes.buffer);
  assertEquals([view.getUint32(width), view.getUint32(height)], [180, 180]);
  assertEquals([bytes[colours], text.includes("tRNS")], [2, false]); // red, green and blue, and nothing of what is behind it
  assertLess(bytes.length, 6_000);
});

Deno.test("The client is there as JavaScript too, in files that import each other by the names they have there", async () => {
  for (const name of ["client", "exchange"]) {
    const [plain, module] = [await ask(`/client/${name}.ts`), await ask(`/client/${name}.mjs`)];
    assertEquals(module.headers.get("content-type"), "text/javascript; charset=utf-8");
    assertEquals(await module.text(), (await plain.text()).replaceAll('.ts"', '.mjs"'));
  }
});

Deno.test("A browser asks each time whether a file is still the same, and is given it only when it is not", async () => {
  for (const path of ["/", "/web/page.css", "/client/client.ts"]) {
    const first = await ask(path);
    const text = await first.text();
    assertEquals(first.headers.get("cache-control"), "no-cache");
    const etag = first.headers.get("etag")!;
    const again = await ask(path, { headers: { "if-none-match": etag } });
    assertEquals([again.status, await again.text()], [304, ""]);
    const other = await ask(path, { headers: { "if-none-match": '"other"' } });
    assertEquals([other.status, await other.text()], [200, text]);
  }
});

Deno.test("A file comes in a third of the bytes to whoever takes gzip, under a tag of its own", async () => {
  const plain = await ask("/web/page.js");
  const text = await plain.text();
  const long = `gzip,${"x;q=0.5,".repeat(124)}br`; // 999 characters
  for (const takes of ["gzip", "br, gzip;q=0.5", "deflate, gzip, br, zstd", long]) {
    const zipped = await ask("/web/page.js", { headers: { "accept-encoding": takes } });
    assertEquals(zipped.headers.get("content-encoding"), "gzip", takes);
    assertEquals(zipped.headers.get("vary"), "accept-encoding");
    const bytes = await zipped.bytes();
    assertEquals(zipped.headers.get("content-length"), `${bytes.length}`);
    assert(bytes.length < text.length / 2);
    const unzipped = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    assertEquals(await new Response(unzipped).text(), text);
    const etag = zipped.headers.get("etag")!;
    assert(etag !== plain.headers.get("etag"));
    const known = await ask("/web/page.js", { headers: { "accept-encoding": takes, "if-none-match": etag } });
    assertEquals([known.status, known.headers.get("content-encoding")], [304, null]);
  }
  // One that is longer than any browser's is not read.
  for (const takes of ["identity", "identity, gzip;q=0.5", "br", "gzip;q=0", "*;q=0", `${long}, *`]) {
    const answer = await ask("/web/page.js", { headers: { "accept-encoding": takes } });
    assertEquals([answer.headers.get("content-encoding"), await answer.text()], [null, text], takes);
  }
});

Deno.test("The page answers HEAD as GET and OPTIONS with Allow, and refuses the rest", async () => {
  const head = await ask("/", { method: "HEAD" });
  const length = (await (await ask("/")).arrayBuffer()).byteLength;
  assertEquals(head.headers.get("content-length"), `${length}`);
  assertEquals([head.status, await head.text()], [200, ""]);
  const known = await ask("/", { method: "HEAD", headers: { "if-none-match": head.headers.get("etag")! } });
  assertEquals([known.status, await known.text()], [304, ""]);
  const options = await ask("/web/page.js", { method: "OPTIONS" });
  assertEquals([options.status, options.headers.get("allow")], [204, "GET, HEAD, OPTIONS"]);
  const post = await ask("/", { method: "POST" });
  assertEquals([post.status, post.headers.get("allow")], [405, "GET, HEAD, OPTIONS"]);
  await post.body?.cancel();
});

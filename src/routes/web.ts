// The chat page: files as they are, and TypeScript with its types taken out, since browsers don't know them. The paths are
// those of the source tree, so that what one file imports from another is the same here and there; the client is there once
// more for those who keep its files, under names that every Node takes for modules.
import { extname } from "node:path";
import type { Context, Hono } from "hono";
import { accepts } from "hono/accepts";
import { OWN_SITE } from "../problem.ts";
import { length } from "./answer.ts";
import { etagOf, isKnown } from "./etag.ts";
import { besideJoined, joined } from "./joined.ts";
import { forBrowsers } from "./lean.ts";
import { SOURCES } from "./page-files.ts";

/** The module that the page begins with. */
const ENTRY = "/web/page.js";

/** By the path's ending; the page has none. */
const TYPES: Record<string, string> = {
  "": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".webmanifest": "application/manifest+json",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".ts": "text/javascript; charset=utf-8",
};

/**
 * The page takes everything from its own server and nothing from elsewhere; what people write could not run a script or
 * send anything away even if it became markup, and by `require-trusted-types-for` it can't become markup.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

/** The client is for all: a page of another site may load it. */
const FOR_ALL_SITES = { "access-control-allow-origin": "*", "cross-origin-resource-policy": "cross-origin" };

/** Longest `Accept-Encoding` that is read, in characters; whoever sends a longer one gets a file as it is. */
const MAX_ACCEPT_ENCODING = 1_000;

/**
 * Adds `/`, and the files that the page is made of. A browser may keep them, but asks each time whether they are still
 * the same: a new version is there with the next visit, and all of it.
 * @internal
 */
export function webRoutes(app: Hono): void {
  for (const path of Object.keys(SOURCES)) {
    const ending = extname(path);
    let file: Promise<File> | undefined;
    app.get(path, async (c) => {
      file ??= made(path); // not before anybody asks: nothing waits for it at the start
      const zips = takesGzip(c);
      const { bytes, etag } = (await file)[zips ? "zipped" : "plain"];
      const hasIt = isKnown(c.req.raw.headers.get("if-none-match"), etag);
      return new Response(hasIt ? null : bytes, {
        status: hasIt ? 304 : 200,
        headers: {
          etag,
          vary: "accept-encoding",
          ...zips && !hasIt && { "content-encoding": "gzip" },
          "content-type": TYPES[ending]!,
          "cache-control": "no-cache",
          "content-security-policy": POLICY,
          "referrer-policy": "no-referrer",
          ...OWN_SITE,
          ...path.startsWith("/client/") && FOR_ALL_SITES,
          ...!hasIt && length(bytes),
        },
      });
    });
  }
}

function takesGzip(c: Context): boolean {
  if ((c.req.header("accept-encoding") ?? "").length > MAX_ACCEPT_ENCODING) return false;
  return accepts(c, { header: "Accept-Encoding", supports: ["gzip", "identity"], default: "identity" }) === "gzip";
}

/** A file as it is sent. */
interface Form {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly etag: string;
}

/** A file as it is, and in a third of the bytes: made once, since to do it for each request would be work that anybody can order. */
interface File {
  readonly plain: Form;
  readonly zipped: Form;
}

/**
 * A text that is another where one of these is: windows that are open see by the tag of the first script that there is another version,
 * of whatever part.
 * @internal
 */
export function versionOf(sources: Readonly<Record<string, string>>): string {
  return etagOf(JSON.stringify(sources));
}

async function made(path: string): Promise<File> {
  const isPicture = extname(path) === ".png";
  const plain = isPicture ? Uint8Array.fromBase64(SOURCES[path]!) : new TextEncoder().encode(textOf(path));
  const zipped = await new Response(new Blob([plain]).stream().pipeThrough(new CompressionStream("gzip"))).bytes();
  return { plain: { bytes: plain, etag: etagOf(plain) }, zipped: { bytes: zipped, etag: etagOf(zipped) } };
}

function textOf(path: string): string {
  const source = path === ENTRY
    ? joined(path, SOURCES)
    : path.startsWith("/web/") && path.endsWith(".js")
    ? besideJoined(path, ENTRY, SOURCES)
    : SOURCES[path]!;
  const lean = forBrowsers(source, extname(path));
  return path === ENTRY ? `${lean}\n// ${versionOf(SOURCES)}` : lean;
}

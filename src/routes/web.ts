// The chat page: files as they are, and TypeScript with its types taken out, since browsers don't know them. The paths are
// those of the source tree, so that what one file imports from another is the same here and there; the client is there once
// more for those who keep its files, under names that every Node takes for modules.
import { stripTypeScriptTypes } from "node:module";
import { extname } from "node:path";
import type { Context, Hono } from "hono";
import { accepts } from "hono/accepts";
import client from "../client/client.ts" with { type: "text" };
import exchange from "../client/exchange.ts" with { type: "text" };
import actions from "../web/actions.js" with { type: "text" };
import editor from "../web/editor.js" with { type: "text" };
import quotes from "../web/quotes.js" with { type: "text" };
import reply from "../web/reply.js" with { type: "text" };
import status from "../web/status.js" with { type: "text" };
import address from "../web/address.js" with { type: "text" };
import agreement from "../web/agreement.js" with { type: "text" };
import allRooms from "../web/all-rooms.js" with { type: "text" };
import banner from "../web/banner.js" with { type: "text" };
import boundedField from "../web/bounded-field.js" with { type: "text" };
import anchor from "../web/anchor.js" with { type: "text" };
import announcer from "../web/announcer.js" with { type: "text" };
import attention from "../web/attention.js" with { type: "text" };
import calendar from "../web/calendar.js" with { type: "text" };
import chunk from "../web/chunk.js" with { type: "text" };
import composer from "../web/composer.js" with { type: "text" };
import connectionLine from "../web/connection-line.js" with { type: "text" };
import conversation from "../web/conversation.js" with { type: "text" };
import copying from "../web/copying.js" with { type: "text" };
import draft from "../web/draft.js" with { type: "text" };
import element from "../web/element.js" with { type: "text" };
import enterKey from "../web/enter-key.js" with { type: "text" };
import finder from "../web/finder.js" with { type: "text" };
import icon from "../web/icon.svg" with { type: "text" };
import later from "../web/later.js" with { type: "text" };
import lease from "../web/lease.js" with { type: "text" };
import lengthLine from "../web/length-line.js" with { type: "text" };
import textLength from "../web/length.js" with { type: "text" };
import manifest from "../web/manifest.webmanifest" with { type: "text" };
import maskable from "../web/maskable.svg" with { type: "text" };
import memory from "../web/memory.js" with { type: "text" };
import mentions from "../web/mentions.js" with { type: "text" };
import messageLog from "../web/message-log.js" with { type: "text" };
import messageRow from "../web/message-row.js" with { type: "text" };
import names from "../web/names.js" with { type: "text" };
import notifiable from "../web/notifiable.js" with { type: "text" };
import notifications from "../web/notifications.js" with { type: "text" };
import outbox from "../web/outbox.js" with { type: "text" };
import own from "../web/own.js" with { type: "text" };
import style from "../web/page.css" with { type: "text" };
import markup from "../web/page.html" with { type: "text" };
import page from "../web/page.js" with { type: "text" };
import patience from "../web/patience.js" with { type: "text" };
import phrase from "../web/phrase.js" with { type: "text" };
import polls from "../web/polls.js" with { type: "text" };
import prose from "../web/prose.js" with { type: "text" };
import roomName from "../web/room-name.js" with { type: "text" };
import rooms from "../web/rooms.js" with { type: "text" };
import scripts from "../web/scripts.js" with { type: "text" };
import scrollKeys from "../web/scroll-keys.js" with { type: "text" };
import search from "../web/search.js" with { type: "text" };
import session from "../web/session.js" with { type: "text" };
import sidebar from "../web/sidebar.js" with { type: "text" };
import timeline from "../web/timeline.js" with { type: "text" };
import version from "../web/version.js" with { type: "text" };
import waiting from "../web/waiting.js" with { type: "text" };
import unread from "../web/unread.js" with { type: "text" };
import words from "../web/words.js" with { type: "text" };
import { OWN_SITE } from "../problem.ts";
import { length } from "./answer.ts";
import { etagOf, isKnown } from "./etag.ts";
import { besideJoined, joined } from "./joined.ts";

const SOURCES: Record<string, string> = {
  "/": markup,
  "/web/page.css": style,
  "/web/icon.svg": icon,
  "/web/actions.js": actions,
  "/web/editor.js": editor,
  "/web/quotes.js": quotes,
  "/web/reply.js": reply,
  "/web/status.js": status,
  "/web/address.js": address,
  "/web/agreement.js": agreement,
  "/web/all-rooms.js": allRooms,
  "/web/banner.js": banner,
  "/web/bounded-field.js": boundedField,
  "/web/anchor.js": anchor,
  "/web/announcer.js": announcer,
  "/web/attention.js": attention,
  "/web/calendar.js": calendar,
  "/web/chunk.js": chunk,
  "/web/composer.js": composer,
  "/web/connection-line.js": connectionLine,
  "/web/copying.js": copying,
  "/web/conversation.js": conversation,
  "/web/draft.js": draft,
  "/web/element.js": element,
  "/web/enter-key.js": enterKey,
  "/web/finder.js": finder,
  "/web/later.js": later,
  "/web/lease.js": lease,
  "/web/length-line.js": lengthLine,
  "/web/length.js": textLength,
  "/web/manifest.webmanifest": manifest,
  "/web/maskable.svg": maskable,
  "/web/memory.js": memory,
  "/web/mentions.js": mentions,
  "/web/message-log.js": messageLog,
  "/web/message-row.js": messageRow,
  "/web/names.js": names,
  "/web/notifiable.js": notifiable,
  "/web/notifications.js": notifications,
  "/web/outbox.js": outbox,
  "/web/own.js": own,
  "/web/page.js": page,
  "/web/patience.js": patience,
  "/web/phrase.js": phrase,
  "/web/polls.js": polls,
  "/web/prose.js": prose,
  "/web/room-name.js": roomName,
  "/web/rooms.js": rooms,
  "/web/scripts.js": scripts,
  "/web/scroll-keys.js": scrollKeys,
  "/web/search.js": search,
  "/web/session.js": session,
  "/web/sidebar.js": sidebar,
  "/web/timeline.js": timeline,
  "/web/version.js": version,
  "/web/waiting.js": waiting,
  "/web/unread.js": unread,
  "/web/words.js": words,
  "/client/client.ts": client,
  "/client/exchange.ts": exchange,
  "/client/client.mjs": client,
  "/client/exchange.mjs": exchange,
};

/** The module that the page begins with. */
const ENTRY = "/web/page.js";

/** By the path's ending; the page has none. */
const TYPES: Record<string, string> = {
  "": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
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

async function made(path: string): Promise<File> {
  const source = path === ENTRY
    ? joined(path, SOURCES)
    : path.startsWith("/web/") && path.endsWith(".js")
    ? besideJoined(path, ENTRY, SOURCES)
    : SOURCES[path]!;
  const plain = new TextEncoder().encode(forBrowsers(source, extname(path)));
  const zipped = await new Response(new Blob([plain]).stream().pipeThrough(new CompressionStream("gzip"))).bytes();
  return { plain: { bytes: plain, etag: etagOf(plain) }, zipped: { bytes: zipped, etag: etagOf(zipped) } };
}

function forBrowsers(source: string, ending: string): string {
  if (ending === ".svg" || ending === ".webmanifest") return source;
  if (ending === ".ts") return untyped(source);
  if (ending === ".mjs") return untyped(source).replaceAll(/from "(.*)\.ts"/g, 'from "$1.mjs"');
  if (ending === ".css") return lean(source).replace(/(?<=[{};,])\n/g, "").replace(/ (?={)|(?<=[:,]) /g, "");
  // Types among the code, comments behind it and in empty blocks.
  return lean(source).replace(/\/\*\* @[^*]*\*\/ |(?<={) \/\* [^*]*\*\/ (?=})/g, "")
    .replace(/(?<=[;{}]) \/\/ [^"'`\n]*$/gm, "");
}

/** Where types stood, blanks are left. */
function untyped(source: string): string {
  return lean(stripTypeScriptTypes(source)).replace(/ {2,}/g, " ");
}

/** A source without its comments that stand alone and its indentation: those are for its readers, and half of its size. */
function lean(source: string): string {
  const alone = /^[ \t]*(?:\/\/.*|\/\*(?:[^*]|\*(?!\/))*\*\/[ \t]*)$/gm;
  return source.replace(alone, "").replace(/[ \t]*\n\s*/g, "\n").trim();
}

// The chat page: files as they are, and TypeScript with its types taken out, since browsers don't know them. The paths are
// those of the source tree, so that what one file imports from another is the same here and there.
import { stripTypeScriptTypes } from "node:module";
import type { Hono } from "hono";
import { etag } from "hono/etag";
import client from "../client/client.ts" with { type: "text" };
import exchange from "../client/exchange.ts" with { type: "text" };
import calendar from "../web/calendar.js" with { type: "text" };
import composer from "../web/composer.js" with { type: "text" };
import connectionLine from "../web/connection-line.js" with { type: "text" };
import conversation from "../web/conversation.js" with { type: "text" };
import element from "../web/element.js" with { type: "text" };
import icon from "../web/icon.svg" with { type: "text" };
import memory from "../web/memory.js" with { type: "text" };
import messageRow from "../web/message-row.js" with { type: "text" };
import outbox from "../web/outbox.js" with { type: "text" };
import style from "../web/page.css" with { type: "text" };
import markup from "../web/page.html" with { type: "text" };
import page from "../web/page.js" with { type: "text" };
import prose from "../web/prose.js" with { type: "text" };
import rooms from "../web/rooms.js" with { type: "text" };
import sidebar from "../web/sidebar.js" with { type: "text" };
import timeline from "../web/timeline.js" with { type: "text" };
import { length } from "./messages.ts";

const HTML = "text/html; charset=utf-8";
const CSS = "text/css; charset=utf-8";
const JAVASCRIPT = "text/javascript; charset=utf-8";
const SVG = "image/svg+xml";

const FILES: Record<string, [text: string, type: string]> = {
  "/": [lean(markup), HTML],
  "/web/page.css": [lean(style), CSS],
  "/web/icon.svg": [icon, SVG],
  "/web/calendar.js": [lean(calendar), JAVASCRIPT],
  "/web/composer.js": [lean(composer), JAVASCRIPT],
  "/web/connection-line.js": [lean(connectionLine), JAVASCRIPT],
  "/web/conversation.js": [lean(conversation), JAVASCRIPT],
  "/web/element.js": [lean(element), JAVASCRIPT],
  "/web/memory.js": [lean(memory), JAVASCRIPT],
  "/web/message-row.js": [lean(messageRow), JAVASCRIPT],
  "/web/outbox.js": [lean(outbox), JAVASCRIPT],
  "/web/page.js": [lean(page), JAVASCRIPT],
  "/web/prose.js": [lean(prose), JAVASCRIPT],
  "/web/rooms.js": [lean(rooms), JAVASCRIPT],
  "/web/sidebar.js": [lean(sidebar), JAVASCRIPT],
  "/web/timeline.js": [lean(timeline), JAVASCRIPT],
  "/client/client.ts": [lean(stripTypeScriptTypes(client)), JAVASCRIPT],
  "/client/exchange.ts": [lean(stripTypeScriptTypes(exchange)), JAVASCRIPT],
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
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

/**
 * Adds `/`, and the files that the page is made of. A browser may keep them, but asks each time whether they are still
 * the same: a new version is there with the next visit, and all of it.
 * @internal
 */
export function webRoutes(app: Hono): void {
  for (const [path, [text, type]] of Object.entries(FILES)) {
    const headers = {
      "content-type": type,
      "cache-control": "no-cache",
      "content-security-policy": POLICY,
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
      ...length(text),
    };
    app.get(path, etag(), () => new Response(text, { headers }));
  }
}

/** A source without its comments that stand alone and its indentation: those are for its readers, and half of its size. */
function lean(source: string): string {
  const alone = /^[ \t]*(?:\/\/.*|\/\*(?:[^*]|\*(?!\/))*\*\/[ \t]*)$/gm;
  return source.replace(alone, "").replace(/[ \t]*\n\s*/g, "\n").trim();
}

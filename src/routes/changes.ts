// Changes of messages over HTTP: PATCH edits one, DELETE takes it back. Who may is told by a token, or by the Message-Key with which the
// message was posted.
import type { Context, Hono } from "hono";
import { parseCursor } from "../chat/cursor.ts";
import { MessageKey, NewBody } from "../chat/message.ts";
import type { Entry } from "../chat/page.ts";
import { invalid, OWN_SITE } from "../problem.ts";
import { allowanceOf, type LimitSource } from "./allowance.ts";
import { json, tagOf } from "./answer.ts";
import { headerOf, idOf, roomOf } from "./parameters.ts";
import { permit, type PermitSource } from "./permit.ts";
import { type ChatSource, started } from "./started.ts";
import { bodyOf, messageIn, type UploadSource } from "./upload.ts";

/** What the routes need. */
export interface ChangeRoutes extends ChatSource, PermitSource, LimitSource, UploadSource {}

/**
 * Adds the routes of changes.
 * @internal
 */
export function changeRoutes(app: Hono, deps: ChangeRoutes): void {
  for (const path of ["/messages/:id", "/rooms/:room/messages/:id"]) {
    app.patch(path, async (c) => {
      const entry = await change(c, deps, async () => messageIn(NewBody, await bodyOf(c, deps)).body);
      return json(entry.json, 200, { etag: tagOf(entry) });
    });
    app.delete(path, async (c) => {
      await change(c, deps, () => Promise.resolve(""));
      return new Response(null, { status: 204, headers: OWN_SITE });
    });
  }
}

async function change(c: Context, deps: ChangeRoutes, newBody: () => Promise<string>): Promise<Entry> {
  const chat = started(deps);
  const room = roomOf(c);
  const deletes = c.req.method === "DELETE";
  // Who may not read a room learns nothing of what is there.
  const who = await permit(deps, c, "read", room);
  const moderates = deletes && who?.may("moderate", room) === true;
  if (!moderates) who?.demand("write", room);
  const allowance = allowanceOf(deps, c, who);
  allowance.post();

  const id = idOf(c);
  const messageKey = headerOf(c, "Message-Key", MessageKey);
  const known = ifMatch(c.req.header("if-match"));
  const body = await newBody();
  const sub = who?.sub ?? null;
  return await chat.change({ room, id, body, sub, messageKey, moderates, known }, allowance);
}

/** The place that a client knows (RFC 9110, 13.1.1), or null. One strong tag will do: there is one message. */
function ifMatch(header: string | undefined): string | null {
  if (header === undefined || header === "*") return null;
  const place = parseCursor(header.match(/^"(.*)"$/)?.[1] ?? "");
  if (!place) throw invalid("If-Match", "must be one ETag of the message");
  return place;
}

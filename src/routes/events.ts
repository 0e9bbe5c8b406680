// Messages as server-sent events (WHATWG HTML): one answer that goes on. Whoever is cut off comes back with the id of the last event
// that he has had, to whichever server, and misses nothing.
import type { Context, Hono } from "hono";
import type { Chat } from "../chat/chat.ts";
import { NIL, parseCursor } from "../chat/cursor.ts";
import { invalid, OWN_SITE } from "../problem.ts";
import { allowanceOf, type LimitSource } from "./allowance.ts";
import { leadOn } from "./answer.ts";
import { EventStream } from "./event-stream.ts";
import { cursor, flag, queryOf, roomOf } from "./parameters.ts";
import { permit, type PermitSource } from "./permit.ts";
import { type ChatSource, started } from "./started.ts";

/** What the routes need. */
export interface EventRoutes extends ChatSource, PermitSource, LimitSource {
  /** Milliseconds between two signs of life. */
  readonly heartbeatMs: number;
}

/** How many heartbeats long a stream may take none of what it is handed; then it ends, and its client comes back if it lives. */
const PATIENCE_HEARTBEATS = 2;

const HEADERS = {
  "content-type": "text/event-stream",
  "cache-control": "no-store",
  "x-accel-buffering": "no", // nginx would keep events until it has some kilobytes of them
  ...OWN_SITE,
};

/**
 * Adds the routes of events.
 * @internal
 */
export function eventRoutes(app: Hono, deps: EventRoutes): void {
  for (const path of ["/events", "/rooms/:room/events"]) {
    app.get(path, (c) => subscribe(c, started(deps), deps));
  }
}

async function subscribe(c: Context, chat: Chat, deps: EventRoutes): Promise<Response> {
  const room = roomOf(c);
  const outdated = deps.identities?.outdated; // of before: meanwhile there can be other keys
  const who = await permit(deps, c, "read", room);
  const query = queryOf(c);
  const after = cursor(query, "after");
  const changes = flag(query, "changes");
  const last = lastEventId(c);
  if (c.req.method === "HEAD") return new Response(null, { headers: HEADERS }); // as with a list, its headers are worth no page
  // What can't be served is said now, while the status is not.
  const subscriber = await chat.subscribe(room, {
    after: last ?? after ?? NIL,
    parameter: last === undefined ? "after" : "Last-Event-ID",
    changes,
    allowance: allowanceOf(deps, c, who),
  }).catch((error) => leadOn(error, changes ? "&changes=true" : ""));
  // A client that leaves before it has the stream is found out by it, too.
  const token = who?.sub ? { until: who.until, outdated } : undefined;
  const stream = new EventStream(subscriber, PATIENCE_HEARTBEATS * deps.heartbeatMs, token);
  return new Response(new ReadableStream(stream, { highWaterMark: 0 }), { headers: HEADERS });
}

/**
 * The id that a client resumes from. An empty one is what the standard calls the id of a client that has none yet. One that
 * can't be read is refused: to begin elsewhere would be to lose messages, or to give them twice, without a word.
 */
function lastEventId(c: Context): string | undefined {
  const header = c.req.header("last-event-id");
  if (!header) return undefined;
  const id = parseCursor(header);
  if (!id) throw invalid("Last-Event-ID", "must be a message id (a UUID or a ULID)");
  return id;
}

// The list of rooms over HTTP.
import type { Hono } from "hono";
import { json, length } from "./answer.ts";
import type { PermitSource } from "./permit.ts";
import { type ChatSource, started } from "./started.ts";

/**
 * Adds `/rooms`: the newest rooms, of those that one may read.
 * @internal
 */
export function roomRoutes(app: Hono, deps: ChatSource & PermitSource): void {
  app.get("/rooms", async (c) => {
    const chat = started(deps);
    const rooms = await chat.rooms(await deps.identities?.identify(c.req.raw));
    return json(rooms, 200, length(rooms));
  });
}

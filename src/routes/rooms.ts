// The list of rooms over HTTP.
import type { Hono } from "hono";
import { json, length, type MessageRoutes, started } from "./messages.ts";

/**
 * Adds `/rooms`: the newest rooms.
 * @internal
 */
export function roomRoutes(app: Hono, deps: MessageRoutes): void {
  app.get("/rooms", async () => {
    const rooms = await started(deps).rooms();
    return json(rooms, 200, length(rooms));
  });
}

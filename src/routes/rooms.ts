// The list of rooms over HTTP.
import type { Hono } from "hono";
import { json, length } from "./answer.ts";
import { type ChatSource, started } from "./started.ts";

/**
 * Adds `/rooms`: the newest rooms.
 * @internal
 */
export function roomRoutes(app: Hono, deps: ChatSource): void {
  app.get("/rooms", async () => {
    const rooms = await started(deps).rooms();
    return json(rooms, 200, length(rooms));
  });
}

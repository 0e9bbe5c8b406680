// The list of rooms over HTTP.
import type { Hono } from "hono";
import { json, type MessageRoutes, started } from "./messages.ts";

/**
 * Adds `/rooms`: the newest rooms.
 * @internal
 */
export function roomRoutes(app: Hono, deps: MessageRoutes): void {
  app.get("/rooms", async () => json(await started(deps).rooms(), 200));
}

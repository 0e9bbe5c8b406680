// The list of rooms over HTTP.
import type { Hono } from "hono";
import { allowanceOf } from "./allowance.ts";
import { json, length } from "./answer.ts";
import { identityOf, type PermitSource } from "./permit.ts";
import { type ChatSource, started } from "./started.ts";

/**
 * Adds `/rooms`: the newest rooms, of those that one may read.
 * @internal
 */
export function roomRoutes(app: Hono, deps: ChatSource & PermitSource): void {
  app.get("/rooms", async (c) => {
    const chat = started(deps);
    const who = await identityOf(deps, c);
    const rooms = await chat.rooms(who, allowanceOf(deps, c, who));
    return json(rooms, 200, length(rooms));
  });
}

// The list of rooms over HTTP.
import type { Hono } from "hono";
import { allowanceOf, type LimitSource } from "./allowance.ts";
import { json, length } from "./answer.ts";
import type { PermitSource } from "./permit.ts";
import { type ChatSource, started } from "./started.ts";

/**
 * Adds `/rooms`: the newest rooms, of those that one may read.
 * @internal
 */
export function roomRoutes(app: Hono, deps: ChatSource & PermitSource & LimitSource): void {
  app.get("/rooms", async (c) => {
    const chat = started(deps);
    const who = await deps.identities?.identify(c.req.raw);
    const rooms = await chat.rooms(who, allowanceOf(deps, c, who));
    return json(rooms, 200, length(rooms));
  });
}

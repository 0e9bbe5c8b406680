// For load balancers and people: is the process alive, and can it serve.
import type { Hono } from "hono";
import type { Chat } from "../chat/chat.ts";
import { unavailable } from "../problem.ts";

/**
 * Adds `/healthz` (alive, and what the process holds; asks nothing of the database) and `/readyz` (the database answers,
 * is migrated, and the server is not shutting down).
 * @internal
 */
export function healthRoutes(app: Hono, chat: () => Chat | undefined): void {
  app.get("/healthz", (c) => c.json({ status: "alive", ...chat()?.state }, 200, { "cache-control": "no-store" }));
  app.get("/readyz", async (c) => {
    const running = chat();
    if (!running) throw unavailable("This server is starting");
    await running.check();
    return c.json({ status: "ready" }, 200, { "cache-control": "no-store" });
  });
}

// For load balancers and people: is the process alive, and can it serve.
import type { Hono } from "hono";
import type { Chat } from "../chat/chat.ts";
import { unavailable } from "../problem.ts";
import { json, length } from "./messages.ts";

/**
 * Adds `/healthz` (alive, and what the process holds; asks nothing of the database) and `/readyz` (the database answers,
 * is migrated, and the server is not shutting down).
 * @internal
 */
export function healthRoutes(app: Hono, chat: () => Chat | undefined): void {
  app.get("/healthz", () => answer({ status: "alive", ...chat()?.state }));
  app.get("/readyz", async () => {
    const running = chat();
    if (!running) throw unavailable("This server is starting");
    await running.check();
    return answer({ status: "ready" });
  });
}

function answer(state: { status: string }): Response {
  const text = JSON.stringify(state);
  return json(text, 200, length(text));
}

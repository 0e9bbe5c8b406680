// For load balancers and people: is the process alive, and can it serve.
import type { Context, Hono } from "hono";
import { hostIn, type Origins } from "../origin.ts";
import { unavailable } from "../problem.ts";
import { openFiles } from "../open-files.ts";
import { VERSION } from "../version.ts";
import { json, length } from "./answer.ts";
import { identityOf, type PermitSource } from "./permit.ts";
import { type ChatSource, started } from "./started.ts";

/**
 * Adds `/healthz` (alive, and what the process holds; asks nothing of the database) and `/readyz` (posts can be stored, and
 * the server is not shutting down).
 * @internal
 */
export function healthRoutes(app: Hono, deps: ChatSource & PermitSource & { readonly origins: Origins }): void {
  /** Whether the one who asks may see how much goes on: that tells when somebody speaks. */
  async function isOurs(c: Context): Promise<boolean> {
    if (!deps.origins.answersFor(hostIn(c.req.raw))) return false;
    try {
      return (await identityOf(deps, c))?.sub !== null;
    } catch {
      return false; // a token that does not hold is none here
    }
  }

  app.get("/healthz", async (c) => {
    const alive = { status: "alive", version: VERSION };
    return answer(await isOurs(c) ? { ...alive, ...deps.chat()?.state, ...openFiles() } : alive);
  });
  app.get("/readyz", async () => {
    const chat = started(deps);
    if (deps.identities?.ready === false) throw unavailable("The keys of the identity provider are not known yet");
    await chat.check();
    return answer({ status: "ready" });
  });
}

function answer(state: { status: string; version?: string }): Response {
  const text = JSON.stringify(state);
  return json(text, 200, length(text));
}

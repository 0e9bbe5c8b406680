// What is answered where no route is: OPTIONS and other methods on a path that has routes, by what the routes themselves
// say; else 404. Handlers of their own would do it too, but as soon as a path has two handlers for one method, Hono runs
// each request through its middleware machinery, which a parked poll pays with memory.
import type { Context, Hono } from "hono";
import { methodNotAllowed, notFound, OWN_SITE } from "../problem.ts";

/**
 * Answers all requests that no route of `app` takes.
 * @internal
 */
export function answerOthers(app: Hono): void {
  app.notFound((c) => {
    const allowed = allowedAt(app, c);
    if (!allowed) return notFound(`There is no route ${c.req.path}`).toResponse();
    if (c.req.method === "OPTIONS") {
      return new Response(null, { status: 204, headers: { allow: allowed, ...OWN_SITE } });
    }
    return methodNotAllowed(c.req.method, allowed).toResponse();
  });
}

function allowedAt({ router }: Hono, { req: { path } }: Context): string | undefined {
  const has = (method: string) => router.match(method, path)[0].length > 0;
  const others = ["POST", "PATCH", "DELETE"].filter(has);
  const methods = [...has("GET") ? ["GET", "HEAD"] : [], ...others];
  return methods.length === 0 ? undefined : [...methods, "OPTIONS"].sort().join(", ");
}

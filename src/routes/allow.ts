// What a path answers to methods that it has no handler for.
import type { Hono } from "hono";
import { methodNotAllowed } from "../problem.ts";

/**
 * Ends the routes of `path`: OPTIONS answers 204 with `Allow`, every method without a handler 405.
 * @internal
 */
export function allowOnly(app: Hono, path: string, methods: string): void {
  app.options(path, () => new Response(null, { status: 204, headers: { allow: methods } }));
  app.all(path, (c) => {
    throw methodNotAllowed(c.req.method, methods);
  });
}

// The HTTP application: routes, and what becomes of errors. Does no I/O of its own, so that tests build it too.
import { Hono } from "hono";
import { DatabaseError } from "./database/client.ts";
import { log } from "./log.ts";
import { internal, invalid, Problem, unavailable } from "./problem.ts";
import { answerOthers } from "./routes/allow.ts";
import { type EventRoutes, eventRoutes } from "./routes/events.ts";
import { healthRoutes } from "./routes/health.ts";
import { type MessageRoutes, messageRoutes } from "./routes/messages.ts";
import { Parked } from "./routes/parked.ts";
import { roomRoutes } from "./routes/rooms.ts";
import { webRoutes } from "./routes/web.ts";

/**
 * A name or address, with or without a port. Deno puts what stands there into the URL, where `/` and `?` would shift path
 * and query.
 */
const HOST = /^[\w.~%!$&'()*+,;=:[\]-]*$/;

/** Answers requests. */
export interface App {
  /** Never rejects. */
  fetch(request: Request): Response | Promise<Response>;
}

/** Makes the application. */
export function createApp(deps: MessageRoutes & EventRoutes): App {
  const app = new Hono();
  messageRoutes(app, deps);
  eventRoutes(app, deps);
  roomRoutes(app, deps);
  healthRoutes(app, deps);
  webRoutes(app);
  answerOthers(app);
  app.onError((error, c) => answerError(error, c.req.raw));
  return {
    fetch: (request) => {
      if (!HOST.test(request.headers.get("host") ?? "")) {
        return invalid("Host", "must be a name or an address, with or without a port").toResponse();
      }
      const response = app.fetch(request);
      return Parked.answerIn(response)?.catch((error) => answerError(error, request)) ?? response;
    },
  };
}

function answerError(error: Error, { method, headers, url }: Request): Response {
  if (error instanceof Problem) return error.toResponse();
  // The log has it, once for all statements that fail; what the database said is not for everyone.
  if (error instanceof DatabaseError && !error.isOurs) {
    return unavailable("The database can't be reached").toResponse();
  }
  const id = headers.get("x-request-id")?.slice(0, 100) ?? crypto.randomUUID();
  log("error", "A request failed", {
    id,
    method,
    path: new URL(url).pathname,
    error: error.stack,
    cause: error.cause && `${error.cause}`,
  });
  const response = internal().toResponse();
  response.headers.set("x-request-id", id);
  return response;
}

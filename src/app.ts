// The HTTP application: routes, and what becomes of errors. Does no I/O of its own, so that tests build it too.
import { Hono } from "hono";
import { DatabaseError } from "./database/client.ts";
import { log } from "./log.ts";
import type { Origins } from "./origin.ts";
import { internal, Problem, unavailable, uriTooLong } from "./problem.ts";
import { answerOthers } from "./routes/allow.ts";
import { type ChangeRoutes, changeRoutes } from "./routes/changes.ts";
import { type EventRoutes, eventRoutes } from "./routes/events.ts";
import { healthRoutes } from "./routes/health.ts";
import { answerAgain, type MessageRoutes, messageRoutes } from "./routes/messages.ts";
import { Parked } from "./routes/parked.ts";
import { roomRoutes } from "./routes/rooms.ts";
import { webRoutes } from "./routes/web.ts";
import { sleep } from "./sleep.ts";

/** Longest URL, in characters: a room, two cursors and two numbers take 200. Longer: 414. */
const MAX_URL = 4_096;

/** Of a request that has not come over the network. */
const NOWHERE = { remoteAddr: {} };

/** Answers requests. */
export interface App {
  /** Never rejects; from where a request comes is in `info`. */
  fetch(request: Request, info?: Pick<Deno.ServeHandlerInfo, "remoteAddr">): Response | Promise<Response>;
}

/** What the application needs beside its routes. */
export interface AppOptions {
  /** Which page may ask. */
  readonly origins: Origins;
  /** Where somebody gets a token; told with every 401. */
  readonly signInUrl?: string | undefined;
}

/** Makes the application. */
export function createApp(deps: MessageRoutes & ChangeRoutes & EventRoutes & AppOptions): App {
  const app = new Hono();
  messageRoutes(app, deps);
  changeRoutes(app, deps);
  eventRoutes(app, deps);
  roomRoutes(app, deps);
  healthRoutes(app, deps);
  webRoutes(app);
  answerOthers(app);
  const failed = (error: Error, request: Request) => answerError(error, request, deps.signInUrl);
  app.onError((error, c) => failed(error, c.req.raw));
  const { origins } = deps;

  function answer(request: Request, info: object = NOWHERE): Response | Promise<Response> {
    try {
      const again = answerAgain(deps, request, info);
      if (again instanceof Response) return again;
      if (again) return again.catch((error) => failed(error, request));
    } catch (error) {
      return failed(error as Error, request);
    }
    const response = app.fetch(request, info);
    if (request.method === "HEAD") return Promise.resolve(response).then(lengthUntold);
    return Parked.answerIn(response)?.catch((error) => failed(error, request)) ?? response;
  }

  function answerOrRefuse(request: Request, info: object | undefined): Response | Promise<Response> {
    const refusal = request.url.length > MAX_URL ? uriTooLong(MAX_URL).heldBack() : origins.refuse(request);
    if (refusal) return refuse(refusal);
    return origins.shares && origins.preflight(request) || answer(request, info);
  }

  return {
    fetch: (request, info) => {
      const response = answerOrRefuse(request, info);
      if (!origins.shares) return response;
      return response instanceof Response
        ? origins.share(request, response)
        : response.then((response) => origins.share(request, response));
    },
  };
}

/** Hono makes the answer to HEAD one without a body, of which Deno says that its length is 0, unless another is told. */
function lengthUntold(response: Response): Response {
  if (response.headers.has("content-length") || response.status === 304) return response; // which has no body to begin with
  return new Response(new ReadableStream({ start: (controller) => controller.close() }), response);
}

function refuse(problem: Problem, more: Record<string, unknown> = {}): Response | Promise<Response> {
  const response = problem.toResponse(more);
  return problem.delayMs > 0 ? sleep(problem.delayMs).then(() => response) : response;
}

function answerError(
  error: Error,
  { method, headers, url }: Request,
  signInUrl: string | undefined,
): Response | Promise<Response> {
  if (error instanceof Problem) {
    return refuse(error, error.status === 401 && signInUrl !== undefined ? { sign_in: signInUrl } : {});
  }
  // The log has it, once for all statements that fail; what the database said is not for everyone.
  if (error instanceof DatabaseError && !error.isOurs) {
    return unavailable("The database can't be reached").toResponse();
  }
  const id = headers.get("x-request-id")?.slice(0, 100) || crypto.randomUUID();
  log("error", "A request failed", {
    id,
    method,
    path: URL.parse(url)?.pathname, // what stands for the host can make a URL that is none
    error: error.stack,
    cause: error.cause && `${error.cause}`,
  });
  const response = internal().toResponse();
  response.headers.set("x-request-id", id);
  return response;
}

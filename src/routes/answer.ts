// Answers in JSON, as all routes but the page's and the streams' give them.
import { Buffer } from "node:buffer";
import type { Entry } from "../chat/page.ts";
import { OWN_SITE, Problem } from "../problem.ts";

/** An answer in JSON. */
export function json(
  body: string | Uint8Array<ArrayBuffer>,
  status: number,
  headers: Record<string, string> = {},
): Response {
  return new Response(body, {
    status,
    headers: {
      "content-type": "application/json",
      "cache-control": "no-store",
      ...OWN_SITE,
      ...headers,
    },
  });
}

/** A message's tag: the place of its newest change, or its id. */
export function tagOf({ id, changed }: Entry): string {
  return `"${changed ?? id}"`;
}

/**
 * Leads on where what comes after a cursor was removed; `query` is what was asked for besides.
 * @throws the error, in any case.
 */
export function leadOn(error: unknown, query = ""): never {
  if (error instanceof Problem && typeof error.extra.earliest === "string") {
    error.headers.link = `<?after=${error.extra.earliest}${query}>; rel="next"`;
  }
  throw error;
}

/** Deno tells the length of what it sends; for HEAD, which sends nothing, it must be told. */
export function length(body: string | Uint8Array): Record<string, string> {
  return { "content-length": `${Buffer.byteLength(body)}` };
}

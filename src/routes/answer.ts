// Answers in JSON, as all routes but the page's and the streams' give them.
import { Buffer } from "node:buffer";
import type { Entry } from "../chat/page.ts";
import { OWN_SITE } from "../problem.ts";

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

/** Deno tells the length of what it sends; for HEAD, which sends nothing, it must be told. */
export function length(body: string | Uint8Array): Record<string, string> {
  return { "content-length": `${Buffer.byteLength(body)}` };
}

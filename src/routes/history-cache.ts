// What caches may keep. Whoever comes late reads the same pages of the past as all others; with HISTORY_MAX_AGE a cache before the
// server answers them, and the server is asked once for each page. Only what is final may be kept, or somebody would miss messages.
import type { PermitSource } from "./permit.ts";
import { etagOf, isKnown } from "./etag.ts";

/** Where routes learn what caches may keep. */
export interface HistorySource extends PermitSource {
  /** Seconds for which caches may keep what is final; none if not given. */
  readonly historyMaxAge?: number;
}

/** By the bytes: those who share a page share its tag. */
const tags = new WeakMap<Uint8Array, string>();

/**
 * Lets caches keep a final answer, of which these are the bytes. Where tokens say who may read, only the client's own may, and
 * no other than for this token: what a shared cache keeps, it gives to everybody.
 * @returns the answer, or 304 where the client has it already.
 */
export function kept(
  { historyMaxAge = 0, identities }: HistorySource,
  { headers }: Request,
  answer: Response,
  bytes: string | Uint8Array,
): Response {
  if (historyMaxAge === 0) return answer;
  const etag = answer.headers.get("etag") ?? sharedEtag(bytes);
  answer.headers.set("etag", etag);
  answer.headers.set("cache-control", `${identities ? "private" : "public"}, max-age=${historyMaxAge}`);
  if (identities) answer.headers.append("vary", "authorization");
  if (!isKnown(headers.get("if-none-match"), etag)) return answer;
  answer.headers.delete("content-length");
  return new Response(null, { status: 304, headers: answer.headers });
}

function sharedEtag(bytes: string | Uint8Array): string {
  if (typeof bytes === "string") return etagOf(bytes);
  const tag = tags.get(bytes) ?? etagOf(bytes);
  tags.set(bytes, tag);
  return tag;
}

// Entity tags (RFC 9110, 8.8.3): a client, or a cache before it, that has an answer already asks whether it is still the same.
import { createHash } from "node:crypto";

/** Longest `If-None-Match` that is read, in characters; a longer one gets the answer. */
const MAX_IF_NONE_MATCH = 1_000;

/** The tag of these bytes: of no others, whatever they once stood for. */
export function etagOf(bytes: string | Uint8Array): string {
  return `"${createHash("sha256").update(bytes).digest("base64url")}"`;
}

/** Whether `If-None-Match` has the tag (RFC 9110, 13.1.2). */
export function isKnown(header: string | null, etag: string): boolean {
  if (header === null || header.length > MAX_IF_NONE_MATCH) return false;
  return header.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag);
}

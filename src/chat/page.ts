// One answer's messages as the bytes that go out. A message is turned into JSON once, when it enters the process, and
// a page once for all readers who stand at the same place: ten thousand waiters cost one encoding.
import { Buffer } from "node:buffer";
import { timeOf } from "./cursor.ts";
import { MAX_PAGE_BYTES, type Message } from "./message.ts";

/** A stored message, ready to be sent. */
export interface Entry {
  /** Its id. */
  readonly id: string;
  /** The whole message as JSON. */
  readonly json: string;
  /** Size of `json` in bytes of UTF-8. */
  readonly bytes: number;
}

/** A run of messages, ascending. */
export interface Page {
  /** The messages as a JSON array, in UTF-8. */
  readonly body: Uint8Array<ArrayBuffer>;
  /** The id of the first message. */
  readonly first: string | undefined;
  /** The id of the last message. */
  readonly last: string | undefined;
  /** Whether it ended at a limit, so that there may be more. */
  readonly full: boolean;
}

/** Makes the entry of a message; its time is the one in its id. */
export function makeEntry(room: string, id: string, author: string | null, body: string): Entry {
  const created_at = rfc3339(timeOf(id));
  const json = JSON.stringify({ id, room, author, body, created_at } satisfies Message);
  return { id, json, bytes: Buffer.byteLength(json) };
}

let lastMs = NaN;
let lastTime = "";

/** A time as text; the one of the last call is kept, since the messages of a batch have the same. */
function rfc3339(ms: number): string {
  if (ms !== lastMs) [lastMs, lastTime] = [ms, new Date(ms).toISOString()];
  return lastTime;
}

/** How many of `entries`, from `start` on, fit one page: at most `limit`, at most `MAX_PAGE_BYTES`, at least one. */
export function fitting(entries: readonly Entry[], start: number, limit: number): number {
  const end = Math.min(entries.length, start + limit);
  let bytes = 0;
  for (let i = start; i < end; i++) {
    bytes += entries[i]!.bytes;
    if (bytes > MAX_PAGE_BYTES && i > start) return i - start;
  }
  return end - start;
}

const encoder = new TextEncoder();

/** Makes a page of these entries. */
export function makePage(entries: readonly Entry[], full: boolean): Page {
  return {
    body: encoder.encode(`[${entries.map((entry) => entry.json).join(",")}]`),
    first: entries.at(0)?.id,
    last: entries.at(-1)?.id,
    full,
  };
}

// One answer's messages as the bytes that go out. A message is turned into JSON once, when it enters the process, and
// a page once for all readers who stand at the same place: ten thousand waiters cost one encoding.
import { Buffer } from "node:buffer";
import { timeOf } from "./cursor.ts";
import { MAX_PAGE_BYTES } from "./message.ts";

/** A stored message, ready to be sent: where it stands in its room's order, or once more where its newest change stands. */
export class Entry {
  #bytes = 0;

  /** Made by {@linkcode makeEntry}. */
  constructor(
    /** The message's id. */
    readonly id: string,
    /** The whole message as JSON, as it is now. */
    readonly json: string,
    /** The place of its newest change, as a cursor. */
    readonly changed: string | null = null,
    /** Whether it was taken back; then its JSON says no more than that. */
    readonly deleted = false,
    /** Where it stands among the others: its id, or the place of its change. A cursor for who has been given it. */
    readonly cursor = id,
  ) {}

  /** Size of `json` in bytes of UTF-8; counted when it is first asked for. */
  get bytes(): number {
    return this.#bytes ||= Buffer.byteLength(this.json);
  }

  /** Whether it stands where its change does. */
  get isChange(): boolean {
    return this.cursor !== this.id;
  }

  /** The same where its change stands. */
  asChange(): Entry {
    return new Entry(this.id, this.json, this.changed, this.deleted, this.changed!);
  }

  /** The same where the message stands. */
  asMessage(): Entry {
    return new Entry(this.id, this.json, this.changed, this.deleted);
  }
}

/** A run of messages, and perhaps of changes, ascending. */
export interface Page {
  /** The messages as a JSON array, in UTF-8. */
  readonly body: Uint8Array<ArrayBuffer>;
  /** The cursor at the first of them. */
  readonly first: string | undefined;
  /** The cursor at the last of them. */
  readonly last: string | undefined;
  /** Whether it ended at a limit, so that there may be more. */
  readonly full: boolean;
}

/** What a message has besides, if it has. */
export interface Marks {
  /** Whose token posted it. */
  readonly sub?: string | null;
  /** The message that it answers. */
  readonly reply_to?: string | null;
  /** The place of its newest change, as a cursor. */
  readonly changed?: string | null;
}

/** A message as it is stored, but for its room. */
export interface Row extends Required<Marks> {
  /** Its id. */
  readonly id: string;
  /** Who says it, if told. */
  readonly author: string | null;
  /** The text; that of a deleted message is empty. */
  readonly body: string;
}

/** Makes the entry of a message; its time is the one in its id. */
export function makeEntry(
  room: string,
  id: string,
  author: string | null,
  body: string,
  { sub = null, reply_to = null, changed = null }: Marks = {},
): Entry {
  if (body === "") {
    return new Entry(id, `{"id":"${id}","room":"${room}","changed":"${changed}","deleted":true}`, changed, true);
  }
  // By hand, since it is done for every message that comes in: member by member is twice as fast as the whole object.
  const json = `{"id":"${id}","room":"${room}","author":${author === null ? "null" : JSON.stringify(author)},` +
    `"body":${JSON.stringify(body)},"created_at":"${rfc3339(timeOf(id))}"${
      sub === null ? "" : `,"sub":${JSON.stringify(sub)}`
    }${reply_to === null ? "" : `,"reply_to":"${reply_to}"`}${changed === null ? "" : `,"changed":"${changed}"`}}`;
  return new Entry(id, json, changed);
}

/** The entry of a stored message. */
export function entryOf(room: string, row: Row): Entry {
  return makeEntry(room, row.id, row.author, row.body, row);
}

let lastSecond = NaN;
let lastText = "";

/** A time as text. What it has in common with the time before, up to the second, is kept: messages come in order. */
function rfc3339(ms: number): string {
  const second = Math.floor(ms / 1000);
  if (second !== lastSecond) [lastSecond, lastText] = [second, new Date(ms).toISOString().slice(0, 20)];
  return `${lastText}${`${ms % 1000}`.padStart(3, "0")}Z`;
}

/** How many of `entries`, from `start` on, fit one page: at most `limit`, at most `most` bytes, at least one. */
export function fitting(entries: readonly Entry[], start: number, limit: number, most = MAX_PAGE_BYTES): number {
  const end = Math.min(entries.length, start + limit);
  let units = 0;
  for (let i = start; i < end; i++) units += entries[i]!.json.length;
  if (units * 3 <= most) return end - start; // UTF-8 has at most three bytes for a unit of UTF-16
  let bytes = 0;
  for (let i = start; i < end; i++) {
    bytes += entries[i]!.bytes;
    if (bytes > most && i > start) return i - start;
  }
  return end - start;
}

const encoder = new TextEncoder();

/** Makes a page of these entries. */
export function makePage(entries: readonly Entry[], full: boolean): Page {
  let json = ""; // not by join(), which takes twice as long
  for (const entry of entries) json += json === "" ? entry.json : `,${entry.json}`;
  return {
    body: encoder.encode(`[${json}]`),
    first: entries.at(0)?.cursor,
    last: entries.at(-1)?.cursor,
    full,
  };
}

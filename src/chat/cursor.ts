// Where a reader stands. A cursor is a message id: a ULID, written as a lower-case UUID everywhere inside, so that
// comparing two ids as text, as bytes or in Postgres gives the same order.
import { ulidToUUID } from "ulid";

/** The cursor before every message: "from the start". */
export const NIL = "00000000-0000-0000-0000-000000000000";

/** A cursor behind every message. */
export const END = "ffffffff-ffff-ffff-ffff-ffffffffffff";

/** The cursor word that stands for the newest message at the moment of the request. */
export const NOW = "now";

/** The latest time that an id can have, in milliseconds since 1970: the year 10889. */
export const MAX_MS = 2 ** 48 - 1;

/** The highest number that a message can have in its room. */
export const MAX_SEQ = 2 ** 40 - 1;

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/i;

/** Reads a cursor given as a UUID or as a 26-character ULID, in either case. Returns undefined for anything else. */
export function parseCursor(text: string): string | undefined {
  if (UUID.test(text)) return text.toLowerCase();
  return ULID.test(text) ? ulidToUUID(text).toLowerCase() : undefined;
}

/** Puts an id together: `ms` since 1970 (48 bit), the message's number in its room (40 bit), 10 random hex digits. */
export function makeId(ms: number, seq: number, random: string): string {
  return makePlace(ms, seq) + random;
}

/** Puts a place together: what an id begins with. */
export function makePlace(ms: number, seq: number): string {
  const time = ms.toString(16).padStart(12, "0");
  const number = seq.toString(16).padStart(10, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-${number.slice(0, 4)}-${number.slice(4, 8)}-${number.slice(8)}`;
}

/** The place of a message in its room's order: time and number. No two of a room have the same, and they compare as ids do. */
export function placeOf(id: string): string {
  return id.slice(0, 26);
}

/** The cursor behind all that stands at or before a place; for nothing, the nil cursor. */
export function cursorAt(place: string): string {
  return place === placeOf(NIL) ? NIL : `${place}ffffffffff`;
}

/** The time in an id or a place, in milliseconds since 1970. */
export function timeOf(id: string): number {
  return parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}

/** The number in an id or a place, which is the message's in its room: 1 for the first, 0 for the nil cursor. */
export function seqOf(id: string): number {
  return parseInt(id.slice(14, 18) + id.slice(19, 23) + id.slice(24, 26), 16);
}

/** Ten random hex digits: the last 40 bits of a new id. */
export function randomDigits(): string {
  return crypto.randomUUID().slice(-10); // all 48 last bits of a version 4 UUID are random
}

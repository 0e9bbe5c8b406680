// Reads what a request says beside its body. Whatever can't be meant is refused by name; nothing is clamped, but for
// Prefer, which by its RFC is a wish.
import type { Context } from "hono";
import type { z } from "zod";
import { NOW, parseCursor } from "../chat/cursor.ts";
import { isRoom, MAX_WAIT_SECONDS, Room, SearchText } from "../chat/message.ts";
import { invalid } from "../problem.ts";

/** The room that the article's routes without a room stand for. */
const LOBBY = "lobby";

/** Most parameters of a query string: there are six. More: 400. */
const MAX_PARAMETERS = 16;

/** A query string's parameters, with all the values of each. */
export type Query = Record<string, string[]>;

/**
 * The query string's parameters.
 * @internal
 * @throws {Problem} 400 for more than anybody needs.
 */
export function queryOf(c: Context): Query {
  const { url } = c.req;
  for (let at = url.indexOf("?"), count = 0; at >= 0; at = url.indexOf("&", at + 1)) {
    if (++count > MAX_PARAMETERS) throw invalid("query", `must have at most ${MAX_PARAMETERS} parameters`);
  }
  return c.req.queries();
}

/**
 * `value` as the schema has it.
 * @throws {Problem} 400 that names `parameter`, or the member of it that is wrong.
 * @internal
 */
export function valid<T extends z.ZodType>(schema: T, value: unknown, parameter: string): z.infer<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0]!;
  throw invalid(path.join(".") || parameter, message);
}

/**
 * A header as the schema has it, or undefined where it is not given; most are not, and to make a schema takes longer than all the rest.
 * @throws {Problem} 400.
 * @internal
 */
export function headerOf<T extends z.ZodType>(c: Context, name: string, schema: T): z.infer<T> | undefined {
  const value = c.req.header(name);
  return value === undefined ? undefined : valid(schema, value, name);
}

/**
 * The room that a request is about.
 * @throws {Problem} 400.
 * @internal
 */
export function roomOf(c: Context): string {
  const room = c.req.param("room") ?? LOBBY;
  return isRoom(room) ? room : valid(Room, room, "room"); // each poll comes by, and zod takes its time and memory
}

/**
 * The id of the message that a request is about.
 * @throws {Problem} 400.
 * @internal
 */
export function idOf(c: Context): string {
  const id = parseCursor(c.req.param("id")!);
  if (!id) throw invalid("id", "must be a UUID or a ULID");
  return id;
}

/**
 * A whole number from `min` to `max`, or undefined.
 * @throws {Problem} 400.
 */
export function wholeNumber(query: Query, name: string, min: number, max: number): number | undefined {
  const value = single(query, name);
  if (value === undefined) return undefined;
  const number = /^\d{1,9}$/.test(value) ? Number(value) : NaN;
  if (!(number >= min && number <= max)) throw invalid(name, `must be a whole number from ${min} to ${max}`);
  return number;
}

/**
 * A cursor as an id, or `now`, or undefined.
 * @throws {Problem} 400.
 */
export function cursor(query: Query, name: string): string | undefined {
  const value = single(query, name);
  if (value === undefined || value === NOW) return value;
  const id = parseCursor(value);
  if (!id) throw invalid(name, "must be a message id (a UUID or a ULID) or now");
  return id;
}

/**
 * Whether something is asked for.
 * @throws {Problem} 400.
 */
export function flag(query: Query, name: string): boolean {
  const value = single(query, name) ?? "false";
  if (value !== "true" && value !== "false") throw invalid(name, "must be true or false");
  return value === "true";
}

/**
 * A text to search for, or undefined.
 * @throws {Problem} 400.
 */
export function searchText(query: Query, name: string, url: string): string | undefined {
  const value = single(query, name);
  if (value === undefined) return undefined;
  try {
    decodeURIComponent(url); // what can't be decoded is left in the query as it came, where it would be searched for
  } catch {
    throw invalid(name, "must be UTF-8, percent-encoded");
  }
  return valid(SearchText, value, name);
}

/** Longest `Prefer` that is read, in characters; a longer one is a wish that nobody has. */
const MAX_PREFER = 1_000;

/** The seconds that `Prefer: wait=n` (RFC 7240) asks for, brought into range; undefined where it does not, or unreadably. */
export function preferredWait(header: string | undefined): number | undefined {
  if (header !== undefined && header.length > MAX_PREFER) return undefined;
  // Commas part preferences, but for those inside quotes; the first instance counts; parameters are not for us.
  const wait = header?.match(/(?:[^,"]|"(?:[^"\\]|\\.)*"?)+/g)
    ?.map((preference) => preference.split(";")[0]!.trim())
    .find((preference) => /^wait\s*=/i.test(preference));
  const seconds = wait?.match(/^wait\s*=\s*(?:(\d+)|"(\d+)")$/i);
  return seconds ? Math.min(Number(seconds[1] ?? seconds[2]), MAX_WAIT_SECONDS) : undefined;
}

function single(query: Query, name: string): string | undefined {
  const values = query[name];
  if (values && values.length > 1) throw invalid(name, "must be given once");
  return values?.[0];
}

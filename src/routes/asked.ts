// What a list asks for by its URL. Ten thousand who have been given the same come straight back with the same: so it is read once.
import type { Context } from "hono";
import { DEFAULT_LIMIT, MAX_LIMIT, MAX_WAIT_SECONDS } from "../chat/message.ts";
import { invalid } from "../problem.ts";
import { Remembered } from "../remembered.ts";
import { cursor, flag, queryOf, searchText, wholeNumber } from "./parameters.ts";

/** What a list asks for by its URL. */
export interface Asked {
  /** A cursor, or `now`: asks for what stands before it. */
  readonly before: string | undefined;
  /** A cursor, or `now`: asks for what comes after it. */
  readonly after: string | undefined;
  /** Most messages in the answer. */
  readonly limit: number;
  /** Seconds to wait for news. */
  readonly wait: number | undefined;
  /** Whether changes are news, too. */
  readonly changes: boolean;
  /** Searches for messages with it. */
  readonly text: string | undefined;
}

/** What was asked lately, of which room, by its URL: for as many rooms as are busy at once, and 2 MB at most. */
const lately = new Remembered<{ readonly room: string; readonly asked: Asked }>(200);

/**
 * What a list of `room` asks for.
 * @throws {Problem} 400.
 * @internal
 */
export function askedBy(c: Context, room: string): Asked {
  const { url } = c.req;
  const query = queryOf(c);
  const before = cursor(query, "before");
  const after = cursor(query, "after");
  const limit = wholeNumber(query, "limit", 1, MAX_LIMIT) ?? DEFAULT_LIMIT;
  const wait = wholeNumber(query, "wait", 0, MAX_WAIT_SECONDS);
  const changes = flag(query, "changes");
  const text = searchText(query, "q", url);
  if (text !== undefined && (after !== undefined || wait !== undefined || changes)) {
    throw invalid("q", "looks back from before, and can't be given together with after, wait or changes");
  }
  if (before !== undefined && changes) throw invalid("changes", "can't be given together with before");
  if (before !== undefined && after !== undefined) {
    throw invalid("before", "can't be given together with after");
  }
  const asked = { before, after, limit, wait, changes, text };
  if (text === undefined) lately.set(url, { room, asked }); // nobody waits in a search, and what was looked for may have to be forgotten
  return asked;
}

/** What a GET asks for that has the URL of a list lately asked for, and of which room; undefined for any other request. */
export function askedAgain({ method, url }: Request): { readonly room: string; readonly asked: Asked } | undefined {
  return method === "GET" ? lately.get(url) : undefined;
}

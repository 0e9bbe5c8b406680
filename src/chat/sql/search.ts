// The statement that looks for a text in what was said in a room. It reads messages, from the newest on, and looks at each: an index of
// their texts would slow every post, know one language, and keep words that were taken back. So what one statement looks at is bounded, in
// rows and in bytes, and whoever wants more asks again from where it has ended.
import { Buffer } from "node:buffer";
import type { PendingQuery } from "postgres";
import type { Sql } from "../../database/pool.ts";
import { MAX_PAGE_BYTES } from "../message.ts";
import type { Row } from "../page.ts";
import { ON_PRIMARY } from "./primary.ts";

/** What is looked for, and where. */
export interface Search {
  /** The room's name. */
  readonly room: string;
  /** A cursor: only messages before it. */
  readonly before: string;
  /** The text, as it is. */
  readonly text: string;
  /** Most messages to be found. */
  readonly limit: number;
  /** Whether the database has ICU, so that large and small letters are the same in all scripts. */
  readonly hasIcu: boolean;
}

/** A message at which was looked: one in which the text is, or the one with which the statement has ended. */
export interface SearchedRow extends Row {
  /** Whether the text is in it. */
  readonly found: boolean;
  /** Whether there may be more before it, which the statement has not looked at. */
  readonly ended: boolean;
}

/** Messages that one statement looks at: as many as the longest page has, so that who waits behind it waits no longer. */
export const ROWS_AT_A_TIME = 1_000;

/**
 * Bytes of a text for which one statement looks at a page's bytes. For a longer one it looks at fewer: in what repeats most of the text, each
 * place is compared with all of it.
 */
const SHORT = 20;

/**
 * Whether there is the collation of ICU for no language in particular. It knows no encoding but UTF-8.
 * @internal
 */
export function hasIcu(sql: Sql): PendingQuery<{ known: boolean }[]> {
  return sql`
    select current_setting('server_encoding') = 'UTF8' and exists (
      select from pg_collation where collname = 'und-x-icu'
    ) as known where ${sql.unsafe(ON_PRIMARY)}`;
}

/**
 * Looks for a text. The newest message comes first, and what is between is left out; with `limit` found it ends.
 * @internal
 */
export function search(sql: Sql, { room, before, text, limit, hasIcu }: Search): PendingQuery<SearchedRow[]> {
  // The same letter with a mark is one code point, or two. A message is as its keyboard has made it; most are all the one or all the other.
  const forms = [text.normalize("NFC"), text.normalize("NFD")].map(escaped);
  const bytes = Math.floor(MAX_PAGE_BYTES / Math.max(1, Buffer.byteLength(text) / SHORT));
  return sql.unsafe<SearchedRow[]>(
    hasIcu ? IN_ALL_SCRIPTS : AS_THE_DATABASE_CAN,
    [room, before, limit, bytes, ...forms],
    { prepare: true },
  );
}

/** As a part of a pattern of LIKE in which nothing has a meaning of its own. */
function escaped(text: string): string {
  return text.replace(/[\\%_]/g, "\\$&");
}

/**
 * Large and small letters as one: by way of small ones, of which some have a large one that others share (ß and ẞ, σ and ς); and i with
 * the large letters that Turkish has for it, of which İ comes back as I and a dot.
 */
function folded(text: string, collation: string): string {
  return `replace(upper(lower(${text} ${collation})), 'I\u0307', 'I')`;
}

const IN_ALL_SCRIPTS = statement('collate "und-x-icu"');
const AS_THE_DATABASE_CAN = statement("");

function statement(collation: string): string {
  const patterns = ["$5::text", "$6::text"].map((form) => `select '%' || ${folded(form, collation)} || '%'`);
  // Not `union all`: mostly both forms are the same once they are folded, and are looked for once then.
  return `
    select id, author, body, sub, reply_to, changed, found, ended from (
      select *, number = ${ROWS_AT_A_TIME} or bytes >= $4::int as ended,
        ${folded("body", collation)} like any (array(${patterns.join(" union ")})) as found
      from (
        select id, author, body, sub, reply_to, changed,
          row_number() over newest as number, sum(octet_length(body)) over newest as bytes
        from messages where room = $1 and id < $2::uuid and ${ON_PRIMARY}
        window newest as (order by id desc) order by id desc limit ${ROWS_AT_A_TIME}
      ) last
      where bytes - octet_length(body) < $4::int
    ) looked_at
    where found or ended order by id desc limit $3::int`;
}

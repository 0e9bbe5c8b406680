// The vocabulary of the wire: what a client may send, and the limits that are part of the protocol.
import { z } from "zod";
import { parseCursor } from "./cursor.ts";

/** Longest message, in UTF-8 bytes; the limit of the article that Linger grew out of. Longer: 413. */
export const MAX_BODY_BYTES = 10_000;

/** Longest author, in UTF-8 bytes: a name, not a text. Longer: 400. */
export const MAX_AUTHOR_BYTES = 100;

/** Longest `sub` of a token, in bytes of UTF-8: it goes with every message. */
export const MAX_SUB_BYTES = 100;

/**
 * Longest request body, in bytes: a message of control characters, each escaped as `\u0001`, still fits. Longer: 413.
 */
export const MAX_REQUEST_BYTES = 65_536;

/** Most messages in one answer. More asked for: 400. */
export const MAX_LIMIT = 1_000;

/** Messages in one answer when the client names no number. */
export const DEFAULT_LIMIT = 100;

/** Longest wait of a poll, in seconds: below the 60 s after which common proxies cut a silent request. More: 400. */
export const MAX_WAIT_SECONDS = 55;

/** Wait of a poll when the client names none, in seconds: the article's. */
export const DEFAULT_WAIT_SECONDS = 10;

/** Size at which an answer ends, in bytes of JSON, though never before its first message: keeps a slow client's page small. */
export const MAX_PAGE_BYTES = 1_000_000;

/** Shortest and longest text to search for, in characters (code points): one letter is nearly everywhere. Others: 400. */
const SEARCH_CHARACTERS = { min: 2, max: 100 };

/** How far ahead of everything a cursor may be, in milliseconds: clocks differ; further is a mistake, and answers 400. */
export const MAX_CURSOR_AHEAD_MS = 60_000;

const utf8 = new TextEncoder();

/**
 * Text that Postgres can hold and every reader gets back as it was sent.
 * @internal
 */
export const text = z.string()
  .refine((value) => value.isWellFormed(), "must not contain a lone surrogate (half of a UTF-16 pair)")
  .refine((value) => !value.includes("\0"), "must not contain a NUL character");

/**
 * A {@linkcode text} of at most so many bytes.
 * @internal
 */
export function textOf(maxBytes: number): typeof text {
  return text.refine((value) => utf8.encode(value).length <= maxBytes, `must be at most ${maxBytes} bytes of UTF-8`);
}

const UNRESERVED = /^[A-Za-z0-9._~-]{1,64}$/;

function isDots(name: string): boolean {
  return name === "." || name === "..";
}

/**
 * A room's name: the unreserved characters of a URL, but not `.` and `..`, which URL parsers resolve away.
 * @internal
 */
export const Room = z.string()
  .regex(UNRESERVED, "must be 1 to 64 characters of A-Z a-z 0-9 . _ ~ -")
  .refine((name) => !isDots(name), "must not be . or ..");

/** Whether {@linkcode Room} takes a name; much faster, but does not say why not. */
export function isRoom(name: string): boolean {
  return UNRESERVED.test(name) && !isDots(name);
}

/**
 * What a client makes of its message. Members it does not know are ignored.
 * @internal
 */
export const NewBody = z.object({ body: text.min(1, "must not be empty") });

/**
 * What a client posts. Members it does not know are ignored.
 * @internal
 */
export const NewMessage = z.object({
  ...NewBody.shape,
  author: textOf(MAX_AUTHOR_BYTES).nullish().transform((value) => value || null),
  reply_to: z.string()
    .transform((text, context) => {
      const id = parseCursor(text);
      if (!id) context.addIssue("must be a UUID or a ULID");
      return id ?? null;
    })
    .nullish().transform((id) => id ?? null),
});

/**
 * What a client searches for.
 * @internal
 */
export const SearchText = text.refine(
  (value) => [...value].length >= SEARCH_CHARACTERS.min && [...value].length <= SEARCH_CHARACTERS.max,
  `must be ${SEARCH_CHARACTERS.min} to ${SEARCH_CHARACTERS.max} characters`,
);

/**
 * A client's name for one post: the same key in the same room never makes a second message.
 * @internal
 */
export const IdempotencyKey = z.string().regex(
  /^[\x20-\x7e]{1,255}$/,
  "must be 1 to 255 printable ASCII characters",
);

/**
 * A client's proof that a message is its own, which nobody can guess: 22 characters of base64url are 128 bits.
 * @internal
 */
export const MessageKey = z.string().regex(
  /^[\x20-\x7e]{22,255}$/,
  "must be 22 to 255 printable ASCII characters",
);

/**
 * What a client posts: `body` is 1 to 10,000 bytes of UTF-8.
 * @internal
 */
export type NewMessage = z.infer<typeof NewMessage>;

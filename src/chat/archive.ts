// Messages as they leave a database and come into another: a line of JSON for each, with all that is stored of it, also what is never
// shown to a client. A room begins with a line that says where its head is, so that ids go on above it elsewhere.
import { z } from "zod";
import { MAX_MS, MAX_SEQ, placeOf, seqOf, timeOf } from "./cursor.ts";
import { MAX_AUTHOR_BYTES, MAX_BODY_BYTES, MAX_SUB_BYTES, Room, textOf } from "./message.ts";

/** All that is stored of a message. */
export interface StoredMessage {
  /** The room's name. */
  readonly room: string;
  /** Its id. */
  readonly id: string;
  /** The Idempotency-Key as it is stored. */
  readonly key: string | null;
  /** Who says it, if told. */
  readonly author: string | null;
  /** The text; that of a deleted message is empty. */
  readonly body: string;
  /** The place of its newest change, as a cursor. */
  readonly changed: string | null;
  /** Whose token posted it. */
  readonly sub: string | null;
  /** The digest of its Message-Key, as hex digits. */
  readonly proof: string | null;
  /** The message that it answers. */
  readonly reply_to: string | null;
}

/** Where the head of a room is. */
export interface StoredHead {
  /** The room's name. */
  readonly room: string;
  /** The number of its newest message. */
  readonly seq: number;
  /** The time of its place, in milliseconds since 1970. */
  readonly ms: number;
  /** The newest place that was removed, if one was. */
  readonly trimmed: string | null;
}

/** The columns of a message, as SQL gives them for a line. */
export const COLUMNS = "key, author, body, changed, sub, encode(proof, 'hex') as proof, reply_to";

/** The line of a message: it begins with what clients are given. */
export function lineOf(message: StoredMessage): string {
  const { room, id, author, body, sub, reply_to, changed, key, proof } = message;
  const rest = Object.entries({ sub, reply_to, changed, key, proof }).filter(([, value]) => value !== null);
  const said = body === "" ? { deleted: true } : { author, body, created_at: new Date(timeOf(id)).toISOString() };
  return JSON.stringify({ id, room, ...said, ...Object.fromEntries(rest) });
}

/** The line of a head. */
export function headLineOf({ room, ...head }: StoredHead): string {
  return JSON.stringify({ room, head });
}

const Id = z.guid().toLowerCase();

/** Longest stored key: a sub, a line feed, an Idempotency-Key. */
const MAX_KEY_BYTES = 400;

const Message = z.strictObject({
  id: Id,
  room: Room,
  author: textOf(MAX_AUTHOR_BYTES).nullish().transform((value) => value ?? null),
  body: textOf(MAX_BODY_BYTES).min(1).optional(),
  created_at: z.string().optional(),
  deleted: z.literal(true).optional(),
  key: textOf(MAX_KEY_BYTES).optional(),
  changed: Id.optional(),
  sub: textOf(MAX_SUB_BYTES).optional(),
  proof: z.hex().length(64).optional(),
  reply_to: Id.optional(),
}).superRefine(({ id, body, deleted, changed }, context) => {
  if ((body === undefined) === (deleted === undefined)) context.addIssue("must have either body or deleted");
  if (deleted && !changed) context.addIssue("is deleted, and must say when in changed");
  if (changed && placeOf(changed) <= placeOf(id)) context.addIssue("must be changed after it was posted");
});

const Head = z.strictObject({
  room: Room,
  head: z.strictObject({
    seq: z.int().nonnegative().max(MAX_SEQ),
    ms: z.int().nonnegative().max(MAX_MS),
    trimmed: Id.nullable(),
  }),
});

/**
 * Reads a line.
 * @throws with a sentence when it is none.
 */
export function parseLine(line: string): StoredMessage | StoredHead {
  const value = JSON.parse(line);
  if (value?.head !== undefined) {
    const { room, head } = valid(Head, value);
    return { room, ...head };
  }
  const { id, room, author, body = "", key = null, changed = null, sub = null, proof = null, reply_to = null } = valid(
    Message,
    value,
  );
  if (seqOf(id) === 0) throw new Error("id must have a number, 1 for the first message of a room");
  return { room, id, key, author: body === "" ? null : author, body, changed, sub, proof, reply_to };
}

function valid<T>(schema: z.ZodType<T>, value: unknown): T {
  const { success, data, error } = schema.safeParse(value);
  if (success) return data;
  const [{ path, message }] = error.issues as [z.core.$ZodIssue];
  throw new Error(`${path.join(".") || "it"} ${message}`);
}

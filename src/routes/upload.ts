// The body of a request that brings a message.
import { Buffer } from "node:buffer";
import type { Context } from "hono";
import type { z } from "zod";
import { MAX_BODY_BYTES } from "../chat/message.ts";
import { invalid, notStored, Problem, tooLarge, unsupportedMediaType } from "../problem.ts";
import { parseJson, readBody } from "./body.ts";
import { valid } from "./parameters.ts";
import type { ChatSource } from "./started.ts";

/** How bodies are taken. */
export interface UploadSource extends ChatSource {
  /** How long a request's body may take to arrive, in milliseconds. */
  readonly uploadTimeoutMs: number;
  /** Whether a server is being shut down, perhaps beside another one that goes on; none if not given. */
  readonly losesBodies?: () => boolean;
}

/**
 * The body, which must say that it is JSON.
 * @throws {Problem} 415, 413, 408; 400, or 503 from a server that shuts down, when it ends too early.
 * @internal
 */
export async function bodyOf(
  { req }: Context,
  { chat, uploadTimeoutMs, losesBodies }: UploadSource,
): Promise<Uint8Array> {
  const type = req.header("content-type") ?? "";
  if (!/^application\/json\s*(;\s*(charset\s*=\s*"?utf-8"?\s*)?)?$/i.test(type)) throw unsupportedMediaType();
  try {
    return await readBody(req.raw, uploadTimeoutMs);
  } catch (error) {
    if (error instanceof Problem) throw error;
    // A server that shuts down loses the bodies that are still on their way (denoland/deno#36809).
    const isLost = chat()?.draining || losesBodies?.();
    throw isLost ? notStored("This server is shutting down") : invalid("body", "ended too early");
  }
}

/**
 * The message in a body.
 * @throws {Problem} 400, 413.
 * @internal
 */
export function messageIn<T extends z.ZodType<{ body: string }>>(schema: T, bytes: Uint8Array): z.infer<T> {
  const message = valid(schema, parseJson(bytes), "body");
  if (Buffer.byteLength(message.body) > MAX_BODY_BYTES) throw tooLarge("The message", MAX_BODY_BYTES);
  return message;
}

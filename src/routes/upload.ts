// The body of a request that brings a message.
import type { Context } from "hono";
import { invalid, notStored, Problem, unsupportedMediaType } from "../problem.ts";
import { readBody } from "./body.ts";
import type { ChatSource } from "./started.ts";

/** How bodies are taken. */
export interface UploadSource extends ChatSource {
  /** How long a request's body may take to arrive, in milliseconds. */
  readonly uploadTimeoutMs: number;
}

/**
 * The body, which must say that it is JSON.
 * @throws {Problem} 415, 413, 408; 400, or 503 from a server that shuts down, when it ends too early.
 * @internal
 */
export async function bodyOf({ req }: Context, { chat, uploadTimeoutMs }: UploadSource): Promise<Uint8Array> {
  const type = req.header("content-type") ?? "";
  if (!/^application\/json\s*(;\s*(charset\s*=\s*"?utf-8"?\s*)?)?$/i.test(type)) throw unsupportedMediaType();
  try {
    return await readBody(req.raw, uploadTimeoutMs);
  } catch (error) {
    if (error instanceof Problem) throw error;
    // A server that shuts down loses the bodies that are still on their way (denoland/deno#36809).
    throw chat()?.draining ? notStored("This server is shutting down") : invalid("body", "ended too early");
  }
}

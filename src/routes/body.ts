// Reads a request's body, bounded in size and in time: Deno's server bounds neither.
import { Buffer } from "node:buffer";
import { MAX_REQUEST_BYTES } from "../chat/message.ts";
import { requestTimeout, tooLarge } from "../problem.ts";

/**
 * The body of `request`, which must arrive within `ms` milliseconds.
 * @throws {Problem} 413 when it is larger than `MAX_REQUEST_BYTES`, 408 when it takes too long.
 * @throws whatever Deno says of a body that ended too early.
 */
export async function readBody(request: Request, ms: number): Promise<Uint8Array> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(requestTimeout(ms)), ms);
  const reading = readWhole(request);
  reading.catch(() => {}); // it goes on, unheard, when it is late
  try {
    return await Promise.race([reading, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function readWhole(request: Request): Promise<Uint8Array> {
  const length = request.headers.get("content-length");
  if (Number(length) > MAX_REQUEST_BYTES) {
    await request.body?.cancel();
    throw tooLarge("The request", MAX_REQUEST_BYTES);
  }
  // In one piece, where the length is told: twice as fast as a stream.
  if (length !== null && !request.headers.has("transfer-encoding")) return new Uint8Array(await request.arrayBuffer());

  const chunks: Uint8Array[] = [];
  let bytes = 0;
  // Leaving the loop early cancels the body; a client that goes on sending would wait for ever otherwise.
  for await (const chunk of request.body ?? []) {
    chunks.push(chunk);
    if ((bytes += chunk.length) > MAX_REQUEST_BYTES) throw tooLarge("The request", MAX_REQUEST_BYTES);
  }
  return Buffer.concat(chunks);
}

// Reads a request's body, bounded in size, in time and in shape: Deno's server bounds none of them.
import { Buffer } from "node:buffer";
import { MAX_REQUEST_BYTES } from "../chat/message.ts";
import { invalid, requestTimeout, tooLarge } from "../problem.ts";

/** Deepest nesting of JSON: a message has 1, and what a client adds for itself some more. Deeper: 400. */
const MAX_DEPTH = 16;

/** Most pieces in which a body may come, some hundred bytes each where it is long: to read one takes time, however short it is. */
const MAX_PIECES = 500;

/** Most members and elements of JSON, of all objects and arrays together; to parse more costs more than to store a message. */
const MAX_MEMBERS = 1_000;

/** What has come of a body. */
class Upload {
  bytes = 0;
  late = false;
  #pieces: Uint8Array[] = [];

  /** In how many pieces it has come. */
  get count(): number {
    return this.#pieces.length;
  }

  /** Takes a piece; returns whether it was one, and not the end. */
  take({ value, done }: ReadableStreamReadResult<Uint8Array>): boolean {
    if (done) return false;
    this.#pieces.push(value.slice()); // what has been read of a chunked body, be it a single byte, keeps 64 kB
    this.bytes += value.length;
    return true;
  }

  /** All of it. */
  whole(): Uint8Array {
    return this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces);
  }

  /** Lets go of what has come, at once: the read that is under way ends with the next byte only, and perhaps there is none. */
  expire(): void {
    this.late = true;
    this.#pieces = [];
  }
}

/**
 * The body of `request`, which must arrive within `ms` milliseconds. What has come of one that is late is let go then; its connection is
 * closed when another byte of it comes, and not before: Deno's server has no other way (docs/deno.md).
 * @throws {Problem} 413 when it is larger than `MAX_REQUEST_BYTES`, 400 when it comes in too many pieces, 408 when it takes too long.
 * @throws whatever Deno says of a body that ended too early.
 */
export async function readBody(request: Pick<Request, "body" | "headers">, ms: number): Promise<Uint8Array> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const upload = new Upload();
  const timer = setTimeout(() => {
    upload.expire();
    reject(requestTimeout(ms));
  }, ms);
  const reading = readWhole(request, upload);
  reading.catch(() => {}); // when it is late, nobody hears what becomes of it
  try {
    return await Promise.race([reading, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function readWhole({ body, headers }: Pick<Request, "body" | "headers">, upload: Upload): Promise<Uint8Array> {
  if (Number(headers.get("content-length")) > MAX_REQUEST_BYTES) {
    await body?.cancel();
    throw tooLarge("The request", MAX_REQUEST_BYTES);
  }
  const reader = body?.getReader();
  while (reader && upload.take(await reader.read())) { // by no name, which would keep a piece until the next one has come
    const isSplit = upload.count > MAX_PIECES;
    if (upload.bytes <= MAX_REQUEST_BYTES && !isSplit && !upload.late) continue;
    // A client that goes on sending would wait for ever otherwise. Not while a read is under way: that would keep the connection open.
    await reader.cancel();
    throw isSplit
      ? invalid("body", `must come in at most ${MAX_PIECES} pieces`)
      : tooLarge("The request", MAX_REQUEST_BYTES);
  }
  return upload.whole();
}

const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * The JSON in a body.
 * @throws {Problem} 400 for what is no JSON in UTF-8, or is nested deeper or has more members than anybody needs.
 */
export function parseJson(bytes: Uint8Array): unknown {
  checkShape(bytes);
  try {
    return JSON.parse(decoder.decode(bytes));
  } catch {
    throw invalid("body", "must be JSON in UTF-8");
  }
}

/** Before it is parsed: to find out that 64 kB of brackets are no JSON takes JSON.parse 5 ms. */
function checkShape(bytes: Uint8Array): void {
  let depth = 0;
  let commas = 0;
  let inString = false;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (byte === 0x22) inString = !inString; // "
    else if (inString) {
      if (byte === 0x5c) i++; // \ and what it escapes
    } else if (byte === 0x7b || byte === 0x5b) { // { [
      if (++depth > MAX_DEPTH) throw invalid("body", `must not be nested deeper than ${MAX_DEPTH}`);
    } else if (byte === 0x7d || byte === 0x5d) depth--; // } ]
    else if (byte === 0x2c && ++commas >= MAX_MEMBERS) { // ,
      throw invalid("body", `must have at most ${MAX_MEMBERS} members and elements`);
    }
  }
}

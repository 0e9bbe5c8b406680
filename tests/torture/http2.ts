// HTTP/2 (RFC 9113) as far as a flood needs it: plain frames, and a session whose streams ask. Its fields are written out and never
// compressed (RFC 7541), so that a request is bytes that are made once, and of an answer only its status is read.
import { Buffer } from "node:buffer";

/** Types of frames. */
export const FRAME = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

/** Flags of frames. */
export const FLAG = { ack: 1, endStream: 1, endHeaders: 4 } as const;

/** The code of a stream that its client gives up. */
const CANCEL = Buffer.from([0, 0, 0, 8]);

/** Bytes of a frame's own head. */
const FRAME_HEAD = 9;

/** What both sides may send on a connection before the other says more, in bytes. */
const FIRST_WINDOW = 65_535;

/** The most that can be allowed: an attacker takes what comes, and does not count it. */
const MOST_WINDOW = 2 ** 31 - 1;

/** A frame. */
export function frame(type: number, flags: number, stream: number, payload: Uint8Array = new Uint8Array()): Buffer {
  const bytes = Buffer.alloc(FRAME_HEAD + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(stream, 5);
  bytes.set(payload, FRAME_HEAD);
  return bytes;
}

/**
 * With what a client begins. The table for compressed fields has no room, so that the server writes out each status. `window` is what it
 * takes of each answer, in bytes, before it says more.
 */
export function preface(window: number = MOST_WINDOW): Buffer {
  const settings = Buffer.alloc(12);
  settings.writeUInt16BE(1, 0); // SETTINGS_HEADER_TABLE_SIZE: 0
  settings.writeUInt16BE(4, 6); // SETTINGS_INITIAL_WINDOW_SIZE
  settings.writeUInt32BE(window, 8);
  return Buffer.concat([
    Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    frame(FRAME.settings, 0, 0, settings),
    windowUpdate(MOST_WINDOW - FIRST_WINDOW),
  ]);
}

function windowUpdate(bytes: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(bytes);
  return frame(FRAME.windowUpdate, 0, 0, payload);
}

/** Fields, written out. */
export function fieldsOf(fields: Record<string, string>): Uint8Array<ArrayBuffer> {
  const parts = Object.entries(fields).flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]);
  return new Uint8Array(Buffer.concat(parts));
}

function text(value: string): Buffer {
  let rest = value.length - 127;
  const length = [Math.min(value.length, 127)];
  if (rest >= 0) {
    for (; rest >= 128; rest = rest >> 7) length.push(rest & 127 | 128);
    length.push(rest);
  }
  return Buffer.from(String.fromCharCode(...length) + value, "latin1");
}

/** Statuses that the standard's table has, from its index 8 on. */
const KNOWN = [200, 204, 206, 304, 400, 404, 500];

/** The status in a block of fields, of which it is the first. */
function statusOf(block: Uint8Array): string {
  let at = 0;
  while (block[at]! >> 5 === 1) at++; // the table's size
  const first = block[at]!;
  if (first & 128) return `${KNOWN[(first & 127) - 8]}`;
  const bytes = block.subarray(at + 2, at + 2 + (block[at + 1]! & 127));
  if (!(block[at + 1]! & 128)) return Buffer.from(bytes).toString("latin1");
  // Digits in Huffman's code: 0 to 2 have five bits, 3 to 9 have six.
  let bits = [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  let digits = "";
  while (digits.length < 3) {
    const short = parseInt(bits.slice(0, 5), 2);
    digits += short < 3 ? short : parseInt(bits.slice(0, 6), 2) - 0b011001 + 3;
    bits = bits.slice(short < 3 ? 5 : 6);
  }
  return digits;
}

/** What was asked on a stream. */
interface Asked {
  /** When the head of its answer has come. */
  readonly begun: PromiseWithResolvers<string>;
  /** When all of it has come. */
  readonly over: PromiseWithResolvers<string>;
  status: string;
}

/** A connection whose streams ask. */
export class Session {
  readonly #asked = new Map<number, Asked>();
  #stream = 1;
  /** What may still be sent before the server says more. */
  #window = FIRST_WINDOW;
  readonly #waiting: (() => void)[] = [];
  #outgoing: Uint8Array[] = [];
  #sending = false;

  /** On a connection on which nothing was sent; it takes `window` bytes of each answer, and as many as come if that is not given. */
  constructor(private readonly connection: Deno.Conn, window?: number) {
    this.#send(preface(window));
  }

  /** Sends a request; `status` resolves when all of its answer has come, `begun` when its head has, or both to `reset`. */
  ask(
    block: Uint8Array,
    body?: Uint8Array,
  ): { readonly stream: number; readonly begun: Promise<string>; readonly status: Promise<string> } {
    const stream = this.#stream;
    this.#stream += 2;
    const asked = { begun: Promise.withResolvers<string>(), over: Promise.withResolvers<string>(), status: "" };
    this.#asked.set(stream, asked);
    this.#send(frame(FRAME.headers, FLAG.endHeaders | (body ? 0 : FLAG.endStream), stream, block));
    if (body) void this.#sendBody(stream, body);
    return { stream, begun: asked.begun.promise, status: asked.over.promise };
  }

  /** Gives a stream up. */
  reset(stream: number): void {
    this.#send(frame(FRAME.reset, 0, stream, CANCEL));
    this.#settle(stream, "reset by us");
  }

  async #sendBody(stream: number, body: Uint8Array): Promise<void> {
    while (this.#window < body.length) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#window -= body.length;
    this.#send(frame(FRAME.data, FLAG.endStream, stream, body));
  }

  #settle(stream: number, status?: string): void {
    const asked = this.#asked.get(stream);
    this.#asked.delete(stream);
    asked?.begun.resolve(status ?? asked.status);
    asked?.over.resolve(status ?? asked.status);
  }

  /** Reads what comes, until the connection is closed. Then it throws, and so do all that wait for an answer. */
  async run(): Promise<never> {
    const error = new Error("The connection was closed");
    try {
      let bytes = Buffer.alloc(0);
      const piece = new Uint8Array(65_536);
      while (true) {
        const read = await this.connection.read(piece);
        if (!read) throw error;
        bytes = Buffer.concat([bytes, piece.subarray(0, read)]);
        while (bytes.length >= FRAME_HEAD && bytes.length >= FRAME_HEAD + bytes.readUIntBE(0, 3)) {
          const end = FRAME_HEAD + bytes.readUIntBE(0, 3);
          this.#take(bytes[3]!, bytes[4]!, bytes.readUInt32BE(5), bytes.subarray(FRAME_HEAD, end));
          bytes = bytes.subarray(end);
        }
      }
    } finally {
      for (const { begun, over } of this.#asked.values()) [begun, over].forEach(({ reject }) => reject(error));
      this.#asked.clear();
    }
  }

  #take(type: number, flags: number, stream: number, payload: Buffer): void {
    const asked = this.#asked.get(stream);
    if (type === FRAME.headers && asked && !asked.status) asked.begun.resolve(asked.status = statusOf(payload));
    if (type === FRAME.reset) this.#settle(stream, "reset");
    if ((type === FRAME.headers || type === FRAME.data) && flags & FLAG.endStream) this.#settle(stream);
    if (type === FRAME.settings && !(flags & FLAG.ack)) this.#send(frame(FRAME.settings, FLAG.ack, 0));
    if (type === FRAME.ping && !(flags & FLAG.ack)) this.#send(frame(FRAME.ping, FLAG.ack, 0, payload));
    if (type === FRAME.windowUpdate && stream === 0) {
      this.#window += payload.readUInt32BE();
      for (const wake of this.#waiting.splice(0)) wake();
    }
  }

  /** Sends frames in their order; all that has gathered while the system was busy in one piece. */
  async #send(bytes: Uint8Array): Promise<void> {
    this.#outgoing.push(bytes);
    if (this.#sending) return;
    this.#sending = true;
    try {
      while (this.#outgoing.length > 0) {
        const all = Buffer.concat(this.#outgoing.splice(0));
        for (let sent = 0; sent < all.length;) sent += await this.connection.write(all.subarray(sent));
      }
    } catch { /* it is closed, which whoever reads finds out */ }
    this.#sending = false;
  }
}

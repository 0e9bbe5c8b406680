// What is said on a connection before the driver has it: PostgreSQL's messages, one after the other.
import { Buffer } from "node:buffer";
import type { Socket } from "node:net";

/** A message of the server. */
export interface Message {
  /** Its kind: one character. */
  readonly type: string;
  /** What it says. */
  readonly body: Buffer;
}

/** Nothing that is said before the first statement is longer, in bytes. */
const MAX_MESSAGE_BYTES = 100_000;

/** Reads what comes out of a socket, from the beginning until it is let go of. */
export class Conversation {
  #unread: Buffer = Buffer.alloc(0);
  #ended: Error | undefined;
  #more = Promise.withResolvers<void>();

  /** Begins to read. */
  constructor(private readonly socket: Socket) {
    socket.on("data", this.#take);
    socket.on("error", this.#end);
    socket.on("close", this.#end);
    socket.resume(); // another may have let go of it
  }

  /** Writes bytes. */
  send(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  /** The next byte. */
  async byte(): Promise<string> {
    return String.fromCharCode((await this.#read(1))[0]!);
  }

  /**
   * The next message.
   * @throws an Error with the `code` PROTOCOL when what comes is none, or with that of the socket when it ends.
   */
  async message(): Promise<Message> {
    const head = await this.#read(5);
    const length = head.readUInt32BE(1);
    if (length < 4 || length > MAX_MESSAGE_BYTES) throw protocolError();
    return { type: String.fromCharCode(head[0]!), body: await this.#read(length - 4) };
  }

  /** Leaves the socket to others; what comes from now on waits in it. Returns what is unread. */
  letGo(): Buffer {
    this.socket.pause();
    this.socket.off("data", this.#take);
    this.socket.off("error", this.#end);
    this.socket.off("close", this.#end);
    return this.#unread;
  }

  async #read(bytes: number): Promise<Buffer> {
    while (this.#unread.length < bytes) {
      if (this.#ended) throw this.#ended;
      await this.#more.promise;
    }
    const read = this.#unread.subarray(0, bytes);
    this.#unread = this.#unread.subarray(bytes);
    return read;
  }

  readonly #take = (bytes: Buffer): void => {
    this.#unread = Buffer.concat([this.#unread, bytes]);
    this.#wake();
  };

  readonly #end = (error: unknown): void => {
    this.#ended ??= error instanceof Error ? error : Object.assign(new Error("The server hung up"), { code: "CLOSED" });
    this.#wake();
  };

  #wake(): void {
    this.#more.resolve();
    this.#more = Promise.withResolvers();
  }
}

/** What is not PostgreSQL's protocol. */
export function protocolError(): Error {
  return Object.assign(new Error("This is not PostgreSQL's protocol"), { code: "PROTOCOL" });
}

/** A message of ours: its kind, and parts, of which texts end in a zero byte. The first message of all has no kind. */
export function message(type: string, ...parts: (string | Uint8Array)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => typeof part === "string" ? Buffer.from(`${part}\0`) : part));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length + 4);
  return Buffer.concat([Buffer.from(type), length, body]);
}

/** A whole number of four bytes. */
export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

// Reads answers of HTTP/1.1 off a connection, and nothing of them but the head: a client that floods a server has to be cheaper than
// the server, since they share the cores.
import { Buffer } from "node:buffer";

/** What is read at a time, in bytes: an answer without much of a body, and its head, which Deno's server keeps below. */
const PIECE_BYTES = 16_384;

const END_OF_HEAD = Buffer.from("\r\n\r\n");
const END_OF_LINE = Buffer.from("\r\n");

/** The answers on a connection, one after the other. */
export class Answers {
  readonly #bytes = Buffer.allocUnsafe(PIECE_BYTES);
  #start = 0;
  #end = 0;

  /** On `connection`, of which nothing has been read yet. */
  constructor(private readonly connection: Deno.Conn) {}

  /**
   * The status and the head of the next answer, when all of it has come. `bodyless` answers are those to HEAD.
   * @throws when the connection is closed before.
   */
  async next(bodyless = false): Promise<{ readonly status: number; readonly head: string; readonly isLast: boolean }> {
    const head = await this.#until(END_OF_HEAD);
    const status = Number(head.slice(9, 12));
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    if (!bodyless && length !== undefined) await this.#skip(Number(length));
    else if (!bodyless && /\r\ntransfer-encoding: *chunked/i.test(head)) await this.#skipChunks();
    return { status, head, isLast: /\r\nconnection: *close/i.test(head) };
  }

  async #skipChunks(): Promise<void> {
    for (let bytes = 1; bytes > 0;) {
      bytes = parseInt(await this.#until(END_OF_LINE), 16);
      await this.#skip(bytes + END_OF_LINE.length);
    }
  }

  /** What stands before `mark`, which is taken away with it. */
  async #until(mark: Buffer): Promise<string> {
    while (true) {
      const text = this.#bytes.subarray(this.#start, this.#end);
      const at = text.indexOf(mark);
      if (at >= 0) {
        this.#start += at + mark.length;
        return text.toString("latin1", 0, at);
      }
      await this.#read();
    }
  }

  async #skip(bytes: number): Promise<void> {
    while (bytes > this.#end - this.#start) {
      bytes -= this.#end - this.#start;
      this.#start = this.#end;
      await this.#read();
    }
    this.#start += bytes;
  }

  async #read(): Promise<void> {
    if (this.#start > 0) {
      this.#bytes.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    const bytes = await this.connection.read(this.#bytes.subarray(this.#end));
    if (!bytes) throw new Error("The connection was closed");
    this.#end += bytes;
  }
}

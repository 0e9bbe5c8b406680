// Lines of a text that comes in pieces. Node's readline ends a line at U+2028 too, which stands in texts as it is.
import { reasonOf } from "../reason.ts";

/** A line can't be taken. The message says which and why. */
export class LineError extends Error {
  /** `LineError`. */
  override readonly name = "LineError";
}

/**
 * The lines of a UTF-8 text, without their ends; empty ones are left out, but counted.
 * @throws {LineError} when it can't be read, is not UTF-8, or a line has more than `most` UTF-16 units.
 */
export async function* linesOf(
  bytes: ReadableStream<Uint8Array<ArrayBuffer>>,
  most: number,
): AsyncGenerator<{ line: string; number: number }, void, void> {
  let number = 0;
  let rest = "";
  try {
    for await (const piece of bytes.pipeThrough(new TextDecoderStream("utf-8", { fatal: true }))) {
      const lines = (rest + piece).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        number++;
        if (line.trim() !== "") yield { line, number };
      }
      if (rest.length > most) throw new LineError(`line ${number + 1} is longer than ${most} characters`);
    }
  } catch (error) {
    if (error instanceof LineError) throw error;
    const what = `what comes after line ${number}`;
    if (error instanceof TypeError) throw new LineError(`${what} is not UTF-8`);
    throw new LineError(`${what} can't be read: ${reasonOf(error)}`);
  }
  if (rest.trim() !== "") yield { line: rest, number: number + 1 };
}

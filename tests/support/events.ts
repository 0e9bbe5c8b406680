// A plain client of event streams for the tests: what stands in a stream, block by block, comments too, which an
// EventSource keeps to itself.
import type { Message } from "./client.ts";

/** What stands between two blank lines of a stream. */
export interface Block {
  readonly id?: string;
  readonly event?: string;
  readonly data?: string;
  readonly retry?: string;
  /** A line that begins with a colon. */
  readonly comment?: string;
}

/** Reads an event stream block by block; what is cut in the middle of one is no block. */
export async function* readBlocks(response: Response): AsyncGenerator<Block, void, void> {
  let text = "";
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    const parts = (text + chunk).split("\n\n");
    text = parts.pop()!;
    for (const part of parts) {
      yield Object.fromEntries(
        part.split("\n").map((line) => {
          const [, field, value] = line.match(/^([^:]*): ?(.*)$/s)!;
          return [field || "comment", value];
        }),
      );
    }
  }
}

/** An open event stream, and what has come of it. */
export interface Subscriber extends AsyncDisposable {
  readonly response: Response;
  /** All that came. */
  readonly blocks: readonly Block[];
  /** The messages that came. */
  readonly messages: readonly Message[];
  /** The id from which it would go on. */
  readonly lastId: string | undefined;
  /** Resolves to whether the server has ended it in an orderly way. */
  readonly ended: Promise<boolean>;
  /** Resolves when nothing of it is left. */
  leave(): Promise<void>;
}

/** Opens an event stream of a room, which must be served. `query` such as `after=now`. */
export async function subscribe(
  server: { url: string },
  room: string,
  query = "",
  headers: Record<string, string> = {},
): Promise<Subscriber> {
  const leaving = new AbortController();
  const response = await fetch(`${server.url}/rooms/${room}/events?${query}`, { headers, signal: leaving.signal });
  if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
  const blocks: Block[] = [];
  const messages: Message[] = [];
  const state = { lastId: undefined as string | undefined };
  const ended = (async () => {
    try {
      for await (const block of readBlocks(response)) {
        blocks.push(block);
        if (block.data !== undefined) messages.push(JSON.parse(block.data));
        state.lastId = block.id ?? state.lastId;
      }
      return true;
    } catch {
      return false;
    }
  })();
  const leave = async () => {
    leaving.abort();
    await ended;
  };
  return {
    response,
    blocks,
    messages,
    get lastId() {
      return state.lastId;
    },
    ended,
    leave,
    [Symbol.asyncDispose]: leave,
  };
}

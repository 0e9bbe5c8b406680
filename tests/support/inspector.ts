// Looks into the heap of a process by its inspector (`deno run --inspect`): which texts and which bytes are there that something still
// holds. Garbage is collected before.

/** A process as its inspector shows it. */
export interface Inspected extends AsyncDisposable {
  /** Where each of these stand at one moment: the texts that have these words, and the arrays of bytes. */
  find(words: readonly string[]): Promise<{ texts: string[]; bytes: string[] }[]>;
}

interface Answer {
  readonly id?: number;
  readonly params?: { readonly chunk?: string };
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

interface Remote<T = unknown> {
  readonly objectId: string;
  readonly value: T;
}

/** Runs in the process. The words come in disguise, since it would find its own text otherwise. */
const WITH_WORDS = `function (...disguised) {
  const has = (bytes, words) => {
    for (let at = bytes.indexOf(words[0]); at >= 0; at = bytes.indexOf(words[0], at + 1)) {
      if (words.every((byte, i) => byte === bytes[at + i])) return true;
    }
    return false;
  };
  return disguised.map((codes) => {
    const words = Uint8Array.from(codes, (code) => code - 1);
    return this.filter((bytes) => ArrayBuffer.isView(bytes) && has(bytes, words))
      .map((bytes) => bytes.constructor.name + " of " + bytes.length + " bytes in " + bytes.buffer.byteLength);
  });
}`;

/** Connects to the inspector that listens on a port of this machine. */
export async function inspect(port: number): Promise<Inspected> {
  const [target] = await (await fetch(`http://127.0.0.1:${port}/json/list`)).json();
  const socket = new WebSocket(target.webSocketDebuggerUrl);
  const answers = new Map<number, PromiseWithResolvers<unknown>>();
  let snapshot = "";
  socket.onmessage = ({ data }) => {
    const { id, params, result, error }: Answer = JSON.parse(data);
    if (id === undefined) snapshot += params?.chunk ?? "";
    else if (error) answers.get(id)!.reject(new Error(error.message));
    else answers.get(id)!.resolve(result);
  };
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = reject;
  });
  const send = <T>(method: string, params: Record<string, unknown> = {}): Promise<T> => {
    const id = answers.size + 1;
    const answer = Promise.withResolvers<unknown>();
    answers.set(id, answer);
    socket.send(JSON.stringify({ id, method, params }));
    return answer.promise as Promise<T>;
  };
  return {
    async find(words) {
      snapshot = "";
      await send("HeapProfiler.takeHeapSnapshot");
      const prototype = await send<{ result: Remote }>("Runtime.evaluate", { expression: "Uint8Array.prototype" });
      const { objects } = await send<{ objects: Remote }>("Runtime.queryObjects", {
        prototypeObjectId: prototype.result.objectId,
      });
      const disguised = words.map((words) => ({ value: Array.from(words, (letter) => letter.charCodeAt(0) + 1) }));
      const found = await send<{ result: Remote<string[][]> }>("Runtime.callFunctionOn", {
        objectId: objects.objectId,
        functionDeclaration: WITH_WORDS,
        arguments: disguised,
        returnByValue: true,
      });
      return words.map((words, i) => ({ texts: textsWith(words, snapshot), bytes: found.result.value[i]! }));
    },
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => socket.onclose = resolve);
      socket.close();
      await closed;
    },
  };
}

/** What stands around words wherever they are. */
function textsWith(words: string, snapshot: string): string[] {
  const texts: string[] = [];
  for (let at = snapshot.indexOf(words); at >= 0; at = snapshot.indexOf(words, at + 1)) {
    texts.push(snapshot.slice(Math.max(0, at - 50), at + 100));
  }
  return texts;
}

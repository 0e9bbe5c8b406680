// What a client does to a proxy that means harm, over connections of its own on which it says what no library would.
import { Buffer } from "node:buffer";
import { sleep, within } from "../../src/sleep.ts";
import { until } from "./client.ts";
import type { Proxy } from "./proxies.ts";

/** A connection on which TLS is spoken, and nothing else has been said. */
export async function connect({ port, cert }: Proxy, protocol: "h2" | "http/1.1"): Promise<Deno.TlsConn> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const options = { hostname: "localhost", caCerts: [cert], alpnProtocols: [protocol] };
  const secured = await Deno.startTls(connection, options);
  try {
    const { alpnProtocol } = await secured.handshake();
    if (alpnProtocol !== protocol) throw new Error(`It speaks ${alpnProtocol} and not ${protocol}`);
    return secured;
  } catch (error) {
    secured.close();
    throw error;
  }
}

/** Sends a beginning, and then a piece again and again, until it is cut off or answered; returns the answer. */
export async function trickle(proxy: Proxy, beginning: string, piece = ""): Promise<string> {
  const connection = await connect(proxy, "http/1.1");
  let over = false;
  const writing = (async () => {
    for (let text = beginning; !over; text = piece) {
      if (text) await connection.write(Buffer.from(text));
      await sleep(100);
    }
  })().catch(() => {}); // it is cut off
  let said = "";
  const reading = (async () => {
    const buffer = new Uint8Array(4_096);
    while (!said.includes("\r\n\r\n")) {
      const read = await connection.read(buffer);
      if (read === null) return;
      said += new TextDecoder().decode(buffer.subarray(0, read));
    }
  })().catch(() => {}).then(() => over = true);
  await until(() => over, "it is cut off");
  await Promise.all([reading, writing]);
  connection.close();
  return said;
}

/** A frame of HTTP/2 (RFC 9113, 4.1). */
function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

const [DATA, HEADERS, RST_STREAM, SETTINGS, PING, CONTINUATION] = [0, 1, 3, 4, 6, 9] as const;

const END_HEADERS = 0x04;
const END_OF_REQUEST = END_HEADERS | 0x01; // END_STREAM
const CANCEL = Buffer.from([0, 0, 0, 8]);
const PREFACE = Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(SETTINGS, 0, 0)]);

/** A head in HPACK (RFC 7541): method and https by their numbers, the rest by numbers of names, and values as they are. */
function head(method: 0x82 | 0x83, fields: readonly (readonly [name: readonly number[], value: string])[]): Buffer {
  return Buffer.concat([
    Buffer.from([method, 0x87]),
    ...fields.flatMap(([name, value]) => [Buffer.from([...name, value.length]), Buffer.from(value)]),
  ]);
}

const [GET, POST] = [0x82, 0x83] as const;
const [PATH, AUTHORITY, CONTENT_TYPE] = [[0x04], [0x01], [0x0f, 0x10]] as const;

/** Of a poll that waits. */
const POLL_HEAD = head(GET, [[PATH, "/messages?after=now&wait=50"], [AUTHORITY, "localhost"]]);

/** Of a post. */
const POST_HEAD = head(POST, [[PATH, "/messages"], [AUTHORITY, "localhost"], [CONTENT_TYPE, "application/json"]]);

/** What is sent over a connection of HTTP/2, piece by piece, by somebody who means harm. */
export type Flood = (turn: number) => Buffer;

/** Polls, each of which is taken back at once: a proxy that counts those that are open never has many (CVE-2023-44487). */
export function rapidResets(turn: number): Buffer {
  return Buffer.concat(
    Array.from({ length: 50 }, (_, i) => 2 * (50 * turn + i) + 1).flatMap((stream) => [
      frame(HEADERS, END_OF_REQUEST, stream, POLL_HEAD),
      frame(RST_STREAM, 0, stream, CANCEL),
    ]),
  );
}

const PINGS_AND_SETTINGS = Buffer.concat(
  Array.from({ length: 500 }, () => [frame(PING, 0, 0, Buffer.alloc(8)), frame(SETTINGS, 0, 0)]).flat(),
);

/** Frames that are cheap to send, and each of which has to be answered (CVE-2019-9512, CVE-2019-9515). */
export function pingsAndSettings(): Buffer {
  return PINGS_AND_SETTINGS;
}

const EMPTY_DATA = Buffer.concat(Array(1_000).fill(frame(DATA, 0, 1)));

/** A post whose body comes in pieces of nothing (CVE-2019-9518). */
export function emptyData(turn: number): Buffer {
  return turn === 0 ? frame(HEADERS, END_HEADERS, 1, POST_HEAD) : EMPTY_DATA;
}

const CONTINUATIONS = Buffer.concat(Array(100).fill(frame(CONTINUATION, 0, 1, Buffer.alloc(100))));

/** A head that never ends (CVE-2024-27316 and others). */
export function continuations(turn: number): Buffer {
  return turn === 0 ? frame(HEADERS, 0, 1, POST_HEAD) : CONTINUATIONS;
}

/** Pieces over one connection, of which a proxy that counts may take fewer. */
const PIECES = 100;

/** Floods a proxy until it is over; returns what that was, in words. */
export async function flood(proxy: Proxy, pieceOf: Flood, over: () => boolean): Promise<string> {
  let [pieces, connections] = [0, 0];
  while (!over()) {
    const connection = await connect(proxy, "h2").catch(() => undefined);
    await sleep(5);
    if (!connection) continue;
    // What every other connection does not read piles up at the proxy.
    const reading = connections++ % 2 ? undefined : readAll(connection);
    let [sent, stuck] = [connection.write(PREFACE), false];
    for (let turn = 0; turn < PIECES && !stuck && !over(); turn++) {
      stuck = true; // cut off, or no more is taken
      await within(sent.then(() => stuck = false), 1_000);
      await sleep(1);
      if (!stuck) pieces++, sent = connection.write(pieceOf(turn));
    }
    await within(sent, 1_000);
    connection.close();
    await reading;
  }
  if (connections === 0) throw new Error("It could not connect");
  return `${pieces} pieces on ${connections} connections`;
}

async function readAll(connection: Deno.TlsConn): Promise<void> {
  const buffer = new Uint8Array(65_536);
  while (await connection.read(buffer).catch(() => null) !== null);
}

// Brings messages of another database in, with their ids, so that cursors and links go on to hold. Only into rooms that have never been:
// ids that came later than those that readers have for a cursor, and lie below, they would miss. All of it comes at one moment, or none.
import { DatabaseError } from "../database/client.ts";
import type { Run } from "../database/transaction.ts";
import { reasonOf } from "../reason.ts";
import { parseLine, type StoredHead, type StoredMessage } from "./archive.ts";
import { seqOf, timeOf } from "./cursor.ts";
import { type HeadNumbers, MAX_AHEAD_MS } from "./sql/head.ts";
import { LineError } from "./lines.ts";

/** Messages in one statement, and UTF-16 units of their lines. */
const BATCH = { messages: 1_000, units: 1_000_000 };

/** A room that is coming in. */
interface Coming extends HeadNumbers {
  readonly last: string;
  readonly trimmed: string | null;
}

/** What has come in. */
export interface Imported {
  /** How many messages. */
  readonly messages: number;
  /** The heads of their rooms. */
  readonly heads: ReadonlyMap<string, HeadNumbers>;
}

/**
 * Imports lines in the transaction of `run`; all rooms become `into`, if that is given. `told` is called now and then with the number of
 * messages so far.
 * @throws {LineError} for a line that can't come in; nothing may come in then.
 * @internal
 */
export async function importAll(
  run: Run,
  lines: AsyncIterable<{ line: string; number: number }>,
  into: string | undefined,
  told: (messages: number) => void,
): Promise<Imported> {
  const rooms = new Map<string, Coming>();
  let messages = 0;
  const [clock] = await run((sql) =>
    sql<{ latest: string }[]>`
      select floor(extract(epoch from clock_timestamp()) * 1000)::bigint + ${MAX_AHEAD_MS.lift}::int as latest`
  );
  const latest = Number(clock!.latest);
  let batch: StoredMessage[] = [];
  let units = 0;
  const flush = async (number: number) => {
    await store(run, batch, number);
    messages += batch.length;
    told(messages);
    [batch, units] = [[], 0];
  };
  let at = 0;
  for await (const { line, number } of lines) {
    at = number;
    const read = readLine(line, number, into);
    const { room } = read;
    const known = rooms.get(room) ?? await begin(run, room, number);
    rooms.set(room, next(known, read, latest, number));
    if (!("id" in read)) continue;
    batch.push(read);
    units += line.length;
    if (batch.length === BATCH.messages || units > BATCH.units) await flush(number);
  }
  if (at === 0) throw new LineError("there is not one line in it, as where an export has failed");
  await flush(at);
  for (const [room, coming] of rooms) {
    demandNewest(room, coming);
    const { seq, ms, trimmed } = coming;
    await run((sql) => sql`update heads set seq = ${seq}, ms = ${ms}, trimmed = ${trimmed} where room = ${room}`);
  }
  return { messages, heads: rooms };
}

function readLine(line: string, number: number, into: string | undefined): StoredMessage | StoredHead {
  try {
    const read = parseLine(line);
    return into === undefined ? read : { ...read, room: into };
  } catch (error) {
    throw new LineError(`line ${number}: ${reasonOf(error)}`);
  }
}

/** Makes the head of a room, which nobody who posts can make now. */
async function begin(run: Run, room: string, number: number): Promise<Coming> {
  const { count } = await run((sql) =>
    sql`insert into heads (room, seq, ms) values (${room}, 0, 0) on conflict do nothing`
  );
  if (count === 0) {
    throw new LineError(
      `line ${number}: room ${room} has been used here already, and what comes in would lie before what its readers know: ` +
        "import it under another name, with --room",
    );
  }
  return { seq: 0, ms: 0, last: "", trimmed: null };
}

/** How far a room is with a line more. */
function next(known: Coming, read: StoredMessage | StoredHead, latest: number, number: number): Coming {
  const refuse = (sentence: string): never => {
    throw new LineError(`line ${number}: ${sentence}`);
  };
  const seq = "id" in read ? Math.max(known.seq, seqOf(read.id)) : read.seq;
  const ms = "id" in read ? Math.max(timeOf(read.id), read.changed ? timeAbove(read.changed, seq) : 0) : read.ms;
  if (ms > latest) return refuse("lies more than an hour ahead of the database's clock");
  if (!("id" in read)) {
    const { trimmed } = read;
    if (known.last) return refuse("the head of a room must stand before its messages");
    if (trimmed && timeAbove(trimmed, seq) > ms) {
      return refuse("what was removed can't be newer than the head of the room");
    }
    return { seq, ms, last: "", trimmed };
  }
  if (read.id <= known.last || known.last && seqOf(read.id) <= seqOf(known.last)) {
    return refuse(`id ${read.id} does not come after ${known.last}, the one before in room ${read.room}`);
  }
  return { ...known, seq, ms: Math.max(known.ms, ms), last: read.id };
}

/** The time from which on a head with that number is not below a place. Messages that the place counts can be missing in the file. */
function timeAbove(place: string, seq: number): number {
  return timeOf(place) + (seqOf(place) > seq ? 1 : 0);
}

/**
 * A file that was cut off at the end of a line looks whole. But the head of a room has the number of its newest message, of which there is
 * a line, unless it was removed.
 */
function demandNewest(room: string, { seq, last, trimmed }: Coming): void {
  if (seq === 0 || [last, trimmed].some((place) => place && seqOf(place) >= seq)) return;
  throw new LineError(
    `the newest message of room ${room}, number ${seq}, is missing, so the file was cut off; if it was taken away by hand, take away ` +
      "the line of the room's head, too",
  );
}

async function store(run: Run, batch: readonly StoredMessage[], number: number): Promise<void> {
  try {
    await run((sql) =>
      sql`
        insert into messages (room, id, key, author, body, changed, sub, proof, reply_to)
        select room, id, key, author, body, changed, sub, decode(proof, 'hex'), reply_to
        from json_to_recordset(${JSON.stringify(batch)}::text::json) as r (
          room text, id uuid, key text, author text, body text, changed uuid, sub text, proof text, reply_to uuid
        )`
    );
  } catch (error) {
    if (!(error instanceof DatabaseError) || !/^(22|23)/.test(error.code)) throw error;
    const { message } = error.cause as Error;
    throw new LineError(`one of the ${batch.length} messages up to line ${number}: ${message}`);
  }
}

// Clients that edit and delete what was said, and clients that follow with changes: they sleep, come back with cursors of before, and
// go to another server with each request.
import { NIL, placeOf } from "../../src/chat/cursor.ts";
import { cursorAfter, type Deletion, type Message } from "../../src/client/client.ts";
import { readBlocks } from "../support/events.ts";
import type { ChangeRecord, FollowRecord, ReadRecord, Sight } from "./change_checker.ts";
import {
  client,
  type FollowOptions,
  newTally,
  PATIENCE_MS,
  pause,
  request,
  type Tally,
  type Target,
} from "./clients.ts";
import type { Random } from "./random.ts";

/** The Message-Key of what is posted as `body`. */
export function keyOf(body: string): string {
  return `whoever has said ${body}`;
}

/** A message that can be changed. */
interface Said {
  readonly id: string;
  /** What it was posted as. */
  readonly body: string;
  /** The newest version that is known. */
  version: string;
}

/** Messages of a room that are young enough to be changed again and again. */
const SAID = 12;

/** Changes what was said in a room, on behalf of all who write there. */
export class Changer {
  #said: Said[] = [];
  #changes = 0;

  /** `share` of the calls change something, from 0 to 1. */
  constructor(
    private readonly room: string,
    private readonly share: number,
    private readonly random: Random,
    private readonly tally: Tally,
    private readonly changes: ChangeRecord[],
    private readonly reads: ReadRecord[],
  ) {}

  /** Something was said that can be changed from now on. */
  said(id: string, body: string): void {
    this.#said.push({ id, body, version: id });
    if (this.#said.length > SAID) this.#said.splice(this.random.whole(0, SAID), 1);
  }

  /** Perhaps changes something, by the first of the servers that does it, and then asks one of them for what it has. */
  async change(servers: readonly Target[]): Promise<void> {
    if (this.#said.length === 0 || this.random.next() >= this.share) return;
    const said = this.random.pick(this.#said);
    const deletes = this.random.next() < 0.2;
    const wanted = {
      room: this.room,
      id: said.id,
      body: deletes ? "" : `${said.body}, changed ${++this.#changes}`,
      known: this.random.next() < 0.5 ? said.version : undefined,
    };
    for (let i = 0;; i++) {
      const record = await this.#attempt(servers[i % servers.length]!, wanted, keyOf(said.body));
      this.changes.push(record);
      if (record.status !== 0 && record.status !== 503) {
        if (record.changed) said.version = record.changed;
        if (record.status === 204 || record.status === 410 || record.status === 404) {
          this.#said = this.#said.filter((other) => other !== said);
        }
        break;
      }
      await pause(50);
    }
    await this.#read(this.random.pick(servers), said);
  }

  async #attempt(
    server: Target,
    wanted: Pick<ChangeRecord, "room" | "id" | "body" | "known">,
    key: string,
  ): Promise<ChangeRecord> {
    const { room, id, body, known } = wanted;
    const headers = {
      "message-key": key,
      "content-type": "application/json",
      ...known && { "if-match": `"${known}"` },
    };
    const sent = performance.now();
    const result = await request(
      `${server.url}/rooms/${room}/messages/${id}`,
      body === "" ? { method: "DELETE", headers } : { method: "PATCH", headers, body: JSON.stringify({ body }) },
      0,
      this.tally,
    );
    const record = { ...wanted, sent, answered: performance.now(), status: result?.status ?? 0 };
    const { type, changed } = (result?.answer ?? {}) as { type?: string; changed?: string };
    return { ...record, ...type && { problem: type.split(":").at(-1)! }, ...changed && { changed } };
  }

  /** In one of the ways that ask the database: none of them may have what was there before. */
  async #read({ url }: Target, { id }: Said): Promise<void> {
    const asked = performance.now();
    const [name, query] = this.random.pick([
      ["a read of one", `/${id}`],
      ["a read of the newest", "?before=now&limit=100"],
      ["a read without waiting", `?after=${placeOf(id)}0000000000&wait=0&limit=10`],
    ]);
    const result = await request(`${url}/rooms/${this.room}/messages${query}`, {}, 0, this.tally);
    if (!result || result.status === 503) return;
    const at = performance.now();
    const given: Omit<Sight, "at">[] = result.status === 200
      ? [result.answer as Sight | Sight[]].flat()
      : [{ id, body: result.status === 410 ? "" : undefined }];
    this.reads.push({
      name,
      room: this.room,
      seen: given.map(({ id, body, changed }) => ({ id, body, changed, at, asked })),
    });
  }
}

/** Items in a row after which a follower may go back to a cursor of before, or sleep. */
const RESTLESS = 200;

/** What comes of one request of a follower: what it was given, ascending. */
type Items = Pick<FollowRecord, "items">["items"];

/** Follows a room with changes, each request to the next server, until `done` says that the last place of all was reached. */
export async function followChanges(
  servers: readonly Target[],
  room: string,
  name: string,
  done: (cursor: string) => boolean,
  { from = NIL, wait = 1, limit = 100, tally = newTally(), random, streams }: FollowOptions & {
    readonly random: Random;
    /** By event streams, not by polls. */
    readonly streams: boolean;
  },
): Promise<FollowRecord> {
  const items: Items[number][] = [];
  const cursor = () => items.at(-1)?.place ?? from;
  let since = 0;
  for (let i = 0; !done(cursor()); i++) {
    const { url } = servers[i % servers.length]!;
    const before = items.length;
    const take = (item: Items[number]) => {
      items.push(item);
      tally.delivered++;
    };
    if (streams) {
      const events = `${url}/rooms/${room}/events?changes=true&after=${from}`;
      await stream(events, items.at(-1)?.place, tally, take, () => done(cursor()));
    } else {
      const query = `after=${cursor()}&wait=${wait}&limit=${limit}&changes=true`;
      const asked = performance.now();
      const result = await request(`${url}/rooms/${room}/messages?${query}`, {}, wait, tally);
      if (result?.status === 200) {
        for (const item of result.answer as (Message | Deletion)[]) {
          const { id, body = "", changed }: Partial<Message> & Pick<Message, "id"> = item;
          const place = cursorAfter(cursor(), item);
          take({ id, body, changed, place, at: performance.now(), ...wait === 0 && { asked } });
        }
      }
    }
    since += items.length - before;
    if (since > RESTLESS) {
      since = 0;
      await pause(random.whole(0, 2_000));
      // What was kept with a cursor of before is what there was then.
      if (random.next() < 0.3) items.length = Math.max(0, items.length - random.whole(0, RESTLESS));
    }
    if (items.length === before) await pause(50);
  }
  return { name, room, from, items };
}

async function stream(
  url: string,
  last: string | undefined,
  tally: Tally,
  take: (item: Items[number]) => void,
  isOver: () => boolean,
): Promise<void> {
  const silence = new AbortController();
  const restart = () => setTimeout(() => silence.abort(), PATIENCE_MS);
  let patience = restart();
  tally.requests++;
  try {
    const headers: HeadersInit = last === undefined ? {} : { "last-event-id": last };
    const response = await fetch(url, { headers, signal: silence.signal, client });
    if (response.status !== 200) {
      await response.body?.cancel();
      tally.refused++;
      return;
    }
    for await (const { id, data } of readBlocks(response)) {
      clearTimeout(patience);
      patience = restart();
      if (data !== undefined) {
        const { id: of, body = "", changed } = JSON.parse(data);
        take({ id: of, body, changed, place: id!, at: performance.now() });
      }
      if (isOver()) return; // also at a sign of life
    }
  } catch {
    if (silence.signal.aborted) tally.hung++;
    else tally.unanswered++;
  } finally {
    clearTimeout(patience);
  }
}

// Writers, pollers and subscribers that talk to several servers over HTTP, and write down all that they are told.
import { NIL } from "../../src/chat/cursor.ts";
import { readBlocks } from "../support/events.ts";
import type { PollRecord, PostRecord } from "./checker.ts";

/** A server as a client knows it. */
export interface Target {
  readonly url: string;
}

/** Longest time that a request may take beyond the wait it asked for, in milliseconds; longer is a hung request. */
export const PATIENCE_MS = 15_000;

/**
 * A connection for each request. Over a kept connection that is cut, fetch sends a request again by itself, a POST too;
 * then a server rightly stores what the client believes to have posted once.
 */
export const client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });

/** Counts of what went on. */
export interface Tally {
  requests: number;
  refused: number;
  unanswered: number;
  /** Requests that took longer than any deadline of the server allows. */
  hung: number;
  delivered: number;
}

/** A tally of nothing. */
export function newTally(): Tally {
  return { requests: 0, refused: 0, unanswered: 0, hung: 0, delivered: 0 };
}

/** Sends a request; undefined when no answer came. */
export async function request(
  url: string,
  init: RequestInit,
  wait: number,
  tally: Tally,
): Promise<{ status: number; headers: Headers; answer: unknown } | undefined> {
  const signal = AbortSignal.timeout(wait * 1000 + PATIENCE_MS);
  tally.requests++;
  try {
    const response = await fetch(url, { ...init, signal, client });
    const answer = response.status === 204 ? undefined : await response.json();
    if (!response.ok) tally.refused++;
    return { status: response.status, headers: response.headers, answer };
  } catch {
    if (signal.aborted) tally.hung++;
    else tally.unanswered++;
    return undefined;
  }
}

/** Posts once, and writes down what came of it. A key makes it safe to be posted again. */
export async function recordPost(
  server: Target,
  room: string,
  body: string,
  key?: string,
  tally = newTally(),
  messageKey?: string,
): Promise<PostRecord> {
  const sent = performance.now();
  const result = await request(
    `${server.url}/rooms/${room}/messages`,
    {
      method: "POST",
      headers: {
        "content-type": "application/json",
        ...key && { "idempotency-key": key },
        ...messageKey && { "message-key": messageKey },
      },
      body: JSON.stringify({ body }),
    },
    0,
    tally,
  );
  const record = {
    room,
    body,
    key,
    server: server.url,
    sent,
    answered: performance.now(),
    status: result?.status ?? 0,
  };
  if (!result) return record;
  const answer = result.answer as { id?: string; type?: string };
  return answer.type
    ? { ...record, problem: answer.type.split(":").at(-1)! }
    : { ...record, id: answer.id!, replayed: result.headers.has("idempotency-replayed") };
}

/** Posts until it is acknowledged, as a good client does: again and again with the same key, to the next server. */
export async function postUntilStored(
  servers: readonly Target[],
  room: string,
  body: string,
  tally = newTally(),
  records: PostRecord[] = [],
  messageKey?: string,
): Promise<PostRecord[]> {
  for (let i = 0;; i++) {
    const record = await recordPost(servers[i % servers.length]!, room, body, body, tally, messageKey);
    records.push(record);
    if (record.id !== undefined) return records;
    await pause(50);
  }
}

/** A writer: posts `count` messages one after the other, each once and without a key, each to the next server. */
export async function write(
  servers: readonly Target[],
  room: string,
  name: string,
  count: number,
): Promise<PostRecord[]> {
  const records = [];
  for (let i = 0; i < count; i++) {
    records.push(await recordPost(servers[i % servers.length]!, room, `${name}-${i}`));
  }
  return records;
}

/** How a poller follows. */
export interface FollowOptions {
  /** The cursor to begin at; from the first message if not given. */
  readonly from?: string;
  /** Seconds to wait in each poll. */
  readonly wait?: number;
  /** Most messages in one answer. */
  readonly limit?: number;
  readonly tally?: Tally;
}

/**
 * A poller: follows a room, each request to the next server, until `done` says that what it has seen last was the last
 * of all.
 */
export async function follow(
  servers: readonly Target[],
  room: string,
  name: string,
  done: (cursor: string) => boolean,
  { from = NIL, wait = 1, limit = 100, tally = newTally() }: FollowOptions = {},
): Promise<PollRecord> {
  const messages: PollRecord["messages"][number][] = [];
  let cursor = from;
  for (let i = 0; !done(cursor); i++) {
    const { url } = servers[i % servers.length]!;
    const query = `after=${cursor}&wait=${wait}&limit=${limit}`;
    const asked = wait === 0 ? performance.now() : undefined;
    const result = await request(`${url}/rooms/${room}/messages?${query}`, {}, wait, tally);
    if (result?.status !== 200) {
      await pause(50);
      continue;
    }
    const at = performance.now();
    for (const { id, body, changed } of result.answer as { id: string; body: string; changed?: string }[]) {
      messages.push({ id, body, changed, at, asked });
    }
    tally.delivered += (result.answer as unknown[]).length;
    cursor = messages.at(-1)?.id ?? cursor;
  }
  return { name, room, from, messages };
}

/**
 * A subscriber: follows a room by event streams, each from the next server and each from the id of the last event, until
 * `done` says that what it has seen last was the last of all. Its servers must show signs of life often.
 */
export async function followEvents(
  servers: readonly Target[],
  room: string,
  name: string,
  done: (cursor: string) => boolean,
  { from = NIL, tally = newTally() }: Pick<FollowOptions, "from" | "tally"> = {},
): Promise<PollRecord> {
  const messages: PollRecord["messages"][number][] = [];
  let cursor = from;
  for (let i = 0; !done(cursor); i++) {
    const { url } = servers[i % servers.length]!;
    const silence = new AbortController();
    const restart = () => setTimeout(() => silence.abort(), PATIENCE_MS);
    let patience = restart();
    tally.requests++;
    try {
      const response = await fetch(`${url}/rooms/${room}/events?after=${from}`, {
        headers: cursor === from ? {} : { "last-event-id": cursor },
        signal: silence.signal,
        client,
      });
      if (response.status !== 200) {
        await response.body?.cancel();
        tally.refused++;
      } else {
        for await (const { id, data } of readBlocks(response)) {
          clearTimeout(patience);
          patience = restart();
          if (data !== undefined) {
            const { id, body, changed } = JSON.parse(data);
            messages.push({ id, body, changed, at: performance.now() });
            tally.delivered++;
          }
          cursor = id ?? cursor;
          if (done(cursor)) break;
        }
      }
    } catch {
      if (silence.signal.aborted) tally.hung++;
      else tally.unanswered++;
    } finally {
      clearTimeout(patience);
    }
    await pause(50);
  }
  return { name, room, from, messages };
}

/** Passes `ms` milliseconds. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

// A run: writers and pollers that talk to several servers over HTTP, and write down all that they are told.
import { NIL } from "../../src/chat/cursor.ts";
import type { PollRecord, PostRecord } from "./checker.ts";

interface Server {
  readonly url: string;
}

/** Posts once, and writes down what came of it. A key makes it safe to be posted again. */
export async function recordPost(server: Server, room: string, body: string, key?: string): Promise<PostRecord> {
  const sent = performance.now();
  try {
    const response = await fetch(`${server.url}/rooms/${room}/messages`, {
      method: "POST",
      headers: { "content-type": "application/json", ...key && { "idempotency-key": key } },
      body: JSON.stringify({ body }),
    });
    const answer = await response.json();
    const record = { body, sent, answered: performance.now(), status: response.status };
    return response.ok ? { ...record, id: answer.id } : { ...record, problem: answer.type?.split(":").at(-1) };
  } catch {
    return { body, sent, answered: performance.now(), status: 0 };
  }
}

/** A writer: posts `count` messages one after the other, each to the next server. */
export async function write(
  servers: readonly Server[],
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

/**
 * A poller: follows the room from its first message on, each request to the next server, until `done` says that what it
 * has seen last was the last of all.
 */
export async function follow(
  servers: readonly Server[],
  room: string,
  name: string,
  done: (cursor: string) => boolean,
  wait = 1,
): Promise<PollRecord> {
  const messages: { id: string; body: string }[] = [];
  let cursor = NIL;
  for (let i = 0; !done(cursor); i++) {
    const server = servers[i % servers.length]!;
    try {
      const response = await fetch(`${server.url}/rooms/${room}/messages?after=${cursor}&wait=${wait}`);
      const answer = await response.json();
      if (!response.ok) continue;
      for (const { id, body } of answer) messages.push({ id, body });
      cursor = messages.at(-1)?.id ?? cursor;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50)); // the server is gone; the next one may be there
    }
  }
  return { name, from: NIL, messages };
}

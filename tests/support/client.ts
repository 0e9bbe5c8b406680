// A plain HTTP client for the tests: what an API's user would write with fetch.

import type { Message } from "../../src/client/client.ts";

export type { Message };

/** Posts a message and returns the response, with its body unread. */
export function post(
  server: { url: string },
  room: string,
  message: unknown,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(`${server.url}/rooms/${room}/messages`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(message),
  });
}

/** Posts a message that must be stored. */
export async function posted(server: { url: string }, room: string, body: string): Promise<Message> {
  const response = await post(server, room, { body });
  const answer = await response.json();
  if (response.status !== 201) throw new Error(`${response.status}: ${JSON.stringify(answer)}`);
  return answer;
}

/** Reads messages that must be served. `query` such as `after=…&wait=0`. */
export async function messages(server: { url: string }, room: string, query: string): Promise<Message[]> {
  const response = await fetch(`${server.url}/rooms/${room}/messages?${query}`);
  const answer = await response.json();
  if (response.status !== 200) throw new Error(`${response.status}: ${JSON.stringify(answer)}`);
  return answer;
}

/** What a server says it holds. */
export async function health(
  server: { url: string },
): Promise<
  {
    waiters: number;
    subscribers: number;
    feeds: number;
    listening: boolean;
    open_files?: number;
    max_open_files?: number;
  }
> {
  const response = await fetch(`${server.url}/healthz`);
  return await response.json();
}

/**
 * How long a test waits for what has to come, in milliseconds, before it says that it waited in vain: many times what that
 * takes, since the machine may be slow or busy, and less than the minute after which much would come by another way.
 */
export const PATIENCE_MS = Number(Deno.env.get("TEST_PATIENCE_MS") ?? 30_000);

/**
 * How long a test waits for a change of the list of rooms, in milliseconds: that is given out for fifty times as long as it took to
 * make, which is a second on a busy machine.
 */
export const LISTED_MS = 90_000;

/** Resolves when `condition` holds; fails after `ms` milliseconds, so that a test that would hang says why. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  ms = PATIENCE_MS,
): Promise<void> {
  const deadline = Date.now() + ms;
  while (!await condition()) {
    if (Date.now() > deadline) throw new Error(`Waited ${ms} ms in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Waits for what must come at once; fails after some time, so that a test that would hang says so. */
export async function soon(promise: Promise<unknown>): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(() => late.reject(new Error("Nothing settled it")), PATIENCE_MS);
  await Promise.race([promise, late.promise]).finally(() => clearTimeout(timer));
}

/** An answer read to its end. */
export interface Answer<T> {
  readonly url: string;
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON; undefined when it is empty. */
  readonly json: T;
}

/** What an error looks like. */
export interface ProblemDetails {
  type: string;
  title: string;
  status: number;
  detail: string;
  error: string;
  parameter?: string;
  limit?: number;
}

/** Reads an answer to its end. */
export async function read<T>(response: Response | Promise<Response>): Promise<Answer<T>> {
  const received = await response;
  const { url, status, headers } = received;
  const text = await received.text();
  return { url, status, headers, text, json: text === "" ? undefined as T : JSON.parse(text) };
}

/** Gets a path of the server. */
export function get<T = Message[]>(
  server: { url: string },
  path: string,
  headers: Record<string, string> = {},
): Promise<Answer<T>> {
  return read<T>(fetch(server.url + path, { headers }));
}

/** Where an answer's `Link` of this relation leads, as a client resolves it; undefined without one. */
export function linked(answer: Answer<unknown>, relation: string): string | undefined {
  const link = answer.headers.get("link")?.match(new RegExp(`<([^>]*)>; rel="${relation}"`));
  return link ? new URL(link[1]!, answer.url).href : undefined;
}

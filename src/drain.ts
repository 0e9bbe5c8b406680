// How a server ends: it lets nobody in, answers those who wait, and finishes what is under way.
import type { Chat } from "./chat/chat.ts";
import type { Listening } from "./listen.ts";
import { within } from "./sleep.ts";

/** How long answers that are made may take to go out, in milliseconds. */
const LAST_ANSWERS_MS = 500;

/** Drains `server`; posts that are under way get `ms` milliseconds. Resolves when nothing is to be waited for any more. */
export async function drain(server: Listening, chat: Chat | undefined, ms: number): Promise<void> {
  const finished = server.shutdown(); // first: released before it, the waiters would come straight back
  chat?.drain();
  await within(finished, ms);
  await chat?.close();
  await within(finished, LAST_ANSWERS_MS);
}

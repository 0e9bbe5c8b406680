// The server answers from its first moment on, and has a chat only when its database is there.
import type { Chat } from "../chat/chat.ts";
import { unavailable } from "../problem.ts";

/** Where routes find the chat. */
export interface ChatSource {
  /** The chat; undefined until the server has started. */
  readonly chat: () => Chat | undefined;
}

/**
 * The chat.
 * @throws {Problem} 503 while the server is starting.
 */
export function started({ chat }: ChatSource): Chat {
  const running = chat();
  if (!running) throw unavailable("This server is starting");
  return running;
}

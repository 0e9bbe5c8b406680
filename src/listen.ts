// Where requests come in: the application on the port that the settings name.
import { createApp } from "./app.ts";
import type { ChatSource } from "./routes/started.ts";
import { type Config, ConfigError } from "./config.ts";

/**
 * Serves the chat that `chat` returns; as long as it returns none, requests are answered with 503. With several threads the
 * first opens the port, and the others `join` in.
 * @throws {ConfigError} when another program has the port.
 * @internal
 */
export function listen(config: Config, chat: ChatSource["chat"], join = false): Deno.HttpServer<Deno.NetAddr> {
  const { PORT: port, HOST: hostname, THREADS, UPLOAD_TIMEOUT_MS: uploadTimeoutMs, HEARTBEAT_MS: heartbeatMs } = config;
  const { fetch } = createApp({ chat, uploadTimeoutMs, heartbeatMs });
  const shared = THREADS > 1; // the kernel spreads connections over all who listen on a shared port
  try {
    // Where another program shares the port too, only a try that does not is told that it is in use.
    if (shared && !join) Deno.listen({ port, hostname }).close();
    return Deno.serve({ port, hostname, reusePort: shared, onListen: () => {} }, fetch);
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) throw new ConfigError(`PORT=${port} is in use by another program`);
    throw error;
  }
}

// Our own PostgreSQL ends by itself when its disk is full, or when somebody kills it. There is no service manager that
// would start it again, so we do: what can't be served meanwhile is refused, and all goes on when it is back.
import { join } from "node:path";
import { log } from "../log.ts";
import { sleep, unlessAborted } from "../sleep.ts";
import { type Embedded, type EmbeddedOptions, LOG, startEmbedded } from "./embedded.ts";
import { Reminder } from "../reminder.ts";

/**
 * Pause before it is started again, in milliseconds: what ended it may do so at once. It may also be the signal that ends us, which
 * service managers send to all processes, and which we hear a moment later.
 */
const PAUSE_MS = 1_000;

/**
 * Starts PostgreSQL as `startEmbedded()` does, and again whenever it ends by itself, until it is stopped. When the signal aborts, it goes
 * on for those who still need it, and is not started again.
 * @throws what `startEmbedded()` throws, at the first start.
 */
export async function keepEmbedded(
  home: string,
  options: EmbeddedOptions = {},
): Promise<Pick<Embedded, "socket" | "stop">> {
  const stopping = new AbortController();
  const { signal = stopping.signal } = options;
  const ending = AbortSignal.any([signal, stopping.signal]);
  const start = () => startEmbedded(home, { ...options, signal: ending });
  let running: Embedded | undefined = await start();
  const { socket } = running;
  const keeping = keep();
  return {
    socket,
    stop: async () => {
      stopping.abort();
      await keeping;
      await running?.stop();
    },
  };

  async function keep(): Promise<void> {
    const reminder = new Reminder();
    while (!ending.aborted) {
      if (running) await unlessAborted(running.ended, ending).catch(() => {});
      await sleep(PAUSE_MS, ending);
      if (ending.aborted) return;
      if (running) {
        await running.stop(); // gives the directory back
        running = undefined;
        // The next start begins a log of its own.
        const old = join(home, `${LOG}.1`);
        await Deno.rename(join(home, LOG), old).catch(() => {});
        log("error", `PostgreSQL has ended by itself, and is started again; see ${old}`);
      }
      try {
        running = await start();
        log("info", "PostgreSQL runs again");
      } catch (error) {
        if (ending.aborted) return;
        const [why] = `${(error as Error).message}`.split("; its log says\n");
        if (reminder.isDue(why!)) {
          log("error", `${why}, and is started again until it does; see ${join(home, LOG)}`);
        }
      }
    }
  }
}

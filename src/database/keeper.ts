// Our own PostgreSQL ends by itself when its disk is full, or when somebody kills it. There is no service manager that
// would start it again, so we do: what can't be served meanwhile is refused, and all goes on when it is back.
import { join } from "node:path";
import { log } from "../log.ts";
import { aborted, sleep, within } from "../sleep.ts";
import { type Embedded, type EmbeddedOptions, LOG, startEmbedded } from "./embedded.ts";
import { Reminder } from "../reminder.ts";

/** Pause before it is started again, in milliseconds: what ended it may do so at once. */
const PAUSE_MS = 1_000;

/** How long stopping waits for a start that is under way, in milliseconds. It ends with this process in any case. */
const LAST_MOMENT_MS = 3_000;

/**
 * Starts PostgreSQL as `startEmbedded()` does, and again whenever it ends by itself, until it is stopped.
 * @throws what `startEmbedded()` throws, at the first start.
 */
export async function keepEmbedded(
  home: string,
  options: EmbeddedOptions = {},
): Promise<Pick<Embedded, "socket" | "stop">> {
  const stopping = new AbortController();
  let running: Embedded | undefined = await startEmbedded(home, options);
  const { socket } = running;
  const keeping = keep();
  return {
    socket,
    stop: async () => {
      stopping.abort();
      await running?.stop();
      await within(keeping, LAST_MOMENT_MS);
    },
  };

  async function keep(): Promise<void> {
    const reminder = new Reminder();
    while (!stopping.signal.aborted) {
      if (running) {
        await Promise.race([running.ended, aborted(stopping.signal)]);
        if (stopping.signal.aborted) return;
        await running.stop(); // gives the directory back
        running = undefined;
        // The next start begins a log of its own.
        const old = join(home, `${LOG}.1`);
        await Deno.rename(join(home, LOG), old).catch(() => {});
        log("error", `PostgreSQL has ended by itself, and is started again; see ${old}`);
      }
      await sleep(PAUSE_MS, stopping.signal);
      if (stopping.signal.aborted) return;
      try {
        running = await startEmbedded(home, options);
        log("info", "PostgreSQL runs again");
        if (stopping.signal.aborted) await running.stop();
      } catch (error) {
        const [why] = `${(error as Error).message}`.split("; its log says\n");
        if (reminder.isDue(why!)) {
          log("error", `${why}, and is started again until it does; see ${join(home, LOG)}`);
        }
      }
    }
  }
}

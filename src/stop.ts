// When to stop: a signal from the terminal, a service manager or a platform.
import { sleep } from "./sleep.ts";

/**
 * Time after the first signal in which further ones say the same once more, in milliseconds. One key press comes several
 * times where `deno task` or `npx` passes on what the terminal has sent to all, and so does a service manager's signal to a whole
 * group; a person who insists takes longer.
 */
const SAME_MS = 1_000;

/**
 * In how many steps that time passes. To answer all who wait can take longer than all of it, and only then the same key press is heard
 * once more: after the timer that has come due meanwhile, and before the next one.
 */
const STEPS = 10;

/** The number of the signal, as Linux counts. */
const SIGHUP = 1;

/**
 * Aborts on SIGINT and SIGTERM, and on SIGHUP (its terminal is closed) unless started by `nohup`. Who asks again by one of the first
 * two a second later means it, and is obeyed at once.
 */
export function stopSignal(): AbortSignal {
  const ignoresHangUp = ignored(SIGHUP); // before the first listener changes it
  const stop = new AbortController();
  let insists = false; // who asks now
  const begin = async () => {
    if (stop.signal.aborted) return;
    stop.abort();
    for (let step = 0; step < STEPS; step++) await sleep(SAME_MS / STEPS);
    insists = true;
  };
  const obey = () => {
    if (insists) Deno.exit(130);
    begin();
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, obey);
  // Deno takes SIGHUP over with its first listener, also where it was to be ignored, and would end at once. So it is listened to
  // in any case: it stops the server as the others do, unless whoever started it wanted that to have no effect. It is never
  // insistence: it comes, too, when `npx`, having had the same signal, ends first.
  Deno.addSignalListener("SIGHUP", () => ignoresHangUp || begin());
  return stop.signal;
}

/** Whether a signal has no effect on this process, as `nohup` wants it; as far as it can be seen (see open-files.ts). */
function ignored(signal: number): boolean {
  try {
    const [, mask] = /^SigIgn:\s*([0-9a-f]+)$/m.exec(Deno.readTextFileSync("/proc/self/status"))!;
    return (BigInt(`0x${mask}`) >> BigInt(signal - 1) & 1n) === 1n;
  } catch {
    return false;
  }
}

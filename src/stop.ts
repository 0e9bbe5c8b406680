// When to stop: a signal from the terminal, a service manager or a platform.

/**
 * Time after the first signal in which further ones say the same once more, in milliseconds. One key press comes several
 * times where `deno task` or `npx` passes on what the terminal has sent to all, and so does a service manager's signal to a whole
 * group; a person who insists takes longer.
 */
const SAME_MS = 1_000;

/**
 * Aborts on SIGINT and SIGTERM, and when its terminal is closed. Who asks again a second later means it, and is obeyed at once.
 */
export function stopSignal(): AbortSignal {
  const stop = new AbortController();
  let first = Infinity;
  const obey = () => {
    if (performance.now() - first > SAME_MS) Deno.exit(130);
    if (stop.signal.aborted) return;
    first = performance.now();
    stop.abort();
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, obey);
  // Without a terminal SIGHUP may be ignored on purpose (nohup). But it must not end what has begun to stop: it comes, too, when
  // `npx`, having had the same signal, ends first.
  const catchHangUp = () => Deno.addSignalListener("SIGHUP", () => stop.abort());
  if (Deno.stdin.isTerminal()) catchHangUp();
  else stop.signal.addEventListener("abort", catchHangUp);
  return stop.signal;
}

// When to stop: a signal from the terminal, a service manager or a platform.

/** Aborts on SIGINT and SIGTERM. Who asks twice means it, and is obeyed at once. */
export function stopSignal(): AbortSignal {
  const stop = new AbortController();
  const obey = () => stop.signal.aborted ? Deno.exit(130) : stop.abort();
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, obey);
  return stop.signal;
}

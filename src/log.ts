// The log: one line per event on standard error: time, level, sentence, then what belongs to it as JSON.

/**
 * Logs what nobody has caught, and goes on. postgres.js can throw out of its own timers when a connection dies in a bad
 * moment; its statements have deadlines that see to them, and nobody else must die of it.
 */
export function surviveUncaught(): void {
  for (const type of ["error", "unhandledrejection"]) {
    addEventListener(type, (event) => {
      event.preventDefault();
      const { error, reason = error } = event as ErrorEvent & PromiseRejectionEvent;
      log("error", "Uncaught", { error: reason?.stack ?? `${reason}` });
    });
  }
}

/** Writes one line. Messages, keys and passwords don't belong into `fields`. */
export function log(
  level: "info" | "warn" | "error",
  sentence: string,
  fields?: Record<string, unknown>,
): void {
  const rest = fields ? " " + JSON.stringify(fields) : "";
  console.error(`${new Date().toISOString()} ${level} ${sentence}${rest}`);
}

/** Writes a line about what goes as it should. */
export function say(line: string): void {
  log("info", line);
}

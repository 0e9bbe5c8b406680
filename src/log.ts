// The log: one line per event on standard error: time, level, sentence, then what belongs to it as JSON.

/** Writes one line. Messages, keys and passwords don't belong into `fields`. */
export function log(
  level: "info" | "warn" | "error",
  sentence: string,
  fields?: Record<string, unknown>,
): void {
  const rest = fields ? " " + JSON.stringify(fields) : "";
  console.error(`${new Date().toISOString()} ${level} ${sentence}${rest}`);
}

// One thing that was looked at in a database, and how it was found: for an operator, in plain words.

/** One thing that was looked at. */
export interface Finding {
  /** `fault`: Linger does not work with it, or what was acknowledged can be lost. `warning`: something is worse than it could be. */
  readonly level: "ok" | "warning" | "fault";
  /** What there is, and what to do where it is not well: a sentence without a full stop, and without a password. */
  readonly sentence: string;
}

/** What is well. */
export function ok(sentence: string): Finding {
  return { level: "ok", sentence };
}

/** What will do. */
export function warning(sentence: string): Finding {
  return { level: "warning", sentence };
}

/** What won't do. */
export function fault(sentence: string): Finding {
  return { level: "fault", sentence };
}

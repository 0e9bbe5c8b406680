// What an error says, to be put into a sentence.

/** The message of an error; of anything else that was thrown, its text. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : `${error}`;
}

// What the program says to its log while something runs in this process.

/** The lines that are logged while it runs; it can look at those that there are. */
export async function logged(run: (lines: readonly string[]) => Promise<unknown>): Promise<string[]> {
  const lines: string[] = [];
  const { error } = console;
  console.error = (line: string) => lines.push(line);
  try {
    await run(lines);
  } finally {
    console.error = error;
  }
  return lines;
}

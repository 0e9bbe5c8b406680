// What the program says to its log while something runs in this process.

/** The lines that are logged while it runs. */
export async function logged(run: () => Promise<unknown>): Promise<string[]> {
  const lines: string[] = [];
  const { error } = console;
  console.error = (line: string) => lines.push(line);
  try {
    await run();
  } finally {
    console.error = error;
  }
  return lines;
}

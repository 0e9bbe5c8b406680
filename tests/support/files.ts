// Files that tests need: parts of the project in another place, and programs that a machine may not have.
import { dirname, join } from "node:path";

/** Copies a file, or a directory with all that is in it; makes the directories above it. */
export async function copyPath(from: string, to: string): Promise<void> {
  if ((await Deno.stat(from)).isFile) {
    await Deno.mkdir(dirname(to), { recursive: true });
    return await Deno.copyFile(from, to);
  }
  for await (const { name } of Deno.readDir(from)) await copyPath(join(from, name), join(to, name));
}

/** The sentence where one of these files is not there; undefined where all are. */
export function whyMissing(sentence: string, ...paths: string[]): string | undefined {
  try {
    for (const path of paths) Deno.statSync(path);
    return undefined;
  } catch {
    return sentence;
  }
}

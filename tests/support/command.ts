// Runs a command as its task in deno.json does, to its end.
import manifest from "../../deno.json" with { type: "json" };
import { projectPath } from "./postgres.ts";

/** How a command has ended. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  /** What it has logged. */
  readonly log: string;
}

/** Starts a command; `stdin` is what it can read. */
export function spawnCommand(
  name: "forget" | "export" | "import" | "token",
  args: readonly string[],
  env: Record<string, string>,
  stdin: "null" | "piped" = "null",
): Deno.ChildProcess {
  const command = manifest.tasks[name].command.replace(/^deno /, `exec "${Deno.execPath()}" `);
  return new Deno.Command("sh", {
    args: ["-c", `${command} "$@"`, "sh", ...args],
    cwd: projectPath("."),
    env,
    stdin,
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Runs a command that has nothing to read. */
export async function runCommand(...parameters: Parameters<typeof spawnCommand>): Promise<Ended> {
  const { code, stdout, stderr } = await spawnCommand(...parameters).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), log: text(stderr) };
}

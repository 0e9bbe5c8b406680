// A rival that is a program of its own, not one of Deno's.
import type { Rig } from "./rig.ts";

/** A program that runs. */
export interface Program extends AsyncDisposable {
  readonly pid: number;
}

/** Starts a program; resolves when it takes connections at `port`. What it says is thrown away. */
export async function startProgram(
  rig: Rig,
  port: number,
  [command, ...args]: [string, ...string[]],
  env: Record<string, string> = {},
): Promise<Program> {
  const child = new Deno.Command(command, { args, env, stdin: "null", stdout: "null", stderr: "null" }).spawn();
  const stop = async () => {
    try {
      child.kill("SIGTERM"); // not SIGKILL, which would leave its own processes behind
    } catch { /* it has ended already */ }
    await child.status;
  };
  try {
    for (let tries = 0; tries < 200; tries++) {
      if (await takesConnections(port)) return { pid: child.pid, [Symbol.asyncDispose]: stop };
      await rig.pause(50);
    }
    throw new Error(`${command} did not start`);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function takesConnections(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch {
    return false;
  }
}

/** A process of this name that another one has started, or starts now: the first of them. */
export async function childOf(rig: Rig, pid: number, name: string): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const children = await Deno.readTextFile(`/proc/${pid}/task/${pid}/children`);
    for (const child of children.split(" ").filter(Boolean)) {
      const called = await Deno.readTextFile(`/proc/${child}/comm`).catch(() => "");
      if (called.trim() === name) return Number(child);
    }
    await rig.pause(50);
  }
  throw new Error(`${name} did not start`);
}

// How near the limit of open files is. Each connection is one, a client's or the database's; at the limit nobody gets in.

/** Open files of a process. */
export interface OpenFiles {
  /** Files and connections that are open. */
  readonly open_files: number;
  /** How many may be. */
  readonly max_open_files: number;
}

/** How many times as long as it took to count them the number is given out: before Linux 6.2, ten thousand take a tenth of a second. */
const REST = 50;

let known: OpenFiles | undefined;
let until = -Infinity;

/**
 * The open files of this process. Undefined where it can't be told: elsewhere than on Linux, and where Deno has not been given
 * all permissions, without which it lets nobody look into /proc.
 */
export function openFiles(): OpenFiles | undefined {
  const since = performance.now();
  if (since >= until) {
    known = count();
    until = since + (REST + 1) * (performance.now() - since);
  }
  return known;
}

function count(): OpenFiles | undefined {
  try {
    // Linux tells their number as the directory's size from 6.2 on; before, it has to be counted.
    const open = Deno.statSync("/proc/self/fd").size || Array.from(Deno.readDirSync("/proc/self/fd")).length;
    const [, max] = /^Max open files\s+(\d+)/m.exec(Deno.readTextFileSync("/proc/self/limits"))!;
    return { open_files: open, max_open_files: Number(max) };
  } catch {
    return undefined;
  }
}

// A server under torture: main.ts, and beside it something that says how much memory is in use once the garbage is gone: from time to
// time, or whenever it is sent a signal, since to look at all that there is would disturb what is measured.
// What the system says of a process is no measure of a leak: it grows for minutes, with the room that V8 takes for garbage.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collect: () => void = runInNewContext("gc");
const file = Deno.env.get("MEMORY_FILE")!;
const everyMs = Deno.env.get("MEMORY_EVERY_MS");

function say(): void {
  collect();
  const { heapUsed, external } = Deno.memoryUsage();
  Deno.writeTextFileSync(file, `${Deno.pid} ${heapUsed + external}`);
}

if (everyMs !== undefined) Deno.unrefTimer(setInterval(say, Number(everyMs)));
else Deno.addSignalListener("SIGUSR2", say);

await import("../../main.ts");

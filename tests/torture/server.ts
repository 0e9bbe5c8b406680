// A server under torture: main.ts, and beside it something that says how much memory is in use once the garbage is gone.
// What the system says of a process is no measure of a leak: it grows for minutes, with the room that V8 takes for garbage.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const EVERY_MS = 5_000;

setFlagsFromString("--expose-gc");
const collect: () => void = runInNewContext("gc");
const file = Deno.env.get("MEMORY_FILE")!;

const timer = setInterval(() => {
  collect();
  const { heapUsed, external } = Deno.memoryUsage();
  Deno.writeTextFileSync(file, `${Deno.pid} ${heapUsed + external}`);
}, EVERY_MS);
Deno.unrefTimer(timer);

await import("../../main.ts");

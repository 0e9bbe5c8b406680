// How long an instance takes from its start to its first answer, beside one of the smallest program that serves with Hono. How fast a
// machine has to be, nobody can say; only how many times as long it may take.
import { Instance } from "./edge.ts";
import type { Revision } from "./revision.ts";
import { freePort } from "../support/postgres.ts";

/** The smallest program that serves with Hono. */
const HELLO = `import { Hono } from "hono";
const app = new Hono();
app.get("/", (c) => c.text("hello"));
Deno.serve({ onListen: () => {} }, app.fetch);
`;

/** Medians of milliseconds to the first answer. */
export interface ColdStart {
  /** Of the smallest program. */
  readonly hello: number;
  /** Of Linger, without its database. */
  readonly alone: number;
  /** Of Linger, from its database. */
  readonly served: number;
}

/** Starts each `times` times, in turn, after one start that does not count. */
export async function coldStart(
  revision: Revision,
  env: Record<string, string>,
  times: number,
): Promise<ColdStart> {
  const hello = await revision.write("hello.ts", HELLO);
  const elsewhere = Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("DENO_DEPLOY")));
  const starts = {
    hello: () => answered((address) => revision.serve([hello], env, address), "/"),
    // Elsewhere than on Deno Deploy it answers at once, and not when the database is there.
    alone: () => answered((address) => revision.start(elsewhere, address), "/healthz"),
    served: () => answered((address) => revision.start(env, address), "/messages?wait=0"),
  };
  const all: Record<keyof typeof starts, number[]> = { hello: [], alone: [], served: [] };
  for (let time = 0; time <= times; time++) {
    for (const name of Object.keys(starts) as (keyof typeof starts)[]) {
      const ms = await starts[name]();
      if (time > 0) all[name].push(ms);
    }
  }
  const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
  return { hello: median(all.hello), alone: median(all.alone), served: median(all.served) };
}

/** Milliseconds from the start to the first byte of an answer to `path`. */
async function answered(
  start: (address: string) => Deno.ChildProcess,
  path: string,
): Promise<number> {
  const port = freePort();
  const began = performance.now();
  const instance = new Instance(start(`tcp:127.0.0.1:${port}`), { hostname: "127.0.0.1", port });
  const connection = await instance.connect();
  await connection.write(new TextEncoder().encode(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`));
  const head = new Uint8Array(1_000);
  const read = await connection.read(head) ?? 0;
  const ms = performance.now() - began;
  connection.close();
  instance.child.kill("SIGKILL");
  await instance.ended;
  const status = new TextDecoder().decode(head.subarray(0, read)).split("\r\n")[0];
  if (!status?.includes(" 200 ")) throw new Error(`${path} was answered ${status}:\n${instance.log}`);
  return ms;
}

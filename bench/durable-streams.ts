// The reference server of the Durable Streams protocol, with long polling, in memory or on disk.
import { freePort, projectPath } from "../tests/support/postgres.ts";
import { getRequest, postRequest, streamRequest } from "./load.ts";
import { startProgram } from "./program.ts";
import { BODY, type Rig } from "./rig.ts";
import type { Server } from "./servers.ts";

/** Starts it. Its packages are fetched when it is first measured: nothing else of this project needs them. */
export async function startDurableStreams(rig: Rig, onDisk: boolean): Promise<Server> {
  const port = freePort();
  const script = projectPath("bench/rivals/durable_streams.ts");
  const data = onDisk ? await Deno.makeTempDir({ dir: rig.home, prefix: "streams-" }) : "";
  const server = await startProgram(
    rig,
    port,
    [Deno.execPath(), "run", "-A", "--quiet", "--no-config", "--no-lock", script],
    { PORT: `${port}`, DATA: data },
  );
  const { ok, body } = await fetch(`http://127.0.0.1:${port}/rooms/room0/messages`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
  });
  await body?.cancel();
  if (!ok) throw new Error("There is no stream to measure");
  return {
    port,
    pid: server.pid,
    poll: getRequest("/rooms/%room/messages?offset=now&live=long-poll"),
    stream: streamRequest("/rooms/%room/messages?offset=now&live=sse"),
    post: postRequest("/rooms/%room/messages", BODY),
    [Symbol.asyncDispose]: server[Symbol.asyncDispose],
  };
}

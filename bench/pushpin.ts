// Pushpin, a proxy that holds requests for a server behind it, which tells it what to hold (GRIP) and what is new.
import { freePort } from "../tests/support/postgres.ts";
import { getRequest, postRequest, streamRequest } from "./load.ts";
import { childOf, startProgram } from "./program.ts";
import { BODY, type Rig } from "./rig.ts";
import { type Server, startRival } from "./servers.ts";

/** Starts Pushpin and what is behind it. Its own processes share the work: the one that is measured sends the news. */
export async function startPushpin(rig: Rig): Promise<Server> {
  await using running = new AsyncDisposableStack();
  const [port, control] = [freePort(), freePort()];
  const behind = running.use(
    await startRival(rig, "bench/rivals/grip.ts", { PUBLISH: `http://127.0.0.1:${control}/publish/` }),
  );
  const directory = await Deno.makeTempDir({ dir: rig.home, prefix: "pushpin-" });
  await Promise.all(["run", "log"].map((name) => Deno.mkdir(`${directory}/${name}`)));
  await Deno.writeTextFile(`${directory}/routes`, `* 127.0.0.1:${behind.port}\n`);
  await Deno.writeTextFile(
    `${directory}/pushpin.conf`,
    `[global]
include={libdir}/internal.conf
rundir=${directory}/run
[runner]
services=condure,zurl,pushpin-proxy,pushpin-handler
http_port=127.0.0.1:${port}
logdir=${directory}/log
log_level=1
client_maxconn=${rig.files}
[proxy]
routesfile=routes
zurl_out_specs=ipc://{rundir}/{ipc_prefix}zurl-in
zurl_out_stream_specs=ipc://{rundir}/{ipc_prefix}zurl-in-stream
zurl_in_specs=ipc://{rundir}/{ipc_prefix}zurl-out
[handler]
push_in_spec=
push_in_sub_specs=
push_in_http_addr=127.0.0.1
push_in_http_port=${control}
stats_spec=
command_spec=
message_rate=0
`,
  );
  const pushpin = running.use(
    await startProgram(rig, port, [rig.programs.pushpin, `--config=${directory}/pushpin.conf`]),
  );
  const kept = running.move();
  return {
    port,
    pid: await childOf(rig, pushpin.pid, "pushpin-handler"),
    poll: getRequest("/rooms/%room/messages"),
    stream: streamRequest("/rooms/%room/events"),
    post: postRequest("/rooms/%room/messages", BODY),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

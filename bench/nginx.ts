// nginx in the foreground, with a directory of its own: before a server, or as one.
import { type Program, startProgram } from "./program.ts";
import type { Rig } from "./rig.ts";

/** Starts nginx with `http` in its section of that name, and `main` before all; resolves when it takes connections at `port`. */
export async function startNginx(rig: Rig, port: number, http: string, main = ""): Promise<Program> {
  const directory = await Deno.makeTempDir({ dir: rig.home, prefix: "nginx-" });
  const places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${directory};`);
  const config = await rig.write(`
    ${main}
    ${Deno.uid() === 0 ? "user root;" : ""}
    daemon off;
    worker_rlimit_nofile ${rig.files};
    pid ${directory}/pid;
    error_log ${directory}/error.log;
    events { worker_connections ${rig.files - 500}; }
    http {
      access_log off;
      keepalive_requests 1000000;
      ${places.join(" ")}
      ${http}
    }`);
  const command = ["-e", `${directory}/error.log`, "-c", config];
  return await startProgram(rig, port, [rig.programs.nginx, ...command]);
}

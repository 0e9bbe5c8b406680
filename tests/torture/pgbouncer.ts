// PgBouncer in transaction mode between the servers and PostgreSQL, from Debian's package of that name.
import { until } from "../support/client.ts";
import { freePort } from "../support/postgres.ts";
import { has } from "../support/proxies.ts";

/** Why there can be none on this machine; undefined where there can. */
export function whyNoPgBouncer(): string | undefined {
  return has("pgbouncer") ? undefined : "There is no PgBouncer here (apt-get install pgbouncer)";
}

/** A running PgBouncer. */
export interface PgBouncer extends AsyncDisposable {
  /** Where it listens. */
  readonly port: number;
}

/**
 * Starts PgBouncer in front of the database `linger` on `postgresPort`. After a database that was away it tries again
 * after a second; its default is 15 s, in which nothing gets through.
 */
export async function startPgBouncer(postgresPort: number): Promise<PgBouncer> {
  const home = await Deno.makeTempDir({ prefix: "linger-pgbouncer-" });
  await Deno.chmod(home, 0o755);
  const port = freePort();
  const ini = `${home}/pgbouncer.ini`;
  await Deno.writeTextFile(
    ini,
    `[databases]
linger = host=127.0.0.1 port=${postgresPort} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
max_client_conn = 500
default_pool_size = 20
server_login_retry = 1
`,
  );
  // It refuses to run as root; as nobody it needs no rights but to read its file.
  const asNobody = Deno.uid() === 0 ? ["-u", "nobody"] : [];
  const child = new Deno.Command("pgbouncer", { args: ["-q", ...asNobody, ini], stdout: "null", stderr: "null" })
    .spawn();
  await until(
    () => Deno.connect({ port }).then((connection) => (connection.close(), true), () => false),
    "PgBouncer listens",
  );
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await child.status;
      await Deno.remove(home, { recursive: true });
    },
  };
}

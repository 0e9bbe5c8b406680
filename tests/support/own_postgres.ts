// A PostgreSQL of a test's own: with rules of its own about who gets in, certificates, a standby; it can be stopped, crashed
// and started again. Tests that only need a database share one, see postgres.ts.
import { join } from "node:path";
import driver from "postgres";
import type { Embedded } from "../../src/database/embedded.ts";
import { until } from "./client.ts";
import { freePort, projectPath } from "./postgres.ts";
import { startPostgres } from "./start_postgres.ts";

/** What differs from a plain one. */
export interface OwnOptions {
  /** Server settings. */
  readonly settings?: Record<string, string>;
  /** The lines of pg_hba.conf; by default everybody gets in. */
  readonly hba?: readonly string[];
  /** Whether it speaks TLS, with the certificate in tests/fixtures, which is its own authority and that of its clients. */
  readonly tls?: boolean;
}

/** The server. */
export class OwnPostgres implements AsyncDisposable {
  readonly port: number = freePort();
  #running: Embedded | undefined;

  private constructor(
    /** Its directory, in which its socket lies. */
    readonly home: string,
    private readonly settings: Record<string, string>,
  ) {}

  /** Makes it and starts it. */
  static async start(options: OwnOptions = {}): Promise<OwnPostgres> {
    const postgres = await OwnPostgres.make(options);
    await postgres.start();
    if (options.hba) {
      await Deno.writeTextFile(join(postgres.home, "cluster/pg_hba.conf"), options.hba.join("\n") + "\n");
      await postgres.reload();
    }
    return postgres;
  }

  /** Makes it, to be started later. */
  static async make({ settings = {}, tls = false }: OwnOptions = {}): Promise<OwnPostgres> {
    const home = await Deno.makeTempDir({ prefix: "linger-own-" });
    return new OwnPostgres(home, { ...settings, ...tls ? await certificateIn(`${home}-tls`) : {} });
  }

  /** The directory with its certificate and key. */
  get tls(): string {
    return `${this.home}-tls`;
  }

  /** The URL of a database as superuser, by way of `port`. */
  url(database = "postgres", port: number = this.port): string {
    return `postgres://postgres@127.0.0.1:${port}/${database}`;
  }

  /** Starts it, unless it runs. */
  async start(): Promise<void> {
    this.#running ??= await startPostgres(this.home, {
      listen_addresses: "127.0.0.1,::1",
      port: `${this.port}`,
      ...this.settings,
    });
  }

  /** Stops it in an orderly way. */
  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    await running?.stop();
  }

  /** Ends it by SIGKILL, as when its machine is gone. */
  async kill(): Promise<void> {
    const [pid] = (await Deno.readTextFile(join(this.home, "cluster/postmaster.pid"))).split("\n");
    Deno.kill(Number(pid), "SIGKILL");
    await this.#running?.ended;
    await this.stop();
  }

  /** A copy of its directory, for which it is stopped. */
  async backup(): Promise<string> {
    await this.stop();
    const home = await Deno.makeTempDir({ prefix: "linger-own-" });
    await run("cp", "-a", `${this.home}/.`, home);
    return home;
  }

  /** Puts a backup back, which is used up by it. */
  async restore(backup: string): Promise<void> {
    await this.stop();
    await run("rm", "-r", this.home);
    await run("mv", backup, this.home);
    await this.start();
  }

  /** A standby that follows this server by way of `port`; this server is stopped for a moment to be copied. */
  async standby(port: number = this.port): Promise<OwnPostgres> {
    const home = await this.backup();
    await this.start();
    await Deno.writeTextFile(join(home, "cluster/standby.signal"), "");
    const standby = new OwnPostgres(home, {
      ...this.settings,
      primary_conninfo: `host=127.0.0.1 port=${port} user=postgres application_name=standby`,
    });
    await standby.start();
    return standby;
  }

  /** Has it read its settings and rules anew; resolves when every session that begins from now on has them. */
  async reload(): Promise<void> {
    const loaded = async () => (await this.run("select pg_conf_load_time()::text as at"))[0]!.at;
    const before = await loaded();
    await this.run("select pg_reload_conf()"); // which only asks for it
    await until(async () => await loaded() !== before, "the settings are loaded");
  }

  /** Runs statements as superuser over its socket, one after the other; returns the rows of the last. */
  run(...statements: string[]): Promise<Record<string, unknown>[]> {
    return this.runIn("postgres", ...statements);
  }

  /** The same in another database. */
  async runIn(database: string, ...statements: string[]): Promise<Record<string, unknown>[]> {
    const options = { path: join(this.home, `.s.PGSQL.${this.port}`), user: "postgres", database, max: 1 };
    const sql = driver({ ...options, fetch_types: false, onnotice: () => {} } as driver.Options<Record<string, never>>);
    try {
      let rows: Record<string, unknown>[] = [];
      for (const statement of statements) rows = [...await sql.unsafe(statement)];
      return rows;
    } finally {
      await sql.end({ timeout: 1 });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    for (const directory of [this.home, this.tls]) await Deno.remove(directory, { recursive: true }).catch(() => {});
  }
}

async function run(program: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args }).output();
  if (!success) throw new Error(`${program} ${args.join(" ")} failed: ${new TextDecoder().decode(stderr)}`);
}

/** PostgreSQL wants its key for itself; started by root, it runs as nobody. */
async function certificateIn(directory: string): Promise<Record<string, string>> {
  await Deno.mkdir(directory, { mode: 0o755 });
  const [certificate, key] = [join(directory, "tls.crt"), join(directory, "tls.key")];
  await Deno.copyFile(projectPath("tests/fixtures/tls.crt"), certificate);
  await Deno.copyFile(projectPath("tests/fixtures/tls.key"), key);
  await Deno.chmod(key, 0o600);
  if (Deno.uid() === 0) await Deno.chown(key, 65534, 65534);
  return { ssl: "on", ssl_cert_file: certificate, ssl_key_file: key, ssl_ca_file: certificate };
}

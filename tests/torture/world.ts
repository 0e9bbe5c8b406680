// What is tormented: a real PostgreSQL, several servers as processes of their own, and a bad network on both sides of
// each of them. Nothing in the product knows of it.
import { join } from "node:path";
import driver from "postgres";
import type { Embedded } from "../../src/database/embedded.ts";
import { until } from "../support/client.ts";
import { freePort } from "../support/postgres.ts";
import { type ServerProcess, spawnStarting } from "../support/server.ts";
import { startPostgres } from "../support/start_postgres.ts";
import { pause } from "./clients.ts";
import { Proxy } from "./proxy.ts";

/** Statements that the tests send to the database, past the servers. */
export type Sql = driver.Sql;

/** The time in which a database has lost what it had acknowledged, in milliseconds of this process's clock. */
export interface Loss {
  /** What was committed before that is there. */
  readonly from: number;
  /** What is committed after that stays. */
  readonly to: number;
  /** All servers serve again, from what is left. */
  over: number;
}

/** A PostgreSQL that can be stopped, crashed and started again, and replaced by a standby. */
export class Postgres implements AsyncDisposable {
  #port = freePort();
  #running: Embedded | undefined;
  /** When it has lost something. */
  readonly losses: Loss[] = [];

  private constructor(private directory: string, private mounted: boolean) {}

  /**
   * Starts it in a temporary directory, with a database `linger` in which the tests can bend the clock and the
   * notifications; on a small file system of its own if this user may mount one.
   */
  static async start(): Promise<Postgres> {
    const postgres = new Postgres(...await makeHome());
    await postgres.start();
    await postgres.admin((sql) => sql`create database linger`, "postgres");
    // A function of the tests that stands before pg_catalog on the search path is called in place of Postgres's own.
    await postgres.admin((sql) =>
      sql.unsafe(`
        alter database linger set search_path = public, tricks, pg_catalog;
        create schema tricks;
        create table tricks.state (clock interval not null, notify text not null);
        insert into tricks.state values ('0', 'pass');
        create function tricks.clock_timestamp() returns timestamptz volatile language sql as
          'select pg_catalog.clock_timestamp() + clock from tricks.state';
        create function tricks.pg_notify(channel text, payload text) returns void volatile language plpgsql as $$
          declare mode text := notify from tricks.state;
          begin
            if mode = 'drop' then return; end if;
            if mode = 'late' then perform pg_sleep(0.3); perform pg_catalog.pg_notify(channel, payload || ' '); end if;
            perform pg_catalog.pg_notify(channel, payload);
          end $$;`)
    );
    return postgres;
  }

  /** Where it listens. */
  get port(): number {
    return this.#port;
  }

  /** Its directory. */
  get home(): string {
    return this.directory;
  }

  /** Whether its disk can be filled without harm to others. */
  get smallDisk(): boolean {
    return this.mounted;
  }

  /** The URL of the database, by way of `port`. */
  url(port: number = this.port): string {
    return `postgres://postgres@127.0.0.1:${port}/linger`;
  }

  /** Starts it, unless it runs. */
  async start(): Promise<void> {
    this.#running ??= await startPostgres(this.home, settings(this.port));
  }

  /** Stops it in an orderly way. */
  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    await running?.stop();
  }

  /** Stops it as a crash would: nothing is written, it has to recover. */
  async crash(signal: "SIGQUIT" | "SIGKILL" = "SIGQUIT"): Promise<void> {
    const pid = parseInt(await Deno.readTextFile(join(this.home, "cluster", "postmaster.pid")));
    Deno.kill(pid, signal);
    await this.#running?.ended;
    await this.stop();
  }

  /** Is lost for ever, and replaced by a standby on another port that has not got what came in the last `ms` milliseconds. */
  async failOver(ms: number): Promise<void> {
    const [home, mounted] = await makeHome();
    // Where one of the steps fails, as on a machine that is too slow for it, nothing of the standby is left: it would be one more that follows.
    await using made = new AsyncDisposableStack();
    made.defer(() => removeHome({ home, mounted }));
    // What is written to the log from here on goes into a file of its own. The checkpoint of the stop then removes those before it: else each
    // failover would leave one of its own timeline, until the small disk is full.
    await this.admin((sql) => sql`select pg_switch_wal()`);
    await this.stop(); // to be copied
    await new Deno.Command("cp", { args: ["-a", `${this.home}/.`, home] }).output();
    await this.start();
    await Deno.writeTextFile(join(home, "cluster", "standby.signal"), "");
    const stream = made.use(new Proxy(() => this.port));
    const standby = { port: freePort(), home, mounted };
    const running = await startPostgres(home, {
      ...settings(standby.port),
      primary_conninfo: `host=127.0.0.1 port=${stream.port} user=postgres`,
    });
    made.defer(() => running.stop());
    const streams = () => this.admin((sql) => sql`select from pg_stat_replication where state = 'streaming'`);
    await until(async () => (await streams()).length === 1, "the standby follows");
    await pause(ms / 2);

    const from = performance.now();
    const [head] = await this.admin((sql) => sql<{ lsn: string }[]>`select pg_current_wal_lsn()::text as lsn`);
    const has = () => this.admin((sql) => sql`select from pg_stat_replication where flush_lsn >= ${head!.lsn}::pg_lsn`);
    await until(async () => (await has()).length === 1, "the standby has what was committed before");
    stream.weather = "refuse";
    await pause(ms);
    await this.crash("SIGKILL");
    const old = { home: this.home, mounted: this.mounted };
    made.move(); // the standby is to stay
    [this.#port, this.directory, this.mounted, this.#running] = [standby.port, standby.home, standby.mounted, running];
    this.losses.push({ from, to: performance.now(), over: Infinity });
    await this.admin((sql) => sql`select pg_promote()`);
    await stream[Symbol.asyncDispose]();
    await removeHome(old);
  }

  /** Sees to it that it runs: it may have given up by itself. */
  async revive(): Promise<void> {
    for (let tries = 0; tries < 20; tries++) {
      if (await this.admin((sql) => sql`select 1`).then(() => true, () => false)) return;
      await pause(250);
    }
    await this.stop();
    await this.start();
  }

  /** Runs statements on a connection of its own. */
  async admin<T>(statement: (sql: Sql) => PromiseLike<T>, database = "linger"): Promise<T> {
    const sql = driver({
      host: "127.0.0.1",
      port: this.port,
      user: "postgres",
      database,
      max: 1,
      fetch_types: false,
      connect_timeout: 10,
      onnotice: () => {},
    });
    try {
      return await statement(sql);
    } finally {
      await sql.end({ timeout: 0 });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await removeHome({ home: this.home, mounted: this.mounted });
  }
}

function settings(port: number): Record<string, string> {
  return {
    listen_addresses: "127.0.0.1",
    port: `${port}`,
    max_connections: "60",
    max_wal_size: "64MB",
    min_wal_size: "32MB",
  };
}

/** A directory, on a small file system of its own if this user may mount one; and whether that is so. */
async function makeHome(): Promise<[home: string, mounted: boolean]> {
  const home = await Deno.makeTempDir({ prefix: "linger-torture-" });
  const mount = new Deno.Command("mount", {
    args: ["-t", "tmpfs", "-o", "size=400m", "linger", home],
    stderr: "null",
  });
  return [home, await mount.output().then(({ success }) => success, () => false)];
}

async function removeHome({ home, mounted }: { home: string; mounted: boolean }): Promise<void> {
  if (mounted) await new Deno.Command("umount", { args: [home] }).output();
  await Deno.remove(home, { recursive: true });
}

/** Short, so that a subscriber soon knows a stream that is dead, and the server one that nobody reads. */
const HEARTBEAT_MS = "1000";

/** How often a server says what memory is in use. */
const MEMORY_EVERY_MS = "5000";

/** A server between two bad networks. */
export class Server implements AsyncDisposable {
  readonly #port = freePort();
  /** Where its process says what memory is in use. */
  readonly #memoryFile = Deno.makeTempFileSync({ prefix: "linger-torture-" });
  #process: ServerProcess | undefined;
  /** Between clients and the server. */
  readonly front: Proxy = new Proxy(() => this.#port);
  /** Between the server and its database. */
  readonly back: Proxy;
  /** What earlier processes of this server have logged. */
  #log = "";
  /** Whether its process has been told to end. */
  #told = false;
  readonly #ended = Promise.withResolvers<never>();

  constructor(
    readonly name: string,
    database: { readonly port: number },
    private readonly env: Record<string, string>,
  ) {
    this.back = new Proxy(() => database.port);
    this.ended.catch(() => {});
  }

  /** Where clients reach it, through its front. */
  get url(): string {
    return `http://127.0.0.1:${this.front.port}`;
  }

  /** Where it can be asked past the network. */
  get direct(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** The pid of the process that runs at the moment. */
  get pid(): number {
    return this.#process!.pid;
  }

  /** Rejects when its process ends without having been told to. */
  get ended(): Promise<never> {
    return this.#ended.promise;
  }

  /** All that it has logged. */
  get log(): string {
    return this.#log + (this.#process?.log() ?? "");
  }

  /** Starts the process; resolves when it is ready. */
  async start(): Promise<void> {
    const url = `postgres://postgres@127.0.0.1:${this.back.port}/linger`;
    const env = { PORT: `${this.#port}`, HEARTBEAT_MS, MEMORY_EVERY_MS, MEMORY_FILE: this.#memoryFile, ...this.env };
    const process = this.#process = spawnStarting(url, env, "tests/torture/server.ts");
    this.#told = false;
    process.status.then(({ code }) => {
      if (!this.#told) this.#ended.reject(new Error(`${this.name} ended by itself, with ${code}: ${process.log()}`));
    });
    await process.ready;
  }

  /**
   * Its memory in MB, as its process has said in the last seconds: what is in use, and what it has of the system.
   * @throws where the process has not said anything yet, or is not running.
   */
  memory(): { pid: number; live: number; resident: number } {
    const [pid, live] = Deno.readTextFileSync(this.#memoryFile).split(" ").map(Number);
    if (pid !== this.pid || live === undefined) throw new Error("It has not said anything yet");
    const resident = Deno.readTextFileSync(`/proc/${pid}/status`).match(/VmRSS:\s+(\d+)/)![1];
    return { pid, live: Math.round(live / 1e6), resident: Math.round(Number(resident) / 1024) };
  }

  /** Sends it a signal. */
  kill(signal: Deno.Signal): void {
    if (signal === "SIGKILL" || signal === "SIGTERM") this.#told = true;
    this.#process!.kill(signal);
  }

  /** Resolves to the exit code when the process is gone. */
  async gone(): Promise<number> {
    const process = this.#process!;
    const { code } = await process.status;
    await process[Symbol.asyncDispose]();
    this.#log += process.log();
    this.#process = undefined;
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#told = true;
    await this.#process?.[Symbol.asyncDispose]();
    await this.front[Symbol.asyncDispose]();
    await this.back[Symbol.asyncDispose]();
    await Deno.remove(this.#memoryFile);
  }
}

/** Everything that a fault can get at. */
export interface World {
  readonly postgres: Postgres;
  readonly servers: readonly Server[];
  /** Whether the servers' connections end at a pooler. */
  readonly pooled?: boolean;
}

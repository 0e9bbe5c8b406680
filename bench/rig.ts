// What all measurements share: a directory that goes away, a PostgreSQL and a compiled load of their own, and how large
// and how often they are.
import driver from "postgres";
import { randomDigits } from "../src/chat/cursor.ts";
import { migrateOnce } from "../src/database/migrate.ts";
import { type Embedded, startEmbedded } from "../src/database/embedded.ts";
import { sleep } from "../src/sleep.ts";
import { freePort, opened } from "../tests/support/postgres.ts";
import { findPrograms, type Programs } from "./programs.ts";

/** The most files that servers and load may open, where the system lets them. */
const FILES = 20_000;

/** How large and how often. */
export interface RigOptions {
  readonly rounds: number;
  /** How long statements are counted. */
  readonly minutes: number;
  /** Small sizes, to see that the rig works; the figures mean nothing. */
  readonly quick: boolean;
  /** The directory of another version, if one was given. */
  readonly against: string;
  /** Ends all measurements. */
  readonly stop: AbortSignal;
}

/** The rig. */
export class Rig implements AsyncDisposable {
  readonly url: string;
  readonly sql: driver.Sql;
  #written = 0;

  private constructor(
    readonly options: RigOptions,
    readonly programs: Programs,
    /** A directory for whatever a measurement needs. */
    readonly home: string,
    /** The directory of PostgreSQL. */
    readonly cluster: string,
    /** Files that a process may open. */
    readonly files: number,
    readonly port: number,
    private readonly embedded: Embedded,
  ) {
    this.url = `postgres://postgres@127.0.0.1:${port}/postgres`;
    this.sql = driver(this.url, { max: 1, onnotice: () => {} });
  }

  /** Sets everything up; PostgreSQL has its directory in `place`, where one is given. */
  static async start(options: RigOptions, place?: string): Promise<Rig> {
    const programs = await findPrograms();
    const hard = Number(
      (await Deno.readTextFile("/proc/self/limits")).match(/Max open files\s+\d+\s+(\d+)/)?.[1] ?? FILES,
    );
    const files = Math.min(FILES, hard);
    if (files < FILES) {
      console.error(`Only ${files} files may be open (ulimit -Hn), so there will be fewer waiters than meant`);
    }
    const home = await Deno.makeTempDir({ prefix: "linger-bench-" });
    const cluster = await Deno.makeTempDir({ dir: place ?? home, prefix: "linger-bench-" });
    try {
      await Deno.chmod(home, 0o755); // nginx and PostgreSQL run as other users when this one is root
      const port = freePort();
      const settings = {
        listen_addresses: "127.0.0.1",
        port: `${port}`,
        max_connections: "400",
        shared_buffers: "512MB",
        max_wal_size: "4GB", // no checkpoint in the middle of a measurement of seconds
      };
      const embedded = await startEmbedded(cluster, { settings });
      const rig = new Rig(options, programs, home, cluster, files, port, embedded);
      await migrateOnce(await opened(rig.url));
      await rig
        .sql`create table single_rows (id uuid primary key default gen_random_uuid(), room text not null, author text, body text not null)`;
      await rig.run(programs.gcc, ["-O2", "-o", `${home}/load`, `${import.meta.dirname}/load.c`]);
      return rig;
    } catch (error) {
      for (const directory of [cluster, home]) await Deno.remove(directory, { recursive: true }).catch(() => {});
      throw error;
    }
  }

  /** `full`, or `quick` in a quick run. */
  size<T>(full: T, quick: T): T {
    return this.options.quick ? quick : full;
  }

  /** As many waiters as meant, or as many as the files allow; some files are for other things. */
  waiters(full: number, quick: number): number {
    return Math.min(this.size(full, quick), this.files - 1_000);
  }

  /** Takes a sample of each, in turn, for as many rounds as told. What disturbs the machine then disturbs all of them. */
  async interleave<Name extends string, T>(
    takers: Record<Name, (round: number) => Promise<T>>,
    rounds = this.options.rounds,
  ): Promise<Record<Name, T[]>> {
    const names = Object.keys(takers) as Name[];
    const samples = Object.fromEntries(names.map((name) => [name, [] as T[]])) as Record<Name, T[]>;
    for (let round = 1; round <= rounds; round++) {
      for (const name of names) {
        console.error(`  round ${round} of ${rounds}: ${name}`);
        samples[name].push(await takers[name](round));
      }
    }
    return samples;
  }

  /** Writes a file of its own and returns its path. */
  async write(text: string): Promise<string> {
    const path = `${this.home}/file-${++this.#written}`;
    await Deno.writeTextFile(path, text);
    return path;
  }

  /** Runs a program to its end and returns what it printed. */
  async run(program: string, args: (string | number)[], env: Record<string, string> = {}): Promise<string> {
    const { success, stdout, stderr } = await new Deno.Command(program, {
      args: args.map(String),
      env,
      cwd: this.home,
      signal: this.options.stop,
    }).output();
    if (!success) throw new Error(`${program} ${args.join(" ")} failed: ${new TextDecoder().decode(stderr)}`);
    return new TextDecoder().decode(stdout);
  }

  /** Waits; fails when all measurements are to end. */
  async pause(ms: number): Promise<void> {
    await sleep(ms, this.options.stop);
    this.options.stop.throwIfAborted();
  }

  /** Empties the tables. */
  async clear(): Promise<void> {
    await this.sql`truncate messages, heads, single_rows`;
    await this.sql`checkpoint`;
  }

  /** Fills an empty room with messages of 100 bytes, as if they had been posted a millisecond apart until now. */
  async fill(room: string, count: number): Promise<void> {
    const ms = Date.now() - count;
    const digits = randomDigits();
    await this.sql`
      insert into messages (room, id, body)
      select ${room}, (lpad(to_hex(${ms}::bigint + seq), 12, '0') || lpad(to_hex(seq), 10, '0') || ${digits}::text)::uuid, ${BODY}
      from generate_series(1, ${count}::bigint) as seq`;
    await this.sql`insert into heads (room, seq, ms) values (${room}, ${count}, ${ms + count})`;
    await this.sql`vacuum analyze messages`;
    await this.sql`checkpoint`;
  }

  /** Ends PostgreSQL and removes the directory. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.sql.end({ timeout: 1 });
    await this.embedded.stop();
    for (const directory of [this.cluster, this.home]) await Deno.remove(directory, { recursive: true });
  }
}

/** What every post says: 100 bytes. */
export const BODY = "x".repeat(100);

/** Aborts on SIGINT and SIGTERM, so that what was started is ended. */
export function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => stop.abort(new Error(`Ended by ${signal}`)));
  }
  return stop.signal;
}

// A revision as Deno Deploy builds it, as far as its documents tell: a fresh clone, in which the commands of deno.json's `deploy` run
// word for word. Its `unstable` is taken out first, since nobody promises that the platform looks at it.
import { join } from "node:path";
import type { OwnPostgres } from "../support/own_postgres.ts";
import { copyPath } from "../support/files.ts";
import { projectPath } from "../support/postgres.ts";

/** What deno.json says to the platform. */
interface Deploy {
  readonly install: string;
  readonly predeploy: string;
  readonly runtime: { readonly entrypoint: string; readonly args: readonly string[] };
}

/** Variables of this machine without which nothing can be fetched here. */
const OF_THIS_MACHINE =
  /^(HOME|TMPDIR|.*_proxy|SSL_CERT_.*|NODE_EXTRA_CA_CERTS|DENO_CERT|DENO_TLS_CA_STORE|npm_config_registry)$/i;

/** How the platform's database is called, who asks it, and with which password. */
const APP = { database: "app-production", user: "app", password: "of the platform" };

/** A revision. */
export class Revision implements AsyncDisposable {
  readonly #directory: string;
  readonly #deploy: Deploy;

  private constructor(
    private readonly home: string,
    /** The Deno that runs it. */
    readonly deno: string,
    deploy: Deploy,
  ) {
    this.#directory = join(home, "app");
    this.#deploy = deploy;
  }

  /** Clones what is here, and runs `install`. */
  static async build(deno: string): Promise<Revision> {
    const home = await Deno.makeTempDir({ prefix: "linger-deploy-" });
    await Deno.mkdir(join(home, "bin"));
    await Deno.symlink(deno, join(home, "bin/deno"));
    await clone(join(home, "app"));
    const manifest = join(home, "app/deno.json");
    const { unstable: _, ...rest } = JSON.parse(await Deno.readTextFile(manifest));
    await Deno.writeTextFile(manifest, JSON.stringify(rest, undefined, 2));
    const revision = new Revision(home, deno, rest.deploy);
    // Older versions trust the registry of a company or of a workplace only so.
    await revision.#shell(rest.deploy.install, { DENO_TLS_CA_STORE: "system,mozilla" });
    return revision;
  }

  /** Where Unix sockets of instances lie. */
  get sockets(): string {
    return this.home;
  }

  /** The bytes that `install` has brought, and the packages. */
  async artifact(): Promise<{ bytes: number; packages: string[] }> {
    const npm = join(this.home, "cache/npm");
    const names: string[] = [];
    for await (const { name: registry, isDirectory } of Deno.readDir(npm)) {
      if (!isDirectory) continue;
      for await (const { name } of Deno.readDir(join(npm, registry))) names.push(name);
    }
    return { bytes: await sizeOf(join(this.home, "cache")), packages: names.sort() };
  }

  /** Runs `predeploy`. */
  predeploy(env: Record<string, string>): Promise<void> {
    return this.#shell(this.#deploy.predeploy, env);
  }

  /** Starts an instance. */
  start(env: Record<string, string>, address: string): Deno.ChildProcess {
    const { entrypoint, args } = this.#deploy.runtime;
    return this.serve([entrypoint, ...args], env, address);
  }

  /** Starts a program in it, as an instance is started. It may fetch nothing more: what it needs, it has. */
  serve(program: readonly string[], env: Record<string, string>, address: string): Deno.ChildProcess {
    return new Deno.Command(this.deno, {
      args: ["run", "-A", "--cached-only", ...program],
      cwd: this.#directory,
      clearEnv: true,
      env: this.#env({ ...env, DENO_SERVE_ADDRESS: address }),
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
  }

  /** Puts a file into it; returns its path there. */
  async write(name: string, text: string): Promise<string> {
    await Deno.writeTextFile(join(this.#directory, name), text);
    return `./${name}`;
  }

  async #shell(command: string, env: Record<string, string>): Promise<void> {
    const { success, stderr } = await new Deno.Command("sh", {
      args: ["-c", command],
      cwd: this.#directory,
      clearEnv: true,
      env: this.#env(env),
      stdin: "null",
    }).output();
    if (!success) throw new Error(`${command} failed:\n${new TextDecoder().decode(stderr)}`);
  }

  #env(env: Record<string, string>): Record<string, string> {
    const own = Object.entries(Deno.env.toObject()).filter(([name]) => OF_THIS_MACHINE.test(name));
    return {
      ...Object.fromEntries(own),
      PATH: `${join(this.home, "bin")}:${Deno.env.get("PATH")}`,
      DENO_DIR: join(this.home, "cache"),
      NO_COLOR: "1",
      DENO_NO_UPDATE_CHECK: "1",
      ...env,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.home, { recursive: true });
  }
}

/** The variables that an instance finds. The platform's database lets in over TLS only, and its URL does not say so. */
export async function environment(postgres: OwnPostgres): Promise<Record<string, string>> {
  const { database, user, password } = APP;
  await postgres.run(
    `drop database if exists "${database}" with (force)`,
    `drop role if exists ${user}`,
    `create role ${user} login createdb password '${password}'`,
    `create database "${database}" owner ${user} encoding 'UTF8' template template0`,
  );
  const PG = {
    PGHOST: "127.0.0.1",
    PGPORT: `${postgres.port}`,
    PGDATABASE: database,
    PGUSER: user,
    PGPASSWORD: password,
  };
  return {
    ...PG,
    DATABASE_URL: `postgres://${user}:${encodeURIComponent(password)}@127.0.0.1:${postgres.port}/${database}`,
    DENO_DEPLOY: "true",
    DENO_DEPLOY_ORG_ID: "3f0c",
    DENO_DEPLOY_ORG_SLUG: "org",
    DENO_DEPLOY_APP_ID: "9a1d",
    DENO_DEPLOY_APP_SLUG: "app",
    DENO_DEPLOY_BUILD_ID: "b7",
    DENO_DEPLOYMENT_ID: "app-b7",
    DENO_TIMELINE: "production",
    OTEL_DENO: "true",
  };
}

/** Rules of a database that lets nobody in without TLS. */
export const HOSTSSL: readonly string[] = ["local all all trust", "hostssl all all all scram-sha-256"];

/** What runs, in a copy of this project that is no clone. */
const PARTS = ["main.ts", "deno.json", "deno.lock", "src", "migrations", "tests/std"];

/** Makes what git would clone, once what is changed here is committed. */
async function clone(to: string): Promise<void> {
  const { success, stdout } = await new Deno.Command("git", {
    args: ["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
    cwd: projectPath("."),
  }).output();
  const paths = success ? new TextDecoder().decode(stdout).split("\0").filter(Boolean) : PARTS;
  for (const path of paths) {
    await copyPath(projectPath(path), join(to, path)).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // deleted, and not committed yet
    });
  }
}

async function sizeOf(path: string): Promise<number> {
  let bytes = 0;
  for await (const { name, isDirectory } of Deno.readDir(path)) {
    const inner = join(path, name);
    bytes += isDirectory ? await sizeOf(inner) : (await Deno.lstat(inner)).size;
  }
  return bytes;
}

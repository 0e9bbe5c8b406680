// The database of a PostgreSQL that Linger runs: its directory is made once, and has to fit the programs from then on.
import { basename, join } from "node:path";
import { type Account, command } from "./account.ts";
import { ADVICE, exists, type Place } from "./directory.ts";

/**
 * Creates the database in `home` with the directory `programs`, if there is none yet.
 * @throws with a sentence where it is of another version or not whole, or can't be created.
 */
export async function createCluster(
  programs: string,
  version: string,
  account: Account,
  { directory, inside }: Place,
  home: string,
  say: (line: string) => void,
): Promise<void> {
  const cluster = join(inside, "cluster");
  if (await exists(cluster)) {
    const made = await versionOf(cluster, home);
    if (made === version.split(".")[0]) return;
    throw new Error(
      `The database in ${home} was made by PostgreSQL ${made} and cannot be read by ${version}: ` +
        `move its content with pg_dump, or go back to the Linger that made it`,
    );
  }
  say(`Creating the database in ${home}`);
  const building = await Deno.makeTempDir({ dir: inside, prefix: "new-" });
  if (account.owner) await Deno.chown(building, ...account.owner);
  const path = join(directory, basename(building), "cluster");
  const args = ["-D", path, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"];
  // As for the programs: one call instead of one for each file.
  if (Deno.build.os === "linux") args.push("--sync-method=syncfs");
  let problem: string | undefined;
  try {
    const { success, stderr } = await command(account, join(programs, "bin", "initdb"), args, {
      cwd: directory,
    }).output();
    if (!success) problem = new TextDecoder().decode(stderr).trim();
  } catch (error) {
    // On a system without glibc, the file is there and still "not found".
    problem = String(error);
  }
  if (problem?.includes("could not look up effective user ID")) {
    throw new Error(`PostgreSQL runs only as a user with a name, and user ${Deno.uid()} has none: ${ADVICE}`);
  }
  if (problem !== undefined) {
    throw new Error(
      `The database in ${home} could not be created; if it cannot be helped, ${ADVICE}\n${problem}`,
    );
  }
  await Deno.rename(join(building, "cluster"), cluster);
  await Deno.remove(building);
  // The server makes its files durable, but the cluster's own name is our business.
  using parent = await Deno.open(inside);
  await parent.sync();
}

async function versionOf(cluster: string, home: string): Promise<string> {
  try {
    const version = (await Deno.readTextFile(join(cluster, "PG_VERSION"))).trim();
    if (/^[\d.]+$/.test(version)) return version;
    throw new Error("It has no version in it");
  } catch (cause) {
    throw new Error(`The database in ${home} is not whole, for PG_VERSION can't be read: bring back a backup of it`, {
      cause,
    });
  }
}

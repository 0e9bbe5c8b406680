// Which PostgreSQL the tests run on: the one that Linger brings, or that whose programs are in TEST_POSTGRES, such as
// /usr/lib/postgresql/15/bin. Linger says that it works with several versions; so the suite runs on the oldest of them too.
import { join, resolve } from "node:path";
import { chooseAccount, command } from "../../src/database/account.ts";
import { type Embedded, startEmbedded, startServer } from "../../src/database/embedded.ts";
import { whyMissing } from "./files.ts";

/** Where Debian's package postgresql-15 has the programs of the oldest version that Linger works with. */
export const OLDEST = "/usr/lib/postgresql/15/bin";

/** Why they can't be had here, in a sentence; undefined where they can. */
export function whyNoOldest(): string | undefined {
  return whyMissing(`There is no PostgreSQL 15 in ${OLDEST} (apt-get install postgresql-15)`, OLDEST);
}

/** Starts it in the directory `home`, where it goes on if it has been there before. */
export async function startPostgres(home: string, settings: Record<string, string>): Promise<Embedded> {
  const programs = Deno.env.get("TEST_POSTGRES");
  if (!programs) return await startEmbedded(home, { settings });

  const directory = resolve(home);
  const account = await chooseAccount({ directory, inside: directory }, () => {});
  const cluster = join(directory, "cluster");
  const made = await Deno.stat(cluster).then(() => true, () => false);
  if (!made) {
    const args = ["-D", cluster, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"];
    const { success, stderr } = await command(account, join(programs, "initdb"), args, { cwd: directory }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
  }
  const { signal } = new AbortController();
  const server = await startServer({
    programs: join(programs, ".."),
    account,
    home,
    settings,
    say: () => {},
    signal,
  });
  return { socket: join(directory, `.s.PGSQL.${settings.port}`), ...server };
}

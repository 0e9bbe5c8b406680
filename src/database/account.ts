// PostgreSQL does not run as root, and its files have to belong to the user that it runs as. So root needs another user, and
// has to bring it to the files.

import { constants, open } from "node:fs/promises";
import { join } from "node:path";
import { ADVICE, type Place } from "./directory.ts";

/** A user that PostgreSQL accepts, and the command, if any, that becomes this user. */
export interface Account {
  /** Whom to become. */
  readonly ids: { uid?: number; gid?: number };
  /** A command that becomes someone, before the one to run. */
  readonly via: readonly string[];
  /** To whom root gives the files; undefined where this process is no root. */
  readonly owner?: readonly [uid: number, gid: number];
}

/** The uid and gid that every system keeps for programs that should own nothing. */
const NOBODY = 65534;

/**
 * Makes the directory private to the user that PostgreSQL will run as.
 * @throws with a sentence when there is no such user, or the database in `cluster` is another's.
 */
export async function chooseAccount({ directory, inside }: Place, say: (line: string) => void): Promise<Account> {
  const cluster = join(inside, "cluster");
  await Deno.chmod(inside, 0o700);
  if (Deno.uid() !== 0) {
    await refuseOthers(cluster, Deno.uid()!, directory);
    return { ids: {}, via: [] };
  }

  // PostgreSQL refuses to run as root. It takes the owner of what is there, so that a start as root does no harm to data that
  // an ordinary user made, and otherwise nobody.
  const [uid, gid] = await ownerOf(inside) ?? await ownerOf(cluster) ?? [NOBODY, NOBODY];
  try {
    // Copied back by root, a database belongs to root. Only below a directory of root's it is given away: elsewhere another user
    // could have put in its place what nobody should be given.
    const found = await Deno.lstat(cluster).catch(() => undefined);
    if (isRoots(await Deno.stat(inside)) && found?.isDirectory && isRoots(found)) {
      say(`Giving what is in ${directory} from root to user ${uid}, as which PostgreSQL runs`);
      for await (const { name } of Deno.readDir(inside)) await give(join(inside, name), uid, gid);
    }
    await Deno.chown(inside, uid, gid); // last: until then nobody else gets in
  } catch (cause) {
    throw new Error(
      `PostgreSQL does not run as root, and this root cannot give ${directory} to user ${uid}: ${ADVICE}`,
      { cause },
    );
  }
  await refuseOthers(cluster, uid, directory);
  return { ...await reaching(directory, uid, gid), owner: [uid, gid] };
}

/**
 * Does what has to be done in the directory before PostgreSQL runs there. Root keeps it for itself meanwhile: whoever may change what
 * is in it could put a link in the place of what root is about to write, or to give away.
 */
export async function undisturbed<T>(
  { owner }: Account,
  { directory, inside }: Place,
  prepare: () => Promise<T>,
): Promise<T> {
  if (!owner) return await prepare();
  // Not looked up again: who owns the directory above could put another in its place, and be given that.
  const held = await open(inside, constants.O_DIRECTORY);
  try {
    if ((await held.stat()).uid !== owner[0]) throw new Error(`${directory} was given to another user a moment ago`);
    await held.chown(0, 0);
    await held.chmod(0o711); // the account's own programs have to get through
    try {
      return await prepare();
    } finally {
      await held.chmod(0o700);
      await held.chown(...owner);
    }
  } finally {
    await held.close();
  }
}

/** The user and group that own the path, where they are not root's. */
async function ownerOf(path: string): Promise<[uid: number, gid: number] | undefined> {
  const { uid, gid } = await Deno.stat(path).catch(() => ({ uid: 0, gid: 0 }));
  return uid ? [uid, gid ?? uid] : undefined;
}

function isRoots({ uid, isSymlink }: Deno.FileInfo): boolean {
  return uid === 0 && !isSymlink;
}

/** Gives a tree away, as far as it is root's. */
async function give(path: string, uid: number, gid: number): Promise<void> {
  const info = await Deno.lstat(path);
  if (!isRoots(info)) return;
  if (info.isDirectory) { for await (const { name } of Deno.readDir(path)) await give(join(path, name), uid, gid); }
  await Deno.chown(path, uid, gid);
}

async function refuseOthers(cluster: string, uid: number, directory: string): Promise<void> {
  const owner = await Deno.stat(cluster).then((info) => info.uid, () => uid); // there is none yet
  if (owner === uid) return;
  throw new Error(
    `The database in ${directory} belongs to user ${owner}, and PostgreSQL would run as user ${uid}: ` +
      `start Linger as user ${owner}, or give it away with chown -R ${uid} ${directory}`,
  );
}

/**
 * That user may be unable to get to the directory: /root and what `mktemp -d` makes are closed to all others. A capability
 * opens the way, and nothing else: the weaker one first, which a container does not have by default. access(2), by which
 * PostgreSQL looks for its programs, regards capabilities only with no_setuid_fixup.
 */
async function reaching(directory: string, uid: number, gid: number): Promise<Account> {
  const become = [
    "setpriv",
    `--reuid=${uid}`,
    `--regid=${gid}`,
    "--clear-groups",
    "--securebits=+no_setuid_fixup",
  ];
  const accounts: Account[] = [
    { ids: { uid, gid }, via: [] },
    ...["dac_read_search", "dac_override"].map((capability) => ({
      ids: {},
      via: [...become, `--inh-caps=+${capability}`, `--ambient-caps=+${capability}`],
    })),
  ];
  for (const account of accounts) {
    const args = ["-c", 'cd "$0"', directory];
    try {
      const { success } = await command(account, "/bin/sh", args, {
        cwd: "/",
        stdout: "null",
        stderr: "null",
      }).output();
      if (success) return account;
    } catch {
      // There is no setpriv, or root may not become another user.
    }
  }
  throw new Error(
    `PostgreSQL does not run as root, and user ${uid} cannot reach ${directory}: ` +
      `set DATA_DIR to a directory below one that all users can enter, or ${ADVICE}`,
  );
}

/** A command of the account's, from which this process's environment is kept: PostgreSQL takes its defaults from PGPORT and others. */
export function command(
  account: Account,
  program: string,
  args: string[],
  options: Deno.CommandOptions,
): Deno.Command {
  const [first, ...rest] = [...account.via, program, ...args];
  return new Deno.Command(first!, {
    args: rest,
    clearEnv: true,
    ...account.ids,
    ...options,
    env: { LC_ALL: "C", ...options.env }, // on macOS the server does not start without a locale
  });
}

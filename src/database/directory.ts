// DATA_DIR, as far as it is a directory: it has to be ours alone, and whatever a file system or a user can have against it is
// said in a sentence.

import { constants, open } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";

/** What to do where no directory will do. */
export const ADVICE = "set DATABASE_URL to use a PostgreSQL server of your own";

/** Marks a directory as ours, and is locked while a process uses it. */
const LOCK = "postgres.lock";

/** Where a directory is. */
export interface Place {
  /** Its full path, for messages and for other programs. */
  readonly directory: string;
  /** A path for this process alone. For root, it leads to this very directory, whatever somebody puts in its place. */
  readonly inside: string;
}

/** A directory that is ours alone until it is released. */
export interface LockedPlace extends Place {
  /** Lets another process have it. */
  release(): Promise<void>;
}

/** The bits of a directory's mode by which others than its owner can put files there: its group, all, and all as in /tmp. */
const SHARED = 0o1022;

/** What a system's error says of the place, by its code. */
const REASONS: Record<string, string> = {
  EDQUOT: "its user has no space left there",
  EIO: "its disk fails",
  ENOSPC: "its file system is full",
  ENOTSUP: "its file system can't hold a database: it lacks owners, modes or links",
  EPERM: "its file system can't hold a database: it lacks owners, modes or links",
  EROFS: "its file system is read-only",
};

/**
 * Makes the directory if need be, and locks it; the kernel frees the lock when this process ends, even by SIGKILL.
 * @throws with a sentence when the directory is in use, is not ours or can't be made.
 */
export async function lockDirectory(home: string): Promise<LockedPlace> {
  let held: Held | undefined;
  let lock: Deno.FsFile | undefined;
  async function release(): Promise<void> {
    lock?.close();
    await held?.close();
  }
  try {
    await Deno.mkdir(home, { recursive: true });
    held = await hold(resolve(home));
    const { inside } = held;
    const names = (await Array.fromAsync(Deno.readDir(inside))).map((entry) => entry.name);
    // The directory's owner and mode are about to change, which must not happen to anything but a directory of ours. Where others may put
    // files, as in /tmp or in what was just mounted, they can have put a lock, or have renamed a file of ours that holds something.
    const { mode, uid: owner } = await Deno.stat(inside);
    const isOurs = async () => {
      if (!((mode ?? 0) & SHARED)) return true;
      const { uid, size } = await Deno.lstat(join(inside, LOCK));
      return size === 0 && [0, owner, Deno.uid()].includes(uid); // the first two could do there whatever they like anyway
    };
    if (names.length > 0 && !(names.includes(LOCK) && await isOurs())) {
      throw new Error(`${home} holds other files: set DATA_DIR to a directory that is empty or does not exist yet`);
    }
    lock = await openLock(join(inside, LOCK));
    if (Deno.uid() !== 0 && await ownerOf(home) !== Deno.uid()) {
      throw new Deno.errors.PermissionDenied(); // to make it private, too
    }
    if (await lock.tryLock(true)) return { directory: resolve(home), inside, release };
  } catch (cause) {
    await release();
    throw await whyNotOpened(home, cause);
  }
  await release();
  throw new Error(`${home} is in use by another Linger: stop that one, or set DATA_DIR to another directory`);
}

/** A directory that is held, as long as it is not closed. */
interface Held {
  /** The path to it, of this process alone. */
  readonly inside: string;
  close(): Promise<void>;
}

/**
 * Root is going to change the directory's owner and mode, and to write there: that must happen to no directory that somebody has put in
 * its place meanwhile, as who owns the one above can. Only Linux has such paths; elsewhere, and for others than root, it is found by name.
 */
async function hold(directory: string): Promise<Held> {
  if (Deno.uid() !== 0) return { inside: directory, close: async () => {} };
  const handle = await open(directory, constants.O_DIRECTORY);
  const { ino } = await handle.stat();
  const inside = `/proc/self/fd/${handle.fd}`;
  const leads = await Deno.stat(inside).then((info) => info.ino === ino, () => false);
  return { inside: leads ? inside : directory, close: () => handle.close() };
}

/** Made only where there is nothing, and so never where a link of the directory's owner leads: this process may be root. */
async function openLock(path: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(path, { createNew: true, write: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    return await reopenLock(path);
  }
}

/** A start as root in a user's directory has made a lock that this user may only read. That will do for a lock, but not on each NFS. */
async function reopenLock(path: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(path, { write: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.PermissionDenied)) throw error;
    return await Deno.open(path);
  }
}

/**
 * The socket of the PostgreSQL that a Linger runs in the directory at this moment; undefined where none does.
 * @throws with a sentence where there is no database.
 */
export async function runningIn(home: string): Promise<string | undefined> {
  await Deno.stat(join(home, "cluster")).catch(async (cause) => {
    const { NotFound, NotCapable } = Deno.errors; // the second where none can be: in a container
    if (!(cause instanceof NotFound || cause instanceof NotCapable)) throw await whyNotOpened(home, cause);
    throw new Error(`DATABASE_URL is not set, and ${home} has no database`, { cause });
  });
  using lock = await reopenLock(join(home, LOCK)).catch(async (cause) => {
    throw await whyNotOpened(home, cause);
  });
  return await lock.tryLock(true) ? undefined : socketIn(home);
}

/** Where the PostgreSQL of a directory has its socket. */
export function socketIn(home: string, port = "5432"): string {
  return join(resolve(home), `.s.PGSQL.${port}`);
}

/** A sentence instead of an error about the directory or a file in it; any other error as it is. */
async function whyNotOpened(home: string, cause: unknown): Promise<unknown> {
  const { AlreadyExists, NotADirectory, PermissionDenied } = Deno.errors;
  if (cause instanceof AlreadyExists || cause instanceof NotADirectory) {
    return new Error(`${home} is not a directory, or lies below a file: set DATA_DIR to another place`, { cause });
  }
  if (cause instanceof PermissionDenied || (cause as { code?: string }).code === "EACCES") {
    return new Error(await whyNotAllowed(home), { cause });
  }
  return whyNotIn(home, cause);
}

/** A sentence instead of an error of the file system that holds `home`; any other error as it is. */
export function whyNotIn(home: string, error: unknown): unknown {
  const reason = REASONS[(error as { code?: string }).code ?? ""];
  if (!reason) return error;
  return new Error(
    `The database can't be kept in ${home}: ${reason}. Set DATA_DIR to another directory, or ${ADVICE}`,
    {
      cause: error,
    },
  );
}

/** Whose the directory is, or which one above it lets this user make none. */
async function whyNotAllowed(home: string): Promise<string> {
  const uid = await ownerOf(home);
  for (const path of [home, join(home, LOCK)]) {
    const owner = await ownerOf(path);
    if (owner === undefined || owner === Deno.uid()) continue;
    return `${path} belongs to another user: start Linger as that user, or set DATA_DIR to another directory`;
  }
  let place = resolve(home);
  while (await ownerOf(place) === undefined && place !== dirname(place)) place = dirname(place);
  return `This user may not write in ${uid === undefined ? place : home}: set DATA_DIR to another directory`;
}

async function ownerOf(path: string): Promise<number | undefined> {
  return await Deno.stat(path).then(({ uid }) => uid ?? undefined, () => undefined);
}

/** Whether there is something. */
export function exists(path: string): Promise<boolean> {
  return Deno.stat(path).then(() => true, () => false);
}

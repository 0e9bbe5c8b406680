// Whether what the database says is stored will be there tomorrow. Linger tells a client that a message is stored when the database
// says so; a database that says it too early loses what was acknowledged.
import { fault, type Finding, ok, warning } from "./finding.ts";
import { identifier } from "./unusable.ts";

/** How a server keeps what a role commits. */
export interface Keeping {
  /** The role. */
  readonly role: string;
  /** Whether it waits for the disk. */
  readonly fsync: boolean;
  /** Whether it can mend a page of which only a part was written, which not every storage leaves. */
  readonly fullPages: boolean;
  /** `synchronous_commit` as a session begins. */
  readonly commits: string;
  /** `synchronous_standby_names`: the standbys for which a commit waits. */
  readonly names: string;
  /** How many standbys are connected. */
  readonly standbys: number;
  /** For how many of them a commit may wait, as far as that can be seen. */
  readonly synchronous: number;
}

/** What Neon has there: its commits wait for servers of its own that keep the log, and its compute has no disk to wait for. */
const NEON = "walproposer";

/** Whether every commit waits for a standby, and none is there. */
export function waitsInVain({ names, commits, synchronous }: Keeping): boolean {
  // Of "off" Linger makes "on".
  return names !== "" && names !== NEON && commits !== "local" && synchronous === 0;
}

/** What there is to say of it. */
export function* durability(keeping: Keeping): Iterable<Finding> {
  const { role, fsync, fullPages, commits, names, standbys, synchronous } = keeping;
  if (names === NEON) {
    return yield ok("What is committed is kept by several servers of Neon's, which commits wait for");
  }
  if (!fsync) {
    yield fault("A crash of its machine loses or ruins messages that were acknowledged: turn fsync on");
  }
  if (!fullPages) {
    yield warning(
      "A crash of its machine ruins pages of which a part was written: turn full_page_writes on, unless its storage writes " +
        "pages whole, as ZFS does",
    );
  }
  if (fsync && fullPages) yield ok("What is committed is on its disk (fsync and full_page_writes are on)");
  if (commits === "off") {
    yield ok("synchronous_commit is off for this role; Linger turns it on for what it stores");
  }
  const follow = (count: number) => count === 1 ? "1 standby follows" : `${count} standbys follow`;
  if (waitsInVain(keeping)) {
    yield fault(
      `Commits wait for a standby (synchronous_standby_names is ${names}), and none of these is connected: ` +
        "posts are outcome-unknown until one is, or until synchronous_standby_names is empty",
    );
  } else if (names !== "" && commits !== "local") {
    yield ok(`${follow(synchronous)}, and commits wait for ${names}: a failover to it loses nothing`);
  } else if (standbys > 0) {
    // Whoever waits for one that is not there waits in vain.
    const cures = [
      ...names === "" ? ["synchronous_standby_names"] : [],
      ...names !== "" && synchronous === 0 ? [`synchronous_standby_names (now ${names})`] : [],
      ...commits === "local" ? [`alter role ${identifier(role)} set synchronous_commit = 'on'`] : [],
    ];
    yield warning(
      `${follow(standbys)}, and commits don't wait: a failover can lose the last messages. ` +
        `${cures.join(" and ")} ${cures.length === 1 ? "makes" : "make"} them wait`,
    );
  } else {
    yield ok("No standby follows: there is one copy, so see to backups");
  }
}

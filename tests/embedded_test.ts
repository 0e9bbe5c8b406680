// Runs real servers, and kills real processes: what must hold is that no acknowledged row is lost and no
// PostgreSQL is left behind, whatever ends the program that started it.

import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import postgres from "postgres";
import { undisturbed } from "../src/database/account.ts";
import { lockDirectory } from "../src/database/directory.ts";
import { startEmbedded } from "../src/database/embedded.ts";
import { PATIENCE_MS } from "./support/client.ts";

const ROOT = Deno.uid() === 0;
const NOBODY = 65534;
const OWNER = fileURLToPath(new URL("./fixtures/embedded_owner.ts", import.meta.url));
const CONFIG = fileURLToPath(new URL("../deno.json", import.meta.url));

/** Becomes an ordinary user that can read the files of Deno and of this project, wherever they lie. */
const AS_NOBODY = [
  ...["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", "--securebits=+no_setuid_fixup"],
  ...["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"],
];

/** The same, and nothing more: Deno's own file is found with the capability, which is gone when it runs. */
const AS_NOBODY_ALONE = [...AS_NOBODY, "setpriv", "--inh-caps=-all", "--ambient-caps=-all"];

/** Takes the number after which the system counts its processes on. */
const LAST_PID = "/proc/sys/kernel/ns_last_pid";

/** For the tests that need no new directory. Its path has what separates or quotes paths in settings. */
let home: string;

Deno.test.beforeAll(async () => {
  home = join(await Deno.makeTempDir(), "it's, data");
});

Deno.test.afterAll(() => Deno.remove(dirname(home), { recursive: true }));

/** Whether a line is said only because a start or a stop takes longer than a second. */
function isOfTime(line: string): boolean {
  return line.startsWith("Waiting for PostgreSQL to ");
}

/** Takes what is said, however fast the machine is. */
function sayTo(lines: string[]): (line: string) => void {
  return (line) => {
    if (!isOfTime(line)) lines.push(line);
  };
}

Deno.test("startEmbedded() creates a database in a new directory, and later only starts it", async () => {
  const lines: string[] = [];
  const say = sayTo(lines);
  const first = await startEmbedded(home, { say });
  await query(first.socket, "create table note (body text)");
  await query(first.socket, "insert into note values ('kept')");
  await first.stop();
  assertEquals(lines, [`Copying PostgreSQL 18.4 to ${home}`, `Creating the database in ${home}`]);

  const second = await startEmbedded(home, { say });
  assertEquals(await query(second.socket, "select body from note"), [{ body: "kept" }]);
  assertEquals(await query(second.socket, "show fsync"), [{ fsync: "on" }]);
  assertEquals(await query(second.socket, "show listen_addresses"), [{ listen_addresses: "" }]);
  await second.stop();
  assertEquals(lines.length, 2);
});

Deno.test("startEmbedded() refuses a directory that is in use, and takes it when it is free", async () => {
  const server = await startEmbedded(home);
  await assertRejects(() => startEmbedded(home), Error, "is in use by another Linger");
  assertEquals(await query(server.socket, "select 1 as one"), [{ one: 1 }]);
  await server.stop();
  await (await startEmbedded(home)).stop();
});

Deno.test("stop() may be called again, and leaves no process behind", async () => {
  const server = await startEmbedded(home);
  if (Deno.build.os === "linux") assert((await processesOf(home)).length > 0);
  await Promise.all([server.stop(), server.stop()]);
  await server.stop();
  await untilGone(home);
});

Deno.test("startEmbedded() hands its settings to the server, and nothing of the environment", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const before = Deno.env.get("PGPORT");
  Deno.env.set("PGPORT", "1");
  const plain = await startEmbedded(home);
  await plain.stop();
  const settings = { listen_addresses: "127.0.0.1", port: String(port), max_connections: "7" };
  const server = await startEmbedded(home, { settings });
  if (before === undefined) Deno.env.delete("PGPORT");
  else Deno.env.set("PGPORT", before);

  assertEquals(plain.socket, join(home, ".s.PGSQL.5432"));
  assertEquals(server.socket, join(home, `.s.PGSQL.${port}`));
  assertEquals(await query(server.socket, "show max_connections"), [{ max_connections: "7" }]);
  const sql = postgres({ host: "127.0.0.1", port, username: "postgres", database: "postgres", max: 1 });
  assertEquals([...await sql`select 1 as one`], [{ one: 1 }]);
  await sql.end();
  await server.stop();
});

Deno.test("startEmbedded() says why the server did not start, and releases the directory", async () => {
  const settings = { shared_preload_libraries: "no_such_library" };
  const error = await assertRejects(
    () => startEmbedded(home, { settings }),
    Error,
    "PostgreSQL did not start",
  );
  assertStringIncludes(error.message, 'could not access file "no_such_library"');
  await untilGone(home);
  await (await startEmbedded(home)).stop();
});

Deno.test("startEmbedded() keeps the errors of statements out of the log", async () => {
  const server = await startEmbedded(home);
  await assertRejects(() => query(server.socket, "select secret"), Error, "does not exist");
  await server.stop();
  const log = await Deno.readTextFile(join(home, "postgres.log"));
  assertStringIncludes(log, "ready to accept connections");
  assert(!log.includes("secret"), log);
});

Deno.test("startEmbedded() refuses a path that is too long for a socket", async () => {
  const directory = join("/tmp", "long".repeat(25));
  await assertRejects(() => startEmbedded(directory), Error, "is too long");
  await assertRejects(() => Deno.stat(directory), Deno.errors.NotFound);
});

Deno.test("startEmbedded() leaves a directory alone that holds other files", async () => {
  await inTemporaryDirectory(async (directory) => {
    await Deno.writeTextFile(join(directory, "thesis.txt"), "");
    await Deno.chmod(directory, 0o755);
    const before = await Deno.stat(directory);
    await assertRejects(() => startEmbedded(directory), Error, "holds other files");
    const after = await Deno.stat(directory);
    assertEquals([after.mode, after.uid], [before.mode, before.uid]);
    assertEquals(await namesIn(directory), ["thesis.txt"]);
  });
});

Deno.test({
  name: "startEmbedded() as root leaves a directory alone that is open to others, whoever of them put a lock there",
  ignore: !ROOT,
  async fn() {
    for (const open of [0o1777, 0o777, 0o2775]) { // as /tmp, a directory that was mounted, and that of a group
      await inTemporaryDirectory(async (directory) => {
        await Deno.mkdir(join(directory, "cluster"));
        await Deno.writeTextFile(join(directory, "postgres.lock"), "");
        for (const name of ["cluster", "postgres.lock"]) await Deno.chown(join(directory, name), NOBODY, NOBODY);
        await Deno.chmod(directory, open);
        await assertRejects(() => startEmbedded(directory), Error, "holds other files");
        const { uid, mode } = await Deno.stat(directory);
        assertEquals([uid, mode! & 0o7777], [0, open]);
        // A file of root's gets that name from whoever may rename what is there.
        await Deno.chown(join(directory, "postgres.lock"), 0, 0);
        await Deno.writeTextFile(join(directory, "postgres.lock"), "something else");
        await assertRejects(() => startEmbedded(directory), Error, "holds other files");
        // A lock of root's own, and of him whose directory it is.
        await Deno.truncate(join(directory, "postgres.lock"));
        await (await lockDirectory(directory)).release();
        for (const path of [directory, join(directory, "postgres.lock")]) await Deno.chown(path, NOBODY, NOBODY);
        await (await lockDirectory(directory)).release();
      });
    }
  },
});

Deno.test("startEmbedded() refuses a database of another major version", async () => {
  const file = join(home, "cluster", "PG_VERSION");
  await Deno.writeTextFile(file, "17\n");
  await assertRejects(() => startEmbedded(home), Error, "was made by PostgreSQL 17");
  await Deno.writeTextFile(file, "18\n");
  await (await startEmbedded(home)).stop();
});

Deno.test("startEmbedded() replaces the programs of another version, and those of another kind of machine", async () => {
  await (await startEmbedded(home)).stop();
  const [current] = await programsIn(home);
  const platform = /-\w+-\w+$/; // which the name has not always had
  for (const other of ["postgresql-18.3.0", current!.replace(platform, "-other-one"), current!.replace(platform, "")]) {
    await Deno.rename(join(home, current!), join(home, other));
    await Deno.writeTextFile(join(home, other, "bin", "postgres"), "for another processor");
    await (await startEmbedded(home)).stop();
    assertEquals(await programsIn(home), [current!]);
  }
});

Deno.test("startEmbedded() leaves alone what others keep beside the database, whatever they call it", async () => {
  await (await startEmbedded(home)).stop();
  const kept = ["postgresql-backup.sql", "postgresql-2026-11-28/base", "postgresql-old/cluster", "new-data/cluster"];
  for (const path of kept) {
    await Deno.mkdir(join(home, dirname(path)), { recursive: true });
    await Deno.writeTextFile(join(home, path), "kept");
  }
  // What a start that was killed had begun to build.
  const begun = await Deno.makeTempDir({ dir: home, prefix: "new-" });
  await Deno.mkdir(join(begun, "cluster"));
  await (await startEmbedded(home)).stop();
  for (const path of kept) assertEquals(await Deno.readTextFile(join(home, path)), "kept");
  assert(!existsSync(begun));
  for (const path of kept) await Deno.remove(join(home, path.split("/")[0]!), { recursive: true });
});

Deno.test("startEmbedded() tells when the server ends by itself, and starts despite what it left", async () => {
  const pidFile = join(home, "cluster", "postmaster.pid");
  const server = await startEmbedded(home);
  const [pid, ...rest] = (await Deno.readTextFile(pidFile)).split("\n");
  Deno.kill(Number(pid), "SIGKILL");
  await server.ended;
  await server.stop();
  await untilGone(home);

  // After a reboot, any process of the same user may have the number of the server that was: also a server in another directory.
  for (const args of [[], ["-D", `/srv${join(home, "cluster")}`, "-c", "port=5432"]]) {
    const other = new Deno.Command("sh", {
      args: ["-c", "read _", "postgres", ...args],
      cwd: "/", // this checkout may be out of its reach
      stdin: "piped",
      ...ROOT ? { uid: NOBODY, gid: NOBODY } : {},
    }).spawn();
    await Deno.writeTextFile(pidFile, [other.pid, ...rest].join("\n"));
    const again = await startEmbedded(home);
    assertEquals(await query(again.socket, "select 1 as one"), [{ one: 1 }]);
    await again.stop();
    await other.stdin.close(); // which ends it
    await other.status;
  }
});

Deno.test({
  name: "startEmbedded() waits for its server also where the one before was killed with the same process number",
  ignore: !canNumber(),
  async fn() {
    const pidFile = join(home, "cluster", "postmaster.pid");
    const server = await startEmbedded(home);
    const [pid, ...rest] = (await Deno.readTextFile(pidFile)).split("\n");
    Deno.kill(Number(pid), "SIGKILL");
    await server.ended;
    await server.stop();
    await untilGone(home);
    const { Command } = Deno;
    // Another process may come in between and take the number: then it is tried again.
    for (let numbered = false; !numbered;) {
      await Deno.writeTextFile(pidFile, [pid, ...rest].join("\n"));
      Deno.Command = class extends Command {
        override spawn() {
          Deno.writeTextFileSync(LAST_PID, String(Number(pid) - 1));
          const child = super.spawn();
          numbered = child.pid === Number(pid);
          return child;
        }
      };
      try {
        const again = await startEmbedded(home);
        assertEquals(await query(again.socket, "select 1 as one"), [{ one: 1 }]);
        await again.stop();
      } finally {
        Deno.Command = Command;
      }
    }
  },
});

Deno.test("A SIGKILL of the owner loses no row and leaves no process", async () => {
  const owner = startOwner(home);
  await owner.says("Ready");
  const socket = join(home, ".s.PGSQL.5432");
  await query(socket, "create table survivor (body text)");
  await query(socket, "insert into survivor values ('acknowledged')");
  await owner.kill();
  await untilGone(home);

  const server = await startEmbedded(home);
  assertEquals(await query(server.socket, "select body from survivor"), [{ body: "acknowledged" }]);
  await server.stop();
});

Deno.test("startEmbedded() after a SIGKILL waits until the previous server is gone, by whichever link it was started", async () => {
  const [before, after] = ["before", "after"].map((name) => join(dirname(home), name)) as [string, string];
  await Deno.mkdir(home, { recursive: true });
  for (const link of [before, after]) await Deno.symlink(home, link);
  const owner = startOwner(before);
  await owner.says("Ready");
  const previous = Number((await Deno.readTextFile(join(home, "cluster", "postmaster.pid"))).split("\n")[0]);
  Deno.kill(previous, "SIGSTOP"); // so that it cannot shut down before it is waited for
  await owner.kill();
  const lines: string[] = [];
  const server = await startEmbedded(after, {
    say(line) {
      if (isOfTime(line)) return;
      lines.push(line);
      Deno.kill(previous, "SIGCONT");
    },
  }).catch((error) => {
    Deno.kill(previous, "SIGCONT");
    throw error;
  });
  assertEquals(lines, [`Waiting for the PostgreSQL of the previous run to shut down (process ${previous})`]);
  assertEquals(await query(server.socket, "select 1 as one"), [{ one: 1 }]);
  await server.stop();
  for (const link of [before, after]) await Deno.remove(link);
});

Deno.test("startEmbedded() recovers from a SIGKILL at any moment of the first start", async () => {
  await inTemporaryDirectory(async (directory) => {
    const moments = [["Copying", 0], ["Copying", 150], ["Creating", 0], ["Creating", 150], [
      "Creating",
      400,
    ]] as const;
    const stages = ["Copying", "Creating", "Ready"];
    for (const [line, ms] of moments) {
      const owner = startOwner(directory);
      await owner.says(...stages.slice(stages.indexOf(line))); // one that was killed late may have come further
      await new Promise((resolve) => setTimeout(resolve, ms));
      await owner.kill();
    }
    const server = await startEmbedded(directory);
    assertEquals(await query(server.socket, "select 1 as one"), [{ one: 1 }]);
    await server.stop();
    await untilGone(directory);

    await (await startEmbedded(directory)).stop();
    assertEquals((await namesIn(directory)).filter((name) => name.startsWith("new-")), []);
  });
});

Deno.test({
  name: "A power cut as soon as the programs are in their place leaves them whole",
  ignore: !canMount() || !canRun("mkfs.ext4") || !existsSync("/dev/loop-control"),
  async fn() {
    await inTemporaryDirectory(async (parent) => {
      const [disk, copy, before, after] = ["disk", "copy", "before", "after"].map((name) => join(parent, name));
      await run("truncate", "-s", "400M", disk!);
      await run("mkfs.ext4", "-q", disk!);
      const { rename } = Deno;
      let programs = "";
      // The moment after the rename. A file that somebody else writes takes it to the disk, with all that the system thinks must go along.
      Deno.rename = async (from, to) => {
        await rename(from, to);
        programs = join("data", basename(String(to)));
        using other = await Deno.open(join(before!, "other"), { create: true, write: true });
        await other.write(new Uint8Array(1));
        await other.sync();
        await run("cp", "--sparse=always", disk!, copy!);
        throw new Error("The power is cut");
      };
      try {
        for (const [file, place] of [[disk!, before!], [copy!, after!]] as const) {
          await Deno.mkdir(place);
          await run("mount", "-o", "loop", file, place);
          if (place === before) await assertRejects(() => startEmbedded(join(before, "data")), Error, "power is cut");
        }
        await run("diff", "-rq", join(before!, programs), join(after!, programs));
      } finally {
        Deno.rename = rename;
        for (const place of [before!, after!]) await run("umount", place).catch(() => {}); // it may not be mounted yet
      }
    });
  },
});

Deno.test({
  name: "startEmbedded() as root runs the server as nobody, with a capability only where nobody needs one",
  ignore: !ROOT || Deno.build.os !== "linux",
  async fn() {
    await inTemporaryDirectory(async (parent) => {
      const directory = join(parent, "data");
      for (const [mode, capabilities] of [[0o700, /^0+[24]$/], [0o755, /^0+$/]] as const) {
        await Deno.chmod(parent, mode);
        const server = await startEmbedded(directory);
        assertEquals(await query(server.socket, "select 1 as one"), [{ one: 1 }]);
        const pid = (await Deno.readTextFile(join(directory, "cluster", "postmaster.pid"))).split("\n")[0];
        const status = await Deno.readTextFile(`/proc/${pid}/status`);
        assertMatch(status, /^Uid:\s+65534\s+65534\s+65534\s+65534$/m);
        assertMatch(/^CapEff:\s+(\S+)$/m.exec(status)![1]!, capabilities);
        await server.stop();
        assertEquals((await Deno.stat(directory)).mode! & 0o777, 0o700);
      }
    });
  },
});

Deno.test({
  name: "startEmbedded() as root starts a database that root has copied back, whatever the umask was",
  ignore: !ROOT,
  async fn() {
    await inTemporaryDirectory(async (parent) => {
      const [directory, backup] = [join(parent, "data"), join(parent, "backup")];
      const first = await startEmbedded(directory);
      await query(first.socket, "create table note as select 'kept' as body");
      await first.stop();
      await run("sh", "-c", 'umask 077; cp -r "$0" "$1"', directory, join(parent, "copy"));
      await run("chown", "-R", "0:0", join(parent, "copy"));
      await Deno.chmod(join(parent, "copy"), 0o1777); // as in the root of what was just mounted
      await Deno.symlink(join(parent, "copy"), backup); // as to another disk
      await Deno.symlink("/etc/passwd", join(backup, "cluster", "elsewhere"));
      const lines: string[] = [];
      const server = await startEmbedded(backup, { say: sayTo(lines) });
      assertEquals(await query(server.socket, "select body from note"), [{ body: "kept" }]);
      await server.stop();
      assertEquals(lines, [`Giving what is in ${backup} from root to user ${NOBODY}, as which PostgreSQL runs`]);
      assertEquals((await Deno.stat("/etc/passwd")).uid, 0);

      await (await startEmbedded(backup, { say: sayTo(lines) })).stop();
      assertEquals(lines.length, 1);
    });
  },
});

Deno.test({
  name: "startEmbedded() says whose the database is, where it is not for root to give it away",
  ignore: !ROOT,
  async fn() {
    await inTemporaryDirectory(async (parent) => {
      const directory = join(parent, "data");
      await (await startEmbedded(directory)).stop();
      // In a directory of another user's, that user could have put a link to anything in the place of the database.
      await run("chown", "-R", "0:0", join(directory, "cluster"));
      const { message } = await assertRejects(() => startEmbedded(directory), Error);
      assertEquals(
        message,
        `The database in ${directory} belongs to user 0, and PostgreSQL would run as user ${NOBODY}: ` +
          `start Linger as user 0, or give it away with chown -R ${NOBODY} ${directory}`,
      );
      assertEquals((await Deno.stat(join(directory, "cluster"))).uid, 0);
      await run("chown", "-R", `${NOBODY}`, directory);
      await (await startEmbedded(directory)).stop();
    });
  },
});

Deno.test({
  name: "Whatever another process of nobody does while root builds the database, root gives away nothing else",
  ignore: !ROOT || Deno.build.os !== "linux",
  async fn() {
    await inTemporaryDirectory(async (parent) => {
      await Deno.chmod(parent, 0o755);
      const [directory, treasure] = [join(parent, "data"), join(parent, "treasure")];
      await Deno.mkdir(treasure, { mode: 0o700 });
      const put = 'mv "$0" "$0.gone" && ln -s "$1" "$0"';
      const tries: boolean[] = [];
      const { makeTempDir } = Deno;
      // The moment after root has made a directory there, and before it does anything in it.
      Deno.makeTempDir = async (options) => {
        const made = await makeTempDir(options);
        const { success } = await new Deno.Command("sh", {
          args: ["-c", put, join(directory, basename(made)), treasure],
          ...{ uid: NOBODY, gid: NOBODY, cwd: "/", stderr: "null" },
        }).output();
        tries.push(success);
        return made;
      };
      try {
        await (await startEmbedded(directory)).stop();
      } finally {
        Deno.makeTempDir = makeTempDir;
      }
      assertEquals((await Deno.stat(treasure)).uid, 0);
      assertEquals(await namesIn(treasure), []);
      assertEquals(tries, [false, false]); // for the programs, and for the cluster
      const { uid, mode } = await Deno.stat(directory);
      assertEquals([uid, mode! & 0o777], [NOBODY, 0o700]);
    });
  },
});

Deno.test({
  name: "Who owns the directory above is given back his own, and nothing that he has put in its place",
  ignore: !ROOT,
  async fn() {
    await inTemporaryDirectory(async (parent) => {
      const [directory, moved] = [join(parent, "data"), join(parent, "moved")];
      await Deno.mkdir(directory);
      await Deno.chown(directory, NOBODY, NOBODY);
      const account = { ids: {}, via: [], owner: [NOBODY, NOBODY] as const };
      const place = { directory, inside: directory };
      await undisturbed(account, place, async () => {
        await Deno.rename(directory, moved);
        await Deno.mkdir(directory);
      });
      assertEquals([(await Deno.stat(directory)).uid, (await Deno.stat(moved)).uid], [0, NOBODY]);
      await assertRejects(() => undisturbed(account, place, () => Promise.resolve()), Error, "a moment ago");
      assertEquals((await Deno.stat(directory)).uid, 0);
    });
  },
});

Deno.test({
  name:
    "Whatever somebody puts in the place of the directory while root starts, root writes and gives away nothing else",
  ignore: !ROOT || Deno.build.os !== "linux",
  async fn() {
    await inTemporaryDirectory(async (parent) => {
      await Deno.chmod(parent, 0o755);
      const [directory, moved, treasure] = ["data", "moved", "treasure"].map((name) => join(parent, name));
      await Deno.mkdir(treasure!);
      await Deno.chmod(treasure!, 0o755);
      // Before the lock is made, before root gives the directory away, and before it builds there.
      for (const call of ["open", "chmod", "lstat", "chown", "makeTempDir"] as const) {
        const real = Deno[call] as (...args: unknown[]) => Promise<unknown>;
        let swapped = false;
        Object.assign(Deno, {
          [call]: async (...args: unknown[]) => {
            if (!swapped) {
              swapped = true;
              await Deno.rename(directory!, moved!);
              await Deno.symlink(treasure!, directory!);
            }
            return await real(...args);
          },
        });
        try {
          await assertRejects(() => startEmbedded(directory!));
        } finally {
          Object.assign(Deno, { [call]: real });
        }
        assert(swapped, call);
        const { uid, mode } = await Deno.stat(treasure!);
        assertEquals([uid, mode! & 0o777, await namesIn(treasure!)], [0, 0o755, []], call);
        await Deno.remove(directory!);
        await Deno.remove(moved!, { recursive: true });
      }
    });
  },
});

Deno.test({
  name: "The directory is its owner's again after a start as root that fails, also when that was killed half-way",
  ignore: !ROOT || Deno.build.os !== "linux",
  async fn() {
    await inTemporaryDirectory(async (parent) => {
      const directory = join(parent, "data");
      await (await startEmbedded(directory)).stop();
      const other = 4_321; // an ordinary user, whose data a start as root must leave his
      await run("chown", "-R", `${other}:${other}`, directory);
      await Deno.chown(directory, 0, 0); // as it is while root builds there
      const file = join(directory, "cluster", "PG_VERSION");
      await Deno.writeTextFile(file, "17\n");
      await assertRejects(() => startEmbedded(directory), Error, "was made by PostgreSQL 17");
      const { uid, gid, mode } = await Deno.stat(directory);
      assertEquals([uid, gid, mode! & 0o777], [other, other, 0o700]);
      await Deno.writeTextFile(file, "18\n");
      await (await startEmbedded(directory)).stop();
    });
  },
});

Deno.test({
  name:
    "startEmbedded() as root makes no file where a link in the directory leads, and tells nothing of what it leads to",
  ignore: !ROOT || Deno.build.os !== "linux",
  async fn() {
    await inTemporaryDirectory(async (parent) => {
      await Deno.chmod(parent, 0o755);
      const [directory, secret, absent] = ["data", "secret", "absent"].map((name) => join(parent, name));
      await Deno.writeTextFile(secret!, "for root alone\n", { mode: 0o600 });
      const link = async (to: string, name: string) => {
        await Deno.remove(join(directory!, name)).catch(() => {});
        await Deno.symlink(to, join(directory!, name));
      };
      const complaint = async () => (await assertRejects(() => startEmbedded(directory!), Error)).message;
      await (await startEmbedded(directory!)).stop();

      await link(absent!, "postgres.lock");
      await assertRejects(() => startEmbedded(directory!));
      await assertRejects(() => Deno.stat(absent!), Deno.errors.NotFound);
      await Deno.remove(join(directory!, "postgres.lock"));
      await Deno.writeTextFile(join(directory!, "postgres.lock"), "");

      // The programs are nobody's to change for: what stands in their place can say what it is handed.
      const programs = join(directory!, (await programsIn(directory!))[0]!, "bin");
      const script =
        '#!/bin/sh\necho "handed: $PG_GRANDPARENT_PID"\nrm postgres.log.x; mv postgres.log postgres.log.x\n';
      await Deno.rename(join(programs, "postgres"), join(programs, "postgres.real"));
      await Deno.writeTextFile(join(programs, "postgres"), `${script}cat postgres.log.x > postgres.log\n`, {
        mode: 0o755,
      });
      await link(secret!, "cluster/postmaster.pid");
      assertMatch(await complaint(), /handed: \d+/);
      await Deno.remove(join(directory!, "cluster", "postmaster.pid"));

      await Deno.writeTextFile(join(programs, "postgres"), `${script}ln -s ${secret} postgres.log\n`, { mode: 0o755 });
      assertMatch(await complaint(), /its log says\nnothing$/);

      await link(secret!, "cluster/PG_VERSION");
      assertStringIncludes(await complaint(), "is not whole, for PG_VERSION can't be read");
    });
  },
});

Deno.test("What is told of a start that fails is what this start has said", async () => {
  await inTemporaryDirectory(async (directory) => {
    await (await startEmbedded(directory)).stop();
    assertStringIncludes(await Deno.readTextFile(join(directory, "postgres.log")), "ready to accept connections");
    const programs = join(directory, (await programsIn(directory))[0]!, "bin");
    await Deno.chmod(join(programs, "postgres"), 0o600);
    const { message } = await assertRejects(() => startEmbedded(directory), Error, "PostgreSQL did not start in");
    assertMatch(message, /postgres: Permission denied/);
    assert(!message.includes("ready to accept"), message);
    assertEquals(await processesOf(directory), []);
  });
});

Deno.test("A log that can't be written to is begun anew", async () => {
  await inTemporaryDirectory(async (directory) => {
    await (await startEmbedded(directory)).stop();
    await Deno.chmod(join(directory, "postgres.log"), 0o400);
    await (await startEmbedded(directory)).stop();
  });
});

Deno.test("startEmbedded() refuses a database that is not whole", async () => {
  await inTemporaryDirectory(async (directory) => {
    await (await startEmbedded(directory)).stop();
    await Deno.remove(join(directory, "cluster", "PG_VERSION"));
    await assertRejects(() => startEmbedded(directory), Error, "is not whole, for PG_VERSION can't be read");
  });
});

Deno.test("startEmbedded() refuses a file in the place of the directory, and above it", async () => {
  await inTemporaryDirectory(async (directory) => {
    const file = join(directory, "file");
    await Deno.writeTextFile(file, "");
    for (const home of [file, join(file, "data")]) {
      const { message } = await assertRejects(() => startEmbedded(home), Error);
      assertEquals(message, `${home} is not a directory, or lies below a file: set DATA_DIR to another place`);
    }
  });
});

Deno.test({
  name: "startEmbedded() says which directory an ordinary user may not write in, and which is another's",
  ignore: !ROOT || Deno.build.os !== "linux",
  async fn() {
    await inTemporaryDirectory(async (parent) => {
      const mine = await nobodysIn(parent, "mine");
      const sealed = join(mine, "sealed");
      await Deno.mkdir(sealed, { mode: 0o555 });
      await Deno.chmod(sealed, 0o555);
      await Deno.chown(sealed, NOBODY, NOBODY);
      const open = join(parent, "open");
      await Deno.mkdir(open);
      await Deno.chmod(open, 0o777);
      const refused = {
        [join(parent, "new")]: `This user may not write in ${parent}: set DATA_DIR to another directory`,
        [join(parent, "new", "below")]: `This user may not write in ${parent}: set DATA_DIR to another directory`,
        [sealed]: `This user may not write in ${sealed}: set DATA_DIR to another directory`,
        [join(sealed, "new")]: `This user may not write in ${sealed}: set DATA_DIR to another directory`,
        [parent]: `${parent} holds other files: set DATA_DIR to a directory that is empty or does not exist yet`,
        [open]: `${open} belongs to another user: start Linger as that user, or set DATA_DIR to another directory`,
      };
      for (const [home, sentence] of Object.entries(refused)) {
        assertStringIncludes(await startOwner(home, AS_NOBODY, "/").complaint(), sentence);
      }
    });
  },
});

Deno.test({
  name: "runningIn() tells a database that an ordinary user may not look at from none",
  ignore: !ROOT || Deno.build.os !== "linux",
  async fn() {
    await inTemporaryDirectory(async (parent) => {
      await Deno.chmod(parent, 0o755);
      const [module, cache, directory] = ["directory.ts", "cache", "data"].map((name) => join(parent, name));
      await Deno.copyFile(fileURLToPath(new URL("../src/database/directory.ts", import.meta.url)), module!);
      await Deno.mkdir(cache!);
      await Deno.chown(cache!, NOBODY, NOBODY);
      await Deno.mkdir(join(directory!, "cluster"), { recursive: true });
      await Deno.chmod(directory!, 0o700);
      // Where a start as root has made the lock, in this user's directory.
      const [readable, unreadable] = ([["readable", 0o644], ["unreadable", 0o600]] as const).map(([name, mode]) => {
        const path = join(parent, name);
        Deno.mkdirSync(join(path, "cluster"), { recursive: true });
        Deno.writeTextFileSync(join(path, "postgres.lock"), "");
        Deno.chmodSync(join(path, "postgres.lock"), mode);
        Deno.chownSync(path, NOBODY, NOBODY);
        return path;
      });
      const refused = {
        [unreadable!]:
          `${unreadable}/postgres.lock belongs to another user: start Linger as that user, or set DATA_DIR to another directory`,
        [directory!]:
          `${directory} belongs to another user: start Linger as that user, or set DATA_DIR to another directory`,
        [join(parent, "none")]: `DATABASE_URL is not set, and ${join(parent, "none")} has no database`,
        [module!]: `${module} is not a directory, or lies below a file: set DATA_DIR to another place`,
      };
      const ask = "const { runningIn } = await import(Deno.args[0]); await runningIn(Deno.args[1])";
      for (const [home, sentence] of [...Object.entries(refused), [readable!, ""] as const]) {
        const [first, ...args] = [
          ...AS_NOBODY_ALONE,
          Deno.execPath(),
          "eval",
          "--no-config",
          ask,
          `file://${module}`,
          home,
        ];
        const { stderr } = await new Deno.Command(first!, { args, cwd: parent, env: { DENO_DIR: cache! } }).output();
        if (sentence) assertStringIncludes(new TextDecoder().decode(stderr), `Error: ${sentence}`);
        else assertEquals(new TextDecoder().decode(stderr), "");
      }
    });
  },
});

for (
  const [what, options, reason] of [
    ["is full", "size=20m", "its file system is full"],
    ["is read-only", "ro", "its file system is read-only"],
  ] as const
) {
  Deno.test({
    name: `startEmbedded() says so where the file system ${what}`,
    ignore: !canMount(),
    async fn() {
      await inTemporaryDirectory(async (parent) => {
        await run("mount", "-t", "tmpfs", "-o", options, "none", parent);
        try {
          const home = join(parent, "data");
          const { message } = await assertRejects(() => startEmbedded(home), Error);
          assertStringIncludes(message, `The database can't be kept in ${home}: ${reason}. Set DATA_DIR to another`);
        } finally {
          await run("umount", parent);
        }
      });
    },
  });
}

// For an ordinary user, every test here is one of this. For root it is this one; a capability lets the other
// user read the files of Deno and of this project, wherever they lie.
Deno.test({
  name: "startEmbedded() works as an ordinary user, and lets no other one in",
  ignore: !ROOT || Deno.build.os !== "linux",
  async fn() {
    await inTemporaryDirectory(async (parent) => {
      const directory = await nobodysIn(parent, "data");
      const owner = startOwner(directory, AS_NOBODY);
      await owner.says("Ready");
      assertEquals((await Deno.stat(join(directory, "postgres.lock"))).uid, NOBODY);
      // No other ordinary user gets to the socket, not even by its name.
      for (const [uid, reaches] of [[NOBODY, true], [4_321, false]] as const) {
        const { success } = await new Deno.Command("test", {
          args: ["-S", join(directory, ".s.PGSQL.5432")],
          ...{ uid, gid: uid, cwd: "/" },
        }).output();
        assertEquals(success, reaches, `user ${uid}`);
      }
      assertEquals((await Deno.stat(join(directory, ".s.PGSQL.5432"))).mode! & 0o777, 0o700);
      assertEquals(await query(join(directory, ".s.PGSQL.5432"), "select 1 as one"), [{ one: 1 }]);
      await owner.kill();
      await untilGone(directory);
    });
  },
});

Deno.test({
  name: "An ordinary user starts what root has started before in his directory",
  ignore: !ROOT || Deno.build.os !== "linux",
  async fn() {
    await inTemporaryDirectory(async (parent) => {
      const directory = await nobodysIn(parent, "data");
      await (await startEmbedded(directory)).stop();
      const owner = startOwner(directory, AS_NOBODY);
      await owner.says("Ready");
      await assertRejects(() => startEmbedded(directory), Error, "is in use by another Linger");
      await owner.kill();
      await untilGone(directory);
    });
  },
});

async function inTemporaryDirectory(test: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await test(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Makes a directory of an ordinary user's, in one that all may enter. */
async function nobodysIn(parent: string, name: string): Promise<string> {
  await Deno.chmod(parent, 0o755);
  const directory = join(parent, name);
  await Deno.mkdir(directory);
  await Deno.chown(directory, NOBODY, NOBODY);
  return directory;
}

/** Uses a connection of its own, so that none is open when a server is killed. */
async function query(socket: string, text: string): Promise<unknown[]> {
  const options = { path: socket, username: "postgres", database: "postgres", password: "", max: 1 };
  const sql = postgres(options as postgres.Options<Record<string, never>>);
  try {
    return [...await sql.unsafe(text)];
  } finally {
    await sql.end();
  }
}

/** Another program, which owns the server in `directory` and can be killed. */
function startOwner(directory: string, via: string[] = [], cwd = dirname(directory)) {
  const run = ["run", "--allow-all", "--quiet", "--config", CONFIG, OWNER, directory];
  const [first, ...args] = [...via, Deno.execPath(), ...run];
  // Works, like one that is started in a clone below /root, in a directory that only root can enter.
  const child = new Deno.Command(first!, { args, cwd, stdin: "null", stdout: "piped", stderr: "piped" }).spawn();
  const complaint = new Response(child.stderr).text();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let said = "";
  return {
    /** Resolves when it has said one of these. */
    async says(...texts: string[]) {
      while (!texts.some((text) => said.includes(text))) {
        const { value, done } = await reader.read();
        assert(!done, `The owner ended before it said "${texts.join('" or "')}", but said: ${said}`);
        said += value;
      }
    },
    async kill() {
      child.kill("SIGKILL");
      await child.status;
      while (!(await reader.read()).done);
      await complaint;
    },
    /** What it says when it has ended by itself. */
    async complaint() {
      await child.status;
      while (!(await reader.read()).done);
      return await complaint;
    },
  };
}

/** The processes that name the directory in their command line or work in it, where /proc tells. */
async function processesOf(directory: string): Promise<string[]> {
  if (Deno.build.os !== "linux") return [];
  const found: string[] = [];
  for (const pid of (await namesIn("/proc")).filter((name) => /^\d+$/.test(name))) {
    const command = await Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => "");
    const cwd = await Deno.readLink(`/proc/${pid}/cwd`).catch(() => "");
    if (command.includes(directory) || cwd.startsWith(directory)) found.push(`${pid} ${command}`);
  }
  return found;
}

async function untilGone(directory: string): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const left = await processesOf(directory);
    if (left.length === 0) return;
    assert(performance.now() < deadline, `Still running: ${left.join("\n")}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function namesIn(directory: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(directory))).map(({ name }) => name);
}

/** The folders with PostgreSQL's programs. */
async function programsIn(directory: string): Promise<string[]> {
  return (await namesIn(directory)).filter((name) => name.startsWith("postgresql-"));
}

async function run(program: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args }).output();
  assert(success, new TextDecoder().decode(stderr));
}

function canRun(program: string): boolean {
  return new Deno.Command("sh", { args: ["-c", 'command -v "$0"', program], stdout: "null" }).outputSync().success;
}

/** Whether this user can say which number the next process gets. */
function canNumber(): boolean {
  try {
    Deno.writeTextFileSync(LAST_PID, Deno.readTextFileSync(LAST_PID).trim());
    return true;
  } catch {
    return false; // no Linux, not root, or in a container
  }
}

/** Whether this user can mount file systems. */
function canMount(): boolean {
  if (Deno.build.os !== "linux" || !ROOT) return false;
  const home = Deno.makeTempDirSync();
  const can = new Deno.Command("sh", { args: ["-c", 'mount -t tmpfs none "$0" && umount "$0"', home], stderr: "null" })
    .outputSync().success;
  Deno.removeSync(home);
  return can;
}

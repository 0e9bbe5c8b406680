// A full disk: posts are refused, truthfully, and served again as soon as there is room, without a restart. PostgreSQL itself
// gives up when it can't write its log ahead; ours is started again then, as it is when somebody kills it.
import { assertEquals, assertGreater } from "@std/assert";
import { join } from "node:path";
import driver from "postgres";
import { get, messages, PATIENCE_MS, posted, until } from "./support/client.ts";
import { OwnPostgres } from "./support/own_postgres.ts";
import { freePort } from "./support/postgres.ts";
import { exitCode, spawnStarting, startServer } from "./support/server.ts";
import { type PostRecord, type StoredMessage, violations } from "./torture/checker.ts";
import { recordPost } from "./torture/clients.ts";

const mounts = await mount("1m").then(async (disk) => (await disk?.[Symbol.asyncDispose](), disk !== undefined));
if (!mounts) console.log("This user can't mount a small file system: no disk will be filled");

/** A small file system of its own; undefined where this user may not make one. */
async function mount(
  size: string,
): Promise<{ path: string; fill(): Promise<void>; empty(): Promise<void> } & AsyncDisposable | undefined> {
  const path = await Deno.makeTempDir({ prefix: "linger-disk-" });
  const done = await new Deno.Command("mount", {
    args: ["-t", "tmpfs", "-o", `size=${size}`, "linger", path],
    stderr: "null",
  })
    .output().then(({ success }) => success, () => false);
  const ballast = join(path, "ballast");
  if (!done) {
    await Deno.remove(path);
    return undefined;
  }
  return {
    path,
    fill: async () => {
      using file = await Deno.open(ballast, { write: true, create: true, append: true });
      const block = new Uint8Array(100_000);
      try {
        while (true) await file.write(block);
      } catch { /* the disk is full */ }
    },
    empty: () => Deno.remove(ballast),
    [Symbol.asyncDispose]: async () => {
      await new Deno.Command("umount", { args: ["--lazy", path] }).output();
      await Deno.remove(path);
    },
  };
}

/** Posts until one is refused; returns that one. */
async function fillUp(server: { url: string }, posts: PostRecord[]): Promise<PostRecord> {
  for (let i = 0; i < 20_000; i++) {
    const body = `${i} ${text(9_000)}`;
    const record = await recordPost(server, "room", body, body.slice(0, 200));
    posts.push(record);
    if (!record.id) return record;
  }
  throw new Error("The disk does not get full");
}

/** Text that can't be compressed. */
function text(length: number): string {
  return Array.from({ length: length / 8 }, () => Math.random().toString(36).slice(2, 10).padEnd(8, "x")).join("");
}

function connect(socket: string, database: string): driver.Sql {
  const options = { path: socket, user: "postgres", database, max: 1, fetch_types: false };
  return driver(options as driver.Options<Record<string, never>>);
}

/** Writes ahead until there is no room for it, and PostgreSQL has given up: a statement can also fail before that. */
async function exhaust(socket: string, hasGivenUp: () => boolean): Promise<void> {
  const sql = connect(socket, "postgres");
  await until(
    async () => {
      await sql`select pg_logical_emit_message(true, 'ballast', repeat('x', 1000000))`.catch(() => {});
      return hasGivenUp();
    },
    "PostgreSQL gives up",
    2 * PATIENCE_MS,
  );
  await sql.end({ timeout: 0 });
}

/** What the writers were told is true of what is stored at the socket. */
async function settle(socket: string, database: string, posts: PostRecord[]): Promise<void> {
  const sql = connect(socket, database);
  const table = await sql<StoredMessage[]>`select room, id, body, key from messages where room = 'room'`;
  await sql.end();
  assertEquals(violations({ posts, polls: [], table: [...table] }), []);
}

Deno.test({
  name: "A disk without room for another message refuses posts, lets read, and takes posts again when there is room",
  ignore: !mounts,
  fn: async () => {
    await using disk = (await mount("24m"))!;
    const { path } = disk;
    await using postgres = await OwnPostgres.start();
    const { uid, gid } = await Deno.stat(postgres.home);
    await Deno.chown(path, uid, gid);
    await postgres.run(
      `create tablespace small location '${path}'`,
      "create database small tablespace small", // its log ahead is written elsewhere
    );
    await using server = await startServer(postgres.url("small"));
    const first = await posted(server, "first", "before");
    await disk.fill();
    const posts: PostRecord[] = [];
    await fillUp(server, posts);
    for (let i = 0; i < 3; i++) {
      posts.push(await recordPost(server, "room", text(9_000), `${i}`));
      assertEquals(posts.at(-1)!.status, 503);
      assertEquals((await get(server, "/readyz")).status, 503);
      assertEquals(await messages(server, "first", "before=now"), [first]);
    }
    await disk.empty();
    posts.push(await recordPost(server, "room", "there is room"));
    assertEquals(posts.at(-1)!.status, 201);
    assertEquals((await get(server, "/readyz")).status, 200);
    await settle(join(postgres.home, `.s.PGSQL.${postgres.port}`), "small", posts);
    await postgres.run("select pg_terminate_backend(pid) from pg_stat_activity where datname = 'small'");
  },
});

/** `main.ts start` with a database of its own in `directory`. */
function start(directory: string): ReturnType<typeof spawnStarting> {
  return spawnStarting("", { PORT: `${freePort()}`, DATA_DIR: directory }, "main.ts", "start");
}

/** The process number of the PostgreSQL in `directory`. */
async function pidOf(directory: string): Promise<number> {
  return parseInt(await Deno.readTextFile(join(directory, "cluster/postmaster.pid")));
}

Deno.test("A PostgreSQL of our own that is killed is started again, and everything goes on", async () => {
  const directory = await Deno.makeTempDir({ prefix: "linger-keep-" });
  await using server = start(directory);
  const at = { url: await server.ready };
  const stored = [await posted(at, "room", "before")];
  for (const signal of ["SIGQUIT", "SIGKILL"] as const) {
    const killed = await pidOf(directory);
    Deno.kill(killed, signal);
    await until(async () => await pidOf(directory).catch(() => killed) !== killed, "another runs", 60_000);
    const answer = await untilItSucceeds(() => posted(at, "room", signal));
    stored.push(answer);
    await until(async () => (await get(at, "/readyz")).status === 200, "it is ready");
  }
  assertEquals(await messages(at, "room", "before=now"), stored);
  assertEquals(server.log().match(/PostgreSQL has ended by itself, and is started again/g)?.length, 2);
  server.kill("SIGTERM");
  assertEquals(await exitCode(server), 0);
  await until(
    () => Deno.stat(join(directory, "cluster/postmaster.pid")).then(() => false, () => true),
    "no PostgreSQL is left",
  );
  await Deno.remove(directory, { recursive: true });
});

/** What `attempt` gives as soon as it does not fail. */
async function untilItSucceeds<T>(attempt: () => Promise<T>): Promise<T> {
  let value: { got: T } | undefined;
  await until(() => attempt().then((got) => (value = { got }, true), () => false), "it succeeds", 60_000);
  return value!.got;
}

Deno.test({
  name:
    "A PostgreSQL of our own that its full disk has ended runs again when there is room, without a restart of Linger",
  ignore: !mounts,
  fn: async () => {
    await using disk = (await mount("260m"))!;
    const directory = join(disk.path, "data");
    await using server = start(directory);
    const at = { url: await server.ready };
    const posts: PostRecord[] = [];
    for (let i = 0; i < 20; i++) posts.push(await recordPost(at, "room", `first ${i}`, `first ${i}`));
    await disk.fill();
    await fillUp(at, posts);
    await exhaust(join(directory, ".s.PGSQL.5432"), () => server.log().includes("PostgreSQL has ended by itself"));
    await until(() => server.log().includes("and is started again until it does"), "it can't be started", 60_000);
    assertEquals((await get(at, "/readyz")).status, 503);
    assertEquals((await get(at, "/healthz")).status, 200);
    assertEquals((await recordPost(at, "room", "refused", "refused")).status, 503);
    await disk.empty();
    await untilItSucceeds(() => posted(at, "other", "there is room"));
    await settle(join(directory, ".s.PGSQL.5432"), "postgres", posts);
    assertGreater(posts.length, 20);
    server.kill("SIGTERM");
    assertEquals(await exitCode(server), 0);
  },
});

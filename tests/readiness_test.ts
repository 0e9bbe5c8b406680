// /readyz decides where clients are sent: it has to know what becomes of posts, and may not cost them anything.
import { assertEquals, assertRejects } from "@std/assert";
import { Readiness } from "../src/chat/readiness.ts";
import type { LastWrite } from "../src/chat/writer.ts";
import { DatabaseError } from "../src/database/client.ts";
import { Problem } from "../src/problem.ts";
import { get, post, type ProblemDetails, read, until } from "./support/client.ts";
import { OwnPostgres } from "./support/own_postgres.ts";
import { startServer } from "./support/server.ts";

const AGES_MS = 3_600_000;

/** A readiness whose database answers as it is told, and what it has been asked. */
function make(
  answer: () => Promise<void> = () => Promise.resolve(),
  now?: () => number,
  waits: () => boolean = () => false,
) {
  const writer: { last: LastWrite } = { last: { outcome: "none", at: -Infinity } };
  let asked = 0;
  const store = {
    checkWritable: () => (asked++, answer()),
    waitsForStandby: () => Promise.resolve(waits()),
  };
  const readiness = new Readiness(store, writer, now);
  return {
    readiness,
    asked: () => asked,
    wrote: (outcome: LastWrite["outcome"], ago = 0) => void (writer.last = { outcome, at: performance.now() - ago }),
  };
}

Deno.test("Readiness asks the database once for all who want to know at a time", async () => {
  const gate = Promise.withResolvers<void>();
  const { readiness, asked } = make(() => gate.promise);
  const checks = Array.from({ length: 10 }, () => readiness.check());
  gate.resolve();
  await Promise.all(checks);
  assertEquals(asked(), 1);
});

Deno.test("Readiness asks nothing where a post has just been stored, and asks again when that is long ago", async () => {
  const { readiness, asked, wrote } = make();
  wrote("stored", -AGES_MS); // as if it were always just now
  await readiness.check();
  assertEquals(asked(), 0);
  wrote("stored", AGES_MS);
  await readiness.check();
  assertEquals(asked(), 1);
});

Deno.test("Readiness asks anew after a post that was lost, whatever it knew before", async () => {
  const { readiness, asked, wrote } = make();
  await readiness.check();
  wrote("lost");
  await readiness.check();
  assertEquals(asked(), 2);
});

Deno.test("Readiness says no as long as the database has just refused a post, and then asks", async () => {
  const { readiness, asked, wrote } = make();
  wrote("refused", -AGES_MS);
  const problem = await assertRejects(() => readiness.check(), Problem);
  assertEquals([problem.status, problem.detail, asked()], [503, "The database takes no posts", 0]);
  wrote("refused", AGES_MS);
  await readiness.check();
  assertEquals(asked(), 1);
});

Deno.test("Readiness says no where the database does, and tells whether it could be reached", async () => {
  for (
    const [fate, detail] of [
      ["rolled-back", "The database takes no posts"],
      ["not-sent", "The database can't be reached"],
      ["unknown", "The database can't be reached"],
    ] as const
  ) {
    const { readiness } = make(() => Promise.reject(new DatabaseError(fate, "25006", undefined, {})));
    for (let i = 0; i < 2; i++) {
      const problem = await assertRejects(() => readiness.check(), Problem);
      assertEquals([problem.status, problem.detail], [503, detail]);
    }
  }
});

Deno.test("Readiness asks once a second also where the answer is no, and knows better as soon as a post is stored", async () => {
  let now = Math.floor(performance.now()); // whole: else a second later can be a hair less than a second
  const { readiness, asked, wrote } = make(
    () => Promise.reject(new DatabaseError("not-sent", "x", undefined, {})),
    () => now,
  );
  for (let i = 0; i < 10; i++) await assertRejects(() => readiness.check(), Problem);
  assertEquals(asked(), 1);
  now += 1_000;
  for (let i = 0; i < 10; i++) await assertRejects(() => readiness.check(), Problem);
  assertEquals(asked(), 2);
  wrote("stored", -2_000);
  await readiness.check();
  assertEquals(asked(), 2);
});

Deno.test("Readiness says no after a post that was lost as long as a commit waits for its standby, and looks after no other", async () => {
  let now = Math.floor(performance.now());
  let waits = true;
  const { readiness, wrote } = make(undefined, () => now, () => waits);
  await readiness.check();
  wrote("lost");
  for (let i = 0; i < 3; i++) {
    const problem = await assertRejects(() => readiness.check(), Problem);
    assertEquals([problem.status, problem.detail], [503, "The database waits for its standby"]);
    now += 1_000;
  }
  waits = false;
  await readiness.check();
});

/** What keeps posts from being stored, each with its cure. */
const RUINS = [
  ["revoke insert on messages from linger", "grant insert on messages to linger"],
  ["revoke insert on heads from linger", "grant insert on heads to linger"],
  ["revoke update on heads from linger", "grant update on heads to linger"],
  ["alter table messages rename to gone", "alter table gone rename to messages"],
  ["alter table heads rename to gone", "alter table gone rename to heads"],
] as const;

Deno.test("/readyz says no where a post could not be stored and nobody has tried: a table is gone, or a right on it", async () => {
  await using postgres = await OwnPostgres.start();
  await postgres.run("create role linger login", "grant create on schema public to linger");
  const url = `postgres://linger@127.0.0.1:${postgres.port}/postgres`;
  for (const [ruin, cure] of RUINS) {
    await using server = await startServer(url); // which knows nothing yet
    await postgres.run(ruin);
    const { status, json } = await get<ProblemDetails>(server, "/readyz");
    assertEquals([ruin, status, json.detail], [ruin, 503, "The database takes no posts"]);
    await postgres.run(cure);
  }
  await using server = await startServer(url);
  assertEquals((await get(server, "/readyz")).status, 200);
  assertEquals(await postgres.run("select from heads"), []);
});

Deno.test("/readyz says no while commits wait for a standby that is away, and yes when they need not", async () => {
  await using postgres = await OwnPostgres.start();
  await using server = await startServer(postgres.url(), { STATEMENT_TIMEOUT_MS: "2000" });
  await postgres.run("alter system set synchronous_standby_names = 'away'");
  await postgres.reload();
  await until(
    async () => (await read(post(server, "room", { body: "not acknowledged" }))).status === 503,
    "a commit waits",
  );
  const { status, json } = await get<ProblemDetails>(server, "/readyz");
  assertEquals([status, json.detail], [503, "The database waits for its standby"]);
  await postgres.run("alter system reset synchronous_standby_names");
  await postgres.reload();
  await until(async () => (await get(server, "/readyz")).status === 200, "posts can be stored again");
});

// An instance that its platform freezes, or a laptop that sleeps: all of its clocks stand still, and what it was connected to is gone
// when it wakes up. It goes on as if it had only been slow.
import { assert, assertEquals } from "@std/assert";
import { violations } from "./torture/checker.ts";
import { recordPost } from "./torture/clients.ts";
import { get, health, messages, posted, type ProblemDetails, until } from "./support/client.ts";
import { subscribe } from "./support/events.ts";
import { testPostgres } from "./support/postgres.ts";
import { spawnServer } from "./support/server.ts";
import type { StoredMessage } from "./torture/checker.ts";

const postgres = await testPostgres();

/** Longer than any deadline of the frozen server, in milliseconds. */
const LONG_MS = 12_000;

// Long enough for a busy machine to connect anew: what does not answer so long is not there, and those who wait are told so.
const INTERVALS = {
  FALLBACK_MS: "300",
  FALLBACK_WITHOUT_LISTEN_MS: "200",
  STATEMENT_TIMEOUT_MS: "10000",
  HEARTBEAT_MS: "9000", // no wait of a poll: what ends at one moment waits for one look
};

for (const [how, cut] of [["", false], [", and whose connections were ended meanwhile,", true]] as const) {
  Deno.test(`A server that was frozen for long${how} has every message, answers those who wait, and listens again`, async () => {
    await using database = await postgres.create();
    await using frozen = await spawnServer(`${database.url}?application_name=frozen`, INTERVALS);
    await using other = await spawnServer(database.url, INTERVALS);
    const first = await posted(frozen, "room", "first");
    const poll = messages(frozen, "room", `after=${first.id}&wait=50`);
    await using stream = await subscribe(frozen, "room", `after=${first.id}`);
    await until(async () => {
      const { waiters, listening } = await health(frozen);
      return waiters === 1 && listening;
    }, "it waits, and it listens");
    // Up while it is frozen, one of them beside news; and so is a sign of life.
    const quiet = get<ProblemDetails>(frozen, "/rooms/quiet/messages?after=now&wait=10");
    const known = await posted(frozen, "lively", "known");
    const lively = get<unknown>(frozen, `/rooms/lively/messages?after=${known.id}&wait=10`);
    await using alive = await subscribe(frozen, "lively", `after=${known.id}`);
    await until(async () => (await health(frozen)).waiters === 3, "all wait");
    const before = await listener();

    frozen.kill("SIGSTOP");
    // Into another room: in this one they would have it looked at.
    const posts = Array.from({ length: 5 }, (_, i) => recordPost(frozen, "busy", `to the frozen one ${i}`, `key ${i}`));
    // First: what its database has told it lies in its socket until it wakes up.
    if (cut) {
      await database.admin((sql) =>
        sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'frozen' and datname = ${database.name}`
      );
    }
    const missed = [];
    for (let i = 0; i < 3; i++) missed.push(await posted(other, "room", `missed ${i}`));
    const news = await posted(other, "lively", "news");
    await new Promise((resolve) => setTimeout(resolve, LONG_MS));
    const blocks = alive.blocks.length;
    frozen.kill("SIGCONT");

    const [woken] = await poll;
    assertEquals(woken, missed[0]);
    const { status, text, json } = await quiet;
    // A look that was under way may have come back too late to say that there is nothing.
    if (status === 503) assertEquals(json.type, "urn:linger:problem:unavailable");
    else assertEquals([status, text], [200, "[]"]);
    // Where nobody can say whether there is news, none is told that there is none.
    const { status: found, json: page } = await lively;
    if (found !== 503) assertEquals(page, [news]);
    let isOver = false;
    void alive.ended.then(() => isOver = true);
    await until(() => isOver || alive.messages.length > 0, "it has the news, or is told that nobody knows");
    assertEquals(alive.blocks.slice(blocks).filter(({ comment, data }) => comment && !data), []);
    const records = await Promise.all(posts);
    for (const { status, problem } of records) {
      assert(status === 201 || problem === "not-stored" || problem === "outcome-unknown", `${status} ${problem}`);
    }
    const table = await database.sql<
      StoredMessage[]
    >`select room, id, body, key from messages where body like 'to the%'`;
    assertEquals(violations({ posts: records, polls: [], table }), []);

    await until(
      async () => (await health(frozen)).listening && (!cut || await listener() !== before),
      "it listens again",
    );
    const last = await posted(other, "room", "last");
    const all = await messages(other, "room", `after=${first.id}&limit=100`);
    assertEquals(await messages(frozen, "room", `after=${first.id}&limit=100&wait=0`), all);
    await until(() => stream.messages.at(-1)?.id === last.id, "the stream has the last message");
    assertEquals(stream.messages, all);
    await posted(frozen, "room", "again");

    /** The process in the database that listens for it. */
    async function listener(): Promise<number | undefined> {
      const [row] = await database.sql<{ pid: number }[]>`
        select pid from pg_stat_activity
        where application_name = 'frozen' and datname = ${database.name} and query ilike 'listen%'`;
      return row?.pid;
    }
  });
}

// What a room in memory costs by itself, without HTTP and without a database: `deno bench`.
import { makeId, NIL, placeOf, randomDigits, seqOf, timeOf } from "../src/chat/cursor.ts";
import { Feed } from "../src/chat/feed.ts";
import { type Entry, makeEntry } from "../src/chat/page.ts";
import type { Commit } from "../src/chat/store.ts";
import { wait } from "../tests/support/waiting.ts";

const ROOMY = { messages: 1_000, bytes: 1_000_000 };
const HOUR_MS = 3_600_000;
const text = "x".repeat(100);
const nothing = () =>
  Promise.resolve({ entries: [], full: false, head: { place: placeOf(NIL), lost: false, trimmed: NIL } });

/** The feed of a room with so many messages, and the messages to come. */
async function room(messages: number): Promise<{ feed: Feed; next: () => Entry }> {
  const feed = new Feed("room", { newest: nothing, news: nothing }, ROOMY, () => {}, () => {}, () => {});
  await feed.refresh(); // which finds the room empty
  let seq = 0;
  const next = () => makeEntry("room", makeId(Date.now(), ++seq, randomDigits()), null, text);
  feed.append(following(feed, Array.from({ length: messages }, next)));
  return { feed, next };
}

/** What a statement brings that has found the room as the feed knows it. */
function following({ room, place }: Feed, entries: Entry[]): Omit<Commit, "head"> {
  return { room, entries, prior: { ms: timeOf(place), seq: seqOf(place) } };
}

const quiet = await room(1);
Deno.bench("append, nobody waits", { group: "append" }, () => {
  quiet.feed.append(following(quiet.feed, [quiet.next()]));
});

for (const waiters of [100, 10_000]) {
  const { feed, next } = await room(1);
  Deno.bench(`append, until ${waiters} waiters are settled`, { group: "append" }, async (b) => {
    const waiting = Array.from({ length: waiters }, () => wait(feed, feed.end, HOUR_MS));
    const entry = next();
    b.start();
    feed.append(following(feed, [entry]));
    await Promise.all(waiting);
    b.end();
  });
}

for (const waiters of [1, 10_000]) {
  const { feed, next } = await room(1);
  Deno.bench(`wait, append and settle, ${waiters} in all`, { group: "wait" }, async () => {
    const waiting = Array.from({ length: waiters }, () => wait(feed, feed.end, HOUR_MS));
    feed.append(following(feed, [next()]));
    await Promise.all(waiting);
  });
}

/** Where a reader of the newest hundred stands. */
function hundredBefore(feed: Feed): string {
  return makeId(timeOf(feed.end), seqOf(feed.end) - 100, "ffffffffff");
}

const full = await room(200);
const cursor = hundredBefore(full.feed);
Deno.bench("page of 100, made before", { group: "page" }, () => {
  full.feed.page(cursor, 100);
});

const growing = await room(200);
Deno.bench("page of 100, made anew after each message", { group: "page" }, (b) => {
  growing.feed.append(following(growing.feed, [growing.next()]));
  const cursor = hundredBefore(growing.feed);
  b.start();
  growing.feed.page(cursor, 100);
  b.end();
});

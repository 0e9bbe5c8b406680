// What goes out is made here, byte for byte, and where a page ends decides whether a reader gets every message.
import { assertEquals, assertGreater, assertLessOrEqual } from "@std/assert";
import { z } from "zod";
import { makeId } from "../src/chat/cursor.ts";
import { MAX_PAGE_BYTES, Room } from "../src/chat/message.ts";
import { Entry, fitting, makeEntry, makePage } from "../src/chat/page.ts";

/** What a client is given. */
const Message = z.object({
  id: z.guid(),
  room: Room,
  author: z.string().nullable(),
  body: z.string(),
  created_at: z.iso.datetime({ precision: 3 }),
  sub: z.string().optional(),
  reply_to: z.guid().optional(),
  changed: z.guid().optional(),
});

const id = (seq: number, ms = 1_700_000_000_123) => makeId(ms, seq, "0123456789");

Deno.test("makeEntry() makes the message of the protocol, with the time that its id says", () => {
  const { json } = makeEntry("lobby", id(1), "Ada", "hello");
  const message = Message.parse(JSON.parse(json));
  assertEquals(Object.keys(message), ["id", "room", "author", "body", "created_at"]);
  assertEquals(message, {
    id: id(1),
    room: "lobby",
    author: "Ada",
    body: "hello",
    created_at: "2023-11-14T22:13:20.123Z",
  });
  assertEquals(JSON.parse(makeEntry("lobby", id(1), null, "hello").json).author, null);
});

Deno.test("makeEntry() counts the bytes of its JSON in UTF-8, and keeps the text as it is", () => {
  for (const body of ["plain", "Grüße, 世界 👋🏽", 'a "quote", a \\ and a \u0001', "\u2028 </script>"]) {
    const entry = makeEntry("lobby", id(1), null, body);
    assertEquals(entry.bytes, new TextEncoder().encode(entry.json).length);
    assertEquals(JSON.parse(entry.json).body, body);
  }
});

Deno.test("fitting() counts what the limit and the end of the list allow", () => {
  const entries = [1, 2, 3, 4, 5].map((seq) => makeEntry("lobby", id(seq), null, "short"));
  assertEquals(fitting(entries, 0, 10), 5);
  assertEquals(fitting(entries, 0, 5), 5);
  assertEquals(fitting(entries, 0, 2), 2);
  assertEquals(fitting(entries, 3, 10), 2);
  assertEquals(fitting(entries, 3, 1), 1);
  assertEquals(fitting(entries, 5, 10), 0);
  assertEquals(fitting([], 0, 10), 0);
});

Deno.test("fitting() stops at a page's bytes, not one byte before", () => {
  const half = MAX_PAGE_BYTES / 2;
  assertEquals(fitting([sized(half), sized(half), sized(1)], 0, 10), 2);
  assertEquals(fitting([sized(half), sized(half + 1), sized(1)], 0, 10), 1);
  assertEquals(fitting([sized(MAX_PAGE_BYTES), sized(half), sized(half), sized(1)], 1, 10), 2);
});

Deno.test("fitting() takes one entry that alone is larger than a page", () => {
  assertEquals(fitting([sized(2 * MAX_PAGE_BYTES), sized(1)], 0, 10), 1);
  assertEquals(fitting([sized(1), sized(2 * MAX_PAGE_BYTES), sized(1)], 1, 10), 1);
});

Deno.test("makePage() makes a JSON array that begins and ends with what it says", () => {
  const entries = [1, 2, 3].map((seq) => makeEntry("lobby", id(seq), null, `Grüße ${seq}`));
  const page = makePage(entries, true);
  assertEquals(
    JSON.parse(new TextDecoder().decode(page.body)),
    entries.map((entry) => JSON.parse(entry.json)),
  );
  assertEquals([page.first, page.last, page.full], [id(1), id(3), true]);
  const bytes = entries.reduce((sum, entry) => sum + entry.bytes, 0);
  assertGreater(page.body.length, bytes);
  assertLessOrEqual(page.body.length, bytes + entries.length + 1);
});

Deno.test("makePage() makes an empty array of nothing", () => {
  const page = makePage([], false);
  assertEquals(new TextDecoder().decode(page.body), "[]");
  assertEquals([page.first, page.last, page.full], [undefined, undefined, false]);
});

function sized(bytes: number): Entry {
  return new Entry(id(1), "x".repeat(bytes));
}

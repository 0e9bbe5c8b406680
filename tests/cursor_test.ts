// A cursor that is read wrongly skips messages or repeats them, so every form of one and every bit of an id counts.
import { assertEquals, assertGreater, assertMatch, assertNotEquals } from "@std/assert";
import { ulidToUUID, uuidToULID } from "ulid";
import { makeId, NIL, parseCursor, randomDigits, seqOf, timeOf } from "../src/chat/cursor.ts";

const UUID = "01563e3a-b5d3-d676-4c61-efb99302bd5b";
const ULID = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

Deno.test("parseCursor() takes a UUID and a ULID, in either case, and returns the lower-case UUID", () => {
  for (const text of [UUID, UUID.toUpperCase(), ULID, ULID.toLowerCase()]) {
    assertEquals(parseCursor(text), UUID, text);
  }
});

Deno.test("parseCursor() takes the nil cursor and the largest id in both forms", () => {
  assertEquals(parseCursor(NIL), NIL);
  assertEquals(parseCursor("0".repeat(26)), NIL);
  assertEquals(
    parseCursor("f".repeat(8) + "-ffff-ffff-ffff-" + "f".repeat(12)),
    parseCursor("7" + "Z".repeat(25)),
  );
});

Deno.test("parseCursor() gives an id made here back from both of its forms", () => {
  for (const [ms, seq] of [[0, 0], [1, 1], [Date.now(), 4_096], [2 ** 48 - 1, 2 ** 40 - 1]] as const) {
    const id = makeId(ms, seq, "00ff00ff00");
    assertEquals(parseCursor(id), id);
    assertEquals(parseCursor(uuidToULID(id)), id);
    assertEquals(ulidToUUID(uuidToULID(id)).toLowerCase(), id);
  }
});

Deno.test("parseCursor() returns undefined for anything else", () => {
  const garbage = [
    "",
    " ",
    "now",
    "0",
    "-1",
    UUID + " ",
    " " + UUID,
    UUID + "\n",
    UUID.slice(1),
    UUID + "0",
    UUID.replaceAll("-", ""),
    `{${UUID}}`,
    `urn:uuid:${UUID}`,
    UUID.replace("d", "g"),
    UUID.replace("-", "_"),
    ULID.slice(1),
    ULID + "0",
    ULID + "\n",
    "8" + ULID.slice(1), // more than 128 bit
    ..."ILOUilou*-=".split("").map((letter) => ULID.slice(0, 25) + letter),
    "0".repeat(25) + "٠", // a digit, but of another script
  ];
  for (const text of garbage) assertEquals(parseCursor(text), undefined, JSON.stringify(text));
});

Deno.test("parseCursor() returns undefined for letters whose upper case would be a ULID's", () => {
  for (
    const text of [
      ULID.slice(1) + "ſ",
      ULID.slice(0, 24) + "ß",
      ULID.slice(0, 24) + "ﬀ",
      UUID.replace("d", "ď"),
    ]
  ) {
    assertEquals(parseCursor(text), undefined, text);
  }
});

Deno.test("makeId() puts time, number and random digits where timeOf() and seqOf() find them", () => {
  assertEquals(makeId(0x0123456789ab, 0xcdef012345, "6789abcdef"), "01234567-89ab-cdef-0123-456789abcdef");
  for (const ms of [0, 1, Date.now(), 2 ** 48 - 1]) {
    for (const seq of [0, 1, 0xffff, 0x10000, 2 ** 32, 2 ** 40 - 1]) {
      const id = makeId(ms, seq, "ffffffffff");
      assertMatch(id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
      assertEquals([timeOf(id), seqOf(id)], [ms, seq]);
    }
  }
  assertEquals([timeOf(NIL), seqOf(NIL)], [0, 0]);
});

Deno.test("makeId() orders by time, then by number, whatever the random digits are", () => {
  const ascending = [
    makeId(1, 1, "ffffffffff"),
    makeId(1, 2, "0000000000"),
    makeId(1, 0x10000, "0000000000"),
    makeId(2, 1, "0000000000"),
    makeId(0x10000, 1, "0000000000"),
    makeId(0x100000000, 1, "0000000000"),
  ];
  for (const [i, id] of ascending.slice(1).entries()) assertGreater(id, ascending[i]!);
  assertGreater(ascending[0]!, NIL);
});

Deno.test("randomDigits() are ten hex digits, others each time", () => {
  for (let i = 0; i < 100; i++) assertMatch(randomDigits(), /^[0-9a-f]{10}$/);
  assertNotEquals(randomDigits(), randomDigits());
});

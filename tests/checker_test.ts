// The checker finds every kind of violation, in histories made by hand, and nothing in a right one.
import { assertEquals } from "@std/assert";
import { type History, type PollRecord, type PostRecord, type StoredMessage, violations } from "./torture/checker.ts";

const row = (n: number, key: string | null = null): StoredMessage => ({ room: "r", id: `id${n}`, body: `m${n}`, key });
const ack = (n: number, more: Partial<PostRecord> = {}): PostRecord => ({
  room: "r",
  body: `m${n}`,
  sent: 10 * n,
  answered: 10 * n + 5,
  status: 201,
  id: `id${n}`,
  ...more,
});
function refused(n: number, problem: string, more: Partial<PostRecord> = {}): PostRecord {
  const { id: _, ...record } = ack(n, { status: 503, problem, ...more });
  return record;
}
const poll = (ns: number[], more: Partial<PollRecord> = {}): PollRecord => ({
  name: "p",
  room: "r",
  from: "",
  messages: ns.map((n) => ({ id: `id${n}`, body: `m${n}` })),
  ...more,
});

const right: History = {
  posts: [
    ack(1),
    ack(2),
    refused(3, "outcome-unknown"),
    refused(4, "outcome-unknown"),
    refused(5, "not-stored"),
    ack(6),
  ],
  polls: [poll([1, 2, 3, 6]), poll([3, 6], { from: "id2" })],
  table: [row(1), row(2), row(3), row(6)],
};

Deno.test("violations() finds nothing in a right history", () => {
  assertEquals(violations(right), []);
});

const wrong: [string, Partial<History>, string[]][] = [
  ["an acknowledged message that is not stored", { posts: [...right.posts, ack(7)] }, [
    "m7 was acknowledged as id7, and is not stored so",
  ]],
  ["an acknowledgement with another id", { posts: [...right.posts.slice(1), ack(1, { id: "id0" })] }, [
    "m1 was acknowledged as id0, and is not stored so",
  ]],
  ["a refused message that is stored", { posts: [...right.posts.slice(0, 5), refused(6, "not-stored")] }, [
    "m6 was refused as not stored, and is stored",
  ]],
  ["a message that nobody posted", { posts: right.posts.slice(0, 5) }, ["id6 is stored, and nobody posted it"]],
  ["a message that is stored twice", { table: [...right.table, { ...row(7), body: "m6" }], polls: [] }, [
    "m6 is stored 2 times",
  ]],
  ["a message that a poller never saw", { polls: [poll([1, 3, 6])] }, ["p never saw m2 (id2)"]],
  ["a poller that stopped early", { polls: [poll([1, 2, 3])] }, ["p never saw m6 (id6)"]],
  ["a message seen twice", { polls: [poll([1, 2, 2, 3, 6])] }, ["p saw id2 twice"]],
  ["messages out of order", { polls: [poll([1, 3, 2, 6])] }, ["p saw id2 after id3"]],
  ["a message from before the cursor", { polls: [poll([2, 3, 6], { from: "id2" })] }, ["p began at id2, and saw id2"]],
  ["a ghost", { polls: [poll([1, 2, 3, 4, 6])] }, ["p saw id4, which is not stored"]],
  ["a body that changed", {
    polls: [
      poll([1, 2, 3, 6], { messages: [1, 2, 3, 6].map((n) => ({ id: `id${n}`, body: n === 2 ? "x" : `m${n}` })) }),
    ],
  }, ["p saw id2 as x, which is stored as m2"]],
  ["a message of another room", { polls: [poll([1], { room: "other" })] }, ["p saw id1, which is not stored"]],
  ["an order against real time", { posts: [...right.posts.slice(0, 5), ack(6, { sent: 5, answered: 8 })] }, [
    "m1 was sent after m6 was acknowledged, and stands before it",
    "m2 was sent after m6 was acknowledged, and stands before it",
  ]],
];

for (const [what, change, expected] of wrong) {
  Deno.test(`violations() finds ${what}`, () => assertEquals(violations({ ...right, ...change }), expected));
}

const keyed = (posts: PostRecord[], table: StoredMessage[]): string[] =>
  violations({ posts: posts.map((post) => ({ ...post, key: "k" })), polls: [], table });

Deno.test("violations() takes a retry with the key as the same post", () => {
  const again = { sent: 30, answered: 35 };
  assertEquals(keyed([refused(1, "outcome-unknown"), ack(1, { ...again, replayed: true })], [row(1, "k")]), []);
  assertEquals(keyed([refused(1, "outcome-unknown"), ack(1, again)], [row(1, "k")]), []);
  assertEquals(keyed([refused(1, "not-stored"), ack(1, again)], [row(1, "k")]), []);
  assertEquals(keyed([ack(1), ack(1, { ...again, replayed: true })], [row(1, "k")]), []);
  assertEquals(
    keyed([refused(1, "x", { status: 0, problem: undefined! }), ack(1, { ...again, replayed: true })], [row(1, "k")]),
    [],
  );
  assertEquals(keyed([refused(1, "outcome-unknown")], []), []);
  assertEquals(keyed([refused(1, "not-stored"), refused(1, "outcome-unknown", again)], [row(1, "k")]), []);
});

Deno.test("violations() finds a replay that betrays a false refusal", () => {
  assertEquals(keyed([refused(1, "not-stored"), ack(1, { sent: 30, answered: 35, replayed: true })], [row(1, "k")]), [
    "m1 was answered as stored before, and no attempt before had been told that it may be",
  ]);
});

Deno.test("violations() finds a key with two messages, and with two answers", () => {
  const two = { ...row(2, "k"), body: "m1" };
  assertEquals(keyed([ack(1), ack(1, { id: "id2", sent: 30, answered: 35, replayed: true })], [row(1, "k"), two]), [
    "m1 is stored 2 times",
    "m1 was acknowledged with one key as id1 and as id2",
    "Key r k is stored 2 times",
  ]);
});

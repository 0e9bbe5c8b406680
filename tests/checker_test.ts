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
  messages: ns.map((n) => ({ id: `id${n}`, body: `m${n}`, at: 10 * n + 6 })),
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
      poll([1, 2, 3, 6], {
        messages: [1, 2, 3, 6].map((n) => ({ id: `id${n}`, body: n === 2 ? "x" : `m${n}`, at: 0 })),
      }),
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

// The database loses what is posted as 4 and 5, and is another one from 60 on; all servers serve again at 70.
const failedOver: History = {
  posts: [ack(1), ack(4), ack(5), ack(7), ack(8)],
  polls: [poll([1, 4, 5, 7, 8]), poll([1, 7, 8]), poll([7, 8], { from: "id4" })],
  table: [row(1), row(7), row(8)],
  losses: [{ from: 30, to: 60, over: 70 }],
};

Deno.test("violations() takes what a failover has lost as lost, and as seen by some", () => {
  assertEquals(violations(failedOver), []);
  const below = { ...row(7), id: "id45" }; // by a server that had not heard of the lost ones
  const posts = [ack(1), ack(4), ack(5), ack(7, { id: "id45" }), ack(8)];
  assertEquals(violations({ ...failedOver, posts, polls: [poll([1, 4, 5, 8])], table: [row(1), below, row(8)] }), []);
});

Deno.test("violations() finds what a failover must not do: lose more, show for long what is lost, cost a later message", () => {
  const found = (change: Partial<History>) => violations({ ...failedOver, ...change });
  assertEquals(found({ losses: [{ from: 46, to: 60, over: 70 }], polls: [poll([1, 7, 8])] }), [
    "m4 was acknowledged as id4, and is not stored so",
  ]);
  const late = poll([1, 7, 8], { messages: [1, 4, 7, 8].map((n) => ({ id: `id${n}`, body: `m${n}`, at: 10_100 })) });
  assertEquals(found({ polls: [late] }), ["p saw id4, which is lost, 10030 ms too late"]);
  assertEquals(found({ polls: [poll([1, 4, 5, 8])] }), ["p never saw m7 (id7)"]);
});

// The checker finds every kind of violation, in histories made by hand, and nothing in a right one.
import { assertEquals } from "@std/assert";
import type { ChangeRecord, FollowRecord, Sight } from "./torture/change_checker.ts";
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

// What is changed: 1 is edited twice, 2 is deleted, 3 is edited without an answer. A change that is acknowledged as n stands at idn.
const change = (of: number, n: number, body: string, more: Partial<ChangeRecord> = {}): ChangeRecord => ({
  room: "r",
  id: `id${of}`,
  body,
  sent: 100 * n,
  answered: 100 * n + 50,
  status: body === "" ? 204 : 200,
  ...body !== "" && { changed: `id${n}` },
  ...more,
});
const unanswered = (of: number, n: number, body: string): ChangeRecord => {
  const { changed: _, ...record } = change(of, n, body, { status: 0 });
  return record;
};
const refusedChange = (of: number, n: number, status: number, more: Partial<ChangeRecord> = {}): ChangeRecord => {
  const { changed: _, ...record } = change(of, n, "refused", { status, problem: "changed", ...more });
  return record;
};
const sight = (of: number, body: string | undefined, at: number, more: Partial<Sight> = {}): Sight => ({
  id: `id${of}`,
  body,
  at,
  ...more,
});
const item = (place: number, of: number, body: string, changed?: number): FollowRecord["items"][number] => ({
  id: `id${of}`,
  body,
  place: `id${place}`,
  at: 1_000,
  ...changed && { changed: `id${changed}` },
});
const follower = (items: FollowRecord["items"], from = ""): FollowRecord => ({ name: "f", room: "r", from, items });
const readAt = (asked: number, of: number, body: string | undefined, changed?: string) => [{
  name: "a read",
  room: "r",
  seen: [sight(of, body, asked + 10, { asked, ...changed && { changed } })],
}];

const changed: History = {
  posts: [ack(1), ack(2), ack(3)],
  polls: [
    poll([1, 2, 3]),
    poll([], { messages: [sight(1, "b", 900, { changed: "id6" }), sight(3, "m3", 900)] as PollRecord["messages"] }),
  ],
  table: [{ ...row(1), body: "b", changed: "id6" }, { ...row(2), body: "", changed: "id7" }, {
    ...row(3),
    body: "c",
    changed: "id8",
  }],
  changes: [
    change(1, 5, "a"),
    change(1, 6, "b", { known: "id5" }),
    change(2, 7, ""),
    unanswered(3, 8, "c"),
    refusedChange(1, 9, 412, { known: "id5" }),
    refusedChange(2, 9, 410),
  ],
  follows: [
    follower([
      item(1, 1, "m1"),
      item(2, 2, "m2"),
      item(3, 3, "m3"),
      item(5, 1, "a", 5),
      item(6, 1, "b", 6),
      item(7, 2, "", 7),
      item(8, 3, "c", 8),
    ]),
    follower([item(3, 3, "c", 8), item(6, 1, "b", 6), item(7, 2, "", 7), item(8, 3, "c", 8)], "id2"),
  ],
  reads: [
    ...readAt(560, 1, "a", "id5"),
    ...readAt(660, 1, "b", "id6"),
    ...readAt(640, 1, "a", "id5"), // it had not been acknowledged yet
    ...readAt(900, 2, ""),
    ...readAt(900, 3, "m3"), // nobody knows whether it was edited, and when
    ...readAt(900, 3, "c", "id8"),
  ],
};

Deno.test("violations() finds nothing in a right history of changes, with some whose outcome nobody knows", () => {
  assertEquals(violations(changed), []);
  const without = { ...changed, table: [...changed.table.slice(0, 2), row(3)], follows: [], reads: [], polls: [] };
  assertEquals(violations(without), []); // what had no answer was not done
});

const first = changed.follows![0]!.items;
const wrongChanges: [string, Partial<History>, string[]][] = [
  ["an acknowledged edit that is not stored", {
    table: [{ ...row(1), body: "a", changed: "id5" }, ...changed.table.slice(1)],
    follows: [],
    reads: [],
    polls: [],
  }, [
    "The edit to b of id1 was acknowledged, and what is stored is older",
  ]],
  ["an edit that an older one has undone", {
    table: [{ ...row(1), body: "a", changed: "id9" }, ...changed.table.slice(1)],
    changes: [...changed.changes!.slice(0, 2), change(2, 7, ""), unanswered(3, 8, "c")],
    reads: readAt(700, 1, "a", "id5"),
    follows: [],
    polls: [],
  }, [
    "a read saw id1 as a after it had become b",
  ]],
  ["a deleted message that is stored", {
    table: [changed.table[0]!, { ...row(2), changed: "id7" }, changed.table[2]!],
    follows: [],
    reads: [],
    polls: [],
  }, [
    "id2 is stored as m2, and nobody was told that it may be",
    "id2 was deleted, and is stored as m2",
  ]],
  ["a text that nobody was told may be stored", {
    table: [...changed.table.slice(0, 2), { ...row(3), body: "refused", changed: "id8" }],
    follows: [],
    reads: [],
    polls: [],
    changes: [...changed.changes!, refusedChange(3, 8, 503, { problem: "not-stored" })],
  }, [
    "id3 is stored as refused, and nobody was told that it may be",
  ]],
  ["two changes in one place", {
    changes: [...changed.changes!, change(1, 6, "x")],
    follows: [],
    reads: [],
    polls: [],
  }, [
    "id1 became b and x in one place",
    "The edit to x of id1 was acknowledged, and what is stored is older",
  ]],
  ["a read with a text from before an edit", { reads: readAt(660, 1, "a", "id5") }, [
    "a read saw id1 as a after it had become b",
  ]],
  ["a read with the posted text after an edit", { reads: readAt(660, 1, "m1") }, [
    "a read saw id1 as m1 after it had become a",
  ]],
  ["a read with a deleted text", { reads: readAt(760, 2, "m2") }, ["a read saw id2 as m2 after it was deleted"]],
  ["a poll that does not wait with a deleted text", {
    polls: [poll([], { from: "id3", messages: [{ ...sight(2, "m2", 800, { asked: 760 }), body: "m2" }] })],
  }, [
    "p began at id3, and saw id2",
    "p saw id2 as m2 after it was deleted",
  ]],
  ["a text that nobody wrote", { reads: readAt(100, 1, "x", "id4") }, ["a read saw id1 as x, which nobody made of it"]],
  ["a text from before it was written", { reads: readAt(100, 1, "b", "id6") }, [
    "a read saw id1 as b, which nobody made of it",
  ]],
  ["a message that is missing", { reads: readAt(100, 1, undefined) }, [
    "a read was told that there is no id1, which is stored",
  ]],
  ["a message that is said to be deleted before it was", { reads: readAt(100, 2, "") }, [
    "a read was told that id2 is deleted, and nobody had",
  ]],
  ["a false 412", { changes: [...changed.changes!, refusedChange(1, 9, 412, { known: "id6" })] }, [
    "id1 was said not to be id6, and nobody else had changed it",
  ]],
  ["a false 410", { changes: [...changed.changes!, refusedChange(1, 9, 410)] }, [
    "id1 was said to be deleted, and nobody had",
  ]],
  ["a false 404", { changes: [...changed.changes!, refusedChange(1, 9, 404)] }, ["id1 was said not to be there"]],
  ["a false 403", { changes: [...changed.changes!, refusedChange(1, 9, 403)] }, ["id1 was said to be another's"]],
  ["an edit over one that was not known", {
    changes: [change(1, 5, "a"), change(1, 6, "b", { known: "id1" }), ...changed.changes!.slice(2)],
  }, [
    "id1 was edited to b as id1, and had become a",
  ]],
  ["an edit after a deletion", { changes: [...changed.changes!, change(2, 9, "x")] }, [
    "id2 was edited to x after it was deleted",
    "The edit to x of id2 was acknowledged, and what is stored is older",
  ]],
  ["a follower that was not told of an edit", { follows: [follower(first.filter(({ place }) => place !== "id6"))] }, [
    "f ends with id1 as a, which is b",
  ]],
  [
    "a follower that was not told of a deletion",
    { follows: [follower(first.filter(({ place }) => place !== "id7"))] },
    [
      "f ends with id2 as m2, which is deleted",
    ],
  ],
  ["a follower that was not told of a message", { follows: [follower(first.filter(({ id }) => id !== "id3"))] }, [
    "f never saw id3, which is c",
  ]],
  ["a follower that began in the middle, and was not told of an edit of what came before", {
    follows: [follower(changed.follows![1]!.items.filter(({ id }) => id !== "id1"), "id2")],
  }, ["f never saw id1, which is b"]],
  ["a follower that was given a place twice", { follows: [follower([first[0]!, first[0]!, ...first.slice(1)])] }, [
    "f was given the place id1 after id1",
  ]],
  ["a follower that was given an older text later", {
    follows: [
      follower([
        ...first.slice(0, 4),
        first[4]!,
        { ...first[0]!, place: "id65" },
        ...first.slice(5),
        item(9, 1, "b", 6),
      ]),
    ],
  }, [
    "f saw id1 as m1 after b",
  ]],
  ["a follower that was given a deleted text later", { follows: [follower([...first, item(9, 2, "m2")])] }, [
    "f saw id2 as m2 after he was told that it is deleted",
    "f ends with id2 as m2, which is deleted",
  ]],
  ["a plain poller that was not given what was deleted only later", { polls: [poll([1, 3])] }, [
    "p never saw m2 (id2)",
  ]],
];

for (const [what, difference, expected] of wrongChanges) {
  Deno.test(`violations() finds ${what}`, () => {
    assertEquals(violations({ ...changed, ...difference }).toSorted(), expected.toSorted());
  });
}

// The edit of 1 is acknowledged, and lost at 560, with the database; all servers serve again at 700.
const lostEdit: History = {
  posts: [ack(1)],
  polls: [],
  table: [row(1)],
  changes: [change(1, 5, "a")],
  losses: [{ from: 500, to: 600, over: 700 }],
};

Deno.test("violations() takes an edit that a failover has lost as lost, but not what is shown of it for long", () => {
  const seen = (at: number) => [follower([{ ...item(1, 1, "m1"), at: 400 }, { ...item(5, 1, "a", 5), at }])];
  assertEquals(violations({ ...lostEdit, follows: seen(650) }), []);
  assertEquals(violations({ ...lostEdit, reads: readAt(20_000, 1, "m1") }), []);
  const late = refusedChange(7, 200, 404); // of a message that is lost, too
  assertEquals(violations({ ...lostEdit, changes: [...lostEdit.changes!, late] }), []);
  assertEquals(violations({ ...lostEdit, reads: readAt(20_000, 1, "a", "id5") }), [
    "a read saw id1 as a, which is newer than what is stored",
  ]);
  assertEquals(violations({ ...lostEdit, losses: [{ from: 600, to: 650, over: 700 }] }), [
    "The edit to a of id1 was acknowledged, and what is stored is older",
  ]);
  const known = (known: string) => [...lostEdit.changes!, refusedChange(1, 200, 412, { known })];
  assertEquals(violations({ ...lostEdit, changes: known("id5") }), []);
  assertEquals(violations({ ...lostEdit, changes: known("id6") }), [
    "id1 was said not to be id6, and nobody else had changed it",
  ]);
  const later = {
    ...lostEdit,
    table: [{ ...row(1), body: "b", changed: "id6" }],
    changes: [change(1, 5, "a"), change(1, 6, "b", { sent: 20_000, answered: 20_010 })],
  };
  assertEquals(violations({ ...later, follows: [follower([...seen(650)[0]!.items, item(6, 1, "b", 6)])] }), []);
  assertEquals(violations({ ...later, follows: seen(650) }), ["f ends with id1 as a, which is b"]);
});

// Others go on meanwhile: 2 is edited before the loss, and said once more; 3 and 4 are lost.
const besideLoss: History = {
  ...lostEdit,
  posts: [ack(1), ack(2), ack(3, { sent: 550, answered: 560 }), ack(4, { sent: 560, answered: 570 })],
  table: [row(1), { ...row(2), body: "b", changed: "id21" }],
  changes: [change(1, 5, "a"), change(2, 21, "b", { sent: 300, answered: 310 })],
};
const given = [
  { ...item(1, 1, "m1"), at: 100 },
  { ...item(2, 2, "m2"), at: 200 },
  { ...item(21, 2, "b", 21), at: 320 },
  { ...item(3, 3, "m3"), at: 590 },
  { ...item(4, 4, "m4"), at: 595 },
];
const besideLossSeen = (items: FollowRecord["items"], more: Partial<History> = {}) =>
  violations({ ...besideLoss, follows: [follower(items)], ...more });

Deno.test("violations() finds what a follower missed before a failover, also where he was given what is lost", () => {
  assertEquals(besideLossSeen(given), []);
  const without = (missed: string) => given.filter(({ place }) => place !== missed);
  assertEquals(besideLossSeen(without("id21")), ["f ends with id2 as m2, which is b"]);
  assertEquals(besideLossSeen(without("id1")), ["f never saw id1, which is m1"]);
  // What is given soon after a loss is not lost for that.
  const kept = { posts: [ack(1), ack(2), ack(7)], table: [...besideLoss.table, row(7)] };
  assertEquals(besideLossSeen([given[0]!, given[1]!, { ...item(7, 7, "m7"), at: 720 }], kept), [
    "f ends with id2 as m2, which is b",
  ]);
});

Deno.test("violations() takes what was made after a failover, before the head was lifted, as missed by who has what is lost", () => {
  const made = (sent: number) => ({
    posts: [...besideLoss.posts, ack(39, { sent, answered: sent + 10 })],
    table: [{ ...row(1), body: "c", changed: "id38" }, besideLoss.table[1]!, row(39)],
    changes: [...besideLoss.changes!, change(1, 38, "c", { sent, answered: sent + 10 })],
  });
  assertEquals(besideLossSeen(given, made(10_000)), []);
  const missed = ["f ends with id1 as m1, which is c", "f never saw id39, which is m39"];
  assertEquals(besideLossSeen(given, made(20_000)), missed);
  assertEquals(besideLossSeen(given, { ...made(300), changes: made(300).changes.slice(1) }), missed);
  // He has nothing that is lost: not what is above because it was kept, nor because it was changed again.
  const nothing = given.slice(0, 3);
  assertEquals(besideLossSeen(nothing, made(10_000)), missed);
  const { posts, table, changes } = made(10_000);
  assertEquals(besideLossSeen([...nothing, given[4]!], { posts, table: [...table, row(4)], changes }), [
    "m39 was sent after m4 was acknowledged, and stands before it",
    ...missed,
  ]);
  const twice = [change(2, 4, "d", { sent: 320, answered: 330 }), change(2, 5, "e", { sent: 340, answered: 350 })];
  assertEquals(
    besideLossSeen([...nothing, { ...item(4, 2, "d", 4), at: 335 }, { ...item(5, 2, "e", 5), at: 355 }], {
      posts,
      table: [table[0]!, { ...row(2), body: "e", changed: "id5" }, table[2]!],
      changes: [...changes, ...twice],
    }),
    missed,
  );
});

Deno.test("violations() takes what a lost edit or deletion has hidden from a follower as missed", () => {
  const kept = change(1, 2, "b", { sent: 300, answered: 310 });
  const hidden = (lost: ChangeRecord[]) =>
    violations({
      ...besideLoss,
      posts: [ack(1)],
      table: [{ ...row(1), body: "b", changed: "id2" }],
      changes: [kept, ...lost],
      follows: [follower(given.slice(0, 1))],
    });
  assertEquals(hidden([]), ["f ends with id1 as m1, which is b"]);
  assertEquals(hidden([change(1, 5, "a")]), []);
  assertEquals(hidden([unanswered(1, 4, "a")]), []); // whenever it was done
  assertEquals(hidden([change(1, 5, "")]), []);
  assertEquals(hidden([change(1, 11, "a", { sent: 510, answered: 590 })]), ["f ends with id1 as m1, which is b"]); // is older
});

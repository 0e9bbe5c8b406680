// A Postgres that shards by room takes less SQL than one that does not, and says so only when a statement comes. None is at hand
// for the tests. So what Linger sends is held to the rules that are known, as the database's own log has it.
import { assert, assertEquals } from "@std/assert";
import { join } from "node:path";
import { END, makePlace, NIL } from "../src/chat/cursor.ts";
import { Floors } from "../src/chat/floors.ts";
import { ON_PRIMARY } from "../src/chat/sql/primary.ts";
import { KEY_TAKEN, Store } from "../src/chat/store.ts";
import { Client, DatabaseError } from "../src/database/client.ts";
import { LOG } from "../src/database/embedded.ts";
import { draft } from "./support/draft.ts";
import { OwnPostgres } from "./support/own_postgres.ts";
import { openedMigrated } from "./support/postgres.ts";

/** The functions that the statements use. One that is new here has to be one that other engines have, too. */
const FUNCTIONS = [
  ["clock_timestamp", "v"],
  ["current_setting", "s"],
  ["decode", "i"],
  ["extract", "i"],
  ["floor", "i"],
  ["lower", "i"],
  ["lpad", "i"],
  ["octet_length", "i"],
  ["pg_is_in_recovery", "v"],
  ["pg_logical_emit_message", "v"],
  ["pg_notify", "v"],
  ["replace", "i"],
  ["row_number", "i"],
  ["set_config", "v"],
  ["sum", "i"],
  ["to_hex", "i"],
  ["unnest", "i"],
  ["upper", "i"],
];

const AHEAD_MS = 30_000;

/** What few posts have changes the statement for all in their batch. */
const MARKED = { proof: "00".repeat(32), reply_to: NIL };

/** A message that is not there is looked at once more, to find out. */
const CHANGE = {
  ...{ room: "a", id: NIL, body: "y", sub: null, proof: null, moderates: false, known: null },
  random: "0123456789",
};

/** Each method of the store with all that changes its statement. */
const CALLS: { [Method in keyof Store]: ((store: Store) => Promise<unknown>)[] } = {
  append: [
    (store) => store.append([draft("a", "x", { key: "key" })]),
    ...[{}, MARKED].flatMap((marks) =>
      [["a", "a"], ["a", "b"], ["a", "ahead"]].map((rooms) => (store: Store) =>
        store.append(rooms.map((room) => draft(room, "x", marks)))
      )
    ),
    (store) => store.append([draft("a", "x", MARKED)]),
    (store) =>
      store.append([draft("a", "x", { key: "key" })]).catch((error) =>
        assert(error instanceof DatabaseError && error.constraint === KEY_TAKEN)
      ),
  ],
  withKeysOf: [(store) => store.withKeysOf([draft("a", "x", { key: "key" })])],
  change: [(store) => store.change(CHANGE)],
  readAfter: [(store) => store.readAfter("a", NIL, 10), (store) => store.readAfter("a", NIL, 10, { changes: true })],
  pageAfter: [(store) => store.pageAfter("a", NIL, 10)],
  readBefore: [(store) => store.readBefore("a", undefined, 10), (store) => store.readBefore("a", NIL, 10)],
  search: [true, false].map((hasIcu) => (store) =>
    store.search({ room: "a", before: END, text: "text", limit: 10, hasIcu })
  ),
  hasIcu: [(store) => store.hasIcu()],
  newest: [(store) => store.newest("a", 10)],
  news: [(store) => store.news("a", { newest: NIL, place: makePlace(0, 0) }, 10)],
  readOne: [(store) => store.readOne("a", NIL)],
  heads: [(store) => store.heads(new Map([["a", { newest: NIL, place: makePlace(0, 0) }]]))],
  lift: [(store) => store.lift("a", Date.now() + AHEAD_MS)],
  newestRooms: [(store) => store.newestRooms(10)],
  newestOf: [(store) => store.newestOf(["a", "none"])],
  hasBegun: [(store) => store.hasBegun("a")],
  notify: [(store) => store.notify("linger", ["a"])],
  checkWritable: [(store) => store.checkWritable()],
  waitsForStandby: [(store) => store.waitsForStandby()],
  clock: [(store) => store.clock()],
};

/** All that the store sends, and a connection that can be asked about it. */
async function sent(): Promise<{ postgres: OwnPostgres; statements: string[] } & AsyncDisposable> {
  const postgres = await OwnPostgres.start({ settings: { log_statement: "all", log_line_prefix: "%a> " } });
  const database = await openedMigrated(postgres.url());
  const floors = new Floors();
  floors.raise("ahead", Date.now() + AHEAD_MS);
  const client = new Client("features", 1, 6_000, database.openPool);
  const store = new Store(client, client, client, floors);
  for (const calls of Object.values(CALLS)) for (const call of calls) await call(store);
  await client.close();
  const log = await Deno.readTextFile(join(postgres.home, LOG));
  // A statement of several lines goes on behind tabs.
  const said = log.matchAll(/^linger features> LOG: {2}execute [^:]*: (.*(?:\n\t.*)*)/gm);
  return {
    postgres,
    statements: [...new Set(said.map(([, statement]) => statement!))],
    [Symbol.asyncDispose]: () => postgres[Symbol.asyncDispose](),
  };
}

Deno.test("What the store sends is SQL that a Postgres takes which shards by room, as far as its rules are known", async () => {
  const methods = Object.getOwnPropertyNames(Store.prototype).filter((name) => name !== "constructor");
  assertEquals(Object.keys(CALLS).sort(), methods.sort());
  await using all = await sent();
  const { postgres, statements } = all;
  // Three are sent twice: a page after a cursor, a post with a key, and posts into several rooms, of which none shows that they could
  // be stored. A change that is not made sends two.
  assertEquals(statements.length, Object.values(CALLS).flat().length - 3 + 1, statements.join("\n\n"));

  const known = await postgres.run("select distinct proname as name, provolatile as kind from pg_proc");
  const kinds = new Map(known.map(({ name, kind }) => [name as string, kind as string]));
  const functionsIn = (sql: string) =>
    [...new Set(sql.matchAll(/(\w+)\s*\(/g).map(([, name]) => name!.toLowerCase()))].filter((name) => kinds.has(name));

  for (const statement of statements) {
    // What is computed for a row that is there has to come out the same on every machine: the clock is read before.
    const updates = statement.match(/do update set[^]*?(?=returning|$)/g) ?? [];
    assertEquals(updates.flatMap(functionsIn).filter((name) => kinds.get(name) !== "i"), [], statement);
    // A subquery looks only into the room of its row, which is on the same machine.
    assert(!/\b(lateral|offset|distinct|group by|recursive|full join)\b/i.test(statement), statement);
    for (const [from] of statement.replaceAll(ON_PRIMARY, "true").matchAll(/\bfrom (heads|messages)\b[^()]*/g)) {
      assert(/\broom = |\bjoin unnest|^from heads h where true order by ms desc, room limit/.test(from), statement);
    }
  }
  const used = [...new Set(statements.flatMap(functionsIn))].sort();
  assertEquals(used.map((name) => [name, kinds.get(name)]), FUNCTIONS);
});

Deno.test("The room comes first in every key, and no table refers to another", async () => {
  await using all = await sent();
  const keys = await all.postgres.run(`
    select c.relname as name, a.attname as first from pg_index i
      join pg_class c on c.oid = i.indexrelid join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
    where i.indrelid in ('heads'::regclass, 'messages'::regclass) order by name`);
  assertEquals(
    keys,
    ["heads_pkey", "messages_changed", "messages_key", "messages_pkey"].map((name) => ({ name, first: "room" })),
  );
  assertEquals(await all.postgres.run("select from pg_constraint where contype = 'f'"), []);
});

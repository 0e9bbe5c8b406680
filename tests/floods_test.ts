// The short form of `deno task torture --only=floods`: some attacks of each kind, by a few hundred connections from this machine, where
// no address tells the attacker from the others. How long things take, says nothing here: the machine may be busy. But what a flood holds
// up has to go on when it is over.
import { assert, assertEquals } from "@std/assert";
import type { Attack } from "./torture/attacker.ts";
import { flood, type FloodedServer } from "./torture/flood.ts";
import { floods } from "./torture/floods.ts";
import { fillLongRooms, spawnFlooded } from "./torture/siege.ts";
import { IS_REFUSED_LATE, judge, TAKES_ALL_PLACES } from "./torture/verdict.ts";
import { type TestDatabase, testPostgres } from "./support/postgres.ts";

const SHORT = { beforeMs: 500, floodMs: 1_000, settleMs: 0, calmMs: 1_000, most: 300, loopback: true };

const CHOSEN = [
  "floods: posts of 9.9 kB over 2000 connections",
  "floods: posts of 9.9 kB over HTTP/2 (10 x 200)",
  "floods: posts into the room of the victims",
  "floods: edits of own messages over 64 connections",
  "floods: pages from the start over 10 connections",
  "floods: 2000 streams that never read and 20 posts a second",
  "floods: 15000 held polls",
  "floods: ghost polls over HTTP/2",
  "floods: /rooms",
  "floods: slow bodies over 3000 connections",
  "floods: rapid reset of HTTP/2",
];

const postgres = await testPostgres();
let database: TestDatabase;
let server: FloodedServer;

Deno.test.beforeAll(async () => {
  database = await postgres.create();
  server = await spawnFlooded(database.url);
  await fillLongRooms(database.sql);
});

Deno.test.afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

for (const [i, name] of CHOSEN.entries()) {
  Deno.test(`Two others are refused nothing and lose nothing in a flood of ${name.replace("floods: ", "")}`, async () => {
    const attack = named(name);
    const flooded = await flood(attack, server, { ...SHORT, room: `victims-${i}` });
    assertEquals(judge(attack, flooded, true, Infinity).violations, []); // so it has to come, however late
    assert(flooded.live, "The server says what memory it has in use");
    assertEquals(flooded.refusals, {}); // so few connections take no places from them
  });
}

const FINE = {
  wrong: [],
  refusals: {},
  recovery: 2_000,
  live: { before: 15, after: 20, ms: 60_000 },
  left: 0,
  answers: { "200": 5, "429": 1 },
};

Deno.test("A flood is judged by what is lost, refused, late or never over, left behind, or not bounded", () => {
  const [program, setting] = ["floods: /rooms", "floods: posts into new rooms"].map(named);
  const amiss = (attack: Attack, what: object) => judge(attack, { ...FINE, ...what }, false).violations;
  for (const attack of floods) assertEquals(judge(attack, FINE, false), { violations: [], known: [] });
  assertEquals(amiss(program!, { wrong: ["lost"] }), ["lost"]);
  assertEquals(amiss(program!, { refusals: { "poll 503": 2 } }), ["A victim's request was refused: poll 503 x 2"]);
  assertEquals(amiss(program!, { recovery: undefined }).length, 1);
  assertEquals(amiss(program!, { recovery: 2_100 }), ["Messages took longer than before for 2.1 s more"]);
  assertEquals(judge(program!, { ...FINE, recovery: 19_000 }, false, 20_000).violations, []);
  assertEquals(amiss(program!, { live: { before: 15, after: 60, ms: 60_000 } }), [
    "The server has 60 MB in use, and had 15",
  ]);
  assertEquals(amiss(program!, { live: { before: 15, after: 60, ms: 5_000 } }), []);
  assertEquals(amiss(program!, { live: undefined }), []);
  assertEquals(amiss(program!, { left: 3 }).length, 1);
  assertEquals(amiss(program!, { answers: {} }).length, 0);
  assertEquals(amiss(setting!, { answers: { "201": 500 } }).length, 1);
  assertEquals(judge(setting!, { ...FINE, answers: { "201": 500 } }, true).violations, []);
});

Deno.test("A flood is forgiven what is known of it, and no more", () => {
  const bad = { ...FINE, refusals: { "poll 503": 2 }, recovery: undefined };
  const counted = (attack: Attack, loopback: boolean) => {
    const { violations, known } = judge(attack, bad, loopback);
    return [violations.length, known.length];
  };
  for (const attack of floods) {
    const { name, stoppedBy } = attack;
    const isKnown = (list: string[]) => list.includes(name);
    const [late, places] = [isKnown(IS_REFUSED_LATE), isKnown(TAKES_ALL_PLACES)];
    const proxy = stoppedBy === "proxy";
    assertEquals(counted(attack, false), proxy ? [0, 2] : late ? [1, 1] : [2, 0], name);
    assertEquals(counted(attack, true), proxy ? [0, 2] : late || places ? [1, 1] : [2, 0], name);
    const slow = judge(attack, { ...FINE, recovery: 19_000 }, false);
    assertEquals([slow.violations.length, slow.known.length], proxy || late ? [0, 1] : [1, 0], name);
    assertEquals(judge(attack, { ...FINE, wrong: ["lost"], left: 1 }, true).violations.length, 2, name);
  }
  for (const name of [...IS_REFUSED_LATE, ...TAKES_ALL_PLACES]) named(name);
});

function named(name: string): Attack {
  const attack = floods.find((attack) => attack.name === name);
  assert(attack, name);
  return attack;
}

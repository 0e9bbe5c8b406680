// The short form of `deno task torture --only=floods`: some attacks of each kind, by a few hundred connections from this machine, where
// no address tells the attacker from the others. How long things take, says nothing here: the machine may be busy.
import { assertEquals } from "@std/assert";
import { flood } from "./torture/flood.ts";
import { floods } from "./torture/floods.ts";
import { fillLongRooms } from "./torture/siege.ts";
import { type TestDatabase, testPostgres } from "./support/postgres.ts";
import { type ServerProcess, spawnServer } from "./support/server.ts";

const SHORT = { beforeMs: 500, floodMs: 1_000, settleMs: 0, most: 300, loopback: true };

const CHOSEN = [
  "floods: posts of 9.9 kB over 2000 connections",
  "floods: posts of 9.9 kB over HTTP/2 (10 x 200)",
  "floods: posts into the room of the victims",
  "floods: pages from the start over 10 connections",
  "floods: 2000 streams that never read and 20 posts a second",
  "floods: 15000 held polls",
  "floods: ghost polls over HTTP/2",
  "floods: slow bodies over 3000 connections",
];

const postgres = await testPostgres();
let database: TestDatabase;
let server: ServerProcess;

Deno.test.beforeAll(async () => {
  database = await postgres.create();
  server = await spawnServer(database.url);
  await fillLongRooms(database.sql);
});

Deno.test.afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

for (const [i, name] of CHOSEN.entries()) {
  Deno.test(`Two others are refused nothing and lose nothing in a flood of ${name.replace("floods: ", "")}`, async () => {
    const attack = floods.find((attack) => attack.name === name)!;
    const { violations, left } = await flood(attack, server, { ...SHORT, room: `victims-${i}` });
    assertEquals(violations, []);
    assertEquals(left, 0);
  });
}

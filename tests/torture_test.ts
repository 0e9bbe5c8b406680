// The short form of `deno task torture`: some faults of each kind, and the same checker.
import { assertEquals, assertGreater } from "@std/assert";
import { leak } from "./torture/memory.ts";
import { torment } from "./torture/torment.ts";
import { Postgres, Server } from "./torture/world.ts";

Deno.test("Two servers keep their promises through kills, a crash and a failover of the database, and a bad network", async () => {
  await using postgres = await Postgres.start();
  await using one = new Server("server 1", postgres, {});
  await using two = new Server("server 2", postgres, {});
  await Promise.all([one.start(), two.start()]);
  const verdict = await torment({ postgres, servers: [one, two] }, {
    seed: 1,
    mixedMs: 0,
    faultMs: 1_000,
    // Beside other tests all is slower. How long these take on a machine of their own, the long form sees.
    stallLimitMs: 15_000,
    drainLimitMs: 15_000,
    only: [
      "kill -9",
      "SIGTERM",
      "postgres: crash",
      "postgres: failover",
      "all connections killed",
      "server–database: stall",
      "dropped",
      "vanish",
    ],
    say: () => {},
  });
  assertEquals(verdict.violations, []);
  assertGreater(verdict.acked, 100);
  assertGreater(verdict.changed, 20);
  assertEquals(verdict.faults.length, 8);
});

Deno.test("Memory that stays for half a minute without readers who need it is a leak; what comes and goes is none", () => {
  const samples = (...live: number[]) => live.map((live) => ({ live, readers: 100 }));
  assertEquals(leak(samples(15, 16, 40, 41, 42, 43, 44, 17, 40, 41, 42, 43, 44)), undefined);
  assertEquals(leak(samples(15, 16, 40, 44, 43, 41, 42, 45, 46)), { live: 41, readers: 100 });
  assertEquals(leak(Array(100).fill({ live: 40, readers: 5_000 })), undefined);
});

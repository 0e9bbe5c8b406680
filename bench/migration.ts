// How long posts of the version before are held up while a server of this version migrates a large database.
import { migrateOnce } from "../src/database/migrate.ts";
import { opened, projectPath } from "../tests/support/postgres.ts";
import { spawnVersionBefore } from "../tests/support/server.ts";
import { BODY, type Rig } from "./rig.ts";
import driver from "postgres";
import { digits, type Findings } from "./table.ts";

/** How long posts are watched before and after, in milliseconds. */
const ASIDE_MS = 2_000;

/** Measures the step from the version before. */
export async function measureMigration(rig: Rig): Promise<Findings> {
  const rows = rig.size(10_000_000, 100_000);
  await rig.sql`create database before`;
  const url = Object.assign(new URL(rig.url), { pathname: "/before" }).href;
  const sql = driver(url, { max: 1, onnotice: () => {} });
  await sql`create table migrations (number int primary key, name text not null, applied_at timestamptz not null default now())`;
  await sql`insert into migrations (number, name) values (1, '0001_messages.sql')`;
  await sql.unsafe(await Deno.readTextFile(projectPath("migrations/0001_messages.sql")));
  await sql`
    insert into messages (room, id, body)
    select 'room' || seq % 1000, (lpad(to_hex(1700000000000 + seq), 12, '0') || lpad(to_hex(seq / 1000 + 1), 10, '0') || '0123456789')::uuid, ${BODY}
    from generate_series(0, ${rows - 1}::bigint) as seq`;
  await sql`insert into heads (room, seq, ms) select room, count(*), 1700000000000 + ${rows} from messages group by room`;
  await sql`checkpoint`;
  await sql.end();

  await using server = await spawnVersionBefore(url);
  const times: { sent: number; ms: number }[] = [];
  let refused = 0;
  let ended = false;
  const posting = Promise.all(Array.from({ length: 8 }, async (_, i) => {
    while (!ended) {
      const sent = performance.now();
      const { status, body } = await fetch(`${server.url}/rooms/room${i}/messages`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ body: BODY }),
      });
      await body?.cancel();
      if (status !== 201) refused++;
      times.push({ sent, ms: performance.now() - sent });
    }
  }));
  await rig.pause(ASIDE_MS);
  const begun = performance.now();
  await migrateOnce(await opened(url));
  const took = performance.now() - begun;
  await rig.pause(ASIDE_MS);
  ended = true;
  await posting;
  const longest = (of: typeof times) => Math.max(...of.map(({ ms }) => ms));
  const quiet = times.filter(({ sent, ms }) => sent + ms < begun);
  const beside = times.filter(({ sent, ms }) => sent + ms >= begun && sent < begun + took);
  return {
    title: "Migrating beside posts",
    text:
      `${
        rows.toLocaleString("en")
      } messages in 1,000 rooms. Eight clients post to a server of the version before, one message ` +
      "after the other, while the database is migrated. Milliseconds.",
    head: ["", ""],
    rows: [
      ["the migration", digits(took)],
      ["the longest post before it", digits(longest(quiet))],
      ["the longest post beside it", digits(longest(beside))],
      ["posts beside it", `${beside.length}`],
      ["posts refused", `${refused}`],
    ],
    targets: [{ what: "the longest post beside a migration, ms", measured: longest(beside), bound: { atMost: 1_000 } }],
  };
}

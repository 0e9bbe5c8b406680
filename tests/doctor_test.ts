// `deno task doctor` tells an operator what a database lacks, before his users do. Each lack is made on a real PostgreSQL, and the
// command runs as its task does, with few permissions.
import { assert, assertEquals, assertFalse, assertMatch, assertStringIncludes } from "@std/assert";
import driver from "postgres";
import manifest from "../deno.json" with { type: "json" };
import { until } from "./support/client.ts";
import { OwnPostgres } from "./support/own_postgres.ts";
import { freePort, projectPath } from "./support/postgres.ts";
import { startServer } from "./support/server.ts";
import { startPgBouncer, whyNoPgBouncer } from "./torture/pgbouncer.ts";

const PASSWORD = "not-for-anybody-to-see";

const postgres = await OwnPostgres.start({ tls: true });
Deno.test.afterAll(() => postgres[Symbol.asyncDispose]());

/** What the doctor says. */
interface Diagnosis {
  readonly code: number;
  readonly said: string;
  /** The sentences of one kind, but for that of how long a select takes: on a busy machine it warns of that. */
  all(level: "ok" | "warning" | "fault"): string[];
}

async function doctor(url: string, env: Record<string, string> = {}): Promise<Diagnosis> {
  const [, command] = manifest.tasks.doctor.command.split(" && ");
  const { code, stdout, stderr } = await new Deno.Command("sh", {
    args: ["-c", command!.replace(/^deno /, `"${Deno.execPath()}" `)],
    cwd: projectPath("."),
    env: { DATABASE_URL: url, ...env },
    stdin: "null",
  }).output();
  const [said, log] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert(!`${said}${log}`.includes(PASSWORD), "no password is printed");
  const lines = said!.trim().split("\n");
  if (code === 0) assertEquals(lines.at(-1), "Linger can use this database", log);
  return {
    code,
    said: `${said}${log}`,
    all: (level) =>
      lines.filter((line) => line.startsWith(`${level} `)).map((line) => line.slice(9))
        .filter((sentence) => !sentence.startsWith("A select takes ")),
  };
}

/** A database and a role of its own, of the same name. */
async function make(name: string, options = ""): Promise<string> {
  await postgres.run(`create role ${name} login`, `create database ${name} owner ${name} ${options}`);
  return urlOf(name);
}

function urlOf(name: string, port: number = postgres.port, query = ""): string {
  return `postgres://${name}:${PASSWORD}@127.0.0.1:${port}/${name}${query}`;
}

/** Sets up the whole server otherwise for a while. */
async function settings(changes: Record<string, string>, run: () => Promise<void>): Promise<void> {
  await postgres.run(...Object.entries(changes).map(([name, value]) => `alter system set ${name} = '${value}'`));
  await postgres.reload();
  try {
    await run();
  } finally {
    await postgres.run(...Object.keys(changes).map((name) => `alter system reset ${name}`));
    await postgres.reload();
  }
}

Deno.test("A database of Linger's own is well in all respects, before a server has used it and after", async () => {
  const url = await make("well");
  const before = await doctor(url);
  assertEquals([before.code, before.all("warning"), before.all("fault")], [0, [], []], before.said);
  const all = before.all("ok").join("\n");
  for (
    const sentence of [
      /^Database well at 127.0.0.1:\d+ lets role well in$/m,
      /^It is PostgreSQL \d+/m,
      /^It is encoded in UTF8$/m,
      /^Schema public has no tables of Linger's yet/m,
      /^Role well may read and write, make tables in schema public and change them$/m,
      /^Transactions are read committed$/m,
      /^Its clock and this machine's agree$/m,
      /^A notification comes back after \d+\.\d ms/m,
      /^What is committed is on its disk/m,
      /^No standby follows/m,
      /^It takes \d+ kB on disk/m,
      /^A server takes 6 connections, and the database allows this role \d+, which is enough for \d+$/m,
    ]
  ) assertMatch(all, sentence);
  assertMatch(
    before.said,
    /^ok +A select takes \d+\.\d ms there and back$|^warning +A select takes \d{2,}\.\d ms there and back, and each post takes that much longer: /m,
  );

  await using _server = await startServer(url);
  const after = await doctor(url);
  assertEquals([after.code, after.all("warning"), after.all("fault")], [0, [], []], after.said);
  assertMatch(after.all("ok").join("\n"), /have the shape that this version needs/);
});

Deno.test("Migrations that are missing are told, and those of a newer version", async () => {
  const url = await make("shapes");
  await using _server = await startServer(url);
  const [row] = await postgres.runIn("shapes", "select max(number) as number from migrations");
  const newest = Number(row!.number);
  await postgres.runIn("shapes", `insert into migrations (number, name) values (${newest + 1}, 'later')`);
  assertMatch(
    (await doctor(url)).all("warning").join(),
    new RegExp(`migration ${newest + 1}, and this version knows ${newest}`),
  );
  await postgres.runIn("shapes", `delete from migrations where number >= ${newest}`);
  const older = await doctor(url);
  assertEquals(older.code, 0);
  assertMatch(older.all("warning").join(), new RegExp(`Migrations ${newest} to ${newest} are missing`));
});

Deno.test("A role that may do too little or too much is told what to do", async () => {
  await postgres.run("create role guest login");
  await make("rights");
  const guest = urlOf("guest").replace(/guest$/, "rights");
  const refused = await doctor(guest);
  assertEquals(refused.code, 1);
  assertMatch(refused.all("fault").join(), /^Role guest may not make tables in schema public: grant usage, create on/);

  await using _server = await startServer(urlOf("rights"));
  await postgres.runIn(
    "rights",
    "grant select on migrations to guest",
    "grant select, insert, update on heads, messages to guest",
  );
  const serving = await doctor(guest);
  assertEquals(serving.code, 0, serving.said);
  assertMatch(
    serving.all("warning").join(),
    /^Role guest may read and write, but not make tables: let another role run/,
  );

  const deleting = /^Role guest may not remove messages, as RETENTION asks: grant delete on messages to guest$/m;
  const warnings = async (env: Record<string, string>) => (await doctor(guest, env)).all("warning").join("\n");
  for (const none of ["0", "0,archive:0"]) assertFalse(deleting.test(await warnings({ RETENTION: none })), none);
  assertMatch(await warnings({ RETENTION: "0,news:7" }), deleting);
  await postgres.runIn("rights", "grant delete on messages to guest");
  assertFalse(deleting.test(await warnings({ RETENTION: "0,news:7" })), "it may");

  const superuser = await doctor(postgres.url("rights"));
  assertEquals(superuser.code, 0);
  assertMatch(superuser.all("warning").join(), /^Role postgres is a superuser, and Linger needs none/);
});

Deno.test("An encoding without all characters is a fault", async () => {
  const url = await make("latin", "encoding 'LATIN1' locale 'C' template template0");
  const { code, all } = await doctor(url);
  assertEquals(code, 1);
  assertMatch(all("fault").join(), /^Database latin is encoded in LATIN1/);
});

Deno.test("A server that does not write to its disk is a fault; one that leaves whole pages to its storage is told what it takes", async () => {
  const url = await make("disk");
  await settings({ fsync: "off" }, async () => {
    const { code, said, all } = await doctor(url);
    assertEquals([code, all("fault").length, all("warning")], [1, 1, []]);
    assertMatch(all("fault")[0]!, /acknowledged: turn fsync on$/);
    assertMatch(said, /^This database won't do as it is: see to each fault$/m); // not that Linger can't use it: it can
  });
  await settings({ full_page_writes: "off" }, async () => {
    const { code, all } = await doctor(url);
    assertEquals([code, all("warning").length, all("fault")], [0, 1, []]);
    assertMatch(all("warning")[0]!, /: turn full_page_writes on, unless its storage writes pages whole, as ZFS does$/);
    assertFalse(all("ok").join("\n").includes("on its disk"));
  });
  assertEquals((await doctor(url)).code, 0);
});

Deno.test("Fewer connections than a server takes are a fault, also if only the role has fewer", async () => {
  const url = await make("few");
  await postgres.run("alter role few connection limit 5");
  const { code, all } = await doctor(url);
  assertEquals(code, 1);
  assertMatch(
    all("fault").join(),
    /^A server takes 6 connections, and the database allows this role 5: raise the role's limit, or lower DATABASE_CONNECTIONS$/,
  );
  await postgres.run("alter role few connection limit 12");
  assertMatch((await doctor(url)).all("ok").join("\n"), /allows this role 12, which is enough for 2$/m);

  // One more looks now and then for what is too old.
  await postgres.run("alter role few connection limit 6");
  assertMatch((await doctor(url)).all("ok").join("\n"), /takes 6 .* allows this role 6, which is enough for 1$/m);
  const trims = await doctor(url, { RETENTION: "news:7" });
  assertMatch(trims.all("fault").join(), /^A server takes 7 connections, and the database allows this role 6: raise/);

  // What is to be raised is too low, and what is to be lowered can be lower.
  await postgres.run("alter role few connection limit -1", "alter database few connection limit 2");
  const cures: [env: Record<string, string>, sentence: RegExp][] = [
    [{}, /takes 6 .* allows this role 2: raise the database's limit, or lower DATABASE_CONNECTIONS$/],
    [
      { DATABASE_CONNECTIONS: "103" },
      /: raise max_connections and the database's limit, or lower DATABASE_CONNECTIONS$/,
    ],
    [{ THREADS: "2" }, /takes 12 .*: raise the database's limit, or lower THREADS or DATABASE_CONNECTIONS$/],
    [{ THREADS: "2", DATABASE_CONNECTIONS: "2" }, /takes 4 .*: raise the database's limit, or lower THREADS$/],
    [{ RETENTION: "news:7", DATABASE_CONNECTIONS: "2" }, /takes 3 .*: raise the database's limit$/],
  ];
  for (const [env, sentence] of cures) assertMatch((await doctor(url, env)).all("fault").join(), sentence);

  // Whom PostgreSQL lets in all the same.
  await postgres.run("alter role few superuser", "alter database few connection limit 1");
  assertMatch((await doctor(url)).all("ok").join("\n"), /^A server takes 6 .*, which is enough for \d+$/m);
});

Deno.test("Connections of the role that others hold are told, also where none is left to listen", async () => {
  const url = await make("taken");
  await postgres.run("alter role taken connection limit 8");
  const others = Array.from({ length: 7 }, () => driver(url, { max: 1, fetch_types: false }));
  try {
    await Promise.all(others.map((sql) => sql`select`));
    const { code, all, said } = await doctor(url);
    assertEquals(code, 0, said);
    const [free, listen, ...more] = all("warning");
    assertMatch(
      free!,
      /^A server takes 6 connections, and the database allows this role 8, of which 1 is free now: .*, raise the role's limit$/,
    );
    assertMatch(listen!, /^Whether notifications come back \(LISTEN\) can't be seen: .* has no connection left: /);
    assertEquals(more, []);
  } finally {
    await Promise.all(others.map((sql) => sql.end({ timeout: 1 })));
  }
});

Deno.test("TLS that nothing demands is told of both ways, but not where a way stays on this machine", async () => {
  await make("tls");
  // 0.0.0.0 leads here, too; but it is an address of networks.
  const way = (name: string, address: string, query: string) =>
    `postgres://tls:${PASSWORD}@${name}:${postgres.port}/tls?hostaddr=${address}&${query}`;
  const unproven =
    /^TLS is used, but it is not certain with whom \(sslmode=require\): sslmode=verify-full in DATABASE_URL/;
  for (
    const [query, deploy, sentence] of [
      ["sslmode=disable", "", /^TLS is not used, and nothing demands it \(sslmode=disable\)/],
      ["", "", /^TLS \(TLSv1\.[23]\) is used, and nothing demands it \(sslmode=prefer\)/],
      ["", "1", unproven],
      ["sslmode=require", "", unproven],
    ] as const
  ) {
    const { code, all, said } = await doctor(way("localhost", "0.0.0.0", query), { DENO_DEPLOY: deploy });
    assertEquals([code, all("warning").length], [0, 1], said);
    assertMatch(all("warning")[0]!, sentence);
  }
  const here = way("db.example", "127.0.0.1", "sslmode=disable");
  assertEquals((await doctor(here)).all("warning"), []);

  const { all, said } = await doctor(here, { DATABASE_DIRECT_URL: way("db.example", "0.0.0.0", "sslmode=disable") });
  assertEquals(all("warning").length, 1, said);
  assertMatch(
    all("warning")[0]!,
    /^DATABASE_DIRECT_URL: TLS is not used, and nothing demands it .*: write sslmode=verify-full in DATABASE_DIRECT_URL/,
  );
});

/** A way to the database that ends for everybody's bytes as soon as `word` is said on it: in silence, or with the connection. */
function wayUntil(word: string, end: "silence" | "close"): { port: number } & AsyncDisposable {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Set<Deno.TcpConn>();
  const decoder = new TextDecoder();
  const serve = async (client: Deno.TcpConn) => {
    const server = await Deno.connect({ hostname: "127.0.0.1", port: postgres.port });
    open.add(client).add(server);
    let silent = false;
    const pump = async (from: Deno.TcpConn, to: Deno.TcpConn) => {
      const buffer = new Uint8Array(65_536);
      for (let read; (read = await from.read(buffer)) !== null;) {
        const bytes = buffer.subarray(0, read);
        const isSaid = decoder.decode(bytes).includes(word);
        if (isSaid && end === "close") break;
        silent ||= isSaid;
        for (let at = 0; !silent && at < read;) at += await to.write(bytes.subarray(at));
      }
    };
    await Promise.race([pump(client, server), pump(server, client)]).catch(() => {}); // one side is gone
    for (const connection of [client, server]) if (open.delete(connection)) connection.close();
  };
  const serving = (async () => {
    const all: Promise<void>[] = [];
    for await (const client of listener) all.push(serve(client));
    await Promise.all(all);
  })();
  return {
    port: listener.addr.port,
    [Symbol.asyncDispose]: () => {
      listener.close();
      for (const connection of open) connection.close();
      open.clear();
      return serving;
    },
  };
}

Deno.test("Whoever lets it in, and then is silent or hangs up, does not hold it", async () => {
  const url = await make("silent");
  await using past = wayUntil("pg_advisory_xact_lock", "silence");
  await using silent = wayUntil("pg_notify", "silence");
  await using closing = wayUntil("pg_notify", "close");
  const via = ({ port }: { port: number }) => urlOf("silent", port, "?sslmode=disable");
  await Promise.all([
    (async () => {
      const { code, all } = await doctor(url, { DATABASE_DIRECT_URL: via(past) });
      assertEquals([code, all("fault").length], [1, 1]);
      assertMatch(all("fault")[0]!, /^DATABASE_DIRECT_URL leads to 127.*, which does not answer within 10 s$/);
      assertMatch(all("ok").join("\n"), /^A server takes 6 connections/m); // what can be seen without it
    })(),
    (async () => {
      const { code, all } = await doctor(via(silent));
      assertEquals([code, all("fault").length], [1, 1]);
      assertMatch(all("fault")[0]!, /^127.* does not answer within 30 s$/);
    })(),
    (async () => {
      const { code, all } = await doctor(via(closing));
      assertEquals([code, all("fault").length], [1, 1]);
      assertMatch(all("fault")[0]!, /^More can't be seen: 127.* says: /);
    })(),
  ]);
});

Deno.test("A strict isolation is Linger's to change in its sessions", async () => {
  const url = await make("strict");
  await postgres.run("alter role strict set default_transaction_isolation = 'serializable'");
  const { code, all } = await doctor(url);
  assertEquals([code, all("warning")], [0, []]);
  assertMatch(all("ok").join("\n"), /^Transactions are serializable unless Linger says otherwise, and it does$/m);
});

Deno.test({
  name: "Through a pooler it says what does not pass, and what to set",
  ignore: whyNoPgBouncer() !== undefined,
  fn: async () => {
    await using own = await OwnPostgres.start();
    await own.run("create database linger");
    await using pooler = await startPgBouncer(own.port);
    const url = urlOf("linger", pooler.port);

    const unsaid = await doctor(url);
    assertEquals(unsaid.code, 1);
    assertMatch(
      unsaid.all("fault").join(),
      /is a pooler that takes no settings for a session: set DATABASE_POOLED=true/,
    );

    const said = await doctor(url, { DATABASE_POOLED: "true" });
    assertEquals(said.code, 0, said.said);
    assertMatch(said.all("ok").join("\n"), /^A server takes 6 connections to the pooler; /m);
    const warnings = said.all("warning").join("\n");
    assertMatch(warnings, /^Notifications don't come back \(LISTEN\): news from other servers takes up to 500 ms/m);
    assertMatch(
      warnings,
      /^No statement is ended that takes too long.*: alter role postgres set statement_timeout = '5s'$/m,
    );

    const past = (database: string, port: number, env: Record<string, string> = {}) =>
      doctor(url, {
        DATABASE_POOLED: "true",
        DATABASE_DIRECT_URL: `postgres://postgres@127.0.0.1:${port}/${database}`,
        ...env,
      });
    const direct = await past("linger", own.port);
    assertEquals(direct.code, 0, direct.said);
    const fine = direct.all("ok").join("\n");
    assertMatch(fine, /^DATABASE_DIRECT_URL leads to the same database, at 127\.0\.0\.1:/m);
    assertMatch(fine, /^A notification comes back after /m);
    assertMatch(fine, /^A server takes 5 connections to the pooler; /m);
    assertMatch(fine, /^A server takes 1 connection past the pooler, and the database allows this role 30, which is /m);
    const many = await past("linger", own.port, { THREADS: "40", RETENTION: "news:7" });
    assertEquals(many.code, 1);
    assertMatch(many.all("ok").join("\n"), /^A server takes 200 connections to the pooler; /m);
    assertMatch(
      many.all("fault").join(),
      /^A server takes 41 connections past the pooler, and the database allows this role 30: raise max_connections, or lower THREADS$/,
    );
    const other = await past("postgres", own.port);
    assertEquals(other.code, 1);
    assertMatch(other.all("fault").join(), /^DATABASE_DIRECT_URL leads to another database, at /);
    const nowhere = await past("linger", freePort());
    assertEquals(nowhere.code, 1);
    assertMatch(
      nowhere.all("fault").join(),
      /^DATABASE_DIRECT_URL leads to .*, which can't be used: .*refuses connections/,
    );

    await own.run("alter role postgres set default_transaction_isolation = 'repeatable read'");
    const limits = await own.run("select from pg_settings where name = 'transaction_timeout'"); // since PostgreSQL 17
    if (limits.length > 0) await own.run("alter role postgres set transaction_timeout = '60s'");
    await using fresh = await startPgBouncer(own.port);
    const strict = await doctor(urlOf("linger", fresh.port), { DATABASE_POOLED: "true" });
    assertEquals(strict.code, 1);
    assertMatch(
      strict.all("fault").join(),
      /^Transactions are repeatable read.*: alter role postgres set default_transaction/,
    );
    assertEquals(
      strict.all("warning").filter((sentence) =>
        /^Transactions are ended after 60000 ms, .*: alter role postgres set transaction_timeout = 0$/.test(sentence)
      ).length,
      limits.length,
    );
  },
});

Deno.test("Standbys are told: that commits wait for them, or don't, or wait in vain; and a standby is a fault itself", async () => {
  await using primary = await OwnPostgres.start();
  await primary.run("create role chat login", "create database chat owner chat");
  const url = urlOf("chat", primary.port);
  const names = async (value: string) => {
    await primary.run(`alter system set synchronous_standby_names = '${value}'`);
    await primary.reload();
    // What sends to the standby reads them a moment later.
    const other = `select from pg_stat_replication where (sync_state = 'sync') <> ${value === "standby"}`;
    await until(async () => (await primary.run(other)).length === 0, "the standby is told by them");
  };
  {
    await using standby = await primary.standby();
    const { code, all } = await doctor(url);
    assertEquals(code, 0);
    assertMatch(
      all("warning").join(),
      /^1 standby follows, and commits don't wait: .* synchronous_standby_names makes them wait$/,
    );

    // The role's own setting counts for more, also where the role sees that commits would not wait for this standby.
    await primary.run("alter role chat set synchronous_commit = 'local'", "grant pg_read_all_stats to chat");
    const set = "alter role chat set synchronous_commit = 'on'";
    for (
      const [name, cure] of [
        ["", `synchronous_standby_names and ${set} make`],
        ["standby", `${set} makes`],
        // By the role's setting alone it would wait in vain.
        ["another", `synchronous_standby_names \\(now another\\) and ${set} make`],
      ] as const
    ) {
      await names(name);
      const local = await doctor(url);
      assertEquals(local.code, 0, local.said);
      assertMatch(
        local.all("warning").join(),
        new RegExp(`^1 standby follows, and commits don't wait: .* ${cure} them wait$`),
      );
    }

    await names("standby");
    await primary.run("alter role chat reset synchronous_commit");
    const waits = await doctor(url);
    assertEquals([waits.code, waits.all("warning")], [0, []], waits.said);
    assertMatch(
      waits.all("ok").join("\n"),
      /^1 standby follows, and commits wait for standby: a failover to it loses nothing$/m,
    );

    // Which one it is, only those may see who may see all.
    await names("another");
    const another = await doctor(primary.url());
    assertEquals(another.code, 1);
    assertMatch(
      another.all("fault").join(),
      /^Commits wait for a standby \(synchronous_standby_names is another\), and none/,
    );
    await names("standby");

    const itself = await doctor(urlOf("chat", standby.port));
    assertEquals(itself.code, 1);
    assertMatch(itself.all("fault").join(), /is a standby, which only reads/);

    // A pooler that still leads to it, after a switch-over.
    const pooled = await doctor(urlOf("chat", standby.port), { DATABASE_POOLED: "true", DATABASE_DIRECT_URL: url });
    assertEquals([pooled.code, pooled.all("fault").length], [1, 1], pooled.said);
    assertMatch(pooled.all("fault").join(), /is a standby, which only reads/);
  }
  const inVain = await doctor(url);
  assertEquals(inVain.code, 1);
  assertMatch(
    inVain.all("fault").join(),
    /^Commits wait for a standby \(synchronous_standby_names is standby\), and none/,
  );
  await names("");
});

Deno.test("Whom nobody can reach, and what nobody can mean, is told in one sentence", async () => {
  const url = await make("reach");
  for (
    const [wrong, sentence] of [
      [urlOf("reach", freePort()), /^127\.0\.0\.1:\d+ refuses connections/],
      [url.replace(/reach$/, "nowhere"), /has no database nowhere: create database nowhere/],
      [url.replace("reach:", "nobody:"), /has no role nobody that may log in/],
    ] as const
  ) {
    const { code, all, said } = await doctor(wrong);
    assertEquals([code, all("fault").length, all("ok")], [1, 1, []], said);
    assertMatch(all("fault")[0]!, sentence);
  }
  for (const wrong of [`${url}?sslmod=require`, `postgres://reach:${PASSWORD}/x@127.0.0.1/y`]) {
    const { code, said } = await doctor(wrong);
    assertEquals(code, 1);
    assertMatch(said, /DATABASE_URL/);
  }
  assertStringIncludes((await doctor("")).said, "DATABASE_URL is not set");
});

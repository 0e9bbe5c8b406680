// The same URLs for psql and for Linger, at the same real server: over TCP in both families, over a Unix socket, with TLS of
// every kind and without, with passwords of every kind. Where one gets in, so does the other, in the same way.
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { join } from "node:path";
import { type Address, readAddress } from "../src/database/address.ts";
import { connect } from "../src/database/connect.ts";
import { int32, message } from "../src/database/conversation.ts";
import { pools } from "../src/database/pool.ts";
import { Unusable } from "../src/database/unusable.ts";
import { Proxy } from "./torture/proxy.ts";
import { OwnPostgres } from "./support/own_postgres.ts";
import { freePort } from "./support/postgres.ts";

const PASSWORD = "p@ss:w/o?rd%#&=[é]\u00a0ﬁ";

const postgres = await OwnPostgres.start({
  tls: true,
  hba: [
    "local all pw scram-sha-256",
    "local all all trust",
    "hostssl all localhost all cert", // the name in the certificate
    "hostssl all notls all reject",
    "hostnossl all onlytls all reject",
    "host closed all all reject",
    "host all pw,plain,md all password",
    "host all scram all scram-sha-256",
    "host all md5 all md5",
    "host all all all trust",
  ],
});
const plain = await OwnPostgres.start(); // without TLS
for (const server of [postgres, plain]) Deno.test.afterAll(() => server[Symbol.asyncDispose]());
await postgres.run(
  "create role localhost login",
  "create role notls login",
  "create role onlytls login",
  "create role nologin",
  "create role few login connection limit 0",
  `create role pw login password '${PASSWORD}'`,
  `create role scram login password '${PASSWORD}'`,
  "set password_encryption = 'md5'",
  `create role md5 login password '${PASSWORD}'`,
  "create database closed",
  "create role guest login",
  "create database crowded connection limit 0",
  "create database shut allow_connections false",
);
const { port } = postgres;
const tls = join(postgres.tls, "tls.crt");
const own = `sslcert=${tls}&sslkey=${join(postgres.tls, "tls.key")}`;
const home = encodeURIComponent(postgres.home);
const password = encodeURIComponent(PASSWORD);
const nobody = freePort();

const psql = await new Deno.Command("psql", { args: ["--version"] }).output().then(() => true, () => false);
if (!psql) console.log("There is no psql here: what it does with the same URLs is not compared");

/** Who we are to the server, and how the connection was made. */
const WHO = `select current_user || '@' || current_database() || ' ' || coalesce(host(inet_server_addr()), 'socket') ||
  case when ssl then ' TLS' else '' end || case when client_dn is null then '' else ' certified' end as who
  from pg_stat_ssl where pid = pg_backend_pid()`;

/** The outcome for Linger. */
async function asLinger(url: string, env: Record<string, string> = {}): Promise<string | Unusable> {
  const around = { env: (name: string) => env[name], readFile: Deno.readTextFileSync, osUser: () => "postgres" };
  const openPool = pools(readAddress(url, around), { pooled: false, startup: {}, setup: "" });
  const { sql, destroy } = openPool("test");
  try {
    const [row] = await sql.unsafe<{ who: string }[]>(WHO);
    return row!.who;
  } catch (error) {
    if (error instanceof Unusable) return error;
    throw error;
  } finally {
    await destroy();
  }
}

/** The outcome for psql; undefined when it fails. */
async function asPsql(url: string, env: Record<string, string> = {}): Promise<string | undefined> {
  const args = ["--no-psqlrc", "--no-align", "--tuples-only", "--no-password", "--command", WHO, url];
  const { success, stdout } = await new Deno.Command("psql", {
    args,
    clearEnv: true,
    env: { PATH: Deno.env.get("PATH") ?? "", HOME: "/nonexistent", PGUSER: "postgres", ...env },
  }).output();
  return success ? new TextDecoder().decode(stdout).trim() : undefined;
}

/** URL, and the outcome: who is let in how, or what is said. */
const CASES: [url: string, outcome: string | RegExp, env?: Record<string, string>][] = [
  // Where
  [`postgres://postgres@127.0.0.1:${port}/postgres`, "postgres@postgres 127.0.0.1 TLS"],
  [`postgresql://postgres@[::1]:${port}/postgres`, "postgres@postgres ::1 TLS"],
  [`postgres://postgres@/postgres?host=${home}&port=${port}`, "postgres@postgres socket"],
  [`postgres://postgres@${home}:${port}/postgres`, "postgres@postgres socket"],
  [`postgres://${home}:${port}`, "postgres@postgres socket"],
  [`postgres://postgres@${home}:${port}/postgres?sslmode=require`, "postgres@postgres socket"],
  [`postgres://postgres@elsewhere.invalid:${port}/postgres?hostaddr=127.0.0.1`, "postgres@postgres 127.0.0.1 TLS"],
  [`postgres://?user=postgres&host=127.0.0.1&port=${port}&dbname=postgres`, "postgres@postgres 127.0.0.1 TLS"],
  ["postgres://", "postgres@postgres 127.0.0.1 TLS", { PGHOST: "127.0.0.1", PGPORT: `${port}`, PGUSER: "postgres" }],
  [`postgres://postgres@127.0.0.1:${nobody}/postgres`, /^127\.0\.0\.1:\d+ refuses connections/],
  [`postgres://postgres@nowhere.invalid:${port}/postgres`, /^nowhere\.invalid:\d+ can't be found/],
  [`postgres://postgres@/postgres?host=${home}/no&port=${port}`, /^There is no socket .*\/no\/\.s\.PGSQL\.\d+/],
  // Several hosts
  [`postgres://postgres@127.0.0.1:${nobody},127.0.0.1:${port}/postgres`, "postgres@postgres 127.0.0.1 TLS"],
  [`postgres://postgres@nowhere.invalid,[::1]/postgres?port=${port}`, "postgres@postgres ::1 TLS"],
  [`postgres://postgres@${home},127.0.0.1/postgres?port=${port}`, "postgres@postgres socket"],
  [
    `postgres://postgres@127.0.0.1:${nobody},nowhere.invalid/postgres`,
    /refuses connections.*; nowhere.invalid:5432 can't be/,
  ],
  // TLS
  [`postgres://postgres@localhost:${port}/postgres?hostaddr=127.0.0.1&sslmode=disable`, "postgres@postgres 127.0.0.1"],
  [`postgres://postgres@localhost:${port}/postgres?hostaddr=127.0.0.1&sslmode=allow`, "postgres@postgres 127.0.0.1"],
  [
    `postgres://postgres@localhost:${port}/postgres?hostaddr=127.0.0.1&sslmode=prefer`,
    "postgres@postgres 127.0.0.1 TLS",
  ],
  [
    `postgres://postgres@localhost:${port}/postgres?hostaddr=127.0.0.1&sslmode=require`,
    "postgres@postgres 127.0.0.1 TLS",
  ],
  [
    `postgres://postgres@localhost:${port}/postgres?hostaddr=127.0.0.1&sslmode=verify-ca`,
    /^The certificate of localhost:\d+ is not valid/,
  ],
  [
    `postgres://postgres@localhost:${port}/postgres?hostaddr=127.0.0.1&sslmode=verify-full`,
    /^The certificate of localhost:\d+ is not valid/,
  ],
  [
    `postgres://postgres@localhost:${port}/postgres?hostaddr=127.0.0.1&sslmode=verify-full&sslrootcert=${tls}`,
    "postgres@postgres 127.0.0.1 TLS",
  ],
  [
    `postgres://postgres@127.0.0.1:${port}/postgres?sslmode=verify-ca&sslrootcert=${tls}`,
    "postgres@postgres 127.0.0.1 TLS",
  ],
  [
    `postgres://postgres@elsewhere:${port}/postgres?hostaddr=127.0.0.1&sslmode=verify-full&sslrootcert=${tls}`,
    /^The certificate of elsewhere:\d+ is not valid \(.*elsewhere/,
  ],
  [
    `postgres://onlytls@localhost:${port}/postgres?hostaddr=127.0.0.1&sslmode=disable`,
    /does not let user onlytls into database postgres/,
  ],
  [`postgres://onlytls@localhost:${port}/postgres?hostaddr=127.0.0.1&sslmode=allow`, "onlytls@postgres 127.0.0.1 TLS"],
  [`postgres://notls@localhost:${port}/postgres?hostaddr=127.0.0.1&sslmode=prefer`, "notls@postgres 127.0.0.1"],
  [
    `postgres://notls@localhost:${port}/postgres?hostaddr=127.0.0.1&sslmode=require`,
    /does not let user notls into database postgres/,
  ],
  [
    `postgres://localhost@localhost:${port}/postgres?hostaddr=127.0.0.1&sslmode=require&${own}`,
    "localhost@postgres 127.0.0.1 TLS certified",
  ],
  [
    `postgres://localhost@localhost:${port}/postgres?hostaddr=127.0.0.1&sslmode=require`,
    /does not let user localhost into database postgres/,
  ],
  [
    `postgres://postgres@localhost:${port}/postgres?hostaddr=127.0.0.1&sslmode=require&ssl_min_protocol_version=TLSv1.3`,
    "postgres@postgres 127.0.0.1 TLS",
  ],
  [`postgres://postgres@127.0.0.1:${plain.port}/postgres?sslmode=prefer`, "postgres@postgres 127.0.0.1"],
  [`postgres://postgres@127.0.0.1:${plain.port}/postgres?sslmode=allow`, "postgres@postgres 127.0.0.1"],
  [
    `postgres://postgres@127.0.0.1:${plain.port}/postgres?sslmode=require`,
    /^127\.0\.0\.1:\d+ offers no TLS, on which sslmode=require/,
  ],
  [
    `postgres://postgres@127.0.0.1:${plain.port}/postgres?requiressl=1`,
    /^127\.0\.0\.1:\d+ offers no TLS, on which sslmode=require/,
  ],
  [
    `postgres://postgres@127.0.0.1:${plain.port}/postgres`,
    /^127\.0\.0\.1:\d+ offers no TLS, on which sslmode=require/,
    { PGREQUIRESSL: "1" },
  ],
  // Who
  [`postgres://pw:${password}@127.0.0.1:${port}/postgres`, "pw@postgres 127.0.0.1 TLS"],
  [`postgres://scram:${password}@127.0.0.1:${port}/postgres?sslmode=disable`, "scram@postgres 127.0.0.1"],
  [`postgres://127.0.0.1:${port}/postgres?user=scram&password=${password}`, "scram@postgres 127.0.0.1 TLS"],
  [`postgres://scram@127.0.0.1:${port}/postgres`, "scram@postgres 127.0.0.1 TLS", { PGPASSWORD: PASSWORD }],
  [`postgres://md5:${password}@127.0.0.1:${port}/postgres`, "md5@postgres 127.0.0.1 TLS"],
  [`postgres://pw:${password}@${home}:${port}/postgres`, "pw@postgres socket"],
  [
    `postgres://scram:${password}@127.0.0.1:${port}/postgres?sslmode=require&channel_binding=require`,
    "scram@postgres 127.0.0.1 TLS",
  ],
  [
    `postgres://scram:${password}@127.0.0.1:${port}/postgres?sslmode=disable&channel_binding=require`,
    /^channel_binding=require can't/,
  ],
  [`postgres://md5:${password}@127.0.0.1:${port}/postgres?channel_binding=require`, /^channel_binding=require can't/],
  [`postgres://postgres@127.0.0.1:${port}/postgres?channel_binding=require`, /^channel_binding=require can't/],
  [
    `postgres://scram:wrong@127.0.0.1:${port}/postgres`,
    /does not take the password of user scram: correct it .*, and start Linger again \(it says: /,
  ],
  [`postgres://scram@127.0.0.1:${port}/postgres`, /asks user scram for a password, and there is none/],
  [`postgres://nobody@127.0.0.1:${port}/postgres`, /has no role nobody that may log in/],
  [`postgres://nologin@127.0.0.1:${port}/postgres`, /alter role nologin login/],
  [`postgres://few@127.0.0.1:${port}/postgres`, /has no connection left: raise the role's limit, or/],
  [`postgres://guest@127.0.0.1:${port}/crowded`, /has no connection left: raise the database's limit, or/],
  [`postgres://postgres@127.0.0.1:${port}/none`, /has no database none: create database none/],
  [`postgres://postgres@127.0.0.1:${port}/closed`, /does not let user postgres into database closed.*pg_hba\.conf/],
  [
    `postgres://postgres@127.0.0.1:${port}/shut`,
    /Database shut lets nobody in: alter database shut allow_connections true/,
  ],
  // What else a session is told
  [
    `postgres://postgres@127.0.0.1:${port}/postgres?options=-c%20geqo%3Doff&application_name=x&gssencmode=disable`,
    "postgres@postgres 127.0.0.1 TLS",
  ],
  [
    `postgres://postgres@127.0.0.1:${port}/postgres?options=-c%20nonsense%3Doff`,
    /it says: unrecognized configuration parameter "nonsense"/,
  ],
  [
    `postgres://postgres@127.0.0.1:${port}/postgres?target_session_attrs=read-write&connect_timeout=5&keepalives_idle=9`,
    "postgres@postgres 127.0.0.1 TLS",
  ],
];

const ipv6 = await Deno.connect({ hostname: "::1", port }).then(
  (connection) => (connection.close(), true),
  () => false,
);
if (!ipv6) console.log("There is no IPv6 here: its URLs are not tried");

for (const [url, outcome, env] of CASES.filter(([url]) => ipv6 || !url.includes("[::1]"))) {
  const shown = url.replaceAll(`${port}`, "5432").replaceAll(`${nobody}`, "1").replaceAll(home, "%2Frun").replaceAll(
    postgres.home,
    "/run",
  )
    .replaceAll(password, "…").replaceAll(`${plain.port}`, "5433");
  Deno.test(`With ${shown}${env ? ` and ${Object.keys(env)}` : ""} Linger gets in where psql does`, async () => {
    const linger = await asLinger(url, env);
    if (typeof outcome === "string") {
      assertEquals(linger, outcome);
    } else {
      assert(linger instanceof Unusable, `${linger}`);
      assertMatch(linger.message, outcome);
      assert(!linger.message.includes(PASSWORD));
    }
    if (psql) assertEquals(await asPsql(url, env), typeof outcome === "string" ? outcome : undefined);
  });
}

Deno.test("TLS that is begun at once is taken by PostgreSQL 17 and newer, and an older one hangs up", async () => {
  const url =
    `postgres://postgres@localhost:${port}/postgres?hostaddr=127.0.0.1&sslmode=verify-full&sslrootcert=${tls}&sslnegotiation=direct`;
  const linger = await asLinger(url);
  const [server] = await postgres.run("select current_setting('server_version_num')::int as version");
  if (Number(server!.version) >= 170_000) return assertEquals(linger, "postgres@postgres 127.0.0.1 TLS");
  assert(linger instanceof Unusable);
  assertMatch(linger.message, /hangs up/);
});

Deno.test("A way to authenticate that require_auth does not name is refused, before the password is given", async () => {
  const url = (user: string, methods: string) =>
    `postgres://${user}:${password}@127.0.0.1:${port}/postgres?require_auth=${methods}`;
  assertEquals(await asLinger(url("scram", "scram-sha-256")), "scram@postgres 127.0.0.1 TLS");
  assertEquals(await asLinger(url("md5", "!password")), "md5@postgres 127.0.0.1 TLS");
  for (
    const [user, methods] of [["pw", "scram-sha-256"], ["md5", "scram-sha-256,password"], [
      "postgres",
      "!none",
    ]] as const
  ) {
    const refusal = await asLinger(url(user, methods));
    assert(refusal instanceof Unusable);
    assertMatch(refusal.message, /which require_auth does not let Linger give/);
  }
});

Deno.test("A server that knows no password is found out, before it is told anything else", async () => {
  const liar = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const lying = (async () => {
    const client = await liar.accept();
    const server = await Deno.connect({ hostname: "127.0.0.1", port });
    // What proves that it knows the password comes as v=….
    const lie = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform: (bytes, controller) => {
        const text = new TextDecoder("latin1").decode(bytes);
        const at = text.indexOf("v=");
        if (text.startsWith("R") && at > 0) bytes[at + 2] = bytes[at + 2] === 65 ? 66 : 65;
        controller.enqueue(bytes);
      },
    });
    await Promise.allSettled([
      client.readable.pipeTo(server.writable),
      server.readable.pipeThrough(lie).pipeTo(client.writable),
    ]);
  })();
  const { port: there } = liar.addr as Deno.NetAddr;
  const refusal = await asLinger(`postgres://scram:${password}@127.0.0.1:${there}/postgres?sslmode=disable`);
  assert(refusal instanceof Unusable, `${refusal}`);
  assertEquals(refusal.code, "SCRAM");
  liar.close();
  await lying;
});

Deno.test("A server that leaves out what shows that it knows the password is found out, and one that asks when all is said", async () => {
  const asks = (kind: number, text = "") => message("R", int32(kind), Buffer.from(text));
  const [scram, final, ok] = [asks(10, "SCRAM-SHA-256\0SCRAM-SHA-256-PLUS\0\0"), asks(12), asks(0)];
  const ready = message("Z", Buffer.from("I"));
  const scramOnly = "sslmode=disable&require_auth=scram-sha-256";
  const bound = "sslmode=require&sslnegotiation=direct&channel_binding=require";
  const lies: [parameters: string, said: Buffer[], code: string][] = [
    [scramOnly, [ready], "PROTOCOL"],
    [scramOnly, [scram, ready], "PROTOCOL"],
    [scramOnly, [scram, final, ok, ready], "SCRAM"],
    [bound, [ready], "PROTOCOL"],
    [bound, [scram, final, ok, ready], "SCRAM"],
    ["sslmode=disable", [ok, asks(3), ready], "PROTOCOL"],
  ];
  const here = { hostname: "127.0.0.1", port: 0 };
  const certified = { cert: await Deno.readTextFile(tls), key: await Deno.readTextFile(join(postgres.tls, "tls.key")) };
  for (const [parameters, said, code] of lies) {
    const liar = parameters === bound
      ? Deno.listenTls({ ...here, ...certified, alpnProtocols: ["postgresql"] })
      : Deno.listen(here);
    const lying = (async () => {
      const client = await liar.accept();
      await client.write(Buffer.concat(said));
      const heard = new Uint8Array(1_000);
      while (await client.read(heard).catch(() => null) !== null); // until it hangs up
      client.close();
    })();
    const { port: there } = liar.addr as Deno.NetAddr;
    const address = readAddress(`postgres://scram:secret@127.0.0.1:${there}/postgres?${parameters}`);
    const options = { pooled: false, startup: {}, setup: "" };
    const sockets: Socket[] = [];
    try {
      const { signal } = new AbortController();
      const opened = (socket: Socket) => void sockets.push(socket);
      const refusal = await assertRejects(
        () => connect(address, { host: 0, place: 0 }, options, opened, signal),
        Unusable,
      );
      assertEquals(refusal.code, code, `${parameters}: ${refusal.message}`);
    } finally {
      for (const socket of sockets) socket.destroy();
      liar.close();
      await lying;
    }
  }
});

Deno.test("A server that takes a connection and says nothing costs connect_timeout, and the next host is asked", async () => {
  await using mute = new Proxy(() => port);
  mute.weather = "stall";
  const url = `postgres://postgres@127.0.0.1:${mute.port},127.0.0.1:${port}/postgres?connect_timeout=2`;
  assertEquals(await asLinger(url), "postgres@postgres 127.0.0.1 TLS");
  const refusal = await asLinger(`postgres://postgres@127.0.0.1:${mute.port}/postgres?connect_timeout=2`);
  assert(refusal instanceof Unusable);
  assertMatch(refusal.message, /^127\.0\.0\.1:\d+ does not answer within 2 s/);
});

Deno.test("What is not PostgreSQL is told from a PostgreSQL that refuses", async () => {
  const http = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, () => new Response("no"));
  const hangsUp = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const hanging = (async () => {
    for await (const connection of hangsUp) connection.close();
  })();
  for (
    const [port, sentence] of [
      [http.addr.port, /is not PostgreSQL$|hangs up$/],
      [(hangsUp.addr as Deno.NetAddr).port, /hangs up$/],
    ] as const
  ) {
    for (const mode of ["disable", "prefer", "require"]) {
      const refusal = await asLinger(`postgres://postgres@127.0.0.1:${port}/postgres?sslmode=${mode}`);
      assert(refusal instanceof Unusable, `${refusal}`);
      assertMatch(refusal.message, sentence);
    }
  }
  hangsUp.close();
  await hanging;
  await http.shutdown();
});

Deno.test("A pool whose attempts have failed works as soon as one does not", async () => {
  await using network = new Proxy(() => plain.port);
  const openPool = pools(readAddress(`postgres://postgres@127.0.0.1:${network.port}/postgres`), {
    pooled: false,
    startup: {},
    setup: "",
  });
  const { sql, destroy } = openPool("test");
  for (let i = 0; i < 10; i++) {
    network.weather = "refuse";
    for (let j = 0; j < 2; j++) await assertRejects(async () => await sql`select 1`);
    network.weather = "pass";
    assertEquals([...await sql`select 1 as one`], [{ one: 1 }]);
  }
  await destroy();
});

Deno.test("A pool that is destroyed while it connects leaves nothing behind", async () => {
  await using mute = new Proxy(() => port);
  mute.weather = "stall";
  const openPool = pools(readAddress(`postgres://postgres@127.0.0.1:${mute.port}/postgres`), {
    pooled: false,
    startup: {},
    setup: "",
  });
  const { sql, destroy } = openPool("test");
  const failed = assertRejects(async () => await sql`select 1`);
  await new Promise((resolve) => setTimeout(resolve, 50));
  await destroy();
  await failed;
});

Deno.test("A host that is given up before it has answered is followed by the next one, and by none further on", async () => {
  for (const more of [0, 1]) {
    const mute = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const there = (mute.addr as Deno.NetAddr).port;
    const hosts = [there, port, ...Array(more).fill(there)].map((port) => `127.0.0.1:${port}`).join();
    await assertFollowed(mute, readAddress(`postgres://postgres@${hosts}/postgres?connect_timeout=20`));
  }
});

Deno.test("An address that is given up before it has answered is followed by the next one of its host", async () => {
  const directory = await Deno.makeTempDir({ prefix: "linger-test-" });
  const path = join(directory, "mute");
  const mute = Deno.listen({ transport: "unix", path });
  const address = readAddress(`postgres://postgres@127.0.0.1:${port}/postgres?connect_timeout=20`);
  const host = { ...address.hosts[0]!, sockets: [path] }; // which is tried before the port
  await assertFollowed(mute, { ...address, hosts: [host] });
  await Deno.remove(directory, { recursive: true });
});

/** Gives up the first place of an address, which says nothing: what comes next gets in, and does not ask it again. */
async function assertFollowed(mute: Deno.Listener, address: Address): Promise<void> {
  const openPool = pools(address, { pooled: false, startup: {}, setup: "" });
  const first = openPool("first");
  const failed = assertRejects(async () => await first.sql`select 1`);
  const connection = await mute.accept();
  await first.destroy();
  await failed;
  const second = openPool("second");
  const again = mute.accept().then((connection) => {
    connection.close();
    return "the mute place is asked again";
  }, () => "the mute place is gone");
  const answer = second.sql`select 1 as one`.then(([row]) => row!.one);
  assertEquals(await Promise.race([answer, again]), 1);
  await second.destroy();
  connection.close();
  mute.close();
  await again;
}

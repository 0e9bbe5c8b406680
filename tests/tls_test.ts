// A database that is reached over TLS: the driver takes its sockets over then, and with them much of what can go wrong.
import { assertEquals, assertRejects } from "@std/assert";
import { join } from "node:path";
import { migrateOnce } from "../src/database/migrate.ts";
import { Unusable } from "../src/database/unusable.ts";
import { messages, posted, until } from "./support/client.ts";
import { OwnPostgres } from "./support/own_postgres.ts";
import { freePort, opened, projectPath, type TestPostgres, testPostgres } from "./support/postgres.ts";
import { type Env, spawnServer, spawnStarting, startServer } from "./support/server.ts";

/** A PostgreSQL that speaks TLS, with a certificate that nobody has signed. */
async function tlsPostgres(): Promise<TestPostgres> {
  const home = await Deno.makeTempDir({ prefix: "linger-tls-" });
  await Deno.chmod(home, 0o755);
  Deno.test.afterAll(() => Deno.remove(home, { recursive: true }));
  const [certificate, key] = ["tls.crt", "tls.key"].map((name) => join(home, name));
  await Deno.copyFile(projectPath("tests/fixtures/tls.crt"), certificate!);
  await Deno.copyFile(projectPath("tests/fixtures/tls.key"), key!);
  // PostgreSQL wants its key for itself; started by root, it runs as nobody.
  await Deno.chmod(key!, 0o600);
  if (Deno.uid() === 0) await Deno.chown(key!, 65534, 65534);
  return await testPostgres({ ssl: "on", ssl_cert_file: certificate!, ssl_key_file: key! });
}

const given = Deno.env.get("TEST_DATABASE_URL") !== undefined; // then TLS is as that server has it
const postgres = given ? undefined : await tlsPostgres();

function test(name: string, body: (postgres: TestPostgres) => Promise<void>): void {
  Deno.test({ name, ignore: given, fn: () => body(postgres!) });
}

test("TLS is used where the server offers it, unless the URL says otherwise", async (postgres) => {
  await using database = await postgres.create();
  for (const [query, expected] of [["", true], ["?sslmode=require", true], ["?sslmode=disable", false]] as const) {
    await using server = await startServer(database.url + query);
    await posted(server, "room", `with ${query}`);
    const rows = await database.sql<{ ssl: boolean }[]>`
      select ssl from pg_stat_ssl join pg_stat_activity using (pid)
      where datname = ${database.name} and application_name = 'linger writes'`;
    assertEquals(rows.map(({ ssl }) => ssl), [expected]);
  }
});

Deno.test("On Deno Deploy nothing is told to a database without TLS, unless its address forbids TLS", async () => {
  await using plain = await OwnPostgres.start();
  const migrate = async (query: string, deploy: string) =>
    await migrateOnce(await opened(plain.url() + query, { DENO_DEPLOY: deploy }));
  for (const query of ["", "?sslmode=require", "?connect_timeout=5", "?sslmode=prefer", "?sslmode=allow"]) {
    const { code } = await assertRejects(() => migrate(query, "1"), Unusable);
    assertEquals(code, "NO_TLS");
  }
  await migrate("?sslmode=disable", "1");
  for (const query of ["", "?sslmode=prefer", "?sslmode=allow"]) await migrate(query, ""); // elsewhere
  // Nor past a pooler, where migrations go.
  const past = (env: Env) => opened(`${plain.url()}?sslmode=disable`, { ...env, DATABASE_DIRECT_URL: plain.url() });
  const { code } = await assertRejects(async () => await migrateOnce(await past({ DENO_DEPLOY: "1" })), Unusable);
  assertEquals(code, "NO_TLS");
  await migrateOnce(await past({}));
});

test("Over TLS, killing all connections again and again loses nothing, and LISTEN comes back", async (postgres) => {
  await using database = await postgres.create();
  const env = { FALLBACK_MS: "200", FALLBACK_WITHOUT_LISTEN_MS: "100" };
  await using server = await startServer(database.url, env);
  for (let i = 0; i < 5; i++) {
    await posted(server, "room", `${i}`);
    await database.admin((sql) =>
      sql`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${database.name}`
    );
    // The first statement after it finds its connection gone; what it reads, it asks again.
    await until(() => posted(server, "probe", "x").then(() => true, () => false), "it serves again");
  }
  assertEquals((await messages(server, "room", "before=now")).map(({ body }) => body), ["0", "1", "2", "3", "4"]);
  const poll = messages(server, "room", "after=now&wait=20");
  await until(() => server.chat.state.waiters === 1 && server.chat.state.listening, "it waits, and listens again");
  const last = await posted(server, "room", "end");
  assertEquals(await poll, [last]);
});

test("Over TLS, SIGTERM ends a server, ready or still waiting for its database", async (postgres) => {
  await using database = await postgres.create();
  for (let i = 0; i < 3; i++) {
    await using server = await spawnServer(database.url);
    server.kill("SIGTERM");
    assertEquals((await server.status).code, 0);
  }
  await database.admin((sql) => sql`alter database ${sql(database.name)} allow_connections false`);
  await using server = spawnStarting(database.url, { PORT: `${freePort()}` });
  await until(() => server.log().includes("can't be used yet"), "it has tried");
  await database.admin((sql) => sql`alter database ${sql(database.name)} allow_connections true`);
  await server.ready;
  server.kill("SIGTERM");
  assertEquals((await server.status).code, 0);
  await until(() => server.log().includes("Linger has stopped"), "it says so"); // which is read after its end
});

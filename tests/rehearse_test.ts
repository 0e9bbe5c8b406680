// The short form of `deno task rehearse`: Linger on a stand-in for Deno Deploy, with this Deno.
import { assertEquals, assertLess, assertStringIncludes } from "@std/assert";
import { keepSilent, startTogether } from "./rehearse/rehearsal.ts";
import { environment, HOSTSSL, Revision } from "./rehearse/revision.ts";
import { messages, posted } from "./support/client.ts";
import { OwnPostgres } from "./support/own_postgres.ts";
import { freePort } from "./support/postgres.ts";

let postgres: OwnPostgres;
let revision: Revision;
let env: Record<string, string>;

Deno.test.beforeAll(async () => {
  postgres = await OwnPostgres.start({ tls: true, hba: HOSTSSL });
  revision = await Revision.build(Deno.execPath());
  env = await environment(postgres);
});

Deno.test.afterAll(async () => {
  await revision[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
});

Deno.test("What deno.json has installed is what serves, and nothing that only tests need", async () => {
  const { bytes, packages } = await revision.artifact();
  assertEquals(packages, ["hono", "jose", "postgres", "ulid", "zod"]);
  assertLess(bytes, 20_000_000);
});

Deno.test("Two instances and a migrator that start at once on an empty database, which insists on TLS, serve it together", async () => {
  const ports = [freePort(), freePort()];
  const instances = await startTogether(revision, env, ports);
  const [one, two] = ports.map((port) => ({ url: `http://127.0.0.1:${port}` }));
  const message = await posted(one!, "room", "first");
  assertEquals(await messages(two!, "room", "wait=0"), [message]);
  for (const instance of instances) assertEquals((await instance.stop()).code, 0);
});

for (const transport of ["tcp", "unix"] as const) {
  Deno.test(`Clients who wait while instances are stopped for their silence lose nothing, and never back off (${transport})`, async () => {
    const { violations, ends, log } = await keepSilent(revision, env, {
      transport,
      clients: 20,
      stops: 2,
      idleMs: 2_000,
    });
    assertEquals(violations, []);
    assertEquals(new Set(ends), new Set([0]), "no instance had to be killed");
    assertStringIncludes(log, "Linger is ready\n");
  });
}

// The reference server of the Durable Streams protocol: in memory, or in the directory DATA.
const PACKAGE = "npm:@durable-streams/server@0.3.7"; // named here only, so that it is in no lock file

const { DurableStreamTestServer } = await import(PACKAGE);
await new DurableStreamTestServer({
  port: Number(Deno.env.get("PORT")),
  host: "127.0.0.1",
  longPollTimeout: 55_000,
  compression: false,
  dataDir: Deno.env.get("DATA") || undefined,
}).start();

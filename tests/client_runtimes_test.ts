// The client as others than Deno get it: from a server, which hands it out without its types.
import { assertEquals } from "@std/assert";
import { join } from "node:path";
import { Linger } from "../src/client/client.ts";
import { messages, until } from "./support/client.ts";
import { testPostgres } from "./support/postgres.ts";
import { spawnServer } from "./support/server.ts";

const postgres = await testPostgres();

const PROGRAM = `
import process from "node:process";
import { Linger, LingerError, messageNumber } from "./client.mjs";

const room = new Linger(process.argv[2]).room("room");
room.connection.subscribe(({ status }) => console.log(status));
for await (const { id, body } of room.follow({ after: "00000000-0000-0000-0000-000000000000" })) {
  console.log(messageNumber(id) + " " + body);
  if (body === "from outside") await room.post("from inside");
  if (body === "from inside") break;
}
await room.post("").catch((error) => console.log(error instanceof LingerError && error.status));
`;

/** Whether this machine has the runtime. */
function has(command: string): boolean {
  try {
    return new Deno.Command(command, { args: ["--version"], stdout: "null", stderr: "null" }).outputSync().success;
  } catch {
    return false;
  }
}

for (const [name, command, args] of [["Deno", Deno.execPath(), ["run", "-A"]], ["Node", "node", []]] as const) {
  Deno.test({
    name: `As a server hands it out the client posts and follows under ${name}, and its process ends`,
    ignore: !has(command),
    fn: async () => {
      const home = await Deno.makeTempDir({ prefix: "linger-test-" });
      await using database = await postgres.create();
      await using server = await spawnServer(database.url);
      for (const name of ["client.mjs", "exchange.mjs"]) {
        const response = await fetch(`${server.url}/client/${name}`);
        await Deno.writeTextFile(join(home, name), await response.text());
      }
      await Deno.writeTextFile(join(home, "program.mjs"), PROGRAM);
      const child = new Deno.Command(command, {
        args: [...args, join(home, "program.mjs"), server.url],
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const output = child.output();
      await until(async () => {
        const response = await fetch(`${server.url}/healthz`);
        return (await response.json()).waiters === 1;
      }, "it waits");
      await new Linger(server.url).room("room").post("from outside");
      const { code, stdout, stderr } = await output;
      assertEquals(new TextDecoder().decode(stderr), "");
      assertEquals(new TextDecoder().decode(stdout).trim().split("\n"), [
        "connecting",
        "live",
        "1 from outside",
        "2 from inside",
        "idle",
        "400",
      ]);
      assertEquals(code, 0);
      assertEquals((await messages(server, "room", "")).length, 2);
      await Deno.remove(home, { recursive: true });
    },
  });
}

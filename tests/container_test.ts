// What the Dockerfile does, as far as it can be done without Docker. The container and the task grant environment variables by
// name: a setting that is missing there would end the start.
import { assertEquals, assertMatch } from "@std/assert";
import { join } from "node:path";
import { describeSettings } from "../src/config.ts";
import { copyPath } from "./support/files.ts";
import { projectPath } from "./support/postgres.ts";

for (const file of ["Dockerfile", "deno.json"]) {
  Deno.test(`What ${file} starts may read every setting`, async () => {
    const text = await Deno.readTextFile(projectPath(file));
    for (const [, names] of text.matchAll(/--allow-env=([^"'\s]+)/g)) {
      const granted = names!.split(",");
      const missing = describeSettings().map(({ name }) => name).filter((name) =>
        !granted.some((pattern) => pattern === name || pattern.endsWith("*") && name.startsWith(pattern.slice(0, -1)))
      );
      assertEquals(missing, []);
    }
  });
}

Deno.test("With what the Dockerfile copies, what it starts finds all that it needs, and stops only for want of a database", async () => {
  const text = (await Deno.readTextFile(projectPath("Dockerfile"))).replaceAll(/\\\n/g, " ");
  const app = await Deno.makeTempDir({ prefix: "linger-test-" });
  for (const [, from, to] of text.matchAll(/^COPY (.*) (\S+)$/gm)) {
    for (const part of from!.split(" ")) await copyPath(projectPath(part), join(app, to === "./" ? part : to!));
  }
  const entry: string[] = JSON.parse(text.match(/^ENTRYPOINT (.*)$/m)![1]!);
  assertEquals(entry.slice(0, 3), ["/tini", "--", "deno"]);
  const command = JSON.parse(text.match(/^CMD (.*)$/m)![1]!);
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...entry.slice(3), ...command],
    cwd: app,
    env: { PORT: "0", NO_COLOR: "1", DENO_NO_PROMPT: "1" },
  }).output();
  assertMatch(
    new TextDecoder().decode(stderr),
    /^\S+ info Linger .*\n\S+ error DATABASE_URL is not set, and must be.*\n$/,
  );
  assertEquals(code, 1);
  await Deno.remove(app, { recursive: true });
});

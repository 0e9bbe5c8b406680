// The container and the task grant environment variables by name: a setting that is missing there would end the start.
import { assertEquals } from "@std/assert";
import { describeSettings } from "../src/config.ts";
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

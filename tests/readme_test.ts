// The README's tables of settings are what the program says of itself.
import { assertEquals } from "@std/assert";
import { describeSettings } from "../src/config.ts";
import { projectPath } from "./support/postgres.ts";

Deno.test("The README lists every setting with its default and its meaning, first those that people set", async () => {
  const readme = await Deno.readTextFile(projectPath("README.md"));
  const tables = readme.matchAll(/<!-- settings -->(.*?)<!-- \/settings -->/gs);
  const cells = Array.from(
    tables,
    ([, table]) =>
      table!.trim().split("\n").slice(2).map((row) => row.split("|").slice(1, 4).map((cell) => cell.trim())),
  );
  const expected = [false, true].map((isLimit) =>
    describeSettings().filter((setting) => setting.isLimit === isLimit).map((setting) => [
      `\`${setting.name}\``,
      setting.default === undefined ? "" : `\`${setting.default}\``,
      setting.description,
    ])
  );
  assertEquals(cells, expected);
});

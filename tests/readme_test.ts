// The README's table of settings is what the program says of itself.
import { assertEquals } from "@std/assert";
import { describeSettings } from "../src/config.ts";
import { projectPath } from "./support/postgres.ts";

Deno.test("The README lists every setting with its default and its meaning", async () => {
  const readme = await Deno.readTextFile(projectPath("README.md"));
  const table = readme.split("<!-- settings -->")[1]!.split("<!-- /settings -->")[0]!;
  const cells = table.trim().split("\n").slice(2).map((row) => row.split("|").slice(1, 4).map((cell) => cell.trim()));
  const expected = describeSettings().map(({ name, default: value, description }) => [
    `\`${name}\``,
    value === undefined ? "" : `\`${value}\``,
    description,
  ]);
  assertEquals(cells, expected);
});

// What docs/deno.md says of Deno is what this Deno does. Where one of these begins to fail, something can be taken out of Linger.
import { assertEquals, assertGreater } from "@std/assert";
import { projectPath } from "./support/postgres.ts";

const page = await Deno.readTextFile(projectPath("docs/deno.md"));
const sections = page.split(/^## /m).slice(1);

for (const section of sections) {
  const title = section.split("\n")[0]!;
  Deno.test(`What Deno's server leaves open: ${title}`, async () => {
    const [, program] = section.match(/```ts\n(.*?)```/s)!;
    const [, output] = section.match(/^prints `(.*?)`/m)!;
    const file = await Deno.makeTempFile({ suffix: ".ts" });
    await Deno.writeTextFile(file, program!);
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-net", "--no-config", "--no-lock", "--quiet", file],
      env: { NO_COLOR: "1" },
      stderr: "null",
    }).output();
    await Deno.remove(file);
    assertEquals(new TextDecoder().decode(stdout).trim(), output);
  });
}

Deno.test("The page on Deno's server has a program in each section", () => {
  assertGreater(sections.length, 4);
});

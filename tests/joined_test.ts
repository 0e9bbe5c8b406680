// One file of many does what the many did.
import { assertEquals, assertThrows } from "@std/assert";
import { besideJoined, joined } from "../src/routes/joined.ts";

const SOURCES = {
  "/web/page.js":
    `import * as words from "./words.js";\nimport {\n  greet as hello,\n} from "./greet.js";\nimport { basename } from "../client/path.ts";\nglobalThis.said = [hello("you"), words.bye, basename("/a/b")];\nimport("./late.js");`,
  "/web/greet.js":
    `import { hi } from "./words.js";\nconst own = "!";\nexport function greet(name) {\n  return hi + name + own;\n}`,
  "/web/words.js":
    `const own = "Hi ";\nexport const hi = own;\nexport const bye = "Bye";\nexport async function later() {}\nexport class Word {}`,
  "/web/late.js":
    `import { hi } from "./words.js";\nimport { other } from "./other.js";\nexport const late = hi + other;`,
  "/web/other.js": `export const other = "?";`,
};

Deno.test("A module and what it imports become one, with a scope for each, and what is elsewhere is still imported", async () => {
  const text = joined("/web/page.js", SOURCES);
  assertEquals(text.match(/^import .*/gm), [`import * as $client$path$ts from "../client/path.ts";`]);
  const runnable = text.replace("../client/path.ts", "node:path").replace(`import("./late.js");`, "");
  const { $words } = await import(`data:text/javascript,${encodeURIComponent(runnable)}`);
  assertEquals((globalThis as unknown as { said: string[] }).said, ["Hi you!", "Bye", "b"]);
  assertEquals(Object.keys($words), ["hi", "bye", "later", "Word"]);
});

Deno.test("What comes later takes what it shares from the joined file, and the rest from where it is", () => {
  assertEquals(
    besideJoined("/web/late.js", "/web/page.js", SOURCES),
    `import { $words } from "./page.js";\nconst { hi } = $words;\nimport { other } from "./other.js";\nexport const late = hi + other;`,
  );
});

Deno.test("Circles, and forms that it does not know, are told", () => {
  const page = "/web/page.js";
  const circle = { [page]: `import { a } from "./a.js";`, "/web/a.js": `import { b } from "./page.js";` };
  assertThrows(() => joined(page, circle), Error, "/web/page.js → /web/a.js → /web/page.js");
  for (const form of [`import "./a.js";`, `export default 1;`, `export let a = 1;`, `export { a };`]) {
    assertThrows(() => joined(page, { [page]: form }), Error, form);
  }
});

// `deno task test:web`: the tests of the page, in a browser of this machine. What is not said here goes on to `deno test`.
import { refuse } from "../support/arguments.ts";
import { projectPath } from "../support/postgres.ts";

/** Where the tests are that run in a browser: WebKit's driver can do less, and has some of its own. */
const TESTS: Record<string, string> = { chromium: "tests/web/", firefox: "tests/web/", webkit: "tests/webkit/" };

const OPTION = "--browser=";
const browser = Deno.args.find((arg) => arg.startsWith(OPTION))?.slice(OPTION.length) ?? "chromium";
const tests = TESTS[browser] ?? refuse(`There is no browser "${browser}": ${Object.keys(TESTS).join(", ")}`);
if (Deno.args.includes("--help")) {
  console.log("deno task test:web: the tests of the page; what `deno test` takes, and");
  console.log("  --browser=TEXT  chromium, firefox or webkit, as Debian's packages have them (chromium)");
  Deno.exit(0);
}
const { code } = await new Deno.Command(Deno.execPath(), {
  args: [
    ...["test", "-A", "--frozen", "--preload=tests/support/deadline.ts", tests],
    ...Deno.args.filter((arg) => !arg.startsWith(OPTION)),
  ],
  env: { BROWSER: browser },
  cwd: projectPath("."),
}).spawn().status;
Deno.exit(code);

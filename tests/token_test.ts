// `deno task token`, as its task runs it: what it prints holds, and what it says of a token is what the server would say.
import { assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { type Ended, runCommand } from "./support/command.ts";
import { Provider } from "./support/provider.ts";
import { SECRET, tokenOf } from "./support/tokens.ts";

const CLOSED = { TOKEN_SECRET: SECRET };

const token = (env: Record<string, string>, ...args: string[]): Promise<Ended> => runCommand("token", args, env);

/** What a token may, line by line; the first says whose it is. */
const told = ({ stdout }: Ended) => stdout.trimEnd().split("\n").slice(1);

Deno.test("A token is printed with a link that carries it, and --check says of it what was asked for", async () => {
  const made = await token(
    CLOSED,
    ...["--sub", "ada", "--name", "Ada", "--read", "*", "--write", "lobby, team.*", "--moderate", "lobby"],
    ...["--url", "https://chat.example/"],
  );
  assertEquals(made.code, 0, made.log);
  const signed = made.stdout.match(/^ey\S+$/m)![0];
  assertStringIncludes(made.stdout, `https://chat.example/#token=${signed}`);
  const checked = await token(CLOSED, "--check", signed);
  assertMatch(checked.stdout, /^For "ada", who is called "Ada", until /);
  assertEquals(told(checked), ["may read *", "may write lobby, team.*", "may moderate lobby"]);
});

Deno.test("--check tells also what may be done without a token, and of a token without rights that it may nothing", async () => {
  const stranger = await tokenOf({ sub: "stranger" });
  assertEquals(told(await token(CLOSED, "--check", stranger)), ["may do nothing"]);
  const open = { ...CLOSED, ANONYMOUS_READ: "news,public.*", ANONYMOUS_WRITE: "public.in" };
  assertEquals(told(await token(open, "--check", stranger)), ["may read news, public.*", "may write public.in"]);
  assertEquals(told(await token(open, "--check", await tokenOf({ read: ["news", "team"] }))), [
    "may read news, team, public.*",
    "may write public.in",
  ]);
});

Deno.test("A token that was not copied whole, or with more than itself, is told in a sentence", async () => {
  const signed = await tokenOf({ read: ["*"] });
  for (const copied of [`${signed.slice(0, 40)}\n${signed.slice(40)}`, `${signed.slice(0, 40)}…`]) {
    const { code, log } = await token(CLOSED, "--check", copied);
    assertEquals(code, 1);
    assertMatch(log, /^\S+ error --check takes a token as it was printed: in one line, and nothing else\n$/);
  }
  assertEquals(told(await token(CLOSED, "--check", `\n${signed}\n`)), ["may read *"]);
});

Deno.test("The secret can be in a file anywhere, as the docs have it", async () => {
  const folder = await Deno.makeTempDir();
  const file = join(folder, "secret.txt");
  await Deno.writeTextFile(file, `${SECRET}\n`);
  const { code, stdout, log } = await token({ TOKEN_SECRET_FILE: file }, "--sub", "ada", "--read", "*");
  assertEquals(code, 0, log);
  const signed = stdout.match(/^ey\S+$/m)![0];
  assertEquals(told(await token(CLOSED, "--check", signed)), ["may read *"]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("A token of an identity provider is checked by the provider's keys, and made by the provider alone", async () => {
  await using provider = new Provider();
  const sign = await provider.key("ES256", "known");
  const env = { TOKEN_JWKS_URL: provider.url, TOKEN_ISSUER: "idp", TOKEN_AUDIENCE: "chat" };
  const good = await token(env, "--check", await sign({}));
  assertEquals(good.code, 0, good.log);
  assertMatch(good.stdout, /^For "ada", until /);
  const other = await token(env, "--check", await sign({ aud: "shop" }));
  assertNotEquals(other.code, 0);
  assertStringIncludes(other.log, "The token is for another audience");
  const made = await token(env, "--sub", "ada", "--read", "*");
  assertNotEquals(made.code, 0);
  assertStringIncludes(made.log, "Tokens come from the identity provider");
});

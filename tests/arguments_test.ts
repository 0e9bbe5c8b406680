// Whoever types what the program does not know has to be told, before anything is started.
import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { readArguments } from "../src/arguments.ts";
import { exportLines } from "../src/commands/export.ts";
import { forget } from "../src/commands/forget.ts";
import { importLines } from "../src/commands/import.ts";
import { token } from "../src/commands/token.ts";
import { ConfigError, describeSettings, readConfig } from "../src/config.ts";
import { VERSION } from "../src/version.ts";
import { projectPath } from "./support/postgres.ts";

function text(...args: string[]): string {
  const wanted = readArguments(args);
  assert("text" in wanted);
  return wanted.text;
}

function refusal(...args: string[]): string {
  return assertThrows(() => readArguments(args), ConfigError).message;
}

Deno.test("readArguments() takes a command, and start where there is none", () => {
  for (const command of ["start", "serve", "migrate", "doctor"] as const) {
    assertEquals(readArguments([command]), { command, args: [] });
  }
  assertEquals(readArguments([]), { command: "start", args: [] });
  assertEquals(readArguments(["token", "--sub", "ada"]), { command: "token", args: ["--sub", "ada"] });
});

Deno.test("An option that is given twice is refused by each command: of two the last would count, and nobody would notice", async () => {
  const config = readConfig({ get: () => undefined });
  const commands = { export: exportLines, forget, import: importLines, token };
  for (const [name, command] of Object.entries(commands)) {
    const option = name === "token" ? "--read" : "--room";
    const { message } = await assertRejects(() => command(config, [option, "a", `${option}=b`]), ConfigError);
    assertEquals(message.split("\n")[0], `${option} can be given once`);
  }
});

Deno.test("--help tells the commands and every setting with its default, in lines that fit 80 columns", () => {
  for (const args of [["--help"], ["-h"], ["start", "--help"], ["serve", "--port", "9000", "-h"]]) {
    const help = text(...args);
    assertStringIncludes(help, `Linger ${VERSION}`);
    for (const command of ["start", "serve", "migrate", "doctor"]) {
      assertMatch(help, new RegExp(`^  deno task ${command}\\n +\\w`, "m"));
    }
    const paragraph = help.replaceAll(/\s+/g, " ");
    for (const { name, default: value, description } of describeSettings()) {
      assertStringIncludes(paragraph, ` ${name}${value === undefined ? "" : `=${value}`} ${description}`);
    }
    for (const line of help.split("\n")) assert(line.length <= 80, line);
  }
});

Deno.test("--version tells the version", () => {
  assertEquals(text("--version"), `Linger ${VERSION}`);
  assertEquals(text("migrate", "-V"), `Linger ${VERSION}`);
});

Deno.test("A setting among the arguments is refused, with the line that sets it", () => {
  const line = (word: string, set: string) =>
    `Settings come from the environment, not from an argument as ${word}: ${set}`;
  assertEquals(refusal("start", "--port", "9000"), line("--port", "PORT=9000 deno task start"));
  assertEquals(refusal("--port=9000"), line("--port", "PORT=9000 deno task start"));
  assertEquals(refusal("serve", "--max-waiters", "5"), line("--max-waiters", "MAX_WAITERS=5 deno task serve"));
  assertEquals(refusal("serve", "--MAX_WAITERS"), line("--MAX_WAITERS", "MAX_WAITERS=… deno task serve"));
  assertEquals(refusal("start", "PORT=9000"), line("PORT", "PORT=9000 deno task start"));
});

Deno.test("An option, an argument or a command that is none is refused in a sentence", () => {
  assertEquals(refusal("start", "--verbose"), "--verbose is not an option: --help tells what there is");
  assertEquals(refusal("-p", "9000"), "-p is not an option: --help tells what there is");
  assertEquals(refusal("start", "serve"), "serve is one argument too many: --help tells what there is");
  assertEquals(
    refusal("sreve"),
    "sreve is not one of start, serve, migrate, doctor, token, forget, export, import: --help tells what each does",
  );
  assertEquals(refusal("--constructor"), "--constructor is not an option: --help tells what there is");
  assertEquals(refusal("--no-help"), "--no-help is not an option: --help tells what there is");
});

Deno.test("A refusal repeats no password", () => {
  const url = "postgres://me:secret@host/db?x=y";
  for (
    const args of [
      [url],
      ["start", url],
      ["start", `DATABASE_URL=${url}`],
      [`--database-url=${url}`],
      ["--database-url", url],
      [`--${url}`],
      ["--url", url],
    ]
  ) {
    const sentence = refusal(...args);
    assert(!/secret/.test(sentence), sentence);
  }
});

Deno.test("main.ts prints what it was asked for, refuses what it does not know, and starts nothing", async () => {
  const run = async (...args: string[]) => {
    // Not even the right to read a setting: whoever asks for help has not started yet.
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--frozen", "--quiet", projectPath("main.ts"), ...args],
      env: { NO_COLOR: "1" },
    }).output();
    const decoder = new TextDecoder();
    return { code, out: decoder.decode(stdout), log: decoder.decode(stderr) };
  };
  const help = await run("start", "--help");
  assertEquals([help.code, help.out, help.log], [0, `${text("--help")}\n`, ""]);
  const version = await run("--version");
  assertEquals([version.code, version.out, version.log], [0, `Linger ${VERSION}\n`, ""]);
  const refused = await run("serve", "--port", "9000");
  assertEquals([refused.code, refused.out], [1, ""]);
  assertMatch(refused.log, /^\S+ error Settings come from the environment, .*: PORT=9000 deno task serve\n$/);
});

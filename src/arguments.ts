// What stands behind `main.ts`: a command, or a question about the program. Nothing is set there, and whoever tries is told how
// it is set instead.
import { parseArgs, type ParseArgsConfig } from "node:util";
import manifest from "../deno.json" with { type: "json" };
import { ConfigError, describeSettings, isSecret, isSetting } from "./config.ts";
import { VERSION } from "./version.ts";

/** What `main.ts` can do; deno.json has a task for each. */
export type Command = "start" | "serve" | "migrate" | "doctor" | "token" | "forget" | "export" | "import";

const COMMANDS: readonly Command[] = ["start", "serve", "migrate", "doctor", "token", "forget", "export", "import"];

/** Those that have arguments of their own. */
const WITH_ARGUMENTS: readonly string[] = ["token", "forget", "export", "import"];

/** Columns of a terminal that is not wide. */
const COLUMNS = 80;

/**
 * Reads what was asked for; without a word it is `start`.
 * @returns a command to run, or a text to print instead of running anything.
 * @throws {ConfigError} for whatever else is there.
 */
export function readArguments(args: string[]): { command: Command; args: string[] } | { text: string } {
  if (WITH_ARGUMENTS.includes(args[0]!)) return { command: args[0] as Command, args: args.slice(1) };
  const options = { help: { type: "boolean", short: "h" }, version: { type: "boolean", short: "V" } } as const;
  const { tokens, positionals: [name = "start", further], values } = parseArgs({
    args,
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  if (values.help) return { text: usage() };
  if (values.version) return { text: `Linger ${VERSION}` };
  const command = COMMANDS.find((command) => command === name);
  for (const [at, token] of tokens.entries()) {
    if (token.kind !== "option") continue;
    const next = tokens[at + 1];
    const value = token.value ?? (next?.kind === "positional" ? next.value : undefined);
    refuse(token.rawName, "is not an option", token.name, value, command);
  }
  if (!command) {
    throw new ConfigError(`${quoted(name)} is not one of ${COMMANDS.join(", ")}: --help tells what each does`);
  }
  if (further !== undefined) {
    const [setting, value] = further.split(/=(.*)/s);
    refuse(setting!, "is one argument too many", setting!, value, command);
  }
  return { command, args: [] };
}

/**
 * The arguments of a command, as `parseArgs` has them. Each option may be given once: of several the last would count, and the others would be
 * passed over in silence.
 * @throws {ConfigError} which says what is wrong, and `help`.
 */
export function parseOnce<const T extends ParseArgsConfig>(config: T, help: string): ReturnType<typeof parseArgs<T>> {
  try {
    const { tokens, ...parsed } = parseArgs({ ...config, tokens: true });
    const options = tokens!.flatMap((token) => token.kind === "option" ? [token.name] : []);
    const again = options.find((name, at) => options.indexOf(name) < at);
    if (again) throw new Error(`--${again} can be given once`);
    return parsed as ReturnType<typeof parseArgs<T>>;
  } catch (error) {
    refuseArguments((error as Error).message, help);
  }
}

/**
 * Refuses the arguments of a command.
 * @throws {ConfigError} which says what is wrong, and `help`.
 */
export function refuseArguments(sentence: string, help: string): never {
  throw new ConfigError(`${sentence}\n\n${help}`);
}

function refuse(word: string, what: string, name: string, value = "…", command = "start"): never {
  const setting = name.toUpperCase().replaceAll("-", "_");
  if (!isSetting(setting)) throw new ConfigError(`${quoted(word)} ${what}: --help tells what there is`);
  const shown = isSecret(setting) ? "…" : value; // no password gets into a log
  throw new ConfigError(
    `Settings come from the environment, not from an argument as ${word}: ${setting}=${shown} deno task ${command}`,
  );
}

/** A word as it was given, where it looks like one: anything else may be what nobody should read. */
function quoted(word: string): string {
  return /^[\w.-]{1,40}$/.test(word) ? word : "What was given";
}

function usage(): string {
  const commands = COMMANDS.map((command) =>
    `  deno task ${command}\n${wrapped(manifest.tasks[command].description, "      ")}`
  );
  const settings = describeSettings().map(({ name, default: value, description }) =>
    `  ${name}${value === undefined ? "" : `=${value}`}\n${wrapped(description, "      ")}`
  );
  return `Linger ${VERSION}: a durable, ordered chat server over plain HTTP long polling

${commands.join("\n")}

  -h, --help
      Print this
  -V, --version
      Print the version

Settings come from the environment, as in

  PORT=9000 deno task start

They are, with their defaults:

${settings.join("\n")}`;
}

/** A text in lines that fit. */
function wrapped(text: string, indent: string): string {
  const lines = text.match(new RegExp(`.{1,${COLUMNS - indent.length}}(?:\\s|$)`, "g")) ?? [];
  return lines.map((line) => indent + line.trim()).join("\n");
}

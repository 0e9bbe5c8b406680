// What a task can be called with. Its --help is made of what it takes, so that the two can't differ; what it does not know
// is refused, so that a slip of the pen is not an hour of the wrong work.
import { parseArgs } from "node:util";

/** An argument: a number, a text, or a flag, as its default is. */
export interface Argument {
  /** What it is where it is not given. An empty text, false and NaN are not shown by --help. */
  readonly default: number | string | boolean;
  /** What it does. */
  readonly help: string;
  /** It is given without its name. */
  readonly bare?: true;
}

/** What came of arguments: a number where the default is one, and so on. */
export type Values<A extends Record<string, Argument>> = {
  -readonly [Name in keyof A]: A[Name]["default"] extends number ? number
    : A[Name]["default"] extends boolean ? boolean
    : string;
};

/** The arguments of `deno task ${task}`. With --help it says them and `what` the task does, and ends with 0. */
export function readArguments<A extends Record<string, Argument>>(task: string, what: string, known: A): Values<A> {
  const named = Object.entries(known).filter(([, { bare }]) => !bare);
  const bare = Object.keys(known).filter((name) => known[name]!.bare);
  const types = named.map(([name, { default: unless }]) => {
    return [name, { type: typeof unless === "boolean" ? "boolean" : "string" } as const] as const;
  });
  try {
    const { values, positionals }: { values: Record<string, string | boolean | undefined>; positionals: string[] } =
      parseArgs({
        options: { ...Object.fromEntries(types), help: { type: "boolean" } },
        allowPositionals: bare.length > 0,
      });
    if (values.help) {
      console.log(helpOf(task, what, known));
      Deno.exit(0);
    }
    if (positionals.length > bare.length) throw new Error(`Unexpected argument '${positionals[bare.length]}'`);
    bare.forEach((name, i) => values[name] = positionals[i]);
    return Object.fromEntries(
      Object.entries(known).map(([name, { default: unless }]) => [name, valueOf(name, values[name], unless)]),
    ) as Values<A>;
  } catch (error) {
    refuse(`${(error as Error).message.split(". ")[0]}: "deno task ${task} --help" says what there is`);
  }
}

/** Ends because of an argument that can't be taken, with 2. */
export function refuse(sentence: string): never {
  console.error(sentence);
  Deno.exit(2);
}

function valueOf(name: string, given: string | boolean | undefined, unless: Argument["default"]): Argument["default"] {
  if (given === undefined || typeof unless !== "number") return given ?? unless;
  const number = Number(given);
  if (given === "" || !(number >= 0)) throw new Error(`--${name} is a number, not '${given}'`);
  return number;
}

function helpOf(task: string, what: string, known: Record<string, Argument>): string {
  const rows = Object.entries(known).map(([name, { default: unless, help, bare }]) => {
    const value = typeof unless === "number" ? "=N" : typeof unless === "string" ? "=TEXT" : "";
    return [bare ? name.toUpperCase() : `--${name}${value}`, help + (unless ? ` (${unless})` : "")] as const;
  });
  const width = Math.max(...rows.map(([left]) => left.length));
  return [`deno task ${task}: ${what}`, ...rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`)].join("\n");
}

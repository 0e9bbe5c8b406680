// `import`: takes in what `export` has printed, here or on another database, with its ids; all of it or nothing.
import { parseOnce, refuseArguments } from "../arguments.ts";
import { Floors } from "../chat/floors.ts";
import { importAll } from "../chat/importer.ts";
import { LineError, linesOf } from "../chat/lines.ts";
import { isRoom } from "../chat/message.ts";
import { Store } from "../chat/store.ts";
import { tellHeads } from "../chat/wake.ts";
import { type Config, ConfigError } from "../config.ts";
import { DatabaseError, deadlineOf } from "../database/client.ts";
import { withDatabase } from "../database/with-database.ts";
import { transact } from "../database/transaction.ts";
import { say } from "../log.ts";
import { reasonOf } from "../reason.ts";
import { counted } from "./counted.ts";

const HELP = `deno task import kitchen.jsonl

  FILE               Lines that deno task export has printed; without it they come from standard input
  --room NAME        The room that they come into; without it the one that they name

Only a room that has never been used takes them, since they keep their ids. All of them come in, or none.`;

/** Longest line, in UTF-16 units: a message of characters that are all escaped has 60,000. */
const MAX_LINE = 200_000;

/** How often it is told how far it is, in milliseconds. */
const TELL_MS = 2_000;

/**
 * Takes lines in, and tells the servers.
 * @throws {ConfigError} when an argument can't be meant, a line can't come in, or the database fails.
 * @internal
 */
export async function importLines(config: Config, args: string[]): Promise<void> {
  const given = read(args);
  if (given === "help") return console.log(HELP);
  const { file, room } = given;
  const bytes = await open(file);
  await withDatabase(config, "import", async ({ openPool }, client) => {
    let toldAt = performance.now();
    const told = (messages: number) => {
      if (performance.now() - toldAt < TELL_MS) return;
      toldAt = performance.now();
      say(`${messages.toLocaleString("en")} messages so far`);
    };
    const options = { name: "import", mode: "", deadlineMs: deadlineOf(config) };
    const { messages, heads } = await transact(
      openPool,
      options,
      (run) => importAll(run, linesOf(bytes, MAX_LINE), room, told),
    ).catch((error) => {
      if (error instanceof LineError) throw new ConfigError(`Nothing was imported: ${error.message}`, { cause: error });
      if (error instanceof DatabaseError && error.fate === "unknown") {
        say(
          "It is not known whether it was imported. Import it once more: if it was, that says that the room has been used",
        );
      }
      throw error;
    });
    await tellHeads(new Store(client, client, client, new Floors()), heads);
    say(`${counted(messages, "message")} imported: ${[...heads.keys()].join(", ")}`);
  });
}

async function open(file: string | undefined): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  if (file === undefined) return Deno.stdin.readable;
  try {
    return (await Deno.open(file)).readable;
  } catch (error) {
    throw new ConfigError(`${file} can't be read: ${reasonOf(error)}`);
  }
}

function read(args: string[]): { file: string | undefined; room: string | undefined } | "help" {
  const options = { room: { type: "string" }, help: { type: "boolean", short: "h" } } as const;
  const parsed = parseOnce({ args, options, allowPositionals: true }, HELP);
  const { values: { help, room }, positionals: [file, second] } = parsed;
  if (help) return "help";
  if (second !== undefined) return refuseArguments("One file at a time is imported", HELP);
  if (room !== undefined && !isRoom(room)) return refuseArguments(`--room ${room} is no name of a room`, HELP);
  if (file === undefined && Deno.stdin.isTerminal()) return refuseArguments("What is to be imported?", HELP);
  return { file, room };
}

// `export`: prints all that is stored of a room, or of what somebody has posted, as lines of JSON: to hand it over, or to import it elsewhere.
import { parseOnce, refuseArguments } from "../arguments.ts";
import { COLUMNS, headLineOf, lineOf, type StoredMessage } from "../chat/archive.ts";
import { isRoom } from "../chat/message.ts";
import { walk, type Which } from "../chat/sql/walk.ts";
import { type Config, ConfigError } from "../config.ts";
import { deadlineOf } from "../database/client.ts";
import { withDatabase } from "../database/with-database.ts";
import { type Run, transact } from "../database/transaction.ts";
import { say } from "../log.ts";
import { reasonOf } from "../reason.ts";
import { counted } from "./counted.ts";

const HELP = `deno task export --room kitchen > kitchen.jsonl

  --room NAME        All messages of a room, in a form that can be imported
  --sub SUB          All messages that were posted with tokens of this sub

Each is a line of JSON on standard output, by rooms and in their order, as it is at one moment.`;

/** Rows that are looked at, and perhaps held, at a time: at most 20 MB of texts. */
const ROWS = 2_000;

const encoder = new TextEncoder();

/**
 * Prints lines; they are read in small pieces, and no faster than they are taken.
 * @throws {ConfigError} when an argument can't be meant, there is no such room, the database fails, or nobody takes the lines.
 * @internal
 */
export async function exportLines(config: Config, args: string[]): Promise<void> {
  const which = read(args);
  if (which === "help") return console.log(HELP);
  await withDatabase(config, "export", async ({ openPool }) => {
    // All of it as it is at one moment. A cursor of the database would be ended by its timeout where somebody reads slowly.
    const mode = "isolation level repeatable read read only";
    const options = { name: "export", mode, deadlineMs: deadlineOf(config) };
    const count = await transact(openPool, options, async (run) => {
      let count = 0;
      if (which.by === "room") await print([headLineOf(await headOf(run, which.name))]);
      for await (const messages of walk<StoredMessage>(run, which, COLUMNS, ROWS)) {
        count += messages.length;
        await print(messages.map(lineOf));
      }
      return count;
    });
    say(`${counted(count, "message")}, deleted ones too, and that is all`);
  });
}

async function headOf(run: Run, room: string) {
  const [head] = await run((sql) =>
    sql<{ seq: string; ms: string; trimmed: string | null }[]>`select seq, ms, trimmed from heads where room = ${room}`
  );
  if (!head) throw new ConfigError(`There is no room ${room}`);
  return { room, seq: Number(head.seq), ms: Number(head.ms), trimmed: head.trimmed };
}

async function print(lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return;
  try {
    for (let rest = encoder.encode(`${lines.join("\n")}\n`); rest.length > 0;) {
      rest = rest.subarray(await Deno.stdout.write(rest));
    }
  } catch (error) { // the disk is full, or whoever reads it has enough
    throw new ConfigError(`What is exported can't be written: ${reasonOf(error)}`);
  }
}

function read(args: string[]): Which | "help" {
  const text = { type: "string" } as const;
  const options = { room: text, sub: text, help: { type: "boolean", short: "h" } } as const;
  const { help, room, sub } = parseOnce({ args, options }, HELP).values;
  if (help) return "help";
  if ((room === undefined) === (sub === undefined)) return refuseArguments("What is to be exported?", HELP);
  if (sub !== undefined) return { by: "sub", name: sub };
  if (!isRoom(room!)) return refuseArguments(`--room ${room} is no name of a room`, HELP);
  return { by: "room", name: room! };
}

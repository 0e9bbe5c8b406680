// `forget`: takes back for good what somebody must not keep: a message, all of an author or a sub, a room. It counts first, and asks.
import { parseOnce, refuseArguments } from "../arguments.ts";
import { parseCursor } from "../chat/cursor.ts";
import { Floors } from "../chat/floors.ts";
import { Forgetter, type Forgotten } from "../chat/forgetter.ts";
import { isRoom } from "../chat/message.ts";
import { Store } from "../chat/store.ts";
import type { Which } from "../chat/sql/walk.ts";
import { type Config, ConfigError } from "../config.ts";
import { withDatabase } from "../database/with-database.ts";
import { log, say } from "../log.ts";
import { counted } from "./counted.ts";

const HELP = `deno task forget --sub ada

  --id ID            One message
  --author NAME      All messages with this author, as it is written there
  --sub SUB          All messages that were posted with tokens of this sub, and the sub with them
  --room NAME        A room and all that is in it
  --yes              Do not ask

Whoever follows with changes is told. It can be ended at any time: run it again, and it goes on.`;

type Wanted = Which | { readonly by: "id"; readonly name: string };

/**
 * Counts what there is to forget, asks, and forgets it.
 * @throws {ConfigError} when an argument can't be meant, nobody is there to be asked, or the database fails.
 * @internal
 */
export async function forget(config: Config, args: string[]): Promise<void> {
  const given = read(args);
  if (given === "help") return console.log(HELP);
  const { wanted, yes } = given;
  await withDatabase(config, "forget", async (_, client) => {
    const forgetter = new Forgetter(client, new Store(client, client, client, new Floors()));
    const { count, run } = wanted.by === "id" ? await one(forgetter, wanted.name) : await many(forgetter, wanted);
    if (count === undefined) return say("There is nothing to forget");
    say(`${count} will be forgotten, and nobody can bring that back`);
    if (!yes && !isAllowed()) {
      Deno.exitCode = 1; // a script that goes on with 0 takes the words for gone
      return say("Nothing was forgotten");
    }
    await run();
    say(wanted.by === "room" ? `Room ${wanted.name} is forgotten` : "All of it is forgotten");
    say("Copies remain in the files of the database until VACUUM, and in its WAL and backups: docs/running.md");
  });
}

/** What there is to forget, in words, and how that is done. */
interface Plan {
  /** Undefined where there is nothing. */
  readonly count: string | undefined;
  run(): Promise<void>;
}

async function one(forgetter: Forgetter, id: string): Promise<Plan> {
  const found = await forgetter.find(id);
  if (found.length === 0) return { count: undefined, run: () => Promise.resolve() };
  const run = async () => {
    for (const message of found) {
      await forgetter.forgetOne(message);
      tell({ room: message.room, messages: 1, first: id, last: id });
    }
  };
  const rooms = found.map(({ room }) => room).join(", ");
  return { count: found.length === 1 ? `A message in room ${rooms}` : `A message that is in rooms ${rooms}`, run };
}

async function many(forgetter: Forgetter, which: Which): Promise<Plan> {
  const { messages, deleted, rooms } = await forgetter.count(which);
  if (messages + deleted === 0) return { count: undefined, run: () => Promise.resolve() };
  const where = which.by === "room" ? `room ${which.name}` : counted(rooms, "room");
  const also = deleted > 0 ? `, and what is left of ${counted(deleted, "deleted message")},` : "";
  const run = async () => {
    const steps = which.by === "room" ? forgetter.removeRoom(which.name) : forgetter.forget(which);
    let done = 0;
    for await (const step of steps) tell(step, `, ${(done += step.messages).toLocaleString("en")} so far`);
  };
  return { count: `${counted(messages, "message")} in ${where}${also}`, run };
}

/** Which they were stands in the log; not what they said, nor whose they were. */
function tell({ room, messages, first, last }: Forgotten, soFar = ""): void {
  log("info", `Messages were forgotten${soFar}`, { room, messages, first, last });
}

/** Asks whoever sits at the terminal. */
function isAllowed(): boolean {
  if (!Deno.stdin.isTerminal()) {
    throw new ConfigError("Nobody is there to be asked, and nothing was forgotten: --yes forgets without a question");
  }
  return confirm("Forget it?");
}

function read(args: string[]): { wanted: Wanted; yes: boolean } | "help" {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  const options = { id: text, author: text, sub: text, room: text, yes: flag, help: { ...flag, short: "h" } } as const;
  const { help, yes = false, ...rest } = parseOnce({ args, options }, HELP).values;
  if (help) return "help";
  const given = Object.entries(rest) as [Wanted["by"], string][];
  const [[by, name] = refuseArguments("What is to be forgotten?", HELP), second] = given;
  if (second) return refuseArguments("One thing at a time is forgotten", HELP);
  if (by === "room" && !isRoom(name)) return refuseArguments(`--room ${name} is no name of a room`, HELP);
  if (by !== "id") return { wanted: { by, name }, yes };
  const id = parseCursor(name);
  if (!id) return refuseArguments(`--id ${name} is no id of a message`, HELP);
  return { wanted: { by, name: id }, yes };
}

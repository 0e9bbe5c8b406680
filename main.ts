// Linger. `main.ts --help` tells what there is to do. What a command needs is loaded only when it is known which one is wanted, and this Deno
// is known to be new enough: an older one would stop at an import, and speak of that.
import { type Command, readArguments } from "./src/arguments.ts";
import { ConfigError, readConfig } from "./src/config.ts";
import { log, logged, logWithoutWaiting, say } from "./src/log.ts";
import { warnOfNames } from "./src/names.ts";
import { VERSION, whyNotOn } from "./src/version.ts";

try {
  const tooOld = whyNotOn(Deno.version.deno);
  if (tooOld) throw new ConfigError(tooOld);
  const wanted = readArguments(Deno.args);
  if ("text" in wanted) console.log(wanted.text);
  else await run(wanted.command, wanted.args);
} catch (error) {
  log("error", error instanceof ConfigError ? error.message : `${error instanceof Error ? error.stack : error}`);
  await logged();
  Deno.exit(1);
}

async function run(command: Command, args: string[]): Promise<void> {
  const config = readConfig();
  if (command === "token") return await (await import("./src/commands/token.ts")).token(config, args);
  if (command === "start" || command === "serve") logWithoutWaiting();
  say(`Linger ${VERSION}, Deno ${Deno.version.deno}`);
  warnOfNames();
  if (command === "migrate") return await (await import("./src/commands/migrate.ts")).migrate(config);
  if (command === "doctor") {
    if (!await (await import("./src/commands/doctor.ts")).doctor(config)) Deno.exitCode = 1;
    return;
  }
  if (command === "forget") return await (await import("./src/commands/forget.ts")).forget(config, args);
  if (command === "export") return await (await import("./src/commands/export.ts")).exportLines(config, args);
  if (command === "import") return await (await import("./src/commands/import.ts")).importLines(config, args);
  await (await import("./src/commands/serve.ts")).serve(config, command);
}

// Linger. `main.ts start` serves, with a PostgreSQL of its own where DATABASE_URL names none; `main.ts serve` serves and
// insists on DATABASE_URL; `main.ts migrate` brings that database up to date and ends.
import { migrate } from "./src/commands/migrate.ts";
import { serve } from "./src/commands/serve.ts";
import { ConfigError, readConfig } from "./src/config.ts";
import { log, logged } from "./src/log.ts";

try {
  const config = readConfig();
  const command = Deno.args[0] ?? "start";
  if (command === "migrate") await migrate(config);
  else if (command === "start" || command === "serve") await serve(config, command);
  else throw new ConfigError(`${command} is not one of start, serve, migrate`);
} catch (error) {
  log("error", error instanceof ConfigError ? error.message : `${error instanceof Error ? error.stack : error}`);
  await logged();
  Deno.exit(1);
}

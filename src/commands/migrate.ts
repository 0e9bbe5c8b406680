// `migrate`: brings the database up to date and ends, so that a deployment can do it before its servers start.
import { type Config, ConfigError } from "../config.ts";
import { migrateOnce } from "../database/migrate.ts";
import { openDatabase } from "../database/open.ts";
import { Unusable } from "../database/unusable.ts";
import { say } from "../log.ts";

/**
 * Applies the migrations that the database does not have yet.
 * @throws {ConfigError} when there is no database, or it can't be used as it is.
 * @internal
 */
export async function migrate(config: Config): Promise<void> {
  const database = await openDatabase(config, "migrate", say);
  const applied = await migrateOnce(database).catch((error) => {
    throw error instanceof Unusable ? new ConfigError(error.message, { cause: error }) : error;
  });
  say(applied.length > 0 ? `Applied ${applied.join(", ")}` : "The database is up to date");
}

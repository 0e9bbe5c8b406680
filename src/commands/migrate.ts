// `migrate`: brings the database up to date and ends, so that a deployment can do it before its servers start.
import type { Config } from "../config.ts";
import { migrateOnce } from "../database/migrate.ts";
import { openDatabase } from "../database/open.ts";
import { say } from "../log.ts";

/**
 * Applies the migrations that the database does not have yet.
 * @throws {ConfigError} without a database.
 * @internal
 */
export async function migrate(config: Config): Promise<void> {
  const applied = await migrateOnce(await openDatabase(config, "migrate", say));
  say(applied.length > 0 ? `Applied ${applied.join(", ")}` : "The database is up to date");
}

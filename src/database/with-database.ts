// One connection for a command that works on the messages: to the database that DATABASE_URL names or that is in DATA_DIR, whether a
// server has that or not.
import { type Config, ConfigError } from "../config.ts";
import { say } from "../log.ts";
import { reasonOf } from "../reason.ts";
import { Client, DatabaseError, DEADLINE, deadlineOf } from "./client.ts";
import { migrateOnce } from "./migrate.ts";
import { type Database, openDatabase } from "./open.ts";
import { Unusable } from "./unusable.ts";

/**
 * Opens the database, brings it up to date if it has to be, and works on it.
 * @throws {ConfigError} when there is no database, or it can't be used as it is; also when it fails, with what it said.
 * @internal
 */
export async function withDatabase<T>(
  config: Config,
  command: string,
  work: (database: Database, client: Client) => Promise<T>,
): Promise<T> {
  const database = await openDatabase(config, command, say);
  try {
    await migrateOnce(database);
    const client = new Client(command, 1, deadlineOf(config), database.openPool);
    return await work(database, client).finally(() => client.close());
  } catch (error) {
    if (error instanceof Unusable) throw new ConfigError(error.message, { cause: error });
    if (error instanceof DatabaseError) {
      const { at } = database.place;
      const reason = error.code === DEADLINE
        ? "has not answered for too long"
        : `says: ${reasonOf(error.cause ?? error)}`;
      throw new ConfigError(`${at} ${reason}`, { cause: error });
    }
    throw error;
  } finally {
    await database.close();
  }
}

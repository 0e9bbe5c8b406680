// `doctor`: says of the database that DATABASE_URL names whether it will do, and what is to be done, before anybody relies on it.
import type { Config } from "../config.ts";
import { readAddress } from "../database/address.ts";
import { checkUp } from "../database/checkup.ts";
import { fault, type Finding } from "../database/finding.ts";
import { knownMigrations } from "../database/migrate.ts";
import { openDatabase } from "../database/open.ts";
import { Unusable } from "../database/unusable.ts";
import { say } from "../log.ts";

/** How long all of it may take, in milliseconds: a server that lets us in and then says nothing would hold us for ever. */
const DEADLINE_MS = 30_000;

/**
 * Prints a line for each thing that it looks at; returns whether the database can be used.
 * @throws {ConfigError} when there is no database, or DATABASE_URL can't be meant.
 * @internal
 */
export async function doctor(config: Config): Promise<boolean> {
  const database = await openDatabase(config, "doctor", say);
  const { sql, destroy } = database.openPool("doctor");
  let usable = true;
  const print = ({ level, sentence }: Finding) => {
    if (level === "fault") usable = false;
    console.log(`${level.padEnd(8)} ${sentence}`);
  };
  let late = false;
  const deadline = setTimeout(() => {
    late = true;
    destroy();
  }, DEADLINE_MS);
  try {
    const findings = checkUp(sql, {
      database,
      address: readAddress(config.DATABASE_URL!),
      config,
      known: await knownMigrations(),
      needed: config.THREADS * config.DATABASE_CONNECTIONS,
    });
    for await (const finding of findings) print(finding);
  } catch (error) {
    print(fault(why(error, late, database.place.at)));
  } finally {
    clearTimeout(deadline);
    await destroy();
  }
  console.log(usable ? "Linger can use this database" : "Linger can't use this database");
  return usable;
}

/** What it means that no more can be seen. */
function why(error: unknown, late: boolean, at: string): string {
  if (error instanceof Unusable) return error.message;
  if (late) return `${at} does not answer within ${DEADLINE_MS / 1_000} s`;
  return `More can't be seen: ${at} says: ${error instanceof Error ? error.message : error}`;
}

// `doctor`: says of the database that DATABASE_URL names whether it will do, and what is to be done, before anybody relies on it.
import type { Config } from "../config.ts";
import { Ages } from "../chat/ages.ts";
import { checkUp } from "../database/checkup.ts";
import { fault, type Finding } from "../database/finding.ts";
import { knownMigrations } from "../database/migrations.ts";
import { addressOf, directOf, openDatabase } from "../database/open.ts";
import type { OpenPool, Pool } from "../database/pool.ts";
import { Unusable } from "../database/unusable.ts";
import { say } from "../log.ts";
import { reasonOf } from "../reason.ts";

/** How long all of it may take, in milliseconds: a server that lets us in and then says nothing would hold us for ever. */
const DEADLINE_MS = 30_000;

/**
 * Prints a line for each thing that it looks at; returns whether the database will do.
 * @throws {ConfigError} when there is no database, or DATABASE_URL can't be meant.
 * @internal
 */
export async function doctor(config: Config): Promise<boolean> {
  const database = await openDatabase(config, "doctor", say);
  const { at } = database.place;
  const pools: Pool[] = [];
  const openPool: OpenPool = (name, options) => {
    const pool = database.openPool(name, options);
    pools.push(pool);
    return pool;
  };
  const { promise: late, reject } = Promise.withResolvers<never>();
  const silence = new Unusable("DEADLINE", "time", `${at} does not answer within ${DEADLINE_MS / 1_000} s`);
  const deadline = setTimeout(() => reject(silence), DEADLINE_MS);

  const trims = !new Ages(config.RETENTION).unlimited;
  let usable = true;
  const print = ({ level, sentence }: Finding) => {
    if (level === "fault") usable = false;
    console.log(`${level.padEnd(8)} ${sentence}`);
  };
  try {
    const findings = checkUp(openPool("doctor").sql, {
      database: { ...database, openPool },
      address: addressOf(config),
      direct: directOf(config),
      config,
      known: await knownMigrations(),
      trims,
    });
    while (true) {
      const { done, value } = await Promise.race([findings.next(), late]); // what never answers is left behind
      if (done) break;
      print(value);
    }
  } catch (error) {
    print(fault(why(error, at)));
  } finally {
    clearTimeout(deadline);
    await Promise.all(pools.map(({ destroy }) => destroy())); // an open one would keep the process alive
  }
  console.log(usable ? "Linger can use this database" : "This database won't do as it is: see to each fault");
  return usable;
}

/** What it means that no more can be seen. */
function why(error: unknown, at: string): string {
  if (error instanceof Unusable) return error.message;
  return `More can't be seen: ${at} says: ${reasonOf(error)}`;
}

// Whether a database has connections enough for a server: those that it allows, and those that are free.
import { fault, type Finding, ok, warning } from "./finding.ts";

/** How many connections there can be, and how many there are besides the one that asks. A limit below 0 is none. */
export interface Capacity {
  /** Whether the role is a superuser, for whom limits of the role and the database don't count. */
  readonly superuser: boolean;
  /** `max_connections`. */
  readonly most: number;
  /** Those of them that are not for the role, unless it is a superuser. */
  readonly reserved: number;
  /** The role's limit. */
  readonly forRole: number;
  /** The database's limit. */
  readonly forDatabase: number;
  /** Those that are used, by whomever. */
  readonly used: number;
  /** Those that the role uses. */
  readonly usedByRole: number;
  /** Those that lead to this database. */
  readonly usedHere: number;
}

/** What there is to say of it where a server takes `needed`. */
export function connections(capacity: Capacity, needed: number, pooled: boolean): Finding {
  const takes = `A server takes ${needed} connections`;
  if (pooled) return ok(`${takes} to the pooler; how many that allows, it does not say`);
  const { most, reserved, forRole, forDatabase, used, usedByRole, usedHere, superuser } = capacity;
  const limits = superuser ? [[most, used]] as const : [
    [most - reserved, used],
    [forRole, usedByRole],
    [forDatabase, usedHere],
  ] as const;
  const counting = limits.filter(([limit]) => limit >= 0);
  const allowed = Math.min(...counting.map(([limit]) => limit));
  const there = `the database allows this role ${allowed}`;
  if (needed > allowed) {
    return fault(`${takes}, and ${there}: raise max_connections or the role's limit, or lower DATABASE_CONNECTIONS`);
  }
  const free = Math.max(0, Math.min(...counting.map(([limit, used]) => limit - used)));
  if (needed > free) {
    return warning(
      `${takes}, and ${there}, of which ${free} ${free === 1 ? "is" : "are"} free now: ` +
        "if the others are not Linger's own, raise max_connections or the role's limit",
    );
  }
  return ok(`${takes}, and ${there}, which is enough for ${Math.floor(allowed / needed)}`);
}

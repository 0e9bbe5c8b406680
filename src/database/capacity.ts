// Whether a database has connections enough for a server: those that it allows, and those that are free.
import { fault, type Finding, ok, warning } from "./finding.ts";

/** The fewest that a thread can do with. */
const FEWEST = 2;

/** What a server takes, as it is set. */
export interface Needs {
  /** How many threads serve. */
  readonly threads: number;
  /** How many connections each of them takes; over one of these it listens. */
  readonly each: number;
  /** Whether one more removes now and then what is too old. */
  readonly trims: boolean;
  /** Whether they lead to a pooler. */
  readonly pooled: boolean;
  /** Whether those that listen, and the one that removes, lead past it. */
  readonly direct: boolean;
}

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

/** A limit on them, and how many count for it already. */
interface Limit {
  readonly name: string;
  readonly most: number;
  readonly used: number;
}

/** What there is to say of it, for one server. */
export function* connections(
  capacity: Capacity,
  { threads, each, trims, pooled, direct }: Needs,
): Iterable<Finding> {
  const trimmers = trims ? 1 : 0;
  const all = threads * each + trimmers;
  const cures = threads > 1 ? ["THREADS"] : [];
  if (!pooled) {
    return yield enough(capacity, all, takes(all), each > FEWEST ? [...cures, "DATABASE_CONNECTIONS"] : cures);
  }
  const past = direct ? threads + trimmers : 0;
  yield ok(`${takes(all - past)} to the pooler; how many that allows, it does not say`);
  if (past > 0) yield enough(capacity, past, `${takes(past)} past the pooler`, cures);
}

function takes(count: number): string {
  return `A server takes ${count === 1 ? "1 connection" : `${count} connections`}`;
}

/** Whether the database has `needed` of them for the role; `cures` are the settings by which a server takes fewer. */
function enough(capacity: Capacity, needed: number, taken: string, cures: readonly string[]): Finding {
  const limits = limitsOf(capacity);
  const allowed = Math.min(...limits.map(({ most }) => most));
  const there = `the database allows this role ${allowed}`;
  if (needed > allowed) {
    const lower = cures.length > 0 ? `, or lower ${cures.join(" or ")}` : "";
    return fault(`${taken}, and ${there}: ${raise(limits.filter(({ most }) => most < needed))}${lower}`);
  }
  const free = Math.max(0, Math.min(...limits.map(({ most, used }) => most - used)));
  if (needed > free) {
    const full = limits.filter(({ most, used }) => most - used < needed);
    return warning(
      `${taken}, and ${there}, of which ${free} ${free === 1 ? "is" : "are"} free now: ` +
        `if the others are not Linger's own, ${raise(full)}`,
    );
  }
  return ok(`${taken}, and ${there}, which is enough for ${Math.floor(allowed / needed)}`);
}

function limitsOf(
  { superuser, most, reserved, forRole, forDatabase, used, usedByRole, usedHere }: Capacity,
): readonly Limit[] {
  if (superuser) return [{ name: "max_connections", most, used }];
  return [
    { name: "max_connections", most: most - reserved, used },
    { name: "the role's limit", most: forRole, used: usedByRole },
    { name: "the database's limit", most: forDatabase, used: usedHere },
  ].filter(({ most }) => most >= 0);
}

function raise(limits: readonly Limit[]): string {
  return `raise ${limits.map(({ name }) => name).join(" and ")}`;
}

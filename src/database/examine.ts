// What a database is, and what it lacks to hold a chat. Whoever is to use one asks here first, so that each lack is one
// sentence that says what to do, wherever it comes up.
import type { Sql } from "./pool.ts";
import { identifier, readOnly, standby, Unusable } from "./unusable.ts";

/** What a database is. */
export interface Examination {
  /** Its server's version, in PostgreSQL's words. */
  readonly version: string;
  /** Its encoding. */
  readonly encoding: string;
  /** The schema in which it makes tables; null where there is none. */
  readonly schema: string | null;
  /** How many of our migrations it has; 0 where that can't be seen. */
  readonly migrations: number;
  /** What it lacks: the first thing to do; undefined when it can be used. */
  readonly lack: Unusable | undefined;
}

/** The oldest PostgreSQL that will do, as its `server_version_num`. */
const OLDEST = 150_000;

/**
 * Encodings that hold every text. SQL_ASCII keeps bytes as they come, and ours are UTF-8 in and out. All others refuse what
 * they have no character for.
 */
const ENCODINGS = ["UTF8", "SQL_ASCII"];

/** Our tables: the columns by which they are known, and the rights that serving takes. */
const TABLES: Record<string, { columns: readonly string[]; rights: readonly string[] }> = {
  migrations: { columns: ["number", "name"], rights: ["SELECT"] },
  heads: { columns: ["room", "seq", "ms"], rights: ["SELECT", "INSERT", "UPDATE"] },
  messages: { columns: ["room", "id", "key", "author", "body"], rights: ["SELECT", "INSERT", "UPDATE"] },
};

interface Server {
  readonly version: string;
  readonly number: number;
  readonly encoding: string;
  readonly database: string;
  readonly role: string;
  readonly standby: boolean;
  readonly readonly: boolean;
  readonly path: string;
  /** The schema in which tables are made, and whether we may. */
  readonly schema: string | null;
  readonly creates: boolean | null;
  /** A schema of the search path in which we may not even look. */
  readonly closed: string | null;
}

interface Table {
  readonly name: string;
  readonly schema: string;
  readonly columns: readonly string[];
  readonly rights: readonly string[];
  /** Whether row level security hides rows from us. */
  readonly filtered: boolean;
}

/**
 * Examines the database that `sql` is connected to. `known` is the number of migrations that it is to have, `place` its
 * server as people know it.
 * @throws what the driver throws when a statement fails.
 * @internal
 */
export async function examine(sql: Sql, known: number, place: string): Promise<Examination> {
  const [server] = await sql<[Server]>`
    select current_setting('server_version') as version, current_setting('server_version_num')::int as number,
      (select pg_encoding_to_char(encoding) from pg_database where datname = current_database()) as encoding,
      current_database() as database, current_user as role, pg_is_in_recovery() as standby,
      current_setting('transaction_read_only')::bool as readonly, current_setting('search_path') as path,
      current_schema() as schema, has_schema_privilege(current_schema(), 'create') as creates,
      (select min(nspname) from pg_namespace, unnest(string_to_array(current_setting('search_path'), ',')) as name
        where nspname = replace(trim(name, ' "'), '$user', current_user) and not has_schema_privilege(oid, 'usage')) as closed`;
  const { version, encoding, schema } = server;
  const found = (migrations: number, lack: Unusable | undefined) => ({ version, encoding, schema, migrations, lack });
  const unfit = lackOfServer(server, place);
  if (unfit) return found(0, unfit);

  const tables = await sql<Table[]>`
    select name, nspname as schema, row_security_active(c.oid) as filtered,
      array_to_json(array(select attname from pg_attribute where attrelid = c.oid and attnum > 0)) as columns,
      array_to_json(array(
        select r from unnest(string_to_array('SELECT,INSERT,UPDATE', ',')) as r where has_table_privilege(c.oid, r)
      )) as rights
    from unnest(${sql.types.texts(Object.keys(TABLES))}::text[]) as name
      join pg_class c on c.oid = to_regclass(name) join pg_namespace n on n.oid = relnamespace`;
  const wrong = lackOfTables(server, tables);
  if (wrong) return found(0, wrong);

  const [row] = tables.length === 0 ? [] : await sql<{ count: number }[]>`
    select coalesce(max(number), 0)::int as count from migrations`;
  const migrations = row?.count ?? 0;
  return found(migrations, migrations < known ? lackToMigrate(server, tables) : undefined);
}

function lackOfServer({ version, number, encoding, database, ...server }: Server, place: string): Unusable | undefined {
  if (number < OLDEST) {
    return new Unusable("VERSION", "none", `${place} has PostgreSQL ${version}, and Linger needs 15 or newer`);
  }
  if (!ENCODINGS.includes(encoding)) {
    return new Unusable(
      "ENCODING",
      "none",
      `Database ${database} is encoded in ${encoding}, which has no characters for much of what people write: name another ` +
        "in DATABASE_URL, made by create database … encoding 'UTF8' template template0",
    );
  }
  if (server.standby) return standby(place);
  return server.readonly ? readOnly(`Database ${database}`) : undefined;
}

/** What is wrong with the tables that are there. */
function lackOfTables(server: Server, tables: readonly Table[]): Unusable | undefined {
  if (tables.length === 0) return undefined;
  const names = tables.map(({ name }) => name);
  const foreign = tables.find(({ name, columns }) => TABLES[name]!.columns.some((column) => !columns.includes(column)));
  const made = names.includes("migrations");
  // One alone may be another program's, both with all their columns are ours.
  if (foreign || !made && tables.length === 1) {
    const { name, schema } = foreign ?? tables[0]!;
    return new Unusable(
      "FOREIGN_TABLES",
      "person",
      `Schema ${schema} has a table ${name} that is not Linger's: give Linger a schema of its own (${
        ownSchema(server)
      })`,
    );
  }
  const gone = Object.keys(TABLES).filter((name) => !names.includes(name));
  if (gone.length > 0) {
    // Somebody has dropped them, or has put back a part of a backup. The migrations that made them count as applied.
    const left = tables.map(({ name, schema }) => `${identifier(schema)}.${name}`);
    const [some, them] = gone.length > 1 ? [`tables ${gone.join(" and ")} are`, "them"] : [`table ${gone[0]} is`, "it"];
    return new Unusable(
      "42P01",
      "person",
      `Linger's ${some} not there any more: put ${them} back from a backup, or begin anew without any message ` +
        `(drop table ${left.join(", ")})`,
    );
  }
  const forbidden = tables.some(({ name, rights }) => TABLES[name]!.rights.some((right) => !rights.includes(right)));
  if (forbidden) {
    const schema = identifier(tables[0]!.schema);
    const others = names.filter((name) => name !== "migrations").map((name) => `${schema}.${name}`);
    const role = identifier(server.role);
    return new Unusable(
      "42501",
      "person",
      `Role ${server.role} may not use Linger's tables: grant select on ${schema}.migrations to ${role}; ` +
        `grant select, insert, update on ${others.join(", ")} to ${role}`,
    );
  }
  const filtered = tables.find((table) => table.filtered);
  return filtered && new Unusable(
    "ROW_SECURITY",
    "person",
    `Row level security hides rows of table ${filtered.name} from role ${server.role}: ` +
      `alter table ${identifier(filtered.schema)}.${filtered.name} disable row level security`,
  );
}

/** What keeps us from making tables. */
function lackToMigrate(server: Server, tables: readonly Table[]): Unusable | undefined {
  const { schema, closed, path, creates } = server;
  const role = identifier(server.role);
  const made = tables.find(({ name }) => name === "migrations");
  if (made && schema !== null && made.schema !== schema) {
    // Those would hide the ones that hold the messages: the chat would be empty.
    return new Unusable(
      "OTHER_SCHEMA",
      "person",
      `Linger's tables are in schema ${made.schema}, and new ones would come into schema ${schema}, which the search_path has first: ` +
        `alter role ${role} in database ${identifier(server.database)} set search_path = ${identifier(made.schema)}`,
    );
  }
  if (creates) return undefined;
  if (schema === null && closed === null) {
    return new Unusable(
      "3F000",
      "person",
      `The search_path of role ${server.role} (${path || "empty"}) leads to no schema: make one (${ownSchema(server)})`,
    );
  }
  return new Unusable(
    "42501",
    "person",
    `Role ${server.role} may not make tables in schema ${schema ?? closed}: ` +
      `grant usage, create on schema ${identifier((schema ?? closed)!)} to ${role}`,
  );
}

function ownSchema({ role, database }: Server): string {
  const [owner, base] = [identifier(role), identifier(database)];
  return `create schema linger authorization ${owner}; alter role ${owner} in database ${base} set search_path = linger`;
}

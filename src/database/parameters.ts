// The parameters of a database's address by libpq's names, and where they come from: the URL first, then a service file,
// then the environment. Sentences name parameters and never their values: in a URL that is written wrongly, any part can be
// the password.
import { ConfigError } from "../config.ts";
import { parseUrl, UrlError } from "./url.ts";

/** What surrounds a URL, and is asked for what it leaves out. */
export interface Surroundings {
  /** An environment variable; an empty one counts as not set. */
  readonly env: (name: string) => string | undefined;
  /** Reads a file. */
  readonly readFile: (path: string) => string;
  /** The name of the user that runs this process. */
  readonly osUser: () => string | undefined;
}

/** libpq's parameters that count here, each with the variable that has it where the URL does not. */
const COUNTING: Record<string, string> = {
  host: "PGHOST",
  hostaddr: "PGHOSTADDR",
  port: "PGPORT",
  dbname: "PGDATABASE",
  user: "PGUSER",
  password: "PGPASSWORD",
  passfile: "PGPASSFILE",
  service: "PGSERVICE",
  servicefile: "PGSERVICEFILE",
  application_name: "PGAPPNAME",
  options: "PGOPTIONS",
  connect_timeout: "PGCONNECT_TIMEOUT",
  target_session_attrs: "PGTARGETSESSIONATTRS",
  sslmode: "PGSSLMODE",
  requiressl: "PGREQUIRESSL",
  sslnegotiation: "PGSSLNEGOTIATION",
  sslrootcert: "PGSSLROOTCERT",
  sslcert: "PGSSLCERT",
  sslkey: "PGSSLKEY",
  sslcertmode: "PGSSLCERTMODE",
  sslsni: "PGSSLSNI",
  ssl_min_protocol_version: "PGSSLMINPROTOCOLVERSION",
  ssl_max_protocol_version: "PGSSLMAXPROTOCOLVERSION",
  channel_binding: "PGCHANNELBINDING",
  require_auth: "PGREQUIREAUTH",
  gssencmode: "PGGSSENCMODE",
  min_protocol_version: "PGMINPROTOCOLVERSION",
  requirepeer: "PGREQUIREPEER",
  sslcrl: "PGSSLCRL",
  sslcrldir: "PGSSLCRLDIR",
  keepalives: "",
  keepalives_idle: "",
  replication: "",
  sslpassword: "",
  scram_client_key: "",
  scram_server_key: "",
  // Not libpq's but the driver's, and taken since the first version.
  ssl: "",
  keep_alive: "",
  idle_timeout: "",
  max_lifetime: "",
};

/** Settings of a session that the driver has always taken out of the URL; libpq has them in `options`. */
export const SESSION: readonly string[] = [
  "search_path",
  "role",
  "timezone",
  "TimeZone",
  "statement_timeout",
  "lock_timeout",
  "idle_in_transaction_session_timeout",
  "idle_session_timeout",
  "synchronous_commit",
];

/** What can be said and makes no difference here, since … */
const WITHOUT_EFFECT = new Set([
  "client_encoding", // our text is UTF-8
  "fallback_application_name", // we have a name
  "keepalives_interval", // that is the system's; and each statement has a deadline
  "keepalives_count",
  "tcp_user_timeout",
  "load_balance_hosts", // the only server that will do is the primary
  "sslcompression", // nobody has it any more
  "sslkeylogfile", // that is for people who look for mistakes in TLS
  "krbsrvname", // we have no GSSAPI
  "gsslib",
  "gssdelegation",
  "max_protocol_version", // we speak the least
  "max", // Linger sets these of the driver's itself
  "max_pipeline",
  "prepare",
  "fetch_types",
  "backoff",
  "publications",
  "debug",
]);

/** What Linger can't do and a URL can insist on, and what other programs write into theirs; with what to do instead. */
const REFUSED: Record<string, string> = {
  requirepeer: "is not looked at by Linger: leave it out, and let only PostgreSQL write to the socket's directory",
  sslcrl: "is not looked at by Linger: leave it out",
  sslcrldir: "is not looked at by Linger: leave it out",
  sslpassword: "is not used by Linger: leave it out, and name a key without password in sslkey",
  scram_client_key: "is not used by Linger: give it the password",
  scram_server_key: "is not used by Linger: give it the password",
  oauth_issuer: "is not used by Linger: give it a password",
  oauth_client_id: "is not used by Linger: give it a password",
  pgbouncer: "is not PostgreSQL's: take it out, and set DATABASE_POOLED=true if the URL leads to a pooler",
  schema: "is not PostgreSQL's: write search_path instead",
  connection_limit: "is not PostgreSQL's: take it out",
  pool_timeout: "is not PostgreSQL's: take it out",
  statement_cache_size: "is not PostgreSQL's: take it out",
  sslaccept: "is not PostgreSQL's: write sslmode instead",
  uselibpqcompat: "is not PostgreSQL's: take it out",
};

/** The parameters that are given, each with where it stands. */
export class Parameters {
  readonly #values = new Map<string, { value: string; source: string }>();

  /**
   * Reads them; `variable` is where the URL stands.
   * @throws {ConfigError} for a URL that can't be read, and for parameters that Linger doesn't take.
   */
  constructor(url: string, private readonly around: Surroundings, variable: string) {
    for (const [name, value] of parse(url, variable)) this.#set(name, value, variable);
    this.#fromOtherNames(); // before the environment: the URL counts more
    this.#fromEnvironment(["service", "servicefile"]);
    this.#fromService();
    this.#fromEnvironment(Object.keys(COUNTING));
    this.#fromOtherNames();

    if (this.choice("gssencmode", ["disable", "prefer", "require"]) === "require") {
      throw this.error("gssencmode", "insists on GSSAPI, which Linger does not have: take sslmode=verify-full instead");
    }
    if (!["false", "off", "no", "0", undefined].includes(this.get("replication"))) {
      throw this.error("replication", "is not for Linger: leave it out");
    }
    if (!["3.0", undefined].includes(this.get("min_protocol_version"))) {
      throw this.error("min_protocol_version", "must be 3.0, which is what Linger speaks");
    }
  }

  /** A value; none for an empty one. */
  get(name: string): string | undefined {
    return this.#values.get(name)?.value || undefined;
  }

  /**
   * A value out of a few.
   * @throws {ConfigError} for another.
   */
  choice<T extends string>(name: string, values: readonly T[]): T | undefined {
    const value = this.get(name) as T | undefined;
    if (value === undefined || values.includes(value)) return value;
    throw this.error(name, `must be ${values.slice(0, -1).join(", ")} or ${values.at(-1)}`);
  }

  /**
   * A whole number.
   * @throws {ConfigError} for anything else.
   */
  number(name: string): number | undefined {
    const value = this.get(name)?.trim();
    if (value === undefined) return undefined;
    if (/^-?\d{1,9}$/.test(value)) return Number(value);
    throw this.error(name, "must be a whole number");
  }

  /**
   * The text of the file that a parameter names.
   * @throws {ConfigError} when it can't be read.
   */
  file(name: string): string | undefined {
    const path = this.get(name);
    if (path === undefined) return undefined;
    try {
      return this.around.readFile(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) throw this.error(name, "names a file that is not there");
      if (!(error instanceof Deno.errors.NotCapable)) throw this.error(name, "names a file that can't be read");
      const other = name === "sslrootcert" ? "name the file in DENO_CERT instead, or " : "";
      throw this.error(
        name,
        `names a file that Linger has no permission to read: ${other}add it to --allow-read in the command that starts Linger`,
      );
    }
  }

  /** What is wrong with a parameter; `what` is the end of the sentence. */
  error(name: string, what: string): ConfigError {
    return new ConfigError(`${this.#values.get(name)!.source} ${what}`);
  }

  #set(name: string, value: string, place: string): void {
    // A name that nobody knows is not repeated: it may be a piece of a password.
    if (!(name in COUNTING || name in REFUSED || SESSION.includes(name) || WITHOUT_EFFECT.has(name))) {
      throw new ConfigError(
        `${place} has a parameter that PostgreSQL does not know: look for a misspelt name, such as sslmode or options`,
      );
    }
    this.#values.set(name, { value, source: `${name} in ${place}` });
    if (name in REFUSED) throw this.error(name, REFUSED[name]!);
    // It may have been meant to check a certificate, by a variable that is not set.
    if (name === "sslmode" && value === "") throw this.error(name, "must not be empty");
  }

  /** Takes for sslmode, where it is missing, what its other names say. */
  #fromOtherNames(): void {
    const ssl = this.get("ssl");
    const said = {
      ssl: ssl && ({ true: "require", false: "disable" }[ssl] ?? ssl), // JDBC's and the driver's
      requiressl: this.get("requiressl")?.startsWith("1") ? "require" : undefined, // libpq's, from before there was sslmode
    };
    for (const [name, value] of Object.entries(said)) {
      if (value && !this.get("sslmode")) this.#values.set("sslmode", { value, source: this.#values.get(name)!.source });
    }
  }

  #fromEnvironment(names: readonly string[]): void {
    for (const name of names) {
      const variable = COUNTING[name]!;
      const value = variable && !this.#values.has(name) ? this.around.env(variable) : undefined;
      if (!value) continue;
      this.#values.set(name, { value, source: variable });
      if (name in REFUSED) throw this.error(name, REFUSED[name]!);
    }
  }

  #fromService(): void {
    const service = this.get("service");
    if (!service) return;
    if (!this.get("servicefile")) throw this.error("service", "needs a file that says what it is: set PGSERVICEFILE");
    const sections = `\n${this.file("servicefile")}`.split(/\n[ \t]*\[/);
    const section = sections.find((section) => section.startsWith(`${service}]`));
    if (!section) throw this.error("service", "is not in the file that PGSERVICEFILE names");
    for (const [, name, value] of section.matchAll(/^[ \t]*(\w+)[ \t]*=[ \t]*(.*?)[ \t]*$/gm)) {
      if (!this.#values.has(name!)) this.#set(name!, value!, "PGSERVICEFILE");
    }
  }
}

function parse(url: string, variable: string): Map<string, string> {
  try {
    return parseUrl(url);
  } catch (error) {
    throw error instanceof UrlError ? new ConfigError(`${variable} ${error.message}`) : error;
  }
}

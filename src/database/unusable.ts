// Why a database can't be used, as a person has to hear it: a sentence that says what to do. What the server says about it
// is repeated behind the sentence, for it may know more.

/** What makes a database usable again: time, a person who changes something there, or, for `none`, nothing while this program runs. */
export type Cure = "time" | "person" | "none";

/** A database can't be used. The message is a sentence without a full stop, and holds no password. */
export class Unusable extends Error {
  /** `Unusable`. */
  override readonly name = "Unusable";

  /** `sentence` says what to do. */
  constructor(
    /** The SQLSTATE, or the code of the system or the driver; a word of our own where there is none. */
    readonly code: string,
    /** What makes it usable again. */
    readonly cure: Cure,
    sentence: string,
    options: ErrorOptions = {},
  ) {
    super(sentence, options);
  }
}

/** Whom and what a server refuses. */
export interface Asked {
  /** The server, as people know it: `host:port` or the path of a socket. */
  readonly place: string;
  /** The role. */
  readonly user: string;
  /** The database. */
  readonly database: string;
}

/** The parts of an error that a server sends: the SQLSTATE, the text in the server's language, and where in its code it arose. */
export interface ServerError {
  /** The SQLSTATE. */
  readonly code: string;
  /** The text, in the server's language. */
  readonly message: string;
  /** The function of the server that refused. */
  readonly routine: string | undefined;
}

/** Limits on connections other than the server's own, by the function of the server that holds them. */
const LIMITS: Record<string, string> = {
  InitializeSessionUserId: "the role's limit",
  CheckMyDatabase: "the database's limit",
};

/** What it means that the server did not let us in. */
export function refused(error: ServerError, { place, user, database }: Asked): Unusable {
  const [role, base] = [identifier(user), identifier(database)];
  const [cure, sentence] = ((): [Cure, string] => {
    switch (error.code) {
      case "28P01":
        return [
          "person",
          // Variables and files are read at the start alone.
          `${place} does not take the password of user ${user}: correct it in DATABASE_URL or PGPASSWORD, or in the file that it ` +
          "comes from, and start Linger again",
        ];
      case "28000":
        if (error.routine === "InitializeSessionUserId") {
          return [
            "person",
            `${place} has no role ${user} that may log in: create role ${role} login password '…', or alter role ${role} login`,
          ];
        }
        return [
          "person",
          `${place} does not let user ${user} into database ${database} from here, or not in this way: see its pg_hba.conf`,
        ];
      case "3D000":
        return [
          "person",
          `${place} has no database ${database}: create database ${base} encoding 'UTF8' template template0`,
        ];
      case "42501":
        return [
          "person",
          `User ${user} may not connect to database ${database}: grant connect on database ${base} to ${role}`,
        ];
      case "53300":
        return [
          "time",
          `${place} has no connection left: raise ${LIMITS[error.routine ?? ""] ?? "its max_connections"}, ` +
          "or lower DATABASE_CONNECTIONS",
        ];
      case "57P03":
      case "57P02":
      case "57P01":
        return ["time", `${place} is starting up or shutting down`];
      case "55000":
        return ["person", `Database ${database} lets nobody in: alter database ${base} allow_connections true`];
      case "08P01":
        if (/startup parameter/.test(error.message)) {
          return [
            "person",
            `${place} is a pooler that takes no settings for a session: set DATABASE_POOLED=true if it pools transactions, ` +
            "else let it ignore_startup_parameters",
          ];
        }
    }
    return ["person", `${place} refuses user ${user} and database ${database}`];
  })();
  return new Unusable(error.code, cure, `${sentence} (it says: ${error.message})`);
}

/** What it means that nobody was reached. `limitMs` is how long was waited. */
export function unreached(error: unknown, place: string, limitMs: number): Unusable {
  if (error instanceof Unusable) return error;
  if (error instanceof Deno.errors.NotCapable) {
    return new Unusable(
      "NOT_CAPABLE",
      "none",
      `Linger has no permission to open ${place}: add it to --allow-read and --allow-write in the command that starts Linger`,
    );
  }
  const { code = "UNKNOWN", message } = error as { code?: string; message?: string };
  const sentence = {
    ECONNREFUSED: `${place} refuses connections: see that PostgreSQL runs there`,
    ENOENT: `There is no socket ${place}: see that PostgreSQL runs on this machine, or name its host`,
    EACCES: `This user may not open the socket ${place}`,
    ENOTFOUND: `${place} can't be found: see that its host is written rightly`,
    EAI_AGAIN: `${place} can't be found, since no name server answers`,
    ETIMEDOUT: `${place} does not answer within ${
      limitMs / 1_000
    } s: see that it is up, and that no firewall is between`,
    EHOSTUNREACH: `${place} can't be reached: there is no way to that network`,
    ENETUNREACH: `${place} can't be reached: there is no way to that network`,
    ECONNRESET: `${place} hangs up`,
    EPIPE: `${place} hangs up`,
    CLOSED: `${place} hangs up`,
    PROTOCOL: `What answers at ${place} is not PostgreSQL`,
  }[code] ?? `${place} can't be reached (${message})`;
  return new Unusable(code, "time", sentence, { cause: error });
}

/** A server that follows another, and takes no posts until it is promoted. */
export function standby(place: string): Unusable {
  return new Unusable(
    "STANDBY",
    "time",
    `${place} is a standby, which only reads: name the primary, or promote this one`,
  );
}

/** A database in which nobody may write. */
export function readOnly(place: string): Unusable {
  return new Unusable(
    "READ_ONLY",
    "time",
    `${place} lets nobody write: see why default_transaction_read_only is on, and turn it off`,
  );
}

/** A name as SQL has it. */
export function identifier(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

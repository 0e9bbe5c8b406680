// Settings come from the environment, and are read here and nowhere else: each with its name, unit, default and reason.
// A value that can't be meant stops the start with a sentence.
import { isIP } from "node:net";
import { z } from "zod";

/** What people set. */
const choices = {
  PORT: whole(0, 65_535, 8080)
    .describe("TCP port to listen on; 0 takes a free one"),
  HOST: z.string()
    .transform((host) => host.replace(/^\[(.*)\]$/, "$1")) // as in a URL
    .refine(
      isHost,
      "must be a name or an address alone, such as localhost, 0.0.0.0 or ::, without http:// and without port",
    )
    .default("127.0.0.1")
    .describe("Address to listen on: this machine only; 0.0.0.0 for all, as in a container"),
  THREADS: whole(1, 64, 1)
    .describe("How many threads serve, up to one for each core; each has connections and limits of its own"),
  DATABASE_URL: z.string()
    .regex(
      /^postgres(ql)?:\/\//,
      "must be a URL that begins with postgres:// or postgresql://, such as postgres://user:password@host:5432/database",
    )
    .optional()
    .describe("The PostgreSQL to use, 15 or newer; without it `start` brings one up in DATA_DIR"),
  DATABASE_POOLED: z.enum(["true", "false"], "must be true or false").default("false")
    .transform((value) => value === "true")
    .describe("true when DATABASE_URL leads to a pooler in transaction mode, such as PgBouncer"),
  DATA_DIR: z.string().default("./data")
    .describe("Directory of the PostgreSQL that `start` brings up"),
};

/** Limits and times, whose defaults are right for most. */
const limits = {
  READ_CONNECTIONS: whole(1, 100, 3)
    .describe("Database connections for reading; each server has three more, for other work"),
  MAX_WAITERS: whole(1, 1_000_000, 15_000)
    .describe("Polls that wait (each takes 24 kB) and event streams that are open (70 kB) at one time; more: 503"),
  MAX_QUEUED_POSTS: whole(1, 1_000_000, 10_000)
    .describe("Posts that wait for the database at one time; more: 503 not-stored"),
  MAX_QUEUED_POSTS_PER_ROOM: whole(1, 1_000_000, 5_000)
    .describe("Posts that wait for the database in one room, so that others have places left; more: 429"),
  MAX_BATCH_POSTS: whole(1, 10_000, 500)
    .describe("Posts in one statement: bounds how long it holds its rooms"),
  MAX_BATCH_BYTES: whole(1, 16_000_000, 256_000)
    .describe("Bytes of text in one statement, which bounds how long it takes; at least one post"),
  MAX_TAIL_MESSAGES: whole(1, 100_000, 1_000)
    .describe("Newest messages of a watched room kept in memory; older: from the database"),
  MAX_TAIL_BYTES: whole(1, 1_000_000_000, 1_000_000)
    .describe("Bytes of JSON that these messages of one room may take in memory"),
  MAX_TAILS_BYTES: whole(1, 100_000_000_000, 64_000_000)
    .describe("Bytes of JSON that these messages of all rooms together may take in memory"),

  FALLBACK_MS: whole(50, 60_000, 5_000)
    .describe("Milliseconds between two looks for missed messages while LISTEN works"),
  FALLBACK_WITHOUT_LISTEN_MS: whole(50, 60_000, 500)
    .describe("Milliseconds between two looks while LISTEN does not work: the longest a message takes to be seen"),
  HEARTBEAT_MS: whole(50, 55_000, 15_000)
    .describe(
      "Milliseconds between signs of life on a quiet event stream; a client that reads nothing for twice as long is cut off",
    ),
  STATEMENT_TIMEOUT_MS: whole(100, 600_000, 5_000)
    .describe("Milliseconds after which the database ends a statement; one second later its connection is given up"),
  UPLOAD_TIMEOUT_MS: whole(100, 600_000, 20_000)
    .describe("Milliseconds that a request's body may take to arrive; longer: 408"),
  DRAIN_MS: whole(0, 60_000, 3_000)
    .describe("Milliseconds that posts under way get at shutdown; Deno Deploy kills after 5 s"),
};

const settings = { ...choices, ...limits };

const Settings = z.object(settings);

/**
 * Linger's settings; see {@linkcode describeSettings} for what each is.
 * @internal
 */
export type Config = z.infer<typeof Settings> & { readonly onDeploy: boolean };

/** A setting that can't be meant. The message is one sentence per setting. */
export class ConfigError extends Error {
  /** `ConfigError`. */
  override readonly name = "ConfigError";
}

/**
 * Reads the settings out of `env`. An empty value counts as not set, as container tools hand it over.
 * @throws {ConfigError} that names the variable, its value and what is allowed.
 */
export function readConfig(env: { get(name: string): string | undefined } = Deno.env): Config {
  const given = Object.fromEntries(Object.keys(settings).map((name) => [name, env.get(name) || undefined]));
  const result = Settings.safeParse(given);
  if (!result.success) {
    const sentences = result.error.issues.map(({ path, message }) => {
      const name = path.join();
      // A password can stand anywhere in a URL that is written wrongly.
      const secret = name === "DATABASE_URL" || given[name]?.includes("://");
      return secret ? `${name} ${message}` : `${name}=${given[name]} ${message}`;
    });
    throw new ConfigError(sentences.join("\n"));
  }
  const onDeploy = ["DENO_DEPLOY", "DENO_DEPLOYMENT_ID"].some((name) => env.get(name));
  if (onDeploy && result.data.THREADS > 1) {
    throw new ConfigError(`THREADS=${given.THREADS} must be 1 on Deno Deploy, which starts instances as it needs them`);
  }
  return { ...result.data, onDeploy };
}

/** What a setting is. */
export interface SettingDescription {
  /** The variable. */
  readonly name: string;
  /** Its value where it is not set; undefined: none. */
  readonly default: string | undefined;
  /** What it means, with its unit. */
  readonly description: string;
  /** Whether it is a limit or a time that most leave as it is. */
  readonly isLimit: boolean;
}

/** Every setting. */
export function describeSettings(): SettingDescription[] {
  const defaults: Record<string, unknown> = Settings.parse({});
  return Object.entries(settings).map(([name, schema]) => ({
    name,
    default: defaults[name]?.toString(),
    description: schema.description ?? "",
    isLimit: Object.hasOwn(limits, name),
  }));
}

/** Whether a setting has this name. */
export function isSetting(name: string): boolean {
  return Object.hasOwn(settings, name);
}

/** Whether the text could be a name or is an address; whether it is one of this machine, only the machine knows. */
function isHost(text: string): boolean {
  return isIP(text) > 0 || /^[\w.-]+$/.test(text);
}

function whole(min: number, max: number, otherwise: number) {
  return z.string()
    .regex(/^\d{1,15}$/, `must be a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine((value) => value >= min && value <= max, `must be a whole number from ${min} to ${max}`)
    .default(otherwise);
}

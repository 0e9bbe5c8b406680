// Settings come from the environment, and are read here and nowhere else: each with its name, unit, default and reason.
// A value that can't be meant stops the start with a sentence.
import { isIP } from "node:net";
import { z } from "zod";
import { Ages } from "./chat/ages.ts";
import { isPattern } from "./identity/rights.ts";
import { databaseUrl, file, isHost, isOrigin, isSafeUrl, list, secret, whole } from "./setting-kinds.ts";

const PATTERNS = "must be rooms separated by commas, or beginnings of rooms with * at the end, such as news,public.*";

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
    .describe("Address to listen on: this machine only; 0.0.0.0 for all, as in a container (and on Deno Deploy)"),
  TOKEN_SECRET: secret("Signs tokens (HS256). Without it, and without TOKEN_JWKS_URL, everybody may read and write"),
  TOKEN_SECRET_PREVIOUS: secret("The secret before this one, whose tokens still hold"),
  TOKEN_JWKS_URL: z.string()
    .refine(isSafeUrl, "must be a URL that begins with https://")
    .optional()
    .describe("Where an identity provider has the public keys that tokens are signed with (JWKS)"),
  TOKEN_ISSUER: z.string().optional()
    .describe("Who must have issued a token (iss)"),
  TOKEN_AUDIENCE: z.string().optional()
    .describe("Whom a token must be meant for (aud)"),
  ANONYMOUS_READ: list(isPattern, PATTERNS)
    .describe(
      "Rooms that may be read without a token, such as news,public.*; * for all. Only where tokens are asked for",
    ),
  ANONYMOUS_WRITE: list(isPattern, PATTERNS)
    .describe("Rooms that may be written without a token"),
  REVOKED: list(() => true, "must be subs separated by commas")
    .describe("Users (sub) whose tokens are no longer accepted, such as ada,bob"),
  SIGN_IN_URL: z.string()
    .refine(
      (text) => /^https?:$/.test(URL.parse(text)?.protocol ?? ""),
      "must be a URL that begins with https:// or http://",
    )
    .optional()
    .describe("Where people who can't get in get a token; without it the page tells them to ask for a new link"),
  ALLOWED_HOSTS: list(
    (host) => isHost(host) && isIP(host) === 0,
    "must be names separated by commas, without http:// and without port, such as chat.example.com",
  )
    .describe(
      "Names by which clients reach this server, besides localhost and addresses; others are answered 421. Without it: none where HOST is this machine, else all",
    ),
  ALLOWED_ORIGINS: list(
    isOrigin,
    "must be * or origins separated by commas, such as https://example.com, without a path",
  )
    .describe("Origins of other sites whose pages may use this server (CORS); * for all. Without it: none"),
  PROXY_HOPS: whole(0, 10, 0)
    .describe(
      "How many proxies stand in front: a client's address is that many from the right of X-Forwarded-For. 0: the one that connects",
    ),
  RETENTION: z.string()
    .refine(
      Ages.canBe,
      "must be days from 0 to 36500, and for rooms, or beginnings of rooms with * at the end, others, such as 365,news.*:7,archive:0",
    )
    .default("0")
    .describe(
      "Days after which messages are removed, for some rooms others: 365,news.*:7,archive:0 (the longest name counts). 0: never",
    ),
  THREADS: whole(1, 64, 1)
    .describe("How many threads serve, up to one for each core; each has connections and limits of its own"),
  DATABASE_URL: databaseUrl("The PostgreSQL to use, 15 or newer; without it `start` brings one up in DATA_DIR"),
  DATABASE_DIRECT_URL: databaseUrl("The same database past a pooler, for LISTEN and migrations"),
  DATABASE_URL_FILE: file("DATABASE_URL"),
  DATABASE_DIRECT_URL_FILE: file("DATABASE_DIRECT_URL"),
  TOKEN_SECRET_FILE: file("TOKEN_SECRET"),
  TOKEN_SECRET_PREVIOUS_FILE: file("TOKEN_SECRET_PREVIOUS"),
  DATABASE_POOLED: z.enum(["true", "false"], "must be true or false").default("false")
    .transform((value) => value === "true")
    .describe("true when DATABASE_URL leads to a pooler in transaction mode, such as PgBouncer"),
  DATA_DIR: z.string().default("./data")
    .describe("Directory of the PostgreSQL that `start` brings up"),
};

/** Limits and times, whose defaults are right for most. */
const limits = {
  POSTS_PER_MINUTE: whole(0, 1_000_000, 300)
    .describe("Posts of one client in a minute, 20 of them at once; more: 429. 0: any number"),
  PLACES_PER_CLIENT: whole(0, 1_000_000, 200)
    .describe(
      "Polls that wait and event streams (a third of it) of one address at a time; of one sub 15 % of it; more: 429. 0: any number",
    ),
  DATABASE_CONNECTIONS: whole(2, 103, 6)
    .describe("Most database connections of a server (3 on Deno Deploy); from 7 on all further ones are for reading"),
  READ_CONNECTIONS: whole(1, 100)
    .describe("The older way to say it: DATABASE_CONNECTIONS less 3"),
  MAX_WAITERS: whole(1, 1_000_000, 15_000)
    .describe("Polls that wait (each takes 24 kB) and event streams that are open (70 kB) at one time; more: 503"),
  MAX_QUEUED_POSTS: whole(1, 1_000_000, 10_000)
    .describe("Posts that wait for the database at one time, for ten seconds at most; more: 503 not-stored"),
  MAX_QUEUED_BYTES: whole(100_000, 1_000_000_000, 16_000_000)
    .describe("Bytes of these posts, plus 1,000 for each; more: 503 not-stored for the client that has most of them"),
  MAX_QUEUED_POSTS_PER_ROOM: whole(1, 1_000_000, 5_000)
    .describe(
      "Posts that wait for the database in one room, so that other rooms have space; the last tenth is for clients with none waiting; more: 429",
    ),
  MAX_BATCH_POSTS: whole(1, 10_000, 128)
    .describe("Most posts in one statement, which bounds how long it locks its rooms and makes others wait"),
  MAX_BATCH_BYTES: whole(1, 16_000_000, 256_000)
    .describe("Bytes of posts in one statement, which bounds how long it takes; at least one post"),
  MAX_TAIL_MESSAGES: whole(1, 100_000, 1_000)
    .describe("Newest messages of a watched room kept in memory; older: from the database"),
  MAX_TAIL_BYTES: whole(1, 1_000_000_000, 1_000_000)
    .describe("Bytes of JSON that these messages of one room may take in memory"),
  MAX_TAILS_BYTES: whole(1, 100_000_000_000, 64_000_000)
    .describe("Bytes of JSON that these messages of all rooms together may take in memory"),

  FALLBACK_MS: whole(50, 60_000, 5_000)
    .describe("Milliseconds between two looks for missed messages while LISTEN works"),
  FALLBACK_MAX_MS: whole(50, 600_000)
    .describe(
      "Milliseconds to which FALLBACK_MS grows while nothing is missed, on Deno Deploy 60000; without it: no growth",
    ),
  FALLBACK_WITHOUT_LISTEN_MS: whole(50, 60_000, 500)
    .describe("Milliseconds between two looks while LISTEN does not work: the longest a message takes to be seen"),
  HEARTBEAT_MS: whole(50, 55_000, 15_000)
    .describe(
      "Milliseconds between signs of life on a quiet stream (4000 on Deno Deploy); a client that reads nothing for twice as long is cut off",
    ),
  STATEMENT_TIMEOUT_MS: whole(100, 600_000, 5_000)
    .describe("Milliseconds after which the database ends a statement; one second later its connection is given up"),
  HISTORY_MAX_AGE: whole(0, 86_400, 0)
    .describe(
      "Seconds for which caches may keep full pages of the past; what is taken back later can be read there as long. 0: nothing is kept",
    ),
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
 * @throws {ConfigError} that names the variable, its value unless that may be a secret, and what is allowed.
 */
export function readConfig(env: { get(name: string): string | undefined } = Deno.env): Config {
  const given = Object.fromEntries(Object.keys(settings).map((name) => [name, env.get(name) || undefined]));
  const onDeploy = ["DENO_DEPLOY", "DENO_DEPLOYMENT_ID"].some((name) => env.get(name));
  if (given.DATABASE_CONNECTIONS && given.READ_CONNECTIONS) {
    throw new ConfigError("READ_CONNECTIONS has no meaning beside DATABASE_CONNECTIONS: leave it out");
  }
  for (const [name, value] of Object.entries(onDeploy ? ON_DEPLOY : {})) given[name] ??= value;
  for (const name of SECRETS) given[name] ??= contentsOf(`${name}_FILE`, given[`${name}_FILE`]);
  const result = Settings.safeParse(given);
  if (!result.success) {
    const sentences = result.error.issues.map(({ path, message }) => {
      const name = path.join();
      // A password can stand anywhere in a URL that is written wrongly.
      const secret = isSecret(name) || given[name]?.includes("://");
      return secret ? `${name} ${message}` : `${name}=${given[name]} ${message}`;
    });
    throw new ConfigError(sentences.join("\n"));
  }
  if (onDeploy && result.data.THREADS > 1) {
    throw new ConfigError(`THREADS=${given.THREADS} must be 1 on Deno Deploy, which starts instances as it needs them`);
  }
  for (const sentence of contradictions(result.data)) throw new ConfigError(sentence);
  const { READ_CONNECTIONS: reads, DATABASE_CONNECTIONS: all } = result.data;
  return { ...result.data, DATABASE_CONNECTIONS: reads === undefined ? all : reads + 3, onDeploy };
}

/**
 * Defaults on Deno Deploy, where requests come from outside, an instance is stopped after 5 s without a byte in or out, and
 * databases have few connections, and cost by the statement.
 */
const ON_DEPLOY: Record<string, string> = {
  HOST: "0.0.0.0",
  HEARTBEAT_MS: "4000",
  DATABASE_CONNECTIONS: "3",
  FALLBACK_MAX_MS: "60000",
};

/** Settings that can come from a file, and get into no log. */
const SECRETS = ["DATABASE_URL", "DATABASE_DIRECT_URL", "TOKEN_SECRET", "TOKEN_SECRET_PREVIOUS"];

/** Whether a setting's value is for nobody to see. */
export function isSecret(name: string): boolean {
  return SECRETS.includes(name);
}

function contentsOf(name: string, path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  try {
    return Deno.readTextFileSync(path).trimEnd();
  } catch (error) {
    // What stands there can be the secret itself, which Deno's message would repeat.
    throw new ConfigError(`${name} must be the path of a file that can be read${reason(error)}`);
  }
}

/** Why a file can't be read, as the end of a sentence and without its name. */
function reason(error: unknown): string {
  const { NotFound, NotADirectory, IsADirectory, PermissionDenied, NotCapable } = Deno.errors;
  if (error instanceof NotFound || error instanceof NotADirectory) return ", and there is no such file";
  if (error instanceof IsADirectory) return ", and that is a folder";
  if (error instanceof PermissionDenied) return ", and this user may not read it";
  if (error instanceof NotCapable) return ": add it to --allow-read in the command that starts Linger";
  return "";
}

/** What can't be meant together. */
function* contradictions(config: z.infer<typeof Settings>): Iterable<string> {
  const { TOKEN_SECRET, TOKEN_SECRET_PREVIOUS, TOKEN_JWKS_URL, TOKEN_ISSUER, TOKEN_AUDIENCE } = config;
  if (config.DATABASE_DIRECT_URL && !config.DATABASE_URL) {
    yield "DATABASE_DIRECT_URL has no meaning without DATABASE_URL, which all else goes to";
  }
  if (TOKEN_JWKS_URL && TOKEN_SECRET) yield "TOKEN_SECRET and TOKEN_JWKS_URL can't be set together: choose one";
  if (TOKEN_JWKS_URL && !(TOKEN_ISSUER && TOKEN_AUDIENCE)) {
    yield "TOKEN_JWKS_URL takes TOKEN_ISSUER and TOKEN_AUDIENCE too: else tokens that the provider made for others would hold here";
  }
  if (TOKEN_SECRET_PREVIOUS && !TOKEN_SECRET) yield "TOKEN_SECRET_PREVIOUS has no meaning without TOKEN_SECRET";
  if (TOKEN_JWKS_URL || TOKEN_SECRET) return;
  for (
    const name of [
      "TOKEN_ISSUER",
      "TOKEN_AUDIENCE",
      "ANONYMOUS_READ",
      "ANONYMOUS_WRITE",
      "REVOKED",
      "SIGN_IN_URL",
    ] as const
  ) {
    if (config[name]) {
      yield `${name} has no meaning without TOKEN_SECRET or TOKEN_JWKS_URL: everybody may read and write`;
    }
  }
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

// `token`: signs tokens with TOKEN_SECRET, for a club whose members have none of an app of their own; and says what one may.
import { parseOnce } from "../arguments.ts";
import { type Config, ConfigError } from "../config.ts";
import { openIdentities } from "../identity/identities.ts";
import { isPattern } from "../identity/rights.ts";
import { UNLIMITED } from "../allowance.ts";
import { Problem } from "../problem.ts";
import { sleep } from "../sleep.ts";

const HELP = `deno task token --sub ada --name Ada --read '*' --write 'lobby,team.*' --days 30

  --sub SUB          Who it is for: goes with every message, and everybody can see it
  --name NAME        The author of what is posted with it; without it each message names its own
  --read ROOMS       Rooms to read, separated by commas; * at the end stands for whatever follows
  --write ROOMS      Rooms to post in
  --moderate ROOMS   Rooms in which to delete what others said; takes --read there too
  --days DAYS        How long it holds; 30 if not given
  --url URL          Where people reach this server, for the invitation link
  --check TOKEN      Say who a token is for and what it may, instead`;

const DAY_SECONDS = 86_400;

/**
 * Prints a token and a link that carries it, or what a token may.
 * @throws {ConfigError} when it can't be signed, or an argument can't be meant.
 * @internal
 */
export async function token(config: Config, args: string[]): Promise<void> {
  const given = read(args);
  if (given.help) return console.log(HELP);
  if (given.check !== undefined) return await check(config, given.check.trim());
  if (config.TOKEN_JWKS_URL !== undefined) {
    throw new ConfigError("Tokens come from the identity provider at TOKEN_JWKS_URL: --check TOKEN says what one may");
  }
  const secret = config.TOKEN_SECRET;
  if (!secret) {
    throw new ConfigError(
      "A token takes the secret that the server has: set TOKEN_SECRET or TOKEN_SECRET_FILE here, too",
    );
  }
  if (!given.sub) throw new ConfigError("--sub has to say who the token is for, such as --sub ada");
  const days = Number(given.days ?? 30);
  if (!(days > 0 && days <= 36_500)) throw new ConfigError(`--days ${given.days} must be a number of days`);
  const { SignJWT } = await import("jose/jwt/sign");
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    sub: given.sub,
    ...given.name !== undefined && { name: given.name },
    ...lists({ read: given.read, write: given.write, moderate: given.moderate }),
    ...config.TOKEN_ISSUER !== undefined && { iss: config.TOKEN_ISSUER },
    ...config.TOKEN_AUDIENCE !== undefined && { aud: config.TOKEN_AUDIENCE },
    iat: now,
    exp: now + Math.round(days * DAY_SECONDS),
  };
  const signed = await new SignJWT(claims).setProtectedHeader({ alg: "HS256" }).sign(new TextEncoder().encode(secret));
  await check(config, signed); // whatever it would refuse is said here, and not to whoever is given it
  console.log(`\n${signed}\n\n${(given.url ?? `http://localhost:${config.PORT}`).replace(/\/$/, "")}/#token=${signed}`);
}

function read(args: string[]) {
  const text = { type: "string" } as const;
  const options = {
    sub: text,
    name: text,
    read: text,
    write: text,
    moderate: text,
    days: text,
    url: text,
    check: text,
    help: { type: "boolean", short: "h" },
  } as const;
  return parseOnce({ args, options }, HELP).values;
}

function lists(given: Record<string, string | undefined>): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(given).filter(([, text]) => text !== undefined).map(([right, text]) => {
      const patterns = text!.split(",").map((pattern) => pattern.trim()).filter(Boolean);
      const wrong = patterns.find((pattern) => !isPattern(pattern));
      if (wrong) throw new ConfigError(`--${right} ${wrong} is no room, and no beginning of rooms with * at its end`);
      return [right, patterns];
    }),
  );
}

/** Says who a token is for and what it may, as the server would see it. */
async function check(config: Config, token: string): Promise<void> {
  if (/[^ -~]/.test(token)) { // which no header can have
    throw new ConfigError("--check takes a token as it was printed: in one line, and nothing else");
  }
  const stop = new AbortController();
  try {
    const identities = await openIdentities(config, stop.signal);
    for (let tries = 0; identities && !identities.ready && tries < 100; tries++) await sleep(100); // keys come from elsewhere
    if (!identities) {
      throw new ConfigError("Without TOKEN_SECRET or TOKEN_JWKS_URL everybody may read and write, token or not");
    }
    const headers = { authorization: `Bearer ${token}` };
    const { sub, name, until } = await identities.identify(
      new Request("http://localhost", { headers }),
      () => UNLIMITED,
    );
    const { payload } = await import("jose/jwt/decode").then(({ decodeJwt }) => ({ payload: decodeJwt(token) }));
    const open: Record<string, string[] | undefined> = { read: config.ANONYMOUS_READ, write: config.ANONYMOUS_WRITE };
    const rights = ["read", "write", "moderate"].map((right) => {
      const own = payload[right] as string[] | null | undefined;
      return { right, rooms: [...new Set([...own ?? [], ...open[right] ?? []])] };
    }).filter(({ rooms }) => rooms.length > 0);
    // As JSON: a name can have line ends, and what a terminal obeys.
    const called = name ? `, who is called ${JSON.stringify(name)}` : "";
    console.log(`For ${JSON.stringify(sub)}${called}, until ${new Date(until).toISOString()}`);
    for (const { right, rooms } of rights) console.log(`may ${right} ${rooms.join(", ")}`);
    if (rights.length === 0) console.log("may do nothing");
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const where = error.status === 503 ? ": see what TOKEN_JWKS_URL gives" : "";
    throw new ConfigError(`${error.detail}${where}`, { cause: error });
  } finally {
    stop.abort();
  }
}

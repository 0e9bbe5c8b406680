// Who sends a request. Without settings everybody may do everything, and nothing of this is loaded. With them, a token in the header
// `Authorization` says who asks (RFC 6750), and it is verified once: from then on its text is known.
import type { Config } from "../config.ts";
import { Problem, unauthorized } from "../problem.ts";
import { Identity, NOT_YET } from "./identity.ts";
import { RoomList } from "./rights.ts";
import type { RemoteKeys } from "./keys.ts";
import { Remembered } from "../remembered.ts";
import type { TokenRules } from "./token.ts";

/** Tokens that are known by their text, twice as many at most: with the longest of them 80 MB. Only those that hold are known. */
const MAX_KNOWN = 5_000;

/** Tokens that don't hold and are known by their text, twice as many at most: 16 MB of the longest. */
const MAX_BAD = 1_000;

/** Longest header with a token, in characters: with three full lists of rooms a token has 27,000, and proxies take 8,000. */
const MAX_HEADER = 8_192;

/** How a header with a token begins (RFC 6750). */
const SCHEME = "bearer ";

/** The settings that say who may do what. */
export type IdentitySettings = Pick<
  Config,
  | "TOKEN_SECRET"
  | "TOKEN_SECRET_PREVIOUS"
  | "TOKEN_JWKS_URL"
  | "TOKEN_ISSUER"
  | "TOKEN_AUDIENCE"
  | "ANONYMOUS_READ"
  | "ANONYMOUS_WRITE"
  | "REVOKED"
>;

/** Who may have tokens verified, as long as they hold. */
export interface Verifying {
  /**
   * Has one verified.
   * @throws {Problem} 429.
   * @throws whatever `verification` throws: 401 where the token does not hold.
   */
  verify<T>(verification: () => Promise<T>): Promise<T>;
}

/** Whether tokens are asked for. */
export function isClosed({ TOKEN_SECRET, TOKEN_JWKS_URL }: Partial<IdentitySettings>): boolean {
  return TOKEN_SECRET !== undefined || TOKEN_JWKS_URL !== undefined;
}

/**
 * What the settings make of requests; undefined where everybody may do everything. Keys are fetched until `signal` aborts.
 * @internal
 */
export async function openIdentities(config: IdentitySettings, signal: AbortSignal): Promise<Identities | undefined> {
  if (!isClosed(config)) return undefined;
  const { TOKEN_SECRET, TOKEN_SECRET_PREVIOUS, TOKEN_JWKS_URL, TOKEN_ISSUER: issuer, TOKEN_AUDIENCE: audience } =
    config;
  const { verifyToken } = await import("./token.ts");
  const encoder = new TextEncoder();
  if (TOKEN_JWKS_URL === undefined) {
    const secrets = [TOKEN_SECRET, TOKEN_SECRET_PREVIOUS].filter((secret) => secret !== undefined);
    const keys = secrets.map((secret) => encoder.encode(secret));
    return new Identities(config, verifyToken, { algorithms: ["HS256"], keys, issuer, audience });
  }
  const { RemoteKeys } = await import("./keys.ts");
  const remote = new RemoteKeys(TOKEN_JWKS_URL);
  void remote.renew(signal);
  const algorithms = ["RS256", "PS256", "ES256", "EdDSA"];
  return new Identities(config, verifyToken, { algorithms, keys: [remote.find], issuer, audience }, remote);
}

/**
 * Tells who sends a request.
 * @internal
 */
export class Identities {
  /** Those whose tokens held, by the token, with the version of the keys of then. */
  readonly #known = new Remembered<{ identity: Identity; version: number }>(MAX_KNOWN);
  /** Why some don't hold with these keys: a page goes on asking with the one that it has. */
  readonly #bad = new Remembered<{ problem: Problem; version: number }>(MAX_BAD);
  readonly #nobody: Identity;
  readonly #rules: TokenRules;
  readonly #revoked: ReadonlySet<string>;

  /** `keys` are those that have to be there first. */
  constructor(
    { ANONYMOUS_READ = [], ANONYMOUS_WRITE = [], REVOKED }: IdentitySettings,
    private readonly verify: (token: string, rules: TokenRules) => Promise<Identity>,
    rules: TokenRules,
    private readonly keys?: RemoteKeys,
  ) {
    const rooms = {
      read: new RoomList(ANONYMOUS_READ),
      write: new RoomList(ANONYMOUS_WRITE),
      moderate: new RoomList([]),
    };
    this.#nobody = new Identity({ sub: null, name: null, until: Infinity, rooms });
    this.#rules = { ...rules, anybody: this.#nobody };
    this.#revoked = new Set(REVOKED);
  }

  /** Whether tokens can be verified. */
  get ready(): boolean {
    return this.keys?.known ?? true;
  }

  /**
   * Who sends a request: at once where the token is known or there is none, so that a poll that waits costs nothing more. What is not
   * known is verified on account of `sender`, who is not known by a token yet; asked for only then.
   * @throws {Problem} 401; 429; 503 where it can't be known yet.
   */
  identify({ headers }: Request, sender: () => Verifying): Identity | Promise<Identity> {
    const header = headers.get("authorization");
    if (header === null) return this.#nobody;
    const token = tokenIn(header);
    const known = this.#known.get(token);
    if (!known) return this.#verifyFor(sender, token);
    if (known.identity.until <= Date.now()) throw unauthorized("The token has expired");
    // Its key may have been withdrawn. It held, so nobody is charged for looking again, nor refused for what others have shown.
    return known.version === this.#version ? known.identity : this.#verifyAgain(token);
  }

  /** Aborts when what is verified now does not count any more, since the keys are others; undefined where they stay. */
  get outdated(): AbortSignal | undefined {
    return this.keys?.outdated;
  }

  /** Of the keys: what was verified by others does not count. */
  get #version(): number {
    return this.keys?.version ?? 0;
  }

  async #verifyFor(sender: () => Verifying, token: string): Promise<Identity> {
    const bad = this.#bad.get(token);
    if (bad?.version === this.#version) {
      if (bad.problem.cause !== NOT_YET) throw bad.problem;
      return await this.#verify(token); // whoever shows it was charged for it when it was shown first
    }
    return await sender().verify(() => this.#verify(token));
  }

  async #verifyAgain(token: string): Promise<Identity> {
    try {
      return await this.#verify(token);
    } catch (error) {
      this.#known.delete(token);
      throw error;
    }
  }

  async #verify(token: string): Promise<Identity> {
    const version = this.#version; // of before: meanwhile there can be other keys
    try {
      if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) {
        throw unauthorized(`Authorization must be Bearer and a token, of at most ${MAX_HEADER} characters`);
      }
      const identity = await this.verify(token, this.#rules);
      if (this.#revoked.has(identity.sub!)) throw unauthorized("The token has been revoked");
      this.#known.set(token, { identity, version });
      return identity;
    } catch (problem) {
      if (problem instanceof Problem && problem.status === 401) this.#bad.set(token, { problem, version });
      throw problem;
    }
  }
}

/**
 * The token in a header, whatever case the scheme has: one token must not be kept under many texts. Empty for all that holds no
 * token, which is refused alike.
 */
function tokenIn(header: string): string {
  const isToken = header.length <= MAX_HEADER && header.slice(0, SCHEME.length).toLowerCase() === SCHEME;
  return isToken ? header.slice(SCHEME.length) : "";
}

// Who sends a request. Without settings everybody may do everything, and nothing of this is loaded. With them, a token in the header
// `Authorization` says who asks (RFC 6750), and it is verified once: from then on its text is known.
import type { Config } from "../config.ts";
import { Problem, unauthorized } from "../problem.ts";
import { Identity, NOT_YET } from "./identity.ts";
import { RoomList } from "./rights.ts";
import type { RemoteKeys } from "./keys.ts";
import type { TokenRules } from "./token.ts";

/** Tokens that are known by their text, twice as many at most: with the longest of them 80 MB. Only those that hold are known. */
const MAX_KNOWN = 5_000;

/** Tokens that don't hold and are known by their text, twice as many at most: 16 MB of the longest. */
const MAX_BAD = 1_000;

/** Longest header with a token, in characters: with three full lists of rooms a token has 27,000, and proxies take 8,000. */
const MAX_HEADER = 8_192;

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
   * One is to be verified.
   * @throws {Problem} 429.
   */
  verify(): void;
  /** It did not hold. */
  tokenWasBad(): void;
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
  /** By what stands in the header: of this time, and of the time before. */
  #known = new Map<string, Identity>();
  #knownBefore = new Map<string, Identity>();
  /** Why some don't hold, and never will with these keys: a page goes on asking with the one that it has. */
  #bad = new Map<string, Problem>();
  #badBefore = new Map<string, Problem>();
  /** Of the keys by which they were verified. */
  #version = 0;
  readonly #nobody: Identity;
  readonly #revoked: ReadonlySet<string>;

  /** `keys` are those that have to be there first. */
  constructor(
    { ANONYMOUS_READ = [], ANONYMOUS_WRITE = [], REVOKED }: IdentitySettings,
    private readonly verify: (token: string, rules: TokenRules) => Promise<Identity>,
    private readonly rules: TokenRules,
    private readonly keys?: RemoteKeys,
  ) {
    const rooms = {
      read: new RoomList(ANONYMOUS_READ),
      write: new RoomList(ANONYMOUS_WRITE),
      moderate: new RoomList([]),
    };
    this.#nobody = new Identity({ sub: null, name: null, until: Infinity, rooms });
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
    const known = this.#known.get(header) ?? this.#knownBefore.get(header);
    if (!known) return this.#verifyFor(sender, header);
    if (known.until <= Date.now()) throw unauthorized("The token has expired");
    if (this.keys && this.#version !== this.keys.version) return this.#verify(header); // its key may have been withdrawn
    return known;
  }

  async #verifyFor(sender: () => Verifying, header: string): Promise<Identity> {
    const bad = this.#bad.get(header) ?? this.#badBefore.get(header);
    if (bad && this.#version === (this.keys?.version ?? 0)) throw bad;
    const verifying = sender();
    verifying.verify();
    try {
      return await this.#verify(header);
    } catch (error) {
      if (error instanceof Problem && error.status === 401) {
        verifying.tokenWasBad();
        if (error.detail !== NOT_YET) this.#keepBad(header, error);
      }
      throw error;
    }
  }

  #keepBad(header: string, problem: Problem): void {
    if (header.length > MAX_HEADER) return;
    if (this.#bad.size >= MAX_BAD) {
      this.#badBefore = this.#bad;
      this.#bad = new Map();
    }
    this.#bad.set(header, problem);
  }

  async #verify(header: string): Promise<Identity> {
    // Exactly so: one token must not be kept under many texts.
    const token = header.length <= MAX_HEADER ? header.match(/^bearer ([\w-]+\.[\w-]+\.[\w-]+)$/i)?.[1] : undefined;
    if (!token) throw unauthorized(`Authorization must be Bearer and a token, of at most ${MAX_HEADER} characters`);
    const version = this.keys?.version ?? 0;
    const identity = await this.verify(token, this.rules);
    if (this.#revoked.has(identity.sub!)) throw unauthorized("The token has been revoked");
    if (this.#version !== version) {
      this.#version = version;
      this.#known = new Map();
      this.#knownBefore = new Map();
      this.#bad = new Map();
      this.#badBefore = new Map();
    }
    if (this.#known.size >= MAX_KNOWN) {
      this.#knownBefore = this.#known;
      this.#known = new Map();
    }
    this.#known.set(header, identity);
    return identity;
  }
}

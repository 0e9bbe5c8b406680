// A token is a JWT (RFC 7519) that somebody has signed who is trusted: whoever has the secret, or an identity provider. Linger keeps
// no users. What a token says is looked at only when its signature holds; until then nothing of it is told, not even what is wrong.
import type { JWTPayload, JWTVerifyGetKey, JWTVerifyOptions } from "jose";
import * as errors from "jose/errors";
import { jwtVerify } from "jose/jwt/verify";
import { z } from "zod";
import { MAX_AUTHOR_BYTES, MAX_SUB_BYTES, textOf } from "../chat/message.ts";
import { Reminder } from "../reminder.ts";
import { log } from "../log.ts";
import { Problem, unauthorized } from "../problem.ts";
import { Identity, NOT_YET } from "./identity.ts";
import { isPattern, MAX_PATTERNS, RoomList } from "./rights.ts";

/** How far clocks may be apart, in seconds. */
const LEEWAY_SECONDS = 30;

const reminder = new Reminder();

const PATTERNS = "must have rooms, and beginnings of rooms with * at the end";

const rooms = z.array(z.string(PATTERNS).refine(isPattern, PATTERNS), "must be a list of rooms")
  .max(MAX_PATTERNS, `must have at most ${MAX_PATTERNS} entries`)
  .nullish()
  .transform((patterns) => new RoomList(patterns ?? []));

/** A sub stands in a list, in a log and before a key. */
const PLAIN = /^[^\s,\p{Cc}]([^,\p{Cc}]*[^\s,\p{Cc}])?$/u;

/** The latest time that can be meant, in seconds since 1970: the end of the year 9999. In milliseconds each of today is later. */
const MAX_EXP = 253_402_300_799;

const SECONDS = "must be in seconds since 1970";

/**
 * What a token says. Null is nothing: so apps have it where a user has no name. Claims that are not known are none of our business.
 */
const Claims = z.object({
  sub: textOf(MAX_SUB_BYTES).regex(PLAIN, "must have no commas and no control characters, and no spaces at its ends"),
  exp: z.number(SECONDS).max(MAX_EXP, SECONDS),
  name: textOf(MAX_AUTHOR_BYTES).nullish(),
  read: rooms,
  write: rooms,
  moderate: rooms,
});

/**
 * Where a key is found: the secret, or whatever a token's header leads to.
 * @internal
 */
export type Key = Uint8Array | JWTVerifyGetKey;

/**
 * What a token must be to be taken.
 * @internal
 */
export interface TokenRules {
  /** One list of algorithms, for one kind of keys: a public key must never serve as a secret. */
  readonly algorithms: readonly string[];
  /** One of them has to fit. */
  readonly keys: readonly Key[];
  /** `iss`; any if not set. */
  readonly issuer: string | undefined;
  /** `aud`; any if not set. */
  readonly audience: string | undefined;
  /** What may be done without a token, and so with each. */
  readonly anybody?: Identity | undefined;
}

/**
 * Who somebody is by a token.
 * @internal
 * @throws {Problem} 401; 503 where the keys are not known yet.
 */
export async function verifyToken(
  token: string,
  { algorithms, keys, issuer, audience, anybody }: TokenRules,
): Promise<Identity> {
  const options: JWTVerifyOptions = {
    algorithms: [...algorithms],
    requiredClaims: ["sub", "exp"],
    clockTolerance: LEEWAY_SECONDS,
    ...issuer !== undefined && { issuer },
    ...audience !== undefined && { audience },
  };
  let cause: Error | undefined;
  for (const key of keys) {
    try {
      return identityOf(await payloadOf(token, key, options), anybody);
    } catch (error) {
      if (error instanceof errors.JWTExpired) throw unauthorized("The token has expired");
      if (error instanceof errors.JWTClaimValidationFailed) throw refusalOf(error.claim);
      if (error instanceof Problem) throw error;
      // No key, the wrong one, one that can't be used, or no token at all: perhaps the next key fits.
      tell(error);
      if (error instanceof errors.JWKSNoMatchingKey) cause = NOT_YET; // the next keys may have it
    }
  }
  throw Object.assign(unauthorized("The token is not valid"), { cause });
}

async function payloadOf(token: string, key: Key, options: JWTVerifyOptions): Promise<JWTPayload> {
  try {
    return (await (typeof key === "function" ? jwtVerify(token, key, options) : jwtVerify(token, key, options)))
      .payload;
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    // A token that does not name its key can be of each that has its algorithm.
    for await (const one of error) {
      try {
        return (await jwtVerify(token, one, options)).payload;
      } catch (cause) {
        // It was this key, and what the token says is wrong.
        if (cause instanceof errors.JWTExpired || cause instanceof errors.JWTClaimValidationFailed) throw cause;
        tell(cause);
      }
    }
    throw new errors.JWSSignatureVerificationFailed();
  }
}

/** What is no fault of a token's: a provider's key that is too short, or none at all. */
function tell(error: unknown): void {
  if (error instanceof errors.JOSEError || !reminder.isDue("key")) return;
  log("error", "A key that tokens name can't be used", { error: `${error}` });
}

function identityOf(payload: JWTPayload, anybody: Identity | undefined): Identity {
  const claims = Claims.safeParse(payload, { error: () => "must be a text" }); // all else says itself what it must be
  if (!claims.success) {
    const { path, message } = claims.error.issues[0]!;
    throw unauthorized(`The token's claim ${String(path[0])} ${message}`);
  }
  const { sub, name, exp, read, write, moderate } = claims.data;
  const until = (exp + LEEWAY_SECONDS) * 1000;
  return new Identity({ sub, name: name || null, until, rooms: { read, write, moderate }, anybody });
}

/** What is wrong with a claim. */
function refusalOf(claim: string): Problem {
  if (claim === "iss") return unauthorized("The token is not of the issuer that this server trusts");
  if (claim === "aud") return unauthorized("The token is for another audience");
  if (claim === "nbf") return Object.assign(unauthorized("The token is not valid yet"), { cause: NOT_YET });
  return unauthorized(`The token has no claim ${claim}, or one of another form`);
}

// Tokens for the tests, signed as an app would sign them.
import { SignJWT } from "jose/jwt/sign";

/** A secret of the tests. */
export const SECRET = "a secret that only the tests know of";

/** Signs a token; it holds for an hour if `claims` has no `exp`. */
export function tokenOf(
  claims: Record<string, unknown>,
  secret = SECRET,
  header: Record<string, string> = {},
): Promise<string> {
  const exp = Math.floor(Date.now() / 1000) + 3_600;
  return new SignJWT({ sub: "ada", exp, ...claims }).setProtectedHeader({ alg: "HS256", ...header })
    .sign(new TextEncoder().encode(secret));
}

/** The header that carries a token. */
export function bearer(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` };
}

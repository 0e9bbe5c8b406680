// What the client of a request may take.
import type { Identity } from "../identity/identity.ts";
import type { Allowance } from "../allowance.ts";
import type { Limits, Remote } from "../limits.ts";

/** A request as a route sees it: Hono's context is one. */
export interface Sender {
  /** The request. */
  readonly req: { readonly raw: Request };
  /** Where it comes from: a {@linkcode Remote}. */
  readonly env: unknown;
}

/** Where routes learn it. */
export interface LimitSource {
  /** Of all clients. */
  readonly limits: Limits;
}

/**
 * The allowance of whoever sends a request: of his token's sub, else of his address.
 * @internal
 */
export function allowanceOf({ limits }: LimitSource, c: Sender, who: Identity | undefined): Allowance {
  return limits.of(c.req.raw.headers, c.env as Remote, who?.sub);
}

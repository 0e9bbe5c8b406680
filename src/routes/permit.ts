// Whether a request may be served, before anything else is looked at.
import type { Identities } from "../identity/identities.ts";
import type { Identity } from "../identity/identity.ts";
import type { Right } from "../identity/rights.ts";
import { allowanceOf, type LimitSource, type Sender } from "./allowance.ts";
import { Parked } from "./parked.ts";

/** Where routes learn who asks, and on whose account that is found out. */
export interface PermitSource extends LimitSource {
  /** Undefined where everybody may do everything. */
  readonly identities?: Identities | undefined;
}

/** Whoever has a right; undefined where everybody has it. To come where it is not known at once. */
export type Permission = Identity | undefined | Promise<Identity>;

/**
 * Who sends a request; undefined where everybody may do everything.
 * @throws {Problem} 401; 429 where too many tokens did not hold; 503 where it can't be known yet.
 * @internal
 */
export function identityOf(deps: PermitSource, c: Sender): Identity | undefined | Promise<Identity> {
  return deps.identities?.identify(c.req.raw, () => allowanceOf(deps, c, undefined));
}

/**
 * Who sends a request, if he has the right in the room; undefined where everybody has.
 * @throws {Problem} as {@linkcode identityOf}; 403.
 * @internal
 */
export function permit(
  deps: PermitSource,
  c: Sender,
  right: Right,
  room: string,
): Permission {
  const identity = identityOf(deps, c);
  if (identity instanceof Promise) return identity.then((identity) => demanded(identity, right, room));
  return identity && demanded(identity, right, room);
}

/** What `serve` answers to a GET, at once where it is known that it may; a poll that waits stays parked. */
export function permitted(
  request: Request,
  permission: Permission,
  serve: (who: Identity | undefined) => Response | Promise<Response>,
): Response | Promise<Response> {
  if (!(permission instanceof Promise)) return serve(permission);
  // A signal that is made when its client has left already never aborts (Deno 2.9.6, HTTP/2), and he may leave meanwhile.
  void request.signal;
  if (request.method === "HEAD") return permission.then(serve); // of which Hono makes an answer of its own
  return Parked.response(permission.then((who) => {
    const response = serve(who);
    return Parked.answerIn(response) ?? response;
  }));
}

function demanded(identity: Identity, right: Right, room: string): Identity {
  identity.demand(right, room);
  return identity;
}

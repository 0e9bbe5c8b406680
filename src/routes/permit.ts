// Whether a request may be served, before anything else is looked at.
import type { Identities } from "../identity/identities.ts";
import type { Identity } from "../identity/identity.ts";
import type { Right } from "../identity/rights.ts";
import { Parked } from "./parked.ts";

/** Where routes learn who asks. */
export interface PermitSource {
  /** Undefined where everybody may do everything. */
  readonly identities?: Identities | undefined;
}

/**
 * Who sends a request, if he has the right in the room; undefined where everybody has.
 * @throws {Problem} 401, 403; 503 where it can't be known yet.
 */
export function permit(
  { identities }: PermitSource,
  request: Request,
  right: Right,
  room: string,
): Identity | undefined | Promise<Identity> {
  const identity = identities?.identify(request);
  if (identity instanceof Promise) return identity.then((identity) => demanded(identity, right, room));
  return identity && demanded(identity, right, room);
}

/** What `serve` answers to a GET, at once where it is known that it may; a poll that waits stays parked. */
export function permitted(
  { method }: Request,
  permission: Identity | undefined | Promise<Identity>,
  serve: (who: Identity | undefined) => Response | Promise<Response>,
): Response | Promise<Response> {
  if (!(permission instanceof Promise)) return serve(permission);
  if (method === "HEAD") return permission.then(serve); // of which Hono makes an answer of its own
  return Parked.response(permission.then((who) => {
    const response = serve(who);
    return Parked.answerIn(response) ?? response;
  }));
}

function demanded(identity: Identity, right: Right, room: string): Identity {
  identity.demand(right, room);
  return identity;
}

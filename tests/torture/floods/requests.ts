// Floods of single requests, each of which is cheap to send: small ones that need the database, and large ones that need to be parsed.
import { makeId, NIL, randomDigits } from "../../../src/chat/cursor.ts";
import { MAX_PATTERNS } from "../../../src/identity/rights.ts";
import { bearer, tokenOf } from "../../support/tokens.ts";
import type { Attack, Attacker, Request } from "../attacker.ts";

/** How many connections ask: enough that a server is never without a request. */
const CONNECTIONS = 64;

/** As much as Deno's server takes as a head, in bytes; it refuses one that is a little longer. */
const HEAD_BYTES = 60_000;

/** Rooms that are polled by turns: more than there are connections, and a prime, so that no two ask for the same. */
const ROOMS = 997;

/**
 * The names of many rooms, oldest first; they have to be there for an attack with tokens. A token that has a hundred of them is nearly as
 * long as one may be, and they differ only at their ends, so that to compare them takes long.
 */
export function manyRooms(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${"one-of-the-many-rooms".padEnd(52, "-")}${i}`);
}

/** Requests that are sent at once on one connection. */
const PIPELINED = 10_000;

/** Connections that all ask the same. */
function same(request: Request): Attack["begin"] {
  return (attacker) => {
    const bytes = attacker.bytes(request);
    return attacker.ask(CONNECTIONS, () => bytes);
  };
}

/** Connections that each time ask something else. */
function other(requestOf: (i: number, n: number) => Request): Attack["begin"] {
  return (attacker: Attacker) => attacker.ask(CONNECTIONS, (i, n) => attacker.bytes(requestOf(i, n)));
}

function future(ms: number): Attack["begin"] {
  return other(() => ({ path: `/rooms/quiet/messages?wait=0&after=${makeId(Date.now() + ms, 1, randomDigits())}` }));
}

const RATE = "What a request asks of the database is shared, or bounded by client.";
const HEAD =
  "The program looks at no more of it than is meant; but the server reads it all, unless a proxy refuses the head.";
const CHEAP = "It asks nothing of the database, and is made once.";

/** The attacks. */
export const requestFloods: readonly Attack[] = [
  {
    name: "floods: polls of 997 rooms that do not wait",
    stoppedBy: "program",
    how: RATE,
    begin: other((i, n) => ({ path: `/rooms/quiet-${(31 * i + n) % ROOMS}/messages?wait=0` })),
  },
  {
    name: "floods: polls of one room that do not wait",
    stoppedBy: "program",
    how: RATE,
    begin: same({ path: "/rooms/quiet/messages?wait=0" }),
  },
  { name: "floods: cursors 50 s ahead", stoppedBy: "program", how: RATE, begin: future(50_000) },
  { name: "floods: cursors 1 h ahead", stoppedBy: "program", how: RATE, begin: future(3_600_000) },
  {
    name: "floods: messages that are not there",
    stoppedBy: "program",
    how: RATE,
    begin: other(() => ({ path: `/rooms/quiet/messages/${makeId(Date.now(), 1, randomDigits())}` })),
  },
  { name: "floods: /readyz", stoppedBy: "program", how: RATE, begin: same({ path: "/readyz" }) },
  { name: "floods: /healthz", stoppedBy: "program", how: CHEAP, begin: same({ path: "/healthz" }) },
  { name: "floods: /rooms", stoppedBy: "program", how: CHEAP, begin: same({ path: "/rooms" }) },
  {
    name: "floods: /rooms with a token for many",
    stoppedBy: "program",
    how: "With a token the list counts as a read.",
    tokens: true,
    begin: async (attacker) => {
      // The oldest are in no list, so they have to be asked for; and no room begins as the patterns do.
      const names = manyRooms(MAX_PATTERNS / 2);
      const token = await tokenOf({ sub: "attacker", read: [...names, ...names.map((name) => `${name}x*`)] });
      await same({ path: "/rooms", headers: bearer(token) })(attacker);
    },
  },
  { name: "floods: OPTIONS", stoppedBy: "program", how: CHEAP, begin: same({ method: "OPTIONS", path: "/messages" }) },
  { name: "floods: the page", stoppedBy: "program", how: CHEAP, begin: same({ path: "/" }) },
  { name: "floods: the style of the page", stoppedBy: "program", how: CHEAP, begin: same({ path: "/web/page.css" }) },
  {
    name: "floods: queries of 60 kB of parameters",
    stoppedBy: "proxy",
    how: HEAD,
    begin: same({ path: `/rooms/quiet/messages?wait=0${"&a=b".repeat(HEAD_BYTES / 4)}` }),
  },
  {
    name: "floods: queries of 60 kB of escapes",
    stoppedBy: "proxy",
    how: HEAD,
    begin: same({ path: `/rooms/quiet/messages?wait=0&${"%61=+&".repeat(HEAD_BYTES / 6)}` }),
  },
  {
    name: "floods: If-None-Match of 60 kB",
    stoppedBy: "proxy",
    how: HEAD,
    begin: same({ path: "/", headers: { "If-None-Match": '"a",'.repeat(HEAD_BYTES / 4) + '"a"' } }),
  },
  {
    name: "floods: Accept-Encoding of 60 kB",
    stoppedBy: "proxy",
    how: HEAD,
    begin: same({ path: "/", headers: { "Accept-Encoding": "a;q=0.5,".repeat(HEAD_BYTES / 8) + "gzip" } }),
  },
  {
    name: "floods: Prefer of 60 kB",
    stoppedBy: "proxy",
    how: HEAD,
    begin: async (attacker) => {
      // A message, which all of them are given: in an empty room they would wait.
      const message = attacker.bytes({ method: "POST", path: "/rooms/flood/messages", body: '{"body":"x"}' });
      await attacker.ask(1, () => message, { everyMs: 60_000 });
      await same({
        path: `/rooms/flood/messages?after=${NIL}`,
        headers: { "Prefer": "a=b,".repeat(HEAD_BYTES / 4) + "wait=0" },
      })(attacker);
    },
  },
  {
    name: "floods: 10000 pipelined requests",
    stoppedBy: "program",
    how: "A connection's requests are served one after the other.",
    begin: (attacker) => attacker.pipeline(attacker.bytes({ path: "/rooms/quiet/messages?wait=0" }), PIPELINED),
  },
];

// Connecting, from a list of hosts to a session that can be used, as libpq does it: host by host, address by address, until
// a server lets us in that is no standby. The driver's own way ends in `Invalid URL` for a socket, in silence where there are
// several hosts, and takes a standby for a primary.
import { lookup } from "node:dns/promises";
import type { Socket } from "node:net";
import { type Address, type Host, nameOf, type TlsMode } from "./address.ts";
import { Attempt, type Endpoint, type Session, type SessionOptions } from "./attempt.ts";
import { unreached, Unusable } from "./unusable.ts";

/** Where a new connection is tried first: at the last place that would do. It moves on from one that will not. */
export interface Turn {
  /** The number of the host, from 0. */
  host: number;
  /** The number of the place among those that the host's name stands for. */
  place: number;
}

/**
 * Connects to one of the address's hosts. `opened` is told of every socket.
 * @throws {Unusable} when none of them will do: why not. Where the signal has aborted, when the one under way will not.
 * @throws the signal's reason when it aborts between two attempts; to end one, destroy its socket too.
 */
export async function connect(
  address: Address,
  turn: Turn,
  options: SessionOptions,
  opened: (socket: Socket) => void,
  signal: AbortSignal,
): Promise<Session> {
  const failed = new Map<number, Unusable>();
  for (const _ of address.hosts) {
    const begun = { ...turn };
    const { host } = begun;
    try {
      return await connectTo(address, turn, options, opened, signal);
    } catch (error) {
      // It has not moved on yet where the name can't be found, or has fewer places than before. A single host that we gave up keeps its place.
      if (!signal.aborted || address.hosts.length > 1) moveOn(turn, begun, true, address);
      // Where it is we who gave up, the next one is for who comes next: to go on here would move past it.
      if (!(error instanceof Unusable) || signal.aborted) throw error;
      failed.set(host, error);
    }
  }
  const failures = [...failed].sort(([one], [other]) => one - other).map(([, error]) => error);
  // That time cures one of them is enough.
  const { code, cure } = failures.find(({ cure }) => cure === "time") ?? failures[0]!;
  throw new Unusable(code, cure, failures.map(({ message }) => message).join("; "));
}

/** Moves on from a place that will not do. Others connect at the same time: only the first of them moves on. */
function moveOn(turn: Turn, { host, place }: Turn, isLast: boolean, { hosts }: Address): void {
  if (turn.host !== host || turn.place !== place) return;
  Object.assign(turn, isLast ? { host: (host + 1) % hosts.length, place: 0 } : { place: place + 1 });
}

/** Tries all that the name of the host stands for whose turn it is. */
async function connectTo(
  address: Address,
  turn: Turn,
  options: SessionOptions,
  opened: (socket: Socket) => void,
  signal: AbortSignal,
): Promise<Session> {
  const begun = { ...turn };
  const host = address.hosts[begun.host]!;
  const places = await endpointsOf(host);
  let failure: { error: Unusable; told: boolean } | undefined;
  for (const i of places.keys()) {
    signal.throwIfAborted();
    const number = (begun.place + i) % places.length;
    const place = places[number]!;
    for (const mode of "path" in place ? ["disable"] as const : modesOf(address.tls.mode)) {
      const attempt = new Attempt(place, "path" in place ? place.path : nameOf(host), mode, host, address, options);
      try {
        return await attempt.make(opened);
      } catch (cause) {
        const error = unreached(cause, attempt.name, address.connectTimeoutMs);
        // What a server says says more than that nobody is there.
        if (!failure?.told) failure = { error, told: attempt.told };
        if (!attempt.tlsMatters || signal.aborted) break;
      }
    }
    moveOn(turn, { host: begun.host, place: number }, number === places.length - 1, address);
  }
  throw failure?.error ?? unreached({ code: "ENOTFOUND" }, nameOf(host), 0);
}

async function endpointsOf(host: Host): Promise<Endpoint[]> {
  const { name, address, port, tcp } = host;
  const sockets = host.sockets.map((path) => ({ path }));
  if (!tcp) return sockets;
  const there = sockets.filter(({ path }) => isSocket(path));
  try {
    const addresses = address ? [{ address }] : await lookup(name, { all: true });
    return [...there, ...addresses.map(({ address }) => ({ host: address, port }))];
  } catch (error) {
    if (there.length > 0) return there;
    throw unreached(error, nameOf(host), 0);
  }
}

function isSocket(path: string): boolean {
  try {
    return Deno.statSync(path).isSocket === true;
  } catch {
    return false; // not there, or not for us
  }
}

/** How to try an address, one way after the other. */
function modesOf(mode: TlsMode): readonly TlsMode[] {
  if (mode === "allow") return ["disable", "require"];
  return mode === "prefer" ? ["prefer", "disable"] : [mode];
}

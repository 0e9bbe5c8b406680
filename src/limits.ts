// Who counts as one client, and what is left to each. A client is a token's sub, or else an address. One that has taken nothing for a
// while is like one that is not known: the memory is bounded by forgetting those who came last the longest ago. Each thread counts for
// itself.
import { Allowance, UNLIMITED } from "./allowance.ts";
import type { Config } from "./config.ts";
import { isLoopback } from "./host.ts";
import { clientAddressOf, forwardedFor, LOCAL } from "./identity/address.ts";
import { log } from "./log.ts";
import { Remembered } from "./remembered.ts";

/** The settings that bound a client. */
export type LimitSettings = Pick<Config, "POSTS_PER_MINUTE" | "PLACES_PER_CLIENT" | "PROXY_HOPS" | "HOST">;

/** Where a request comes from; asked only where it matters, since it takes longer than all the rest. */
export interface Remote {
  /** Without a hostname over a Unix socket. */
  readonly remoteAddr: { readonly hostname?: string };
}

/** Clients that are remembered for sure beside those that hold places, and as many more at most: some 10 MB. */
const MAX_CLIENTS = 20_000;

/** Addresses that need not be read again, as they are written; twice as many at most. A network has any number. */
const MAX_ADDRESSES = 4_000;

/** How often a request is looked at for a proxy that the settings don't know of, in milliseconds. */
const LOOK_MS = 1_000;

/** What one sub may hold of what an address may, behind which there can be a whole school. */
const SUB_SHARE = 0.15;

/** The allowances of all clients. */
export class Limits {
  // Two generations, as of all that strangers can make up. By sub, and by address.
  #known = new Map<string, Allowance>();
  #before = new Map<string, Allowance>();
  /** How many of the generation before it were kept when this one began. */
  #kept = 0;
  /** Which client it is that has an address, as it is written. Not among the clients: these are forgotten for other clients alone. */
  readonly #addresses = new Remembered<{ client: string; counted: boolean }>(MAX_ADDRESSES);
  /** Whether only this machine can connect, and no proxy tells who else is behind it. */
  readonly #alone: boolean;
  #looked = -Infinity;
  /** Whether the log has it that PROXY_HOPS does not fit. */
  #told = false;

  /** `now` is a clock in milliseconds that never jumps. */
  constructor(private readonly settings: LimitSettings, private readonly now: () => number = () => performance.now()) {
    this.#alone = settings.PROXY_HOPS === 0 && isLoopback(settings.HOST);
  }

  /** Who sends a request; `sub` is the token's, if there is one. */
  of(headers: Headers, remote: Remote, sub: string | null | undefined): Allowance {
    if (sub) return this.#find(`sub ${sub}`, true, SUB_SHARE);
    const { PROXY_HOPS: hops } = this.settings;
    if (hops === 0) {
      if (!this.#told) this.#lookForProxy(headers);
      return this.#alone ? UNLIMITED : this.#at(remote.remoteAddr.hostname) ?? this.#local;
    }
    const written = forwardedFor(headers.get("x-forwarded-for"), hops);
    if (written === undefined && !this.#told) this.#tellOfTooFew();
    // What has not come by all the proxies is of whoever connects, and what comes by one that does not say from where.
    return this.#at(written) ?? this.#at(remote.remoteAddr.hostname) ?? this.#local;
  }

  /** Clients and addresses that are remembered. */
  get size(): number {
    return this.#known.size + this.#before.size + this.#addresses.size;
  }

  /** Whoever is at an address, as it is written; undefined where that is none. */
  #at(written: string | undefined): Allowance | undefined {
    if (written === undefined) return undefined;
    const key = `at ${written}`; // its own text: a part of a header would keep all of the header
    let found = this.#addresses.get(key);
    if (!found) {
      const from = clientAddressOf(written, this.settings.PROXY_HOPS > 0);
      if (!from) return undefined;
      const { address, counted } = from;
      found = { client: `in ${address}`, counted };
      this.#addresses.set(key, found);
    }
    return this.#find(found.client, found.counted, 1);
  }

  /** All who connect without an address. */
  get #local(): Allowance {
    return this.#find(`in ${LOCAL.address}`, LOCAL.counted, 1);
  }

  #make(client: string, counted: boolean, share: number): Allowance {
    if (!counted) return new Allowance(client);
    const { POSTS_PER_MINUTE: posts, PLACES_PER_CLIENT } = this.settings;
    return new Allowance(client, { posts, places: Math.ceil(PLACES_PER_CLIENT * share) }, this.now);
  }

  #find(client: string, counted: boolean, share: number): Allowance {
    const known = this.#known.get(client);
    if (known) return known;
    const allowance = this.#before.get(client) ?? this.#make(client, counted, share);
    if (this.#known.size >= MAX_CLIENTS + this.#kept) { // else those who are kept would leave no room for others
      this.#before = this.#known;
      // Who holds places must give them back to whom he has them from.
      this.#known = new Map([...this.#before].filter(([, { holds }]) => holds));
      this.#kept = this.#known.size;
    }
    this.#known.set(client, allowance);
    return allowance;
  }

  /** A proxy in front, and all whom it lets in counted as one or not at all: looked for once a second, and told once. */
  #lookForProxy(headers: Headers): void {
    const now = this.now();
    if (now - this.#looked < LOOK_MS) return;
    this.#looked = now;
    if (!headers.has("x-forwarded-for") && !headers.has("forwarded")) return;
    this.#told = true;
    log(
      "warn",
      "A request has come through a proxy. If the proxy is yours, let it send X-Forwarded-For and set PROXY_HOPS to the number of your " +
        "proxies: else Linger can't tell the clients behind it apart, and counts them as one client or not at all",
    );
  }

  /** Fewer proxies than there should be, and all whom one lets in counted as one: told once. */
  #tellOfTooFew(): void {
    this.#told = true;
    log(
      "warn",
      "A request has fewer addresses in X-Forwarded-For than PROXY_HOPS says, so it counts for the address that connects. Set PROXY_HOPS to " +
        "the number of your proxies, let each of them add to that header, and let nobody reach this server past them",
    );
  }
}

// From where a request comes, as far as that tells one client from another. Behind a proxy every connection is the proxy's, which
// writes the client's address into X-Forwarded-For; who else writes there is not to be believed. So it is the number of proxies that
// counts: each adds one address to the right of what it was given.
import { BlockList, isIP } from "node:net";

/** Where a client is. */
export interface ClientAddress {
  /** The address; of IPv6 the network, since whoever has one address there has all of it (/64). */
  readonly address: string;
  /** Whether it stands for one client: this machine and private networks stand for many, such as all whom a proxy lets in. */
  readonly counted: boolean;
}

/** A connection whose other end is on this machine, without an address. */
export const LOCAL: ClientAddress = { address: "local", counted: false };

const UNCOUNTED = new BlockList();
UNCOUNTED.addSubnet("127.0.0.0", 8);
UNCOUNTED.addSubnet("10.0.0.0", 8);
UNCOUNTED.addSubnet("172.16.0.0", 12);
UNCOUNTED.addSubnet("192.168.0.0", 16);
UNCOUNTED.addSubnet("169.254.0.0", 16);
UNCOUNTED.addAddress("::1", "ipv6");
UNCOUNTED.addSubnet("fc00::", 7, "ipv6");
UNCOUNTED.addSubnet("fe80::", 10, "ipv6");

/** The client's address in a text; behind a proxy (`proxied`) private ones count too. Undefined for what is no address. */
export function clientAddressOf(text: string, proxied: boolean): ClientAddress | undefined {
  // As proxies write it: with a port, in brackets, with a zone; and IPv4 as IPv6 has it.
  const bare = text.trim().replace(/^\[(.*)\](:\d+)?$/, "$1").replace(/^([\d.]+):\d+$/, "$1").replace(/%.*$/, "");
  const address = bare.replace(/^::ffff:(?=[\d.]+$)/i, "");
  const version = isIP(address);
  if (version === 0) return undefined;
  const counted = proxied || !UNCOUNTED.check(address, version === 4 ? "ipv4" : "ipv6");
  return { address: version === 4 ? address : networkOf(address), counted };
}

/** Longest text that is looked at for an address, in characters: what stands there can be a client's own, and is remembered. */
const MAX_WRITTEN = 100;

/** What the `hops`-th proxy from the server has been connected from, by X-Forwarded-For; undefined where that does not say. */
export function forwardedFor(header: string | null, hops: number): string | undefined {
  if (header === null) return undefined;
  // From the right: what stands further to the left can be 60 kB of a client's.
  for (let hop = 1, end = header.length;; hop++) {
    const comma = end > 0 ? header.lastIndexOf(",", end - 1) : -1;
    if (hop === hops) return end - comma <= MAX_WRITTEN + 1 ? header.slice(comma + 1, end) : undefined;
    if (comma < 0) return undefined;
    end = comma;
  }
}

/** The first 64 bits of an IPv6 address. */
function networkOf(address: string): string {
  const [head = "", tail] = address.split("::");
  const groups = head === "" ? [] : head.split(":");
  const missing = tail === undefined ? 0 : 8 - groups.length - (tail === "" ? 0 : tail.split(":").length);
  const all = [...groups, ...Array(Math.max(0, missing)).fill("0"), ...(tail ? tail.split(":") : [])];
  return `${all.slice(0, 4).map((group) => parseInt(group, 16).toString(16)).join(":")}::/64`;
}

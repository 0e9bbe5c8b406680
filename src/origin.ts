// Which page may ask. A browser sends what any page tells it to, to this machine too, and says in headers that no page can change
// which page that was. Without looking at them, every page that somebody opens could read and write what runs on his laptop.
// Programs that are no browser send none of these headers, and are none of this file's business.
//
// What is checked: Host, since a page's own name can be made to lead here (DNS rebinding); Sec-Fetch-Site (W3C Fetch Metadata),
// and where a browser does not send that, Origin (RFC 6454). A request without either can be one of an old browser's images, which
// can read nothing.
import { isIP } from "node:net";
import type { Config } from "./config.ts";
import { isLoopback, plain } from "./host.ts";
import { crossOrigin, invalid, misdirected, OWN_SITE, type Problem } from "./problem.ts";

/**
 * A name or address, with or without a port. Deno puts what stands there into the URL, where `/` and `?` would shift path
 * and query.
 */
const HOST = /^[\w.~%!$&'()*+,;=:[\]-]*$/;

/** Read by load balancers, which name whatever host they like. */
const PROBES = ["/healthz", "/readyz"];

/** The client, which pages of all sites may load. */
const FOR_ALL = "/client/";

/** What a page of another site may send, where it may ask. */
const PREFLIGHT = {
  "access-control-allow-methods": "GET, HEAD, POST, PATCH, DELETE",
  "access-control-allow-headers":
    "authorization, content-type, idempotency-key, if-match, last-event-id, message-key, prefer",
  "access-control-max-age": "7200", // the longest that Chromium keeps it
};

/** What it may read of an answer beside its body. */
const EXPOSED =
  "etag, link, location, retry-after, ratelimit, ratelimit-policy, idempotency-replayed, preference-applied, www-authenticate, x-request-id";

/**
 * "All addresses", and those of IPv4 in IPv6's form (`[::ffff:7f00:1]`). They lead to this machine as its own do; but browsers don't take
 * them for it, and send no Sec-Fetch-Site there. So what a page elsewhere sends could not be told from a program's.
 */
const UNTOLD = /^(0\.0\.0\.0|\[::\]|\[::ffff:.*\])$/;

/** The settings that say which page may ask. */
export type OriginSettings = Pick<Config, "HOST" | "ALLOWED_HOSTS" | "ALLOWED_ORIGINS" | "onDeploy">;

/** Tells requests of pages that may ask from those of others. */
export class Origins {
  /** Names that are answered beside addresses and this machine's own; undefined: all. */
  readonly #hosts: ReadonlySet<string> | undefined;
  readonly #origins: ReadonlySet<string>;
  /** A Host that is answered: most requests have the same. */
  #known = "";

  /** Where only this machine can come in, a name that is not its own is that of a page elsewhere. */
  constructor({ HOST, ALLOWED_HOSTS, ALLOWED_ORIGINS = [], onDeploy }: OriginSettings) {
    const open = !ALLOWED_HOSTS && (onDeploy || !isLoopback(HOST));
    this.#hosts = open ? undefined : new Set(ALLOWED_HOSTS?.map(plain));
    this.#origins = new Set(ALLOWED_ORIGINS);
  }

  /** Why a request is refused: 400, 421 or 403; undefined where it is not. */
  refuse(request: Request): Problem | undefined {
    const { headers } = request;
    const host = hostIn(request);
    if (host !== this.#known) {
      if (!HOST.test(host)) return invalid("Host", "must be a name or an address, with or without a port");
      if (!this.answersFor(host)) return PROBES.includes(pathOf(request)) ? undefined : misdirected();
      this.#known = host;
    }
    const site = headers.get("sec-fetch-site");
    if (isOwn(site)) return undefined;
    const origin = headers.get("origin");
    if (site === null && (origin === null || hostOf(origin) === host.toLowerCase())) return undefined;
    if (origin !== null && this.#allows(origin)) return undefined;
    if (site !== null && isLink(request)) return undefined;
    return pathOf(request).startsWith(FOR_ALL) ? undefined : crossOrigin();
  }

  /** The answer to a page of another site that asks whether it may ask (Fetch, CORS preflight); undefined where that is not asked. */
  preflight(request: Request): Response | undefined {
    if (request.method !== "OPTIONS" || !request.headers.has("access-control-request-method")) return undefined;
    return new Response(null, { status: 204, headers: { ...PREFLIGHT, ...OWN_SITE } });
  }

  /** Lets a page of another site read an answer, where it may ask. */
  share(request: Request, answer: Response): Response {
    if (this.#origins.size === 0) return answer;
    answer.headers.append("vary", "origin"); // also where nobody asked so: a cache has to tell the two apart
    const origin = request.headers.get("origin");
    if (origin === null || !this.#allows(origin)) return answer;
    answer.headers.set("access-control-allow-origin", this.#origins.has("*") ? "*" : origin);
    answer.headers.set("access-control-expose-headers", EXPOSED);
    return answer;
  }

  /** Whether any page of another site may ask. */
  get shares(): boolean {
    return this.#origins.size > 0;
  }

  #allows(origin: string): boolean {
    return this.#origins.has("*") || this.#origins.has(origin);
  }

  /** Whether a request for this host is meant for this server. */
  answersFor(host: string): boolean {
    if (!this.#hosts) return true;
    const name = host.replace(/:\d*$/, "").toLowerCase();
    // An address that is one can't be made to lead elsewhere, and without a name it is no browser that asks. With a dot at its end
    // not every browser takes `localhost` for this machine, whether it is among the names or not.
    return name === "" || name === "localhost" || name.endsWith(".localhost") ||
      isIP(name.replace(/^\[(.*)\]$/, "$1")) > 0 && !UNTOLD.test(name) ||
      this.#hosts.has(plain(name)) && !/(^|\.)localhost\.$/.test(name);
  }
}

/** What a request has for its host. Over HTTP/2 that stands in `:authority`, which Deno 2.9.6 puts into the URL alone. */
export function hostIn({ headers, url }: Request): string {
  return headers.get("host") ?? URL.parse(url)?.host ?? url;
}

/**
 * Whether somebody has followed a link on a page of another site. What it opens is nobody else's to read; but a page that has opened
 * a window can see when the answer comes, so it must not wait for anything.
 */
export function isForeignLink(request: Request): boolean {
  const site = request.headers.get("sec-fetch-site");
  return site !== null && !isOwn(site) && isLink(request);
}

/** Whether a browser says that the page itself asks, or somebody who typed the address. */
function isOwn(site: string | null): boolean {
  return site === "same-origin" || site === "none";
}

/** Whether what is asked for opens as a page of its own. */
function isLink({ method, headers }: Request): boolean {
  return (method === "GET" || method === "HEAD") && headers.get("sec-fetch-mode") === "navigate" &&
    headers.get("sec-fetch-dest") === "document";
}

function hostOf(origin: string): string | undefined {
  return origin.match(/^https?:\/\/([^/]+)$/i)?.[1]?.toLowerCase();
}

/** What stands for the host can make a URL that is none. */
function pathOf({ url }: Request): string {
  return URL.parse(url)?.pathname ?? "";
}

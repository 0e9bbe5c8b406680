// What DATABASE_URL means: the same as to PostgreSQL's own programs, whose library is libpq. So a URL that works in psql
// works here, with the same parameters, or is refused by a sentence that says what to change.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { userInfo } from "node:os";
import { ConfigError } from "../config.ts";
import { Parameters, SESSION, type Surroundings } from "./parameters.ts";

/** How TLS is used; what each mode means is libpq's. */
export type TlsMode = "disable" | "allow" | "prefer" | "require" | "verify-ca" | "verify-full";

/** The versions of TLS that Deno speaks. */
export type TlsVersion = "TLSv1.2" | "TLSv1.3";

/** What is told about TLS. */
export interface Tls {
  /** Whether it is used, and what is checked. */
  readonly mode: TlsMode;
  /** Whether it is begun at once, as PostgreSQL 17 can, without asking for it first. */
  readonly direct: boolean;
  /** Whether the server is told the host's name. */
  readonly sni: boolean;
  /** The authorities to trust, in PEM; those that Deno trusts if undefined. */
  readonly ca: string | undefined;
  /** Our own certificate and its key, in PEM. */
  readonly own: { readonly cert: string; readonly key: string } | undefined;
  /** The bounds of its version, where there are any. */
  readonly versions: { readonly minVersion?: TlsVersion; readonly maxVersion?: TlsVersion };
}

/** One server that may have the database. */
export interface Host {
  /** Its name, which its certificate has to hold; for a Unix socket the directory it lies in. */
  readonly name: string;
  /** The address to connect to, where the name is not to be looked up. */
  readonly address: string | undefined;
  /** Its TCP port, which a socket has in its name. */
  readonly port: number;
  /** Unix sockets to try before TCP. */
  readonly sockets: readonly string[];
  /** Whether it can be reached over TCP. */
  readonly tcp: boolean;
  /** The password there; none if undefined. */
  readonly password: string | undefined;
}

/** What one has to know to connect to a database. */
export interface Address {
  /** In the order in which they are tried. */
  readonly hosts: readonly Host[];
  /** The role. */
  readonly user: string;
  /** The database's name. */
  readonly database: string;
  /** The name that sessions have in `pg_stat_activity`; undefined: Linger's own. */
  readonly applicationName: string | undefined;
  /** Further parameters of the session, as they stand in the protocol's first message. */
  readonly startup: Readonly<Record<string, string>>;
  /** How TLS is used. */
  readonly tls: Tls;
  /** Which server will do: one that is no standby, or one that also lets write. */
  readonly need: "primary" | "read-write";
  /** The ways to authenticate that will do; all if undefined. */
  readonly methods: ReadonlySet<string> | undefined;
  /** Whether the server has to prove that nobody stands between (SCRAM with channel binding). */
  readonly channelBinding: boolean;
  /** Longest time that connecting to one address may take, in milliseconds. */
  readonly connectTimeoutMs: number;
  /** Seconds of silence after which TCP asks whether the other side is there; 0 for never. */
  readonly keepAlive: number;
  /** Seconds after which the driver closes a connection that nobody uses, or one that is old; else as it likes. */
  readonly lifetimes: { readonly idle_timeout?: number; readonly max_lifetime?: number };
}

/** A host as people know it. */
export function nameOf({ name, port, sockets, tcp }: Omit<Host, "password">): string {
  if (!tcp) return sockets[0]!;
  return isIP(name) === 6 ? `[${name}]:${port}` : `${name}:${port}`;
}

/** Where an address leads, for the log. */
export function describe({ hosts, user, database }: Address): { database: string; at: string; user: string } {
  return { database, at: hosts.map(nameOf).join(" or "), user };
}

const TLS_MODES: readonly TlsMode[] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/** Those with which whoever stands between can have plain text. */
const FALLING_BACK: readonly TlsMode[] = ["allow", "prefer"];

/** Longest time that connecting to one address may take where the URL does not say, in milliseconds. */
const CONNECT_TIMEOUT_MS = 3_000;

/** Where systems put PostgreSQL's socket. */
const SOCKET_DIRECTORIES = ["/var/run/postgresql", "/tmp"];

/** Seconds of silence after which TCP asks whether the other side is there. */
const KEEP_ALIVE_S = 60;

/** This process's own. */
const here: Surroundings = {
  env: (name) => Deno.env.get(name) || undefined,
  readFile: (path) => Deno.readTextFileSync(path),
  osUser: () => {
    // Without the permission the person at the terminal would be asked for it.
    if (Deno.permissions.querySync({ name: "sys" }).state === "granted") return userInfo().username;
    return ["USER", "LOGNAME", "USERNAME"].map((name) => Deno.env.get(name)).find(Boolean);
  },
};

/**
 * Reads DATABASE_URL, or another `variable` that has such a URL. What it leaves out comes from the variables that psql looks at; how
 * TLS is used where neither says it, from `tls`. Where that is `require`, so it is for the modes that fall back to plain text.
 * @throws {ConfigError} one sentence that says what to change, without a word of the URL's own.
 */
export function readAddress(
  url: string,
  around: Surroundings = here,
  tls: TlsMode = "prefer",
  variable = "DATABASE_URL",
): Address {
  const given = new Parameters(url, around, variable);
  const user = given.get("user") ?? around.env("PGUSERNAME") ?? around.osUser();
  if (!user) {
    throw new ConfigError(`${variable} names no user: write postgres://user@host/database, or set PGUSER`);
  }
  const database = given.get("dbname") ?? user;
  const passwords = given.get("password") ? undefined : readPasswords(given.file("passfile"));
  const session = ["options", ...SESSION].map((name) => [name, given.get(name)] as const);
  const lifetimes = ["idle_timeout", "max_lifetime"].map((name) => [name, given.number(name)] as const);
  const hosts = readHosts(given);
  return {
    hosts: hosts.map((host) => ({
      ...host,
      password: given.get("password") ?? passwords?.([host.name, `${host.port}`, database, user]),
    })),
    user,
    database,
    applicationName: given.get("application_name"),
    startup: Object.fromEntries(session.filter((pair): pair is [string, string] => pair[1] !== undefined)),
    tls: readTls(given, tls),
    need: readNeed(given, hosts.length),
    methods: readMethods(given),
    channelBinding: given.choice("channel_binding", ["disable", "prefer", "require"]) === "require",
    connectTimeoutMs: readTimeout(given),
    keepAlive: given.number("keepalives") === 0
      ? 0
      : given.number("keepalives_idle") || given.number("keep_alive") || KEEP_ALIVE_S,
    lifetimes: Object.fromEntries(lifetimes.filter(([, seconds]) => seconds)),
  };
}

function readHosts(given: Parameters): Omit<Host, "password">[] {
  const list = (name: string) => given.get(name)?.split(",").map((part) => part.trim()) ?? [];
  const [names, addresses, ports] = [list("host"), list("hostaddr"), list("port")];
  const count = Math.max(names.length, addresses.length, 1);
  if (names.length > 0 && addresses.length > 0 && names.length !== addresses.length) {
    throw given.error("hostaddr", "must have as many addresses as there are hosts");
  }
  if (ports.length > 1 && ports.length !== count) {
    throw given.error("port", "must be one number, or as many as there are hosts");
  }
  return Array.from({ length: count }, (_, i) => {
    const text = (ports.length > 1 ? ports[i] : ports[0]) || "5432";
    const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
    if (port < 1 || port > 65_535) {
      throw given.error(
        "port",
        "must be a number from 1 to 65535; in a password write / as %2F, : as %3A and @ as %40",
      );
    }
    const [name, address] = [names[i] ?? "", addresses[i] || undefined];
    const socketIn = (directory: string) => `${directory}/.s.PGSQL.${port}`;
    if (name.startsWith("/") && !address) {
      return { name, address, port, sockets: [socketIn(name.replace(/\/+$/, ""))], tcp: false };
    }
    if (name.startsWith("@") && !address) {
      throw given.error("host", "must not begin with @, for Linger can't reach abstract sockets");
    }
    // psql takes this machine's socket; where there is none, its port has always been taken.
    const sockets = name || address || Deno.build.os === "windows" ? [] : SOCKET_DIRECTORIES.map(socketIn);
    return { name: name || address || "localhost", address, port, sockets, tcp: true };
  });
}

function readTls(given: Parameters, otherwise: TlsMode): Tls {
  const system = given.get("sslrootcert") === "system";
  const said = given.choice("sslmode", TLS_MODES) ?? (system ? "verify-full" : otherwise);
  // Where TLS is required unless somebody says otherwise, what may fall back to plain text does not say so.
  const mode = otherwise === "require" && FALLING_BACK.includes(said) ? otherwise : said;
  if (system && mode !== "verify-full") throw given.error("sslmode", "must be verify-full where sslrootcert is system");
  const direct = given.choice("sslnegotiation", ["postgres", "direct"]) === "direct";
  if (direct && TLS_MODES.indexOf(mode) < TLS_MODES.indexOf("require")) {
    throw given.error("sslnegotiation", "can be direct only with an sslmode of require, verify-ca or verify-full");
  }
  const certificate = (text: string) => new X509Certificate(text);
  const ca = system || mode === "disable" ? undefined : readPem(given, "sslrootcert", certificate);
  const certMode = given.choice("sslcertmode", ["disable", "allow", "require"]);
  if (certMode === "require") throw given.error("sslcertmode", "must be disable or allow for Linger");
  const shown = mode !== "disable" && certMode !== "disable";
  const cert = shown ? readPem(given, "sslcert", certificate) : undefined;
  const key = shown ? readPem(given, "sslkey", createPrivateKey) : undefined;
  if (key && !cert) throw given.error("sslkey", "belongs to a certificate, which sslcert has to name");
  if (cert && !key) throw given.error("sslcert", "needs its key, which sslkey has to name");
  return {
    mode: ca && mode === "require" ? "verify-ca" : mode, // in libpq, too: an authority that is named is looked at
    direct,
    sni: given.get("sslsni") !== "0",
    ca,
    own: cert && key ? { cert, key } : undefined,
    versions: readVersions(given),
  };
}

/** Deno would ignore what it can't read, and say that the server's certificate is bad, or show none of our own. */
function readPem(given: Parameters, name: string, check: (text: string) => unknown): string | undefined {
  const text = given.file(name);
  if (text === undefined) return undefined;
  try {
    check(text);
    return text;
  } catch {
    throw given.error(name, "names a file that is not in PEM, or has a password, which Linger can't use");
  }
}

/** TLS 1.2 is the least that Deno speaks, so lower bounds below it are kept. */
function readVersions(given: Parameters): Tls["versions"] {
  const all = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] as const;
  const min = given.choice("ssl_min_protocol_version", all);
  const max = given.choice("ssl_max_protocol_version", all);
  const spoken = (version: string | undefined): version is TlsVersion => version === "TLSv1.2" || version === "TLSv1.3";
  if (max && !spoken(max)) throw given.error("ssl_max_protocol_version", "must be TLSv1.2 or TLSv1.3");
  return { ...spoken(min) ? { minVersion: min } : {}, ...spoken(max) ? { maxVersion: max } : {} };
}

function readNeed(given: Parameters, hosts: number): Address["need"] {
  const attributes = given.get("target_session_attrs");
  if (attributes === "read-write") return "read-write";
  if (attributes === "primary" || attributes === "any") return "primary";
  if (attributes) throw given.error("target_session_attrs", "must be read-write, primary or any: Linger writes");
  // Of several, one that lets nobody write is likely to be one that was replaced, and is out of date.
  return hosts > 1 ? "read-write" : "primary";
}

function readMethods(given: Parameters): Address["methods"] {
  const value = given.get("require_auth")?.split(",").map((method) => method.trim());
  if (!value) return undefined;
  const all = ["password", "md5", "gss", "sspi", "scram-sha-256", "oauth", "none"];
  const named = value.map((method) => method.replace(/^!/, ""));
  const negated = value.filter((method) => method.startsWith("!")).length;
  if (!named.every((method) => all.includes(method)) || negated > 0 && negated < value.length) {
    throw given.error(
      "require_auth",
      `must be a list out of ${all.join(", ")}, with a ! before each of them or before none`,
    );
  }
  return new Set(negated > 0 ? all.filter((method) => !named.includes(method)) : named);
}

/** 0 and less mean for ever to libpq; but statements here have a deadline anyway. */
function readTimeout(given: Parameters): number {
  const seconds = given.number("connect_timeout") ?? 0;
  return seconds > 0 ? Math.max(seconds, 2) * 1_000 : CONNECT_TIMEOUT_MS;
}

/** Looks passwords up in the text of a password file, whose lines are `host:port:database:user:password`. */
function readPasswords(text: string | undefined): ((parts: readonly string[]) => string | undefined) | undefined {
  const lines = text?.split(/\r?\n/).filter((line) => !line.startsWith("#")).map((line) =>
    Array.from(line.matchAll(/((?:\\.|[^:\\])*)(?::|$)/g), ([, part]) => part!.replace(/\\(.)/g, "$1"))
  );
  return lines && ((parts) => lines.find((line) => parts.every((part, i) => line[i] === "*" || line[i] === part))?.[4]);
}

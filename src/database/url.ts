// The grammar of a connection URL, as libpq reads it; that of the web differs: it knows no list of hosts, no socket for a
// host, and takes `%2F` for no part of one. What the parts mean is the business of address.ts.
//
//     postgresql://[user[:password]@][host[:port][,…]][/dbname][?name=value[&…]]

/** A password among parameters, however they are divided. */
const PASSWORD = /[?&;,\s]\w*(?:password|passwd|pwd)\s*=/i;

/** A URL that can't be read. The message is the end of a sentence, and holds nothing of the URL: any part may be a password. */
export class UrlError extends Error {
  /** `UrlError`. */
  override readonly name = "UrlError";
}

/**
 * The parameters that `url` gives, by libpq's names for them. Where there are several hosts, `host` and `port` are lists
 * with commas.
 * @throws {UrlError}
 */
export function parseUrl(url: string): Map<string, string> {
  const given = new Map<string, string>();
  const set = (name: string, value: string) => {
    if (name !== "password" && /\s/.test(value)) { // libpq takes none there either, since version 18
      throw new UrlError(
        "has a space in a user, host or database: write it as %20 there, and name=value behind a ?, with & between",
      );
    }
    if (value !== "") given.set(name, decode(value));
  };
  const text = url.trim(); // a file or a variable that ends in a line feed is no reason to fail
  const scheme = text.match(/^postgres(?:ql)?:\/\/(.*)$/s);
  if (!scheme) throw new UrlError("must be a URL that begins with postgres:// or postgresql://");
  // What stands in a line of its own may be anything, also a password.
  if (/[\t\r\n]/.test(text)) throw new UrlError("has a line feed or a tab in it: write all of it in one line");
  let rest = scheme[1]!;

  const end = endOfCredentials(rest);
  if (end !== undefined) {
    const credentials = rest.slice(0, end);
    // Most likely the @ belongs to a password among the parameters, and what we would take for user and host to it as well.
    if (/\?.*=/s.test(credentials) || PASSWORD.test(credentials)) {
      throw new UrlError(
        "has an @ behind a name=value: write it as %40 there, the first name=value behind a ?, and in a user or password ? as %3F",
      );
    }
    const [, user, password] = credentials.match(/^([^:]*):?(.*)$/s)!;
    if (user!.includes("@")) {
      throw new UrlError("has an @ in its user: write a : between user and password, and an @ in a user as %40");
    }
    set("user", user!);
    set("password", password!);
    rest = rest.slice(end + 1);
  }

  const [hosts, ports]: [string[], string[]] = [[], []];
  while (true) {
    const [place, address, name, port] = rest.match(
      /^(?:\[([^\]]+)\](?![^:/?,])|([^[:/?,][^:/?,]*))?(?::([^/?,]*))?/,
    )!;
    hosts.push(address ?? name ?? "");
    ports.push(port ?? "");
    rest = rest.slice(place.length);
    if (!rest.startsWith(",")) break;
    rest = rest.slice(1);
  }
  if (!/^([/?]|$)/.test(rest)) throw new UrlError("has a host in [ ] that is no IPv6 address");
  // In a list each place counts, also an empty one.
  if (hosts.some((host) => host !== "")) set("host", hosts.join());
  if (ports.some((port) => port !== "")) set("port", ports.join());

  const [, path, query] = rest.match(/^(?:\/([^?]*))?(?:\?(.*))?$/s)!;
  // Most likely the / before it belongs to the password, and what we would take for host and database to it as well.
  if (path?.includes("@")) {
    throw new UrlError(
      "has an @ behind its first /: in a user or password write / as %2F, in a database's name @ as %40",
    );
  }
  set("dbname", path ?? "");
  for (const [i, parameter] of (query ? query.split("&") : []).entries()) {
    if (parameter === "") continue; // some programs end with an &
    const equals = parameter.indexOf("=");
    if (equals < 1) throw new UrlError(`has no name=value as parameter ${i + 1} behind its ?`);
    given.set(decode(parameter.slice(0, equals)), decode(parameter.slice(equals + 1)));
  }
  refuseSlips(given);
  return given;
}

/** Refuses what can be meant, and is a slip almost surely that puts a password into a name. Names are told to everybody. */
function refuseSlips(given: ReadonlyMap<string, string>): void {
  if (given.get("user")?.includes(":")) {
    throw new UrlError(
      "has a : in its user: the one before the password is not written as %3A; a role with a : in its name goes into PGUSER",
    );
  }
  if (["host", "hostaddr", "user", "dbname"].some((name) => given.get(name)?.includes("="))) {
    throw new UrlError(
      "has a name=value in a user, host or database: write them behind a ?, with & between; " +
        "a role or database that is named so goes into PGUSER or PGDATABASE",
    );
  }
  // PostgreSQL repeats a value that it does not take.
  if ([...given].some(([name, value]) => name !== "password" && PASSWORD.test(value))) {
    throw new UrlError("has a password in another parameter: write & between a value and the next name");
  }
}

/**
 * Where user and password end: at the first @. An @ that stands in a password as it is belongs to it nevertheless, for no
 * host has one.
 */
function endOfCredentials(rest: string): number | undefined {
  const [authority] = rest.split("/", 1);
  const first = authority!.indexOf("@");
  if (first < 0) return undefined;
  const [host] = authority!.slice(first + 1).split("?", 1);
  return first + 1 + host!.lastIndexOf("@");
}

function decode(text: string): string {
  try {
    const decoded = decodeURIComponent(text);
    if (!decoded.includes("\0")) return decoded;
  } catch { /* as below */ }
  throw new UrlError("has a % that begins no character of UTF-8: write % itself as %25");
}

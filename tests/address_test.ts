// DATABASE_URL has to mean what it means to psql; and whatever is wrong with it, nothing of its own is repeated.
import { assert, assertEquals, assertFalse, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import { ConfigError } from "../src/config.ts";
import { type Address, describe, readAddress } from "../src/database/address.ts";
import { configOf, projectPath } from "./support/postgres.ts";

/** Reads a URL in a world that has this environment, these files, and a user named `os`. */
function read(url: string, env: Record<string, string> = {}, files: Record<string, string> = {}): Address {
  return readAddress(url, {
    env: (name) => env[name] || undefined,
    readFile: (path) => {
      if (files[path] === undefined) throw new Deno.errors.NotFound();
      return files[path];
    },
    osUser: () => "os",
  });
}

/** Where an address leads, in short. */
function places({ hosts }: Address): string[] {
  return hosts.map(({ name, address, port, sockets, tcp }) => tcp ? `${address ?? name}:${port}` : sockets.join());
}

function refusal(url: string, env: Record<string, string> = {}, files: Record<string, string> = {}): string {
  return assertThrows(() => read(url, env, files), ConfigError).message;
}

Deno.test("readAddress() finds host, port, user, password and database, wherever a URL has them", () => {
  const cases: [url: string, places: string[], user: string, password: string | undefined, database: string][] = [
    ["postgres://ada:pw@db:5433/chat", ["db:5433"], "ada", "pw", "chat"],
    ["postgresql://ada@db", ["db:5432"], "ada", undefined, "ada"],
    ["postgres://db/", ["db:5432"], "os", undefined, "os"],
    ["postgres://db:/chat", ["db:5432"], "os", undefined, "chat"],
    ["postgres://:pw@db/chat", ["db:5432"], "os", "pw", "chat"],
    ["postgres://db/chat?user=ada&password=p%26w&port=6432", ["db:6432"], "ada", "p&w", "chat"],
    ["postgres:///chat?host=db&dbname=other", ["db:5432"], "os", undefined, "other"],
    ["postgres://a%40b:p%3A%2F%3F%23%5B%5D%40%25%20w@db/c%2Fd", ["db:5432"], "a@b", "p:/?#[]@% w", "c/d"],
    ["postgres://ada:p@ss@w@db/chat", ["db:5432"], "ada", "p@ss@w", "chat"],
    ["postgres://ada:p?w#x@db/chat", ["db:5432"], "ada", "p?w#x", "chat"],
    ["postgres://ada:a:b@db/chat", ["db:5432"], "ada", "a:b", "chat"],
    ["postgres://ada@[::1]:5433/chat", ["::1:5433"], "ada", undefined, "chat"],
    ["postgres://[fe80::1]/chat?x=".slice(0, -3), ["fe80::1:5432"], "os", undefined, "chat"],
    ["postgres://ada:pw@db/chat\n", ["db:5432"], "ada", "pw", "chat"],
    ["postgres://ada@one,two:5433,[::1]:5434/chat", ["one:5432", "two:5433", "::1:5434"], "ada", undefined, "chat"],
    ["postgres://ada@one,two/chat?port=6000", ["one:6000", "two:6000"], "ada", undefined, "chat"],
    ["postgres:///chat?host=one,two&port=1,2", ["one:1", "two:2"], "os", undefined, "chat"],
    ["postgres://db/chat?hostaddr=10.0.0.1", ["10.0.0.1:5432"], "os", undefined, "chat"],
    ["postgres:///chat?hostaddr=10.0.0.1,10.0.0.2", ["10.0.0.1:5432", "10.0.0.2:5432"], "os", undefined, "chat"],
    ["postgres:///chat?host=/run/pg", ["/run/pg/.s.PGSQL.5432"], "os", undefined, "chat"],
    ["postgres://ada@/chat?host=/run/pg/&port=5433", ["/run/pg/.s.PGSQL.5433"], "ada", undefined, "chat"],
    ["postgres://ada@%2Frun%2Fpg:5433/chat", ["/run/pg/.s.PGSQL.5433"], "ada", undefined, "chat"],
    ["postgres:///chat", ["localhost:5432"], "os", undefined, "chat"],
    ["postgres://", ["localhost:5432"], "os", undefined, "os"],
  ];
  for (const [url, at, user, password, database] of cases) {
    const address = read(url);
    assertEquals([places(address), address.user, address.hosts[0]!.password, address.database], [
      at,
      user,
      password,
      database,
    ], url);
  }
});

Deno.test("readAddress() looks for this machine's socket first where the URL names no host, and only there", () => {
  assertEquals(read("postgres:///chat?port=5433").hosts[0]!.sockets, [
    "/var/run/postgresql/.s.PGSQL.5433",
    "/tmp/.s.PGSQL.5433",
  ]);
  assertEquals(read("postgres://localhost/chat").hosts[0]!.sockets, []);
});

Deno.test("readAddress() takes what the URL leaves out from the variables of psql, and nothing else", () => {
  const env = {
    PGHOST: "db",
    PGPORT: "5433",
    PGUSER: "ada",
    PGPASSWORD: "pw",
    PGDATABASE: "chat",
    PGSSLMODE: "disable",
    PGAPPNAME: "name",
    PGOPTIONS: "-c x=y",
    PGCONNECT_TIMEOUT: "7",
  };
  const given = read("postgres://", env);
  assertEquals([places(given), given.user, given.hosts[0]!.password, given.database], [
    ["db:5433"],
    "ada",
    "pw",
    "chat",
  ]);
  assertEquals([given.tls.mode, given.applicationName, given.startup, given.connectTimeoutMs], [
    "disable",
    "name",
    { options: "-c x=y" },
    7_000,
  ]);
  const url = read(
    "postgres://bob:secret@other:1/room?sslmode=require&application_name=a&connect_timeout=9&options=-c%20a%3Db",
    env,
  );
  assertEquals([places(url), url.user, url.hosts[0]!.password, url.database], [["other:1"], "bob", "secret", "room"]);
  assertEquals([url.tls.mode, url.applicationName, url.startup, url.connectTimeoutMs], [
    "require",
    "a",
    { options: "-c a=b" },
    9_000,
  ]);
});

Deno.test("readAddress() takes a password out of a password file, and all the rest out of a service file", () => {
  const files = {
    "/pass": "# mine\nother:5432:*:*:no\ndb:5433:c\\:d:ada:p\\:w\\\\\n*:*:*:*:any\n",
    "/service": "[other]\nhost=wrong\n[chat]\n host = db\nport=5433\n\n[last]\nhost=wrong\n",
  };
  assertEquals(read("postgres://ada@db:5433/c%3Ad?passfile=/pass", {}, files).hosts[0]!.password, "p:w\\");
  assertEquals(read("postgres://ada@db:5433/d", { PGPASSFILE: "/pass" }, files).hosts[0]!.password, "any");
  assertEquals(read("postgres://ada:own@db:5433/d", { PGPASSFILE: "/pass" }, files).hosts[0]!.password, "own");
  assertEquals(places(read("postgres:///d?service=chat", { PGSERVICEFILE: "/service" }, files)), ["db:5433"]);
  assertEquals(places(read("postgres://mine/d?service=chat", { PGSERVICEFILE: "/service" }, files)), ["mine:5433"]);
  assertStringIncludes(refusal("postgres:///d?service=chat"), "service in DATABASE_URL needs a file");
  assertStringIncludes(
    refusal("postgres:///d", { PGSERVICE: "no", PGSERVICEFILE: "/service" }, files),
    "PGSERVICE is not in",
  );
});

Deno.test("readAddress() knows every parameter that libpq has and hosters print", () => {
  const url = "postgres://ada@db/chat?sslmode=require&channel_binding=require&application_name=x&connect_timeout=1" +
    "&options=-c%20geqo%3Doff&target_session_attrs=read-write&keepalives=1&keepalives_idle=30&keepalives_interval=5" +
    "&keepalives_count=3&tcp_user_timeout=9000&gssencmode=prefer&sslnegotiation=direct&client_encoding=auto" +
    "&load_balance_hosts=random&fallback_application_name=y&krbsrvname=postgres&gsslib=gssapi&gssdelegation=0" +
    "&sslcompression=0&sslsni=0&ssl_min_protocol_version=TLSv1.3&ssl_max_protocol_version=TLSv1.3&replication=false" +
    "&require_auth=scram-sha-256&sslcertmode=allow&min_protocol_version=3.0&max_protocol_version=latest";
  const address = read(url);
  assertEquals(address.tls, {
    mode: "require",
    direct: true,
    sni: false,
    ca: undefined,
    own: undefined,
    versions: { minVersion: "TLSv1.3", maxVersion: "TLSv1.3" },
  });
  assertEquals([address.channelBinding, address.need, address.keepAlive, address.connectTimeoutMs], [
    true,
    "read-write",
    30,
    2_000,
  ]);
  assertEquals(address.methods, new Set(["scram-sha-256"]));
  assertEquals(read("postgres://db?keepalives=0").keepAlive, 0);
  assertEquals(
    read("postgres://db?require_auth=!password,!none").methods,
    new Set(["md5", "gss", "sspi", "scram-sha-256", "oauth"]),
  );
});

Deno.test("readAddress() keeps what URLs could say to the driver until now", () => {
  const address = read(
    "postgres://db?search_path=chat&statement_timeout=9000&idle_timeout=20&max_lifetime=60&max=5&ssl=require",
  );
  assertEquals(address.startup, { search_path: "chat", statement_timeout: "9000" });
  assertEquals([address.lifetimes, address.tls.mode], [{ idle_timeout: 20, max_lifetime: 60 }, "require"]);
  assertEquals(read("postgres://db?ssl=true").tls.mode, "require");
  assertEquals(read("postgres://db?ssl=false").tls.mode, "disable");
});

Deno.test("readAddress() takes each sslmode, prefer for a default, and looks at an authority that is named", async () => {
  const ca = await Deno.readTextFile(projectPath("tests/fixtures/tls.crt"));
  const key = await Deno.readTextFile(projectPath("tests/fixtures/tls.key"));
  const files = { "/ca": ca, "/key": key, "/nonsense": "nonsense" };
  for (const mode of ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]) {
    assertEquals(read(`postgres://db?sslmode=${mode}`).tls.mode, mode);
  }
  assertEquals(read("postgres://db").tls.mode, "prefer");
  assertEquals(read("postgres://db?sslrootcert=system").tls.mode, "verify-full");
  const { tls } = read("postgres://db?sslmode=require&sslrootcert=/ca&sslcert=/ca&sslkey=/key", {}, files);
  assertEquals([tls.mode, tls.ca, tls.own], ["verify-ca", ca, { cert: ca, key }]);
  const refused: [query: string, sentence: string][] = [
    ["sslmode=nonsense", "sslmode in DATABASE_URL must be disable, allow, prefer, require, verify-ca or verify-full"],
    ["ssl=nonsense", "ssl in DATABASE_URL must be disable, allow, prefer, require, verify-ca or verify-full"],
    ["sslrootcert=system&sslmode=require", "sslmode in DATABASE_URL must be verify-full where sslrootcert is system"],
    ["sslrootcert=/gone", "sslrootcert in DATABASE_URL names a file that is not there"],
    ["sslrootcert=/nonsense", "sslrootcert in DATABASE_URL names a file that is not in PEM"],
    ["sslcert=/ca", "sslcert in DATABASE_URL needs its key, which sslkey has to name"],
    ["sslkey=/key", "sslkey in DATABASE_URL belongs to a certificate, which sslcert has to name"],
    ["sslcert=/ca&sslkey=/ca", "sslkey in DATABASE_URL names a file that is not in PEM"],
    ["sslnegotiation=direct", "sslnegotiation in DATABASE_URL can be direct only with an sslmode of require"],
    ["ssl_max_protocol_version=TLSv1.1", "ssl_max_protocol_version in DATABASE_URL must be TLSv1.2 or TLSv1.3"],
  ];
  for (const [query, sentence] of refused) assertStringIncludes(refusal(`postgres://db?${query}`, {}, files), sentence);
});

Deno.test("readAddress() demands TLS where libpq's older way does, unless sslmode is said too", () => {
  const mode = (query: string, env: Record<string, string> = {}) => read(`postgres://db${query}`, env).tls.mode;
  assertEquals(mode("?requiressl=1"), "require");
  assertEquals(mode("?requiressl=0"), "prefer");
  assertEquals(mode("?requiressl=1", { PGSSLMODE: "disable" }), "require");
  assertEquals(mode("?requiressl=1&sslmode=verify-full"), "verify-full");
  assertEquals(mode("", { PGREQUIRESSL: "1" }), "require");
  assertEquals(mode("", { PGREQUIRESSL: "0" }), "prefer");
  assertEquals(mode("", { PGREQUIRESSL: "1", PGSSLMODE: "allow" }), "allow");
  assertEquals(mode("?sslmode=disable", { PGREQUIRESSL: "1" }), "disable");
});

Deno.test("readAddress() wants a server that lets write where there are several, and no standby in any case", () => {
  assertEquals(read("postgres://one/chat").need, "primary");
  assertEquals(read("postgres://one,two/chat").need, "read-write");
  assertEquals(read("postgres://one,two/chat?target_session_attrs=primary").need, "primary");
  assertEquals(read("postgres://one/chat?target_session_attrs=any").need, "primary");
  for (const attributes of ["standby", "prefer-standby", "read-only", "nonsense"]) {
    assertStringIncludes(
      refusal(`postgres://one/chat?target_session_attrs=${attributes}`),
      "target_session_attrs in DATABASE_URL must be read-write, primary or any",
    );
  }
});

Deno.test("readAddress() refuses what can't be meant, or not be done, with what to do", () => {
  const refused: [url: string, sentence: string][] = [
    ["postgres://db:port/chat", "port in DATABASE_URL must be a number from 1 to 65535"],
    ["postgres://db:0/chat", "port in DATABASE_URL must be a number from 1 to 65535"],
    ["postgres://db:65536/chat", "port in DATABASE_URL must be a number from 1 to 65535"],
    ["postgres://db:-1/chat", "port in DATABASE_URL must be a number from 1 to 65535"],
    [
      "postgres://one,two,three/chat?port=1,2",
      "port in DATABASE_URL must be one number, or as many as there are hosts",
    ],
    [
      "postgres://one,two/chat?hostaddr=10.0.0.1",
      "hostaddr in DATABASE_URL must have as many addresses as there are hosts",
    ],
    ["postgres://[::1/chat", "DATABASE_URL has a host in [ ] that is no IPv6 address"],
    ["postgres://[::1]5432/chat", "DATABASE_URL has a host in [ ] that is no IPv6 address"],
    ["postgres://ada:100%@db/chat", "DATABASE_URL has a % that begins no character of UTF-8: write % itself as %25"],
    ["postgres://ada:a%00b@db/chat", "DATABASE_URL has a % that begins no character of UTF-8"],
    ["postgres://ada:a/b@db/chat", "DATABASE_URL has an @ behind its first /: in a user or password write / as %2F"],
    ["postgres://ada@pw@db/chat", "DATABASE_URL has an @ in its user: write a : between user and password"],
    ["postgres://ada@db:pw@db/chat", "DATABASE_URL has an @ in its user"],
    ["postgres://db?user=ada&password=p@w", "DATABASE_URL has an @ behind a name=value: write it as %40 there"],
    ["postgres://ada%3Apw@db/chat", "DATABASE_URL has a : in its user"],
    ["postgres://db/chat?user=ada:pw", "DATABASE_URL has a : in its user"],
    ["postgres://db?ssl-mode=require&password=p@w", "DATABASE_URL has an @ behind a name=value"],
    ["postgres://db:5432?sslmode&pass=p@w", "DATABASE_URL has an @ behind a name=value"],
    ["postgres://db:5432&password=p@w", "DATABASE_URL has an @ behind a name=value"],
    ["postgres://db/chat&user=ada&password=pw", "DATABASE_URL has a name=value in a user, host or database"],
    ["postgres://db;user=ada;password=pw", "DATABASE_URL has a name=value in a user, host or database"],
    ["postgres://db?user=ada;password=pw", "DATABASE_URL has a name=value in a user, host or database"],
    ["postgres://db?search_path=chat;password=pw", "DATABASE_URL has a password in another parameter"],
    ["postgres://ada pw@db/chat", "DATABASE_URL has a space in a user, host or database: write it as %20"],
    ["postgres://db/chat user=ada password=pw", "DATABASE_URL has a space in a user, host or database"],
    ["postgres://host=db user=ada password=pw", "DATABASE_URL has a space in a user, host or database"],
    ["postgres://user=ada password=pw@db/chat", "DATABASE_URL has an @ behind a name=value"],
    ["postgres://ada@db/chat\npw", "DATABASE_URL has a line feed or a tab in it"],
    ["postgres://db/chat?sslmode", "DATABASE_URL has no name=value as parameter 1 behind its ?"],
    ["postgres://db/chat?sslmode=require&port", "DATABASE_URL has no name=value as parameter 2 behind its ?"],
    ["postgres://db/chat?sslmode=", "sslmode in DATABASE_URL must not be empty"],
    ["postgres://db/chat?sslmdoe=require", "DATABASE_URL has a parameter that PostgreSQL does not know"],
    [
      "postgres://db/chat?pgbouncer=true",
      "pgbouncer in DATABASE_URL is not PostgreSQL's: take it out, and set DATABASE_POOLED",
    ],
    ["postgres://db/chat?connect_timeout=soon", "connect_timeout in DATABASE_URL must be a whole number"],
    ["postgres://db/chat?gssencmode=require", "gssencmode in DATABASE_URL insists on GSSAPI"],
    ["postgres://db/chat?channel_binding=yes", "channel_binding in DATABASE_URL must be disable, prefer or require"],
    ["postgres://db/chat?replication=database", "replication in DATABASE_URL is not for Linger"],
    ["postgres://db/chat?require_auth=scram", "require_auth in DATABASE_URL must be a list out of"],
    ["postgres://db/chat?require_auth=md5,!none", "require_auth in DATABASE_URL must be a list out of"],
    ["postgres://db/chat?sslcrl=/crl", "sslcrl in DATABASE_URL is not looked at by Linger"],
    ["postgres://db/chat?requirepeer=postgres", "requirepeer in DATABASE_URL is not looked at by Linger"],
    ["postgres:///chat?host=@abstract", "host in DATABASE_URL must not begin with @"],
  ];
  for (const [url, sentence] of refused) {
    const message = refusal(url);
    assertStringIncludes(message, sentence, url);
    assertFalse(message.includes("\n"), "one sentence");
  }
  assertStringIncludes(refusal("postgres://db", { PGSSLMODE: "nonsense" }), "PGSSLMODE must be disable");
  // What is a slip in a URL can be meant elsewhere.
  const odd = read("postgres://db", { PGUSER: "ada:x", PGDATABASE: "chat x=y" });
  assertEquals([odd.user, odd.database], ["ada:x", "chat x=y"]);
  const nobody = { env: () => undefined, readFile: () => "", osUser: () => undefined };
  assertThrows(() => readAddress("postgres://db", nobody), ConfigError, "DATABASE_URL names no user");
});

Deno.test("A file that may not be read is told with the permission that is missing", () => {
  const forbidden = {
    env: () => undefined,
    readFile: () => {
      throw new Deno.errors.NotCapable();
    },
    osUser: () => "os",
  };
  const { message } = assertThrows(() => readAddress("postgres://db?sslrootcert=/ca", forbidden), ConfigError);
  assertStringIncludes(message, "sslrootcert in DATABASE_URL names a file that Linger has no permission to read");
  assertStringIncludes(message, "DENO_CERT");
  assertStringIncludes(message, "--allow-read");
});

// What a URL that is written wrongly says may be the password, wherever it stands.
const BROKEN: ((secret: string) => string)[] = [
  (secret) => `postgres://user:${secret}@host:5432/db`,
  (secret) => `postgres://user:${secret}@host:notaport/db`,
  (secret) => `postgres://user:${secret}@host/db?sslmode=nonsense`,
  (secret) => `postgres://user:${secret}@host,[::1/db`,
  (secret) => `postgres://user:${secret}:x@host`,
  (secret) => `postgres://:${secret}@host`,
  (secret) => `postgres:/user:${secret}@host/db`,
  (secret) => `postgres://user@${secret}@host/db`,
  (secret) => `postgres://user%3A${secret}@host/db`,
  (secret) => `postgres://user=user password=${secret}@host/db`,
  (secret) => `postgres://host=host user=user password=${secret}`,
  (secret) => `postgres://host/db user=user password=${secret}`,
  (secret) => `postgres://host/db?user=user:${secret}`,
  (secret) => `postgres://host?ssl-mode=require&user=user&password=${secret}@host`,
  (secret) => `postgres://host:5432?ssl-mode=require&password=Ж${secret}@Ж`,
  (secret) => `postgres://host:5432?sslmode&pass=${secret}@Ж`,
  (secret) => `postgres://host:5432?%75ser=user&password=${secret}@Ж`,
  (secret) => `postgres://host:5432&user=user&password=${secret}@Ж`,
  (secret) => `postgres://host:5432;password=${secret}@Ж`,
  (secret) => `postgres://host:5432 password = ${secret}@Ж`,
  (secret) => `postgres://host&user=user&password=${secret}`,
  (secret) => `postgres://host/db;user=user;password=${secret}`,
  (secret) => `postgres://host/db?user=user;password=${secret}`,
  (secret) => `postgres://host/db?host=host;password=${secret}`,
  (secret) => `postgres://user ${secret}@host/db`,
  (secret) => `postgres://user@host/db\nPGPASSWORD=${secret}`,
  (secret) => `postgres://user@host/db\n${secret}`,
  (secret) => `mysql://user:${secret}:x@host`,
  (secret) => `host=host password=${secret} dbname=db`,
  (secret) => `host=host\npassword=${secret}\n`,
  (secret) => `postgres://host/db?user=user&password=${secret}`,
  (secret) => `postgres://host?user=user&password=${secret}`,
  (secret) => `postgres://host:5432?user=user&password=${secret}`,
  (secret) => `postgres://one,two?password=${secret}&user=user`,
  (secret) => `postgres://host/db?password=${secret}&port=x`,
  (secret) => `postgres://host/db?passwrod=${secret}`,
  (secret) => `postgres://user:${secret}@host/db\n\npostgres://user:${secret}@host/db`,
];

Deno.test("No piece of a password gets into what is said about a URL, however broken", () => {
  const secrets = fc.array(
    fc.oneof(
      fc.constantFrom(
        "/",
        "@",
        ":",
        "?",
        "#",
        "%",
        "&",
        "=",
        "[",
        "]",
        ",",
        "+",
        " ",
        "\\",
        "'",
        '"',
        "\n",
        "%40",
        "%2F",
        "12",
      ),
      fc.stringMatching(/^[ЖЩЮ]{1,3}$/),
    ),
    { minLength: 1, maxLength: 12 },
  ).map((parts) => parts.join(""));
  fc.assert(
    fc.property(secrets, fc.constantFrom(...BROKEN), (secret, url) => {
      const said = whatIsSaid(url(secret));
      assertFalse(/[ЖЩЮ]/.test(said), said);
    }),
    { numRuns: 2_000 * Number(Deno.env.get("FUZZ_RUNS") ?? 1) },
  );
});

/** All that is ever said about a URL: why it is refused, or where it leads. */
function whatIsSaid(url: string): string {
  try {
    const config = configOf(url);
    return JSON.stringify(describe(read(config.DATABASE_URL!)));
  } catch (error) {
    assert(error instanceof ConfigError, `${error}`);
    return `${error} ${error.stack} ${error.cause}`;
  }
}

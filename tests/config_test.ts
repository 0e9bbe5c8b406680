// A setting that is read wrongly shows days later; so a value that can't be meant has to stop the start with a sentence.
import { assert, assertEquals, assertFalse, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { Ages } from "../src/chat/ages.ts";
import { ConfigError, describeSettings, readConfig } from "../src/config.ts";

const NUMBERS: Record<string, [min: number, max: number]> = {
  THREADS: [1, 64],
  PORT: [0, 65_535],
  DATABASE_CONNECTIONS: [2, 103],
  READ_CONNECTIONS: [1, 100],
  MAX_WAITERS: [1, 1_000_000],
  MAX_QUEUED_POSTS: [1, 1_000_000],
  MAX_QUEUED_BYTES: [100_000, 1_000_000_000],
  MAX_QUEUED_POSTS_PER_ROOM: [1, 1_000_000],
  PROXY_HOPS: [0, 10],
  POSTS_PER_MINUTE: [0, 1_000_000],
  PLACES_PER_CLIENT: [0, 1_000_000],
  MAX_BATCH_POSTS: [1, 10_000],
  MAX_BATCH_BYTES: [1, 16_000_000],
  MAX_TAIL_MESSAGES: [1, 100_000],
  MAX_TAIL_BYTES: [1, 1_000_000_000],
  MAX_TAILS_BYTES: [1, 100_000_000_000],
  FALLBACK_MS: [50, 60_000],
  FALLBACK_MAX_MS: [50, 600_000],
  FALLBACK_WITHOUT_LISTEN_MS: [50, 60_000],
  HEARTBEAT_MS: [50, 55_000],
  STATEMENT_TIMEOUT_MS: [100, 600_000],
  HISTORY_MAX_AGE: [0, 86_400],
  UPLOAD_TIMEOUT_MS: [100, 600_000],
  DRAIN_MS: [0, 60_000],
};

/** Those that have no default. */
const OPTIONAL = [
  "TOKEN_SECRET",
  "TOKEN_SECRET_PREVIOUS",
  "TOKEN_JWKS_URL",
  "TOKEN_ISSUER",
  "TOKEN_AUDIENCE",
  "ANONYMOUS_READ",
  "ANONYMOUS_WRITE",
  "REVOKED",
  "SIGN_IN_URL",
  "ALLOWED_HOSTS",
  "ALLOWED_ORIGINS",
  "DATABASE_URL_FILE",
  "DATABASE_DIRECT_URL",
  "DATABASE_DIRECT_URL_FILE",
  "TOKEN_SECRET_FILE",
  "TOKEN_SECRET_PREVIOUS_FILE",
];

Deno.test("readConfig() gives the defaults when nothing is set", () => {
  assertEquals<unknown>(read({}), {
    PORT: 8080,
    HOST: "127.0.0.1",
    THREADS: 1,
    DATABASE_URL: undefined,
    DATABASE_POOLED: false,
    DATA_DIR: "./data",
    DATABASE_CONNECTIONS: 6,
    READ_CONNECTIONS: undefined,
    MAX_WAITERS: 15_000,
    MAX_QUEUED_POSTS: 10_000,
    MAX_QUEUED_BYTES: 16_000_000,
    MAX_QUEUED_POSTS_PER_ROOM: 5_000,
    PROXY_HOPS: 0,
    RETENTION: "0",
    POSTS_PER_MINUTE: 300,
    PLACES_PER_CLIENT: 200,
    MAX_BATCH_POSTS: 128,
    MAX_BATCH_BYTES: 256_000,
    MAX_TAIL_MESSAGES: 1_000,
    MAX_TAIL_BYTES: 1_000_000,
    MAX_TAILS_BYTES: 64_000_000,
    FALLBACK_MS: 5_000,
    FALLBACK_MAX_MS: undefined,
    FALLBACK_WITHOUT_LISTEN_MS: 500,
    HEARTBEAT_MS: 15_000,
    STATEMENT_TIMEOUT_MS: 5_000,
    HISTORY_MAX_AGE: 0,
    UPLOAD_TIMEOUT_MS: 20_000,
    DRAIN_MS: 3_000,
    ...Object.fromEntries(OPTIONAL.map((name) => [name, undefined])),
    onDeploy: false,
  });
});

Deno.test("readConfig() counts an empty value as not set", () => {
  const empty = Object.fromEntries(describeSettings().map(({ name }) => [name, ""]));
  assertEquals(read(empty), read({}));
});

Deno.test("readConfig() takes every number from its least to its greatest", () => {
  for (const [name, bounds] of Object.entries(NUMBERS)) {
    for (const value of bounds) assertEquals<unknown>({ ...read({ [name]: `${value}` }) }[name], value);
  }
});

Deno.test("readConfig() names the variable, its value and what is allowed, in one sentence, for every bad number", () => {
  for (const [name, [min, max]] of Object.entries(NUMBERS)) {
    const allowed = `must be a whole number from ${min} to ${max}`;
    for (
      const value of [
        `${min - 1}`,
        `${max + 1}`,
        "many",
        "1.5",
        "1e3",
        " 10",
        "10 ",
        "0x10",
        "10ms",
        "1".repeat(40),
      ]
    ) {
      const error = assertThrows(() => read({ [name]: value }), ConfigError);
      assertEquals(error.message, `${name}=${value} ${allowed}`);
    }
  }
});

Deno.test("readConfig() takes days for RETENTION, for all rooms and for some, and refuses what can't be meant", () => {
  for (const value of ["0", "365", "365,news.*:7,archive:0", "news:7", "0, a:1", "36500", "*:30"]) {
    assertEquals(read({ RETENTION: value }).RETENTION, value);
  }
  const bad = [
    "-1",
    "1.5",
    "a year",
    "36501",
    "365,",
    ",",
    "7:news",
    "news:",
    "news.*",
    ":7",
    "a b:7",
    "n*ws:7",
    "365,30",
    "*:1,2",
  ];
  for (const value of [...bad, "a:1,a:2"]) {
    const error = assertThrows(() => read({ RETENTION: value }), ConfigError);
    assertEquals(
      error.message,
      `RETENTION=${value} must be days from 0 to 36500, and for rooms, or beginnings of rooms with * at the end, others, ` +
        "such as 365,news.*:7,archive:0",
    );
  }
});

Deno.test("RETENTION counts for a room by the longest name that fits it", () => {
  const ages = new Ages("365,news.*:7,news.archive:0,n*:1,news.archive*:2");
  const days = ["lobby", "news.de", "news.archive", "news.archives", "nine", "news"].map((room) => {
    const ms = ages.of(room);
    return ms === undefined ? undefined : ms / 86_400_000;
  });
  assertEquals(days, [365, 7, undefined, 2, 1, 1]);
  assertEquals(new Ages("a:7").of("b"), undefined);
  assertEquals(["0", "0,a:0", "0,a:1"].map((text) => new Ages(text).unlimited), [true, true, false]);
});

Deno.test("readConfig() refuses a DATABASE_URL that is not one of PostgreSQL, and says what is", () => {
  for (
    const url of [
      "postgres",
      "postgres:/db",
      "mysql://db/linger",
      "http://db",
      " postgres://db",
      "postgresqls://db",
    ]
  ) {
    const error = assertThrows(() => read({ DATABASE_URL: url }), ConfigError);
    assertMatch(
      error.message,
      /^DATABASE_URL must be a URL that begins with postgres:\/\/ or postgresql:\/\/, such as /,
    );
  }
  for (const url of ["postgres://", "postgres://db/linger", "postgresql://me:secret@db:5432/linger?sslmode=require"]) {
    assertEquals(read({ DATABASE_URL: url }).DATABASE_URL, url);
  }
});

Deno.test("readConfig() takes true and false for DATABASE_POOLED, and nothing else", () => {
  assertEquals(read({ DATABASE_POOLED: "true" }).DATABASE_POOLED, true);
  assertEquals(read({ DATABASE_POOLED: "false" }).DATABASE_POOLED, false);
  for (const value of ["yes", "1", "TRUE", "on"]) {
    const error = assertThrows(() => read({ DATABASE_POOLED: value }), ConfigError);
    assertEquals(error.message, `DATABASE_POOLED=${value} must be true or false`);
  }
});

Deno.test("readConfig() says everything that is wrong at once, a line for each setting", () => {
  const error = assertThrows(() => read({ PORT: "http", MAX_WAITERS: "0", HOST: "::" }), ConfigError);
  assertEquals(error.message.split("\n"), [
    "PORT=http must be a whole number from 0 to 65535",
    "MAX_WAITERS=0 must be a whole number from 1 to 1000000",
  ]);
});

Deno.test("readConfig() knows Deno Deploy by either of its variables", () => {
  assert(read({ DENO_DEPLOY: "1" }).onDeploy);
  assert(read({ DENO_DEPLOYMENT_ID: "abc" }).onDeploy);
  assertFalse(read({ DENO_DEPLOY: "" }).onDeploy);
});

Deno.test("readConfig() takes few connections and statements on Deno Deploy, and what is set there as anywhere", () => {
  const budget = (env: Record<string, string>) => {
    const { DATABASE_CONNECTIONS, FALLBACK_MAX_MS } = read({ DENO_DEPLOY: "1", ...env });
    return [DATABASE_CONNECTIONS, FALLBACK_MAX_MS];
  };
  assertEquals(budget({}), [3, 60_000]);
  assertEquals(budget({ DATABASE_CONNECTIONS: "2", FALLBACK_MAX_MS: "5000" }), [2, 5_000]);
});

Deno.test("readConfig() takes READ_CONNECTIONS for three connections more, and not beside DATABASE_CONNECTIONS", () => {
  for (const where of [{}, { DENO_DEPLOY: "1" }] as Record<string, string>[]) {
    assertEquals(read({ ...where, READ_CONNECTIONS: "1" }).DATABASE_CONNECTIONS, 4);
    assertEquals(read({ ...where, READ_CONNECTIONS: "100" }).DATABASE_CONNECTIONS, 103);
    assertThrows(
      () => read({ ...where, READ_CONNECTIONS: "3", DATABASE_CONNECTIONS: "6" }),
      ConfigError,
      "READ_CONNECTIONS has no meaning beside DATABASE_CONNECTIONS: leave it out",
    );
  }
});

Deno.test("readConfig() listens to all on Deno Deploy, and gives signs of life before an instance counts as idle", () => {
  for (const deploy of [{ DENO_DEPLOY: "1" }, { DENO_DEPLOYMENT_ID: "abc" }] as Record<string, string>[]) {
    const { HOST, HEARTBEAT_MS } = read(deploy);
    assertEquals([HOST, HEARTBEAT_MS], ["0.0.0.0", 4_000]);
    const set = read({ ...deploy, HOST: "::1", HEARTBEAT_MS: "2000" });
    assertEquals([set.HOST, set.HEARTBEAT_MS], ["::1", 2_000]);
  }
});

Deno.test("readConfig() refuses threads on Deno Deploy", () => {
  assertEquals(read({ THREADS: "2" }).THREADS, 2);
  assertThrows(() => read({ THREADS: "2", DENO_DEPLOY: "1" }), ConfigError, "THREADS=2 must be 1 on Deno Deploy");
});

Deno.test("readConfig() reads no variable but its own", () => {
  const asked = new Set<string>();
  readConfig({ get: (name) => (asked.add(name), undefined) });
  const own = describeSettings().map(({ name }) => name);
  assertEquals(asked.difference(new Set(own)), new Set(["DENO_DEPLOY", "DENO_DEPLOYMENT_ID"]));
});

Deno.test("describeSettings() says of every setting what it is, and its default", () => {
  const described = describeSettings();
  const defaults: Record<string, unknown> = read({});
  for (const { name, default: otherwise, description } of described) {
    assertEquals(otherwise, defaults[name]?.toString(), name);
    assert(description.length > 0, name);
  }
  const names = described.map(({ name }) => name);
  assertEquals(
    new Set(names),
    new Set([...Object.keys(NUMBERS), ...OPTIONAL, "HOST", "DATABASE_URL", "DATABASE_POOLED", "DATA_DIR", "RETENTION"]),
  );
});

const LONG = "x".repeat(32);

Deno.test("readConfig() refuses what would leave a server open, or closed to all, that was not meant to be", () => {
  const refused: [Record<string, string>, string][] = [
    [{ TOKEN_SECRET: "x".repeat(31) }, "TOKEN_SECRET must have 32 bytes or more"],
    [{ TOKEN_SECRET: LONG, TOKEN_SECRET_PREVIOUS: "short" }, "TOKEN_SECRET_PREVIOUS must have 32 bytes or more"],
    [{ TOKEN_SECRET_PREVIOUS: LONG }, "TOKEN_SECRET_PREVIOUS has no meaning without TOKEN_SECRET"],
    [{ TOKEN_JWKS_URL: "https://idp.example/keys" }, "TOKEN_JWKS_URL takes TOKEN_ISSUER and TOKEN_AUDIENCE too"],
    [
      { TOKEN_JWKS_URL: "https://idp.example/keys", TOKEN_ISSUER: "i" },
      "TOKEN_JWKS_URL takes TOKEN_ISSUER and TOKEN_AUDIENCE too",
    ],
    [
      { TOKEN_JWKS_URL: "http://idp.example/keys", TOKEN_ISSUER: "i", TOKEN_AUDIENCE: "a" },
      "must be a URL that begins with https://",
    ],
    [
      { TOKEN_JWKS_URL: "http://127.example.com/keys", TOKEN_ISSUER: "i", TOKEN_AUDIENCE: "a" },
      "must be a URL that begins with https://",
    ],
    [
      { TOKEN_JWKS_URL: "https://idp.example/keys", TOKEN_ISSUER: "i", TOKEN_AUDIENCE: "a", TOKEN_SECRET: LONG },
      "TOKEN_SECRET and TOKEN_JWKS_URL can't be set together",
    ],
    [{ ANONYMOUS_READ: "*" }, "ANONYMOUS_READ has no meaning without TOKEN_SECRET or TOKEN_JWKS_URL"],
    [{ TOKEN_SECRET: LONG, ANONYMOUS_WRITE: "a b" }, "ANONYMOUS_WRITE=a b must be rooms separated by commas"],
    [{ TOKEN_SECRET: LONG, ANONYMOUS_READ: "*a" }, "ANONYMOUS_READ=*a must be rooms separated by commas"],
    [{ ALLOWED_HOSTS: "https://chat.example" }, "must be names separated by commas"],
    [{ ALLOWED_HOSTS: "chat.example:443" }, "ALLOWED_HOSTS=chat.example:443 must be names separated by commas"],
    [{ ALLOWED_HOSTS: "," }, "ALLOWED_HOSTS=, must be names separated by commas"],
    [{ ALLOWED_ORIGINS: "chat.example" }, "ALLOWED_ORIGINS=chat.example must be * or origins"],
    [{ ALLOWED_ORIGINS: "https://chat.example/" }, "must be * or origins"],
    [{ ALLOWED_ORIGINS: "null" }, "ALLOWED_ORIGINS=null must be * or origins"],
    [{ DATABASE_DIRECT_URL: "postgres://db" }, "DATABASE_DIRECT_URL has no meaning without DATABASE_URL"],
    [
      { DATABASE_URL: "postgres://db", DATABASE_DIRECT_URL: `mysql://me:${LONG}@db` },
      "DATABASE_DIRECT_URL must be a URL that begins with postgres://",
    ],
    [{ TOKEN_SECRET_FILE: "/nowhere/secret" }, "TOKEN_SECRET_FILE must be the path of a file that can be read"],
  ];
  for (const [variables, sentence] of refused) {
    const { message } = assertThrows(() => read(variables), ConfigError);
    assertStringIncludes(message, sentence);
    assertFalse(message.includes(LONG), "a secret is told");
  }
  for (const host of ["localhost", "127.0.0.1:8080", "127.1", "[::1]"]) { // where nobody is in between
    const TOKEN_JWKS_URL = `http://${host}/keys`;
    assertEquals(read({ TOKEN_JWKS_URL, TOKEN_ISSUER: "i", TOKEN_AUDIENCE: "a" }).TOKEN_JWKS_URL, TOKEN_JWKS_URL);
  }
});

Deno.test("readConfig() takes secrets from files, without the line's end, and a variable before its file", async () => {
  const file = await Deno.makeTempFile();
  await Deno.writeTextFile(file, `${LONG}\n`);
  assertEquals(read({ TOKEN_SECRET_FILE: file }).TOKEN_SECRET, LONG);
  assertEquals(read({ TOKEN_SECRET_FILE: file, TOKEN_SECRET: `${LONG}y` }).TOKEN_SECRET, `${LONG}y`);
  await Deno.writeTextFile(file, "postgres://me:secret@host/db\n");
  assertEquals(read({ DATABASE_URL_FILE: file }).DATABASE_URL, "postgres://me:secret@host/db");
  assertEquals(
    read({ DATABASE_URL: "postgres://db", DATABASE_DIRECT_URL_FILE: file }).DATABASE_DIRECT_URL,
    "postgres://me:secret@host/db",
  );
  await Deno.writeTextFile(file, "mysql://me:secret@host/db");
  const { message } = assertThrows(() => read({ DATABASE_URL_FILE: file }), ConfigError);
  assertFalse(message.includes("secret"));
  await Deno.remove(file);
});

Deno.test("What stands where a file should be named may be the secret itself, and is not told", () => {
  const why = (variables: Record<string, string>) => {
    const { message, cause } = assertThrows(() => read(variables), ConfigError);
    for (const value of Object.values(variables)) assertFalse(message.includes(value), "it is told");
    assertEquals(cause, undefined);
    return message;
  };
  const none = (name: string) => `${name} must be the path of a file that can be read, and there is no such file`;
  for (const value of [LONG, `/${LONG}`, `./${LONG}`]) {
    for (const name of ["TOKEN_SECRET_FILE", "TOKEN_SECRET_PREVIOUS_FILE"]) {
      assertEquals(why({ [name]: value }), none(name));
    }
  }
  for (const name of ["DATABASE_URL_FILE", "DATABASE_DIRECT_URL_FILE"]) {
    assertEquals(why({ [name]: "postgres://linger:s3cret@db/chat" }), none(name));
  }
  const tooLong = why({ TOKEN_SECRET_FILE: LONG.repeat(100) });
  assertEquals(tooLong, "TOKEN_SECRET_FILE must be the path of a file that can be read");
  const folder = why({ TOKEN_SECRET_FILE: Deno.cwd() });
  assertEquals(folder, "TOKEN_SECRET_FILE must be the path of a file that can be read, and that is a folder");
});

function read(variables: Record<string, string>) {
  return readConfig({ get: (name) => variables[name] });
}

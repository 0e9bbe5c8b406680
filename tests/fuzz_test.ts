// Requests that nobody would think of, as bytes on a socket, in pieces: made by chance, and made smaller until they say
// what is wrong. Whatever comes in, each request is answered or its connection ends, the server stays well, and the
// table holds what was acknowledged, no less and no more.
//
// A failure prints its seed; FUZZ_SEED runs it again, FUZZ_RUNS=50 tries 50 times as much.
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Buffer } from "node:buffer";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import fc from "fast-check";
import type postgres from "postgres";
import { uuidToULID } from "ulid";
import { health, type Message, messages, PATIENCE_MS, type ProblemDetails, until } from "./support/client.ts";
import { testPostgres } from "./support/postgres.ts";
import { startServer, type TestServer } from "./support/server.ts";

const NIL = "00000000-0000-0000-0000-000000000000";
const ULID = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

const postgresServer = await testPostgres();

/**
 * Takes all messages out of the database, and out of the server's memory, where a room stays for some seconds after its last reader: a
 * look finds out that they are gone. It finds out by the newest one; and that of a client who has left can come while the others go.
 */
async function forgetMessages(server: TestServer, sql: postgres.Sql): Promise<void> {
  for (let some = true; some;) {
    const rooms = await sql<
      { room: string }[]
    >`with gone as (delete from messages returning room) select distinct room from gone`;
    await Promise.all(rooms.map(({ room }) => messages(server, room, "wait=0&limit=1000")));
    some = rooms.length > 0;
  }
}

/** A property of a server on a database of its own, which must be as well at the end as at the beginning. */
function property<T>(
  name: string,
  runs: number,
  input: fc.Arbitrary<T>,
  holds: (server: TestServer, sql: postgres.Sql, value: T) => Promise<void>,
) {
  Deno.test(name, async () => {
    await using database = await postgresServer.create();
    await using server = await startServer(database.url);
    const { sql } = database;
    const checked = fc.asyncProperty(input, async (value) => {
      await forgetMessages(server, sql);
      await holds(server, sql, value);
      await until(
        () => server.chat.state.waiters === 0 && server.chat.state.feeds === 0,
        "nobody waits any more",
      );
    });
    const seed = Deno.env.get("FUZZ_SEED");
    await fc.assert(checked, {
      numRuns: runs * Number(Deno.env.get("FUZZ_RUNS") ?? 1),
      ...seed && { seed: Number(seed) },
    });
    const { waiters, feeds } = await health(server);
    assertEquals({ waiters, feeds }, { waiters: 0, feeds: 0 });
  });
}

// What is sent. Bytes are written as text here, one character from U+0000 to U+00FF for each, so that a failure can be
// read as it is printed.

/** One request. */
interface Request {
  /** Its bytes. */
  readonly bytes: string;
  readonly method: string;
  /** Its body as the framing delimits it; undefined for a request that never ends. */
  readonly body: string | undefined;
  /** The room, where it is plain from the path. */
  readonly room?: string;
  /** Whether there is nothing wrong with how it is written, so that there must be an answer. */
  readonly plain: boolean;
  /** Whether the connection ends after it. */
  readonly last: boolean;
  /** Whether it must be stored. */
  readonly valid?: boolean;
}

/** Requests that share a connection. */
interface Conversation {
  readonly requests: readonly Request[];
  /** Where the bytes are cut into pieces, and how many milliseconds pass before the next. */
  readonly cuts: readonly (readonly [at: number, pause: number])[];
  /** After how many bytes the client leaves without reading, if it does. */
  readonly leaves: number | null;
}

const utf8 = (text: string) => Buffer.from(text).toString("latin1");

const oddPiece = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom("a", "Z", "0", "~", "_", "-", ".", "..", "lobby", "messages", "rooms") },
  fc.constantFrom("/", "//", "%2F", "%2f", "%2e", "%2E%2e", "%", "%zz", "%2", "%00", "%0d%0a", "%ff", "%c3%a9", "%25"),
  fc.constantFrom(
    "+",
    "%20",
    ":",
    ";",
    "@",
    "!",
    "$",
    "'",
    "(",
    ")",
    "*",
    ",",
    "&",
    "=",
    "[",
    "]",
    "\\",
    "|",
    "^",
    "{",
  ),
  fc.constantFrom(
    "%ed%a0%80",
    "%f0%9f%91%8b",
    "%ef%bb%bf",
    utf8("é"),
    utf8("👋"),
    "\xff",
    "\x80",
    '"',
    "<",
    "`",
    "\x7f",
  ),
  { weight: 2, arbitrary: fc.string({ unit: "binary", maxLength: 4 }).map(encodeURIComponent) },
);
const odd = fc.array(oddPiece, { maxLength: 6 }).map((pieces) => pieces.join(""));
const long = fc.constantFrom(200, 2_000, 8_000, 70_000).map((length) => "a".repeat(length));

const ROOMS = ["lobby", "tea", "...", "~._-", "r".repeat(64)];
const room = fc.constantFrom("tea", "tea", ...ROOMS);
const segment = fc.oneof(
  { weight: 6, arbitrary: room },
  { weight: 3, arbitrary: odd },
  fc.constantFrom(".", "..", "%2e", "%2e%2e", "", "r".repeat(65), "%74ea", "tea%20", "Tea", "t%C3%A9a", "__proto__"),
);

/** Letters and digits that are those of a cursor only after a change of case. */
const nearlyCursors = ["ſ", "ß", "ﬀ", "ﬆ", "ı", "\u212a", "٠", "０"].flatMap((letter) => [
  ULID.slice(0, 25) + letter,
  ULID.slice(0, 24) + letter,
  NIL.slice(0, 35) + letter,
]);
const cursorText = fc.oneof(
  fc.constantFrom(
    "now",
    "NOW",
    NIL,
    ULID,
    ULID.toLowerCase(),
    `8${ULID.slice(1)}`,
    "f".repeat(26),
    "7" + "Z".repeat(25),
  ),
  fc.constantFrom(...nearlyCursors).map(encodeURIComponent),
  fc.uuid(),
  fc.uuid().map((id) => id.toUpperCase()),
  fc.uuid().map((id) => uuidToULID(id)),
  fc.integer({ min: -90_000, max: 90_000 }).map((ms) => idAt(Date.now() + ms)),
  odd,
);
const number = fc.oneof(
  fc.constantFrom(
    "0",
    "1",
    "2",
    "999",
    "1000",
    "1001",
    "55",
    "56",
    "-0",
    "-1",
    "+1",
    "%2B1",
    "01",
    "1.0",
    "1e2",
    "0x1",
  ),
  fc.constantFrom("", " 1", "%201", "1%20", "%31", "NaN", "Infinity", "9".repeat(9), "9".repeat(10), "9".repeat(400)),
  fc.constantFrom(encodeURIComponent("١"), encodeURIComponent("１"), "1%00", "1%", "null", "true"),
);
const parameter = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(fc.constantFrom("after", "before"), cursorText) },
  { weight: 4, arbitrary: fc.tuple(fc.constant("limit"), number) },
  fc.tuple(fc.constantFrom("wait", "w%61it", "Wait", "wait%00", "wait[]"), number),
  fc.tuple(fc.constantFrom("__proto__", "constructor", "length", "toString", "hasOwnProperty", ""), number),
  fc.tuple(odd, odd),
).chain(([name, value]) => fc.constantFrom(`${name}=${value}`, `${name}=${value}`, name, `${name}==${value}`));
const query = fc.record({
  wait: fc.oneof({ weight: 99, arbitrary: fc.constant("wait=0") }, fc.constant("wait=1")),
  others: fc.array(parameter, { maxLength: 3 }),
  end: fc.oneof({ weight: 20, arbitrary: fc.constant("") }, fc.constantFrom("&", "&&", "#", "#&after=x", "?", "%")),
}).map(({ wait, others, end }) => `?${[wait, ...others].join("&")}${end}`);

/** What a request asks for. All that could wait say how long, so that the test does not. */
const target = fc.oneof<fc.MaybeWeightedArbitrary<{ path: string; room?: string }>[]>(
  { weight: 6, arbitrary: room.map((room) => ({ path: `/rooms/${room}/messages`, room })) },
  { weight: 3, arbitrary: segment.map((room) => ({ path: `/rooms/${room}/messages` })) },
  { weight: 2, arbitrary: fc.constant({ path: "/messages", room: "lobby" }) },
  {
    weight: 3,
    arbitrary: fc.tuple(segment, cursorText).map(([room, id]) => ({ path: `/rooms/${room}/messages/${id}` })),
  },
  cursorText.map((id) => ({ path: `/messages/${id}` })),
  fc.constantFrom(
    "/",
    "/healthz",
    "/readyz",
    "/rooms",
    "/rooms/tea",
    "//messages",
    "/messages/",
    "/rooms/tea/messages/",
  )
    .map((path) => ({ path })),
  odd.map((path) => ({ path: `/${path}` })),
  long.map((path) => ({ path: `/rooms/${path}/messages` })),
);

const method = fc.oneof(
  { weight: 8, arbitrary: fc.constant("GET") },
  { weight: 8, arbitrary: fc.constant("POST") },
  { weight: 2, arbitrary: fc.constant("HEAD") },
  fc.constantFrom(
    "OPTIONS",
    "PUT",
    "DELETE",
    "PATCH",
    "TRACE",
    "QUERY",
    "get",
    "post",
    "PoSt",
    "head",
    "BREW",
    "!#$",
    "ALL",
  ),
);

const legalBytes = fc.array(fc.integer({ min: 0x20, max: 0xff }).filter((byte) => byte !== 0x7f), { maxLength: 30 })
  .map((bytes) => String.fromCharCode(...bytes).trim());
const key = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom("k1", "k2", "a b", "a,b", "k".repeat(255)) },
  fc.constantFrom("k".repeat(256), "", "\t", utf8("é"), "a\tb", "'; drop table messages; --", "\\", '"', "{}", "null"),
  legalBytes,
);
const JSON_TYPES = [
  "application/json",
  "Application/JSON",
  "application/json;charset=utf-8",
  'application/json ; charset = "UTF-8"',
  "application/json; charset=UTF-8",
];
const contentType = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...JSON_TYPES) },
  fc.constantFrom("text/plain", "", "application/json;", "application/json; charset=latin1", "application/jsonp"),
  legalBytes,
);
const header = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(fc.constantFrom("Idempotency-Key", "idempotency-key"), key) },
  { weight: 2, arbitrary: fc.tuple(fc.constantFrom("X-Request-Id", "x-request-id"), fc.oneof(legalBytes, long)) },
  fc.tuple(
    fc.constantFrom("Accept-Encoding"),
    fc.constantFrom("gzip", "br", "gzip, br;q=0.1", "*", "identity;q=0", "zstd"),
  ),
  fc.tuple(
    fc.constant("Prefer"),
    fc.oneof(
      fc.constantFrom("wait=0", 'wait="1"', "wait", "wait=", "wait=-1", "respond-async, wait=9", ";", ",,"),
      legalBytes,
    ),
  ),
  fc.tuple(fc.constantFrom("Last-Event-ID", "Range", "If-None-Match", "Origin", "Cookie", "Accept", "Te"), legalBytes),
  fc.tuple(
    fc.constantFrom("X-Forwarded-For", "X!#$%&'*+-.^_`|~9", "__proto__", "constructor", "A".repeat(500)),
    legalBytes,
  ),
  fc.constant(["Expect", "100-continue"]),
).map(([name, value]) => `${name}: ${value}\r\n`);
const headers = fc.array(header, { maxLength: 4 }).map((lines) => lines.join(""));

const scalar = fc.string({ unit: "binary", maxLength: 40 });
/** Texts that are a message, up to its longest. */
const validBody = fc.oneof(
  scalar.map((text) => text.replaceAll("\0", "") || "."),
  fc.constantFrom(
    "\ufeff",
    "\ufeffx\ufeff",
    "\u2028\u2029",
    "\uffff",
    "null",
    "{}",
    '"',
    "\\",
    "\\x",
    "\x7f\x80",
    "e\u0301",
    " ",
    "\r\n",
  ),
  fc.constantFrom(...["a", "é", "世", "👋", "\u0001", '"', "\\", "/"]).chain((character) =>
    fc.integer({ min: 0, max: 3 }).map((less) =>
      character.repeat(Math.floor((10_000 - less) / Buffer.byteLength(character)))
    )
  ),
);
const validAuthor = fc.oneof(
  scalar.map((text) => [...text.replaceAll("\0", "")].slice(0, 25).join("")),
  fc.constantFrom(null, undefined, "", "a".repeat(100), "é".repeat(50)),
);
const anyText = fc.oneof<fc.MaybeWeightedArbitrary<unknown>[]>(
  { weight: 3, arbitrary: validBody },
  fc.constantFrom("", "\0", "a\0b", "\ud800", "\udc00\ud800", "a\udfff", "a".repeat(10_001), "é".repeat(5_001)),
  fc.constantFrom(null, 1, true, [], {}, ["a"], { body: "a" }),
);
const anyMessage = fc.oneof<fc.MaybeWeightedArbitrary<unknown>[]>(
  { weight: 6, arbitrary: fc.record({ body: anyText, author: fc.oneof(validAuthor, anyText) }) },
  fc.record({ body: validBody, id: fc.constant(NIL), room: room, key: fc.constant("x"), constructor: scalar }),
  fc.jsonValue(),
);

/** JSON that says the same, written in one of many ways. */
const writtenAs = fc.constantFrom<((text: string) => string)[]>(
  (text) => text,
  escaped,
  (text) => escaped(text).replace(/\\u..../g, (escape) => `\\u${escape.slice(2).toUpperCase()}`),
  (text) => `\r\n\t ${text} \n`,
  (text) => `\ufeff${text}`,
  (text) => text.replace(/^\{/, '{"more": {"body": [1, 2.5e-7]}, "body": "another", '),
  (text) => text + " ".repeat(Math.max(0, 65_536 - Buffer.byteLength(text))),
).map((write) => (text: string) => {
  const written = write(text);
  return Buffer.byteLength(written) <= 65_536 ? written : text;
});
const json = (value: fc.Arbitrary<unknown>) =>
  fc.tuple(value, writtenAs).map(([value, write]) => utf8(write(JSON.stringify(value) ?? "")));
const anyBody = fc.oneof(
  { weight: 8, arbitrary: json(anyMessage) },
  fc.tuple(json(anyMessage), fc.nat()).map(([text, at]) => text.slice(0, at % (text.length + 1))),
  fc.tuple(
    json(anyMessage),
    fc.nat(),
    fc.constantFrom("\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\0", "}"),
  )
    .map(([text, at, bytes]) => text.slice(0, at % (text.length + 1)) + bytes + text.slice(at % (text.length + 1))),
  fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
  json(anyMessage).map((text) => text + " ".repeat(65_537)),
  fc.constantFrom("", " ", "[".repeat(30_000), '{"a":'.repeat(10_000), '{"body":"a"}{"body":"b"}', "\xff\xfe{\0}\0"),
  fc.constantFrom("x".repeat(65_536), "x".repeat(65_537), "x".repeat(300_000), '{"body":"\\u12"}', '{"body":1e999}'),
);

/** A body's headers and bytes, and what of it the server is to take for the body. */
interface Framed {
  readonly head: string;
  readonly bytes: string;
  readonly body: string | undefined;
  readonly plain: boolean;
}

const chunkSizes = fc.array(fc.integer({ min: 1, max: 20_000 }), { maxLength: 6 });
const rightly = (body: string): fc.Arbitrary<Framed> =>
  fc.oneof<fc.Arbitrary<Framed>[]>(
    fc.constant({ head: `Content-Length: ${body.length}\r\n`, bytes: body, body, plain: true }),
    chunkSizes.map((sizes) => ({
      head: "Transfer-Encoding: chunked\r\n",
      bytes: chunked(body, sizes),
      body,
      plain: true,
    })),
  );
const wrongly = (body: string): fc.Arbitrary<Framed> =>
  fc.oneof<fc.Arbitrary<Framed>[]>(
    fc.integer({ min: 1, max: 5 }).map((more) => ({
      head: `Content-Length: ${body.length + more}\r\n`,
      bytes: body,
      body: undefined,
      plain: false,
    })),
    fc.integer({ min: 1, max: 5 }).map((less) => ({
      head: `Content-Length: ${Math.max(0, body.length - less)}\r\n`,
      bytes: body,
      body: body.slice(0, Math.max(0, body.length - less)),
      plain: false,
    })),
    fc.tuple(chunkSizes, fc.integer({ min: 1, max: 9 })).map(([sizes, less]) => ({
      head: "Transfer-Encoding: chunked\r\n",
      bytes: chunked(body, sizes).slice(0, -less),
      body: undefined,
      plain: false,
    })),
    chunkSizes.map((sizes) => ({
      head: `Content-Length: ${body.length + 1}\r\nTransfer-Encoding: chunked\r\n`,
      bytes: chunked(body, sizes),
      body,
      plain: false,
    })),
    fc.constantFrom("-1", "+1", "1, 1", "x", "1 1", "9".repeat(30), "0x5", "").map((length) => ({
      head: `Content-Length: ${length}\r\n`,
      bytes: body,
      body: undefined,
      plain: false,
    })),
    fc.constantFrom("gzip, chunked", "chunked, chunked", "identity", "xchunked", "chunked, gzip").map((coding) => ({
      // What it knows of these is its own affair: it answers, and takes the chunks for the body or nothing.
      head: `Transfer-Encoding: ${coding}\r\n`,
      bytes: chunked(body, []),
      body,
      plain: false,
    })),
    fc.constant({ head: "Content-Length: 2\r\nContent-Length: 3\r\n", bytes: body, body: undefined, plain: false }),
    fc.constant({ head: "", bytes: body, body: "", plain: body === "" }),
  );
const nothing: Framed = { head: "", bytes: "", body: "", plain: true };

const anyRequest: fc.Arbitrary<Request> = fc.record({
  method,
  target,
  query: fc.oneof({ weight: 9, arbitrary: query }, fc.constant("?wait=0")),
  version: fc.oneof(
    { weight: 20, arbitrary: fc.constant("HTTP/1.1") },
    fc.constantFrom("HTTP/1.0", "HTTP/1.2", "HTTP/2.0"),
  ),
  form: fc.oneof(
    { weight: 20, arbitrary: fc.constant("") },
    fc.constantFrom("http://127.0.0.1", "HTTP://a:1", "ftp://x"),
  ),
  host: fc.oneof(
    { weight: 20, arbitrary: fc.constant("Host: 127.0.0.1\r\n") },
    fc.constantFrom(
      "127.0.0.1:99999",
      "[::1",
      "[::1]:80",
      "a@b",
      "/",
      "",
      "a b",
      "é.example",
      "a/b",
      "a?b",
      "a/messages?x=",
      "%",
      "*",
      "a#b",
    )
      .map((host) => `Host: ${utf8(host)}\r\n`),
    fc.constantFrom("", "Host: a\r\nHost: b\r\n"),
  ),
  contentType: fc.option(contentType, { freq: 5 }),
  headers,
  many: fc.oneof({ weight: 40, arbitrary: fc.constant(0) }, fc.constantFrom(50, 200)),
  last: fc.oneof(
    { weight: 5, arbitrary: fc.constant("") },
    fc.constantFrom("close", "keep-alive", "Upgrade", "TE, close"),
  ),
  framed: fc.oneof(
    { weight: 6, arbitrary: anyBody.chain(rightly) },
    { weight: 2, arbitrary: anyBody.chain(wrongly) },
  ),
  bodyless: fc.boolean(),
}).map(({ method, target, query, version, form, host, contentType, headers, many, last, framed, bodyless }) => {
  const { head, bytes, body, plain } = /^post$/i.test(method) || !bodyless ? framed : nothing;
  const connection = last === "" ? "" : `Connection: ${last}\r\n${last === "Upgrade" ? "Upgrade: websocket\r\n" : ""}`;
  return {
    bytes: `${method} ${form}${target.path}${query} ${version}\r\n${host}` +
      (contentType === null ? "" : `Content-Type: ${contentType}\r\n`) +
      headers + "X-Many: 1\r\n".repeat(many) + connection + head + "\r\n" + bytes,
    method,
    body,
    ...target.room !== undefined && { room: target.room },
    plain: plain && version === "HTTP/1.1" && form === "" && host === "Host: 127.0.0.1\r\n" && many === 0 &&
      last !== "Upgrade" && /^[\x21-\x7e]+$/.test(target.path + query) && target.path.length < 3_000 &&
      headers.length < 9_000 && !headers.includes("Expect"),
    last: last.includes("close"),
  };
});

/** Posts in which nothing is wrong but for `body` or the way it is `framed`. */
const posting = (
  body: fc.Arbitrary<string>,
  key: fc.Arbitrary<string>,
  framed: (body: string) => fc.Arbitrary<Framed>,
  valid: boolean,
): fc.Arbitrary<Request> =>
  fc.record({
    room,
    framed: body.chain(framed),
    contentType: fc.constantFrom(...JSON_TYPES),
    key: fc.option(key),
    query: fc.constantFrom("", "?", "?after=x&limit=0"),
  }).map(({ room, framed: { head, bytes, body, plain }, contentType, key, query }) => ({
    bytes: `POST /rooms/${room}/messages${query} HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${contentType}\r\n` +
      (key === null ? "" : `Idempotency-Key: ${key}\r\n`) + head + "\r\n" + bytes,
    method: "POST",
    body,
    room,
    plain,
    last: false,
    valid,
  }));
const validJson = json(fc.record({ body: validBody, author: validAuthor }));
const validKey = fc.oneof(
  fc.constantFrom("k1", "k2", "k".repeat(255)),
  fc.string({ minLength: 1, maxLength: 255 }).filter((key) => key.trim() !== ""),
);
const validPost = posting(validJson, validKey, rightly, true);
const oddPost = posting(anyBody, key, rightly, false);
const brokenPost = posting(validJson, validKey, wrongly, false);

const garbage: fc.Arbitrary<Request> = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
  fc.constantFrom(
    "GET /messages?wait=0\r\n\r\n",
    "GET  /messages?wait=0 HTTP/1.1\r\n\r\n",
    "GET /messages?wait=0 HTTP/1.1\nHost: x\n\n",
    "GET /messages?wait=0 HTTP/1.1\r\nHost : x\r\n\r\n",
    "GET /messages?wait=0 HTTP/1.1\r\nHost: localhost\r\n folded\r\n\r\n",
    "GET /messages?wait=0 HTTP/1.1\r\nHost: localhost\r\nA: \0\r\n\r\n",
    "GET /messages?wait=0 HTTP/1.1\r\n: x\r\n\r\n",
    "GET /messages?wait=0 HTTP/9.9\r\nHost: localhost\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "POST * HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
    "CONNECT x:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n",
    "CONNECT /messages HTTP/1.1\r\nHost: localhost:80\r\n\r\n",
    "GET http:// HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET http://:0/messages?wait=0 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET messages?wait=0 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET ?wait=0 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "\r\n\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
  ),
).map((bytes) => ({ bytes, method: "", body: undefined, plain: false, last: true }));

/** A poll that would wait for long, whose client leaves. */
const deserted: fc.Arbitrary<Conversation> = fc.record({ room, after: fc.constantFrom("now", NIL), at: fc.nat(40) })
  .map(({ room, after, at }) => {
    const bytes = `GET /rooms/${room}-/messages?after=${after}&wait=55 HTTP/1.1\r\nHost: localhost\r\n\r\n`;
    const request = { bytes, method: "GET", body: "", plain: true, last: false };
    return { requests: [request], cuts: [[at, 1], [bytes.length, 3]], leaves: bytes.length };
  });

const talking: fc.Arbitrary<Conversation> = fc.record({
  begin: fc.array(fc.oneof(anyRequest.filter(({ plain }) => plain), validPost, oddPost), { maxLength: 2 }),
  end: fc.oneof(
    { weight: 8, arbitrary: anyRequest },
    { weight: 2, arbitrary: validPost },
    { weight: 3, arbitrary: oddPost },
    { weight: 2, arbitrary: brokenPost },
    { weight: 2, arbitrary: garbage },
  ),
  cuts: fc.array(fc.tuple(fc.oneof(fc.nat(), fc.nat(300)), fc.constantFrom(0, 0, 1, 3)), { maxLength: 6 }),
  again: fc.boolean(),
  leaves: fc.oneof({ weight: 11, arbitrary: fc.constant(null) }, fc.nat()),
}).map(({ begin, end, cuts, again, leaves }) => ({
  requests: [...begin, ...begin.slice(again ? -1 : begin.length), end],
  cuts,
  leaves,
}));

const conversation = fc.oneof({ weight: 15, arbitrary: talking }, deserted);

// What comes back.

/** One answer. */
interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** Sends a conversation and reads all of its answers. */
async function talk(server: TestServer, { requests, cuts, leaves }: Conversation): Promise<Answer[]> {
  const bytes = requests.map((request) => request.bytes).join("").slice(0, leaves ?? undefined);
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: Number(new URL(server.url).port) });
  conn.setNoDelay(true);
  const writing = write(conn, bytes, cuts);
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    if (leaves !== null) return await writing.then(() => []);
    const stuck = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`No answer within ${PATIENCE_MS} ms`)), PATIENCE_MS);
    });
    return await Promise.race([readAll(conn, requests, writing), stuck]);
  } finally {
    clearTimeout(timer);
    conn.close();
    await writing;
  }
}

/** Writes the bytes in pieces. A server may have had enough before the end, so that an error is none. */
async function write(conn: Deno.Conn, bytes: string, cuts: Conversation["cuts"]): Promise<void> {
  const places = cuts.map(([at, pause]) => [at % (bytes.length + 1), pause] as const).sort(([a], [b]) => a - b);
  let start = 0;
  try {
    for (const [end, pause] of [...places, [bytes.length, 0] as const]) {
      const piece = Buffer.from(bytes.slice(start, end), "latin1");
      for (let written = 0; written < piece.length;) written += await conn.write(piece.subarray(written));
      start = end;
      if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause));
    }
  } catch { /* closed, by one side or the other */ }
}

async function readAll(conn: Deno.TcpConn, requests: readonly Request[], writing: Promise<void>): Promise<Answer[]> {
  const due = requests.findIndex(({ last, plain }) => last || !plain);
  // After these no more answers must come; whatever the server makes of the rest, it does so now.
  const expected = due === -1 ? requests.length : due + (requests[due]!.body === undefined ? 0 : 1);
  const methods = requests.map(({ method }) => method);
  const chunk = new Uint8Array(65_536);
  let received = "";
  for (let halfClosed = false;;) {
    const { answers, rest } = parse(received, methods);
    if (!halfClosed && answers.length >= expected) {
      halfClosed = true;
      await writing;
      await conn.closeWrite().catch(() => {});
    }
    const count = await conn.read(chunk).catch(() => null); // a reset is an end too
    if (count === null) {
      assertEquals(rest, "", "the connection ended in the middle of an answer");
      return answers;
    }
    received += Buffer.from(chunk.subarray(0, count)).toString("latin1");
  }
}

/** Takes whole answers off the beginning; fails on whatever is not HTTP. `methods` are those of the requests. */
function parse(received: string, methods: readonly string[]): { answers: Answer[]; rest: string } {
  const answers: Answer[] = [];
  let rest = received;
  while (rest.includes("\r\n\r\n")) {
    const [first, ...lines] = rest.slice(0, rest.indexOf("\r\n\r\n")).split("\r\n");
    assertMatch(first!, /^HTTP\/1\.[01] [1-5]\d\d [\x20-\x7e]*$/);
    const status = Number(first!.slice(9, 12));
    const headers = new Headers();
    for (const line of lines) {
      assertMatch(line, /^[!#$%&'*+.^_`|~0-9A-Za-z-]+: ?[\t\x20-\x7e\x80-\xff]*$/);
      headers.append(line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1));
    }
    const body = rest.slice(rest.indexOf("\r\n\r\n") + 4);
    if (status < 200) {
      rest = body;
      continue;
    }
    const without = methods[answers.length] === "HEAD" || status === 204 || status === 304;
    const [bytes, length] = without ? ["", 0] : bodyIn(body, headers);
    if (bytes === undefined) break;
    // What answers a HEAD has the encoding of the body that it leaves out.
    answers.push({ status, headers, text: without ? "" : decoded(bytes, headers.get("content-encoding")) });
    rest = body.slice(length);
  }
  return { answers, rest };
}

/** The body at the beginning of `rest`, and how many bytes it takes; undefined when it is not all there. */
function bodyIn(rest: string, headers: Headers): [bytes: string | undefined, length: number] {
  if (headers.get("transfer-encoding") !== "chunked") {
    assertMatch(headers.get("content-length") ?? "none", /^\d+$/);
    const length = Number(headers.get("content-length"));
    return [rest.length < length ? undefined : rest.slice(0, length), length];
  }
  let bytes = "";
  for (let at = 0;;) {
    const end = rest.indexOf("\r\n", at);
    if (end === -1) return [undefined, 0];
    assertMatch(rest.slice(at, end), /^[0-9a-f]+$/i);
    const size = parseInt(rest.slice(at, end), 16);
    at = end + 2 + size + 2;
    if (rest.length < at) return [undefined, 0];
    assertEquals(rest.slice(at - 2, at), "\r\n");
    if (size === 0) return [bytes, at];
    bytes += rest.slice(end + 2, at - 2);
  }
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decoded(bytes: string, coding: string | null): string {
  const raw = Buffer.from(bytes, "latin1");
  if (coding === null) return strict.decode(raw);
  assertMatch(coding, /^(gzip|br)$/);
  return strict.decode(coding === "br" ? brotliDecompressSync(raw) : gunzipSync(raw));
}

// What must hold.

/** A stored message. */
interface Row {
  readonly room: string;
  readonly id: string;
  readonly key: string | null;
  readonly author: string | null;
  readonly body: string;
}

/** Posts whose clients left without reading the answer: they may be stored, even later. */
const abandoned = new Set<string>();

property(
  "whatever comes in over a socket, each request is answered or its connection ends, and the table holds what was acknowledged",
  250,
  fc.tuple(fc.array(conversation, { minLength: 1, maxLength: 2 }), fc.boolean())
    .map(([conversations, twice]) => twice ? [...conversations, ...conversations] : conversations),
  async (server, sql, conversations) => {
    for (const { requests, leaves } of conversations) {
      if (leaves !== null) { for (const request of requests) abandoned.add(sentIn(request)); }
    }
    const all = await Promise.all(conversations.map((conversation) => talk(server, conversation)));
    const table = await sql<Row[]>`select room, id, key, author, body from messages`;
    const rows = new Map(table.map((row) => [`${row.room} ${row.id}`, row]));
    const acknowledged = new Map<string, number>();
    for (const [i, answers] of all.entries()) {
      const { requests, leaves } = conversations[i]!;
      for (const [j, answer] of answers.entries()) {
        const request = requests[j];
        checkAnswer(answer);
        if (answer.status >= 200 && answer.status < 300 && answer.text !== "") checkMessages(answer, rows);
        if (request?.method === "POST") checkPost(request, answer, table, acknowledged);
      }
      if (leaves === null) checkAllAnswered(requests, answers);
    }
    for (const row of table) {
      if (acknowledged.has(`${row.room} ${row.id}`)) continue;
      assert(abandoned.has(nameOf(row.body, row.author)), `stored, and not acknowledged: ${JSON.stringify(row)}`);
    }
  },
);

property(
  "a message that is written as the protocol says is accepted in whatever pieces it comes, and reads back as it was sent",
  80,
  fc.record({ post: validPost, cuts: talking.map(({ cuts }) => cuts) }),
  async (server, sql, { post, cuts }) => {
    const url = `${server.url}/rooms/${post.room}/messages`;
    const last = /<\?after=([^&]*)/.exec(await linkOf(fetch(`${url}?after=now&wait=0`)))![1];
    const leave = new AbortController();
    try {
      const polling = fetch(`${url}?after=${last}&wait=55`, { signal: leave.signal }).then((response) =>
        response.text()
      );
      polling.catch(() => {});
      await until(() => server.chat.state.waiters === 1, "the poll waits");
      const [answer] = await talk(server, { requests: [post], cuts, leaves: null });
      assertEquals(answer?.status, 201, answer?.text);
      const [row] = await sql<Row[]>`select room, id, key, author, body from messages`;
      const { body, author } = contentOf(post.body!)!;
      const key = keyIn(post.bytes);
      const { id } = JSON.parse(answer!.text) as Message;
      assertEquals({ ...row }, { room: post.room!, id, key, author, body });
      const { text } = answer!;
      const read = (query: string) => fetch(`${url}${query}`).then((response) => response.text());
      assertEquals(await polling, `[${text}]`); // from memory
      assertEquals(await read(`?after=${last}&wait=0`), `[${text}]`);
      assertEquals(await read("?before=now&limit=1"), `[${text}]`); // from the database
      assertEquals(await read(`/${id}`), text);
    } finally {
      leave.abort();
    }
  },
);

/** Every answer by itself. */
function checkAnswer({ status, headers, text }: Answer): void {
  if (status >= 500) assertEquals(status, 503, text);
  if (status === 304) return assertMatch(headers.get("etag") ?? "", /^"/); // the page
  if (status < 400) return assert(status < 300, `${status}`);
  if (status === 405) assertMatch(headers.get("allow") ?? "", /GET/);
  if (status === 503 || status === 429) assertMatch(headers.get("retry-after") ?? "", /^\d+$/);
  if (text === "") return; // written before the request got to us, or for a HEAD
  assertEquals(headers.get("content-type"), "application/problem+json");
  assertEquals(headers.get("cache-control"), "no-store");
  const problem = JSON.parse(text) as ProblemDetails;
  assertMatch(problem.type, /^urn:linger:problem:[a-z-]+$/);
  assertEquals(problem.status, status);
  assertEquals(problem.error, problem.detail);
  assert(problem.title.length > 0 && problem.detail.length > 0, text);
  if (status === 400) assert(problem.parameter !== undefined && problem.detail.startsWith(problem.parameter), text);
}

/** Every message that an answer gives is stored just so. */
function checkMessages({ headers, text }: Answer, rows: Map<string, Row>): void {
  if (headers.get("content-type")?.startsWith("text/html")) return; // the page, which holds none
  const value = JSON.parse(text) as Message | Message[] | { status: string };
  if ("status" in value) return assertMatch(value.status, /^(alive|ready)$/);
  if (Array.isArray(value) && !headers.has("link")) return checkRooms(JSON.parse(text));
  const messages = Array.isArray(value) ? value : [value];
  for (const [i, { id, room, author, body, created_at }] of messages.entries()) {
    const row = rows.get(`${room} ${id}`);
    assertEquals({ author, body }, { author: row?.author ?? null, body: row?.body ?? "not stored" });
    assertEquals(new Date(created_at).toISOString(), created_at);
    if (i > 0) assert(id > messages[i - 1]!.id && room === messages[i - 1]!.room, text);
  }
  if (!Array.isArray(value)) return;
  const [first, last] = [messages.at(0), messages.at(-1)];
  assertStringIncludes(headers.get("link") ?? "", `<?after=${last?.id ?? ""}`);
  assertStringIncludes(headers.get("link") ?? "", 'rel="next"');
  if (!first || !last) return;
  const between = rows.values().filter(({ room, id }) => room === first.room && id >= first.id && id <= last.id);
  assertEquals(Array.from(between).length, messages.length, "a hole in a page");
}

/** The list of rooms may be two seconds old, so that its messages need not be those in the table. */
function checkRooms(rooms: { room: string; newest: string }[]): void {
  for (const [i, { room, newest }] of rooms.entries()) {
    assert(room !== undefined && (i === 0 || newest < rooms[i - 1]!.newest), JSON.stringify(rooms));
  }
}

function checkPost(
  request: Request,
  { status, headers, text }: Answer,
  table: readonly Row[],
  acknowledged: Map<string, number>,
) {
  const key = keyIn(request.bytes);
  if (status === 201 || status === 200) {
    const message = JSON.parse(text) as Message;
    const row = table.find(({ room, id }) => room === message.room && id === message.id);
    assert(row, `${message.id} was acknowledged, and is not stored`);
    if (request.room !== undefined) assertEquals(row.room, request.room);
    assert(request.body !== undefined, "acknowledged before its end");
    assertEquals({ body: row.body, author: row.author }, contentOf(request.body));
    assertEquals(row.key, key);
    assertEquals(status === 200, headers.get("idempotency-replayed") === "true");
    if (status === 201) {
      assert(acknowledged.get(`${row.room} ${row.id}`) !== 201, "one message was acknowledged as two");
      assertEquals(headers.get("location"), `messages/${row.id}`);
    }
    if (acknowledged.get(`${row.room} ${row.id}`) !== 201) acknowledged.set(`${row.room} ${row.id}`, status);
    return;
  }
  if (status === 422) {
    const stored = table.find((row) => row.key === key && (request.room === undefined || row.room === request.room));
    const sent = contentOf(request.body!);
    assert(stored && sent, "a key is reused only where it is used");
    if (request.room !== undefined) assert(nameOf(stored.body, stored.author) !== nameOf(sent.body, sent.author));
    return;
  }
  assert(!request.valid, `A valid message was refused with ${status}: ${text}`);
}

/** Requests that are written rightly are answered, one after the other, unless an answer before ended the connection. */
function checkAllAnswered(requests: readonly Request[], answers: readonly Answer[]): void {
  const unanswered = requests[answers.length];
  if (!unanswered?.plain || requests.slice(0, answers.length).some(({ last }) => last)) return;
  // An answer that was given before the request's body was read takes the connection along.
  const early = answers.some(({ status }, i) => {
    const { method, bytes } = requests[i]!;
    return /^(content-length|transfer-encoding):/im.test(bytes) && (method !== "POST" || status >= 400);
  });
  assert(early, `No answer to ${unanswered.bytes.slice(0, 200)}`);
}

/** What a request would store. */
function sentIn({ body }: Request): string {
  const content = contentOf(body ?? "");
  return content ? nameOf(content.body, content.author) : "nothing";
}

function nameOf(body: string, author: string | null): string {
  return JSON.stringify([body, author]);
}

/** The message in a request's body, by rules of its own; undefined when there is none. */
function contentOf(bytes: string): { body: string; author: string | null } | undefined {
  try {
    const { body, author } = JSON.parse(strict.decode(Buffer.from(bytes.replace(/^\xef\xbb\xbf/, ""), "latin1")));
    return { body, author: author || null };
  } catch {
    return undefined;
  }
}

/** The Idempotency-Key in a request's bytes, as HTTP reads it; null without one. */
function keyIn(bytes: string): string | null {
  const head = bytes.slice(0, bytes.indexOf("\r\n\r\n") + 2);
  const values = Array.from(
    head.matchAll(/^idempotency-key:(.*)\r$/gim),
    ([, value]) => value!.replace(/^[ \t]+|[ \t]+$/g, ""),
  );
  return values.length > 0 ? values.join(", ") : null;
}

async function linkOf(response: Promise<Response>): Promise<string> {
  const { headers, body } = await response;
  await body?.cancel();
  return headers.get("link") ?? "";
}

/** Writes all characters in a JSON text's strings as escapes. */
function escaped(text: string): string {
  return text.replace(/"(?:[^"\\]|\\.)*"/g, (string) => {
    const units = Array.from(JSON.parse(string) as string, (character) => character.split(""));
    return `"${units.flat().map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join("")}"`;
  });
}

function chunked(body: string, sizes: readonly number[]): string {
  let text = "";
  let at = 0;
  for (const size of [...sizes, body.length]) {
    const piece = body.slice(at, at + size);
    if (piece.length === 0) break;
    text += `${piece.length.toString(16)}\r\n${piece}\r\n`;
    at += size;
  }
  return `${text}0\r\n\r\n`;
}

/** The id of a moment. */
function idAt(ms: number): string {
  const time = ms.toString(16).padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-0000-0000-000000000000`;
}

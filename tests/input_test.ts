// Wrong, strange and huge input. The rule: an answer or a closed connection, never a 500, and nothing half stored.
// What fetch would not send goes over a socket of the test's own.
import { assert, assertEquals, assertFalse, assertNotEquals, assertStringIncludes } from "@std/assert";
import { migrate } from "../src/database/migrations.ts";
import {
  get,
  type Message,
  messages,
  PATIENCE_MS,
  post,
  posted,
  type ProblemDetails,
  read,
  until,
} from "./support/client.ts";
import { connectTo, serversAreGone, type TestDatabase, testPostgres } from "./support/postgres.ts";
import { startServer, type TestServer } from "./support/server.ts";

const utf8 = new TextEncoder();
const postgresServer = await testPostgres();

/** All tests of this file use it, one after the other: a new one for each would take longer than the tests. */
let database: TestDatabase;

Deno.test.beforeAll(async () => {
  database = await postgresServer.create();
  const sql = connectTo(database);
  await migrate(sql);
  await sql.end();
});

Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());

/** What a test has to work with. */
interface Given {
  readonly server: TestServer;
  /** The bodies in the table, of all rooms, in the order of their ids. */
  stored(): Promise<string[]>;
}

/** A test with a server of its own, on a database that has no messages. At its end the server must be as well as ever. */
function test(name: string, run: (given: Given) => Promise<void>) {
  Deno.test(name, async () => {
    const sql = connectTo(database);
    await sql`truncate heads, messages`;
    const stored = async () => (await sql`select body from messages order by id`).map(({ body }) => body);
    try {
      await using server = await startServer(database.url);
      await run({ server, stored });
      await until(() => server.chat.state.waiters === 0 && server.chat.state.feeds === 0, "nothing is left behind");
      const [{ counted, rows }] = await sql<[{ counted: number; rows: number }]>`
        select (select coalesce(sum(seq), 0)::int from heads) as counted, (select count(*)::int from messages) as rows`;
      assertEquals(counted, rows);
      const last = await posted(server, "health", "Well");
      assertEquals(await messages(server, "health", "wait=0"), [last]);
    } finally {
      await serversAreGone(sql);
      await sql.end();
    }
  });
}

// Text

const TEXTS = [
  "Grüße, 你好, שלום, مرحبا, नमस्ते",
  "👍🏽 👩‍👩‍👧‍👦 🏴󠁧󠁢󠁳󠁣󠁴󠁿 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 \u{10ffff}",
  "e\u0301 \u00e9 \u0061\u0308\u0323 Z\u0351\u036b\u0343",
  "\u202eright to left\u202c \u2066isolated\u2069 \u200d\u200c\u200b\ufeff",
  "\u2028 \u2029 \u0085 \u00a0 \u3000",
  `"quotes" 'single' \\backslash\\ \\n \\u0000 \\" </script> <!-- %s $1 {} ' or 1=1; drop table messages; --`,
  Array.from({ length: 31 }, (_, i) => String.fromCharCode(i + 1)).join("") + "\u007f\u0080\u009f",
  "\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
  "\ufffe\uffff\u{1fffe} are no characters, but they are text",
  " ",
  "\n",
  "  spaces at both ends  ",
  "NULL",
  "\\N",
  "{}",
  "[1,2]",
  "\ufeffbegins with a byte order mark",
];

test("text comes back as it was sent, from the post, the waiting poll, memory and the database", async ({ server, stored }) => {
  let after = "now";
  for (const body of TEXTS) {
    const author = body.length < 30 && body.trim() ? body : null;
    const poll = get(server, `/rooms/tea/messages?after=${after}&wait=55`);
    await until(() => server.chat.state.waiters === 1, "the poll waits");
    const answer = await read<Message>(post(server, "tea", { body, author }));
    assertEquals(answer.status, 201, answer.text);
    assertEquals([answer.json.body, answer.json.author], [body, author]);
    assertEquals((await poll).text, `[${answer.text}]`);
    assertEquals((await get(server, "/rooms/tea/messages?before=now&limit=1")).text, `[${answer.text}]`);
    assertEquals((await get(server, `/rooms/tea/messages/${answer.json.id}`)).text, answer.text);
    after = answer.json.id;
  }
  assertEquals((await messages(server, "tea", "wait=0")).map((message) => message.body), TEXTS);
  assertEquals(await stored(), TEXTS);
});

test("every character but NUL comes back as it was sent", async ({ server }) => {
  const characters: string[] = [];
  for (let code = 1; code <= 0x10ffff; code += code < 0x10000 ? 1 : 997) {
    if (code < 0xd800 || code > 0xdfff) characters.push(String.fromCodePoint(code));
  }
  const bodies: string[] = [];
  for (let i = 0; i < characters.length; i += 2_500) bodies.push(characters.slice(i, i + 2_500).join(""));
  for (const body of bodies) assertEquals((await posted(server, "tea", body)).body === body, true);
  const all = await messages(server, "tea", "wait=0");
  assertEquals(all.map((message) => message.body).join("") === characters.join(""), true);
});

test("an escaped character and the character itself are the same", async ({ server, stored }) => {
  const answer = await send<Message>(server, String.raw`{"body":"\u00e9\ud83d\ude00\/\u002f","author":"\u0041"}`);
  assertEquals([answer.json.body, answer.json.author], ["é😀//", "A"]);
  assertEquals(await stored(), ["é😀//"]);
});

// Sizes

test("a message has up to 10,000 bytes of UTF-8; a longer one answers 413", async ({ server, stored }) => {
  const longest = [
    "x".repeat(10_000),
    "é".repeat(5_000),
    "😀".repeat(2_500),
    "\u0001".repeat(10_000),
    '"'.repeat(10_000),
  ];
  for (const body of longest) {
    assertEquals((await posted(server, "tea", body)).body === body, true);
    for (const longer of [`${body}x`, `${body}é`]) {
      const answer = await read<ProblemDetails>(post(server, "tea", { body: longer }));
      assertEquals([answer.status, answer.json.type, answer.json.limit], [413, "urn:linger:problem:too-large", 10_000]);
    }
  }
  assertEquals((await stored()).join() === longest.join(), true);
  assertEquals(
    (await messages(server, "tea", "wait=0")).map((message) => message.body).join() === longest.join(),
    true,
  );
});

test("a request has up to 65,536 bytes; a longer one answers 413, with and without Content-Length", async ({ server, stored }) => {
  const padded = (bytes: number) => `{"body":"x"}`.padEnd(bytes);
  for (const [bytes, status] of [[65_536, 201], [65_537, 413], [200_000, 413]] as const) {
    const known = await exchange(server, request(padded(bytes)));
    assertEquals(known.statuses, [status]);
    const chunked = await exchange(server, chunkedRequest(padded(bytes)));
    assertEquals(chunked.statuses, [status]);
    for (const { text } of [known, chunked]) {
      assertEquals(text.includes("urn:linger:problem:too-large"), status === 413);
    }
  }
  assertEquals(await stored(), ["x", "x"]);
});

test("an upload without end is refused, and not read on for ever", async ({ server, stored }) => {
  const chunk = `10000\r\n${"x".repeat(65_536)}\r\n`;
  const head = "POST /rooms/tea/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
  for (
    const bytes of [
      `${head}Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(200)}`,
      `${head}Content-Length: 5000000000\r\n\r\n${"x".repeat(100_000)}`,
    ]
  ) {
    const { statuses } = await exchange(server, bytes, { until: /too-large.*}/s });
    assert(statuses.length === 0 || statuses[0] === 413);
  }
  assertEquals(await stored(), []);
});

test("a long URL, a long header or many headers get an answer or a closed connection", async ({ server }) => {
  for (const length of [1_000, 60_000, 100_000, 1_000_000]) {
    const long = "x".repeat(length);
    for (
      const bytes of [
        plain(`/rooms/tea/messages?wait=0&x=${long}`),
        plain(`/rooms/tea/messages?wait=0&${"a&".repeat(length / 2)}`),
        plain(`/rooms/${long}/messages?wait=0`),
        plain(`/rooms/tea/messages/${long}`),
        plain("/x".repeat(length / 2)),
        plain("/%25%ff".repeat(length / 7)),
        plain("/rooms/tea/messages?wait=0", `X-Long: ${long}\r\n`),
        plain("/rooms/tea/messages?wait=0", `Prefer: ${"wait = ,".repeat(length / 8)}\r\n`),
        plain("/rooms/tea/messages?wait=0", "X-Many: 1\r\n".repeat(length / 11)),
        request(`{"body":"x"}`, `Idempotency-Key: ${long}\r\n`),
        `GET /rooms/tea/messages?wait=0 HTTP/1.1\r\nHost: ${long}\r\nConnection: close\r\n\r\n`,
      ]
    ) {
      const { statuses } = await exchange(server, bytes);
      assert(statuses.length <= 1 && (statuses[0] ?? 400) < 500, `${statuses}`);
    }
  }
});

test("a URL has up to 4,096 characters and a query 16 parameters; more answer 414 and 400", async ({ server }) => {
  const url = (length: number) => `/messages?wait=0&x=${"x".repeat(length - server.url.length - 19)}`;
  const parameters = (count: number) => `/messages?wait=0${"&x=1".repeat(count - 1)}`;
  for (
    const [path, status] of [[url(4_096), 200], [url(4_097), 414], [parameters(16), 200], [
      parameters(17),
      400,
    ]] as const
  ) {
    assertEquals(
      (await exchange(server, plain(path).replace(/Host: .*/, `Host: ${new URL(server.url).host}`))).statuses,
      [status],
      `${path.length}`,
    );
  }
});

// JSON

test("what is no message answers 400, and nothing is stored", async ({ server, stored }) => {
  const deep = (count: number) => "[".repeat(count) + "]".repeat(count);
  for (
    const body of [
      "",
      " ",
      "{",
      "}",
      "null",
      "true",
      "1",
      `"body"`,
      "[]",
      "{}",
      `[{"body":"x"}]`,
      `{"body":""}`,
      `{"body":null}`,
      `{"body":1}`,
      `{"body":true}`,
      `{"body":["x"]}`,
      `{"body":{"toString":"x"}}`,
      `{"Body":"x"}`,
      `{"__proto__":{"body":"x"}}`,
      `{"constructor":{"body":"x"}}`,
      `{"body":"x"`,
      `{"body":"x"}}`,
      `{"body":"x"} x`,
      `{"body":"x",}`,
      `{'body':'x'}`,
      `{body:"x"}`,
      `{"body":"x\ny"}`,
      `{"body":"\t"}`,
      `{"body":"\\x"}`,
      `{"body":"\\u12"}`,
      `{"body":"\\u0000"}`,
      `{"body":"a\\u0000b"}`,
      `{"body":"\0"}`,
      `{"body":"\\ud800"}`,
      `{"body":"\\udc00\\ud800"}`,
      `{"body":"x\\ud83d"}`,
      `{"body":"x","author":1}`,
      `{"body":"x","author":[]}`,
      `{"body":"x","author":false}`,
      `{"body":"x","author":"\\u0000"}`,
      `{"body":"x","author":"\\ud800"}`,
      `{"body":"x","author":"${"a".repeat(101)}"}`,
      `{"body":"x","author":"${"a".repeat(60_000)}"}`,
      deep(10_000),
      deep(32_000),
      "[".repeat(65_000),
      `{"a":`.repeat(10_000),
      `{"body":${deep(10_000)}}`,
      `{"body":"x","author":${deep(10_000)}}`,
      "body=x",
      "NaN",
    ]
  ) {
    const answer = await send<ProblemDetails>(server, body);
    assertEquals(answer.status, 400, body.slice(0, 100));
    assertEquals(answer.json.type, "urn:linger:problem:invalid-request");
    assert(["body", "author"].includes(answer.json.parameter!), answer.text);
  }
  assertEquals(await stored(), []);
});

test("bytes that are not UTF-8 answer 400, and nothing is stored", async ({ server, stored }) => {
  const invalid = [
    [0xff],
    [0xc3],
    [0xc3, 0x28],
    [0x80],
    [0xc0, 0x80], // an overlong NUL
    [0xed, 0xa0, 0x80], // a surrogate
    [0xf4, 0x90, 0x80, 0x80], // beyond the last character
    [0xf8, 0x88, 0x80, 0x80, 0x80],
  ];
  for (const bytes of invalid) {
    const body = Uint8Array.from([...utf8.encode(`{"body":"x`), ...bytes, ...utf8.encode(`"}`)]);
    assertEquals((await send(server, body)).status, 400, `${bytes}`);
  }
  const utf16 = utf8.encode(Array.from(`{"body":"x"}`, (c) => `${c}\0`).join(""));
  assertEquals((await send(server, Uint8Array.from([0xff, 0xfe, ...utf16]))).status, 400);
  assertEquals((await send(server, utf16)).status, 400);
  assertEquals(await stored(), []);
});

test("strange JSON that is JSON makes one message", async ({ server, stored }) => {
  for (
    const [json, body] of [
      [`\ufeff{"body":"after a byte order mark"}`, "after a byte order mark"],
      [`  \r\n\t{ "body" : "spaces" }\n `, "spaces"],
      [`{"body":"first","body":"the last member counts"}`, "the last member counts"],
      [`{"bo\\u0064y":"escaped name"}`, "escaped name"],
      [`{"body":"x","deep":${"[".repeat(15)}"{{{\\"[["${"]".repeat(15)}}`, "x"],
      [`{"body":"numbers","n":1e999,"m":-0,"l":${"9".repeat(10_000)}}`, "numbers"],
      [`{"body":"members","__proto__":{"author":"x"},"constructor":1,"toString":null,"then":1}`, "members"],
      [`{"body":"many",${Array.from({ length: 999 }, (_, i) => `"m${i}":${i}`).join()}}`, "many"],
    ] as const
  ) {
    const answer = await send<Message>(server, json);
    assertEquals([answer.status, answer.json.body, answer.json.author], [201, body, null]);
    assertEquals((await stored()).at(-1), body);
  }
  assertEquals((await stored()).length, 8);
});

test("JSON that is nested deeper, or has more members, than anybody needs answers 400", async ({ server, stored }) => {
  for (
    const [json, reason] of [
      [`{"body":"x","deep":${"[".repeat(16)}${"]".repeat(16)}}`, "nested"],
      [`{"deep":${`{"a":`.repeat(20)}1${"}".repeat(20)},"body":"x"}`, "nested"],
      ["[".repeat(60_000), "nested"],
      [`{"body":"x",${Array.from({ length: 1_000 }, (_, i) => `"m${i}":${i}`).join()}}`, "members"],
      [`{"body":"x","list":[${Array.from({ length: 1_000 }, (_, i) => i).join()}]}`, "members"],
    ] as const
  ) {
    const answer = await send<{ detail: string; parameter: string }>(server, json);
    assertEquals([answer.status, answer.json.parameter], [400, "body"], json.slice(0, 60));
    assertStringIncludes(answer.json.detail, reason);
  }
  assertEquals(await stored(), []);
});

test("only application/json in UTF-8 is read; another content type answers 415", async ({ server, stored }) => {
  const good = [
    "application/json",
    "APPLICATION/Json",
    "application/json; charset=utf-8",
    "application/json;charset=UTF-8",
    `application/json ; charset="utf-8"`,
  ];
  for (const type of good) {
    assertEquals((await send(server, `{"body":"x"}`, { "content-type": type })).status, 201, type);
  }
  for (
    const type of [
      "",
      "text/plain",
      "text/json",
      "application/x-www-form-urlencoded",
      "multipart/form-data; boundary=x",
      "application/jsonx",
      "application/json-patch+json",
      "xapplication/json",
      "application/json, text/plain",
      "application/json; charset=iso-8859-1",
      "application/json; charset=utf-16",
      "application/json; charset=",
      "*/*",
    ]
  ) {
    const answer = await send<ProblemDetails>(server, `{"body":"x"}`, { "content-type": type });
    assertEquals([answer.status, answer.json.type], [415, "urn:linger:problem:unsupported-media-type"], type);
  }
  const none = await exchange(server, `POST /messages HTTP/1.1\r\n${CLOSE}Content-Length: 12\r\n\r\n{"body":"x"}`);
  assertEquals(none.statuses, [415]);
  assertEquals((await stored()).length, good.length);
});

// Connections

test("an upload that is cut off stores nothing", async ({ server, stored }) => {
  const head = "POST /rooms/tea/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
  const cut = [
    `${head}Content-Length: 100\r\n\r\n{"body":"x"}`,
    `${head}Content-Length: 13\r\n\r\n{"body":"x"}`,
    `${head}Content-Length: 12\r\n\r\n`,
    `${head}Content-Length: 12\r\n\r\n{"body":"x"`,
    `${head}Transfer-Encoding: chunked\r\n\r\n`,
    `${head}Transfer-Encoding: chunked\r\n\r\nc\r\n{"body":"x"}\r\n`,
    `${head}Transfer-Encoding: chunked\r\n\r\nc\r\n{"body":"x"}\r\n0\r\n`,
    `${head}Transfer-Encoding: chunked\r\n\r\nff\r\n{"body":"x"}`,
    `${head}Transfer-Encoding: chunked\r\n\r\nzz\r\n{"body":"x"}\r\n0\r\n\r\n`,
    head,
    `${head}Content-Len`,
    "POST /rooms/tea/mess",
    "P",
    "",
  ];
  for (const bytes of cut) {
    // The client's half of the connection ends; then all of it, with an answer or without.
    const { statuses } = await exchange(server, bytes, { end: "half" });
    assert(statuses.length === 0 || statuses[0] === 400, `${statuses}`);
    await exchange(server, bytes, { end: "close" });
  }
  assertEquals(await stored(), []);
});

test("a client that leaves before its answer leaves a whole message or none", async ({ server, stored }) => {
  for (let i = 0; i < 20; i++) await exchange(server, request(`{"body":"${i}"}`), { end: "close" });
  const { id } = await posted(server, "tea", "last");
  const all = await messages(server, "tea", "wait=0");
  assertEquals(all.at(-1)!.id, id);
  assertEquals(all.map((message) => message.body), await stored());
  for (const { body } of all.slice(0, -1)) assert(/^\d+$/.test(body));
});

test("clients that leave while they wait are forgotten", async ({ server }) => {
  const waits = Array.from({ length: 20 }, () => connect(server));
  const sockets = await Promise.all(waits);
  for (const socket of sockets) await socket.write(utf8.encode(plain("/rooms/tea/messages?wait=55")));
  await until(() => server.chat.state.waiters === sockets.length, "all wait");
  for (const socket of sockets) socket.close();
  await until(() => server.chat.state.waiters === 0, "all are forgotten");
});

test("what is no HTTP gets an answer or a closed connection", async ({ server, stored }) => {
  const random = crypto.getRandomValues(new Uint8Array(10_000));
  for (
    const bytes of [
      "\r\n\r\n\r\n",
      "garbage\r\n\r\n",
      "\0\0\0\0\r\n\r\n",
      "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
      "GET\r\n\r\n",
      "GET / HTTP/9.9\r\n\r\n",
      "GET / HTTP/1.1\r\nno colon\r\n\r\n",
      "GET / HTTP/1.1\r\n: no name\r\n\r\n",
      "GET /messages HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnonsense",
      "GET /messages?wait=0#x HTTP/1.1\r\nHost: localhost\r\n\r\n",
      `GET * HTTP/1.1\r\n${CLOSE}\r\n`,
      `OPTIONS * HTTP/1.1\r\n${CLOSE}\r\n`,
      `CONNECT x:1 HTTP/1.1\r\n${CLOSE}\r\n`,
      `CONNECT /messages HTTP/1.1\r\n${CLOSE}\r\n`,
      `TRACE /messages HTTP/1.1\r\n${CLOSE}\r\n`,
      `get /messages HTTP/1.1\r\n${CLOSE}\r\n`,
      `GET http://elsewhere/messages?wait=0 HTTP/1.1\r\n${CLOSE}\r\n`,
      `GET http://[::1/messages?wait=0 HTTP/1.1\r\n${CLOSE}\r\n`,
      ...["", "[", "a b", "@", "%", "x:99999", "\xff", "x\\y"].map((host) =>
        `GET /messages?wait=0 HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`
      ),
      request(`{"body":"x"`, "Content-Length: 13\r\n"),
      request(`{"body":"x"`, "Transfer-Encoding: chunked\r\n"),
      request(`{"body":"x"`, "Transfer-Encoding: nonsense\r\n"),
      request(`{"body":"x"`, "Content-Length: -1\r\n"),
      random,
      "x".repeat(1_000_000),
    ]
  ) {
    await exchange(server, bytes, { end: "half" }); // which checks that there is no 500
  }
  assertEquals(await stored(), []);
});

test("a room's name is checked after decoding, and no path leads around it", async ({ server, stored }) => {
  const names = [
    "%00",
    "%2f",
    "%2F..",
    "%zz",
    "%",
    "%e2%98%83",
    "%ff",
    "..",
    ".",
    "%2e%2e",
    "%2e",
    "%20",
    "a%0d%0ab",
    "a%2fmessages",
  ];
  for (const name of names) {
    for (
      const target of [`/rooms/${name}/messages?wait=0`, `/rooms/${name}/messages/00000000-0000-0000-0000-000000000000`]
    ) {
      assertEquals((await exchange(server, plain(target))).statuses, [400], target);
    }
    assertEquals(
      (await exchange(server, request(`{"body":"x"}`, "", `/rooms/${name}/messages`))).statuses,
      [400],
      name,
    );
  }
  for (
    const path of [
      "/rooms//messages",
      "//messages",
      "/rooms/a/../messages",
      "/./messages",
      "/messages//",
      "/rooms/a//messages",
    ]
  ) {
    assertEquals((await exchange(server, plain(`${path}?wait=0`))).statuses, [404], path);
    assertEquals((await exchange(server, request(`{"body":"x"}`, "", path))).statuses, [404], path);
  }
  assertEquals(await stored(), []);
});

test("strange queries get an answer", async ({ server }) => {
  for (
    const [query, status] of [
      ["?", 200],
      ["?&&&=&=x&wait=0", 200],
      ["?__proto__=1&constructor=1&toString&wait=0", 200],
      ["?wait=0&after=%", 400],
      ["?wait=0&after=%ff", 400],
      ["?wait=0&after=%00", 400],
      ["?wait=%zz", 400],
      ["?wait=0&limit[]=1", 200],
      ["?wait=0;limit=1", 400],
      ["?wait=0?limit=1", 400],
    ] as const
  ) {
    const answer = await get(server, `/rooms/tea/messages${query}`, { prefer: "wait=0" });
    assertEquals(answer.status, status, query);
  }
});

test("requests on one socket are answered in their order, also behind a wrong one", async ({ server, stored }) => {
  const keep = (body: string, type = "application/json") =>
    `POST /rooms/tea/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const { statuses, text } = await exchange(
    server,
    keep(`{"body":"one"}`) + keep(`{"body":`) + keep(`{"body":"two"}`) + keep("hello", "text/plain") +
      keep(`{"body":"${"x".repeat(20_000)}"}`) + keep(`{"body":"three"}`) + keep("x".repeat(70_000)) +
      plain("/rooms/tea/messages?wait=0"),
  );
  assertEquals(statuses, [201, 400, 201, 415, 413, 201, 413, 200]);
  assertEquals(JSON.parse(text.slice(text.lastIndexOf("\r\n\r\n"))).map((message: Message) => message.body), [
    "one",
    "two",
    "three",
  ]);
  assertEquals(await stored(), ["one", "two", "three"]);
});

test("an Idempotency-Key can't bring a header or a line of its own", async ({ server, stored }) => {
  for (
    const key of [
      "a\0b",
      "a\x01b",
      "a\x7f",
      "\xe9",
      "a\tb",
      " ",
      "",
      "a\rX-Evil: 1",
      "a\r\n folded",
      "\xf0\x9f\x98\x80",
    ]
  ) {
    const { statuses, text } = await exchange(server, request(`{"body":"x"}`, `Idempotency-Key: ${key}\r\n`));
    assertEquals(statuses, [400], JSON.stringify(key));
    assertFalse(/evil/i.test(text));
  }
  assertEquals(await stored(), []);
  // What is a header of its own by HTTP is just that.
  const { statuses, text } = await exchange(server, request(`{"body":"x"}`, "Idempotency-Key: a\r\nX-Evil: 1\r\n"));
  assertEquals(statuses, [201]);
  assertFalse(/evil/i.test(text));
  for (const key of [`"><script>`, "'; drop table messages; --", "%00", "\\u0000", "${x}"]) {
    for (const status of [201, 200]) {
      assertEquals((await exchange(server, request(`{"body":"x"}`, `Idempotency-Key: ${key}\r\n`))).statuses, [status]);
    }
  }
  assertEquals((await stored()).length, 6);
});

test("what a client names in a wrong request does not get out of its JSON", async ({ server }) => {
  const name = `"><script>alert(1)</script>`;
  for (const path of [`/${encodeURIComponent(name)}`, `/rooms/${encodeURIComponent(name)}/messages`]) {
    const answer = await get<ProblemDetails>(server, path);
    assertEquals(answer.headers.get("content-type"), "application/problem+json");
    assertEquals(answer.json.error, answer.json.detail);
    assertNotEquals(answer.status, 500);
  }
});

const CLOSE = "Host: localhost\r\nConnection: close\r\n";

/** A GET as it goes over the wire; the connection ends after it. */
function plain(target: string, headers = ""): string {
  return `GET ${target} HTTP/1.1\r\n${CLOSE}${headers}\r\n`;
}

/** A POST as it goes over the wire; the connection ends after it. */
function request(body: string, headers = "", target = "/rooms/tea/messages"): string {
  const length = `Content-Length: ${utf8.encode(body).length}\r\n`;
  return `POST ${target} HTTP/1.1\r\n${CLOSE}Content-Type: application/json\r\n${length}${headers}\r\n${body}`;
}

/** The same without a Content-Length, in chunks. */
function chunkedRequest(body: string): string {
  const chunks = body.match(/.{1,5000}/gs)!.map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join("");
  return `POST /rooms/tea/messages HTTP/1.1\r\n${CLOSE}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`;
}

/** Posts these bytes as they are. */
function send<T>(server: TestServer, body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) {
  return read<T>(fetch(`${server.url}/rooms/tea/messages`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body,
  }));
}

function connect(server: TestServer): Promise<Deno.TcpConn> {
  const { hostname, port } = new URL(server.url);
  return Deno.connect({ hostname, port: Number(port) });
}

/**
 * Sends bytes over a socket of its own, as they are (a string's characters are its bytes), and gathers what comes back
 * until the server closes the connection or it matches `until`. `end`: after sending, the client ends its half of the
 * connection, or all of it. Never a 500.
 */
async function exchange(
  server: TestServer,
  bytes: string | Uint8Array,
  { end, until }: { end?: "half" | "close"; until?: RegExp } = {},
): Promise<{ text: string; statuses: number[] }> {
  const socket = await connect(server);
  let text = "";
  let open = true;
  const close = () => {
    if (open) socket.close();
    open = false;
  };
  const deadline = setTimeout(close, PATIENCE_MS);
  const sending = (async () => {
    let left = typeof bytes === "string" ? Uint8Array.from(bytes, (c) => c.charCodeAt(0)) : bytes;
    while (left.length > 0) left = left.subarray(await socket.write(left));
    if (end === "half") await socket.closeWrite();
    if (end === "close") close();
  })().catch(() => {}); // the server has closed the connection; what it said before counts
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(65_536);
  try {
    for (let n; end !== "close" && (n = await socket.read(buffer)) !== null;) {
      text += decoder.decode(buffer.subarray(0, n), { stream: true });
      if (until?.test(text)) break;
    }
  } catch { /* reset by the server */ }
  if (end === "close") await sending;
  const timely = open || end === "close";
  close();
  clearTimeout(deadline);
  await sending;
  const statuses = Array.from(text.matchAll(/HTTP\/1\.[01] (\d{3}) /g), (match) => Number(match[1]));
  assert(timely, `Neither an answer nor a closed connection after ${JSON.stringify(text.slice(0, 200))}`);
  assertFalse(statuses.some((status) => status >= 500), text.slice(0, 500));
  return { text, statuses };
}

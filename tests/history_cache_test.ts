// What caches may keep is the same whenever it is asked for. One page that is kept and was not finished, and whoever gets it from
// the cache misses what came after it.
import { assert, assertEquals } from "@std/assert";
import { uuidToULID } from "ulid";
import { makeId, NIL, timeOf } from "../src/chat/cursor.ts";
import { type Answer, get, type Message, post, posted, until } from "./support/client.ts";
import { type TestDatabase, testPostgres } from "./support/postgres.ts";
import { type Env, startServer, type TestServer } from "./support/server.ts";
import { bearer, SECRET, tokenOf } from "./support/tokens.ts";

const postgres = await testPostgres();

const KEPT = "public, max-age=60";

/** A test with a server of its own, whose caches may keep what is final for a minute. */
function test(name: string, run: (server: TestServer, database: TestDatabase) => Promise<void>, env: Env = {}): void {
  Deno.test(name, async () => {
    await using database = await postgres.create();
    await using server = await startServer(database.url, { HISTORY_MAX_AGE: "60", POSTS_PER_MINUTE: "0", ...env });
    await run(server, database);
  });
}

async function fill(server: TestServer, count: number, body = ""): Promise<Message[]> {
  const messages = [];
  for (let i = 0; i < count; i++) messages.push(await posted(server, "tea", `${body}${i}`));
  return messages;
}

/** What caches are told of a path, which must be served. */
async function control(server: TestServer, path: string, headers: Record<string, string> = {}): Promise<string | null> {
  const answer = await get(server, path, headers);
  assertEquals(answer.status, 200, answer.text);
  const told = answer.headers.get("cache-control");
  assertEquals(answer.headers.has("etag"), told !== "no-store");
  return told;
}

/** A path is asked for from memory, and from the database, and both are the same to caches. */
async function eachWay(database: TestDatabase, run: (server: TestServer) => Promise<void>): Promise<void> {
  for (const tail of ["1000", "1"]) {
    await using server = await startServer(database.url, { HISTORY_MAX_AGE: "60", MAX_TAIL_MESSAGES: tail });
    const held = new AbortController(); // somebody who waits, so that the room stays in memory
    const poll = fetch(`${server.url}/rooms/tea/messages?after=now&wait=50`, { signal: held.signal });
    await until(() => server.chat.state.waiters === 1, "somebody waits");
    await run(server);
    held.abort();
    await poll.catch(() => {});
  }
}

test(
  "full pages after and before an id, and one message, may be kept, for as long as the setting says",
  async (server, database) => {
    const tea = (await fill(server, 10)).map(({ id }) => id);
    await eachWay(database, async (server) => {
      for (const limit of [1, 3]) {
        for (const query of [`after=${tea[0]}`, `after=${tea[6]}`, `after=${NIL}`, `after=${uuidToULID(tea[0]!)}`]) {
          for (const wait of ["&wait=0", "&wait=50", ""]) {
            assertEquals(await control(server, `/rooms/tea/messages?${query}&limit=${limit}${wait}`), KEPT);
          }
        }
        for (const before of [tea[3], tea[9]]) {
          assertEquals(await control(server, `/rooms/tea/messages?before=${before}&limit=${limit}`), KEPT);
        }
      }
      assertEquals(await control(server, `/rooms/tea/messages/${tea[9]}`), KEPT);
    });
  },
);

test("a page that is not full is never kept, nor one that something may still come to", async (server, database) => {
  const tea = (await fill(server, 10)).map(({ id }) => id);
  const beyond = makeId(timeOf(tea[9]!) + 30_000, 1, "0000000000");
  await eachWay(database, async (server) => {
    for (
      const query of [
        `after=${tea[0]}&limit=10`, // one is missing
        `after=${tea[0]}&limit=200`,
        `after=${tea[9]}`, // empty
        "after=now",
        `before=${tea[0]}`, // empty
        `before=${tea[9]}&limit=10`, // not full
        "before=now",
        "before=now&limit=3", // full, and another the next time
        `before=${beyond}&limit=3`, // a message may still come between
      ]
    ) {
      assertEquals(await control(server, `/rooms/tea/messages?wait=0&${query}`), "no-store", query);
    }
    for (const limit of [10, 200]) { // who would wait is given what there is, too
      assertEquals(await control(server, `/rooms/tea/messages?after=${tea[0]}&limit=${limit}&wait=50`), "no-store");
    }
    for (
      const [path, status] of [[`/rooms/tea/messages/${beyond}`, 404], ["/rooms/tea/messages?limit=0", 400]] as const
    ) {
      const answer = await get(server, path);
      assertEquals([answer.status, answer.headers.get("cache-control")], [status, "no-store"]);
    }
    assertEquals(await control(server, "/rooms"), "no-store");
    assertEquals(await control(server, "/rooms/nowhere/messages?wait=0"), "no-store");
  });
});

test(
  "a page with changes is never kept, however full: each change of what is in it makes another",
  async (server, database) => {
    const tea = (await fill(server, 103)).map(({ id }) => id);
    const notKept = async (server: TestServer, query: string) => {
      assertEquals(await control(server, `/rooms/tea/messages?changes=true&${query}`), "no-store", query);
    };
    for (const wait of ["wait=0", "wait=50"]) {
      await eachWay(database, (server) => notKept(server, `after=${tea[0]}&limit=3&${wait}`));
      await using other = await startServer(database.url, { HISTORY_MAX_AGE: "60" });
      await notKept(other, `after=${NIL}&limit=103&${wait}`); // before the room is in memory
    }
  },
);

test("what a poll has waited for is not kept, though its page is full; who comes for it later may keep it", async (server) => {
  const [first] = await fill(server, 1);
  const path = `/rooms/tea/messages?after=${first!.id}&limit=1&wait=50`;
  const waited = [get(server, path), get(server, path)];
  await until(() => server.chat.state.waiters === 2, "they wait");
  const second = await posted(server, "tea", "news");
  for (const answer of await Promise.all(waited)) {
    assertEquals([answer.json, answer.headers.get("cache-control")], [[second], "no-store"]);
  }
  assertEquals(await control(server, path), KEPT);
  await posted(server, "tea", "more");
  assertEquals((await get(server, path)).json, [second]);
});

test("a page that ends by its bytes is full, and kept; the last one of them is not", async (server, database) => {
  const long = "x".repeat(9_900);
  await Promise.all(Array.from({ length: 150 }, () => posted(server, "tea", long)));
  await eachWay(database, async (server) => {
    const from = (query: string) => get(server, `/rooms/tea/messages?wait=0&limit=1000&${query}`);
    const first: Answer<Message[]> = await from(`after=${NIL}`);
    assert(first.json.length < 150);
    assertEquals(first.headers.get("cache-control"), KEPT);
    const last = await from(`after=${first.json.at(-1)!.id}`);
    assertEquals([first.json.length + last.json.length, last.headers.get("cache-control")], [150, "no-store"]);
    const before = await from(`before=${last.json.at(-1)!.id}`);
    assert(before.json.length < 149);
    assertEquals(before.headers.get("cache-control"), KEPT);
  });
});

test("a page that is read before the room is in memory is kept only if it is full", async (server, database) => {
  await fill(server, 102);
  for (const [limit, told] of [[102, KEPT], [103, "no-store"]] as const) {
    await using other = await startServer(database.url, { HISTORY_MAX_AGE: "60" });
    assertEquals(await control(other, `/rooms/tea/messages?after=${NIL}&limit=${limit}`), told);
  }
});

test(
  "a full page stays as it is, with its tag, whatever is posted, and whichever server is asked",
  async (server, database) => {
    const tea = (await fill(server, 8)).map(({ id }) => id);
    const paths = [
      `/rooms/tea/messages?after=${tea[0]}&limit=7&wait=0`,
      `/rooms/tea/messages?before=${tea[7]}&limit=7`,
      `/rooms/tea/messages/${tea[7]}`,
    ];
    const ask = async (server: TestServer) =>
      await Promise.all(paths.map(async (path) => {
        const { text, headers } = await get(server, path);
        return [text, headers.get("etag"), headers.get("link")];
      }));
    const before = await ask(server);
    await fill(server, 3, "more");
    assertEquals(await ask(server), before);
    await eachWay(database, async (server) => assertEquals(await ask(server), before));
    assertEquals(new Set(before.map(([, etag]) => etag)).size, 3);
  },
);

test("who has an answer already, by its tag, is told so with 304 and without it", async (server) => {
  const tea = (await fill(server, 3)).map(({ id }) => id);
  for (
    const path of [
      `/rooms/tea/messages?after=${tea[0]}&limit=2`,
      `/rooms/tea/messages?before=${tea[2]}&limit=2`,
      `/rooms/tea/messages/${tea[0]}`,
    ]
  ) {
    const { headers, text } = await get(server, path);
    const etag = headers.get("etag")!;
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`]) {
      const answer = await get(server, path, { "if-none-match": known });
      assertEquals([answer.status, answer.text], [304, ""]);
      for (const name of ["etag", "cache-control", "link"]) assertEquals(answer.headers.get(name), headers.get(name));
    }
    const other = await get(server, path, { "if-none-match": '"other"' });
    assertEquals([other.status, other.text], [200, text]);
    const head = await fetch(server.url + path, { method: "HEAD" });
    assertEquals(head.status, 200);
  }
  const partial = await get(server, `/rooms/tea/messages?after=${tea[1]}&limit=2&wait=0`, { "if-none-match": "*" });
  assertEquals(partial.status, 200);
});

test(
  "a closed server lets only the client itself keep what it read, by its token, in rooms that anybody may read, too",
  async (server) => {
    const token = bearer(await tokenOf({ read: ["*"], write: ["*"] }));
    for (const room of ["tea", "news"]) {
      for (let i = 0; i < 3; i++) await (await post(server, room, { body: `${i}` }, token)).body?.cancel();
      for (const headers of room === "news" ? [token, {}] : [token]) {
        const { json } = await get(server, `/rooms/${room}/messages?wait=0`, headers);
        for (
          const path of [`?after=${json[0]!.id}&limit=2`, `?before=${json[2]!.id}&limit=2`, `/${json[1]!.id}`]
        ) {
          const answer = await get(server, `/rooms/${room}/messages${path}`, headers);
          assertEquals(answer.headers.get("cache-control"), "private, max-age=60");
          assertEquals(answer.headers.get("vary"), "authorization");
          const known = await get(server, `/rooms/${room}/messages${path}`, {
            ...headers,
            "if-none-match": answer.headers.get("etag")!,
          });
          assertEquals([known.status, known.headers.get("vary")], [304, "authorization"]);
        }
      }
    }
    const { json } = await get(server, "/rooms/tea/messages?wait=0", token);
    const refused = await get(server, `/rooms/tea/messages/${json[0]!.id}`, { "if-none-match": "*" });
    assertEquals([refused.status, refused.headers.get("cache-control")], [401, "no-store"]);
  },
  { TOKEN_SECRET: SECRET, ANONYMOUS_READ: "news" },
);

test(
  "where pages of other sites may ask, caches keep what these are told apart from what others are",
  async (server) => {
    const [first] = await fill(server, 2);
    const path = `/rooms/tea/messages/${first!.id}`;
    for (const headers of [{}, { origin: "https://friend.test", "sec-fetch-site": "cross-site" }]) {
      const answer = await get(server, path, headers);
      assertEquals([answer.status, answer.headers.get("vary")], [200, "origin"]);
    }
  },
  { ALLOWED_ORIGINS: "https://friend.test" },
);

test("what was asked for by a preference is not kept: without it, the answer is another", async (server) => {
  const [first] = await fill(server, 2);
  const path = `/rooms/tea/messages?after=${first!.id}&limit=1`;
  assertEquals(await control(server, path, { prefer: "wait=5" }), "no-store");
  assertEquals(await control(server, path), KEPT);
});

Deno.test("without the setting nothing is kept, and nothing is asked about", async () => {
  await using database = await postgres.create();
  await using server = await startServer(database.url);
  const [first] = await fill(server, 3);
  for (const path of [`?after=${first!.id}&limit=1`, `/${first!.id}`]) {
    const answer = await get(server, `/rooms/tea/messages${path}`, { "if-none-match": "*" });
    assertEquals([answer.status, answer.headers.get("cache-control")], [200, "no-store"]);
    assertEquals(answer.headers.get("vary"), null);
  }
});

// What many ask for at once is done once, in the turn of whoever's comes first; and a refusal is for him alone who is refused.
import { assertEquals, assertLess, assertRejects } from "@std/assert";
import { Sharing } from "../src/chat/sharing.ts";
import { Problem, unavailable } from "../src/problem.ts";
import { get, type Message, posted, until } from "./support/client.ts";
import { testPostgres } from "./support/postgres.ts";
import { startServer } from "./support/server.ts";

const postgres = await testPostgres();

Deno.test("Who asks before it is begun shares it with two clients, and who asks later does not", async () => {
  const world = setUp();
  const first = ["ada", "ada", "bob", "eve", "eve"].map((client) => world.ask(client));
  assertEquals(world.asked, ["ada", "bob"]);
  world.begin(1);
  const later = world.ask("eve");
  assertEquals(world.asked, ["ada", "bob", "eve"]);
  world.end(1, "bob's");
  world.end(2, "eve's");
  assertEquals(await Promise.all(first.slice(2)), ["bob's", "bob's", "bob's"]);
  assertEquals(await later, "eve's");
  world.end(0, "ada's");
  assertEquals(await Promise.all(first.slice(0, 2)), ["ada's", "ada's"]);
});

Deno.test("What two clients are refused is for them; the others try for themselves, and share that", async () => {
  const world = setUp();
  const asked = ["ada", "bob", "eve", "zoe", "noor", "eve"].map((client) => world.ask(client));
  const refused = asked.slice(0, 2).map((asked) => assertRejects(() => asked, Error, "Not now"));
  for (const i of [0, 1]) world.refuse(i);
  await Promise.all(refused);
  await until(() => world.asked.length === 4, "they try");
  assertEquals(world.asked, ["ada", "bob", "eve", "zoe"]);
  world.end(3, "zoe's");
  assertEquals(await Promise.all(asked.slice(3, 5)), ["zoe's", "zoe's"]);
  world.end(2, "eve's");
  assertEquals([await asked[2], await asked[5]], ["eve's", "eve's"]);
});

Deno.test("Who shares twice with others who are refused does it for himself", async () => {
  const world = setUp();
  const noor = ["ada", "bob", "eve", "zoe", "noor"].map((client) => {
    const asked = world.ask(client);
    asked.catch(() => {});
    return asked;
  }).at(-1)!;
  for (const [i, client] of ["ada", "bob", "eve", "zoe"].entries()) {
    await until(() => world.asked.includes(client), "he tries");
    world.refuse(i);
  }
  await until(() => world.asked.length === 5, "Noor tries");
  world.end(4, "noor's");
  assertEquals(await noor, "noor's");
});

Deno.test("That what was asked for is gone is told to all, and not asked again", async () => {
  const world = setUp();
  const asked = ["ada", "bob", "eve", "eve"].map((client) => assertRejects(() => world.ask(client), Problem, "gone"));
  for (const i of [0, 1]) world.tellGone(i);
  await Promise.all(asked);
  assertEquals(world.asked.length, 2);
});

Deno.test("What fails fails for all", async () => {
  const world = setUp();
  const asked = ["ada", "bob", "eve"].map((client) => assertRejects(() => world.ask(client), Error, "down"));
  for (const i of [0, 1]) world.fail(i);
  await Promise.all(asked);
  assertEquals(world.asked.length, 2);
});

Deno.test("A thousand who come at once to a server that has just started are all served, whatever they missed", async () => {
  await using database = await postgres.create();
  const cursors: string[] = [];
  {
    await using before = await startServer(database.url);
    for (let i = 0; i < 5; i++) cursors.push((await posted(before, "room", `${i}`)).id);
  }
  for (const path of ["messages", "events"]) {
    await using server = await startServer(database.url);
    const sent = server.chat.state.statements;
    const answers = await Promise.all(Array.from({ length: 1_000 }, async (_, i) => {
      const query = `after=${cursors[i % 4]}&limit=500&changes=true&wait=20`;
      if (path === "messages") return (await get<Message[]>(server, `/rooms/room/messages?${query}`)).status;
      const leaving = new AbortController();
      const response = await fetch(`${server.url}/rooms/room/events?${query}`, { signal: leaving.signal });
      leaving.abort();
      await response.body?.cancel().catch(() => {});
      return response.status;
    }));
    assertEquals(answers.filter((status) => status !== 200), [], path);
    assertLess(server.chat.state.statements - sent, 200, path);
  }
});

/** Work that the test begins and ends. */
function setUp() {
  const sharing = new Sharing<string, string>();
  const works: (PromiseWithResolvers<string> & { begun: () => void })[] = [];
  const asked: string[] = [];
  return {
    asked,
    ask: (client: string) =>
      sharing.ask("key", client, (begun) => {
        asked.push(client);
        works.push({ ...Promise.withResolvers<string>(), begun });
        return works.at(-1)!.promise;
      }),
    begin: (i: number) => works[i]!.begun(),
    end: (i: number, result: string) => works[i]!.resolve(result),
    refuse: (i: number) => works[i]!.reject(unavailable("Not now")),
    tellGone: (i: number) => works[i]!.reject(new Problem(410, "trimmed", "Gone", "It is gone")),
    fail: (i: number) => works[i]!.reject(new Error("The database is down")),
  };
}

// Many who edit one message at once, at two servers, with posts beside them. A trigger writes down in which order the database has taken
// the edits; what the clients were told is compared with that.
//
// FUZZ_RUNS=50 makes it a hundred thousand edits.
import { assert, assertEquals, assertGreater } from "@std/assert";
import { seqOf } from "../src/chat/cursor.ts";
import { get, type Message, messages, post, read } from "./support/client.ts";
import { testPostgres } from "./support/postgres.ts";
import { spawnServer } from "./support/server.ts";

const EDITS = 2_000 * Number(Deno.env.get("FUZZ_RUNS") ?? 1);
const EDITORS = 8;

/** Edits of an editor after which it posts something. */
const POSTS_EVERY = 25;

const KEY = { "message-key": "a key that nobody else knows" };

const postgres = await testPostgres();

/** An edit, and what became of it. */
interface Attempt {
  readonly body: string;
  /** The version that was to be edited; any if not given. */
  readonly known: string | undefined;
  readonly sent: number;
  readonly answered: number;
  readonly status: number;
  readonly changed: string | undefined;
}

Deno.test("Edits of one message from two servers at once have one order, the last one stands, and who is refused is refused rightly", async () => {
  await using database = await postgres.create();
  await using one = await spawnServer(database.url);
  await using two = await spawnServer(database.url);
  await database.sql.unsafe(`
    create table taken (n bigserial, changed uuid, body text);
    create function take() returns trigger language plpgsql as $$
      begin insert into taken (changed, body) values (new.changed, new.body); return null; end $$;
    create trigger take after update on messages for each row execute function take()`);
  const message = (await read<Message>(post(one, "room", { body: "0" }, KEY))).json;
  const { id } = message;
  const attempts: Attempt[] = [];
  const said: Message[] = [];
  let left = EDITS;
  const enough = () => {
    const refused = attempts.filter(({ status }) => status !== 200).length;
    return refused > EDITS / 100 && attempts.length - refused > EDITS / 4;
  };
  await Promise.all(Array.from({ length: EDITORS }, async (_, editor) => {
    const server = editor % 2 ? one : two;
    let known = id;
    for (let i = 1; left-- > 0 || !enough(); i++) {
      const body = `${editor} ${i}`;
      const match = (i + editor) % 2 ? known : undefined;
      const sent = performance.now();
      const { status, json } = await read<Message>(fetch(`${server.url}/rooms/room/messages/${id}`, {
        method: "PATCH",
        headers: { ...KEY, "content-type": "application/json", ...match && { "if-match": `"${match}"` } },
        body: JSON.stringify({ body }),
      }));
      const { changed } = json;
      attempts.push({ body, known: match, sent, answered: performance.now(), status, changed });
      known = changed ?? known;
      if (status === 412) known = (await get<Message>(server, `/rooms/room/messages/${id}`)).json.changed!;
      if (i % POSTS_EVERY === 0) said.push((await read<Message>(post(server, "room", { body }))).json);
    }
  }));

  // All that was acknowledged was taken, once, in the order of the places, and nothing else.
  const taken = await database.sql<{ changed: string; body: string }[]>`select changed, body from taken order by n`;
  const done = attempts.filter(({ status }) => status === 200).sort((a, b) => a.changed! < b.changed! ? -1 : 1);
  assertEquals(
    taken.map(({ changed, body }) => ({ changed, body })),
    done.map(({ changed, body }) => ({ changed: changed!, body })),
  );
  assertEquals(new Set(taken.map(({ changed }) => changed)).size, taken.length);
  const places = [id, ...taken.map(({ changed }) => changed)];
  const indexOf = new Map(places.map((place, index) => [place, index]));

  // An edit of a version edits that one. Who is refused had been overtaken before he was told so.
  const refused = attempts.filter(({ status }) => status !== 200);
  assert(refused.length > EDITS / 100 && done.length > EDITS / 4, `${done.length} done, ${refused.length} refused`);
  for (const { known, changed } of done) if (known) assertEquals(indexOf.get(known), indexOf.get(changed!)! - 1);
  for (const { status, known, answered } of refused) {
    assertEquals(status, 412);
    const next = done[indexOf.get(known!)!];
    assert(next && next.sent < answered, `${known} was refused, and nothing had come after it`);
  }
  // What was acknowledged before another was sent stands before it.
  let newest = "";
  let next = 0;
  const byAnswer = done.toSorted((a, b) => a.answered - b.answered);
  for (const { sent, changed } of done.toSorted((a, b) => a.sent - b.sent)) {
    for (; next < byAnswer.length && byAnswer[next]!.answered < sent; next++) {
      if (byAnswer[next]!.changed! > newest) newest = byAnswer[next]!.changed!;
    }
    assertGreater(changed!, newest);
  }

  const { changed, body } = done.at(-1)!;
  for (const server of [one, two]) {
    assertEquals((await messages(server, "room", "wait=0&limit=1"))[0], { ...message, body, changed: changed! });
  }
  // Numbers count messages, and places of both kinds are one order.
  const numbers = said.map(({ id }) => seqOf(id)).sort((a, b) => a - b);
  assertEquals(numbers, said.map((_, i) => i + 2));
  const [head] = await database.sql<{ seq: string }[]>`select seq from heads`;
  assertEquals(Number(head!.seq), said.length + 1);
  const order = [...places, ...said.map(({ id }) => id)].sort();
  for (const [i, place] of order.slice(1).entries()) assertGreater(place.slice(0, 26), order[i]!.slice(0, 26));
});

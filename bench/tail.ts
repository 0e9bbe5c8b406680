// Readers who come back after a short while: a page of 100, beside a bare server sending as many bytes.
import { makeId, randomDigits } from "../src/chat/cursor.ts";
import { getRequest, hold, type Loop, loop } from "./load.ts";
import { CONNECTIONS } from "./posts.ts";
import { BODY, type Rig } from "./rig.ts";
import { type Server, start } from "./servers.ts";
import { digits, type Findings, median, ratio } from "./table.ts";

/** Messages in the page. */
const PAGE = 100;

/** Measures reading recent messages. */
export async function measureTail(rig: Rig): Promise<Findings> {
  await using Linger = await start.Linger(rig);
  const path = await postMany(Linger, 2 * PAGE);
  const page = await (await fetch(`http://127.0.0.1:${Linger.port}${path}`)).arrayBuffer();
  await using bare = await start.bare(rig, { BYTES: `${page.byteLength}` });
  const seconds = rig.size(3, 1);

  const sent = (connections: number) => () => loop(rig, bare.port, getRequest("/static"), connections, seconds);
  const tail = (connections: number, wait = 1) => async () => {
    // Somebody has to wait in the room for the server to have a tail of it, and to go on waiting while messages come.
    const ahead = makeId(Date.now() + 30_000, 1_000_000, randomDigits());
    const poll = getRequest(`/rooms/room0/messages?after=${ahead}&wait=55`);
    await using _watcher = await hold(rig, { ...Linger, poll }, 1);
    const path = (await postMany(Linger, 2 * PAGE)).replace("wait=0", `wait=${wait}`);
    return await loop(rig, Linger.port, getRequest(path), connections, seconds);
  };
  for (const warmUp of [sent, tail]) await warmUp(CONNECTIONS)();

  const ways = [`${CONNECTIONS} connections`, "1 connection"];
  const samples: Record<string, Loop[]> = await rig.interleave({
    [`Linger, out of the tail, ${ways[0]}`]: tail(CONNECTIONS),
    [`Linger, after a look, ${ways[0]}`]: tail(CONNECTIONS, 0),
    [`bare, ${ways[0]}`]: sent(CONNECTIONS),
    [`Linger, out of the tail, ${ways[1]}`]: tail(1),
    [`Linger, after a look, ${ways[1]}`]: tail(1, 0),
    [`bare, ${ways[1]}`]: sent(1),
  });
  const rates = (name: string) => samples[name]!.map(({ perSecond }) => perSecond);
  return {
    title: "Reading recent messages",
    text:
      `A page of ${PAGE} messages, ${
        page.byteLength.toLocaleString("en")
      } bytes, where somebody waits in the room: with ` +
      "`wait=1` out of the tail; with `wait=0` after a look at what is new, which those share who ask at once. The bare server " +
      "sends as many bytes that it holds ready.",
    head: ["", "pages/s", "p50 ms", "p99 ms"],
    rows: Object.entries(samples).map(([name, loops]) => [
      name,
      digits(median(rates(name))),
      digits(median(loops.map(({ p50 }) => p50))),
      digits(median(loops.map(({ p99 }) => p99))),
    ]),
    targets: ways.map((way) => ({
      what: `pages/s out of the tail, ${way}: Linger / bare`,
      measured: ratio(rates(`Linger, out of the tail, ${way}`), rates(`bare, ${way}`)),
      bound: { atLeast: 0.6 },
    })),
  };
}

/** Posts messages; returns the path of the page with the newest of them. */
async function postMany({ port }: Server, count: number): Promise<string> {
  const ids: string[] = [];
  for (let i = 0; i < count; i++) {
    const response = await fetch(`http://127.0.0.1:${port}/rooms/room0/messages`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ body: BODY }),
    });
    ids.push((await response.json()).id);
  }
  return `/rooms/room0/messages?after=${ids.at(-1 - PAGE)}&limit=${PAGE}&wait=0`;
}

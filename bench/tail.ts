// Readers who come back after a short while: a page of 100 out of the tail, beside a bare server sending as many bytes.
import { getRequest, type Loop, loop } from "./load.ts";
import { CONNECTIONS } from "./posts.ts";
import { BODY, type Rig } from "./rig.ts";
import { type Server, start } from "./servers.ts";
import { digits, type Findings, median, ratio } from "./table.ts";

/** Messages in the page. */
const PAGE = 100;

/** Measures reading from the tail. */
export async function measureTail(rig: Rig): Promise<Findings> {
  await using Linger = await start.Linger(rig);
  const away = new AbortController();
  const watching = watch(Linger, away.signal);
  try {
    const path = await postMany(Linger, 3 * PAGE);
    const page = await (await fetch(`http://127.0.0.1:${Linger.port}${path}`)).arrayBuffer();
    await using bare = await start.bare(rig, { BYTES: `${page.byteLength}` });
    const seconds = rig.size(3, 1);
    const reads = (port: number, path: string, connections: number) => () =>
      loop(rig, port, getRequest(path), connections, seconds);
    for (const [port, what] of [[Linger.port, path], [bare.port, "/static"]] as const) {
      await reads(port, what, CONNECTIONS)();
    }
    const samples: Record<string, Loop[]> = await rig.interleave({
      [`Linger, ${CONNECTIONS} connections`]: reads(Linger.port, path, CONNECTIONS),
      [`bare, ${CONNECTIONS} connections`]: reads(bare.port, "/static", CONNECTIONS),
      "Linger, 1 connection": reads(Linger.port, path, 1),
      "bare, 1 connection": reads(bare.port, "/static", 1),
    });
    const rates = (name: string) => samples[name]!.map(({ perSecond }) => perSecond);
    return {
      title: "Reading the tail",
      text:
        `A page of ${PAGE} messages, ${
          page.byteLength.toLocaleString("en")
        } bytes, \`wait=0\`, of a room that somebody watches; ` +
        "the bare server sends as many bytes that it holds ready.",
      head: ["", "pages/s", "p50 ms", "p99 ms"],
      rows: Object.entries(samples).map(([name, loops]) => [
        name,
        digits(median(rates(name))),
        digits(median(loops.map(({ p50 }) => p50))),
        digits(median(loops.map(({ p99 }) => p99))),
      ]),
      targets: [`${CONNECTIONS} connections`, "1 connection"].map((how) => ({
        what: `tail pages/s, ${how}: Linger / bare`,
        measured: ratio(rates(`Linger, ${how}`), rates(`bare, ${how}`)),
        bound: { atLeast: 0.6 },
      })),
    };
  } finally {
    away.abort();
    await watching;
  }
}

/** Polls the room until it goes away, so that the room has a feed. */
async function watch({ port }: Server, signal: AbortSignal): Promise<void> {
  const room = `http://127.0.0.1:${port}/rooms/room0/messages`;
  for (let next = "?after=now&limit=1000"; !signal.aborted;) {
    const response = await fetch(`${room}${next}&wait=50`, { signal }).catch(() => undefined);
    await response?.body?.cancel();
    next = response?.headers.get("link")?.match(/<([^>]*)>/)?.[1] ?? next;
  }
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

// What it costs to know who asks: requests with a token beside those of a server that asks for none.
import { SECRET, tokenOf } from "../tests/support/tokens.ts";
import { fanout, hold, loop } from "./load.ts";
import { CONNECTIONS } from "./posts.ts";
import type { Rig } from "./rig.ts";
import { interleaveAnew, residentKiB, type Server, start } from "./servers.ts";
import { digits, type Findings, median, ratio } from "./table.ts";
import { type Cost, costOf } from "./versions.ts";

/** Measures processor time per post and per delivery, and memory per waiter, with and without tokens. */
export async function measureIdentity(rig: Rig): Promise<Findings> {
  const token = await tokenOf({ name: "Ada", read: ["*"], write: ["*"] });
  // A token's sub is one client, and here it is all of them.
  const env = { TOKEN_SECRET: SECRET, POSTS_PER_MINUTE: "0", PLACES_PER_CLIENT: "0" };
  const starts: Record<string, () => Promise<Server>> = {
    "with tokens": async () => withToken(await start.Linger(rig, env), token),
    without: () => start.Linger(rig),
    "without, again": () => start.Linger(rig),
  };
  const seconds = rig.size(3, 1);
  const waiters = rig.waiters(1_000, 100);
  const held = rig.waiters(5_000, 200);
  const works: Record<string, (server: Server, name: string) => Promise<Cost>> = {
    "µs of processor time for a post, 64 connections": (server) =>
      costOf(
        rig,
        server,
        async () => (await loop(rig, server.port, server.post, CONNECTIONS, seconds)).perSecond * seconds,
      ),
    "µs for a delivery, 1,000 waiters": (server) =>
      costOf(rig, server, async () => (await fanout(rig, server, waiters, 5)).length * waiters),
    "kB of memory for a waiter, of 5,000": async (_, name) => {
      await using server = await starts[name]!(); // a server keeps what it has once held
      await loop(rig, server.port, server.post, CONNECTIONS, rig.size(2, 1));
      const before = await residentKiB(server);
      await using _waiters = await hold(rig, server, held);
      const kB = (await residentKiB(server) - before) * 1.024 / held;
      return { all: kB, server: kB };
    },
  };
  const rows: string[][] = [];
  const targets = [];
  for (const [what, work] of Object.entries(works)) {
    const samples = await interleaveAnew<string, Cost>(rig, starts, work);
    const costs = (name: string) => samples[name]!.map(({ server }) => server);
    const measured = ratio(costs("with tokens"), costs("without"));
    rows.push([
      what,
      digits(median(costs("with tokens"))),
      digits(median(costs("without"))),
      measured.toFixed(3),
      ratio(costs("without, again"), costs("without")).toFixed(3),
    ]);
    targets.push({ what: `${what}: with tokens / without`, measured, bound: { atMost: 1.03 } });
  }
  return {
    title: "Knowing who asks",
    text: "Of the server alone. Each client shows one token, which is verified once.",
    head: ["what", "with tokens", "without", "ratio", "without / without"],
    rows,
    targets,
  };
}

/** The same server, asked with a token. */
export function withToken(server: Server, token: string): Server {
  const shown = (request: string) => request.replace("\r\n\r\n", `\r\nAuthorization: Bearer ${token}\r\n\r\n`);
  return { ...server, poll: shown(server.poll), post: shown(server.post) };
}

// Floods of those who wait: places for polls and streams, taken by one.
import type { Attack, Attacker } from "../attacker.ts";
import { pause } from "../clients.ts";
import { Session } from "../http2.ts";

const POLL = "/rooms/crowd/messages?after=now&wait=55";

/** Body of the posts that many wait for, in bytes. */
const NEWS_BYTES = 9_900;

/** Streams on a connection of HTTP/2 that are given up at once: far below what is allowed, so that none is refused. */
const GHOSTS = 60;

/** After how many milliseconds: when the server has begun to look, and before it knows that it has to wait. */
const GHOST_MS = 4;

const PLACES = "PLACES_PER_CLIENT bounds the polls and streams of one client.";

/** Posts into the room that is waited in, `perSecond` times. */
function news(attacker: Attacker, perSecond: number): Promise<void> {
  const body = JSON.stringify({ body: "x".repeat(NEWS_BYTES) });
  const bytes = attacker.bytes({ method: "POST", path: "/rooms/crowd/messages", body });
  return attacker.ask(1, () => bytes, { everyMs: 1_000 / perSecond });
}

/** Changes a message of the room that is waited in, `perSecond` times. */
function edits(attacker: Attacker, perSecond: number): Promise<void> {
  return attacker.change(1, "crowd", async (change) => {
    for (let n = 0;; n++) {
      await change(`${n} `.padEnd(NEWS_BYTES, "x"));
      await pause(1_000 / perSecond);
    }
  });
}

/** The attacks. */
export const waitFloods: readonly Attack[] = [
  {
    name: "floods: 15000 held polls",
    stoppedBy: "setting",
    how: PLACES,
    begin: (attacker) => {
      const bytes = attacker.bytes({ path: POLL });
      return attacker.ask(15_000, () => bytes);
    },
  },
  {
    name: "floods: held polls over HTTP/2 (76 x 200)",
    stoppedBy: "setting",
    how: PLACES,
    begin: (attacker) => attacker.ask2(76, () => ({ path: POLL })),
  },
  {
    name: "floods: ghost polls over HTTP/2",
    stoppedBy: "program",
    how: "A poll is over when its client is gone, however early that was.",
    begin: (attacker) =>
      attacker.open(8, async (connection) => {
        const session = new Session(connection);
        const running = session.run();
        running.catch(() => {});
        const [block] = attacker.streamOf({ path: POLL });
        const streams = Array.from({ length: GHOSTS }, () => session.ask(block));
        await Promise.race([running, pause(GHOST_MS)]);
        for (const { stream } of streams) session.reset(stream);
        for (const { status } of streams) attacker.count(await status);
      }),
  },
  {
    name: "floods: 12000 rooms polled once each",
    stoppedBy: "setting",
    how: PLACES,
    begin: (attacker) => attacker.ask2(60, (n) => ({ path: `/rooms/quiet-${n}/messages?wait=55` })),
  },
  {
    name: "floods: 5000 own pollers with 5 posts a second",
    stoppedBy: "setting",
    how: PLACES,
    begin: async (attacker) => {
      const bytes = attacker.bytes({ path: POLL });
      await attacker.ask(5_000, () => bytes);
      await news(attacker, 5);
    },
  },
  {
    name: "floods: 2000 streams that never read and 20 posts a second",
    stoppedBy: "setting",
    how: PLACES,
    begin: async (attacker) => {
      await attacker.hold(2_000, attacker.bytes({ path: "/rooms/crowd/events?after=now" }), false);
      await news(attacker, 20);
    },
  },
  {
    name: "floods: 2000 own pollers with changes and 20 edits a second",
    stoppedBy: "setting",
    how: PLACES,
    begin: async (attacker) => {
      const bytes = attacker.bytes({ path: `${POLL}&changes=true` });
      await attacker.ask(2_000, () => bytes);
      await edits(attacker, 20);
    },
  },
  {
    name: "floods: 600 own streams with changes and 20 edits a second",
    stoppedBy: "setting",
    how: PLACES,
    begin: async (attacker) => {
      await attacker.hold(600, attacker.bytes({ path: "/rooms/crowd/events?after=now&changes=true" }), true);
      await edits(attacker, 20);
    },
  },
  {
    name: "floods: subscribers that come and go",
    stoppedBy: "program",
    how: "A stream that is left costs nothing more, and rooms are looked up by turns.",
    begin: (attacker) => {
      const bytes = attacker.bytes({ path: "/rooms/crowd/events?after=now" });
      return attacker.open(200, async (connection) => attacker.count(await attacker.first(connection, bytes)));
    },
  },
];

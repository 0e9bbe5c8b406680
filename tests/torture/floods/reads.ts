// Floods of reads that cost: rooms with 10 MB, read again and again, searched, or never taken.
import type { Attack, Attacker, Request } from "../attacker.ts";
import { makeId, NIL, randomDigits } from "../../../src/chat/cursor.ts";

/**
 * Rooms of 1,000 messages of 10 kB each, which are there when the attacks begin that need them. Of the second, every other message has been
 * edited. There are no digits in them.
 */
export const LONG_ROOMS = ["long-1", "long-2"] as const;

const [LONG_ROOM, EDITED_ROOM] = LONG_ROOMS;

const PAGE = `/rooms/${LONG_ROOM}/messages?after=${NIL}&wait=0&limit=1000`;
const STREAM = `/rooms/${LONG_ROOM}/events?after=${NIL}`;

/** Connections that read the same again and again. */
function again(connections: number, request: Request): Attack["begin"] {
  return (attacker) => {
    const bytes = attacker.bytes(request);
    return attacker.ask(connections, () => bytes, { bodyless: request.method === "HEAD" });
  };
}

/** Connections that ask once, and take what comes or do not. */
function once(connections: number, path: string, reads: boolean): Attack["begin"] {
  return (attacker: Attacker) => attacker.hold(connections, attacker.bytes({ path }), reads);
}

/** A cursor before all that is there, and each time another, so that a page from it has to be made. */
function oldCursor(): string {
  return makeId(Date.now() - 3_600_000, 1, randomDigits());
}

const BOUND = "What is read for a page is bounded in bytes, and clients read by turns.";
const SEARCH = "A search counts as ten reads, and of all searches one step is under way at a time.";
const PLACES = "PLACES_PER_CLIENT bounds the streams that one client may have open.";

/** The attacks. */
export const readFloods: readonly Attack[] = [
  {
    name: "floods: pages from the start over 10 connections",
    stoppedBy: "program",
    how: BOUND,
    longRooms: true,
    begin: again(10, { path: PAGE }),
  },
  {
    name: "floods: HEAD of pages from the start over 10 connections",
    stoppedBy: "program",
    how: BOUND,
    longRooms: true,
    begin: again(10, { method: "HEAD", path: PAGE }),
  },
  {
    name: "floods: pages from the start over 1 connection",
    stoppedBy: "program",
    how: BOUND,
    longRooms: true,
    begin: again(1, { path: PAGE }),
  },
  {
    name: "floods: pages out of memory over 10 connections",
    stoppedBy: "program",
    how: "A long page counts as a read, wherever it comes from.",
    longRooms: true,
    begin: async (attacker) => {
      const newest = await fetch(
        `http://127.0.0.1:${attacker.order.port}/rooms/${LONG_ROOM}/messages?before=now&limit=90`,
      );
      const [{ id }] = await newest.json();
      // Each from a cursor of its own, so that it has to be made.
      const cursor = (i: number, n: number) => `${id.slice(0, -4)}${i}${`${n % 1_000}`.padStart(3, "0")}`;
      return attacker.ask(
        10,
        (i, n) => attacker.bytes({ path: `/rooms/${LONG_ROOM}/messages?after=${cursor(i, n)}&limit=100&wait=1` }),
      );
    },
  },
  {
    name: "floods: newest pages over 10 connections",
    stoppedBy: "program",
    how: BOUND,
    longRooms: true,
    begin: again(10, { path: `/rooms/${LONG_ROOM}/messages?before=now&limit=1000` }),
  },
  {
    name: "floods: pages from rooms by turns over 10 connections",
    stoppedBy: "program",
    how: `${BOUND} What a room begins with in memory is bounded too.`,
    longRooms: true,
    begin: (attacker) => {
      const requests = LONG_ROOMS.map((room) =>
        attacker.bytes({ path: `/rooms/${room}/messages?after=${NIL}&wait=0&limit=100` })
      );
      return attacker.ask(10, (_, n) => requests[n % requests.length]!);
    },
  },
  {
    name: "floods: pages with changes from old cursors over 10 connections",
    stoppedBy: "program",
    how: BOUND,
    longRooms: true,
    begin: (attacker) =>
      attacker.ask(10, () =>
        attacker.bytes({
          path: `/rooms/${EDITED_ROOM}/messages?after=${oldCursor()}&changes=true&wait=0&limit=1000`,
        })),
  },
  {
    name: "floods: searches that find nothing over 10 connections",
    stoppedBy: "program",
    how: SEARCH,
    longRooms: true,
    begin: again(10, { path: `/rooms/${LONG_ROOM}/messages?q=2026` }),
  },
  {
    name: "floods: searches that find a page over 10 connections",
    stoppedBy: "program",
    how: SEARCH,
    longRooms: true,
    begin: again(10, { path: `/rooms/${LONG_ROOM}/messages?q=ab&limit=1000` }),
  },
  {
    name: "floods: 600 streams from the start that are read",
    stoppedBy: "setting",
    how: PLACES,
    longRooms: true,
    begin: once(600, STREAM, true),
  },
  {
    name: "floods: 600 streams from the start that are never read",
    stoppedBy: "setting",
    how: PLACES,
    longRooms: true,
    begin: once(600, STREAM, false),
  },
  {
    name: "floods: 1000 streams from the start that are read",
    stoppedBy: "setting",
    how: PLACES,
    longRooms: true,
    begin: once(1_000, STREAM, true),
  },
  {
    name: "floods: 1000 streams from the start that are never read",
    stoppedBy: "setting",
    how: PLACES,
    longRooms: true,
    begin: once(1_000, STREAM, false),
  },
  {
    name: "floods: 1000 stalled readers of pages of 1 MB",
    stoppedBy: "program",
    how: `${BOUND} A proxy cuts off who takes nothing.`,
    longRooms: true,
    begin: once(1_000, PAGE, false),
  },
  {
    name: "floods: pages that nobody takes over HTTP/2 (2 x 200)",
    stoppedBy: "program",
    how: "A long page counts as several reads. A proxy cuts off who takes nothing.",
    longRooms: true,
    begin: (attacker) =>
      attacker.stall2(2, () => ({ path: `/rooms/${LONG_ROOM}/messages?after=${oldCursor()}&wait=0&limit=1000` })),
  },
];

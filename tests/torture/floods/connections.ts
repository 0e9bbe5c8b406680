// Floods of connections: many, or slow, or short, none of which is a whole request. A proxy in front bounds them; the program only has to
// live with them, and to listen again when there are fewer.
import { type Attack, write } from "../attacker.ts";
import { pause } from "../clients.ts";

const PROXY = "A proxy bounds the connections of a client, and how long it may take to send its request.";

/** Connections that are opened at one time, and closed. */
const CHURNING = 64;

/** What is sent behind a stream at a time, and the pause after it, in milliseconds: 10 MB a second, so that the machine's memory lasts. */
const PIECE = new Uint8Array(100_000);
const PIECE_MS = 10;

/** The attacks. */
export const connectionFloods: readonly Attack[] = [
  {
    name: "floods: slow bodies over 3000 connections",
    stoppedBy: "program",
    how: "A body that takes too long is given up (UPLOAD_TIMEOUT_MS), and what waits is bounded in bytes.",
    begin: (attacker) => {
      const body = JSON.stringify({ body: "x".repeat(9_900) });
      const whole = attacker.bytes({ method: "POST", path: "/rooms/flood/messages", body });
      return attacker.drip(3_000, whole.subarray(0, -5_000), new TextEncoder().encode("x"));
    },
  },
  {
    name: "floods: slow heads over 5000 connections",
    stoppedBy: "proxy",
    how: PROXY,
    begin: (attacker) => {
      const half = attacker.bytes({ path: "/rooms/flood/messages?wait=0" }).subarray(0, -2);
      return attacker.drip(5_000, half, new TextEncoder().encode("X-More: x\r\n"));
    },
  },
  {
    name: "floods: 5000 silent connections",
    stoppedBy: "proxy",
    how: PROXY,
    begin: (attacker) => attacker.drip(5_000, new Uint8Array(), new Uint8Array()),
  },
  {
    name: "floods: connections that come and go",
    stoppedBy: "proxy",
    how: PROXY,
    begin: (attacker) => attacker.open(CHURNING, () => Promise.resolve()),
  },
  {
    name: "floods: connections that come and poll and go",
    stoppedBy: "proxy",
    how: PROXY,
    begin: (attacker) => {
      const bytes = attacker.bytes({ path: "/rooms/quiet/messages?wait=0" });
      return attacker.open(CHURNING, async (connection) => attacker.count(await attacker.first(connection, bytes)));
    },
  },
  {
    name: "floods: bytes without end behind event streams",
    stoppedBy: "proxy",
    how: "A proxy hands on nothing that comes before the answer is over.",
    begin: (attacker) => {
      const bytes = attacker.bytes({ path: "/rooms/quiet/events" });
      return attacker.open(4, async (connection) => {
        attacker.count(await attacker.first(connection, bytes));
        while (true) {
          await write(connection, PIECE);
          await pause(PIECE_MS);
        }
      });
    },
  },
];

// Floods of posts: what is stored, or is refused only after it has been read.
import type { Attack, Attacker, Request } from "../attacker.ts";

/** A message almost as long as one may be; of letters that can't be compressed, as pictures in Base64 are. */
const LONG = Array.from(crypto.getRandomValues(new Uint8Array(9_900)), (byte) => (byte & 31).toString(32)).join("");

/** The most that a request may have, in bytes. */
const REQUEST_BYTES = 65_536;

/** What a member such as `"k1234":0,` takes of a request, in bytes. */
const BYTES_OF_MEMBER = 10;

function posted(room: string, body: string, headers: Record<string, string> = {}): Request {
  return { method: "POST", path: `/rooms/${room}/messages`, headers, body: JSON.stringify({ body }) };
}

/** Connections that all post the same, again and again. */
function again(connections: number, requestOf: (attacker: Attacker) => Request): Attack["begin"] {
  return (attacker) => {
    const bytes = attacker.bytes(requestOf(attacker));
    return attacker.ask(connections, () => bytes);
  };
}

const FAIR = "Posts are stored by turns, a client's beside those of others, and what may wait is bounded in bytes.";
const RATE = "POSTS_PER_MINUTE counts what one client may post.";
const CHANGES = `${RATE} An edit or a deletion is a post too.`;

/** The attacks. */
export const postFloods: readonly Attack[] = [
  {
    name: "floods: posts of 9.9 kB over 2000 connections",
    stoppedBy: "program",
    how: FAIR,
    begin: again(2_000, () => posted("flood", LONG)),
  },
  {
    name: "floods: posts of 9.9 kB over HTTP/2 (10 x 200)",
    stoppedBy: "program",
    how: FAIR,
    begin: (attacker) => attacker.ask2(10, () => posted("flood", LONG)),
  },
  {
    name: "floods: tiny posts over 2000 connections",
    stoppedBy: "program",
    how: FAIR,
    begin: again(2_000, () => posted("flood", "x")),
  },
  {
    name: "floods: posts of 9.9 kB over 64 connections",
    stoppedBy: "setting",
    how: RATE,
    begin: again(64, () => posted("flood", LONG)),
  },
  {
    name: "floods: tiny posts over 64 connections",
    stoppedBy: "setting",
    how: RATE,
    begin: again(64, () => posted("flood", "x")),
  },
  {
    name: "floods: posts into new rooms",
    stoppedBy: "setting",
    how: RATE,
    begin: (attacker) => attacker.ask(64, (i, n) => attacker.bytes(posted(`new-${i}-${n}`, "x"))),
  },
  {
    name: "floods: posts with long keys",
    stoppedBy: "setting",
    how: RATE,
    begin: (attacker) =>
      attacker.ask(
        64,
        (i, n) => attacker.bytes(posted("flood", "x", { "Idempotency-Key": `${i}-${n}-`.padEnd(255, "k") })),
      ),
  },
  {
    name: "floods: replays of 500 keys",
    stoppedBy: "setting",
    how: `${RATE} A replay is a post too.`,
    begin: (attacker) =>
      attacker.ask(64, (i, n) => attacker.bytes(posted("flood", "x", { "Idempotency-Key": `key-${(i + n) % 500}` }))),
  },
  {
    name: "floods: posts into the room of the victims",
    stoppedBy: "program",
    how: FAIR,
    begin: again(64, ({ order }) => posted(order.room, "x")),
  },
  {
    name: "floods: edits of own messages over 64 connections",
    stoppedBy: "setting",
    how: CHANGES,
    begin: (attacker) =>
      attacker.change(64, "flood", async (change) => {
        for (let n = 0;; n++) await change(`${n}`);
      }),
  },
  {
    name: "floods: posts that are deleted over 64 connections",
    stoppedBy: "setting",
    how: CHANGES,
    begin: (attacker) => attacker.change(64, "flood", (change) => change()),
  },
  {
    name: "floods: posts of 64 kB of [",
    stoppedBy: "program",
    how: "What is nested too deeply is refused before it is parsed.",
    begin: again(32, () => ({ ...posted("flood", ""), body: "[".repeat(REQUEST_BYTES) })),
  },
  {
    name: "floods: posts of 64 kB of JSON keys",
    stoppedBy: "program",
    how: "Members that nobody knows are bounded in number before they are made into an object.",
    begin: again(32, () => {
      const members = Array.from({ length: REQUEST_BYTES / BYTES_OF_MEMBER }, (_, i) => `"k${i}":0`).join();
      return { ...posted("flood", ""), body: `{${members},"body":"x"}` };
    }),
  },
];

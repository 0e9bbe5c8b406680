// What a post costs by itself, with a store that answers at once instead of a database: `deno bench`.
import { makeId, randomDigits } from "../src/chat/cursor.ts";
import { makeEntry, makePage } from "../src/chat/page.ts";
import type { Draft } from "../src/chat/draft.ts";
import { Writer } from "../src/chat/writer.ts";

const LIMITS = { queued: 10_000, queuedBytes: 16_000_000, queuedPerRoom: 10_000, batch: 128, batchBytes: 256_000 };
const text = "x".repeat(100);

let seq = 0;
const store = {
  append: (drafts: readonly Draft[]) =>
    Promise.resolve({
      entries: drafts.map(({ room, author, body, random }) =>
        makeEntry(room, makeId(Date.now(), ++seq, random), author, body)
      ),
      commits: [],
    }),
  withKeysOf: () => Promise.resolve([]),
};
const writer = new Writer(store, LIMITS, () => {});

for (const [posts, keyed] of [[1, false], [64, false], [64, true]] as const) {
  Deno.bench(`${posts} posts at once${keyed ? ", with keys" : ""}`, { group: "post" }, async () => {
    await Promise.all(Array.from({ length: posts }, (_, i) => {
      const key = keyed ? `${i}` : null;
      const marks = { reply_to: null, sub: null, proof: null };
      const read = () => ({ room: "room", author: null, body: text, key, ...marks, random: randomDigits() });
      return writer.post({ room: "room", key, client: "", bytes: text.length, read });
    }));
  });
}

Deno.bench("randomDigits()", { group: "parts" }, () => {
  randomDigits();
});

const id = makeId(Date.now(), 1, randomDigits());
Deno.bench("makeEntry()", { group: "parts" }, () => {
  makeEntry("room", id, "Ada", text);
});

const entries = Array.from({ length: 100 }, () => makeEntry("room", id, "Ada", text));
Deno.bench("makePage() of 100", { group: "parts" }, () => {
  makePage(entries, true);
});

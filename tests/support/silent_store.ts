// What is stored, and nobody is told of: as by a server whose notification is lost.
import { randomDigits } from "../../src/chat/cursor.ts";
import { Floors } from "../../src/chat/floors.ts";
import { proofOf } from "../../src/chat/proof.ts";
import { Store } from "../../src/chat/store.ts";
import { Client } from "../../src/database/client.ts";
import { draft } from "./draft.ts";
import { opened, type TestDatabase } from "./postgres.ts";

/** Settings of a server that does not look by itself within a test's time: what arrives was notified. */
export const NEVER = { FALLBACK_MS: "60000", FALLBACK_WITHOUT_LISTEN_MS: "60000" };

/** A store on connections of its own. */
export interface SilentStore extends AsyncDisposable {
  readonly store: Store;
  /** Posts in the room `room`; resolves with the id. */
  say(body: string): Promise<string>;
  /** Edits what was posted there with a Message-Key; resolves with the place of the change. */
  edit(id: string, key: string, body: string): Promise<string>;
}

/** Opens it; whoever does must dispose of it. */
export async function silentStore(database: Pick<TestDatabase, "url">): Promise<SilentStore> {
  const { openPool } = await opened(database.url);
  const clients = ["writes", "reads", "signals"].map((name) => new Client(name, 1, 5_000, openPool));
  const [writes, reads, signals] = clients;
  const store = new Store(writes!, reads!, signals!, new Floors());
  return {
    store,
    say: async (body) => {
      const { entries } = await store.append([draft("room", body)]);
      return entries[0]!.id;
    },
    edit: async (id, key, body) => {
      const nobody = { sub: null, moderates: false, known: null };
      const verdict = await store.change({
        room: "room",
        id,
        body,
        proof: proofOf(key),
        random: randomDigits(),
        ...nobody,
      });
      if (verdict.outcome !== "changed") throw new Error(`It was not changed: ${verdict.outcome}`);
      return verdict.entry.changed!;
    },
    [Symbol.asyncDispose]: async () => void await Promise.all(clients.map((client) => client.close())),
  };
}

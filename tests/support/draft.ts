// Messages on their way into a store, without what a test does not care for.
import { randomDigits } from "../../src/chat/cursor.ts";
import type { Draft } from "../../src/chat/draft.ts";

/** A draft; what is not given is null. */
export function draft(room: string, body: string, given: Partial<Draft> = {}): Draft {
  const nothing = { author: null, reply_to: null, key: null, sub: null, proof: null };
  return { room, body, ...nothing, random: randomDigits(), ...given };
}

// What proves that a message is one's own where nobody is known by name: whoever posts it may show a key that only he knows, and who
// shows the same key later may change the message. Only its digest is kept, so no copy of the database gives a key away.
import { createHash } from "node:crypto";

/**
 * What is kept of a `Message-Key`, as hex digits. A plain hash will do: a key is as long as 128 random bits, so that nobody can try
 * them all, as one can with a password.
 */
export function proofOf(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}

// What one client can do to a server to keep others from it. Each attack says what stops it: most are for the program, or for a setting
// that counts by client; what never gets as far as a request is for a proxy in front.
import type { Attack } from "./attacker.ts";
import { connectionFloods } from "./floods/connections.ts";
import { frameFloods } from "./floods/frames.ts";
import { postFloods } from "./floods/posts.ts";
import { readFloods } from "./floods/reads.ts";
import { requestFloods } from "./floods/requests.ts";
import { waitFloods } from "./floods/waits.ts";

/** All attacks. */
export const floods: readonly Attack[] = [
  ...postFloods,
  ...readFloods,
  ...waitFloods,
  ...requestFloods,
  ...connectionFloods,
  ...frameFloods,
];

// What is asked of a server that somebody floods, and what is known not to hold: so that a run ends well while nothing else is amiss, and
// badly for a reason. How long messages take is printed, and not judged.
import type { Attack } from "./attacker.ts";
import type { Flooded } from "./flood.ts";

/** What can be amiss, beside what must never be. */
type Kind = "refusal" | "recovery" | "lateness" | "memory";

/** How soon after the attack messages must take no longer than before, in milliseconds. */
const RECOVERED_MS = 2_000;

/** How soon a server must have let go of what it needed for the attack, in milliseconds; looked at earlier, it is not judged. */
const LET_GO_MS = 60_000;

/** What it may have in use then beyond what it had before, in MB: rooms that it goes on knowing, and code that it has used since. */
const KEPT_MB = 12;

/** What is known not to hold. docs/floods.md has it under "What is left". */
interface Exception {
  readonly why: string;
  readonly kinds: readonly Kind[];
  holds(attack: Attack, loopback: boolean): boolean;
}

/** One client can take all places to wait in, or load many rooms at once. */
export const TAKES_ALL_PLACES = [
  "floods: 15000 held polls",
  "floods: held polls over HTTP/2 (76 x 200)",
  "floods: 12000 rooms polled once each",
];

/** Fifteen thousand polls come at once, and each has to be refused; a victim has more to post then than it may at once. */
export const IS_REFUSED_LATE = ["floods: held polls over HTTP/2 (76 x 200)"];

const EXCEPTIONS: readonly Exception[] = [
  {
    why: "a proxy is to stop it",
    kinds: ["refusal", "recovery", "lateness"],
    holds: ({ stoppedBy }) => stoppedBy === "proxy",
  },
  {
    why: "clients can't be told apart, and one takes all places",
    kinds: ["refusal"],
    holds: ({ name }, loopback) => loopback && TAKES_ALL_PLACES.includes(name),
  },
  {
    why: "refusing all of it takes long",
    kinds: ["refusal", "lateness"],
    holds: ({ name }) => IS_REFUSED_LATE.includes(name),
  },
];

/** What a flood has shown, as sentences. */
export interface Verdict {
  readonly violations: string[];
  /** What is known not to hold, with the reason. */
  readonly known: string[];
}

/** Judges what became of an attack, after which messages must take no longer than before within `recoveredMs` milliseconds. */
export function judge(
  attack: Attack,
  { wrong, refusals, recovery, live, left, answers }: Pick<
    Flooded,
    "wrong" | "refusals" | "recovery" | "live" | "left" | "answers"
  >,
  loopback: boolean,
  recoveredMs: number = RECOVERED_MS,
): Verdict {
  const violations = [...wrong];
  const known: string[] = [];
  const found = (kind: Kind, sentence: string) => {
    const exception = EXCEPTIONS.find(({ kinds, holds }) => kinds.includes(kind) && holds(attack, loopback));
    if (exception) known.push(`${sentence} (known: ${exception.why})`);
    else violations.push(sentence);
  };
  for (const [what, times] of Object.entries(refusals)) {
    found("refusal", `A victim's request was refused: ${what} x ${times}`);
  }
  if (recovery === undefined) found("recovery", "Messages went on to take longer than before");
  else if (recovery > recoveredMs) {
    found("lateness", `Messages took longer than before for ${(recovery / 1_000).toFixed(1)} s more`);
  }
  if (live && live.ms >= LET_GO_MS && live.after - live.before > KEPT_MB) {
    found("memory", `The server has ${live.after} MB in use, and had ${live.before}`);
  }
  if (left > 0) violations.push(`The server holds ${left} polls and streams of nobody`);
  // A bound that nobody meets is none.
  if (attack.stoppedBy === "setting" && !loopback && !answers["429"]) {
    violations.push("The attacker was refused nothing, though a setting is to stop it");
  }
  return { violations, known };
}

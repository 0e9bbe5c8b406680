// Messages on their way into the store, as a statement takes them: which rooms they are for, and which place each takes among those
// of its room.

/** A message on its way into the store. */
export interface Draft {
  /** The room's name. */
  readonly room: string;
  /** The text. */
  readonly body: string;
  /** Who says it, if told. */
  readonly author: string | null;
  /**
   * Whether the author is the token's to tell. Then a repetition need not have the same one: the token can have been renewed meanwhile, with
   * another name in it.
   */
  readonly byToken?: boolean;
  /** The id of the message that it answers, if it is one that does. */
  readonly reply_to: string | null;
  /** The Idempotency-Key as it is stored, if one was given: with the sub before it, since it counts for each sub by itself. */
  readonly key: string | null;
  /** Whose token posts it, if one does. */
  readonly sub: string | null;
  /** What is kept of the Message-Key, if one was given: see {@linkcode proofOf}. */
  readonly proof: string | null;
  /** The last part of its id: ten hex digits. */
  readonly random: string;
}

/** A post as it came. What it says is not looked at before its turn, so that whoever brings a thousand waits for them himself. */
export interface Incoming {
  /** The room's name. */
  readonly room: string;
  /** As in the {@linkcode Draft}. */
  readonly key: string | null;
  /** Who posts, where turns are taken. */
  readonly client: string;
  /** Its size in bytes, as it came. */
  readonly bytes: number;
  /**
   * What it says.
   * @throws {Problem} when it can't be meant.
   */
  read(): Draft;
}

/** The drafts of one statement, by their rooms. */
export interface Batch {
  /** The drafts, in order. */
  readonly drafts: readonly Draft[];
  /** Their rooms. */
  readonly rooms: readonly string[];
  /** How many drafts each of the rooms has. */
  readonly counts: readonly number[];
  /** For each draft, which of the rooms is its own. */
  readonly roomOf: readonly number[];
  /** For each draft, how many of its room come later: the last has the highest number. */
  readonly later: readonly number[];
}

/** Looks through drafts. */
export function batchOf(drafts: readonly Draft[]): Batch {
  const places = new Map<string, number>();
  const counts: number[] = [];
  const roomOf: number[] = [];
  const earlier: number[] = [];
  for (const { room } of drafts) {
    let place = places.get(room);
    if (place === undefined) places.set(room, place = counts.push(0) - 1);
    roomOf.push(place);
    earlier.push(counts[place]!++);
  }
  const later = earlier.map((earlier, i) => counts[roomOf[i]!]! - 1 - earlier);
  return { drafts, rooms: [...places.keys()], counts, roomOf, later };
}

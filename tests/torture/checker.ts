// Decides whether a run kept the promises: takes what the writers were told, what the pollers were given and what the
// database holds, and returns every violation as a sentence. No sentence: the run was right.
//
// Every body is posted by one writer and is unlike all others, so that a body says which post a message comes from.
//
// A database that fails over to a standby that is behind loses messages; which may be lost is known by the time. They must soon be
// shown no more, and must cost nobody a later one.
import {
  type ChangeRecord,
  type FollowRecord,
  mayBeDone,
  type ReadRecord,
  violationsOfChanges,
} from "./change_checker.ts";
import type { Loss } from "./world.ts";

/** One attempt to post, as its client saw it. Times in milliseconds, all by one clock. */
export interface PostRecord {
  readonly room: string;
  readonly body: string;
  /** The Idempotency-Key; attempts with the same key are the same post. */
  readonly key?: string | undefined;
  /** The server that was asked. */
  readonly server?: string;
  readonly sent: number;
  readonly answered: number;
  /** 0: no answer came. */
  readonly status: number;
  /** The id in an answer of success. */
  readonly id?: string;
  /** Whether the answer said that an earlier attempt had stored it. */
  readonly replayed?: boolean;
  /** The last part of the problem's type, in an answer of refusal. */
  readonly problem?: string;
}

/** What one poller was given, in the order it came, whatever servers it came from. */
export interface PollRecord {
  readonly name: string;
  readonly room: string;
  /** The cursor it began at. */
  readonly from: string;
  readonly messages: readonly {
    readonly id: string;
    readonly body: string;
    readonly at: number;
    readonly changed?: string | undefined;
    /** When it was asked for, if the answer has to be what there is from then on. */
    readonly asked?: number | undefined;
  }[];
}

/** A stored message, as the database holds it at the end. */
export interface StoredMessage {
  readonly room: string;
  readonly id: string;
  readonly body: string;
  readonly key: string | null;
  /** The place of its newest change. */
  readonly changed?: string | null;
}

/** All of a run. Pollers have read to the end. */
export interface History {
  readonly posts: readonly PostRecord[];
  readonly polls: readonly PollRecord[];
  readonly table: readonly StoredMessage[];
  /** When the database has lost something; never if not given. */
  readonly losses?: readonly Loss[];
  /** Edits and deletions. */
  readonly changes?: readonly ChangeRecord[];
  /** What followers with changes were given; they have read to the end. */
  readonly follows?: readonly FollowRecord[];
  /** What others were given. */
  readonly reads?: readonly ReadRecord[];
}

/** How long a server may go on showing what is lost, once it serves again, in milliseconds. */
const SHOWN_MS = 10_000;

/**
 * How long after a loss a post may come to lie below a lost message that its server has not heard of, in milliseconds; then every
 * server has looked, and the head is lifted. Whoever was given the lost one misses that post.
 */
const UNLIFTED_MS = 10_000;

/** All violations of a run, as sentences. */
export function violations(history: History): string[] {
  const { posts, polls, table, losses = [], changes = [], follows = [], reads = [] } = history;
  // A poller is given messages as they are when he comes by: so he is a reader, too.
  const given = polls.map(({ name, room, messages }) => ({ name, room, seen: messages }));
  return [
    ...violationsOfPosts(changes.length > 0 ? asPosted(history, changes) : history, changes),
    ...changes.length > 0
      ? violationsOfChanges({ posts, changes, follows, reads: [...reads, ...given], table, losses })
      : [],
  ];
}

/** The same as if nothing had been changed: each message with the text that was posted. */
function asPosted(history: History, changes: readonly ChangeRecord[]): History {
  const posted = new Map(history.posts.map(({ room, id, body }) => [`${room} ${id}`, body]));
  const edits = new Set(changes.map(({ room, id, body }) => `${room} ${id} ${body}`));
  const bodyOf = (room: string, { id, body }: { id: string; body: string }) =>
    edits.has(`${room} ${id} ${body}`) ? posted.get(`${room} ${id}`) ?? body : body;
  return {
    ...history,
    table: history.table.map((row) => ({ ...row, body: bodyOf(row.room, row) })),
    polls: history.polls.map((poll) => ({
      ...poll,
      messages: poll.messages.map((message) => ({ ...message, body: bodyOf(poll.room, message) })),
    })),
  };
}

function violationsOfPosts({ posts, polls, table, losses = [] }: History, changes: readonly ChangeRecord[]): string[] {
  const rooms = Map.groupBy(table.toSorted((a, b) => a.id < b.id ? -1 : 1), (message) => message.room);
  const attempts = Map.groupBy(posts, (post) => `${post.room} ${post.body}`);
  const stored = Map.groupBy(table, (message) => `${message.room} ${message.body}`);
  const deletions = Map.groupBy(
    changes.filter((change) => change.body === "" && mayBeDone(change)),
    ({ room, id }) => `${room} ${id}`,
  );
  return [
    ...attempts.values().flatMap((tries) =>
      storedAsTold(tries, stored.get(`${tries[0]!.room} ${tries[0]!.body}`) ?? [], losses)
    ),
    ...table.filter(({ room, body }) => !attempts.has(`${room} ${body}`)).map(({ id }) =>
      `${id} is stored, and nobody posted it`
    ),
    ...Map.groupBy(table.filter(({ key }) => key !== null), ({ room, key }) => `${room} ${key}`).entries()
      .filter(([, messages]) => messages.length > 1).map(([key, messages]) =>
        `Key ${key} is stored ${messages.length} times`
      ),
    ...polls.flatMap((poll) => [...seenAsStored(poll, rooms.get(poll.room) ?? [], attempts, losses, deletions)]),
    ...Map.groupBy(posts.filter((post) => !isLost(post, rooms.get(post.room) ?? [])), (post) => post.room).values()
      .flatMap(inRealTime),
  ];
}

/** The loss that may have taken a post along. */
function lossOf({ sent, answered }: PostRecord, losses: readonly Loss[]): Loss | undefined {
  return losses.find(({ from, to }) => answered > from && sent < to);
}

/** All attempts to post one body, and what is stored of it. */
function* storedAsTold(
  attempts: readonly PostRecord[],
  stored: readonly StoredMessage[],
  losses: readonly Loss[],
): Iterable<string> {
  const { body } = attempts[0]!;
  const acked = attempts.filter((attempt) => attempt.id !== undefined);
  const sure = attempts.every((attempt) => attempt.problem === "not-stored" || attempt.problem === "room-busy");
  if (sure && stored.length > 0) yield `${body} was refused as not stored, and is stored`;
  if (stored.length > Math.max(1, attempts[0]!.key ? 1 : attempts.length)) {
    yield `${body} is stored ${stored.length} times`;
  }

  for (const attempt of acked) {
    const { id } = attempt;
    if (!lossOf(attempt, losses) && !stored.some((message) => message.id === id)) {
      yield `${body} was acknowledged as ${id}, and is not stored so`;
    }
  }
  const ids = new Set(acked.map((attempt) => attempt.id));
  if (attempts[0]!.key && ids.size > 1) yield `${body} was acknowledged with one key as ${[...ids].join(" and as ")}`;

  // The first answer that says "replayed" betrays that an attempt before it was stored: one that was told so, or not sure.
  const inTime = attempts.toSorted((a, b) => a.answered - b.answered);
  const replay = inTime.find((attempt) => attempt.replayed);
  if (replay) {
    const before = attempts.filter((attempt) => attempt !== replay && attempt.sent < replay.answered);
    if (before.every((attempt) => attempt.problem !== undefined && attempt.problem !== "outcome-unknown")) {
      yield `${body} was answered as stored before, and no attempt before had been told that it may be`;
    }
  }
}

function isLost({ id }: PostRecord, room: readonly StoredMessage[]): boolean {
  return id !== undefined && !room.some((message) => message.id === id);
}

function* seenAsStored(
  { name, room: roomName, from, messages }: PollRecord,
  room: readonly StoredMessage[],
  attempts: ReadonlyMap<string, readonly PostRecord[]>,
  losses: readonly Loss[],
  deletions: ReadonlyMap<string, readonly ChangeRecord[]>,
): Iterable<string> {
  const attemptsOf = (body: string) => attempts.get(`${roomName} ${body}`) ?? [];
  let lost = ""; // the newest of what is lost
  const expected = room.filter(({ id }) => id > from);
  const bodies = new Map(room.map(({ id, body }) => [id, body]));
  const seen = new Set<string>();
  for (const [i, { id, body, at }] of messages.entries()) {
    if (seen.has(id)) yield `${name} saw ${id} twice`;
    else if (i > 0 && id < messages[i - 1]!.id) yield `${name} saw ${id} after ${messages[i - 1]!.id}`;
    if (id <= from) yield `${name} began at ${from}, and saw ${id}`;
    const loss = bodies.has(id) ? undefined : attemptsOf(body).map((post) => lossOf(post, losses)).find(Boolean);
    if (loss) {
      lost = id;
      if (at > loss.over + SHOWN_MS) {
        yield `${name} saw ${id}, which is lost, ${(at - loss.over).toFixed()} ms too late`;
      }
    } else if (!bodies.has(id)) yield `${name} saw ${id}, which is not stored`;
    else if (bodies.get(id) !== body) yield `${name} saw ${id} as ${body}, which is stored as ${bodies.get(id)}`;
    seen.add(id);
  }
  for (const { id, body } of expected.filter(({ id }) => !seen.has(id))) {
    const below = id < lost &&
      attemptsOf(body).some(({ sent, answered }) =>
        losses.some(({ to, over }) => answered > to && sent < over + UNLIFTED_MS)
      );
    const passed = messages.find((message) => message.id > id)?.at ?? Infinity;
    const deleted = deletions.get(`${roomName} ${id}`)?.some(({ sent }) => sent < passed); // before he came by
    if (!below && !deleted) yield `${name} never saw ${body} (${id})`;
  }
}

/** What was acknowledged before another post was sent stands before it. */
function* inRealTime(posts: readonly PostRecord[]): Iterable<string> {
  // A replay's answer says nothing of when its message was stored, but for "before the answer".
  const acked = posts.filter((post) => post.id !== undefined);
  const byAnswer = acked.toSorted((a, b) => a.answered - b.answered);
  let newest: PostRecord | undefined; // the newest message of all that were answered before the post at hand was sent
  let next = 0;
  for (const post of acked.filter((post) => !post.replayed).toSorted((a, b) => a.sent - b.sent)) {
    for (; next < byAnswer.length && byAnswer[next]!.answered < post.sent; next++) {
      if (!newest || byAnswer[next]!.id! > newest.id!) newest = byAnswer[next]!;
    }
    if (newest && newest.id! > post.id!) {
      yield `${post.body} was sent after ${newest.body} was acknowledged, and stands before it`;
    }
  }
}

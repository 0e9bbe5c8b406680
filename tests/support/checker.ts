// Decides whether a run kept the promises: takes what the writers were told, what the pollers were given and what the
// database holds, and returns every violation as a sentence. No sentence: the run was right.

/** What became of one post, as its client saw it. `status` 0: no answer came. Times in milliseconds, one clock. */
export interface PostRecord {
  readonly body: string;
  readonly sent: number;
  readonly answered: number;
  readonly status: number;
  /** The id in an answer of success. */
  readonly id?: string;
  /** The last part of the problem's type, otherwise. */
  readonly problem?: string;
}

/** What one poller was given, in the order it came. */
export interface PollRecord {
  readonly name: string;
  /** The cursor it began at. */
  readonly from: string;
  readonly messages: readonly { readonly id: string; readonly body: string }[];
}

/** A run in one room. `table`: what the database holds at the end, in the order of the ids. */
export interface History {
  readonly posts: readonly PostRecord[];
  readonly polls: readonly PollRecord[];
  readonly table: readonly { readonly id: string; readonly body: string }[];
}

/** All violations of a run. */
export function violations(history: History): string[] {
  return [...storedAsTold(history), ...seenAsStored(history), ...inRealTime(history)];
}

function* storedAsTold({ posts, table }: History): Iterable<string> {
  const stored = Map.groupBy(table, (message) => message.body);
  for (const post of posts) {
    const found = stored.get(post.body) ?? [];
    if (found.length > 1) yield `${post.body} is stored ${found.length} times`;
    if (post.id && !found.some(({ id }) => id === post.id)) {
      yield `${post.body} was acknowledged as ${post.id} and is not stored`;
    }
    if (post.problem === "not-stored" && found.length > 0) yield `${post.body} was refused as not stored and is stored`;
  }
}

function* seenAsStored({ polls, table }: History): Iterable<string> {
  for (const { name, from, messages } of polls) {
    const expected = table.filter(({ id }) => id > from);
    const seen = Map.groupBy(messages, (message) => message.id);
    for (const { id, body } of expected) if (!seen.has(id)) yield `${name} never saw ${body}`;
    for (const [id, times] of seen) if (times.length > 1) yield `${name} saw ${id} ${times.length} times`;
    for (const [i, { id }] of messages.entries()) {
      if (i > 0 && id <= messages[i - 1]!.id) yield `${name} saw ${id} after ${messages[i - 1]!.id}`;
      if (id <= from) yield `${name} began at ${from} and saw ${id}`;
    }
    const bodies = new Map(table.map(({ id, body }) => [id, body]));
    for (const { id, body } of messages) {
      if (bodies.get(id) !== body) yield `${name} saw ${id} as ${body}, which is not stored so`;
    }
  }
}

/** What was acknowledged before another post was sent stands before it. */
function* inRealTime({ posts }: History): Iterable<string> {
  const acked = posts.filter((post) => post.id !== undefined);
  const byAnswer = acked.toSorted((a, b) => a.answered - b.answered);
  let newest: PostRecord | undefined; // of all that were answered before the post at hand was sent
  let next = 0;
  for (const post of acked.toSorted((a, b) => a.sent - b.sent)) {
    for (; next < byAnswer.length && byAnswer[next]!.answered < post.sent; next++) {
      if (!newest || byAnswer[next]!.id! > newest.id!) newest = byAnswer[next]!;
    }
    if (newest && newest.id! > post.id!) {
      yield `${post.body} was sent after ${newest.body} was acknowledged, and stands before it`;
    }
  }
}

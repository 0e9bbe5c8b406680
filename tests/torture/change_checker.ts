// What the checker says of edits and deletions: who follows with changes ends with what the table holds; who reads after an
// acknowledged change has no older text; and what a refusal says is true.
//
// A version of a message is named by its place: that of its newest change, or its id. Places come out of the room's order, so of two
// versions the one with the greater place is the newer one, whatever clocks say. The text of each change is unlike all others.
import type { PostRecord, StoredMessage } from "./checker.ts";
import type { Loss } from "./world.ts";

/** One attempt to change a message, as its client saw it. Times in milliseconds, all by one clock. */
export interface ChangeRecord {
  readonly room: string;
  readonly id: string;
  /** The text that the message is to have; "": it is to be deleted. */
  readonly body: string;
  /** The version that is to be changed; any if not given. */
  readonly known?: string | undefined;
  readonly sent: number;
  readonly answered: number;
  /** 0: no answer came. */
  readonly status: number;
  /** The place of the change, in an answer to an edit. */
  readonly changed?: string;
  /** The last part of the problem's type, in an answer of refusal. */
  readonly problem?: string;
}

/** A message as somebody was given it. */
export interface Sight {
  readonly id: string;
  /** "": that it was deleted; undefined: that there is none. */
  readonly body: string | undefined;
  /** Its newest change, if it has one. */
  readonly changed?: string | undefined;
  readonly at: number;
  /** When he asked, if he has to be given what there is from then on. */
  readonly asked?: number | undefined;
}

/** What a follower with changes was given, in the order it came, whatever servers it came from. */
export interface FollowRecord {
  readonly name: string;
  readonly room: string;
  /** The cursor it began at. */
  readonly from: string;
  readonly items: readonly (Sight & {
    /** Where it stands in the order of the room. */
    readonly place: string;
  })[];
}

/** What somebody was given who did not follow. */
export interface ReadRecord {
  /** How he asked. */
  readonly name: string;
  readonly room: string;
  readonly seen: readonly Sight[];
}

/** All that is known of changes. */
export interface ChangeHistory {
  readonly posts: readonly PostRecord[];
  readonly changes: readonly ChangeRecord[];
  readonly follows: readonly FollowRecord[];
  readonly reads: readonly ReadRecord[];
  readonly table: readonly StoredMessage[];
  readonly losses: readonly Loss[];
}

/** How long after a loss its traces may be seen, in milliseconds: then every server has looked, and the head is lifted. */
const SETTLED_MS = 10_000;

/** The place by which a version is known. */
export function versionOf({ id, changed }: { id: string; changed?: string | null | undefined }): string {
  return changed ?? id;
}

/** Whether an attempt can have done what it wanted: also without an answer, and then at any time after it was sent. */
export function mayBeDone({ status, problem }: Pick<ChangeRecord, "status" | "problem">): boolean {
  return status < 300 || problem === "outcome-unknown";
}

/** When something was done: between these times, or at any time after it was sent where no answer came. */
type Attempt = Pick<ChangeRecord, "sent" | "answered" | "status">;

/** Whether a loss may have taken it along. */
function isInLoss({ sent, answered, status }: Attempt, losses: readonly Loss[]): boolean {
  return losses.some(({ from, to }) => (answered > from || status === 0) && sent < to);
}

/** Whether it may have been done after a loss, while the head was not lifted yet. */
function isBeforeLift({ sent, answered, status }: Attempt, losses: readonly Loss[]): boolean {
  return losses.some(({ to, over }) => (answered > to || status === 0) && sent < over + SETTLED_MS);
}

/** Whether something was seen while what is lost could be seen. */
function isNearLoss(at: number, losses: readonly Loss[]): boolean {
  return losses.some(({ from, over }) => at > from && at < over + SETTLED_MS);
}

/** What is known of the changes of one message. */
class Story {
  readonly attempts: ChangeRecord[] = [];
  constructor(
    readonly original: string | undefined,
    readonly row: StoredMessage | undefined,
    private readonly losses: readonly Loss[],
  ) {}

  /** The attempts that were acknowledged, and that no loss can have undone. */
  get told(): ChangeRecord[] {
    return this.attempts.filter((attempt) =>
      attempt.status !== 0 && attempt.status < 300 && !isInLoss(attempt, this.losses)
    );
  }

  /** Whether it can have had this text at a time. */
  canBe(body: string, at: number): boolean {
    return body === this.original ||
      this.attempts.some((attempt) => attempt.body === body && mayBeDone(attempt) && attempt.sent < at);
  }
}

/** A version of a message. */
type Version = Pick<Sight, "id" | "body"> & { readonly changed?: string | null | undefined };

/** The attempts that can have made a version of a message in a room. */
type MakersOf = (room: string, version: Version) => Attempt[];

/** All violations, as sentences. */
export function violationsOfChanges(history: ChangeHistory): string[] {
  const { posts, changes, follows, reads, table, losses } = history;
  const rows = new Map(table.map((row) => [`${row.room} ${row.id}`, row]));
  const originals = new Map(
    posts.filter(({ id }) => id !== undefined).map(({ room, id, body }) => [`${room} ${id}`, body]),
  );
  const stories = new Map<string, Story>();
  const storyOf = (room: string, id: string) => {
    const key = `${room} ${id}`;
    const row = rows.get(key);
    const story = stories.get(key) ??
      new Story(originals.get(key) ?? (row?.changed ? undefined : row?.body), row, losses);
    stories.set(key, story);
    return story;
  };
  for (const change of changes) storyOf(change.room, change.id).attempts.push(change);
  const said = Map.groupBy(posts, ({ room, body }) => `${room} ${body}`);
  const makersOf: MakersOf = (room, { id, body, changed }) =>
    changed
      ? storyOf(room, id).attempts.filter((attempt) => attempt.body === body && mayBeDone(attempt))
      : (said.get(`${room} ${body}`) ?? []).filter(mayBeDone);
  return [
    ...stories.values().flatMap((story) => [...asTold(story, losses)]),
    ...reads.flatMap(({ name, room, seen }) =>
      seen.flatMap((sight) => [...inTime(name, sight, storyOf(room, sight.id), losses)])
    ),
    ...follows.flatMap((follow) => [
      ...follow.items.flatMap((item) => [...inTime(follow.name, item, storyOf(follow.room, item.id), losses)]),
      ...inOrder(follow, losses),
      ...endsWithTable(follow, table, storyOf, makersOf, losses),
    ]),
  ];
}

/** What clients were told of the changes of one message, beside one another and what is stored. */
function* asTold(story: Story, losses: readonly Loss[]): Iterable<string> {
  const { attempts, row, told } = story;
  const places = new Map<string, string>();
  for (const { id, body, changed } of attempts) {
    if (changed === undefined) continue;
    const other = places.get(changed);
    if (other !== undefined && other !== body) yield `${id} became ${other} and ${body} in one place`;
    places.set(changed, body);
  }
  if (row?.changed) {
    const deletes = row.body === "";
    if (!attempts.some((attempt) => attempt.body === row.body && mayBeDone(attempt))) {
      yield `${row.id} is stored as ${deletes ? "deleted" : row.body}, and nobody was told that it may be`;
    }
  } else if (row && story.original !== undefined && row.body !== story.original) {
    yield `${row.id} is stored as ${row.body}, and does not say that it was changed`;
  }
  for (const { id, body, changed } of told) {
    const what = body === "" ? "deletion" : `edit to ${body}`;
    if (!row) yield `The ${what} of ${id} was acknowledged, and it is not stored`;
    else if (body === "" && row.body !== "") yield `${id} was deleted, and is stored as ${row.body}`;
    else if (changed !== undefined && (versionOf(row) < changed || versionOf(row) === changed && row.body !== body)) {
      yield `The ${what} of ${id} was acknowledged, and what is stored is older`;
    }
  }
  for (const attempt of attempts) yield* truly(attempt, story, losses);
}

/** What one answer says of the message is true: it was so at some time between the question and the answer. */
function* truly(attempt: ChangeRecord, { attempts, row, told }: Story, losses: readonly Loss[]): Iterable<string> {
  const { id, body, known, changed, sent, answered, status } = attempt;
  if (isNearLoss(answered, losses) || isNearLoss(sent, losses)) return;
  const others = attempts.filter((other) => other.body !== body && mayBeDone(other) && other.sent < answered);
  const isLost = attempts.some((made) => made.changed === known && isInLoss(made, losses));
  const isOld = others.some((other) => other.changed === undefined || known === undefined || other.changed > known);
  if (status === 412 && !isLost && !isOld) {
    yield `${id} was said not to be ${known}, and nobody else had changed it`;
  }
  if (status === 410 && !attempts.some((other) => other.body === "" && mayBeDone(other) && other.sent < answered)) {
    yield `${id} was said to be deleted, and nobody had`;
  }
  if (status === 404 && row) yield `${id} was said not to be there`;
  if (status === 403) yield `${id} was said to be another's`;
  if (status === 200 && told.some((other) => other.body === "" && other.answered < sent)) {
    yield `${id} was edited to ${body} after it was deleted`;
  }
  const between = known !== undefined && changed !== undefined &&
    told.find((other) => other.body !== body && other.changed! > known && other.changed! < changed);
  if (between) yield `${id} was edited to ${body} as ${known}, and had become ${between.body}`;
}

/** What somebody was given can have been there, and was no older than he could expect. */
export function* inTime(name: string, sight: Sight, story: Story, losses: readonly Loss[]): Iterable<string> {
  const { id, body, at, asked } = sight;
  if (isNearLoss(at, losses)) return;
  const since = asked === undefined ? [] : story.told.filter(({ answered }) => answered < asked);
  if (body === undefined) {
    if (story.row) yield `${name} was told that there is no ${id}, which is stored`;
  } else if (body === "") {
    if (!story.canBe("", at)) yield `${name} was told that ${id} is deleted, and nobody had`;
  } else {
    if (!story.canBe(body, at)) yield `${name} saw ${id} as ${body}, which nobody made of it`;
    if (story.row && versionOf(sight) > versionOf(story.row)) {
      yield `${name} saw ${id} as ${body}, which is newer than what is stored`;
    }
    if (since.some((change) => change.body === "")) yield `${name} saw ${id} as ${body} after it was deleted`;
    const newer = since.find(({ changed }) => changed !== undefined && changed > versionOf(sight));
    if (newer) yield `${name} saw ${id} as ${body} after it had become ${newer.body}`;
  }
}

/** Places rise; and of each message nothing comes that is older than what came before. */
function* inOrder({ name, from, items }: FollowRecord, losses: readonly Loss[]): Iterable<string> {
  let before = from;
  const held = new Map<string, FollowRecord["items"][number]>();
  for (const item of items) {
    const { id, place, body } = item;
    if (place <= before) yield `${name} was given the place ${place} after ${before}`;
    before = place;
    const last = held.get(id);
    held.set(id, item);
    if (!last || isNearLoss(last.at, losses)) continue;
    if (last.body === "" && body !== "") yield `${name} saw ${id} as ${body} after he was told that it is deleted`;
    else if (versionOf(item) < versionOf(last)) yield `${name} saw ${id} as ${body} after ${last.body}`;
  }
}

/** Whoever has read to the end holds what the table holds, but for what a loss has cost him. */
function* endsWithTable(
  { name, room, from, items }: FollowRecord,
  table: readonly StoredMessage[],
  storyOf: (room: string, id: string) => Story,
  makersOf: MakersOf,
  losses: readonly Loss[],
): Iterable<string> {
  const held = new Map(items.map((item) => [item.id, item]));
  const rows = new Map(table.filter((row) => row.room === room).map((row) => [row.id, row]));
  // The newest of what he was given that may be lost: what others did before the head was lifted above that, stands below it.
  const lost = items.findLast((item) => {
    const row = rows.get(item.id);
    return !(row && versionOf(row) === versionOf(item)) && makersOf(room, item).some((made) => isInLoss(made, losses));
  })?.place ?? "";
  // Once a message was changed, nobody is given its older changes, nor a deleted one; and a change that is lost leaves one of these.
  const isHidden = (row: StoredMessage, item: Sight | undefined) =>
    makersOf(room, row).some(({ sent }) => losses.some(({ to }) => sent < to)) &&
    storyOf(room, row.id).attempts.some((other) =>
      other.body !== row.body && mayBeDone(other) && isInLoss(other, losses) &&
      (other.changed === undefined || other.changed > versionOf(row)) &&
      (row.changed || item || other.body === "")
    );
  const isBelowLost = (row: StoredMessage) =>
    versionOf(row) <= lost && makersOf(room, row).some((made) => isBeforeLift(made, losses));
  for (const row of rows.values()) {
    if (versionOf(row) <= from) continue;
    const item = held.get(row.id);
    const body = row.body === "" ? "deleted" : row.body;
    if (item && item.body === row.body && (row.body === "" || versionOf(item) === versionOf(row))) continue;
    if (!item && row.body === "") continue;
    if (isHidden(row, item) || isBelowLost(row)) continue;
    yield item
      ? `${name} ends with ${row.id} as ${item.body === "" ? "deleted" : item.body}, which is ${body}`
      : `${name} never saw ${row.id}, which is ${body}`;
  }
  for (const { id, body, at } of held.values()) {
    if (!rows.has(id) && !isNearLoss(at, losses)) yield `${name} ends with ${id} as ${body}, which is not stored`;
  }
}

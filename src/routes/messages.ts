// Messages over HTTP: translates requests into calls of the chat, and what it returns into answers. Nothing else.
import type { Context, Hono } from "hono";
import type { Chat, Unparsed } from "../chat/chat.ts";
import { NIL, NOW } from "../chat/cursor.ts";
import { DEFAULT_WAIT_SECONDS, IdempotencyKey, MessageKey, NewMessage } from "../chat/message.ts";
import type { Page } from "../chat/page.ts";
import type { Poll, Reading } from "../chat/polls.ts";
import type { Found } from "../chat/searcher.ts";
import type { Identity } from "../identity/identity.ts";
import type { Allowance } from "../allowance.ts";
import { isForeignLink } from "../origin.ts";
import { crossOrigin, invalid, notStored } from "../problem.ts";
import { allowanceOf, type LimitSource, type Sender } from "./allowance.ts";
import { type Asked, askedAgain, askedBy } from "./asked.ts";
import { json, leadOn, length, tagOf } from "./answer.ts";
import { type HistorySource, kept } from "./history-cache.ts";
import { headerOf, idOf, preferredWait, roomOf } from "./parameters.ts";
import { Parked } from "./parked.ts";
import { type Permission, permit, permitted } from "./permit.ts";
import { type ChatSource, started } from "./started.ts";
import { bodyOf, messageIn, type UploadSource } from "./upload.ts";

/** What the routes need. */
export interface MessageRoutes extends ChatSource, HistorySource, LimitSource, UploadSource {}

/**
 * Longest wait of a poll that announces a body, in milliseconds. Deno 2.9.6 does not see over HTTP/1.1 when such a client leaves, so
 * it would keep its place for the whole wait. Nobody needs a body here; who sends one all the same is served, and comes back sooner.
 */
const MAX_WAIT_WITH_BODY_MS = 500;

/**
 * Adds the routes of messages.
 * @internal
 */
export function messageRoutes(app: Hono, deps: MessageRoutes): void {
  for (const path of ["/messages", "/rooms/:room/messages"]) {
    app.get(path, (c) => {
      started(deps);
      const room = roomOf(c);
      return permittedList(deps, c, room, permit(deps, c, "read", room), () => askedBy(c, room));
    });
    app.post(path, (c) => post(c, deps));
  }
  for (const path of ["/messages/:id", "/rooms/:room/messages/:id"]) {
    app.get(path, (c) => {
      const chat = started(deps);
      const room = roomOf(c);
      return permitted(
        c.req.raw,
        permit(deps, c, "read", room),
        (who) => find(c, deps, chat, room, allowanceOf(deps, c, who)),
      );
    });
  }
}

/**
 * The answer to a list that asks the same as one lately asked for, without a look at routes; undefined for any other request. Those who come
 * straight back while others still wait for what these have had, are kept outside before their query is read; but nobody who may not read the
 * room, or of whom that is not known yet.
 * @throws {Problem} as the route does.
 * @internal
 */
export function answerAgain(
  deps: MessageRoutes,
  request: Request,
  env: object,
): Response | Promise<Response> | undefined {
  const again = askedAgain(request);
  if (!again) return undefined;
  const { room, asked } = again;
  const chat = started(deps);
  const sender = { req: { raw: request }, env };
  const allowed = () => permit(deps, sender, "read", room);
  const answer = (permission: Permission, came?: number) => {
    const response = permittedList(deps, sender, room, permission, () => asked, came);
    return Parked.answerIn(response) ?? response;
  };
  const permission = allowed();
  const { before, after = NIL, wait, changes, text } = asked;
  const waits = before === undefined && text === undefined && wait !== 0 && !isForeignLink(request) &&
    (wait !== undefined || request.headers.get("prefer") === null) && // by which he may not want to wait
    !(permission instanceof Promise);
  // By his turn his token may have ended.
  const turn = waits ? chat.inTurn(room, { after, changes }, (came) => answer(allowed(), came)) : undefined;
  if (turn) void request.signal; // one that is made when its client has left already never aborts (Deno 2.9.6, HTTP/2)
  return turn ?? answer(permission);
}

function permittedList(
  deps: MessageRoutes,
  c: Sender,
  room: string,
  permission: Permission,
  asked: () => Asked,
  came?: number,
): Response | Promise<Response> {
  const chat = started(deps);
  return permitted(
    c.req.raw,
    permission,
    (who) => list(c.req.raw, deps, chat, room, allowanceOf(deps, c, who), asked(), came),
  );
}

async function post(c: Context, deps: MessageRoutes): Promise<Response> {
  const room = roomOf(c);
  const who = await permit(deps, c, "write", room);
  const allowance = allowanceOf(deps, c, who);
  allowance.post();
  const key = headerOf(c, "Idempotency-Key", IdempotencyKey);
  const messageKey = headerOf(c, "Message-Key", MessageKey);
  const body = await bodyOf(c, deps);
  const message = { key, messageKey, bytes: body.length, read: () => authored(messageIn(NewMessage, body), who) };
  const chat = deps.chat();
  if (!chat) {
    message.read(); // what can't be meant is not worth another try
    throw notStored("This server is starting");
  }
  const { entry, replayed } = await chat.post(room, message, who?.sub, allowance);
  return json(entry.json, replayed ? 200 : 201, {
    location: `messages/${entry.id}`, // relative, so that it also holds behind a proxy that adds a path prefix
    ...replayed && { "idempotency-replayed": "true" },
  });
}

/** A message whose author is who the token says; one that says another is refused, not changed in silence. */
function authored(message: NewMessage, who: Identity | undefined): ReturnType<Unparsed["read"]> {
  const name = who?.name ?? null;
  const author = message.author ?? name;
  if (name !== null && author !== name) throw invalid("author", "must be left out, or be the name in the token");
  // Who leaves it out leaves it to his token, also to the next one, which may have no name.
  const byToken = name !== null || message.author === null && (who?.sub ?? null) !== null;
  return { ...message, author, byToken };
}

function list(
  request: Request,
  deps: MessageRoutes,
  chat: Chat,
  room: string,
  allowance: Allowance,
  { before, after, limit, wait, changes, text }: Asked,
  came: number | undefined,
): Response | Promise<Response> {
  // Its headers are worth no page: what depends on one, it leaves out (RFC 9110, 9.3.2).
  if (request.method === "HEAD") return json("", 200);
  if (text !== undefined) {
    // How long it takes tells whether the text is in the room, and which text that is, the page with the link has chosen.
    if (isForeignLink(request)) throw crossOrigin();
    const sought = { room, before: before ?? NOW, text, limit, client: request };
    return chat.search(sought, allowance).then((found) => answerFound(found, limit, text));
  }
  if (before !== undefined) {
    return chat.read(room, before, limit, allowance, request).then(({ page, final }) => {
      const answer = answerBefore(page, limit);
      return final ? kept(deps, request, answer, page.body) : answer;
    });
  }

  const given = isForeignLink(request) ? 0 : wait;
  const preferred = given === undefined ? preferredWait(request.headers.get("prefer") ?? undefined) : undefined;
  const seconds = given ?? preferred ?? DEFAULT_WAIT_SECONDS;
  const ms = announcesBody(request) ? Math.min(seconds * 1000, MAX_WAIT_WITH_BODY_MS) : seconds * 1000;
  const poll = { after: after ?? NIL, limit, wait: ms, changes, client: request, allowance, came };
  const answer = answerPoll(deps, chat, room, poll, preferred);
  return poll.wait > 0 ? Parked.response(answer) : answer;
}

/** Its own function: one that is made in another keeps all of that alive, and Hono's context with it, for as long as the poll waits. */
function answerPoll(
  deps: MessageRoutes,
  chat: Chat,
  room: string,
  poll: Poll & { readonly client: Request; readonly changes: boolean },
  preferred: number | undefined,
): Promise<Response> {
  return chat.poll(room, poll).then((reading) => {
    const copy = answerOf(reading, poll.limit, poll.changes);
    // So that a client does not take it for a failure, and comes straight back: to another server, or to this one's successor.
    if (chat.draining && poll.wait > 0 && !reading.page.last) copy.headers.set("retry-after", "0");
    if (preferred !== undefined) copy.headers.set("preference-applied", `wait=${preferred}`); // which others did not ask for
    else if (reading.final) return kept(deps, poll.client, copy, reading.page.body);
    return copy;
  }, (error) => leadOn(error, queryOfNext(poll.limit, poll.changes)));
}

/** Whether a body comes with a request, by its headers: `Request.body` is null for every GET. */
function announcesBody({ headers }: Request): boolean {
  // Not by has(): Deno 2.9.6 would list all headers for that, and keep the list for as long as the poll waits.
  return headers.get("transfer-encoding") !== null || Number(headers.get("content-length") ?? 0) !== 0;
}

const answers = new WeakMap<Page, Response>();

/** The answer to a poll. All who stand at one place get copies of one, which cost a fraction of making it. */
function answerOf({ page, next }: Reading, limit: number, changes: boolean): Response {
  let answer = answers.get(page);
  if (!answer) {
    answer = json(page.body, 200, {
      link: `<?after=${next}${queryOfNext(limit, changes)}>; rel="next"`,
    });
    answers.set(page, answer);
  }
  return answer.clone();
}

/** What a reader who goes on asks for besides his place. */
function queryOfNext(limit: number, changes: boolean): string {
  return `&limit=${limit}${changes ? "&changes=true" : ""}`;
}

function answerBefore(page: Page, limit: number): Response {
  // Before the first message there is nothing: what comes next begins at the start.
  const next = `<?after=${page.last ?? NIL}&limit=${limit}>; rel="next"`;
  const prev = `<?before=${page.first}&limit=${limit}>; rel="prev"`;
  return json(page.body, 200, { link: page.full ? `${next}, ${prev}` : next, ...length(page.body) });
}

/** Never for caches to keep: which messages have the text, changes with them. */
function answerFound({ page, prev }: Found, limit: number, text: string): Response {
  const query = `before=${prev}&limit=${limit}&q=${encodeURIComponent(text)}`;
  return json(page.body, 200, { ...prev !== undefined && { link: `<?${query}>; rel="prev"` }, ...length(page.body) });
}

async function find(
  c: Context,
  deps: MessageRoutes,
  chat: Chat,
  room: string,
  allowance: Allowance,
): Promise<Response> {
  const id = idOf(c);
  const entry = await chat.find(room, id, allowance);
  return kept(deps, c.req.raw, json(entry.json, 200, { etag: tagOf(entry), ...length(entry.json) }), entry.json);
}

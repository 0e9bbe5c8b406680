// @ts-check
// The chat page, put together: the room in the address, its conversation on the timeline, the rooms at the side.
// All addresses are relative to the page, so it works under any path that a proxy puts before it.
/// <reference lib="dom" />
import { Linger } from "../client/client.ts";
import { isMessageId, placeOf } from "./address.js";
import { agree } from "./agreement.js";
import { isLookedAt } from "./attention.js";
import { Banner } from "./banner.js";
import { Composer } from "./composer.js";
import { ConnectionLine } from "./connection-line.js";
import { Conversation, NIL } from "./conversation.js";
import { copyAsWritten } from "./copying.js";
import { byId, isConverting, setText, writeMarkup } from "./element.js";
import { later } from "./later.js";
import { Lease } from "./lease.js";
import { Memory } from "./memory.js";
import { Outbox } from "./outbox.js";
import { isOutdated, onQuote, shownName } from "./message-row.js";
import { Polls } from "./polls.js";
import { isRoomName, nameProblem, nearestName } from "./room-name.js";
import { Rooms } from "./rooms.js";
import { listenForScrollKeys } from "./scroll-keys.js";
import { Session } from "./session.js";
import { Sidebar } from "./sidebar.js";
import { Timeline } from "./timeline.js";
import * as words from "./words.js";

/** @import { Deletion, LingerError, Message, Retry } from "../client/client.ts" */
/** @import { Choice } from "./memory.js" */

/** The room of an address that names none. */
const LOBBY = "lobby";

/** By these one notices that somebody is there; not by a focus, which the page itself gives. */
const BEGINNINGS = ["pointerover", "pointerdown", "keydown"];

/** When the page has come to rest, and what is not needed at once can come, in milliseconds. */
const REST_MS = 5_000;

document.documentElement.lang = words.LANGUAGE;
document.documentElement.dir = words.DIRECTION;
writeMarkup(words.MARKUP);

const base = new URL(".", location.href);
const memory = new Memory(base);
const banner = new Banner();
const session = new Session(memory, banner);
const polls = new Polls(base, () => rooms.look());
const linger = new Linger(base, {
  token: () => session.token,
  fetch: (request) => polls.fetch(/** @type {Request} */ (request)),
});
const sidebar = new Sidebar({ choose, mayLeave: (room) => roomAfter(room) !== undefined, showAll });
const connectionLine = new ConnectionLine();
const rooms = new Rooms(linger, memory, session, new Lease(base, "rooms"), showRooms, (news, look) => {
  notify(news);
  desktop?.then((notifications) => notifications.looked(look));
});
const outbox = new Outbox(linger, memory, session, new Lease(base, "outbox"), (room) => {
  if (room === current) conversation?.change();
  actions?.refresh();
  showRooms();
});
const timeline = new Timeline({
  loadOlder: () => conversation?.loadOlder(),
  loadNewer: () => conversation?.loadNewer(),
  goTo: (place) => conversation?.goTo(place),
  read: (id) => {
    memory.markRead(current, id);
    showRooms();
  },
  retry: (item) => outbox.retry(item),
  edit: (item) => {
    actions?.leave();
    composer.giveBack(item.room, { text: outbox.take(item), replyTo: item.replyTo ?? "" });
    composer.focus();
  },
  remove: (item) => outbox.takeBack(item),
});
const composer = new Composer(memory, { send, renamed, answer });

/** What is being written. */
const text = /** @type {HTMLTextAreaElement} */ (byId("text"));

let current = "";
/** Where one is, as the page's address says it: never a token. */
let here = location.hash;
/** @type {Conversation | undefined} */
let conversation;
/** What can be done with messages: there as soon as somebody moves. @type {import("./actions.js").Actions | undefined} */
let actions;
/** Has the search show a message as it is now, once one has searched. @type {((news: Message | Deletion) => void) | undefined} */
let found;
/** Tells on the desktop, once there was anything to tell. @type {Promise<import("./notifications.js").Notifications> | undefined} */
let desktop;
/** @type {import("./reply.js").Reply | undefined} */
let reply;
/** @type {typeof import("./quotes.js") | undefined} */
let quotes;

/** A window that somebody waits for. */
let waited = {};

/** The name in the address that was looked at last. */
let named = "";

/** The room of what was told last to be done in vain. */
let notDoneIn = "";

/** What was done while {@linkcode actions} was still to come, by its kind: the last counts. @type {Map<string, Event>} */
const done = new Map();

const loadStatus = later(() => import("./status.js"));
const loadQuotes = later(() => import("./quotes.js"));
const loadReply = later(() => import("./reply.js"));
const loadActions = later(() => import("./actions.js"));
const loadAllRooms = later(() => import("./all-rooms.js"));
const loadSearch = later(() => import("./search.js"));
const loadNotifications = later(() => import("./notifications.js"));
const loadVersion = later(() => import("./version.js"));

/** All that can be needed later. */
const parts = [loadActions, loadQuotes, loadReply, loadStatus, loadSearch, loadAllRooms, loadNotifications];

/**
 * Opens the room in the address: in its fragment, so that a link to a room is the page's own address and `#room`.
 * @param {boolean} [isFollowed] Whether somebody wants to see the message in the address; else he came by it, and is elsewhere by now.
 * @param {string} [from] A place up to which nothing more comes.
 */
function open(isFollowed = true, from = NIL) {
  conversation?.leave();
  document.querySelector("dialog")?.close(); // it is of the room before
  quotes?.clear();
  actions?.clear();
  const place = placeOf(location.hash);
  const before = current;
  current = isRoomName(place.room) ? place.room : LOBBY;
  if (current !== before) { // else one has only gone elsewhere in the room, perhaps to look something up for what one writes
    actions?.leave();
    done.clear();
    banner.tell("name", undefined);
    banner.tell("gap", undefined);
    if (notDoneIn === before || notDoneIn === current) banner.tell("not-done", undefined);
  }
  tellRoom(place.room);
  rooms.open(current);
  outbox.open(current);
  const room = linger.room(current);
  Object.assign(byId("room"), { textContent: current, title: current });
  byId("empty-room").textContent = current;
  byId("curl").textContent = [
    `curl -H 'content-type: application/json'`,
    `-d '{"body": "Hello"}'`,
    new URL(`rooms/${current}/messages`, base),
  ].join(" \\\n  ");
  timeline.clear(session.me, memory.lastRead(current));
  const message = isFollowed ? place.message : "";
  setText(byId("notice"), message && !isMessageId(message) ? words.messageGone : "");
  session.show();
  const accepted = () => { // where only a page of history was refused, nothing else says that one is in
    if (room.connection.state.status !== "live") return;
    session.show();
    connectionLine.watch(room.connection);
  };
  const retries = (/** @type {Retry} */ retry) => connectionLine.retries(retry);
  const told = { grown, changed, became, gap, missed, refused, accepted, retries };
  conversation = new Conversation(room, session.me, outbox, timeline, told, {
    read: memory.lastRead(current),
    message: isMessageId(message) ? message : "",
    from,
  });
  connectionLine.watch(room.connection);
  room.connection.subscribe(({ status }) => {
    if (status !== "live") return;
    session.show();
    outbox.goOn();
  });
  composer.open(current);
  showRooms();
}

/** @param {string} body @param {string} replyTo */
function send(body, replyTo) {
  // What has been read came before, also where the room is still to be read.
  const after = conversation?.newest || memory.lastRead(current);
  const message = { room: current, author: memory.name, body, after, unread: !conversation?.newest };
  outbox.add({ ...message, ...replyTo && { replyTo } });
  timeline.goToEnd();
}

/** One has another name. @param {boolean} [isNew] Whether one never had it in this browser. */
function renamed(isNew = false) {
  const { me } = session;
  timeline.rename(me);
  // What stands under it then was written on another device or by somebody else, which the page can't know.
  const isTaken = isNew && !me.sub && document.querySelector("#log .own") !== null;
  const taken = { text: words.nameTaken(shownName(me.name)), button: words.anotherName, act: () => composer.askName() };
  banner.tell("name", isTaken && taken);
}

/** Tells that something could not be done, until one goes elsewhere, or there. @param {string} text @param {string} [room] Where one can look. */
function tellNotDone(text, room = current) {
  notDoneIn = room;
  banner.tellAnew("not-done", {
    text,
    ...room !== current && { button: words.openInstead(room), act: () => location.hash = room },
  });
}

/** What is shown here may be gone, too. @param {string} earliest */
function gap(earliest) {
  open(false, earliest);
  banner.tellAnew("gap", { text: words.gap });
}

/** This comes more than once for one loss, so it is not told anew. */
function missed() {
  banner.tell("gap", { text: words.gap });
}

/** The server does not let this window in, or something before it; it asks again. @param {LingerError} error @param {number} retryAt */
function refused(error, retryAt) {
  if (error.status === 401 || error.status === 403) session.refused(error);
  else connectionLine.refused(error, retryAt);
}

/** @param {string} newest @param {Message[]} messages What has just come. */
function grown(newest, messages) {
  rooms.heard(current, messages);
  notify(messages);
  if (newest !== NIL) rooms.saw(current, newest);
  showRooms();
}

/** Tells what others have done with messages that are on the page. @param {number} edited @param {number} deleted How many. */
async function changed(edited, deleted) {
  const { say } = await loadStatus();
  say(words.changesSeen(edited, deleted));
}

async function quoting() {
  return quotes ??= await loadQuotes();
}

/** Has all that repeats a message say what it says now, or no more: quotes, what was found, the desktop, the mark of what speaks of you. @param {Message | Deletion} news */
async function became(news) {
  if ("deleted" in news) memory.forgetEdit(news.id); // nobody can go on with it
  reply?.became(news);
  rooms.became(news, timeline.unread);
  found?.(news);
  desktop?.then((notifications) => notifications.became(news));
  (await quoting()).requote(news, session.me);
}

async function replying() {
  const { Reply } = await loadReply();
  return reply ??= new Reply(session, () => composer.reply(""));
}

/** Says above the composer what the draft there answers, unless that is gone. @param {string} id "" for nothing. */
async function answer(id) {
  if (reply?.to === id) return; // it stands there
  reply?.end();
  if (!id) return;
  const room = current;
  const [bar, { seen }] = await Promise.all([replying(), quoting()]);
  const original = await seen(id, linger.room(room)).catch(() => null);
  if (original === null) return; // one has gone elsewhere, and it is asked for anew
  if (room !== current || composer.replyTo !== id) return; // it was sent meanwhile, or answers something else
  if (original) bar.begin(original);
  else composer.replyTo = ""; // which is kept with what is written next: nobody has done anything here
}

/** Loads what is not needed at first, as soon as somebody is there. @param {Event} event */
async function begin(event) {
  for (const type of BEGINNINGS) removeEventListener(type, begin);
  note(event);
  for (const type of BEGINNINGS) addEventListener(type, note);
  const [{ Actions }, reply] = await Promise.all([loadActions(), replying()]);
  actions = new Actions(session, memory, {
    room: () => linger.room(current),
    isSending: () => outbox.of(current).some(({ state }) => state !== "refused"),
    isApart: () => timeline.isApart,
    reply: (message) => {
      actions?.leave();
      reply.begin(message);
      composer.reply(message.id);
      composer.write();
    },
    write: () => composer.write(),
    replace: (message) => isOutdated(message) && timeline.replace(message.id, message),
    edits: (edit) => conversation?.edits(edit),
    edited: (edit) => conversation?.edited(edit),
    deletes: (id) => conversation?.deletes(id),
    remove: (id) => timeline.remove(id),
    notDone: (text) => tellNotDone(text),
    notDeleted: (why) => tellNotDone(words.notDeleted(why)),
    notSaved: (room, body, why) => {
      composer.giveBack(room, { text: body, replyTo: "" });
      tellNotDone(words.changeNotSaved(room, why), room);
    },
  });
  for (const type of BEGINNINGS) removeEventListener(type, note);
  for (const event of done.values()) actions.makeUp(event);
}

/**
 * Keeps in mind what somebody does while what can be done with a message is still to come; he does not do it again. A key that is pressed in
 * a text is for the text. @param {Event} event
 */
function note(event) {
  done.delete(event.type); // so that what is done last stands last
  if (!(event.target instanceof HTMLTextAreaElement && event.target.value !== "")) done.set(event.type, event);
}

function showRooms() {
  const list = rooms.list(timeline.unreadCount);
  sidebar.show(list, current);
  banner.tell("storage", memory.isFull && { text: words.storageFull });
  const unread = list.reduce((sum, { unread, choice }) => choice === "muted" ? sum : sum + unread, 0);
  document.title = words.title(current, unread);
}

/** Where one is after one has left the room that one sees; undefined where one is in no other. @param {string} room */
function roomAfter(room) {
  return room === LOBBY ? rooms.list().find((other) => other.room !== LOBBY)?.room : LOBBY;
}

/** @param {string} room @param {Choice} choice */
async function choose(room, choice) {
  if (choice === "loud" && !await askToNotify()) {
    sidebar.close(); // it is told behind it
    return tellNotDone(words.notNotified);
  }
  const next = choice === "left" && room === current && roomAfter(room);
  memory.choose(room, choice);
  if (next) sidebar.goTo(`#${next}`);
  else showRooms();
}

/**
 * What somebody waits for who has asked for a window; undefined when it comes, if he has asked for another since, or gone on.
 * @template T
 * @param {() => Promise<T>} load
 */
async function wanted(load) {
  const want = waited = {};
  const loaded = await load();
  return want === waited ? loaded : undefined;
}

async function showAll() {
  const part = await wanted(loadAllRooms);
  part?.showAllRooms(linger, (href) => sidebar.goTo(href));
}

async function search() {
  const part = await wanted(loadSearch);
  if (part) {
    found = part.searchIn(linger.room(current), session.me, (href) => {
      if (location.hash === href) open(); // once more to the same message
      else sidebar.goTo(href);
    });
  }
}

/** Says of the name in the address when it can't be a room's. @param {string} name */
function tellRoom(name) {
  const before = named;
  named = name;
  if (name === "" || isRoomName(name)) return banner.tell("no-room", undefined);
  const nearest = nearestName(name);
  const notice = {
    text: words.noSuchRoom(name.slice(0, 100), nameProblem(name)),
    ...nearest && { button: words.openInstead(nearest), act: () => location.hash = nearest },
  };
  if (name === before) banner.tell("no-room", notice); // the lobby is opened once more, and that was told
  else banner.tellAnew("no-room", notice);
}

/** Tells on the desktop what nobody looks at. @param {Message[]} messages */
async function notify(messages) {
  if (isLookedAt() || messages.length === 0) return;
  desktop = loadNotifications().then(({ Notifications }) => new Notifications(memory, session.me, offerNotifications));
  (await desktop).take(messages); // before it hears what becomes of them
}

async function askToNotify() {
  const { Notifications } = await loadNotifications();
  return Notifications.ask();
}

/** @param {Message} message */
function offerNotifications({ author, room }) {
  banner.tell("mention", {
    text: words.mentionedYou(shownName(author), room),
    button: words.notify,
    act: async () => {
      if (!await askToNotify()) tellNotDone(words.notNotified);
      banner.tell("mention", undefined);
    },
  });
}

byId("find").addEventListener("click", search);
for (const type of ["input", "hashchange"]) addEventListener(type, () => waited = {});
text.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !isConverting(event)) composer.reply("");
});
listenForScrollKeys(() => timeline.goToEnd());
onQuote(async (line, { room, reply_to = "" }) => {
  await (await quoting()).quote(line, reply_to, linger.room(room), session.me, open);
});
for (const type of BEGINNINGS) addEventListener(type, begin);
addEventListener("hashchange", () => {
  const link = location.hash;
  if (session.accept()) return session.restart(link); // as somebody else, perhaps
  if (link && !location.hash) return history.replaceState(null, "", here); // it leads nowhere: one stays where one was
  here = location.hash;
  open();
  composer.focus();
});
memory.watch("read ", (room, id) => room === current && timeline.readElsewhere(id));
// Of what was done while the browser kept this page, to come back to, it was told nothing.
addEventListener("pageshow", ({ persisted }) => persisted && timeline.readElsewhere(memory.lastRead(current)));
copyAsWritten();
agree(memory, composer, {
  room: () => current,
  isSame: () => session.isSame, // else one's words would be the next one's
  renamed: () => {
    composer.renamed();
    renamed();
  },
});
open();
rooms.look();
setTimeout(async () => {
  const { watchVersion } = await loadVersion();
  const changed = { text: words.newVersion, button: words.reload, act: () => location.reload() };
  addEventListener("online", watchVersion(base, () => banner.tell("version", changed)));
  // One after the other, all that can be needed: a server that is updated has parts of another version, which do not fit this one.
  for (const load of parts) await load();
}, REST_MS);
composer.focus();

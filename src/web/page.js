// @ts-check
// The chat page, put together: the room in the address, its conversation on the timeline, the rooms at the side.
// All addresses are relative to the page, so it works under any path that a proxy puts before it.
/// <reference lib="dom" />
import { Linger } from "../client/client.ts";
import { placeOf } from "./address.js";
import { Composer } from "./composer.js";
import { ConnectionLine } from "./connection-line.js";
import { Conversation, NIL } from "./conversation.js";
import { byId, writeMarkup } from "./element.js";
import { Memory } from "./memory.js";
import { Outbox } from "./outbox.js";
import { isRoomName, Rooms } from "./rooms.js";
import { Session } from "./session.js";
import { Sidebar } from "./sidebar.js";
import { Timeline } from "./timeline.js";
import * as words from "./words.js";

/** The room of an address that names none. */
const LOBBY = "lobby";

document.documentElement.lang = words.LANGUAGE;
document.documentElement.dir = words.DIRECTION;
writeMarkup(words.MARKUP);

const base = new URL(".", location.href);
const memory = new Memory(base);
const session = new Session(memory);
const linger = new Linger(base, { token: () => session.token });
const sidebar = new Sidebar();
const connectionLine = new ConnectionLine();
const rooms = new Rooms(linger, memory, showRooms);
const outbox = new Outbox(linger, memory, (room) => room === current && conversation?.change());
const timeline = new Timeline({
  loadOlder: () => conversation?.loadOlder(),
  seen: () => markRead(),
  retry: (item) => outbox.retry(item),
  remove: (item) => outbox.remove(item),
});
const composer = new Composer(memory, { send, renamed: () => open() });

let current = "";
/** @type {Conversation | undefined} */
let conversation;

/** Opens the room in the address: in its fragment, so that a link to a room is the page's own address and `#room`. */
function open() {
  conversation?.leave();
  const place = placeOf(location.hash);
  current = isRoomName(place.room) ? place.room : LOBBY;
  const room = linger.room(current);
  byId("room").textContent = current;
  byId("empty-room").textContent = current;
  byId("curl").textContent = [
    `curl -H 'content-type: application/json'`,
    `-d '{"body": "Hello"}'`,
    new URL(`rooms/${current}/messages`, base),
  ].join(" \\\n  ");
  timeline.clear(memory.name, memory.lastRead(current));
  session.show();
  conversation = new Conversation(room, outbox, timeline, grown, (error) => session.refused(error));
  connectionLine.watch(room.connection);
  composer.open(current);
  showRooms();
}

/** @param {string} body */
function send(body) {
  outbox.add({ room: current, author: memory.name, body, after: conversation?.newest ?? "" });
  timeline.goToEnd();
}

/** @param {string} newest */
function grown(newest) {
  if (newest !== NIL) rooms.saw(current, newest);
  if (timeline.isSeen) markRead();
  else showRooms();
}

function markRead() {
  if (!conversation?.newest) return;
  memory.markRead(current, conversation.newest);
  showRooms();
}

function showRooms() {
  const list = rooms.list(current);
  sidebar.show(list, current);
  const unread = list.reduce((sum, room) => sum + room.unread, 0);
  document.title = words.title(current, unread);
}

addEventListener("hashchange", () => {
  if (session.accept()) return location.reload(); // as somebody else, perhaps
  open();
  composer.focus();
});
open();
rooms.look();
composer.focus();

// @ts-check
// All words that people read on the page, in one file: whoever translates the page translates this file, and what browsers show without
// running it: the description in page.html and in manifest.webmanifest, and the sentence in `<noscript>`. What else stands in page.html
// has the key of its words (`data-words`, `data-label`, `data-placeholder`), and no words of its own.
// What a server says of itself (why it refuses something) comes from the server.

/** The language of the words, and of the days and numbers among them. */
export const LANGUAGE = "en";

/** The way it is written: "ltr" or "rtl". */
export const DIRECTION = "ltr";

const numbers = new Intl.NumberFormat(LANGUAGE);

/** "1 message", "2,000 messages" @param {number} count @param {string} one @param {string} many */
function counted(count, one, many) {
  return `${numbers.format(count)} ${count === 1 ? one : many}`;
}

/** What somebody has written, within a sentence: without what would turn the rest of that around. @param {string} text */
function within(text) {
  return text.replace(/\p{Bidi_Control}/gu, "");
}

/** What stands on the page from the beginning, by the keys in page.html. @type {Record<string, string>} */
export const MARKUP = {
  sidebar: "Rooms and you",
  rooms: "Rooms",
  newRoom: "Open or start a room",
  openRoom: "Open this room",
  allRooms: "All rooms",
  find: "Search in this room",
  closeBanner: "Hide this message",
  rename: "Change",
  renameWhat: " your name",
  signOut: "Sign out",
  messages: "Messages",
  quietIn: "It is quiet in ",
  nobodyWrote: "Nobody has written here yet. Say something below, or from a shell:",
  command: "A command that writes here",
  invite: "Send the address of this page to whoever should join.",
  conversation: "Conversation",
  askName: "What should the others call you?",
  giveName: "That’s me",
  yourMessage: "Your message",
  send: "Send",
  newLine: "New line",
  yourName: "Your name",
};

// The title

/** @param {string} room @param {number} unread */
export function title(room, unread) {
  return `${unread > 0 ? `(${unread}) ` : ""}${room} · Linger`;
}

// The rooms at the side

export const unread = "unread";
export const mentionsYou = "your name among them";
export const muted = "muted";
export const unsent = "with a message that is not sent";
export const unreadElsewhere = "some with unread messages";
export const unsentElsewhere = "some with messages that are not sent";
export const mute = "Mute";
export const unmute = "Unmute";
export const leave = "Leave";
export const louder = "Notify me of everything";
export const quieter = "Notify me less";

/** @param {string} room */
export function optionsOf(room) {
  return `Options of ${room}`;
}

/** @param {string} character */
export function notInRoomNames(character) {
  return `“${within(character)}” can’t be in the name of a room. Use letters A to Z, digits, and . _ ~ -`;
}

/** @param {number} length @param {number} most */
export function roomNameTooLong(length, most) {
  return length > most
    ? `The name of a room has at most ${most} characters. This one has ${numbers.format(length)}.`
    : "This can’t be the name of a room.";
}

/** @param {string} name */
export function opens(name) {
  return `This opens ${name}.`;
}

/** @param {string} name */
export function insteadOf(name) {
  return `For example: ${name}`;
}

// All rooms

export const filterRooms = "Find a room";
export const loadingRooms = "Loading…";
export const roomsNotLoaded = "The list can’t be loaded now. Try again later.";
export const close = "Close";

/** @param {number} count @param {number} [newest] Of how many, where there are more than are told of. */
export function roomsFound(count, newest) {
  if (newest === undefined) return counted(count, "room", "rooms");
  const all = `newest ${counted(newest, "room", "rooms")}`;
  return count === newest ? `The ${all}` : `${numbers.format(count)} of the ${all}`;
}

// Search in a room

export const searchFor = "Search for";
export const searchHint = "Two letters or more. Capitals don’t matter.";
export const searchGoesOn = "Searching…";
export const searchOn = "Search further";

/** @param {string} room */
export function searchTitle(room) {
  return `Search in ${room}`;
}

/** @param {number} count @param {boolean} all Whether there are no more. */
export function messagesFound(count, all) {
  if (count === 0) return all ? "No message has this text" : "The messages that were found have been deleted";
  const found = counted(count, "message", "messages");
  return all ? found : `The newest ${found}`;
}

// What is wrong

/** @param {string} name @param {string} problem */
export function noSuchRoom(name, problem) {
  return `There is no room “${within(name)}”. ${problem} You are in the lobby.`;
}

/** @param {string} room */
export function openInstead(room) {
  return `Open ${room}`;
}

/** @param {string} name */
export function nameTaken(name) {
  return `Somebody has written here as “${within(name)}” before. If that was not you, nobody can tell you apart.`;
}

export const anotherName = "Choose another name";
export const gap = "Some messages that you had not read are gone: old ones are removed here.";
export const storageFull =
  "This browser can store nothing more for this page: your name, drafts, messages that are not sent and what you have read are lost when you close it.";
export const newVersion = "There is a new version of this page.";
export const reload = "Reload";

// Notifications

/** @param {string} author @param {string} room */
export function saysIn(author, room) {
  return `${within(author)} in ${room}`;
}

/** @param {number} count @param {string} room @param {boolean} mentioned Whether any of them speaks of you. */
export function newMessagesIn(count, room, mentioned) {
  return `${newMessages(count)} in ${room}${mentioned ? `, ${mentionsYou}` : ""}`;
}

/** @param {string} author @param {string} room */
export function mentionedYou(author, room) {
  return `${within(author)} wrote to you in ${room} while you were away. Show a notification next time?`;
}

export const notify = "Yes, tell me";

// The connection

/** By the client's words for it. */
export const connection = {
  idle: "Connecting",
  connecting: "Connecting",
  live: "Live",
  reconnecting: "Reconnecting",
  offline: "Offline",
};
export const askedTooOften = "Asked too often, reconnecting";

/** @param {number} status Of HTTP: something before the server says no. */
export function answerIs(status) {
  return `The answer is ${status}, reconnecting`;
}

/** @param {string} what @param {number} seconds */
export function inSeconds(what, seconds) {
  return `${what} in ${seconds} s`;
}

// Where one writes

export const noFiles = "Files can’t be sent here. Put them somewhere, and send a link.";

/** @param {number} count */
export function nameTooLong(count) {
  return `That name is ${counted(count, "character", "characters")} too long`;
}

/** @param {string} room */
export function messageTo(room) {
  return `Message ${room}`;
}

/** @param {number} count */
export function charactersLeft(count) {
  return `${counted(count, "character", "characters")} left`;
}

/** @param {number} count */
export function tooLong(count) {
  return `${counted(count, "character", "characters")} too long`;
}

/** Of a text that is so long that the field does not take it. @param {number} count */
export function notLetIn(count) {
  return `${tooLong(count)}: not inserted`;
}

// The conversation

export const today = "Today";
export const yesterday = "Yesterday";
export const newLine = "New";
export const newest = "Newest messages";
export const earlier = "Earlier messages…";
export const later = "Later messages…";
export const beginning = "This is where it began";
export const removed = "Older messages were removed";
export const messageGone = "The message that this link leads to is not here, or no longer.";

/** @param {number} count */
export function newMessages(count) {
  return counted(count, "new message", "new messages");
}

/** @param {number} count @param {string} when */
export function newSince(count, when) {
  return `${numbers.format(count)} new since ${when}`;
}

/** Who gave no name. */
export const nobody = "Anonymous";

// A message

/** A name of invisible characters. */
export const blankName = "A name that nobody can see";
/** A message of invisible characters. */
export const blankBody = "Nothing visible";
export const mixedName = "This name mixes letters of several alphabets";
export const showMore = "Show more";
export const showLess = "Show less";
export const edited = "edited";

/** @param {string} first @param {boolean} isSame Whether the other has the very same. */
export function notTheName(first, isSame) {
  const why = isSame ? "this is somebody else" : "the names only look alike";
  return `Not the “${within(first)}” that was here before: ${why}`;
}

/** Of a name that somebody has who signed in. */
export const verified = "verified";

/** @param {string} sub The subject of a token. */
export function signedInAs(sub) {
  return `Verified: signed in as ${within(sub)}`;
}

/** Of a name that somebody has who did not sign in. */
export const guest = "guest";
export const ownClaim = "Not signed in: anybody can write under this name";

/** @param {string} time */
export function editedAt(time) {
  return `Edited ${time}`;
}

// What can be done with a message

export const reply = "Reply";
export const copyLink = "Copy link";
export const edit = "Edit";
export const deletes = "Delete";
export const linkCopied = "The link is copied";

/** @param {string} address */
export function linkNotCopied(address) {
  return `The browser did not let the link be copied. It is ${address}`;
}

export const notNotified =
  "The browser does not let this page notify you. You can allow it in the browser’s settings for this page.";
export const deleted = "The message is deleted";
export const notDeletedYet = "The message is not deleted yet. Trying again.";
export const askDelete = "Delete this message, for everybody and for good?";
export const askDeleteOther = "Delete somebody else’s message, for everybody and for good?";
export const editing = "Edit your message";
export const save = "Save";
export const saving = "Saving…";
export const cancel = "Cancel";
export const deletedMeanwhile = "This message was deleted meanwhile.";
export const replyTo = "Reply to ";
export const noReply = "Cancel the reply";
export const searching = "…";
export const originalGone = "A message that is gone";

/** @param {string} why */
export function notDeleted(why) {
  return `The message was not deleted (${why}).`;
}

/** @param {string} why */
export function changeKept(why) {
  return `Your edit was not saved (${why}). It is there again when you edit that message.`;
}

/** @param {string} room @param {string} why */
export function changeNotSaved(room, why) {
  return `Your edit in ${room} was not saved (${why}). Its text is in the message field there.`;
}

/** @param {string} name @param {string} time */
export function actionsOf(name, time) {
  return `Message of ${within(name)}, ${time}`;
}

/** @param {string} body */
export function changedMeanwhile(body) {
  return `It was edited in the meantime, and is now: “${within(body)}”. Save again to replace that with your text.`;
}

/** What others have done with messages. @param {number} edited @param {number} deleted */
export function changesSeen(edited, deleted) {
  const parts = [
    ...edited > 0 ? [`${counted(edited, "message was", "messages were")} edited`] : [],
    ...deleted > 0 ? [`${counted(deleted, "message was", "messages were")} deleted`] : [],
  ];
  return parts.join(", ");
}

// A message that is not confirmed

export const sending = "Sending…";
export const heldBack = "Waits for the one above";
export const retry = "Retry";
export const change = "Edit";
export const forget = "Delete";
export const unreachable = "The server could not be reached.";

/** @param {string} why A sentence. */
export function notSent(why) {
  return `Not sent. ${why} `;
}

/** @param {string} why A sentence. */
export function notSentYet(why) {
  return `Not sent yet. Trying again. ${why} `;
}

/** @param {number} status Of HTTP. */
export function answerWas(status) {
  return `The answer was ${status}.`;
}

// Who is let in

export const roomClosed = "This room is not open to you";
export const invitationEnded = "Your invitation has ended";
export const byInvitation = "This chat is by invitation";
export const writingByInvitation = "Writing here is by invitation";
export const askOperator = "Ask whoever runs this chat.";
export const askForLink = "Ask for a new link, and open it here.";
export const signIn = "Sign in";

/** @param {number} unsent How many messages are not sent, at least one. */
function willBeLost(unsent) {
  return `${counted(unsent, "message is", "messages are")} not sent yet, and will be lost.`;
}

/** @param {number} unsent How many messages are not sent, at least one. */
export function askSignOut(unsent) {
  return `${willBeLost(unsent)} Sign out?`;
}

/** @param {string} name "" for a link without one. @param {string} before "" where you have no name. @param {number} unsent How many messages are not sent. */
export function linkForAnother(name, before, unsent) {
  const [other, self] = [within(name) || "somebody without a name", within(before) || "somebody else"];
  return `This link is for ${other}. Here you are ${self}. ${unsent > 0 ? `${willBeLost(unsent)} ` : ""}Switch?`;
}

/** @param {string} name "" for a link without one. */
export function linkRenews(name) {
  return `This link renews your invitation${name && `, as ${within(name)}`}. Use it from now on?`;
}

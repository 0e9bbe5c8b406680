// @ts-check
// All words that people read on the page, in one file: whoever translates the page translates this file and nothing else.
// What stands in page.html has the key of its words (`data-words`, `data-label`, `data-placeholder`), and no words of its own.
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

/** What stands on the page from the beginning, by the keys in page.html. @type {Record<string, string>} */
export const MARKUP = {
  sidebar: "Rooms and you",
  rooms: "Rooms",
  newRoom: "Open or start a room",
  openRoom: "Open this room",
  rename: "Change",
  renameWhat: " your name",
  signOut: "Sign out",
  unreadElsewhere: ", some with unread messages",
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

export const unread = " unread";
export const roomNameRule = "Use letters A to Z, digits, and . _ ~ -";

// The connection

/** By the client's words for it. */
export const connection = {
  idle: "Connecting",
  connecting: "Connecting",
  live: "Live",
  reconnecting: "Reconnecting",
  offline: "Offline",
};
export const askedTooOften = "Asked too often: again";

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
  return `${tooLong(count)}: not put in here`;
}

// The conversation

export const today = "Today";
export const yesterday = "Yesterday";
export const newLine = "New";
export const newest = "Newest messages";
export const earlier = "Earlier messages…";
export const beginning = "This is where it began";

/** @param {number} count */
export function newMessages(count) {
  return counted(count, "new message", "new messages");
}

/** Who gave no name. */
export const nobody = "Anonymous";

// A message that is not confirmed

export const sending = "Sending…";
export const retry = "Retry";
export const forget = "Delete";
export const unreachable = "The server could not be reached.";

/** @param {string} why A sentence. */
export function notSent(why) {
  return `Not sent. ${why} `;
}

// Who is let in

export const roomClosed = "This room is not open to you";
export const invitationEnded = "Your invitation holds no more";
export const byInvitation = "This chat is by invitation";
export const askOperator = "Ask whoever runs this chat.";
export const askForLink = "Ask for a new link, and open it here.";
export const signIn = "Sign in";

/** @param {string} name "" for a link without one. @param {string} before "" where you have no name. */
export function linkForAnother(name, before) {
  return `This link is for ${name || "somebody without a name"}. Here you are ${before || "somebody else"}. Change?`;
}

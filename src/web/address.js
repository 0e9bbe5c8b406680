// @ts-check
// Where one is, as the page's address says it in its fragment: a room, `#room`, or a message in it, `#room/id`. So each
// can be kept and given to others as a link.

/**
 * What an address leads to.
 * @typedef {object} Place
 * @property {string} room "" for none; not yet looked at whether a room can be called that.
 * @property {string} message The id of a message; "" for none.
 */

/** What a fragment leads to, whether a program has encoded it or not. @param {string} hash @returns {Place} */
export function placeOf(hash) {
  const text = decoded(hash.slice(1));
  const [room = "", message = ""] = text.split("/");
  return room ? { room, message } : { room: text, message: "" }; // what begins with a slash is no room's
}

/** Whether a message can have that id. @param {string} id */
export function isMessageId(id) {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id);
}

/** The fragment of a room, or of a message in it. @param {string} room @param {string} [message] Its id. */
export function hashOf(room, message) {
  return message ? `#${room}/${message}` : `#${room}`;
}

/** The whole address of a message, to be copied. @param {string} room @param {string} id */
export function messageAddress(room, id) {
  return new URL(hashOf(room, id), location.href).href;
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a percent sign that encodes nothing
  }
}

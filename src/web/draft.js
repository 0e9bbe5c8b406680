// @ts-check
// What one has begun to write in a room, with the message that it answers: one thing, wherever it is kept or shown.
import { isMessageId } from "./address.js";

/**
 * @typedef {object} Draft
 * @property {string} text
 * @property {string} replyTo The id of the message that it answers; "" for none.
 */

/** Nothing. @type {Draft} */
export const NONE = { text: "", replyTo: "" };

/** Stands between the id and the words in what is kept. What answers nothing is kept as its words alone, as all drafts once were. */
const SEPARATOR = "\u001f";

/** @param {Draft} draft */
export function format({ text, replyTo }) {
  return replyTo ? replyTo + SEPARATOR + text : text;
}

/** @param {string} kept @returns {Draft} */
export function parse(kept) {
  const [id = "", ...texts] = kept.split(SEPARATOR);
  return texts.length > 0 && isMessageId(id)
    ? { text: texts.join(SEPARATOR), replyTo: id }
    : { text: kept, replyTo: "" };
}

/** @param {Draft} draft */
export function isEmpty({ text, replyTo }) {
  return text === "" && replyTo === "";
}

/** @param {Draft} one @param {Draft} other */
export function equals(one, other) {
  return one.text === other.text && one.replyTo === other.replyTo;
}

/** Whether words are all of a text, or a part that was joined to it: few letters stand by chance in many texts. @param {string} text @param {string} part */
export function hasPart(text, part) {
  return part === "" || `\n\n${text}\n\n`.includes(`\n\n${part}\n\n`);
}

/** Whether a draft is in another one, and answers nothing else there. @param {Draft} draft @param {Draft} part */
export function has({ text, replyTo }, part) {
  return hasPart(text, part.text) && ["", replyTo].includes(part.replyTo);
}

/** Both, and what is in both of them once. @param {Draft} first @param {Draft} then @returns {Draft} */
export function joined(first, then) {
  const replyTo = first.replyTo || then.replyTo;
  if (hasPart(first.text, then.text)) return { text: first.text, replyTo };
  if (hasPart(then.text, first.text)) return { text: then.text, replyTo };
  return { text: `${first.text}\n\n${then.text}`, replyTo };
}

/** What a text becomes as a message. @param {string} text */
export function bodyOf(text) {
  return text.replace(/^\s*\n/, "").trimEnd();
}

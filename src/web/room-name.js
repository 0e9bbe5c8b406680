// @ts-check
// What a room can be called, and what to say of a name that no room can have.
import * as words from "./words.js";

const MAX_LENGTH = 64;

/** Whether a room can be called that. @param {string} name */
export function isRoomName(name) {
  return name.length <= MAX_LENGTH && /^(?!\.{1,2}$)[A-Za-z0-9._~-]+$/.test(name);
}

/** Why no room can be called that, in a sentence; "" if one can. @param {string} name */
export function nameProblem(name) {
  if (isRoomName(name)) return "";
  const [wrong] = name.match(/[^A-Za-z0-9._~-]/u) ?? [];
  return wrong ? words.notInRoomNames(wrong) : words.roomNameTooLong(name.length, MAX_LENGTH);
}

/** The name nearest to what somebody wrote that a room can have; "" if there is none. @param {string} text */
export function nearestName(text) {
  const name = text.trim().replaceAll("ß", "ss").normalize("NFKD").replace(/\p{M}/gu, "")
    .replace(/\s+/g, "-").replace(/[^A-Za-z0-9._~-]/gu, "").slice(0, MAX_LENGTH);
  return isRoomName(name) && /[A-Za-z0-9]/.test(name) ? name : "";
}

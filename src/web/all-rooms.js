// @ts-check
// All rooms of the server that it tells of, the newest first, to find one among them, or to open one that it does not tell of. It is loaded
// when somebody asks for it.
import { element, isConverting, setText } from "./element.js";
import { openFinder } from "./finder.js";
import { isRoomName } from "./room-name.js";
import { FULL_LIST } from "./rooms.js";
import * as words from "./words.js";

/** @import { Linger } from "../client/client.ts" */

/** @param {Linger} linger @param {(href: string) => void} goTo */
export async function showAllRooms(linger, goTo) {
  const { field, told, list, left } = openFinder("all", words.MARKUP.allRooms ?? "", words.filterRooms, goTo, true);
  told.textContent = words.loadingRooms;

  /** Once they are there. @type {string[] | undefined} */
  let rooms;
  /** How many there are, where those are the newest of more. @type {number | undefined} */
  let newest;
  const show = () => {
    if (!rooms) return;
    const wanted = field.value.trim();
    const found = rooms.filter((room) => room.toLowerCase().includes(wanted.toLowerCase()));
    const links = found.map((room) => link(room, room));
    const canBeMissing = links.length === 0 || newest !== undefined;
    if (canBeMissing && isRoomName(wanted) && !rooms.includes(wanted)) {
      links.push(link(wanted, words.openInstead(wanted)));
    }
    list.replaceChildren(...links);
    setText(told, words.roomsFound(found.length, newest));
  };
  field.addEventListener("input", show);
  field.addEventListener("keydown", (event) => {
    const first = list.querySelector("a");
    if (!first || !["Enter", "ArrowDown"].includes(event.key) || isConverting(event)) return;
    event.preventDefault(); // it would press the button that has the focus then
    if (event.key === "Enter") first.click();
    else first.focus();
  });
  try {
    const signal = AbortSignal.any([left, AbortSignal.timeout(10_000)]);
    const listed = await linger.rooms({ signal });
    rooms = listed.map(({ room }) => room).filter(isRoomName);
    if (listed.length >= FULL_LIST) newest = rooms.length;
    show();
  } catch {
    told.textContent = words.roomsNotLoaded;
  }
}

/** @param {string} room @param {string} textContent */
function link(room, textContent) {
  return element("li", {}, element("a", { href: `#${room}`, textContent }));
}

// @ts-check
// All rooms of the server that it tells of, the newest first, to find one among them. It is loaded when somebody asks for it.
import { element, isConverting, setText } from "./element.js";
import { openFinder } from "./finder.js";
import { isRoomName } from "./room-name.js";
import * as words from "./words.js";

/** @import { Linger } from "../client/client.ts" */

/** @param {Linger} linger @param {(href: string) => void} goTo */
export async function showAllRooms(linger, goTo) {
  const { field, told, list, left } = openFinder("all", words.MARKUP.allRooms ?? "", words.filterRooms, goTo);
  told.textContent = words.loadingRooms;

  /** @type {string[]} */
  let rooms = [];
  const show = () => {
    const wanted = field.value.trim().toLowerCase();
    const found = rooms.filter((room) => room.toLowerCase().includes(wanted));
    list.replaceChildren(
      ...found.map((room) => element("li", {}, element("a", { href: `#${room}`, textContent: room }))),
    );
    setText(told, words.roomsFound(found.length));
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
    rooms = (await linger.rooms({ signal })).map(({ room }) => room).filter(isRoomName);
    show();
  } catch {
    told.textContent = words.roomsNotLoaded;
  }
}

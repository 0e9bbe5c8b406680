// @ts-check
// All rooms of the server that it tells of, the newest first, to find one among them. It is loaded when somebody asks for it.
import { element } from "./element.js";
import { isRoomName } from "./room-name.js";
import * as words from "./words.js";

/** @import { Linger } from "../client/client.ts" */

/** @param {Linger} linger @param {(href: string) => void} goTo */
export async function showAllRooms(linger, goTo) {
  const filter = document.createElement("input");
  filter.type = "search";
  filter.placeholder = filter.ariaLabel = words.filterRooms;
  filter.autocomplete = "off";
  filter.autocapitalize = "none";
  filter.spellcheck = false;
  filter.autofocus = true;
  const list = element("ul", { role: "list" });
  const told = element("p", { role: "status", textContent: words.loadingRooms });
  const close = element("button", { type: "button", className: "quietly", textContent: words.close });
  const title = element("h2", { textContent: words.MARKUP.allRooms ?? "" });
  const dialog = document.createElement("dialog");
  dialog.id = "all";
  dialog.className = "finder";
  dialog.ariaLabel = title.textContent;
  dialog.append(element("header", {}, title, close), filter, told, list);
  const leaving = new AbortController();
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close());
  dialog.addEventListener("close", () => {
    leaving.abort();
    dialog.remove();
  });
  list.addEventListener("click", (event) => {
    const link = /** @type {Element} */ (event.target).closest("a");
    if (!link) return;
    event.preventDefault();
    dialog.close();
    goTo(/** @type {string} */ (link.getAttribute("href")));
  });
  document.body.append(dialog);
  dialog.showModal();

  /** @type {string[]} */
  let rooms = [];
  const show = () => {
    const wanted = filter.value.trim().toLowerCase();
    const found = rooms.filter((room) => room.toLowerCase().includes(wanted));
    list.replaceChildren(
      ...found.map((room) => element("li", {}, element("a", { href: `#${room}`, textContent: room }))),
    );
    told.textContent = words.roomsFound(found.length);
  };
  filter.addEventListener("input", show);
  filter.addEventListener("keydown", (event) => {
    const first = list.querySelector("a");
    if (!first || !["Enter", "ArrowDown"].includes(event.key)) return;
    event.preventDefault(); // it would press the button that has the focus then
    if (event.key === "Enter") first.click();
    else first.focus();
  });
  try {
    const signal = AbortSignal.any([leaving.signal, AbortSignal.timeout(10_000)]);
    rooms = (await linger.rooms({ signal })).map(({ room }) => room).filter(isRoomName);
    show();
  } catch {
    told.textContent = words.roomsNotLoaded;
  }
}

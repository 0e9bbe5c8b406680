// @ts-check
// The rooms at the side, the way into another one, and, where the screen is narrow, the drawer that holds them.
import { byId, element } from "./element.js";
import { isRoomName } from "./rooms.js";
import * as words from "./words.js";

/** @import { RoomEntry } from "./rooms.js" */

/** Beyond this a count says nothing more. */
const MANY = 99;

export class Sidebar {
  #sidebar = byId("sidebar");
  #list = byId("rooms");
  #menu = byId("menu");
  #main = byId("main");
  #badge = byId("menu-badge");
  #narrow = matchMedia("(max-width: 46rem)");

  constructor() {
    const form = /** @type {HTMLFormElement} */ (byId("new-room"));
    const input = /** @type {HTMLInputElement} */ (byId("new-room-name"));
    input.addEventListener("input", () => {
      input.value = input.value.replace(/\s+/g, "-");
      const fine = input.value === "" || isRoomName(input.value);
      input.setCustomValidity(fine ? "" : words.roomNameRule);
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      location.hash = input.value;
      form.reset();
      this.close();
    });

    this.#menu.addEventListener("click", () => this.#open());
    byId("curtain").addEventListener("click", () => this.close());
    this.#list.addEventListener("click", () => this.close());
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.#main.inert && this.close());
    this.#narrow.addEventListener("change", () => this.close());
    this.close();
  }

  /** @param {RoomEntry[]} rooms @param {string} current */
  show(rooms, current) {
    const list = /** @type {HTMLElement} */ (this.#list.cloneNode());
    list.append(...rooms.map(({ room, unread }) => element("li", {}, link(room, unread, room === current))));
    // Left alone where nothing has changed, and with it the focus that may be inside.
    if (!list.isEqualNode(this.#list)) {
      const focused = this.#list.contains(document.activeElement) && document.activeElement?.getAttribute("href");
      this.#list.replaceChildren(...list.children);
      if (focused) this.#linkTo(focused)?.focus();
    }
    const elsewhere = rooms.some(({ room, unread }) => unread > 0 && room !== current);
    this.#badge.hidden = !elsewhere;
  }

  close() {
    const returns = this.#narrow.matches && this.#sidebar.contains(document.activeElement);
    this.#sidebar.classList.remove("open");
    this.#sidebar.inert = this.#narrow.matches;
    this.#main.inert = false;
    this.#menu.ariaExpanded = "false";
    if (returns) this.#menu.focus();
  }

  #open() {
    this.#sidebar.classList.add("open");
    this.#sidebar.inert = false;
    this.#main.inert = true;
    this.#menu.ariaExpanded = "true";
    this.#linkTo(location.hash)?.focus();
    if (!this.#sidebar.contains(document.activeElement)) byId("new-room-name").focus();
  }

  /** @param {string} href */
  #linkTo(href) {
    return [...this.#list.querySelectorAll("a")].find((link) => link.getAttribute("href") === href);
  }
}

/** @param {string} room @param {number} unread @param {boolean} isCurrent */
function link(room, unread, isCurrent) {
  const link = element("a", { href: `#${room}` }, element("span", { className: "room-name", textContent: room }));
  if (isCurrent) link.ariaCurrent = "page";
  if (unread > 0) {
    const count = unread > MANY ? `${MANY}+` : `${unread}`;
    const said = element("span", { className: "aside", textContent: words.unread });
    link.append(element("span", { className: "count" }, count, said));
  }
  return link;
}

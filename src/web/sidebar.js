// @ts-check
// Your rooms at the side, the way into another one, and, where the screen is narrow, the drawer that holds them.
import { byId, element, isConverting, leadsElsewhere, setText } from "./element.js";
import { isNotifiable } from "./notifiable.js";
import { isRoomName, nameProblem, nearestName } from "./room-name.js";
import { afterStep, hasStep, leaveStep, NARROW, onBack, takeStep } from "./step.js";
import * as words from "./words.js";

/** @import { RoomEntry } from "./rooms.js" */
/** @import { Choice } from "./memory.js" */

/** Beyond this a count says nothing more. */
const MANY = 99;

/**
 * What the sidebar asks for.
 * @typedef {object} SidebarActions
 * @property {(room: string, choice: Choice) => void} choose
 * @property {(room: string) => boolean} mayLeave Whether there is another room to go to.
 * @property {() => void} showAll
 */

export class Sidebar {
  #sidebar = byId("sidebar");
  #list = byId("rooms");
  #menu = byId("menu");
  #main = byId("main");
  #badge = byId("menu-badge");
  #narrow = matchMedia(NARROW);
  #actions;
  #current = "";
  /** The rooms' items stay the same: a press that began on one ends on it. @type {Map<string, Item>} */
  #items = new Map();
  /** Where one was when the drawer opened. */
  #openedAt = "";

  /** @param {SidebarActions} actions */
  constructor(actions) {
    this.#actions = actions;
    this.#acceptNames();
    byId("all-rooms").addEventListener("click", () => actions.showAll());
    this.#menu.addEventListener("click", () => afterStep(() => this.#open()));
    byId("curtain").addEventListener("click", () => this.close());
    byId("rename").addEventListener("click", () => this.close()); // one is asked behind it, right after this
    this.#list.addEventListener("click", (event) => {
      const link = /** @type {Element} */ (event.target).closest("a");
      if (!link || !this.#isOpen || leadsElsewhere(event)) return;
      event.preventDefault();
      this.goTo(/** @type {string} */ (link.getAttribute("href")));
    });
    document.addEventListener("keydown", (event) => {
      // What lies over the drawer closes first; and what is still being converted is no word.
      if (event.key === "Escape" && !isConverting(event) && !document.querySelector("dialog[open]")) this.close();
    });
    this.#narrow.addEventListener("change", () => {
      this.close();
      this.#close(); // also what is none any more, or is one from now on
    });
    onBack(() => {
      const over = /** @type {HTMLDialogElement | null} */ (document.querySelector("dialog[open]"));
      over?.close();
      if (over && this.#isOpen && location.hash === this.#openedAt) takeStep(); // what lies over the drawer closes first
      else this.#close();
    });
    this.#close();
    leaveStep(); // the page was loaded anew while something was open
  }

  /** @param {RoomEntry[]} rooms @param {string} current */
  show(rooms, current) {
    for (const room of new Set(this.#items.keys()).difference(new Set(rooms.map(({ room }) => room)))) {
      this.#remove(room);
    }
    rooms.forEach((entry, place) => {
      const item = this.#items.get(entry.room) ?? new Item(entry.room, this.#actions);
      this.#items.set(entry.room, item);
      item.show(entry, entry.room === current);
      if (this.#list.children[place] !== item.node) {
        this.#list.insertBefore(item.node, this.#list.children[place] ?? null);
      }
    });
    if (current !== this.#current) this.#items.get(current)?.node.scrollIntoView({ block: "nearest" });
    this.#current = current;
    const others = rooms.filter(({ room }) => room !== current);
    const said = [
      ...others.some(({ unread, choice }) => unread > 0 && choice !== "muted") ? [words.unreadElsewhere] : [],
      ...others.some(({ unsent }) => unsent) ? [words.unsentElsewhere] : [],
    ];
    this.#badge.hidden = said.length === 0;
    this.#menu.ariaLabel = [words.MARKUP.rooms, ...said].join(", ");
  }

  /** Goes to a room or a message, and leaves no step of what is closed behind in the browser's history. @param {string} href */
  goTo(href) {
    if (!hasStep()) location.hash = href;
    else if (location.hash === href) this.close();
    else {
      this.#close();
      location.replace(href);
    }
  }

  close() {
    if (!this.#isOpen) return;
    this.#close();
    leaveStep();
  }

  get #isOpen() {
    return this.#sidebar.classList.contains("open");
  }

  #close() {
    const returns = this.#narrow.matches && this.#sidebar.contains(document.activeElement);
    this.#sidebar.classList.remove("open");
    this.#sidebar.inert = this.#narrow.matches;
    this.#main.inert = false;
    this.#menu.ariaExpanded = "false";
    if (returns) this.#menu.focus();
  }

  #open() {
    if (this.#isOpen) return;
    takeStep();
    this.#openedAt = location.hash;
    this.#sidebar.classList.add("open");
    this.#sidebar.inert = false;
    this.#main.inert = true;
    this.#menu.ariaExpanded = "true";
    this.#items.get(this.#current)?.link.focus();
    if (!this.#sidebar.contains(document.activeElement)) byId("new-room-name").focus();
  }

  /** @param {string} room */
  #remove(room) {
    const item = /** @type {Item} */ (this.#items.get(room));
    const hadFocus = item.node.contains(document.activeElement);
    item.node.remove();
    this.#items.delete(room);
    if (hadFocus) (this.#list.querySelector("a") ?? byId("new-room-name")).focus();
  }

  #acceptNames() {
    const form = /** @type {HTMLFormElement} */ (byId("new-room"));
    const input = /** @type {HTMLInputElement} */ (byId("new-room-name"));
    const hint = byId("new-room-hint");
    /** What is meant: a blank is no part of a name, and is easily typed. */
    const meant = () => input.value.trim().replace(/\s+/g, "-");
    input.addEventListener("input", () => {
      const name = meant();
      const problem = name && nameProblem(name);
      input.setCustomValidity(problem);
      const nearest = problem ? nearestName(name) : name !== input.value.trim() ? name : "";
      const advice = nearest && (problem ? words.insteadOf(nearest) : words.opens(nearest));
      setText(hint, `${problem} ${advice}`.trim());
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const name = meant();
      if (!isRoomName(name)) return;
      form.reset();
      hint.textContent = "";
      this.goTo(`#${name}`);
    });
  }
}

/** One room of the list. */
class Item {
  #name;
  #count = element("span", { className: "count" });
  #marks = element("span", { className: "aside" });
  #pencil = element("span", { className: "pencil", textContent: "✎" });
  #more;
  /** @type {HTMLElement | undefined} */
  #options;
  /** @type {Choice} */
  #choice = "open";

  /** @param {string} room @param {SidebarActions} actions */
  constructor(room, actions) {
    this.#name = element("span", { className: "room-name", textContent: room, title: room });
    this.#pencil.ariaHidden = "true";
    this.link = element("a", { href: `#${room}` }, this.#name, this.#pencil, this.#count, this.#marks);
    this.#more = element("button", {
      type: "button",
      className: "more",
      textContent: "⋯",
      ariaLabel: words.optionsOf(room),
    });
    this.#more.ariaExpanded = "false";
    this.#more.addEventListener("click", () => this.#toggle(room, actions));
    this.node = element("li", {}, this.link, this.#more);
    this.node.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.#options) return;
      event.stopPropagation();
      this.#toggle(room, actions);
      this.#more.focus();
    });
  }

  /** @param {RoomEntry} entry @param {boolean} isCurrent */
  show({ unread, mentioned, choice, unsent }, isCurrent) {
    this.#choice = choice;
    if (isCurrent) this.link.ariaCurrent = "page";
    else this.link.removeAttribute("aria-current");
    const counts = unread > 0 && choice !== "muted";
    setText(this.#count, counts ? `${mentioned ? "@ " : ""}${unread > MANY ? `${MANY}+` : unread}` : "");
    this.#count.hidden = !counts;
    this.#pencil.hidden = !unsent;
    const said = [
      ...counts ? [words.unread] : [],
      ...counts && mentioned ? [words.mentionsYou] : [],
      ...choice === "muted" ? [words.muted] : [],
      ...unsent ? [words.unsent] : [],
    ];
    setText(this.#marks, said.map((mark) => ` ${mark}`).join(","));
    this.node.classList.toggle("muted", choice === "muted");
  }

  /** @param {string} room @param {SidebarActions} actions */
  #toggle(room, actions) {
    const isOpen = Boolean(this.#options);
    this.#more.ariaExpanded = `${!isOpen}`;
    this.#options?.remove();
    this.#options = undefined;
    if (isOpen) return;
    /** @type {[string, Choice][]} */
    const options = [
      this.#choice === "muted" ? [words.unmute, "open"] : [words.mute, "muted"],
      ...this.#choice === "muted" || !isNotifiable() ? [] : [
        /** @type {[string, Choice]} */ (this.#choice === "loud" ? [words.quieter, "open"] : [words.louder, "loud"]),
      ],
      ...actions.mayLeave(room) ? [/** @type {[string, Choice]} */ ([words.leave, "left"])] : [],
    ];
    this.#options = element(
      "div",
      { className: "options" },
      ...options.map(([textContent, choice]) => {
        const onclick = () => {
          this.#toggle(room, actions);
          this.#more.focus();
          actions.choose(room, choice);
        };
        return element("button", { type: "button", textContent, onclick });
      }),
    );
    this.node.append(this.#options);
    this.#options.querySelector("button")?.focus();
  }
}

// @ts-check
// What can be done with a message that stands there: at its corner while one points at it, has the focus on it, or has
// tapped on it. With a keyboard the arrows lead from message to message, Enter to what can be done, and a key does each. A click
// brings the focus along, and means nothing by that: neither keeps it the bar there, nor is what one types then for the message.
import { messageAddress } from "./address.js";
import { clockTime, exactTime, shortTime } from "./calendar.js";
import { LingerError } from "../client/client.ts";
import { layOut } from "./chunk.js";
import { byId, element, isConverting, isFocusFree } from "./element.js";
import { Editor } from "./editor.js";
import { messageOf, rowOf, shownName } from "./message-row.js";
import { say } from "./status.js";
import * as words from "./words.js";

/** @import { Message, Room } from "../client/client.ts" */
/** @import { Edit } from "./conversation.js" */
/** @import { Memory } from "./memory.js" */
/** @import { Seen } from "./message-row.js" */
/** @import { Session } from "./session.js" */

/** How far the bar reaches above its message, in pixels. */
const ABOVE = 14;

/**
 * What the page does of it.
 * @typedef {object} Doings
 * @property {() => Room} room The room that one sees.
 * @property {() => boolean} isSending Whether something that was written in this room is on its way.
 * @property {() => boolean} isApart Whether there are newer messages than those that are shown.
 * @property {(message: Seen) => void} reply
 * @property {() => void} write Puts the cursor where one writes.
 * @property {(message: Message) => void} replace Shows a message as it is now.
 * @property {(edit: Edit) => void} edits A message is about to be edited: what comes of it need not be told.
 * @property {(edit: Edit) => void} edited What came of it is known.
 * @property {(id: string) => void} deletes A message is about to be deleted: what comes of it need not be told.
 * @property {(id: string) => void} remove Takes a message away.
 * @property {(why: string) => void} notDeleted
 * @property {(text: string) => void} notDone Tells that something else could not be done.
 * @property {(room: string, body: string, why: string) => void} notSaved Somebody who finds it at its message no more has written this to be saved.
 */

/**
 * @typedef {object} Action
 * @property {string} label
 * @property {string} key What does the same from the keyboard.
 * @property {string} icon
 * @property {(message: Seen) => boolean} may
 * @property {(message: Seen) => void} act
 */

export class Actions {
  #scroller = byId("scroller");
  #log = byId("log");
  #text = /** @type {HTMLTextAreaElement} */ (byId("text"));
  #bar = element("div", { id: "actions", role: "toolbar", hidden: true });
  /** Whose bar it is. @type {HTMLElement | undefined} */
  #row;
  /** Where the focus was last. @type {HTMLElement | undefined} */
  #last;
  /** Whether what was done last is that a key was pressed, and whether it was so when the focus came to where it is. */
  #keyed = true;
  #cameByKey = true;
  #session;
  #memory;
  #doings;
  #editor;
  /** @type {Action[]} */
  #actions;

  /** @param {Session} session @param {Memory} memory @param {Doings} doings */
  constructor(session, memory, doings) {
    this.#session = session;
    this.#memory = memory;
    this.#doings = doings;
    this.#editor = new Editor(memory, doings);
    const always = () => true;
    this.#actions = [
      { label: words.reply, key: "r", icon: "M8 4 3.5 8 8 12M3.5 8H11q5 0 5 6", may: always, act: doings.reply },
      {
        label: words.copyLink,
        key: "c",
        icon: "M8.5 11.5l4-4M9.5 6l2-2a3.2 3.2 0 0 1 4.5 4.5l-2 2M10.5 14l-2 2A3.2 3.2 0 0 1 4 11.5l2-2",
        may: always,
        act: (message) => this.#copyLink(message),
      },
      {
        label: words.edit,
        key: "e",
        icon: "M4 16l.8-3.2L13 4.5a1.6 1.6 0 0 1 2.5 2.5L7.2 15.2Z",
        may: (message) => this.#isOwn(message),
        act: (message) => this.#edit(message),
      },
      {
        label: words.deletes,
        key: "Delete",
        icon: "M4 5.5h12M8 5.5V4h4v1.5M5.5 5.5 6.2 16h7.6l.7-10.5",
        may: (message) => this.#isOwn(message) || session.moderates(message.room),
        act: (message) => this.#delete(message),
      },
    ];
    this.#scroller.append(this.#bar);

    for (const type of ["keydown", "pointerdown"]) addEventListener(type, (event) => this.#note(event), true);
    this.#scroller.addEventListener("pointerover", (event) => {
      if (event.pointerType === "touch" || this.#cameByKey && this.#bar.contains(document.activeElement)) return;
      const row = rowAt(event);
      if (row) this.#show(row);
      else if (!this.#bar.contains(/** @type {Node} */ (event.target))) this.#hide();
    });
    this.#scroller.addEventListener("pointerleave", () => !this.#hasFocus() && this.#hide());
    let focused = /** @type {HTMLElement | null} */ (document.activeElement);
    this.#scroller.addEventListener("focusin", (event) => {
      // Who comes back from another window is where he was, by what brought him there; and so is he whose message was edited.
      const isGone = focused?.isConnected === false;
      const before = isGone ? focused?.closest("article") : focused;
      const isThere = event.target === standing(before) && !event.relatedTarget;
      if (!isThere) this.#cameByKey = this.#keyed;
      focused = /** @type {HTMLElement} */ (event.target);
      const row = rowAt(event);
      if (!row) return;
      this.#last = row;
      if (!isThere || !isGone) this.#show(row); // after an edit it stays where it was: at another message, or nowhere
    });
    this.#scroller.addEventListener("focusout", ({ target, relatedTarget }) => {
      if (relatedTarget) return this.#scroller.contains(/** @type {Node} */ (relatedTarget)) || this.#hide();
      // Chromium tells it also of what is about to be taken away, by an edit perhaps; and of that the bar learns by itself.
      queueMicrotask(() => /** @type {Node} */ (target).isConnected && this.#hide());
    });
    // A tap is no pointing: it shows the bar, and the next hides it. By its end it has brought the focus, and so the bar, already.
    let shown = false;
    this.#log.addEventListener("pointerdown", (event) => shown = this.#row !== undefined && this.#row === rowAt(event));
    this.#log.addEventListener("click", (event) => {
      const row = rowAt(event);
      const touched = matchMedia("(hover: none)").matches &&
        !(/** @type {Element} */ (event.target).closest("a, button"));
      if (!row || !touched || !getSelection()?.isCollapsed) return;
      if (shown) this.#hide();
      else this.#show(row);
    });
    this.#scroller.addEventListener("keydown", (event) => this.#press(event));
    this.#bar.addEventListener("click", (event) => {
      const button = /** @type {Element} */ (event.target).closest("button");
      const action = this.#actions.find(({ label }) => label === button?.ariaLabel);
      if (action) this.#do(action);
    });
    addEventListener("keydown", (event) => this.#handle(event));
    // An edit puts another row in the place of its message's.
    new MutationObserver(() => this.refresh()).observe(this.#log, { childList: true, subtree: true });
    // What is added or taken away above moves the row.
    new ResizeObserver(() => this.#place()).observe(this.#log);
  }

  /** What somebody did before this was there, if he is still where he did it. @param {Event} event */
  makeUp(event) {
    if (event.type !== "pointerover") this.#note(event);
    this.#handle(event);
    if (event instanceof KeyboardEvent && document.activeElement === event.target) this.#press(event);
  }

  /** @param {Event} event A key or a pointer that was pressed. */
  #note({ type, target }) {
    this.#keyed = type === "keydown";
    // Who presses elsewhere and does not take the focus there, as on a scroll bar, is where the keys have brought him.
    const isThere = target instanceof Element && target.closest("#log article, #actions") !== null;
    if (!this.#keyed && isThere) this.#cameByKey = false;
  }

  /** Keys that are for the messages, though the focus is not there. @param {Event} event */
  #handle(event) {
    const pointed = event instanceof PointerEvent && event.pointerType !== "touch" ? rowAt(event) : null;
    const row = pointed ?? document.activeElement?.closest("#log article");
    if (this.#bar.hidden && row instanceof HTMLElement) this.#show(row);
    if (!(event instanceof KeyboardEvent)) return;
    const roved = event.key === "Tab" ? this.#rove() : undefined;
    const plain = !isConverting(event) && !event.shiftKey && !event.ctrlKey && !event.altKey && !event.metaKey;
    if (document.activeElement !== event.target) return; // it was pressed before this was there, elsewhere
    if (roved && plain && event.target === this.#scroller) { // else it leads to the first link that is here, far above
      event.preventDefault();
      return roved.focus();
    }
    if (event.key !== "ArrowUp" || !plain || event.target !== this.#text || this.#text.value) return;
    // The last one can't be edited yet, or is not here; and no other is meant.
    if (this.#doings.isSending() || this.#doings.isApart()) return;
    const rows = /** @type {NodeListOf<HTMLElement>} */ (this.#log.querySelectorAll("article"));
    const own = [...rows].reverse().map(messageOf).find((message) => message && this.#isOwn(message));
    if (!own) return;
    event.preventDefault();
    this.#edit(own);
  }

  /** The message that one points at, or was at, may have turned out to be one's own, stand in another row by now, or be gone. */
  refresh() {
    const row = standing(this.#row);
    this.#last = standing(this.#last);
    if (!row) return this.#hide();
    if (row !== this.#row) {
      this.#row = row; // and its buttons stay, since one may be about to press one
      row.classList.add("active");
      this.#place();
    }
    const message = messageOf(row);
    if (!message || this.#bar.contains(document.activeElement)) return;
    const shown = Array.from(this.#bar.querySelectorAll("button"), ({ ariaLabel }) => ariaLabel);
    if (`${shown}` === `${this.#whatMay(message).map(({ label }) => label)}`) return;
    this.#hide();
    this.#show(row);
  }

  /** Other messages are shown, perhaps of the same room. */
  clear() {
    this.#hide();
    this.#last = undefined;
  }

  /** Another room is seen, or one goes on in the composer: what one edits waits. */
  leave() {
    this.#editor.leave();
  }

  /** @param {Seen} message */
  #isOwn({ id, sub }) {
    return sub !== undefined ? sub === this.#session.me.sub : this.#memory.messageKey(id) !== undefined;
  }

  /** @param {Seen} message */
  #whatMay(message) {
    return this.#actions.filter(({ may }) => may(message));
  }

  #hasFocus() {
    return this.#bar.contains(document.activeElement) || this.#row?.contains(document.activeElement) === true;
  }

  /** @param {HTMLElement} row */
  #show(row) {
    const message = messageOf(row);
    if (!message || this.#row === row && !this.#bar.hidden) return;
    this.#hide();
    this.#row = row;
    row.classList.add("active");
    const time = new Date(message.created_at);
    this.#bar.ariaLabel = words.actionsOf(shownName(message.author), clockTime(time));
    this.#bar.replaceChildren(
      element("time", { dateTime: message.created_at, title: exactTime(time), textContent: shortTime(time) }),
      ...this.#whatMay(message).map(button),
    );
    this.#bar.hidden = false;
    this.#place();
  }

  #hide() {
    const hadFocus = this.#bar.contains(document.activeElement);
    this.#row?.classList.remove("active");
    this.#row = undefined;
    this.#bar.hidden = true;
    if (hadFocus) this.#scroller.focus({ preventScroll: true });
  }

  #place() {
    if (!this.#row) return;
    const row = this.#row.getBoundingClientRect();
    const { top, left } = this.#scroller.getBoundingClientRect();
    const { clientWidth, scrollTop } = this.#scroller;
    const fromRight = getComputedStyle(this.#scroller).direction === "rtl"
      ? row.left - left
      : left + clientWidth - row.right;
    this.#bar.style.insetBlockStart = `${Math.max(row.top - top + scrollTop - ABOVE, 0)}px`;
    this.#bar.style.insetInlineEnd = `${Math.max(fromRight, 0) + 8}px`;
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const { key, ctrlKey, altKey, metaKey, target } = event;
    if (ctrlKey || altKey || metaKey || !(target instanceof HTMLElement)) return;
    const inBar = this.#bar.contains(target);
    if (!inBar && !target.matches("#log article")) return;
    const step = { ArrowUp: -1, ArrowDown: 1 }[key];
    const aside = inBar ? { ArrowLeft: -1, ArrowRight: 1 }[key] : undefined;
    const action = this.#actions.find((action) => action.key === key);
    // The mouse may rest on another row.
    const row = inBar ? this.#row : target;
    const message = row && messageOf(row);
    if (step) this.#beside(row, step)?.focus();
    else if (aside) {
      const buttons = [...this.#bar.querySelectorAll("button")];
      const mirrored = getComputedStyle(this.#bar).direction === "rtl" ? -1 : 1;
      buttons.at((buttons.indexOf(/** @type {HTMLButtonElement} */ (target)) + aside * mirrored) % buttons.length)
        ?.focus();
    } else if (key === "Escape") inBar ? this.#row?.focus() : this.#doings.write();
    else if (key === "Enter" && !inBar) {
      this.#show(target);
      this.#bar.querySelector("button")?.focus();
    } else if (action && message && action.may(message) && this.#cameByKey) {
      if (!inBar) this.#show(target);
      this.#do(action);
    } else return;
    event.preventDefault();
  }

  /** The next message, or the one before. @param {HTMLElement | null | undefined} row @param {number} step */
  #beside(row, step) {
    const rows = /** @type {HTMLElement[]} */ ([...this.#log.querySelectorAll("article")]);
    return rows[rows.indexOf(/** @type {HTMLElement} */ (row)) + step];
  }

  /** The one message to which Tab leads: where one was, if that is in sight, or the last that is. */
  #rove() {
    const { top, bottom } = this.#scroller.getBoundingClientRect();
    const inSight = (/** @type {Element} */ row) => {
      if (!row.checkVisibility({ contentVisibilityAuto: true })) return false; // Firefox has a place for it all the same
      const place = row.getBoundingClientRect();
      return place.bottom > top && place.top < bottom;
    };
    for (const row of this.#log.querySelectorAll("article[tabindex='0']")) {
      /** @type {HTMLElement} */ (row).tabIndex = -1;
    }
    const was = this.#last?.isConnected && inSight(this.#last) ? this.#last : undefined;
    const rows = /** @type {HTMLElement[]} */ ([...this.#log.querySelectorAll("article")]);
    const row = was ?? rows.reverse().find(inSight);
    if (row) row.tabIndex = 0;
    return row;
  }

  /** @param {Action} action */
  #do(action) {
    const message = this.#row && messageOf(this.#row);
    if (message) action.act(message);
  }

  /** @param {Seen} message */
  async #copyLink({ room, id }) {
    const address = messageAddress(room, id);
    try {
      await copy(address, this.#bar);
    } catch {
      return this.#doings.notDone(words.linkNotCopied(address));
    }
    say(words.linkCopied);
    this.#bar.querySelector("button[data-key=c]")?.classList.add("done");
  }

  /** @param {Seen} message */
  #edit(message) {
    this.#hide();
    const row = rowOf(message.id);
    if (row) layOut(row);
    row?.scrollIntoView({ block: "nearest" });
    this.#editor.open(message, this.#doings.room(), this.#memory.messageKey(message.id));
  }

  /** @param {Seen} message */
  async #delete(message) {
    const { id } = message;
    if (!confirm(this.#isOwn(message) ? words.askDelete : words.askDeleteOther)) return;
    const row = rowOf(id);
    const next = this.#beside(row, 1) ?? this.#beside(row, -1);
    const nextId = next && messageOf(next)?.id;
    this.#doings.deletes(id);
    row?.classList.add("deleting");
    let isTold = false;
    const onRetry = () => {
      if (!isTold) say(words.notDeletedYet); // not at each try
      isTold = true;
    };
    try {
      await this.#doings.room().delete(id, { messageKey: this.#memory.messageKey(id), onRetry });
    } catch (error) {
      if (!(error instanceof LingerError)) throw error;
      rowOf(id)?.classList.remove("deleting");
      return this.#doings.notDeleted(error.problem?.detail ?? error.message);
    }
    this.#memory.forgetEdit(id);
    // That took a while, in which one may have gone elsewhere; and a row that is gone by now has left the focus to all of them.
    const ofRow = this.#row === undefined || messageOf(this.#row)?.id === id;
    const isFree = document.activeElement === this.#scroller || isFocusFree(rowOf(id), ofRow ? this.#bar : null);
    if (ofRow) this.#hide();
    this.#doings.remove(id);
    if (isFree && nextId) rowOf(nextId)?.focus({ preventScroll: true });
    say(words.deleted);
  }
}

/** @param {Event} event @returns {HTMLElement | null} */
function rowAt({ target }) {
  return target instanceof Element ? target.closest("#log article") : null;
}

/** The row in which a row's message stands now; undefined where that is gone. @param {HTMLElement | null | undefined} row */
function standing(row) {
  const message = row && messageOf(row);
  return row?.isConnected ? row : message && rowOf(message.id) || undefined;
}

/** @param {Action} action */
function button({ label, key, icon }) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.ariaHidden = "true";
  const path = document.createElementNS(svg.namespaceURI, "path");
  path.setAttribute("d", icon);
  svg.append(path);
  const button = element("button", { type: "button", ariaLabel: label, title: label }, svg);
  button.dataset.key = key;
  button.setAttribute("aria-keyshortcuts", key);
  return button;
}

/**
 * Also where the clipboard is only for pages that came over https.
 * @param {string} text @param {HTMLElement} place Where the focus may be meanwhile.
 */
async function copy(text, place) {
  if (navigator.clipboard) return await navigator.clipboard.writeText(text);
  const field = document.createElement("textarea");
  Object.assign(field, { value: text, className: "aside" });
  const before = document.activeElement;
  place.append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  if (before instanceof HTMLElement) before.focus({ preventScroll: true }); // first, or it is nowhere
  field.remove();
  if (!isCopied) throw new Error("Not copied");
}

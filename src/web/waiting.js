// @ts-check
// What is not among the messages yet, below them. A row stays the same element for as long as it looks the same: else a button
// would be gone under a finger, and a screen reader would read out the same failure with every message that comes.
import { byId } from "./element.js";
import { outboxRow } from "./message-row.js";

/** @import { OutboxActions } from "./message-row.js" */
/** @import { OutboxItem } from "./outbox.js" */
/** @import { Me } from "./own.js" */

export class Waiting {
  #root;
  #actions;
  /** By the item's key. @type {Map<string, { look: string, row: HTMLElement }>} */
  #rows = new Map();

  /** @param {HTMLElement} root @param {OutboxActions} actions */
  constructor(root, actions) {
    this.#root = root;
    this.#actions = actions;
  }

  /**
   * Shows these and no others.
   * @param {OutboxItem[]} items
   * @param {Me} me
   * @param {(item: OutboxItem, previous: OutboxItem | undefined) => boolean} goesOn Whether an item stands under the name of what is before it.
   */
  show(items, me, goesOn) {
    const before = this.#rows;
    const { activeElement: focused } = document;
    const [focusedKey = ""] = [...before].find(([, { row }]) => row.contains(focused)) ?? [];
    this.#rows = new Map();
    const head = items.find(({ id, state }) => !id && state !== "refused");
    for (const [i, item] of items.entries()) {
      const { key, state, failure, id } = item;
      const heldBack = head?.state === "late" && item !== head && state === "sending";
      const look = JSON.stringify([state, failure, id !== undefined, heldBack]);
      const known = before.get(key);
      const shown = known?.look === look ? known : { look, row: outboxRow(item, me, heldBack, this.#actions) };
      if (known && known !== shown) known.row.replaceWith(shown.row);
      shown.row.classList.toggle("continued", goesOn(item, items[i - 1]));
      this.#rows.set(key, shown);
      before.delete(key);
    }
    for (const { row } of before.values()) row.remove();
    let place = this.#root.firstElementChild;
    for (const { row } of this.#rows.values()) {
      if (row === place) place = place.nextElementSibling;
      else this.#root.insertBefore(row, place);
    }
    if (focusedKey && !focused?.isConnected) this.#focus(focusedKey, focused?.textContent);
  }

  /** Puts the focus where it was in a row, or where one goes on from there. @param {string} key @param {string | null | undefined} name */
  #focus(key, name) {
    const buttons = this.#rows.get(key)?.row.querySelectorAll("button") ?? [];
    ([...buttons].find(({ textContent }) => textContent === name) ?? byId("scroller")).focus({ preventScroll: true });
  }

  clear() {
    this.show([], { name: "", sub: "" }, () => false);
  }
}

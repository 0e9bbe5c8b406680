// @ts-check
// Where you write, after you have said once what you are called. Keeps a draft for each room, and says before sending
// what the server would refuse.
import { avatar } from "./message-row.js";
import { byId, element } from "./element.js";
import * as words from "./words.js";

/** @import { Memory } from "./memory.js" */

/** Longest message and longest name that the server takes, in bytes of UTF-8. */
const MAX_BODY_BYTES = 10_000;
const MAX_AUTHOR_BYTES = 100;

/** From here on one is told how much is left. */
const NEAR_MAX_BYTES = 9_000;

const utf8 = new TextEncoder();

export class Composer {
  #form = /** @type {HTMLFormElement} */ (byId("composer"));
  #text = /** @type {HTMLTextAreaElement} */ (byId("text"));
  #send = /** @type {HTMLButtonElement} */ (byId("send"));
  #room_left = byId("room-left");
  #nameForm = /** @type {HTMLFormElement} */ (byId("name-form"));
  #name = /** @type {HTMLInputElement} */ (byId("name"));
  #you = byId("you");
  #memory;
  #room = "";

  /** @param {Memory} memory @param {{ send: (body: string) => void, renamed: () => void }} actions */
  constructor(memory, actions) {
    this.#memory = memory;
    this.#text.addEventListener("input", () => {
      memory.keepDraft(this.#room, this.#text.value);
      this.#fit();
    });
    this.#text.addEventListener("keydown", (event) => {
      // Where there is only a touch keyboard, which has no Shift+Enter, Enter begins a line and the button sends.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || matchMedia("(pointer: coarse)").matches) {
        return;
      }
      event.preventDefault();
      this.#form.requestSubmit();
    });
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      const body = this.#text.value.replace(/^\s*\n|\s+$/g, "");
      if (!body || this.#send.disabled) return;
      this.#text.value = "";
      memory.keepDraft(this.#room, "");
      this.#fit();
      this.#text.focus();
      actions.send(body);
    });

    this.#name.addEventListener("input", () => {
      const fine = utf8.encode(this.#name.value.trim()).length <= MAX_AUTHOR_BYTES;
      this.#name.setCustomValidity(fine ? "" : words.nameTooLong);
    });
    this.#nameForm.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.#name.value.trim()) return;
      memory.name = this.#name.value.trim();
      this.#showName();
      this.#text.focus();
      actions.renamed();
    });
    this.#nameForm.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !memory.name) return;
      this.#showName();
      this.#text.focus();
    });
    byId("rename").addEventListener("click", () => this.#askName());
    if (memory.name) this.#showName();
  }

  /** @param {string} room */
  open(room) {
    this.#room = room;
    this.#text.value = this.#memory.draft(room);
    this.#text.placeholder = words.messageTo(room);
    this.#fit();
  }

  /** Puts the cursor where one goes on: into the text, or the name while there is none. */
  focus() {
    (this.#form.hidden ? this.#name : this.#text).focus();
  }

  #askName() {
    this.#form.hidden = true;
    this.#nameForm.hidden = false;
    this.#name.value = this.#memory.name;
    this.#name.select();
    this.#name.focus();
  }

  #showName() {
    const { name } = this.#memory;
    this.#form.hidden = false;
    this.#nameForm.hidden = true;
    this.#you.replaceChildren(avatar(name), element("bdi", { textContent: name }));
    byId("profile").hidden = false;
  }

  #fit() {
    this.#text.style.blockSize = "auto";
    this.#text.style.blockSize = `${this.#text.scrollHeight}px`;
    const bytes = utf8.encode(this.#text.value).length;
    const left = MAX_BODY_BYTES - bytes;
    this.#room_left.textContent = bytes < NEAR_MAX_BYTES
      ? ""
      : left >= 0
      ? words.bytesLeft(left)
      : words.bytesTooLong(-left);
    this.#room_left.classList.toggle("over", left < 0);
    this.#text.ariaInvalid = `${left < 0}`;
    this.#send.disabled = left < 0 || !this.#text.value.trim();
  }
}

// @ts-check
// Where a message of one's own is edited: in the place of the composer, whose draft waits. If the message was changed
// meanwhile, in another window say, one sees what it is now before it is put aside.
import { LingerError } from "../client/client.ts";
import { byId, element, isFocusFree } from "./element.js";
import { charactersLeft, isVisible } from "./length.js";
import { find } from "./quotes.js";
import * as words from "./words.js";

/** @import { Message, Room } from "../client/client.ts" */
/** @import { Seen } from "./message-row.js" */

/** Longest message that the server takes, in bytes of UTF-8. */
const MAX_BODY_BYTES = 10_000;

export class Editor {
  #done;
  #text = document.createElement("textarea");
  #save = /** @type {HTMLButtonElement} */ (element("button", { className: "primary", textContent: words.save }));
  #note = element("p", { className: "note", role: "alert" });
  #form = /** @type {HTMLFormElement} */ (element("form", { id: "editor", hidden: true }));
  /** What is being edited, as it is known. @type {Seen | undefined} */
  #message;
  #key = /** @type {string | undefined} */ (undefined);
  #room = /** @type {Room | undefined} */ (undefined);
  #left = new AbortController();

  /** @param {(message: Message) => void} done Is given the message as it is then. */
  constructor(done) {
    this.#done = done;
    Object.assign(this.#text, { rows: 1, dir: "auto", id: "edited-text", enterKeyHint: "done" });
    const cancel = element("button", { type: "button", textContent: words.cancel });
    this.#form.append(
      element("label", { htmlFor: this.#text.id, textContent: words.editing }),
      element("div", { className: "field" }, this.#text, cancel, this.#save),
      this.#note,
    );
    byId("composer").after(this.#form);
    cancel.addEventListener("click", () => this.close());
    this.#text.addEventListener("input", () => this.#look());
    this.#form.addEventListener("keydown", (event) => {
      if (event.isComposing || event.keyCode === 229) return;
      if (event.key === "Escape") this.close();
      else if (event.key === "Enter" && event.target === this.#text && !event.shiftKey && isFine()) {
        event.preventDefault();
        this.#form.requestSubmit();
      }
    });
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.#save.disabled) this.#send();
    });
  }

  /** @param {Seen} message @param {Room} room @param {string | undefined} key With which it was posted. */
  open(message, room, key) {
    this.close();
    this.#message = message;
    this.#room = room;
    this.#key = key;
    this.#text.value = message.body;
    this.#note.textContent = "";
    byId("composer").hidden = true;
    this.#form.hidden = false;
    this.#look();
    this.#text.focus();
  }

  /** Leaves things as they are. */
  close() {
    if (!this.#message) return;
    const isFree = isFocusFree(this.#form);
    this.#left.abort();
    this.#message = undefined;
    this.#form.hidden = true;
    byId("composer").hidden = false;
    if (isFree) byId("text").focus();
  }

  async #send() {
    const message = this.#message;
    const room = this.#room;
    const body = this.#body;
    if (!message || !room) return;
    if (body === message.body) return this.close();
    this.#left = new AbortController();
    const { signal } = this.#left;
    this.#save.textContent = words.saving;
    this.#save.disabled = true;
    try {
      const edited = await room.edit(message.id, body, { messageKey: this.#key, known: message, signal });
      if (this.#message === message) this.close();
      this.#done(edited);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof LingerError)) throw error;
      if (error.status === 412) await this.#meet(message.id, room);
      else {this.#note.textContent = error.status === 410
          ? words.deletedMeanwhile
          : error.problem?.detail ?? error.message;}
    } finally {
      this.#save.textContent = words.save;
      this.#look();
    }
  }

  /** Says what the message has become meanwhile. @param {string} id @param {Room} room */
  async #meet(id, room) {
    const now = await find(id, room, this.#left.signal);
    if (this.#message?.id !== id) return;
    if (now) this.#message = now;
    this.#note.textContent = now ? words.changedMeanwhile(now.body) : words.deletedMeanwhile;
  }

  get #body() {
    return this.#text.value.replace(/^\s*\n/, "").trimEnd();
  }

  #look() {
    this.#text.style.blockSize = "auto";
    this.#text.style.blockSize = `${this.#text.scrollHeight}px`;
    const left = charactersLeft(this.#body, MAX_BODY_BYTES);
    this.#save.disabled = left < 0 || !isVisible(this.#body);
    if (left < 0) this.#note.textContent = words.tooLong(-left);
    else if (this.#text.ariaInvalid === "true") this.#note.textContent = "";
    this.#text.ariaInvalid = `${left < 0}`;
  }
}

/** Whether there is a keyboard that has Shift+Enter. */
function isFine() {
  return !matchMedia("(pointer: coarse)").matches;
}

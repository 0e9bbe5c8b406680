// @ts-check
// Where a message of one's own is edited: in the place of the composer, whose draft waits. If the message was changed
// meanwhile, in another window say, one sees what it is now before it is put aside.
import { LingerError } from "../client/client.ts";
import { boundField } from "./bounded-field.js";
import { bodyOf } from "./draft.js";
import { byId, element, handFocusOn, isConverting, isFocusFree, setText } from "./element.js";
import { onEnter, onNewLine } from "./enter-key.js";
import { LengthLine } from "./length-line.js";
import { charactersLeft, isVisible, MAX_BODY_BYTES } from "./length.js";
import { find } from "./quotes.js";
import * as words from "./words.js";

/** @import { Retry, Room } from "../client/client.ts" */
/** @import { Doings } from "./actions.js" */
/** @import { Memory } from "./memory.js" */
/** @import { Seen } from "./message-row.js" */

export class Editor {
  #memory;
  #doings;
  #text = document.createElement("textarea");
  #save = /** @type {HTMLButtonElement} */ (element("button", { className: "primary", textContent: words.save }));
  #put;
  #note = element("p", { className: "note", role: "alert" });
  #excess = element("p", { className: "note", ariaHidden: "true" });
  #excessSaid = element("p", { className: "aside", role: "alert" });
  #line = new LengthLine(this.#excess, this.#excessSaid);
  #form = /** @type {HTMLFormElement} */ (element("form", { id: "editor", hidden: true }));
  /** What is being edited, as it is known. @type {Seen | undefined} */
  #message;
  #key = /** @type {string | undefined} */ (undefined);
  #room = /** @type {Room | undefined} */ (undefined);
  #cancelled = new AbortController();
  /** What is on its way to the server. @type {{ message: Seen } | undefined} */
  #sent;

  /** @param {Memory} memory @param {Pick<Doings, "room" | "replace" | "edits" | "edited" | "notDone" | "notSaved" | "write">} doings */
  constructor(memory, doings) {
    this.#memory = memory;
    this.#doings = doings;
    Object.assign(this.#text, { rows: 1, dir: "auto", id: "edited-text", enterKeyHint: "done" });
    const cancel = element("button", { type: "button", textContent: words.cancel });
    const newLine = /** @type {HTMLElement} */ (byId("new-line").cloneNode(true));
    newLine.id = "edited-new-line";
    this.#form.append(
      element("label", { htmlFor: this.#text.id, textContent: words.editing }),
      element("div", { className: "field" }, this.#text, newLine, cancel, this.#save),
      this.#note,
      this.#excess,
      this.#excessSaid,
    );
    byId("composer").after(this.#form);
    cancel.addEventListener("click", () => this.close());
    const changed = () => {
      this.#keep(); // now: a page that is loaded anew or thrown away asks nobody
      this.#look();
    };
    this.#put = boundField(this.#text, changed, (why) => {
      this.#note.textContent = why;
      this.#text.ariaInvalid = "true"; // until the next input
    });
    this.#form.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !isConverting(event)) this.close();
    });
    onEnter(this.#text, () => this.#form.requestSubmit());
    onNewLine(newLine, this.#text);
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.#save.disabled) this.#send();
    });
  }

  /** @param {Seen} message @param {Room} room @param {string | undefined} key With which it was posted. */
  open(message, room, key) {
    this.#cancelled = new AbortController();
    this.#message = message;
    this.#room = room;
    this.#key = key;
    this.#put(this.#memory.edit(message.id) ?? message.body);
    this.#note.textContent = "";
    this.#save.textContent = words.save;
    this.#form.hidden = false;
    this.#look();
    this.#text.focus();
  }

  /** Leaves things as they are. */
  close() {
    const { id = "" } = this.#message ?? {};
    this.#cancelled.abort();
    this.leave();
    this.#memory.forgetEdit(id);
  }

  /** Goes away; what is being saved goes on, and what is not is there again with the next try. */
  leave() {
    if (!this.#message) return;
    const isFree = isFocusFree(this.#form);
    this.#message = undefined;
    this.#form.hidden = true;
    if (isFree) this.#doings.write();
  }

  #keep() {
    const message = this.#message;
    if (!message) return;
    // What is on its way is kept until that has arrived: nobody knows whether it will.
    if (this.#body === message.body && !this.#isOnItsWay) this.#memory.forgetEdit(message.id);
    else this.#memory.keepEdit(message.id, this.#text.value);
  }

  /** What became of an edit is known, and nothing else was written since. @param {string} id @param {string} body */
  #forget(id, body) {
    if (bodyOf(this.#memory.edit(id) ?? "") === body) this.#memory.forgetEdit(id);
  }

  async #send() {
    const message = this.#message;
    const room = this.#room;
    const body = this.#body;
    if (!message || !room) return;
    if (body === message.body) return this.close();
    const { signal } = this.#cancelled;
    const sent = this.#sent = { message };
    this.#save.textContent = words.saving;
    handFocusOn(this.#save, () => this.#save.disabled = true, () => this.#text);
    const onRetry = (/** @type {Retry} */ { problem }) => {
      if (this.#message === message) setText(this.#note, problem?.detail ?? words.unreachable);
    };
    const edit = { id: message.id, body };
    this.#doings.edits(edit);
    try {
      const edited = await room.edit(message.id, body, { messageKey: this.#key, known: message, signal, onRetry });
      this.#forget(message.id, body);
      // Who went on writing meanwhile, or has begun anew, goes on.
      if (this.#message === message) {
        this.#message = edited;
        this.#note.textContent = "";
        if (this.#body === body && this.#cancelled.signal === signal) this.leave();
      }
      this.#doings.replace(edited);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof LingerError)) throw error;
      // If it was changed meanwhile, one sees what it is now.
      const now = error.status === 412 ? await find(message.id, room, signal).catch((error) => error) : error;
      if (signal.aborted) return;
      if (this.#message !== message) {
        // What one has begun to edit is there again with the next try; in the draft it would be among other words.
        const isHere = room.name === this.#doings.room().name && this.#memory.edit(message.id) !== undefined;
        const isGone = !now || error.status === 410;
        if (isHere && !isGone) return this.#doings.notDone(words.changeKept(reasonOf(error)));
        this.#forget(message.id, body); // it becomes part of the draft
        return this.#doings.notSaved(room.name, body, reasonOf(error));
      }
      if (now && !(now instanceof Error)) this.#message = now;
      this.#note.textContent = now instanceof Error
        ? reasonOf(now)
        : now
        ? words.changedMeanwhile(now.body)
        : words.deletedMeanwhile;
    } finally {
      this.#doings.edited(edit);
      if (this.#sent === sent) this.#sent = undefined;
      if (!this.#sent) {
        this.#save.textContent = words.save;
        this.#look();
      }
    }
  }

  get #body() {
    return bodyOf(this.#text.value);
  }

  get #isOnItsWay() {
    return this.#sent !== undefined && this.#sent.message === this.#message;
  }

  #look() {
    this.#text.style.blockSize = "auto";
    this.#text.style.blockSize = `${this.#text.scrollHeight}px`;
    const left = charactersLeft(this.#body, MAX_BODY_BYTES);
    this.#save.disabled = left < 0 || !isVisible(this.#body) || this.#isOnItsWay;
    if (left < 0 || this.#text.ariaInvalid === "true") setText(this.#note, "");
    this.#line.tell(left < 0 ? words.tooLong(-left) : "", left);
    this.#text.ariaInvalid = `${left < 0}`;
  }
}

/** @param {{ message: string, status?: number, problem?: { detail: string } | undefined }} error */
function reasonOf({ status, problem, message }) {
  return status === 410 ? words.deletedMeanwhile : problem?.detail ?? message;
}

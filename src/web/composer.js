// @ts-check
// Where you write, after you have said once what you are called. Keeps a draft for each room, and says before sending
// what the server would refuse.
import { boundField } from "./bounded-field.js";
import { bodyOf, isEmpty, joined, NONE } from "./draft.js";
import { avatar, shownName } from "./message-row.js";
import { byId, element, isConverting } from "./element.js";
import { leaveFocus, onEnter, onNewLine } from "./enter-key.js";
import { LengthLine } from "./length-line.js";
import { charactersLeft, isVisible, MAX_BODY_BYTES } from "./length.js";
import * as words from "./words.js";

/** @import { Draft } from "./draft.js" */
/** @import { Memory } from "./memory.js" */

/** Longest name that the server takes, in bytes of UTF-8. */
const MAX_AUTHOR_BYTES = 100;

/** From so few characters on one is told how many are left. */
const FEW_LEFT = 1_000;

/** Without it the field's height has to be measured. */
const sizesItself = CSS.supports("field-sizing", "content");

export class Composer {
  #form = /** @type {HTMLFormElement} */ (byId("composer"));
  #text = /** @type {HTMLTextAreaElement} */ (byId("text"));
  #send = /** @type {HTMLButtonElement} */ (byId("send"));
  #left = byId("room-left");
  #line = new LengthLine(this.#left, byId("room-left-said"));
  #nameForm = /** @type {HTMLFormElement} */ (byId("name-form"));
  #name = /** @type {HTMLInputElement} */ (byId("name"));
  #you = byId("you");
  #memory;
  #actions;
  #room = "";
  /** The id of the message that is answered; "" for none. */
  replyTo = "";
  /** What is only shown here, and for others to keep; undefined once something was written. @type {string | undefined} */
  #shown = "";
  /** What was written here in rooms that one has left, as long as no other window goes on with it. @type {Map<string, Draft>} */
  left = new Map();
  #put;

  /**
   * @param {Memory} memory
   * @param {{ send: (body: string, replyTo: string) => void, renamed: (isNew: boolean) => void, answer: (id: string) => void }} actions
   * `renamed` is told whether one never had the name in this browser, `answer` what is answered; "" for nothing.
   */
  constructor(memory, actions) {
    this.#memory = memory;
    this.#actions = actions;
    this.#put = boundField(this.#text, () => {
      this.#keep();
      this.#fit();
    }, (why) => this.#tell(why, true));
    onEnter(this.#text, () => this.#form.requestSubmit());
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    leaveFocus(this.#send);
    onNewLine(byId("new-line"), this.#text);

    this.#name.addEventListener("input", () => {
      const left = charactersLeft(this.#name.value.trim(), MAX_AUTHOR_BYTES);
      this.#name.setCustomValidity(left < 0 ? words.nameTooLong(-left) : "");
    });
    this.#nameForm.addEventListener("submit", (event) => {
      event.preventDefault();
      const name = this.#name.value.trim();
      if (!isVisible(name)) return this.#name.select();
      const isNew = !memory.wasCalled(name);
      memory.name = name;
      this.#showName();
      this.write();
      actions.renamed(isNew);
    });
    this.#nameForm.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || isConverting(event) || !memory.name) return;
      this.#showName();
      this.write();
    });
    byId("rename").addEventListener("click", () => this.askName());
    if (memory.name) this.#showName();
  }

  /** Shows who you are, now that another window has changed it. */
  renamed() {
    if (!this.#memory.name) return;
    const wasAsked = this.#nameForm.contains(document.activeElement);
    this.#showName();
    if (wasAsked) this.write();
  }

  /** What stands there, and what it answers. @returns {Draft} */
  get draft() {
    return { text: this.#text.value, replyTo: this.replyTo };
  }

  /** Whether something was written here since something was shown. */
  get isWritten() {
    return this.#shown === undefined;
  }

  /** What was written here, by room: what is only shown is for others to keep. @returns {[string, Draft][]} */
  get written() {
    return this.isWritten ? [...this.left, [this.#room, this.draft]] : [...this.left];
  }

  /** Whether somebody is about to write here. */
  get isIn() {
    return this.#text === document.activeElement && document.hasFocus();
  }

  /** Shows a draft, and does not keep it. @param {Draft} draft @param {boolean} [isOwn] Whether it counts as written here. */
  show({ text, replyTo }, isOwn = false) {
    this.#put(text);
    this.#shown = isOwn ? undefined : this.#text.value;
    this.#fit();
    this.replyTo = replyTo;
    this.#actions.answer(replyTo);
  }

  /** Has what is written here answer a message. @param {string} id "" for none. */
  reply(id) {
    if (id === this.replyTo) return;
    this.replyTo = id;
    this.#keep();
    this.#actions.answer(id);
  }

  /** @param {string} room */
  open(room) {
    // One has only gone elsewhere in it; what is answered may have been on its way.
    if (room === this.#room) return this.#actions.answer(this.replyTo);
    // Another window may have kept a draft of its own since; what is only shown here is not put over that.
    if (this.isWritten && !isEmpty(this.draft)) {
      this.#memory.keepDraft(this.#room, this.draft);
      this.left.set(this.#room, this.draft);
    }
    this.#room = room;
    this.#text.placeholder = words.messageTo(room);
    const own = this.left.get(room);
    this.left.delete(room);
    this.show(own ?? this.#memory.draft(room), own !== undefined);
  }

  /** Puts what went nowhere before the draft of its room. @param {string} room @param {Draft} given */
  giveBack(room, given) {
    const isHere = room === this.#room;
    const before = isHere ? this.draft : this.left.get(room) ?? this.#memory.draft(room);
    const draft = joined(given, before);
    this.#memory.keepDraft(room, draft, before.text);
    if (isHere) this.show(draft, true);
    else this.left.set(room, draft);
  }

  /** Puts the cursor where one goes on: into the name while one is asked for it, or what one edits, which hides the text, or that. */
  write() {
    const fields = [this.#name, byId("edited-text"), this.#text];
    fields.find((field) => field?.checkVisibility())?.focus();
  }

  /** Puts it there unless that would bring a keyboard up. */
  focus() {
    if (matchMedia("(pointer: fine)").matches) this.write();
  }

  #submit() {
    const body = this.#body();
    if (!isVisible(body) || this.#send.disabled) return;
    if (!this.#memory.name) return this.askName(); // somebody has emptied the storage
    const fromButton = document.activeElement === this.#send;
    const { text, replyTo } = this.draft;
    this.#memory.forgetDraft(this.#room, text);
    this.show(NONE);
    if (fromButton) this.#text.focus(); // else it would be lost with the button
    this.#actions.send(body, replyTo);
  }

  /** Keeps what was written here: in the place of what was shown. */
  #keep() {
    this.#memory.keepDraft(this.#room, this.draft, this.#shown);
    this.#shown = undefined;
  }

  /** What would be sent: no blank lines around it. */
  #body() {
    return bodyOf(this.#text.value);
  }

  /** Asks what you are called, or want to be called from now on. */
  askName() {
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
    const shown = shownName(name);
    this.#you.replaceChildren(avatar(name), element("bdi", { textContent: shown, title: shown }));
    byId("profile").hidden = false;
  }

  #fit() {
    if (!sizesItself && this.#text.checkVisibility()) {
      this.#text.style.blockSize = "auto";
      this.#text.style.blockSize = `${this.#text.scrollHeight}px`;
    }
    const body = this.#body();
    const left = charactersLeft(body, MAX_BODY_BYTES);
    this.#tell(left < 0 ? words.tooLong(-left) : left < FEW_LEFT ? words.charactersLeft(left) : "", left < 0, left);
    this.#text.ariaInvalid = `${left < 0}`;
    this.#send.disabled = left < 0 || !isVisible(body);
  }

  /** @param {string} sentence @param {boolean} isWrong @param {number} [left] How many characters are left, if it tells that. */
  #tell(sentence, isWrong, left) {
    this.#left.classList.toggle("over", isWrong);
    this.#line.tell(sentence, left);
  }
}

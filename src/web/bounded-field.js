// @ts-check
// Keeps a field from taking a book: that can't become a message by a few cuts, and with a megabyte of text browsers take seconds for
// each key. Nor does it take a file, which is told by the field that one sees.
import { charactersLeft, MAX_BODY_BYTES } from "./length.js";
import * as words from "./words.js";

/** A text of more UTF-16 units is not let in. */
const HUGE = 50_000;

/**
 * Bounds a field; returns what puts a text into it, as much as may be.
 * @param {HTMLTextAreaElement} field
 * @param {() => void} changed Is called after each input that was let in.
 * @param {(why: string) => void} refused Is told why a text, or a file, was not.
 */
export function boundField(field, changed, refused) {
  /** What stood there before the input that is told. */
  let before = "";
  // Its blank end counts here: it would not be sent, but the field would have to hold it.
  const refuse = (/** @type {string} */ text) => refused(words.notLetIn(-charactersLeft(text, MAX_BODY_BYTES)));
  field.addEventListener("beforeinput", (event) => {
    const { selectionStart, selectionEnd, value } = field;
    const added = event.data ?? event.dataTransfer?.getData("text/plain") ?? "";
    const length = value.length - (selectionEnd - selectionStart) + added.length;
    if (!added || length <= HUGE) return;
    event.preventDefault();
    refuse(value.slice(0, selectionStart) + added + value.slice(selectionEnd));
  });
  field.addEventListener("input", () => {
    const { value } = field;
    if (value.length > HUGE) { // not every way in is told before
      field.value = before;
      return refuse(value);
    }
    before = value;
    changed();
  });
  // One that is dropped anywhere would take the page's place.
  for (const type of /** @type {const} */ (["dragover", "drop"])) {
    addEventListener(type, (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      // Browsers tell of a drop only where it seemed welcome until then.
      if (type === "drop" && field.checkVisibility()) refused(words.noFiles);
    });
  }
  field.addEventListener("paste", ({ clipboardData }) => {
    const { types = [] } = clipboardData ?? {}; // a picture comes with markup, too; and text often with a picture of it
    if (types.includes("Files") && !types.includes("text/plain")) refused(words.noFiles);
  });
  return (/** @type {string} */ text) => {
    field.value = before = text.slice(0, HUGE);
  };
}

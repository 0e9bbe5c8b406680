// @ts-check
// Enter, where it ends what one writes, and a button for who has no Shift+Enter to begin a line. It is known by the line break that it would
// make, not by its key: the Enter that only ends an input method's conversion makes none, in whatever order a browser tells of it; and one
// that also makes one (with Korean, or on a phone whose keyboard still holds the last word) is told as a key that converts, too.
import { isConverting } from "./element.js";

/** What browsers call a line break. */
const BREAKS = ["insertLineBreak", "insertParagraph"];

/**
 * So soon after Enter was pressed elsewhere, in milliseconds, another is the second of two, and no order to send what the focus has come to
 * meanwhile.
 */
const SECOND_PRESS_MS = 500;

/**
 * Calls `act` for each Enter that is meant for a field, in the place of its line break. With Shift it makes one.
 * @param {HTMLTextAreaElement} field
 * @param {() => void} act
 */
export function onEnter(field, act) {
  /** The last key that was pressed, until a line break has come of it. @type {KeyboardEvent | undefined} */
  let pressed;
  /** When Enter was pressed elsewhere, and nobody has clicked anywhere or written here since. */
  let elsewhereAt = -Infinity;
  addEventListener("keydown", ({ key, keyCode, target, timeStamp }) => {
    // A phone's keyboard that holds a word tells of no Enter: any of its keys may be one.
    if ((key === "Enter" || keyCode === 229) && target !== field) elsewhereAt = timeStamp;
  }, true);
  const forget = () => elsewhereAt = -Infinity;
  addEventListener("pointerdown", forget, true);
  field.addEventListener("input", forget);
  const enter = (/** @type {KeyboardEvent} */ press) => {
    if (!press.repeat && press.timeStamp - elsewhereAt > SECOND_PRESS_MS) act();
  };
  field.addEventListener("keydown", (event) => {
    pressed = event;
    // With these keys it makes no line break, or one in some browsers only.
    const isChord = event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.shiftKey;
    if (!isChord || isConverting(event)) return;
    event.preventDefault();
    enter(event);
  });
  // What comes after a key was let go did not come of it. The one before may be let go later; a phone's keys have no code.
  field.addEventListener("keyup", ({ code }) => {
    if (code === pressed?.code) pressed = undefined;
  });
  field.addEventListener("beforeinput", (event) => {
    if (!BREAKS.includes(event.inputType)) return;
    const press = pressed;
    pressed = undefined;
    // Another key may make a line break as well, and so may a voice.
    const isEnter = press?.key === "Enter" || press?.keyCode === 229;
    if (!press || !isEnter || press.shiftKey) return;
    event.preventDefault();
    enter(press);
  });
}

/** Has a button begin a line in a field. @param {HTMLElement} button @param {HTMLTextAreaElement} field */
export function onNewLine(button, field) {
  leaveFocus(button);
  button.addEventListener("click", () => {
    field.setRangeText("\n", field.selectionStart, field.selectionEnd, "end");
    field.dispatchEvent(new Event("input"));
  });
}

/** Has a button leave the focus to a field, and a phone its keyboard: open or closed. @param {HTMLElement} button */
export function leaveFocus(button) {
  button.addEventListener("mousedown", (event) => event.preventDefault());
}

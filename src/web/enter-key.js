// @ts-check
// Enter, where it ends what one writes. It is known by the line break that it would make, not by its key: the Enter that only ends an
// input method's conversion makes none, in whatever order a browser tells of it; and one that also makes one (with Korean, or on a
// phone whose keyboard still holds the last word) is told as a key that converts, too.
import { isConverting } from "./element.js";

/** What browsers call a line break. */
const BREAKS = ["insertLineBreak", "insertParagraph"];

/**
 * Calls `act` for each Enter in a field, in the place of its line break. With Shift it makes one.
 * @param {HTMLTextAreaElement} field
 * @param {(press: KeyboardEvent) => void} act
 * @param {() => boolean} [counts] Whether Enter ends what one writes there, by now.
 */
export function onEnter(field, act, counts = () => true) {
  /** The last key that was pressed, until a line break has come of it. @type {KeyboardEvent | undefined} */
  let pressed;
  field.addEventListener("keydown", (event) => {
    pressed = event;
    // With these keys it makes no line break, or one in some browsers only.
    const isChord = event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.shiftKey;
    if (!isChord || isConverting(event) || !counts()) return;
    event.preventDefault();
    act(event);
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
    if (!press || !isEnter || press.shiftKey || !counts()) return;
    event.preventDefault();
    act(press);
  });
}

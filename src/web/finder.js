// @ts-check
// A window over the page in which one finds something by a text, and from which a click leads there.
import { element, leadsElsewhere } from "./element.js";
import { afterStep, hasStep, leaveStep, NARROW, takeStep } from "./step.js";
import * as words from "./words.js";

/**
 * Opens one.
 * @param {string} id @param {string} heading @param {string} label What the field is for.
 * @param {(href: string) => void} goTo Leads to what was found.
 * @param {boolean} showsAll Whether there is something to choose from before one types: then it brings no keyboard up.
 */
export function openFinder(id, heading, label, goTo, showsAll) {
  const field = document.createElement("input");
  Object.assign(field, {
    type: "search",
    placeholder: label,
    ariaLabel: label,
    autocomplete: "off",
    autocapitalize: "none",
    spellcheck: false,
    autofocus: !showsAll || matchMedia("(pointer: fine)").matches,
  });
  const told = element("p", { role: "status" });
  const list = element("ul", { role: "list" });
  const close = element("button", { type: "button", className: "quietly", textContent: words.close });
  const dialog = document.createElement("dialog");
  Object.assign(dialog, { id, className: "finder", ariaLabel: heading });
  dialog.append(element("header", {}, element("h2", { textContent: heading }), close), field, told, list);
  const left = new AbortController();
  close.addEventListener("click", () => dialog.close());
  /** Whether something is done beside the window: what is done in its padding has it for a target, too. @param {MouseEvent} event */
  const isBeside = ({ target, clientX, clientY }) => {
    const box = dialog.getBoundingClientRect();
    const isInside = clientX >= box.left && clientX <= box.right && clientY >= box.top && clientY <= box.bottom;
    return target === dialog && !isInside;
  };
  // A click beside it closes it; not one that begins in it, as where one selects what is in the field, nor the second of two that opened it.
  let beganBeside = false;
  dialog.addEventListener("pointerdown", (event) => beganBeside = isBeside(event));
  dialog.addEventListener("click", (event) => {
    if (beganBeside && isBeside(event) && event.detail < 2) dialog.close();
  });
  let hasOwnStep = false;
  dialog.addEventListener("close", () => {
    left.abort();
    dialog.remove();
    if (hasOwnStep) leaveStep();
  });
  list.addEventListener("click", (event) => {
    const link = /** @type {Element} */ (event.target).closest("a");
    if (!link || leadsElsewhere(event)) return;
    event.preventDefault();
    dialog.close();
    goTo(/** @type {string} */ (link.getAttribute("href")));
  });
  document.body.append(dialog);
  dialog.showModal();
  afterStep(() => {
    hasOwnStep = dialog.open && !hasStep() && matchMedia(NARROW).matches;
    if (hasOwnStep) takeStep();
  });
  return { dialog, field, told, list, left: left.signal };
}

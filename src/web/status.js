// @ts-check
// Tells a screen reader in a sentence, once, what happened that one sees but has no place in the conversation.
import { element } from "./element.js";

const line = element("p", { className: "aside", role: "status" });
document.body.append(line);

/** @param {string} sentence */
export function say(sentence) {
  // The same sentence again is news again.
  line.textContent = "";
  setTimeout(() => line.textContent = sentence, 100);
}

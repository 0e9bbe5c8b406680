// @ts-check
// Makes and finds elements. Strings become text, never markup.

/** So soon after an input method has finished, a key belongs to it, in milliseconds: faster than anybody types. */
const SAME_PRESS_MS = 50;

/** When one has finished. */
let convertedAt = -Infinity;
addEventListener("compositionend", ({ timeStamp }) => convertedAt = timeStamp, true);

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Partial<HTMLElementTagNameMap[Tag]>} properties
 * @param {(Node | string)[]} children
 */
export function element(tag, properties, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

/** Writes the words of what stands in the markup, by the keys it has there. @param {Record<string, string>} words */
export function writeMarkup(words) {
  for (const node of document.querySelectorAll("[data-words], [data-label], [data-placeholder]")) {
    const { words: text, label, placeholder } = /** @type {HTMLElement} */ (node).dataset;
    if (text) node.textContent = words[text] ?? "";
    if (label) node.ariaLabel = words[label] ?? "";
    if (placeholder) /** @type {HTMLInputElement} */ (node).placeholder = words[placeholder] ?? "";
  }
}

/**
 * The element of the page with this id.
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @returns {T}
 */
export function byId(id) {
  return /** @type {T} */ (document.getElementById(id));
}

/** Whether the focus is in one of these, or nowhere: where it may be put elsewhere and nobody loses it. @param {(Element | null | undefined)[]} places */
export function isFocusFree(...places) {
  const focused = document.activeElement;
  return !focused || focused === document.body || places.some((place) => place?.contains(focused));
}

/**
 * Changes a part of the page; who had the focus where it is hidden, disabled or taken away by that goes on elsewhere, and is not nowhere.
 * @param {Element} part @param {() => void} change @param {() => HTMLElement | null | undefined} next
 */
export function handFocusOn(part, change, next) {
  const focused = part.contains(document.activeElement) ? document.activeElement : null;
  change();
  // Browsers take it away a moment later, so that what can't have it any more may still do.
  if (!focused || !isFocusFree(focused) || focused.checkVisibility() && !focused.matches(":disabled")) return;
  next()?.focus({ preventScroll: true });
}

/**
 * Whether a key belongs to an input method that converts what was typed. Safari tells the one that ends a conversion after its end, as 229;
 * of some browsers it is known only that one has just ended.
 * @param {KeyboardEvent} event
 */
export function isConverting({ isComposing, keyCode, timeStamp }) {
  return isComposing || keyCode === 229 || timeStamp - convertedAt < SAME_PRESS_MS;
}

/** Whether a click on a link asks the browser for a tab or a window of its own, or to keep what it leads to. @param {MouseEvent} event */
export function leadsElsewhere({ ctrlKey, metaKey, shiftKey, altKey }) {
  return ctrlKey || metaKey || shiftKey || altKey;
}

/** Writes an element's text only if it is another: a screen reader may read out whatever is written. @param {Element} node @param {string} text */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

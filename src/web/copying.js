// @ts-check
// What is copied out of a message is what was written, with its marks. Browsers differ in what they make of lists, quotes and code: Firefox
// puts blank lines around them.

/** Copies as it was written what is selected within one message. */
export function copyAsWritten() {
  document.addEventListener("copy", (event) => {
    const selection = getSelection();
    if (!selection || selection.isCollapsed || !event.clipboardData) return;
    const range = selection.getRangeAt(0);
    const { commonAncestorContainer: within } = range;
    const element = within instanceof Element ? within : within.parentElement;
    if (!element?.closest("#log .body")) return;
    event.clipboardData.setData("text/plain", `${range}`);
    event.preventDefault();
  });
}

// @ts-check
// On a narrow screen what lies over the page, the drawer or a window, is a step in the browser's history, so that Back closes it, and does
// nothing else. A window over the drawer has the drawer's.

/** Where the screen is narrow: page.css has the same. */
export const NARROW = "(max-width: 46rem)";

/** Whether the step of what was closed is still to go. */
let leaving = false;

/** Closes what Back is for. */
let close = () => {};

addEventListener("popstate", () => {
  const isOwn = leaving;
  leaving = false;
  if (!isOwn) close();
});

/** Is told when somebody goes back, or elsewhere; not when {@linkcode leaveStep} does. @param {() => void} listener */
export function onBack(listener) {
  close = listener;
}

/** Opens something, once the step of what was there before is gone. @param {() => void} open */
export function afterStep(open) {
  if (leaving) addEventListener("popstate", () => afterStep(open), { once: true });
  else open();
}

/** Whether there is one to go. */
export function hasStep() {
  return !leaving && Boolean(history.state?.drawer);
}

export function takeStep() {
  history.pushState({ drawer: true }, "");
}

/** Goes the step of what is closed: a moment later, and once. Who goes back twice has left the page. */
export function leaveStep() {
  if (!hasStep()) return;
  leaving = true;
  history.back();
}

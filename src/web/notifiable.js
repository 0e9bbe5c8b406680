// @ts-check
// Whether the page could tell anything on the desktop at all, so that it offers nothing that can't be.

/**
 * Browsers have notifications only where the page came over HTTPS, or from this machine. Those of phones have all but what a page can
 * show: the attempt throws. Nobody sees it, since it is made only where there is no leave.
 */
export function isNotifiable() {
  if (!isSecureContext || !("Notification" in globalThis)) return false;
  if (Notification.permission === "granted") return true;
  try {
    new Notification("");
    return true;
  } catch {
    return false;
  }
}

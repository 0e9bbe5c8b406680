// @ts-check
// Whether the page could tell anything on the desktop at all, so that it offers nothing that can't be.

/**
 * Browsers have notifications only where the page came over HTTPS, or from this machine. Phones have all
 * of it, but a page can't show one: the attempt throws. Elsewhere the attempt shows nothing, since it is made only without permission.
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
